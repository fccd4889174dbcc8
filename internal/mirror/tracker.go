package mirror

import (
	"cmp"
	"context"
	"errors"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/schema"
)

// Tracker follows one branch of one repository. Only one goroutine may use it at
// a time.
type Tracker struct {
	// Mirrors keeps the repository on disk under Name.
	Mirrors *git.Mirrors
	Name    string
	// Kinds checks the objects in the files.
	Kinds *schema.Kinds
	// Scope determines which files are resource files.
	Scope layout.Scope

	// Entries are the resource files of the revision, by path.
	Entries map[string]Entry
	// Status describes the revision: URL, branch, revision, author, time.
	Status v1alpha1.SyncStatus
	// Recorded is the status that the last process left, or nil. A tracker that does not
	// know its source goes by it.
	Recorded *v1alpha1.SyncStatus

	source git.Source
	// base is the last revision whose removals have all been made, or empty if the source
	// had none. history leads from there to the revision.
	base    string
	history History
	// moved is the last move to another revision, until Plan has logged it.
	moved *move
}

// move is a change of the revision.
type move struct {
	from string
	// changed holds the paths that differ between the two revisions.
	changed map[string]bool
}

// Known reports whether the tracker holds a revision of the source.
func (t *Tracker) Known(source git.Source) bool {
	return t.Status.Revision != "" && t.source.URL == source.URL && t.source.Branch == source.Branch
}

// Behind reports whether the branch has moved. It asks the server and fetches
// nothing.
func (t *Tracker) Behind(ctx context.Context, source git.Source) (bool, error) {
	head, err := t.Mirrors.Head(ctx, source)
	return err == nil && head != t.Status.Revision, err
}

// Has reports whether the repository is known to have had a commit.
func (t *Tracker) Has(ctx context.Context, commit string) bool {
	return commit == "" || commit == t.Status.Revision || t.Mirrors.Has(ctx, t.Name, commit)
}

// Fetch brings the entries up to the head of the branch. When it fails, the
// tracker stays at the revision that it had.
func (t *Tracker) Fetch(ctx context.Context, source git.Source) error {
	commit, err := t.Mirrors.Fetch(ctx, t.Name, source)
	if err != nil {
		return err
	}
	known := t.Known(source)
	if known && commit.Hash == t.Status.Revision {
		t.source = source
		return nil
	}
	next := advance{tracker: t, moved: move{changed: map[string]bool{}}}
	if err := next.run(ctx, commit.Hash, known); err != nil {
		return err
	}
	if err := next.trace(ctx, source, commit, known); err != nil {
		return err
	}
	when := metav1.NewTime(commit.Time)
	t.source, t.Entries, t.moved = source, next.entries, &next.moved
	t.base, t.history = next.base, next.history
	t.Status = v1alpha1.SyncStatus{
		URL: source.URL, Branch: source.Branch, Revision: commit.Hash, Author: commit.Author,
		CommitTime: &when, Files: int32(len(next.entries)), RewrittenFrom: next.rewritten, PruneConfirmed: next.confirmed,
	}
	return nil
}

// Plan returns the plan of the revision, as Build does, and the status of the mirror
// with it. It logs each revision once, when it is planned for the first time.
func (t *Tracker) Plan(ctx context.Context, tenant string, owner plan.Owner, owned []Owned, confirmed bool) Outcome {
	history := t.history
	history.Confirmed = confirmed
	outcome := Build(tenant, owner, t.Entries, owned, history)
	t.Status.HeldBackSince = ""
	if len(outcome.Held) > 0 {
		t.Status.HeldBackSince = cmp.Or(t.base, t.Status.Revision)
	}
	if t.moved == nil {
		return outcome
	}
	write := 0
	for _, path := range outcome.Paths {
		if t.moved.changed[path] {
			write++
		}
	}
	logr.FromContextOrDiscard(ctx).Info("fetched revision",
		"repository", t.Status.URL, "product", owner.Product, "branch", t.Status.Branch,
		"from", t.moved.from, "to", t.Status.Revision, "author", t.Status.Author,
		"filesChanged", len(t.moved.changed), "objectsToWrite", write, "objectsToRemove", outcome.Removed,
		"objectsHeldBack", len(outcome.Held), "filesRefused", len(outcome.Problems))
	t.moved = nil
	return outcome
}

