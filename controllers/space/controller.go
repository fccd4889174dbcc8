// Package space reconciles the shared layer of each product on each cluster. It
// guarantees that the layer holds what a runtime of the product needs, and no more.
package space

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	ctrl "sigs.k8s.io/controller-runtime"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/keymutex"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/telemetry"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=spaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=products/status,verbs=patch

// work keeps the shared layer of each product on each cluster: what any of
// its runtimes needs there, and nothing else.
type work struct {
	deps *reconcile.Deps
	// access is held for a product while its access to the secret store is written.
	access keymutex.KeyMutex
	slow   *reconcile.SlowLane[reconcile.SpaceKey]
}

// Add starts the controller of the spaces.
func Add(d *reconcile.Deps) error {
	b := builder.TypedControllerManagedBy[reconcile.SpaceKey](d.Manager).Named("space").
		Watches(&v1alpha1.Product{}, reconcile.KeysOf(func(ctx context.Context, p *v1alpha1.Product) []reconcile.SpaceKey {
			return d.Relations.SpacesOf(ctx, p.Name)
		})).
		Watches(&v1alpha1.Environment{}, reconcile.KeysOf(d.Relations.SpacesOfEnvironment)).
		Watches(&v1alpha1.DeploymentRuntime{}, reconcile.KeysOf(func(ctx context.Context, r *v1alpha1.DeploymentRuntime) []reconcile.SpaceKey {
			return d.Relations.SpacesOfRuntime(ctx, r)
		})).
		Watches(&v1alpha1.ProjectPipelineRuntime{}, reconcile.KeysOf(func(ctx context.Context, r *v1alpha1.ProjectPipelineRuntime) []reconcile.SpaceKey {
			return d.Relations.SpacesOfRuntime(ctx, r)
		}), reconcile.TargetChanged()).
		Watches(&v1alpha1.Project{}, reconcile.KeysOf(func(ctx context.Context, p *v1alpha1.Project) []reconcile.SpaceKey {
			return d.Relations.SpacesOf(ctx, p.Namespace)
		})).
		Watches(&corev1.Secret{}, reconcile.KeysOf(d.Relations.SpacesOfSecret)).
		Watches(&v1alpha1.CodeRepo{}, reconcile.KeysOf(func(ctx context.Context, r *v1alpha1.CodeRepo) []reconcile.SpaceKey {
			return append(d.Relations.SpacesOf(ctx, r.Namespace), d.Relations.SpacesOfNamesakes(ctx, r)...)
		})).
		Watches(&v1alpha1.CodeRepoBinding{}, reconcile.KeysOf(func(ctx context.Context, r *v1alpha1.CodeRepoBinding) []reconcile.SpaceKey {
			return d.Relations.SpacesOf(ctx, r.Namespace)
		})).
		Watches(&v1alpha1.CodeRepoProvider{}, reconcile.KeysOf(func(ctx context.Context, p *v1alpha1.CodeRepoProvider) []reconcile.SpaceKey {
			return d.Relations.SpacesOfProvider(ctx, p.Name)
		})).
		Watches(&v1alpha1.Cluster{}, reconcile.KeysOf(func(ctx context.Context, c *v1alpha1.Cluster) []reconcile.SpaceKey {
			return d.Relations.SpacesOn(ctx, c.Name)
		})).
		Watches(&v1alpha1.ComponentCatalogue{}, reconcile.KeysOf(d.Relations.SpacesOfCatalogue)).
		WatchesRawSource(d.Triggers.Space.Source()).
		WithOptions(controller.TypedOptions[reconcile.SpaceKey]{MaxConcurrentReconciles: d.Workers})
	if err := b.Complete(work{deps: d, access: keymutex.NewHashed(accessLocks), slow: reconcile.NewSlowLane(d.Workers, d.Triggers.Space.Enqueue)}); err != nil {
		return fmt.Errorf("start the controller of the spaces: %w", err)
	}
	return nil
}

// accessLocks is how many locks the products share.
const accessLocks = 64

