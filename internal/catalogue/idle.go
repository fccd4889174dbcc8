package catalogue

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
)

// Idle is a field of a Cluster that has no effect on such a cluster.
type Idle struct {
	At *field.Path
	// Why the field has no effect, and what to do.
	Why string
}

// IdleFields returns the fields of a cluster that choose or configure a component which
// the cluster cannot have or which Nautes does not install there, in stable order.
func (c *Catalogue) IdleFields(cluster *v1alpha1.Cluster) []Idle {
	var idle []Idle
	for _, category := range categories() {
		made, err := c.chooseOne(cluster, category)
		if err != nil {
			// The choice itself is refused.
			continue
		}
		why, from := "", made.from
		switch {
		case made.component == nil:
			why = fmt.Sprintf("%s has no component of the category %s: remove the field", kindOf(&cluster.Spec), category)
			if cluster.Spec.ComponentsList.Chosen(category) != nil {
				idle = append(idle, Idle{At: choicePath(category), Why: why})
			}
		case made.component.external:
			why = fmt.Sprintf("Nautes does not install %s, so its settings are made where it is installed: remove the field", made.component.spec.Name)
		default:
			continue
		}
		for _, given := range ownFields(cluster, category, from) {
			if made.component == nil || !usedByOthers(category, given.setting) {
				idle = append(idle, Idle{At: given.at, Why: why})
			}
		}
	}
	return idle
}

// usedByOthers reports whether a setting of an external component has an effect: the port
// of a gateway is part of the addresses behind it, and Ingresses name the issuer.
func usedByOthers(category v1alpha1.ComponentCategory, setting string) bool {
	return category == v1alpha1.CategoryGateway && setting == settingHTTPSNodePort ||
		category == v1alpha1.CategoryCertManagement && setting == SettingClusterIssuer
}

// ownField is a field of a Cluster, or an addition, with the setting that it gives.
type ownField struct {
	setting string
	at      *field.Path
}

// ownFields returns the settings that a cluster gives to its component of a category, by
// its own fields and by the additions of a choice.
func ownFields(cluster *v1alpha1.Cluster, category v1alpha1.ComponentCategory, from *v1alpha1.Component) []ownField {
	texts, _ := givenSettings(cluster, category, from)
	var fields []ownField
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if said := texts[name]; said.text != "" && !said.implied {
			fields = append(fields, ownField{setting: name, at: said.at})
		}
	}
	return fields
}
