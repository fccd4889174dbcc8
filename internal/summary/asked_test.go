package summary

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// An object of a space is named while a runtime with its namespace, account or repository
// exists, whether the runtime is valid or not.
func TestStillAsked(t *testing.T) {
	meta := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	runtime := func(name, environment, account, repo string, namespaces ...string) *v1alpha1.DeploymentRuntime {
		r := &v1alpha1.DeploymentRuntime{ObjectMeta: meta("product-1", name)}
		r.Spec.Account = account
		r.Spec.ManifestSource.CodeRepo = repo
		r.Spec.Destination.Environment = environment
		r.Spec.Destination.Namespaces = append(r.Spec.Destination.Namespaces, namespaces...)
		return r
	}
	on := func(r *v1alpha1.DeploymentRuntime, cluster string) *v1alpha1.DeploymentRuntime {
		r.Status.Target = &v1alpha1.RuntimeTarget{Cluster: cluster, Namespaces: []string{"one"}}
		return r
	}
	leaving := func(r *v1alpha1.DeploymentRuntime) *v1alpha1.DeploymentRuntime {
		now := metav1.Now()
		r.DeletionTimestamp = &now
		return r
	}
	env := &v1alpha1.Environment{ObjectMeta: meta("product-1", "dev"), Spec: v1alpha1.EnvironmentSpec{Cluster: "c"}}
	cluster := &v1alpha1.Cluster{ObjectMeta: meta("nautes", "c")}
	ids := map[string]plan.ID{
		"namespace":         {Kind: "Namespace", Name: "one"},
		"hierarchy":         {Kind: "HierarchyConfiguration", Namespace: "one", Name: "hierarchy"},
		"account":           {Kind: "ServiceAccount", Namespace: "one", Name: "app"},
		"role":              {Kind: "RoleBinding", Namespace: "one", Name: names.AccountBinding("app")},
		"store":             {Kind: "SecretStore", Namespace: "one", Name: names.SecretStore("app")},
		"group":             {Kind: "RoleBinding", Namespace: "one", Name: names.GroupBinding},
		"repository":        {Kind: "Secret", Namespace: "argocd", Name: names.Repository("product-1", "repo-1")},
		"project":           {Kind: "AppProject", Namespace: "argocd", Name: "product-1"},
		"product namespace": {Kind: "Namespace", Name: "product-1"},
		"product group":     {Kind: "RoleBinding", Namespace: "product-1", Name: names.GroupBinding},
	}
	always := []string{"project", "product namespace", "product group"}
	all := append([]string{"namespace", "hierarchy", "account", "role", "store", "group", "repository"}, always...)
	for name, test := range map[string]struct {
		runtimes []*v1alpha1.DeploymentRuntime
		want     []string
	}{
		"no runtime":                {nil, always},
		"one runtime":               {[]*v1alpha1.DeploymentRuntime{runtime("a", "dev", "app", "repo-1", "one")}, all},
		"another namespace":         {[]*v1alpha1.DeploymentRuntime{runtime("a", "dev", "app", "repo-1", "two")}, append([]string{"repository"}, always...)},
		"another account":           {[]*v1alpha1.DeploymentRuntime{runtime("a", "dev", "other", "repo-1", "one")}, append([]string{"namespace", "hierarchy", "group", "repository"}, always...)},
		"another repository":        {[]*v1alpha1.DeploymentRuntime{runtime("a", "dev", "app", "repo-2", "one")}, append([]string{"namespace", "hierarchy", "account", "role", "store", "group"}, always...)},
		"the environment is away":   {[]*v1alpha1.DeploymentRuntime{runtime("a", "none", "app", "repo-1", "one")}, all},
		"deployed here":             {[]*v1alpha1.DeploymentRuntime{on(runtime("a", "none", "app", "repo-1", "two"), "c")}, all},
		"deployed elsewhere":        {[]*v1alpha1.DeploymentRuntime{on(runtime("a", "dev", "app", "repo-1", "one"), "d")}, always},
		"leaving, and deployed":     {[]*v1alpha1.DeploymentRuntime{leaving(on(runtime("a", "dev", "app", "repo-1", "one"), "c"))}, all},
		"leaving before deployment": {[]*v1alpha1.DeploymentRuntime{leaving(runtime("a", "dev", "app", "repo-1", "one"))}, always},
		"another product's runtime": {[]*v1alpha1.DeploymentRuntime{func() *v1alpha1.DeploymentRuntime {
			r := on(runtime("a", "dev", "app", "repo-1", "one"), "c")
			r.Namespace = "product-2"
			return r
		}()}, always},
	} {
		t.Run(name, func(t *testing.T) {
			s := snapshot.New("t", "nautes", env, cluster)
			for _, r := range test.runtimes {
				s = s.With(r)
			}
			weighs := StillAsked(s, "product-1", "c")
			want := map[string]bool{}
			for _, name := range test.want {
				want[name] = true
			}
			for name, id := range ids {
				if got := weighs(id); got != want[name] {
					t.Errorf("%s: %v, want %v", name, got, want[name])
				}
			}
		})
	}
}

// A pipeline runtime asks for the repository of its additional resources.
func TestStillAskedByPipelines(t *testing.T) {
	repository := plan.ID{Kind: "Secret", Namespace: "argocd", Name: names.Repository("product-1", "repo-1")}
	for name, test := range map[string]struct {
		resources *v1alpha1.AdditionalResources
		want      bool
	}{
		"none":           {},
		"without Git":    {resources: &v1alpha1.AdditionalResources{}},
		"another one":    {resources: &v1alpha1.AdditionalResources{Git: &v1alpha1.AdditionalResourcesGit{CodeRepo: "repo-2"}}},
		"the repository": {resources: &v1alpha1.AdditionalResources{Git: &v1alpha1.AdditionalResourcesGit{CodeRepo: "repo-1"}}, want: true},
	} {
		r := &v1alpha1.ProjectPipelineRuntime{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "r"}}
		r.Spec.AdditionalResources = test.resources
		r.Status.Target = &v1alpha1.RuntimeTarget{Cluster: "c"}
		if got := StillAsked(snapshot.New("t", "nautes", r), "product-1", "c")(repository); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