// Reconcile implements reconcile.TypedReconciler.
func (w work) Reconcile(ctx context.Context, key reconcile.SpaceKey) (ctrl.Result, error) {
	leave, err := w.slow.Enter(w.deps.IsSlow, key, key.Cluster)
	defer leave()
	if err != nil {
		return ctrl.Result{RequeueAfter: reconcile.SlowLaneRetry}, nil
	}
	snap, err := w.deps.Loader.Product(ctx, key.Product)
	if err != nil {
		return ctrl.Result{}, err
	}
	product := snap.Product(key.Product)
	recorded := recordedSpace(product, key.Cluster)
	built, err := build.Space(snap, key.Product, key.Cluster)
	if err != nil {
		return w.tell(ctx, key, plan.Set{}, spaceOutcome{written: recorded != nil, err: err})
	}
	set := *built.On(plan.Cluster(key.Cluster))
	if len(set.Items) == 0 && recorded == nil && product != nil {
		// Nothing was written there, so nothing is looked for.
		w.deps.Spaces.Drop(key)
		return ctrl.Result{}, nil
	}
	conn, err := w.deps.Conn(snap, key.Cluster)
	if err == nil && len(set.Items) > 0 && recorded == nil {
		// On record before the first write, so that the deletion of the product
		// knows where to look.
		space := v1alpha1.ProductSpace{Cluster: key.Cluster, Message: "being written"}
		if err := w.record(ctx, key, &space); err != nil {
			return ctrl.Result{}, err
		}
	}
	outcome := spaceOutcome{written: recorded != nil || err == nil, err: err}
	if outcome.written {
		// What is no longer granted ends now, whether the cluster answers or not.
		outcome.access = w.applyAccess(ctx, key, *built.On(plan.Vault(key.Cluster)))
	}
	if err != nil {
		if len(set.Items) > 0 || outcome.access != nil || errors.Is(err, engine.ErrNotYet) ||
			product != nil && product.Annotations[v1alpha1.AnnotationAbandon] != key.Cluster {
			return w.tell(ctx, key, set, outcome)
		}
		// Nothing asks for it, and it is given up or its product is gone.
		w.deps.Spaces.Drop(key)
		if product == nil {
			return ctrl.Result{}, nil
		}
		w.deps.Abandoned(product, key.Cluster)
		return ctrl.Result{}, w.record(ctx, key, nil)
	}
	options := apply.Options{
		// A namespace that one runtime cannot have holds up none of the others.
		Isolate:      true,
		NoGuard:      product == nil || !product.DeletionTimestamp.IsZero(),
		ConfirmPrune: pruneConfirmed(product),
	}
	var applied apply.Result
	if product == nil {
		applied, err = w.deps.ApplySet(ctx, conn, set, options)
	} else {
		applied, err = w.deps.ApplyFor(ctx, product, engine.CommitOf(product.Status.Sync), conn, set, options)
	}
	var guard *apply.GuardError
	if errors.As(err, &guard) && product != nil {
		err = engine.Terminal(v1alpha1.ReasonPruneGuarded, "%s: %d on Product %s", guard, product.Generation, product.Name)
	}
	if err == nil {
		err = reconcile.Removing(applied, "cluster "+key.Cluster)
	}
	outcome.err, outcome.failed = err, applied.Failed
	return w.tell(ctx, key, set, outcome)
}

// applyAccess lets the accounts of a space read in the secret store what their
// runtimes may read, and nothing else.
func (w work) applyAccess(ctx context.Context, key reconcile.SpaceKey, set plan.Set) error {
	if w.deps.Access == nil {
		return nil
	}
	// A policy is for all clusters of a product, so its sets go one after another.
	w.access.LockKey(key.Product)
	defer func() { _ = w.access.UnlockKey(key.Product) }()
	// A role that goes takes no data with it, so nothing is guarded.
	applied, err := w.deps.Applier.ApplySystem(ctx, w.deps.Access, set, apply.Options{NoGuard: true})
	reconcile.CountApply(set, applied)
	if err != nil {
		return err
	}
	return reconcile.Removing(applied, "the secret store")
}

// spaceOutcome is what became of a space on its cluster, and of its access to
// the secret store, which no runtime waits for.
type spaceOutcome struct {
	// written: something of the space can be on the cluster.
	written bool
	err     error
	failed  []apply.ItemError
	access  error
}

// pruneConfirmed tells whether a person has confirmed that a space may lose most
// of its objects: by the product's generation, or by the revision of its
// repository, which lifts the guard of the mirror as well.
func pruneConfirmed(p *v1alpha1.Product) bool {
	if p == nil {
		return false
	}
	value := p.Annotations[v1alpha1.AnnotationConfirmPrune]
	return value == strconv.FormatInt(p.Generation, 10) || (p.Status.Sync != nil && value != "" && value == p.Status.Sync.Revision)
}

