package references

import (
	"maps"
	"slices"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// Finder looks up objects in a cache.
type Finder interface {
	// Referring returns the objects of a kind that have ref among its references.
	Referring(kind string, ref plan.Ref) []v1alpha1.Object
	// Get returns an object by a reference as Key has it, or nil.
	Get(ref plan.Ref) v1alpha1.Object
}

// referring returns the kinds that can refer to a kind, so that no other kind is
// looked up.
func referring(kind string) []string {
	switch kind {
	case "Product":
		return []string{"Environment", "Project", "CodeRepo", "CodeRepoBinding", "DeploymentRuntime", "ProjectPipelineRuntime", "Space", "Cluster"}
	case "Cluster":
		return []string{"Cluster", "Environment", "DeploymentRuntime", "ProjectPipelineRuntime", "Space"}
	case "CodeRepoProvider":
		return []string{"CodeRepo", "ProductProvider", "ProjectPipelineRuntime"}
	case "Project":
		return []string{"CodeRepo", "CodeRepoBinding", "DeploymentRuntime", "ProjectPipelineRuntime"}
	case "CodeRepo":
		return []string{"CodeRepoBinding", "DeploymentRuntime", "ProjectPipelineRuntime"}
	case "Space":
		return []string{"Environment", "DeploymentRuntime", "ProjectPipelineRuntime"}
	case "Environment", SharedClaim:
		return []string{"DeploymentRuntime", "ProjectPipelineRuntime"}
	case "PipelineHook":
		return []string{"ProjectPipelineRuntime"}
	case "ComponentCatalogue", sharedPorts, sharedKubeSystem:
		return []string{"Cluster"}
	case SharedGroup:
		return []string{"Product", "Cluster"}
	case SharedRepoName:
		return []string{"CodeRepo"}
	case sharedManifests:
		return []string{"DeploymentRuntime"}
	}
	return nil
}

// Readers returns the objects of a kind whose answers can change when o appears,
// changes or disappears. An update must be asked about twice: for the object as it
// was, and as it is.
func Readers(f Finder, kind string, o v1alpha1.Object) []plan.Ref {
	found := map[plan.Ref]bool{}
	keys := concerned(f, o)
	for _, key := range keys {
		if slices.Contains(referring(key.Kind), kind) {
			for _, reader := range f.Referring(kind, key) {
				found[RefOf(reader)] = true
			}
		}
		ofProduct := plan.Ref{Kind: "Product", Name: key.Namespace}
		switch {
		case kind == "Space" && ofSpaces(key.Kind, o):
			for _, reader := range f.Referring(kind, ofProduct) {
				found[RefOf(reader)] = true
			}
		case kind == "Product" && (ofSpaces(key.Kind, o) || key.Kind == "Environment"):
			addStored(f, ofProduct, found)
		}
	}
	for _, r := range Of(o) {
		// Whether an object is in use is an answer about it.
		if r.Uses && r.Kind == kind {
			addStored(f, r.Ref, found)
		}
	}
	for _, r := range movedBy(f, o) {
		for _, rival := range rivals(f, r) {
			if ref := RefOf(rival); ref.Kind == kind {
				found[ref] = true
			}
			addSpaces(f, kind, rival, found)
		}
		addSpaces(f, kind, r, found)
	}
	delete(found, RefOf(o))
	return slices.SortedFunc(maps.Keys(found), Compare)
}

// concerned returns the references to everything that changes with o: the references
// that it provides, and the objects that pass the change on.
func concerned(f Finder, o v1alpha1.Object) []plan.Ref {
	keys := provided(o)
	for i := 0; i < len(keys); i++ {
		for _, carrier := range []string{"Cluster", "Environment", "CodeRepo"} {
			if !slices.Contains(referring(keys[i].Kind), carrier) {
				continue
			}
			for _, object := range f.Referring(carrier, keys[i]) {
				passes := slices.ContainsFunc(Of(object), func(r Reference) bool { return r.Passes && r.Ref == keys[i] })
				if key := Key(object); passes && !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
	}
	return keys
}

// addStored adds an object if it exists.
func addStored(f Finder, ref plan.Ref, found map[plan.Ref]bool) {
	if o := f.Get(ref); o != nil {
		found[RefOf(o)] = true
	}
}

// ofSpaces reports whether every space of the product depends on objects of a
// kind. An Environment that only passes a change of its cluster on concerns the
// space on that cluster alone.
func ofSpaces(kind string, changed v1alpha1.Object) bool {
	switch kind {
	case "Project", "CodeRepo", "CodeRepoBinding":
		return true
	case "Environment":
		return Key(changed).Kind == kind
	}
	return false
}

// movedBy returns the runtimes whose claims can change with o: o itself, or the
// runtimes of an environment.
func movedBy(f Finder, o v1alpha1.Object) []v1alpha1.Runtime {
	var moved []v1alpha1.Runtime
	switch o := o.(type) {
	case v1alpha1.Runtime:
		return []v1alpha1.Runtime{o}
	case *v1alpha1.Environment:
		for _, kind := range referring("Environment") {
			for _, user := range f.Referring(kind, Key(o)) {
				if r, ok := user.(v1alpha1.Runtime); ok {
					moved = append(moved, r)
				}
			}
		}
	}
	return moved
}

// rivals returns the runtimes that claim a namespace of a runtime, as far as the
// references show: runtimes that have no target on record yet are included whatever
// their cluster is. Runtimes that share their namespaces are no rivals, unless a
// third one claims the same namespace.
func rivals(f Finder, r v1alpha1.Runtime) []v1alpha1.Runtime {
	var found []v1alpha1.Runtime
	for _, claims := range collidingClaims(f, r) {
		var others, sharing []v1alpha1.Runtime
		for _, claim := range claims {
			for _, kind := range referring(SharedClaim) {
				for _, object := range f.Referring(kind, plan.Ref{Kind: SharedClaim, Namespace: claim.cluster, Name: claim.namespace}) {
					other, ok := object.(v1alpha1.Runtime)
					switch {
					case !ok, RefOf(object) == RefOf(r):
					case other.GetNamespace() == r.GetNamespace() && !v1alpha1.Movable(other) && !v1alpha1.Movable(r):
						sharing = append(sharing, other)
					default:
						others = append(others, other)
					}
				}
			}
		}
		if len(others) > 0 {
			found = slices.Concat(found, others, sharing)
		}
	}
	return found
}

// collidingClaims returns, for each claim of a runtime, the claims that collide with
// it.
func collidingClaims(f Finder, r v1alpha1.Runtime) [][]claim {
	var colliding [][]claim
	for _, own := range indexedClaims(r) {
		if own.cluster == "" {
			own.cluster = clusterOf(f, r)
		}
		colliding = append(colliding, []claim{own, {"", own.namespace}})
	}
	return colliding
}

// clusterOf returns the cluster of the environment that a runtime names, or "".
func clusterOf(f Finder, r v1alpha1.Runtime) string {
	name, _ := r.Destination()
	if e, ok := f.Get(plan.Ref{Kind: "Environment", Namespace: r.GetNamespace(), Name: name}).(*v1alpha1.Environment); ok {
		return e.Spec.Cluster
	}
	return ""
}

// addSpaces adds the spaces that a runtime is or will be part of, and its product,
// which creates them.
func addSpaces(f Finder, kind string, r v1alpha1.Runtime, found map[plan.Ref]bool) {
	if kind == "Product" {
		addStored(f, plan.Ref{Kind: kind, Name: r.GetNamespace()}, found)
	}
	if kind != "Space" {
		return
	}
	clusters := []string{clusterOf(f, r)}
	if recorded := r.DeployedTarget(); recorded != nil {
		clusters = append(clusters, recorded.Cluster)
	}
	for _, cluster := range clusters {
		if cluster != "" {
			addStored(f, plan.Ref{Kind: kind, Namespace: r.GetNamespace(), Name: cluster}, found)
		}
	}
}
