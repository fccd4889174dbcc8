package validate_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
	. "nautes.io/nautes/test/testutil"
)

func TestClusterHost(t *testing.T) {
	on := func(host string) func(*v1alpha1.Cluster) { return VirtualCluster(host, "31443") }
	twin := At(5, Cluster("twin", func(c *v1alpha1.Cluster) { c.Status.Connection.UID = "uid-of-c" }))
	file := At(5, Cluster("twin"))
	file.Status = v1alpha1.ClusterStatus{}
	run(t, map[string]verdict{
		"physical":                         {new: Cluster("new")},
		"on a host":                        {new: Cluster("new", on("host"))},
		"on an absent host":                {new: Cluster("new", on("absent")), want: []string{"ReferenceMissing spec.hostCluster"}},
		"on a worker":                      {new: Cluster("new", on("c")), want: []string{"Invalid spec.hostCluster"}, wantText: "usage is host"},
		"on itself":                        {new: Cluster("new", on("new")), want: []string{"Invalid spec.hostCluster"}, wantText: "cannot carry itself"},
		"one cluster under two names":      {new: twin, want: []string{"Invalid spec.apiServer"}, wantText: "Cluster nautes/c is the same cluster"},
		"the first of one under two names": {objects: []client.Object{twin}, new: Cluster("c")},
		"a file of the second of the two":  {objects: []client.Object{twin}, new: file, want: []string{"Invalid spec.apiServer"}},
	})
}

func TestClusterName(t *testing.T) {
	on := VirtualCluster("host", "31443")
	run(t, map[string]verdict{
		"the tenant's":                            {new: Cluster(Tenant), want: []string{"Invalid metadata.name"}, wantText: "is the tenant itself"},
		"a namespace of Kubernetes":               {new: Cluster("kube-system")},
		"a namespace of Kubernetes, on a host":    {new: Cluster("kube-system", on), want: []string{"Invalid metadata.name"}, wantText: "namespace kube-system is reserved"},
		"a namespace of a component":              {new: Cluster("traefik")},
		"a namespace of a component, on a host":   {new: Cluster("traefik", on), want: []string{"Invalid metadata.name"}, wantText: "belongs to the component traefik"},
		"a namespace of a product, on a host":     {new: Cluster("product-9", on), want: []string{"Invalid metadata.name"}},
		"a namespace of a component, host absent": {new: Cluster("traefik", VirtualCluster("absent", "31443")), want: []string{"ReferenceMissing spec.hostCluster"}},
	})
}

func TestClusterInUse(t *testing.T) {
	worker := func(c *v1alpha1.Cluster) { c.Spec.WorkerType = v1alpha1.WorkerTypePipeline }
	domain := func(c *v1alpha1.Cluster) {
		c.Spec.PrimaryDomain, c.Spec.APIServer = "example.org", "https://new.example.org"
	}
	// registered records the identity that a cluster had before change.
	registered := func(change ...func(*v1alpha1.Cluster)) func(*v1alpha1.Cluster) {
		return func(c *v1alpha1.Cluster) {
			was := Cluster("was", change...).Spec
			c.Status.Registered = &v1alpha1.ClusterIdentity{
				ClusterKind: was.ClusterKind, ClusterType: was.ClusterType, Usage: was.Usage, WorkerType: was.WorkerType, HostCluster: was.HostCluster}
		}
	}
	kindless := Cluster("c", func(c *v1alpha1.Cluster) { c.Spec.ClusterKind = "" })
	ofNoKind := Cluster("c", registered())
	ofNoKind.Status.Registered.ClusterKind = ""
	file := Cluster("c", worker)
	file.Status = v1alpha1.ClusterStatus{}
	ownStatus := Cluster("c", worker, registered(worker))
	ownStatus.CreationTimestamp.Reset()
	free := Cluster("free", registered())
	virtual := Cluster("v", VirtualCluster("host", "31443"), registered(VirtualCluster("host", "31443")))
	other := Cluster("other", HostCluster)
	onV := Environment("product-1", "v", "v")
	inUse := []string{"InUse spec.workerType"}
	run(t, map[string]verdict{
		"another kind of worker, in use":     {old: Cluster("c"), new: Cluster("c", worker), want: inUse, wantText: "Environment product-1/dev"},
		"everything else, in use":            {old: Cluster("c"), new: Cluster("c", HostCluster), want: []string{"InUse spec.usage", "InUse spec.workerType"}},
		"another kind of worker, not in use": {objects: []client.Object{free}, old: free, new: Cluster("free", worker, registered())},
		"its addresses, in use":              {old: Cluster("c"), new: Cluster("c", domain)},
		"nothing, in use":                    {old: Cluster("c"), new: Cluster("c")},
		"a kind that is left out":            {old: Cluster("c", registered()), new: kindless},
		"a kind that was not recorded":       {old: Cluster("c"), new: ofNoKind},
		"by a file, without an old one":      {objects: []client.Object{Cluster("c", registered())}, new: file, want: inUse, wantText: `cannot change from "deployment"`},
		"by a file, never registered":        {new: file, want: inUse},
		"with a status but no time":          {old: Cluster("c", registered()), new: ownStatus},
		"by a file, not in use":              {objects: []client.Object{free}, new: Cluster("free", worker)},
		"as it stands, registered otherwise": {objects: []client.Object{Cluster("c", worker, registered())}, new: Cluster("c", worker, registered()), want: inUse},
		"as it stands, never registered":     {objects: []client.Object{Cluster("c", worker)}, new: Cluster("c", worker)},
		"back to the registered type":        {old: Cluster("c", worker, registered()), new: Cluster("c", registered())},
		"to another host, in use":            {objects: []client.Object{virtual, other, onV}, new: Cluster("v", VirtualCluster("other", "31443")), want: []string{"InUse spec.hostCluster"}},
		"to another host, not in use":        {objects: []client.Object{virtual, other}, new: Cluster("v", VirtualCluster("other", "31443"))},
		"a host to a worker, in use":         {objects: []client.Object{virtual}, new: Cluster("host"), want: []string{"InUse spec.usage", "InUse spec.workerType"}, wantText: "Cluster nautes/v"},
	})
}

