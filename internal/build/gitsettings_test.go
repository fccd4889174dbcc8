package build_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/gitaccess"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/guide"
	. "nautes.io/nautes/test/testutil"
)

// The settings of a Git server reach the launchers and Argo CD, and nothing of them is
// part of a command line.
func TestGitSettings(t *testing.T) {
	settings := snapshot.Settings{RunnerImage: "runner:v1", Git: gitaccess.Access{
		CABundle: "canary-ca\n", KnownHosts: "canary-host\n", Proxy: "http://proxy.example.com:3128", NoProxy: "inside.example.com",
	}}
	s, r := guide.Snapshot(t, settings)
	var config *corev1.ConfigMap
	launchers := ""
	for _, item := range mustPipeline(t, s, r).Sets[0].Items {
		if c, ok := item.Object.(*corev1.ConfigMap); ok && c.Data[launch.FileCA] != "" {
			config = c
		}
		text, err := json.Marshal(item.Object)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := item.Object.(*corev1.ConfigMap); !ok {
			launchers += string(text)
		}
	}
	if config == nil || config.Data[launch.FileCA] != "canary-ca\n" || config.Data[launch.FileKnownHosts] != "canary-host\n" {
		t.Fatalf("the ConfigMap for launchers is %v", config)
	}
	if strings.Contains(launchers, "canary") {
		t.Error("a launcher holds the content of the files")
	}
	s = guide.Ready(t, newSnapshot(Cluster("c"), CodeRepoProvider(Provider)).WithSettings(settings))
	app := itemOf(tenantSet(mustCluster(t, s, "c")), "Application", "c.argocd").Object.(*argocd.Application)
	values := string(app.Spec.Source.Helm.ValuesObject.Raw)
	if !strings.Contains(values, `"extraHosts":"canary-host\n"`) || !strings.Contains(values, `"`+Host+`":"canary-ca\n"`) {
		t.Errorf("the values of Argo CD's chart are %s", values)
	}
}

// A proxy reaches what clones a repository by HTTPS: Argo CD and the launchers.
func TestProxySettings(t *testing.T) {
	settings := snapshot.Settings{RunnerImage: "runner:v1", Git: gitaccess.Access{Proxy: "http://proxy.example.com:3128", NoProxy: "inside.example.com"}}
	overHTTPS := CodeRepoProvider(Provider, func(p *v1alpha1.CodeRepoProvider) { p.Spec.SSHAddress = "" })
	s := newSnapshot(append(world(product("product-1")...), overHTTPS)...).WithSettings(settings)
	space, _, err := spaceSets(s, "product-1", "c")
	if err != nil {
		t.Fatal(err)
	}
	secret, ok := itemOf(space, "Secret", "product-1-repo-1").Object.(*corev1.Secret)
	if !ok || string(secret.Data["proxy"]) != settings.Git.Proxy || string(secret.Data["noProxy"]) != settings.Git.NoProxy {
		t.Errorf("the repository Secret of Argo CD is %v", secret)
	}
	guided, r := guide.Snapshot(t, settings)
	for _, p := range guided.CodeRepoProviders() {
		p = p.DeepCopy()
		p.Spec.SSHAddress = ""
		guided = guided.With(p)
	}
	found := 0
	for _, item := range mustPipeline(t, guided, r).Sets[0].Items {
		text, err := json.Marshal(item.Object)
		if err != nil {
			t.Fatal(err)
		}
		found += strings.Count(string(text), settings.Git.Proxy)
	}
	if found == 0 {
		t.Error("no launcher is given the proxy")
	}
}

// The login for a proxy reaches Argo CD and the launchers by Secrets that are filled from
// the secret store.
func TestProxyLogin(t *testing.T) {
	const proxy = "http://proxy.example.com:3128"
	overHTTPS := CodeRepoProvider(Provider, func(p *v1alpha1.CodeRepoProvider) {
		p.Spec.SSHAddress, p.Spec.Proxy = "", &v1alpha1.GitProxy{URL: proxy, Login: true}
	})
	s := newSnapshot(append(world(product("product-1")...), overHTTPS)...)
	space, _, err := spaceSets(s, "product-1", "c")
	if err != nil {
		t.Fatal(err)
	}
	login := plan.SecretRef{Engine: "tenant", Path: "git/" + Provider + "/proxy"}
	want := plan.SecretValue{Key: "proxy", Ref: login, Field: "password", Format: plan.FormatProxy, Subject: proxy}
	if values := itemOf(space, "Secret", "product-1-repo-1").Secrets; !slices.Contains(values, want) {
		t.Errorf("the repository Secret of Argo CD is filled with %v", values)
	}
	guided, r := guide.Snapshot(t, snapshot.Settings{RunnerImage: "runner:v1", Git: gitaccess.Access{Proxy: proxy}.Login("", true)})
	for _, p := range guided.CodeRepoProviders() {
		p = p.DeepCopy()
		p.Spec.SSHAddress = ""
		guided = guided.With(p)
	}
	login.Path = "nautes/git-proxy"
	var values []plan.SecretValue
	mounted, told := 0, 0
	for _, item := range mustPipeline(t, guided, r).Sets[0].Items {
		if item.ID.Name == names.PipelineProxy(r.Name) {
			values = item.Secrets
			continue
		}
		text, err := json.Marshal(item.Object)
		if err != nil {
			t.Fatal(err)
		}
		mounted += strings.Count(string(text), names.PipelineProxy(r.Name))
		told += strings.Count(string(text), "proxyLogin")
	}
	wantValues := []plan.SecretValue{{Key: "proxy-username", Ref: login, Field: "username"}, {Key: "proxy-password", Ref: login, Field: "password"}}
	if diff := cmp.Diff(wantValues, values); diff != "" {
		t.Errorf("the login of the launchers (-want +got):\n%s", diff)
	}
	if mounted == 0 || told == 0 {
		t.Errorf("%d launchers mount the login, and %d expect it", mounted, told)
	}
}
