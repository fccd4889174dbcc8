package apply

import (
	"context"
	"encoding/json"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// labelInheritedFrom marks the copies that HNC makes in the children of a
// namespace. They carry all labels of the original.
const labelInheritedFrom = "hnc.x-k8s.io/inherited-from"

// guardFloor is how many objects may always be removed at once.
const guardFloor = 10

// stageOf returns the stage in which an object on a Kubernetes cluster is removed
// when no set holds it. Builders plan the objects in the same stages.
func stageOf(id plan.ID) plan.Stage {
	switch {
	case id.Group == "" && id.Kind == "Namespace":
		return plan.StageNamespace
	case id.Group == "" && id.Kind == "ServiceAccount", id.Group == "rbac.authorization.k8s.io":
		return plan.StageAccount
	case id.Group == "argoproj.io" && slices.Contains([]string{"Application", "EventSource", "Sensor"}, id.Kind), id.Group == v1alpha1.GroupVersion.Group:
		return plan.StageWorkload
	}
	return plan.StageConfig
}

// candidate is an object of the set's owner that the set does not hold.
type candidate struct {
	id  plan.ID
	gvk schema.GroupVersionKind
	// terminating: its deletion has been requested already.
	terminating bool
}

// pruneSet is everything that must be removed. guarded is set when that is more
// than the guard allows.
type pruneSet struct {
	candidates []candidate
	guarded    *GuardError
}

// findPrunable returns the owner's objects that the set does not hold. They
// include objects that we have written and the cache does not show yet.
func (p *pass) findPrunable(ctx context.Context, owned []metav1.PartialObjectMetadata) (pruneSet, error) {
	kept := keptIDs(p.set)
	var prune pruneSet
	var all []plan.ID
	cached := map[plan.ID]bool{}
	for i := range owned {
		o := &owned[i]
		id := plan.IDOf(o.GroupVersionKind(), o)
		cached[id] = true
		ours, err := p.isOwned(ctx, o)
		if err != nil {
			return pruneSet{}, err
		}
		if !ours {
			continue
		}
		all = append(all, id)
		if !kept[id] {
			prune.candidates = append(prune.candidates, candidate{id: id, gvk: o.GroupVersionKind(), terminating: o.DeletionTimestamp != nil})
		}
	}
	uncached, err := p.findUncached(ctx, cached, kept)
	if err != nil {
		return pruneSet{}, err
	}
	for _, c := range uncached {
		all = append(all, c.id)
	}
	prune.candidates = append(prune.candidates, uncached...)
	var removed []plan.ID
	for _, c := range prune.candidates {
		if !c.terminating {
			removed = append(removed, c.id)
		}
	}
	prune.guarded = checkGuard(p.set, p.o, removed, all)
	return prune, nil
}

// checkGuard returns an error when more of the objects that weigh would be removed than
// may be without confirmation. All lists every object, including the removed ones.
func checkGuard(set plan.Set, o Options, removed, all []plan.ID) *GuardError {
	if len(removed) <= guardFloor {
		return nil
	}
	heavy, total := []plan.ID{}, 0
	for _, id := range removed {
		if o.weighs(id) {
			heavy = append(heavy, id)
		}
	}
	for _, id := range all {
		if o.weighs(id) {
			total++
		}
	}
	if len(heavy) <= guardFloor || 2*len(heavy) <= total {
		return nil
	}
	slices.SortFunc(heavy, plan.ID.Compare)
	return &GuardError{Target: set.Target, Owner: set.Owner, Objects: heavy, Total: total}
}

// weighs reports whether the removal of an object counts for the guard.
func (o Options) weighs(id plan.ID) bool { return o.Weighs == nil || o.Weighs(id) }

// allows reports whether the removal may proceed. guarded may be nil.
func (o Options) allows(guarded *GuardError) bool {
	return guarded == nil || o.ConfirmPrune || o.NoGuard
}

// keptIDs returns the IDs of the owner's objects that are not removed.
func keptIDs(set plan.Set) map[plan.ID]bool {
	kept := map[plan.ID]bool{}
	for _, item := range set.Items {
		kept[item.ID] = true
	}
	for _, id := range set.Keep {
		kept[id] = true
	}
	return kept
}

// isOwned reports whether an object with the owner's labels belongs to the owner.
// Labels alone are no proof in a namespace of another product, where its members
// can write any labels.
func (p *pass) isOwned(ctx context.Context, o *metav1.PartialObjectMetadata) (bool, error) {
	if !p.owns(o) {
		return false, nil
	}
	if o.Namespace == "" {
		return true, nil
	}
	ns, err := p.conn.Get(ctx, namespaceID(o.Namespace))
	if err != nil {
		return false, err
	}
	return ns == nil || p.isOpen(ns), nil
}

// findUncached returns the objects that we have written, tried to write or asked
// to be deleted, and that neither the set nor the cache holds. It asks the server.
func (p *pass) findUncached(ctx context.Context, cached, kept map[plan.ID]bool) ([]candidate, error) {
	ids := slices.DeleteFunc(p.memory.ids(p.key), func(id plan.ID) bool { return cached[id] || kept[id] })
	slices.SortFunc(ids, plan.ID.Compare)
	var uncached []candidate
	for _, id := range ids {
		r, _ := p.memory.get(p.key, id)
		served, err := p.conn.Serves(ctx, id.Group, id.Kind)
		if err != nil {
			return nil, err
		}
		var live *metav1.PartialObjectMetadata
		if served {
			if live, err = p.read(ctx, r.gvk, id); err != nil {
				return nil, &ItemError{ID: id, Target: p.set.Target, Err: err}
			}
		}
		if live == nil || !p.owns(live) {
			p.memory.drop(p.key, id)
			continue
		}
		uncached = append(uncached, candidate{id: id, gvk: r.gvk, terminating: live.DeletionTimestamp != nil})
	}
	return uncached, nil
}

// prune removes the candidates, beginning with the last stage. It does not begin
// a stage before the later ones are gone.
func (p *pass) prune(ctx context.Context, candidates []candidate) error {
	for _, stage := range slices.Backward(plan.Stages) {
		waits := len(p.result.Removing) > 0
		for _, c := range candidates {
			if stageOf(c.id) != stage {
				continue
			}
			exists := true
			if !waits && (!c.terminating || len(p.o.Release) > 0) {
				var err error
				if exists, err = p.remove(ctx, c); err != nil {
					return p.refuseDeletion(c.id, err)
				}
			}
			if exists {
				p.result.Removing = append(p.result.Removing, c.id)
				p.result.noteHeld(c.id, p.held(c.id))
			}
		}
	}
	return nil
}

// noteHeld notes the reason why an object is not gone, unless it is empty.
func (r *Result) noteHeld(id plan.ID, reason string) {
	if reason == "" {
		return
	}
	if r.Held == nil {
		r.Held = map[plan.ID]string{}
	}
	r.Held[id] = reason
}

// refuseDeletion wraps the error of a deletion, and logs it unless it concerns
// the connection.
func (p *pass) refuseDeletion(id plan.ID, err error) error {
	wrapped := &ItemError{ID: id, Target: p.set.Target, Err: err}
	if concernsOne(err) {
		p.journal.refuse("deletion refused", id, plan.Ref{}, wrapped)
	}
	return wrapped
}

// remove deletes one object and reports whether it still exists. It reads the
// object from the server first, since another writer may have replaced or
// relabelled the object that the cache shows.
func (p *pass) remove(ctx context.Context, c candidate) (exists bool, err error) {
	live, err := p.read(ctx, c.gvk, c.id)
	if err != nil {
		return true, err
	}
	if live == nil || !p.owns(live) {
		p.memory.drop(p.key, c.id)
		return false, nil
	}
	// Finalizers go before the deletion, which would start their controllers.
	if err := p.release(ctx, c.id, live); err != nil {
		return p.interpretDeleteError(c, err)
	}
	if live.DeletionTimestamp == nil {
		p.result.Calls++
		err = p.conn.Client().Delete(ctx, live,
			client.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion},
			client.PropagationPolicy(metav1.DeletePropagationBackground))
		if err != nil {
			return p.interpretDeleteError(c, err)
		}
		p.result.Deleted = append(p.result.Deleted, c.id)
		p.journal.changed("object deleted", c.id, plan.Ref{})
	}
	// Without a finalizer the object is gone with the answer. A namespace has
	// its finalizer in its spec.
	if len(live.Finalizers) > 0 || stageOf(c.id) == plan.StageNamespace {
		p.memory.put(p.key, c.id, record{gvk: c.gvk})
		return true, nil
	}
	p.memory.drop(p.key, c.id)
	return false, nil
}

