package snapshot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/hooks"
	"nautes.io/nautes/internal/references"
)

// Loader reads snapshots from a cache that has the indexes of SetupIndexes. The
// cost of a snapshot depends on the size of the product or cluster that it is
// about, not on the size of the tenant. Objects that are being deleted are included
// until they are gone.
type Loader struct {
	// Reader is the cache. The objects that it returns are shared, not copied.
	Reader client.Reader
	// Tenant is the tenant's name, Namespace the operator's namespace.
	Tenant, Namespace string
	// Settings of the operator.
	Settings Settings

	// The catalogue is parsed again only after it has changed.
	mu         sync.Mutex
	version    string
	catalogued func() *effectiveCatalogue

	hooks hooks.Reader
}

// Product returns everything that a decision about a product needs: the objects of the
// product, and the tenant's clusters, catalogue, providers and hooks. Of other products
// it has the products of the same group, the rivals of the runtimes with their
// environments, and the code repositories with the same names. The changes are laid over
// it first. A product without objects has an empty snapshot.
func (l *Loader) Product(ctx context.Context, product string, changes ...client.Object) (*Snapshot, error) {
	if product == "" || product == l.Namespace {
		// An empty name would list every namespace.
		return nil, fmt.Errorf("load product %q: it is not the namespace of a product", product)
	}
	g := l.reader()
	g.tenant(ctx)
	g.get(ctx, &v1alpha1.Product{}, l.Namespace, product)
	for _, list := range productLists() {
		g.list(ctx, list, client.InNamespace(product))
	}
	s, err := g.snapshot()
	if err != nil {
		return nil, fmt.Errorf("load product %s: %w", product, err)
	}
	for _, o := range changes {
		s = s.With(o)
	}
	for _, r := range s.repos.byNamespace[product] {
		g.others(ctx, &v1alpha1.CodeRepoList{}, product, NamedRepository(r.Name))
	}
	if p := s.Product(product); p != nil {
		g.list(ctx, &v1alpha1.ProductList{}, client.InNamespace(l.Namespace), ReferringTo(references.SharedGroup, "", p.Spec.Name))
	}
	for _, claim := range wantedClaims(s, product) {
		g.rivals(ctx, product, claim)
	}
	if s, err = g.snapshot(); err != nil {
		return nil, fmt.Errorf("load the rivals of product %s: %w", product, err)
	}
	for _, o := range changes {
		s = s.With(o)
	}
	return s, nil
}

// Providers returns the tenant's CodeRepoProviders.
func (l *Loader) Providers(ctx context.Context) (*Snapshot, error) {
	g := l.reader()
	g.list(ctx, &v1alpha1.CodeRepoProviderList{}, client.InNamespace(l.Namespace))
	s, err := g.snapshot()
	if err != nil {
		return nil, fmt.Errorf("load the providers: %w", err)
	}
	return s, nil
}

// TenantLevel returns the objects of the tenant: products, providers, clusters, the
// catalogue and hooks.
func (l *Loader) TenantLevel(ctx context.Context) (*Snapshot, error) {
	g := l.reader()
	g.tenant(ctx)
	g.list(ctx, &v1alpha1.ProductList{}, client.InNamespace(l.Namespace))
	s, err := g.snapshot()
	if err != nil {
		return nil, fmt.Errorf("load the tenant's objects: %w", err)
	}
	return s, nil
}

// Cluster returns everything that a decision about a cluster needs: the tenant's
// clusters, catalogue, providers and hooks, the products that the cluster names,
// and its users: environments with their runtimes, runtimes that are recorded on
// it, and products with a space there.
func (l *Loader) Cluster(ctx context.Context, name string) (*Snapshot, error) {
	g := l.reader()
	g.tenant(ctx)
	on := ReferringTo("Cluster", "", name)
	g.list(ctx, &v1alpha1.ProductList{}, client.InNamespace(l.Namespace), on)
	for _, list := range append(runtimeLists(), &v1alpha1.EnvironmentList{}, &v1alpha1.SpaceList{}) {
		g.list(ctx, list, on)
	}
	s, err := g.snapshot()
	if err != nil {
		return nil, fmt.Errorf("load cluster %s: %w", name, err)
	}
	for _, e := range s.environmentsOn(name) {
		for _, list := range runtimeLists() {
			g.list(ctx, list, ReferringTo("Environment", e.Namespace, e.Name))
		}
	}
	if c := s.Cluster(name); c != nil {
		for _, product := range references.NamedProducts(c) {
			g.list(ctx, &v1alpha1.ProductList{}, client.InNamespace(l.Namespace), ReferringTo(references.SharedGroup, "", product))
		}
		for _, id := range slices.Sorted(maps.Values(c.Status.ProductIDMap)) {
			g.get(ctx, &v1alpha1.Product{}, l.Namespace, id)
		}
	}
	if s, err = g.snapshot(); err != nil {
		return nil, fmt.Errorf("load the users of cluster %s: %w", name, err)
	}
	return s, nil
}

