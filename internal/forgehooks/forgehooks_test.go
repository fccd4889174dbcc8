package forgehooks

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge/client"
	gitlabclient "nautes.io/nautes/internal/forge/client/gitlab"
	forge "nautes.io/nautes/internal/forge/gitlab"
	"nautes.io/nautes/internal/pace"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/gitlab"
)

const (
	address = "http://127.0.0.1:1/hooks/v1/products/product-1"
	other   = "http://127.0.0.1:1/hooks/v1/tenant"
)

// world is a GitLab with two projects, and a keeper whose clock is set.
type world struct {
	*gitlab.Server
	*Keeper
	now      time.Time
	recorded *v1alpha1.ForgeHook
	// records are the hashes of the secrets that were recorded.
	records []string
	refuse  error
}

func newWorld(t *testing.T) *world {
	w := &world{Server: gitlab.New(t), now: time.Unix(1_790_000_000, 0)}
	w.AddUser(gitlab.User{Username: "owner"})
	w.AddGroup("labs", gitlab.Private, "owner")
	w.AddProject("labs/default.project", gitlab.ProjectSettings{Readme: true})
	w.AddProject("labs/moved", gitlab.ProjectSettings{Readme: true})
	token := w.Token("owner")
	w.Keeper = &Keeper{
		Looks: pace.Memory{Now: func() time.Time { return w.now }},
		Connect: func(_ context.Context, provider string) (client.Client, error) {
			if provider != "gitlab" {
				return nil, client.ErrNoToken
			}
			return gitlabclient.New(client.Connection{APIServer: w.URL, Token: secrets.NewValue([]byte(token))})
		},
	}
	return w
}

func hook(change ...func(*Hook)) Hook {
	h := Hook{Provider: "gitlab", Path: "labs/default.project", HookSpec: client.HookSpec{
		URL: address, Events: []string{"push_events"}, Secret: secrets.NewValue([]byte("the secret of the hook")),
	}}
	for _, f := range change {
		f(&h)
	}
	return h
}

func (w *world) ensure(t *testing.T, h Hook) (time.Duration, error) {
	t.Helper()
	return w.Ensure(t.Context(), "Product product-1", h, w.recorded, func(_ context.Context, at *v1alpha1.ForgeHook) error {
		if w.refuse != nil {
			return w.refuse
		}
		w.recorded = at
		w.records = append(w.records, at.SecretHash)
		return nil
	})
}

// has returns the hooks of a project, as their URLs and signing tokens.
func (w *world) has(project string) map[string]string {
	hooks := map[string]string{}
	for _, h := range w.Server.Hooks(project) {
		hooks[h.URL] += h.SigningToken
	}
	return hooks
}

func TestEnsure(t *testing.T) {
	signed := func(secret string) string { return forge.SigningToken([]byte(secret)) }
	first := map[string]string{address: signed("the secret of the hook")}
	moved := func(h *Hook) { h.Path = "labs/moved" }
	renewed := func(h *Hook) { h.Secret = secrets.NewValue([]byte("another secret")) }
	elsewhere := func(h *Hook) { h.URL = other }
	tests := map[string]struct {
		// between happens after a first call, before a second one that asks for the
		// changed hook.
		between func(*testing.T, *world)
		change  []func(*Hook)
		after   time.Duration
		want    map[string]string
		// wantMoved are the hooks of the other project, wantRequests whether the second
		// call asks the forge.
		wantMoved    map[string]string
		wantRequests bool
	}{
		"again":         {want: first},
		"an hour later": {after: 70 * time.Minute, want: first, wantRequests: true},
		"a new secret":  {change: []func(*Hook){renewed}, want: map[string]string{address: signed("another secret")}, wantRequests: true},
		"from a store": {
			change: []func(*Hook){func(h *Hook) {
				h.Secret, h.Version = secrets.Value{}, "2"
				h.Read = func(context.Context) (secrets.Value, error) { return secrets.NewValue([]byte("another secret")), nil }
			}}, want: map[string]string{address: signed("another secret")}, wantRequests: true,
		},
		"another URL":             {change: []func(*Hook){elsewhere}, want: map[string]string{other: signed("the secret of the hook")}, wantRequests: true},
		"another repository":      {change: []func(*Hook){moved}, want: map[string]string{}, wantMoved: first, wantRequests: true},
		"after a restart":         {between: func(_ *testing.T, w *world) { w.Looks.Forget("Product product-1") }, want: first, wantRequests: true},
		"after a lost status":     {between: func(_ *testing.T, w *world) { w.recorded = nil }, want: first, wantRequests: true},
		"removed by hand":         {between: func(t *testing.T, w *world) { w.drop(t) }, after: 2 * time.Hour, want: first, wantRequests: true},
		"not sent after a record": {between: func(t *testing.T, w *world) { w.drop(t); w.recorded.SecretHash = "" }, want: first, wantRequests: true},
		"made without a hash":     {between: func(_ *testing.T, w *world) { w.recorded.SecretHash = "" }, want: first, wantRequests: true},
		"a hook of another URL": {between: func(t *testing.T, w *world) {
			if _, err := w.client(t).EnsureHook(t.Context(), w.recorded.Repository, client.HookSpec{URL: other, Events: []string{"push_events"}}, false); err != nil {
				t.Fatal(err)
			}
		}, after: 2 * time.Hour, want: map[string]string{address: first[address], other: signed("")}, wantRequests: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if again, err := w.ensure(t, hook()); err != nil || again < pace.CheckEvery || again > pace.CheckEvery*11/10+1 {
				t.Fatalf("Ensure = %v, %v", again, err)
			}
			if diff := cmp.Diff(first, w.has("labs/default.project")); diff != "" {
				t.Fatalf("hooks (-want +got):\n%s", diff)
			}
			// The place is on record before there is a hook.
			if len(w.records) != 2 || w.records[0] != "" || w.records[1] == "" {
				t.Errorf("the recorded hashes are %q", w.records)
			}
			if tt.between != nil {
				tt.between(t, w)
			}
			w.now = w.now.Add(tt.after)
			w.ForgetRequests()
			if _, err := w.ensure(t, hook(tt.change...)); err != nil {
				t.Fatal(err)
			}
			if got := len(w.Requests()) > 0; got != tt.wantRequests {
				t.Errorf("the forge is asked: %t, want %t", got, tt.wantRequests)
			}
			if diff := cmp.Diff(tt.want, w.has("labs/default.project")); diff != "" {
				t.Errorf("hooks (-want +got):\n%s", diff)
			}
			if tt.wantMoved == nil {
				tt.wantMoved = map[string]string{}
			}
			if diff := cmp.Diff(tt.wantMoved, w.has("labs/moved")); diff != "" {
				t.Errorf("hooks of the other project (-want +got):\n%s", diff)
			}
			h := hook(tt.change...)
			if h.Read != nil {
				h.Secret, _ = h.Read(t.Context())
			}
			if w.recorded.URL != h.URL || w.recorded.SecretHash != hashOf(h.HookSpec) {
				t.Errorf("on record is %+v", w.recorded)
			}
		})
	}
}

