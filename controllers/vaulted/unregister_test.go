package vaulted_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/scenario"
)

// neighbours creates foreign entries in Vault under similar names.
func (sys *system) neighbours(t *testing.T, cluster, repo string) {
	t.Helper()
	mine := `path "git/data/other" { capabilities = ["read"] }`
	for _, mount := range []string{cluster + "-2", cluster[:len(cluster)-1], "kubernetes/" + cluster} {
		sys.ask(t, http.MethodPost, "sys/auth/"+mount, map[string]any{
			"type": "kubernetes", "description": "nautes tenant=" + tenantName + "-2 cluster=" + cluster,
		})
		t.Cleanup(func() { sys.ask(t, http.MethodDelete, "sys/auth/"+mount, nil) })
		sys.ask(t, http.MethodPost, "auth/"+mount+"/role/product-504-late", map[string]any{
			"bound_service_account_names": "late", "bound_service_account_namespaces": "ns-504-late", "token_policies": []string{"gitlab-" + repo},
		})
	}
	for name, text := range map[string]string{
		"gitlab-" + repo:                        mine,
		"gitlab-" + repo + "-default":           "# nautes tenant=" + tenantName + "-2 product=product-504\n" + mine,
		"gitlab-" + repo + "-default-readonly2": "# nautes tenant=" + tenantName + " product=product-504-2\n" + mine,
		"product-504-late":                      "# product=product-504\n" + mine,
	} {
		sys.ask(t, http.MethodPut, "sys/policies/acl/"+name, map[string]string{"policy": text})
		t.Cleanup(func() { sys.ask(t, http.MethodDelete, "sys/policies/acl/"+name, nil) })
	}
	for _, name := range []string{cluster + "-2", cluster[:len(cluster)-1]} {
		for _, ref := range []secrets.Ref{secrets.ClusterKubeconfig(name), secrets.ClusterReviewer(name)} {
			sys.putField(t, ref, "a", "b")
			t.Cleanup(func() { sys.ask(t, http.MethodDelete, ref.Engine+"/metadata/"+ref.Path, nil) })
		}
	}
}

// The whole life of a cluster in Vault: its entries come and go with it, and
// everything else stays as it was.
func TestUnregisteredClusterLeavesNothing(t *testing.T) {
	sys := theSystem(t)
	const name = "beta-leaves"
	d := deployment{name: "late", account: "late", repo: "late-504", project: "app", permission: v1alpha1.PermissionReadWrite}
	sys.neighbours(t, name, d.repo)
	s := sys.newProduct("504", name, betaPlane, d)
	s.Token = sys.canaries.make("the token of a product", "tenant Secret nautes/git-product-504")
	before := sys.inventory(t)
	s.keys(t, d)

	cluster := sys.register(t, name)
	s.open(t)
	t.Cleanup(func() { s.remove(t) })
	// External Secrets is on the cluster, as the catalogue says, but its kind is not.
	sys.waits(t, s.Object(), v1alpha1.ConditionReady, v1alpha1.ReasonProgressing, "SecretStore", "install")
	sys.ready(t, s.RuntimeObject(d.name))
	installSecretStores(t, sys.Runtimes[betaPlane])
	s.ready(t)
	sys.AwaitObjects(t, sys.Clusters[betaPlane], scenario.Object("external-secrets.io/v1", "SecretStore", s.namespace(d), "nautes-late"))
	status, token := sys.login(t, name, "product-504-late", sys.account(t, betaPlane, s.namespace(d), d.account))
	if status != http.StatusOK {
		t.Fatalf("the account does not come in: status %d", status)
	}
	if got := sys.status(t, token, http.MethodGet, secrets.DataPath(readWrite(d.repo)), nil); got != http.StatusOK {
		t.Errorf("the account reads its credential: status %d", got)
	}
	if made := len(sys.inventory(t)) - len(before); made != 9 {
		t.Errorf("the cluster has %d things in Vault, want 9: a mount, its configuration, a role, 2 policies, 2 keys, a kubeconfig and a reviewer", made)
	}

	if err := sys.Client.Delete(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	sys.waits(t, cluster, v1alpha1.ConditionReady, v1alpha1.ReasonInUse, s.Name)
	s.remove(t)
	sys.AwaitGone(t, sys.Client, cluster)
	if diff := cmp.Diff(before, sys.inventory(t)); diff != "" {
		t.Errorf("Vault (-before +after):\n%s", diff)
	}
	if got := sys.status(t, token, http.MethodGet, secrets.DataPath(readWrite(d.repo)), nil); got != http.StatusForbidden {
		t.Errorf("a token that was given out before reads still: status %d", got)
	}
	for place, o := range sys.everything(t) {
		labels := o.GetLabels()
		if labels[v1alpha1.LabelOwnerKind] == "Cluster" && labels[v1alpha1.LabelOwnerName] == name || labels[v1alpha1.LabelProduct] == s.Name {
			t.Errorf("%s is left", place)
		}
	}
	sys.uninstallSecretStores(t)
}

func (sys *system) uninstallSecretStores(t *testing.T) {
	t.Helper()
	crd := scenario.Object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "secretstores.external-secrets.io")
	if err := sys.Clusters[betaPlane].Delete(context.Background(), crd); client.IgnoreNotFound(err) != nil {
		t.Error(err)
	}
	sys.AwaitGone(t, sys.Clusters[betaPlane], crd)
}

