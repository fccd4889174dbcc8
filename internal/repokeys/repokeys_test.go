package repokeys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	kclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/access"
	"nautes.io/nautes/internal/deploykeys"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/foreign"
	"nautes.io/nautes/internal/forge/client"
	gitlabclient "nautes.io/nautes/internal/forge/client/gitlab"
	"nautes.io/nautes/internal/pace"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/gitlab"
)

const tenant, product = "nautes", "product-1"

// world is a GitLab with the projects api, web and docs of one product, the CodeRepos of
// them, and a maker whose clock is set.
type world struct {
	*gitlab.Server
	t      *testing.T
	maker  *Maker
	client kclient.Client
	store  secrets.Store
	now    time.Time
	token  string
	names  map[string]string
	// writes counts the writes to the API server.
	writes int
}

func newWorld(t *testing.T) *world {
	w := &world{Server: gitlab.New(t), t: t, now: time.Unix(1_790_000_000, 0), names: map[string]string{}}
	w.AddUser(gitlab.User{Username: "owner"})
	w.AddGroup("labs", gitlab.Private, "owner")
	w.token = w.Token("owner")
	objects := []kclient.Object{
		&v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: product}, Spec: v1alpha1.ProductSpec{Name: "labs"}},
		&v1alpha1.CodeRepoProvider{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "forge"}, Spec: v1alpha1.CodeRepoProviderSpec{
			HTTPAddress: w.URL, APIServer: w.API, ProviderType: "gitlab", DeployKeys: true,
		}},
	}
	for name, project := range map[string]string{"api": "shop", "web": "shop", "docs": ""} {
		made := w.AddProject("labs/"+name, gitlab.ProjectSettings{})
		w.names[name] = deploykeys.RepositoryName(made.ID)
		objects = append(objects, &v1alpha1.CodeRepo{
			ObjectMeta: metav1.ObjectMeta{Namespace: product, Name: w.names[name]},
			Spec:       v1alpha1.CodeRepoSpec{CodeRepoProvider: "forge", RepoName: name, Project: project},
		})
	}
	w.client = interceptor.NewClient(fake.NewClientBuilder().WithScheme(foreign.Scheme()).WithObjects(objects...).WithStatusSubresource(&v1alpha1.CodeRepo{}).Build(), interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c kclient.Client, sub string, o kclient.Object, p kclient.Patch, opts ...kclient.SubResourcePatchOption) error {
			w.writes++
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	})
	w.store = kube.New(w.client, w.client, tenant)
	w.restart()
	return w
}

// restart forgets everything that is not stored.
func (w *world) restart() {
	w.maker = &Maker{
		Store: w.store, Later: func(v1alpha1.Object, time.Duration) {}, Looks: pace.Memory{Now: func() time.Time { return w.now }},
		Connect: func(context.Context, string) (client.Client, error) {
			if w.token == "" {
				return nil, client.ErrNoToken
			}
			return gitlabclient.New(client.Connection{APIServer: w.URL, Token: secrets.NewValue([]byte(w.token))})
		},
	}
}

// load returns a snapshot of all objects.
func (w *world) load(ctx context.Context) (*snapshot.Snapshot, error) {
	var objects []kclient.Object
	for _, list := range []kclient.ObjectList{&v1alpha1.ProductList{}, &v1alpha1.CodeRepoProviderList{}, &v1alpha1.CodeRepoList{}, &v1alpha1.CodeRepoBindingList{}} {
		if err := w.client.List(ctx, list); err != nil {
			return nil, err
		}
		items, err := meta.ExtractList(list)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			objects = append(objects, item.(kclient.Object))
		}
	}
	return snapshot.New(tenant, tenant, objects...), nil
}

// pass reconciles one repository and returns its condition.
func (w *world) pass(name string) metav1.Condition {
	w.t.Helper()
	reconciler, err := engine.New[v1alpha1.CodeRepo](func(s *Session) engine.Phases {
		return engine.Phases{
			Load: w.load,
			Observe: func(ctx context.Context, _ error) error {
				url, err := s.Snapshot.RepositoryURL(s.Object)
				if err != nil {
					return err
				}
				return w.maker.Ensure(ctx, s, url)
			},
			Withdraw: func(ctx context.Context) error { return w.maker.Remove(ctx, s) },
		}
	}, engine.Options[*v1alpha1.CodeRepo]{Client: w.client, Recorder: events.NewFakeRecorder(100)})
	if err != nil {
		w.t.Fatal(err)
	}
	_, _ = reconciler.Reconcile(w.t.Context(), reconcile.Request{NamespacedName: kclient.ObjectKey{Namespace: product, Name: w.names[name]}})
	r := w.repo(name)
	if c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionDeployKeys); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// settle reconciles all repositories until nothing is written.