// interpretDeleteError returns no error if the object is gone, and a
// *ConflictError if it was changed or replaced since it was read.
func (p *pass) interpretDeleteError(c candidate, err error) (exists bool, _ error) {
	switch {
	case isGone(err):
		p.memory.drop(p.key, c.id)
		return false, nil
	case apierrors.IsConflict(err):
		return true, &ConflictError{ID: c.id, Target: p.set.Target, Err: err}
	}
	return true, p.checkServed(c.id, err)
}

// release removes the finalizers of Options.Release from an object, unless it was
// changed since it was read, and updates live.
func (p *pass) release(ctx context.Context, id plan.ID, live *metav1.PartialObjectMetadata) error {
	rest := []string{}
	for _, finalizer := range live.Finalizers {
		if !slices.Contains(p.o.Release, finalizer) {
			rest = append(rest, finalizer)
		}
	}
	if len(rest) == len(live.Finalizers) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": live.UID, "resourceVersion": live.ResourceVersion, "finalizers": rest,
	}})
	if err != nil {
		return err
	}
	p.result.Calls++
	err = p.conn.Client().Patch(ctx, live, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(v1alpha1.ManagedBy))
	if err == nil {
		p.journal.changed("finalizers removed", id, plan.Ref{})
	}
	return err
}

func namespaceID(name string) plan.ID { return plan.ID{Kind: "Namespace", Name: name} }
