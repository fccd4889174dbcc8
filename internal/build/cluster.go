package build

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/version"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// ClusterFacts are the facts about the components of a cluster.
type ClusterFacts struct {
	// Components of the cluster, in the order of their names.
	Components []ComponentPlan
	// Leaving are the components in the status that the cluster is no longer to
	// have. As long as the status lists them, the plan permits Argo CD to remove
	// them.
	Leaving []v1alpha1.ComponentStatus
}

// ComponentPlan is a component of a cluster.
type ComponentPlan struct {
	catalogue.Component
	// Application that installs the component; empty for an external one.
	Application string
	// WaitsFor lists the prerequisites that are missing before it is installed or
	// changed: the components before it, the connection, a supported version.
	WaitsFor []string
}

// Cluster returns the desired state of a registered cluster. Its sets, in order:
// the namespace of a virtual cluster on its host; the needs of the components on
// the cluster itself; the connection to the cluster and the Applications of its
// components in the tenant's Argo CD; and its auth mount in Vault, if its accounts
// can log in there. A cluster that is being deleted has the same sets, empty.
//
// A *snapshot.MissingError names a host that does not exist. Any other error is
// about the cluster's choice of components, which package validate refuses too.
func Cluster(s *snapshot.Snapshot, c *v1alpha1.Cluster) (Result[ClusterFacts], error) {
	b := newCluster(s, c)
	if !c.DeletionTimestamp.IsZero() {
		return b.result(), nil
	}
	if err := b.build(); err != nil {
		return Result[ClusterFacts]{}, err
	}
	return b.result(), nil
}

// build adds everything.
func (b *cluster) build() error {
	if b.Name == inClusterName {
		return fmt.Errorf("%s: Argo CD calls the cluster that it runs on %s: register the cluster under another name", b.source, b.Name)
	}
	if b.virtual() {
		if b.hostCluster = b.snap.HostOf(b.Cluster); b.hostCluster == nil {
			return missing("Cluster", b.snap.Namespace, b.Spec.HostCluster, b.source)
		}
	}
	components, wrong := b.snap.ClusterComponents(b.Cluster)
	if err := wrong.ToAggregate(); err != nil {
		return fmt.Errorf("%s: %w", b.source, err)
	}
	b.choose(components)
	b.addHost()
	b.addOwn()
	if err := b.addTenant(); err != nil {
		return fmt.Errorf("%s: %w", b.source, err)
	}
	b.addAuthMount()
	return nil
}

// cluster builds the plan of a registered cluster.
type cluster struct {
	snap *snapshot.Snapshot
	*v1alpha1.Cluster
	// hostCluster carries a virtual cluster.
	hostCluster *v1alpha1.Cluster
	source      plan.Ref

	components []ComponentPlan
	leaving    []v1alpha1.ComponentStatus

	own, tenant *set
	// host and vault are nil where the cluster can have nothing.
	host, vault *set
}

func newCluster(s *snapshot.Snapshot, c *v1alpha1.Cluster) *cluster {
	owner := ClusterOwner(c)
	b := &cluster{
		snap: s, Cluster: c, source: snapshot.RefOf(c),
		own:    newSet(s.Tenant, owner, plan.Cluster(c.Name)),
		tenant: newSet(s.Tenant, owner, plan.Tenant),
	}
	if b.virtual() {
		b.host = newSet(s.Tenant, owner, plan.Cluster(c.Spec.HostCluster))
	}
	if hasAccess(s, c) {
		b.vault = newSet(s.Tenant, owner, plan.Vault(c.Name))
	}
	return b
}

func (b *cluster) virtual() bool { return b.Spec.ClusterType == v1alpha1.ClusterVirtual }

// hasAccess reports whether accounts of a cluster can log in to Vault.
func hasAccess(s *snapshot.Snapshot, c *v1alpha1.Cluster) bool {
	return s.Settings.Vault != nil && c.Spec.Usage == v1alpha1.UsageWorker
}

