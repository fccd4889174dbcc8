package edit

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/snapshot"
)

// tenantAge is how old the view of the tenant repository may be by which a product's
// objects are judged.
const tenantAge = 30 * time.Second

// scene is everything that a change is judged by.
type scene struct {
	// stored are the custom resources, and declared the same with the files in place of
	// the objects of the repository.
	stored, declared *snapshot.Snapshot
	now              metav1.Time
}

// scene returns the scene for a change of an object, which is not part of it yet. The
// view of the tenant repository may have an age.
func (e *Editor) scene(ctx context.Context, r Repository, v *View, o v1alpha1.Object, age time.Duration) (scene, error) {
	stored, err := e.stored(ctx, r, o)
	if err != nil {
		return scene{}, err
	}
	s := scene{stored: stored, declared: stored, now: metav1.NewTime(e.now())}
	if !r.Scope.Tenant {
		tenant, scope, err := e.tenantView(ctx, age)
		if err != nil {
			return scene{}, err
		}
		if tenant != nil {
			s.declared = s.overlay(scope, tenant)
		}
	}
	s.declared = s.overlay(r.Scope, v)
	if product := r.Scope.Namespace; !r.Scope.Tenant && s.declared.Product(product) == nil {
		// The product is so new that the operator has not found it yet.
		s.declared = s.declared.With(&v1alpha1.Product{
			ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: product, CreationTimestamp: s.now},
			Spec:       v1alpha1.ProductSpec{Name: r.Group, MetaDataPath: r.Source.URL},
		})
	}
	return s, nil
}

// stored reads the custom resources that matter for a change.
func (e *Editor) stored(ctx context.Context, r Repository, o v1alpha1.Object) (*snapshot.Snapshot, error) {
	if e.Reader == nil {
		return snapshot.New(e.Tenant, e.Namespace).WithSettings(e.Settings), nil
	}
	if r.Scope.Tenant {
		return e.loader.For(ctx, o)
	}
	s, err := e.loader.Product(ctx, r.Scope.Namespace, o)
	if err != nil {
		return nil, err
	}
	// The change counts for the search of its rivals only.
	stored := o.DeepCopyObject().(client.Object)
	switch err := e.Reader.Get(ctx, client.ObjectKeyFromObject(o), stored); {
	case apierrors.IsNotFound(err):
		return s.Without(o), nil
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", references.RefOf(o), err)
	}
	return s.With(stored), nil
}

// tenantView returns the content of the tenant repository. If the server does not
// answer, an older view counts.
func (e *Editor) tenantView(ctx context.Context, age time.Duration) (*View, layout.Scope, error) {
	if e.TenantRepository == nil {
		return nil, layout.Scope{}, nil
	}
	r, err := e.TenantRepository(ctx)
	if err != nil {
		return nil, layout.Scope{}, err
	}
	v, err := e.View(ctx, r, age)
	if last := e.lane(r.Key).current(); err != nil && last.of(r.Source) {
		return last, r.Scope, nil
	}
	return v, r.Scope, err
}

// overlay returns the declared state with the files of a view in place of the objects of
// its scope. An object whose file cannot be read stays as it is, as in the cluster.
func (s scene) overlay(scope layout.Scope, v *View) *snapshot.Snapshot {
	broken := map[string]bool{}
	for path, entry := range v.entries {
		broken[path] = entry.Object == nil
	}
	objects := make([]client.Object, 0, len(v.paths))
	for id, path := range v.paths {
		o := s.settled(declared(v.entries[path].Object, nil, scope.Namespace))
		if references.RefOf(o).Kind == id.kind {
			objects = append(objects, o)
		}
	}
	files := fileKinds(scope)
	return s.declared.Replace(func(o client.Object) bool {
		if o.GetNamespace() != scope.Namespace || !slices.Contains(files, references.RefOf(o).Kind) {
			return false
		}
		_, declared := v.paths[identity{references.RefOf(o).Kind, o.GetName()}]
		return declared || !broken[o.GetAnnotations()[v1alpha1.AnnotationSourcePath]]
	}, objects...)
}

// settled returns an object of a file as the cluster has it: with its status and its
// time of creation. An object that the cluster does not have yet is younger than the
// others, and older than a change. The stored object is returned itself if it is equal.
func (s scene) settled(o v1alpha1.Object) v1alpha1.Object {
	stored, known := s.stored.Stored(o).(v1alpha1.Object)
	switch {
	case !known:
		o.SetCreationTimestamp(s.now)
		return o
	case SameSpec(stored, o):
		return stored
	}
	return withStatus(o, stored)
}

// fileKinds returns the kinds of a repository.
func fileKinds(scope layout.Scope) []string {
	var kinds []string
	for _, o := range references.Kinds() {
		if kind := references.RefOf(o).Kind; scope.Holds(kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// finder finds objects in the declared state of one repository.
type finder struct {
	// objects has the objects by references.Key, and byRef by references.RefOf.
	objects, byRef map[plan.Ref]v1alpha1.Object
	readers        map[string][]v1alpha1.Object
}

// finderOf indexes the objects of a view.
func finderOf(s *snapshot.Snapshot, v *View) finder {
	f := finder{objects: map[plan.Ref]v1alpha1.Object{}, byRef: map[plan.Ref]v1alpha1.Object{}, readers: map[string][]v1alpha1.Object{}}
	for _, path := range v.paths {
		o, known := s.Stored(v.entries[path].Object).(v1alpha1.Object)
		if !known {
			continue
		}
		f.objects[references.Key(o)], f.byRef[references.RefOf(o)] = o, o
		for _, value := range references.IndexValues(o) {
			f.readers[value] = append(f.readers[value], o)
		}
	}
	return f
}

// Get implements references.Finder.
func (f finder) Get(ref plan.Ref) v1alpha1.Object { return f.objects[ref] }

// Referring implements references.Finder.
func (f finder) Referring(kind string, ref plan.Ref) []v1alpha1.Object {
	var found []v1alpha1.Object
	for _, o := range f.readers[references.IndexKey(ref)] {
		if references.RefOf(o).Kind == kind {
			found = append(found, o)
		}
	}
	return found
}
