package catalogue

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
)

func TestForErrors(t *testing.T) {
	const physical, virtual, deployment, host = "physical-worker-pipeline", "virtual-worker-pipeline", "physical-worker-deployment", "cluster-host"
	type list = v1alpha1.ComponentsList
	type component = v1alpha1.Component
	tests := map[string]struct {
		cluster   string
		overlay   string
		list      list
		change    func(*v1alpha1.ClusterSpec)
		wantField string
		// wantDetail is a part of the error's text.
		wantDetail string
	}{
		"unknown component": {
			cluster: physical, list: list{Deployment: &component{Name: "flux"}},
			wantField: "spec.componentsList.deployment.name", wantDetail: `supported values: "argocd"`,
		},
		"component of another category": {
			cluster: physical, list: list{Deployment: &component{Name: "tekton"}},
			wantField: "spec.componentsList.deployment.name", wantDetail: `supported values: "argocd"`,
		},
		"category that such a cluster has not": {
			cluster: deployment, list: list{Pipeline: &component{Name: "tekton"}},
			wantField: "spec.componentsList.pipeline", wantDetail: "a physical deployment worker has no component of this category: remove it",
		},
		"category that a host has not": {
			cluster: host, list: list{Deployment: &component{Name: "argocd"}},
			wantField: "spec.componentsList.deployment", wantDetail: "a host cluster has no component of this category",
		},
		"component of other clusters": {
			cluster: physical, list: list{Gateway: &component{Name: "edge"}},
			overlay:   `components: [{name: edge, category: gateway, namespace: edge, installation: External, rules: [{usage: host, requirement: Possible}]}]`,
			wantField: "spec.componentsList.gateway.name", wantDetail: "a physical pipeline worker cannot have it: write traefik",
		},
		"beside one that is required": {
			cluster: physical, list: list{Gateway: &component{Name: "edge"}},
			overlay:   `components: [{name: edge, category: gateway, namespace: edge, installation: External, rules: [{usage: worker, requirement: Possible}]}]`,
			wantField: "spec.componentsList.gateway.name", wantDetail: "always has traefik",
		},
		"unknown addition": {
			cluster: physical, list: list{Gateway: &component{Name: "traefik", Additions: map[string]string{"httpNodeport": "30080"}}},
			wantField: "spec.componentsList.gateway.additions[httpNodeport]", wantDetail: "traefik has no setting httpNodeport, its settings are: httpNodePort, httpsNodePort",
		},
		"addition of a component without settings": {
			cluster: physical, list: list{MultiTenant: &component{Name: "native", Additions: map[string]string{"a": "b"}}},
			wantField: "spec.componentsList.multiTenant.additions[a]", wantDetail: "native has no setting a, its settings are: none",
		},
		"a port that is none": {
			cluster: physical, list: list{Gateway: &component{Name: "traefik", Additions: map[string]string{"httpNodePort": "http"}}},
			change:    func(c *v1alpha1.ClusterSpec) { c.Traefik = nil },
			wantField: "spec.componentsList.gateway.additions[httpNodePort]", wantDetail: "a number from 30000 to 32767",
		},
		"a port below the node ports": {
			cluster: physical, change: func(c *v1alpha1.ClusterSpec) { c.Traefik.HTTPNodePort = "29999" },
			wantField: "spec.traefik.httpNodePort", wantDetail: "a number from 30000 to 32767",
		},
		"a port above the node ports": {
			cluster: physical, change: func(c *v1alpha1.ClusterSpec) { c.Traefik.HTTPSNodePort = "32768" },
			wantField: "spec.traefik.httpsNodePort", wantDetail: "a number from 30000 to 32767",
		},
		"one port for two": {
			cluster: physical, change: func(c *v1alpha1.ClusterSpec) { c.Traefik.HTTPSNodePort = "30080" },
			wantField: "spec.traefik.httpsNodePort", wantDetail: "httpNodePort of traefik has the same port",
		},
		"no node port in the URL of a virtual cluster": {
			cluster: virtual, change: func(c *v1alpha1.ClusterSpec) { c.APIServer, c.VCluster = "https://v.example.com", nil },
			wantField: "spec.apiServer", wantDetail: "or set spec.vcluster.httpsNodePort",
		},
		"no port of a virtual cluster": {
			cluster: virtual, change: func(c *v1alpha1.ClusterSpec) { c.APIServer, c.VCluster, c.PrimaryDomain = "", nil, "example.com" },
			wantField: "spec.componentsList.virtualCluster.additions[httpsNodePort]", wantDetail: "vcluster needs the setting httpsNodePort",
		},
		"a host that is none": {
			cluster: physical, list: list{Pipeline: &component{Name: "tekton", Additions: map[string]string{"host": "not a host"}}},
			change:    func(c *v1alpha1.ClusterSpec) { c.TektonHost = "" },
			wantField: "spec.componentsList.pipeline.additions[host]", wantDetail: "write the name of a host",
		},
		"two hosts": {
			cluster: physical, list: list{Deployment: &component{Name: "argocd", Additions: map[string]string{"host": "other.example.com"}}},
			wantField: "spec.argocdHost", wantDetail: "spec.componentsList.deployment.additions[host] says something else: remove one of them",
		},
		"a first-class field without its setting": {
			cluster: physical, list: list{Gateway: &component{Name: "edge"}},
			overlay: `components: [{name: traefik, rules: [{usage: host, requirement: Required}]},
				{name: edge, category: gateway, namespace: edge, installation: External, settings: [{name: httpNodePort, type: port}], rules: [{usage: worker, requirement: Possible}]}]`,
			wantField: "spec.traefik.httpsNodePort", wantDetail: "edge has no setting httpsNodePort",
		},
		"a number that is none": {
			cluster: physical, list: list{Deployment: &component{Name: "argocd", Additions: map[string]string{"httpsPort": "1.5"}}},
			wantField: "spec.componentsList.deployment.additions[httpsPort]", wantDetail: "write a whole number",
		},
		"a boolean that is none": {
			cluster: physical, list: list{MultiTenant: &component{Name: "hnc", Additions: map[string]string{"quota": "yes"}}},
			overlay:   `components: [{name: hnc, settings: [{name: quota, type: boolean}]}]`,
			wantField: "spec.componentsList.multiTenant.additions[quota]", wantDetail: "write true or false",
		},
		"a required setting": {
			cluster: physical, overlay: `components: [{name: oauth2-proxy, settings: [{name: issuer, required: true}]}]`,
			wantField: "spec.componentsList.oauthProxy.additions[issuer]", wantDetail: "oauth2-proxy needs the setting issuer",
		},
		"no domain to make hosts of": {
			cluster: physical, list: list{OauthProxy: &component{Name: "oauth2-proxy", Additions: map[string]string{"host": "auth.example.com"}}},
			change: func(c *v1alpha1.ClusterSpec) {
				c.APIServer, c.PrimaryDomain, c.TektonHost = "https://[fd00::1]:6443", "", ""
			},
			wantField: "spec.componentsList.pipeline.additions[host]", wantDetail: "write the name of a host",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			made, errs := Effective(overlay(t, strings.ReplaceAll(test.overlay, "\t", " ")))
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			cluster := guideClusters()[test.cluster]
			cluster.Spec.ComponentsList = test.list
			if test.change != nil {
				test.change(&cluster.Spec)
			}
			found, errs := made.For(cluster, nil, vaultFacts)
			if len(errs) != 1 || found != nil {
				t.Fatalf("For() = %v, %v, want one error and no components", found, errs)
			}
			if err := errs[0]; err.Field != test.wantField || !strings.Contains(err.ErrorBody(), test.wantDetail) {
				t.Errorf("error = %s, want %s with %q", err, test.wantField, test.wantDetail)
			}
		})
	}
}