// Settle records that a plan has been applied, with the status that was reported. From
// then on its removals are history.
func (t *Tracker) Settle(status v1alpha1.SyncStatus) {
	t.Status = status
	t.base, t.history.Holding = settled(&status)
}

// settled returns the last revision whose removals have all been made, and whether the
// guard has kept objects since then.
func settled(status *v1alpha1.SyncStatus) (revision string, holding bool) {
	return cmp.Or(status.HeldBackSince, status.Revision), status.HeldBackSince != ""
}

// advance reads the entries of another commit.
type advance struct {
	tracker   *Tracker
	entries   map[string]Entry
	moved     move
	rewritten string
	// changes since the tracker's revision, if it is known.
	changes []git.Change
	base    string
	history History
	// confirmed: all commits that change or remove resource files confirm it.
	confirmed bool
}

// run reads only the files that changed since the tracker's revision, if that is
// known, and all files otherwise.
func (a *advance) run(ctx context.Context, commit string, known bool) error {
	t := a.tracker
	if known {
		a.moved.from = t.Status.Revision
		changes, fastForward, err := t.Mirrors.Diff(ctx, t.Name, t.Status.Revision, commit, t.files().Interest)
		if err == nil {
			if !fastForward {
				a.rewritten = t.Status.Revision
			}
			a.changes = changes
			for _, change := range changes {
				a.moved.changed[change.Path] = true
			}
			a.entries, err = t.files().Changed(ctx, t.Entries, changes)
			return err
		}
		if !errors.Is(err, git.ErrUnknownRevision) {
			return err
		}
		a.rewritten = t.Status.Revision
	}
	entries, err := t.files().All(ctx, commit)
	if err != nil {
		return err
	}
	a.entries = entries
	for path := range entries {
		a.moved.changed[path] = true
	}
	return nil
}

// files reads the resource files of the repository.
func (t *Tracker) files() Files {
	return Files{Mirrors: t.Mirrors, Key: t.Name, Kinds: t.Kinds, Scope: t.Scope}
}

// trace finds the commits that led to the revision since the last one whose removals
// have all been made. Without such a revision of this source there are none.
func (a *advance) trace(ctx context.Context, source git.Source, commit git.Commit, known bool) (err error) {
	t := a.tracker
	a.base, a.history.Holding = t.base, t.history.Holding
	recorded := t.Recorded
	if recorded == nil || recorded.URL != source.URL || recorded.Branch != source.Branch {
		recorded = &v1alpha1.SyncStatus{}
	}
	if !known {
		a.base, a.history.Holding = settled(recorded)
	}
	switch {
	case a.base == "" || a.base == commit.Hash:
	case known && a.base == t.Status.Revision && a.base == commit.Parent:
		a.history.Steps = []git.Step{{Commit: commit, Changes: a.changes}}
	default:
		a.history.Steps, err = t.Mirrors.Steps(ctx, t.Name, a.base, commit.Hash)
		if err != nil && !errors.Is(err, git.ErrUnknownRevision) {
			return err
		}
	}
	if !known && recorded.Revision == commit.Hash {
		a.confirmed = recorded.PruneConfirmed
		return nil
	}
	a.confirmed = confirmsAll(a.history.Steps, t.Scope)
	return nil
}

// confirmsAll reports whether steps change or remove resource files, and all that do
// confirm it.
func confirmsAll(steps []git.Step, scope layout.Scope) bool {
	confirmed := false
	for _, step := range steps {
		for _, c := range step.Changes {
			if c.Old == nil || !scope.Resource(c.Path) {
				continue
			}
			if !step.ConfirmsPrune {
				return false
			}
			confirmed = true
		}
	}
	return confirmed
}

// Line returns the line of a field in the file at path, or 0 if it is unknown.
func (t *Tracker) Line(ctx context.Context, path, field string) (int32, error) {
	blob := t.Entries[path].Blob
	contents, err := t.Mirrors.Read(ctx, t.Name, []string{blob})
	if err != nil {
		return 0, err
	}
	return layout.Line(contents[blob], field), nil
}
