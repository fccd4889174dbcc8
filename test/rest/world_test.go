package rest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	kube "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/clients"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/references"
	server "nautes.io/nautes/internal/rest"
	"nautes.io/nautes/internal/schema"
	"nautes.io/nautes/internal/secrets"
	kubesecrets "nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/githost"
)

const (
	namespace  = "nautes"
	tenantPath = "platform/management"
	mainBranch = "main"
	product    = "nautes-labs"
)

// world is a forge, a tenant cluster without an operator, and a server of the API.
type world struct {
	t       *testing.T
	suite   *suite
	forge   forge
	objects kube.Client
	store   secrets.Store
	api     *httptest.Server
	kinds   *schema.Kinds
	tokens  map[string]string
	// undeployed: the runtimes' clusters do not answer.
	undeployed bool
	// brought has the cases and states that hold.
	brought map[string]bool
}

// roles have a user of their own in the forge. The others are special.
func roles() []string {
	return []string{
		"outsider", "guest", "reporter", "developer", "developer-who-may-push", "maintainer", "owner",
		"creator", mayNotCreate, "maintainer-of-another-product", "tenant-reporter", "tenant-developer", "tenant-maintainer", "server",
	}
}

// mayNotCreate is the role that may not create groups.
const mayNotCreate = "cannot-create-groups"

// compiled are the kinds, which take long to compile.
var compiled = sync.OnceValues(schema.New)

func newWorld(t *testing.T, s *suite) *world {
	t.Helper()
	f := newEmulated(t)
	return worldOn(t, s, f, prepare(f))
}

// prepare makes the users and the tenant repository of a forge. It returns the tokens of
// the roles.
func prepare(f forge) map[string]string {
	tokens := map[string]string{"bad-token": "glpat-unknown"}
	for _, name := range roles() {
		tokens[name] = f.AddUser(name, name != mayNotCreate)
	}
	tokens["expired-token"] = f.ExpiredToken("owner")
	f.AddRepository(tenantPath)
	for name, role := range map[string]client.Role{
		"tenant-reporter": client.RoleRead, "tenant-developer": client.RoleWrite, "tenant-maintainer": client.RoleMaintain, "server": client.RoleRead,
	} {
		f.SetRole(tenantPath, name, role)
	}
	return tokens
}

// worldOn returns a world on a forge that is prepared and has no product.
func worldOn(t *testing.T, s *suite, f forge, tokens map[string]string) *world {
	t.Helper()
	kinds, err := compiled()
	check(t, err)
	w := &world{t: t, suite: s, forge: f, kinds: kinds, brought: map[string]bool{}, tokens: tokens}
	w.push(tenantPath, map[string]string{"providers/" + f.Kind() + ".yaml": providerFile(f)})

	scheme := runtime.NewScheme()
	check(t, clientgoscheme.AddToScheme(scheme))
	check(t, v1alpha1.AddToScheme(scheme))
	builder := fake.NewClientBuilder().WithScheme(scheme)
	for _, kind := range references.Kinds() {
		builder = builder.WithIndex(kind, references.Index, references.IndexValues).WithStatusSubresource(kind)
	}
	w.objects = builder.Build()
	w.store = kubesecrets.New(w.objects, w.objects, namespace)
	w.mirror()
	w.serve()
	return w
}

