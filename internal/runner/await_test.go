package runner

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/launch"
)

// add creates a run. There is no controller that executes it.
func (w *fixture) add(name string) *tektonv1.PipelineRun {
	w.t.Helper()
	run := &tektonv1.PipelineRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       tektonv1.PipelineRunSpec{PipelineRef: &tektonv1.PipelineRef{Name: "build"}},
	}
	if err := w.client.Create(w.t.Context(), run); err != nil {
		w.t.Fatal(err)
	}
	return run
}

// end writes the condition of a run.
func (w *fixture) end(run *tektonv1.PipelineRun, status corev1.ConditionStatus, reason tektonv1.PipelineRunReason) {
	w.t.Helper()
	run.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: status, Reason: string(reason)})
	if err := w.client.Status().Update(w.t.Context(), run); err != nil {
		w.t.Fatal(err)
	}
}

// gate is a proxy in front of the API server.
type gate struct {
	*httptest.Server
	// watches counts the watches that reached the API server.
	watches atomic.Int32
}

// newGate starts a gate. intercept may answer a request itself and return true, and
// change may change each answer.
func newGate(t *testing.T, intercept func(http.ResponseWriter, *http.Request) bool, change func(*http.Response) error) *gate {
	t.Helper()
	target, err := url.Parse(server.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport, proxy.FlushInterval, proxy.ModifyResponse = transport, -1, change
	g := &gate{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if intercept != nil && intercept(w, r) {
			return
		}
		if r.URL.Query().Get("watch") != "" {
			g.watches.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		g.CloseClientConnections()
		g.Close()
	})
	return g
}

func (g *gate) kubeconfig(t *testing.T) string { return kubeconfig(t, &rest.Config{Host: g.URL}) }

// await starts the program. The channel returns its result.
func (w *fixture) await(name, config string) <-chan result {
	ended := make(chan result, 1)
	file := filepath.Join(w.t.TempDir(), "status")
	go func() {
		r := execute(w.t, "await", "--namespace="+w.namespace, "--run="+name, "--result-status="+file, "--kubeconfig="+config)
		r.status = read(file)
		ended <- r
	}()
	return ended
}

// until waits until a condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAwait(t *testing.T) {
	type condition struct {
		status corev1.ConditionStatus
		reason tektonv1.PipelineRunReason
	}
	running := condition{corev1.ConditionUnknown, tektonv1.PipelineRunReasonRunning}
	stopping := condition{corev1.ConditionUnknown, tektonv1.PipelineRunReasonStoppedRunningFinally}
	succeeded := condition{corev1.ConditionTrue, tektonv1.PipelineRunReasonSuccessful}
	tests := map[string]struct {
		// before is written before the program begins, after while it watches.
		before, after condition
		remove        bool
		want          string
	}{
		"succeeded":            {after: succeeded, want: "Succeeded"},
		"failed":               {after: condition{corev1.ConditionFalse, tektonv1.PipelineRunReasonFailed}, want: "Failed"},
		"cancelled":            {after: condition{corev1.ConditionFalse, tektonv1.PipelineRunReasonCancelled}, want: "Cancelled"},
		"timed out":            {after: condition{corev1.ConditionFalse, tektonv1.PipelineRunReasonTimedOut}, want: "Timeout"},
		"ended before":         {before: succeeded, want: "Succeeded"},
		"running, then ended":  {before: running, after: succeeded, want: "Succeeded"},
		"stopped, then ended":  {before: stopping, after: condition{corev1.ConditionFalse, tektonv1.PipelineRunReasonCancelled}, want: "Cancelled"},
		"deleted":              {remove: true, want: "Cancelled"},
		"deleted while it ran": {before: running, remove: true, want: "Cancelled"},
	}
	w := newFixture(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := w.within(t)
			run := w.add(nameFor(name))
			if tt.before != (condition{}) {
				w.end(run, tt.before.status, tt.before.reason)
			}
			g := newGate(t, nil, nil)
			ended := w.await(run.Name, g.kubeconfig(t))
			if tt.after != (condition{}) || tt.remove {
				until(t, "the program watches", func() bool { return g.watches.Load() > 0 })
			}
			if tt.after != (condition{}) {
				w.end(run, tt.after.status, tt.after.reason)
			}
			if tt.remove {
				if err := w.client.Delete(t.Context(), run); err != nil {
					t.Fatal(err)
				}
			}
			if got := <-ended; got.code != launch.ExitOK || got.status != tt.want {
				t.Errorf("the program ended with %+v; want the status %s", got, tt.want)
			}
		})
	}
}

