package mirror

import (
	"context"
	"errors"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/layout"
)

// Tracker follows one branch of one repository. It is used by one goroutine at
// a time.
type Tracker struct {
	// Mirrors keeps the repository on disk under Name.
	Mirrors *git.Mirrors
	Name    string
	// Scope says which files are resource files.
	Scope layout.Scope

	// Entries are the resource files of the revision, by path.
	Entries map[string]Entry
	// Status describes the revision: URL, branch, revision, author, time.
	Status v1alpha1.SyncStatus

	source git.Source
}

// Known tells whether the tracker holds a revision of the source.
func (t *Tracker) Known(source git.Source) bool {
	return t.Status.Revision != "" && t.source.URL == source.URL && t.source.Branch == source.Branch
}

// Behind asks the server, without fetching, whether the branch has moved.
func (t *Tracker) Behind(ctx context.Context, source git.Source) (bool, error) {
	head, err := t.Mirrors.Head(ctx, source)
	return err == nil && head != t.Status.Revision, err
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
	entries, rewritten, err := t.advance(ctx, commit, known)
	if err != nil {
		return err
	}
	when := metav1.NewTime(commit.Time)
	t.source, t.Entries = source, entries
	t.Status = v1alpha1.SyncStatus{
		URL: source.URL, Branch: source.Branch, Revision: commit.Hash, Author: commit.Author,
		CommitTime: &when, Files: int32(len(entries)), RewrittenFrom: rewritten,
	}
	return nil
}

// advance returns the entries of a commit. It reads only the files that changed
// since the revision before, when that is known.
func (t *Tracker) advance(ctx context.Context, commit git.Commit, known bool) (entries map[string]Entry, rewritten string, err error) {
	if known {
		changes, fastForward, err := t.Mirrors.Diff(ctx, t.Name, t.Status.Revision, commit.Hash)
		if err == nil {
			if !fastForward {
				rewritten = t.Status.Revision
			}
			entries = maps.Clone(t.Entries)
			var changed []git.File
			for _, change := range changes {
				delete(entries, change.Path)
				if change.New != nil {
					changed = append(changed, *change.New)
				}
			}
			return entries, rewritten, t.decode(ctx, changed, entries)
		}
		if !errors.Is(err, git.ErrUnknownRevision) {
			return nil, "", err
		}
		rewritten = t.Status.Revision
	}
	files, err := t.Mirrors.Tree(ctx, t.Name, commit.Hash)
	if err != nil {
		return nil, "", err
	}
	entries = map[string]Entry{}
	return entries, rewritten, t.decode(ctx, files, entries)
}

// decode reads the resource files among files and puts them into entries.
func (t *Tracker) decode(ctx context.Context, files []git.File, entries map[string]Entry) error {
	var blobs []string
	var wanted []git.File
	for _, file := range files {
		if problem := t.Scope.Admit(file.Path, file.Mode, file.Size); problem != nil {
			entries[file.Path] = Entry{Blob: file.Blob, Problem: problem}
			continue
		}
		if !t.Scope.Resource(file.Path) {
			continue
		}
		wanted = append(wanted, file)
		blobs = append(blobs, file.Blob)
	}
	if len(blobs) == 0 {
		return nil
	}
	contents, err := t.Mirrors.Read(ctx, t.Name, blobs)
	if err != nil {
		return err
	}
	for _, file := range wanted {
		object, problem := t.Scope.Decode(file.Path, contents[file.Blob])
		entries[file.Path] = Entry{Blob: file.Blob, Object: object, Problem: problem}
	}
	return nil
}

// Line returns the line of a field in the file at path; 0 when it is unknown.
func (t *Tracker) Line(ctx context.Context, path, field string) (int32, error) {
	contents, err := t.Mirrors.Read(ctx, t.Name, []string{t.Entries[path].Blob})
	if err != nil {
		return 0, err
	}
	return layout.Line(contents[t.Entries[path].Blob], field), nil
}
