package build_test

import (
	"context"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/foreign"
	"nautes.io/nautes/internal/gitaccess"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/guide"
	. "nautes.io/nautes/test/testutil"
)

// direct is a connection without a cache.
type direct struct{ c client.Client }

func (direct) UID() string             { return "uid" }
func (d direct) Client() client.Client { return d.c }
func (direct) Owned(context.Context, plan.Owner) ([]metav1.PartialObjectMetadata, error) {
	return nil, nil
}
func (direct) Serves(context.Context, string, string) (bool, error) { return true, nil }
func (d direct) Get(ctx context.Context, id plan.ID) (*metav1.PartialObjectMetadata, error) {
	mapping, err := d.c.RESTMapper().RESTMapping(id.GroupKind())
	if err != nil {
		return nil, err
	}
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(mapping.GroupVersionKind)
	if err := d.c.Get(ctx, client.ObjectKey{Namespace: id.Namespace, Name: id.Name}, o); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return o, nil
}

// anySecret holds the secrets of an item.
type anySecret struct {
	secrets.Store
	item plan.Item
}

func (anySecret) Version(context.Context, secrets.Ref) (string, error) { return "1", nil }
func (s anySecret) Get(context.Context, secrets.Ref) (secrets.Secret, error) {
	fields := map[string]secrets.Value{}
	for _, value := range s.item.Secrets {
		fields[value.Field] = secrets.NewValue([]byte("v"))
	}
	return secrets.Secret{Fields: fields, Version: "1"}, nil
}

// staysByKind are the fields of other writers that stay, as docs/concepts.md lists them.
func staysByKind(kind, field string) bool {
	return slices.Contains([]string{"Application operation", "ServiceAccount secrets", "ServiceAccount imagePullSecrets", "Namespace spec"}, kind+" "+field)
}

// exact returns the part of an object that must be exactly as it is planned.
func exact(o *unstructured.Unstructured) map[string]any {
	content := o.DeepCopy().Object
	delete(content, "metadata")
	delete(content, "status")
	for field := range content {
		if staysByKind(o.GetKind(), field) {
			delete(content, field)
		}
	}
	return content
}

// TestObjectsAreExact holds for every field of every kind that Nautes writes: another
// writer that changes or adds it is noticed, and the object is as it was after the next
// application. Fields that stay are on the list in docs/concepts.md.
func TestObjectsAreExact(t *testing.T) {
	s, c, kinds := withOurKinds(t)
	tried := map[schema.GroupKind]bool{}
	for _, set := range append(everySet(t), mirrored(t), withGitSettings(t)) {
		for _, item := range set.Items {
			if item.Object == nil || set.Owner.Kind == "" || item.Object.GetAnnotations()[corev1.ServiceAccountNameKey] != "" {
				continue
			}
			sent := content(t, item.Object)
			kind := sent.GroupVersionKind().GroupKind()
			// The server lets no writer change an immutable object.
			if tried[kind] || sent.Object["immutable"] == true {
				continue
			}
			tried[kind] = true
			t.Run(kind.Kind, func(t *testing.T) {
				namespaced(t, s, sent.GetNamespace())
				// Another test may have left the object with the labels of another owner.
				if _, err := s.apply(t.Context(), sent); err != nil {
					t.Fatal(err)
				}
				one := plan.Set{Owner: set.Owner, Target: set.Target, Items: []plan.Item{item}}
				fields := tampering{kinds: kinds, conn: direct{c}, set: one, sent: sent}.tamper(t)
				t.Logf("%s: %d fields", kind, fields)
				// All that a plan says of a namespace is in its metadata, and of a space in fixed fields.
				if fields == 0 && kind.Kind != "Namespace" && kind.Kind != "Space" {
					t.Errorf("no field of %s was tried", kind)
				}
			})
		}
	}
	for _, written := range slices.Concat(plan.RuntimeKinds(), plan.TenantKinds()) {
		if kind := written.GroupKind(); !tried[kind] {
			t.Errorf("no object of %s was tried", kind)
		}
	}
}

