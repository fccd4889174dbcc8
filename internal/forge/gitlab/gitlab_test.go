package gitlab

import (
	stdcmp "cmp"
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
	got := []string{f.Type, f.Name, f.TokenUser, f.Hooks.EventHeader, f.Hooks.Proofs[0].Header, f.Hooks.Proofs[1].Header, string(f.Events.Source), f.Events.Program.File}
	want := []string{"gitlab", "GitLab", "oauth2", "X-Gitlab-Event", "Webhook-Signature", "X-Gitlab-Token", string(v1alpha1.EventSourceGitLab), "gitlab.lua"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Forge (-want +got):\n%s", diff)
	}
	if !strings.Contains(f.Events.Program.Source, "X-Gitlab-Event") {
		t.Error("the program does not read the name of the event")
	}
}

func TestProofs(t *testing.T) {
	// key=$(printf 'nautes webhook signing key' | openssl dgst -sha256 -hmac token -hex | cut -d' ' -f2)
	// printf 1.1790000000.body | openssl dgst -sha256 -mac HMAC -macopt hexkey:$key -binary | base64
	const signature = "v1,YJ9ZsWjS2i7ZwxjiF7mCFFEfvyGvIDWZmmFV4fNoFbs="
	delivery := forge.Delivery{Proof: signature, ID: "1", Time: "1790000000", Body: []byte("body")}
	tests := map[string]struct {
		change func(*forge.Delivery)
		token  string
		want   bool
	}{
		"signed":            {want: true},
		"last of a list":    {change: func(d *forge.Delivery) { d.Proof = "v1a,x v1,YQ== " + signature }, want: true},
		"first of a list":   {change: func(d *forge.Delivery) { d.Proof = signature + " v1,YQ==" }, want: true},
		"none":              {change: func(d *forge.Delivery) { d.Proof = "" }},
		"without a version": {change: func(d *forge.Delivery) { d.Proof = signature[3:] }},
		"another version":   {change: func(d *forge.Delivery) { d.Proof = "v2" + signature[2:] }},
		"cut":               {change: func(d *forge.Delivery) { d.Proof = signature[:len(signature)-1] }},
		"the token":         {change: func(d *forge.Delivery) { d.Proof = "token" }},
		"another id":        {change: func(d *forge.Delivery) { d.ID = "2" }},
		"another time":      {change: func(d *forge.Delivery) { d.Time = "1790000001" }},
		"moved border":      {change: func(d *forge.Delivery) { d.ID, d.Time = "1.1790000000", "body" }},
		"another body":      {change: func(d *forge.Delivery) { d.Body = []byte("Body") }},
		"another token":     {token: "token2"},
	}
	proofs := Forge().Hooks.Proofs
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := delivery
			if tt.change != nil {
				tt.change(&d)
			}
			if got := proofs[0].Proves(d, stdcmp.Or(tt.token, "token")); got != tt.want {
				t.Errorf("signed = %t, want %t", got, tt.want)
			}
		})
	}
	for proof, want := range map[string]bool{"token": true, "token2": false, "toke": false, "": false} {
		if got := proofs[1].Proves(forge.Delivery{Proof: proof}, "token"); got != want {
			t.Errorf("the token %q proves: %t, want %t", proof, got, want)
		}
	}
}

func TestSourceOf(t *testing.T) {
	source := v1alpha1.EventSource{Name: "push", GitLab: &v1alpha1.GitLabEventSource{
		RepoName: "repo-1", Revision: "main", Events: []v1alpha1.GitLabEvent{"tag_push_events", "push_events", "tag_push_events"},
	}}
	got, listens := Forge().Events.SourceOf(source)
	want := forge.Source{Repository: "repo-1", Revision: "main", Events: []string{"push_events", "tag_push_events"}, What: []string{"push_events", "tag_push_events"}}
	if diff := cmp.Diff(want, got); diff != "" || !listens {
		t.Errorf("SourceOf: %t (-want +got):\n%s", listens, diff)
	}
	if source.GitLab.Events[0] != "tag_push_events" {
		t.Errorf("SourceOf sorted the events of its argument: %v", source.GitLab.Events)
	}
	if _, listens := Forge().Events.SourceOf(v1alpha1.EventSource{Calendar: &v1alpha1.CalendarEventSource{}}); listens {
		t.Error("a calendar listens to GitLab")
	}
}

