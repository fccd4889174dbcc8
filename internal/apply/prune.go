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

// labelInheritedFrom is on what HNC copies into the children of a namespace,
// with all the labels of the original.
const labelInheritedFrom = "hnc.x-k8s.io/inherited-from"

// guardFloor is how many objects may always go at once.
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

// candidate is an object that the set's owner has and the set does not hold.
type candidate struct {
	id  plan.ID
	gvk schema.GroupVersionKind
	// terminating: its deletion has been asked for already.
	terminating bool
}

// going is everything that must go.
type going struct {
	candidates []candidate
	guarded    *GuardError
}

// going compares what the owner has with the set. What we have written and the
// cache does not show yet counts as well.
func (p *pass) going(ctx context.Context, owned []metav1.PartialObjectMetadata) (going, error) {
	stays := stays(p.set)
	var g going
	total, removed := 0, 0
	seen := map[plan.ID]bool{}
	for i := range owned {
		o := &owned[i]
		id := plan.IDOf(o.GroupVersionKind(), o)
		seen[id] = true
		counts, err := p.counts(ctx, o)
		if err != nil {
			return going{}, err
		}
		if !counts {
			continue
		}
		total++
		if stays[id] {
			continue
		}
		if o.DeletionTimestamp == nil {
			removed++
		}
		g.candidates = append(g.candidates, candidate{id: id, gvk: o.GroupVersionKind(), terminating: o.DeletionTimestamp != nil})
	}
	unseen, err := p.unseen(ctx, seen, stays)
	if err != nil {
		return going{}, err
	}
	for _, c := range unseen {
		total++
		if !c.terminating {
			removed++
		}
		g.candidates = append(g.candidates, c)
	}
	g.guarded = guarded(p.set, removed, total)
	return g, nil
}

// guarded returns an error when more goes than is believed without a person's word.
func guarded(set plan.Set, removed, total int) *GuardError {
	if removed <= guardFloor || 2*removed <= total {
		return nil
	}
	return &GuardError{Target: set.Target, Owner: set.Owner, Remove: removed, Total: total}
}

// mayRemove tells whether what goes may go.
func (o Options) mayRemove(guarded *GuardError) bool {
	return guarded == nil || o.ConfirmPrune || o.NoGuard
}

// stays returns what of the owner's is not removed.
func stays(set plan.Set) map[plan.ID]bool {
	stays := map[plan.ID]bool{}
	for _, item := range set.Items {
		stays[item.ID] = true
	}
	for _, id := range set.Keep {
		stays[id] = true
	}
	return stays
}

// counts tells whether an object with the owner's labels is one of the owner's.
// Whoever may write into a namespace of another product can put any labels there.
func (p *pass) counts(ctx context.Context, o *metav1.PartialObjectMetadata) (bool, error) {
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
	return ns == nil || p.ours(ns), nil
}

// unseen returns what we have written, or tried to write, or asked to be
// deleted, and neither the set nor the cache holds: the server is asked.
func (p *pass) unseen(ctx context.Context, seen, stays map[plan.ID]bool) ([]candidate, error) {
	ids := slices.DeleteFunc(p.memory.ids(p.place()), func(id plan.ID) bool { return seen[id] || stays[id] })
	slices.SortFunc(ids, plan.ID.Compare)
	var unseen []candidate
	for _, id := range ids {
		r, _ := p.memory.get(p.place(), id)
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
			p.memory.drop(p.place(), id)
			continue
		}
		unseen = append(unseen, candidate{id: id, gvk: r.gvk, terminating: live.DeletionTimestamp != nil})
	}
	return unseen, nil
}

// prune removes the candidates, the last stage first, and stops at a stage of
// which something is still there.
func (p *pass) prune(ctx context.Context, g going) error {
	for _, stage := range slices.Backward(plan.Stages) {
		waits := len(p.result.Removing) > 0
		for _, c := range g.candidates {
			if stageOf(c.id) != stage {
				continue
			}
			there := true
			if !waits && (!c.terminating || len(p.o.Release) > 0) {
				var err error
				if there, err = p.remove(ctx, c); err != nil {
					return &ItemError{ID: c.id, Target: p.set.Target, Err: err}
				}
			}
			if there {
				p.result.Removing = append(p.result.Removing, c.id)
			}
		}
	}
	return nil
}

// remove deletes one object, if it is what it was taken for, and tells whether
// it is still there. The server's word counts, not the cache's: between the two
// somebody may have put his own object, or his own labels, in its place.
func (p *pass) remove(ctx context.Context, c candidate) (there bool, err error) {
	live, err := p.read(ctx, c.gvk, c.id)
	if err != nil {
		return true, err
	}
	if live == nil || !p.owns(live) {
		p.memory.drop(p.place(), c.id)
		return false, nil
	}
	// Before the deletion: who does what a finalizer stands for must not begin.
	if err := p.release(ctx, live); err != nil {
		return p.lost(c, err)
	}
	if live.DeletionTimestamp == nil {
		p.result.Calls++
		err = p.conn.Client().Delete(ctx, live,
			client.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion},
			client.PropagationPolicy(metav1.DeletePropagationBackground))
		if err != nil {
			return p.lost(c, err)
		}
		p.result.Deleted++
	}
	// Without a finalizer the object is gone with the answer. A namespace has
	// its finalizer in its spec.
	if len(live.Finalizers) > 0 || stageOf(c.id) == plan.StageNamespace {
		p.memory.put(p.place(), c.id, record{gvk: c.gvk})
		return true, nil
	}
	p.memory.drop(p.place(), c.id)
	return false, nil
}

// lost tells what the error of a removal means: the object is gone, or it is
// not, or no longer, what was seen.
func (p *pass) lost(c candidate, err error) (there bool, _ error) {
	switch {
	case apierrors.IsNotFound(err):
		p.memory.drop(p.place(), c.id)
		return false, nil
	case apierrors.IsConflict(err):
		return true, &ConflictError{ID: c.id, Target: p.set.Target, Err: err}
	}
	return true, err
}

// release takes the finalizers of Options.Release off an object, if it still is
// the one that was read, and brings live up to date.
func (p *pass) release(ctx context.Context, live *metav1.PartialObjectMetadata) error {
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
	return p.conn.Client().Patch(ctx, live, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(v1alpha1.ManagedBy))
}

func namespaceID(name string) plan.ID { return plan.ID{Kind: "Namespace", Name: name} }
