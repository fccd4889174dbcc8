// Package schema checks objects of our kinds in process, by the schemas and CEL
// rules of their CustomResourceDefinitions. It guarantees the verdict and the
// messages of the API server, and reports every error of an object at once.
package schema

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/config/crd"
)

// Kinds holds the schemas of our kinds. A kind is read, and its rules are
// compiled, when it is first used. All methods may be called concurrently.
type Kinds struct {
	kinds map[string]func() (*kind, error)
}

// kind is one kind with everything compiled.
type kind struct {
	apiVersion string
	structural *structuralschema.Structural
	values     validation.SchemaValidator
	// rules is nil when the kind has no CEL rule.
	rules *cel.Validator
}

// New returns the kinds of the embedded CustomResourceDefinitions.
func New() (*Kinds, error) {
	paths, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("embedded CustomResourceDefinitions: %w", err)
	}
	k := &Kinds{kinds: map[string]func() (*kind, error){}}
	for _, path := range paths {
		content, err := crd.Bases.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("embedded CustomResourceDefinition: %w", err)
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(content, definition); err != nil {
			return nil, fmt.Errorf("embedded CustomResourceDefinition %s: %w", path, err)
		}
		k.kinds[definition.Spec.Names.Kind] = sync.OnceValues(func() (*kind, error) { return compile(definition) })
	}
	return k, nil
}

// Names returns the names of the kinds, sorted.
func (k *Kinds) Names() []string { return slices.Sorted(maps.Keys(k.kinds)) }

// compile prepares a definition as the API server does when it begins to serve it.
func compile(definition *apiextensionsv1.CustomResourceDefinition) (*kind, error) {
	name := definition.Spec.Names.Kind
	if len(definition.Spec.Versions) != 1 {
		return nil, fmt.Errorf("kind %s has %d versions, and exactly one is supported", name, len(definition.Spec.Versions))
	}
	version := definition.Spec.Versions[0]
	internal := &apiextensions.CustomResourceValidation{}
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(version.Schema, internal, nil); err != nil {
		return nil, fmt.Errorf("schema of kind %s: %w", name, err)
	}
	structural, err := structuralschema.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, fmt.Errorf("schema of kind %s: %w", name, err)
	}
	if err := defaulting.PruneDefaults(structural); err != nil {
		return nil, fmt.Errorf("defaults of kind %s: %w", name, err)
	}
	values, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, fmt.Errorf("schema of kind %s: %w", name, err)
	}
	return &kind{
		apiVersion: definition.Spec.Group + "/" + version.Name,
		structural: structural,
		values:     values,
		rules:      cel.NewValidator(structural, true, celconfig.PerCallLimit),
	}, nil
}
