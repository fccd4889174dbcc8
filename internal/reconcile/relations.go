package reconcile

import (
	"cmp"
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/internal/snapshot"
)

// The functions of this file answer which objects read a changed one. They look
// into the cache only: by index across products, and by a walk within one.

// Relations answers which objects of the tenant depend on a changed one.
type Relations struct {
	Client client.Client
	Loader *snapshot.Loader
	// Tenant is the tenant's name, Namespace the operator's namespace.
	Tenant, Namespace string
}

// find returns the objects of a list that match; a nil match takes all.
func find[T client.Object](ctx context.Context, rel *Relations, list client.ObjectList, match func(T) bool, options ...client.ListOption) []T {
	if err := rel.Client.List(ctx, list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		// Reading the cache fails only when the manager stops.
		log.FromContext(ctx).Error(err, "list what a change concerns")
		return nil
	}
	var found []T
	_ = meta.EachListItem(list, func(o runtime.Object) error {
		if object, ok := o.(T); ok && (match == nil || match(object)) {
			found = append(found, object)
		}
		return nil
	})
	return found
}

// requestsFor returns the requests of objects.
func RequestsFor[T client.Object](objects []T) []ctrl.Request {
	wake := make([]ctrl.Request, 0, len(objects))
	for _, o := range objects {
		wake = append(wake, Request(o.GetNamespace(), o.GetName()))
	}
	return wake
}

// requests returns the requests of names in a namespace; empty names are left out.
func Requests(namespace string, names ...string) []ctrl.Request {
	var wake []ctrl.Request
	for _, name := range names {
		if name != "" {
			wake = append(wake, Request(namespace, name))
		}
	}
	return wake
}

// Of spaces.

// SpacesOf returns the spaces of a product.
func (rel *Relations) SpacesOf(ctx context.Context, product string) []ctrl.Request {
	return RequestsFor(find[*v1alpha1.Space](ctx, rel, &v1alpha1.SpaceList{}, nil, client.InNamespace(product)))
}

