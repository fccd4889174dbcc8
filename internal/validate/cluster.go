package validate

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
)

func (c *checker) cluster(cluster, before *v1alpha1.Cluster) {
	c.ofTenant(cluster)
	if cluster.Name == c.s.Tenant {
		c.fail(RuleClusterName, v1alpha1.ReasonInvalid, field.NewPath("metadata", "name"), cluster.Name,
			"%s is the tenant itself, whose accounts log in to the secret store under that name: use another name", cluster.Name)
	}
	if twin := c.s.ClusterTwin(cluster); twin != nil {
		c.fail(RuleClusterTwin, v1alpha1.ReasonInvalid, field.NewPath("spec", "apiServer"), cluster.Spec.APIServer,
			"%s is the same cluster: delete one of the two", snapshot.RefOf(twin))
	}
	c.hostCluster(cluster)
	c.clusterInUse(cluster, before)
	_, wrong := c.s.ClusterComponents(cluster)
	c.take(RuleComponents, v1alpha1.ReasonInvalid, wrong)
	// While the tenant's catalogue is invalid, the components of a cluster are unknown.
	if len(c.s.CatalogueErrors()) == 0 {
		c.nodePorts(cluster, before)
		c.idleFields(cluster)
		c.reservedNamespaces(cluster)
	}
	c.allowedResources(cluster)
}

func (c *checker) hostCluster(cluster *v1alpha1.Cluster) {
	name := cluster.Spec.HostCluster
	if name == "" {
		return
	}
	at := field.NewPath("spec", "hostCluster")
	host := c.s.Cluster(name)
	switch {
	case name == cluster.Name:
		c.fail(RuleHostCluster, v1alpha1.ReasonInvalid, at, name, "a cluster cannot carry itself: name the cluster that hosts it")
	case host == nil:
		c.missing(at, "Cluster", c.s.Namespace, name)
	case host.Spec.Usage != v1alpha1.UsageHost:
		c.fail(RuleClusterKind, v1alpha1.ReasonInvalid, at, name, "Cluster %s is a %s: name a cluster whose usage is host", name, host.Spec.Usage)
	default:
		c.hostNamespace(cluster, host)
	}
}

// hostNamespace refuses a virtual cluster whose namespace on the host, which has its
// name, belongs to others.
func (c *checker) hostNamespace(cluster, host *v1alpha1.Cluster) {
	at := field.NewPath("metadata", "name")
	if snapshot.SystemNamespace(cluster.Name) {
		c.fail(RuleSystemNamespace, v1alpha1.ReasonInvalid, at, cluster.Name,
			"a virtual cluster is in the namespace of its name on the host, and namespace %s is reserved: use a name that is neither default nor begins with kube- or product-", cluster.Name)
		return
	}
	if owner := c.s.ComponentNamespace(host, cluster.Name); owner != "" {
		c.fail(RuleComponentNamespace, v1alpha1.ReasonInvalid, at, cluster.Name,
			"a virtual cluster is in the namespace of its name on the host, and namespace %s belongs to the component %s: use another name", cluster.Name, owner)
	}
}

// clusterInUse refuses to change the identity of a cluster that is in use: the
// identity on record if it has been registered, or the one in its spec before the
// change.
func (c *checker) clusterInUse(cluster, before *v1alpha1.Cluster) {
	is := cluster.Identity()
	was := is
	switch {
	case cluster.Status.Registered != nil:
		was = *cluster.Status.Registered
		was.ClusterKind = cmp.Or(was.ClusterKind, is.ClusterKind)
	case before != nil:
		was = before.Identity()
	}
	if was == is {
		return
	}
	users := c.s.UsersOf(cluster)
	if len(users) == 0 {
		return
	}
	for _, f := range []struct{ name, was, is string }{
		{"clusterKind", was.ClusterKind, is.ClusterKind},
		{"clusterType", string(was.ClusterType), string(is.ClusterType)},
		{"usage", string(was.Usage), string(is.Usage)},
		{"workerType", string(was.WorkerType), string(is.WorkerType)},
		{"hostCluster", was.HostCluster, is.HostCluster},
	} {
		if f.was != f.is {
			c.fail(RuleInUse, v1alpha1.ReasonInUse, field.NewPath("spec", f.name), f.is,
				"%s cannot change from %q while the cluster is used by %s: undo the change, or delete these first", f.name, f.was, listRefs(users))
		}
	}
}

