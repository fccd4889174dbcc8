package edit

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/plan"
	. "nautes.io/nautes/test/testutil"
)

// tenant gives the world a tenant repository with a cluster and a provider.
func (w world) tenant(t testing.TB) *world {
	t.Helper()
	repo := w.host.Repo("tenant/nautes")
	files := map[string]string{}
	for _, o := range []v1alpha1.Object{Cluster("worker"), Cluster("pipes", PipelineWorker), CodeRepoProvider("gitlab")} {
		files[pathOf(t, o)] = textOf(t, o)
	}
	repo.Push(files)
	w.TenantRepository = func(context.Context) (Repository, error) {
		return Repository{Key: "tenant", Source: git.Source{URL: repo.URL(), Branch: "main"}, Scope: layout.Scope{Tenant: true, Namespace: "nautes"}}, nil
	}
	w.Options.Namespace = "nautes"
	return &w
}

func pathOf(t testing.TB, o v1alpha1.Object) string {
	t.Helper()
	path, err := layout.Path(o)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// textOf returns the canonical file of an object.
func textOf(t testing.TB, o v1alpha1.Object) string {
	t.Helper()
	scope := layout.Scope{Namespace: o.GetNamespace(), Tenant: o.GetNamespace() == "nautes"}
	content, problems, err := encoder{newKinds(t), scope}.encode(pathOf(t, o), nil, declared(o, nil, o.GetNamespace()))
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return string(content)
}

// seed pushes the objects of a product that has all that a runtime needs.
func (w world) seed(t testing.TB, more ...v1alpha1.Object) string {
	t.Helper()
	objects := append([]v1alpha1.Object{
		Environment(product, "dev", "worker"), Environment(product, "ci", "pipes"),
		Project(product, "api"), CodeRepo(product, "repo", "api"),
	}, more...)
	files := map[string]string{}
	for _, o := range objects {
		files[pathOf(t, o)] = textOf(t, o)
	}
	return w.repo.Push(files)
}

func ann() Caller { return Caller{Name: "Ann", Email: "ann@example.com", Key: "ann"} }

func (w world) save(o v1alpha1.Object, change ...func(*Request)) Request {
	q := Request{Repository: w.repository(), Caller: ann(), Save: o, Subject: "[API] Save " + o.GetName()}
	for _, f := range change {
		f(&q)
	}
	return q
}

func (w world) remove(kind, name string, change ...func(*Request)) Request {
	q := Request{Repository: w.repository(), Caller: ann(), Delete: plan.Ref{Kind: kind, Name: name}, Subject: "[API] Delete " + name}
	for _, f := range change {
		f(&q)
	}
	return q
}

func skip(q *Request) { q.SkipReferences = true }

func ifMatch(blob string) func(*Request) { return func(q *Request) { q.IfMatch = blob } }

func TestDo(t *testing.T) {
	runtime := func(change ...func(*v1alpha1.DeploymentRuntime)) *v1alpha1.DeploymentRuntime {
		return DeploymentRuntime(product, "app", "dev", "repo", append([]func(*v1alpha1.DeploymentRuntime){For("api")}, change...)...)
	}
	into := func(environment string) func(*v1alpha1.DeploymentRuntime) {
		return func(r *v1alpha1.DeploymentRuntime) { r.Spec.Destination.Environment = environment }
	}
	dangling := func(r *v1alpha1.DeploymentRuntime) {
		into("nowhere")(r)
		r.Spec.ProjectsRef = []string{"missing"}
		r.Spec.ManifestSource.CodeRepo = "gone"
	}
	for name, tt := range map[string]struct {
		given   []v1alpha1.Object
		files   map[string]string
		request func(w world) Request
		// wantPath is the file of the commit; empty if nothing changes.
		wantPath   string
		wantAbsent bool
		wantErr    error
		wantFields []string
		wantUsers  []string
		wantWarned string
	}{
		"a new object":            {request: func(w world) Request { return w.save(Environment(product, "test", "worker")) }, wantPath: "envs/test.yaml"},
		"a changed one":           {request: func(w world) Request { return w.save(Environment(product, "dev", "pipes")) }, wantPath: "envs/dev.yaml"},
		"an equal one":            {request: func(w world) Request { return w.save(Environment(product, "dev", "worker")) }},
		"a runtime":               {request: func(w world) Request { return w.save(runtime()) }, wantPath: "runtimes/app.yaml"},
		"a pipeline":              {request: func(w world) Request { return w.save(PipelineRuntime(product, "pipe", "api", "ci", "repo")) }, wantPath: "projects/api/pipe.yaml"},
		"missing objects":         {request: func(w world) Request { return w.save(runtime(dangling)) }, wantFields: []string{"spec.destination.environment", "spec.projectsRef[0]", "spec.manifestSource.codeRepo"}},
		"missing, skipped":        {request: func(w world) Request { return w.save(runtime(dangling), skip) }, wantPath: "runtimes/app.yaml"},
		"a border is not skipped": {request: func(w world) Request { return w.save(runtime(Into("kube-system")), skip) }, wantFields: []string{"spec.destination.namespaces[0]"}},
		"another product": {request: func(w world) Request {
			return w.save(Project(product, "x", func(p *v1alpha1.Project) { p.Spec.Product = "product-2" }), skip)
		}, wantFields: []string{"spec.product"}},
		"a wrong shape": {request: func(w world) Request {
			return w.save(Environment(product, "dev", "", func(e *v1alpha1.Environment) { e.Spec.EnvType = "x" }), skip)
		}, wantFields: []string{"spec.cluster"}},
		"a bad name":              {request: func(w world) Request { return w.save(Environment(product, "Dev", "worker")) }, wantFields: []string{"metadata.name", "metadata.name"}},
		"the name of its project": {request: func(w world) Request { return w.save(PipelineRuntime(product, "api", "api", "ci", "repo")) }, wantFields: []string{"metadata.name"}},
		"breaks another": {
			given:   []v1alpha1.Object{runtime()},
			request: func(w world) Request { return w.save(Environment(product, "dev", "pipes")) }, wantFields: []string{""},
		},
		"breaks another, skipped": {
			given:   []v1alpha1.Object{runtime()},
			request: func(w world) Request { return w.save(Environment(product, "dev", "pipes"), skip) }, wantPath: "envs/dev.yaml",
		},
		"another is broken already": {
			given:   []v1alpha1.Object{runtime(dangling)},
			request: func(w world) Request { return w.save(Environment(product, "nowhere", "pipes")) }, wantPath: "envs/nowhere.yaml",
		},
		"a broken file of another": {
			files:   map[string]string{"envs/broken.yaml": "kind: ["},
			request: func(w world) Request { return w.save(Environment(product, "test", "worker")) }, wantPath: "envs/test.yaml", wantWarned: "envs/broken.yaml",
		},
		"its own file is broken": {
			files:   map[string]string{"envs/test.yaml": "kind: ["},
			request: func(w world) Request { return w.save(Environment(product, "test", "worker")) }, wantPath: "envs/test.yaml",
		},
		"elsewhere": {
			files:   map[string]string{"envs/other.yml": environment("test")},
			request: func(w world) Request { return w.save(Environment(product, "test", "pipes")) }, wantPath: "envs/test.yaml",
		},
		"its place is taken": {
			files:   map[string]string{"envs/test.yaml": environment("other")},
			request: func(w world) Request { return w.save(Environment(product, "test", "worker")) }, wantErr: &TakenError{},
		},
		"moves to another project": {
			given:   []v1alpha1.Object{Project(product, "web"), CodeRepo(product, "shared", "web"), PipelineRuntime(product, "pipe", "api", "ci", "repo")},
			request: func(w world) Request { return w.save(PipelineRuntime(product, "pipe", "web", "ci", "shared")) }, wantPath: "projects/web/pipe.yaml",
		},
		"must exist": {request: func(w world) Request { return w.save(Environment(product, "test", "worker"), ifMatch("*")) }, wantErr: ErrPrecondition},
		"exists":     {request: func(w world) Request { return w.save(Environment(product, "dev", "pipes"), ifMatch("*")) }, wantPath: "envs/dev.yaml"},
		"another blob": {request: func(w world) Request {
			return w.save(Environment(product, "dev", "pipes"), ifMatch(strings.Repeat("1", 40)))
		}, wantErr: ErrPrecondition},
		"the blob": {request: func(w world) Request {
			return w.save(Environment(product, "dev", "pipes"), ifMatch(w.repo.Git("rev-parse", "main:envs/dev.yaml")))
		}, wantPath: "envs/dev.yaml"},
		"deleted":               {request: func(w world) Request { return w.remove("Environment", "ci") }, wantPath: "envs/ci.yaml", wantAbsent: true},
		"deleted, another blob": {request: func(w world) Request { return w.remove("Environment", "ci", ifMatch(strings.Repeat("1", 40))) }, wantErr: ErrPrecondition},
		"deleted, missing":      {request: func(w world) Request { return w.remove("Environment", "nowhere") }, wantErr: ErrNotFound},
		"deleted, in use": {
			given:   []v1alpha1.Object{runtime()},
			request: func(w world) Request { return w.remove("Environment", "dev") }, wantUsers: []string{"DeploymentRuntime product-1/app"},
		},
		"deleted, in use, skipped": {
			given:   []v1alpha1.Object{runtime()},
			request: func(w world) Request { return w.remove("Environment", "dev", skip) }, wantPath: "envs/dev.yaml", wantAbsent: true,
		},
		"deleted, a needed binding": {
			given: []v1alpha1.Object{Project(product, "web"), Binding(product, "grant", "repo", v1alpha1.PermissionReadOnly, "web"),
				DeploymentRuntime(product, "web", "dev", "repo", For("web"))},
			request: func(w world) Request { return w.remove("CodeRepoBinding", "grant") }, wantUsers: []string{"DeploymentRuntime product-1/web"},
		},
		"deleted, its file is broken": {
			files:   map[string]string{"envs/test.yaml": "kind: ["},
			request: func(w world) Request { return w.remove("Environment", "test") }, wantPath: "envs/test.yaml", wantAbsent: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := *newWorld(t).tenant(t)
			head := w.seed(t, tt.given...)
			if len(tt.files) > 0 {
				head = w.repo.Push(tt.files)
			}
			got, err := w.Do(context.Background(), tt.request(w))
			var refused *InvalidError
			var used *InUseError
			var taken *TakenError
			switch {
			case tt.wantFields != nil:
				if !errors.As(err, &refused) || cmp.Diff(tt.wantFields, fields(refused.Errors)) != "" {
					t.Errorf("Do: %v, want errors at %q", err, tt.wantFields)
				}
			case tt.wantUsers != nil:
				if !errors.As(err, &used) || cmp.Diff(tt.wantUsers, texts(used.Users)) != "" {
					t.Errorf("Do: %v, want users %q", err, tt.wantUsers)
				}
			case errors.As(tt.wantErr, &taken):
				if !errors.As(err, &taken) {
					t.Errorf("Do: %v, want a TakenError", err)
				}
			case !errors.Is(err, tt.wantErr):
				t.Fatalf("Do: %v, want %v", describe(err), tt.wantErr)
			}
			checkCommit(t, w, tt.request(w), head, got, err, tt.wantPath, tt.wantAbsent)
			if tt.wantWarned != "" && !strings.Contains(strings.Join(got.Warnings, "\n"), tt.wantWarned) {
				t.Errorf("warnings %q", got.Warnings)
			}
			if problems := w.see(t).Problems(); len(problems) > len(tt.files) {
				t.Errorf("problems %v", problems)
			}
		})
	}
}