func TestForChoices(t *testing.T) {
	type list = v1alpha1.ComponentsList
	type component = v1alpha1.Component
	idle := list{
		Gateway: &component{Name: "whatever"}, OauthProxy: &component{Name: "oauth2-proxy"}, SecretManagement: &component{Name: "vault", Namespace: "v"},
	}
	tests := map[string]struct {
		cluster string
		list    list
		change  func(*v1alpha1.ClusterSpec)
		want    map[string]string // namespaces of some components; - for one that is not there
	}{
		"native tenancy": {
			cluster: "physical-worker-pipeline", list: list{MultiTenant: &component{Name: "native"}},
			want: map[string]string{"native": "", "hnc": "-", "argocd": "argocd"},
		},
		"other namespaces": {
			cluster: "physical-worker-pipeline", list: list{Deployment: &component{Name: "argocd", Namespace: "cd"}},
			want: map[string]string{"argocd": "cd", "tekton": "tekton-pipelines"},
		},
		"a possible one": {
			cluster: "physical-worker-deployment", list: list{OauthProxy: &component{Name: "oauth2-proxy"}},
			want: map[string]string{"oauth2-proxy": "oauth2-proxy"},
		},
		"no gateway of its own":    {cluster: "virtual-worker-pipeline", list: list{Gateway: idle.Gateway, OauthProxy: idle.OauthProxy}, want: map[string]string{"whatever": "-", "traefik": "-", "oauth2-proxy": "-", "vcluster": "virtual-worker-pipeline"}},
		"no secrets on a host":     {cluster: "cluster-host", list: list{SecretManagement: idle.SecretManagement}, want: map[string]string{"vault": "-", "traefik": "traefik"}},
		"an address says the same": {cluster: "physical-worker-pipeline", list: list{Deployment: &component{Name: "argocd", Additions: map[string]string{"host": "argocd.physical-worker-pipeline.8.217.50.114.nip.io"}}}, want: map[string]string{"argocd": "argocd"}},
		"an empty addition":        {cluster: "physical-worker-pipeline", list: list{Gateway: &component{Name: "traefik", Additions: map[string]string{"httpNodePort": ""}}}, want: map[string]string{"traefik": "traefik"}},
		"the field of a virtual cluster": {
			cluster: "virtual-worker-pipeline", change: func(c *v1alpha1.ClusterSpec) { c.APIServer = "https://v.example.com:443" },
			want: map[string]string{"vcluster": "virtual-worker-pipeline"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cluster := guideClusters()[test.cluster]
			cluster.Spec.ComponentsList = test.list
			if test.change != nil {
				test.change(&cluster.Spec)
			}
			found := mustFor(t, Builtin(), cluster, guideClusters()["cluster-host"])
			light := map[string]Choice{}
			for _, one := range Builtin().Choices(cluster) {
				light[one.Name] = one
			}
			got, gotLight := map[string]string{}, map[string]string{}
			for name := range test.want {
				got[name], gotLight[name] = "-", "-"
				if one, ok := found[name]; ok {
					got[name] = one.Namespace
				}
				if one, ok := light[name]; ok {
					gotLight[name] = one.Namespace
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("For() (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, gotLight); diff != "" {
				t.Errorf("Choices() (-want +got):\n%s", diff)
			}
		})
	}
}

// Choices includes a refused choice, so that its namespace stays the component's.
func TestChoicesOfARefusedCluster(t *testing.T) {
	cluster := guideClusters()["physical-worker-pipeline"]
	cluster.Spec.ComponentsList.Deployment = &v1alpha1.Component{Name: "flux", Namespace: "flux-system"}
	for _, one := range Builtin().Choices(cluster) {
		if one.Category == v1alpha1.CategoryDeployment {
			want := Choice{Name: "flux", Category: v1alpha1.CategoryDeployment, Namespace: "flux-system"}
			if diff := cmp.Diff(want, one); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			return
		}
	}
	t.Error("the cluster has no component that deploys")
}

// A virtual cluster's components and its vcluster are in two places: neither waits for
// the other. The vcluster need not have a setting for its port.
func TestOnHost(t *testing.T) {
	made, errs := Effective(overlay(t, `components: [
 {name: vcluster, rules: [{usage: worker, clusterType: virtual, requirement: Possible}]},
 {name: other, category: virtualCluster, after: [cert-manager], rules: [{usage: worker, clusterType: virtual, requirement: Required}],
  sources: [{name: chart, repoURL: "https://charts.example.com", chart: other, targetRevision: 1.0.0}]},
 {name: argocd, after: [other, vault]}]`))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	cluster := guideClusters()["virtual-worker-pipeline"]
	cluster.Spec.VCluster = nil
	found := mustFor(t, made, cluster, nil)
	if diff := cmp.Diff([]string{"vault"}, found["argocd"].After); diff != "" {
		t.Errorf("argocd waits for (-want +got):\n%s", diff)
	}
	want := Component{
		Choice: Choice{Name: "other", Category: v1alpha1.CategoryVirtualCluster, Namespace: cluster.Name, OnHost: true}, Settings: map[string]any{},
		Sources: []Source{{Name: "chart", RepoURL: "https://charts.example.com", Chart: "other", TargetRevision: "1.0.0"}},
	}
	if diff := cmp.Diff(want, found["other"]); diff != "" {
		t.Errorf("other (-want +got):\n%s", diff)
	}
}

// Every text that people write reaches the charts unchanged.
func TestHostileValues(t *testing.T) {
	made, errs := Effective(overlay(t, `components: [{name: oauth2-proxy, sources: [{name: chart, values:
 {alone: $(settings.issuer), within: "<$(settings.issuer)>", list: ["$(settings.issuer)"]}}]}]`))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for name, text := range map[string]string{
		"a reference":          "$(vault.address)",
		"a reference to it":    "$(settings.issuer)",
		"an escaped reference": "$$(cluster.name)",
		"an open reference":    "$(",
		"YAML":                 "a\nserver:\n  enabled: true\n- b: {c: [\"",
		"a template":           `{{ printf "%s" .Values.config | fail }}`,
		"quotes":               "\"'`\\\x00\u2028",
		"a number":             "30080",
		"a boolean":            "true",
		"null":                 "null",
		"an object":            `{"a":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			cluster := guideClusters()["physical-worker-pipeline"]
			cluster.Spec.ComponentsList.OauthProxy = &v1alpha1.Component{Name: "oauth2-proxy", Additions: map[string]string{"issuer": text}}
			values := mustFor(t, made, cluster, nil)["oauth2-proxy"].Sources[0].Values
			got := map[string]any{"alone": values["alone"], "within": values["within"], "list": values["list"]}
			want := map[string]any{"alone": text, "within": "<" + text + ">", "list": []any{text}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Values in a patch are encoded, and operations without a value are left out.
func TestPatches(t *testing.T) {
	made, errs := Effective(overlay(t, `components: [{name: hnc, settings: [{name: text}, {name: unset}], sources: [{name: manifests, patches: [
 {kind: A, operations: [{op: add, path: /a, value: $(settings.text)}, {op: replace, path: /b, value: $(settings.unset)}, {op: remove, path: /c}]},
 {kind: B, operations: [{op: add, path: /a, value: $(settings.unset)}]},
 {kind: C, operations: [{op: add, path: /a, value: false}, {op: add, path: /b, value: {c: [$(settings.unset), 1]}}]}]}]}]`))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	cluster := guideClusters()["physical-worker-pipeline"]
	const text = "\",\"path\":\"/evil\"}]<&\n"
	cluster.Spec.ComponentsList.MultiTenant = &v1alpha1.Component{Name: "hnc", Additions: map[string]string{"text": text}}
	got := map[string]any{}
	for _, patch := range mustFor(t, made, cluster, nil)["hnc"].Sources[0].Patches {
		var operations any
		if err := json.Unmarshal(patch.Operations, &operations); err != nil {
			t.Fatal(err)
		}
		got[patch.Kind] = operations
	}
	want := map[string]any{
		"A": []any{map[string]any{"op": "add", "path": "/a", "value": text}, map[string]any{"op": "remove", "path": "/c"}},
		"C": []any{map[string]any{"op": "add", "path": "/a", "value": false}, map[string]any{"op": "add", "path": "/b", "value": map[string]any{"c": []any{1.0}}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHTTPSPort(t *testing.T) {
	withPort := func(port string) func(*v1alpha1.Cluster) {
		return func(c *v1alpha1.Cluster) {
			c.Spec.ComponentsList.Deployment = &v1alpha1.Component{Name: "argocd", Additions: map[string]string{"httpsPort": port}}
		}
	}
	tests := map[string]struct {
		cluster string
		noHost  bool
		overlay string
		change  func(*v1alpha1.Cluster)
		want    any
	}{
		"of its own gateway":       {cluster: "physical-worker-pipeline", want: int64(30443)},
		"of its host's gateway":    {cluster: "virtual-worker-pipeline", want: int64(30999)},
		"of no gateway":            {cluster: "virtual-worker-pipeline", noHost: true, want: int64(443)},
		"of a gateway without one": {cluster: "physical-worker-pipeline", overlay: `components: [{name: traefik, settings: [{name: httpsNodePort, type: string}]}]`, want: int64(443)},
		"as the cluster says":      {cluster: "virtual-worker-pipeline", change: withPort("8443"), want: int64(8443)},
		"as text":                  {cluster: "physical-worker-pipeline", overlay: `components: [{name: argocd, settings: [{name: httpsPort, type: string}]}]`, want: "443"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			made, errs := Effective(overlay(t, test.overlay))
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			cluster, host := guideClusters()[test.cluster], guideClusters()["cluster-host"]
			host.Spec.Traefik.HTTPSNodePort = "30999"
			if test.noHost {
				host = nil
			}
			if test.change != nil {
				test.change(cluster)
			}
			if got := mustFor(t, made, cluster, host)["argocd"].Settings["httpsPort"]; got != test.want {
				t.Errorf("httpsPort = %v, want %v", got, test.want)
			}
		})
	}
}

func TestPrimaryDomain(t *testing.T) {
	tests := map[string]struct{ domain, server, want string }{
		"its own":       {domain: "example.com", server: "https://1.2.3.4:6443", want: "example.com"},
		"of an address": {server: "https://1.2.3.4:6443", want: "1.2.3.4.nip.io"},
		"of a name":     {server: "https://k8s.example.com", want: "k8s.example.com"},
		"of IPv6":       {server: "https://[fd00::1]:6443", want: ""},
		"of no URL":     {server: "https://%zz", want: ""},
		"of nothing":    {want: ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cluster := &v1alpha1.Cluster{Spec: v1alpha1.ClusterSpec{PrimaryDomain: test.domain, APIServer: test.server}}
			if got := PrimaryDomain(cluster); got != test.want {
				t.Errorf("PrimaryDomain() = %q, want %q", got, test.want)
			}
		})
	}
}

// Every known reference has a value.
func TestReferences(t *testing.T) {
	cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Spec: v1alpha1.ClusterSpec{
		APIServer: "https://1.2.3.4:6443", HostCluster: "h",
	}}
	refs := newReferences(cluster, vaultFacts).of(selection{component: &component{spec: &v1alpha1.CatalogueComponent{Name: "n", Namespace: "s"}}})
	got := map[string]any{}
	for _, name := range clusterReferences() {
		if wrong := unknownReference(name, "n", nil); wrong != "" {
			t.Errorf("%s: %s", name, wrong)
		}
		got[name] = refs.value(name)
	}
	want := map[string]any{
		"cluster.name": "c", "cluster.apiServer": "https://1.2.3.4:6443", "cluster.apiServerHost": "1.2.3.4",
		"cluster.primaryDomain": "1.2.3.4.nip.io", "cluster.hostCluster": "h", "component.name": "n", "component.namespace": "s",
		"tenant.name": "acme", "vault.address": "https://vault.example.com:8200", "vault.caBundle": "pem\nof a\nCA",
		"vault.namespace": "ns", "vault.authMount": "c",
		"git.certificates": map[string]any{"git.example.com": "pem"}, "git.proxyEnvironment": nil, "git.knownHosts": "git.example.com ssh-ed25519 AAAA",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Without proxies of private authorities the field is left out, and with them it is a list.
func TestProxyEnvironment(t *testing.T) {
	for name, test := range map[string]struct {
		certificates map[string]string
		want         any
	}{
		"no proxy": {certificates: map[string]string{"git.example.com": "pem"}},
		"proxy": {
			certificates: map[string]string{"git.example.com": "pem", ProxyAuthorities: "proxy"},
			want:         []any{map[string]any{"name": "GIT_PROXY_SSL_CAINFO", "value": "/app/config/tls/git_proxies"}},
		},
	} {
		facts := vaultFacts
		facts.GitCertificates = test.certificates
		found, errs := Builtin().For(guideClusters()["physical-worker-deployment"], nil, facts)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		i := slices.IndexFunc(found, func(c Component) bool { return c.Name == "argocd" })
		server, _ := found[i].Sources[0].Values["repoServer"].(map[string]any)
		if diff := cmp.Diff(test.want, server["env"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestDeterminism(t *testing.T) {
	spec := overlay(t, `components: [{name: traefik, sources: [{name: chart, values: {c: 1, a: {z: 1, y: 2}, b: $(cluster.name)}}]}, {name: argocd, after: [vault, hnc]}]`)
	bad := guideClusters()["physical-worker-pipeline"]
	bad.Spec.ComponentsList.Gateway = &v1alpha1.Component{Name: "traefik", Additions: map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}}
	var first, firstErrors string
	for range 20 {
		made, errs := Effective(spec)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		found, errs := made.For(guideClusters()["physical-worker-pipeline"], nil, vaultFacts)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		raw, err := json.Marshal([]any{found, made.Component("traefik")})
		if err != nil {
			t.Fatal(err)
		}
		_, wrong := made.For(bad, nil, vaultFacts)
		if first == "" {
			first, firstErrors = string(raw), describe(wrong)
		}
		if string(raw) != first || describe(wrong) != firstErrors {
			t.Fatalf("another time it is\n%s\n%s\nand not\n%s\n%s", raw, describe(wrong), first, firstErrors)
		}
	}
	if strings.Count(firstErrors, "has no setting") != 4 {
		t.Errorf("errors = %s, want one of each addition", firstErrors)
	}
}

func describe(errs field.ErrorList) string {
	var lines []string
	for _, err := range errs {
		lines = append(lines, err.Error())
	}
	return strings.Join(lines, "\n")
}

func BenchmarkEffectiveFor(b *testing.B) {
	spec := overlay(b, `components: [{name: traefik, sources: [{name: chart, repoURL: "https://mirror.example.com"}]}, {name: argocd, sources: [{name: chart, values: {a: {b: $(cluster.name)}}}]}]`)
	cluster := guideClusters()["physical-worker-pipeline"]
	b.Run("Effective", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, errs := Effective(spec); len(errs) > 0 {
				b.Fatal(errs)
			}
		}
	})
	b.Run("For", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, errs := Builtin().For(cluster, nil, vaultFacts); len(errs) > 0 {
				b.Fatal(errs)
			}
		}
	})
	b.Run("Components", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if len(Builtin().Choices(cluster)) != 9 {
				b.Fatal("there are not nine")
			}
		}
	})
}
