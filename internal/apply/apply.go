package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"

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
	// labels; nil when there is none. Of the managed fields, plan.DigestFields
	// need be right and nothing else. An error when the cache has not synced.
	Get(ctx context.Context, id plan.ID) (*metav1.PartialObjectMetadata, error)
	// Owned returns the cached metadata of everything that carries the labels
	// of owner. Kinds that the cluster does not serve hold nothing. An error
	// when any cache has not synced: an error is not an empty list.
	Owned(ctx context.Context, owner plan.Owner) ([]metav1.PartialObjectMetadata, error)
	// Serves tells whether the cluster serves the kind. Error: it cannot be told.
	Serves(ctx context.Context, group, kind string) (bool, error)
}

// Options say how a set is applied.
type Options struct {
	// ConfirmPrune: a person has confirmed that more than half may go.
	ConfirmPrune bool
	// NoGuard: the owner is being deleted, so that everything goes.
	NoGuard bool
	// Isolate: an item that is refused does not stop the others; it is listed
	// in Result.Failed.
	Isolate bool
	// Release lists finalizers that are taken off the objects that must go,
	// before they are deleted, and off those that terminate already: what they
	// stand for is given up. It concerns Kubernetes only.
	Release []string
}

// Result tells what an application of a set has done.
type Result struct {
	// Written counts the items that the server had to create or change,
	// Unchanged those that were as they should be, Deleted the objects whose
	// deletion was asked for.
	Written, Unchanged, Deleted int
	// Failed lists the items that were refused, with Options.Isolate only.
	Failed []ItemError
	// Removing lists what must go and is still there: it terminates, or waits
	// until what needs it is gone. A watch tells when to apply again.
	Removing []plan.ID
	// Calls counts the requests to the API server, or to the System.
	Calls int
}

// Applier applies sets to clusters and systems. It remembers what it has
// written, so that an unchanged set over unchanged objects causes no request at
// all. It is safe for concurrent use; one owner's set is applied to a target by
// one caller at a time.
type Applier struct {
	tenant  string
	store   secrets.Store
	formats map[plan.Format]FormatFunc
	memory  memory
}

// FormatFunc turns the field of a secret into what its user reads. It is pure;
// its error must not repeat what it was given.
type FormatFunc func(field []byte) ([]byte, error)

// Option changes an Applier that New makes.
type Option func(*Applier)

// WithFormats gives an Applier the formats that secrets are written in. Without
// it, an item that asks for a format is a *PlanError.
func WithFormats(formats map[plan.Format]FormatFunc) Option {
	return func(a *Applier) { a.formats = maps.Clone(formats) }
}

// New returns an Applier for a tenant's objects. store resolves the secrets of items.
func New(tenant string, store secrets.Store, options ...Option) *Applier {
	a := &Applier{tenant: tenant, store: store}
	for _, option := range options {
		option(a)
	}
	return a
}

// Forget drops what is remembered of a cluster or a System, by its UID: the next
// application looks at everything again.
func (a *Applier) Forget(uid string) { a.memory.forget(uid) }

// Apply makes the cluster hold what is in the set, stage by stage, and removes
// what the set's owner has there beside it, stage by stage in the other
// direction.
//
// The first error ends it, except for the errors of single items with
// Options.Isolate. The errors are *KindMissingError, *SecretMissingError,
// *TerminatingError, *ConflictError and *NeedError, which go away by themselves or by the
// arrival of what is missing; *NotOursError, *FormatError, *PlanError and
// *GuardError, which need a person; those of the connection; and those of the API server, which
// errors.As finds as *errors.StatusError. Errors about one item are wrapped in
// an *ItemError. With a *GuardError everything has been written, and nothing removed.
func (a *Applier) Apply(ctx context.Context, conn Connection, set plan.Set, o Options) (Result, error) {
	p := &pass{Applier: a, conn: conn, set: set, o: o, uid: conn.UID(), closed: map[string]error{}}
	err := p.run(ctx)
	return p.result, err
}

// pass is one application of one set.
type pass struct {
	*Applier
	conn   Connection
	set    plan.Set
	o      Options
	uid    string
	result Result
	// closed holds the namespaces of the set that could not be written, by
	// their names: nothing goes into what may be somebody else's.
	closed map[string]error
}

func (p *pass) run(ctx context.Context) error {
	stages, err := p.prepare(ctx)
	if err != nil {
		return err
	}
	owned, err := p.conn.Owned(ctx, p.set.Owner)
	if err != nil {
		return fmt.Errorf("look for the objects of %s on %s: %w", p.set.Owner, p.set.Target, err)
	}
	going, err := p.going(ctx, owned)
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
	if !p.o.mayRemove(going.guarded) {
		return going.guarded
	}
	return p.prune(ctx, going)
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

// failed wraps the error of an item. It returns nil when there is none, and
// when the item is isolated and the fault is the item's own.
func (p *pass) failed(item plan.Item, err error) error {
	if err == nil {
		return nil
	}
	if item.ID == namespaceID(item.ID.Name) {
		p.closed[item.ID.Name] = err
	}
	var kept keptError
	wrapped := &ItemError{
		ID: item.ID, Source: item.Source, Target: p.set.Target, Err: err, Kept: errors.As(err, &kept), secret: len(item.Secrets) > 0,
	}
	if p.o.Isolate && errors.Is(err, secrets.ErrUnavailable) {
		// The secret store is away: what holds no secrets does not need it.
		p.result.Failed = append(p.result.Failed, *wrapped)
		return nil
	}
	return p.result.failed(p.o, wrapped)
}

// failed notes the error of an isolated item, and returns any other.
func (r *Result) failed(o Options, err *ItemError) error {
	if o.Isolate && concernsOne(err.Err) {
		r.Failed = append(r.Failed, *err)
		return nil
	}
	return err
}
