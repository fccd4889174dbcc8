package validate

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/snapshot"
)

// componentCatalogue checks a catalogue by itself, and warns of the clusters
// whose choice it does not know.
func (c *checker) componentCatalogue(o *v1alpha1.ComponentCatalogue) {
	c.ofTenant(o)
	if o.Name != v1alpha1.ComponentCatalogueName {
		c.fail(RuleCatalogueName, v1alpha1.ReasonInvalid, field.NewPath("metadata", "name"), o.Name,
			"a tenant has one catalogue: call it %s", v1alpha1.ComponentCatalogueName)
	}
	_, wrong := catalogue.Effective(&o.Spec)
	c.take(RuleComponents, v1alpha1.ReasonInvalid, wrong)
	if len(c.errors) > 0 {
		return
	}
	for _, cluster := range c.s.Clusters() {
		if _, refused := c.s.ClusterComponents(cluster); len(refused) > 0 {
			c.warn(field.NewPath("spec", "components"), "%s does not go with the catalogue: %s: %s", snapshot.RefOf(cluster), refused[0].Field, strings.TrimSpace(refused[0].Detail))
		}
	}
}
