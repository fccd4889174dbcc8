// Package references declares the references of each kind in one place. It guarantees
// that every object whose answer can change with another object is found from that
// object: the indexes of the caches, the users of an object and the watches of the
// controllers follow from the declaration.
package references

import (
	"cmp"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// Reference is a relation of one object to another that it names, or to something
// that it shares with others: a node port, a namespace, a group.
type Reference struct {
	// Ref identifies the other object; its namespace is empty for an object of the
	// tenant. For shared things, Kind is one of the shared kinds below.
	plan.Ref
	// Uses is true if the other object must not be deleted before this one.
	Uses bool
	// Passes is true if a change of the other object also concerns the objects
	// that refer to this one.
	Passes bool
}

// Shared kinds: objects that refer to an equal value of these affect one another.
const (
	SharedGroup      = "group"      // the group of a product
	sharedPorts      = "ports"      // the node ports of a physical cluster
	sharedKubeSystem = "kubeSystem" // the UID by which a real cluster is known
	SharedRepoName   = "repoName"   // the path of the credentials of code repositories
	SharedClaim      = "claim"      // a namespace on a cluster
	sharedManifests  = "manifests"  // manifests that are deployed to an environment
	sharedPlace      = "place"      // the cluster of environments of a product
	sharedAddress    = "address"    // the name of a Git repository within its group
	sharedChoices    = "choices"    // the components that clusters choose
)

// all stands for every object of a kind in a namespace.
const all = "*"

// uses returns references to objects that must not be deleted first.
func uses(kind, namespace string, names ...string) []Reference {
	var refs []Reference
	for _, name := range names {
		if name != "" {
			refs = append(refs, Reference{Ref: plan.Ref{Kind: kind, Namespace: namespace, Name: name}, Uses: true})
		}
	}
	return refs
}

// reads returns references to objects that may be deleted at any time.
func reads(kind, namespace string, names ...string) []Reference {
	refs := uses(kind, namespace, names...)
	for i := range refs {
		refs[i].Uses = false
	}
	return refs
}

// passing marks references whose changes concern the objects behind this one.
func passing(refs []Reference) []Reference {
	for i := range refs {
		refs[i].Passes = true
	}
	return refs
}

// Of returns everything that the answers about an object depend on, apart
// from the object itself.
func Of(o client.Object) []Reference {
	product := o.GetNamespace()
	switch o := o.(type) {
	case *v1alpha1.Product:
		// The URL of its repository may be on any provider.
		return slices.Concat(reads(SharedGroup, "", o.Spec.Name), reads("CodeRepoProvider", "", all), uses("Cluster", "", spaceClusters(o)...),
			uses("ProductProvider", "", o.Labels[v1alpha1.LabelFrom]))
	case *v1alpha1.ProductProvider:
		return uses("CodeRepoProvider", "", o.Spec.Name)
	case *v1alpha1.Cluster:
		return referencesOfCluster(o)
	case *v1alpha1.Environment:
		return slices.Concat(reads("Product", "", product), passing(uses("Cluster", "", o.Spec.Cluster)),
			passing(reads("Space", product, o.Spec.Cluster)), reads(sharedPlace, product, o.Spec.Cluster))
	case *v1alpha1.Project:
		return reads("Product", "", product)
	case *v1alpha1.CodeRepo:
		providers := uses("CodeRepoProvider", "", o.Spec.CodeRepoProvider)
		if len(providers) == 0 {
			// Its URL may be on any of them.
			providers = reads("CodeRepoProvider", "", all)
		}
		refs := slices.Concat(reads("Product", "", product, o.Spec.Product), uses("Project", product, o.Spec.Project),
			passing(providers), passing(reads(SharedRepoName, "", o.Name)), reads(sharedAddress, product, addressKey(o)))
		if o.Status.DeployKeys != nil {
			// It has the deploy keys of other repositories of the product.
			refs = append(refs, reads("CodeRepo", product, all)...)
		}
		return refs
	case *v1alpha1.CodeRepoBinding:
		return slices.Concat(reads("Product", "", product), uses("CodeRepo", product, o.Spec.CodeRepo),
			uses("Project", product, o.Spec.Projects...))
	case *v1alpha1.ArtifactRepo:
		return append(reads("Product", "", product), uses("Project", product, o.Spec.Projects...)...)
	case *v1alpha1.DeploymentRuntime:
		return append(referencesOfRuntime(o), reads(sharedManifests, product, ManifestsKey(o))...)
	case *v1alpha1.ProjectPipelineRuntime:
		refs := append(referencesOfRuntime(o), uses("PipelineHook", "", o.HookNames()...)...)
		if more := o.Spec.AdditionalResources; more != nil && more.Git != nil && more.Git.URL != "" {
			// The URL may be the URL of any repository of the product.
			refs = append(append(refs, reads("CodeRepo", product, all)...), reads("CodeRepoProvider", "", all)...)
		}
		return refs
	case *v1alpha1.ComponentCatalogue:
		return reads(sharedChoices, "", all)
	case *v1alpha1.Space:
		// A Space has the name of its cluster.
		return append(reads("Product", "", product), uses("Cluster", "", o.Name)...)
	}
	return nil
}

func referencesOfCluster(c *v1alpha1.Cluster) []Reference {
	// Its Argo CD has the certificates and host keys of all providers.
	refs := slices.Concat(uses("Cluster", "", c.Spec.HostCluster), reads("CodeRepoProvider", "", all), reads(sharedPorts, "", Carriers(c)...),
		passing(reads("ComponentCatalogue", "", v1alpha1.ComponentCatalogueName)),
		reads(SharedGroup, "", NamedProducts(c)...), reads("Product", "", slices.Sorted(maps.Values(c.Status.ProductIDMap))...))
	if c.Status.Connection != nil {
		refs = append(refs, passing(reads(sharedKubeSystem, "", c.Status.Connection.UID))...)
	}
	return refs
}

func referencesOfRuntime(r v1alpha1.Runtime) []Reference {
	product := r.GetNamespace()
	environment, _ := r.Destination()
	refs := slices.Concat(reads("Product", "", product), uses("Environment", product, environment),
		uses("CodeRepo", product, r.Repositories()...), uses("Project", product, r.Projects()...))
	if recorded := r.DeployedTarget(); recorded != nil {
		refs = slices.Concat(refs, uses("Environment", product, recorded.Environment), uses("Cluster", "", recorded.Cluster),
			reads("Space", product, recorded.Cluster))
	}
	for _, c := range indexedClaims(r) {
		refs = append(refs, reads(SharedClaim, c.cluster, c.namespace)...)
	}
	return refs
}

// indexedClaims returns the claims by which a runtime is found. The cluster of the
// target that its spec asks for is empty, since only its environment has it.
func indexedClaims(r v1alpha1.Runtime) []claim {
	var claims []claim
	recorded := r.DeployedTarget()
	if recorded != nil {
		for _, namespace := range recorded.Namespaces {
			claims = append(claims, claim{recorded.Cluster, namespace})
		}
	}
	if recorded == nil || v1alpha1.Movable(r) {
		_, namespaces := r.Destination()
		for _, namespace := range namespaces {
			claims = append(claims, claim{"", namespace})
		}
	}
	return claims
}

// ManifestsKey identifies the manifests that a runtime deploys and the environment
// that it deploys them to, whatever way the source is written.
func ManifestsKey(r *v1alpha1.DeploymentRuntime) string {
	source := r.Spec.ManifestSource
	return strings.Join([]string{
		r.Spec.Destination.Environment, source.CodeRepo, cmp.Or(source.TargetRevision, "HEAD"), path.Clean(source.Path),
	}, " ")
}

// addressKey returns the same text for code repositories whose URL can be the same,
// whatever way it is written.
func addressKey(r *v1alpha1.CodeRepo) string {
	return strings.TrimSuffix(path.Base(cmp.Or(r.Spec.URL, r.Spec.RepoName)), ".git")
}

// provided returns the references by which other objects name o or share
// something with it.
func provided(o client.Object) []plan.Ref {
	own := Key(o)
	keys := []plan.Ref{own}
	switch o := o.(type) {
	case *v1alpha1.CodeRepoProvider:
		keys = append(keys, plan.Ref{Kind: own.Kind, Name: all})
	case *v1alpha1.Cluster:
		keys = append(keys, plan.Ref{Kind: sharedChoices, Name: all})
	case *v1alpha1.CodeRepo:
		keys = append(keys, plan.Ref{Kind: own.Kind, Namespace: own.Namespace, Name: all})
	case *v1alpha1.CodeRepoBinding:
		// Who may use a repository depends on its bindings.
		keys = append(keys, plan.Ref{Kind: "CodeRepo", Namespace: own.Namespace, Name: o.Spec.CodeRepo},
			plan.Ref{Kind: "CodeRepo", Namespace: own.Namespace, Name: all})
	}
	for _, r := range Of(o) {
		switch r.Kind {
		case SharedGroup, sharedPorts, sharedKubeSystem, SharedRepoName, sharedManifests, sharedPlace, sharedAddress:
			if _, names := o.(*v1alpha1.Cluster); !names || r.Kind != SharedGroup {
				keys = append(keys, r.Ref)
			}
		}
	}
	return keys
}

// Key returns the reference to an object by which others refer to it.
func Key(o client.Object) plan.Ref {
	ref := RefOf(o)
	switch o.(type) {
	case *v1alpha1.Product, *v1alpha1.ProductProvider, *v1alpha1.CodeRepoProvider, *v1alpha1.Cluster,
		*v1alpha1.ComponentCatalogue, *v1alpha1.PipelineHook:
		ref.Namespace = ""
	}
	return ref
}

// claim is a namespace on a cluster that a runtime asks for.
type claim struct{ cluster, namespace string }

// RefOf returns the reference to an object of a Nautes kind, with its namespace. It
// goes by the Go type, since objects from a client often carry no kind.
func RefOf(o client.Object) plan.Ref {
	return plan.Ref{Kind: reflect.TypeOf(o).Elem().Name(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// Compare orders references by kind, namespace and name.
func Compare(a, b plan.Ref) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// spaceClusters returns the clusters that hold, or may hold, objects of a product.
func spaceClusters(p *v1alpha1.Product) []string {
	clusters := make([]string, 0, len(p.Status.Spaces))
	for _, space := range p.Status.Spaces {
		clusters = append(clusters, space.Cluster)
	}
	return clusters
}

// Carriers returns the physical clusters whose ports a cluster takes. One that
// moves to another host has its ports on both until it has left the old one.
func Carriers(c *v1alpha1.Cluster) []string {
	var names []string
	add := func(virtual bool, host string) {
		if !virtual {
			host = c.Name
		}
		if host != "" && !slices.Contains(names, host) {
			names = append(names, host)
		}
	}
	add(c.Spec.ClusterType == v1alpha1.ClusterVirtual, c.Spec.HostCluster)
	if was := c.Status.Registered; was != nil {
		add(was.ClusterType == v1alpha1.ClusterVirtual, was.HostCluster)
	}
	return names
}

// NamedProducts returns the groups of products that the spec of a cluster names, in
// order.
func NamedProducts(c *v1alpha1.Cluster) []string {
	names := map[string]bool{}
	for _, products := range c.Spec.ReservedNamespacesAllowedProducts {
		for _, name := range products {
			names[name] = true
		}
	}
	for name := range c.Spec.ProductAllowedClusterResources {
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Index is the name of the one field index: it finds objects by their
// References, as IndexKey writes them.
const Index = "nautes.references"

// IndexKey returns the value of Index for a reference.
func IndexKey(ref plan.Ref) string { return ref.Kind + "/" + ref.Namespace + "/" + ref.Name }

// Kinds returns an empty object of each kind that a snapshot holds.
func Kinds() []v1alpha1.Object {
	return []v1alpha1.Object{
		&v1alpha1.Product{}, &v1alpha1.ProductProvider{}, &v1alpha1.CodeRepoProvider{}, &v1alpha1.Cluster{},
		&v1alpha1.ComponentCatalogue{}, &v1alpha1.PipelineHook{}, &v1alpha1.Environment{}, &v1alpha1.Project{},
		&v1alpha1.CodeRepo{}, &v1alpha1.CodeRepoBinding{}, &v1alpha1.ArtifactRepo{}, &v1alpha1.DeploymentRuntime{},
		&v1alpha1.ProjectPipelineRuntime{}, &v1alpha1.Space{},
	}
}

// IndexValues returns the values of Index for an object.
func IndexValues(o client.Object) []string {
	refs := Of(o)
	values := make([]string, 0, len(refs))
	for _, r := range refs {
		values = append(values, IndexKey(r.Ref))
	}
	return values
}
