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
	"nautes.io/nautes/test/scenario"
)

// healing is how late everything may be ready again: less than the half minute
// after which whoever waits would ask again by himself.
const healing = 20 * time.Second

// trouble is a way in which Vault is of no use.
type trouble struct {
	name string
	// begin and end it; login is the operator's, when it is not the usual one.
	begin, end func(t *testing.T, sys *system)
	login      func(t *testing.T, sys *system) devstack.VaultLogin
	wantReason string
	// wantSays is the part of the conditions' messages that names the remedy.
	wantSays string
}

func troubles() []trouble {
	fail := func(failure githost.Failure) func(*testing.T, *system) {
		return func(_ *testing.T, sys *system) { sys.proxy.Fail(devstack.Fault{Failure: failure}) }
	}
	heal := func(_ *testing.T, sys *system) { sys.proxy.Heal() }
	do := func(what func(sys *system) error) func(*testing.T, *system) {
		return func(t *testing.T, sys *system) {
			t.Helper()
			if err := what(sys); err != nil {
				t.Fatal(err)
			}
		}
	}
	return []trouble{
		{
			name:       "sealed",
			begin:      do(func(sys *system) error { return sys.vault.Seal(context.Background()) }),
			end:        do(func(sys *system) error { return sys.vault.Unseal(context.Background()) }),
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
			begin:      do(func(sys *system) error { return sys.vault.Kill() }),
			end:        do(func(sys *system) error { return sys.vault.Start(context.Background()) }),
			wantReason: v1alpha1.ReasonSecretStoreUnavailable, wantSays: "the server at its address is not Vault (status 502)",
		},
		{
			name:       "refused",
			begin:      do(func(sys *system) error { return sys.proxy.Stop() }),
			end:        do(func(sys *system) error { return sys.proxy.Start() }),
			wantReason: v1alpha1.ReasonSecretStoreUnavailable, wantSays: "connection",
		},
		{
			name: "ended-token",
			login: func(t *testing.T, sys *system) devstack.VaultLogin {
				return sys.tokenLogin(t, "1h")
			},
			begin: func(t *testing.T, sys *system) {
				// The file holds one that ends in a moment; the one in use ends now.
				inUse := sys.vaultToken
				_ = sys.tokenLogin(t, "1s")
				sys.ask(t, http.MethodPost, "auth/token/revoke", map[string]string{"token": inUse})
				sys.Until(t, "the end of the token", func() error {
					if got := sys.status(t, sys.vaultToken, http.MethodGet, "auth/token/lookup-self", nil); got != http.StatusForbidden {
						return fmt.Errorf("it has the status %d", got)
					}
					return nil
				})
			},
			end:        func(t *testing.T, sys *system) { _ = sys.tokenLogin(t, "1h") },
			wantReason: v1alpha1.ReasonSecretStoreDenied, wantSays: "it does not accept the token in ",
		},
	}
}

// For every fault of Vault its users name the fault and the remedy; the
// others go on; nothing is removed anywhere; and when it is back everything is
// ready again, without a change of any object.
func TestTroublesOfVault(t *testing.T) {
	sys := theSystem(t)
	s := sys.newProduct("503", alphaCluster, alphaPlane,
		deployment{name: "steady", account: "steady", repo: "steady-503", project: "app", permission: v1alpha1.PermissionReadOnly})
	s.Token = sys.canaries.make("the token of a product", "tenant Secret nautes/git-product-503")
	s.keys(t, s.deployments...)
	s.open(t)
	s.ready(t)
	for _, trouble := range troubles() {
		t.Run(trouble.name, func(t *testing.T) {
			if trouble.login != nil {
				sys.restart(t, trouble.login(t, sys))
				defer func() { sys.restart(t, sys.kubernetesLogin()) }()
				s.ready(t)
			}
			sys.suffer(t, s, trouble)
		})
	}
}

