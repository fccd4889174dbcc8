package catalogue

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
)

//go:embed builtin.yaml
var builtinManifest string

// Catalogue is a valid catalogue of components. It is immutable.
type Catalogue struct {
	minimum string
	// components in the order of their names.
	components []*component
}

// builtin reads the embedded manifest once. A test checks that it is valid.
var builtin = sync.OnceValue(func() *Catalogue {
	spec, err := readManifest(builtinManifest)
	if err != nil {
		panic(fmt.Sprintf("the built-in catalogue cannot be read: %s", err))
	}
	c, errs := build(&Catalogue{}, spec)
	if len(errs) > 0 {
		panic(fmt.Sprintf("the built-in catalogue is invalid: %s", errs.ToAggregate()))
	}
	return c
})

func readManifest(manifest string) (*v1alpha1.ComponentCatalogueSpec, error) {
	var read v1alpha1.ComponentCatalogue
	if err := yaml.UnmarshalStrict([]byte(manifest), &read); err != nil {
		return nil, err
	}
	return &read.Spec, nil
}

// Builtin returns the built-in catalogue.
func Builtin() *Catalogue { return builtin() }

// Effective returns the built-in catalogue with the changes of a tenant; a nil overlay
// changes nothing. It returns no catalogue if there are errors. Their paths are fields
// of a ComponentCatalogue.
func Effective(overlay *v1alpha1.ComponentCatalogueSpec) (*Catalogue, field.ErrorList) {
	if overlay == nil {
		return Builtin(), nil
	}
	return build(Builtin(), overlay)
}

// build applies a spec to a catalogue. Components that the spec does not name stay
// unchanged.
func build(base *Catalogue, overlay *v1alpha1.ComponentCatalogueSpec) (*Catalogue, field.ErrorList) {
	var errs field.ErrorList
	made := &Catalogue{minimum: base.minimum, components: slices.Clone(base.components)}
	if overlay.MinimumKubernetesVersion != "" {
		made.minimum = overlay.MinimumKubernetesVersion
		if !kubernetesVersion.MatchString(made.minimum) {
			errs = append(errs, field.Invalid(field.NewPath("spec", "minimumKubernetesVersion"), made.minimum,
				"write a version of Kubernetes, as 1.28"))
		}
	}
	seen := map[string]bool{}
	for i := range overlay.Components {
		over := &overlay.Components[i]
		at := componentPath(over.Name)
		if seen[over.Name] {
			errs = append(errs, duplicate(at, over.Name))
			continue
		}
		seen[over.Name] = true
		var known *v1alpha1.CatalogueComponent
		place, found := made.find(over.Name)
		if found {
			known = made.components[place].spec
		}
		merged, wrong := mergeComponent(known, over, at)
		errs = append(errs, wrong...)
		compiled, wrong := compile(merged, at)
		errs = append(errs, wrong...)
		if found {
			made.components[place] = compiled
		} else {
			made.components = slices.Insert(made.components, place, compiled)
		}
	}
	errs = append(errs, checkTogether(made, seen)...)
	if len(errs) > 0 {
		return nil, errs
	}
	return made, nil
}

func componentPath(name string) *field.Path { return field.NewPath("spec", "components").Key(name) }

func (c *Catalogue) find(name string) (int, bool) {
	return slices.BinarySearchFunc(c.components, name, func(one *component, name string) int {
		return strings.Compare(one.spec.Name, name)
	})
}

func (c *Catalogue) get(name string) *component {
	if place, found := c.find(name); found {
		return c.components[place]
	}
	return nil
}

// Names returns the names of all components, in order.
func (c *Catalogue) Names() []string {
	names := make([]string, 0, len(c.components))
	for _, one := range c.components {
		names = append(names, one.spec.Name)
	}
	return names
}

// Component returns a component by its name, or nil if there is none. Callers must not
// change it.
func (c *Catalogue) Component(name string) *v1alpha1.CatalogueComponent {
	if one := c.get(name); one != nil {
		return one.spec
	}
	return nil
}

// ByCategory returns the names of the components of a category, in order.
func (c *Catalogue) ByCategory(category v1alpha1.ComponentCategory) []string {
	var names []string
	for _, one := range c.components {
		if one.spec.Category == category {
			names = append(names, one.spec.Name)
		}
	}
	return names
}

// MinimumKubernetesVersion returns the oldest version of Kubernetes whose
// clusters get components, for example 1.28.
func (c *Catalogue) MinimumKubernetesVersion() string { return c.minimum }

func versionOf(sources []Source) string {
	var revisions []string
	for _, source := range sources {
		revisions = append(revisions, source.TargetRevision)
	}
	return strings.Join(revisions, " + ")
}