func sortedKeys(keys map[ctrl.Request]bool) []ctrl.Request {
	sorted := make([]ctrl.Request, 0, len(keys))
	for key := range keys {
		if key.Name != "" {
			sorted = append(sorted, key)
		}
	}
	slices.SortFunc(sorted, func(a, b ctrl.Request) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return sorted
}

// spacesOfRuntime returns the spaces that a runtime, of either kind, is or will be
// part of, and those of the runtimes that want the same namespaces.
func (rel *Relations) SpacesOfRuntime(ctx context.Context, r v1alpha1.Runtime) []ctrl.Request {
	keys := map[ctrl.Request]bool{}
	for _, one := range append(rel.Rivals(ctx, r), r) {
		if recorded := one.DeployedTarget(); recorded != nil {
			keys[Request(one.GetNamespace(), recorded.Cluster)] = true
		}
		e := &v1alpha1.Environment{}
		environment, _ := one.Destination()
		key := client.ObjectKey{Namespace: one.GetNamespace(), Name: environment}
		if err := rel.Client.Get(ctx, key, e); err == nil {
			keys[Request(one.GetNamespace(), e.Spec.Cluster)] = true
		}
	}
	return sortedKeys(keys)
}

// SpacesOn returns the spaces on a cluster.
func (rel *Relations) SpacesOn(ctx context.Context, cluster string) []ctrl.Request {
	return RequestsFor(find[*v1alpha1.Space](ctx, rel, &v1alpha1.SpaceList{}, nil, client.MatchingFields{snapshot.IndexClusterOfSpace: cluster}))
}

// spacesOfEnvironment returns the spaces that an environment concerns: those of
// its product, and of the products that want the namespaces of its runtimes.
func (rel *Relations) SpacesOfEnvironment(ctx context.Context, e *v1alpha1.Environment) []ctrl.Request {
	keys := append(rel.SpacesOf(ctx, e.Namespace), Request(e.Namespace, e.Spec.Cluster))
	for _, r := range rel.RivalsOfEnvironment(ctx, e) {
		keys = append(keys, rel.SpacesOf(ctx, r.GetNamespace())...)
	}
	return keys
}

// spacesOfSecret returns the spaces that a stored credential is for.
func (rel *Relations) SpacesOfSecret(ctx context.Context, secret *corev1.Secret) []ctrl.Request {
	if ref, stored := kube.RefOf(secret); stored {
		return rel.SpacesOfRef(ctx, ref)
	}
	return nil
}

// spacesOfRef returns the spaces that a stored credential is for: those of the
// products that have a code repository of the name in its path.
func (rel *Relations) SpacesOfRef(ctx context.Context, ref secrets.Ref) []ctrl.Request {
	repo, ok := secrets.RepositoryOf(ref)
	if !ok {
		return nil
	}
	var keys []ctrl.Request
	for _, r := range rel.CodeReposByName(ctx, repo) {
		keys = append(keys, rel.SpacesOf(ctx, r.Namespace)...)
	}
	return keys
}

// codeReposByName returns the code repositories of a name in all products: their
// credentials are at one place, so one of them has the place at a time.
func (rel *Relations) CodeReposByName(ctx context.Context, name string) []*v1alpha1.CodeRepo {
	return find[*v1alpha1.CodeRepo](ctx, rel, &v1alpha1.CodeRepoList{}, nil, client.MatchingFields{snapshot.IndexCodeRepoName: name})
}

// namesakes returns the code repositories of other products that have the name of one.
func (rel *Relations) Namesakes(ctx context.Context, r *v1alpha1.CodeRepo) []*v1alpha1.CodeRepo {
	return slices.DeleteFunc(rel.CodeReposByName(ctx, r.Name), func(other *v1alpha1.CodeRepo) bool { return other.Namespace == r.Namespace })
}

func (rel *Relations) SpacesOfNamesakes(ctx context.Context, r *v1alpha1.CodeRepo) []ctrl.Request {
	var keys []ctrl.Request
	for _, other := range rel.Namesakes(ctx, r) {
		keys = append(keys, rel.SpacesOf(ctx, other.Namespace)...)
	}
	return keys
}

// spacesOfCatalogue returns all spaces: where components are is what the
// catalogue says.
func (rel *Relations) SpacesOfCatalogue(ctx context.Context, _ *v1alpha1.ComponentCatalogue) []ctrl.Request {
	var keys []ctrl.Request
	for _, c := range rel.Clusters(ctx, nil) {
		keys = append(keys, rel.SpacesOn(ctx, c.Name)...)
	}
	return keys
}

func (rel *Relations) RuntimesOfCatalogue(ctx context.Context, _ *v1alpha1.ComponentCatalogue) []ctrl.Request {
	var wake []ctrl.Request
	for _, c := range rel.Clusters(ctx, nil) {
		wake = append(wake, rel.RuntimesOfCluster(ctx, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: c.Name}})...)
	}
	return wake
}

// syncsOfSecret returns the mirrors whose credentials a Secret holds.
func (rel *Relations) SyncsOfSecret(ctx context.Context, secret *corev1.Secret) []SyncKey {
	ref, stored := kube.RefOf(secret)
	token := stored && ref.Engine == secrets.ProviderToken("").Engine
	return rel.Syncs(ctx, func(p *v1alpha1.Product) bool {
		return (p.Spec.SecretRef == nil && token) || (p.Spec.SecretRef != nil && p.Spec.SecretRef.Name == secret.Name)
	})
}

// syncs returns the mirrors of the products that match, and that of the tenant,
// which is one, and a look at it costs nothing.
func (rel *Relations) Syncs(ctx context.Context, match func(*v1alpha1.Product) bool) []SyncKey {
	var keys []SyncKey
	for _, p := range find(ctx, rel, &v1alpha1.ProductList{}, match, client.InNamespace(rel.Namespace)) {
		keys = append(keys, SyncKey{Product: p.Name})
	}
	return append(keys, SyncKey{})
}

// syncsByProvider returns the mirrors whose credentials a provider may have.
func (rel *Relations) SyncsByProvider(ctx context.Context) []SyncKey {
	return rel.Syncs(ctx, func(p *v1alpha1.Product) bool { return p.Spec.SecretRef == nil })
}

// spacesWanting returns the spaces on a cluster of the runtimes that want a namespace.
func (rel *Relations) SpacesWanting(ctx context.Context, cluster, namespace string) []ctrl.Request {
	keys := map[ctrl.Request]bool{}
	for _, place := range []string{snapshot.ClaimKey(cluster, namespace), snapshot.ClaimKey("", namespace)} {
		for _, r := range rel.RuntimesOfBothKinds(ctx, client.MatchingFields{snapshot.IndexWantedNamespace: place}) {
			keys[Request(r.GetNamespace(), cluster)] = true
		}
	}
	return sortedKeys(keys)
}

