package pushhooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forgehooks"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// events is one pass over the hooks of a pipeline runtime.
type events struct {
	*Maker
	s     *engine.Session[*v1alpha1.ProjectPipelineRuntime]
	store secrets.Store
	// version is the version of the key of the tokens.
	version string
	// next is the time until the first of the hooks must be looked at again.
	next time.Duration
}

// EnsureEvents makes the hooks of the event sources that are deployed, removes the others
// on record, and sets the condition Hooked. A hook that cannot be made is no error: the
// other event sources work.
func EnsureEvents(ctx context.Context, m *Maker, s *engine.Session[*v1alpha1.ProjectPipelineRuntime], store secrets.Store) error {
	if m == nil {
		return nil
	}
	r := s.Object
	e := &events{Maker: m, s: s, store: store, next: -1}
	problem := e.prune(ctx, func(source string) bool {
		return m.Active() && slices.ContainsFunc(r.Status.Webhooks, func(w v1alpha1.WebhookStatus) bool { return w.EventSource == source })
	})
	if !m.Active() || problem != nil && !ofHook(problem) {
		return worded(problem)
	}
	var err error
	if len(r.Status.Webhooks) > 0 {
		if e.version, err = store.Version(ctx, secrets.WebhookKey()); err != nil {
			return err
		}
	}
	for _, wanted := range r.Status.Webhooks {
		err := e.ensure(ctx, wanted)
		if err != nil && !ofHook(err) {
			return err
		}
		problem = first(problem, err)
	}
	if e.next >= 0 {
		m.Later(r, e.next)
	}
	if problem != nil {
		s.Facts.Fail(v1alpha1.ConditionHooked, worded(problem))
		return nil
	}
	s.Facts.True(v1alpha1.ConditionHooked, v1alpha1.ReasonReady, fmt.Sprintf("the forge reports events to %d hooks", len(r.Status.Hooks)))
	return nil
}

// RemoveEvents removes all hooks on record.
func RemoveEvents(ctx context.Context, m *Maker, s *engine.Session[*v1alpha1.ProjectPipelineRuntime]) error {
	if m == nil {
		return nil
	}
	e := &events{Maker: m, s: s}
	return worded(e.prune(ctx, func(string) bool { return false }))
}

// prune removes the hooks on record that are not wanted. It returns the first error.
func (e *events) prune(ctx context.Context, wanted func(source string) bool) (problem error) {
	status := &e.s.Object.Status
	for _, made := range slices.Clone(status.Hooks) {
		if wanted(made.EventSource) {
			continue
		}
		if err := e.Keeper.Remove(ctx, e.owner(made.EventSource), &made.ForgeHook); err != nil {
			problem = first(problem, err)
			continue
		}
		status.Hooks = slices.DeleteFunc(status.Hooks, func(h v1alpha1.EventSourceHook) bool { return h.EventSource == made.EventSource })
		problem = first(problem, e.s.Record(ctx))
	}
	return problem
}

// ensure makes the hook of one event source.
func (e *events) ensure(ctx context.Context, wanted v1alpha1.WebhookStatus) error {
	r, snap := e.s.Object, e.s.Snapshot
	repo := snap.CodeRepo(r.Namespace, wanted.CodeRepo)
	if repo == nil {
		return engine.Waiting(v1alpha1.ReasonReferenceMissing, "event source %s: CodeRepo %s does not exist: create it, or correct the name", wanted.EventSource, wanted.CodeRepo)
	}
	url, err := snap.RepositoryURL(repo)
	if err != nil {
		return engine.Waiting(v1alpha1.ReasonInvalid, "event source %s: %s", wanted.EventSource, err)
	}
	provider, path := forgeOf(snap, repo, url)
	if provider == nil {
		return engine.Waiting(v1alpha1.ReasonReferenceMissing, "event source %s: no CodeRepoProvider has an address that the URL of CodeRepo %s begins with", wanted.EventSource, wanted.CodeRepo)
	}
	hook := forgehooks.Hook{
		// Argo Events checks no signature of GitLab.
		Provider: provider.Name, Path: path, HookSpec: client.HookSpec{URL: wanted.URL, Events: wanted.Events, Plain: true},
		Allowed: ofProduct(snap, r), Version: e.version, Read: func(ctx context.Context) (secrets.Value, error) {
			key, err := e.store.Get(ctx, secrets.WebhookKey())
			subject := names.HookSubject(r.Namespace, r.Name, string(r.UID), wanted.EventSource)
			return secrets.NewValue(plan.WebhookToken(key.Fields[secrets.WebhookKeyField].Bytes(), subject)), err
		},
	}
	var recorded *v1alpha1.ForgeHook
	if i := e.recorded(wanted.EventSource); i >= 0 {
		recorded = &r.Status.Hooks[i].ForgeHook
	}
	again, err := e.Keeper.Ensure(ctx, e.owner(wanted.EventSource), hook, recorded, func(ctx context.Context, at *v1alpha1.ForgeHook) error {
		if i := e.recorded(wanted.EventSource); i >= 0 {
			r.Status.Hooks[i].ForgeHook = *at
		} else {
			r.Status.Hooks = append(r.Status.Hooks, v1alpha1.EventSourceHook{EventSource: wanted.EventSource, ForgeHook: *at})
		}
		return e.s.Record(ctx)
	})
	if e.next < 0 || again < e.next {
		e.next = again
	}
	return err
}

// recorded returns the index of the hook on record of an event source, or -1.
func (e *events) recorded(source string) int {
	return slices.IndexFunc(e.s.Object.Status.Hooks, func(h v1alpha1.EventSourceHook) bool { return h.EventSource == source })
}

func (e *events) owner(source string) string { return owner(e.s.Object) + "/" + source }

// first returns the first error of two.
func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// ofHook reports whether an error is about a hook, and not about the object or the store.
func ofHook(err error) bool {
	var failed *forgehooks.Error
	var named *engine.Error
	return errors.As(err, &failed) || errors.As(err, &named)
}

// worded returns an error with its reason.
func worded(err error) error {
	var failed *forgehooks.Error
	if errors.As(err, &failed) {
		return Problem(failed)
	}
	return err
}