// issuer is a component that is not built in.
func issuer(settings ...v1alpha1.ComponentSetting) v1alpha1.CatalogueComponent {
	return v1alpha1.CatalogueComponent{
		Name: "issuer", Category: v1alpha1.CategoryCertManagement, Namespace: "issuer", Settings: settings,
		Sources: []v1alpha1.ComponentSource{{Name: "manifests", RepoURL: "https://git.example.com/issuer.git", Path: "deploy", TargetRevision: "v1"}},
		Rules:   []v1alpha1.ComponentRule{{Usage: v1alpha1.UsageWorker, Requirement: v1alpha1.RequirementPossible}},
	}
}

func chooseIssuer(c *v1alpha1.Cluster) {
	c.Spec.ComponentsList.CertManagement = &v1alpha1.Component{Name: "issuer"}
}

func TestClusterComponents(t *testing.T) {
	deployment := func(name string, additions map[string]string) func(*v1alpha1.Cluster) {
		return func(c *v1alpha1.Cluster) {
			c.Spec.ComponentsList.Deployment = &v1alpha1.Component{Name: name, Additions: additions}
		}
	}
	broken := ComponentCatalogue(v1alpha1.CatalogueComponent{Name: "incomplete"})
	run(t, map[string]verdict{
		"a component that exists":     {new: Cluster("new", deployment("argocd", map[string]string{"host": "argocd.example.com"}))},
		"a component that is unknown": {new: Cluster("new", deployment("flux", nil)), want: []string{"Invalid spec.componentsList.deployment.name"}},
		"a component of the tenant's catalogue": {
			objects: []client.Object{ComponentCatalogue(issuer())}, new: Cluster("new", chooseIssuer),
		},
		"a setting that is unknown": {new: Cluster("new", deployment("argocd", map[string]string{"colour": "red"})), want: []string{"Invalid spec.componentsList.deployment.additions[colour]"}},
		"a broken catalogue":        {objects: []client.Object{broken}, new: Cluster("new"), want: []string{"Invalid spec.componentsList"}, wantText: "correct the catalogue"},
		"a broken catalogue, and its consequences": {
			objects: []client.Object{broken},
			new: Cluster("new", deployment("flux", nil), func(c *v1alpha1.Cluster) {
				c.Spec.ReservedNamespacesAllowedProducts = map[string][]string{"flux": {"team-1"}}
			}),
			want: []string{"Invalid spec.componentsList"},
		},
	})
}

func gateway(http, https string) func(*v1alpha1.Cluster) {
	return func(c *v1alpha1.Cluster) {
		c.Spec.Traefik = &v1alpha1.TraefikSpec{HTTPNodePort: http, HTTPSNodePort: https}
	}
}

