package vaulted_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
)

// healing is how late everything may be ready again: less than the half minute
// after which whoever waits would ask again by himself.
const healing = 20 * time.Second

// trouble is a way in which Vault is of no use.
type trouble struct {
	name string
	// begin and end it; login is the operator's, when it is not the usual one.
	begin, end func(t *testing.T, w *world)
	login      func(t *testing.T, w *world) string
	wantReason string
	// wantSays is the part of the conditions' messages that names the remedy.
	wantSays string
}

func troubles() []trouble {
	fail := func(failure githost.Failure) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) { w.proxy.Fail(devstack.Fault{Failure: failure}) }
	}
	heal := func(_ *testing.T, w *world) { w.proxy.Heal() }
	do := func(what func(w *world) error) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			t.Helper()
			if err := what(w); err != nil {
				t.Fatal(err)
			}
		}
	}
	return []trouble{
		{
			name:       "sealed",
			begin:      do(func(w *world) error { return w.vault.Seal(context.Background()) }),
			end:        do(func(w *world) error { return w.vault.Unseal(context.Background()) }),
			wantReason: v1alpha1.ReasonSecretStoreUnavailable, wantSays: "it is sealed; unseal it",
		},
		{
			name: "slow", begin: fail(githost.Slow(3 * vaultTimeout)), end: heal,
			wantReason: v1alpha1.ReasonSecretStoreUnavailable, wantSays: "it did not answer within " + vaultTimeout.String(),
		},
		{
			name: "denied", begin: fail(githost.Answer(http.StatusForbidden, `{"errors":["permission denied"]}`)), end: heal,
			wantReason: v1alpha1.ReasonSecretStoreDenied, wantSays: "check the mount, the role, and its bindings",
		},
		{
			name:       "restarted",
			begin:      do(func(w *world) error { return w.vault.Kill() }),
			end:        do(func(w *world) error { return w.vault.Start(context.Background()) }),
			wantReason: v1alpha1.ReasonSecretStoreUnavailable, wantSays: "the server at its address is not Vault (status 502)",
		},
		{
			name:       "refused",
			begin:      do(func(w *world) error { return w.proxy.Stop() }),
			end:        do(func(w *world) error { return w.proxy.Start() }),
			wantReason: v1alpha1.ReasonSecretStoreUnavailable, wantSays: "connection",
		},
		{
			name: "ended-token",
			login: func(t *testing.T, w *world) string {
				return w.tokenLogin(t, "1h")
			},
			begin: func(t *testing.T, w *world) {
				// The file holds one that ends in a moment; the one in use ends now.
				inUse := w.vaultToken
				_ = w.tokenLogin(t, "1s")
				w.ask(t, http.MethodPost, "auth/token/revoke", map[string]string{"token": inUse})
				until(t, "the end of the token", func() error {
					if got := w.status(t, w.vaultToken, http.MethodGet, "auth/token/lookup-self", nil); got != http.StatusForbidden {
						return fmt.Errorf("it has the status %d", got)
					}
					return nil
				})
			},
			end:        func(t *testing.T, w *world) { _ = w.tokenLogin(t, "1h") },
			wantReason: v1alpha1.ReasonSecretStoreDenied, wantSays: "it does not accept the token in ",
		},
	}
}

// For every fault of Vault its users name the fault and the remedy; the
// others go on; nothing is removed anywhere; and when it is back everything is
// ready again, without a change of any object.
func TestTroublesOfVault(t *testing.T) {
	w := theWorld(t)
	s := w.newShop("503", alphaCluster, alphaPlane,
		deployment{name: "steady", account: "steady", repo: "steady-503", project: "app", permission: v1alpha1.PermissionReadOnly})
	s.token = w.canaries.make("the token of a product", "tenant Secret nautes/git-product-503")
	s.keys(t, s.deployments...)
	s.open(t)
	s.ready(t)
	for _, trouble := range troubles() {
		t.Run(trouble.name, func(t *testing.T) {
			if trouble.login != nil {
				w.restart(t, trouble.login(t, w))
				defer func() { w.restart(t, w.kubernetesLogin(t)) }()
				s.ready(t)
			}
			w.suffer(t, s, trouble)
		})
	}
}

