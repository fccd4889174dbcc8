package receiver_test

import (
	"context"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/clients"
	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
)

// A GitLab that sends each delivery twice triggers one fetch for each push, whether it
// signs or not.
func TestDuplicatesOfGitLab(t *testing.T) {
	for _, version := range []string{"18.4.0", "19.1.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			key, mutex := []byte("0123456789abcdef"), sync.Mutex{}
			var commits []string
			handled := make(chan string, 8)
			listener := httptest.NewServer(&receiver.Handler{
				Key: func(context.Context) ([]byte, error) { return key, nil },
				Notify: func(_ string, push forge.Push) {
					mutex.Lock()
					defer mutex.Unlock()
					commits = append(commits, push.Commit)
				},
				Observe: func(result string) { handled <- result },
			})
			defer listener.Close()
			s := gitlab.New(t, func(o *gitlab.Options) { o.Version, o.DuplicateDeliveries = version, true })
			s.AddGroup("labs", gitlab.Private, "root")
			project := s.AddProject("labs/app", gitlab.ProjectSettings{Readme: true})
			c, err := clients.New("gitlab", client.Connection{APIServer: s.URL, Token: secrets.NewValue([]byte(s.Token("root")))})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.EnsureHook(t.Context(), project.ID, client.HookSpec{
				URL: listener.URL + receiver.TenantPath, Events: []string{"push_events"}, Secret: secrets.NewValue([]byte(receiver.Token(key, receiver.Tenant))),
			}, false)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, content := range []string{"one", "two"} {
				pushed, err := s.Push(t.Context(), "labs/app", githost.Commit{Files: map[string]string{"file": content}})
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, pushed)
			}
			var results []string
			for range 4 {
				select {
				case result := <-handled:
					results = append(results, result)
				case <-time.After(time.Minute):
					t.Fatalf("only %v came", results)
				}
			}
			mutex.Lock()
			defer mutex.Unlock()
			if slices.Sort(results); !slices.Equal(results, []string{"accepted", "accepted", "duplicate", "duplicate"}) {
				t.Errorf("the results are %v", results)
			}
			if slices.Sort(commits); !slices.Equal(commits, slices.Sorted(slices.Values(want))) {
				t.Errorf("notified of %v, want %v", commits, want)
			}
		})
	}
}
