package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/secrets"
)

// fakeForge answers as one with the groups labs and bare, whose default.project is
// repository 1; bare has nothing else. Other
// methods of the interface panic.
type fakeForge struct {
	client.Client
	role string
	made *[]string
	// git is the address of the Git host.
	git string
	// calls counts requests, and groups is the number of groups labs-0, labs-1, ….
	calls  *atomic.Int64
	groups int
	// revoked takes the right of all to see the group.
	revoked *atomic.Bool
}

func (f *fakeForge) WhoAmI(context.Context) (client.Caller, error) {
	f.calls.Add(1)
	switch f.role {
	case "unknown":
		return client.Caller{}, &client.Error{Action: "read the caller", Class: client.ErrUnauthorized}
	case "panic":
		panic("canary")
	}
	return client.Caller{ID: 7, Username: f.role, Name: "A Person", Email: "a@example.com"}, nil
}

func (f *fakeForge) Group(_ context.Context, path string) (client.Group, error) {
	f.calls.Add(1)
	if number, err := strconv.ParseInt(strings.TrimPrefix(path, "labs-"), 10, 64); err == nil {
		return client.Group{ID: 100 + number, Path: path, Name: path, Visibility: client.VisibilityPrivate}, nil
	}
	if path == "bare" {
		return client.Group{ID: 45, Path: path, Name: path, Visibility: client.VisibilityPrivate}, nil
	}
	if path != "labs" || f.role == "outsider" || f.revoked.Load() {
		return client.Group{}, &client.Error{Action: "read group", Class: client.ErrNotFound}
	}
	return client.Group{ID: 42, Path: "labs", Name: "Labs", Visibility: client.VisibilityPrivate}, nil
}

func (f *fakeForge) Groups(ctx context.Context) ([]client.Group, error) {
	all := make([]client.Group, 0, f.groups+1)
	for i := range f.groups {
		path := fmt.Sprintf("labs-%d", i)
		all = append(all, client.Group{ID: int64(100 + i), Path: path, Name: path, Visibility: client.VisibilityPrivate})
	}
	if g, err := f.Group(ctx, "labs"); err == nil {
		all = append(all, g)
	}
	return all, nil
}

func (f *fakeForge) Repository(_ context.Context, path string) (client.Repository, error) {
	f.calls.Add(1)
	switch {
	case f.role == "outsider":
	case strings.HasPrefix(path, "labs-") && strings.HasSuffix(path, "/default.project"):
		return client.Repository{ID: 1, GroupID: 42, Path: path, HTTPURL: f.git + "/" + path + ".git"}, nil
	case path == "labs/default.project", path == "bare/default.project":
		return client.Repository{ID: 1, GroupID: 42, Path: path, HTTPURL: f.git + "/" + path + ".git"}, nil
	case path == "tenant/management":
		return client.Repository{ID: 2, Path: path}, nil
	case path == "labs/app":
		return client.Repository{ID: 3, GroupID: 42, Path: path}, nil
	}
	return client.Repository{}, &client.Error{Action: "read repository", Class: client.ErrNotFound}
}

func (f *fakeForge) CanPush(context.Context, int64, string) (bool, error) {
	f.calls.Add(1)
	if f.role == "guest" {
		return false, &client.Error{Action: "read branch", Class: client.ErrNotFound}
	}
	return f.role == "maintainer" || f.role == "owner", nil
}

func (f *fakeForge) Role(context.Context, int64, int64) (client.Role, error) {
	if f.role == "owner" {
		return client.RoleOwner, nil
	}
	return client.RoleMaintain, nil
}

func (f *fakeForge) Repositories(_ context.Context, group int64) ([]client.Repository, error) {
	if group == 45 {
		return []client.Repository{{ID: 1, Path: "bare/default.project"}}, nil
	}
	return []client.Repository{{ID: 1, Path: "labs/default.project"}, {ID: 3, Path: "labs/app"}}, nil
}

func (f *fakeForge) EnsureRepository(_ context.Context, spec client.RepositorySpec) (client.Repository, error) {
	*f.made = append(*f.made, "repository "+spec.Path)
	return client.Repository{ID: 9, Path: "labs/" + spec.Path}, nil
}

func (f *fakeForge) EnsureGroup(_ context.Context, spec client.GroupSpec) (client.Group, error) {
	if f.role == "outsider" {
		return client.Group{}, &client.Error{Action: "create group", Class: client.ErrForbidden}
	}
	*f.made = append(*f.made, "group "+spec.Path)
	return client.Group{ID: 43, Path: spec.Path}, nil
}

func (f *fakeForge) RemoveRepository(context.Context, int64) error { return nil }

func (f *fakeForge) RemoveGroup(context.Context, int64) error { return nil }

func (f *fakeForge) EnsureKey(_ context.Context, repository int64, key client.Key) (client.Key, error) {
	*f.made = append(*f.made, fmt.Sprintf("key %s on %d", key.Title, repository))
	return key, nil
}

// store keeps secrets in memory.
type store struct {
	mutex   sync.Mutex
	secrets map[secrets.Ref]secrets.Secret
}