func (w *world) client(t *testing.T) client.Client {
	t.Helper()
	c, err := w.Connect(t.Context(), "gitlab")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// drop removes all hooks of a project as its owner.
func (w *world) drop(t *testing.T) {
	t.Helper()
	for _, h := range w.Server.Hooks("labs/default.project") {
		if err := w.client(t).RemoveHook(t.Context(), w.recorded.Repository, h.ID); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEnsureFails(t *testing.T) {
	all := func(*http.Request) bool { return true }
	tests := map[string]struct {
		prepare func(*testing.T, *world)
		change  func(*Hook)
		want    string
		// wantAgain is the least time until the next attempt.
		wantAgain time.Duration
	}{
		"no token":          {change: func(h *Hook) { h.Provider = "another" }, want: "there is no access token: store one of a maintainer for CodeRepoProvider another", wantAgain: pace.FirstPause},
		"no repository":     {change: func(h *Hook) { h.Path = "labs/none" }, want: "let the access token of CodeRepoProvider gitlab be one of a maintainer", wantAgain: pace.FirstPause},
		"no right":          {prepare: func(_ *testing.T, w *world) { w.SetMember("labs", "owner", gitlab.Developer) }, want: "let the access token of CodeRepoProvider gitlab be one of a maintainer", wantAgain: pace.FirstPause},
		"the forge is away": {prepare: func(_ *testing.T, w *world) { w.Fail(all, 0, gitlab.BadGateway()) }, want: "it is tried again", wantAgain: pace.FirstPause},
		"the forge is busy": {prepare: func(_ *testing.T, w *world) { w.Fail(all, 0, gitlab.RetryLater(2*time.Minute)) }, want: "it is tried again", wantAgain: 2 * time.Minute},
		"marked for deletion": {prepare: func(t *testing.T, w *world) {
			if err := w.client(t).RemoveRepository(t.Context(), w.id("labs/default.project")); err != nil {
				t.Fatal(err)
			}
		}, want: "not found", wantAgain: pace.FirstPause},
		"an event is unknown":  {change: func(h *Hook) { h.Events = []string{"push"} }, want: "no event", wantAgain: pace.FirstPause},
		"the record is denied": {prepare: func(_ *testing.T, w *world) { w.refuse = errors.New("conflict") }, want: "conflict"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, h := newWorld(t), hook()
			if tt.prepare != nil {
				tt.prepare(t, w)
			}
			if tt.change != nil {
				tt.change(&h)
			}
			again, err := w.ensure(t, h)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "the secret of the hook") {
				t.Errorf("Ensure: %v, want %q", err, tt.want)
			}
			if again < tt.wantAgain || again > tt.wantAgain*11/10+1 {
				t.Errorf("tried again after %v, want %v or a little later", again, tt.wantAgain)
			}
			if got := w.has("labs/default.project"); len(got) > 0 {
				t.Errorf("there are the hooks %v", got)
			}
			var failed *Error
			if errors.As(err, &failed) == (w.refuse != nil) {
				t.Errorf("the type of %v is %T", err, err)
			}
		})
	}
}

func (w *world) id(path string) int64 {
	p, _ := w.Project(path)
	return p.ID
}

// A forge that does not answer is asked with growing pauses, and the error is remembered
// until then.
func TestPauses(t *testing.T) {
	w := newWorld(t)
	heal := w.Fail(func(*http.Request) bool { return true }, 0, gitlab.BadGateway())
	for _, pause := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		again, err := w.ensure(t, hook())
		if err == nil || again < pause || again > pause*11/10+1 {
			t.Fatalf("Ensure = %v, %v, want a pause of %v", again, err, pause)
		}
		w.ForgetRequests()
		if _, remembered := w.ensure(t, hook()); remembered == nil || remembered.Error() != err.Error() || len(w.Requests()) > 0 {
			t.Errorf("Ensure = %v with %d requests, want %v from memory", remembered, len(w.Requests()), err)
		}
		w.now = w.now.Add(again)
	}
	heal()
	w.now = w.now.Add(-time.Minute)
	if _, err := w.ensure(t, hook()); err == nil {
		t.Error("the pause has ended early")
	}
	w.Looks.Retry()
	if _, err := w.ensure(t, hook()); err != nil || len(w.has("labs/default.project")) != 1 {
		t.Errorf("Ensure = %v, hooks %v", err, w.has("labs/default.project"))
	}
}

