package api_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
)

// kinds are the kinds with the names that people type.
var kinds = map[string]struct{ plural, singular, short string }{
	"Cluster":                {"clusters", "cluster", "cls"},
	"CodeRepo":               {"coderepos", "coderepo", "repo"},
	"CodeRepoBinding":        {"coderepobindings", "coderepobinding", "crb"},
	"ArtifactRepo":           {"artifactrepos", "artifactrepo", "arepo"},
	"CodeRepoProvider":       {"coderepoproviders", "coderepoprovider", "crp"},
	"ComponentCatalogue":     {"componentcatalogues", "componentcatalogue", "ccat"},
	"DeploymentRuntime":      {"deploymentruntimes", "deploymentruntime", "dr"},
	"Environment":            {"environments", "environment", "env"},
	"PipelineHook":           {"pipelinehooks", "pipelinehook", "phook"},
	"Product":                {"products", "product", "prod"},
	"ProductProvider":        {"productproviders", "productprovider", "pp"},
	"Project":                {"projects", "project", "proj"},
	"ProjectPipelineRuntime": {"projectpipelineruntimes", "projectpipelineruntime", "ppr"},
	"Space":                  {"spaces", "space", "spc"},
}

func TestKindsAreServed(t *testing.T) {
	d, err := discovery.NewDiscoveryClientForConfig(server)
	if err != nil {
		t.Fatal(err)
	}
	served, err := d.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]metav1.APIResource{}
	for _, resource := range served.APIResources {
		if strings.Contains(resource.Name, "/") {
			if !strings.HasSuffix(resource.Name, "/status") {
				t.Errorf("an unexpected subresource %s", resource.Name)
			}
			continue
		}
		got[resource.Kind] = resource
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(kinds)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	for kind, want := range kinds {
		resource := got[kind]
		if resource.Name != want.plural || resource.SingularName != want.singular || !resource.Namespaced {
			t.Errorf("%s is served as %s, %s, namespaced %t", kind, resource.Name, resource.SingularName, resource.Namespaced)
		}
		if diff := cmp.Diff([]string{want.short}, resource.ShortNames); diff != "" {
			t.Errorf("short names of %s (-want +got):\n%s", kind, diff)
		}
		if diff := cmp.Diff([]string{"nautes"}, resource.Categories); diff != "" {
			t.Errorf("categories of %s (-want +got):\n%s", kind, diff)
		}
	}
}

// Every property is described, by a text that begins with its name, so that
// the output of kubectl explain reads as a sentence about that field.
func TestEveryPropertyIsDescribed(t *testing.T) {
	for kind, crd := range definitionsFor(t) {
		walkSchema(schemaOf(crd), "", func(path string, schema *apiextensions.JSONSchemaProps) {
			name := path[strings.LastIndex(path, ".")+1:]
			// The API machinery describes the metadata itself.
			if path == ".metadata" || strings.HasSuffix(path, "]") || strings.HasSuffix(path, "}") {
				return
			}
			if schema.Description == "" {
				t.Errorf("%s%s has no description", kind, path)
			}
			if !strings.HasPrefix(strings.ToLower(schema.Description), strings.ToLower(name)) {
				t.Errorf("%s%s is described as %q; the text begins with the name of the field", kind, path, schema.Description)
			}
		})
	}
}

// Every value of a spec has an upper bound, so that objects stay small and the
// cost of the rules is known.
func TestSpecsAreBounded(t *testing.T) {
	for kind, crd := range definitionsFor(t) {
		spec := schemaOf(crd).Properties["spec"]
		walkSchema(&spec, ".spec", func(path string, schema *apiextensions.JSONSchemaProps) {
			// Values and lists in maps are bounded by a rule on the map.
			inMap := strings.HasSuffix(path, "{}")
			switch {
			case schema.Type == "string" && schema.MaxLength == nil && len(schema.Enum) == 0 && !inMap:
				t.Errorf("%s%s has no maxLength", kind, path)
			case schema.Type == "array" && schema.MaxItems == nil && !inMap:
				t.Errorf("%s%s has no maxItems", kind, path)
			case schema.AdditionalProperties != nil && schema.MaxProperties == nil:
				t.Errorf("%s%s has no maxProperties", kind, path)
			case inMap && !boundedByRule(schemaAt(spec, strings.TrimSuffix(path, "{}"))):
				t.Errorf("%s%s has no rule that bounds its size", kind, path)
			}
		})
	}
}