// Only changes of code count by default, and a deployment once.
func TestWhatCounts(t *testing.T) {
	tests := map[string]struct {
		events   []v1alpha1.GitLabEvent
		actions  []v1alpha1.GitLabMergeRequestAction
		statuses []v1alpha1.GitLabDeploymentStatus
		want     []string
	}{
		"merge requests": {
			events: []v1alpha1.GitLabEvent{"merge_requests_events"},
			want:   []string{"merge_requests_events:open", "merge_requests_events:push", "merge_requests_events:reopen"},
		},
		"merges": {
			events:  []v1alpha1.GitLabEvent{"push_events", "merge_requests_events"},
			actions: []v1alpha1.GitLabMergeRequestAction{"merge", "merge"},
			want:    []string{"merge_requests_events:merge", "push_events"},
		},
		"deployments": {events: []v1alpha1.GitLabEvent{"deployment_events"}, want: []string{"deployment_events:success"}},
		"starts and failures": {
			events: []v1alpha1.GitLabEvent{"deployment_events"}, statuses: []v1alpha1.GitLabDeploymentStatus{"running", "failed"},
			want: []string{"deployment_events:failed", "deployment_events:running"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, _ := Forge().Events.SourceOf(v1alpha1.EventSource{GitLab: &v1alpha1.GitLabEventSource{
				Events: tt.events, MergeRequestActions: tt.actions, DeploymentStatuses: tt.statuses,
			}})
			if diff := cmp.Diff(tt.want, got.What); diff != "" {
				t.Errorf("What (-want +got):\n%s", diff)
			}
		})
	}
}