// suffer goes through one trouble.
func (sys *system) suffer(t *testing.T, s product, trouble trouble) {
	t.Helper()
	late := deployment{name: "late-" + trouble.name, account: "late-" + trouble.name, repo: "late-" + trouble.name, project: "app", permission: v1alpha1.PermissionReadOnly}
	s.keys(t, late)
	steady, books := s.find("steady"), sys.second.find("books")
	steady.path, books.path = trouble.name, trouble.name
	alpha, beta := scenario.Cluster(alphaCluster), scenario.Cluster("beta-"+trouble.name)
	sys.putKubeconfig(t, beta.Name, sys.certificateKubeconfig(t, betaPlane))
	t.Cleanup(func() { sys.unregister(t, beta) })
	sys.ready(t, alpha)
	before, stored, asked := sys.everything(t), sys.inventory(t), len(sys.requests(t))

	trouble.begin(t, sys)
	// Ended once more in any case, so that the other tests have a Vault.
	ended := false
	defer func() {
		if !ended {
			trouble.end(t, sys)
		}
	}()
	files := s.filesOf(late)
	files[runtimeFile(steady)] = s.runtime(steady)
	s.push(t, files)
	sys.second.push(t, map[string]string{runtimeFile(books): sys.second.runtime(books)})
	sys.MustApply(t, sys.clusterManifest(beta.Name, betaPlane))
	sys.look(t, alpha, trouble.name)
	lostBinding := scenario.Object("rbac.authorization.k8s.io/v1", "RoleBinding", s.namespace(steady), "nautes-account-steady")
	if err := sys.Clusters[alphaPlane].Delete(t.Context(), lostBinding); err != nil {
		t.Fatal(err)
	}
	// Who needs Vault.
	for o, conditionType := range map[v1alpha1.Object]string{
		s.RuntimeObject(late.name): v1alpha1.ConditionReady, sys.second.Object(): v1alpha1.ConditionSynced,
		alpha: v1alpha1.ConditionCredentials, beta: v1alpha1.ConditionCredentials,
	} {
		sys.waits(t, o, conditionType, trouble.wantReason, trouble.wantSays)
	}
	// Who does not.
	sys.condition(t, alpha, v1alpha1.ConditionConnected, v1alpha1.ReasonConnected)
	sys.deploys(t, s, steady)
	sys.ready(t, s.RuntimeObject(steady.name))
	sys.AwaitObjects(t, sys.Clusters[alphaPlane], lostBinding)

	ended = true
	trouble.end(t, sys)
	began := time.Now()
	for _, o := range []v1alpha1.Object{alpha, beta, s.RuntimeObject(late.name)} {
		sys.ready(t, o)
	}
	sys.deploys(t, sys.second, books)
	for _, each := range []product{sys.first, sys.second, s} {
		each.ready(t)
	}
	took := time.Since(began)
	t.Logf("everything was ready again after %v", took)
	if within := sys.within(healing); took > within {
		t.Errorf("everything was ready again after %v, want within %v", took, within)
	}
	for _, place := range lost(before, sys.everything(t)) {
		if !strings.HasSuffix(place, "RoleBinding "+lostBinding.GetNamespace()+"/"+lostBinding.GetName()) {
			t.Errorf("%s was removed", place)
		}
	}
	after := sys.inventory(t)
	for key, was := range stored {
		if after[key] != was {
			t.Errorf("in Vault %s is %s, and was %s", key, after[key], was)
		}
	}
	for _, r := range sys.requests(t)[asked:] {
		if r.Operation == "delete" || strings.Contains(r.Path, "revoke-prefix") {
			t.Errorf("Vault: %s", r)
		}
	}
}

// look has an object looked at, as anything that happens to it does.
func (sys *system) look(t *testing.T, o v1alpha1.Object, value string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationReconcileAt, value)
	if err := sys.Client.Patch(t.Context(), o, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		t.Fatal(err)
	}
}
