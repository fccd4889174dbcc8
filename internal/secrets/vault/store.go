package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/vault/api"
	"k8s.io/apimachinery/pkg/util/validation"

	"nautes.io/nautes/internal/secrets"
)

// maxRaces is the number of attempts at a write that other clients overtake.
const maxRaces = 5

// Get returns the secret at ref. The error wraps secrets.ErrNotFound if there is
// none, or its latest version was deleted. A field that is not a string is
// returned in JSON.
func (v *Vault) Get(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	if err := check(ref); err != nil {
		return secrets.Secret{}, err
	}
	writes := v.versions.ask(ref)
	stored, err := v.read(ctx, ref)
	if err != nil {
		v.versions.miss(ref)
		return secrets.Secret{}, err
	}
	v.learned(ref, stored.version, writes, false)
	if stored.version == "" {
		return secrets.Secret{}, notFound(ref)
	}
	fields := make(map[string]secrets.Value, len(stored.fields))
	for name, content := range stored.fields {
		fields[name] = secrets.NewValue([]byte(content))
	}
	return secrets.Secret{Fields: fields, Version: stored.version}, nil
}

// Version returns the version of the secret at ref, with the errors of Get. While
// Start runs, it is the version that the poll has seen last, and costs no request.
func (v *Vault) Version(ctx context.Context, ref secrets.Ref) (string, error) {
	if err := check(ref); err != nil {
		return "", err
	}
	version, fresh := v.versions.recall(ref)
	if !fresh {
		var err error
		if version, err = v.readVersion(ctx, ref, v.versions.ask(ref)); err != nil {
			return "", err
		}
	}
	if version == "" {
		return "", notFound(ref)
	}
	return version, nil
}

// Put stores the fields at ref and returns the version. Equal content writes
// nothing. The fields replace all others. When another client writes at the same
// time, Put reads its fields before it replaces them.
func (v *Vault) Put(ctx context.Context, ref secrets.Ref, fields map[string]secrets.Value) (string, error) {
	return v.store(ctx, ref, fields, false)
}

// Create stores the fields at ref and returns the version. The error wraps
// secrets.ErrExists if there is a secret, or another client was faster.
func (v *Vault) Create(ctx context.Context, ref secrets.Ref, fields map[string]secrets.Value) (string, error) {
	return v.store(ctx, ref, fields, true)
}

func (v *Vault) store(ctx context.Context, ref secrets.Ref, fields map[string]secrets.Value, create bool) (string, error) {
	data, err := texts(ref, fields)
	if err != nil {
		return "", err
	}
	exists := fmt.Errorf("store the secret %s: %w", ref, secrets.ErrExists)
	for race := 1; ; race++ {
		writes := v.versions.ask(ref)
		found, err := v.read(ctx, ref)
		switch {
		case err != nil:
			return "", err
		case found.version != "" && create:
			return "", exists
		case found.version != "" && maps.EqualFunc(found.fields, data, func(a string, b any) bool { return a == b }):
			v.learned(ref, found.version, writes, false)
			return found.version, nil
		}
		version, err := v.write(ctx, ref, data, found.number, writes)
		switch conflict := failureOf(err).conflict; {
		case conflict && create:
			return "", exists
		case !conflict || race == maxRaces:
			return version, err
		}
	}
}

// Delete removes all versions of the secret at ref, if there is one.
func (v *Vault) Delete(ctx context.Context, ref secrets.Ref) error {
	if err := check(ref); err != nil {
		return err
	}
	writes := v.versions.ask(ref)
	action := "remove the secret " + ref.String()
	metadata, err := onSecret(ctx, v, action, ref, (*api.KVv2).GetMetadata)
	if err == nil && metadata != nil {
		_, err = onSecret(ctx, v, action, ref, func(kv *api.KVv2, ctx context.Context, path string) (any, error) {
			return nil, kv.DeleteMetadata(ctx, path)
		})
	}
	if err != nil {
		return err
	}
	v.learned(ref, "", writes, metadata != nil)
	return nil
}

func notFound(ref secrets.Ref) error { return fmt.Errorf("secret %s: %w", ref, secrets.ErrNotFound) }

// pathShape excludes every character with a meaning in a URL or in a policy.
var pathShape = regexp.MustCompile(`^[a-zA-Z0-9_-][-._a-zA-Z0-9]*(/[a-zA-Z0-9_-][-._a-zA-Z0-9]*)*$`)

func check(ref secrets.Ref) error {
	if len(validation.IsDNS1123Label(ref.Engine)) > 0 || !pathShape.MatchString(ref.Path) || len(ref.Path) > 512 {
		return fmt.Errorf("the reference %q names no secret: it needs an engine, for example git, and a path of letters, digits, dots, dashes and underscores", ref.String())
	}
	return nil
}

// texts returns the fields in the form in which Vault keeps them: it has no bytes.
func texts(ref secrets.Ref, fields map[string]secrets.Value) (map[string]any, error) {
	if err := check(ref); err != nil {
		return nil, err
	}
	data := make(map[string]any, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		content := fields[name].Bytes()
		if name == "" || !utf8.ValidString(name) || !utf8.Valid(content) {
			return nil, fmt.Errorf("store the secret %s: the field %q must have a name, and be text in UTF-8", ref, name)
		}
		data[name] = string(content)
	}
	return data, nil
}

