package validate_test

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	. "nautes.io/nautes/internal/testutil"
)

func TestProduct(t *testing.T) {
	group := func(name string) func(*v1alpha1.Product) {
		return func(p *v1alpha1.Product) { p.Spec.Name = name }
	}
	run(t, map[string]verdict{
		"a new one":                         {new: Product("product-9")},
		"as it stands":                      {new: Product("product-1")},
		"the group of an older one":         {new: At(5, Product("product-9", group("team-1"))), want: []string{"Invalid spec.name"}, wantText: "Product nautes/product-1 is the product of the group team-1"},
		"the group of a younger one":        {objects: []client.Object{At(5, Product("product-9", group("team-1")))}, new: Product("product-1")},
		"a group that means something else": {new: Product("product-9", group("system:masters")), want: []string{"Invalid spec.name"}},
	})
}

func TestProviders(t *testing.T) {
	addresses := func(http, ssh string) func(*v1alpha1.CodeRepoProvider) {
		return func(p *v1alpha1.CodeRepoProvider) { p.Spec.HTTPAddress, p.Spec.SSHAddress = http, ssh }
	}
	run(t, map[string]verdict{
		"a product provider":                        {new: ProductProvider("finder", Provider)},
		"a product provider of an absent one":       {new: ProductProvider("finder", "absent"), want: []string{"ReferenceMissing spec.name"}},
		"a provider":                                {new: CodeRepoProvider("new")},
		"a provider by HTTP only":                   {new: CodeRepoProvider("new", addresses("http://127.0.0.1:8080", ""))},
		"a provider by SSH only":                    {new: CodeRepoProvider("new", addresses("", "git@git.example.org"))},
		"a provider without an address":             {new: CodeRepoProvider("new", addresses("", "")), want: []string{"Invalid spec.httpAddress"}},
		"a provider whose addresses cannot be used": {new: CodeRepoProvider("new", addresses("ftp://x", "ssh://x")), want: []string{"Invalid spec.httpAddress", "Invalid spec.sshAddress"}},
	})
}

func TestProviderAddressIsNotQuoted(t *testing.T) {
	p := CodeRepoProvider("new", func(p *v1alpha1.CodeRepoProvider) { p.Spec.HTTPAddress = "https://user:hunter2@git.example.org" })
	run(t, map[string]verdict{"with a credential": {new: p, want: []string{"Invalid spec.httpAddress"}, wantText: "spec.httpAddress: Invalid value: it is not a URL"}})
}

func TestClusterHost(t *testing.T) {
	on := func(host string) func(*v1alpha1.Cluster) {
		return func(c *v1alpha1.Cluster) { c.Spec.ClusterType, c.Spec.HostCluster = v1alpha1.ClusterVirtual, host }
	}
	twin := At(5, Cluster("twin", func(c *v1alpha1.Cluster) { c.Status.Connection.UID = "uid-of-c" }))
	run(t, map[string]verdict{
		"physical":                         {new: Cluster("new")},
		"on a host":                        {new: Cluster("new", on("host"))},
		"on an absent host":                {new: Cluster("new", on("absent")), want: []string{"ReferenceMissing spec.hostCluster"}},
		"on a worker":                      {new: Cluster("new", on("c")), want: []string{"Invalid spec.hostCluster"}, wantText: "usage is host"},
		"on itself":                        {new: Cluster("new", on("new")), want: []string{"Invalid spec.hostCluster"}},
		"one cluster under two names":      {new: twin, want: []string{"Invalid spec.apiServer"}, wantText: "Cluster nautes/c is the same cluster"},
		"the first of one under two names": {objects: []client.Object{twin}, new: Cluster("c")},
	})
}

