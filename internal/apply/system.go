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

// System is a target that is not Kubernetes, for example a secret store. It marks
// its items with the owner, and finds them again by the mark. It has no watch. It
// is safe for concurrent use.
//
// Errors are written for users, and hold no secret and no answer to a request
// with one. errors.Is finds secrets.ErrUnavailable if the system does not answer,
// secrets.ErrDenied if it refuses, and secrets.ErrNotFound if something that the
// item needs does not exist yet, for example the mount of a role. If an error of
// Put has the method Holder() string, the item exists and belongs to that holder,
// for example "the product p"; nothing was changed then.
type System interface {
	// UID identifies the system, for example by its address. It differs from the
	// UIDs of clusters.
	UID() string
	// Kinds describes how items of each kind are removed. Kinds with Revoke are
	// removed in the order of the list.
	Kinds() []plan.SystemKind
	// Owned lists the owner's items in the set's target, by their marks. An item
	// that belongs to no single target is listed in each. Items and Keep of the
	// set may be used to read less, never to list more. An error is not an empty
	// list.
	Owned(ctx context.Context, set plan.Set) ([]plan.ID, error)
	// Put creates or changes one item and marks it with the owner. It reads first
	// and writes only differences. An attempt that ended half-way is finished by
	// the next one.
	//
	// resolve returns a value that the item's body asks for, in its format, and
	// the version of its secret, which differs when the value does. A value that
	// is Optional and missing is empty. Put must resolve every value of the item
	// at each call, one after another, since the item is put again when one of
	// the versions changes. It returns errors of resolve, possibly wrapped.
	Put(ctx context.Context, owner plan.Owner, item plan.Item,
		resolve func(plan.SecretValue) (value secrets.Value, version string, err error)) (changed bool, err error)
	// Delete removes the item with the ID if it is marked with the owner.
	// Otherwise it changes nothing and returns false.
	Delete(ctx context.Context, owner plan.Owner, id plan.ID) (deleted bool, err error)
}

// ApplySystem makes the system hold the items of the set, and removes the owner's
// other items in the target. Items that grant access are removed first, by
// SystemKind.Revoke. Then the set is written, stage by stage, and then the rest is
// removed, in the opposite order.
//
// A set that was applied before causes no request while the versions of its
// secrets stay the same. Changes that others make in the system are not noticed
// until Forget. Errors and log lines are as with Apply; other errors come from the
// system. Options.Release has no meaning.
func (a *Applier) ApplySystem(ctx context.Context, system System, set plan.Set, o Options) (Result, error) {
	p := &systemPass{
		Applier: a, system: system, set: set, o: o, kinds: system.Kinds(),
		key: memoKey{uid: system.UID(), owner: set.Owner, target: set.Target},
	}
	p.journal = newJournal(ctx, &a.memory, p.key, set)
	err := p.run(ctx)
	p.journal.close(err)
	return p.result, err
}

// systemPass is one application of one set to a system.
type systemPass struct {
	*Applier
	system  System
	set     plan.Set
	o       Options
	key     memoKey
	kinds   []plan.SystemKind
	journal *journal
	result  Result
}

func (p *systemPass) run(ctx context.Context) error {
	stages, err := p.prepare()
	if err != nil {
		return err
	}
	names, err := hashNames(p.set)
	if err != nil {
		return err
	}
	first, last, guarded, err := p.findPrunable(ctx, names)
	if err != nil {
		return err
	}
	if p.o.allows(guarded) {
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
		p.journal.refuse("deletions refused", plan.ID{}, plan.Ref{}, guarded)
		return guarded
	}
	if err := p.remove(ctx, last); err != nil {
		return err
	}
	p.memory.setComplete(p.key, names)
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

// hashNames returns the hash of all IDs in a set.
func hashNames(set plan.Set) (string, error) {
	return hashOf(slices.SortedFunc(maps.Keys(keptIDs(set)), plan.ID.Compare))
}

// findPrunable returns the items to remove before and after the writes. It does
// not ask the system if the target is known to hold nothing beside the set.
func (p *systemPass) findPrunable(ctx context.Context, names string) (first, last []plan.ID, guard *GuardError, err error) {
	if p.memory.isComplete(p.key, names) {
		return nil, nil, nil, nil
	}
	p.memory.setComplete(p.key, "")
	p.result.Calls++
	owned, err := p.system.Owned(ctx, p.set)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("list the items of %s on %s: %w", p.set.Owner, p.set.Target, err)
	}
	kept := keptIDs(p.set)
	owned = slices.Compact(slices.SortedFunc(slices.Values(owned), plan.ID.Compare))
	for _, id := range owned {
		switch {
		case kept[id]:
		case p.kind(id).Revoke:
			first = append(first, id)
		default:
			last = append(last, id)
		}
	}
	slices.SortStableFunc(first, func(a, b plan.ID) int { return p.rank(a) - p.rank(b) })
	slices.SortStableFunc(last, func(a, b plan.ID) int { return int(p.kind(b).Stage - p.kind(a).Stage) })
	return first, last, checkGuard(p.set, p.o, slices.Concat(first, last), owned), nil
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

// write applies one item, unless it is known to be as intended.
func (p *systemPass) write(ctx context.Context, in systemIntent) error {
	id := in.item.ID
	settled, err := p.settled(ctx, in)
	if err != nil {
		return err
	}
	if settled {
		p.unchanged(in.item)
		return nil
	}
	read := p.reader(id)
	versions := map[secrets.Ref]string{}
	p.memory.put(p.key, id, record{})
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
		p.memory.drop(p.key, id)
		p.unchanged(in.item)
		return nil
	case errors.As(err, &foreign):
		p.memory.drop(p.key, id)
		return &NotOursError{ID: id, Target: p.set.Target, Holder: foreign.Holder()}
	case err != nil:
		return err
	}
	p.memory.put(p.key, id, record{intent: in.hash, secrets: versions})
	if !changed {
		p.unchanged(in.item)
		return nil
	}
	p.forgetContents(id)
	p.result.Written++
	p.journal.changed("object changed", id, in.item.Source)
	return nil
}

// unchanged counts an item that needed no change.
func (p *systemPass) unchanged(item plan.Item) {
	p.result.Unchanged++
	p.journal.unchanged(item)
}

// forgetContents forgets the items of other owners in a container that was
// created, changed or removed.
func (p *systemPass) forgetContents(id plan.ID) {
	if p.kind(id).Container {
		p.memory.forgetWhere(func(at memoKey) bool {
			return at.uid == p.key.uid && at.target == p.key.target && at.owner != p.key.owner
		})
	}
}

// settled reports whether an item is known to be as intended, with the current
// versions of its secrets.
func (p *systemPass) settled(ctx context.Context, in systemIntent) (bool, error) {
	r, _ := p.memory.get(p.key, in.item.ID)
	if r.intent != in.hash {
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
		p.memory.dropAll(p.key, id)
		p.result.Calls++
		deleted, err := p.system.Delete(ctx, p.set.Owner, id)
		if err != nil {
			return &ItemError{ID: id, Target: p.set.Target, Err: err}
		}
		if deleted {
			p.forgetContents(id)
			p.result.Deleted = append(p.result.Deleted, id)
			p.journal.changed("object deleted", id, plan.Ref{})
		}
	}
	return nil
}

func (p *systemPass) failed(item plan.Item, err error) error {
	if err == nil {
		return nil
	}
	return p.result.failed(p.o, p.journal, &ItemError{ID: item.ID, Source: item.Source, Target: p.set.Target, Err: err})
}