// For returns the snapshot that validate.Run needs for a change of o: the product,
// cluster or provider with all its users. An object of a product is laid over the
// snapshot; objects of the tenant are as stored.
func (l *Loader) For(ctx context.Context, o v1alpha1.Object) (*Snapshot, error) {
	switch o := o.(type) {
	case *v1alpha1.Cluster:
		return l.Cluster(ctx, o.Name)
	case *v1alpha1.Product:
		return l.Product(ctx, o.Name, o)
	case *v1alpha1.PipelineHook:
		return l.withUsers(ctx, &v1alpha1.ProjectPipelineRuntimeList{}, ReferringTo("PipelineHook", "", o.Name))
	case *v1alpha1.CodeRepoProvider:
		return l.withUsers(ctx, &v1alpha1.CodeRepoList{}, ReferringTo("CodeRepoProvider", "", o.Name))
	case *v1alpha1.ProductProvider, *v1alpha1.ComponentCatalogue:
		return l.TenantLevel(ctx)
	}
	if o.GetNamespace() == l.Namespace {
		return l.TenantLevel(ctx)
	}
	return l.Product(ctx, o.GetNamespace(), o)
}

func (l *Loader) withUsers(ctx context.Context, list client.ObjectList, by client.MatchingFields) (*Snapshot, error) {
	g := l.reader()
	g.tenant(ctx)
	g.list(ctx, list, by)
	s, err := g.snapshot()
	if err != nil {
		return nil, fmt.Errorf("load the users of a tenant's object: %w", err)
	}
	return s, nil
}

// Rivals returns the runtimes of other products that claim a namespace of o, as far
// as the indexes show: runtimes without a target on record are included whatever
// their cluster is.
func (l *Loader) Rivals(ctx context.Context, o v1alpha1.Runtime) ([]v1alpha1.Runtime, error) {
	g := l.reader()
	recorded := o.DeployedTarget()
	if recorded != nil {
		for _, namespace := range recorded.Namespaces {
			g.rivals(ctx, o.GetNamespace(), claimKey{recorded.Cluster, namespace})
		}
	}
	if recorded == nil || v1alpha1.Movable(o) {
		cluster, err := g.clusterOf(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("load the rivals of %s: %w", RefOf(o), err)
		}
		_, namespaces := o.Destination()
		for _, namespace := range namespaces {
			g.rivals(ctx, o.GetNamespace(), claimKey{cluster, namespace})
		}
	}
	s, err := g.snapshot()
	if err != nil {
		return nil, fmt.Errorf("load the rivals of %s: %w", RefOf(o), err)
	}
	var rivals []v1alpha1.Runtime
	s.eachRuntime(func(r v1alpha1.Runtime) { rivals = append(rivals, r) })
	return rivals, nil
}

// clusterOf returns the cluster of the environment that a runtime's spec names;
// empty when it does not exist.
func (g *reader) clusterOf(ctx context.Context, o v1alpha1.Runtime) (string, error) {
	name, _ := o.Destination()
	g.get(ctx, &v1alpha1.Environment{}, o.GetNamespace(), name)
	s, err := g.snapshot()
	if err != nil {
		return "", err
	}
	if e := s.Environment(o.GetNamespace(), name); e != nil {
		return e.Spec.Cluster, nil
	}
	return "", nil
}

// reader collects objects until a read fails.
type reader struct {
	*Loader
	objects []client.Object
	asked   map[types.NamespacedName]bool
	err     error
}

func (l *Loader) reader() *reader {
	return &reader{Loader: l, asked: map[types.NamespacedName]bool{}}
}

// snapshot returns a snapshot of everything read so far, or an error if any read
// failed.
func (g *reader) snapshot() (*Snapshot, error) {
	if g.err != nil {
		return nil, g.err
	}
	s := New(g.Tenant, g.Namespace, g.objects...).WithSettings(g.Settings)
	s.effective = g.catalogue(s.ComponentCatalogue())
	s.hookReader = &g.Loader.hooks
	return s, nil
}

