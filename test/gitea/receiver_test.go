package gitea_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	giteaclient "nautes.io/nautes/internal/forge/client/gitea"
	"nautes.io/nautes/internal/forge/gitea"
	"nautes.io/nautes/internal/forgehooks"
	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/internal/secrets"
	server "nautes.io/nautes/test/gitea"
)

// A hook that the operator has made reports a push of Gitea to the receiver, once.
func TestReceiver(t *testing.T) {
	s, key := server.New(t), []byte("0123456789abcdef")
	type result struct {
		name   string
		header http.Header
		body   []byte
	}
	pushes, results := make(chan forge.Push, 8), make(chan result, 8)
	var name string
	handler := &receiver.Handler{
		Key: func(context.Context) ([]byte, error) { return key, nil },
		Notify: func(source string, push forge.Push) {
			if source == "product/product-1" {
				pushes <- push
			}
		},
		Observe: func(result string) { name = result },
	}
	// Deliveries come one at a time.
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		handler.ServeHTTP(w, r)
		results <- result{name, r.Header.Clone(), body}
	}))
	defer listener.Close()

	c, repository := defaultProject(t, s)
	url := listener.URL + receiver.ProductsPath + "product-1"
	hook := forgehooks.Hook{Provider: "gitea", Path: "labs/default.project", HookSpec: client.HookSpec{
		URL: url, Events: gitea.Forge().Hooks.PushEvents, Secret: secrets.NewValue([]byte(receiver.Token(key, "product/product-1"))),
	}}
	keeper := &forgehooks.Keeper{Connect: func(context.Context, string) (client.Client, error) { return c, nil }}
	var recorded *v1alpha1.ForgeHook
	record := func(_ context.Context, at *v1alpha1.ForgeHook) error { recorded = at; return nil }
	if _, err := keeper.Ensure(t.Context(), "product-1", hook, nil, record); err != nil {
		t.Fatal(err)
	}
	commit := addFile(t, s, "labs", "default.project")
	wait := func() result {
		t.Helper()
		select {
		case got := <-results:
			return got
		case <-time.After(time.Minute):
			t.Fatal("no delivery came")
			return result{}
		}
	}
	first := wait()
	if first.name != receiver.ResultAccepted || len(pushes) != 1 {
		t.Fatalf("the delivery is %s, with %d notifications", first.name, len(pushes))
	}
	if got := <-pushes; got.Ref != "refs/heads/main" || got.Commit != commit {
		t.Errorf("the push is %+v, want commit %s of main", got, commit)
	}

	again, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(first.body))
	if err != nil {
		t.Fatal(err)
	}
	again.Header = first.header
	again.Header.Set("X-Gitea-Delivery", "another")
	answer, err := http.DefaultClient.Do(again)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if got := wait(); got.name != receiver.ResultDuplicate || answer.StatusCode != http.StatusOK || len(pushes) > 0 {
		t.Errorf("sent again it is %s with %d, want a duplicate", got.name, answer.StatusCode)
	}

	if err := keeper.Remove(t.Context(), "product-1", recorded); err != nil {
		t.Fatal(err)
	}
	if hooks, err := c.Hooks(t.Context(), repository.ID); err != nil || len(hooks) > 0 {
		t.Errorf("the hooks %+v are left, %v", hooks, err)
	}
}

// defaultProject makes the repository of a product, and returns a client of the
// administrator too.
func defaultProject(t *testing.T, s *server.Server) (client.Client, client.Repository) {
	t.Helper()
	c, err := giteaclient.New(client.Connection{APIServer: s.URL, Token: secrets.NewValue([]byte(s.Admin.Token)), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	group, err := c.EnsureGroup(t.Context(), client.GroupSpec{Path: "labs"})
	if err != nil {
		t.Fatal(err)
	}
	repository, err := c.EnsureRepository(t.Context(), client.RepositorySpec{GroupID: group.ID, Path: "default.project", Initialize: true, DefaultBranch: "main"})
	if err != nil {
		t.Fatal(err)
	}
	return c, repository
}

// addFile adds a commit to main and returns it.
func addFile(t *testing.T, s *server.Server, owner, repository string) string {
	t.Helper()
	admin, err := sdk.NewClient(s.URL, sdk.SetContext(t.Context()), sdk.SetToken(s.Admin.Token), sdk.SetGiteaVersion(""))
	if err != nil {
		t.Fatal(err)
	}
	added, _, err := admin.CreateFile(owner, repository, "projects/app/app.yaml", sdk.CreateFileOptions{
		FileOptions: sdk.FileOptions{Message: "add", BranchName: "main"}, Content: base64.StdEncoding.EncodeToString([]byte("kind: Project\n")),
	})
	if err != nil {
		t.Fatal(err)
	}
	return added.Commit.SHA
}