// withOurKinds returns a server that knows our kinds too, a client of it, and the schemas.
func withOurKinds(t *testing.T) (server, client.Client, *schemas) {
	t.Helper()
	s := newServer(t)
	config := shared.Stack(t).Tenant.Config()
	config.WarningHandler, config.QPS, config.Burst = rest.NoWarnings{}, 1000, 1000
	root, err := devstack.ModuleRoot()
	if err == nil {
		err = devstack.InstallCRDs(t.Context(), config, filepath.Join(root, "config", "crd", "bases"))
	}
	if err != nil {
		t.Fatal(err)
	}
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := restmapper.GetAPIGroupResources(found)
	if err != nil {
		t.Fatal(err)
	}
	s.mapper = restmapper.NewDiscoveryRESTMapper(groups)
	c, err := client.New(config, client.Options{Scheme: foreign.Scheme(), Mapper: s.mapper})
	if err != nil {
		t.Fatal(err)
	}
	return s, c, &schemas{client: found.OpenAPIV3(), docs: map[schema.GroupVersion]map[string]*spec.Schema{}}
}

// withGitSettings returns the plan of the guide's pipeline runtime with the settings of a
// Git server, which are in a ConfigMap that can change.
func withGitSettings(t *testing.T) plan.Set {
	t.Helper()
	s, r := guide.Snapshot(t, snapshot.Settings{RunnerImage: "runner:v1", Git: gitaccess.Access{CABundle: "ca", KnownHosts: "host"}})
	return mustPipeline(t, s, r).Sets[0]
}

// mirrored returns a set with an object of each of our kinds, which a mirror or a
// controller writes.
func mirrored(t *testing.T) plan.Set {
	t.Helper()
	_, pipeline := guide.Snapshot(t, snapshot.Settings{})
	pipeline.Namespace = "product-1"
	pipeline.Status = v1alpha1.ProjectPipelineRuntimeStatus{}
	set := plan.Set{Owner: plan.Owner{Kind: "Product", Product: "product-1", Name: "product-1"}, Target: plan.Tenant}
	for _, o := range []client.Object{
		Cluster("exact"), CodeRepo("product-1", "repo", "app"), Binding("product-1", "binding", "repo", v1alpha1.PermissionReadOnly, "app"),
		CodeRepoProvider("provider"), ComponentCatalogue(), DeploymentRuntime("product-1", "dr", "dev", "repo", For("app")),
		Environment("product-1", "dev", "exact"), PipelineHook("hook"), ProductProvider("products", "provider"), Project("product-1", "app"), pipeline,
		ArtifactRepo("product-1", "images", v1alpha1.PermissionReadOnly, "app"), Product("product-1"),
		&v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "c"}, Spec: v1alpha1.SpaceSpec{Product: "product-1", Cluster: "c"}},
	} {
		o.SetLabels(set.Owner.Labels(Tenant))
		o.SetResourceVersion("")
		o.SetUID("")
		o.SetGeneration(0)
		gvk := v1alpha1.GroupVersion.WithKind(reflect.TypeOf(o).Elem().Name())
		o.GetObjectKind().SetGroupVersionKind(gvk)
		set.Items = append(set.Items, plan.Item{ID: plan.IDOf(gvk, o), Object: o})
	}
	return set
}

