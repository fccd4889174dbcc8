package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// System is a target that is not Kubernetes, as a secret store. It marks what it
// makes with the owner, and finds it again by the mark; it keeps no watch. It is
// safe for concurrent use.
//
// Errors say in our words what is wrong; none holds a secret, or what the system
// said of a request with one. errors.Is finds secrets.ErrUnavailable when the
// system does not answer, secrets.ErrDenied when it refuses, and
// secrets.ErrNotFound when something that the item needs, as the mount of a role,
// is not there yet. An error of Put that has the method Holder() string says that
// something of that ID is there and belongs to whom Holder names, as "the product
// p" or "somebody else"; nothing was changed then.
type System interface {
	// UID identifies the system, as its address does: what is remembered of one
	// system is not believed of another. It is not the UID of a cluster.
	UID() string
	// Kinds describes how items of each kind are removed. Kinds with Revoke are
	// removed in the order of the list.
	Kinds() []plan.SystemKind
	// Owned lists what the set's owner has in the set's target, by the marks: a
	// policy belongs to every target of the owner. Items and Keep of the set may
	// be used to look less, never to list more. An error is not an empty list.
	Owned(ctx context.Context, set plan.Set) ([]plan.ID, error)
	// Put makes one item as it is intended and marks it with the owner. It reads
	// first and writes what differs, and nothing when nothing does; an attempt
	// that ended half-way is finished by the next one. resolve returns a value
	// that the item's body asks for, in its format, and the version of the secret
	// that it is in; the version differs when the value does. A value that is
	// Optional and not there is empty. Put resolves everything that the item
	// needs at every call, one after the other, since the item is put again when
	// one of the versions changes; it returns the errors of resolve, as they are
	// or wrapped.
	Put(ctx context.Context, owner plan.Owner, item plan.Item,
		resolve func(plan.SecretValue) (value secrets.Value, version string, err error)) (changed bool, err error)
	// Delete removes what has the ID, if it is there and marked with the owner;
	// otherwise it changes nothing and returns false.
	Delete(ctx context.Context, owner plan.Owner, id plan.ID) (deleted bool, err error)
}

// ApplySystem makes the system hold what is in the set, and removes what the
// set's owner has there beside it. What gives access and must not any longer goes
// first, by kinds with plan.SystemKind.Revoke. Then everything is written, stage by stage, and then the rest goes, stage by
// stage in the other direction.
//
// A set that was applied before causes no request, as long as the versions of
// its secrets are the same: nobody tells of what others change in the system,
// and Forget makes the next application look. The errors are those of Apply, as
// far as they fit, and those of the system; Options.Release has no meaning.
func (a *Applier) ApplySystem(ctx context.Context, system System, set plan.Set, o Options) (Result, error) {
	p := &systemPass{
		Applier: a, system: system, set: set, o: o, kinds: system.Kinds(),
		place: place{uid: system.UID(), owner: set.Owner, target: set.Target},
	}
	err := p.run(ctx)
	return p.result, err
}

// systemPass is one application of one set to a system.
type systemPass struct {
	*Applier
	system System
	set    plan.Set
	o      Options
	place  place
	kinds  []plan.SystemKind
	result Result
}

func (p *systemPass) run(ctx context.Context) error {
	stages, err := p.prepare()
	if err != nil {
		return err
	}
	names, err := named(p.set)
	if err != nil {
		return err
	}
	first, last, guarded, err := p.going(ctx, names)
	if err != nil {
		return err
	}
	if p.o.mayRemove(guarded) {
		guarded = nil
		if err := p.remove(ctx, first); err != nil {
			return err
		}
	}
	for _, stage := range plan.Stages {
		for _, in := range stages[stage] {
			if err := p.failed(in.item, p.write(ctx, in)); err != nil {
				return err
			}
		}
	}
	if guarded != nil {
		return guarded
	}
	if err := p.remove(ctx, last); err != nil {
		return err
	}
	p.memory.setWhole(p.place, names)
	return nil
}

// systemIntent is an item for a system, and the hash of it.
type systemIntent struct {
	item plan.Item
	hash string
}

// prepare checks the items.
func (p *systemPass) prepare() (map[plan.Stage][]systemIntent, error) {
	stages := map[plan.Stage][]systemIntent{}
	for _, item := range p.set.Items {
		in, err := intendSystem(item)
		if err == nil {
			stages[item.Stage] = append(stages[item.Stage], in)
		} else if err := p.failed(item, err); err != nil {
			return nil, err
		}
	}
	return stages, nil
}

func intendSystem(item plan.Item) (systemIntent, error) {
	switch {
	case item.Body == nil:
		return systemIntent{}, &PlanError{ID: item.ID, Problem: "it has no body"}
	case item.Object != nil:
		return systemIntent{}, &PlanError{ID: item.ID, Problem: "it has an object, which is for Kubernetes"}
	case len(item.Secrets) > 0:
		return systemIntent{}, &PlanError{ID: item.ID, Problem: "it lists secrets, which its body has to name"}
	case item.Stage < plan.StageNamespace || item.Stage > plan.StageWorkload:
		return systemIntent{}, &PlanError{ID: item.ID, Problem: fmt.Sprintf("it has no stage %d", item.Stage)}
	}
	hash, err := hashOf(fmt.Sprintf("%T", item.Body), item.Body)
	if err != nil {
		return systemIntent{}, &PlanError{ID: item.ID, Problem: "it cannot be converted: " + err.Error()}
	}
	return systemIntent{item: item, hash: hash}, nil
}

