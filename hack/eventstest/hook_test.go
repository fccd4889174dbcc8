package eventstest_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	eventsourcecommon "github.com/argoproj/argo-events/pkg/eventsources/common"
	"github.com/argoproj/argo-events/pkg/eventsources/sources/gitlab"
	"github.com/argoproj/argo-events/pkg/metrics"
	"github.com/argoproj/argo-events/pkg/shared/logging"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	nautes "nautes.io/nautes/api/v1alpha1"
)

// mounted writes a key of a Secret where Argo Events mounts it.
func mounted(t *testing.T, selector *corev1.SecretKeySelector, value string) {
	t.Helper()
	dir := filepath.Join("/argo-events/secrets", selector.Name)
	err := os.MkdirAll(dir, 0o700)
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("Argo Events reads its Secrets below /argo-events, which this user may not make")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = os.RemoveAll(dir)
		// They go with the last one.
		_ = os.Remove("/argo-events/secrets")
		_ = os.Remove("/argo-events")
	})
	if err := os.WriteFile(filepath.Join(dir, selector.Key), []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

// TestHookToken holds that Argo Events' GitLab event source, as we describe it,
// believes only who knows the token of the hook, and never calls GitLab. It
// listens to all events, so that an unknown one would end it.
func TestHookToken(t *testing.T) {
	var calls atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer api.Close()
	var events []nautes.GitLabEvent
	for event := range everyEvent() {
		events = append(events, event)
	}
	e := newEngine(t, listening("pipe", gitlabSource("any", "", events...)))
	source := e.sources[0]
	entry, ok := source.Spec.Gitlab["any"]
	if !ok || len(entry.Events) != 12 {
		t.Fatalf("the event source has %v", source.Spec.Gitlab)
	}
	mounted(t, entry.AccessToken, "placeholder")
	mounted(t, entry.SecretToken, "the token")
	port := strconv.Itoa(freePort(t))
	entry.Webhook.Port, entry.GitlabBaseURL = port, api.URL

	ctx, stop := context.WithCancel(logging.WithLogger(t.Context(), zap.NewNop().Sugar()))
	received, ended := make(chan []byte, 10), make(chan error, 1)
	listener := &gitlab.EventListener{
		EventSourceName: source.Name, EventName: "any", GitlabEventSource: entry, Metrics: metrics.NewMetrics("argo-events"),
	}
	go func() {
		ended <- listener.StartListening(ctx, func(data []byte, _ ...eventsourcecommon.Option) error {
			received <- data
			return nil
		})
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	url := "http://127.0.0.1:" + port + entry.Webhook.Endpoint
	awaitRoute(t, url, ended)
	for name, test := range map[string]struct {
		token string
		want  int
	}{
		"the right token": {token: "the token", want: http.StatusOK},
		"a wrong token":   {token: "another", want: http.StatusBadRequest},
		"no token":        {want: http.StatusBadRequest},
		"the placeholder": {token: "placeholder", want: http.StatusBadRequest},
	} {
		if got := call(t, url, test.token, `{"ref":"refs/heads/main","checkout_sha":"`+commit+`"}`); got != test.want {
			t.Errorf("%s is answered by %d, want %d", name, got, test.want)
		}
	}
	if got := call(t, "http://127.0.0.1:"+port+"/elsewhere", "the token", "{}"); got != http.StatusNotFound {
		t.Errorf("another path is answered by %d", got)
	}
	if len(received) != 1 {
		t.Fatalf("%d events were received, want the one with the right token", len(received))
	}
	// The sensor understands the dispatched event.
	created, failed := e.deliver(source.Name, "any", <-received)
	if len(created) != 1 || len(failed) > 0 || created[0].event(t).Commit != commit {
		t.Errorf("%d launchers, %v", len(created), failed)
	}
	if n := calls.Load(); n > 0 {
		t.Errorf("GitLab was called %d times", n)
	}
}

// awaitRoute waits until a server knows a path.
func awaitRoute(t *testing.T, url string, ended chan error) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		response, err := http.Get(url)
		if err == nil {
			_ = response.Body.Close()
			// Without a token it is refused as soon as the route is active, and
			// with the same status before.
			if response.StatusCode == http.StatusBadRequest && activeRoute(t, url) {
				return
			}
		}
		select {
		case err := <-ended:
			t.Fatalf("the event source ended: %v", err)
		case <-deadline:
			t.Fatalf("the event source does not listen: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// activeRoute reports whether an event source has begun to check tokens.
func activeRoute(t *testing.T, url string) bool {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader("{}"))
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	answer := make([]byte, 64)
	n, _ := response.Body.Read(answer)
	return string(answer[:n]) == "token mismatch"
}

func call(t *testing.T, url, token, body string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Gitlab-Event", "Push Hook")
	if token != "" {
		request.Header.Set("X-Gitlab-Token", token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}