// choose sets the components of the cluster, with the prerequisites of each, and the
// components that are to be removed.
func (b *cluster) choose(components []catalogue.Component) {
	var before []string
	for _, component := range components {
		if component.OnHost {
			before = append(before, component.Name)
		}
	}
	for _, component := range components {
		chosen := ComponentPlan{Component: component}
		if !component.External {
			chosen.Application = b.applicationName(component.Choice)
		}
		after := slices.Clone(component.After)
		if !component.OnHost {
			// Nothing can be installed on a virtual cluster before it exists.
			after = append(after, before...)
		}
		for _, name := range after {
			i := slices.IndexFunc(components, func(other catalogue.Component) bool { return other.Name == name })
			if i >= 0 && !componentReady(b.Cluster, components[i].Choice) && !slices.Contains(chosen.WaitsFor, name) {
				chosen.WaitsFor = append(chosen.WaitsFor, name)
			}
		}
		slices.Sort(chosen.WaitsFor)
		if !component.OnHost && !component.External {
			chosen.WaitsFor = append(chosen.WaitsFor, b.unmet()...)
		}
		b.components = append(b.components, chosen)
	}
	for _, status := range b.Status.Components {
		known := slices.ContainsFunc(components, func(c catalogue.Component) bool { return c.Name == status.Name })
		if !known && status.Application != "" {
			b.leaving = append(b.leaving, status)
		}
	}
}

// unmet lists the prerequisites that every component lacks: the cluster was never
// connected, or its version is too old.
func (b *cluster) unmet() []string {
	connection := b.Status.Connection
	switch {
	case connection == nil:
		return []string{"the connection to the cluster"}
	case !VersionSupported(b.snap, connection.Version):
		return []string{"a supported version of Kubernetes"}
	}
	return nil
}

// VersionSupported reports whether components can be installed on a cluster that
// reports a version, for example v1.34.4. A version that cannot be parsed is taken
// as supported.
func VersionSupported(s *snapshot.Snapshot, have string) bool {
	found, err := version.ParseGeneric(have)
	if err != nil {
		return true
	}
	minimum, err := version.ParseGeneric(s.Catalogue().MinimumKubernetesVersion())
	return err != nil || !found.LessThan(minimum)
}

func (b *cluster) applicationName(component catalogue.Choice) string {
	if component.OnHost {
		return names.VirtualClusterApplication(b.Name, b.Spec.HostCluster, component.Name)
	}
	return names.ComponentApplication(b.Name, component.Name)
}

// componentReady reports whether other objects can rely on a component of a cluster.
func componentReady(c *v1alpha1.Cluster, component catalogue.Choice) bool {
	return component.External || slices.ContainsFunc(c.Status.Components, func(status v1alpha1.ComponentStatus) bool {
		return status.Name == component.Name &&
			(status.State == v1alpha1.ComponentReady || status.State == v1alpha1.ComponentExternal)
	})
}

// addHost adds the namespace of a virtual cluster on its host. It keeps the
// namespace of a virtual cluster that Nautes does not install.
func (b *cluster) addHost() {
	if b.host == nil {
		return
	}
	managed := false
	for _, component := range b.components {
		if component.OnHost && !component.External {
			managed = true
			b.addSecrets(b.host, component)
		}
	}
	if managed {
		b.host.add(plan.StageNamespace, namespaceKind, namespace(b.Name), b.source)
	} else {
		b.host.keep(namespaceKind, "", b.Name)
	}
}

// addAuthMount lets accounts of the cluster log in to Vault.
func (b *cluster) addAuthMount() {
	if b.vault == nil {
		return
	}
	kubeconfig := KubeconfigRef(b.Cluster)
	b.vault.addBody(plan.StageConfig, plan.VaultMountID(b.Name), plan.VaultMount{
		Path:     b.Name,
		Host:     b.Spec.APIServer,
		CA:       plan.SecretValue{Key: "ca", Ref: kubeconfig, Field: KubeconfigField, Format: plan.FormatKubeconfigCA},
		Reviewer: reviewer(b.Name),
	}, b.source)
}

func (b *cluster) result() Result[ClusterFacts] {
	result := Result[ClusterFacts]{Facts: ClusterFacts{Components: b.components, Leaving: b.leaving}}
	for _, set := range []*set{b.host, b.own, b.tenant, b.vault} {
		if set != nil {
			result.Sets = append(result.Sets, set.done())
		}
	}
	return result
}
