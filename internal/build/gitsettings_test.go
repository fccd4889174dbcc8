package build_test

import (
	"encoding/json"
	"strings"
	"testing"

	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	corev1 "k8s.io/api/core/v1"

	"nautes.io/nautes/internal/gitaccess"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// The settings of a Git server reach the launchers and Argo CD, and nothing of them is
// part of a command line.
func TestGitSettings(t *testing.T) {
	settings := snapshot.Settings{RunnerImage: "runner:v1", Git: gitaccess.Access{
		CABundle: "canary-ca\n", KnownHosts: "canary-host\n", Proxy: "http://proxy.example.com:3128", NoProxy: "inside.example.com",
	}}
	s, r := guideSnapshot(t, settings)
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
	s = ready(t, newSnapshot(Cluster("c"), CodeRepoProvider(Provider)).WithSettings(settings))
	app := itemOf(tenantSet(mustCluster(t, s, "c")), "Application", "c.argocd").Object.(*argocd.Application)
	values := string(app.Spec.Source.Helm.ValuesObject.Raw)
	if !strings.Contains(values, `"extraHosts":"canary-host\n"`) || !strings.Contains(values, `"`+Host+`":"canary-ca\n"`) {
		t.Errorf("the values of Argo CD's chart are %s", values)
	}
}
