package gitea

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/launch"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

func TestForge(t *testing.T) {
	f := Forge()
	got := []string{f.Type, f.Name, f.TokenUser, f.Hooks.EventHeader, f.Hooks.Proofs[0].Header, string(f.Events.Source), f.Events.Program.File}
	want := []string{"gitea", "Gitea", "oauth2", "X-Gitea-Event", "X-Gitea-Signature", "gitea", "gitea.lua"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Forge (-want +got):\n%s", diff)
	}
	if !strings.Contains(f.Events.Program.Source, f.Hooks.EventHeader) || !f.Hooks.Proofs[0].Signed {
		t.Error("the program does not read the name of the event, or the deliveries are not signed")
	}
}

func TestProves(t *testing.T) {
	// printf body | openssl dgst -sha256 -hmac token
	const signature = "4d7872738ac3b68c82e09ccb63975592ac3278d7e2ff228ce76d8028de911b5c"
	tests := map[string]struct {
		proof, token, body string
		want               bool
	}{
		"signed":          {proof: signature, token: "token", body: "body", want: true},
		"upper case":      {proof: strings.ToUpper(signature), token: "token", body: "body"},
		"another body":    {proof: signature, token: "token", body: "body2"},
		"another token":   {proof: signature, token: "token2", body: "body"},
		"cut":             {proof: signature[:62], token: "token", body: "body"},
		"nothing":         {token: "token", body: "body"},
		"not hexadecimal": {proof: "zz", token: "token", body: "body"},
		"the token":       {proof: "token", token: "token", body: "body"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Forge().Hooks.Proofs[0].Proves(forge.Delivery{Proof: tt.proof, Body: []byte(tt.body)}, tt.token); got != tt.want {
				t.Errorf("Proves = %t, want %t", got, tt.want)
			}
		})
	}
}

func TestSourceOf(t *testing.T) {
	source := v1alpha1.EventSource{Name: "push", Gitea: &v1alpha1.GiteaEventSource{
		RepoName: "repo-1", Revision: "main", Events: []v1alpha1.GiteaEvent{"release", "push", "pull_request", "push"},
	}}
	got, listens := Forge().Events.SourceOf(source)
	want := forge.Source{
		Repository: "repo-1", Revision: "main", Events: []string{"pull_request", "push", "release"},
		What: []string{"pull_request:opened", "pull_request:reopened", "pull_request:synchronized", "push", "release:published"},
	}
	if diff := cmp.Diff(want, got); diff != "" || !listens {
		t.Errorf("SourceOf: %t (-want +got):\n%s", listens, diff)
	}
	if source.Gitea.Events[0] != "release" {
		t.Errorf("SourceOf sorted the events of its argument: %v", source.Gitea.Events)
	}
	source.Gitea.Events, source.Gitea.PullRequestActions = []v1alpha1.GiteaEvent{"pull_request"}, []v1alpha1.GiteaPullRequestAction{"closed", "closed"}
	if got, _ := Forge().Events.SourceOf(source); !cmp.Equal(got.What, []string{"pull_request:closed"}) {
		t.Errorf("the kinds that count are %v", got.What)
	}
	for _, other := range []v1alpha1.EventSource{{Calendar: &v1alpha1.CalendarEventSource{}}, {GitLab: &v1alpha1.GitLabEventSource{}}} {
		if _, listens := Forge().Events.SourceOf(other); listens {
			t.Errorf("%+v listens to Gitea", other)
		}
	}
}