func (w *world) settle() {
	w.t.Helper()
	for range 5 {
		before := w.writes
		for _, name := range []string{"api", "web", "docs"} {
			if w.repo(name).Name == "" {
				continue
			}
			if c := w.pass(name); c.Status != metav1.ConditionTrue && c.Status != "" {
				w.t.Fatalf("%s: %+v", name, c)
			}
		}
		if w.writes == before {
			return
		}
	}
	w.t.Fatal("the passes do not end")
}

// repo returns a CodeRepo, or an empty one if it is gone.
func (w *world) repo(name string) *v1alpha1.CodeRepo {
	w.t.Helper()
	r := &v1alpha1.CodeRepo{}
	err := w.client.Get(w.t.Context(), kclient.ObjectKey{Namespace: product, Name: w.names[name]}, r)
	if kclient.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	return r
}

// change changes an object.
func change[T kclient.Object](w *world, o T, namespace, name string, f func(T)) {
	w.t.Helper()
	if err := w.client.Get(w.t.Context(), kclient.ObjectKey{Namespace: namespace, Name: name}, o); err != nil {
		w.t.Fatal(err)
	}
	f(o)
	if err := w.client.Update(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) changeRepo(name string, f func(*v1alpha1.CodeRepo)) {
	w.t.Helper()
	change(w, &v1alpha1.CodeRepo{}, product, w.names[name], f)
}

func rotate(value string) func(*v1alpha1.CodeRepo) {
	return func(r *v1alpha1.CodeRepo) { r.Annotations = map[string]string{v1alpha1.AnnotationRotateKeys: value} }
}

// has returns the keys of a project, sorted, such as "api-readonly". A key that is not the
// stored one of its title, or has the wrong right, is marked.
func (w *world) has(name string) []string {
	w.t.Helper()
	var found []string
	for _, key := range w.Server.Keys("labs/" + name) {
		text, mark := key.Title, ""
		if repository, permission, ours := access.Owner(key.Title); ours {
			for short, known := range w.names {
				if known == repository {
					text = short + "-" + string(permission)
				}
			}
			stored, err := (&deploykeys.Keeper{Store: w.store, Provider: "gitlab"}).Read(w.t.Context(), repository, permission)
			if err != nil || stored.Public != key.Key {
				mark = " that is not stored"
			}
			if key.CanPush != (permission == v1alpha1.PermissionReadWrite) {
				mark += " with the wrong right"
			}
		}
		found = append(found, text+mark)
	}
	slices.Sort(found)
	return found
}

func (w *world) want(what, name string, keys ...string) {
	w.t.Helper()
	if diff := cmp.Diff(keys, w.has(name)); diff != "" {
		w.t.Errorf("%s, the keys of %s (-want +got):\n%s", what, name, diff)
	}
}

// wantAll checks the keys that the repositories have without bindings.
func (w *world) wantAll(what string) {
	w.t.Helper()
	shop := []string{"api-readonly", "api-readwrite", "web-readonly", "web-readwrite"}
	w.want(what, "api", shop...)
	w.want(what, "web", shop...)
	w.want(what, "docs", "docs-readonly", "docs-readwrite")
}

// public returns the public half of a stored key.
func (w *world) public(name string, permission v1alpha1.Permission) string {
	w.t.Helper()
	key, err := (&deploykeys.Keeper{Store: w.store, Provider: "gitlab"}).Read(w.t.Context(), w.names[name], permission)
	if err != nil {
		w.t.Fatal(err)
	}
	return key.Public
}

func reads(requests []gitlab.Request) bool {
	return !slices.ContainsFunc(requests, func(r gitlab.Request) bool { return r.Method != http.MethodGet })
}

func TestKeys(t *testing.T) {
	w := newWorld(t)
	w.settle()
	w.wantAll("first")
	r := w.repo("api")
	id, _ := deploykeys.RepositoryID(w.names["api"])
	want := &v1alpha1.DeployKeys{Provider: "forge", Repository: id, Keys: []v1alpha1.DeployKey{
		{Permission: "readonly", Fingerprint: deploykeys.FingerprintOf(w.public("api", "readonly"))},
		{Permission: "readwrite", Fingerprint: deploykeys.FingerprintOf(w.public("api", "readwrite"))},
	}}
	if diff := cmp.Diff(want, r.Status.DeployKeys); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
	if got, want := w.pass("api").Message, "labs/api accepts 2 keys of its own and 2 of other repositories"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}

	w.ForgetRequests()
	w.settle()
	if requests := w.Requests(); len(requests) > 0 {
		t.Errorf("at rest, GitLab is asked %v", requests)
	}
	before := w.writes
	w.restart()
	w.settle()
	if requests := w.Requests(); len(requests) == 0 || !reads(requests) || w.writes != before {
		t.Errorf("after a restart: %d writes, and the requests %v", w.writes-before, requests)
	}

	binding := &v1alpha1.CodeRepoBinding{ObjectMeta: metav1.ObjectMeta{Namespace: product, Name: "b"}, Spec: v1alpha1.CodeRepoBindingSpec{
		CodeRepo: w.names["docs"], Projects: []v1alpha1.DNSLabel{"shop"}, Permissions: v1alpha1.PermissionReadWrite,
	}}
	if err := w.client.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.want("with a binding", "docs", "api-readwrite", "docs-readonly", "docs-readwrite", "web-readwrite")
	if err := w.client.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.wantAll("without the binding")

	for _, key := range w.Server.Keys("labs/docs") {
		c, _ := w.maker.Connect(t.Context(), "forge")
		docs, _ := deploykeys.RepositoryID(w.names["docs"])
		if err := c.RemoveKey(t.Context(), docs, key.ID); err != nil {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(2 * time.Hour)
	w.settle()
	w.wantAll("repaired")

	change(w, &v1alpha1.CodeRepoProvider{}, tenant, "forge", func(p *v1alpha1.CodeRepoProvider) { p.Spec.DeployKeys = false })
	w.pass("api")
	if w.repo("api").Status.DeployKeys != nil {
		t.Error("the keys are on record, and are switched off")
	}
	w.wantAll("switched off")
}

func TestRotation(t *testing.T) {
	w := newWorld(t)
	w.settle()
	first := w.public("api", "readwrite")
	docs := w.public("docs", "readwrite")
	w.changeRepo("api", rotate("1"))
	w.settle()
	w.wantAll("rotated")
	second := w.public("api", "readwrite")
	if first == second || w.repo("api").Status.DeployKeys.Rotated != "1" || w.public("docs", "readwrite") != docs {
		t.Errorf("the key before is %s, and now %s; on record is %+v", first, second, w.repo("api").Status.DeployKeys)
	}
	for name, again := range map[string]func(){
		"a pass":    func() {},
		"a restart": w.restart,
		"a lost status": func() {
			r := w.repo("api")
			r.Status = v1alpha1.CodeRepoStatus{}
			if err := w.client.Status().Update(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		},
		"no annotation":  func() { w.changeRepo("api", func(r *v1alpha1.CodeRepo) { r.Annotations = nil }) },
		"the same value": func() { w.changeRepo("api", rotate("1")) },
	} {
		again()
		w.settle()
		if w.public("api", "readwrite") != second {
			t.Errorf("after %s, the key is rotated again", name)
		}
	}
	w.changeRepo("api", rotate("2"))
	w.settle()
	w.wantAll("rotated again")
	if w.public("api", "readwrite") == second {
		t.Error("the key is not rotated for another value")
	}
}

// A key that a person stored, or enabled in the forge, stays as it is.
func TestKeysOfPeople(t *testing.T) {
	w := newWorld(t)
	w.settle()
	theirs := map[string]secrets.Value{"deploykey": secrets.NewValue([]byte("the private key of a person"))}
	if _, err := w.store.Put(t.Context(), secrets.RepositoryReadOnly("gitlab", w.names["docs"]), theirs); err != nil {
		t.Fatal(err)
	}
	id, _ := deploykeys.RepositoryID(w.names["docs"])
	c, _ := w.maker.Connect(t.Context(), "forge")
	if _, err := c.EnsureKey(t.Context(), id, client.Key{Title: "laptop", Public: w.public("web", "readonly")}); err != nil {
		t.Fatal(err)
	}
	w.changeRepo("docs", rotate("1"))
	w.settle()
	if got, want := w.pass("docs").Message, "labs/docs accepts 1 keys of its own and 0 of other repositories; not made by Nautes, and left as stored: readonly"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	stored, err := w.store.Get(t.Context(), secrets.RepositoryReadOnly("gitlab", w.names["docs"]))
	if err != nil || string(stored.Fields["deploykey"].Bytes()) != "the private key of a person" || len(stored.Fields) != 1 {
		t.Errorf("the key of a person has changed: %v", err)
	}
	if got := w.has("docs"); !slices.Contains(got, "laptop") || !slices.Contains(got, "docs-readwrite") {
		t.Errorf("the keys are %v", got)
	}
}

func TestRefused(t *testing.T) {
	for name, test := range map[string]struct {
		prepare    func(*world)
		wantReason string
		want       string
	}{
		"no token":       {func(w *world) { w.token = "" }, v1alpha1.ReasonSecretMissing, "store one of a maintainer for CodeRepoProvider forge"},
		"no right":       {func(w *world) { w.SetMember("labs", "owner", gitlab.Developer) }, v1alpha1.ReasonForgeDenied, "let the access token of CodeRepoProvider forge be one of a maintainer"},
		"no repository":  {func(w *world) { w.RemoveNow("labs/docs") }, v1alpha1.ReasonForgeDenied, "not found"},
		"the forge away": {func(w *world) { w.Fail(gitlab.Everything, 0, gitlab.BadGateway()) }, v1alpha1.ReasonForgeUnavailable, "it is tried again"},
		"the store away": {func(w *world) { w.maker.Store = away{w.store} }, "", ""},
		"another group": {func(w *world) {
			change(w, &v1alpha1.Product{}, tenant, product, func(p *v1alpha1.Product) { p.Labels = map[string]string{v1alpha1.LabelFrom: "found"} })
		}, v1alpha1.ReasonRepositoryMismatch, "and product-1 is another group"},
		"another name": {func(w *world) {
			r := w.repo("docs")
			if err := w.client.Delete(w.t.Context(), r); err != nil {
				w.t.Fatal(err)
			}
			w.names["docs"] = "docs"
			err := w.client.Create(w.t.Context(), &v1alpha1.CodeRepo{ObjectMeta: metav1.ObjectMeta{Namespace: product, Name: "docs"}, Spec: r.Spec})
			if err != nil {
				w.t.Fatal(err)
			}
		}, v1alpha1.ReasonRepositoryMismatch, "declare it as CodeRepo repo-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			test.prepare(w)
			c := w.pass("docs")
			if c.Reason != test.wantReason || !strings.Contains(c.Message, test.want) {
				t.Errorf("the condition is %+v", c)
			}
			if keys := w.has("docs"); len(keys) > 0 || w.repo("docs").Status.DeployKeys != nil {
				t.Errorf("the keys are %v", keys)
			}
			for _, permission := range access.Permissions() {
				ref := (&deploykeys.Keeper{Provider: "gitlab"}).Ref(w.names["docs"], permission)
				if _, err := w.store.Get(t.Context(), ref); !errors.Is(err, secrets.ErrNotFound) {
					t.Errorf("a key without its repository is stored: %v", err)
				}
			}
		})
	}
}

// away is a store that does not answer.
type away struct{ secrets.Store }

func (away) Version(context.Context, secrets.Ref) (string, error) { return "", secrets.ErrUnavailable }

// A forge that fails at any request leaves nothing that the next pass does not repair: no
// key twice, and none that is not stored.
func TestFailuresAtEachRequest(t *testing.T) {
	for name, fault := range map[string]gitlab.Fault{"refused": gitlab.Refused(), "lost": gitlab.Lost(), "bad gateway": gitlab.BadGateway()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for failing := 1; ; failing++ {
				w, calls := newWorld(t), 0
				w.pass("web")
				heal := w.Fail(func(*http.Request) bool { calls++; return calls >= failing }, 0, fault)
				c := w.pass("api")
				heal()
				for _, key := range w.has("api") {
					if strings.Contains(key, "not stored") {
						t.Errorf("after a failure at request %d: %s", failing, key)
					}
				}
				if c.Status == metav1.ConditionTrue {
					return
				}
				w.maker.Looks.Retry()
				w.settle()
				w.wantAll(fmt.Sprintf("after a failure at request %d", failing))
			}
		})
	}
}

