package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// reads counts the objects that a loader reads, and the reads themselves.
type reads struct {
	objects, calls int
	// fail is the kind whose reads fail, failAt the number of the read that fails.
	fail   string
	failAt int
}

// broken counts a read of o, and returns an error if it fails.
func (r *reads) broken(o any) error {
	r.calls++
	if r.calls == r.failAt || r.fail != "" && strings.Contains(fmt.Sprintf("%T", o), r.fail) {
		return errBroken
	}
	return nil
}

var errBroken = errors.New("the cache is broken")

func newLoader(t testing.TB, r *reads, objects ...client.Object) *snapshot.Loader {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	b := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if err := r.broken(list); err != nil {
				return err
			}
			err := c.List(ctx, list, opts...)
			r.objects += countItems(list)
			return err
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if err := r.broken(o); err != nil {
				return err
			}
			r.objects++
			return c.Get(ctx, key, o, opts...)
		},
	})
	for _, kind := range references.Kinds() {
		b = b.WithIndex(kind, references.Index, references.IndexValues)
	}
	return &snapshot.Loader{Reader: b.Build(), Tenant: Tenant, Namespace: Namespace}
}

func countItems(list client.ObjectList) int {
	switch l := list.(type) {
	case *v1alpha1.DeploymentRuntimeList:
		return len(l.Items)
	case *v1alpha1.EnvironmentList:
		return len(l.Items)
	case *v1alpha1.ProductList:
		return len(l.Items)
	case *v1alpha1.CodeRepoList:
		return len(l.Items)
	}
	return 0
}

// content lists the objects of a snapshot as kind namespace/name.
func content(s *snapshot.Snapshot) []string {
	var found []string
	s.Each(func(o client.Object) { found = append(found, snapshot.RefOf(o).String()) })
	slices.Sort(found)
	return found
}

// tenant is two connected products and one that has nothing to do with them.
func tenant() []client.Object {
	return []client.Object{
		Product("product-1"), Product("product-2"), Product("product-3"), Cluster("c"), Cluster("d"),
		CodeRepoProvider(Provider), ProductProvider("finder", Provider), PipelineHook("lint"), CodeRepo(Namespace, "tenant", ""),
		ComponentCatalogue(), CodeRepo(Namespace, "repo", ""),

		Environment("product-1", "dev", "c"), Project("product-1", "api"), CodeRepo("product-1", "repo", "api"),
		Binding("product-1", "share", "repo", "readonly"), Deleting(DeploymentRuntime("product-1", "app", "dev", "repo", Into("shared"))),
		DeploymentRuntime("product-1", "web", "dev", "repo", Into("web", "shared")),
		PipelineRuntime("product-1", "pipe", "api", "dev", "repo", func(r *v1alpha1.ProjectPipelineRuntime) {
			r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: "lint"}}}
		}),

		// Wants a namespace of product-1 on the same cluster.
		Environment("product-2", "prod", "c"), DeploymentRuntime("product-2", "rival", "prod", "repo", Into("shared")),
		// Is on the same cluster although its environment says otherwise now.
		Environment("product-2", "moved", "d"), Deployed("c", DeploymentRuntime("product-2", "recorded", "moved", "repo", Into("web"))),
		// Wants another namespace, or the same on another cluster, by its record.
		DeploymentRuntime("product-2", "apart", "prod", "repo", Into("apart")),
		Deployed("d", DeploymentRuntime("product-2", "elsewhere", "prod", "repo", Into("shared"))),

		Environment("product-3", "dev", "d"), CodeRepo("product-3", "repo", ""), DeploymentRuntime("product-3", "app", "dev", "repo"),
	}
}

