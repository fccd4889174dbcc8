package catalogue

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
)

// categories returns the categories of components, in order.
func categories() []v1alpha1.ComponentCategory {
	return []v1alpha1.ComponentCategory{
		v1alpha1.CategoryCertManagement, v1alpha1.CategoryDeployment, v1alpha1.CategoryEventListener,
		v1alpha1.CategoryGateway, v1alpha1.CategoryMultiTenant, v1alpha1.CategoryOauthProxy, v1alpha1.CategoryPipeline,
		v1alpha1.CategoryProgressiveDelivery, v1alpha1.CategorySecretManagement, v1alpha1.CategorySecretSync,
		v1alpha1.CategoryVirtualCluster,
	}
}

// clusterKinds returns one spec of each kind of clusters that rules distinguish.
func clusterKinds() []v1alpha1.ClusterSpec {
	kinds := []v1alpha1.ClusterSpec{{Usage: v1alpha1.UsageHost, ClusterType: v1alpha1.ClusterPhysical}}
	for _, of := range []v1alpha1.ClusterType{v1alpha1.ClusterPhysical, v1alpha1.ClusterVirtual} {
		for _, worker := range []v1alpha1.WorkerType{v1alpha1.WorkerTypePipeline, v1alpha1.WorkerTypeDeployment} {
			kinds = append(kinds, v1alpha1.ClusterSpec{Usage: v1alpha1.UsageWorker, ClusterType: of, WorkerType: worker})
		}
	}
	return kinds
}

// requirement returns the requirement of the first rule that a cluster matches, or ""
// if it matches none.
func (c *component) requirement(cluster *v1alpha1.ClusterSpec) v1alpha1.ComponentRequirement {
	for _, rule := range c.spec.Rules {
		if rule.Usage == cluster.Usage &&
			(rule.ClusterType == "" || rule.ClusterType == cluster.ClusterType) &&
			(rule.WorkerType == "" || rule.WorkerType == cluster.WorkerType) {
			return rule.Requirement
		}
	}
	return ""
}

// usual returns the component of a category that a cluster has without a choice, or
// nil if there is none.
func (c *Catalogue) usual(category v1alpha1.ComponentCategory, cluster *v1alpha1.ClusterSpec) *component {
	for _, one := range c.components {
		if one.spec.Category == category && one.isUsual(cluster) {
			return one
		}
	}
	return nil
}

func (c *component) isUsual(cluster *v1alpha1.ClusterSpec) bool {
	requirement := c.requirement(cluster)
	return requirement == v1alpha1.RequirementRequired || requirement == v1alpha1.RequirementDefault
}

// rival returns a second usual component of a category, which is an error, or nil.
func (c *Catalogue) rival(category v1alpha1.ComponentCategory, cluster *v1alpha1.ClusterSpec) *component {
	first := c.usual(category, cluster)
	for _, one := range c.components {
		if one != first && one.spec.Category == category && one.isUsual(cluster) {
			return one
		}
	}
	return nil
}

// possible returns the names of the components of a category that such a cluster
// can have.
func (c *Catalogue) possible(category v1alpha1.ComponentCategory, cluster *v1alpha1.ClusterSpec) []string {
	var names []string
	for _, one := range c.components {
		if one.spec.Category == category && one.requirement(cluster) != "" {
			names = append(names, one.spec.Name)
		}
	}
	return names
}

// mayBeIdle reports whether a choice of a category may have no effect on clusters that
// have no such component: forms fill these in for every cluster.
func mayBeIdle(category v1alpha1.ComponentCategory) bool {
	return category == v1alpha1.CategoryGateway || category == v1alpha1.CategoryOauthProxy ||
		category == v1alpha1.CategorySecretManagement
}

func choicePath(category v1alpha1.ComponentCategory) *field.Path {
	return field.NewPath("spec", "componentsList", string(category))
}