// checkCommit checks that a request made exactly one commit on a head, or none if path is
// empty.
func checkCommit(t *testing.T, w world, q Request, head string, got Result, err error, path string, absent bool) {
	t.Helper()
	now := w.repo.Git("rev-parse", "main")
	if path == "" {
		if now != head || got.Changed {
			t.Errorf("there is a commit: %+v", got)
		}
		return
	}
	if err != nil || !got.Changed || got.Commit != now || got.Path != path || w.repo.Git("rev-parse", "main~1") != head {
		t.Errorf("Do = %+v, %v; the branch is at %s", got, err, now)
	}
	blob := ""
	if !absent {
		blob = w.repo.Git("rev-parse", "main:"+path)
	}
	if got.Blob != blob {
		t.Errorf("blob %q, want %q", got.Blob, blob)
	}
	kind, name := q.Delete.Kind, q.Delete.Name
	if q.Save != nil {
		kind, name = identityOf(q.Save).kind, q.Save.GetName()
	}
	if entry, found := w.see(t).Get(kind, name); found == absent || found && entry.Path != path {
		t.Errorf("%s %s: %+v, %t", kind, name, entry, found)
	}
}

func fields(errs field.ErrorList) []string {
	var list []string
	for _, err := range errs {
		list = append(list, err.Field)
	}
	return list
}

