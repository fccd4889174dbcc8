package runner

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/test/githost"
)

// answers are the responses of an API server, by "<verb> <number>": for example
// "get 2" is the second request for one run. A missing one is a refusal.
type answers map[string]string

// newAPI starts a server with these answers, which are JSON objects, and returns
// its kubeconfig and the requests that it got. A Status sets the response code.
func newAPI(t *testing.T, a answers) (config string, got func() []string) {
	t.Helper()
	var requests []string
	counts := map[string]int{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		verb := strings.ToLower(r.Method)
		switch {
		case r.URL.Query().Get("watch") != "":
			verb = "watch"
		case verb == "get" && strings.HasSuffix(r.URL.Path, "/pipelineruns"):
			verb = "list"
		case verb == "post":
			verb = "create"
		}
		counts[verb]++
		request := fmt.Sprintf("%s %d", verb, counts[verb])
		requests = append(requests, request)
		answer, there := a[request]
		if !there {
			answer = refusal(http.StatusForbidden)
		}
		var status metav1.Status
		_ = json.Unmarshal([]byte(answer), &status)
		w.Header().Set("Content-Type", "application/json")
		if status.Kind == "Status" {
			w.WriteHeader(int(status.Code))
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return kubeconfig(t, &rest.Config{Host: s.URL}), func() []string { return requests }
}

func refusal(code int) string {
	reason := metav1.StatusReasonForbidden
	switch code {
	case http.StatusConflict:
		reason = metav1.StatusReasonAlreadyExists
	case http.StatusNotFound:
		reason = metav1.StatusReasonNotFound
	}
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, code)
}

// pipelineRun returns a run whose condition has a status and a reason.
func pipelineRun(status, reason string) string {
	return fmt.Sprintf(`{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"run","namespace":"ns","uid":"1"},`+
		`"status":{"conditions":[{"type":"Succeeded","status":%q,"reason":%q}]}}`, status, reason)
}

func TestAwaitFollowsTheRun(t *testing.T) {
	running, ended := pipelineRun("Unknown", "Running"), pipelineRun("True", "Succeeded")
	event := func(kind, object string) string { return `{"type":"` + kind + `","object":` + object + `}` + "\n" }
	tests := map[string]struct {
		watch string
		// second is the second answer about the run; a run that has succeeded if empty.
		second string
		want   string
		// wantRequests are the requests up to the end.
		wantRequests string
	}{
		"a refused watch":           {watch: refusal(http.StatusForbidden), wantRequests: "get 1, watch 1, get 2"},
		"an expired watch":          {watch: event("ERROR", refusal(http.StatusGone)), wantRequests: "get 1, watch 1, get 2"},
		"an object of another form": {watch: event("MODIFIED", `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","spec":"x"}`), wantRequests: "get 1, watch 1, get 2"},
		"a watch that ends":         {watch: event("MODIFIED", running), wantRequests: "get 1, watch 1, get 2"},
		"a watch that sees the end": {watch: event("MODIFIED", running) + event("MODIFIED", ended), wantRequests: "get 1, watch 1"},
		"a deletion":                {watch: event("DELETED", running), want: launch.RunCancelled, wantRequests: "get 1, watch 1"},
		"a deletion at the end":     {watch: event("DELETED", ended), wantRequests: "get 1, watch 1"},
		"a run that is gone":        {second: refusal(http.StatusNotFound), want: launch.RunCancelled, wantRequests: "get 1, watch 1, get 2"},
		"a run created again":       {second: strings.Replace(running, `"uid":"1"`, `"uid":"2"`, 1), want: launch.RunCancelled, wantRequests: "get 1, watch 1, get 2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			config, requests := newAPI(t, answers{"get 1": running, "watch 1": tt.watch, "get 2": cmp.Or(tt.second, ended)})
			file := filepath.Join(t.TempDir(), "status")
			got := execute(t, "await", "--namespace=ns", "--run=run", "--kubeconfig="+config, "--result-status="+file)
			want := cmp.Or(tt.want, launch.RunSucceeded)
			if got.code != launch.ExitOK || read(file) != want || !strings.Contains(got.stdout, "run has ended: "+want) {
				t.Errorf("the program ended with %+v and the status %q", got, read(file))
			}
			if all := strings.Join(requests(), ", "); all != tt.wantRequests {
				t.Errorf("the requests were %s, want %s", all, tt.wantRequests)
			}
		})
	}
}

