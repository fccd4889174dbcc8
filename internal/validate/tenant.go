package validate

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
)

func (c *checker) product(p *v1alpha1.Product) {
	c.ofTenant(p)
	at := field.NewPath("spec", "name")
	if !snapshot.ValidGroup(p.Spec.Name) {
		c.fail(v1alpha1.ReasonInvalid, at, p.Spec.Name,
			"it is not the path of a group: use letters, digits, '.', '_' and '-', groups separated by '/'")
		return
	}
	if first := c.s.ProductByName(p.Spec.Name); first != nil && first.Name != p.Name {
		c.fail(v1alpha1.ReasonInvalid, at, p.Spec.Name,
			"%s is the product of the group %s already: delete one of the two, or name another group", snapshot.RefOf(first), p.Spec.Name)
	}
}

func (c *checker) productProvider(p *v1alpha1.ProductProvider) {
	c.ofTenant(p)
	if c.s.CodeRepoProvider(p.Spec.Name) == nil {
		c.missing(field.NewPath("spec", "name"), "CodeRepoProvider", c.s.Namespace, p.Spec.Name)
	}
}

func (c *checker) codeRepoProvider(p *v1alpha1.CodeRepoProvider) {
	c.ofTenant(p)
	if p.Spec.SSHAddress == "" && p.Spec.HTTPAddress == "" {
		c.fail(v1alpha1.ReasonInvalid, field.NewPath("spec", "httpAddress"), "",
			"the provider has no address that repositories are cloned from: set spec.sshAddress or spec.httpAddress")
	}
	for _, address := range []struct{ name, value string }{
		{"httpAddress", p.Spec.HTTPAddress}, {"sshAddress", p.Spec.SSHAddress},
	} {
		if address.value == "" {
			continue
		}
		if err := snapshot.CheckAddress(address.value); err != nil {
			// The value is left out: it may hold a credential.
			c.fail(v1alpha1.ReasonInvalid, field.NewPath("spec", address.name), field.OmitValueType{}, "%s", err)
		}
	}
}

func (c *checker) cluster(cluster, old *v1alpha1.Cluster) {
	c.ofTenant(cluster)
	if twin := c.s.ClusterTwin(cluster); twin != nil {
		c.fail(v1alpha1.ReasonInvalid, field.NewPath("spec", "apiServer"), cluster.Spec.APIServer,
			"%s is the same cluster: delete one of the two", snapshot.RefOf(twin))
	}
	c.hostCluster(cluster)
	if old != nil {
		c.clusterInUse(cluster, old)
	}
	c.reservedNamespaces(cluster)
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
		c.fail(v1alpha1.ReasonInvalid, at, name, "a cluster cannot carry itself: name the cluster that hosts it")
	case host == nil:
		c.missing(at, "Cluster", c.s.Namespace, name)
	case host.Spec.Usage != v1alpha1.UsageHost:
		c.fail(v1alpha1.ReasonInvalid, at, name, "Cluster %s is a %s: name a cluster whose usage is host", name, host.Spec.Usage)
	}
}

// clusterInUse refuses to make another kind of cluster of one that is in use.
func (c *checker) clusterInUse(cluster, old *v1alpha1.Cluster) {
	before, after := old.Spec, cluster.Spec
	var changed []string
	for _, f := range []struct {
		name  string
		equal bool
	}{
		{"clusterKind", before.ClusterKind == after.ClusterKind},
		{"clusterType", before.ClusterType == after.ClusterType},
		{"usage", before.Usage == after.Usage},
		{"workerType", before.WorkerType == after.WorkerType},
		{"hostCluster", before.HostCluster == after.HostCluster},
	} {
		if !f.equal {
			changed = append(changed, f.name)
		}
	}
	if len(changed) == 0 {
		return
	}
	users := c.s.UsersOf(cluster)
	if len(users) == 0 {
		return
	}
	for _, name := range changed {
		c.fail(v1alpha1.ReasonInUse, field.NewPath("spec", name), "",
			"%s cannot change while the cluster is used by %s: undo the change, or delete these first", name, listRefs(users))
	}
}

func (c *checker) reservedNamespaces(cluster *v1alpha1.Cluster) {
	at := field.NewPath("spec", "reservedNamespacesAllowedProducts")
	reserved := cluster.Spec.ReservedNamespacesAllowedProducts
	for _, key := range slices.Sorted(maps.Keys(reserved)) {
		namespace, known := snapshot.Reserved(cluster, key)
		switch {
		case !known:
			var names []string
			for _, component := range snapshot.Catalogue() {
				names = append(names, component.Name)
			}
			c.fail(v1alpha1.ReasonInvalid, at.Key(key), key,
				"%q is no component: use the name or the namespace of one of %s", key, strings.Join(names, ", "))
			continue
		case namespace == "":
			c.warn("%s: the component is not on this cluster, so the entry has no effect", at.Key(key))
		}
		for _, name := range reserved[key] {
			c.grantee(cluster, at.Key(key), name)
		}
	}
}

func (c *checker) allowedResources(cluster *v1alpha1.Cluster) {
	at := field.NewPath("spec", "productAllowedClusterResources")
	allowed := cluster.Spec.ProductAllowedClusterResources
	for _, name := range slices.Sorted(maps.Keys(allowed)) {
		c.grantee(cluster, at.Key(name), name)
		for i, resource := range allowed[name] {
			switch {
			case snapshot.Pattern(resource):
				c.fail(v1alpha1.ReasonInvalid, at.Key(name).Index(i), resource,
					"a pattern would grant more than it says: list each kind and group by name")
			case snapshot.MisgroupedRBAC(resource):
				c.warn("%s: %s is in the group rbac.authorization.k8s.io, not in authorization.k8s.io; it is granted for both",
					at.Key(name).Index(i), resource.Kind)
			}
		}
	}
}

// grantee warns of a product that is granted something and does not exist.
func (c *checker) grantee(cluster *v1alpha1.Cluster, at *field.Path, name string) {
	if id, resolved := cluster.Status.ProductIDMap[name]; resolved {
		if p := c.s.Product(id); p == nil || p.Spec.Name != name {
			c.warn("%s: %s was granted to the product %s, which is gone or has another name; remove the entry and add it again to grant it to a new product", at, name, id)
		}
		return
	}
	if c.s.ProductByName(name) == nil {
		c.warn("%s: there is no product %s yet; the entry takes effect when there is", at, name)
	}
}

// repositoryURL records what keeps a code repository from having a URL, at the
// field that is at fault if the repository is the object itself.
func (c *checker) repositoryURL(at *field.Path, value any, r *v1alpha1.CodeRepo) bool {
	_, err := c.s.RepositoryURL(r)
	var missing *snapshot.MissingError
	switch {
	case err == nil:
		return true
	case errors.As(err, &missing):
		c.fail(v1alpha1.ReasonReferenceMissing, at, value, "%s", err)
	default:
		c.fail(v1alpha1.ReasonInvalid, at, value, "%s", err)
	}
	return false
}
