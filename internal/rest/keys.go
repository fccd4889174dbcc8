package rest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/access"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// Fields of a stored deploy key.
const (
	fieldDeployKey   = "deploykey"
	fieldFingerprint = "fingerprint"
	fieldID          = "id"
)

// keyWorkers is how many repositories of a product are looked at together.
const keyWorkers = 8

// keeper keeps the deploy keys of one product as its repositories and bindings ask.
type keeper struct {
	store    secrets.Store
	forge    client.Client
	provider string
}

// keeper returns the keeper of a tenant's keys. It uses the forge's token of the tenant
// if there is one, and the caller's otherwise.
func (s *Server) keeper(ctx context.Context, c *caller, p Platform) (*keeper, error) {
	k := &keeper{store: s.options.Secrets, forge: c.forge, provider: p.Provider.Spec.ProviderType}
	secret, err := k.store.Get(ctx, secrets.ProviderToken(p.Provider.Name))
	switch {
	case errors.Is(err, secrets.ErrNotFound):
		return k, nil
	case err != nil:
		return nil, err
	}
	k.forge, err = s.options.Forge(p.Provider, secret.Fields["access_token"])
	return k, err
}

// ref names the stored key of a repository.
func (k *keeper) ref(repository string, permission v1alpha1.Permission) secrets.Ref {
	if permission == v1alpha1.PermissionReadWrite {
		return secrets.RepositoryReadWrite(k.provider, repository)
	}
	return secrets.RepositoryReadOnly(k.provider, repository)
}

// public returns the public half of a repository's key. It makes and stores a key if
// there is none.
func (k *keeper) public(ctx context.Context, repository string, permission v1alpha1.Permission) (string, error) {
	ref := k.ref(repository, permission)
	stored, err := k.store.Get(ctx, ref)
	if errors.Is(err, secrets.ErrNotFound) {
		fields, err := newKey(repository)
		if err != nil {
			return "", err
		}
		if _, err := k.store.Create(ctx, ref, fields); err != nil && !errors.Is(err, secrets.ErrExists) {
			return "", err
		}
		stored, err = k.store.Get(ctx, ref)
		if err != nil {
			return "", err
		}
		return publicHalf(stored)
	}
	if err != nil {
		return "", err
	}
	return publicHalf(stored)
}

func newKey(repository string) (map[string]secrets.Value, error) {
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
	return map[string]secrets.Value{
		fieldDeployKey:   secrets.NewValue(pem.EncodeToMemory(block)),
		fieldFingerprint: secrets.NewValue([]byte(authorized(half))),
		fieldID:          secrets.NewValue([]byte(repository)),
	}, nil
}