// nodePorts refuses ports that another cluster has on the same physical one. The
// older cluster has a port, unless this change brings it there: then the port stays
// with its present holder.
func (c *checker) nodePorts(cluster, before *v1alpha1.Cluster) {
	physical := cluster.Name
	if cluster.Spec.ClusterType == v1alpha1.ClusterVirtual {
		physical = cluster.Spec.HostCluster
	}
	uses := c.s.NodePorts(physical)
	had := c.portsBefore(physical, cluster, before)
	for i, use := range uses {
		if use.Cluster.Name != cluster.Name {
			continue
		}
		k := slices.IndexFunc(uses, func(other snapshot.PortUse) bool {
			return other.Port == use.Port && other.Cluster.Name != cluster.Name &&
				(snapshot.Older(other.Cluster, cluster) || !had[use.Port])
		})
		if k >= 0 {
			c.fail(RulePortTaken, v1alpha1.ReasonPortTaken, field.NewPath(use.Field), use.Port,
				"%s has the node port %d of cluster %s already, by its %s: use another port",
				snapshot.RefOf(uses[k].Cluster), use.Port, physical, uses[k].Field)
			continue
		}
		// The catalogue refuses the same port within one component.
		k = slices.IndexFunc(uses[:i], func(other snapshot.PortUse) bool {
			return other.Port == use.Port && other.Cluster.Name == cluster.Name && other.Component != use.Component
		})
		if k >= 0 {
			c.fail(RulePortTwice, v1alpha1.ReasonInvalid, field.NewPath(use.Field), use.Port,
				"%s takes the node port %d already: use another port", uses[k].Field, use.Port)
		}
	}
}

// portsBefore returns the ports that a cluster had on a physical one before the
// change, or all that it has if there is no change.
func (c *checker) portsBefore(physical string, cluster, before *v1alpha1.Cluster) map[int32]bool {
	s := c.s
	if before != nil && !equality.Semantic.DeepEqual(before.Spec, cluster.Spec) {
		s = s.With(before)
	}
	had := map[int32]bool{}
	for _, use := range s.NodePorts(physical) {
		if use.Cluster.Name == cluster.Name {
			had[use.Port] = true
		}
	}
	return had
}

// idleFields warns of fields that have no effect on such a cluster.
func (c *checker) idleFields(cluster *v1alpha1.Cluster) {
	for _, idle := range c.s.Catalogue().IdleFields(cluster) {
		c.warn(idle.At, "it has no effect: %s", idle.Why)
	}
}

// carriesNoProducts reports whether a grant to products, of which there are some at a
// path, has no effect on a cluster. It warns of it.
func (c *checker) carriesNoProducts(at *field.Path, cluster *v1alpha1.Cluster, grants int) bool {
	if cluster.Spec.Usage != v1alpha1.UsageHost {
		return false
	}
	if grants > 0 {
		c.warn(at, "it has no effect: a host cluster carries no products: remove the field, or set it on the clusters on the host")
	}
	return true
}

func (c *checker) reservedNamespaces(cluster *v1alpha1.Cluster) {
	at := field.NewPath("spec", "reservedNamespacesAllowedProducts")
	reserved := cluster.Spec.ReservedNamespacesAllowedProducts
	idle := c.carriesNoProducts(at, cluster, len(reserved))
	for _, key := range slices.Sorted(maps.Keys(reserved)) {
		namespace, known := c.s.Reserved(cluster, key)
		switch {
		case !known:
			c.fail(RuleComponents, v1alpha1.ReasonInvalid, at.Key(key), key,
				"%q is no component: use the name or the namespace of one of %s", key, strings.Join(c.s.Catalogue().Names(), ", "))
			continue
		case idle:
			continue
		case namespace == "":
			c.warn(at.Key(key), "the component is not on this cluster, so the entry has no effect: remove it")
		}
		for _, name := range reserved[key] {
			c.grantee(cluster, at.Key(key), name)
		}
	}
}

func (c *checker) allowedResources(cluster *v1alpha1.Cluster) {
	at := field.NewPath("spec", "productAllowedClusterResources")
	allowed := cluster.Spec.ProductAllowedClusterResources
	idle := c.carriesNoProducts(at, cluster, len(allowed))
	for _, name := range slices.Sorted(maps.Keys(allowed)) {
		if !idle {
			c.grantee(cluster, at.Key(name), name)
		}
		for i, resource := range allowed[name] {
			switch {
			case snapshot.Pattern(resource):
				c.fail(RulePattern, v1alpha1.ReasonInvalid, at.Key(name).Index(i), resource,
					"a pattern would grant more than it says: list each kind and group by name")
			case snapshot.MisgroupedRBAC(resource) && !idle:
				c.warn(at.Key(name).Index(i), "%s is in the group rbac.authorization.k8s.io, not in authorization.k8s.io; it is granted for both", resource.Kind)
			}
		}
	}
}

// grantee warns of a grant to a product that does not exist.
func (c *checker) grantee(cluster *v1alpha1.Cluster, at *field.Path, name string) {
	if id, resolved := cluster.Status.ProductIDMap[name]; resolved {
		if p := c.s.Product(id); p == nil || p.Spec.Name != name {
			c.warn(at, "%s was granted to the product %s, which is gone or has another name; remove the entry and add it again to grant it to a new product", name, id)
		}
		return
	}
	if c.s.ProductByName(name) == nil {
		c.warn(at, "there is no product %s yet; the entry takes effect when there is", name)
	}
}
