package catalogue

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/schema"
)

// The clusters of the user guide, as it registers them.
func guideClusters() map[string]*v1alpha1.Cluster {
	const ip = "8.217.50.114"
	cluster := func(name string, spec v1alpha1.ClusterSpec) *v1alpha1.Cluster {
		spec.ClusterKind, spec.PrimaryDomain = "kubernetes", ip+".nip.io"
		if spec.ClusterType == v1alpha1.ClusterPhysical {
			spec.APIServer = "https://" + ip + ":6443"
			spec.Traefik = &v1alpha1.TraefikSpec{HTTPNodePort: "30080", HTTPSNodePort: "30443"}
		} else {
			spec.APIServer, spec.HostCluster = "https://"+ip+":31456", "cluster-host"
			spec.VCluster = &v1alpha1.VClusterSpec{HTTPSNodePort: "31456"}
		}
		if spec.Usage == v1alpha1.UsageWorker {
			spec.ArgoCDHost = "argocd." + name + "." + ip + ".nip.io"
		}
		if spec.WorkerType == v1alpha1.WorkerTypePipeline {
			spec.TektonHost = "tekton." + name + "." + ip + ".nip.io"
		}
		return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	}
	clusters := map[string]*v1alpha1.Cluster{}
	for _, c := range []*v1alpha1.Cluster{
		cluster("cluster-host", v1alpha1.ClusterSpec{Usage: "host", ClusterType: "physical"}),
		cluster("physical-worker-pipeline", v1alpha1.ClusterSpec{Usage: "worker", ClusterType: "physical", WorkerType: "pipeline"}),
		cluster("physical-worker-deployment", v1alpha1.ClusterSpec{Usage: "worker", ClusterType: "physical", WorkerType: "deployment"}),
		cluster("virtual-worker-pipeline", v1alpha1.ClusterSpec{Usage: "worker", ClusterType: "virtual", WorkerType: "pipeline"}),
		cluster("virtual-worker-deployment", v1alpha1.ClusterSpec{Usage: "worker", ClusterType: "virtual", WorkerType: "deployment"}),
	} {
		clusters[c.Name] = c
	}
	return clusters
}

var vaultFacts = Facts{Tenant: "acme", VaultAddress: "https://vault.example.com:8200", VaultCABundle: "pem\nof a\nCA", VaultNamespace: "ns",
	GitCertificates: map[string]string{"git.example.com": "pem"}, GitKnownHosts: "git.example.com ssh-ed25519 AAAA"}

func mustFor(t testing.TB, c *Catalogue, cluster, host *v1alpha1.Cluster) map[string]Component {
	t.Helper()
	found, errs := c.For(cluster, host, vaultFacts)
	if len(errs) > 0 {
		t.Fatalf("For(%s) = %v", cluster.Name, errs)
	}
	byName := map[string]Component{}
	for _, one := range found {
		byName[one.Name] = one
	}
	if len(byName) != len(found) || !slices.IsSortedFunc(found, func(a, b Component) int { return strings.Compare(a.Name, b.Name) }) {
		t.Fatalf("the components of %s are not in the order of their names", cluster.Name)
	}
	return byName
}

