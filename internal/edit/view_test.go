package edit

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/test/githost"
)

// names lists the objects of a kind.
func names(v *View, kind string) []string {
	var list []string
	for _, entry := range v.List(kind) {
		list = append(list, entry.Object.GetName())
	}
	return list
}

func TestView(t *testing.T) {
	w := newWorld(t)
	head := w.repo.Push(map[string]string{
		"envs/test.yaml":                environment("test"),
		"envs/dev.yaml":                 environment("dev"),
		"envs/elsewhere.yaml":           environment("prod"),
		"envs/second.yaml":              environment("dev"),
		"envs/broken.yaml":              "kind: [",
		"projects/api/api.yaml":         project("api"),
		"deployments/nothing-of-ours":   "a: b",
		"production/kustomization.yaml": "resources: []",
	})
	v := w.see(t)
	if v.Revision() != head {
		t.Errorf("revision %s, want %s", v.Revision(), head)
	}
	if diff := cmp.Diff([]string{"dev", "prod", "test"}, names(v, "Environment")); diff != "" {
		t.Errorf("environments: %s", diff)
	}
	got, found := v.Get("Environment", "prod")
	if !found || got.Path != "envs/elsewhere.yaml" || got.Blob != w.repo.Git("rev-parse", "main:envs/elsewhere.yaml") || got.Object.GetNamespace() != product {
		t.Errorf("prod is %+v, %t", got, found)
	}
	for _, missing := range [][2]string{{"Environment", "nowhere"}, {"Project", "dev"}} {
		if _, found := v.Get(missing[0], missing[1]); found {
			t.Errorf("%s exists", missing)
		}
	}
	var problems [][2]string
	for _, p := range v.Problems() {
		problems = append(problems, [2]string{p.Path, p.Reason})
	}
	if diff := cmp.Diff([][2]string{{"envs/broken.yaml", "Unparsable"}, {"envs/second.yaml", "Duplicate"}}, problems); diff != "" {
		t.Errorf("problems: %s", diff)
	}
}

// TestViewFollows holds that a view is as young as asked for, follows changes and
// rewrites, and that an older one does not change.
func TestViewFollows(t *testing.T) {
	w := newWorld(t)
	first := w.repo.Push(map[string]string{"envs/dev.yaml": environment("dev")})
	before := w.see(t)
	w.repo.Push(map[string]string{"envs/test.yaml": environment("test"), "envs/dev.yaml": "kind: ["})
	cached, err := w.View(context.Background(), w.repository(), time.Hour)
	if err != nil || cached.Revision() != first {
		t.Errorf("View of an hour = %v, %v", cached, err)
	}
	for name, tt := range map[string]struct {
		got          *View
		want         []string
		wantProblems int
	}{
		"before": {before, []string{"dev"}, 0},
		"after":  {w.see(t), []string{"test"}, 1},
	} {
		if diff := cmp.Diff(tt.want, names(tt.got, "Environment")); diff != "" || len(tt.got.Problems()) != tt.wantProblems {
			t.Errorf("%s: %v %s", name, tt.got.Problems(), diff)
		}
	}
	w.repo.Commit(githost.Commit{Orphan: true, Files: map[string]string{"envs/new.yaml": environment("new")}})
	if diff := cmp.Diff([]string{"new"}, names(w.see(t), "Environment")); diff != "" {
		t.Errorf("after a rewrite: %s", diff)
	}
}

// TestViewNeedsTheServer holds that a view which is too old is not returned when the
// server does not answer.
func TestViewNeedsTheServer(t *testing.T) {
	w := newWorld(t)
	w.repo.Push(map[string]string{"envs/dev.yaml": environment("dev")})
	w.see(t)
	w.host.RequireAuth("ann", "secret")
	if _, err := w.View(context.Background(), w.repository(), 0); !errors.Is(err, git.ErrAuthentication) {
		t.Errorf("View = %v, want %v", err, git.ErrAuthentication)
	}
	if _, err := w.View(context.Background(), w.repository(), time.Hour); err != nil {
		t.Errorf("View of an hour: %v", err)
	}
}
