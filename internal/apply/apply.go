package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// Connection is a Kubernetes API server that sets are applied to.
type Connection interface {
	// UID identifies the cluster: the UID of its kube-system namespace.
	UID() string
	// Client reads and writes the API server directly.
	Client() client.Client
	// Get returns the cached metadata of one object that carries the tenant's
	// labels, or nil if it does not exist. The managed fields are good for
	// plan.DigestFields only. It fails while the cache has not synced.
	Get(ctx context.Context, id plan.ID) (*metav1.PartialObjectMetadata, error)
	// Owned returns the cached metadata of all objects that carry the labels of
	// the owner. Kinds that the cluster does not serve have no objects. It fails
	// while any cache has not synced: an error is not an empty list.
	Owned(ctx context.Context, owner plan.Owner) ([]metav1.PartialObjectMetadata, error)
	// Serves reports whether the cluster serves the kind. It fails while that is
	// unknown.
	Serves(ctx context.Context, group, kind string) (bool, error)
}

// Explainer is a Connection that knows why an object that is deleted is not gone.
type Explainer interface {
	// Held returns the reason in the words of the cluster, or "".
	Held(id plan.ID) string
}

// Options control how a set is applied.
type Options struct {
	// ConfirmPrune: a person has confirmed the removal of more than half.
	ConfirmPrune bool
	// NoGuard: no confirmation is needed, for example because the owner is being
	// deleted.
	NoGuard bool
	// Weighs reports whether the removal of an object must be confirmed, if many are
	// removed at once. The others are removed whatever else is. If it is nil, all
	// objects weigh.
	Weighs func(plan.ID) bool
	// Isolate: a refused item does not stop the others. It is listed in
	// Result.Failed.
	Isolate bool
	// Release lists finalizers that are removed from objects before their
	// deletion, and from terminating objects. Their cleanup is given up. It
	// applies to Kubernetes only.
	Release []string
}

// Result reports the outcome of applying a set.
type Result struct {
	// Written counts the items that were created or changed, and Unchanged the
	// items that needed no change.
	Written, Unchanged int
	// Deleted lists the objects whose deletion was requested.
	Deleted []plan.ID
	// Failed lists the items that were refused, with Options.Isolate only.
	Failed []ItemError
	// Removing lists objects that must be removed and still exist: they
	// terminate, or wait for the removal of later stages. A watch reports when
	// to apply again.
	Removing []plan.ID
	// Held holds the reasons why objects in Removing are not gone, as far as the
	// cluster gives any.
	Held map[plan.ID]string
	// Calls counts the requests to the API server, or to the System.
	Calls int
}

// Applier applies sets to clusters and systems. It remembers its writes, so that
// an unchanged set over unchanged objects causes no request at all. It is safe
// for concurrent use, but one owner's set must be applied to a target by one
// caller at a time.
type Applier struct {
	tenant  string
	store   secrets.Store
	formats map[plan.Format]FormatFunc
	memory  memory
	rivals  rivals
}

// FormatFunc converts the field of a secret for its user. It is pure, and its
// error must not repeat the input.
type FormatFunc func(field []byte) ([]byte, error)

// Option changes an Applier that New makes.
type Option func(*Applier)

// WithFormats gives an Applier the formats of secrets. An item that asks for an
// unknown format is a *PlanError.
func WithFormats(formats map[plan.Format]FormatFunc) Option {
	return func(a *Applier) { a.formats = maps.Clone(formats) }
}

// New returns an Applier for a tenant's objects. The store resolves the secrets
// of items.
func New(tenant string, store secrets.Store, options ...Option) *Applier {
	a := &Applier{tenant: tenant, store: store}
	for _, option := range options {
		option(a)
	}
	return a
}

// Forget drops the memory of a cluster or a System, by its UID. The next
// application checks everything again.
func (a *Applier) Forget(uid string) {
	a.memory.forget(uid)
	a.rivals.forgetWhere(func(key memoKey) bool { return key.uid == uid })
}

// Apply writes the items of the set to the cluster, stage by stage, and then
// removes the owner's other objects there, in the opposite order. It logs each
// object that it changes or refuses with the logger of the context.
//
// It ends with the first error, but with Options.Isolate not with the error of a
// single item. *KindMissingError, *SecretMissingError, *TerminatingError,
// *ConflictError and *NeedError pass by themselves or when the missing object
// arrives. With a *DiffersError everything has been written. *NotOursError, *FormatError, *PlanError and *GuardError need a person.
// Other errors come from the connection, the secret store, or the API server;
// errors.As finds the last as *errors.StatusError. Errors about one item are
// wrapped in an *ItemError. With a *GuardError everything has been written, and
// no object removed that weighs.
func (a *Applier) Apply(ctx context.Context, conn Connection, set plan.Set, o Options) (Result, error) {
	p := &pass{
		Applier: a, conn: conn, set: set, o: o,
		key:              memoKey{uid: conn.UID(), owner: set.Owner},
		failedNamespaces: map[string]error{},
	}
	p.journal = newJournal(ctx, &a.memory, p.key, set)
	err := p.run(ctx)
	p.journal.close(err)
	return p.result, err
}

