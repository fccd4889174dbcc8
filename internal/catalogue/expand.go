package catalogue

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
)

// For returns the components of a cluster with everything expanded, in the order
// of their names. host carries a virtual cluster; it is nil for a physical one
// and while it does not exist.
//
// The choices of the cluster must match the catalogue. If there are errors, it returns
// no components; the paths are fields of the Cluster. The default of a setting
// httpsPort is the HTTPS node port of the cluster's gateway, or of its host's.
func (c *Catalogue) For(cluster, host *v1alpha1.Cluster, f Facts) ([]Component, field.ErrorList) {
	choices, errs := c.choose(cluster)
	known := newReferences(cluster, f)
	httpsPort := c.httpsPort(cluster, known)
	if httpsPort == 0 && host != nil {
		httpsPort = c.httpsPort(host, newReferences(host, f))
	}
	made := make([]Component, 0, len(choices))
	for _, one := range choices {
		refs := known.of(one)
		settings, wrong := readSettings(cluster, one, httpsPort, refs.value)
		errs = append(errs, wrong...)
		refs.settings = settings
		expanded, err := one.expand(cluster, settings, refs.value)
		if err != nil {
			errs = append(errs, field.InternalError(choicePath(one.component.spec.Category), err))
		}
		expanded.After = one.after(choices)
		made = append(made, expanded)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return made, nil
}

// httpsPort returns the HTTPS node port of a cluster's gateway, or 0 if it has none.
func (c *Catalogue) httpsPort(cluster *v1alpha1.Cluster, known references) int64 {
	gateway, err := c.chooseOne(cluster, v1alpha1.CategoryGateway)
	if err != nil || gateway.component == nil {
		return 0
	}
	settings, _ := readSettings(cluster, gateway, 0, known.of(gateway).value)
	port, _ := settings[settingHTTPSNodePort].(int64)
	return port
}

// references has the values of the references of a component on one cluster.
type references struct {
	cluster                      *v1alpha1.Cluster
	apiServerHost, primaryDomain string
	component, namespace         string
	settings                     map[string]any
	facts                        Facts
}

func newReferences(cluster *v1alpha1.Cluster, f Facts) references {
	return references{
		cluster: cluster, facts: f,
		apiServerHost: apiServerHost(cluster.Spec.APIServer), primaryDomain: PrimaryDomain(cluster),
	}
}

// of returns the references of one component, still without settings.
func (r references) of(one selection) *references {
	r.component, r.namespace = one.component.spec.Name, one.namespace(r.cluster)
	return &r
}

// The references whose values are an object and a list. In a longer text they are empty.
const (
	gitCertificates     = "git.certificates"
	gitProxyEnvironment = "git.proxyEnvironment"
)

// proxyEnvironment has git trust the authorities of proxies, in a container of Argo CD,
// which mounts the certificates at this path. Argo CD gives git the ones of the host only.
func proxyEnvironment() []any {
	return []any{map[string]any{"name": "GIT_PROXY_SSL_CAINFO", "value": "/app/config/tls/" + ProxyAuthorities}}
}

// value is a lookup. It returns nil for an empty value.
func (r *references) value(name string) any {
	if setting, ok := strings.CutPrefix(name, "settings."); ok {
		return r.settings[setting]
	}
	if name == gitCertificates && len(r.facts.GitCertificates) > 0 {
		certificates := make(map[string]any, len(r.facts.GitCertificates))
		for host, pem := range r.facts.GitCertificates {
			certificates[host] = pem
		}
		return certificates
	}
	if name == gitProxyEnvironment && r.facts.GitCertificates[ProxyAuthorities] != "" {
		return proxyEnvironment()
	}
	if text := r.text(name); text != "" {
		return text
	}
	return nil
}

func (r *references) text(name string) string {
	switch name {
	case "cluster.name":
		return r.cluster.Name
	case "cluster.apiServer":
		return r.cluster.Spec.APIServer
	case "cluster.apiServerHost":
		return r.apiServerHost
	case "cluster.primaryDomain":
		return r.primaryDomain
	case "cluster.hostCluster":
		return r.cluster.Spec.HostCluster
	case "component.name":
		return r.component
	case "component.namespace":
		return r.namespace
	case "tenant.name":
		return r.facts.Tenant
	case "vault.address":
		return r.facts.VaultAddress
	case "vault.caBundle":
		return r.facts.VaultCABundle
	case "vault.namespace":
		return r.facts.VaultNamespace
	case "git.knownHosts":
		return r.facts.GitKnownHosts
	case "vault.authMount":
		return r.cluster.Name
	}
	return ""
}

// after returns the components that this one waits for. They are in the same place,
// the cluster itself or its host.
func (c selection) after(all []selection) []string {
	var names []string
	for _, before := range c.component.spec.After {
		if slices.ContainsFunc(all, func(other selection) bool {
			return other.component.spec.Name == before && other.component.onHost == c.component.onHost
		}) {
			names = append(names, before)
		}
	}
	slices.Sort(names)
	return names
}

// expand returns the component for a cluster. An external one has only the fields that
// other components depend on.
func (c selection) expand(cluster *v1alpha1.Cluster, settings map[string]any, find lookup) (Component, error) {
	spec := c.component.spec
	made := Component{Choice: c.choice(cluster), Settings: settings}
	if made.External {
		return made, nil
	}
	made.Namespaces = slices.Clone(spec.Namespaces)
	made.ClusterResources = slices.Clone(c.component.kinds)
	for _, secret := range spec.Secrets {
		secret.Keys = slices.Clone(secret.Keys)
		made.Secrets = append(made.Secrets, secret)
	}
	if spec.Ingress != nil {
		if name, ok := settings[spec.Ingress.HostSetting].(string); ok {
			made.Ingress = &Ingress{Host: name, Service: spec.Ingress.Service, Port: spec.Ingress.Port, Protected: spec.Ingress.Protected}
		}
	}
	for _, one := range c.component.sources {
		expanded, err := one.expand(find)
		if err != nil {
			return made, err
		}
		made.Sources = append(made.Sources, expanded)
	}
	return made, nil
}

func (s source) expand(find lookup) (Source, error) {
	made := Source{
		Name: s.spec.Name, RepoURL: s.spec.RepoURL, Chart: s.spec.Chart, Path: s.spec.Path, TargetRevision: s.spec.TargetRevision,
	}
	if s.values != nil {
		values, _ := expand(s.values, find)
		made.Values, _ = values.(map[string]any)
	}
	for _, one := range s.patches {
		operations, err := one.expand(find)
		if err != nil {
			return made, fmt.Errorf("a patch of %s: %w", s.spec.Name, err)
		}
		if operations != nil {
			made.Patches = append(made.Patches, Patch{Kind: one.kind, Name: one.name, Operations: operations})
		}
	}
	return made, nil
}

// expand returns the encoded operations, or nil if none is left. It leaves out an
// operation whose whole value is not set.
func (p patch) expand(find lookup) ([]byte, error) {
	type encoded struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value,omitempty"`
	}
	var operations []encoded
	for _, one := range p.operations {
		made := encoded{Op: one.op, Path: one.path}
		if one.value != nil {
			value, set := expand(one.value, find)
			if !set {
				continue
			}
			made.Value = value
		}
		operations = append(operations, made)
	}
	if operations == nil {
		return nil, nil
	}
	return json.Marshal(operations)
}
