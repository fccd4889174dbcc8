package apply_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/remotetest"
)

const tenant = "acme"

// apiServer is the API server of the package's tests.
var apiServer remotetest.Server

// server returns the configuration of the API server, with all rights.
func server(t *testing.T) *rest.Config {
	t.Helper()
	return apiServer.Config(t)
}

func TestMain(m *testing.M) { os.Exit(apiServer.Main(m)) }

// world is one test's view of the API server: an owner, and a connection whose
// client and caches can be intercepted.
type world struct {
	t     *testing.T
	admin client.WithWatch
	conn  *conn
	owner plan.Owner
	store *memoryStore
}

// conn is a real connection with optional replacements of its methods.
type conn struct {
	*remote.Conn
	client client.Client
	owned  func(plan.Owner) ([]metav1.PartialObjectMetadata, error)
	get    func(plan.ID) (*metav1.PartialObjectMetadata, error)
}

func (c *conn) Client() client.Client {
	if c.client != nil {
		return c.client
	}
	return c.Conn.Client()
}

func (c *conn) Owned(ctx context.Context, owner plan.Owner) ([]metav1.PartialObjectMetadata, error) {
	if c.owned != nil {
		return c.owned(owner)
	}
	return c.Conn.Owned(ctx, owner)
}

func (c *conn) Get(ctx context.Context, id plan.ID) (*metav1.PartialObjectMetadata, error) {
	if c.get != nil {
		return c.get(id)
	}
	return c.Conn.Get(ctx, id)
}

// newWorld connects, with the CRDs of Argo CD installed, for a product whose
// name begins with name.
func newWorld(t *testing.T, name string) *world {
	t.Helper()
	return newWorldAs(t, name, server(t))
}

// newWorldAs connects as an account.
func newWorldAs(t *testing.T, name string, account *rest.Config) *world {
	t.Helper()
	remotetest.InstallCRDs(t, server(t), remotetest.CRDApplication, remotetest.CRDAppProject)
	admin, err := client.NewWithWatch(server(t), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := remote.Connect(t.Context(), account, remote.ConnOptions{Tenant: tenant, Kinds: plan.RuntimeKinds()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.WaitForSync(ctx); err != nil {
		t.Fatal(err)
	}
	product := remotetest.Unique("product-" + name)
	return &world{
		t: t, admin: admin, conn: &conn{Conn: c}, store: &memoryStore{},
		owner: plan.Owner{Kind: "Space", Product: product, Name: product},
	}
}

func (w *world) applier() *apply.Applier { return apply.New(tenant, w.store) }

// apply applies items for the world's owner.
func (w *world) apply(a *apply.Applier, o apply.Options, items ...plan.Item) (apply.Result, error) {
	return a.Apply(w.t.Context(), w.conn, w.set(items...), o)
}

func (w *world) set(items ...plan.Item) plan.Set {
	return plan.Set{Owner: w.owner, Target: plan.Cluster("c"), Items: items}
}

// must applies items and waits until the caches show them.
func (w *world) must(a *apply.Applier, items ...plan.Item) apply.Result {
	w.t.Helper()
	r, err := w.apply(a, apply.Options{}, items...)
	if err != nil {
		w.t.Fatalf("apply: %v", err)
	}
	w.settle(items...)
	return r
}

// settle waits until the caches are as new as the server.
func (w *world) settle(items ...plan.Item) {
	w.t.Helper()
	for _, item := range items {
		live := w.live(item.ID)
		remotetest.Eventually(w.t, "wait for the cache of "+item.ID.String(), func(ctx context.Context) error {
			seen, err := w.conn.Conn.Get(ctx, item.ID)
			if err != nil || seen == nil || live == nil {
				return fmt.Errorf("cache has %v, server has %v: %w", seen, live, err)
			}
			order, err := resourceversion.CompareResourceVersion(seen.ResourceVersion, live.GetResourceVersion())
			if err != nil || order < 0 {
				return fmt.Errorf("cache is at %s, server at %s: %w", seen.ResourceVersion, live.GetResourceVersion(), err)
			}
			return nil
		})
	}
}

// unseen waits until the caches show that an object is gone.
func (w *world) unseen(id plan.ID) {
	w.t.Helper()
	remotetest.Eventually(w.t, "wait for the cache to lose "+id.String(), func(ctx context.Context) error {
		seen, err := w.conn.Conn.Get(ctx, id)
		if seen != nil {
			return errors.New("it is still there")
		}
		return err
	})
}

var kinds = map[string]schema.GroupVersionKind{}

func init() {
	for _, gvk := range plan.RuntimeKinds() {
		kinds[gvk.Kind] = gvk
	}
}

// live returns an object from the server, or nil if it does not exist.
func (w *world) live(id plan.ID) *unstructured.Unstructured {
	w.t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kinds[id.Kind])
	err := w.admin.Get(w.t.Context(), client.ObjectKey{Namespace: id.Namespace, Name: id.Name}, u)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, o := range objects {
		if err := w.admin.Create(w.t.Context(), o); err != nil {
			w.t.Fatalf("create %s: %v", o.GetName(), err)
		}
	}
}

// namespace creates a namespace without owner.
func (w *world) namespace() string {
	w.t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "apply-"}}
	w.create(ns)
	return ns.Name
}

