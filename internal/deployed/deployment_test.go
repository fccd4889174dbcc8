package deployed_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/deployed"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

func TestDeploymentRuntime(t *testing.T) {
	broken := func(r *v1alpha1.DeploymentRuntime) {
		r.Spec.ManifestSource.Path, r.Spec.ManifestSource.CodeRepo, r.Spec.Destination.Environment = "other", "absent", "absent"
	}
	tests := map[string]struct {
		change   func(*v1alpha1.DeploymentRuntime)
		objects  []client.Object
		wantPath string
		want     bool
	}{
		"an invalid spec":           {change: broken, wantPath: "path", want: true},
		"without a record":          {change: func(r *v1alpha1.DeploymentRuntime) { broken(r); r.Status.Deployed = nil }, wantPath: "other"},
		"an unreadable record":      {change: func(r *v1alpha1.DeploymentRuntime) { broken(r); r.Status.Deployed.Spec.Raw = nil }, wantPath: "other"},
		"a repository not granted":  {change: broken, objects: []client.Object{CodeRepo("product-1", "repo-1", "web")}, wantPath: "path"},
		"a provider that is away":   {change: broken, objects: []client.Object{CodeRepo("product-1", "repo-1", "api", func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = "away" })}, wantPath: "path"},
		"a spec that is valid, too": {change: func(*v1alpha1.DeploymentRuntime) {}, wantPath: "path", want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := ChangedSince(t, test.change)
			s := snapshot.New(Tenant, Namespace, Cluster("c"), CodeRepoProvider(Provider), Product("product-1"), Environment("product-1", "dev", "c"),
				Project("product-1", "api"), CodeRepo("product-1", "repo-1", "api"), r)
			for _, o := range test.objects {
				s = s.With(o)
			}
			got := deployed.DeploymentRuntime(s, r)
			last := ChangedSince(t, func(*v1alpha1.DeploymentRuntime) {})
			if test.want {
				want, err := build.DeploymentRuntime(s, last)
				if err != nil {
					t.Fatal(err)
				}
				wantSets, _ := SetsYAML(want.Sets...)
				gotSets, _ := SetsYAML(got.Sets...)
				if diff := cmp.Diff(string(wantSets), string(gotSets)); diff != "" {
					t.Errorf("sets (-want +got):\n%s", diff)
				}
			} else if len(got.Sets) > 0 {
				t.Errorf("there are sets: %v", got.Sets)
			}
			want := last.Spec.ManifestSource
			if test.wantPath == "other" {
				want = r.Spec.ManifestSource
			}
			if diff := cmp.Diff(want, got.Facts.Source); diff != "" {
				t.Errorf("source (-want +got):\n%s", diff)
			}
		})
	}
}
