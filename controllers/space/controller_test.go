package space

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	ctrlreconcile "sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/testutil"
)

const product, cluster = "product-1", "c"

// world is a tenant with one space and a runtime that needs it.
type world struct {
	client client.Client
	// writes is the number of writes to the cluster, unrecorded the number of writes
	// before the space had a record of its namespaces.
	writes, unrecorded int
	// connect is the answer for each request for the connection to the cluster, in
	// order; the last one stays.
	connect []error
	// refuses is the answer to each write of the status.
	refuses error
	// owned are the owners of objects on the cluster.
	owned []plan.Owner
}

// target is a cluster whose writes are counted, and lead nowhere.
type target struct {
	apply.Connection
	world *world
}

func (t target) UID() string { return "uid" }
func (t target) Owned(_ context.Context, owner plan.Owner) ([]metav1.PartialObjectMetadata, error) {
	if slices.Contains(t.world.owned, owner) {
		return make([]metav1.PartialObjectMetadata, 1), nil
	}
	return nil, nil
}
func (t target) Get(context.Context, plan.ID) (*metav1.PartialObjectMetadata, error) { return nil, nil }
func (t target) Serves(context.Context, string, string) (bool, error)                { return true, nil }

// Client is asked for each write. It notes the record at that time.
func (t target) Client() client.Client {
	s := &v1alpha1.Space{}
	if err := t.world.client.Get(context.Background(), client.ObjectKey{Namespace: product, Name: cluster}, s); err != nil {
		panic(err)
	}
	if t.world.writes++; len(s.Status.Namespaces) == 0 {
		t.world.unrecorded++
	}
	return fake.NewClientBuilder().Build()
}

// pass runs one pass over the space.
func (w *world) pass(t *testing.T, objects ...client.Object) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.Space{})
	for _, kind := range references.Kinds() {
		builder = builder.WithIndex(kind, references.Index, references.IndexValues)
	}
	w.client = builder.WithInterceptorFuncs(interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			if w.refuses != nil {
				return w.refuses
			}
			return c.SubResource(sub).Patch(ctx, o, patch, opts...)
		},
	}).Build()
	deps := &reconcile.Deps{
		Tenant: "t", Namespace: "nautes", Client: w.client,
		Loader:   &snapshot.Loader{Reader: w.client, Tenant: "t", Namespace: "nautes"},
		Clusters: remote.NewManager(remote.ManagerOptions{}),
	}
	targets := engine.NewTargets()
	targets.Applier = apply.New("t", nil)
	targets.Applied = func(client.Object, plan.Set, apply.Result) {}
	targets.Connect = func(*snapshot.Snapshot, string) (apply.Connection, error) {
		err := w.connect[0]
		if len(w.connect) > 1 {
			w.connect = w.connect[1:]
		}
		if err != nil {
			return nil, err
		}
		return target{world: w}, nil
	}
	deps.Targets = targets
	r, err := engine.New[v1alpha1.Space](work{deps}.phases, engine.Options[*v1alpha1.Space]{
		Client: w.client, Recorder: events.NewFakeRecorder(20), Classify: reconcile.Classify, Targets: targets,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Reconcile(t.Context(), ctrlreconcile.Request{NamespacedName: client.ObjectKey{Namespace: product, Name: cluster}}); err != nil {
		t.Fatal(err)
	}
}

// objects returns a tenant in which a deployed runtime needs the space.
func objects(space *v1alpha1.Space, listed ...v1alpha1.ProductSpace) []client.Object {
	return []client.Object{
		testutil.Product(product, func(p *v1alpha1.Product) { p.Status.Spaces = listed }),
		testutil.CodeRepoProvider("gitlab"),
		testutil.Cluster(cluster),
		testutil.Environment(product, "dev", cluster),
		testutil.Project(product, "p"),
		testutil.CodeRepo(product, "repo", "p"),
		testutil.Deployed(cluster, testutil.DeploymentRuntime(product, "r", "dev", "repo")),
		space,
	}
}

func newSpace(change ...func(*v1alpha1.Space)) *v1alpha1.Space {
	s := &v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: product, Name: cluster, Finalizers: []string{v1alpha1.Finalizer}}}
	for _, f := range change {
		f(s)
	}
	return s
}