func TestGuideClusters(t *testing.T) {
	base := []string{"argocd", "cert-manager", "external-secrets", "hnc", "vault"}
	tests := map[string]struct {
		// like changes a cluster of the guide.
		like   string
		change func(*v1alpha1.Cluster)

		want      []string
		wantHosts map[string]string
		// wantPorts by component and setting.
		wantPorts map[string]int64
	}{
		"host": {
			like: "cluster-host", want: []string{"oauth2-proxy", "traefik"},
			wantHosts: map[string]string{"oauth2-proxy": "auth.cluster-host.8.217.50.114.nip.io"},
			wantPorts: map[string]int64{"traefik.httpNodePort": 30080, "traefik.httpsNodePort": 30443},
		},
		"physical pipeline worker": {
			like: "physical-worker-pipeline", want: append(slices.Clone(base), "argo-events", "oauth2-proxy", "tekton", "traefik"),
			wantHosts: map[string]string{
				"argocd":       "argocd.physical-worker-pipeline.8.217.50.114.nip.io",
				"oauth2-proxy": "auth.physical-worker-pipeline.8.217.50.114.nip.io",
				"tekton":       "tekton.physical-worker-pipeline.8.217.50.114.nip.io",
			},
			wantPorts: map[string]int64{"traefik.httpNodePort": 30080, "traefik.httpsNodePort": 30443},
		},
		"physical deployment worker": {
			like: "physical-worker-deployment", want: append(slices.Clone(base), "argo-rollouts", "traefik"),
			wantHosts: map[string]string{"argocd": "argocd.physical-worker-deployment.8.217.50.114.nip.io"},
			wantPorts: map[string]int64{"traefik.httpNodePort": 30080, "traefik.httpsNodePort": 30443},
		},
		"virtual pipeline worker": {
			like: "virtual-worker-pipeline", want: append(slices.Clone(base), "argo-events", "tekton", "vcluster"),
			wantHosts: map[string]string{
				"argocd": "argocd.virtual-worker-pipeline.8.217.50.114.nip.io",
				"tekton": "tekton.virtual-worker-pipeline.8.217.50.114.nip.io",
			},
			wantPorts: map[string]int64{"vcluster.httpsNodePort": 31456},
		},
		"virtual deployment worker": {
			like: "virtual-worker-deployment", want: append(slices.Clone(base), "argo-rollouts", "vcluster"),
			wantHosts: map[string]string{"argocd": "argocd.virtual-worker-deployment.8.217.50.114.nip.io"},
			wantPorts: map[string]int64{"vcluster.httpsNodePort": 31456},
		},
		"physical, only required fields": {
			like: "physical-worker-pipeline",
			change: func(c *v1alpha1.Cluster) {
				c.Spec.PrimaryDomain, c.Spec.ArgoCDHost, c.Spec.TektonHost, c.Spec.Traefik = "", "", "", nil
			},
			want: append(slices.Clone(base), "argo-events", "oauth2-proxy", "tekton", "traefik"),
			wantHosts: map[string]string{
				"argocd":       "argocd.physical-worker-pipeline.8.217.50.114.nip.io",
				"oauth2-proxy": "auth.physical-worker-pipeline.8.217.50.114.nip.io",
				"tekton":       "tekton.physical-worker-pipeline.8.217.50.114.nip.io",
			},
			wantPorts: map[string]int64{"traefik.httpNodePort": 30080, "traefik.httpsNodePort": 30443},
		},
		"virtual, only required fields": {
			like:      "virtual-worker-deployment",
			change:    func(c *v1alpha1.Cluster) { c.Spec.PrimaryDomain, c.Spec.ArgoCDHost, c.Spec.VCluster = "", "", nil },
			want:      append(slices.Clone(base), "argo-rollouts", "vcluster"),
			wantHosts: map[string]string{"argocd": "argocd.virtual-worker-deployment.8.217.50.114.nip.io"},
			wantPorts: map[string]int64{"vcluster.httpsNodePort": 31456},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cluster := guideClusters()[test.like]
			if test.change != nil {
				test.change(cluster)
			}
			found := mustFor(t, Builtin(), cluster, guideClusters()["cluster-host"])
			slices.Sort(test.want)
			if diff := cmp.Diff(test.want, slices.Sorted(maps.Keys(found))); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
			hosts, ports := map[string]string{}, map[string]int64{}
			for name, one := range found {
				if one.Ingress != nil {
					hosts[name] = one.Ingress.Host
				}
				for setting, value := range one.Settings {
					if port, ok := value.(int64); ok && setting != settingHTTPSPort {
						ports[name+"."+setting] = port
					}
				}
			}
			if diff := cmp.Diff(test.wantHosts, hosts); diff != "" {
				t.Errorf("hosts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantPorts, ports); diff != "" {
				t.Errorf("ports (-want +got):\n%s", diff)
			}
			var light []Choice
			for _, name := range test.want {
				one := found[name]
				light = append(light, one.Choice)
			}
			if diff := cmp.Diff(light, Builtin().Choices(cluster)); diff != "" {
				t.Errorf("Choices() differs from For() (-for +choices):\n%s", diff)
			}
		})
	}
}