// stored is the latest version of a secret.
type stored struct {
	fields map[string]string
	// version is empty if there is no secret, or its latest version was deleted.
	version string
	// number of the latest version, deleted or not, or 0 if there never was one.
	number int
}

func (v *Vault) read(ctx context.Context, ref secrets.Ref) (found stored, err error) {
	action := "read the secret " + ref.String()
	secret, err := onSecret(ctx, v, action, ref, (*api.KVv2).Get)
	if err != nil || secret == nil {
		return stored{}, err
	}
	if found.number = secret.VersionMetadata.Version; secret.Data == nil {
		return found, nil
	}
	found.version, found.fields = versionOf(secret.VersionMetadata), contents(secret.Data)
	if found.version == "" {
		return stored{}, unreadable(action)
	}
	return found, nil
}

// contents returns strings as they are and all other fields in JSON.
func contents(data map[string]any) map[string]string {
	fields := make(map[string]string, len(data))
	for name, field := range data {
		switch content := field.(type) {
		case nil:
		case string:
			fields[name] = content
		default:
			// It never fails: the content was decoded from JSON.
			text, _ := json.Marshal(content)
			fields[name] = string(text)
		}
	}
	return fields
}

// write stores the fields after the version of a number. writes is the result of
// versions.ask before that version was read.
func (v *Vault) write(ctx context.Context, ref secrets.Ref, fields map[string]any, after, writes int) (version string, err error) {
	action := "store the secret " + ref.String()
	written, err := onSecret(ctx, v, action, ref, func(kv *api.KVv2, ctx context.Context, path string) (*api.KVSecret, error) {
		return kv.Put(ctx, path, fields, api.WithCheckAndSet(after))
	})
	if err != nil {
		return "", err
	}
	if written == nil || versionOf(written.VersionMetadata) == "" {
		return "", unreadable(action)
	}
	version = versionOf(written.VersionMetadata)
	v.learned(ref, version, writes, true)
	return version, nil
}

// readVersion reads the version of a secret, and records it or that it could not be
// read. It returns an empty string if there is no secret.
func (v *Vault) readVersion(ctx context.Context, ref secrets.Ref, writes int) (version string, err error) {
	metadata, err := onSecret(ctx, v, "read the version of the secret "+ref.String(), ref, (*api.KVv2).GetMetadata)
	if err != nil {
		v.versions.miss(ref)
		return "", err
	}
	if metadata != nil {
		version = currentVersion(metadata, time.Now())
	}
	v.learned(ref, version, writes, false)
	return version, nil
}

// currentVersion returns the current version of a secret, or an empty string if it
// was deleted by now.
func currentVersion(metadata *api.KVMetadata, now time.Time) string {
	latest, ok := metadata.Versions[strconv.Itoa(metadata.CurrentVersion)]
	deleted := !latest.DeletionTime.IsZero() && !latest.DeletionTime.After(now)
	if !ok || latest.Destroyed || deleted {
		return ""
	}
	return versionOf(&latest)
}

// versionOf returns the text of a version, or an empty string if it is incomplete.
// The numbers of a secret start again when it is removed and created again; the times
// do not.
func versionOf(version *api.KVVersionMetadata) string {
	if version == nil || version.Version <= 0 || version.CreatedTime.IsZero() {
		return ""
	}
	return strconv.Itoa(version.Version) + "@" + version.CreatedTime.Format(time.RFC3339Nano)
}

// onSecret runs a method of the client on a secret. It returns nil and no error if
// the secret does not exist. First it checks the engine: without one that keeps
// versions, Vault answers that no secret exists.
func onSecret[T any](ctx context.Context, v *Vault, action string, ref secrets.Ref, method func(*api.KVv2, context.Context, string) (T, error)) (answer T, err error) {
	if err := v.checkEngine(ctx, ref); err != nil {
		return answer, err
	}
	err = v.do(ctx, request{action: action}, func(ctx context.Context, client *api.Client) (err error) {
		// The library panics when a part of an answer has another type.
		defer func() {
			if recover() != nil {
				err = errUnreadable
			}
		}()
		if answer, err = method(client.KVv2(ref.Engine), ctx, ref.Path); errors.Is(err, api.ErrSecretNotFound) {
			return nil
		}
		return err
	})
	if failureOf(err).absent {
		v.engines.Delete(ref.Engine)
	}
	return answer, err
}

func (v *Vault) checkEngine(ctx context.Context, ref secrets.Ref) error {
	name := ref.Engine
	if _, known := v.engines.Load(name); known {
		return nil
	}
	var mount struct {
		Path    string            `json:"path"`
		Type    string            `json:"type"`
		Options map[string]string `json:"options"`
	}
	action := "use the secret " + ref.String()
	_, err := v.readPath(ctx, action, "sys/internal/ui/mounts/"+name, &mount)
	switch f := failureOf(err); {
	case f.forbidden() || f.absent:
		return denied(action, fmt.Sprintf("there is no engine at %s/ that the operator may use; enable KV version 2 there, and see the operator's policy", name))
	case err != nil:
		return err
	case mount.Type != "kv" || mount.Options["version"] != "2" || !strings.HasSuffix(mount.Path, name+"/"):
		return denied(action, fmt.Sprintf("the engine at %s/ is not KV version 2", name))
	}
	v.engines.Store(name, nil)
	return nil
}