func TestNodePorts(t *testing.T) {
	host := Cluster("host", HostCluster, gateway("30080", "30443"))
	first, second := At(1, Cluster("first", VirtualCluster("host", "31001"))), At(2, Cluster("second", VirtualCluster("host", "31002")))
	hosted := []client.Object{host, first, second}
	taken := []string{"PortTaken spec.vcluster.httpsNodePort"}
	byAddress := func(c *v1alpha1.Cluster) { c.Spec.VCluster = nil }
	same := At(2, Cluster("second", VirtualCluster("host", "31001")))
	leaving := At(1, Cluster("leaving", VirtualCluster("other", "31003"), func(c *v1alpha1.Cluster) {
		c.Status.Registered = &v1alpha1.ClusterIdentity{ClusterType: v1alpha1.ClusterVirtual, Usage: v1alpha1.UsageWorker, WorkerType: v1alpha1.WorkerTypeDeployment, HostCluster: "host"}
	}))
	run(t, map[string]verdict{
		"a free one":                         {objects: hosted, new: Cluster("new", VirtualCluster("host", "31003"))},
		"the port of another virtual one":    {objects: hosted, new: At(9, Cluster("new", VirtualCluster("host", "31001"))), want: taken, wantText: "Cluster nautes/first has the node port 31001 of cluster host already"},
		"the port of the gateway":            {objects: hosted, new: At(9, Cluster("new", VirtualCluster("host", "30443"))), want: taken, wantText: "Cluster nautes/host"},
		"the lowest of the gateway":          {objects: hosted, new: At(9, Cluster("new", VirtualCluster("host", "30080"))), want: taken, wantText: "Cluster nautes/host"},
		"set by the address":                 {objects: hosted, new: At(9, Cluster("new", VirtualCluster("host", "31001"), byAddress)), want: []string{"PortTaken spec.apiServer"}},
		"the port of one on another host":    {objects: append(hosted, Cluster("other", HostCluster)), new: At(9, Cluster("new", VirtualCluster("other", "31001")))},
		"the port of one that is deleted":    {objects: []client.Object{host, Deleting(first.DeepCopy())}, new: At(9, Cluster("new", VirtualCluster("host", "31001"))), want: taken},
		"the port of one that is moving off": {objects: append(hosted, leaving, Cluster("other", HostCluster)), new: At(9, Cluster("new", VirtualCluster("host", "31003"))), want: taken},
		"as it stands, the younger":          {objects: []client.Object{host, first, same}, new: same, want: taken},
		"as it stands, the older":            {objects: []client.Object{host, first, same}, new: first},
		"of equal age, the first":            {objects: []client.Object{host, first, At(1, Cluster("second", VirtualCluster("host", "31001")))}, new: first},
		"the gateway, later":                 {objects: hosted, old: host, new: Cluster("host", HostCluster, gateway("30080", "31002")), want: []string{"PortTaken spec.traefik.httpsNodePort"}, wantText: "Cluster nautes/second"},
		"an older one changes to it":         {objects: hosted, old: first, new: At(1, Cluster("first", VirtualCluster("host", "31002"))), want: taken, wantText: "Cluster nautes/second"},
		"by a file":                          {objects: hosted, new: At(1, Cluster("first", VirtualCluster("host", "31002"))), want: taken},
		"an older one changes elsewhere":     {objects: []client.Object{host, first, same}, old: first, new: At(1, Cluster("first", VirtualCluster("host", "31001"), PipelineWorker))},
		"moves to a host where it is":        {objects: append(hosted, At(1, Cluster("new", VirtualCluster("other", "31002"))), Cluster("other", HostCluster)), new: At(1, Cluster("new", VirtualCluster("host", "31002"))), want: taken},
		"one port twice":                     {new: Cluster("new", gateway("30443", "30443")), want: []string{"Invalid spec.traefik.httpsNodePort"}},
		"one port of two components": {
			objects: []client.Object{ComponentCatalogue(issuer(v1alpha1.ComponentSetting{Name: "port", Type: v1alpha1.SettingPort, Default: "30443"}))},
			new:     Cluster("new", chooseIssuer, gateway("30080", "30443")), want: []string{"Invalid spec.traefik.httpsNodePort"},
			wantText: "spec.componentsList.certManagement.additions[port] takes the node port 30443 already",
		},
		"workers apart": {objects: []client.Object{Cluster("a", gateway("30080", "30443"))}, new: Cluster("b", gateway("30080", "30443"))},
	})
}

// TestPortsHaveOneHolder holds that exactly one of several clusters may have a port,
// in any order.
func TestPortsHaveOneHolder(t *testing.T) {
	for seed := range uint64(30) {
		dice := rand.New(rand.NewPCG(seed, 0))
		objects := []client.Object{Cluster("host", HostCluster, gateway("31000", "31001"))}
		wanted := map[string]int{"31000": 1, "31001": 1}
		for i := range 8 {
			port := fmt.Sprint(31000 + dice.IntN(4))
			wanted[port]++
			objects = append(objects, At(dice.IntN(3), Cluster(fmt.Sprintf("v-%d", i), VirtualCluster("host", port))))
		}
		refused := func(objects []client.Object) (list []string) {
			s := snapshot.New(Tenant, Namespace, objects...)
			for _, o := range s.Clusters() {
				errs, _ := validate.Run(s, validate.Request{New: o})
				for _, e := range errs {
					list = append(list, fmt.Sprint(o.Name, " ", e.Origin, " ", e.BadValue))
				}
			}
			return list
		}
		got := refused(objects)
		for port, clusters := range wanted {
			losers := slices.DeleteFunc(slices.Clone(got), func(line string) bool { return !strings.HasSuffix(line, "PortTaken "+port) })
			if len(losers) != clusters-1 {
				t.Errorf("seed %d: %d clusters want the port %s, and %q are refused", seed, clusters, port, losers)
			}
		}
		dice.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
		if diff := cmp.Diff(got, refused(objects)); diff != "" {
			t.Errorf("seed %d: shuffled clusters are judged differently (-want +got):\n%s", seed, diff)
		}
	}
}