func TestLoadProduct(t *testing.T) {
	tests := map[string]struct {
		product string
		changes []client.Object
		want    []string
	}{
		"with its rivals": {product: "product-1", want: []string{
			"CodeRepo product-1/repo", "CodeRepo product-3/repo", "ComponentCatalogue nautes/default", "CodeRepoBinding product-1/share", "CodeRepoProvider nautes/gitlab", "Cluster nautes/c", "Cluster nautes/d",
			"DeploymentRuntime product-1/app", "DeploymentRuntime product-1/web", "DeploymentRuntime product-2/recorded", "DeploymentRuntime product-2/rival",
			"Environment product-1/dev", "Environment product-2/moved", "Environment product-2/prod", "PipelineHook nautes/lint", "Product nautes/product-1",
			"ProductProvider nautes/finder", "Project product-1/api", "ProjectPipelineRuntime product-1/pipe"}},
		"with the rivals of a change": {product: "product-3", changes: []client.Object{
			Environment("product-3", "dev", "c"), DeploymentRuntime("product-3", "new", "dev", "repo", Into("web")),
		}, want: []string{
			"CodeRepo product-1/repo", "CodeRepo product-3/repo", "ComponentCatalogue nautes/default", "CodeRepoProvider nautes/gitlab", "Cluster nautes/c", "Cluster nautes/d", "DeploymentRuntime product-1/web",
			"DeploymentRuntime product-2/recorded", "DeploymentRuntime product-3/app", "DeploymentRuntime product-3/new", "Environment product-1/dev",
			"Environment product-2/moved", "Environment product-3/dev", "PipelineHook nautes/lint", "Product nautes/product-3", "ProductProvider nautes/finder"}},
		"that does not exist": {product: "product-9", want: []string{
			"CodeRepoProvider nautes/gitlab", "Cluster nautes/c", "Cluster nautes/d", "ComponentCatalogue nautes/default", "PipelineHook nautes/lint", "ProductProvider nautes/finder"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := newLoader(t, &reads{}, tenant()...).Product(t.Context(), test.product, test.changes...)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(test.want)
			if diff := cmp.Diff(test.want, content(s)); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
			for _, o := range test.changes {
				if !s.Holds(o) {
					t.Errorf("%v is not laid over the snapshot", snapshot.RefOf(o))
				}
			}
		})
	}
}

// TestLoadedClaims holds that claims are right although the tenant is not listed.
func TestLoadedClaims(t *testing.T) {
	l := newLoader(t, &reads{}, tenant()...)
	all := newSnapshot(tenant()...)
	for _, product := range []string{"product-1", "product-2", "product-3"} {
		s, err := l.Product(t.Context(), product)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range s.DeploymentRuntimes(product) {
			target, ok := s.EffectiveTarget(r)
			if !ok {
				continue
			}
			for _, namespace := range target.Namespaces {
				describe := func(s *snapshot.Snapshot) (list []string) {
					for _, c := range s.Claims(target.Cluster, namespace) {
						list = append(list, fmt.Sprint(c.Runtime, c.Recorded, c.LosesTo))
					}
					return list
				}
				if diff := cmp.Diff(describe(all), describe(s)); diff != "" {
					t.Errorf("claims on %s of cluster %s, seen from %s (-all of the tenant +loaded):\n%s", namespace, target.Cluster, product, diff)
				}
			}
		}
	}
}

func TestLoadProductOfASharedGroup(t *testing.T) {
	younger := At(5, Product("product-2", func(p *v1alpha1.Product) { p.Spec.Name = Group("product-1") }))
	s, err := newLoader(t, &reads{}, Product("product-1"), younger, Product("product-3")).Product(t.Context(), "product-2")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Product nautes/product-1", "Product nautes/product-2"}, content(s)); diff != "" {
		t.Errorf("products (-want +got):\n%s", diff)
	}
}

func TestLoadCluster(t *testing.T) {
	objects := tenant()
	objects[3] = Cluster("c", func(c *v1alpha1.Cluster) {
		c.Spec.ReservedNamespacesAllowedProducts = map[string][]string{"argocd": {"team-1"}}
		c.Spec.ProductAllowedClusterResources = map[string][]v1alpha1.ClusterResource{"team-2": nil, "team-9": nil}
		c.Status.ProductIDMap = map[string]string{"old-name": "product-3"}
	})
	objects = append(objects, Product("product-4", func(p *v1alpha1.Product) { p.Status.Spaces = []v1alpha1.ProductSpace{{Cluster: "c"}} }))
	s, err := newLoader(t, &reads{}, objects...).Cluster(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"CodeRepoProvider nautes/gitlab", "Cluster nautes/c", "Cluster nautes/d", "ComponentCatalogue nautes/default", "DeploymentRuntime product-1/app", "DeploymentRuntime product-1/web",
		"DeploymentRuntime product-2/apart", "DeploymentRuntime product-2/elsewhere", "DeploymentRuntime product-2/recorded", "DeploymentRuntime product-2/rival",
		"Environment product-1/dev", "Environment product-2/prod", "PipelineHook nautes/lint", "Product nautes/product-1", "Product nautes/product-2", "Product nautes/product-3", "Product nautes/product-4",
		"ProductProvider nautes/finder", "ProjectPipelineRuntime product-1/pipe",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, content(s)); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
}