// named returns the hash of everything that a set names.
func named(set plan.Set) (string, error) {
	ids := slices.SortedFunc(maps.Keys(stays(set)), plan.ID.Compare)
	return hashOf(ids)
}

// going returns what must go before and after the writes. The system is not
// asked when the place is known to hold nothing beside the set.
func (p *systemPass) going(ctx context.Context, names string) (first, last []plan.ID, guard *GuardError, err error) {
	if p.memory.isWhole(p.place, names) {
		return nil, nil, nil, nil
	}
	p.memory.setWhole(p.place, "")
	p.result.Calls++
	owned, err := p.system.Owned(ctx, p.set)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("look for what %s has on %s: %w", p.set.Owner, p.set.Target, err)
	}
	stays := stays(p.set)
	owned = slices.Compact(slices.SortedFunc(slices.Values(owned), plan.ID.Compare))
	for _, id := range owned {
		switch {
		case stays[id]:
		case p.kind(id).Revoke:
			first = append(first, id)
		default:
			last = append(last, id)
		}
	}
	slices.SortStableFunc(first, func(a, b plan.ID) int { return p.rank(a) - p.rank(b) })
	slices.SortStableFunc(last, func(a, b plan.ID) int { return int(p.kind(b).Stage - p.kind(a).Stage) })
	return first, last, guarded(p.set, len(first)+len(last), len(owned)), nil
}

// kind returns the description of an item's kind. An item of a kind that the
// System does not describe is removed in the stage of configuration.
func (p *systemPass) kind(id plan.ID) plan.SystemKind {
	if at := p.rank(id); at >= 0 {
		return p.kinds[at]
	}
	return plan.SystemKind{Group: id.Group, Kind: id.Kind, Stage: plan.StageConfig}
}

// rank returns the position of an item's kind in System.Kinds, or -1 if it is not there.
func (p *systemPass) rank(id plan.ID) int {
	return slices.IndexFunc(p.kinds, func(k plan.SystemKind) bool { return k.Group == id.Group && k.Kind == id.Kind })
}

// write makes one item as it is intended, unless it is known to be.
func (p *systemPass) write(ctx context.Context, in systemIntent) error {
	id := in.item.ID
	settled, err := p.settled(ctx, in)
	if err != nil {
		return err
	}
	if settled {
		p.result.Unchanged++
		return nil
	}
	read := p.reader(id)
	versions := map[secrets.Ref]string{}
	p.memory.put(p.place, id, record{})
	p.result.Calls++
	changed, err := p.system.Put(ctx, p.set.Owner, in.item, func(v plan.SecretValue) (secrets.Value, string, error) {
		content, version, err := read.value(ctx, v)
		if err != nil {
			return secrets.Value{}, "", err
		}
		versions[v.Ref] = version
		if content == nil {
			return secrets.Value{}, version, nil
		}
		return *content, version, nil
	})
	var foreign interface {
		error
		Holder() string
	}
	switch {
	case errors.As(err, &foreign) && in.item.IfAbsent:
		p.memory.drop(p.place, id)
		p.result.Unchanged++
		return nil
	case errors.As(err, &foreign):
		p.memory.drop(p.place, id)
		return &NotOursError{ID: id, Target: p.set.Target, Holder: foreign.Holder()}
	case err != nil:
		return err
	}
	if changed {
		p.changed(id)
		p.result.Written++
	} else {
		p.result.Unchanged++
	}
	p.memory.put(p.place, id, record{intent: in.hash, secrets: versions, settled: true})
	return nil
}

// changed forgets the items of other owners in a container that was created,
// changed or removed.
func (p *systemPass) changed(id plan.ID) {
	if p.kind(id).Container {
		p.memory.forgetWhere(func(at place) bool {
			return at.uid == p.place.uid && at.target == p.place.target && at.owner != p.place.owner
		})
	}
}

// settled tells whether an item is known to be as it is intended, with the
// secrets of today.
func (p *systemPass) settled(ctx context.Context, in systemIntent) (bool, error) {
	r, ok := p.memory.get(p.place, in.item.ID)
	if !ok || !r.settled || r.intent != in.hash {
		return false, nil
	}
	for ref, known := range r.secrets {
		version, err := p.store.Version(ctx, ref)
		if err != nil {
			return false, secretError(ref, err)
		}
		if version != known {
			return false, nil
		}
	}
	return true, nil
}

func (p *systemPass) remove(ctx context.Context, ids []plan.ID) error {
	for _, id := range ids {
		p.memory.dropAll(p.place, id)
		p.result.Calls++
		deleted, err := p.system.Delete(ctx, p.set.Owner, id)
		if err != nil {
			return &ItemError{ID: id, Target: p.set.Target, Err: err}
		}
		if deleted {
			p.changed(id)
			p.result.Deleted++
		}
	}
	return nil
}

func (p *systemPass) failed(item plan.Item, err error) error {
	if err == nil {
		return nil
	}
	return p.result.failed(p.o, &ItemError{ID: item.ID, Source: item.Source, Target: p.set.Target, Err: err})
}