// namespaced creates a namespace, unless it exists or is empty.
func namespaced(t *testing.T, s server, name string) {
	t.Helper()
	if name == "" {
		return
	}
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("v1")
	o.SetKind("Namespace")
	o.SetName(name)
	if _, err := s.apply(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// fixed are the fields that the server lets no writer change once an object exists.
func fixed(kind, path string) bool {
	return slices.ContainsFunc(map[string][]string{
		"ClusterRoleBinding": {"roleRef"}, "RoleBinding": {"roleRef"}, "Secret": {"type"},
		// No Role may have these.
		"Role":            {"rules.[0].nonResourceURLs"},
		"CodeRepoBinding": {"spec.codeRepo", "spec.product"}, "Space": {"spec.product", "spec.cluster"},
		"ArtifactRepo": {"spec.product"}, "CodeRepo": {"spec.product"}, "DeploymentRuntime": {"spec.product"}, "Environment": {"spec.product"}, "Project": {"spec.product"},
		// These have one value.
		"Cluster": {"spec.clusterKind"}, "ProductProvider": {"spec.type"},
	}[kind], func(field string) bool { return path == field || strings.HasPrefix(path, field+".") })
}

// tampering is an object of a kind whose fields another writer changes.
type tampering struct {
	kinds *schemas
	conn  direct
	set   plan.Set
	sent  *unstructured.Unstructured
}

// put applies the object as a new process does, which neither skips nor pauses.
func (o tampering) put(t *testing.T) {
	t.Helper()
	if _, err := apply.New(Tenant, anySecret{item: o.set.Items[0]}).Apply(t.Context(), o.conn, o.set, apply.Options{NoGuard: true}); err != nil {
		t.Fatal(err)
	}
}

// live reads the object.
func (o tampering) live(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	read := &unstructured.Unstructured{}
	read.SetGroupVersionKind(o.sent.GroupVersionKind())
	if err := o.conn.c.Get(t.Context(), client.ObjectKeyFromObject(o.sent), read); err != nil {
		t.Fatal(err)
	}
	return read
}

// candidates returns the content of the object with a field changed, in several ways: by
// generated values, and by the examples of its kind.
func (o tampering) candidates(t *testing.T, live map[string]any, c change) []map[string]any {
	t.Helper()
	gvk := o.sent.GroupVersionKind()
	var all []map[string]any
	try := func(path []string, value any) {
		all = append(all, o.kinds.set(gvk.GroupVersion(), *o.kinds.of(t, gvk), live, path, value).(map[string]any))
	}
	for _, value := range c.values {
		try(c.path, value)
	}
	for _, example := range examples(t, gvk.Kind) {
		for length := len(c.path); length > 0; length-- {
			if value := valueAt(example, c.path[:length]); value != nil {
				try(c.path[:length], value)
			}
		}
	}
	return all
}

// change has another writer change a field of an object. It returns the object with the
// first change that the server accepts, or nil and its last refusal.
func (o tampering) change(t *testing.T, before *unstructured.Unstructured, c change) (*unstructured.Unstructured, error) {
	t.Helper()
	var refusal error
	for _, content := range o.candidates(t, before.Object, c) {
		changed := (&unstructured.Unstructured{Object: content}).DeepCopy()
		changed.SetResourceVersion(before.GetResourceVersion())
		err := o.conn.c.Update(t.Context(), changed, client.FieldOwner("kubectl-edit"))
		switch {
		case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
			refusal = err
		case err != nil:
			t.Fatalf("%v: %v", c.path, err)
		case !cmp.Equal(valueAt(before.Object, c.path), valueAt(changed.Object, c.path)):
			return changed, nil
		default:
			// The server dropped or completed the value. The next update replaces it.
			before.SetResourceVersion(changed.GetResourceVersion())
		}
	}
	return nil, refusal
}

// together is the number of fields that another writer changes before the object is
// applied again.
const together = 8

// tamper changes each field of an object, some of them together, and returns the number
// of fields that it changed.
func (o tampering) tamper(t *testing.T) int {
	t.Helper()
	o.put(t)
	before, gvk, tried := o.live(t), o.sent.GroupVersionKind(), 0
	current, paths := before.DeepCopy(), []string{}
	digest := func(o *unstructured.Unstructured) plan.FieldsDigest { return plan.DigestFields(gvk.GroupKind(), o) }
	goesBack := func() bool {
		o.put(t)
		current = o.live(t)
		if diff := cmp.Diff(exact(before), exact(current)); diff != "" {
			t.Errorf("after changes to %v it is not as it was (-want +got):\n%s", paths, diff)
			return false
		}
		paths = nil
		return true
	}
	for _, c := range o.kinds.changes(gvk.GroupVersion(), *o.kinds.of(t, gvk), before.Object, nil, maxAbsent) {
		path := strings.Join(c.path, ".")
		if staysByKind(gvk.Kind, c.path[0]) || c.path[0] == "stringData" {
			// What is written as stringData is in data.
			continue
		}
		// Another change may have taken the place of this one.
		if parent := c.path[:len(c.path)-1]; valueAt(before.Object, parent) != nil && valueAt(current.Object, parent) == nil && !goesBack() {
			return tried
		}
		changed, refusal := o.change(t, current, c)
		if len(paths) > 0 && (changed == nil || digest(changed) == digest(current)) {
			// Another change may be the reason that the server refuses this one, or that it is
			// not noticed.
			if !goesBack() {
				return tried
			}
			changed, refusal = o.change(t, current, c)
		}
		switch {
		case (changed == nil) != fixed(gvk.Kind, path):
			t.Errorf("%s: changed is %v, and fixed in the list is %v: the server says %v", path, changed != nil, fixed(gvk.Kind, path), refusal)
		case changed != nil:
			tried++
			if digest(changed) == digest(current) {
				t.Errorf("%s: nothing notices the change to %v", path, valueAt(changed.Object, c.path))
			}
			current, paths = changed, append(paths, path)
		}
		if len(paths) == together && !goesBack() {
			return tried
		}
	}
	goesBack()
	return tried
}