// TestLoadNeighbours holds that a cluster comes with those that share ports with
// it: its host and all that the host carries.
func TestLoadNeighbours(t *testing.T) {
	objects := append(tenant(), Cluster("host", HostCluster, gateway("30080", "30443")),
		Cluster("v-1", VirtualCluster("host", "31001")), Cluster("v-2", VirtualCluster("host", "31002")))
	for _, name := range []string{"host", "v-1"} {
		s, err := newLoader(t, &reads{}, objects...).Cluster(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"30080 host spec.traefik.httpNodePort", "30443 host spec.traefik.httpsNodePort",
			"31001 v-1 spec.vcluster.httpsNodePort", "31002 v-2 spec.vcluster.httpsNodePort"}
		if diff := cmp.Diff(want, ports(s, "host")); diff != "" {
			t.Errorf("ports as %s sees them (-want +got):\n%s", name, diff)
		}
	}
}

// TestLoadedHolders holds that the holders of credentials are right although the
// tenant is not listed, also for a change that is not stored yet.
func TestLoadedHolders(t *testing.T) {
	objects := append(tenant(), At(-1, CodeRepo("product-2", "repo", "")), At(-2, CodeRepo("product-2", "new", "")))
	change := CodeRepo("product-1", "new", "")
	l := newLoader(t, &reads{}, objects...)
	all := newSnapshot(objects...).With(change)
	s, err := l.For(t.Context(), change)
	if err != nil {
		t.Fatal(err)
	}
	repos := s.CodeRepos("product-1")
	if len(repos) != 2 {
		t.Fatalf("product-1 has the repositories %v, want repo and new", repos)
	}
	for _, r := range repos {
		want, got := snapshot.RefOf(all.CredentialHolder(r)), snapshot.RefOf(s.CredentialHolder(r))
		if want.Namespace != "product-2" || got != want {
			t.Errorf("the credentials of %s are held by %s, as loaded by %s", snapshot.RefOf(r), want, got)
		}
	}
}

