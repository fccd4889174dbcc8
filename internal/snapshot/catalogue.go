package snapshot

import (
	"cmp"
	"maps"
	"sync"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
)

// effectiveCatalogue is a catalogue with indexes of the properties that are looked
// up often.
type effectiveCatalogue struct {
	catalogue *catalogue.Catalogue
	// errors of the tenant's catalogue; if there are any, the built-in one is used.
	errors field.ErrorList
	// homes maps the namespaces that components run in by default to the components,
	// owners all namespaces that they write to.
	homes, owners map[string]string
	// ports are the settings of each component that are node ports.
	ports map[string][]v1alpha1.ComponentSetting
}

// readOnce returns a function that parses a catalogue when it is first called, or
// the built-in one for nil.
func readOnce(c *v1alpha1.ComponentCatalogue) func() *effectiveCatalogue {
	return sync.OnceValue(func() *effectiveCatalogue { return readCatalogue(c) })
}

func readCatalogue(c *v1alpha1.ComponentCatalogue) *effectiveCatalogue {
	e := &effectiveCatalogue{homes: map[string]string{}, owners: map[string]string{}, ports: map[string][]v1alpha1.ComponentSetting{}}
	if c != nil {
		e.catalogue, e.errors = catalogue.Effective(&c.Spec)
	}
	if c == nil || len(e.errors) > 0 {
		e.catalogue = catalogue.Builtin()
	}
	for _, name := range e.catalogue.Names() {
		component := e.catalogue.Component(name)
		if component.Namespace != "" {
			e.homes[component.Namespace] = cmp.Or(e.homes[component.Namespace], name)
		}
		for _, namespace := range component.Namespaces {
			e.owners[namespace] = cmp.Or(e.owners[namespace], name)
		}
		for _, setting := range component.Settings {
			if setting.Type == v1alpha1.SettingPort {
				e.ports[name] = append(e.ports[name], setting)
			}
		}
	}
	// A component that runs in a namespace takes precedence.
	maps.Copy(e.owners, e.homes)
	return e
}

// Catalogue returns the components that clusters can have: the built-in
// catalogue with the changes of the tenant. While the tenant's catalogue is invalid
// (CatalogueErrors), it is the built-in one.
func (s *Snapshot) Catalogue() *catalogue.Catalogue { return s.effective().catalogue }

// CatalogueErrors returns the errors of the tenant's catalogue, with the fields of
// the ComponentCatalogue.
func (s *Snapshot) CatalogueErrors() field.ErrorList { return s.effective().errors }

// ClusterComponents returns the components of a cluster with everything expanded, in the
// order of their names. It returns the errors of the choices with the fields of the
// Cluster. While the tenant's catalogue is invalid there are no components, only an
// error that says so.
func (s *Snapshot) ClusterComponents(c *v1alpha1.Cluster) ([]catalogue.Component, field.ErrorList) {
	if len(s.CatalogueErrors()) > 0 {
		return nil, field.ErrorList{field.Invalid(field.NewPath("spec", "componentsList"), field.OmitValueType{},
			RefOf(s.ComponentCatalogue()).String()+" is invalid, so nothing is changed on the cluster: correct the catalogue")}
	}
	facts := catalogue.Facts{Tenant: s.Tenant}
	facts.GitCertificates, facts.GitKnownHosts = s.GitTrust()
	if vault := s.Settings.Vault; vault != nil {
		facts.VaultAddress, facts.VaultCABundle, facts.VaultNamespace = vault.Address, vault.CABundle, vault.Namespace
	}
	return s.Catalogue().For(c, s.HostOf(c), facts)
}

// HostOf returns the cluster that carries a virtual one, or nil if c is not virtual
// or its host does not exist.
func (s *Snapshot) HostOf(c *v1alpha1.Cluster) *v1alpha1.Cluster {
	if c.Spec.ClusterType != v1alpha1.ClusterVirtual {
		return nil
	}
	return s.Cluster(c.Spec.HostCluster)
}