// A code repository lists events by their names in GitLab. Gitea sends the ones that it has.
func TestSent(t *testing.T) {
	repo := &v1alpha1.CodeRepo{Spec: v1alpha1.CodeRepoSpec{Webhook: &v1alpha1.Webhook{Events: []v1alpha1.GitLabEvent{
		"push_events", "tag_push_events", "deployment_events", "issues_events", "merge_requests_events", "note_events", "wiki_page_events", "job_events",
	}}}}
	got := Forge().Events.Sent(forge.Source{Events: []string{"release"}}, repo)
	if diff := cmp.Diff([]string{"issue_comment", "issues", "pull_request", "push", "release", "wiki"}, got); diff != "" {
		t.Errorf("Sent (-want +got):\n%s", diff)
	}
	if _, err := HookEvents(got); err != nil {
		t.Errorf("a hook cannot send them: %v", err)
	}
	if got := Forge().Events.Sent(forge.Source{Events: []string{"push"}}, nil); !cmp.Equal(got, []string{"push"}) {
		t.Errorf("Sent without a repository = %v", got)
	}
}

func TestHookEvents(t *testing.T) {
	tests := map[string]struct {
		names, want []string
		wantErr     bool
	}{
		"one":                    {names: []string{"push"}, want: []string{"push"}},
		"twice, unsorted":        {names: []string{"release", "push", "release"}, want: []string{"push", "release"}},
		"a group and its part":   {names: []string{"issues", "issue_comment"}, want: []string{"issue_assign", "issue_comment", "issue_label", "issue_milestone", "issues"}},
		"only the event":         {names: []string{"issues_only", "pull_request_only"}, want: []string{"issues", "pull_request"}},
		"none":                   {},
		"an unknown one":         {names: []string{"push", "pussh"}, wantErr: true},
		"a name of GitLab's API": {names: []string{"push_events"}, wantErr: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := HookEvents(tt.names)
			if (err != nil) != tt.wantErr || tt.wantErr && !errors.Is(err, ErrEvent) {
				t.Fatalf("HookEvents: %v, want an error: %t", err, tt.wantErr)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("HookEvents (-want +got):\n%s", diff)
			}
		})
	}
}

// An EventSource gets one entry for each hook, which believes only a signature.
func TestListen(t *testing.T) {
	f, spec := Forge(), &argoevents.EventSourceSpec{}
	want := map[string]argoevents.GithubEventSource{}
	for _, name := range []string{"a", "b"} {
		f.Events.Listen(spec, name, forge.Listener{
			Webhook: argoevents.WebhookContext{Endpoint: "/" + name, Port: "12000"}, Server: "https://git.example.com", Secret: "hook-" + name,
			Events: []string{"push"},
		})
		want[name] = argoevents.GithubEventSource{
			Webhook: &argoevents.WebhookContext{Endpoint: "/" + name, Port: "12000"}, Events: []string{"push"}, ContentType: "json", Organizations: []string{"none"},
			WebhookSecret: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "hook-" + name}, Key: "token"},
		}
	}
	if diff := cmp.Diff(want, spec.Github); diff != "" {
		t.Errorf("the entries (-want +got):\n%s", diff)
	}
	entry := spec.Github["a"]
	if entry.NeedToCreateHooks() {
		t.Error("Argo Events makes hooks by itself")
	}
}

