// Package edit turns requests to save and delete resources into commits. It guarantees
// that every commit holds valid files, is made and pushed as its caller, and builds on
// all commits before it.
package edit

import (
	"context"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/schema"
	"nautes.io/nautes/internal/snapshot"
)

// Repository is a repository whose files are resources: default.project of a product,
// or the tenant repository.
type Repository struct {
	// Key of the mirror in git.Mirrors, the same for every caller.
	Key string
	// Source has the credentials of the caller.
	Source git.Source
	Scope  layout.Scope
	// Group is the path of the product's group, and empty for the tenant repository.
	Group string
}

// Caller is the author of a commit.
type Caller struct {
	Name, Email string
	// Key identifies the credentials, for example by a hash. Requests of one caller with
	// the same key share a push.
	Key string
}

// Trailer is a line at the end of a commit's message. The key has letters, digits and
// dashes, and neither part has line ends.
type Trailer = git.Trailer

// TrailerIdempotencyKey is the trailer by which a repeated request is known.
const TrailerIdempotencyKey = "Idempotency-Key"

// Request is one change of a repository. Exactly one of Save and Delete is set.
type Request struct {
	Repository Repository
	Caller     Caller
	// Save is an object to create or replace. Its labels and annotations are added to
	// the ones of its file, and its status is left out.
	Save v1alpha1.Object
	// Delete names an object to delete. Its namespace is ignored.
	Delete plan.Ref
	// Subject of the commit, and trailers in their order. A deletion gets the trailer
	// that confirms it. The trailer TrailerIdempotencyKey makes a repeated request return
	// the first one's result.
	Subject  string
	Trailers []Trailer
	// IfMatch is the blob that the object's file must have, "*" if it must exist, or
	// empty for any.
	IfMatch string
	// SkipReferences leaves out the rules that validate.Skippable allows to leave out.
	SkipReferences bool
	// DryRun judges the change, and neither prepares nor pushes it.
	DryRun bool
	// Prepare, if set, runs after the change is judged and before it is pushed, also if
	// the files do not change. Undo runs if the push fails, and may be nil.
	Prepare func(ctx context.Context) (undo func(ctx context.Context) error, err error)
}

// Result is the outcome of a request that is not refused.
type Result struct {
	// Commit is the hash of the commit, or of the head if nothing changed.
	Commit string
	// Path of the object's file, and Blob of its content, or empty after a deletion.
	Path, Blob string
	// Changed reports whether there is a commit for the request.
	Changed bool
	// Warnings about the object, and about files that cannot be read.
	Warnings []string
	// Diff of the files, in the unified format.
	Diff string
	// Plan lists the objects that the change makes, changes and prunes; only for dry runs.
	Plan []PlannedSet
	// Trailers of the commit; only of a request that was done before.
	Trailers []Trailer
}

// PlannedSet lists how the objects of one owner on one target change. Each list is
// sorted.
type PlannedSet struct {
	Owner                 plan.Owner
	Target                plan.Target
	Made, Changed, Pruned []plan.ID
}

// Options of an Editor.
type Options struct {
	Mirrors *git.Mirrors
	Kinds   *schema.Kinds
	// Reader is a cache of custom resources with the indexes of snapshot.SetupIndexes. It
	// has the objects of other products, and the status of all.
	Reader client.Reader
	// Tenant is the tenant's name, Namespace the operator's namespace.
	Tenant, Namespace string
	Settings          snapshot.Settings
	// TenantRepository returns the tenant repository with credentials of the server that
	// may read it. If it is nil, the tenant's objects are the ones of the Reader.
	TenantRepository func(ctx context.Context) (Repository, error)
}

// Editor makes commits. All methods may be called concurrently.
type Editor struct {
	Options

	loader *snapshot.Loader
	mu     sync.Mutex
	lanes  map[string]*lane
	now    func() time.Time
}

// New returns an editor.
func New(o Options) *Editor {
	return &Editor{
		Options: o, lanes: map[string]*lane{}, now: time.Now,
		loader: &snapshot.Loader{Reader: o.Reader, Tenant: o.Tenant, Namespace: o.Namespace, Settings: o.Settings},
	}
}

// lane is the state of one repository.
type lane struct {
	// reading is held while the view is brought up to date.
	reading sync.Mutex

	mu   sync.Mutex
	view *View
	// waiting are the requests in the order of their arrival, and working is true while
	// they are worked off.
	waiting []*pending
	working bool
	// done are the requests of the last days that have an idempotency key. Only the
	// worker uses it.
	done journal
}

func (e *Editor) lane(key string) *lane {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.lanes[key]
	if l == nil {
		l = &lane{}
		e.lanes[key] = l
	}
	return l
}

func (l *lane) current() *View {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.view
}

func (l *lane) advance(v *View) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.view = v
}

// exchange makes a view the last one, unless a push has made another one meanwhile.
func (l *lane) exchange(before, v *View) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.view == before {
		l.view = v
	}
}
