package controllers_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/gitlab"
	"nautes.io/nautes/test/scenario"
)

// titles returns the sorted titles of the keys of a project.
func titles(forge *gitlab.Server, project string) []string {
	var found []string
	for _, key := range forge.Keys(project) {
		found = append(found, key.Title)
	}
	slices.Sort(found)
	return found
}

// The operator makes the deploy keys of the repositories of a product, enables them as
// bindings say, rotates them on request, and removes them with their CodeRepo.
func TestOperatorMakesDeployKeys(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	forge, p := gitlab.New(t, func(o *gitlab.Options) { o.FirstID = 81000 }), scenario.NewProduct("116")
	forge.AddUser(gitlab.User{Username: "owner"})
	forge.AddGroup(p.Group, gitlab.Private, "owner")
	api, web := forge.AddProject(p.Group+"/api", gitlab.ProjectSettings{}), forge.AddProject(p.Group+"/web", gitlab.ProjectSettings{})
	product := scenario.InNamespace(devstack.OperatorNamespace, scenario.Declaration("Product", p.Name,
		"name: "+p.Group, fmt.Sprintf("metaDataPath: %s/%s.git", forge.URL, p.Repository())))
	provider := scenario.InNamespace(devstack.OperatorNamespace, scenario.Declaration("CodeRepoProvider", "forge-116",
		"httpAddress: "+forge.URL, "apiServer: "+forge.API, "providerType: gitlab", "deployKeys: true"))
	sys.MustApply(t, provider, product)
	sys.condition(t, p.Object(), "Applied", "True", "")
	repository := func(id int64, name string) *v1alpha1.CodeRepo {
		o := &v1alpha1.CodeRepo{ObjectMeta: p.Meta(fmt.Sprintf("repo-%d", id))}
		sys.MustApply(t, scenario.InNamespace(p.Name, scenario.Declaration("CodeRepo", o.Name, "codeRepoProvider: forge-116", "repoName: "+name)))
		return o
	}
	apiRepo, webRepo := repository(api.ID, "api"), repository(web.ID, "web")
	sys.condition(t, apiRepo, "DeployKeys", "False", v1alpha1.ReasonSecretMissing)
	sys.putText(t, secrets.ProviderToken("forge-116"), "access_token", forge.Token("owner"))
	for _, r := range []*v1alpha1.CodeRepo{apiRepo, webRepo} {
		sys.condition(t, r, "DeployKeys", "True", v1alpha1.ReasonReady)
		sys.condition(t, r, "Ready", "True", v1alpha1.ReasonReady)
	}
	own := func(name string) []string { return []string{name + "-readonly", name + "-readwrite"} }
	await := func(what, project string, want []string) {
		t.Helper()
		sys.Until(t, what, func() error {
			if diff := cmp.Diff(want, titles(forge, p.Group+"/"+project)); diff != "" {
				return fmt.Errorf("the keys of %s (-want +got):\n%s", project, diff)
			}
			return nil
		})
	}
	await("its own keys", "api", own(apiRepo.Name))

	binding := scenario.InNamespace(p.Name, scenario.Declaration("CodeRepoBinding", "grant", "codeRepo: "+webRepo.Name, "permissions: readonly"))
	sys.MustApply(t, binding)
	await("the keys that the binding grants", "web", append([]string{apiRepo.Name + "-readonly"}, own(webRepo.Name)...))

	stored := func() string {
		t.Helper()
		secret, err := sys.store.Get(t.Context(), secrets.RepositoryReadOnly("gitlab", apiRepo.Name))
		if err != nil {
			t.Fatal(err)
		}
		return string(secret.Fields["fingerprint"].Bytes())
	}
	first := stored()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"now"}}}`, v1alpha1.AnnotationRotateKeys)
	if err := sys.Client.Patch(t.Context(), apiRepo, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
	for _, project := range []string{"api", "web"} {
		sys.Until(t, "the rotated key of "+project, func() error {
			for _, key := range forge.Keys(p.Group + "/" + project) {
				if key.Title == apiRepo.Name+"-readonly" && key.Key != first && key.Key == stored() {
					return nil
				}
			}
			return fmt.Errorf("the keys are %+v", forge.Keys(p.Group+"/"+project))
		})
	}

	if err := sys.Client.Delete(t.Context(), &v1alpha1.CodeRepoBinding{ObjectMeta: p.Meta("grant")}); err != nil {
		t.Fatal(err)
	}
	await("the keys without the binding", "web", own(webRepo.Name))
	if err := sys.Client.Delete(t.Context(), apiRepo); err != nil {
		t.Fatal(err)
	}
	sys.AwaitGone(t, sys.Client, &v1alpha1.CodeRepo{ObjectMeta: metav1.ObjectMeta{Namespace: p.Name, Name: apiRepo.Name}})
	if left := titles(forge, p.Group+"/api"); len(left) > 0 {
		t.Errorf("the keys %s are left", strings.Join(left, ", "))
	}
	if _, err := sys.store.Version(t.Context(), secrets.RepositoryReadWrite("gitlab", apiRepo.Name)); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("the secret is left: %v", err)
	}
}
