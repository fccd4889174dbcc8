package rest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/githost"
)

// TestCases sends every case. Cases that begin at the same state share a world as long
// as they change nothing, which is checked after each. No operator runs here: the
// outcomes that cases expect later, and the hook of default.project, are not looked at.
func TestCases(t *testing.T) {
	s := load(t)
	s.run(t, s.Cases, func(t *testing.T) *world {
		t.Parallel()
		return newWorld(t, s)
	})
}

// run sends cases to worlds that begin makes.
func (s *suite) run(t *testing.T, cases []*testCase, begin func(t *testing.T) *world) {
	groups := map[string][]*testCase{}
	for _, c := range cases {
		key := strings.Join(s.needed(c), "\n")
		groups[key] = append(groups[key], c)
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		needed := s.needed(groups[key][0])
		var readers []*testCase
		for _, c := range groups[key] {
			if c.changes() {
				t.Run(c.Name, func(t *testing.T) {
					w := begin(t)
					w.bring(needed)
					w.check(c)
				})
			} else {
				readers = append(readers, c)
			}
		}
		if len(readers) == 0 {
			continue
		}
		t.Run("unchanged/"+readers[0].Name, func(t *testing.T) {
			w := begin(t)
			w.bring(needed)
			for _, c := range readers {
				t.Run(c.Name, func(t *testing.T) {
					w.within(t).check(c)
				})
			}
		})
	}
}

// changes reports whether a case may change the state that others begin from.
func (c *testCase) changes() bool {
	return c.Method != http.MethodGet && slices.Contains(c.Expect.Status, http.StatusOK) || c.As == "developer-who-may-push"
}

// within returns the same world for a subtest.
func (w *world) within(t *testing.T) *world {
	inner := *w
	inner.t = t
	return &inner
}

// check sends a case and compares its effects with the expected ones.
func (w *world) check(c *testCase) {
	w.t.Helper()
	before := w.state()
	got := w.send(c)
	want := c.Expect
	if !slices.Contains(want.Status, got.code) {
		w.t.Fatalf("%s %s as %s: want status %v, got %s", c.Method, c.Path, c.As, want.Status, got)
	}
	w.checkReply(c, got)
	if want.Git == "unchanged" || !c.changes() {
		if diff := cmp.Diff(before, w.state()); diff != "" {
			w.t.Errorf("the request changed something:\n%s", diff)
		}
	}
	w.checkFile(want.File, want.Commit, c.As)
	for _, one := range want.Store {
		w.checkSecret(one, before)
	}
	for _, one := range want.GitLab {
		w.checkForge(expandAll(one, w.expand).(map[string]any))
	}
}

func (w *world) checkReply(c *testCase, got reply) {
	w.t.Helper()
	want := c.Expect
	if want.Reply != nil {
		for _, text := range missing("reply", expandAll(want.Reply, w.expand), got.json) {
			w.t.Error(text)
		}
	}
	object, _ := got.json.(map[string]any)
	if got.code >= 400 {
		if kind := got.header.Get("Content-Type"); kind != "application/problem+json" {
			w.t.Errorf("the type of the reply is %q: %s", kind, got)
		}
		for _, key := range []string{"title", "status", "code", "reason", "message"} {
			if object[key] == nil {
				w.t.Errorf("the problem has no %s: %s", key, got)
			}
		}
	}
	if want.Problem != nil {
		errors, _ := object["errors"].([]any)
		for _, text := range located(want.Problem, errors) {
			w.t.Errorf("%s: %s", text, got)
		}
	}
	if !strings.Contains(got.text, want.ProblemContains) {
		w.t.Errorf("the reply does not name %q: %s", want.ProblemContains, got)
	}
	warnings := fmt.Sprint(object["warnings"])
	for _, text := range want.Warnings {
		if !strings.Contains(warnings, text) {
			w.t.Errorf("no warning names %q: %s", text, got)
		}
	}
	if len(want.ReplyHas) > 0 {
		for _, route := range w.suite.Routes {
			if !strings.Contains(got.text, `"`+route.OperationID+`"`) {
				w.t.Errorf("the reply has no operation %s", route.OperationID)
			}
		}
	}
	w.checkSecrecy(got)
}

// checkSecrecy fails if a reply has a token or a part of a kubeconfig.
func (w *world) checkSecrecy(got reply) {
	w.t.Helper()
	forbidden := slices.Collect(maps.Values(kubeconfigs()))
	forbidden = append(forbidden, "token-of-the-cluster", "another-token", "certificate-authority-data", "BEGIN OPENSSH PRIVATE KEY")
	for _, token := range w.tokens {
		forbidden = append(forbidden, token)
	}
	for _, text := range forbidden {
		if strings.Contains(got.text, text) || strings.Contains(fmt.Sprint(got.header), text) {
			w.t.Errorf("the reply holds the secret %q: %s", text, got)
		}
	}
}

