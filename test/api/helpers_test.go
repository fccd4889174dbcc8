package api_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
)

// Namespaces of the tests. Objects that stay have one of their own per test.
const (
	nsRules       = "rules"
	nsTransitions = "transitions"
	nsFilled      = "filled"
	nsMutations   = "mutations"
	nsProduct     = "product-xxxx"
	nsOperator    = "nautes"
)

func newClient() (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return client.New(server, client.Options{Scheme: scheme})
}

func clientFor(t *testing.T) client.Client {
	t.Helper()
	c, err := newClient()
	if err != nil {
		t.Fatal(err)
	}
	return client.WithFieldValidation(c, metav1.FieldValidationStrict)
}

func createNamespaces(ctx context.Context) error {
	c, err := newClient()
	if err != nil {
		return err
	}
	for _, name := range []string{nsRules, nsTransitions, nsFilled, nsMutations, nsProduct, nsOperator} {
		if err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return fmt.Errorf("namespace %s: %w", name, err)
		}
	}
	return nil
}

// readObject reads a YAML file below the module's root.
func readObject(t *testing.T, path string) *unstructured.Unstructured {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	object := map[string]any{}
	if err := yaml.UnmarshalStrict(data, &object); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return &unstructured.Unstructured{Object: object}
}

// filled returns the object of the kind that has every field set.
func filled(t *testing.T, kind string) *unstructured.Unstructured {
	t.Helper()
	return readObject(t, filepath.Join("test/api/testdata/filled", strings.ToLower(kind)+".yaml"))
}

// definitions returns the generated CRDs by kind.
func definitions() (map[string]*apiextensions.CustomResourceDefinition, error) {
	paths, err := filepath.Glob(filepath.Join(root, "config/crd/bases/*.yaml"))
	if err != nil {
		return nil, err
	}
	found := map[string]*apiextensions.CustomResourceDefinition{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		crd := &apiextensions.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, crd); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		found[crd.Spec.Names.Kind] = crd
	}
	return found, nil
}

func definitionsFor(t *testing.T) map[string]*apiextensions.CustomResourceDefinition {
	t.Helper()
	crds, err := definitions()
	if err != nil {
		t.Fatal(err)
	}
	if len(crds) == 0 {
		t.Fatal("there are no CRDs in config/crd/bases")
	}
	return crds
}

func schemaOf(crd *apiextensions.CustomResourceDefinition) *apiextensions.JSONSchemaProps {
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// refusals holds the messages with which the API server refused objects.
var refusals struct {
	sync.Mutex
	messages []string
}

// tryCreate creates the object without storing it and returns the API server's
// answer, which the check in process must agree with.
func tryCreate(t *testing.T, c client.Client, object *unstructured.Unstructured) error {
	t.Helper()
	object.SetNamespace(nsRules)
	sent := object.DeepCopy()
	err := c.Create(t.Context(), object, client.DryRunAll)
	compareInProcess(t, sent, nil, err)
	return remember(err)
}

func remember(err error) error {
	if err != nil {
		refusals.Lock()
		defer refusals.Unlock()
		refusals.messages = append(refusals.messages, err.Error())
	}
	return err
}

// checkAnswer compares the API server's answer with the wanted one: a part of
// the refusal, or nothing for an object that is accepted.
func checkAnswer(t *testing.T, err error, wantErr string) {
	t.Helper()
	switch {
	case wantErr == "" && err != nil:
		t.Errorf("refused: %v", err)
	case wantErr != "" && err == nil:
		t.Errorf("accepted; want a refusal with %q", wantErr)
	case wantErr != "" && !strings.Contains(err.Error(), wantErr):
		t.Errorf("refused with %v\nwant %q in it", err, wantErr)
	}
}

// refusedByEveryRule reports the CEL rules of the CRDs that have refused nothing in
// this run: a rule without such a test could be lost unseen.
func refusedByEveryRule() error {
	crds, err := definitions()
	if err != nil {
		return err
	}
	said := strings.Join(refusals.messages, "\n")
	var silent []string
	for kind, crd := range crds {
		walkSchema(schemaOf(crd), "", func(path string, schema *apiextensions.JSONSchemaProps) {
			for _, rule := range schema.XValidations {
				if !strings.Contains(said, rule.Message) {
					silent = append(silent, fmt.Sprintf("%s%s: %s", kind, path, rule.Message))
				}
			}
		})
	}
	if len(silent) > 0 {
		sort.Strings(silent)
		return fmt.Errorf("no test saw these rules refuse anything:\n%s", strings.Join(silent, "\n"))
	}
	return nil
}

// walkSchema visits a schema and everything below it. Paths are as
// .spec.pipelines[].name, and .spec.vars{} for the values of a map.
func walkSchema(schema *apiextensions.JSONSchemaProps, path string, visit func(string, *apiextensions.JSONSchemaProps)) {
	visit(path, schema)
	for name, property := range schema.Properties {
		walkSchema(&property, path+"."+name, visit)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		walkSchema(schema.Items.Schema, path+"[]", visit)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		walkSchema(schema.AdditionalProperties.Schema, path+"{}", visit)
	}
}
