package mirror

import (
	"context"
	"maps"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/schema"
)

// Files reads the resource files of revisions of one repository.
type Files struct {
	// Mirrors keeps the repository on disk under Key.
	Mirrors *git.Mirrors
	Key     string
	// Kinds checks the objects in the files.
	Kinds *schema.Kinds
	// Scope determines which files are resource files.
	Scope layout.Scope
}

// All returns the resource files of a revision, by path.
func (f Files) All(ctx context.Context, revision string) (map[string]Entry, error) {
	files, err := f.Mirrors.Tree(ctx, f.Key, revision, f.Interest)
	if err != nil {
		return nil, err
	}
	entries := map[string]Entry{}
	return entries, f.decode(ctx, entries, files)
}

// Changed returns the resource files after changes of a revision whose files are given.
// It reads only files that changed.
func (f Files) Changed(ctx context.Context, before map[string]Entry, changes []git.Change) (map[string]Entry, error) {
	entries := maps.Clone(before)
	var changed []git.File
	for _, change := range changes {
		delete(entries, change.Path)
		if change.New != nil {
			changed = append(changed, *change.New)
		}
	}
	return entries, f.decode(ctx, entries, changed)
}

// Interest returns how much an entry of the repository matters: a product's own files
// do not count.
func (f Files) Interest(path, mode string) git.Interest {
	switch f.Scope.Look(path, mode) {
	case layout.Ours:
		return git.Required
	case layout.Suspect:
		return git.Optional
	}
	return git.Ignored
}

// maxSuspects is the number of files that are read to find out whether they hold an
// object although their names are not the ones of resource files.
const maxSuspects = 500

// decode reads the resource files among files and puts them into the entries.
func (f Files) decode(ctx context.Context, entries map[string]Entry, files []git.File) error {
	var suspects, wanted []git.File
	var blobs []string
	for _, file := range files {
		if problem := f.Scope.Admit(file.Path, file.Mode, file.Size); problem != nil {
			entries[file.Path] = Entry{Blob: file.Blob, Problems: []v1alpha1.FileProblem{*problem}}
			continue
		}
		if !f.Scope.Resource(file.Path) {
			if problem := f.Scope.Misnamed(file.Path); problem != nil {
				entries[file.Path] = Entry{Blob: file.Blob, Problems: []v1alpha1.FileProblem{*problem}}
			} else if f.Scope.Readable(file.Path, file.Mode, file.Size) {
				suspects = append(suspects, file)
			}
			continue
		}
		wanted = append(wanted, file)
		blobs = append(blobs, file.Blob)
	}
	contents, err := f.Mirrors.Read(ctx, f.Key, blobs)
	if err != nil {
		return err
	}
	for _, file := range wanted {
		object, problems := f.Scope.Decode(f.Kinds, file.Path, contents[file.Blob])
		entries[file.Path] = Entry{Blob: file.Blob, Object: object, Problems: problems}
	}
	return f.decodeSuspects(ctx, entries, suspects)
}

// decodeSuspects reports the files that hold an object and have the wrong name.
func (f Files) decodeSuspects(ctx context.Context, entries map[string]Entry, suspects []git.File) error {
	suspects = suspects[:min(len(suspects), maxSuspects)]
	var blobs []string
	for _, file := range suspects {
		blobs = append(blobs, file.Blob)
	}
	contents, err := f.Mirrors.Read(ctx, f.Key, blobs)
	if err != nil {
		return err
	}
	for _, file := range suspects {
		if problem := f.Scope.Stray(file.Path, contents[file.Blob]); problem != nil {
			entries[file.Path] = Entry{Blob: file.Blob, Problems: []v1alpha1.FileProblem{*problem}}
		}
	}
	return nil
}
