package reconcile

import (
	"context"
	"errors"
	"fmt"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/forgehooks"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/servers"
)

// Receiver is the receiver of push hooks, as forges see it.
type Receiver struct {
	// PublicURL is the URL at which forges reach the receiver, without a slash at the
	// end. If it is empty, the operator makes no hooks.
	PublicURL string
	// Token returns the token of a source.
	Token func(ctx context.Context, source string) (secrets.Value, error)
}

// TenantForge returns a client of the forge of the named provider with the tenant's token.
// The error wraps forgehooks.ErrNoToken if there is none.
func (d *Deps) TenantForge(ctx context.Context, provider string) (client.Client, error) {
	snap, err := d.Loader.Providers(ctx)
	if err != nil {
		return nil, err
	}
	p := snap.CodeRepoProvider(provider)
	if p == nil {
		return nil, fmt.Errorf("CodeRepoProvider %s does not exist: %w", provider, forgehooks.ErrNoToken)
	}
	secret, err := d.Secrets.Get(ctx, secrets.ProviderToken(provider))
	if errors.Is(err, secrets.ErrNotFound) {
		return nil, fmt.Errorf("%w at %s", forgehooks.ErrNoToken, secrets.ProviderToken(provider))
	}
	if err != nil {
		return nil, err
	}
	return servers.Forge(ctx, d.Secrets, d.Loader.Settings.Git, p, secret.Fields["access_token"])
}

// Mirrored is a mirrored repository, for PushHook.
type Mirrored struct {
	URL string
	// Source and Path are of the receiver's endpoint.
	Source, Path string
	// Hook is the hook on record in the status.
	Hook **v1alpha1.ForgeHook
}

// PushHook lets the forge report pushes to a mirrored repository, and sets the condition
// Hooked. A hook that cannot be made is no error, since the poll finds the pushes too.
func PushHook[T v1alpha1.Object](ctx context.Context, d *Deps, s *engine.Session[T], m Mirrored) error {
	if d.Receiver.PublicURL == "" {
		return RemovePushHook(ctx, d, s, m)
	}
	provider, path := s.Snapshot.ForgeRepository(m.URL)
	if provider == nil {
		s.Facts.False(v1alpha1.ConditionHooked, v1alpha1.ReasonReferenceMissing, "no CodeRepoProvider has an address that the URL of the repository begins with: pushes are found by the poll only")
		return nil
	}
	token, err := d.Receiver.Token(ctx, m.Source)
	if err != nil {
		return err
	}
	forge, _ := forges.Of(provider.Spec.ProviderType)
	ref := references.RefOf(s.Object)
	hook := forgehooks.Hook{Provider: provider.Name, Path: path, HookSpec: client.HookSpec{
		URL: d.Receiver.PublicURL + m.Path, Events: forge.Hooks.PushEvents, Secret: token,
	}}
	again, err := d.Hooks.Ensure(ctx, ref.String(), hook, *m.Hook, func(ctx context.Context, at *v1alpha1.ForgeHook) error {
		*m.Hook = at
		return s.Record(ctx)
	})
	d.Queues.Of(ref.Kind).AddAfter(Request(s.Object.GetNamespace(), s.Object.GetName()), again)
	var failed *forgehooks.Error
	switch {
	case errors.As(err, &failed):
		s.Facts.Fail(v1alpha1.ConditionHooked, err)
	case err != nil:
		return err
	default:
		s.Facts.True(v1alpha1.ConditionHooked, v1alpha1.ReasonReady, "pushes are reported to "+hook.URL)
	}
	return nil
}

// RemovePushHook removes the hook on record, if there is one.
func RemovePushHook[T v1alpha1.Object](ctx context.Context, d *Deps, s *engine.Session[T], m Mirrored) error {
	if *m.Hook == nil {
		return nil
	}
	if err := d.Hooks.Remove(ctx, references.RefOf(s.Object).String(), *m.Hook); err != nil {
		return err
	}
	*m.Hook = nil
	return s.Record(ctx)
}
