// Package gitsync mirrors default.project of each product, and the tenant repository,
// into custom resources. It guarantees that it changes only objects that it wrote.
package gitsync

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/mirror"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/telemetry"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=componentcatalogues;environments;projects;coderepos;coderepobindings;deploymentruntimes;projectpipelineruntimes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=clusters;productproviders;coderepoproviders;pipelinehooks,verbs=get;list;watch;create;patch;delete

// gitSync mirrors default.project of each product, and the tenant repository,
// into custom resources.
type gitSync struct {
	deps *reconcile.Deps

	mu     sync.Mutex
	states map[reconcile.SyncKey]*syncState
}

// syncState is what is known of one repository. Only the worker that has its
// key touches it.
type syncState struct {
	tracker  mirror.Tracker
	nextPoll time.Time
	// failures in a row, what was tried, and when it is tried again.
	failures int
	tried    git.Source
	nextTry  time.Time
}

// Add starts the controller of the mirrored repositories.
func Add(d *reconcile.Deps) error {
	g := &gitSync{deps: d, states: map[reconcile.SyncKey]*syncState{}}
	err := builder.TypedControllerManagedBy[reconcile.SyncKey](d.Manager).Named("gitsync").
		Watches(&v1alpha1.Product{}, reconcile.KeysOf(func(_ context.Context, p *v1alpha1.Product) []reconcile.SyncKey {
			return []reconcile.SyncKey{{Product: p.Name}}
		})).
		Watches(&v1alpha1.CodeRepo{}, reconcile.KeysOf(func(_ context.Context, r *v1alpha1.CodeRepo) []reconcile.SyncKey {
			if d.Relations.IsTenantRepository(r) {
				return []reconcile.SyncKey{{}}
			}
			return nil
		})).
		Watches(&corev1.Secret{}, reconcile.KeysOf(d.Relations.SyncsOfSecret)).
		Watches(&v1alpha1.CodeRepoProvider{}, reconcile.KeysOf(func(ctx context.Context, _ *v1alpha1.CodeRepoProvider) []reconcile.SyncKey {
			return d.Relations.SyncsByProvider(ctx)
		})).
		WatchesRawSource(d.Triggers.Sync.Source()).
		WithOptions(controller.TypedOptions[reconcile.SyncKey]{MaxConcurrentReconciles: d.Workers}).
		Complete(g)
	if err != nil {
		return fmt.Errorf("start the controller of the mirrors: %w", err)
	}
	return nil
}

