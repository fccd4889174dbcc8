package references

import (
	"maps"
	"reflect"
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
		return []string{"Environment", "Project", "CodeRepo", "CodeRepoBinding", "ArtifactRepo", "DeploymentRuntime", "ProjectPipelineRuntime", "Space", "Cluster"}
	case "Cluster":
		return []string{"Cluster", "Environment", "DeploymentRuntime", "ProjectPipelineRuntime", "Space"}
	case "CodeRepoProvider":
		return []string{"Product", "CodeRepo", "ProductProvider", "ProjectPipelineRuntime", "Cluster"}
	case "ProductProvider":
		return []string{"Product"}
	case "Project":
		return []string{"CodeRepo", "CodeRepoBinding", "ArtifactRepo", "DeploymentRuntime", "ProjectPipelineRuntime"}
	case "CodeRepo":
		return []string{"CodeRepo", "CodeRepoBinding", "DeploymentRuntime", "ProjectPipelineRuntime"}
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
	case sharedPlace:
		return []string{"Environment"}
	case sharedAddress:
		return []string{"CodeRepo"}
	case sharedChoices:
		return []string{"ComponentCatalogue"}
	}
	return nil
}

// Readers returns the objects of some kinds whose answers can change when o appears,
// changes or disappears. An update must be asked about twice: for the object as it
// was, and as it is.
func Readers(f Finder, o v1alpha1.Object, kinds ...string) []plan.Ref {
	q := query{f: f, kinds: kinds, found: map[plan.Ref]bool{}}
	for _, key := range concerned(f, o) {
		for _, kind := range referring(key.Kind) {
			q.addReferring(kind, key)
		}
		ofProduct := plan.Ref{Kind: "Product", Name: key.Namespace}
		if ofSpaces(key.Kind, o) {
			q.addReferring("Space", ofProduct)
		}
		if ofSpaces(key.Kind, o) || key.Kind == "Environment" || key.Kind == "Space" {
			q.addStored(ofProduct)
		}
	}
	for _, r := range Of(o) {
		// Whether an object is in use is an answer about one that is being deleted. A
		// Cluster lists its users, the cluster of an Environment cannot change while
		// runtimes are deployed there, and a CodeRepo that a runtime deploys has a hook.
		if r.Uses && q.wants(r.Kind) {
			_, deploys := o.(*v1alpha1.DeploymentRuntime)
			if used := f.Get(r.Ref); used != nil && (used.GetDeletionTimestamp() != nil || r.Kind == "Environment" || r.Kind == "Cluster" || deploys && r.Kind == "CodeRepo") {
				q.add(used)
			}
		}
	}
	for _, r := range movedBy(f, o) {
		q.addSpaces(r)
		for _, rival := range rivals(f, r) {
			q.add(rival)
			q.addSpaces(rival)
		}
	}
	delete(q.found, RefOf(o))
	return slices.SortedFunc(maps.Keys(q.found), Compare)
}

// query collects the objects of some kinds.
type query struct {
	f     Finder
	kinds []string
	found map[plan.Ref]bool
}

func (q query) wants(kind string) bool { return slices.Contains(q.kinds, kind) }

func (q query) add(o v1alpha1.Object) {
	if ref := RefOf(o); q.wants(ref.Kind) {
		q.found[ref] = true
	}
}

// addReferring adds the objects of a kind that refer to key. Whether a runtime is part
// of its space depends on everything that the runtime refers to.
func (q query) addReferring(kind string, key plan.Ref) {
	members := isRuntime(kind) && (q.wants("Space") || q.wants("Product"))
	if !members && !q.wants(kind) {
		return
	}
	for _, reader := range q.f.Referring(kind, key) {
		q.add(reader)
		if r, ok := reader.(v1alpha1.Runtime); ok && members {
			q.addSpaces(r)
		}
	}
}

func isRuntime(kind string) bool {
	return kind == "DeploymentRuntime" || kind == "ProjectPipelineRuntime"
}

// addStored adds an object if it exists.
func (q query) addStored(ref plan.Ref) {
	if !q.wants(ref.Kind) {
		return
	}
	if o := q.f.Get(ref); o != nil {
		q.add(o)
	}
}

// addSpaces adds the spaces that a runtime is or will be part of, and its product,
// which creates them.
func (q query) addSpaces(r v1alpha1.Runtime) {
	q.addStored(plan.Ref{Kind: "Product", Name: r.GetNamespace()})
	if !q.wants("Space") {
		return
	}
	clusters := []string{clusterOf(q.f, r)}
	if recorded := r.DeployedTarget(); recorded != nil {
		clusters = append(clusters, recorded.Cluster)
	}
	for _, cluster := range clusters {
		if cluster != "" {
			q.addStored(plan.Ref{Kind: "Space", Namespace: r.GetNamespace(), Name: cluster})
		}
	}
}

// Concerns reports whether an update of an object can change the answers about objects
// of a kind. Most of a status is read by people alone.
func Concerns(kind string, was, is v1alpha1.Object) bool {
	return was.GetGeneration() != is.GetGeneration() ||
		(was.GetDeletionTimestamp() == nil) != (is.GetDeletionTimestamp() == nil) ||
		!maps.Equal(was.GetLabels(), is.GetLabels()) || !maps.Equal(was.GetAnnotations(), is.GetAnnotations()) ||
		!reflect.DeepEqual(readStatus(kind, was), readStatus(kind, is))
}

// readStatus returns the part of the status of an object that the answers about
// objects of a kind depend on.
func readStatus(kind string, o v1alpha1.Object) any {
	switch o := o.(type) {
	case *v1alpha1.Product:
		revision, confirmed := "", false
		if o.Status.Sync != nil {
			confirmed = o.Status.Sync.PruneConfirmed
			if o.GetAnnotations()[v1alpha1.AnnotationConfirmPrune] != "" {
				// A space compares it with the annotation.
				revision = o.Status.Sync.Revision
			}
		}
		return []any{spaceClusters(o), revision, confirmed}
	case *v1alpha1.ProductProvider:
		return o.Status.Departures
	case *v1alpha1.CodeRepo:
		if kind == "CodeRepo" {
			return o.Status.DeployKeys
		}
	case *v1alpha1.Cluster:
		switch kind {
		case "ComponentCatalogue":
			// It judges the choices of components alone.
			return nil
		case "Cluster":
			// Connections enqueue the clusters that depend on them.
			uid := ""
			if o.Status.Connection != nil {
				uid = o.Status.Connection.UID
			}
			return []any{o.Status.Registered, o.Status.ProductIDMap, uid}
		}
		return o.Status
	case *v1alpha1.DeploymentRuntime:
		return []any{o.Status.Target, o.Status.Deployed}
	case *v1alpha1.ProjectPipelineRuntime:
		return []any{o.Status.Target, o.Status.Deployed}
	case *v1alpha1.Space:
		return o.Status
	}
	return nil
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
					if r, ok := object.(*v1alpha1.CodeRepo); ok {
						// Its URL may come to be, or stop being, the one of another repository.
						keys = append(keys, plan.Ref{Kind: sharedAddress, Namespace: r.Namespace, Name: addressKey(r)})
					}
				}
			}
		}
	}
	return keys
}

// ofSpaces reports whether every space of the product depends on objects of a
// kind. An Environment that only passes a change of its cluster on concerns the
// space on that cluster alone.
func ofSpaces(kind string, changed v1alpha1.Object) bool {
	switch kind {
	case "Project", "CodeRepo", "CodeRepoBinding", "ArtifactRepo":
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
