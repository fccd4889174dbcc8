package githost

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// readRandom fills data with bytes that do not compress.
func readRandom(data []byte) (int, error) { return rand.Read(data) }

type call struct {
	header http.Header
	event  pushEvent
}

// receiver collects the calls of a hook.
type receiver struct{ calls chan call }

func newReceiver(t *testing.T, host *Host, status int) *receiver {
	t.Helper()
	r := &receiver{calls: make(chan call, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		received := call{header: request.Header}
		if err := json.NewDecoder(request.Body).Decode(&received.event); err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
		r.calls <- received
	}))
	t.Cleanup(server.Close)
	if err := host.AddHook(testRepository, Hook{URL: server.URL + "/hook", Token: "shared secret"}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *receiver) next(t *testing.T) call {
	t.Helper()
	select {
	case received := <-r.calls:
		return received
	case <-time.After(10 * time.Second):
		t.Fatal("the hook was not called")
		return call{}
	}
}

func TestPushHook(t *testing.T) {
	t.Parallel()
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			pushHook(t, way)
		})
	}
}

func pushHook(t *testing.T, way string) {
	host, repository := newHost(t)
	first := push(t, host, Commit{Files: map[string]string{"kept": "1", "removed": "1"}})
	calls := newReceiver(t, host, http.StatusOK)
	second := made(t, host, way, Commit{
		Message: "the title\n\nthe body",
		Files:   map[string]string{"kept": "2", "dir/añadido": "1"},
		Delete:  []string{"removed"},
	})
	got := calls.next(t)
	for name, want := range map[string]string{
		"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": "shared secret", "Content-Type": "application/json",
	} {
		if got.header.Get(name) != want {
			t.Errorf("header %s: %q, want %q", name, got.header.Get(name), want)
		}
	}
	event := got.event
	if event.ObjectKind != "push" || event.Before != first || event.After != second || event.Ref != "refs/heads/main" ||
		event.CheckoutSHA == nil || *event.CheckoutSHA != second || event.TotalCommitsCount != 1 {
		t.Errorf("event %+v, want the push from %s to %s", event, first, second)
	}
	if event.ProjectID != repository.ID || event.Project.ID != repository.ID || event.Project.PathWithNamespace != testRepository ||
		event.Project.GitHTTPURL != repository.URL || event.Project.DefaultBranch != DefaultBranch || event.Project.Namespace != "demo" {
		t.Errorf("project %+v, want %+v", event.Project, repository)
	}
	if len(event.Commits) != 1 {
		t.Fatalf("commits %+v, want one", event.Commits)
	}
	commit := event.Commits[0]
	if _, err := time.Parse(time.RFC3339, commit.Timestamp); err != nil {
		t.Error(err)
	}
	want := eventCommit{
		ID: second, Message: "the title\n\nthe body", Title: "the title", Author: pusher,
		Timestamp: commit.Timestamp, URL: commit.URL,
		Added: []string{"dir/añadido"}, Modified: []string{"kept"}, Removed: []string{"removed"},
	}
	commit.Message = strings.TrimSpace(commit.Message)
	if diff := cmp.Diff(want, commit); diff != "" {
		t.Errorf("commit (-want +got):\n%s", diff)
	}
}

