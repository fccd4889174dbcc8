package build_test

import (
	"slices"
	"testing"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/guide"
	. "nautes.io/nautes/test/testutil"
)

// TestSpaceOfDeployedSpec holds that a Space serves the spec on record while the new
// one is invalid: else the Application of a runtime would lose its repository.
func TestSpaceOfDeployedSpec(t *testing.T) {
	other := CodeRepo("product-1", "repo-2", "api")
	tests := map[string]struct {
		change      func(*v1alpha1.DeploymentRuntime)
		wantAccount string
		wantRepo    string
	}{
		"unchanged": {change: func(r *v1alpha1.DeploymentRuntime) { r.Generation = 1 }, wantAccount: "app", wantRepo: "repo-1"},
		"valid": {
			change:      func(r *v1alpha1.DeploymentRuntime) { r.Spec.Account, r.Spec.ManifestSource.CodeRepo = "new", "repo-2" },
			wantAccount: "new", wantRepo: "repo-2",
		},
		"invalid": {
			change: func(r *v1alpha1.DeploymentRuntime) {
				r.Spec.Account, r.Spec.ManifestSource.CodeRepo, r.Spec.ManifestSource.Path = "new", "repo-2", "../outside"
			},
			wantAccount: "app", wantRepo: "repo-1",
		},
		"invalid without a record": {
			change: func(r *v1alpha1.DeploymentRuntime) {
				r.Spec.Account, r.Spec.ManifestSource.CodeRepo, r.Spec.ManifestSource.Path = "new", "repo-2", "../outside"
				r.Status.Deployed = nil
			},
			wantAccount: "new", wantRepo: "repo-2",
		},
		"invalid and being deleted": {
			change: func(r *v1alpha1.DeploymentRuntime) {
				r.Spec.Account, r.Spec.ManifestSource.CodeRepo, r.Spec.ManifestSource.Path = "new", "repo-2", "../outside"
				Deleting(r)
			},
			wantAccount: "new", wantRepo: "repo-2",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSnapshot(world(product("product-1")...)...).With(other).With(ChangedSince(t, test.change))
			set, _, err := spaceSets(s, "product-1", "c")
			if err != nil {
				t.Fatal(err)
			}
			for kind, name := range map[string]string{"ServiceAccount": test.wantAccount, "Secret": names.Repository("product-1", test.wantRepo)} {
				var got []string
				for _, item := range set.Items {
					if item.ID.Kind == kind {
						got = append(got, item.ID.Name)
					}
				}
				if !slices.Equal(got, []string{name}) {
					t.Errorf("there are %s %v, want %s", kind, got, name)
				}
			}
		})
	}
}

// So it does for a pipeline runtime, whose launchers run with the account.
func TestSpaceOfDeployedPipeline(t *testing.T) {
	s, r := guide.Snapshot(t, snapshot.Settings{})
	target, err := s.Target(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Status.Target = &target
	Recorded(t, r)
	r.Generation++
	for want, hook := range map[string]string{r.Status.Target.Account: "unknown", "new": ""} {
		changed := r.DeepCopy()
		changed.Spec.Account = "new"
		if hook != "" {
			changed.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: hook}}}
		}
		set, _, err := spaceSets(s.With(changed), guide.Product, guide.Cluster)
		if err != nil {
			t.Fatal(err)
		}
		if itemOf(set, "ServiceAccount", want) == nil {
			t.Errorf("there is no account %s", want)
		}
	}
}