func recordedSpace(p *v1alpha1.Product, cluster string) *v1alpha1.ProductSpace {
	if p == nil {
		return nil
	}
	for i := range p.Status.Spaces {
		if p.Status.Spaces[i].Cluster == cluster {
			return &p.Status.Spaces[i]
		}
	}
	return nil
}

// tell puts what became of a space on the board, for the runtimes that wait for
// it, and, if anything can be on the cluster, into the status of the product. It
// returns the error if it is one to try again.
func (w work) tell(ctx context.Context, key reconcile.SpaceKey, set plan.Set, o spaceOutcome) (ctrl.Result, error) {
	result := spaceResult(set, o.err, o.failed)
	err := errors.Join(o.err, o.access)
	for _, p := range result.Problems {
		err = errors.Join(err, p.Err)
	}
	outcome := engine.Classify(err, reconcile.Classify)
	if outcome.Class == engine.ClassSilent {
		return ctrl.Result{}, nil
	}
	telemetry.ReconcileOutcomes.WithLabelValues("Space", outcome.Class.String()).Inc()
	entry := &v1alpha1.ProductSpace{Cluster: key.Cluster, Ready: err == nil, Namespaces: result.Namespaces, Message: outcome.Message}
	if err == nil && len(set.Items) == 0 {
		entry = nil
		w.deps.Spaces.Drop(key)
	} else {
		w.deps.Spaces.Set(key, result)
	}
	if o.written {
		if err := w.record(ctx, key, entry); err != nil {
			return ctrl.Result{}, err
		}
	}
	if outcome.Class == engine.ClassUnexpected {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: outcome.RetryAfter}, nil
}

// spaceResult is what others may know of a space. While something of it is
// being removed or held back, the rest of it is in place all the same.
func spaceResult(set plan.Set, err error, failed []apply.ItemError) reconcile.SpaceResult {
	result := reconcile.SpaceResult{Err: err}
	switch engine.Classify(err, reconcile.Classify).Reason {
	case v1alpha1.ReasonDeleting, v1alpha1.ReasonPruneGuarded:
		result.Err = nil
	}
	result.Namespaces, result.Repositories = build.Contents(set)
	sources := map[plan.ID]plan.Ref{}
	for _, item := range set.Items {
		sources[item.ID] = item.Source
	}
	for i := range failed {
		result.Problems = append(result.Problems, reconcile.SpaceProblem{
			ID: failed[i].ID, Source: sources[failed[i].ID], Err: &failed[i], Kept: failed[i].Kept,
		})
	}
	return result
}

// record writes the state of one space into the status of its product; nil
// removes it. The list is shared by the spaces of a product, so each write is
// guarded by the resourceVersion and done again when it was beaten.
func (w work) record(ctx context.Context, key reconcile.SpaceKey, space *v1alpha1.ProductSpace) error {
	reader := client.Reader(w.deps.Client)
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		p := &v1alpha1.Product{}
		if err := reader.Get(ctx, client.ObjectKey{Namespace: w.deps.Namespace, Name: key.Product}, p); err != nil {
			return err
		}
		// The cache is good enough to see that nothing differs, and too old
		// when it was beaten.
		reader = w.deps.Manager.GetAPIReader()
		before := p.DeepCopy()
		spaces := slices.DeleteFunc(slices.Clone(p.Status.Spaces), func(have v1alpha1.ProductSpace) bool { return have.Cluster == key.Cluster })
		if space != nil {
			spaces = append(spaces, *space)
		}
		slices.SortFunc(spaces, func(a, b v1alpha1.ProductSpace) int { return cmp.Compare(a.Cluster, b.Cluster) })
		if slices.EqualFunc(p.Status.Spaces, spaces, sameSpace) {
			return nil
		}
		p.Status.Spaces = spaces
		return w.deps.Client.Status().Patch(ctx, p, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner("nautes-status"))
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func sameSpace(a, b v1alpha1.ProductSpace) bool {
	return a.Cluster == b.Cluster && a.Ready == b.Ready && a.Message == b.Message && slices.Equal(a.Namespaces, b.Namespaces)
}