func (s *store) Get(_ context.Context, ref secrets.Ref) (secrets.Secret, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if secret, found := s.secrets[ref]; found {
		return secret, nil
	}
	return secrets.Secret{}, secrets.ErrNotFound
}

func (s *store) Put(_ context.Context, ref secrets.Ref, fields map[string]secrets.Value) (string, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.secrets[ref] = secrets.Secret{Fields: fields, Version: "1"}
	return "1", nil
}

func (s *store) Create(ctx context.Context, ref secrets.Ref, fields map[string]secrets.Value) (string, error) {
	if _, err := s.Get(ctx, ref); err == nil {
		return "", secrets.ErrExists
	}
	return s.Put(ctx, ref, fields)
}

func (s *store) Delete(_ context.Context, ref secrets.Ref) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.secrets, ref)
	return nil
}

func (s *store) Version(ctx context.Context, ref secrets.Ref) (string, error) {
	secret, err := s.Get(ctx, ref)
	return secret.Version, err
}

// editor accepts every change of an empty repository.
type editor struct {
	mutex    sync.Mutex
	requests []edit.Request
	// fail is the error of Do, after Prepare.
	fail error
	// result of Do; a commit if it is nil.
	result *edit.Result
}

func (e *editor) View(context.Context, edit.Repository, time.Duration) (*edit.View, error) {
	return &edit.View{}, nil
}

func (e *editor) At(context.Context, edit.Repository, string) (*edit.View, error) {
	return &edit.View{}, nil
}

func (e *editor) Includes(_ context.Context, _ edit.Repository, revision, commit string) (bool, error) {
	return revision == commit, nil
}

func (e *editor) Do(ctx context.Context, r edit.Request) (edit.Result, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.requests = append(e.requests, r)
	undo := func(context.Context) error { return nil }
	if r.Prepare != nil && !r.DryRun {
		prepared, err := r.Prepare(ctx)
		if err != nil {
			return edit.Result{}, err
		}
		undo = prepared
	}
	if e.fail != nil {
		return edit.Result{}, errorsOf(undo(ctx), e.fail)
	}
	if e.result != nil {
		return *e.result, nil
	}
	return edit.Result{Commit: strings.Repeat("c", 40), Path: "some.yaml", Blob: "b10b", Changed: true}, nil
}

func errorsOf(undo, fail error) error {
	if undo != nil {
		return undo
	}
	return fail
}

// rig is a server with a forge in which the token is the role of its owner.
type rig struct {
	t      testing.TB
	server *Server
	editor *editor
	store  *store
	made   []string
	log    *bytes.Buffer
	git    string
	groups int
	calls  atomic.Int64
	// revoked and later change the answers of the forge, and the time.
	revoked atomic.Bool
	later   atomic.Int64
}

func newRig(t testing.TB, change ...func(*Options)) *rig {
	r := &rig{t: t, git: "https://git.example.com", editor: &editor{}, store: &store{secrets: map[secrets.Ref]secrets.Secret{}}, log: &bytes.Buffer{}}
	var mutex sync.Mutex
	log := funcr.New(func(prefix, args string) {
		mutex.Lock()
		defer mutex.Unlock()
		fmt.Fprintln(r.log, prefix, args)
	}, funcr.Options{Verbosity: 9})
	o := Options{
		Editor: r.editor, Secrets: r.store, Log: log, Audit: log, Rate: 1e6, Burst: 1e6,
		Platform: func(context.Context) (Platform, error) {
			provider := &v1alpha1.CodeRepoProvider{ObjectMeta: metav1.ObjectMeta{Name: "gitlab"}, Spec: v1alpha1.CodeRepoProviderSpec{ProviderType: "gitlab"}}
			return Platform{Provider: provider, TenantRepository: "tenant/management", Namespace: "nautes"}, nil
		},
		Forge: func(_ *v1alpha1.CodeRepoProvider, token secrets.Value) (client.Client, error) {
			role, _, _ := strings.Cut(string(token.Bytes()), "-")
			return &fakeForge{role: role, made: &r.made, git: r.git, revoked: &r.revoked, calls: &r.calls, groups: r.groups}, nil
		},
		Now: func() time.Time { return time.Now().Add(time.Duration(r.later.Load())) },
	}
	for _, f := range change {
		f(&o)
	}
	r.server = New(o)
	return r
}

// request sends a request as a role; headers are pairs of names and values.
func (r *rig) request(role, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	q := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	return r.send(role, q)
}

// send sends a request as a role. Problems must have their media type.
func (r *rig) send(role string, q *http.Request) *httptest.ResponseRecorder {
	r.t.Helper()
	if role != "" {
		q.Header.Set("Authorization", "Bearer "+role)
	}
	w := httptest.NewRecorder()
	r.server.ServeHTTP(w, q)
	if w.Code != http.StatusOK && w.Header().Get("Content-Type") != problemType {
		r.t.Errorf("%s %s: status %d with %s %q", q.Method, q.URL.Path, w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	return w
}

func decoded[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}