// finish does the work of the namespace controller, which does not run here.
func (w *world) finish(namespace string) {
	w.t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := w.admin.Get(w.t.Context(), client.ObjectKeyFromObject(ns), ns); err != nil {
		w.t.Fatal(err)
	}
	ns.Spec.Finalizers = nil
	if err := w.admin.SubResource("finalize").Update(w.t.Context(), ns); err != nil {
		w.t.Fatal(err)
	}
}

// intercept puts functions before the connection's client.
func (w *world) intercept(funcs interceptor.Funcs) {
	w.conn.client = interceptor.NewClient(w.admin, funcs)
}

func (w *world) meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: w.owner.Labels(tenant)}
}

func item(stage plan.Stage, gvk schema.GroupVersionKind, o client.Object) plan.Item {
	return plan.Item{ID: plan.IDOf(gvk, o), Stage: stage, Object: o, Source: plan.Ref{Kind: "Product", Namespace: "nautes", Name: "p"}}
}

func (w *world) namespaceItem(name string) plan.Item {
	return item(plan.StageNamespace, kinds["Namespace"], &corev1.Namespace{ObjectMeta: w.meta("", name)})
}

func (w *world) account(namespace, name string) plan.Item {
	return item(plan.StageAccount, kinds["ServiceAccount"], &corev1.ServiceAccount{ObjectMeta: w.meta(namespace, name)})
}

// accounts returns accounts with the names a00, a01 and so on.
func (w *world) accounts(namespace string, count int) []plan.Item {
	items := make([]plan.Item, 0, count)
	for i := range count {
		items = append(items, w.account(namespace, fmt.Sprintf("a%02d", i)))
	}
	return items
}

func (w *world) binding(namespace, name string) plan.Item {
	return item(plan.StageAccount, kinds["RoleBinding"], &rbacv1.RoleBinding{
		ObjectMeta: w.meta(namespace, name),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "team"}},
	})
}

func (w *world) secret(namespace, name string, values ...plan.SecretValue) plan.Item {
	i := item(plan.StageConfig, kinds["Secret"], &corev1.Secret{
		ObjectMeta: w.meta(namespace, name), StringData: map[string]string{"type": "git"},
	})
	i.Secrets = values
	return i
}