// selection is the component of a category that a cluster has.
type selection struct {
	component *component
	// from is the choice in the Cluster, or nil if the catalogue decides.
	from *v1alpha1.Component
}

func (c selection) namespace(cluster *v1alpha1.Cluster) string {
	switch {
	case c.component.onHost:
		return cluster.Name
	case c.from != nil && c.from.Namespace != "":
		return c.from.Namespace
	}
	return c.component.spec.Namespace
}

// choose returns the components of a cluster in the order of their names, and the
// errors in its choices.
func (c *Catalogue) choose(cluster *v1alpha1.Cluster) ([]selection, field.ErrorList) {
	var (
		choices []selection
		errs    field.ErrorList
	)
	for _, category := range categories() {
		made, err := c.chooseOne(cluster, category)
		if err != nil {
			errs = append(errs, err)
		}
		if made.component != nil {
			choices = append(choices, made)
		}
	}
	slices.SortFunc(choices, func(a, b selection) int { return strings.Compare(a.component.spec.Name, b.component.spec.Name) })
	return choices, errs
}

func (c *Catalogue) chooseOne(cluster *v1alpha1.Cluster, category v1alpha1.ComponentCategory) (selection, *field.Error) {
	spec := &cluster.Spec
	from, usual := spec.ComponentsList.Chosen(category), c.usual(category, spec)
	if from == nil {
		return selection{component: usual}, nil
	}
	possible := c.possible(category, spec)
	if len(possible) == 0 && mayBeIdle(category) {
		return selection{}, nil
	}
	at := choicePath(category).Child("name")
	switch one := c.get(from.Name); {
	case len(possible) == 0:
		return selection{}, field.Invalid(choicePath(category), from.Name, fmt.Sprintf(
			"%s has no component of this category: remove it", kindOf(spec)))
	case one == nil || one.spec.Category != category:
		return selection{}, field.NotSupported(at, from.Name, possible)
	case one.requirement(spec) == "":
		return selection{}, field.Invalid(at, from.Name, fmt.Sprintf(
			"%s cannot have it: write %s, or add a rule to it in the ComponentCatalogue", kindOf(spec), strings.Join(possible, " or ")))
	case usual != nil && usual != one && usual.requirement(spec) == v1alpha1.RequirementRequired:
		return selection{}, field.Invalid(at, from.Name, fmt.Sprintf(
			"%s always has %s: write that, or make it Default in the ComponentCatalogue", kindOf(spec), usual.spec.Name))
	default:
		return selection{component: one, from: from}, nil
	}
}

// kindOf describes a cluster by the fields that rules match.
func kindOf(spec *v1alpha1.ClusterSpec) string {
	if spec.Usage == v1alpha1.UsageHost {
		return "a host cluster"
	}
	return fmt.Sprintf("a %s %s worker", spec.ClusterType, spec.WorkerType)
}

// choice returns the part of the component that does not depend on its settings.
func (c selection) choice(cluster *v1alpha1.Cluster) Choice {
	return Choice{
		Name: c.component.spec.Name, Category: c.component.spec.Category, Namespace: c.namespace(cluster),
		External: c.component.external, OnHost: c.component.onHost,
	}
}

// Choices returns the components that a cluster has, in the order of their names. A
// choice that For refuses has the name and the namespace in the Cluster.
func (c *Catalogue) Choices(cluster *v1alpha1.Cluster) []Choice {
	found := make([]Choice, 0, 12)
	for _, category := range categories() {
		made, err := c.chooseOne(cluster, category)
		if err != nil {
			from := cluster.Spec.ComponentsList.Chosen(category)
			found = append(found, Choice{Name: from.Name, Category: category, Namespace: from.Namespace})
		} else if made.component != nil {
			found = append(found, made.choice(cluster))
		}
	}
	slices.SortFunc(found, func(a, b Choice) int { return strings.Compare(a.Name, b.Name) })
	return found
}
