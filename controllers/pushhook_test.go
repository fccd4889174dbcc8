package controllers_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
	"nautes.io/nautes/test/scenario"
)

// The operator makes the hook of a product's repository, which reports pushes. It goes
// with the product.
func TestOperatorMakesPushHooks(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	forge, p := gitlab.New(t), scenario.NewProduct("115")
	forge.AddUser(gitlab.User{Username: "owner"})
	forge.AddGroup(p.Group, gitlab.Private, "owner")
	project := forge.AddProject(p.Repository(), gitlab.ProjectSettings{Readme: true})
	product := scenario.InNamespace(devstack.OperatorNamespace, scenario.Declaration("Product", p.Name,
		"name: "+p.Group, fmt.Sprintf("metaDataPath: %s/%s.git", forge.URL, p.Repository())))
	if err := sys.Apply(t.Context(), scenario.Provider("forge-115", forge.URL), product); err != nil {
		t.Fatal(err)
	}
	// There is no token yet.
	sys.condition(t, p.Object(), "Hooked", "False", v1alpha1.ReasonSecretMissing)

	token := map[string]secrets.Value{"access_token": secrets.NewValue([]byte(forge.Token("owner")))}
	if _, err := sys.store.Create(t.Context(), secrets.ProviderToken("forge-115"), token); err != nil {
		t.Fatal(err)
	}
	sys.condition(t, p.Object(), "Hooked", "True", v1alpha1.ReasonReady)
	o := p.Object()
	sys.condition(t, o, "Ready", "True", v1alpha1.ReasonReady)
	url := sys.Hooks + "/hooks/v1/products/" + p.Name
	want := &v1alpha1.ForgeHook{Provider: "forge-115", Repository: project.ID, URL: url, SecretHash: o.Status.Hook.SecretHash}
	if diff := cmp.Diff(want, o.Status.Hook); diff != "" || want.SecretHash == "" {
		t.Errorf("the hook on record (-want +got):\n%s", diff)
	}
	hooks := forge.Hooks(p.Repository())
	if len(hooks) != 1 || hooks[0].URL != url || hooks[0].SigningToken == "" || !slices.Equal(hooks[0].Events, []string{"push_events"}) {
		t.Errorf("the hooks are %+v", hooks)
	}

	if _, err := forge.Push(t.Context(), p.Repository(), githost.Commit{Files: map[string]string{envFile: p.Environment("dev", "alpha")}}); err != nil {
		t.Fatal(err)
	}
	sys.Until(t, "the delivery of the push", func() error {
		deliveries := forge.Deliveries(p.Repository())
		if len(deliveries) == 0 || deliveries[len(deliveries)-1].Status != 200 {
			return fmt.Errorf("the deliveries are %+v", deliveries)
		}
		return nil
	})
	sys.condition(t, &v1alpha1.Environment{ObjectMeta: p.Meta("dev")}, "Ready", "True", v1alpha1.ReasonReady)

	if err := sys.Client.Delete(t.Context(), p.Object()); err != nil {
		t.Fatal(err)
	}
	sys.AwaitGone(t, sys.Client, &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: p.Name}})
	if hooks := forge.Hooks(p.Repository()); len(hooks) > 0 {
		t.Errorf("the hooks %+v are left", hooks)
	}
}
