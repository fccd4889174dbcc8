// Package mirror turns the resource files of a Git revision into a plan. It
// guarantees that a bad file affects only its own object, which keeps its last good
// state. A revision that empties or replaces the tree at once removes nothing until a
// person confirms it.
package mirror

import (
	"maps"
	pathpkg "path"
	"slices"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/plan"
)

// Entry is one resource file of a revision: its blob, and either the object in
// it or its problems.
type Entry struct {
	Blob     string
	Object   v1alpha1.Object
	Problems []v1alpha1.FileProblem
}

// Owned is an object that an earlier revision brought, and the file it came from.
type Owned struct {
	ID   plan.ID
	Path string
}

// Outcome is the plan of a revision, and the reasons why it is not all that the
// files ask for.
type Outcome struct {
	Set plan.Set
	// Paths is the file of each item.
	Paths map[plan.ID]string
	// Problems of files, by path.
	Problems map[string][]v1alpha1.FileProblem
	// Held lists the objects that the guard keeps.
	Held []plan.ID
	// Removed is the number of objects that leave the plan.
	Removed int
}

// maxProblems bounds the list in a status.
const maxProblems = 50

// Status returns the status of a mirror with the outcome of its revision.
func (o Outcome) Status(s v1alpha1.SyncStatus) v1alpha1.SyncStatus {
	s.HeldBack = int32(len(o.Held))
	s.ProblemCount = int32(len(o.Problems))
	s.Problems = nil
	for _, path := range slices.Sorted(maps.Keys(o.Problems)) {
		s.Problems = append(s.Problems, o.Problems[path]...)
	}
	s.Problems = s.Problems[:min(len(s.Problems), maxProblems)]
	return s
}

// Build returns the plan of the entries, given by path. Owned lists the objects of
// earlier revisions; the history decides which of them may go.
func Build(tenant string, owner plan.Owner, entries map[string]Entry, owned []Owned, history History) Outcome {
	out := Outcome{
		Set:      plan.Set{Owner: owner, Target: plan.Tenant},
		Paths:    map[plan.ID]string{},
		Problems: map[string][]v1alpha1.FileProblem{},
	}
	for _, path := range slices.Sorted(maps.Keys(entries)) {
		entry := entries[path]
		if len(entry.Problems) > 0 {
			out.Problems[path] = entry.Problems
			continue
		}
		id := plan.IDOf(entry.Object.GetObjectKind().GroupVersionKind(), entry.Object)
		if first, taken := out.Paths[id]; taken {
			out.Problems[path] = []v1alpha1.FileProblem{*layout.Problem(path, 0, layout.Duplicate,
				"%s %q is also declared in %s, and that file takes effect: remove or rename one of them", id.Kind, id.Name, first)}
			continue
		}
		out.Paths[id] = path
		out.Set.Items = append(out.Set.Items, item(tenant, owner, id, path, entry.Object))
	}

	var gone []Owned
	for _, have := range owned {
		_, wanted := out.Paths[have.ID]
		switch {
		case wanted:
		case out.hides(have.Path):
			out.Set.Keep = append(out.Set.Keep, have.ID)
		default:
			gone = append(gone, have)
		}
	}
	out.Held = history.hold(entries, out.Paths, owned, gone)
	out.Removed = len(gone) - len(out.Held)
	out.Set.Keep = append(out.Set.Keep, out.Held...)
	slices.SortFunc(out.Set.Keep, plan.ID.Compare)
	return out
}

// hides reports whether a file or a folder above it has a problem: a link in the
// place of a folder hides the folder's files.
func (o *Outcome) hides(path string) bool {
	for ; path != "." && path != "/"; path = pathpkg.Dir(path) {
		if len(o.Problems[path]) > 0 {
			return true
		}
	}
	return false
}

// item returns a plan's item for an object, labelled for its owner. The object
// itself is not changed.
func item(tenant string, owner plan.Owner, id plan.ID, path string, object v1alpha1.Object) plan.Item {
	labelled := object.DeepCopyObject().(v1alpha1.Object)
	labels := maps.Clone(object.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, owner.Labels(tenant))
	labelled.SetLabels(labels)
	annotations := maps.Clone(object.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.AnnotationSourcePath] = path
	labelled.SetAnnotations(annotations)
	return plan.Item{
		ID: id, Stage: plan.StageConfig, Object: labelled,
		Source: plan.Ref{Kind: "File", Namespace: owner.Name, Name: path},
	}
}