func TestChangesBranch(t *testing.T) {
	zeros := strings.Repeat("0", 40)
	tests := map[string]struct {
		event, body string
		want        bool
		wantPush    forge.Push
		wantErr     bool
	}{
		"push":                   {event: "push", body: `{"ref":"refs/heads/main","after":"` + commit + `"}`, want: true, wantPush: forge.Push{Ref: "refs/heads/main", Commit: commit}},
		"tag":                    {event: "push", body: `{"ref":"refs/tags/v1","after":"` + commit + `"}`, want: true, wantPush: forge.Push{Ref: "refs/tags/v1", Commit: commit}},
		"no hash":                {event: "push", body: `{}`, want: true},
		"deleted":                {event: "push", body: `{"after":"` + zeros + `"}`},
		"deleted, SHA-256":       {event: "push", body: `{"after":"` + strings.Repeat("0", 64) + `"}`},
		"issue":                  {event: "issues", body: `{}`},
		"no event":               {body: `{}`},
		"no JSON":                {event: "push", body: "push", wantErr: true},
		"no JSON, ignored event": {event: "issues", body: "issue", wantErr: true},
		"a number as hash":       {event: "push", body: `{"after":1}`, wantErr: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			pushed, got, err := Forge().Hooks.ChangesBranch(tt.event, []byte(tt.body))
			if tt.want && pushed != tt.wantPush {
				t.Errorf("it announces %+v, want %+v", pushed, tt.wantPush)
			}
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("ChangesBranch = %t, %v; want %t, an error: %t", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func TestStatusRequest(t *testing.T) {
	status := forge.Status{Commit: commit, Result: launch.RunSucceeded, Name: "nautes", TargetURL: "https://tekton.example.com", Description: "done"}
	for _, api := range []string{"https://gitea.example.com/git", "https://gitea.example.com/git/api/v1/"} {
		got, err := Forge().Statuses.Request(api, "labs/app.web", status)
		if err != nil {
			t.Fatal(err)
		}
		if want := "https://gitea.example.com/git/api/v1/repos/labs/app.web/statuses/" + commit; got.URL != want || got.TokenHeader != "Authorization" || got.TokenPrefix != "token " {
			t.Errorf("the request is %+v, want it at %s", got, want)
		}
		var body map[string]string
		if err := json.Unmarshal(got.Body, &body); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"state": "success", "context": "nautes", "target_url": "https://tekton.example.com", "description": "done"}
		if diff := cmp.Diff(want, body); diff != "" {
			t.Errorf("the body (-want +got):\n%s", diff)
		}
	}
	for name, tt := range map[string]struct{ api, project, result, want string }{
		"no address":    {api: "gitea.example.com", project: "labs/app", result: launch.RunFailed, want: "api"},
		"a password":    {api: "https://u:s3cr3t@gitea.example.com", project: "labs/app", result: launch.RunFailed, want: "api"},
		"a number":      {api: "https://gitea.example.com", project: "7", result: launch.RunFailed, want: "project"},
		"climbing":      {api: "https://gitea.example.com", project: "../..", result: launch.RunFailed, want: "project"},
		"a deep path":   {api: "https://gitea.example.com", project: "a/b/c", result: launch.RunFailed, want: "project"},
		"a wrong state": {api: "https://gitea.example.com", project: "labs/app", result: "Purple", want: "status"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Forge().Statuses.Request(tt.api, tt.project, forge.Status{Commit: commit, Result: tt.result})
			var wrong *forge.ArgumentError
			if !errors.As(err, &wrong) || wrong.Argument != tt.want || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("Request: %v, want an error about %s", err, tt.want)
			}
		})
	}
}

func TestStates(t *testing.T) {
	want := map[string]string{
		launch.RunPending: "pending", launch.RunRunning: "pending", launch.RunSucceeded: "success", launch.RunFailed: "failure",
		launch.RunTimeout: "failure", launch.RunCancelled: "error", "Purple": "",
	}
	for result, state := range want {
		if got := State(result); got != state {
			t.Errorf("State(%s) = %q, want %q", result, got, state)
		}
	}
}

func TestStatusCheck(t *testing.T) {
	tests := map[string]struct {
		code      int
		want      string
		wantRetry bool
	}{
		"created":     {code: 201},
		"redirect":    {code: 307, want: "redirects"},
		"refused":     {code: 422, want: "422"},
		"wrong token": {code: 401, want: "token"},
		"no right":    {code: 403, want: "token"},
		"missing":     {code: 404, want: "no such repository"},
		"too many":    {code: 429, want: "429", wantRetry: true},
		"broken":      {code: 500, want: "500", wantRetry: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := Forge().Statuses.Check(forge.Status{}, tt.code, []byte("s3cr3t"))
			if (err == nil) != (tt.want == "") || errors.Is(err, forge.ErrRetry) != tt.wantRetry {
				t.Fatalf("Check = %v, want %q, to be tried again: %t", err, tt.want, tt.wantRetry)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cr3t")) {
				t.Errorf("Check = %v, want %q and nothing of the answer", err, tt.want)
			}
		})
	}
}
