package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/gitlab"
)

// change is a request that calls the forge more than once to change something.
type change struct {
	// example is the case whose request it is. With removes, the request deletes that
	// object instead, as an owner.
	example string
	removes bool
	query   url.Values
	// wantAgain are the answers to the request when it is repeated.
	wantAgain []int
}

func changesOfTheForge() map[string]change {
	return map[string]change{
		"product":            {example: "product-save", wantAgain: []int{http.StatusOK}},
		"repository":         {example: "coderepo-save-of-the-product", wantAgain: []int{http.StatusOK}},
		"binding":            {example: "binding-save", wantAgain: []int{http.StatusOK}},
		"repository removed": {example: "coderepo-delete", wantAgain: []int{http.StatusOK, http.StatusNotFound}},
		"repository removed with its project": {
			example: "coderepo-delete", query: url.Values{"delete_project": {"true"}}, wantAgain: []int{http.StatusOK, http.StatusNotFound},
		},
		"product removed": {example: "product-save", removes: true, wantAgain: []int{http.StatusOK, http.StatusNotFound}},
	}
}

// breaks are the ways in which the forge fails: it is away from a call on, it answers
// with errors from a call on, or the answer to one call is lost after it was served.
func breaks() map[string]struct {
	fault gitlab.Fault
	once  bool
} {
	return map[string]struct {
		fault gitlab.Fault
		once  bool
	}{
		"away":   {fault: gitlab.Refused()},
		"errors": {fault: gitlab.BadGateway()},
		"lost":   {fault: gitlab.Lost(), once: true},
	}
}

// TestForgeFailsAtEachCall lets the forge fail at each call of each change, of its API and
// of Git. The answer says so, no key is left without its repository, and the same request,
// sent again, ends where an undisturbed one does.
func TestForgeFailsAtEachCall(t *testing.T) {
	s := load(t)
	for name, c := range changesOfTheForge() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, s)
			w.bring(w.before(c))
			calls, _ := w.breakFrom(-1, nil, false)
			if got := w.make(c); got.code != http.StatusOK {
				t.Fatalf("undisturbed: %s", got)
			}
			want, n := w.outcome(), calls()
			if n < 2 {
				t.Fatalf("the change makes %d calls", n)
			}
			for way, how := range breaks() {
				for call := range n {
					t.Run(fmt.Sprintf("%s at call %d", way, call+1), func(t *testing.T) {
						t.Parallel()
						w := newWorld(t, s)
						w.bring(w.before(c))
						_, heal := w.breakFrom(call, how.fault, how.once)
						first := w.make(c)
						heal()
						if first.code != http.StatusOK && first.code < http.StatusInternalServerError {
							t.Errorf("the answer is no failure of the forge: %s", first)
						}
						w.checkSecrecy(first)
						w.checkKeys()
						again := w.make(c)
						if !slices.Contains(c.wantAgain, again.code) {
							t.Fatalf("after %s, the same request again: %s", first, again)
						}
						w.checkKeys()
						if diff := cmp.Diff(want, w.outcome()); diff != "" {
							t.Errorf("after %s, the repeated request ends elsewhere (-undisturbed +repeated):\n%s", first, diff)
						}
					})
				}
			}
		})
	}
}

// before returns the cases that must hold before a change.
func (w *world) before(c change) []string {
	example := w.suite.byName[c.example]
	needed := w.suite.needed(example)
	if c.removes {
		needed = append(needed, c.example)
	}
	return needed
}

// make sends the request of a change.
func (w *world) make(c change) reply {
	w.t.Helper()
	example := w.suite.byName[c.example]
	if c.removes {
		return w.request("owner", http.MethodDelete, example.Path, c.query, nil, nil)
	}
	body, err := w.suite.body(example, w.expand)
	check(w.t, err)
	return w.request(example.As, example.Method, example.Path, c.query, nil, body)
}

// breakFrom lets the requests to the forge fail from one on, or this one only. The first
// has the number 0; none fails if it is negative. calls returns their number.
func (w *world) breakFrom(first int, fault gitlab.Fault, once bool) (calls func() int, heal func()) {
	var seen atomic.Int64
	heal = w.gitLab().Fail(func(*http.Request) bool {
		n := int(seen.Add(1)) - 1
		return first >= 0 && (n == first || n > first && !once)
	}, 0, fault)
	return func() int { return int(seen.Load()) }, heal
}

// checkKeys fails if a deploy key is stored for a repository that does not exist, or a
// repository has a key or a hook twice.
func (w *world) checkKeys() {
	w.t.Helper()
	ids := map[string]bool{}
	for _, p := range w.forge.Repositories() {
		ids["repo-"+itoa(p.ID)] = true
		seen := map[string]bool{}
		for _, key := range w.forge.Keys(p.Path) {
			if seen[key.Title] {
				w.t.Errorf("%s has the key %s twice", p.Path, key.Title)
			}
			seen[key.Title] = true
		}
		for _, url := range w.forge.Hooks(p.Path) {
			if seen[url] {
				w.t.Errorf("%s has the hook %s twice", p.Path, url)
			}
			seen[url] = true
		}
	}
	for id := range int64(maxID) {
		if repo := "repo-" + itoa(id); !ids[repo] && len(w.keysOf(repo)) > 0 {
			w.t.Errorf("%v are stored, and there is no repository %d", w.keysOf(repo), id)
		}
	}
}

// maxID is more than the numbers that the forge gives in a test.
const maxID = 500

// keysOf returns the permissions of the deploy keys that are stored for a repository.
func (w *world) keysOf(repo string) []string {
	w.t.Helper()
	var stored []string
	for permission, ref := range map[string]secrets.Ref{
		"readonly": secrets.RepositoryReadOnly(w.forge.Kind(), repo), "readwrite": secrets.RepositoryReadWrite(w.forge.Kind(), repo),
	} {
		switch _, err := w.store.Get(w.t.Context(), ref); {
		case err == nil:
			stored = append(stored, permission)
		case !errors.Is(err, secrets.ErrNotFound):
			w.t.Fatal(err)
		}
	}
	slices.Sort(stored)
	return stored
}

// outcome is the state of the forge, default.project and the stored keys, without values
// that differ each time: commits, keys, the port of the forge and the numbers of
// repositories.
func (w *world) outcome() map[string]string {
	w.t.Helper()
	outcome := map[string]string{}
	plain := []string{w.gitLab().URL, "forge"}
	for _, p := range w.forge.Repositories() {
		if p.ID >= maxID {
			w.t.Fatalf("the number of %s is %d: raise maxID", p.Path, p.ID)
		}
		plain = append(plain, "repo-"+itoa(p.ID), "repo of "+p.Path)
	}
	replacer := strings.NewReplacer(plain...)
	for name, value := range w.state() {
		if strings.HasPrefix(name, "key of ") || strings.HasPrefix(name, "hook of ") || strings.HasPrefix(name, "group ") {
			outcome[replacer.Replace(name)] = replacer.Replace(value)
		}
	}
	for _, p := range w.forge.Repositories() {
		outcome["stored keys of "+p.Path] = strings.Join(w.keysOf("repo-"+itoa(p.ID)), " ")
		if p.Path == tenantPath {
			continue
		}
		for _, file := range w.files(p.Path) {
			content, _ := w.file(p.Path, file)
			outcome[replacer.Replace("file "+file+" of "+p.Path)] = replacer.Replace(content)
		}
	}
	return outcome
}
