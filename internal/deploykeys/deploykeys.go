// Package deploykeys makes and stores the deploy keys of repositories, and enables them in
// Git forges. It guarantees that a stored key that Nautes has not made is never replaced,
// that a key is stored before a repository accepts it, and that a repository accepts only
// the keys of Nautes that it must have.
package deploykeys

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/access"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/secrets"
)

// Fields of a stored deploy key. A key that a person has stored has the first one only.
const (
	fieldDeployKey   = "deploykey"
	fieldFingerprint = "fingerprint"
	fieldID          = "id"
	fieldRotation    = "rotation"
)

// Keeper keeps the deploy keys of the repositories of one provider.
type Keeper struct {
	Store secrets.Store
	// Forge has the repositories. The methods that only use the store do not need it.
	Forge client.Client
	// Provider is the type of the provider, such as gitlab.
	Provider string
}

// Key is a stored deploy key.
type Key struct {
	// Public is the public half in the format of authorized_keys, without a comment. It
	// is empty if the secret of a person has no private key.
	Public string
	// Made reports whether Nautes has made the key.
	Made bool
}

// Fingerprint returns the fingerprint of the key as OpenSSH prints it, which begins with SHA256:.
func (k Key) Fingerprint() string { return FingerprintOf(k.Public) }

// FingerprintOf returns the fingerprint of a public key, or "" if it is none.
func FingerprintOf(public string) string {
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public))
	if err != nil {
		return ""
	}
	return ssh.FingerprintSHA256(parsed)
}

// RepositoryName returns the name of the CodeRepo of a repository, such as repo-7.
func RepositoryName(id int64) string { return fmt.Sprintf("repo-%d", id) }

// RepositoryID returns the id of the repository of a CodeRepo, or false if its name has
// none.
func RepositoryID(name string) (int64, bool) {
	digits, ok := strings.CutPrefix(name, "repo-")
	id, err := strconv.ParseInt(digits, 10, 64)
	return id, ok && err == nil && id > 0
}

// Ref names the stored key of a repository.
func (k *Keeper) Ref(repository string, permission v1alpha1.Permission) secrets.Ref {
	if permission == v1alpha1.PermissionReadWrite {
		return secrets.RepositoryReadWrite(k.Provider, repository)
	}
	return secrets.RepositoryReadOnly(k.Provider, repository)
}

// Read returns the stored key of a repository. The error wraps secrets.ErrNotFound if
// there is none.
func (k *Keeper) Read(ctx context.Context, repository string, permission v1alpha1.Permission) (Key, error) {
	stored, err := k.Store.Get(ctx, k.Ref(repository, permission))
	return keyOf(repository, stored), err
}

// Ensure returns the stored key of a repository, and makes it if there is none. A key that
// Nautes has made is made again once for each rotation but the empty one.
func (k *Keeper) Ensure(ctx context.Context, repository string, permission v1alpha1.Permission, rotation string) (Key, error) {
	ref := k.Ref(repository, permission)
	stored, err := k.Store.Get(ctx, ref)
	if err == nil {
		key := keyOf(repository, stored)
		if !key.Made || rotation == "" || string(stored.Fields[fieldRotation].Bytes()) == rotation {
			return key, nil
		}
	} else if !errors.Is(err, secrets.ErrNotFound) {
		return Key{}, err
	}
	fields, err := newKey(repository, rotation)
	if err != nil {
		return Key{}, err
	}
	if stored.Fields != nil {
		// People may have added fields, such as known_hosts.
		kept := maps.Clone(stored.Fields)
		maps.Copy(kept, fields)
		_, err = k.Store.Put(ctx, ref, kept)
		return keyOf(repository, secrets.Secret{Fields: kept}), err
	}
	if _, err := k.Store.Create(ctx, ref, fields); err != nil && !errors.Is(err, secrets.ErrExists) {
		return Key{}, err
	}
	return k.Read(ctx, repository, permission)
}

func newKey(repository, rotation string) (map[string]secrets.Value, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a deploy key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, fmt.Errorf("make a deploy key: %w", err)
	}
	half, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("make a deploy key: %w", err)
	}
	fields := map[string]secrets.Value{
		fieldDeployKey:   secrets.NewValue(pem.EncodeToMemory(block)),
		fieldFingerprint: secrets.NewValue([]byte(authorized(half))),
		fieldID:          secrets.NewValue([]byte(repository)),
	}
	if rotation != "" {
		fields[fieldRotation] = secrets.NewValue([]byte(rotation))
	}
	return fields, nil
}

func authorized(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func keyOf(repository string, stored secrets.Secret) Key {
	// The error could quote the key.
	signer, err := ssh.ParsePrivateKey(stored.Fields[fieldDeployKey].Bytes())
	if err != nil {
		return Key{}
	}
	public := authorized(signer.PublicKey())
	return Key{
		Public: public,
		Made:   string(stored.Fields[fieldID].Bytes()) == repository && string(stored.Fields[fieldFingerprint].Bytes()) == public,
	}
}

// Own gives a repository its own key of a permission.
func (k *Keeper) Own(ctx context.Context, id int64, permission v1alpha1.Permission) error {
	return k.enable(ctx, id, access.Grant{On: RepositoryName(id), Of: RepositoryName(id), Permission: permission})
}

// enable gives a repository a key, which is made if there is none.
func (k *Keeper) enable(ctx context.Context, on int64, g access.Grant) error {
	key, err := k.Ensure(ctx, g.Of, g.Permission, "")
	switch {
	case err != nil:
		return err
	case key.Public == "":
		return errors.New("a stored deploy key is not a private key: delete it in the secret store")
	}
	_, err = k.Forge.EnsureKey(ctx, on, keyIn(g, key.Public))
	return err
}

// keyIn returns a key as the forge must have it.
func keyIn(g access.Grant, public string) client.Key {
	return client.Key{Title: g.Title(), Public: public, CanPush: g.Permission == v1alpha1.PermissionReadWrite}
}

// Stored reports whether the store has, or may have, a key of a repository.
func (k *Keeper) Stored(ctx context.Context, repository string) bool {
	for _, permission := range access.Permissions() {
		if _, err := k.Store.Version(ctx, k.Ref(repository, permission)); !errors.Is(err, secrets.ErrNotFound) {
			return true
		}
	}
	return false
}

// Forget removes the stored keys of a repository.
func (k *Keeper) Forget(ctx context.Context, repository string) error {
	for _, permission := range access.Permissions() {
		if err := k.Store.Delete(ctx, k.Ref(repository, permission)); err != nil {
			return err
		}
	}
	return nil
}
