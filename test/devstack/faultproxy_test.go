package devstack

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"nautes.io/nautes/test/githost"
)

// newProxy starts a proxy before a server that answers 204 to PUT, and to
// others with a body; it returns a client of the proxy, and the PUTs of the server.
func newProxy(t *testing.T) (*FaultProxy, *http.Client, chan string) {
	t.Helper()
	puts := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			puts <- r.URL.Path
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = io.WriteString(w, "hello")
	}))
	t.Cleanup(server.Close)
	proxy, err := shared.Stack(t).StartFaultProxy(server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientTrusting(nil)
	if err != nil {
		t.Fatal(err)
	}
	return proxy, client, puts
}

// send returns the status and the body of an answer.
func send(ctx context.Context, client *http.Client, method, url string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader("body"))
	if err != nil {
		return 0, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func TestFaultProxySelectsRequests(t *testing.T) {
	t.Parallel()
	proxy, client, _ := newProxy(t)
	proxy.Fail(Fault{Path: "/v1/git/", Failure: githost.Answer(http.StatusForbidden, `{"errors":["permission denied"]}`)})
	proxy.Fail(Fault{Method: http.MethodPut, Path: "/v1/git/", Times: 2, Failure: githost.ServerError()})
	steps := []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/v1/git/a", http.StatusForbidden},
		{http.MethodPut, "/v1/git/a", http.StatusInternalServerError},
		{http.MethodPut, "/v1/git/a", http.StatusInternalServerError},
		{http.MethodPut, "/v1/git/b", http.StatusForbidden},
		{http.MethodPut, "/v1/sys/a", http.StatusNoContent},
		{http.MethodGet, "/v1/sys/a", http.StatusOK},
	}
	for _, step := range steps {
		status, _, err := send(t.Context(), client, step.method, proxy.URL+step.path)
		if err != nil || status != step.want {
			t.Errorf("%s %s: status %d, %v, want %d", step.method, step.path, status, err, step.want)
		}
	}
	proxy.Heal()
	if status, body, err := send(t.Context(), client, http.MethodGet, proxy.URL+"/v1/git/a"); status != http.StatusOK || body != "hello" {
		t.Errorf("healed: status %d, %q, %v", status, body, err)
	}
	for want, count := range map[int]int{
		7: proxy.Requests("", ""),
		4: proxy.Requests(http.MethodPut, ""),
		3: proxy.Requests(http.MethodPut, "/v1/git/"),
		0: proxy.Requests(http.MethodDelete, ""),
	} {
		if count != want {
			t.Errorf("%d requests are counted, want %d", count, want)
		}
	}
}

func TestFaultProxyFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		failure githost.Failure
		// arrives reports whether the server sees the request.
		arrives bool
	}{
		"never answers":      {failure: githost.Hang()},
		"too slow":           {failure: githost.Slow(time.Minute)},
		"breaks off at once": {failure: githost.DropConnection(0), arrives: true},
		"breaks off a short": {failure: githost.DropConnection(100), arrives: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, client, puts := newProxy(t)
			proxy.Fail(Fault{Failure: test.failure})
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if status, _, err := send(ctx, client, http.MethodPut, proxy.URL+"/a"); err == nil {
				t.Errorf("status %d, want no answer", status)
			}
			if arrived := len(puts) == 1; arrived != test.arrives {
				t.Errorf("the server has seen the request: %v, want %v", arrived, test.arrives)
			}
		})
	}
}

func TestFaultProxyStops(t *testing.T) {
	t.Parallel()
	proxy, client, _ := newProxy(t)
	for range 2 {
		if err := proxy.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := send(t.Context(), client, http.MethodGet, proxy.URL); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("stopped: %v, want %v", err, syscall.ECONNREFUSED)
	}
	for range 2 {
		if err := proxy.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, err := send(t.Context(), client, http.MethodGet, proxy.URL); status != http.StatusOK {
		t.Errorf("started again: status %d, %v", status, err)
	}
}

// A client of the Vault goes through the proxy by its URL alone.
func TestVaultBehindAProxy(t *testing.T) {
	t.Parallel()
	v := startVault(t, VaultOptions{Name: "proxied"})
	proxy, err := v.Proxy()
	if err != nil {
		t.Fatal(err)
	}
	const health = "/v1/sys/health"
	if status, body, err := send(t.Context(), v.Client(), http.MethodGet, proxy.URL+health); status != http.StatusOK || !strings.Contains(body, `"sealed":false`) {
		t.Fatalf("status %d, %q, %v", status, body, err)
	}
	const delay = 300 * time.Millisecond
	proxy.Fail(Fault{Times: 1, Failure: githost.Slow(delay)})
	started := time.Now()
	if status, _, err := send(t.Context(), v.Client(), http.MethodGet, proxy.URL+health); status != http.StatusOK || time.Since(started) < delay {
		t.Errorf("slow: status %d, %v, after %v", status, err, time.Since(started))
	}
	proxy.Fail(Fault{Times: 1, Failure: githost.DropConnection(0)})
	if status, _, err := send(t.Context(), v.Client(), http.MethodPut, proxy.URL+health); err == nil {
		t.Errorf("dropped: status %d, want no answer", status)
	}
	if err := v.Stop(); err != nil {
		t.Fatal(err)
	}
	if status, _, err := send(t.Context(), v.Client(), http.MethodGet, proxy.URL+health); status != http.StatusBadGateway {
		t.Errorf("a Vault that is away: status %d, %v, want 502", status, err)
	}
}
