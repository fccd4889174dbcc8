package reports

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	gitlabclient "nautes.io/nautes/internal/forge/client/gitlab"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/pace"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
)

const one, two = "0123456789abcdef0123456789abcdef01234567", "fedcba9876543210fedcba9876543210fedcba98"

func deployment(change ...func(*v1alpha1.DeploymentRuntime)) *v1alpha1.DeploymentRuntime {
	r := &v1alpha1.DeploymentRuntime{
		ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "dr"},
		Spec: v1alpha1.DeploymentRuntimeSpec{
			ManifestSource: v1alpha1.ManifestSource{CodeRepo: "repo-1"}, Destination: v1alpha1.DeploymentDestination{Environment: "dev"},
		},
		Status: v1alpha1.DeploymentRuntimeStatus{Application: &v1alpha1.ApplicationStatus{Sync: "Synced", Health: "Healthy", Revision: one}},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func healthIs(sync, health string) func(*v1alpha1.DeploymentRuntime) {
	return func(r *v1alpha1.DeploymentRuntime) {
		r.Status.Application.Sync, r.Status.Application.Health = sync, health
	}
}

func TestOfDeployment(t *testing.T) {
	failed := observed.Application{Cause: observed.CauseRetried, Attempt: two}
	for name, test := range map[string]struct {
		change   func(*v1alpha1.DeploymentRuntime)
		app      observed.Application
		reported string
		// want is the commit and the result, or empty.
		want string
	}{
		"healthy":                   {change: healthIs("Synced", "Healthy"), want: one + " Succeeded"},
		"degraded":                  {change: healthIs("Synced", "Degraded"), want: one + " Failed"},
		"missing":                   {change: healthIs("Synced", "Missing"), want: one + " Failed"},
		"progressing":               {change: healthIs("Synced", "Progressing"), want: one + " Running"},
		"progressing after success": {change: healthIs("Synced", "Progressing"), reported: "Succeeded"},
		"suspended":                 {change: healthIs("Synced", "Suspended")},
		"out of sync":               {change: healthIs("OutOfSync", "Healthy")},
		"not compared yet":          {change: healthIs("", "Healthy")},
		"a failed sync":             {change: healthIs("OutOfSync", "Healthy"), app: failed, want: two + " Failed"},
		"a sync that waits":         {change: healthIs("OutOfSync", "Healthy"), app: observed.Application{Cause: observed.CauseWaits, Attempt: two}},
		"several revisions":         {change: func(r *v1alpha1.DeploymentRuntime) { r.Status.Application.Revision = one + "," + two }},
		"no revision":               {change: func(r *v1alpha1.DeploymentRuntime) { r.Status.Application.Revision = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			status, found := ofDeployment(deployment(test.change), &test.app, func(string) string { return test.reported })
			got := ""
			if found {
				got = status.Commit + " " + status.Result
				if status.Name != "nautes/dev/dr" || status.Description == "" {
					t.Errorf("the status is %+v", status)
				}
			}
			if got != test.want {
				t.Errorf("status %q, want %q", got, test.want)
			}
		})
	}
}

func TestOfRuns(t *testing.T) {
	run := func(pipeline, commit, result string) v1alpha1.PipelineRunStatus {
		return v1alpha1.PipelineRunStatus{Pipeline: pipeline, Commit: commit, Result: result}
	}
	r := &v1alpha1.ProjectPipelineRuntime{ObjectMeta: metav1.ObjectMeta{Name: "build"}, Spec: v1alpha1.ProjectPipelineRuntimeSpec{
		Pipelines: []v1alpha1.Pipeline{{Name: "main"}, {Name: "test"}},
	}}
	r.Status.Runs = []v1alpha1.PipelineRunStatus{
		run("main", two, "Running"), run("main", one, "Succeeded"), run("main", one, "Failed"), run("test", one, "Timeout"), run("test", two, "NotStarted"),
		run("unknown", one, "Failed"), run("main", "main", "Failed"), run("main", "", "Failed"),
	}
	var got []string
	for _, status := range ofRuns(r) {
		got = append(got, status.Name+" "+status.Commit[:4]+" "+status.Result)
	}
	want := []string{"nautes/build/main fedc Running", "nautes/build/main 0123 Succeeded", "nautes/build/test 0123 Timeout", "nautes/build/test fedc Failed"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

// world is a GitLab with a repository of a product, and a reporter whose clock is set.
type world struct {
	*gitlab.Server
	t        *testing.T
	reporter *Reporter
	r        *v1alpha1.DeploymentRuntime
	now      time.Time
	token    string
	off      bool
	// foreign: the path of the product's group belongs to another group by now.
	foreign bool
	// commits are the commits of the repository.
	commits []string
}

func newWorld(t *testing.T) *world {
	w := &world{Server: gitlab.New(t), t: t, now: time.Unix(1_790_000_000, 0)}
	w.AddUser(gitlab.User{Username: "owner"})
	w.AddGroup("labs", gitlab.Private, "owner")
	w.AddProject("labs/app", gitlab.ProjectSettings{Readme: true})
	for _, content := range []string{"1", "2"} {
		commit, err := w.Push(t.Context(), "labs/app", githost.Commit{Files: map[string]string{"f": content}})
		if err != nil {
			t.Fatal(err)
		}
		w.commits = append(w.commits, commit)
	}
	w.token = w.Token("owner")
	w.r = deployment(func(r *v1alpha1.DeploymentRuntime) {
		r.Status.Application.Revision = w.commits[0]
		r.Status.Source = &v1alpha1.RuntimeSource{URL: w.URL + "/labs/app.git"}
	})
	w.restart()
	return w
}

func (w *world) restart() {
	w.reporter = &Reporter{
		Later: func(v1alpha1.Object, time.Duration) {}, Sent: pace.Memory{Now: func() time.Time { return w.now }},
		Connect: func(context.Context, string) (client.Client, error) {
			if w.token == "" {
				return nil, client.ErrNoToken
			}
			return gitlabclient.New(client.Connection{APIServer: w.URL, Token: secrets.NewValue([]byte(w.token))})
		},
	}
}

// pass reports, and returns the condition.
func (w *world) pass(app observed.Application) metav1.Condition {
	facts := &engine.Facts{}
	product := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "product-1"}, Spec: v1alpha1.ProductSpec{Name: "labs"}}
	if w.foreign {
		product.Labels = map[string]string{v1alpha1.LabelFrom: "forge"}
	}
	s := &engine.Session[*v1alpha1.DeploymentRuntime]{Object: w.r, Facts: facts, Snapshot: snapshot.New("nautes", "nautes", product,
		&v1alpha1.CodeRepoProvider{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "forge"}, Spec: v1alpha1.CodeRepoProviderSpec{
			HTTPAddress: w.URL, APIServer: w.API, ProviderType: "gitlab", CommitStatuses: !w.off,
		}},
		&v1alpha1.CodeRepo{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "repo-1"}, Spec: v1alpha1.CodeRepoSpec{CodeRepoProvider: "forge", RepoName: "app"}},
	)}
	w.reporter.Deployment(w.t.Context(), s, &app)
	if c := meta.FindStatusCondition(facts.Conditions(), v1alpha1.ConditionReported); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// shows checks the states of the statuses of a commit, the oldest first.
