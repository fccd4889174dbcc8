package apply

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// labelInheritedFrom is on what HNC copies into the children of a namespace,
// with all the labels of the original.
const labelInheritedFrom = "hnc.x-k8s.io/inherited-from"

// guardFloor is how many objects may always go at once.
const guardFloor = 10

// StageOf returns the stage that an object which is in no plan is removed in.
// Builders give the same stages to what they plan.
func StageOf(id plan.ID) plan.Stage {
	switch {
	case id.Group == "" && id.Kind == "Namespace":
		return plan.StageNamespace
	case id.Group == "" && id.Kind == "ServiceAccount", id.Group == "rbac.authorization.k8s.io":
		return plan.StageAccount
	case id.Group == "argoproj.io" && id.Kind == "Application", id.Group == v1alpha1.GroupVersion.Group:
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
	stays := map[plan.ID]bool{}
	for _, item := range p.set.Items {
		stays[item.ID] = true
	}
	for _, id := range p.set.Keep {
		stays[id] = true
	}
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
	if removed > guardFloor && 2*removed > total {
		g.guarded = &GuardError{Target: p.set.Target, Owner: p.set.Owner, Remove: removed, Total: total}
	}
	return g, nil
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
			if StageOf(c.id) != stage {
				continue
			}
			there := true
			if !waits && !c.terminating {
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
	if live.DeletionTimestamp != nil {
		return true, nil
	}
	p.result.Calls++
	err = p.conn.Client().Delete(ctx, live,
		client.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion},
		client.PropagationPolicy(metav1.DeletePropagationBackground))
	switch {
	case apierrors.IsNotFound(err):
		p.memory.drop(p.place(), c.id)
		return false, nil
	case apierrors.IsConflict(err):
		return true, &ConflictError{ID: c.id, Target: p.set.Target, Err: err}
	case err != nil:
		return true, err
	}
	p.result.Deleted++
	// Without a finalizer the object is gone with the answer. A namespace has
	// its finalizer in its spec.
	if len(live.Finalizers) > 0 || StageOf(c.id) == plan.StageNamespace {
		p.memory.put(p.place(), c.id, record{gvk: c.gvk})
		return true, nil
	}
	p.memory.drop(p.place(), c.id)
	return false, nil
}

func namespaceID(name string) plan.ID { return plan.ID{Kind: "Namespace", Name: name} }
