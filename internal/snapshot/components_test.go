package snapshot_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

func TestComponents(t *testing.T) {
	names := func(c *v1alpha1.Cluster) (list []string) {
		for _, component := range newSnapshot().Choices(c) {
			list = append(list, component.Name+"@"+component.Namespace)
		}
		return list
	}
	tests := map[string]struct {
		change func(*v1alpha1.Cluster)
		want   []string
	}{
		"a physical deployment worker": {change: func(*v1alpha1.Cluster) {}, want: []string{
			"argo-rollouts@argo-rollouts", "argocd@argocd", "cert-manager@cert-manager", "external-secrets@external-secrets",
			"hnc@hnc-system", "traefik@traefik", "vault@vault"}},
		"a physical pipeline worker": {change: PipelineWorker, want: []string{
			"argo-events@argo-events", "argocd@argocd", "cert-manager@cert-manager", "external-secrets@external-secrets",
			"hnc@hnc-system", "oauth2-proxy@oauth2-proxy", "tekton@tekton-pipelines", "traefik@traefik", "vault@vault"}},
		"a host": {change: HostCluster, want: []string{
			"oauth2-proxy@oauth2-proxy", "traefik@traefik"}},
		"a virtual worker with its own choice": {change: func(c *v1alpha1.Cluster) {
			c.Spec.ClusterType = v1alpha1.ClusterVirtual
			NativeTenancy(c)
			c.Spec.ComponentsList.Deployment = &v1alpha1.Component{Name: "argocd", Namespace: "cd"}
			c.Spec.ComponentsList.Gateway = &v1alpha1.Component{Name: "traefik"}
		}, want: []string{
			"argo-rollouts@argo-rollouts", "argocd@cd", "cert-manager@cert-manager", "external-secrets@external-secrets",
			"native@", "vault@vault", "vcluster@c"}},
		"a choice that is no component": {change: func(c *v1alpha1.Cluster) {
			HostCluster(c)
			c.Spec.ComponentsList.Gateway = &v1alpha1.Component{Name: "argocd", Namespace: "edge"}
		}, want: []string{"argocd@edge", "oauth2-proxy@oauth2-proxy"}},
		"a choice of an unknown component": {change: func(c *v1alpha1.Cluster) {
			HostCluster(c)
			c.Spec.ComponentsList.Gateway = &v1alpha1.Component{Name: "absent", Namespace: "edge"}
		}, want: []string{"absent@edge", "oauth2-proxy@oauth2-proxy"}},
		"a choice that is no component, recorded otherwise": {change: func(c *v1alpha1.Cluster) {
			HostCluster(c)
			c.Spec.ComponentsList.Gateway = &v1alpha1.Component{Name: "argocd", Namespace: "edge"}
			c.Status.Components = []v1alpha1.ComponentStatus{
				{Name: "oauth2-proxy", Category: v1alpha1.CategoryOauthProxy, Namespace: "old"}, {Name: "traefik", Category: v1alpha1.CategoryGateway, Namespace: "ingress"}}
		}, want: []string{"oauth2-proxy@oauth2-proxy", "traefik@ingress"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, names(Cluster("c", test.change))); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
		})
	}
}

// resolving is a catalogue whose Tekton writes to another namespace as well.
func resolving() *v1alpha1.ComponentCatalogue {
	return ComponentCatalogue(v1alpha1.CatalogueComponent{Name: "tekton", Namespaces: []string{"resolvers"}})
}

func TestReserved(t *testing.T) {
	c := Cluster("c", VirtualCluster("host", "31443"), func(c *v1alpha1.Cluster) {
		c.Spec.ComponentsList.Deployment = &v1alpha1.Component{Name: "argocd", Namespace: "cd"}
	})
	tests := map[string]struct {
		key       string
		want      string
		wantKnown bool
	}{
		"by name":                       {key: "hnc", want: "hnc-system", wantKnown: true},
		"by namespace":                  {key: "hnc-system", want: "hnc-system", wantKnown: true},
		"by name, in another namespace": {key: "argocd", want: "cd", wantKnown: true},
		"by another namespace":          {key: "cd", want: "cd", wantKnown: true},
		"not on this cluster":           {key: "tekton", wantKnown: true},
		"not here, by its namespace":    {key: "tekton-pipelines", wantKnown: true},
		"on the host only":              {key: "vcluster", wantKnown: true},
		"a namespace on the host":       {key: "c"},
		"a namespace that is written":   {key: "resolvers"},
		"no component":                  {key: "kube-system"},
		"a pattern":                     {key: "*"},
		"empty":                         {key: ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			// A component of this one has no namespace.
			if got, known := newSnapshot(resolving()).Reserved(Cluster("native", NativeTenancy), ""); got != "" || known {
				t.Errorf("Reserved of an empty key = %q, %v", got, known)
			}
			if got, known := newSnapshot(resolving()).Reserved(c, test.key); got != test.want || known != test.wantKnown {
				t.Errorf("Reserved(%q) = %q, %v, want %q, %v", test.key, got, known, test.want, test.wantKnown)
			}
		})
	}
}

