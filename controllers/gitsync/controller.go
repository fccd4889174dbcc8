// Package gitsync mirrors default.project of each product, and the tenant repository,
// into custom resources. It guarantees that it changes only objects that it wrote.
package gitsync

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/mirror"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/summary"
	"nautes.io/nautes/internal/telemetry"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=componentcatalogues;environments;projects;coderepos;coderepobindings;artifactrepos;deploymentruntimes;projectpipelineruntimes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=clusters;productproviders;coderepoproviders;pipelinehooks,verbs=get;list;watch;create;patch;delete

// gitSync mirrors default.project of each product, and the tenant repository,
// into custom resources.
type gitSync struct {
	deps *reconcile.Deps

	mu     sync.Mutex
	states map[reconcile.SyncKey]*syncState
}

// syncState is the state of one mirror. Only the worker that has its key uses it.
type syncState struct {
	tracker  mirror.Tracker
	nextPoll time.Time
	// failures in a row, the source of the last attempt, and the time of the next one.
	failures int
	tried    git.Source
	nextTry  time.Time
	failure  error
	// unasked: the server does not want to be asked before, not even after a push.
	unasked bool
	early   mirror.Early
}

// Add starts the controller of the mirrored repositories.
func Add(d *reconcile.Deps) error {
	g := &gitSync{deps: d, states: map[reconcile.SyncKey]*syncState{}}
	err := builder.TypedControllerManagedBy[reconcile.SyncKey](d.Manager).Named("gitsync").
		Watches(&v1alpha1.Product{}, handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, p client.Object) []reconcile.SyncKey {
			return []reconcile.SyncKey{{Product: p.GetName()}}
		})).
		Watches(&v1alpha1.CodeRepo{}, handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, r client.Object) []reconcile.SyncKey {
			if d.IsTenantRepository(r) {
				return []reconcile.SyncKey{{}}
			}
			return nil
		})).
		Watches(&v1alpha1.CodeRepoProvider{}, handler.TypedEnqueueRequestsFromMapFunc(func(ctx context.Context, _ client.Object) []reconcile.SyncKey {
			// A provider has the certificates, host keys and proxy of its repositories too.
			return d.SyncKeys(ctx, nil)
		})).
		WatchesRawSource(d.Queues.Sync.Source()).
		WithOptions(controller.TypedOptions[reconcile.SyncKey]{MaxConcurrentReconciles: d.Workers}).
		Complete(g)
	if err != nil {
		return fmt.Errorf("start the controller of the mirrors: %w", err)
	}
	return nil
}