func TestClusterInUse(t *testing.T) {
	worker := func(c *v1alpha1.Cluster) { c.Spec.WorkerType = v1alpha1.WorkerTypePipeline }
	domain := func(c *v1alpha1.Cluster) {
		c.Spec.PrimaryDomain, c.Spec.APIServer = "example.org", "https://new.example.org"
	}
	free := Cluster("free")
	run(t, map[string]verdict{
		"another kind of worker, in use":         {old: Cluster("c"), new: Cluster("c", worker), want: []string{"InUse spec.workerType"}, wantText: "Environment product-1/dev"},
		"everything else, in use":                {old: Cluster("c"), new: Cluster("c", HostCluster), want: []string{"InUse spec.usage", "InUse spec.workerType"}},
		"another kind of worker, not in use":     {objects: []client.Object{free}, old: free, new: Cluster("free", worker)},
		"its addresses, in use":                  {old: Cluster("c"), new: Cluster("c", domain)},
		"nothing, in use":                        {old: Cluster("c"), new: Cluster("c")},
		"as it stands, without knowing a change": {new: Cluster("c", worker)},
	})
}

func TestClusterGrants(t *testing.T) {
	reserve := func(key string, products ...string) func(*v1alpha1.Cluster) {
		return func(c *v1alpha1.Cluster) {
			c.Spec.ReservedNamespacesAllowedProducts = map[string][]string{key: products}
		}
	}
	allow := func(product, kind, group string) func(*v1alpha1.Cluster) {
		return func(c *v1alpha1.Cluster) {
			c.Spec.ProductAllowedClusterResources = map[string][]v1alpha1.ClusterResource{product: {{Kind: kind, Group: group}}}
		}
	}
	resolved := func(name, id string) func(*v1alpha1.Cluster) {
		return func(c *v1alpha1.Cluster) { c.Status.ProductIDMap = map[string]string{name: id} }
	}
	run(t, map[string]verdict{
		"a component by its name":             {new: Cluster("new", reserve("argocd", "team-1"))},
		"a component by its namespace":        {new: Cluster("new", reserve("hnc-system", "team-1"))},
		"a component that is not there":       {new: Cluster("new", reserve("tekton", "team-1")), wantWarning: "is not on this cluster"},
		"no component":                        {new: Cluster("new", reserve("kube-system", "team-1")), want: []string{"Invalid spec.reservedNamespacesAllowedProducts[kube-system]"}, wantText: "argo-rollouts"},
		"a pattern":                           {new: Cluster("new", reserve("*", "team-1")), want: []string{"Invalid spec.reservedNamespacesAllowedProducts[*]"}},
		"a product that does not exist yet":   {new: Cluster("new", reserve("argocd", "team-9")), wantWarning: "takes effect when there is"},
		"a product that is gone":              {new: Cluster("new", reserve("argocd", "team-9"), resolved("team-9", "product-9")), wantWarning: "is gone or has another name"},
		"a product that was renamed":          {new: Cluster("new", reserve("argocd", "old"), resolved("old", "product-1")), wantWarning: "is gone or has another name"},
		"a product that is resolved":          {new: Cluster("new", reserve("argocd", "team-1"), resolved("team-1", "product-1"))},
		"a kind":                              {new: Cluster("new", allow("team-1", "ClusterRole", "rbac.authorization.k8s.io"))},
		"a kind of the core":                  {new: Cluster("new", allow("team-1", "PersistentVolume", ""))},
		"a kind in the guide's group":         {new: Cluster("new", allow("team-1", "ClusterRole", "authorization.k8s.io")), wantWarning: "rbac.authorization.k8s.io"},
		"a review, which is in that group":    {new: Cluster("new", allow("team-1", "SubjectAccessReview", "authorization.k8s.io"))},
		"every kind":                          {new: Cluster("new", allow("team-1", "*", "*")), want: []string{"Invalid spec.productAllowedClusterResources[team-1][0]"}},
		"a kind, for a product not there yet": {new: Cluster("new", allow("team-9", "ClusterRole", "rbac.authorization.k8s.io")), wantWarning: "takes effect when there is"},
	})
}