// An answer that is lost after the record leaves no second hook.
func TestLostAnswers(t *testing.T) {
	for lost := 1; ; lost++ {
		w, calls := newWorld(t), 0
		heal := w.Fail(func(*http.Request) bool { calls++; return calls >= lost }, 3, gitlab.Lost())
		_, err := w.ensure(t, hook())
		heal()
		if err == nil {
			return
		}
		w.now = w.now.Add(pace.LastPause)
		if _, err := w.ensure(t, hook()); err != nil {
			t.Fatalf("after a loss at request %d: %v", lost, err)
		}
		if hooks := w.Server.Hooks("labs/default.project"); len(hooks) != 1 {
			t.Errorf("after a loss at request %d there are %d hooks", lost, len(hooks))
		}
	}
}

func TestRemove(t *testing.T) {
	all := func(*http.Request) bool { return true }
	for name, tt := range map[string]struct {
		prepare func(*testing.T, *world)
		wantErr bool
		want    int
	}{
		"there":               {},
		"gone by hand":        {prepare: func(t *testing.T, w *world) { w.drop(t) }},
		"the repository gone": {prepare: func(_ *testing.T, w *world) { w.RemoveNow("labs/default.project") }},
		"no right":            {prepare: func(_ *testing.T, w *world) { w.SetMember("labs", "owner", gitlab.Developer) }, want: 1},
		"no token":            {prepare: func(_ *testing.T, w *world) { w.recorded.Provider = "another" }, want: 1},
		"the forge is away":   {prepare: func(_ *testing.T, w *world) { w.Fail(all, 0, gitlab.BadGateway()) }, wantErr: true, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if _, err := w.ensure(t, hook()); err != nil {
				t.Fatal(err)
			}
			if tt.prepare != nil {
				tt.prepare(t, w)
			}
			err := w.Remove(t.Context(), "Product product-1", w.recorded)
			if (err != nil) != tt.wantErr {
				t.Errorf("Remove: %v, want an error: %t", err, tt.wantErr)
			}
			if got := len(w.Server.Hooks("labs/default.project")); got != tt.want {
				t.Errorf("%d hooks are left, want %d", got, tt.want)
			}
		})
	}
}

// A repository that may not have the hook gets none, and loses one that it has.
func TestForeignRepository(t *testing.T) {
	w := newWorld(t)
	none := hook(func(h *Hook) {
		h.Allowed = func(r client.Repository) bool { return r.Path != "labs/default.project" }
	})
	for name, prepare := range map[string]func(){
		"new": func() {},
		"with a hook": func() {
			if _, err := w.ensure(t, hook()); err != nil {
				t.Fatal(err)
			}
			w.Looks.Forget("Product product-1")
		},
	} {
		prepare()
		if _, err := w.ensure(t, none); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "labs/default.project") {
			t.Errorf("%s: %v", name, err)
		}
		if got := w.has("labs/default.project"); len(got) > 0 {
			t.Errorf("%s: the hooks are %v", name, got)
		}
		w.Looks.Forget("Product product-1")
	}
	if _, err := w.ensure(t, hook(func(h *Hook) { h.Allowed = func(client.Repository) bool { return true } })); err != nil || len(w.has("labs/default.project")) != 1 {
		t.Errorf("an allowed one: %v", err)
	}
}