func (w *world) serve() {
	mirrors, err := git.New(w.t.TempDir(), git.Options{AllowedProtocols: []string{"http"}})
	check(w.t, err)
	kind := w.forge.Kind()
	web, address := w.forge.Addresses()
	spec := &v1alpha1.CodeRepoProvider{ObjectMeta: metav1.ObjectMeta{Name: kind, Namespace: namespace}, Spec: v1alpha1.CodeRepoProviderSpec{
		ProviderType: kind, APIServer: address, HTTPAddress: web,
	}}
	tenant, _ := w.forge.FindRepository(tenantPath)
	editor := edit.New(edit.Options{
		Mirrors: mirrors, Kinds: w.kinds, Reader: w.objects, Tenant: "tenant", Namespace: namespace,
		TenantRepository: func(context.Context) (edit.Repository, error) {
			source := git.Source{URL: tenant.HTTPURL, Branch: mainBranch, Auth: git.Auth{
				Username: "oauth2", Password: secrets.NewValue([]byte(w.tokens["server"])),
			}}
			return edit.Repository{Key: "tenant", Scope: layout.Scope{Tenant: true, Namespace: namespace}, Source: source}, nil
		},
	})
	api := server.New(server.Options{
		Editor: editor,
		Platform: func(context.Context) (server.Platform, error) {
			return server.Platform{Provider: spec, TenantRepository: tenantPath, Namespace: namespace}, nil
		},
		Forge: func(p *v1alpha1.CodeRepoProvider, token secrets.Value) (client.Client, error) {
			return clients.New(p.Spec.ProviderType, client.Connection{APIServer: p.Spec.APIServer, Token: token})
		},
		Secrets: w.store, Reader: w.objects, Log: logr.Discard(), Audit: logr.Discard(), Rate: 10_000, Burst: 10_000,
	})
	w.api = httptest.NewServer(api)
	w.t.Cleanup(w.api.Close)
}

// push commits files to the main branch of a project, without the API. It replaces the
// variables in them.
func (w *world) push(project string, files map[string]string, removed ...string) {
	w.t.Helper()
	expanded := map[string]string{}
	for path, content := range files {
		expanded[w.expand(path)] = w.expand(content)
	}
	w.forge.Push(project, githost.Commit{Message: "By hand", Files: expanded, Delete: removed})
}

// bring brings about the states and sends the cases that a case needs.
func (w *world) bring(needed []string) {
	w.t.Helper()
	states := states()
	for _, name := range needed {
		if w.brought[name] {
			continue
		}
		w.brought[name] = true
		if bring := states[name]; bring != nil {
			bring(w)
		} else {
			c := w.suite.byName[name]
			if reply := w.send(c); !slices.Contains(c.Expect.Status, reply.code) {
				w.t.Fatalf("given %s: %s", name, reply)
			}
		}
		if name == "product-save" || name == "product-save-name-defaults" {
			w.join()
		}
		w.mirror()
	}
}

// join makes the users of the roles members of the products that exist.
func (w *world) join() {
	members := map[string]map[string]client.Role{
		product: {
			"guest": client.RoleGuest, "reporter": client.RoleRead, "developer": client.RoleWrite, "developer-who-may-push": client.RoleWrite,
			"maintainer": client.RoleMaintain, "owner": client.RoleOwner,
		},
		"demo-quickstart": {"maintainer-of-another-product": client.RoleMaintain},
	}
	for group, roles := range members {
		if _, ok := w.forge.FindGroup(group); !ok {
			continue
		}
		for user, role := range roles {
			w.forge.SetRole(group, user, role)
		}
		w.forge.Protect(group+"/default.project", client.RoleMaintain)
	}
}