// Reconcile implements reconcile.TypedReconciler.
func (g *gitSync) Reconcile(ctx context.Context, key reconcile.SyncKey) (ctrl.Result, error) {
	source, err := g.syncSource(ctx, key)
	if engine.Classify(err, reconcile.Classify).Class == engine.ClassWaiting {
		g.deps.Syncs.Set(key, reconcile.SyncResult{Status: g.state(key).tracker.Status, Err: err})
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if source == nil {
		return ctrl.Result{}, g.forget(key)
	}
	state := g.state(key)
	pushed := g.deps.Pushes.Take(key)
	if pushed.IsZero() && state.pausing(source.git) {
		// A repository that cannot be read is not asked again by every event.
		return ctrl.Result{RequeueAfter: time.Until(state.nextTry)}, nil
	}
	state.tried = source.git
	if err := g.fetch(ctx, source, state, !pushed.IsZero()); err != nil {
		return g.fetchFailed(ctx, key, state, err)
	}
	result, retry, err := g.mirror(ctx, source, &state.tracker)
	if err != nil {
		return ctrl.Result{}, err
	}
	g.reportProblems(source, state.tracker.Status, result.Status)
	state.tracker.Status = result.Status
	g.deps.Syncs.Set(key, result)
	if !pushed.IsZero() {
		telemetry.PushToMirrored.Observe(time.Since(pushed).Seconds())
	}
	// An error of a single object is told as well, and tried again with backoff.
	return ctrl.Result{RequeueAfter: max(time.Until(state.nextPoll), time.Second)}, retry
}

func (g *gitSync) state(key reconcile.SyncKey) *syncState {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.states[key] == nil {
		g.states[key] = &syncState{tracker: mirror.Tracker{Mirrors: g.deps.Mirrors, Name: mirrorName(key), Kinds: g.deps.Kinds}}
	}
	return g.states[key]
}

func (g *gitSync) forget(key reconcile.SyncKey) error {
	g.mu.Lock()
	_, known := g.states[key]
	delete(g.states, key)
	g.mu.Unlock()
	g.deps.Pushes.Take(key)
	if !known {
		return nil
	}
	g.deps.Syncs.Drop(key)
	return g.deps.Mirrors.Drop(mirrorName(key))
}

// mirrorName is the name of a repository's mirror on disk. Product names begin
// with "product-", so the tenant's cannot be one.
func mirrorName(key reconcile.SyncKey) string {
	if key.Product == "" {
		return "tenant"
	}
	return key.Product
}

// fetch brings the tracker up to the branch's head if a push was reported, the
// poll is due or nothing is known yet.
func (g *gitSync) fetch(ctx context.Context, source *syncSource, state *syncState, pushed bool) error {
	known := state.tracker.Known(source.git)
	if known && !pushed && state.failures == 0 && time.Now().Before(state.nextPoll) {
		return nil
	}
	behind := true
	if known && !pushed {
		var err error
		if behind, err = state.tracker.Behind(ctx, source.git); err != nil {
			return err
		}
		if behind {
			telemetry.GitChangesFoundByPoll.Inc()
		}
	}
	if behind {
		began := time.Now()
		state.tracker.Scope = source.scope
		err := state.tracker.Fetch(ctx, source.git)
		telemetry.ObserveFetch(began, err)
		if err != nil {
			return err
		}
	}
	state.failures = 0
	state.nextPoll = time.Now().Add(stretched(g.deps.PollInterval))
	return nil
}

// stretched adds up to a tenth to an interval at random, so that the
// repositories of a tenant are not asked all at once.
func stretched(interval time.Duration) time.Duration {
	return interval + time.Duration(rand.Int64N(int64(interval)/10+1))
}

// fetchFailed tells of a repository that cannot be read, and tries again with
// growing pauses up to the poll interval. What was mirrored stays.
func (g *gitSync) fetchFailed(ctx context.Context, key reconcile.SyncKey, state *syncState, err error) (ctrl.Result, error) {
	if ctx.Err() != nil {
		return ctrl.Result{}, ctx.Err()
	}
	state.failures++
	pause := stretched(min(time.Second<<min(state.failures-1, 10), g.deps.PollInterval))
	state.nextTry = time.Now().Add(pause)
	g.deps.Syncs.Set(key, reconcile.SyncResult{Status: state.tracker.Status, Err: fetchProblem(err)})
	return ctrl.Result{RequeueAfter: pause}, nil
}

// pausing tells whether the last attempt failed and it is too early for the
// next one. Another URL, branch or credential is tried at once.
func (s *syncState) pausing(source git.Source) bool {
	return s.failures > 0 && time.Now().Before(s.nextTry) && reflect.DeepEqual(s.tried, source)
}

// mirror applies the entries and returns what became of them, and the errors of
// single objects that are worth another attempt.
func (g *gitSync) mirror(ctx context.Context, source *syncSource, t *mirror.Tracker) (result reconcile.SyncResult, retry, err error) {
	metas, err := g.deps.TenantConn.Owned(ctx, source.owner)
	if err != nil {
		return reconcile.SyncResult{}, nil, err
	}
	owned := make([]mirror.Owned, 0, len(metas))
	for i := range metas {
		if metas[i].DeletionTimestamp.IsZero() {
			owned = append(owned, mirror.Owned{
				ID:   plan.IDOf(metas[i].GroupVersionKind(), &metas[i]),
				Path: metas[i].Annotations[v1alpha1.AnnotationSourcePath],
			})
		}
	}
	outcome := t.Plan(ctx, g.deps.Tenant, source.owner, owned, source.confirm == t.Status.Revision)
	applied, err := g.deps.ApplyFor(ctx, source.object, engine.CommitOf(&t.Status), g.deps.TenantConn, outcome.Set, apply.Options{Isolate: true, NoGuard: true})
	if err != nil {
		return reconcile.SyncResult{}, nil, err
	}
	waiting, retry, err := refused(ctx, t, applied.Failed, &outcome)
	if err != nil {
		return reconcile.SyncResult{}, nil, err
	}
	status := t.Status
	status.HeldBack = int32(outcome.HeldBack)
	status.ProblemCount = int32(len(outcome.Problems))
	status.Problems = nil
	for _, path := range slices.Sorted(maps.Keys(outcome.Problems)) {
		status.Problems = append(status.Problems, outcome.Problems[path]...)
	}
	status.Problems = status.Problems[:min(len(status.Problems), maxProblems)]
	return reconcile.SyncResult{Status: status, Guarded: outcome.HeldBack > 0, Err: waiting}, retry, nil
}

// maxProblems bounds the list in a status.
const maxProblems = 50
