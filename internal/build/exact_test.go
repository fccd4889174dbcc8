package build_test

import (
	"context"
	"encoding/json"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/openapi3"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/foreign"
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

// schemas finds the schema of each kind.
type schemas struct {
	client openapi.Client
	docs   map[schema.GroupVersion]map[string]*spec.Schema
}

func (s *schemas) of(t *testing.T, gvk schema.GroupVersionKind) *spec.Schema {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for s.docs[gvk.GroupVersion()] == nil {
		// The server publishes the schemas of new definitions after a moment.
		doc, err := openapi3.NewRoot(s.client).GVSpec(gvk.GroupVersion())
		switch {
		case err == nil:
			s.docs[gvk.GroupVersion()] = doc.Components.Schemas
		case time.Now().After(deadline):
			t.Fatal(err)
		default:
			time.Sleep(100 * time.Millisecond)
		}
	}
	for _, found := range s.docs[gvk.GroupVersion()] {
		var kinds []metav1.GroupVersionKind
		if err := found.Extensions.GetObject("x-kubernetes-group-version-kind", &kinds); err == nil &&
			slices.Contains(kinds, metav1.GroupVersionKind(gvk)) {
			if _, ok := found.Properties["metadata"]; ok {
				return found
			}
		}
	}
	t.Fatalf("the server has no schema of %v", gvk)
	return nil
}

// resolve follows references.
func (s *schemas) resolve(gv schema.GroupVersion, at spec.Schema) spec.Schema {
	for {
		ref := at.Ref.String()
		if ref == "" && len(at.AllOf) == 1 {
			ref = at.AllOf[0].Ref.String()
		}
		if ref == "" {
			return at
		}
		at = *s.docs[gv][ref[strings.LastIndex(ref, "/")+1:]]
	}
}

// sample returns a value that a schema describes, unlike was.
func (s *schemas) sample(gv schema.GroupVersion, at spec.Schema, was any, depth int) any {
	at = s.resolve(gv, at)
	kind := ""
	if len(at.Type) > 0 {
		kind = at.Type[0]
	}
	switch {
	case len(at.Enum) > 0:
		for _, value := range at.Enum {
			if !reflect.DeepEqual(value, was) {
				return value
			}
		}
		return at.Enum[0]
	case kind == "boolean":
		return was != true
	case kind == "integer", kind == "number":
		return 7
	case kind == "array":
		if list, _ := was.([]any); len(list) > 0 {
			return append(slices.Clone(list), another(list[0]))
		}
		return []any{s.sample(gv, *at.Items.Schema, nil, depth-1)}
	case kind == "object" || len(at.Properties) > 0:
		object := map[string]any{}
		for name, property := range at.Properties {
			if slices.Contains(at.Required, name) && depth > 0 {
				object[name] = s.sample(gv, property, nil, depth-1)
			}
		}
		if len(object) > 0 {
			return object
		}
		if at.AdditionalProperties != nil && at.AdditionalProperties.Schema != nil {
			return map[string]any{"x": s.sample(gv, *at.AdditionalProperties.Schema, nil, depth-1)}
		}
		for _, name := range slices.Sorted(maps.Keys(at.Properties)) {
			if depth > 0 {
				return map[string]any{name: s.sample(gv, at.Properties[name], nil, depth-1)}
			}
		}
		return map[string]any{"x": "x"}
	}
	if was == "x" {
		return "y"
	}
	return "x"
}

// another returns an element like one, with another name.
func another(element any) any {
	object, ok := element.(map[string]any)
	if !ok {
		return "x"
	}
	object = maps.Clone(object)
	if object["name"] != nil {
		object["name"] = "x"
	}
	return object
}

// contents returns a change of each value of an object that has no schema.
func contents(object map[string]any, path []string) []change {
	var all []change
	for _, name := range slices.Sorted(maps.Keys(object)) {
		below := append(slices.Clone(path), name)
		switch value := object[name].(type) {
		case map[string]any:
			all = append(all, contents(value, below)...)
		case []any:
			if len(value) > 0 {
				all = append(all, change{below, append(slices.Clone(value), another(value[0]))})
			}
		case string:
			all = append(all, change{below, value + "y"})
		case bool:
			all = append(all, change{below, !value})
		default:
			all = append(all, change{below, 7})
		}
	}
	return append(all, change{append(slices.Clone(path), "x"), "x"})
}

// change is a foreign change of one field.
type change struct {
	path  []string
	value any
}

// changes returns a change of each field below a schema, to a depth.
func (s *schemas) changes(gv schema.GroupVersion, at spec.Schema, object any, path []string, depth int) []change {
	at = s.resolve(gv, at)
	var all []change
	there, _ := object.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(at.Properties)) {
		if len(path) == 0 && slices.Contains([]string{"apiVersion", "kind", "metadata", "status", "immutable"}, name) {
			// No writer can take back that an object is immutable.
			continue
		}
		below := append(slices.Clone(path), name)
		property := s.resolve(gv, at.Properties[name])
		if depth > 0 && len(property.Properties) > 0 {
			all = append(all, s.changes(gv, property, there[name], below, depth-1)...)
			continue
		}
		if inner, ok := there[name].(map[string]any); ok && property.AdditionalProperties == nil {
			all = append(all, contents(inner, below)...)
			continue
		}
		all = append(all, change{below, s.sample(gv, property, there[name], 3)})
	}
	if len(at.Properties) == 0 || at.AdditionalProperties != nil {
		all = append(all, change{append(slices.Clone(path), "x"), "x"})
	}
	return all
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
	s := newServer(t)
	config := shared.Stack(t).Tenant.Config()
	config.WarningHandler, config.QPS, config.Burst = rest.NoWarnings{}, 1000, 1000
	c, err := client.New(config, client.Options{Scheme: foreign.Scheme(), Mapper: s.mapper})
	if err != nil {
		t.Fatal(err)
	}
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	kinds := &schemas{client: found.OpenAPIV3(), docs: map[schema.GroupVersion]map[string]*spec.Schema{}}
	tried := map[string]int{}
	root, err := devstack.ModuleRoot()
	if err == nil {
		err = devstack.InstallCRDs(t.Context(), config, filepath.Join(root, "config", "crd", "bases"))
	}
	if err != nil {
		t.Fatal(err)
	}
	groups, err := restmapper.GetAPIGroupResources(found)
	if err != nil {
		t.Fatal(err)
	}
	s.mapper = restmapper.NewDiscoveryRESTMapper(groups)
	if c, err = client.New(config, client.Options{Scheme: foreign.Scheme(), Mapper: s.mapper}); err != nil {
		t.Fatal(err)
	}
	for _, set := range append(everySet(t), mirrored(t)) {
		for _, item := range set.Items {
			if item.Object == nil || item.IfAbsent || set.Owner.Kind == "" || item.Object.GetAnnotations()[corev1.ServiceAccountNameKey] != "" {
				continue
			}
			sent := content(t, item.Object)
			kind := sent.GetKind()
			if tried[kind] > 0 || kind == "PipelineRun" {
				continue
			}
			tried[kind] = 1
			t.Run(kind, func(t *testing.T) {
				one := plan.Set{Owner: set.Owner, Target: set.Target, Items: []plan.Item{item}}
				namespaced(t, s, sent.GetNamespace())
				// Another test may have left the object with the labels of another owner.
				if _, err := s.apply(t.Context(), sent); err != nil {
					t.Fatal(err)
				}
				tried[kind] += tamper(t, kinds, direct{c}, one, sent)
			})
		}
	}
	for _, kind := range []string{
		"AppProject", "Application", "ClusterRoleBinding", "EventSource", "ExternalSecret", "HierarchyConfiguration", "Ingress",
		"Middleware", "Role", "RoleBinding", "Secret", "SecretStore", "Sensor", "ServiceAccount",
		"Cluster", "CodeRepo", "CodeRepoBinding", "CodeRepoProvider", "ComponentCatalogue", "DeploymentRuntime", "Environment",
		"PipelineHook", "ProductProvider", "Project", "ProjectPipelineRuntime",
	} {
		if tried[kind] < 2 {
			t.Errorf("no field of %s was tried", kind)
		}
		t.Logf("%s: %d fields", kind, tried[kind]-1)
	}
}