// mirror copies the files of all repositories into objects, as the operator does.
func (w *world) mirror() {
	w.t.Helper()
	objects := w.read(tenantPath, layout.Scope{Tenant: true, Namespace: namespace})
	for _, group := range w.forge.Groups() {
		if _, ok := w.forge.FindRepository(group.Path + "/default.project"); ok {
			id := w.productID(group.Path)
			owner := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Name: id, Namespace: namespace}}
			owner.Spec.Name = group.Path
			objects = append(objects, owner)
			objects = append(objects, w.read(group.Path+"/default.project", layout.Scope{Namespace: id})...)
		}
	}
	world := snapshot.New("tenant", namespace, objects...)
	for _, o := range objects {
		if r, ok := o.(v1alpha1.Runtime); ok && !w.undeployed {
			if target, err := world.Target(r); err == nil {
				r.SetDeployedTarget(&target)
			}
		}
		key := kube.ObjectKeyFromObject(o)
		old, withStatus := o.DeepCopyObject().(kube.Object), o.DeepCopyObject().(kube.Object)
		if err := w.objects.Get(w.t.Context(), key, old); err == nil {
			o.SetResourceVersion(old.GetResourceVersion())
			o.SetUID(old.GetUID())
			o.SetCreationTimestamp(old.GetCreationTimestamp())
			check(w.t, w.objects.Update(w.t.Context(), o))
		} else {
			o.SetUID(types.UID("uid-" + key.String()))
			o.SetCreationTimestamp(metav1.NewTime(time.Now().Add(-time.Minute)))
			check(w.t, w.objects.Create(w.t.Context(), o))
		}
		withStatus.SetResourceVersion(o.GetResourceVersion())
		withStatus.SetUID(o.GetUID())
		check(w.t, w.objects.Status().Update(w.t.Context(), withStatus))
	}
}

func (w *world) read(project string, scope layout.Scope) []kube.Object {
	w.t.Helper()
	var objects []kube.Object
	for _, path := range w.files(project) {
		if !scope.Resource(path) {
			continue
		}
		content, _ := w.file(project, path)
		if o, problems := scope.Decode(w.kinds, path, []byte(content)); len(problems) == 0 {
			objects = append(objects, o)
		}
	}
	return objects
}

// productID returns the name of the Product of a group.
func (w *world) productID(group string) string {
	g, _ := w.forge.FindGroup(group)
	return "product-" + itoa(g.ID)
}

// expand replaces the variables of the cases.
func (w *world) expand(text string) string {
	for {
		before, rest, found := strings.Cut(text, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			return text
		}
		text = before + w.variable(name) + after
	}
}

func (w *world) variable(name string) string {
	word, argument, _ := strings.Cut(name, ":")
	id := func(path string) string {
		if !strings.Contains(path, "/") {
			path = product + "/" + path
		}
		r, _ := w.forge.FindRepository(path)
		return itoa(r.ID)
	}
	switch word {
	case "product_id":
		if argument == "" {
			argument = product
		}
		return w.productID(argument)
	case "repo_id":
		return "repo-" + id(argument)
	case "gitlab_id":
		return id(argument)
	case "provider":
		return w.forge.Kind()
	case "gitlab_http":
		web, _ := w.forge.Addresses()
		return web
	case "gitlab_ssh":
		web, _ := w.forge.Addresses()
		return "ssh://git@" + strings.TrimPrefix(web, "http://")
	case "kubeconfig_base64", "kubeconfig_yaml", "other_kubeconfig_base64", "kubeconfig_with_exec_base64":
		return kubeconfigs()[word]
	case "two_mebibytes_of_json":
		return `{"projects_ref":["` + strings.Repeat("a", 2<<20) + `"]}`
	}
	w.t.Fatalf("unknown variable ${%s}", name)
	return ""
}

// state is everything that a refused request must not change.
func (w *world) state() map[string]string {
	state := map[string]string{}
	for _, r := range w.forge.Repositories() {
		state["project "+r.Path+" on main"] = w.revision(r.Path)
		for _, key := range w.forge.Keys(r.Path) {
			state["key of "+r.Path] += " " + key.Title
		}
		for _, url := range w.forge.Hooks(r.Path) {
			state["hook of "+r.Path] += " " + url
		}
	}
	for _, g := range w.forge.Groups() {
		state["group "+g.Path] = g.Name + string(g.Visibility) + g.Description
	}
	var stored corev1.SecretList
	check(w.t, w.objects.List(w.t.Context(), &stored))
	for _, one := range stored.Items {
		state["secret "+one.Name] = fmt.Sprint(one.Data)
	}
	return state
}

// letDevelopersPush changes the protection of the main branch of default.project.
func (w *world) letDevelopersPush() { w.forge.Protect(defaultProject, client.RoleWrite) }

var _ http.Handler = (*server.Server)(nil)