func authorized(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func publicHalf(stored secrets.Secret) (string, error) {
	signer, err := ssh.ParsePrivateKey(stored.Fields[fieldDeployKey].Bytes())
	if err != nil {
		// The error could quote the key.
		return "", errors.New("a stored deploy key is not a private key: delete it in the secret store")
	}
	return authorized(signer.PublicKey()), nil
}

// own gives a repository its own key of a permission.
func (k *keeper) own(ctx context.Context, id int64, permission v1alpha1.Permission) error {
	return k.enable(ctx, id, access.Grant{On: repositoryID(id), Of: repositoryID(id), Permission: permission})
}

// enable gives a repository a key.
func (k *keeper) enable(ctx context.Context, on int64, g access.Grant) error {
	public, err := k.public(ctx, g.Of, g.Permission)
	if err != nil {
		return err
	}
	_, err = k.forge.EnsureKey(ctx, on, client.Key{Title: g.Title(), Public: public, CanPush: g.Permission == v1alpha1.PermissionReadWrite})
	return err
}

// forget removes the stored keys of a repository.
func (k *keeper) forget(ctx context.Context, repository string) error {
	for _, permission := range access.Permissions() {
		if err := k.store.Delete(ctx, k.ref(repository, permission)); err != nil {
			return err
		}
	}
	return nil
}

// sync gives all repositories of a product the keys that they must have, and takes the
// others of Nautes. The own keys of the repository renewed are compared with the store.
func (k *keeper) sync(ctx context.Context, product string, repositories []*v1alpha1.CodeRepo, bindings []*v1alpha1.CodeRepoBinding, renewed string) error {
	wanted := map[string][]access.Grant{}
	for _, g := range access.Grants(product, repositories, bindings) {
		wanted[g.On] = append(wanted[g.On], g)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(keyWorkers)
	for _, r := range repositories {
		id, known := forgeID(r.Name)
		if !known {
			continue
		}
		group.Go(func() error {
			err := k.adjust(ctx, id, wanted[r.Name], renewed)
			if errors.Is(err, client.ErrNotFound) && r.Name != renewed {
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

// adjust gives one repository its keys.
func (k *keeper) adjust(ctx context.Context, id int64, wanted []access.Grant, renewed string) error {
	keys, err := k.forge.Keys(ctx, id)
	if err != nil {
		return err
	}
	for _, key := range keys {
		_, _, ours := access.Owner(key.Title)
		if !ours || slices.ContainsFunc(wanted, func(g access.Grant) bool { return g.Title() == key.Title }) {
			continue
		}
		if err := k.forge.RemoveKey(ctx, id, key.ID); err != nil {
			return err
		}
	}
	for _, g := range wanted {
		if _, known := forgeID(g.Of); !known {
			continue
		}
		present := slices.ContainsFunc(keys, func(key client.Key) bool { return key.Title == g.Title() })
		if present && g.Of != renewed {
			continue
		}
		if err := k.enable(ctx, id, g); err != nil {
			return err
		}
	}
	return nil
}

// forgeID returns the id of the repository of a CodeRepo, or false if its name has none.
func forgeID(name string) (int64, bool) {
	digits, ok := strings.CutPrefix(name, "repo-")
	id, err := strconv.ParseInt(digits, 10, 64)
	return id, ok && err == nil && id > 0
}

// syncKeys brings the keys of a product in line with its files after a commit. It
// returns a warning if neither the tenant's nor the caller's token may do so.
func (s *Server) syncKeys(x *exchange, p *place, renewed string) ([]string, error) {
	ctx := x.r.Context()
	view, err := s.options.Editor.View(ctx, p.edit, time.Minute)
	if err != nil {
		return nil, err
	}
	var repositories []*v1alpha1.CodeRepo
	for _, entry := range view.List("CodeRepo") {
		if r, ok := entry.Object.(*v1alpha1.CodeRepo); ok {
			repositories = append(repositories, r)
		}
	}
	var bindings []*v1alpha1.CodeRepoBinding
	for _, entry := range view.List("CodeRepoBinding") {
		if b, ok := entry.Object.(*v1alpha1.CodeRepoBinding); ok {
			bindings = append(bindings, b)
		}
	}
	k, err := s.keeper(ctx, x.caller, p.platform)
	if err == nil {
		err = k.sync(ctx, p.namespace(), repositories, bindings, renewed)
	}
	return afterCommit(err)
}

// afterCommit turns an error of a step after the commit into a warning if repeating the
// request cannot help, and into a problem otherwise.
func afterCommit(err error) ([]string, error) {
	var failure *client.Error
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, client.ErrForbidden) && errors.As(err, &failure):
		return []string{"the deploy keys are not up to date: " + plan.Words(failure.Error(), maxForgeReason) + "; a maintainer of the repositories must repeat the request"}, nil
	}
	p := asProblem(err)
	if p.Status < http.StatusInternalServerError {
		p = problem(http.StatusServiceUnavailable, reasonIncomplete, "%s", p.Message)
	}
	p.Message = "the file is committed, but the deploy keys are not up to date: repeat the request; " + p.Message
	return nil, p.again(max(p.retryAfter, retryUnavailable))
}
