package references_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
	"nautes.io/nautes/test/testutil"
)

// objects is a cache without a server.
type objects map[plan.Ref]v1alpha1.Object

func (o objects) Get(ref plan.Ref) v1alpha1.Object {
	for _, namespace := range []string{ref.Namespace, testutil.Namespace} {
		if object := o[plan.Ref{Kind: ref.Kind, Namespace: namespace, Name: ref.Name}]; object != nil {
			return object
		}
	}
	return nil
}

func (o objects) Referring(kind string, ref plan.Ref) []v1alpha1.Object {
	var found []v1alpha1.Object
	for key, object := range o {
		if key.Kind == kind && slices.Contains(references.IndexValues(object), references.IndexKey(ref)) {
			found = append(found, object)
		}
	}
	return found
}

func (o objects) snapshot() *snapshot.Snapshot {
	list := make([]client.Object, 0, len(o))
	for _, object := range o {
		list = append(list, object)
	}
	return snapshot.New(testutil.Tenant, testutil.Namespace, list...)
}

// inWorld returns the objects of a random world, with the spaces of its products.
func inWorld(seed uint64) objects {
	all := objects{}
	for _, o := range testutil.NewWorld(seed).Objects {
		all[references.RefOf(o)] = o.(v1alpha1.Object)
	}
	for _, o := range all {
		var clusters []string
		switch o := o.(type) {
		case *v1alpha1.Environment:
			clusters = []string{o.Spec.Cluster}
		case v1alpha1.Runtime:
			if recorded := o.DeployedTarget(); recorded != nil {
				clusters = []string{recorded.Cluster}
			}
		}
		for _, cluster := range clusters {
			space := &v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: cluster}}
			space.Spec = v1alpha1.SpaceSpec{Product: o.GetNamespace(), Cluster: cluster}
			all[references.RefOf(space)] = space
		}
	}
	return all
}

// answers returns the answer about each object: its errors, whether it is in use,
// and its plan.
func (o objects) answers(t *testing.T) map[plan.Ref]string {
	t.Helper()
	s := o.snapshot()
	found := map[plan.Ref]string{}
	for ref, object := range o {
		errors, warnings := validate.Run(s, validate.Request{New: object})
		inUse := object.GetDeletionTimestamp() != nil && len(s.UsersOf(object)) > 0
		found[ref] = fmt.Sprintf("%v\n%q\nin use: %t\n%s", errors, warnings, inUse, planOf(t, s, object))
		if ref.Kind == "Product" {
			for _, space := range s.Spaces(ref.Name) {
				found[ref] += fmt.Sprint(space.Name, space.Status)
			}
		}
	}
	return found
}

func planOf(t *testing.T, s *snapshot.Snapshot, o v1alpha1.Object) string {
	t.Helper()
	var result any
	var err error
	switch o := o.(type) {
	case *v1alpha1.Product:
		result, err = build.Product(s, o)
	case *v1alpha1.Cluster:
		result, err = build.Cluster(s, o)
	case *v1alpha1.CodeRepo:
		result, err = s.RepositoryURL(o)
	case *v1alpha1.Space:
		result, err = build.Space(s, o.Spec.Product, o.Spec.Cluster)
	case *v1alpha1.DeploymentRuntime:
		result, err = build.DeploymentRuntime(s, o)
	case *v1alpha1.ProjectPipelineRuntime:
		result, err = build.PipelineRuntime(s, o)
	}
	if err != nil {
		return err.Error()
	}
	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// change returns a changed world, and the object as it was and as it is; the
// latter is nil if it is gone.
func (o objects) change(dice *rand.Rand, ref plan.Ref) (changed objects, before, after v1alpha1.Object) {
	changed = maps.Clone(o)
	var same []v1alpha1.Object
	for _, key := range slices.SortedFunc(maps.Keys(o), compareKeys) {
		if key.Kind == ref.Kind && key != ref {
			same = append(same, o[key])
		}
	}
	before = o[ref]
	switch way := dice.IntN(4); {
	case way == 0 || len(same) == 0:
		delete(changed, ref)
		return changed, before, nil
	case way == 1:
		after = before.DeepCopyObject().(v1alpha1.Object)
		after.SetDeletionTimestamp(&metav1.Time{Time: metav1.Now().Time})
	default:
		// It gets the spec, or the status, of another object of its kind.
		after = before.DeepCopyObject().(v1alpha1.Object)
		field := []string{"Spec", "Status"}[way-2]
		other := same[dice.IntN(len(same))].DeepCopyObject()
		reflect.ValueOf(after).Elem().FieldByName(field).Set(reflect.ValueOf(other).Elem().FieldByName(field))
		if field == "Spec" {
			after.SetGeneration(before.GetGeneration() + 1)
		}
	}
	changed[ref] = after
	return changed, before, after
}

func compareKeys(a, b plan.Ref) int {
	if a.String() < b.String() {
		return -1
	}
	return 1
}

// TestReadersAreComplete holds that every object whose answer changes with another
// object is among the readers of that object: whatever changes in a world.
func TestReadersAreComplete(t *testing.T) {
	moved := 0
	for seed := range uint64(worlds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 7))
			world := inWorld(seed)
			was := world.answers(t)
			// Rare kinds change as often as the others.
			byKind := map[string][]plan.Ref{}
			for _, ref := range slices.SortedFunc(maps.Keys(world), compareKeys) {
				byKind[ref.Kind] = append(byKind[ref.Kind], ref)
			}
			kinds := slices.Sorted(maps.Keys(byKind))
			for i := range changesPerWorld {
				refs := byKind[kinds[i%len(kinds)]]
				ref := refs[dice.IntN(len(refs))]
				changed, before, after := world.change(dice, ref)
				woken := map[plan.Ref]bool{ref: true}
				for _, o := range []v1alpha1.Object{before, after} {
					if o == nil {
						continue
					}
					for _, kind := range references.Kinds() {
						kind := references.RefOf(kind).Kind
						if after != nil && !references.Concerns(kind, before, after) {
							continue
						}
						for _, reader := range references.Readers(changed, o, kind) {
							woken[reader] = true
						}
					}
				}
				for reader, answer := range changed.answers(t) {
					if answer != was[reader] {
						moved++
						if !woken[reader] {
							t.Errorf("%s changed (%T to %T), and so did the answer about %s, which is not a reader:\n%.600s\nwas\n%.600s", ref, before, after, reader, answer, was[reader])
						}
					}
				}
			}
		})
	}
	if moved < worlds*changesPerWorld {
		t.Errorf("%d answers changed; the changes are too small to tell anything", moved)
	}
}

// How many worlds TestReadersAreComplete makes, and changes in each.
const (
	worlds          = 8
	changesPerWorld = 20
)
