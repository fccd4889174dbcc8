package runner

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/launch"
)

const (
	token     = "glpat-s3cr3t"
	theCommit = "0123456789abcdef0123456789abcdef01234567"
)

// gitlab answers like GitLab and records the requests.
type gitlab struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   []map[string]string
}

func newGitLab(t *testing.T, start func(http.Handler) *httptest.Server, answer func(n int, w http.ResponseWriter, r *http.Request)) *gitlab {
	t.Helper()
	g := &gitlab{}
	g.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		body := map[string]string{}
		if err := json.Unmarshal(content, &body); err != nil {
			t.Errorf("the body is no JSON: %q", content)
		}
		g.mu.Lock()
		g.requests, g.bodies = append(g.requests, r), append(g.bodies, body)
		n := len(g.requests)
		g.mu.Unlock()
		answer(n, w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

func status(code int, body string) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func tokenFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// report runs the command.
func report(t *testing.T, args ...string) result {
	t.Helper()
	return execute(t, append([]string{"commit-status"}, args...)...)
}

func TestCommitStatus(t *testing.T) {
	for given, want := range map[string]string{
		"Pending": "pending", "Running": "running", "Succeeded": "success", "Failed": "failed", "Timeout": "failed", "Cancelled": "canceled",
	} {
		t.Run(given, func(t *testing.T) {
			g := newGitLab(t, httptest.NewServer, status(http.StatusCreated, "{}"))
			got := execute(t, "commit-status", "--api="+g.URL, "--project=42", "--commit="+theCommit, "--status="+given,
				"--name=build", "--target-url=https://tekton.example.com/run", "--description=a $(b)", "--token-file="+tokenFile(t))
			if got.code != launch.ExitOK || strings.Contains(got.stdout+got.stderr, token) || !strings.Contains(got.stdout, "reported commit "+theCommit+" as "+given) {
				t.Fatalf("the program ended with %+v", got)
			}
			if len(g.requests) != 1 {
				t.Fatalf("there were %d requests", len(g.requests))
			}
			r := g.requests[0]
			if r.Method != http.MethodPost || r.RequestURI != "/api/v4/projects/42/statuses/"+theCommit || r.Header.Get("PRIVATE-TOKEN") != token || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("the request was %s %s with the token %q", r.Method, r.RequestURI, r.Header.Get("PRIVATE-TOKEN"))
			}
			wantBody := map[string]string{"state": want, "name": "build", "target_url": "https://tekton.example.com/run", "description": "a $(b)"}
			if diff := cmp.Diff(wantBody, g.bodies[0]); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCommitStatusAddresses(t *testing.T) {
	tests := map[string]struct{ suffix, project, want string }{
		"number":           {"", "42", "/api/v4/projects/42/"},
		"CodeRepo":         {"/", "repo-42", "/api/v4/projects/42/"},
		"path":             {"/api/v4", "group/sub/name", "/api/v4/projects/group%2Fsub%2Fname/"},
		"path of GitLab":   {"/gitlab/api/v4/", "42", "/gitlab/api/v4/projects/42/"},
		"hostile project":  {"", "../../x?y#z", "/api/v4/projects/..%2F..%2Fx%3Fy%23z/"},
		"project repo-x":   {"", "repo-x", "/api/v4/projects/repo-x/"},
		"the CodeRepo's 0": {"", "repo-007", "/api/v4/projects/007/"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := newGitLab(t, httptest.NewServer, status(http.StatusCreated, "{}"))
			got := report(t, "--api="+g.URL+tt.suffix, "--project="+tt.project, "--commit="+theCommit, "--status=Running", "--token-file="+tokenFile(t))
			if got.code != launch.ExitOK || len(g.requests) != 1 || g.requests[0].RequestURI != tt.want+"statuses/"+theCommit {
				t.Errorf("the program ended with %+v; %d requests, want %s", got, len(g.requests), tt.want)
			}
		})
	}
}

func TestCommitStatusFails(t *testing.T) {
	again := func(_ int, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://localhost:1/elsewhere", http.StatusTemporaryRedirect)
	}
	twice := func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	known := `{"message":"Cannot transition status via :run from :running (Reason(s): Status cannot transition via \"run\")"}`
	ended := `{"message":"Cannot transition status via :run from :success (Reason(s): Status cannot transition via \"run\")"}`
	secret := `{"message":"the secret of the server"}`
	tests := map[string]struct {
		answer       func(int, http.ResponseWriter, *http.Request)
		args         []string
		want         int
		wantSaid     string
		wantRequests int
	}{
		"works at the third attempt": {answer: twice, want: launch.ExitOK, wantRequests: 3},
		"known already":              {answer: status(400, known), want: launch.ExitOK, wantRequests: 1},
		"ended already":              {answer: status(400, ended), want: launch.ExitReport, wantSaid: "400", wantRequests: 1},
		"no commit to report on":     {answer: status(500, ""), args: []string{"--commit="}, want: launch.ExitOK, wantSaid: "no commit"},
		"broken":                     {answer: status(500, secret), want: launch.ExitReport, wantSaid: "500", wantRequests: 3},
		"too many":                   {answer: status(429, secret), want: launch.ExitReport, wantSaid: "429", wantRequests: 3},
		"wrong token":                {answer: status(401, secret), want: launch.ExitReport, wantSaid: "token", wantRequests: 1},
		"no right":                   {answer: status(403, secret), want: launch.ExitReport, wantSaid: "token", wantRequests: 1},
		"no project":                 {answer: status(404, secret), want: launch.ExitReport, wantSaid: "no such project", wantRequests: 1},
		"redirect":                   {answer: again, want: launch.ExitReport, wantSaid: "redirects", wantRequests: 1},
		"no such forge":              {answer: twice, args: []string{"--provider-type=github"}, want: launch.ExitUsage, wantSaid: "--provider-type"},
		"no file of certificates":    {answer: twice, args: []string{"--ca-file=/nonexistent"}, want: launch.ExitUsage, wantSaid: "read the certificates"},
		"no server":                  {answer: twice, args: []string{"--api=http://127.0.0.1:1"}, want: launch.ExitReport, wantSaid: "cannot be reached"},
		"no address":                 {answer: twice, args: []string{"--api=gitlab.example.com"}, want: launch.ExitUsage, wantSaid: "--api"},
		"address with a password":    {answer: twice, args: []string{"--api=https://a:" + token + "@gitlab.example.com"}, want: launch.ExitUsage, wantSaid: "--api"},
		"no project named":           {answer: twice, args: []string{"--project="}, want: launch.ExitUsage, wantSaid: "--project"},
		"no commit":                  {answer: twice, args: []string{"--commit=main"}, want: launch.ExitUsage, wantSaid: "--commit"},
		"no status":                  {answer: twice, args: []string{"--status=Done"}, want: launch.ExitUsage, wantSaid: "--status"},
		"no token named":             {answer: twice, args: []string{"--token-file="}, want: launch.ExitUsage, wantSaid: "--token-file"},
		"no token":                   {answer: twice, args: []string{"--token-file=/nonexistent"}, want: launch.ExitUsage, wantSaid: "token"},
		"no certificates":            {answer: twice, args: []string{"--ca-file=/dev/null"}, want: launch.ExitUsage, wantSaid: "certificate"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := newGitLab(t, httptest.NewServer, tt.answer)
			got := report(t, append([]string{"--api=" + g.URL, "--project=42", "--commit=" + theCommit, "--status=Running", "--token-file=" + tokenFile(t)}, tt.args...)...)
			if got.code != tt.want || !strings.Contains(got.stdout+got.stderr, tt.wantSaid) || len(g.requests) != tt.wantRequests {
				t.Errorf("the program ended with %+v after %d requests; want exit code %d, %q and %d requests", got, len(g.requests), tt.want, tt.wantSaid, tt.wantRequests)
			}
			if all := got.stdout + got.stderr; strings.Contains(all, token) || strings.Contains(all, "secret of the server") || strings.Contains(all, "/api/v4/projects") {
				t.Errorf("it prints a secret or the address: %q", all)
			}
		})
	}
}

func TestCommitStatusChecksTheServer(t *testing.T) {
	quiet := func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		return s
	}
	g := newGitLab(t, quiet, status(http.StatusCreated, "{}"))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--api=" + g.URL, "--project=42", "--commit=" + theCommit, "--status=Failed", "--token-file=" + tokenFile(t)}
	if got := report(t, args...); got.code != launch.ExitReport || len(g.requests) != 0 {
		t.Errorf("with an unknown certificate the program ended with %+v", got)
	}
	if got := report(t, append(args, "--ca-file="+ca)...); got.code != launch.ExitOK || len(g.requests) != 1 {
		t.Errorf("with a known certificate the program ended with %+v", got)
	}
}
