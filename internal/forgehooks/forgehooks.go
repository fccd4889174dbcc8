// Package forgehooks keeps the webhooks of Nautes in Git forges. It guarantees that a
// repository has one hook for each address, and that the place of a hook is on record
// before the hook is made.
package forgehooks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/pace"
	"nautes.io/nautes/internal/secrets"
)

var (
	// errDisabled: the forge does not deliver.
	errDisabled = errors.New("the forge has stopped to deliver, because deliveries failed")
	errLeaving  = errors.New("the repository is marked for deletion")
	// ErrForeign is the reason of an Error about a repository that may not have the hook.
	ErrForeign = errors.New("the repository is outside the group of the product")
)

// Error is a hook that is not as it should be.
type Error struct {
	// Provider is the name of the CodeRepoProvider, Path the full path of the
	// repository.
	Provider, Path string
	Err            error
}

// Error returns the reason and the remedy.
func (e *Error) Error() string {
	remedy := client.Remedy(e.Provider, e.Err)
	switch {
	case errors.Is(e.Err, errDisabled):
		remedy = "let the forge reach the receiver's public URL"
	case errors.Is(e.Err, errLeaving):
		remedy = "restore it, or delete the objects that are mirrored from it"
	case errors.Is(e.Err, ErrForeign):
		remedy = "move it there, or let the owners of the repository set the hook"
	}
	return fmt.Sprintf("the hook of %s: %v: %s", e.Path, e.Err, remedy)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Hook is a hook that a repository must have.
type Hook struct {
	// Provider is the name of the CodeRepoProvider, Path the full path of the
	// repository.
	Provider, Path string
	client.HookSpec
	// Read returns the secret, if it is not in the HookSpec but in a store, and Version is
	// its version there.
	Read    func(context.Context) (secrets.Value, error)
	Version string
	// Allowed reports whether the repository that the forge has at the path may have the
	// hook, which the token of the tenant makes. If it is nil, each may.
	Allowed func(client.Repository) bool
}

// Record stores the place of a hook. It is called before the hook is made and, with the
// hash of the secret, after the forge has it.
type Record func(context.Context, *v1alpha1.ForgeHook) error

// Keeper keeps hooks. Its fields must be set before the first call.
type Keeper struct {
	// Connect returns a client with the tenant's token for the forge of a
	// CodeRepoProvider. The error wraps client.ErrNoToken if there is none.
	Connect func(ctx context.Context, provider string) (client.Client, error)
	// Looks are the last looks at the hooks. Their notes are the hashes of the secrets.
	Looks pace.Memory
}

// Ensure makes a hook, or repairs it. recorded is its place as Record has stored it last,
// or nil. A hook at another recorded place is removed. Owner names whoever needs the
// hook, once for each of its hooks. Ensure returns the time until the hook should be looked
// at again: before, it answers from memory. Its errors are of Record and Read, or an *Error.
func (k *Keeper) Ensure(ctx context.Context, owner string, h Hook, recorded *v1alpha1.ForgeHook, record Record) (again time.Duration, err error) {
	of := identity(h)
	last, again := k.Looks.Last(owner, of)
	if again > 0 && (last.Err != nil || recorded != nil && recorded.URL == h.URL && recorded.SecretHash == last.Note) {
		return again, last.Err
	}
	hash, err := k.ensure(ctx, h, recorded, record)
	var failed *Error
	if err != nil && (!errors.As(err, &failed) || ctx.Err() != nil) {
		// What is on record is not known, so the next pass looks again.
		k.Looks.Forget(owner)
		return 0, err
	}
	return k.Looks.Looked(owner, pace.Look{Of: of, Note: hash, Err: err}, client.RetryAfter(err)), err
}

// ensure asks the forge. It returns the hash of the secret.
func (k *Keeper) ensure(ctx context.Context, h Hook, recorded *v1alpha1.ForgeHook, record Record) (hash string, err error) {
	failed := func(err error) (string, error) { return hash, &Error{h.Provider, h.Path, err} }
	if h.Read != nil {
		if h.Secret, err = h.Read(ctx); err != nil {
			return "", err
		}
	}
	hash = hashOf(h.HookSpec)
	forge, err := k.Connect(ctx, h.Provider)
	if err != nil {
		return failed(err)
	}
	repository, err := forge.Repository(ctx, h.Path)
	switch {
	case err != nil:
		return failed(err)
	case repository.Leaving:
		return failed(errLeaving)
	case h.Allowed != nil && !h.Allowed(repository):
		if recorded != nil {
			if err := k.remove(ctx, recorded); err != nil {
				return failed(err)
			}
		}
		return failed(ErrForeign)
	}
	at := &v1alpha1.ForgeHook{Provider: h.Provider, Repository: repository.ID, URL: h.URL}
	same := recorded != nil && recorded.Provider == at.Provider && recorded.Repository == at.Repository && recorded.URL == at.URL
	if recorded != nil && !same {
		if err := k.remove(ctx, recorded); err != nil {
			return failed(err)
		}
	}
	if same {
		at.SecretHash = recorded.SecretHash
	} else if err := record(ctx, at.DeepCopy()); err != nil {
		return hash, err
	}
	hook, err := forge.EnsureHook(ctx, repository.ID, h.HookSpec, at.SecretHash != hash)
	if err != nil {
		return failed(err)
	}
	if at.SecretHash != hash {
		at.SecretHash = hash
		if err := record(ctx, at); err != nil {
			return hash, err
		}
	}
	if hook.Disabled {
		return failed(errDisabled)
	}
	return hash, nil
}

// Remove removes the hook at a recorded place, whose owner goes. One that the token does
// not show any more stays, and its deliveries have no effect without the owner. The
// error is an *Error: the forge is not available.
func (k *Keeper) Remove(ctx context.Context, owner string, recorded *v1alpha1.ForgeHook) error {
	k.Looks.Forget(owner)
	if err := k.remove(ctx, recorded); err != nil {
		return &Error{recorded.Provider, fmt.Sprintf("repository %d", recorded.Repository), err}
	}
	return nil
}

func (k *Keeper) remove(ctx context.Context, recorded *v1alpha1.ForgeHook) error {
	forge, err := k.Connect(ctx, recorded.Provider)
	if err != nil {
		return unlessGone(err)
	}
	hooks, err := forge.Hooks(ctx, recorded.Repository)
	if err != nil {
		return unlessGone(err)
	}
	for _, hook := range hooks {
		if hook.URL != recorded.URL {
			continue
		}
		if err := forge.RemoveHook(ctx, recorded.Repository, hook.ID); err != nil {
			return unlessGone(err)
		}
	}
	return nil
}

// unlessGone returns nil for an error that lasts: the repository, the token or its right
// is gone.
func unlessGone(err error) error {
	if client.Lasts(err) {
		return nil
	}
	return err
}

// identity returns a value that only the same hook has.
func identity(h Hook) pace.Identity {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %t %q %s", h.Provider, h.Path, h.URL, h.Events, h.Plain, h.Version, hashOf(h.HookSpec)))
}

// hashOf returns a text that identifies the secret of a hook, which has too many values
// to be guessed, and discloses nothing of it.
func hashOf(spec client.HookSpec) string {
	const digits = 16
	sum := sha256.Sum256(append([]byte("nautes.io/hook-secret/v1\n"), spec.Secret.Bytes()...))
	return hex.EncodeToString(sum[:])[:digits]
}