// A foreign mount or policy at a path of ours is not adopted, changed or removed, and
// the condition names its owner.
func TestForeignThingsStay(t *testing.T) {
	sys := theSystem(t)
	const name, policy = "beta-taken", "gitlab-taken-default-readonly"
	sys.ask(t, http.MethodPost, "sys/auth/"+name, map[string]any{"type": "kubernetes", "description": "the team next door"})
	sys.ask(t, http.MethodPost, "auth/"+name+"/config", map[string]any{"kubernetes_host": "https://next.door.example", "kubernetes_ca_cert": string(sys.vault.CA), "disable_local_ca_jwt": true})
	sys.ask(t, http.MethodPut, "sys/policies/acl/"+policy, map[string]string{"policy": `path "git/data/theirs" { capabilities = ["read"] }`})
	t.Cleanup(func() { sys.ask(t, http.MethodDelete, "sys/policies/acl/"+policy, nil) })
	taken := deployment{name: "taken", account: "taken", repo: "taken", project: "app", permission: v1alpha1.PermissionReadOnly}
	before := sys.inventory(t)
	sys.first.keys(t, taken)

	c := scenario.Cluster(name)
	t.Cleanup(func() { sys.unregister(t, c) })
	sys.putKubeconfig(t, name, sys.certificateKubeconfig(t, betaPlane))
	sys.MustApply(t, sys.clusterManifest(name, betaPlane))
	sys.waits(t, c, v1alpha1.ConditionSecretAccess, v1alpha1.ReasonNotOurs, name, "an unknown owner", "use another name")
	sys.waits(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonNotOurs)
	sys.condition(t, c, v1alpha1.ConditionConnected, v1alpha1.ReasonConnected)

	sys.first.push(t, sys.first.filesOf(taken))
	// Argo CD deploys all the same: no runtime waits for its access to Vault.
	sys.ready(t, sys.first.RuntimeObject(taken.name))
	sys.waits(t, sys.first.Object(), v1alpha1.ConditionReady, v1alpha1.ReasonProgressing, policy, "an unknown owner")
	sys.first.push(t, nil, runtimeFile(taken), "code-repos/"+taken.repo)
	sys.AwaitGone(t, sys.Client, sys.first.RuntimeObject(taken.name))
	sys.first.ready(t)
	sys.unregister(t, c)
	after := sys.inventory(t)
	for key, was := range before {
		if after[key] != was {
			t.Errorf("%s is %s, and was %s", key, after[key], was)
		}
	}
	sys.ask(t, http.MethodDelete, "sys/auth/"+name, nil)
}