func TestAwaitOfNoRun(t *testing.T) {
	w := newFixture(t)
	if got := <-w.await("", "/nonexistent"); got.code != launch.ExitOK || got.status != "Failed" {
		t.Errorf("for a launch that failed the program ended with %+v; want the status Failed", got)
	}
	if got := <-w.await("absent", w.kubeconfig); got.code != launch.ExitOK || got.status != "Cancelled" {
		t.Errorf("the program ended with %+v; want the status Cancelled", got)
	}
	nobody := rest.CopyConfig(server)
	nobody.Impersonate.UserName = "nobody"
	if got := <-w.await("absent", kubeconfig(t, nobody)); got.code != launch.ExitDenied || got.status != "" {
		t.Errorf("without rights the program ended with %+v; want exit code %d", got, launch.ExitDenied)
	}
}

// A broken watch and an API server that is unavailable do not end the wait.
func TestAwaitOutlastsTheAPIServer(t *testing.T) {
	w := newFixture(t)
	run := w.add("run")
	var requests, watches atomic.Int32
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) bool {
		switch n := requests.Add(1); {
		case r.URL.Query().Get("watch") != "" && watches.Add(1) == 1:
			// The first watch ends at once.
			return true
		case n == 1 || n == 4:
			http.Error(w, "away", http.StatusServiceUnavailable)
			return true
		}
		return false
	}, nil)
	ended := w.await(run.Name, g.kubeconfig(t))
	until(t, "the program watches", func() bool { return g.watches.Load() > 0 })
	w.end(run, corev1.ConditionFalse, tektonv1.PipelineRunReasonFailed)
	if got := <-ended; got.code != launch.ExitOK || got.status != "Failed" {
		t.Errorf("the program ended with %+v; want the status Failed", got)
	}
}

// A run that was deleted and created again is another run.
func TestAwaitKnowsItsRun(t *testing.T) {
	w := newFixture(t)
	run := w.add("run")
	release := make(chan struct{})
	var watches atomic.Int32
	g := newGate(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("watch") == "" {
			return false
		}
		// The watch misses all events until then.
		watches.Add(1)
		<-release
		return true
	}, nil)
	ended := w.await(run.Name, g.kubeconfig(t))
	until(t, "the program watches", func() bool { return watches.Load() > 0 })
	if err := w.client.Delete(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	w.add("run")
	close(release)
	if got := <-ended; got.code != launch.ExitOK || got.status != "Cancelled" {
		t.Errorf("the program ended with %+v; want the status Cancelled", got)
	}
}

// The answer to a successful creation can be lost.
func TestLaunchSurvivesALostAnswer(t *testing.T) {
	w := newFixture(t)
	w.repo.Push(map[string]string{"pipelines/dev.yaml": fileRun})
	var lost atomic.Int32
	g := newGate(t, nil, func(r *http.Response) error {
		if r.Request.Method == http.MethodPost && lost.Add(1) == 1 {
			r.StatusCode, r.Status = http.StatusBadGateway, "502 Bad Gateway"
		}
		return nil
	})
	var out, complaints bytes.Buffer
	program := New(&out, &complaints)
	program.Pause = time.Millisecond
	code := program.Run(context.Background(), []string{
		"launch", "--config=" + encode(t, w.config()), "--event=" + encode(t, launch.Event{Event: "push_events", Ref: "refs/heads/main"}),
		"--launcher=launcher", "--kubeconfig=" + g.kubeconfig(t), "--credentials=" + w.credentials,
	})
	if code != launch.ExitOK || !strings.Contains(out.String(), "exists already") || lost.Load() < 2 {
		t.Errorf("exit code %d, %d creations: %s %s", code, lost.Load(), out.String(), complaints.String())
	}
	list := &tektonv1.PipelineRunList{}
	if err := w.client.List(t.Context(), list, client.InNamespace(w.namespace)); err != nil || len(list.Items) != 1 {
		t.Errorf("there are %d runs, %v; want 1", len(list.Items), err)
	}
}