func (w *world) application(namespace, name string) plan.Item {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"project":     "default",
		"source":      map[string]any{"repoURL": "https://git/x.git", "path": "deploy", "targetRevision": "main"},
		"destination": map[string]any{"server": "https://kubernetes.default.svc", "namespace": namespace},
	}}}
	u.SetGroupVersionKind(kinds["Application"])
	u.SetNamespace(namespace)
	u.SetName(name)
	u.SetLabels(w.owner.Labels(tenant))
	u.SetFinalizers([]string{"resources-finalizer.argocd.argoproj.io"})
	return item(plan.StageWorkload, kinds["Application"], u)
}

func (w *world) project(namespace, name string) plan.Item {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"description": "d"}}}
	u.SetGroupVersionKind(kinds["AppProject"])
	u.SetNamespace(namespace)
	u.SetName(name)
	u.SetLabels(w.owner.Labels(tenant))
	return item(plan.StageConfig, kinds["AppProject"], u)
}

// complete returns one item of each kind, some in a new namespace and some in an
// existing one.
func (w *world) complete(argo string) []plan.Item {
	ns := w.owner.Product
	w.store.set(deployKey, "deploykey", "first")
	return []plan.Item{
		w.namespaceItem(ns), w.account(ns, "a"), w.binding(ns, "a"),
		w.project(argo, w.owner.Product),
		w.secret(argo, w.owner.Product+"-repo", plan.SecretValue{Key: "sshPrivateKey", Ref: deployKey, Field: "deploykey"}),
		w.application(argo, w.owner.Product+"-r"),
	}
}

// versions returns the resourceVersions of items on the server.
func (w *world) versions(items []plan.Item) map[string]string {
	w.t.Helper()
	versions := map[string]string{}
	for _, item := range items {
		if live := w.live(item.ID); live != nil {
			versions[item.ID.String()] = live.GetResourceVersion()
		}
	}
	return versions
}

var deployKey = secrets.Ref{Engine: "git", Path: "gitlab/repo-1/default/readonly"}

// memoryStore is a secret store in memory.
type memoryStore struct {
	mu      sync.Mutex
	secrets map[secrets.Ref]secrets.Secret
	gets    int
	// away is the error of every read; may be nil.
	away error
}

func (s *memoryStore) set(ref secrets.Ref, field, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets == nil {
		s.secrets = map[secrets.Ref]secrets.Secret{}
	}
	version := fmt.Sprint(len(s.secrets[ref].Version) + 1)
	if v, ok := s.secrets[ref].Fields[field]; ok && string(v.Bytes()) == value {
		version = s.secrets[ref].Version
	} else if ok {
		version = s.secrets[ref].Version + "+"
	}
	s.secrets[ref] = secrets.Secret{Fields: map[string]secrets.Value{field: secrets.NewValue([]byte(value))}, Version: version}
}

func (s *memoryStore) Get(_ context.Context, ref secrets.Ref) (secrets.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	secret, ok := s.secrets[ref]
	if s.away != nil {
		return secrets.Secret{}, fmt.Errorf("read %s: %w", ref, s.away)
	}
	if !ok {
		return secrets.Secret{}, fmt.Errorf("read %s: %w", ref, secrets.ErrNotFound)
	}
	return secret, nil
}

func (s *memoryStore) Version(_ context.Context, ref secrets.Ref) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret, ok := s.secrets[ref]
	if s.away != nil {
		return "", fmt.Errorf("read %s: %w", ref, s.away)
	}
	if !ok {
		return "", fmt.Errorf("read %s: %w", ref, secrets.ErrNotFound)
	}
	return secret.Version, nil
}

func (s *memoryStore) Put(context.Context, secrets.Ref, map[string]secrets.Value) (string, error) {
	return "", errors.New("the applier stores nothing")
}

func (s *memoryStore) Create(context.Context, secrets.Ref, map[string]secrets.Value) (string, error) {
	return "", errors.New("the applier stores nothing")
}

func (s *memoryStore) Delete(context.Context, secrets.Ref) error {
	return errors.New("the applier removes nothing from the store")
}
