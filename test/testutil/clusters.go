package testutil

import (
	"nautes.io/nautes/api/v1alpha1"
)

// guideAddress is where the clusters of the user guide are.
const guideAddress = "8.217.50.114"

// GuideClusters returns the five clusters that the user guide registers, by the
// names that it gives them. The virtual ones are on cluster-host.
func GuideClusters() []*v1alpha1.Cluster {
	ports := func(c *v1alpha1.Cluster) {
		c.Spec.Traefik = &v1alpha1.TraefikSpec{HTTPNodePort: "30080", HTTPSNodePort: "30443"}
	}
	clusters := []*v1alpha1.Cluster{
		Cluster("physical-worker-pipeline", PipelineWorker, ports),
		Cluster("physical-worker-deployment", ports),
		Cluster("cluster-host", HostCluster, ports),
		Cluster("virtual-worker-pipeline", VirtualCluster("cluster-host", "31456"), PipelineWorker),
		Cluster("virtual-worker-deployment", VirtualCluster("cluster-host", "31457")),
	}
	for _, c := range clusters {
		c.Spec.APIServer = "https://" + guideAddress + ":6443"
		if c.Spec.VCluster != nil {
			c.Spec.APIServer = "https://" + guideAddress + ":" + c.Spec.VCluster.HTTPSNodePort
		}
		c.Spec.PrimaryDomain = guideAddress + ".nip.io"
		if c.Spec.Usage == v1alpha1.UsageWorker {
			c.Spec.ArgoCDHost = "argocd." + c.Name + "." + c.Spec.PrimaryDomain
		}
		if c.Spec.WorkerType == v1alpha1.WorkerTypePipeline {
			c.Spec.TektonHost = "tekton." + c.Name + "." + c.Spec.PrimaryDomain
		}
	}
	return clusters
}