// The namespaces are on record before the first write to the cluster, also if the cluster
// is connected during the pass.
func TestRecordComesFirst(t *testing.T) {
	away := &remote.NotConnectedError{Cluster: cluster, Reason: "Connecting", Message: "it is being connected"}
	for name, test := range map[string]struct {
		connect    []error
		refuses    error
		wantWrites bool
	}{
		"connected":                    {connect: []error{nil}, wantWrites: true},
		"connected during the pass":    {connect: []error{away, nil}, wantWrites: true},
		"connected late in the pass":   {connect: []error{away, away, nil}},
		"lost during the pass":         {connect: []error{nil, away}},
		"not connected":                {connect: []error{away}},
		"connected after the accounts": {connect: []error{nil, nil, nil}, wantWrites: true},
		"the space changed meanwhile":  {connect: []error{nil}, refuses: apierrors.NewConflict(schema.GroupResource{Resource: "spaces"}, cluster, nil)},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{connect: test.connect, refuses: test.refuses}
			w.pass(t, objects(newSpace())...)
			if w.unrecorded > 0 || test.wantWrites != (w.writes > 0) {
				t.Errorf("%d writes, %d of them before there was a record; want writes: %v", w.writes, w.unrecorded, test.wantWrites)
			}
		})
	}
}

// A deleted space stays while runtimes need what it has on record, whatever the product
// lists. The list of the product is a record only for a space that has none.
func TestDeletedSpaceStays(t *testing.T) {
	applied := metav1.Condition{Type: v1alpha1.ConditionApplied, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonApplied}
	for name, test := range map[string]struct {
		recorded  []string
		condition bool
		listed    []v1alpha1.ProductSpace
		wantStays bool
	}{
		"on record":                                    {recorded: []string{"r"}, condition: true, wantStays: true},
		"on record, first pass cut off":                {recorded: []string{"r"}, wantStays: true},
		"on record, not yet in the product's list":     {recorded: []string{"r"}, listed: []v1alpha1.ProductSpace{{Cluster: cluster}}, wantStays: true},
		"on record by the product only":                {listed: []v1alpha1.ProductSpace{{Cluster: cluster, Namespaces: []string{"r"}}}, wantStays: true},
		"the product's list, after its own first pass": {condition: true, listed: []v1alpha1.ProductSpace{{Cluster: cluster, Namespaces: []string{"r"}}}},
		"another cluster in the product's list":        {listed: []v1alpha1.ProductSpace{{Cluster: "d", Namespaces: []string{"r"}}}},
		"nothing written":                              {},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{connect: []error{nil}}
			w.pass(t, objects(testutil.Deleting(newSpace(func(s *v1alpha1.Space) {
				s.Status.Namespaces = test.recorded
				if test.condition {
					s.Status.Conditions = []metav1.Condition{applied}
				}
			})), test.listed...)...)
			err := w.client.Get(t.Context(), client.ObjectKey{Namespace: product, Name: cluster}, &v1alpha1.Space{})
			if client.IgnoreNotFound(err) != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.wantStays, !apierrors.IsNotFound(err)); diff != "" {
				t.Errorf("whether the space stays (-want +got):\n%s", diff)
			}
		})
	}
}

// A space stays as it is while a runtime that nothing on record shows has objects on the
// cluster: the runtime first finds its record again.
func TestLostRecordHoldsTheSpace(t *testing.T) {
	lost := plan.Owner{Kind: "DeploymentRuntime", Product: product, Name: "lost"}
	for name, test := range map[string]struct {
		deleted   bool
		owned     []plan.Owner
		wantStays bool
	}{
		"in use":                       {owned: []plan.Owner{lost}, wantStays: true},
		"in use, without objects":      {wantStays: true},
		"deleted":                      {deleted: true, owned: []plan.Owner{lost}, wantStays: true},
		"deleted, without objects":     {deleted: true},
		"deleted, objects of no owner": {deleted: true, owned: []plan.Owner{{Kind: "DeploymentRuntime", Product: product, Name: "other"}}},
	} {
		t.Run(name, func(t *testing.T) {
			space := newSpace(func(s *v1alpha1.Space) { s.Status.Namespaces = []string{"lost"} })
			if test.deleted {
				space = testutil.Deleting(space)
			}
			w := &world{connect: []error{nil}, owned: test.owned}
			w.pass(t, testutil.Product(product), testutil.Cluster(cluster), testutil.DeploymentRuntime(product, "lost", "nowhere", "repo"), space)
			if len(test.owned) > 0 && test.wantStays && w.writes > 0 {
				t.Errorf("%d writes to the cluster", w.writes)
			}
			err := w.client.Get(t.Context(), client.ObjectKey{Namespace: product, Name: cluster}, &v1alpha1.Space{})
			if client.IgnoreNotFound(err) != nil {
				t.Fatal(err)
			}
			if stays := err == nil; stays != test.wantStays {
				t.Errorf("the space stays: %t, want %t", stays, test.wantStays)
			}
		})
	}
}