func TestComponentCatalogue(t *testing.T) {
	named := ComponentCatalogue()
	named.Name = "other"
	elsewhere := ComponentCatalogue()
	elsewhere.Namespace = "product-1"
	incomplete := ComponentCatalogue(v1alpha1.CatalogueComponent{Name: "incomplete"})
	chooser := Cluster("chooser", chooseIssuer)
	run(t, map[string]verdict{
		"that changes nothing":              {new: ComponentCatalogue()},
		"that moves a component":            {new: ComponentCatalogue(v1alpha1.CatalogueComponent{Name: "argocd", Namespace: "cd"})},
		"that adds a component":             {objects: []client.Object{chooser}, new: ComponentCatalogue(issuer())},
		"that misses a cluster's component": {objects: []client.Object{chooser, ComponentCatalogue(issuer())}, new: ComponentCatalogue(), wantWarning: "Cluster nautes/chooser does not go with the catalogue"},
		"that is incomplete": {new: incomplete, want: []string{
			"Invalid spec.components[incomplete].category", "Invalid spec.components[incomplete].namespace",
			"Invalid spec.components[incomplete].rules", "Invalid spec.components[incomplete].sources"}},
		"that is corrected":                   {objects: []client.Object{incomplete}, new: ComponentCatalogue()},
		"of another name":                     {new: named, want: []string{"Invalid metadata.name"}, wantText: "call it default"},
		"in another namespace":                {new: elsewhere, want: []string{"Invalid metadata.namespace"}},
		"that goes, although it is relied on": {objects: []client.Object{chooser, ComponentCatalogue(issuer())}, old: ComponentCatalogue(issuer())},
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
		"a component by its name":           {new: Cluster("new", reserve("argocd", "team-1"))},
		"a component by its namespace":      {new: Cluster("new", reserve("hnc-system", "team-1"))},
		"a component that is not there":     {new: Cluster("new", reserve("tekton", "team-1")), wantWarning: "is not on this cluster"},
		"no component":                      {new: Cluster("new", reserve("kube-system", "team-1")), want: []string{"Invalid spec.reservedNamespacesAllowedProducts[kube-system]"}, wantText: "argo-rollouts"},
		"a pattern":                         {new: Cluster("new", reserve("*", "team-1")), want: []string{"Invalid spec.reservedNamespacesAllowedProducts[*]"}},
		"a product that does not exist yet": {new: Cluster("new", reserve("argocd", "team-9")), wantWarning: "takes effect when there is"},
		"a product that is gone":            {new: Cluster("new", reserve("argocd", "team-9"), resolved("team-9", "product-9")), wantWarning: "is gone or has another name"},
		"a product that was renamed":        {new: Cluster("new", reserve("argocd", "old"), resolved("old", "product-1")), wantWarning: "is gone or has another name"},
		"a product that is resolved":        {new: Cluster("new", reserve("argocd", "team-1"), resolved("team-1", "product-1"))},
		"resolved since it was stored": {
			objects: []client.Object{Cluster("new")}, new: Cluster("new", reserve("argocd", "team-9"), resolved("team-9", "product-9")), wantWarning: "is gone or has another name",
		},
		"a kind":                              {new: Cluster("new", allow("team-1", "ClusterRole", "rbac.authorization.k8s.io"))},
		"a kind of the core":                  {new: Cluster("new", allow("team-1", "PersistentVolume", ""))},
		"a kind in the guide's group":         {new: Cluster("new", allow("team-1", "ClusterRole", "authorization.k8s.io")), wantWarning: "rbac.authorization.k8s.io"},
		"a review, which is in that group":    {new: Cluster("new", allow("team-1", "SubjectAccessReview", "authorization.k8s.io"))},
		"every kind":                          {new: Cluster("new", allow("team-1", "*", "*")), want: []string{"Invalid spec.productAllowedClusterResources[team-1][0]"}},
		"a kind, for a product not there yet": {new: Cluster("new", allow("team-9", "ClusterRole", "rbac.authorization.k8s.io")), wantWarning: "takes effect when there is"},
	})
}
