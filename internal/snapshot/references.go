package snapshot

import (
	"cmp"
	"maps"
	"path"
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
	sharedGroup      = "group"      // the group of a product
	sharedPorts      = "ports"      // the node ports of a physical cluster
	sharedKubeSystem = "kubeSystem" // the UID by which a real cluster is known
	sharedRepoName   = "repoName"   // the path of the credentials of code repositories
	sharedClaim      = "claim"      // a namespace on a cluster
	sharedManifests  = "manifests"  // manifests that are deployed to an environment
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

// References returns everything that the answers about an object depend on, apart
// from the object itself. The indexes, UsersOf, and the watches of the controllers
// follow from it.
func References(o client.Object) []Reference {
	product := o.GetNamespace()
	switch o := o.(type) {
	case *v1alpha1.Product:
		return append(reads(sharedGroup, "", o.Spec.Name), uses("Cluster", "", SpaceClusters(o)...)...)
	case *v1alpha1.ProductProvider:
		return uses("CodeRepoProvider", "", o.Spec.Name)
	case *v1alpha1.Cluster:
		return referencesOfCluster(o)
	case *v1alpha1.Environment:
		return slices.Concat(reads("Product", "", product), passing(uses("Cluster", "", o.Spec.Cluster)),
			passing(reads("Space", product, o.Spec.Cluster)))
	case *v1alpha1.Project:
		return reads("Product", "", product)
	case *v1alpha1.CodeRepo:
		providers := uses("CodeRepoProvider", "", o.Spec.CodeRepoProvider)
		if len(providers) == 0 {
			// Its URL may be on any of them.
			providers = reads("CodeRepoProvider", "", all)
		}
		return slices.Concat(reads("Product", "", product, o.Spec.Product), uses("Project", product, o.Spec.Project),
			passing(providers), passing(reads(sharedRepoName, "", o.Name)))
	case *v1alpha1.CodeRepoBinding:
		return slices.Concat(reads("Product", "", product), uses("CodeRepo", product, o.Spec.CodeRepo),
			uses("Project", product, o.Spec.Projects...))
	case *v1alpha1.DeploymentRuntime:
		return append(referencesOfRuntime(o), reads(sharedManifests, product, ManifestsKey(o))...)
	case *v1alpha1.ProjectPipelineRuntime:
		refs := append(referencesOfRuntime(o), uses("PipelineHook", "", o.HookNames()...)...)
		if more := o.Spec.AdditionalResources; more != nil && more.Git != nil && more.Git.URL != "" {
			// The URL may be the URL of any repository of the product.
			refs = append(append(refs, reads("CodeRepo", product, all)...), reads("CodeRepoProvider", "", all)...)
		}
		return refs
	case *v1alpha1.Space:
		return append(reads("Product", "", product), uses("Cluster", "", o.Spec.Cluster)...)
	}
	return nil
}

func referencesOfCluster(c *v1alpha1.Cluster) []Reference {
	refs := slices.Concat(uses("Cluster", "", c.Spec.HostCluster), reads(sharedPorts, "", carriers(c)...),
		passing(reads("ComponentCatalogue", "", v1alpha1.ComponentCatalogueName)),
		reads(sharedGroup, "", namedProducts(c)...), reads("Product", "", slices.Sorted(maps.Values(c.Status.ProductIDMap))...))
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
	for _, claim := range indexedClaims(r) {
		refs = append(refs, reads(sharedClaim, claim.cluster, claim.namespace)...)
	}
	return refs
}

// indexedClaims returns the claims by which a runtime is found. The cluster of the
// target that its spec asks for is empty, since only its environment has it.
func indexedClaims(r v1alpha1.Runtime) []claimKey {
	var claims []claimKey
	recorded := r.DeployedTarget()
	if recorded != nil {
		for _, namespace := range recorded.Namespaces {
			claims = append(claims, claimKey{recorded.Cluster, namespace})
		}
	}
	if recorded == nil || v1alpha1.Movable(r) {
		_, namespaces := r.Destination()
		for _, namespace := range namespaces {
			claims = append(claims, claimKey{"", namespace})
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

// provided returns the references by which other objects name o or share
// something with it.
func provided(o client.Object) []plan.Ref {
	own := keyOf(o)
	keys := []plan.Ref{own}
	switch o := o.(type) {
	case *v1alpha1.CodeRepoProvider:
		keys = append(keys, plan.Ref{Kind: own.Kind, Name: all})
	case *v1alpha1.CodeRepo:
		keys = append(keys, plan.Ref{Kind: own.Kind, Namespace: own.Namespace, Name: all})
	case *v1alpha1.CodeRepoBinding:
		// Who may use a repository depends on its bindings.
		keys = append(keys, plan.Ref{Kind: "CodeRepo", Namespace: own.Namespace, Name: o.Spec.CodeRepo},
			plan.Ref{Kind: "CodeRepo", Namespace: own.Namespace, Name: all})
	}
	for _, r := range References(o) {
		switch r.Kind {
		case sharedGroup, sharedPorts, sharedKubeSystem, sharedRepoName, sharedManifests:
			if _, names := o.(*v1alpha1.Cluster); !names || r.Kind != sharedGroup {
				keys = append(keys, r.Ref)
			}
		}
	}
	return keys
}

// keyOf returns the reference to an object as References has it.
func keyOf(o client.Object) plan.Ref {
	ref := RefOf(o)
	switch o.(type) {
	case *v1alpha1.Product, *v1alpha1.ProductProvider, *v1alpha1.CodeRepoProvider, *v1alpha1.Cluster,
		*v1alpha1.ComponentCatalogue, *v1alpha1.PipelineHook:
		ref.Namespace = ""
	}
	return ref
}

// UsersOf returns the objects that must be deleted before o, by kind, namespace
// and name. Objects that are being deleted count until they are gone.
func (s *Snapshot) UsersOf(o v1alpha1.Object) []plan.Ref {
	var users []plan.Ref
	key := keyOf(o)
	for _, t := range s.tables() {
		t.each(func(other client.Object) {
			used := slices.ContainsFunc(References(other), func(r Reference) bool { return r.Uses && r.Ref == key })
			if used && keyOf(other) != key {
				users = append(users, RefOf(other))
			}
		})
	}
	if key.Kind == "Cluster" {
		s.eachRuntime(func(r v1alpha1.Runtime) {
			if target, ok := s.EffectiveTarget(r); ok && target.Cluster == key.Name {
				users = append(users, RefOf(r))
			}
		})
	}
	slices.SortFunc(users, compareRefs)
	return slices.Compact(slices.DeleteFunc(users, func(ref plan.Ref) bool {
		// A product that lists the space stands for it.
		return ref.Kind == "Space" && slices.Contains(users, plan.Ref{Kind: "Product", Namespace: s.Namespace, Name: ref.Namespace})
	}))
}

// SpaceClusters returns the clusters that hold, or may hold, objects of a product.
func SpaceClusters(p *v1alpha1.Product) []string {
	clusters := make([]string, 0, len(p.Status.Spaces))
	for _, space := range p.Status.Spaces {
		clusters = append(clusters, space.Cluster)
	}
	return clusters
}

func compareRefs(a, b plan.Ref) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