func schemaAt(spec apiextensions.JSONSchemaProps, path string) *apiextensions.JSONSchemaProps {
	var found *apiextensions.JSONSchemaProps
	walkSchema(&spec, ".spec", func(at string, schema *apiextensions.JSONSchemaProps) {
		if at == path {
			found = schema
		}
	})
	return found
}

func boundedByRule(schema *apiextensions.JSONSchemaProps) bool {
	return slices.ContainsFunc(schema.XValidations, func(rule apiextensions.ValidationRule) bool {
		return strings.Contains(rule.Rule, "size(self[k]) <=")
	})
}

// The filled objects have every field, so that tests over them miss none.
func TestFilledObjectsAreFull(t *testing.T) {
	for kind, crd := range definitionsFor(t) {
		object := filled(t, kind)
		have := map[string]bool{}
		walkValues(object.Object, schemaOf(crd), "", nil, func(path string, _ *apiextensions.JSONSchemaProps, _ any, _ []any) {
			have[path] = true
		})
		walkSchema(schemaOf(crd), "", func(path string, _ *apiextensions.JSONSchemaProps) {
			// A repository that is not mirrored has the same shape of status.
			if have[path] || strings.HasPrefix(path, ".status.sync.") && kind == "CodeRepo" {
				return
			}
			t.Errorf("%s%s is not in testdata/filled/%s.yaml", kind, path, strings.ToLower(kind))
		})
	}
}

// TestPrinterColumns asks the API server for the table that kubectl prints: a
// column whose path does not resolve is empty there.
func TestPrinterColumns(t *testing.T) {
	c := clientFor(t)
	for kind, names := range kinds {
		t.Run(kind, func(t *testing.T) {
			object := filled(t, kind)
			object.SetNamespace(nsFilled)
			status := object.Object["status"]
			if err := c.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			object.Object["status"] = status
			if err := c.Status().Update(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			table := tableOf(t, names.plural, object)
			var columns []string
			for i, column := range table.ColumnDefinitions {
				columns = append(columns, column.Name)
				if cell := table.Rows[0].Cells[i]; cell == nil || cell == "" || cell == "<none>" || cell == "<unknown>" {
					t.Errorf("column %s is empty", column.Name)
				}
			}
			for _, want := range []string{"Name", "Ready", "Age", "Status", "Reason"} {
				if !slices.Contains(columns, want) {
					t.Errorf("there is no column %s in %v", want, columns)
				}
			}
			if at := slices.Index(columns, "Progress"); kind == "Cluster" && (at < 0 || table.Rows[0].Cells[at] != "7/9 components") {
				t.Errorf("no column tells the progress of the components: %v, %v", columns, table.Rows[0].Cells)
			}
			if last := columns[len(columns)-1]; last != "Status" {
				t.Errorf("the last column is %s; a long message pushes it away, so it is Status", last)
			}
		})
	}
}

func tableOf(t *testing.T, plural string, object client.Object) *metav1.Table {
	t.Helper()
	config := rest.CopyConfig(server)
	config.GroupVersion = &v1alpha1.GroupVersion
	config.APIPath = "/apis"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	raw, err := rest.RESTClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	table := &metav1.Table{}
	err = raw.Get().Namespace(object.GetNamespace()).Resource(plural).Name(object.GetName()).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").
		Do(t.Context()).Into(table)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// The Go types and the CRDs say the same: a filled object survives the types.
func TestTypesHoldEveryField(t *testing.T) {
	c := clientFor(t)
	for kind := range kinds {
		object := filled(t, kind)
		typed, err := c.Scheme().New(v1alpha1.GroupVersion.WithKind(kind))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := typed.(v1alpha1.Object); !ok {
			t.Errorf("%s is not a v1alpha1.Object", kind)
		}
		if err := defaultConverter.FromUnstructuredWithValidation(object.Object, typed, true); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		back, err := defaultConverter.ToUnstructured(typed)
		if err != nil {
			t.Fatal(err)
		}
		unstructured.RemoveNestedField(back, "metadata", "creationTimestamp")
		if diff := cmp.Diff(object.Object, back, numbersAsInt64); diff != "" {
			t.Errorf("%s (-file +types):\n%s", kind, diff)
		}
	}
}