// The values of the built-in components that clusters rely on.
func TestBuiltinValues(t *testing.T) {
	clusters := guideClusters()
	virtual := clusters["virtual-worker-pipeline"]
	host := clusters["cluster-host"]
	host.Spec.Traefik.HTTPSNodePort = "30999"
	worker := clusters["physical-worker-pipeline"]
	worker.Spec.ComponentsList.OauthProxy = &v1alpha1.Component{Name: "oauth2-proxy", Additions: map[string]string{"issuer": "https://dex.example.com"}}
	components := mustFor(t, Builtin(), worker, nil)
	ofVirtual := mustFor(t, Builtin(), virtual, host)

	tests := map[string]struct {
		component Component
		path      []string
		want      any
	}{
		"node port of HTTP":         {components["traefik"], []string{"ports", "web", "nodePort"}, int64(30080)},
		"node port of HTTPS":        {components["traefik"], []string{"ports", "websecure", "nodePort"}, int64(30443)},
		"label of the gateway":      {components["traefik"], []string{"service", "labels", "resource.nautes.io/Usage"}, "Entrypoint"},
		"entry point of HTTP":       {components["traefik"], []string{"service", "annotations", "cluster-operator.nautes.io/http-entrypoint"}, "web"},
		"entry point of HTTPS":      {components["traefik"], []string{"service", "annotations", "cluster-operator.nautes.io/https-entrypoint"}, "websecure"},
		"gateway of all namespaces": {components["traefik"], []string{"providers", "kubernetesCRD", "allowCrossNamespace"}, true},
		"Vault":                     {components["vault"], []string{"global", "externalVaultAddr"}, "https://vault.example.com:8200"},
		"auth mount":                {components["vault"], []string{"injector", "authPath"}, "auth/physical-worker-pipeline"},
		"auth mount of a virtual":   {ofVirtual["vault"], []string{"injector", "authPath"}, "auth/virtual-worker-pipeline"},
		"no server of Vault":        {components["vault"], []string{"server", "enabled"}, false},
		"CA of Vault":               {components["vault"], []string{"injector", "extraEnvironmentVars", "AGENT_INJECT_VAULT_CACERT_BYTES"}, "pem\nof a\nCA"},
		"redirect": {components["oauth2-proxy"], []string{"extraArgs", "redirect-url"},
			"https://auth.physical-worker-pipeline.8.217.50.114.nip.io:30443/oauth2/callback"},
		"issuer": {components["oauth2-proxy"], []string{"extraEnv"}, []any{map[string]any{"name": "OAUTH2_PROXY_OIDC_ISSUER_URL", "value": "https://dex.example.com"},
			map[string]any{"name": "SSL_CERT_DIR", "value": "/etc/ssl/certs:/etc/oauth2-proxy-issuer"}}},
		"Secret of the proxy":   {components["oauth2-proxy"], []string{"config", "existingSecret"}, "oauth2-proxy"},
		"URL of Argo CD":        {ofVirtual["argocd"], []string{"configs", "cm", "url"}, "https://argocd.virtual-worker-pipeline.8.217.50.114.nip.io:30999"},
		"leases stay at home":   {components["cert-manager"], []string{"global", "leaderElection", "namespace"}, "cert-manager"},
		"Tekton's namespace":    {components["tekton"], []string{"namespace", "name"}, "tekton-pipelines"},
		"port of the vcluster":  {ofVirtual["vcluster"], []string{"controlPlane", "service", "httpsNodePort"}, int64(31456)},
		"names of the vcluster": {ofVirtual["vcluster"], []string{"controlPlane", "proxy", "extraSANs"}, []any{"8.217.50.114"}},
		"its kubeconfig":        {ofVirtual["vcluster"], []string{"exportKubeConfig", "server"}, "https://8.217.50.114:31456"},
		"its ingresses":         {ofVirtual["vcluster"], []string{"sync", "toHost", "ingresses", "enabled"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got any = test.component.Sources[0].Values
			for _, key := range test.path {
				object, ok := got.(map[string]any)
				if !ok {
					t.Fatalf("%v: there is no object above %s", test.path, key)
				}
				got = object[key]
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%v (-want +got):\n%s", test.path, diff)
			}
		})
	}
	if one := ofVirtual["vcluster"]; one.Namespace != virtual.Name || !one.OnHost {
		t.Errorf("the vcluster is in %q, on its host: %v", one.Namespace, one.OnHost)
	}
	if got, want := components["tekton"].Version(), "1.6.0 + v0.65.0"; got != want {
		t.Errorf("Version() of tekton = %q, want %q", got, want)
	}
	if got, want := components["argocd"].Version(), "7.9.1"; got != want {
		t.Errorf("Version() of argocd = %q, want %q", got, want)
	}
	wantSecret := []v1alpha1.ComponentSecret{{Name: "oauth2-proxy", Path: "oauth2-proxy/default", Keys: []string{"client-id", "client-secret", "cookie-secret"}}}
	if diff := cmp.Diff(wantSecret, components["oauth2-proxy"].Secrets); diff != "" {
		t.Errorf("secrets of oauth2-proxy (-want +got):\n%s", diff)
	}
	for name, wantProtected := range map[string]bool{"argocd": false, "tekton": true, "oauth2-proxy": false} {
		if got := components[name].Ingress; got == nil || got.Protected != wantProtected {
			t.Errorf("the page of %s is published as %+v, want protected %v", name, got, wantProtected)
		}
	}
}

// Without Vault, the fields about its location are left out.
func TestBuiltinWithoutVault(t *testing.T) {
	found, errs := Builtin().For(guideClusters()["physical-worker-pipeline"], nil, Facts{Tenant: "acme"})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, one := range found {
		if one.Name != "vault" {
			continue
		}
		values := one.Sources[0].Values
		if diff := cmp.Diff(map[string]any{}, values["global"]); diff != "" {
			t.Errorf("global (-want +got):\n%s", diff)
		}
		injector, _ := values["injector"].(map[string]any)
		if diff := cmp.Diff(map[string]any{}, injector["extraEnvironmentVars"]); diff != "" {
			t.Errorf("extraEnvironmentVars (-want +got):\n%s", diff)
		}
		return
	}
	t.Fatal("there is no vault")
}

