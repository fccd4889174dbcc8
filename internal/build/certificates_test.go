package build_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// certificate is the part of an Ingress that cert-manager reads.
type certificate struct{ Issuer, Host, Secret string }

func certificates(t *testing.T, sets ...plan.Set) map[string]certificate {
	t.Helper()
	found := map[string]certificate{}
	for _, set := range sets {
		for _, item := range set.Items {
			in, ok := item.Object.(*networkingv1.Ingress)
			if !ok {
				continue
			}
			c := certificate{Issuer: in.Annotations["cert-manager.io/cluster-issuer"]}
			for _, tls := range in.Spec.TLS {
				if len(in.Spec.TLS) != 1 || len(tls.Hosts) != 1 || tls.Hosts[0] != in.Spec.Rules[0].Host {
					t.Errorf("%v has the certificates %v", item.ID, in.Spec.TLS)
				}
				c.Host, c.Secret = tls.Hosts[0], tls.SecretName
			}
			found[in.Namespace+"/"+in.Name] = c
		}
	}
	return found
}

func issuing(c *v1alpha1.Cluster) {
	c.Spec.ComponentsList.CertManagement = &v1alpha1.Component{Name: "cert-manager", Additions: map[string]string{"clusterIssuer": "letsencrypt"}}
}

// Where an issuer is set, cert-manager keeps the certificates of all Ingresses.
func TestCertificates(t *testing.T) {
	external := v1alpha1.CatalogueComponent{Name: "cert-manager", Installation: v1alpha1.InstallationExternal}
	byTenant := v1alpha1.CatalogueComponent{
		Name: "cert-manager", Settings: []v1alpha1.ComponentSetting{{Name: "clusterIssuer", Default: "of-the-tenant"}},
	}
	pages := func(issuer string) map[string]certificate {
		made := func(name, host string) certificate {
			if issuer == "" {
				return certificate{}
			}
			return certificate{Issuer: issuer, Host: host, Secret: "nautes-tls-" + name}
		}
		return map[string]certificate{
			"argocd/nautes-argocd":             made("argocd", "argocd.new.new.example.com"),
			"oauth2-proxy/nautes-oauth2-proxy": made("oauth2-proxy", "auth.new.new.example.com"),
			"tekton-pipelines/nautes-tekton":   made("tekton", "tekton.new.new.example.com"),
		}
	}
	for name, test := range map[string]struct {
		cluster   *v1alpha1.Cluster
		catalogue *v1alpha1.ComponentCatalogue
		want      map[string]certificate
	}{
		"no issuer":                {cluster: Cluster("new", PipelineWorker), want: pages("")},
		"of the cluster":           {cluster: Cluster("new", PipelineWorker, issuing), want: pages("letsencrypt")},
		"of the tenant":            {cluster: Cluster("new", PipelineWorker), catalogue: ComponentCatalogue(byTenant), want: pages("of-the-tenant")},
		"the cluster's, not that":  {cluster: Cluster("new", PipelineWorker, issuing), catalogue: ComponentCatalogue(byTenant), want: pages("letsencrypt")},
		"others run cert-manager":  {cluster: Cluster("new", PipelineWorker, issuing), catalogue: ComponentCatalogue(external), want: pages("letsencrypt")},
		"a host has no such thing": {cluster: Cluster("new", HostCluster), want: map[string]certificate{"oauth2-proxy/nautes-oauth2-proxy": {}}},
	} {
		s := snapshot.New(Tenant, Namespace, test.cluster)
		if test.catalogue != nil {
			s = s.With(test.catalogue)
		}
		built := mustCluster(t, s, "new")
		if diff := cmp.Diff(test.want, certificates(t, built.Sets...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The hooks of a cluster share one host, and one certificate.
func TestHookCertificates(t *testing.T) {
	one := listening("product-1", "one", v1alpha1.IsolationShared, pushes("product-1", "push", ""))
	two := listening("product-1", "two", v1alpha1.IsolationExclusive, pushes("product-1", "push", ""))
	for name, test := range map[string]struct {
		change []func(*v1alpha1.Cluster)
		want   certificate
	}{
		"no issuer": {},
		"an issuer": {change: []func(*v1alpha1.Cluster){issuing}, want: certificate{Issuer: "letsencrypt", Host: "webhook.pipes.pipes.example.com", Secret: "nautes-webhook-tls"}},
	} {
		s := pipelineWorld(pipelineWorker(test.change...), []string{"product-1"}, one, two)
		got := certificates(t, append(planOf(t, s, one).Sets, planOf(t, s, two).Sets...)...)
		want := map[string]certificate{"argo-events/product-1-one": test.want, "argo-events/product-1-two": test.want}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
