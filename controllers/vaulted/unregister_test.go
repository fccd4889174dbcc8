package vaulted_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
)

// neighbours creates foreign entries in Vault under similar names.
func (w *world) neighbours(t *testing.T, cluster, repo string) {
	t.Helper()
	mine := `path "git/data/other" { capabilities = ["read"] }`
	for _, mount := range []string{cluster + "-2", cluster[:len(cluster)-1], "kubernetes/" + cluster} {
		w.ask(t, http.MethodPost, "sys/auth/"+mount, map[string]any{
			"type": "kubernetes", "description": "nautes tenant=" + tenantName + "-2 cluster=" + cluster,
		})
		t.Cleanup(func() { w.ask(t, http.MethodDelete, "sys/auth/"+mount, nil) })
		w.ask(t, http.MethodPost, "auth/"+mount+"/role/product-504-late", map[string]any{
			"bound_service_account_names": "late", "bound_service_account_namespaces": "ns-504-late", "token_policies": []string{"gitlab-" + repo},
		})
	}
	for name, text := range map[string]string{
		"gitlab-" + repo:                        mine,
		"gitlab-" + repo + "-default":           "# nautes tenant=" + tenantName + "-2 product=product-504\n" + mine,
		"gitlab-" + repo + "-default-readonly2": "# nautes tenant=" + tenantName + " product=product-504-2\n" + mine,
		"product-504-late":                      "# product=product-504\n" + mine,
	} {
		w.ask(t, http.MethodPut, "sys/policies/acl/"+name, map[string]string{"policy": text})
		t.Cleanup(func() { w.ask(t, http.MethodDelete, "sys/policies/acl/"+name, nil) })
	}
	for _, name := range []string{cluster + "-2", cluster[:len(cluster)-1]} {
		for _, ref := range []secrets.Ref{secrets.ClusterKubeconfig(name), secrets.ClusterReviewer(name)} {
			w.putField(t, ref, "a", "b")
			t.Cleanup(func() { w.ask(t, http.MethodDelete, ref.Engine+"/metadata/"+ref.Path, nil) })
		}
	}
}

// The whole life of a cluster in Vault: its entries come and go with it, and
// everything else stays as it was.
func TestUnregisteredClusterLeavesNothing(t *testing.T) {
	w := theWorld(t)
	const name = "beta-leaves"
	d := deployment{name: "late", account: "late", repo: "late-504", project: "app", permission: v1alpha1.PermissionReadWrite}
	w.neighbours(t, name, d.repo)
	s := w.newShop("504", name, betaPlane, d)
	s.token = w.canaries.make("the token of a product", "tenant Secret nautes/git-product-504")
	before := w.inventory(t)
	s.keys(t, d)

	cluster := w.register(t, name, "")
	s.open(t)
	t.Cleanup(func() { s.remove(t) })
	// External Secrets is on the cluster, as the catalogue says, but its kind is not.
	w.waits(t, s.object(), v1alpha1.ConditionReady, v1alpha1.ReasonProgressing, "SecretStore", "install")
	w.ready(t, s.runtimeObject(d.name))
	installSecretStores(t, w.Runtimes[betaPlane])
	s.ready(t)
	exists(t, w.runtimes[betaPlane], object("external-secrets.io/v1", "SecretStore", s.namespace(d), "nautes-late"))
	status, token := w.login(t, name, "product-504-late", w.account(t, betaPlane, s.namespace(d), d.account))
	if status != http.StatusOK {
		t.Fatalf("the account does not come in: status %d", status)
	}
	if got := w.status(t, token, http.MethodGet, secrets.DataPath(readWrite(d.repo)), nil); got != http.StatusOK {
		t.Errorf("the account reads its credential: status %d", got)
	}
	if made := len(w.inventory(t)) - len(before); made != 9 {
		t.Errorf("the cluster has %d things in Vault, want 9: a mount, its configuration, a role, 2 policies, 2 keys, a kubeconfig and a reviewer", made)
	}

	if err := w.c.Delete(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	w.waits(t, cluster, v1alpha1.ConditionReady, v1alpha1.ReasonInUse, s.product)
	s.remove(t)
	gone(t, w.c, cluster)
	if diff := cmp.Diff(before, w.inventory(t)); diff != "" {
		t.Errorf("Vault (-before +after):\n%s", diff)
	}
	if got := w.status(t, token, http.MethodGet, secrets.DataPath(readWrite(d.repo)), nil); got != http.StatusForbidden {
		t.Errorf("a token that was given out before reads still: status %d", got)
	}
	for place, o := range w.everything(t) {
		labels := o.GetLabels()
		if labels[v1alpha1.LabelOwnerKind] == "Cluster" && labels[v1alpha1.LabelOwnerName] == name || labels[v1alpha1.LabelProduct] == s.product {
			t.Errorf("%s is left", place)
		}
	}
	w.uninstallSecretStores(t)
}

func (w *world) uninstallSecretStores(t *testing.T) {
	t.Helper()
	crd := object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "secretstores.external-secrets.io")
	if err := w.runtimes[betaPlane].Delete(context.Background(), crd); client.IgnoreNotFound(err) != nil {
		t.Error(err)
	}
	gone(t, w.runtimes[betaPlane], crd)
}

// A foreign mount or policy at a path of ours is not adopted, changed or removed, and
// the condition names its owner.
func TestForeignThingsStay(t *testing.T) {
	w := theWorld(t)
	const name, policy = "beta-taken", "gitlab-taken-default-readonly"
	w.ask(t, http.MethodPost, "sys/auth/"+name, map[string]any{"type": "kubernetes", "description": "the team next door"})
	w.ask(t, http.MethodPost, "auth/"+name+"/config", map[string]any{"kubernetes_host": "https://next.door.example", "kubernetes_ca_cert": string(w.vault.CA), "disable_local_ca_jwt": true})
	w.ask(t, http.MethodPut, "sys/policies/acl/"+policy, map[string]string{"policy": `path "git/data/theirs" { capabilities = ["read"] }`})
	t.Cleanup(func() { w.ask(t, http.MethodDelete, "sys/policies/acl/"+policy, nil) })
	taken := deployment{name: "taken", account: "taken", repo: "taken", project: "app", permission: v1alpha1.PermissionReadOnly}
	before := w.inventory(t)
	w.first.keys(t, taken)

	c := clusterObject(name)
	t.Cleanup(func() { w.unregister(t, c) })
	w.putKubeconfig(t, name, w.certificateKubeconfig(t, betaPlane))
	w.apply(t, w.clusterYAML(name, betaPlane, ""))
	w.waits(t, c, v1alpha1.ConditionSecretAccess, v1alpha1.ReasonNotOurs, name, "an unknown owner", "use another name")
	w.waits(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonNotOurs)
	w.condition(t, c, v1alpha1.ConditionConnected, v1alpha1.ReasonConnected)

	w.first.push(t, w.first.filesOf(taken))
	// Argo CD deploys all the same: no runtime waits for its access to Vault.
	w.ready(t, w.first.runtimeObject(taken.name))
	w.waits(t, w.first.object(), v1alpha1.ConditionReady, v1alpha1.ReasonProgressing, policy, "an unknown owner")
	w.first.push(t, nil, runtimeFile(taken), "code-repos/"+taken.repo)
	gone(t, w.c, w.first.runtimeObject(taken.name))
	w.first.ready(t)
	w.unregister(t, c)
	after := w.inventory(t)
	for key, was := range before {
		if after[key] != was {
			t.Errorf("%s is %s, and was %s", key, after[key], was)
		}
	}
	w.ask(t, http.MethodDelete, "sys/auth/"+name, nil)
}