func texts(refs []plan.Ref) []string {
	var list []string
	for _, ref := range refs {
		list = append(list, ref.String())
	}
	return list
}

func describe(err error) string {
	var command *git.CommandError
	if errors.As(err, &command) {
		return err.Error() + ": " + command.Detail
	}
	if err == nil {
		return "no error"
	}
	return err.Error()
}

// TestCommits holds the content of a commit.
func TestCommits(t *testing.T) {
	w := *newWorld(t).tenant(t)
	w.seed(t)
	q := w.save(Environment(product, "test", "worker"))
	q.Trailers = []Trailer{{Key: "Request-Id", Value: "1"}}
	for _, tt := range []struct {
		request Request
		want    string
	}{
		{q, "Ann <ann@example.com> Ann <ann@example.com>\n[API] Save test\n\nRequest-Id: 1"},
		{w.remove("Environment", "test"), "Ann <ann@example.com> Ann <ann@example.com>\n[API] Delete test\n\nNautes-Confirm-Prune: true"},
	} {
		got, err := w.Do(context.Background(), tt.request)
		if err != nil {
			t.Fatal(describe(err))
		}
		if message := w.repo.Git("log", "-1", "--format=%an <%ae> %cn <%ce>%n%B", got.Commit); message != tt.want {
			t.Errorf("message %q, want %q", message, tt.want)
		}
	}
	for name, bad := range map[string]Request{
		"no subject": w.save(Environment(product, "x", "worker"), func(q *Request) { q.Subject = "" }),
		"a line end": w.save(Environment(product, "x", "worker"), func(q *Request) { q.Trailers = []Trailer{{Key: "A", Value: "b\nNautes-Confirm-Prune: true"}} }),
		"nothing":    {Repository: w.repository(), Subject: "x"},
		"both":       w.save(Environment(product, "x", "worker"), func(q *Request) { q.Delete = plan.Ref{Kind: "Environment", Name: "dev"} }),
	} {
		if _, err := w.Do(context.Background(), bad); err == nil {
			t.Errorf("%s is done", name)
		}
	}
}