// An EventSource gets one entry for each hook, with the names of Argo Events.
func TestListen(t *testing.T) {
	f, spec := Forge(), &argoevents.EventSourceSpec{}
	for _, name := range []string{"a", "b"} {
		f.Events.Listen(spec, name, forge.Listener{
			Webhook: argoevents.WebhookContext{Endpoint: "/" + name, Port: "12000"}, Server: "https://git.example.com", Secret: "hook-" + name,
			Events: []string{"push_events", "merge_requests_events", "confidential_note_events", "push"},
		})
	}
	want := map[string]argoevents.GitlabEventSource{}
	for _, name := range []string{"a", "b"} {
		secret := corev1.LocalObjectReference{Name: "hook-" + name}
		want[name] = argoevents.GitlabEventSource{
			Webhook:       &argoevents.WebhookContext{Endpoint: "/" + name, Port: "12000"},
			Events:        []string{"PushEvents", "MergeRequestsEvents", "ConfidentialNoteEvents", "Push"},
			SecretToken:   &corev1.SecretKeySelector{LocalObjectReference: secret, Key: "token"},
			AccessToken:   &corev1.SecretKeySelector{LocalObjectReference: secret, Key: "placeholder"},
			GitlabBaseURL: "https://git.example.com", EnableSSLVerification: true,
		}
	}
	if diff := cmp.Diff(want, spec.Gitlab); diff != "" {
		t.Errorf("the entries (-want +got):\n%s", diff)
	}
	if f.Events.SecretData["placeholder"] == "" {
		t.Errorf("the Secret of a hook lacks the key that the entry names: %v", f.Events.SecretData)
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
		"push":                    {event: "Push Hook", body: `{"ref":"refs/heads/main","after":"` + commit + `"}`, want: true, wantPush: forge.Push{Ref: "refs/heads/main", Commit: commit}},
		"a number as ref":         {event: "Push Hook", body: `{"ref":1}`, want: true},
		"tag":                     {event: "Tag Push Hook", body: `{"after":"` + commit + `"}`, want: true, wantPush: forge.Push{Commit: commit}},
		"no hash":                 {event: "Push Hook", body: `{}`, want: true},
		"deleted":                 {event: "Push Hook", body: `{"after":"` + zeros + `"}`},
		"deleted, SHA-256":        {event: "Push Hook", body: `{"after":"` + strings.Repeat("0", 64) + `"}`},
		"system hook, push":       {event: "System Hook", body: `{"event_name":"push"}`, want: true},
		"system hook, tag":        {event: "System Hook", body: `{"event_name":"tag_push"}`, want: true},
		"system hook, tag gone":   {event: "System Hook", body: `{"event_name":"tag_push","after":"` + zeros + `"}`},
		"system hook, other":      {event: "System Hook", body: `{"event_name":"project_create"}`},
		"system hook, no name":    {event: "System Hook", body: `{}`},
		"the name in a push hook": {event: "Push Hook", body: `{"event_name":"project_create"}`, want: true},
		"issue":                   {event: "Issue Hook", body: `{}`},
		"no event":                {body: `{}`},
		"no JSON":                 {event: "Push Hook", body: "push", wantErr: true},
		"no JSON, ignored event":  {event: "Issue Hook", body: "issue", wantErr: true},
		"a list":                  {event: "Push Hook", body: "[]", wantErr: true},
		"a number as hash":        {event: "Push Hook", body: `{"after":1}`, wantErr: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			push, got, err := Forge().Hooks.ChangesBranch(tt.event, []byte(tt.body))
			if tt.want && push != tt.wantPush {
				t.Errorf("it announces %+v, want %+v", push, tt.wantPush)
			}
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("ChangesBranch = %t, %v; want %t, an error: %t", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func TestStatusRequest(t *testing.T) {
	const api = "https://gitlab.example.com"
	tests := map[string]struct {
		api, project string
		status       forge.Status
		wantURL      string
		wantBody     map[string]string
		// wantArgument is the argument that is refused.
		wantArgument string
	}{
		"number": {
			api: api, project: "42", status: forge.Status{Commit: commit, Result: launch.RunPending, Name: "n"},
			wantURL: api + "/api/v4/projects/42/statuses/" + commit, wantBody: map[string]string{"state": "pending", "name": "n"},
		},
		"all fields": {
			api: api, project: "42", status: forge.Status{Commit: commit, Result: launch.RunRunning, Name: "n", TargetURL: "https://t", Description: "a $(b)"},
			wantURL:  api + "/api/v4/projects/42/statuses/" + commit,
			wantBody: map[string]string{"state": "running", "name": "n", "target_url": "https://t", "description": "a $(b)"},
		},
		"CodeRepo": {
			api: api + "/", project: "repo-42", status: forge.Status{Commit: commit, Result: launch.RunSucceeded},
			wantURL: api + "/api/v4/projects/42/statuses/" + commit, wantBody: map[string]string{"state": "success", "name": ""},
		},
		"path": {
			api: "http://h:8080/api/v4", project: "group/sub/name", status: forge.Status{Commit: commit, Result: launch.RunFailed},
			wantURL: "http://h:8080/api/v4/projects/group%2Fsub%2Fname/statuses/" + commit, wantBody: map[string]string{"state": "failed", "name": ""},
		},
		"path of GitLab": {
			api: api + "/gitlab/api/v4/", project: "1", status: forge.Status{Commit: commit, Result: launch.RunTimeout},
			wantURL: api + "/gitlab/api/v4/projects/1/statuses/" + commit, wantBody: map[string]string{"state": "failed", "name": ""},
		},
		"hostile project and commit": {
			api: api, project: "../../x?y#z", status: forge.Status{Commit: "../x", Result: launch.RunCancelled},
			wantURL: api + "/api/v4/projects/..%2F..%2Fx%3Fy%23z/statuses/..%2Fx", wantBody: map[string]string{"state": "canceled", "name": ""},
		},
		"no CodeRepo":      {api: api, project: "repo-x", status: forge.Status{Commit: "c", Result: launch.RunFailed}, wantURL: api + "/api/v4/projects/repo-x/statuses/c", wantBody: map[string]string{"state": "failed", "name": ""}},
		"no scheme":        {api: "gitlab.example.com", project: "1", status: forge.Status{Result: launch.RunFailed}, wantArgument: "api"},
		"another scheme":   {api: "ftp://gitlab.example.com", project: "1", status: forge.Status{Result: launch.RunFailed}, wantArgument: "api"},
		"no host":          {api: "https:///api/v4", project: "1", status: forge.Status{Result: launch.RunFailed}, wantArgument: "api"},
		"a password":       {api: "https://a:s3cr3t@h", project: "1", status: forge.Status{Result: launch.RunFailed}, wantArgument: "api"},
		"a query":          {api: "https://h?s3cr3t=1", project: "1", status: forge.Status{Result: launch.RunFailed}, wantArgument: "api"},
		"a fragment":       {api: "https://h#s3cr3t", project: "1", status: forge.Status{Result: launch.RunFailed}, wantArgument: "api"},
		"not a URL":        {api: "https://h:s3cr3t", project: "1", status: forge.Status{Result: launch.RunFailed}, wantArgument: "api"},
		"no project":       {api: api, status: forge.Status{Result: launch.RunFailed}, wantArgument: "project"},
		"a dot":            {api: api, project: ".", status: forge.Status{Result: launch.RunFailed}, wantArgument: "project"},
		"two dots":         {api: api, project: "..", status: forge.Status{Result: launch.RunFailed}, wantArgument: "project"},
		"an unknown state": {api: api, project: "1", status: forge.Status{Result: "Done"}, wantArgument: "status"},
		"no state":         {api: api, project: "1", wantArgument: "status"},
		"a state of a launcher": {
			api: api, project: "1", status: forge.Status{Result: launch.RunNotStarted}, wantArgument: "status",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Forge().Statuses.Request(tt.api, tt.project, tt.status)
			if tt.wantArgument != "" {
				var refused *forge.ArgumentError
				if !errors.As(err, &refused) || refused.Argument != tt.wantArgument || !strings.HasPrefix(err.Error(), tt.wantArgument+" is ") {
					t.Fatalf("Request: %v; want the argument %s to be refused", err, tt.wantArgument)
				}
				if strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("the error repeats the argument: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var body map[string]string
			if err := json.Unmarshal(got.Body, &body); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.wantBody, body); diff != "" || got.URL != tt.wantURL || got.TokenHeader != "PRIVATE-TOKEN" {
				t.Errorf("Request = %s with %s, want %s; body (-want +got):\n%s", got.URL, got.TokenHeader, tt.wantURL, diff)
			}
		})
	}
}

func TestStatusCheck(t *testing.T) {
	const known = `{"message":"Cannot transition status via :run from :running (Reason(s): Status cannot transition via \"run\")"}`
	tests := map[string]struct {
		code int
		body string
		// want is a part of the error, empty when there is none.
		want      string
		wantRetry bool
	}{
		"created":           {code: 201},
		"ok":                {code: 200},
		"the last success":  {code: 299},
		"before a success":  {code: 199, want: "does not take"},
		"redirect":          {code: 300, want: "redirects"},
		"the last redirect": {code: 399, want: "redirects"},
		"the state is set":  {code: 400, body: known},
		"another state is":  {code: 400, body: strings.ReplaceAll(known, ":running", ":success"), want: "400"},
		"another problem":   {code: 400, body: `{"message":"from :running s3cr3t"}`, want: "400"},
		"a known state, but another code": {
			code: 422, body: known, want: "422",
		},
		"wrong token":     {code: 401, body: "s3cr3t", want: "token"},
		"no right":        {code: 403, body: "s3cr3t", want: "token"},
		"no project":      {code: 404, body: "s3cr3t", want: "no such project"},
		"too many":        {code: 429, body: "s3cr3t", want: "429", wantRetry: true},
		"broken":          {code: 500, body: "s3cr3t", want: "500", wantRetry: true},
		"broken for good": {code: 499, want: "499"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := Forge().Statuses.Check(forge.Status{Result: launch.RunRunning}, tt.code, []byte(tt.body))
			if (err == nil) != (tt.want == "") || errors.Is(err, forge.ErrRetry) != tt.wantRetry {
				t.Fatalf("Check = %v, want %q, to be tried again: %t", err, tt.want, tt.wantRetry)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cr3t")) {
				t.Errorf("Check = %v, want %q and nothing of the answer", err, tt.want)
			}
		})
	}
}
