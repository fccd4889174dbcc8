// Package pushhooks has forges report pushes to the receiver, for repositories that are
// mirrored or deployed, and events to the event sources of pipelines. It guarantees that a hook that cannot be made
// holds nothing else up, and that the condition Hooked says why.
package pushhooks

import (
	"context"
	"errors"
	"slices"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/forgehooks"
	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/servers"
	"nautes.io/nautes/internal/snapshot"
)

// removeRetry is the time after which a removal is tried again.
const removeRetry = time.Minute

// Maker makes the hooks of an operator.
type Maker struct {
	// PublicURL is the URL at which forges reach the receiver, without a slash at the
	// end. If it is empty, no hooks are made.
	PublicURL string
	// Token returns the token of a source of the receiver.
	Token  func(ctx context.Context, source string) (secrets.Value, error)
	Keeper *forgehooks.Keeper
	// Later reconciles an object after a while.
	Later func(o v1alpha1.Object, after time.Duration)
}

// Active reports whether hooks are made.
func (m *Maker) Active() bool { return m != nil && m.PublicURL != "" }

// Retry has the hooks that failed looked at with the next pass. It reports whether hooks
// are made.
func (m *Maker) Retry() bool {
	if !m.Active() {
		return false
	}
	m.Keeper.Looks.Retry()
	return true
}

// repository is a repository whose pushes are reported.
type repository struct {
	url string
	// source and path are of the receiver's endpoint.
	source, path string
	// hook is the hook on record in the status.
	hook **v1alpha1.ForgeHook
}

// repositoryOf returns the mirrored repository of a Product, the tenant repository, or a
// repository with manifests.
func repositoryOf(s *snapshot.Snapshot, o v1alpha1.Object) repository {
	if p, ok := o.(*v1alpha1.Product); ok {
		return repository{p.Spec.MetaDataPath, receiver.ProductPrefix + p.Name, receiver.ProductsPath + p.Name, &p.Status.Hook}
	}
	r, ok := o.(*v1alpha1.CodeRepo)
	if !ok {
		return repository{hook: new(*v1alpha1.ForgeHook)}
	}
	if s != nil && r.Namespace != s.Namespace {
		source, path := receiver.RepositoryOf(r.Namespace, r.Name)
		return repository{r.Status.URL, source, path, &r.Status.Hook}
	}
	return repository{r.Spec.URL, receiver.Tenant, receiver.TenantPath, &r.Status.Hook}
}

// forgeOf returns the provider and the full path of a repository with a URL, or nil if no
// provider has it.
func forgeOf(s *snapshot.Snapshot, o v1alpha1.Object, url string) (*v1alpha1.CodeRepoProvider, string) {
	if r, ok := o.(*v1alpha1.CodeRepo); ok {
		return servers.RepositoryOf(s, r, url)
	}
	return s.ForgeRepository(url)
}

// ofProduct returns a function that reports whether a repository belongs to the product of
// an object. A product makes no hook in the repositories of others.
func ofProduct(s *snapshot.Snapshot, o v1alpha1.Object) func(client.Repository) bool {
	return func(found client.Repository) bool { return servers.InGroup(s.Product(o.GetNamespace()), found) }
}

// EnsureManifests has the forge report pushes to a repository of a product that a
// DeploymentRuntime deploys, and removes the hook of another one.
func EnsureManifests(ctx context.Context, m *Maker, s *engine.Session[*v1alpha1.CodeRepo]) error {
	r := s.Object
	provider, _ := forgeOf(s.Snapshot, r, r.Status.URL)
	deployed := slices.ContainsFunc(s.Snapshot.DeploymentRuntimes(r.Namespace), func(d *v1alpha1.DeploymentRuntime) bool {
		return d.DeletionTimestamp == nil && d.Spec.ManifestSource.CodeRepo == r.Name
	})
	if provider == nil || !deployed {
		return Remove(ctx, m, s)
	}
	return Ensure(ctx, m, s)
}

// Ensure has the forge report pushes to the repository of an object, and sets the
// condition Hooked.
func Ensure[T v1alpha1.Object](ctx context.Context, m *Maker, s *engine.Session[T]) error {
	if !m.Active() {
		return Remove(ctx, m, s)
	}
	r := repositoryOf(s.Snapshot, s.Object)
	provider, path := forgeOf(s.Snapshot, s.Object, r.url)
	if provider == nil {
		s.Facts.False(v1alpha1.ConditionHooked, v1alpha1.ReasonReferenceMissing,
			"no CodeRepoProvider has an address that the URL of the repository begins with: pushes are found by the poll only")
		return nil
	}
	token, err := m.Token(ctx, r.source)
	if err != nil {
		return err
	}
	forge, _ := forges.Of(provider.Spec.ProviderType)
	hook := forgehooks.Hook{Provider: provider.Name, Path: path, HookSpec: client.HookSpec{
		URL: m.PublicURL + r.path, Events: forge.Hooks.PushEvents, Secret: token,
	}}
	if _, mirrored := v1alpha1.Object(s.Object).(*v1alpha1.Product); !mirrored && s.Object.GetNamespace() != s.Snapshot.Namespace {
		hook.Allowed = ofProduct(s.Snapshot, s.Object)
	}
	again, err := m.Keeper.Ensure(ctx, owner(s.Object), hook, *r.hook, func(ctx context.Context, at *v1alpha1.ForgeHook) error {
		*r.hook = at
		return s.Record(ctx)
	})
	m.Later(s.Object, again)
	var failed *forgehooks.Error
	switch {
	case errors.As(err, &failed):
		s.Facts.Fail(v1alpha1.ConditionHooked, Problem(failed))
	case err != nil:
		return err
	default:
		s.Facts.True(v1alpha1.ConditionHooked, v1alpha1.ReasonReady, "pushes are reported to "+hook.URL)
	}
	return nil
}

// Remove removes the hook on record, if there is one.
func Remove[T v1alpha1.Object](ctx context.Context, m *Maker, s *engine.Session[T]) error {
	r := repositoryOf(s.Snapshot, s.Object)
	if *r.hook == nil || m == nil {
		return nil
	}
	var failed *forgehooks.Error
	if err := m.Keeper.Remove(ctx, owner(s.Object), *r.hook); errors.As(err, &failed) {
		return Problem(failed)
	}
	*r.hook = nil
	return s.Record(ctx)
}

// Problem returns the error of a hook with its reason.
func Problem(err *forgehooks.Error) error {
	reason := servers.Reason(err)
	if errors.Is(err, forgehooks.ErrForeign) {
		reason = v1alpha1.ReasonRepositoryMismatch
	}
	return &engine.Error{Class: engine.ClassWaiting, Reason: reason, Message: err.Error(), RetryAfter: max(removeRetry, client.RetryAfter(err))}
}

// owner names an object for the keeper.
func owner(o v1alpha1.Object) string { return references.RefOf(o).String() }
