package gitlab_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
)

// receiver takes deliveries and answers with a status.
type receiver struct {
	*httptest.Server
	arrived chan delivery
	status  chan int
}

type delivery struct {
	header http.Header
	body   []byte
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{arrived: make(chan delivery, 100), status: make(chan int, 100)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		select {
		case status := <-r.status:
			w.WriteHeader(status)
		default:
		}
		r.arrived <- delivery{request.Header, body}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) next(t testing.TB) delivery {
	t.Helper()
	select {
	case d := <-r.arrived:
		return d
	case <-time.After(20 * time.Second):
		t.Fatal("no delivery")
		return delivery{}
	}
}

// ended waits until a number of deliveries of the project are on record.
func (w *world) ended(t testing.TB, n int) []gitlab.Delivery {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		if found := w.Deliveries("labs/app"); len(found) >= n {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("fewer than %d deliveries", n)
		}
		<-time.After(time.Millisecond)
	}
}

func (w *world) addHook(t testing.TB, options *api.AddProjectHookOptions) *api.ProjectHook {
	t.Helper()
	made, _, err := w.as(t, "maintainer").Projects.AddProjectHook(w.project.ID, options)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

const signingToken = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

func TestDelivery(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	hook := w.addHook(t, &api.AddProjectHookOptions{URL: &r.URL, Token: api.Ptr("token"), SigningToken: api.Ptr(signingToken)})
	if !hook.PushEvents || !hook.TokenPresent || !hook.SigningTokenPresent || hook.AlertStatus != "executable" {
		t.Errorf("the hook is %+v, want both secrets and push events", hook)
	}
	before := w.Revision(t.Context(), "labs/app", "main")
	token := w.Token("maintainer")
	dir := clone(t, w.project.HTTPURL, token)
	if out, err := commitAndPush(t, dir, token, "main"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := r.next(t)
	parsed, err := api.ParseWebhook(api.EventTypePush, got.body)
	if err != nil {
		t.Fatal(err)
	}
	event := parsed.(*api.PushEvent)
	if event.Before != before || event.After != w.Revision(t.Context(), "labs/app", "main") || event.Ref != "refs/heads/main" ||
		event.ProjectID != w.project.ID || event.Project.PathWithNamespace != "labs/app" || event.UserUsername != "maintainer" ||
		event.TotalCommitsCount != 1 || len(event.Commits) != 1 || !event.RefProtected {
		t.Errorf("the event is %+v", event)
	}
	for name, want := range map[string]string{"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": "token", "X-Gitlab-Instance": w.URL, "User-Agent": "GitLab/" + gitlab.DefaultVersion} {
		if got.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
		}
	}
	id, stamp := got.header.Get("webhook-id"), got.header.Get("webhook-timestamp")
	mac := hmac.New(sha256.New, []byte("01234567890123456789012345678901"))
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, stamp, got.body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.header.Get("webhook-signature") != want || id == "" || id != got.header.Get("Idempotency-Key") {
		t.Errorf("the signature of %q is %q, want %q", id, got.header.Get("webhook-signature"), want)
	}
	// A repetition is the same, byte by byte.
	if _, err := w.Redeliver(t.Context(), w.ended(t, 1)[0]); err != nil {
		t.Fatal(err)
	}
	if again := r.next(t); again.header.Get("Idempotency-Key") != id || again.header.Get("webhook-signature") != got.header.Get("webhook-signature") || string(again.body) != string(got.body) {
		t.Error("the repetition differs")
	}
}

// Which pushes call a hook: not to other branches than its filter names, and not of more
// than three branches at once.
func TestDeliveredPushes(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.addHook(t, &api.AddProjectHookOptions{URL: &r.URL, PushEventsBranchFilter: api.Ptr("release/*")})
	token := w.Token("maintainer")
	dir := clone(t, w.project.HTTPURL, token)
	for _, branches := range [][]string{{"feature"}, {"release/1", "release/2", "release/3", "release/4"}, {"release/5"}} {
		refs := []string{"push", "--quiet", "origin"}
		for _, branch := range branches {
			refs = append(refs, "HEAD:refs/heads/"+branch)
		}
		if out, err := runGit(t.Context(), dir, token, refs...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if out, err := runGit(t.Context(), dir, token, "push", "--quiet", "origin", ":refs/heads/release/5"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var afters []string
	for range 2 {
		var event struct{ Ref, After string }
		if err := json.Unmarshal(r.next(t).body, &event); err != nil {
			t.Fatal(err)
		}
		if event.Ref != "refs/heads/release/5" {
			t.Errorf("a delivery for %s", event.Ref)
		}
		afters = append(afters, event.After)
	}
	if !slices.Contains(afters, strings.Repeat("0", 40)) {
		t.Errorf("the branch becomes %v, want a deletion too", afters)
	}
	w.ended(t, 2)
	if found := w.Deliveries("labs/app"); len(found) != 2 {
		t.Errorf("%d deliveries, want 2", len(found))
	}
}

func TestDuplicateDeliveries(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t, func(o *gitlab.Options) { o.DuplicateDeliveries = true }), newReceiver(t)
	w.addHook(t, &api.AddProjectHookOptions{URL: &r.URL})
	if _, err := w.Push(t.Context(), "labs/app", githost.Commit{Files: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	if first, second := r.next(t), r.next(t); first.header.Get("Idempotency-Key") != second.header.Get("Idempotency-Key") {
		t.Error("the duplicate has another key")
	}
}

// Trap 9 to 12: secrets go with the URL, hooks are not unique, local addresses are refused.
func TestHookValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, url := w.as(t, "maintainer"), "http://127.0.0.1:1/a"
	first := w.addHook(t, &api.AddProjectHookOptions{URL: &url, Token: api.Ptr("token"), SigningToken: api.Ptr(signingToken)})
	if twin := w.addHook(t, &api.AddProjectHookOptions{URL: &url}); twin.ID == first.ID {
		t.Error("hooks are unique")
	}
	edit := func(url string) *api.ProjectHook {
		changed, _, err := c.Projects.EditProjectHook(w.project.ID, first.ID, &api.EditProjectHookOptions{URL: &url, PushEvents: api.Ptr(true)})
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	if same := edit(url); !same.TokenPresent || !same.SigningTokenPresent {
		t.Errorf("with the same URL the hook is %+v", same)
	}
	if moved := edit(url + "/b"); moved.TokenPresent || moved.SigningTokenPresent {
		t.Errorf("with another URL the hook is %+v, want no secret", moved)
	}
	add := func(options *api.AddProjectHookOptions) error {
		_, _, err := c.Projects.AddProjectHook(w.project.ID, options)
		return err
	}
	want(t, "a bad filter", add(&api.AddProjectHookOptions{URL: &url, PushEventsBranchFilter: api.Ptr("a b")}), 422, "Invalid branch filter given")
	want(t, "a bad signing token", add(&api.AddProjectHookOptions{URL: &url, SigningToken: api.Ptr("whsec_short")}), 400, "signing_token: [is invalid]")
	want(t, "no URL", add(&api.AddProjectHookOptions{URL: api.Ptr("nonsense")}), 422, "Invalid url given")
	w.SetOptions(func(o *gitlab.Options) { o.DenyLocalHooks = true })
	for _, local := range []string{url, "http://10.1.2.3/", "http://localhost/", "http://receiver.nautes.svc/", "http://gitea:3000/", "http://[::1]/"} {
		want(t, local, add(&api.AddProjectHookOptions{URL: &local}), 422, "Invalid url given")
	}
	if err := add(&api.AddProjectHookOptions{URL: api.Ptr("https://nautes.example.com/hook")}); err != nil {
		t.Error(err)
	}
	_, _, err := w.as(t, "developer").Projects.ListProjectHooks(w.project.ID, nil)
	want(t, "a developer", err, 403, "403 Forbidden")
}

func TestHookVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *gitlab.Options) { o.Version = "18.11.0" })
	hook := w.addHook(t, &api.AddProjectHookOptions{URL: api.Ptr("http://127.0.0.1:1/a"), Token: api.Ptr("token"), SigningToken: api.Ptr(signingToken)})
	if hook.SigningTokenPresent || w.Hooks("labs/app")[0].SigningToken != "" {
		t.Errorf("before 19 the hook is %+v, want the signing token ignored", hook)
	}
}

// Failing hooks rest, longer each time, and a test that succeeds ends that.
func TestAutoDisable(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t, func(o *gitlab.Options) { o.AutoDisable = true }), newReceiver(t)
	hook := w.addHook(t, &api.AddProjectHookOptions{URL: &r.URL})
	c := w.as(t, "maintainer")
	state := func() string {
		found, _, err := c.Projects.GetProjectHook(w.project.ID, hook.ID)
		if err != nil {
			t.Fatal(err)
		}
		return found.AlertStatus
	}
	push := func(n int) {
		if _, err := w.Push(t.Context(), "labs/app", githost.Commit{Files: map[string]string{"a": strconv.Itoa(n)}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		if got := state(); got != "executable" {
			t.Fatalf("after %d failures the hook is %s", i, got)
		}
		r.status <- 404
		push(i)
		w.ended(t, i+1)
	}
	if got := state(); got != "temporarily_disabled" {
		t.Fatalf("after 4 failures the hook is %s", got)
	}
	push(5)
	if n := len(w.Deliveries("labs/app")); n != 4 {
		t.Errorf("%d deliveries: a hook that rests was called", n)
	}
	w.Advance(time.Minute)
	if got := state(); got != "executable" {
		t.Errorf("a minute later the hook is %s", got)
	}
	r.status <- 500
	push(6)
	w.ended(t, 5)
	w.Advance(time.Minute)
	if got := state(); got != "temporarily_disabled" {
		t.Errorf("after the next failure and a minute the hook is %s, want it to rest for two", got)
	}
	if _, err := c.Projects.TriggerTestProjectHook(w.project.ID, hook.ID, api.ProjectHookEventPush); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != "executable" {
		t.Errorf("after a test that succeeds the hook is %s", got)
	}
}

func TestHookLog(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	hook := w.addHook(t, &api.AddProjectHookOptions{URL: &r.URL, Token: api.Ptr("canary")})
	if _, err := w.Push(t.Context(), "labs/app", githost.Commit{Files: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	first := r.next(t)
	w.ended(t, 1)
	path := fmt.Sprintf("/projects/%d/hooks/%d/events", w.project.ID, hook.ID)
	events := func() []map[string]any {
		var rows []map[string]any
		response := w.send(t, "GET", path, "", "")
		content, err := io.ReadAll(response.Body)
		if err != nil || strings.Contains(string(content), "canary") {
			t.Errorf("the log has the secret, or cannot be read: %v", err)
		}
		if err := json.Unmarshal(content, &rows); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	rows := events()
	if len(rows) != 1 || rows[0]["response_status"] != "200" || rows[0]["trigger"] != "push_hooks" {
		t.Fatalf("the log is %v", rows)
	}
	resend := fmt.Sprintf("%s/%.0f/resend", path, rows[0]["id"])
	for i := range 6 {
		wantStatus := http.StatusCreated
		if i == 5 {
			wantStatus = http.StatusTooManyRequests
		}
		if response := w.send(t, "POST", resend, "", ""); response.StatusCode != wantStatus {
			t.Errorf("resend %d: %d, want %d", i+1, response.StatusCode, wantStatus)
		}
	}
	if again := r.next(t); again.header.Get("Idempotency-Key") != first.header.Get("Idempotency-Key") {
		t.Error("it is sent again with another key")
	}
	w.Advance(7 * 24 * time.Hour)
	if rows := events(); len(rows) != 0 {
		t.Errorf("a week later the log has %d entries", len(rows))
	}
}
