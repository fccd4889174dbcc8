package operator

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/gitaccess"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/snapshot"
)

// TestSettingsSurviveTheStore checks that opening the store keeps the other settings of
// snapshots.
func TestSettingsSurviveTheStore(t *testing.T) {
	o := &config.Operator{Namespace: "nautes"}
	o.ArgoCD.Namespace, o.Pipelines.RunnerImage = "cd", "runner:1"
	o.Git.Proxy.URL, o.Git.Proxy.NoProxy = "http://proxy.example.com:3128", []string{"git.example.com"}
	settings, err := settingsOf(o)
	if err != nil {
		t.Fatal(err)
	}
	d := &reconcile.Deps{Client: fake.NewClientBuilder().Build(), Loader: &snapshot.Loader{Settings: settings}}
	if err := openStore(d, o, d.Client); err != nil {
		t.Fatal(err)
	}
	want := snapshot.Settings{
		ArgoCDNamespace: "cd", RunnerImage: "runner:1",
		Git: gitaccess.Access{Proxy: "http://proxy.example.com:3128", NoProxy: "git.example.com"},
	}
	if diff := cmp.Diff(want, d.Loader.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}
