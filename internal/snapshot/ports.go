package snapshot

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/references"
)

// Kubernetes gives Services node ports of this range unless its API server is
// configured otherwise.
const (
	firstNodePort = 30000
	lastNodePort  = 32767
)

// PortUse is a node port that a cluster takes, on itself or on its host.
type PortUse struct {
	// Port number.
	Port int32
	// Cluster that takes the port.
	Cluster *v1alpha1.Cluster
	// Component that listens, and Field of the Cluster that sets the port, or
	// would if the default were not used, for example spec.traefik.httpNodePort.
	Component, Field string
}

// NodePorts returns the node ports that are taken on a physical cluster, by port and then
// the older cluster first. Its own components take ports, and the virtual clusters that
// it carries or that are about to leave it. Clusters that are being deleted keep their
// ports until they are gone. Ports outside of the range of node ports, and ports of
// external components, are left out.
func (s *Snapshot) NodePorts(physical string) []PortUse {
	return slices.Clone(s.ports()[physical])
}

func (s *Snapshot) allPorts() map[string][]PortUse {
	ports := map[string][]PortUse{}
	for _, c := range s.clusters.byNamespace[s.Namespace] {
		uses := s.portsOf(c)
		for _, physical := range references.Carriers(c) {
			ports[physical] = append(ports[physical], uses...)
		}
	}
	for _, uses := range ports {
		slices.SortFunc(uses, func(a, b PortUse) int {
			return cmp.Or(cmp.Compare(a.Port, b.Port), compareAge(a.Cluster, b.Cluster), strings.Compare(a.Field, b.Field))
		})
	}
	return ports
}

func (s *Snapshot) portsOf(c *v1alpha1.Cluster) []PortUse {
	var uses []PortUse
	for _, component := range s.Choices(c) {
		if component.External {
			continue
		}
		for _, setting := range s.effective().ports[component.Name] {
			value, field := portSetting(c, component, setting)
			// A text that is no number gives a port out of the range.
			if port, _ := strconv.ParseInt(value, 10, 32); port >= firstNodePort && port <= lastNodePort {
				uses = append(uses, PortUse{Port: int32(port), Cluster: c, Component: component.Name, Field: field})
			}
		}
	}
	return uses
}

// portSetting returns the text of a port as a cluster sets it, and the field
// that sets it.
func portSetting(c *v1alpha1.Cluster, component catalogue.Choice, setting v1alpha1.ComponentSetting) (value, field string) {
	own := map[string]string{}
	switch {
	case component.Category == v1alpha1.CategoryGateway && c.Spec.Traefik != nil:
		own["traefik.httpNodePort"], own["traefik.httpsNodePort"] = c.Spec.Traefik.HTTPNodePort, c.Spec.Traefik.HTTPSNodePort
	case component.Category == v1alpha1.CategoryVirtualCluster && c.Spec.VCluster != nil:
		own["vcluster.httpsNodePort"] = c.Spec.VCluster.HTTPSNodePort
	}
	for name, value := range own {
		if strings.HasSuffix(name, "."+setting.Name) && value != "" {
			return value, "spec." + name
		}
	}
	addition := "spec.componentsList." + string(component.Category) + ".additions[" + setting.Name + "]"
	if chosen := c.Spec.ComponentsList.Chosen(component.Category); chosen != nil && chosen.Additions[setting.Name] != "" {
		return chosen.Additions[setting.Name], addition
	}
	if component.Category == v1alpha1.CategoryVirtualCluster && setting.Name == "httpsNodePort" {
		if server, err := url.Parse(c.Spec.APIServer); err == nil {
			return server.Port(), "spec.apiServer"
		}
	}
	return setting.Default, addition
}
