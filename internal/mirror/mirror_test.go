package mirror

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/plan"
)

var owner = plan.Owner{Kind: "Product", Product: "product-1", Name: "product-1"}

func project(name string) Entry {
	return Entry{Blob: "b-" + name, Object: &v1alpha1.Project{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Project"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: name, Labels: map[string]string{"team": "a"}},
	}}
}

func broken(path string) Entry {
	return Entry{Problems: []v1alpha1.FileProblem{{Path: path, Line: 3, Reason: layout.Unparsable, Message: "correct it"}, {Path: path, Line: 4, Reason: layout.Invalid, Message: "correct it too"}}}
}

func id(name string) plan.ID {
	return plan.ID{Group: v1alpha1.GroupVersion.Group, Kind: "Project", Namespace: "product-1", Name: name}
}

// bare is a file whose object has neither labels nor annotations.
func bare(name string) Entry {
	entry := project(name)
	entry.Object.SetLabels(nil)
	return entry
}

func owned(names ...string) []Owned {
	var all []Owned
	for _, name := range names {
		all = append(all, Owned{ID: id(name), Path: "projects/" + name + "/" + name + ".yaml"})
	}
	return all
}

func TestBuild(t *testing.T) {
	path := func(name string) string { return "projects/" + name + "/" + name + ".yaml" }
	for name, test := range map[string]struct {
		entries      map[string]Entry
		owned        []Owned
		confirmed    bool
		wantItems    []string
		wantKeep     []string
		wantProblems []string
		wantHeld     int
		wantRemoved  int
	}{
		"files become items": {
			entries:   map[string]Entry{path("a"): project("a"), path("b"): project("b")},
			wantItems: []string{"a", "b"},
		},
		"a file without labels": {
			entries: map[string]Entry{path("a"): bare("a")}, wantItems: []string{"a"},
		},
		"an object whose file left the tree is removed": {
			entries: map[string]Entry{path("a"): project("a"), path("b"): project("b")}, owned: owned("a", "b", "c"),
			wantItems: []string{"a", "b"}, wantRemoved: 1,
		},
		"half of the objects may go": {
			entries: map[string]Entry{path("a"): project("a")}, owned: owned("a", "b"),
			wantItems: []string{"a"}, wantRemoved: 1,
		},
		"more than half is held back": {
			entries: map[string]Entry{path("a"): project("a")}, owned: owned("a", "b", "c"),
			wantItems: []string{"a"}, wantKeep: []string{"b", "c"}, wantHeld: 2,
		},
		"more than half goes when confirmed": {
			entries: map[string]Entry{path("a"): project("a")}, owned: owned("a", "b", "c"), confirmed: true,
			wantItems: []string{"a"}, wantRemoved: 2,
		},
		"an emptied repository keeps everything": {
			entries: map[string]Entry{}, owned: owned("a"),
			wantKeep: []string{"a"}, wantHeld: 1,
		},
		"a broken file keeps its object and stops nothing else": {
			entries: map[string]Entry{path("a"): broken(path("a")), path("b"): project("b")}, owned: owned("a"),
			wantItems: []string{"b"}, wantKeep: []string{"a"}, wantProblems: []string{path("a")},
		},
		"a link in the place of a folder keeps the folder's objects": {
			entries: map[string]Entry{"projects": broken("projects"), "envs/b.yaml": project("b")}, owned: owned("a"),
			wantItems: []string{"b"}, wantKeep: []string{"a"}, wantProblems: []string{"projects"},
		},
		"a moved file is not a removal": {
			entries: map[string]Entry{"projects/a/other.yaml": project("a")}, owned: owned("a"),
			wantItems: []string{"a"},
		},
		"of two files with one object the first takes effect": {
			entries:   map[string]Entry{path("a"): project("a"), "projects/a/z.yaml": project("a")},
			wantItems: []string{"a"}, wantProblems: []string{"projects/a/z.yaml"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Build("t", owner, test.entries, test.owned, History{Confirmed: test.confirmed})
			if got.Set.Target != plan.Tenant || got.Set.Owner != owner {
				t.Errorf("the set is for %v of %v", got.Set.Target, got.Set.Owner)
			}
			var items, keep []string
			for _, item := range got.Set.Items {
				items = append(items, item.ID.Name)
				for label, want := range owner.Labels("t") {
					if item.Object.GetLabels()[label] != want {
						t.Errorf("%s: label %s is %q, want %q", item.ID, label, item.Object.GetLabels()[label], want)
					}
				}
				if want := test.entries[got.Paths[item.ID]].Object.GetLabels()["team"]; item.Object.GetLabels()["team"] != want {
					t.Errorf("%s lost the label of its file", item.ID)
				}
				if source := item.Object.GetAnnotations()[v1alpha1.AnnotationSourcePath]; source != got.Paths[item.ID] {
					t.Errorf("%s says it comes from %q, want %q", item.ID, source, got.Paths[item.ID])
				}
			}
			for _, id := range got.Set.Keep {
				keep = append(keep, id.Name)
			}
			var problems []string
			for path, of := range got.Problems {
				problems = append(problems, path)
				want := test.entries[path].Problems
				if len(want) == 0 {
					want = []v1alpha1.FileProblem{{Path: path, Reason: layout.Duplicate, Message: `Project "a" is also declared in projects/a/a.yaml, and that file takes effect: remove or rename one of them`}}
				}
				if diff := cmp.Diff(want, of); diff != "" {
					t.Errorf("problems of %s (-want +got):\n%s", path, diff)
				}
			}
			slices.Sort(problems)
			for name, pair := range map[string][2]any{
				"items": {test.wantItems, items}, "kept": {test.wantKeep, keep}, "problems": {test.wantProblems, problems},
				"held back": {test.wantHeld, len(got.Held)}, "removed": {test.wantRemoved, got.Removed},
			} {
				if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// The labels of a plan are on copies, because an entry is decoded once and used again.
func TestBuildLeavesEntriesAlone(t *testing.T) {
	entries := map[string]Entry{"projects/a/a.yaml": project("a")}
	before := entries["projects/a/a.yaml"].Object.DeepCopyObject()
	Build("t", owner, entries, nil, History{})
	if diff := cmp.Diff(before, entries["projects/a/a.yaml"].Object); diff != "" {
		t.Errorf("Build changed its input:\n%s", diff)
	}
}

// For random files and objects, each owned object is in exactly one of items,
// kept and removed, and equal input gives an equal plan.
func TestBuildAccountsForEverything(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		entries := map[string]Entry{}
		var have []Owned
		for i := range r.IntN(30) {
			name := fmt.Sprintf("p%d", i)
			path := "projects/" + name + "/" + name + ".yaml"
			switch r.IntN(3) {
			case 0:
				entries[path] = project(name)
			case 1:
				entries[path] = broken(path)
			}
			if r.IntN(2) == 0 {
				have = append(have, owned(name)...)
			}
		}
		got := Build("t", owner, entries, have, History{Confirmed: r.IntN(2) == 0})
		kept := map[plan.ID]bool{}
		for _, id := range got.Set.Keep {
			kept[id] = true
		}
		removed := 0
		for _, o := range have {
			_, item := got.Paths[o.ID]
			switch {
			case item && kept[o.ID]:
				t.Fatalf("seed %d: %s is written and kept", seed, o.ID)
			case !item && !kept[o.ID]:
				removed++
			}
		}
		if removed != got.Removed {
			t.Fatalf("seed %d: %d objects are gone from the plan, %d are reported", seed, removed, got.Removed)
		}
		shuffled := slices.Clone(have)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if diff := cmp.Diff(got, Build("t", owner, entries, shuffled, History{Confirmed: len(got.Held) == 0})); diff != "" {
			t.Fatalf("seed %d: the plan depends on the order of its input:\n%s", seed, diff)
		}
	}
}

// The status counts every file with a problem, and lists the first problems by path.
func TestStatusOfOutcome(t *testing.T) {
	out := Outcome{Held: make([]plan.ID, 3), Problems: map[string][]v1alpha1.FileProblem{}}
	for i := range maxProblems {
		path := fmt.Sprintf("f%02d", i)
		out.Problems[path] = []v1alpha1.FileProblem{{Path: path, Message: "a"}, {Path: path, Message: "b"}}
	}
	got := out.Status(v1alpha1.SyncStatus{Revision: "r", Problems: []v1alpha1.FileProblem{{Path: "old"}}})
	if got.Revision != "r" || got.HeldBack != 3 || int(got.ProblemCount) != maxProblems || len(got.Problems) != maxProblems {
		t.Fatalf("the status is %+v", got)
	}
	for i, problem := range got.Problems {
		if want := fmt.Sprintf("f%02d", i/2); problem.Path != want {
			t.Errorf("problem %d is of %s, want %s", i, problem.Path, want)
		}
	}
	if got := (Outcome{}).Status(v1alpha1.SyncStatus{HeldBack: 1, ProblemCount: 1}); got.HeldBack != 0 || got.ProblemCount != 0 || got.Problems != nil {
		t.Errorf("the status of a clean revision is %+v", got)
	}
}
