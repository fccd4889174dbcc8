package names

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestClusterNames(t *testing.T) {
	long := strings.Repeat("c", 63)
	tests := map[string]struct {
		got  string
		want string
	}{
		"a cluster":                     {got: Cluster("prod"), want: "cluster-prod"},
		"a cluster that looks like one": {got: Cluster("cluster-prod"), want: "cluster-cluster-prod"},
		"a component":                   {got: ComponentApplication("prod", "argocd"), want: "prod.argocd"},
		"a virtual cluster":             {got: VirtualClusterApplication("dev", "host-1", "vcluster"), want: "dev.host-1.vcluster"},
		"on another host":               {got: VirtualClusterApplication("dev", "host-2", "vcluster"), want: "dev.host-2.vcluster"},
		"a role":                        {got: AccessRole("product-1", "app"), want: "product-1-app"},
		"a SecretStore":                 {got: SecretStore("app"), want: "nautes-app"},
		"an Ingress":                    {got: Ingress("argocd"), want: "nautes-argocd"},
		"a long cluster":                {got: Cluster(long), want: "cluster-" + long[:44] + "-0"},
		"a long component":              {got: ComponentApplication(long, "argocd"), want: long[:52] + "-0"},
		"cut at the dot":                {got: ComponentApplication(long[:51], "argo-rollouts"), want: long[:51] + "-0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want, hashed := strings.CutSuffix(test.want, "-0")
			if hashed && (!strings.HasPrefix(test.got, want+"-") || len(test.got) != len(want)+1+hashLength || !endsInHash(test.got)) {
				t.Errorf("the name is %q, want %q and a hash", test.got, want)
			}
			if !hashed && test.got != test.want {
				t.Errorf("the name is %q, want %q", test.got, test.want)
			}
		})
	}
}

// FuzzClusterNames holds that no two tuples have the same name in one namespace, and
// that Kubernetes accepts every name, also as a label.
func FuzzClusterNames(f *testing.F) {
	f.Add("a", "b", "c", "a-b", "b", "c")
	f.Add("a", "b-0123456789", "h", "a", "0123456789", "h")
	f.Add(strings.Repeat("x", 63), "argocd", "h", strings.Repeat("x", 62), "argocd", "h")
	f.Add(strings.Repeat("x", 50), "b-c-d-e-f-g-h-i-j-k", "h", strings.Repeat("x", 50), "b-c-d-e-f-g-h-i-j-k", "i")
	f.Fuzz(func(t *testing.T, cluster, component, host, cluster2, component2, host2 string) {
		for _, label := range []string{cluster, component, host, cluster2, component2, host2} {
			if len(validation.IsDNS1123Label(label)) > 0 {
				t.Skip("the API takes labels only")
			}
		}
		applications := map[string][4]string{}
		for _, of := range [][4]string{
			{"", cluster, "", component}, {"", cluster2, "", component2},
			{"virtual", cluster, host, component}, {"virtual", cluster2, host2, component2}, {"virtual", cluster, host2, component},
		} {
			name := ComponentApplication(of[1], of[3])
			if of[0] != "" {
				name = VirtualClusterApplication(of[1], of[2], of[3])
			}
			if other, taken := applications[name]; taken && other != of {
				t.Errorf("%v and %v are both %s", other, of, name)
			}
			applications[name] = of
			if problems := append(validation.IsDNS1123Subdomain(name), validation.IsValidLabelValue(name)...); len(problems) > 0 {
				t.Errorf("%q is no name: %v", name, problems)
			}
		}
		for _, make := range []func(string) string{Cluster, SecretStore, Ingress} {
			if (make(cluster) == make(cluster2)) != (cluster == cluster2) {
				t.Errorf("%s and %s are both %s", cluster, cluster2, make(cluster))
			}
			if problems := validation.IsDNS1123Label(make(cluster)); len(problems) > 0 {
				t.Errorf("%q is no name: %v", make(cluster), problems)
			}
		}
	})
}