func (rel *Relations) SpacesOfProvider(ctx context.Context, provider string) []ctrl.Request {
	keys := map[ctrl.Request]bool{}
	for _, r := range rel.CodeReposByProvider(ctx, provider) {
		for _, key := range rel.SpacesOf(ctx, r.Namespace) {
			keys[key] = true
		}
	}
	return sortedKeys(keys)
}

func (rel *Relations) EnvironmentsByCluster(ctx context.Context, cluster string) []*v1alpha1.Environment {
	return find[*v1alpha1.Environment](ctx, rel, &v1alpha1.EnvironmentList{}, nil, client.MatchingFields{snapshot.IndexEnvironmentCluster: cluster})
}

func (rel *Relations) RuntimesByCluster(ctx context.Context, cluster string) []*v1alpha1.DeploymentRuntime {
	return find[*v1alpha1.DeploymentRuntime](ctx, rel, &v1alpha1.DeploymentRuntimeList{}, nil, client.MatchingFields{snapshot.IndexRecordedCluster: cluster})
}

// runtimesOfBothKinds returns the deployment and the pipeline runtimes of some
// list options.
func (rel *Relations) RuntimesOfBothKinds(ctx context.Context, options ...client.ListOption) []v1alpha1.Runtime {
	var found []v1alpha1.Runtime
	for _, list := range []client.ObjectList{&v1alpha1.DeploymentRuntimeList{}, &v1alpha1.ProjectPipelineRuntimeList{}} {
		found = append(found, find[v1alpha1.Runtime](ctx, rel, list, nil, options...)...)
	}
	return found
}

func (rel *Relations) CodeReposByProvider(ctx context.Context, provider string) []*v1alpha1.CodeRepo {
	return find[*v1alpha1.CodeRepo](ctx, rel, &v1alpha1.CodeRepoList{}, nil, client.MatchingFields{snapshot.IndexCodeRepoProvider: provider})
}

// Of DeploymentRuntimes.

// rivals returns the runtimes, of both kinds, that want one of the namespaces of
// a runtime: those of other products, and those of its own that cannot share it.
func (rel *Relations) Rivals(ctx context.Context, r v1alpha1.Runtime) []v1alpha1.Runtime {
	found, err := rel.Loader.Rivals(ctx, r)
	if err != nil {
		// Reading the cache fails only when the manager stops.
		log.FromContext(ctx).Error(err, "list who wants the namespaces of a runtime")
	}
	wanted := namespacesOf(r)
	for _, other := range rel.RuntimesOfBothKinds(ctx, client.InNamespace(r.GetNamespace())) {
		if snapshot.RefOf(other) == snapshot.RefOf(r) || !v1alpha1.Movable(other) && !v1alpha1.Movable(r) {
			continue
		}
		if slices.ContainsFunc(namespacesOf(other), func(name string) bool { return slices.Contains(wanted, name) }) {
			found = append(found, other)
		}
	}
	return found
}

// namespacesOf returns the namespaces that a runtime has or wants.
func namespacesOf(r v1alpha1.Runtime) []string {
	_, names := r.Destination()
	if recorded := r.DeployedTarget(); recorded != nil {
		names = append(names, recorded.Namespaces...)
	}
	return names
}

// only returns those of some objects that are of one kind.
func only[T client.Object](objects []v1alpha1.Runtime) []T {
	var found []T
	for _, o := range objects {
		if object, ok := o.(T); ok {
			found = append(found, object)
		}
	}
	return found
}

func (rel *Relations) RivalsOfRuntime(ctx context.Context, r *v1alpha1.DeploymentRuntime) []ctrl.Request {
	return RequestsFor(only[*v1alpha1.DeploymentRuntime](rel.Rivals(ctx, r)))
}

// rivalsOfPipelineRuntime returns the runtimes that can have the namespace of a
// pipeline runtime when it lets go.
func (rel *Relations) RivalsOfPipelineRuntime(ctx context.Context, r *v1alpha1.ProjectPipelineRuntime) []ctrl.Request {
	return RequestsFor(only[*v1alpha1.DeploymentRuntime](rel.Rivals(ctx, r)))
}