func TestGrants(t *testing.T) {
	c := Cluster("c", func(c *v1alpha1.Cluster) {
		c.Spec.ReservedNamespacesAllowedProducts = map[string][]string{
			"argocd": {"team-1"}, "cert-manager": {"team-2", "team-1"}, "hnc": {"team-2"}, "tekton": {"team-1"}, "*": {"team-1"},
			"vault": {"unresolved"}, "traefik": {"renamed"},
		}
		c.Spec.ProductAllowedClusterResources = map[string][]v1alpha1.ClusterResource{
			"team-1":  {{Kind: "ClusterRole", Group: "authorization.k8s.io"}, {Kind: "*"}, {Kind: "PersistentVolume"}},
			"renamed": {{Kind: "Namespace"}},
			"team-2":  {{Kind: "IngressClass", Group: "networking.k8s.io"}},
		}
		c.Status.ProductIDMap = map[string]string{"team-1": "product-1", "team-2": "product-2", "renamed": "product-3"}
	})
	tests := map[string]struct {
		product        string
		wantNamespaces []string
		wantKinds      []metav1.GroupKind
	}{
		"a product": {product: "product-1", wantNamespaces: []string{"argocd", "cert-manager"}, wantKinds: []metav1.GroupKind{
			{Kind: "PersistentVolume"}, {Group: "authorization.k8s.io", Kind: "ClusterRole"}, {Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}}},
		"another product": {product: "product-2", wantNamespaces: []string{"cert-manager", "hnc-system"}, wantKinds: []metav1.GroupKind{
			{Group: "networking.k8s.io", Kind: "IngressClass"}}},
		"a product by the name it was resolved under": {product: "product-3", wantNamespaces: []string{"traefik"}, wantKinds: []metav1.GroupKind{{Kind: "Namespace"}}},
		"a product that is not named":                 {product: "product-4"},
		"no product":                                  {product: ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.wantNamespaces, newSnapshot().GrantedNamespaces(c, test.product)); diff != "" {
				t.Errorf("namespaces (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantKinds, snapshot.GrantedKinds(c, test.product)); diff != "" {
				t.Errorf("kinds (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMisgroupedRBAC(t *testing.T) {
	for resource, want := range map[v1alpha1.ClusterResource]bool{
		{Group: "authorization.k8s.io", Kind: "ClusterRole"}:             true,
		{Group: "authorization.k8s.io", Kind: "ClusterRoleBinding"}:      true,
		{Group: "authorization.k8s.io", Kind: "SelfSubjectAccessReview"}: false,
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:        false,
	} {
		if got := snapshot.MisgroupedRBAC(resource); got != want {
			t.Errorf("MisgroupedRBAC(%v) = %t", resource, got)
		}
	}
}

func TestNamespacesOfOthers(t *testing.T) {
	s := newSnapshot(resolving())
	c := Cluster("c", VirtualCluster("host", "31443"), func(c *v1alpha1.Cluster) {
		c.Spec.ComponentsList.Deployment = &v1alpha1.Component{Name: "argocd", Namespace: "cd"}
	})
	tests := map[string]struct {
		namespace     string
		wantSystem    bool
		wantComponent string
	}{
		"a runtime's":                    {namespace: "app"},
		"Kubernetes'":                    {namespace: "kube-system", wantSystem: true},
		"the default one":                {namespace: "default", wantSystem: true},
		"of the form of a product's":     {namespace: "product-9", wantSystem: true},
		"almost of that form":            {namespace: "products"},
		"the operator's":                 {namespace: Namespace, wantComponent: "nautes"},
		"a component's":                  {namespace: "hnc-system", wantComponent: "hnc"},
		"that a component writes to":     {namespace: "resolvers", wantComponent: "tekton"},
		"the one of c on its host":       {namespace: "c"},
		"a component's, moved":           {namespace: "cd", wantComponent: "argocd"},
		"a component's of the catalogue": {namespace: "tekton-pipelines", wantComponent: "tekton"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := snapshot.SystemNamespace(test.namespace); got != test.wantSystem {
				t.Errorf("SystemNamespace(%s) = %v", test.namespace, got)
			}
			if got := s.ComponentNamespace(c, test.namespace); got != test.wantComponent {
				t.Errorf("ComponentNamespace(%s) = %q, want %q", test.namespace, got, test.wantComponent)
			}
		})
	}
}
