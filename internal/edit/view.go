package edit

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/mirror"
	"nautes.io/nautes/internal/references"
)

// View is the content of a repository at one revision. It never changes.
type View struct {
	source   git.Source
	revision string
	// confirmed is the time at which the revision was known to be the head.
	confirmed time.Time
	entries   map[string]mirror.Entry
	// paths has the file of each object, and problems the problems of the other files.
	paths    map[identity]string
	problems []v1alpha1.FileProblem
	// contents has files of commits that are not pushed yet, by blob.
	contents map[string][]byte
}

// identity of an object in a repository.
type identity struct{ kind, name string }

func identityOf(o v1alpha1.Object) identity {
	return identity{references.RefOf(o).Kind, o.GetName()}
}

// Entry is an object and its file. The object is shared and must not be changed.
type Entry struct {
	Object     v1alpha1.Object
	Path, Blob string
}

// newView indexes the files of a revision. If several files declare one object, the
// first path counts, as in the mirror of the operator.
func newView(source git.Source, revision string, confirmed time.Time, entries map[string]mirror.Entry) *View {
	source.Auth = git.Auth{}
	v := &View{source: source, revision: revision, confirmed: confirmed, entries: entries, paths: map[identity]string{}}
	for _, path := range slices.Sorted(maps.Keys(entries)) {
		entry := entries[path]
		if entry.Object == nil {
			v.problems = append(v.problems, entry.Problems...)
			continue
		}
		id := identityOf(entry.Object)
		if first, taken := v.paths[id]; taken {
			v.problems = append(v.problems, *layout.Problem(path, 0, layout.Duplicate,
				"%s %q is also declared in %s, and that file takes effect: remove or rename one of them", id.kind, id.name, first))
			continue
		}
		v.paths[id] = path
	}
	return v
}

// Revision returns the hash of the commit, or "" for a repository without a branch.
func (v *View) Revision() string { return v.revision }

// Get returns an object by its kind and name.
func (v *View) Get(kind, name string) (Entry, bool) {
	path, found := v.paths[identity{kind, name}]
	if !found {
		return Entry{}, false
	}
	return v.entry(path), true
}

// List returns the objects of a kind in the order of their names.
func (v *View) List(kind string) []Entry {
	var list []Entry
	for id, path := range v.paths {
		if id.kind == kind {
			list = append(list, v.entry(path))
		}
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Object.GetName(), b.Object.GetName()) })
	return list
}

// Problems returns the problems of the files that hold no object, by path.
func (v *View) Problems() []v1alpha1.FileProblem { return slices.Clone(v.problems) }

func (v *View) entry(path string) Entry {
	return Entry{Object: v.entries[path].Object, Path: path, Blob: v.entries[path].Blob}
}

// of reports whether a view is of a branch.
func (v *View) of(source git.Source) bool {
	return v != nil && v.source.URL == source.URL && v.source.Branch == source.Branch
}

// View returns the content of a repository as it was at most maxAge ago. If the editor
// has no such view, it fetches with the credentials of the repository's source.
func (e *Editor) View(ctx context.Context, r Repository, maxAge time.Duration) (*View, error) {
	since := e.now().Add(-maxAge)
	l := e.lane(r.Key)
	if v := l.current(); v.of(r.Source) && v.confirmed.After(since) {
		return v, nil
	}
	return e.refresh(ctx, l, r, since)
}

// refresh fetches, unless another call has fetched since a time.
func (e *Editor) refresh(ctx context.Context, l *lane, r Repository, since time.Time) (*View, error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	before := l.current()
	if before.of(r.Source) && before.confirmed.After(since) {
		return before, nil
	}
	asked := e.now()
	commit, err := e.Mirrors.Fetch(ctx, r.Key, r.Source)
	if errors.Is(err, git.ErrEmpty) {
		v := newView(r.Source, "", asked, map[string]mirror.Entry{})
		l.exchange(before, v)
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := e.entriesAt(ctx, r, before, commit.Hash)
	if err != nil {
		return nil, err
	}
	v := newView(r.Source, commit.Hash, asked, entries)
	l.exchange(before, v)
	return v, nil
}

// entriesAt returns the files of a revision. It reads only the ones that differ from
// the view before, if there is one.
func (e *Editor) entriesAt(ctx context.Context, r Repository, before *View, revision string) (map[string]mirror.Entry, error) {
	files := mirror.Files{Mirrors: e.Mirrors, Key: r.Key, Kinds: e.Kinds, Scope: r.Scope}
	if !before.of(r.Source) || before.revision == "" {
		return files.All(ctx, revision)
	}
	if before.revision == revision {
		return before.entries, nil
	}
	changes, _, err := e.Mirrors.Diff(ctx, r.Key, before.revision, revision, files.Interest)
	if errors.Is(err, git.ErrUnknownRevision) {
		return files.All(ctx, revision)
	}
	if err != nil {
		return nil, err
	}
	return files.Changed(ctx, before.entries, changes)
}