// The manifest is an object that the API server would accept.
func TestBuiltinFitsItsSchema(t *testing.T) {
	content, err := yaml.YAMLToJSONStrict([]byte(builtinManifest))
	if err != nil {
		t.Fatal(err)
	}
	object, errs := schema.Read(content)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	kinds, err := schema.New()
	if err != nil {
		t.Fatal(err)
	}
	if _, errs := kinds.Check(object, nil); len(errs) > 0 {
		t.Error(errs.ToAggregate())
	}
	if empty := kinds.EmptyEntries(object); len(empty) > 0 {
		t.Errorf("empty entries %v", empty)
	}
}

func TestBuiltinManifest(t *testing.T) {
	var manifest v1alpha1.ComponentCatalogue
	if err := yaml.UnmarshalStrict([]byte(builtinManifest), &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.APIVersion != v1alpha1.GroupVersion.String() || manifest.Kind != "ComponentCatalogue" || manifest.Name != v1alpha1.ComponentCatalogueName {
		t.Errorf("the manifest is a %s %s %s", manifest.APIVersion, manifest.Kind, manifest.Name)
	}
	pinned := regexp.MustCompile(`^v?[0-9]+\.[0-9]+\.[0-9]+$`)
	for _, one := range manifest.Spec.Components {
		for _, source := range one.Sources {
			if !pinned.MatchString(source.TargetRevision) {
				t.Errorf("%s, %s: the revision %q is not pinned", one.Name, source.Name, source.TargetRevision)
			}
			if !strings.HasPrefix(source.RepoURL, "https://") {
				t.Errorf("%s, %s: the URL %q is not https", one.Name, source.Name, source.RepoURL)
			}
		}
		seen := map[v1alpha1.ClusterResource]bool{}
		for _, kind := range one.ClusterResources {
			if seen[kind] || strings.ContainsAny(kind.Group+kind.Kind, "*?[") {
				t.Errorf("%s: the kind %v is there twice or is a pattern", one.Name, kind)
			}
			seen[kind] = true
		}
	}
	// The catalogue as its own overlay changes nothing.
	again, errs := Effective(&manifest.Spec)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, name := range Builtin().Names() {
		if diff := cmp.Diff(Builtin().Component(name), again.Component(name), rawJSON(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s laid over itself (-built in +effective):\n%s", name, diff)
		}
	}
	if got := Builtin().MinimumKubernetesVersion(); got != "1.28" {
		t.Errorf("MinimumKubernetesVersion() = %q", got)
	}
}

func rawJSON() cmp.Option {
	return cmp.Comparer(func(a, b *runtime.RawExtension) bool {
		first, err := decodeObject(a)
		second, err2 := decodeObject(b)
		return err == nil && err2 == nil && cmp.Equal(first, second)
	})
}

// The operator contains the kinds of Argo CD, Tekton and HNC that it writes. The
// installed versions must know them.
func TestBuiltinFollowsTheModules(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for module, version := range map[string]string{
		"github.com/argoproj/argo-cd/v2":      "v2.14.21",
		"github.com/tektoncd/pipeline":        "v" + Builtin().Component("tekton").Sources[0].TargetRevision,
		"sigs.k8s.io/hierarchical-namespaces": Builtin().Component("hnc").Sources[0].TargetRevision,
		"github.com/argoproj/argo-events":     "v1.9.7",
	} {
		if !strings.Contains(string(file), "\n\t"+module+" "+version+"\n") {
			t.Errorf("go.mod does not require %s %s", module, version)
		}
	}
	for name, version := range map[string]string{"argocd": `"v2.14.21"`} {
		if values := string(Builtin().Component(name).Sources[0].Values.Raw); !strings.Contains(values, version) {
			t.Errorf("the values of %s do not name %s", name, version)
		}
	}
}

func TestByCategory(t *testing.T) {
	tests := map[string]struct {
		category v1alpha1.ComponentCategory
		want     []string
	}{
		"two":  {v1alpha1.CategoryMultiTenant, []string{"hnc", "native"}},
		"one":  {v1alpha1.CategoryVirtualCluster, []string{"vcluster"}},
		"none": {"plumbing", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Builtin().ByCategory(test.category)); diff != "" {
				t.Errorf("ByCategory(%s) (-want +got):\n%s", test.category, diff)
			}
		})
	}
	if Builtin().Component("nothing") != nil {
		t.Error("there is a component called nothing")
	}
	for _, category := range categories() {
		if len(Builtin().ByCategory(category)) == 0 {
			t.Errorf("nothing is built in for %s", category)
		}
	}
}