func TestHooksOfBranchesAndTags(t *testing.T) {
	t.Parallel()
	host, repository := newHost(t)
	push(t, host, Commit{Files: map[string]string{"a": "1"}})
	dir, err := clone(t.Context(), t, repository.URL, "writer")
	if err != nil {
		t.Fatal(err)
	}
	calls := newReceiver(t, host, http.StatusOK)
	tests := []struct {
		name        string
		push        []string
		wantEvent   string
		wantRef     string
		wantNew     bool
		wantDeleted bool
	}{
		{name: "a new branch", push: []string{"HEAD:refs/heads/b"}, wantEvent: "Push Hook", wantRef: "refs/heads/b", wantNew: true},
		{name: "a new tag", push: []string{"HEAD:refs/tags/v1"}, wantEvent: "Tag Push Hook", wantRef: "refs/tags/v1", wantNew: true},
		{name: "a branch goes", push: []string{":refs/heads/b"}, wantEvent: "Push Hook", wantRef: "refs/heads/b", wantDeleted: true},
	}
	for _, test := range tests {
		if _, err := git(t.Context(), dir, credentialEnv("writer"), nil, append([]string{"push", "--quiet", "origin"}, test.push...)...); err != nil {
			t.Fatal(err)
		}
		got := calls.next(t)
		if name := got.header.Get("X-Gitlab-Event"); name != test.wantEvent || got.event.Ref != test.wantRef {
			t.Errorf("%s: %s of %s, want %s of %s", test.name, name, got.event.Ref, test.wantEvent, test.wantRef)
		}
		if isNew := got.event.Before == noCommit; isNew != test.wantNew {
			t.Errorf("%s: before is %s", test.name, got.event.Before)
		}
		if deleted := got.event.After == noCommit; deleted != test.wantDeleted || deleted != (got.event.CheckoutSHA == nil) {
			t.Errorf("%s: after is %s, checkout %v", test.name, got.event.After, got.event.CheckoutSHA)
		}
		if len(got.event.Commits) != 0 {
			t.Errorf("%s: commits %v, want none that are new", test.name, got.event.Commits)
		}
	}
}

func TestDeliveriesAreLogged(t *testing.T) {
	t.Parallel()
	host, _ := newHost(t)
	newReceiver(t, host, http.StatusTeapot)
	if err := host.AddHook(testRepository, Hook{URL: "http://127.0.0.1:1/nobody"}); err != nil {
		t.Fatal(err)
	}
	revision := push(t, host, Commit{Files: map[string]string{"a": "1"}})
	host.sending.Wait()
	deliveries, err := host.Deliveries(testRepository)
	if err != nil {
		t.Fatal(err)
	}
	if len(deliveries) != 2 {
		t.Fatalf("deliveries %+v, want two", deliveries)
	}
	for _, delivery := range deliveries {
		if delivery.After != revision || delivery.Before != noCommit || delivery.Ref != "refs/heads/main" {
			t.Errorf("delivery %+v, want the first push, of %s", delivery, revision)
		}
		refused := strings.HasSuffix(delivery.Hook, "/nobody")
		if refused != (delivery.Err != nil) || !refused && delivery.Status != http.StatusTeapot {
			t.Errorf("delivery to %s: %d, %v", delivery.Hook, delivery.Status, delivery.Err)
		}
	}
	if err := host.RemoveHooks(testRepository); err != nil {
		t.Fatal(err)
	}
	push(t, host, Commit{})
	host.sending.Wait()
	if again, err := host.Deliveries(testRepository); err != nil || len(again) != 2 {
		t.Errorf("deliveries without hooks: %+v, %v", again, err)
	}
}

func TestARejectedPushIsNotAnnounced(t *testing.T) {
	t.Parallel()
	host, repository := newHost(t)
	first := push(t, host, Commit{Files: map[string]string{"a": "1"}})
	push(t, host, Commit{Files: map[string]string{"a": "2"}})
	newReceiver(t, host, http.StatusOK)
	for way, commit := range ways {
		if _, err := commit(host, t.Context(), testRepository, Commit{Onto: first}); err == nil {
			t.Fatalf("%s: a commit that does not follow: no error", way)
		}
	}
	if _, err := git(t.Context(), t.TempDir(), credentialEnv("reader"), nil, "push", repository.URL, "HEAD:main"); err == nil {
		t.Fatal("a reader's push: no error")
	}
	host.sending.Wait()
	if deliveries, err := host.Deliveries(testRepository); err != nil || len(deliveries) != 0 {
		t.Errorf("deliveries %+v, %v; want none", deliveries, err)
	}
}