// catalogue returns a catalogue in its parsed form, which is kept until the object
// has another version.
func (l *Loader) catalogue(c *v1alpha1.ComponentCatalogue) func() *effectiveCatalogue {
	if c == nil || c.ResourceVersion == "" {
		return readOnce(c)
	}
	version := string(c.UID) + "/" + c.ResourceVersion
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.version != version {
		l.version, l.catalogued = version, readOnce(c)
	}
	return l.catalogued
}

func (g *reader) list(ctx context.Context, list client.ObjectList, opts ...client.ListOption) {
	if g.err != nil {
		return
	}
	if err := g.Reader.List(ctx, list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		g.err = fmt.Errorf("list %T: %w", list, err)
		return
	}
	g.err = meta.EachListItem(list, func(o runtime.Object) error {
		object, ok := o.(client.Object)
		if !ok {
			return fmt.Errorf("list %T: an item is %T", list, o)
		}
		g.objects = append(g.objects, object)
		return nil
	})
}

// get reads one object; one that does not exist is no error.
func (g *reader) get(ctx context.Context, o client.Object, namespace, name string) {
	if g.err != nil || name == "" {
		return
	}
	err := g.Reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, o, client.UnsafeDisableDeepCopy)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		g.err = fmt.Errorf("get %T %s/%s: %w", o, namespace, name, err)
	default:
		g.objects = append(g.objects, o)
	}
}

// tenant reads the kinds of the tenant that have few objects.
func (g *reader) tenant(ctx context.Context) {
	for _, list := range []client.ObjectList{
		&v1alpha1.ClusterList{}, &v1alpha1.ComponentCatalogueList{}, &v1alpha1.CodeRepoProviderList{}, &v1alpha1.ProductProviderList{}, &v1alpha1.PipelineHookList{},
	} {
		g.list(ctx, list, client.InNamespace(g.Namespace))
	}
}

// rivals reads the runtimes of other products that claim a namespace, and the
// environments that determine their clusters.
func (g *reader) rivals(ctx context.Context, product string, claim claimKey) {
	for _, cluster := range []string{claim.cluster, ""} {
		for _, list := range runtimeLists() {
			for _, o := range g.others(ctx, list, product, Claiming(cluster, claim.namespace)) {
				g.environmentOf(ctx, o)
			}
		}
	}
}

// others reads the matching objects of other products, and returns them.
func (g *reader) others(ctx context.Context, list client.ObjectList, product string, match client.ListOption) []client.Object {
	before := len(g.objects)
	g.list(ctx, list, match)
	g.objects = append(g.objects[:before], slices.DeleteFunc(slices.Clone(g.objects[before:]),
		func(o client.Object) bool { return o.GetNamespace() == product || o.GetNamespace() == g.Namespace })...)
	return g.objects[before:]
}

func (g *reader) environmentOf(ctx context.Context, o client.Object) {
	r, ok := o.(v1alpha1.Runtime)
	if !ok {
		return
	}
	name, _ := r.Destination()
	key := types.NamespacedName{Namespace: o.GetNamespace(), Name: name}
	if !g.asked[key] {
		g.asked[key] = true
		g.get(ctx, &v1alpha1.Environment{}, key.Namespace, key.Name)
	}
}

// wantedClaims returns the namespaces that the runtimes of a product ask for.
func wantedClaims(s *Snapshot, product string) []claimKey {
	var keys []claimKey
	seen := map[claimKey]bool{}
	for _, r := range s.Runtimes(product) {
		for _, target := range s.targetsOf(r) {
			for _, namespace := range target.Namespaces {
				if key := (claimKey{target.Cluster, namespace}); !seen[key] {
					seen[key] = true
					keys = append(keys, key)
				}
			}
		}
	}
	return keys
}

func (s *Snapshot) environmentsOn(cluster string) (found []*v1alpha1.Environment) {
	s.environments.all(func(e *v1alpha1.Environment) {
		if e.Spec.Cluster == cluster {
			found = append(found, e)
		}
	})
	return found
}

func runtimeLists() []client.ObjectList {
	return []client.ObjectList{&v1alpha1.DeploymentRuntimeList{}, &v1alpha1.ProjectPipelineRuntimeList{}}
}

func productLists() []client.ObjectList {
	return append(runtimeLists(),
		&v1alpha1.EnvironmentList{}, &v1alpha1.ProjectList{}, &v1alpha1.CodeRepoList{}, &v1alpha1.CodeRepoBindingList{},
		&v1alpha1.ArtifactRepoList{}, &v1alpha1.SpaceList{})
}