// Reconcile implements reconcile.TypedReconciler.
func (g *gitSync) Reconcile(ctx context.Context, key reconcile.SyncKey) (ctrl.Result, error) {
	subject, err := g.subject(ctx, key)
	if err != nil {
		return ctrl.Result{}, err
	}
	if subject == nil {
		return ctrl.Result{}, g.forget(key)
	}
	if subject.suspended {
		return ctrl.Result{}, errors.Join(g.forget(key), g.report(ctx, subject, summary.MirrorResult{
			Status: subject.recorded, Err: summary.Unmirrored(),
		}))
	}
	source, err := g.source(ctx, subject)
	if engine.Classify(err, reconcile.Classify).Class == engine.ClassWaiting {
		return ctrl.Result{}, g.report(ctx, subject, summary.MirrorResult{Status: subject.recorded, Err: err})
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	state := g.state(key)
	pushed, push := g.deps.Pushes.Take(key)
	state.early.Announce(push, source.Branch)
	if (pushed.IsZero() || state.unasked) && state.pausing(source) {
		// A repository that cannot be read is not asked again by every event.
		return ctrl.Result{RequeueAfter: time.Until(state.nextTry)}, g.report(ctx, subject, summary.MirrorResult{Status: subject.recorded, Err: state.failure})
	}
	state.tried = source
	if err := g.fetch(ctx, subject, source, state, !pushed.IsZero()); err != nil {
		return g.fetchFailed(ctx, subject, state, err)
	}
	mirrored, retry, err := g.mirror(ctx, subject, &state.tracker)
	if err != nil {
		return ctrl.Result{}, err
	}
	state.tracker.Settle(*mirrored.Status)
	if err := g.report(ctx, subject, mirrored); err != nil {
		return ctrl.Result{}, err
	}
	if !pushed.IsZero() {
		telemetry.PushToMirrored.Observe(time.Since(pushed).Seconds())
	}
	// An error of a single object is reported as well, and tried again with backoff.
	return ctrl.Result{RequeueAfter: max(time.Until(state.early.Before(state.nextPoll)), time.Second)}, retry
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
func (g *gitSync) fetch(ctx context.Context, subject *subject, source git.Source, state *syncState, pushed bool) error {
	known := state.tracker.Known(source)
	if known && !pushed && state.failures == 0 && time.Now().Before(state.early.Before(state.nextPoll)) {
		return nil
	}
	behind := true
	if known && !pushed {
		var err error
		if behind, err = state.tracker.Behind(ctx, source); err != nil {
			return err
		}
		if behind && !state.early.Waits() {
			telemetry.GitChangesFoundByPoll.Inc()
		}
	}
	if behind {
		began := time.Now()
		state.tracker.Scope, state.tracker.Recorded = subject.scope, subject.recorded
		err := state.tracker.Fetch(ctx, source)
		telemetry.ObserveFetch(began, err)
		if err != nil {
			return err
		}
	}
	state.early.Looked(time.Now(), state.tracker.Status.Revision, state.tracker.Has(ctx, state.early.Commit))
	state.failures = 0
	state.nextPoll = time.Now().Add(stretched(g.deps.PollInterval))
	return nil
}

// stretched adds up to a tenth to an interval at random, so that the
// repositories of a tenant are not asked all at once.
func stretched(interval time.Duration) time.Duration {
	return interval + time.Duration(rand.Int64N(int64(interval)/10+1))
}

// fetchFailed reports a repository that cannot be read. It is tried again with growing
// pauses up to the poll interval; the mirrored objects stay.
func (g *gitSync) fetchFailed(ctx context.Context, subject *subject, state *syncState, err error) (ctrl.Result, error) {
	if ctx.Err() != nil {
		return ctrl.Result{}, ctx.Err()
	}
	state.failures++
	asked := git.RetryAfter(err)
	pause := pauseAfter(err, state.failures, g.deps.PollInterval)
	state.nextTry, state.unasked, state.failure = time.Now().Add(pause), asked > 0, summary.FetchProblem(err)
	return ctrl.Result{RequeueAfter: pause}, g.report(ctx, subject, summary.MirrorResult{Status: subject.recorded, Err: state.failure})
}

// pauseAfter returns the time after which a repository is read again after a number of
// failures in a row: growing pauses up to the poll interval, but no sooner than the server
// asks for, and no later than its certificate becomes valid.
func pauseAfter(err error, failures int, poll time.Duration) time.Duration {
	pause := stretched(min(time.Second<<min(failures-1, 10), poll))
	if within := git.RetryWithin(err); within > 0 {
		pause = min(pause, within)
	}
	return max(pause, git.RetryAfter(err))
}

// pausing reports whether the last attempt failed and it is too early for the
// next one. Another URL, branch or credential is tried at once.
func (s *syncState) pausing(source git.Source) bool {
	return s.failures > 0 && time.Now().Before(s.nextTry) && reflect.DeepEqual(s.tried, source)
}

// mirror applies the entries. It returns the result, and the errors of single objects
// that are tried again.
func (g *gitSync) mirror(ctx context.Context, subject *subject, t *mirror.Tracker) (_ summary.MirrorResult, retry, err error) {
	metas, err := g.deps.TenantConn.Owned(ctx, subject.owner)
	if err != nil {
		return summary.MirrorResult{}, nil, err
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
	outcome := t.Plan(ctx, g.deps.Tenant, subject.owner, owned, subject.confirm == t.Status.Revision)
	commit := engine.CommitOf(&t.Status)
	applied, err := g.deps.Applier.Apply(engine.WithCommit(ctx, commit), g.deps.TenantConn, outcome.Set, apply.Options{Isolate: true, NoGuard: true})
	engine.AnnouncePrune(g.deps.Manager.GetEventRecorder("nautes"), subject.object, outcome.Set, applied.Deleted, commit)
	telemetry.ObserveApply(string(outcome.Set.Target.Kind), applied.Written, applied.Unchanged, len(applied.Deleted))
	if err != nil {
		return summary.MirrorResult{}, nil, err
	}
	waiting, retry, err := refused(ctx, t, applied.Failed, &outcome)
	if err != nil {
		return summary.MirrorResult{}, nil, err
	}
	status := outcome.Status(t.Status)
	return summary.MirrorResult{Status: &status, Held: outcome.Held, Confirm: snapshot.RefOf(subject.object), Err: waiting}, retry, nil
}