// pass is one application of one set.
type pass struct {
	*Applier
	conn    Connection
	set     plan.Set
	o       Options
	key     memoKey
	journal *journal
	result  Result
	// failedNamespaces holds the errors of namespaces that could not be written,
	// by name. Nothing is written into them, since they may be foreign.
	failedNamespaces map[string]error
	// differing is the error of the first object that the cluster changed, without
	// Options.Isolate.
	differing error
}

func (p *pass) run(ctx context.Context) error {
	stages, err := p.prepare(ctx)
	if err != nil {
		return err
	}
	owned, err := p.conn.Owned(ctx, p.set.Owner)
	if err != nil {
		return fmt.Errorf("list the objects of %s on %s: %w", p.set.Owner, p.set.Target, err)
	}
	prune, err := p.findPrunable(ctx, owned)
	if err != nil {
		return err
	}
	for _, stage := range plan.Stages {
		for _, in := range stages[stage] {
			if err := p.failed(in.item, p.write(ctx, in)); err != nil {
				return err
			}
		}
	}
	if !p.o.allows(prune.guarded) {
		p.journal.refuse("deletions refused", plan.ID{}, plan.Ref{}, prune.guarded)
		free := slices.DeleteFunc(prune.candidates, func(c candidate) bool { return p.o.weighs(c.id) })
		if err := p.prune(ctx, free); err != nil {
			return err
		}
		return prune.guarded
	}
	if err := p.prune(ctx, prune.candidates); err != nil {
		return err
	}
	return p.differing
}

// held returns the reason why an object that is deleted is not gone, or "".
func (p *pass) held(id plan.ID) string {
	if e, ok := p.conn.(Explainer); ok {
		return e.Held(id)
	}
	return ""
}

// prepare converts the items and checks that the cluster serves their kinds.
func (p *pass) prepare(ctx context.Context) (map[plan.Stage][]intent, error) {
	stages := map[plan.Stage][]intent{}
	missing := &KindMissingError{Target: p.set.Target}
	for _, item := range p.set.Items {
		served, err := p.conn.Serves(ctx, item.ID.Group, item.ID.Kind)
		if err != nil {
			return nil, fmt.Errorf("ask whether %s serves %s: %w", p.set.Target, item.ID.Kind, err)
		}
		var in intent
		switch {
		case served:
			in, err = p.intend(item)
		case p.o.Isolate:
			err = &KindMissingError{Target: p.set.Target, Kinds: []schema.GroupKind{{Group: item.ID.Group, Kind: item.ID.Kind}}}
		default:
			missing.add(item.ID)
			continue
		}
		if err == nil {
			stages[item.Stage] = append(stages[item.Stage], in)
		} else if err := p.failed(item, err); err != nil {
			return nil, err
		}
	}
	if len(missing.Kinds) > 0 {
		return nil, missing
	}
	return stages, nil
}

// failed wraps the error of an item. It returns nil if there is none, or if the
// item is isolated and the error concerns this item only.
func (p *pass) failed(item plan.Item, err error) error {
	if err == nil {
		return nil
	}
	if Differs(err) {
		p.noteDiffering(item, err)
		return nil
	}
	if item.ID == namespaceID(item.ID.Name) {
		p.failedNamespaces[item.ID.Name] = err
	}
	var kept keptError
	wrapped := &ItemError{
		ID: item.ID, Source: item.Source, Target: p.set.Target, Err: err, Kept: errors.As(err, &kept), secret: len(item.Secrets) > 0,
	}
	if p.o.Isolate && errors.Is(err, secrets.ErrUnavailable) {
		// Items without secrets do not need the secret store.
		p.journal.refuse("object refused", item.ID, item.Source, wrapped)
		p.result.Failed = append(p.result.Failed, *wrapped)
		return nil
	}
	return p.result.failed(p.o, p.journal, wrapped)
}

// noteDiffering notes that the cluster changed an object. The object is there, so
// nothing else waits for it.
func (p *pass) noteDiffering(item plan.Item, err error) {
	wrapped := &ItemError{ID: item.ID, Source: item.Source, Target: p.set.Target, Err: err, Kept: true}
	p.journal.refuse("object changed by the cluster", item.ID, item.Source, wrapped)
	if p.o.Isolate {
		p.result.Failed = append(p.result.Failed, *wrapped)
	} else if p.differing == nil {
		p.differing = wrapped
	}
}

// failed logs and notes the error of an isolated item, and returns any other.
func (r *Result) failed(o Options, j *journal, err *ItemError) error {
	if !concernsOne(err.Err) {
		return err
	}
	j.refuse("object refused", err.ID, err.Source, err)
	if !o.Isolate {
		return err
	}
	r.Failed = append(r.Failed, *err)
	return nil
}