// rivalsOfEnvironment returns the runtimes that want a namespace of a runtime in
// the environment, which may have moved.
func (rel *Relations) RivalsOfEnvironment(ctx context.Context, e *v1alpha1.Environment) []v1alpha1.Runtime {
	var wake []v1alpha1.Runtime
	for _, r := range rel.RuntimesOfBothKinds(ctx, client.InNamespace(e.Namespace)) {
		if environment, _ := r.Destination(); environment == e.Name {
			wake = append(wake, rel.Rivals(ctx, r)...)
		}
	}
	return wake
}

func (rel *Relations) DeploymentRivalsOfEnvironment(ctx context.Context, e *v1alpha1.Environment) []ctrl.Request {
	return RequestsFor(only[*v1alpha1.DeploymentRuntime](rel.RivalsOfEnvironment(ctx, e)))
}

// runtimes returns the runtimes of a product that match.
func (rel *Relations) Runtimes(ctx context.Context, product string, match func(*v1alpha1.DeploymentRuntime) bool) []ctrl.Request {
	return RequestsFor(find(ctx, rel, &v1alpha1.DeploymentRuntimeList{}, match, client.InNamespace(product)))
}

func (rel *Relations) RuntimesIn(ctx context.Context, key ctrl.Request) []ctrl.Request {
	within := rel.Within(ctx, key)
	return rel.Runtimes(ctx, key.Namespace, func(r *v1alpha1.DeploymentRuntime) bool {
		return within(r.Spec.Destination.Environment, r.Status.Target)
	})
}

// within returns what tells whether a runtime of a space's product is or will be in
// the space, by the environment that it names and by where it is on record.
func (rel *Relations) Within(ctx context.Context, key ctrl.Request) func(environment string, at *v1alpha1.RuntimeTarget) bool {
	on := map[string]bool{}
	for _, e := range find(ctx, rel, &v1alpha1.EnvironmentList{}, func(e *v1alpha1.Environment) bool { return e.Spec.Cluster == key.Name }, client.InNamespace(key.Namespace)) {
		on[e.Name] = true
	}
	return func(environment string, at *v1alpha1.RuntimeTarget) bool {
		return on[environment] || at != nil && at.Cluster == key.Name
	}
}

func (rel *Relations) RuntimesOfEnvironment(ctx context.Context, e *v1alpha1.Environment) []ctrl.Request {
	return rel.Runtimes(ctx, e.Namespace, func(r *v1alpha1.DeploymentRuntime) bool {
		return r.Spec.Destination.Environment == e.Name || (r.Status.Target != nil && r.Status.Target.Environment == e.Name)
	})
}

func (rel *Relations) RuntimesOfCluster(ctx context.Context, c *v1alpha1.Cluster) []ctrl.Request {
	wake := RequestsFor(rel.RuntimesByCluster(ctx, c.Name))
	for _, e := range rel.EnvironmentsByCluster(ctx, c.Name) {
		wake = append(wake, rel.RuntimesOfEnvironment(ctx, e)...)
	}
	return wake
}

// runtimesOfCodeRepo returns the runtimes that a code repository concerns: those
// that deploy from it, and those of its namesakes.
func (rel *Relations) RuntimesOfCodeRepo(ctx context.Context, repo *v1alpha1.CodeRepo) []ctrl.Request {
	var wake []ctrl.Request
	for _, one := range append(rel.Namesakes(ctx, repo), repo) {
		wake = append(wake, rel.Runtimes(ctx, one.Namespace, func(r *v1alpha1.DeploymentRuntime) bool {
			return r.Spec.ManifestSource.CodeRepo == repo.Name
		})...)
	}
	return wake
}

func (rel *Relations) RuntimesOfBinding(ctx context.Context, b *v1alpha1.CodeRepoBinding) []ctrl.Request {
	return rel.Runtimes(ctx, b.Namespace, func(r *v1alpha1.DeploymentRuntime) bool { return r.Spec.ManifestSource.CodeRepo == b.Spec.CodeRepo })
}

func (rel *Relations) RuntimesOfProject(ctx context.Context, p *v1alpha1.Project) []ctrl.Request {
	return rel.Runtimes(ctx, p.Namespace, func(r *v1alpha1.DeploymentRuntime) bool { return slices.Contains(r.Spec.ProjectsRef, p.Name) })
}

func (rel *Relations) RuntimesOfProduct(ctx context.Context, p *v1alpha1.Product) []ctrl.Request {
	return rel.Runtimes(ctx, p.Name, nil)
}
