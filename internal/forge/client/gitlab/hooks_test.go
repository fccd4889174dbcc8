package gitlab_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
)

const hookSecret = "canary-of-the-hook"

func pushHook(url string) client.HookSpec {
	return client.HookSpec{URL: url, Events: []string{"push_events"}, Secret: secret(hookSecret)}
}

// hook calls EnsureHook and returns GitLab's only hook.
func (w *world) hook(t testing.TB, spec client.HookSpec, renew bool) gitlab.Hook {
	t.Helper()
	if _, err := w.caller.EnsureHook(t.Context(), w.project.ID, spec, renew); err != nil {
		t.Fatal(err)
	}
	hooks := w.Hooks("labs/app")
	if len(hooks) != 1 {
		t.Fatalf("%d hooks, want 1", len(hooks))
	}
	return hooks[0]
}

// changes returns the number of requests that change GitLab, and forgets all requests.
func (w *world) changes() int {
	n := 0
	for _, request := range w.Requests() {
		if request.Method != http.MethodGet {
			n++
		}
	}
	w.ForgetRequests()
	return n
}

func TestHookSigning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *gitlab.Options) { o.Version = "18.9.0" })
	spec := pushHook("http://127.0.0.1:1/hook")
	if h := w.hook(t, spec, false); h.Token != hookSecret || h.SigningToken != "" {
		t.Errorf("before 19 the hook is %+v, want the token only", h)
	}
	w.changes()
	w.hook(t, spec, false)
	if n := w.changes(); n != 0 {
		t.Errorf("a further call makes %d changes", n)
	}
	// After the upgrade of GitLab, a new client signs the existing hook.
	w.SetOptions(func(o *gitlab.Options) { o.Version = "19.0.0" })
	w.caller = connect(t, w.URL, w.token)
	signed := w.hook(t, spec, false)
	if signed.Token != "" || signed.SigningToken == "" {
		t.Errorf("after the upgrade the hook is %+v, want the signing token only", signed)
	}
	w.changes()
	w.hook(t, spec, false)
	if n := w.changes(); n != 0 {
		t.Errorf("a further call makes %d changes", n)
	}
	spec.Plain = true
	if h := w.hook(t, spec, true); h.Token != hookSecret || h.SigningToken != signed.SigningToken {
		t.Errorf("for a receiver without signatures the hook is %+v, want both tokens", h)
	}
	spec.Plain, spec.Secret = false, secret("another")
	if h := w.hook(t, spec, true); h.Token != "" || h.SigningToken == signed.SigningToken || h.ID != signed.ID {
		t.Errorf("after a renewal the hook is %+v", h)
	}
}

func TestHookTwins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spec := pushHook("http://127.0.0.1:1/hook")
	first := w.hook(t, spec, false)
	root := connect(t, w.URL, w.Token("root"))
	for range 2 {
		// Hooks are not unique in GitLab.
		post(t, w, "/projects/"+number(w.project.ID)+"/hooks", `{"url":"http://127.0.0.1:1/hook","push_events_branch_filter":"main"}`)
	}
	if n := len(w.Hooks("labs/app")); n != 3 {
		t.Fatalf("%d hooks, want 3", n)
	}
	if h := w.hook(t, spec, false); h.ID != first.ID {
		t.Errorf("the hook that is kept is %+v, want the signed one", h)
	}
	hooks, err := root.Hooks(t.Context(), w.project.ID)
	if err != nil || len(hooks) != 1 || !hooks[0].Signed {
		t.Errorf("Hooks = %+v, %v", hooks, err)
	}
}

func TestHookMended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	post(t, w, "/projects/"+number(w.project.ID)+"/hooks",
		`{"url":"http://127.0.0.1:1/hook","push_events":false,"issues_events":true,"push_events_branch_filter":"main","enable_ssl_verification":false}`)
	h := w.hook(t, pushHook("http://127.0.0.1:1/hook"), false)
	if h.Filter != "" || h.Insecure || !slices.Equal(h.Events, []string{"push_events"}) || h.SigningToken == "" {
		t.Errorf("the hook is %+v", h)
	}
}

func TestHookRearmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *gitlab.Options) { o.AutoDisable = true })
	var healthy atomic.Bool
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if !healthy.Load() {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer receiver.Close()
	spec := pushHook(receiver.URL)
	w.hook(t, spec, false)
	for i := range 4 {
		if _, err := w.Push(t.Context(), "labs/app", githost.Commit{Files: map[string]string{"a": number(int64(i))}}); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); len(w.Deliveries("labs/app")) <= i; {
			if time.Now().After(deadline) {
				t.Fatal("no delivery")
			}
			<-time.After(time.Millisecond)
		}
	}
	hook, err := w.caller.EnsureHook(t.Context(), w.project.ID, spec, false)
	if err != nil || !hook.Disabled {
		t.Fatalf("after four failures the hook is %+v, %v, want it disabled", hook, err)
	}
	healthy.Store(true)
	if hook, err = w.caller.EnsureHook(t.Context(), w.project.ID, spec, false); err != nil || hook.Disabled {
		t.Errorf("with a receiver that answers the hook is %+v, %v, want it in force", hook, err)
	}
}

func TestLocalHook(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *gitlab.Options) { o.DenyLocalHooks = true })
	for url, want := range map[string]error{
		"http://10.0.0.1/hook": client.ErrInvalid, "http://nautes.svc/hook": client.ErrInvalid, "https://nautes.example.com/hook": nil,
	} {
		_, err := w.caller.EnsureHook(t.Context(), w.project.ID, pushHook(url), false)
		wantClass(t, url, err, want)
	}
}
