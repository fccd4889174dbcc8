package rest

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const productBody = `{"git": {"gitlab": {"path": "new", "visibility": "private", "description": "d"}}}`

func TestProductKeys(t *testing.T) {
	r := newRig(t)
	send := func(role, path, body, key string) int {
		return r.request(role, "POST", "/api/v1/products/"+path, body, "Idempotency-Key", key).Code
	}
	var wait sync.WaitGroup
	for range 5 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if code := send("creator", "new", productBody, "k1"); code != http.StatusOK {
				t.Errorf("status %d", code)
			}
		}()
	}
	wait.Wait()
	once := []string{"group new", "repository default.project", "key repo-9-readonly on 9"}
	if diff := cmp.Diff(once, r.made); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	if code := send("creator", "new", strings.Replace(productBody, `"d"`, `"e"`, 1), "k1"); code != http.StatusUnprocessableEntity {
		t.Errorf("another request with the key: status %d", code)
	}
	if code := send("outsider", "new", productBody, "k2"); code != http.StatusForbidden {
		t.Errorf("refused: status %d", code)
	}
	if code := send("creator", "new", productBody, "k2"); code != http.StatusOK {
		t.Errorf("repeated after a refusal: status %d", code)
	}
	if code := send("creator", "new", productBody, "\x7f"); code != http.StatusBadRequest {
		t.Errorf("a bad key: status %d", code)
	}
	if len(r.made) != 6 {
		t.Errorf("made %v", r.made)
	}
	r.later.Store(int64(onceWindow))
	if send("creator", "new", productBody, "k1"); len(r.made) != 9 {
		t.Errorf("after the window: made %v", r.made)
	}
}

func TestProductDryRun(t *testing.T) {
	for name, tt := range map[string]struct {
		role, method, path, body string
		wantCode                 int
		want                     []string
	}{
		"new": {"creator", "POST", "new", productBody, 200, []string{
			"--- /dev/null\n+++ b/groups/new\n", "+description: d\n", "+name: new\n", "+visibility: private\n", "+- default.project\n"}},
		"changed": {"owner", "POST", "labs", `{"git": {"gitlab": {"path": "labs", "name": "Other", "visibility": "private"}}}`, 200, []string{
			"--- a/groups/labs\n+++ b/groups/labs\n", "-name: Labs\n", "+name: Other\n"}},
		"unchanged": {"owner", "POST", "labs", `{"git": {"gitlab": {"path": "labs", "name": "Labs", "visibility": "private"}}}`, 200, nil},
		"in use":    {"owner", "DELETE", "labs", "", 409, nil},
		"denied":    {"maintainer", "DELETE", "labs", "", 403, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			w := r.request(tt.role, tt.method, "/api/v1/products/"+tt.path+"?dry_run=true", tt.body)
			if w.Code != tt.wantCode || len(r.made) > 0 {
				t.Fatalf("%d %s; made %v", w.Code, w.Body, r.made)
			}
			if w.Code != http.StatusOK {
				return
			}
			got := decoded[saved](t, w)
			for _, text := range tt.want {
				if !strings.Contains(got.Diff, text) {
					t.Errorf("diff %q lacks %q", got.Diff, text)
				}
			}
			if tt.want == nil && got.Diff != "" {
				t.Errorf("diff %q", got.Diff)
			}
		})
	}
}

// TestManyWrites holds that changes of one repository have a limit, which others do not
// feel.
func TestManyWrites(t *testing.T) {
	r := newRig(t)
	var leave []func()
	for range maxWrites {
		done, err := r.server.writes.enter("product-42")
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, done)
	}
	one, other := "/api/v1/products/labs/environments/dev", "/api/v1/clusters/alpha"
	if w := r.request("maintainer", "POST", one, environment); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := r.request("maintainer", "DELETE", other, ""); w.Code != http.StatusOK {
		t.Errorf("another repository: %d %s", w.Code, w.Body)
	}
	for _, done := range leave {
		done()
	}
	if w := r.request("maintainer", "POST", one, environment); w.Code != http.StatusOK || len(r.server.writes.of) > 0 {
		t.Errorf("%d %s, %v", w.Code, w.Body, r.server.writes.of)
	}
}

// TestTurnedAway holds that refused credentials and floods are in the audit, without the
// token, and that a flood of them is not.
func TestTurnedAway(t *testing.T) {
	r := newRig(t)
	r.server.limits = newLimits(1, 1, r.server.options.Now)
	for range 3 * refusedBurst {
		r.request("unknown-c4n4ry", "DELETE", "/api/v1/clusters/alpha", "")
	}
	log := r.log.String()
	if n := strings.Count(log, `"turned away"`); n < refusedBurst || n > 2*refusedBurst {
		t.Errorf("%d lines", n)
	}
	for _, want := range []string{`"status"=401 "reason"="UNAUTHORIZED"`, `"status"=429 "reason"="TOO_MANY_REQUESTS"`, `"path"="/api/v1/clusters/alpha"`, `"token"="` + r.server.tokens.key("unknown-c4n4ry") + `"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit lacks %s", want)
		}
	}
	if strings.Contains(log, "c4n4ry") {
		t.Error("the audit has the token")
	}
}