func (w *world) checkFile(want *file, commit *commit, role string) {
	w.t.Helper()
	if want == nil {
		return
	}
	project := defaultProject
	if want.Repository == "tenant" {
		project = tenantPath
	}
	path := w.expand(want.Path)
	content, found := w.file(project, path)
	switch {
	case want.Absent && found:
		w.t.Errorf("the file %s is there", path)
	case !want.Absent && !found:
		w.t.Errorf("there is no file %s; there are %s", path, strings.Join(w.files(project), ", "))
	case want.YAML != "":
		var wanted, got any
		check(w.t, yaml.Unmarshal([]byte(w.expand(want.YAML)), &wanted))
		check(w.t, yaml.Unmarshal([]byte(content), &got))
		if diff := cmp.Diff(withoutZero(wanted), withoutZero(got)); diff != "" {
			w.t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	if commit == nil {
		return
	}
	shown, err := githost.Git(w.t.Context(), w.forge.Dir(project), "log", "-1", "--format=%s|%an <%ae>|%cn <%ce>", mainBranch)
	check(w.t, err)
	author := w.forge.Author(role) + " <" + role + "@example.com>"
	if want := w.expand(commit.Subject) + "|" + author + "|" + author; strings.TrimSpace(shown) != want {
		w.t.Errorf("the commit is %q, want %q", shown, want)
	}
}

func (w *world) checkSecret(want secret, before map[string]string) {
	w.t.Helper()
	ref := secrets.Ref{Engine: want.Engine, Path: w.expand(want.Path)}
	if want.Unchanged {
		if diff := cmp.Diff(secretsOf(before), secretsOf(w.state())); diff != "" {
			w.t.Errorf("a secret changed:\n%s", diff)
		}
		return
	}
	got, err := w.store.Get(w.t.Context(), ref)
	if want.Absent || want.WrittenBy != "" {
		if err == nil {
			w.t.Errorf("the secret %s is there", ref.Path)
		}
		return
	}
	if err != nil {
		w.t.Errorf("the secret %s: %v", ref.Path, err)
		return
	}
	value := string(got.Fields[want.Field].Bytes())
	switch {
	case value == "":
		w.t.Errorf("the secret %s has no %s", ref.Path, want.Field)
	case want.Equals != "":
		// Its server may be the one of the request.
		if normal := anyServer(value); normal != anyServer(kubeconfigs()["kubeconfig_yaml"]) {
			w.t.Errorf("the secret %s is another one than the posted one", ref.Path)
		}
	}
}

func secretsOf(state map[string]string) map[string]string {
	secrets := map[string]string{}
	for name, value := range state {
		if strings.HasPrefix(name, "secret ") {
			secrets[name] = value
		}
	}
	return secrets
}

// anyServer returns the parts of a kubeconfig that must be kept.
func anyServer(text string) string {
	var parsed struct {
		Clusters []struct {
			Cluster map[string]any `yaml:"cluster"`
		} `yaml:"clusters"`
		Users []struct {
			User map[string]any `yaml:"user"`
		} `yaml:"users"`
	}
	if err := yaml.Unmarshal([]byte(text), &parsed); err != nil {
		return err.Error()
	}
	for _, c := range parsed.Clusters {
		delete(c.Cluster, "server")
	}
	return fmt.Sprint(parsed)
}

// checkForge compares a group, project or deploy key of the forge.
func (w *world) checkForge(want map[string]any) {
	w.t.Helper()
	text := func(key string) string {
		if want[key] == nil {
			return ""
		}
		return fmt.Sprint(want[key])
	}
	switch {
	case want["group"] != nil:
		g, found := w.forge.FindGroup(text("group"))
		w.equal(want, found, map[string]any{"group": g.Path, "name": g.Name, "visibility": string(g.Visibility), "description": g.Description})
	case want["on"] != nil:
		found := false
		for _, key := range w.forge.Keys(text("on")) {
			if key.Title == text("deploy_key") {
				found = true
				w.equal(want, true, map[string]any{"deploy_key": key.Title, "on": text("on"), "can_push": key.CanPush})
			}
		}
		if found == (want["absent"] == true) {
			w.t.Errorf("deploy key %s on %s: found is %t", text("deploy_key"), text("on"), found)
		}
	default:
		r, found := w.forge.FindRepository(text("project"))
		got := map[string]any{"project": r.Path, "visibility": string(r.Visibility), "default_branch": r.DefaultBranch, "exactly": 1, "push_hook": want["push_hook"]}
		if found {
			for _, key := range w.forge.Keys(r.Path) {
				got["deploy_key"] = map[string]any{"title": key.Title, "can_push": key.CanPush}
			}
		}
		w.equal(want, found, got)
	}
}

func (w *world) equal(want map[string]any, found bool, got map[string]any) {
	w.t.Helper()
	if want["absent"] == true {
		if found {
			w.t.Errorf("the forge has %v", got)
		}
		return
	}
	if !found {
		w.t.Errorf("the forge does not have %v", want)
		return
	}
	for _, text := range missing("forge", want, got) {
		w.t.Error(text)
	}
}
