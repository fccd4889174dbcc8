package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"k8s.io/utils/keymutex"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// Targets are the systems that sets are applied to.
type Targets struct {
	Applier *apply.Applier
	// Tenant is the connection to the tenant cluster.
	Tenant apply.Connection
	// Connect returns the connection to a runtime cluster.
	Connect func(snap *snapshot.Snapshot, cluster string) (apply.Connection, error)
	// Vault is nil if the accounts of clusters cannot log in to the secret store.
	Vault apply.System
	// Applied is called with the result of every application.
	Applied func(owner client.Object, set plan.Set, result apply.Result)
	// TenantConfirms reports whether the commits that the tenant repository was mirrored
	// from confirm removals. Nil counts as no.
	TenantConfirms func(ctx context.Context) bool
	// Abandoned is called for objects on a lost cluster that are given up.
	Abandoned func(owner client.Object, cluster string)

	// products serialises the sets of a product in a system, since they share objects.
	products keymutex.KeyMutex
}

// productLocks is the number of locks that the products share.
const productLocks = 64

// NewTargets returns targets that are complete but for their fields.
func NewTargets() *Targets { return &Targets{products: keymutex.NewHashed(productLocks)} }

// Connect returns the connection to a target, or nil for one that needs none.
func (s *Session[T]) Connect(target plan.Target) (apply.Connection, error) {
	switch target.Kind {
	case plan.TargetTenant:
		return s.options.Targets.Tenant, nil
	case plan.TargetCluster:
		return s.options.Targets.Connect(s.Snapshot, target.Name)
	}
	return nil, nil
}

// Apply applies a set to its target. A person confirms that most of its objects may be
// removed by the annotation confirm-prune with the generation of the object, or by the
// commit that the product, or else the tenant, was mirrored from. A set for a secret
// store without accounts counts as applied.
func (s *Session[T]) Apply(ctx context.Context, set plan.Set, o apply.Options) (applied Applied) {
	targets := s.options.Targets
	applied.Set = set
	if s.unrecorded != nil {
		applied.Err = s.unrecorded
		return applied
	}
	sync := s.mirrored()
	o.ConfirmPrune = o.ConfirmPrune || sync != nil && sync.PruneConfirmed || s.asks(v1alpha1.AnnotationConfirmPrune, generation) != nil
	commit := CommitOf(sync)
	ctx = WithCommit(ctx, commit)
	defer func() {
		s.explainGuard(applied.Err)
		AnnouncePrune(s.options.Recorder, s.Object, set, applied.Result.Deleted, commit)
		if s.Asked != nil {
			AnnouncePrune(s.options.Recorder, s.Asked, set, applied.Result.Deleted, commit)
		}
	}()
	if set.Target.Kind == plan.TargetVault {
		if targets.Vault == nil {
			return applied
		}
		if set.Owner.Product != "" {
			targets.products.LockKey(set.Owner.Product)
			defer func() { _ = targets.products.UnlockKey(set.Owner.Product) }()
		}
		applied.Result, applied.Err = targets.Applier.ApplySystem(ctx, targets.Vault, set, o)
		targets.Applied(s.Object, set, applied.Result)
		return applied
	}
	conn, err := s.Connect(set.Target)
	switch {
	case err != nil:
		applied.Unconnected, applied.Err = err, err
	case conn == nil:
		applied.Err = fmt.Errorf("apply a set of %s: no connection to %s", set.Owner, set.Target)
	default:
		applied.Result, applied.Err = targets.Applier.Apply(ctx, conn, set, o)
		var guard *apply.GuardError
		if errors.As(applied.Err, &guard) && set.Owner.Product == "" && targets.TenantConfirms != nil && targets.TenantConfirms(ctx) {
			o.ConfirmPrune = true
			applied.Result, applied.Err = targets.Applier.Apply(ctx, conn, set, o)
		}
		targets.Applied(s.Object, set, applied.Result)
	}
	return applied
}

func generation(o v1alpha1.Object) string { return strconv.FormatInt(o.GetGeneration(), 10) }

// explainGuard adds the annotation that confirms a removal to the error of a guard.
func (s *Session[T]) explainGuard(err error) {
	var guard *apply.GuardError
	if !errors.As(err, &guard) {
		return
	}
	var by v1alpha1.Object = s.Object
	if s.Asked != nil {
		by = s.Asked
	}
	guard.Confirm, guard.Value = snapshot.RefOf(by), generation(by)
}

// mirrored returns the state of the mirror that the product of the object comes from, or
// nil if there is none.
func (s *Session[T]) mirrored() *v1alpha1.SyncStatus {
	if s.Snapshot == nil {
		return nil
	}
	for _, product := range []string{s.Object.GetNamespace(), s.Object.GetName()} {
		if p := s.Snapshot.Product(product); p != nil {
			return p.Status.Sync
		}
	}
	return nil
}

// Withdraw removes the objects of an owner from a target, but for those in set.Keep and
// set.Items. It returns nil if they are gone or given up, which the annotation abandon
// asks for on a lost cluster. The guard holds for the objects of Options.Weighs only.
func (s *Session[T]) Withdraw(ctx context.Context, set plan.Set, o apply.Options) error {
	o.NoGuard = o.NoGuard || o.Weighs == nil
	applied := s.Apply(ctx, set, o)
	if applied.Unconnected == nil || s.silent(applied.Unconnected) {
		return applied.Outcome()
	}
	cluster := set.Target.Name
	if s.Abandons(cluster) {
		return nil
	}
	return Waiting(v1alpha1.ReasonNotConnected,
		"cluster %s is not connected, so the objects of %s there cannot be removed; the annotation %s: %s gives them up",
		cluster, set.Owner, v1alpha1.AnnotationAbandon, cluster)
}

// Abandons reports whether a person gives up the objects on a cluster, and announces it.
func (s *Session[T]) Abandons(cluster string) bool {
	by := s.asks(v1alpha1.AnnotationAbandon, func(v1alpha1.Object) string { return cluster })
	if by == nil {
		return false
	}
	s.options.Targets.Abandoned(by, cluster)
	return true
}

// asks returns the object whose annotation has a value, or nil if there is none.
func (s *Session[T]) asks(annotation string, value func(v1alpha1.Object) string) v1alpha1.Object {
	for _, o := range []v1alpha1.Object{s.Object, s.Asked} {
		if o != nil && o.GetAnnotations()[annotation] == value(o) {
			return o
		}
	}
	return nil
}