func TestRemove(t *testing.T) {
	for name, test := range map[string]struct {
		// prepare makes the removal harder, and returns what ends that.
		prepare func(*world) (heal func())
		// wantHeld reports whether the removal waits until the forge answers.
		wantHeld bool
		want     []string
	}{
		"there":               {},
		"the repository gone": {prepare: func(w *world) func() { w.RemoveNow("labs/api"); return func() {} }},
		"no token":            {prepare: func(w *world) func() { w.token = ""; return func() {} }, want: []string{"api-readonly", "api-readwrite", "web-readonly", "web-readwrite"}},
		"the forge away":      {prepare: func(w *world) func() { return w.Fail(gitlab.Everything, 0, gitlab.BadGateway()) }, wantHeld: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.settle()
			heal := func() {}
			if test.prepare != nil {
				heal = test.prepare(w)
			}
			if err := w.client.Delete(t.Context(), w.repo("api")); err != nil {
				t.Fatal(err)
			}
			w.pass("api")
			if held := w.repo("api").Name != ""; held != test.wantHeld {
				t.Errorf("the removal waits: %t, want %t", held, test.wantHeld)
			}
			heal()
			w.pass("api")
			if w.repo("api").Name != "" {
				t.Error("the CodeRepo is left")
			}
			w.want("removed", "api", test.want...)
			if w.token != "" {
				w.settle()
				w.want("removed", "web", "web-readonly", "web-readwrite")
			}
		})
	}
}