// A run that cannot be read is an error, and so is a wait that is interrupted.
func TestAwaitFails(t *testing.T) {
	config, _ := newAPI(t, answers{"get 1": `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","spec":"x"}`})
	if got := execute(t, "await", "--namespace=ns", "--run=run", "--kubeconfig="+config); got.code == launch.ExitOK {
		t.Errorf("with a run of another form the program ended with %+v", got)
	}
	if got := execute(t, "await", "--namespace=ns", "--run=run", "--kubeconfig=/nonexistent"); got.code != launch.ExitUsage {
		t.Errorf("without a kubeconfig the program ended with %+v, want exit code %d", got, launch.ExitUsage)
	}
	config, _ = newAPI(t, answers{"get 1": pipelineRun("Unknown", "Running"), "get 2": pipelineRun("Unknown", "Running")})
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	program := New(io.Discard, io.Discard)
	program.Pause = time.Hour
	if code := program.Run(ctx, []string{"await", "--namespace=ns", "--run=run", "--kubeconfig=" + config}); code != launch.ExitCluster {
		t.Errorf("after the end of its context the program ended with %d, want exit code %d", code, launch.ExitCluster)
	}
}

func TestLaunchRequests(t *testing.T) {
	host := githost.New(t)
	repo := host.Repo("demo/pipelines")
	commit := repo.Push(map[string]string{"dev.yaml": fileReference, "large.yaml": "# " + strings.Repeat("x", 1<<20), "folder/a": ""})
	none := `{"apiVersion":"tekton.dev/v1","kind":"PipelineRunList","items":[]}`
	ours := `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"run","labels":{"nautes.io/launcher":"launcher-1"}}}`
	existing := `{"apiVersion":"tekton.dev/v1","kind":"PipelineRunList","items":[{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"old","labels":{"nautes.io/commit":"c"}}}]}`
	badCredentials := t.TempDir()
	if err := os.Mkdir(filepath.Join(badCredentials, "username"), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		answers answers
		// noTemp is an environment without a directory for temporary files.
		noTemp       bool
		change       func(*launch.Config)
		args         []string
		want         int
		wantSaid     string
		wantRequests string
	}{
		"a new run":              {answers: answers{"list 1": none, "create 1": ours}, wantSaid: "created run", wantRequests: "list 1, create 1"},
		"an existing run":        {answers: answers{"list 1": existing}, wantSaid: "run old exists already", wantRequests: "list 1"},
		"a refused list":         {answers: answers{"create 1": ours}, want: launch.ExitDenied, wantSaid: "look for the run", wantRequests: "list 1"},
		"a refused creation":     {answers: answers{"list 1": none}, want: launch.ExitDenied, wantSaid: "create the run", wantRequests: "list 1, create 1"},
		"a run of the launcher":  {answers: answers{"list 1": none, "create 1": refusal(http.StatusConflict), "get 1": ours}, wantSaid: "exists already", wantRequests: "list 1, create 1, get 1"},
		"a foreign run":          {answers: answers{"list 1": none, "create 1": refusal(http.StatusConflict), "get 1": pipelineRun("True", "")}, want: launch.ExitDenied, wantSaid: "create the run", wantRequests: "list 1, create 1, get 1"},
		"a run it must not read": {answers: answers{"list 1": none, "create 1": refusal(http.StatusConflict)}, want: launch.ExitDenied, wantSaid: "create the run", wantRequests: "list 1, create 1, get 1"},
		"an answer at the second attempt": {
			answers:  answers{"list 1": refusal(http.StatusServiceUnavailable), "list 2": none, "create 1": refusal(http.StatusTooManyRequests), "create 2": ours},
			wantSaid: "created run", wantRequests: "list 1, list 2, create 1, create 2",
		},
		"notes about the file":             {answers: answers{"list 1": none, "create 1": ours}, wantSaid: `the file sets the namespace "kube-system"`, wantRequests: "list 1, create 1"},
		"an unknown branch":                {answers: answers{"list 1": none}, change: func(c *launch.Config) { c.Revision = "absent" }, want: launch.ExitRevision, wantSaid: "absent", wantRequests: "list 1"},
		"an unknown repository":            {answers: answers{"list 1": none}, change: func(c *launch.Config) { c.URL = host.URL + "/absent.git" }, want: launch.ExitGit, wantSaid: "does not exist", wantRequests: "list 1"},
		"no file":                          {answers: answers{"list 1": none}, change: func(c *launch.Config) { c.Path = "absent.yaml" }, want: launch.ExitFile, wantSaid: "pipeline file at commit " + commit, wantRequests: "list 1"},
		"a folder":                         {answers: answers{"list 1": none}, change: func(c *launch.Config) { c.Path = "folder" }, want: launch.ExitFile, wantSaid: "pipeline file at commit", wantRequests: "list 1"},
		"a large file":                     {answers: answers{"list 1": none}, change: func(c *launch.Config) { c.Path = "large.yaml" }, want: launch.ExitFile, wantSaid: "pipeline file at commit", wantRequests: "list 1"},
		"not a pipeline":                   {answers: answers{"list 1": none}, change: func(c *launch.Config) { c.Path = "folder/a" }, want: launch.ExitPipeline, wantSaid: "the file is empty", wantRequests: "list 1"},
		"no configuration":                 {args: []string{"--config="}, want: launch.ExitUsage, wantSaid: "--config"},
		"no kubeconfig":                    {args: []string{"--kubeconfig=/nonexistent"}, want: launch.ExitUsage, wantSaid: "find the cluster"},
		"no file for the run":              {args: []string{"--result-run=/dev/null/x"}, want: launch.ExitReport, wantSaid: "write the result"},
		"no file for the commit":           {args: []string{"--result-commit=/dev/null/x"}, want: launch.ExitReport, wantSaid: "write the result"},
		"no directory to work in":          {answers: answers{"list 1": none}, args: []string{"--work-dir=/dev/null/x"}, want: launch.ExitUsage, wantSaid: "/dev/null", wantRequests: "list 1"},
		"no directory for temporary files": {answers: answers{"list 1": none}, noTemp: true, want: launch.ExitUsage, wantSaid: "make a directory", wantRequests: "list 1"},
		"credentials that cannot be read":  {answers: answers{"list 1": none}, args: []string{"--credentials=" + badCredentials}, want: launch.ExitUsage, wantSaid: "read the credentials", wantRequests: "list 1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.noTemp {
				t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "absent"))
			}
			kubeconfig, requests := newAPI(t, tt.answers)
			config := testConfig()
			config.URL = repo.URL()
			if tt.change != nil {
				tt.change(config)
			}
			got := execute(t, append([]string{
				"launch", "--config=" + encode(t, config), "--event=" + encode(t, launch.Event{Event: "push_events", Ref: "refs/heads/main"}),
				"--launcher=" + testLauncher, "--kubeconfig=" + kubeconfig, "--credentials=" + t.TempDir(),
			}, tt.args...)...)
			if got.code != tt.want || !strings.Contains(got.stdout+got.stderr, tt.wantSaid) {
				t.Errorf("the program ended with %+v; want exit code %d and %q", got, tt.want, tt.wantSaid)
			}
			if all := strings.Join(requests(), ", "); all != tt.wantRequests {
				t.Errorf("the requests were %s, want %s", all, tt.wantRequests)
			}
		})
	}
}

func TestConnectRefusesAnAddress(t *testing.T) {
	flags := clusterFlags{kubeconfig: kubeconfig(t, &rest.Config{Host: "http://[::1"})}
	if _, err := flags.connect(New(io.Discard, io.Discard), "ns"); codeOf(err) != launch.ExitUsage {
		t.Errorf("connect = %v, want exit code %d", err, launch.ExitUsage)
	}
}