// mirrored returns a set with an object of each kind that a mirror writes.
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

// tamper changes each field of an object in turn, and returns the number of fields that
// the server let another writer change.
func tamper(t *testing.T, kinds *schemas, conn direct, set plan.Set, sent *unstructured.Unstructured) int {
	t.Helper()
	put := func() {
		t.Helper()
		// A new applier remembers nothing, so it neither skips nor pauses.
		if _, err := apply.New(Tenant, anySecret{item: set.Items[0]}).Apply(t.Context(), conn, set, apply.Options{NoGuard: true}); err != nil {
			t.Fatal(err)
		}
	}
	live := func() *unstructured.Unstructured {
		t.Helper()
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(sent.GroupVersionKind())
		if err := conn.c.Get(t.Context(), client.ObjectKeyFromObject(sent), o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	put()
	before := live()
	gvk := sent.GroupVersionKind()
	digest := plan.DigestFields(gvk.GroupKind(), before)
	tried := 0
	for _, change := range kinds.changes(gvk.GroupVersion(), *kinds.of(t, gvk), before.Object, nil, 4) {
		path := strings.Join(change.path, ".")
		value := change.value
		for _, name := range slices.Backward(change.path) {
			value = map[string]any{name: value}
		}
		patch, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		changed := live()
		err = conn.c.Patch(t.Context(), changed, client.RawPatch("application/merge-patch+json", patch), client.FieldOwner("kubectl-edit"))
		if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
			// The server lets no writer change it so.
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if cmp.Equal(exact(before), exact(changed)) {
			continue
		}
		tried++
		if plan.DigestFields(gvk.GroupKind(), changed) == digest {
			t.Errorf("%s: nothing notices the change %s", path, patch)
		}
		put()
		if diff := cmp.Diff(exact(before), exact(live())); diff != "" {
			t.Errorf("%s: after the change %s it is not as it was (-want +got):\n%s", path, patch, diff)
			return tried
		}
	}
	return tried
}