// TestLoadedCatalogue holds that a loader reads a catalogue once, and again when
// it has changed.
func TestLoadedCatalogue(t *testing.T) {
	l := newLoader(t, &reads{}, tenant()...)
	l.Settings = snapshot.Settings{ArgoCDNamespace: "cd"}
	writer, ok := l.Reader.(client.Client)
	if !ok {
		t.Fatal("the reader cannot write")
	}
	load := func() *snapshot.Snapshot {
		s, err := l.Cluster(t.Context(), "c")
		if err != nil {
			t.Fatal(err)
		}
		if s.Settings.ArgoCDNamespace != "cd" {
			t.Errorf("the settings are %v", s.Settings)
		}
		return s
	}
	first := load()
	// Not every load asks for the catalogue.
	if _, err := l.Rivals(t.Context(), DeploymentRuntime("product-1", "web", "dev", "repo", Into("web"))); err != nil {
		t.Fatal(err)
	}
	if load().Catalogue() != first.Catalogue() {
		t.Errorf("a catalogue that has not changed was read again")
	}
	stored := &v1alpha1.ComponentCatalogue{}
	if err := writer.Get(t.Context(), client.ObjectKeyFromObject(ComponentCatalogue()), stored); err != nil {
		t.Fatal(err)
	}
	stored.Spec = moved("other").Spec
	// A draft has the version of the object that it changes.
	if got := load().With(stored.DeepCopy()).Catalogue().Component("argocd").Namespace; got != "other" {
		t.Errorf("with a draft Argo CD is in %s, want other", got)
	}
	if got := load().Catalogue().Component("argocd").Namespace; got != "argocd" {
		t.Errorf("before the change Argo CD is in %s, want argocd", got)
	}
	if err := writer.Update(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	if got := load().Catalogue().Component("argocd").Namespace; got != "other" {
		t.Errorf("after the change Argo CD is in %s, want other", got)
	}
	if err := writer.Delete(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	if got := load().Catalogue().Component("argocd").Namespace; got != "argocd" {
		t.Errorf("after the deletion Argo CD is in %s, want argocd", got)
	}
}

func TestLoadFor(t *testing.T) {
	tests := map[string]struct {
		of v1alpha1.Object
		// want is one object that must be found, notWant one that must not.
		want, notWant string
	}{
		"a product's object":      {of: Project("product-1", "new"), want: "Project product-1/new", notWant: "Project product-3/new"},
		"a product":               {of: Product("product-9"), want: "Product nautes/product-9", notWant: "Product nautes/product-1"},
		"a cluster":               {of: Cluster("c"), want: "DeploymentRuntime product-1/web", notWant: "DeploymentRuntime product-3/app"},
		"a hook":                  {of: PipelineHook("lint"), want: "ProjectPipelineRuntime product-1/pipe", notWant: "DeploymentRuntime product-1/app"},
		"a hook, with clusters":   {of: PipelineHook("lint"), want: "Cluster nautes/c"},
		"a provider":              {of: CodeRepoProvider(Provider), want: "CodeRepo product-3/repo", notWant: "Project product-1/api"},
		"a product provider":      {of: ProductProvider("finder", Provider), want: "Product nautes/product-3", notWant: "Project product-1/api"},
		"the catalogue":           {of: ComponentCatalogue(), want: "Cluster nautes/d", notWant: "Project product-1/api"},
		"the tenant's repository": {of: CodeRepo(Namespace, "tenant", ""), want: "CodeRepoProvider nautes/gitlab", notWant: "CodeRepo product-1/repo"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := newLoader(t, &reads{}, tenant()...).For(t.Context(), test.of)
			if err != nil {
				t.Fatal(err)
			}
			got := content(s)
			if !slices.Contains(got, test.want) || slices.Contains(got, test.notWant) {
				t.Errorf("want %s and not %s in %v", test.want, test.notWant, got)
			}
		})
	}
}

func TestRivals(t *testing.T) {
	tests := map[string]struct {
		of   v1alpha1.Runtime
		want []string
	}{
		"of one that is not deployed": {
			of:   DeploymentRuntime("product-1", "web", "dev", "repo", Into("web", "shared")),
			want: []string{"DeploymentRuntime product-2/recorded", "DeploymentRuntime product-2/rival"},
		},
		"of one that is deployed": {
			of:   Deployed("d", DeploymentRuntime("product-2", "elsewhere", "prod", "repo", Into("shared"))),
			want: []string{"DeploymentRuntime product-1/app", "DeploymentRuntime product-1/web"},
		},
		"of a pipeline that moves": {
			of: PipelineRuntime("product-3", "pipe", "api", "dev", "repo", func(r *v1alpha1.ProjectPipelineRuntime) {
				r.Spec.Destination.Namespace = "shared"
				r.Status.Target = &v1alpha1.RuntimeTarget{Environment: "old", Cluster: "c", Namespaces: []string{"web"}}
			}),
			// The runtimes of product-1 have not recorded yet that they are on another cluster.
			want: []string{"DeploymentRuntime product-1/app", "DeploymentRuntime product-1/web", "DeploymentRuntime product-2/elsewhere", "DeploymentRuntime product-2/recorded", "DeploymentRuntime product-2/rival"},
		},
		"of one whose environment is missing": {
			of:   DeploymentRuntime("product-1", "new", "absent", "repo", Into("web")),
			want: nil,
		},
		"of one without rivals": {of: DeploymentRuntime("product-1", "new", "dev", "repo")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rivals, err := newLoader(t, &reads{}, tenant()...).Rivals(t.Context(), test.of)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range rivals {
				got = append(got, snapshot.RefOf(r).String())
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("rivals (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLoadErrors holds that a read which fails is an error, never an empty list.
func TestLoadErrors(t *testing.T) {
	for _, kind := range []string{
		"ClusterList", "ComponentCatalogueList", "CodeRepoProviderList", "ProductProviderList", "PipelineHookList", "EnvironmentList", "ProjectList", "CodeRepoList",
		"CodeRepoBindingList", "DeploymentRuntimeList", "ProjectPipelineRuntimeList", "ProductList", "Product",
	} {
		t.Run(kind, func(t *testing.T) {
			s, err := newLoader(t, &reads{fail: "v1alpha1." + kind}, tenant()...).Product(t.Context(), "product-1")
			if !errors.Is(err, errBroken) || s != nil {
				t.Errorf("snapshot %v, error %v, want no snapshot and the error of the read", s, err)
			}
		})
	}
	for _, name := range []string{"", Namespace} {
		if _, err := newLoader(t, &reads{}, tenant()...).Product(t.Context(), name); err == nil {
			t.Errorf("loading the product %q must fail: it would list every namespace", name)
		}
	}
}

// TestLoadErrorAtEveryRead holds that a load ends with the first read that fails.
func TestLoadErrorAtEveryRead(t *testing.T) {
	loads := map[string]func(*snapshot.Loader) error{
		"a product": func(l *snapshot.Loader) error {
			_, err := l.Product(t.Context(), "product-1")
			return err
		},
		"a cluster": func(l *snapshot.Loader) error {
			_, err := l.Cluster(t.Context(), "c")
			return err
		},
		"the tenant": func(l *snapshot.Loader) error {
			_, err := l.TenantLevel(t.Context())
			return err
		},
		"the users of a provider": func(l *snapshot.Loader) error {
			_, err := l.For(t.Context(), CodeRepoProvider(Provider))
			return err
		},
		"the rivals of a runtime": func(l *snapshot.Loader) error {
			_, err := l.Rivals(t.Context(), DeploymentRuntime("product-1", "web", "dev", "repo", Into("web")))
			return err
		},
	}
	for name, load := range loads {
		t.Run(name, func(t *testing.T) {
			for k := 1; ; k++ {
				r := &reads{failAt: k}
				err := load(newLoader(t, r, tenant()...))
				if r.calls < k {
					if err != nil || k == 1 {
						t.Errorf("%d reads, error %v", r.calls, err)
					}
					return
				}
				if !errors.Is(err, errBroken) || r.calls > k {
					t.Errorf("read %d fails: error %v after %d reads", k, err, r.calls)
				}
			}
		})
	}
}

// TestLoadCost holds that a product costs the same however many others there are.
func TestLoadCost(t *testing.T) {
	cost := func(others int) int {
		objects := tenant()
		for i := range others {
			product := fmt.Sprintf("product-%d", 100+i)
			objects = append(objects, Product(product), Environment(product, "dev", "d"), CodeRepo(product, "code", ""),
				// The same namespace as product-1's, deployed on another cluster.
				Deployed("d", DeploymentRuntime(product, "web", "dev", "code", Into("web"))))
		}
		r := &reads{}
		if _, err := newLoader(t, r, objects...).Product(t.Context(), "product-1"); err != nil {
			t.Fatal(err)
		}
		return r.objects
	}
	if few, many := cost(1), cost(50); few != many {
		t.Errorf("a load reads %d objects among 1 other product and %d among 50", few, many)
	}
}

// indexer records the kinds that have an index, and refuses one.
type indexer struct {
	kinds  []string
	refuse string
}

func (i *indexer) IndexField(_ context.Context, o client.Object, field string, values client.IndexerFunc) error {
	kind := snapshot.RefOf(o).Kind
	if kind == i.refuse || field != references.Index || values == nil {
		return errBroken
	}
	i.kinds = append(i.kinds, kind)
	return nil
}

func TestSetupIndexes(t *testing.T) {
	all := &indexer{}
	if err := snapshot.SetupIndexes(t.Context(), all); err != nil || len(all.kinds) != len(references.Kinds()) {
		t.Errorf("error %v, indexes of %v", err, all.kinds)
	}
	if err := snapshot.SetupIndexes(t.Context(), &indexer{refuse: "CodeRepo"}); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want the error of the cache", err)
	}
}