// suffer goes through one trouble.
func (w *world) suffer(t *testing.T, s shop, trouble trouble) {
	t.Helper()
	late := deployment{name: "late-" + trouble.name, account: "late-" + trouble.name, repo: "late-" + trouble.name, project: "app", permission: v1alpha1.PermissionReadOnly}
	s.keys(t, late)
	steady, books := s.find("steady"), w.second.find("books")
	steady.path, books.path = trouble.name, trouble.name
	alpha, beta := clusterObject(alphaCluster), clusterObject("beta-"+trouble.name)
	w.putKubeconfig(t, beta.Name, w.certificateKubeconfig(t, betaPlane))
	t.Cleanup(func() { w.unregister(t, beta) })
	w.ready(t, alpha)
	before, stored, asked := w.everything(t), w.inventory(t), len(w.requests(t))

	trouble.begin(t, w)
	// Ended once more in any case, so that the other tests have a Vault.
	ended := false
	defer func() {
		if !ended {
			trouble.end(t, w)
		}
	}()
	files := s.filesOf(late)
	files[runtimeFile(steady)] = s.runtime(steady)
	s.push(t, files)
	w.second.push(t, map[string]string{runtimeFile(books): w.second.runtime(books)})
	w.apply(t, w.clusterYAML(beta.Name, betaPlane, ""))
	w.look(t, alpha, trouble.name)
	lostBinding := object("rbac.authorization.k8s.io/v1", "RoleBinding", s.namespace(steady), "nautes-account-steady")
	if err := w.runtimes[alphaPlane].Delete(t.Context(), lostBinding); err != nil {
		t.Fatal(err)
	}
	// Who needs Vault.
	for o, conditionType := range map[v1alpha1.Object]string{
		s.runtimeObject(late.name): v1alpha1.ConditionReady, w.second.object(): v1alpha1.ConditionSynced,
		alpha: v1alpha1.ConditionCredentials, beta: v1alpha1.ConditionCredentials,
	} {
		w.waits(t, o, conditionType, trouble.wantReason, trouble.wantSays)
	}
	// Who does not.
	w.condition(t, alpha, v1alpha1.ConditionConnected, v1alpha1.ReasonConnected)
	w.deploys(t, s, steady)
	w.ready(t, s.runtimeObject(steady.name))
	exists(t, w.runtimes[alphaPlane], lostBinding)

	ended = true
	trouble.end(t, w)
	began := time.Now()
	for _, o := range []v1alpha1.Object{alpha, beta, s.runtimeObject(late.name)} {
		w.ready(t, o)
	}
	w.deploys(t, w.second, books)
	for _, shop := range []shop{w.first, w.second, s} {
		shop.ready(t)
	}
	took := time.Since(began)
	t.Logf("everything was ready again after %v", took)
	if within := w.within(healing); took > within {
		t.Errorf("everything was ready again after %v, want within %v", took, within)
	}
	for _, place := range lost(before, w.everything(t)) {
		if !strings.HasSuffix(place, "RoleBinding "+lostBinding.GetNamespace()+"/"+lostBinding.GetName()) {
			t.Errorf("%s was removed", place)
		}
	}
	after := w.inventory(t)
	for key, was := range stored {
		if after[key] != was {
			t.Errorf("in Vault %s is %s, and was %s", key, after[key], was)
		}
	}
	for _, r := range w.requests(t)[asked:] {
		if r.Operation == "delete" || strings.Contains(r.Path, "revoke-prefix") {
			t.Errorf("Vault: %s", r)
		}
	}
}

// look has an object looked at, as anything that happens to it does.
func (w *world) look(t *testing.T, o v1alpha1.Object, value string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationReconcileAt, value)
	if err := w.c.Patch(t.Context(), o, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		t.Fatal(err)
	}
}