func (w *world) shows(what string, commit int, want ...string) {
	w.t.Helper()
	var got []string
	for _, s := range w.Statuses("labs/app", w.commits[commit]) {
		if s.Name != "nautes/dev/dr" {
			w.t.Errorf("the status is %+v", s)
		}
		got = append(got, s.State)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (w *world) posts() int {
	n := 0
	for _, r := range w.Requests() {
		if r.Method == http.MethodPost && strings.HasSuffix(r.Route, "/statuses/:sha") {
			n++
		}
	}
	return n
}

func TestDeployment(t *testing.T) {
	w := newWorld(t)
	healthy := observed.Application{}
	healthIs("Synced", "Progressing")(w.r)
	c := w.pass(healthy)
	if want := "labs/app shows commit " + w.commits[0][:10] + " as Running, under the name nautes/dev/dr"; c.Message != want || c.Status != metav1.ConditionTrue {
		t.Errorf("the condition is %+v, want %q", c, want)
	}
	w.shows("being deployed", 0, "running")
	w.ForgetRequests()
	w.pass(healthy)
	w.restart()
	w.pass(healthy)
	if requests := w.Requests(); len(requests) > 0 {
		t.Errorf("the same outcome is sent again, also after a restart: %+v", requests)
	}

	healthIs("Synced", "Healthy")(w.r)
	w.pass(healthy)
	w.shows("deployed", 0, "success")
	w.r.Status.Reports = nil
	w.pass(healthy)
	w.shows("after a lost record", 0, "success")
	w.ForgetRequests()
	healthIs("Synced", "Degraded")(w.r)
	w.pass(healthy)
	if n := w.posts(); n > 0 {
		t.Errorf("%d statuses are sent within the pause", n)
	}
	w.now = w.now.Add(minPause)
	w.pass(healthy)
	w.shows("degraded", 0, "success", "failed")

	healthIs("OutOfSync", "Healthy")(w.r)
	w.pass(observed.Application{Cause: observed.CauseFailed, Attempt: w.commits[1]})
	w.shows("the next commit", 1, "failed")
	want := []v1alpha1.CommitReport{{Commit: w.commits[1], Name: "nautes/dev/dr", Result: "Failed"}}
	if diff := cmp.Diff(want, w.r.Status.Reports); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
	w.off = true
	if c := w.pass(healthy); c.Type != "" || w.r.Status.Reports != nil {
		t.Errorf("switched off: %+v, on record is %v", c, w.r.Status.Reports)
	}
}

func TestDeploymentFails(t *testing.T) {
	for name, test := range map[string]struct {
		prepare    func(*world) (heal func())
		wantReason string
	}{
		"no token": {func(w *world) func() { was := w.token; w.token = ""; return func() { w.token = was } }, v1alpha1.ReasonSecretMissing},
		"no right": {func(w *world) func() {
			w.SetMember("labs", "owner", gitlab.Guest)
			return func() { w.SetMember("labs", "owner", gitlab.Owner) }
		}, v1alpha1.ReasonForgeDenied},
		"the forge away": {func(w *world) func() { return w.Fail(gitlab.Everything, 0, gitlab.BadGateway()) }, v1alpha1.ReasonForgeUnavailable},
		"the answer is lost": {func(w *world) func() {
			return w.Fail(gitlab.Calls("POST", "/projects/:id/statuses/:sha"), 0, gitlab.Lost())
		}, v1alpha1.ReasonForgeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			heal := test.prepare(w)
			if c := w.pass(observed.Application{}); c.Status != metav1.ConditionFalse || c.Reason != test.wantReason || len(w.r.Status.Reports) > 0 {
				t.Errorf("the condition is %+v, on record is %v", c, w.r.Status.Reports)
			}
			w.ForgetRequests()
			if c := w.pass(observed.Application{}); c.Reason != test.wantReason || len(w.Requests()) > 0 {
				t.Errorf("within the pause: %+v, %d requests", c, len(w.Requests()))
			}
			heal()
			w.now = w.now.Add(2 * pace.FirstPause)
			if c := w.pass(observed.Application{}); c.Status != metav1.ConditionTrue {
				t.Errorf("afterwards: %+v", c)
			}
			w.shows("afterwards", 0, "success")
		})
	}
}

// Nothing is written to the repository of another group, whatever the token of the tenant
// may do.
func TestForeignRepository(t *testing.T) {
	w := newWorld(t)
	w.foreign = true
	c := w.pass(observed.Application{})
	if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonRepositoryMismatch || !strings.Contains(c.Message, "labs/app") {
		t.Errorf("the condition is %+v", c)
	}
	if n := w.posts(); n > 0 || len(w.r.Status.Reports) > 0 {
		t.Errorf("%d statuses are sent, on record is %v", n, w.r.Status.Reports)
	}
}

// Of several statuses, the forge gets the latest last, and one that it refuses does not
// hold up the others.
func TestOrder(t *testing.T) {
	w := newWorld(t)
	provider := &v1alpha1.CodeRepoProvider{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "forge"}, Spec: v1alpha1.CodeRepoProviderSpec{
		HTTPAddress: w.URL, APIServer: w.API, ProviderType: "gitlab", CommitStatuses: true,
	}}
	repo := &v1alpha1.CodeRepo{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "repo-1"}, Spec: v1alpha1.CodeRepoSpec{CodeRepoProvider: "forge", RepoName: "app"}}
	product := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "product-1"}, Spec: v1alpha1.ProductSpec{Name: "labs"}}
	facts := &engine.Facts{}
	work := &work{Reporter: w.reporter, o: w.r, facts: facts, product: product, repo: repo}
	status := func(commit, result string) forge.Status {
		return forge.Status{Commit: commit, Name: "nautes/dev/dr", Result: result, Description: "d"}
	}
	got := work.send(t.Context(), snapshot.New("nautes", "nautes", product, provider, repo), "", []forge.Status{
		status(w.commits[1], "Succeeded"), status(one, "Failed"), status(w.commits[0], "Failed"),
	})
	want := []v1alpha1.CommitReport{{Commit: w.commits[0], Name: "nautes/dev/dr", Result: "Failed"}, {Commit: w.commits[1], Name: "nautes/dev/dr", Result: "Succeeded"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
	if c := facts.Conditions()[0]; c.Reason != v1alpha1.ReasonForgeDenied || c.Status != metav1.ConditionFalse {
		t.Errorf("the condition is %+v", c)
	}
}
