package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
)

// cluster is a real cluster whose accounts log in to Vault.
type cluster struct {
	t     testing.TB
	plane *devstack.ControlPlane
	set   *kubernetes.Clientset
}

const systemNamespace = "vault"

// newCluster makes accounts, given as namespace/name, and one that reviews tokens.
func newCluster(t testing.TB, accounts ...string) cluster {
	t.Helper()
	c := cluster{t: t, plane: shared.Stack(t).Tenant}
	var err error
	if c.set, err = kubernetes.NewForConfig(c.plane.Config()); err != nil {
		t.Fatal(err)
	}
	for _, account := range append([]string{systemNamespace + "/vault-auth"}, accounts...) {
		namespace, name, _ := strings.Cut(account, "/")
		ignoring(t, func() error {
			_, err := c.set.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
			return err
		})
		ignoring(t, func() error {
			_, err := c.set.CoreV1().ServiceAccounts(namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
			return err
		})
	}
	ignoring(t, func() error {
		_, err := c.set.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "nautes-vault-auth"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: systemNamespace, Name: "vault-auth"}},
		}, metav1.CreateOptions{})
		return err
	})
	return c
}

// ignoring creates an object that another test may have created before.
func ignoring(t testing.TB, create func() error) {
	t.Helper()
	if err := create(); err != nil && !strings.Contains(err.Error(), "already exists") {
		t.Fatal(err)
	}
}

// token returns a token of an account, given as namespace/name.
func (c cluster) token(account string) string {
	c.t.Helper()
	namespace, name, _ := strings.Cut(account, "/")
	answer, err := c.set.CoreV1().ServiceAccounts(namespace).CreateToken(c.t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.Status.Token
}

// mount registers the cluster in Vault.
func (c cluster) mount(v *Vault, name string) {
	c.t.Helper()
	item := mountItem(name, c.plane.URL)
	values := resolved(string(c.plane.Config().CAData), c.token(systemNamespace+"/vault-auth"), "1@now")
	if _, err := v.System().Put(c.t.Context(), clusterOwner(name), item, values); err != nil {
		c.t.Fatal(err)
	}
}

// login returns the status of a login, and the token that Vault issues.
func (s server) login(mount, role, jwt string) (int, string) {
	s.t.Helper()
	status, answer, err := s.Request(s.t.Context(), http.MethodPost, "auth/"+mount+"/login", "", map[string]string{"role": role, "jwt": jwt})
	if err != nil {
		s.t.Fatal(err)
	}
	token, _ := at(answer, "auth", "client_token").(string)
	return status, token
}

// statusFor returns the status of a request with a token.
func (s server) statusFor(token, method, path string, body any) int {
	s.t.Helper()
	status, _, err := s.Request(s.t.Context(), method, path, token, body)
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

// Each account of two products can read exactly the secrets that are granted to
// it, and can do nothing else.
func TestAccountsHaveExactlyTheirRights(t *testing.T) {
	t.Parallel()
	s := newServer(t, "matrix")
	v := s.open()
	const mount = "matrix"
	readOnly, readWrite := secrets.RepositoryReadOnly, secrets.RepositoryReadWrite
	accounts := map[string]struct {
		product, account string
		refs             []secrets.Ref
	}{
		"reader of product 1": {"product-1", "reader", []secrets.Ref{readOnly("gitlab", "repo-1")}},
		"writer of product 1": {"product-1", "writer", []secrets.Ref{readOnly("gitlab", "repo-1"), readWrite("gitlab", "repo-1")}},
		"idler of product 1":  {"product-1", "idler", nil},
		"reader of product 2": {"product-2", "reader", []secrets.Ref{readOnly("gitlab", "repo-2")}},
		"writer of product 2": {"product-2", "writer", []secrets.Ref{readWrite("gitlab", "repo-2"), readOnly("gitlab", "repo-2"), readOnly("gitlab", "repo-3")}},
		"idler of product 2":  {"product-2", "idler", nil},
	}
	var names []string
	for _, a := range accounts {
		names = append(names, a.product+"-dev/"+a.account, a.product+"-test/"+a.account, "elsewhere/"+a.account)
	}
	c := newCluster(t, names...)
	c.mount(v, mount)
	all := []secrets.Ref{
		readOnly("gitlab", "repo-1"), readWrite("gitlab", "repo-1"), readOnly("gitlab", "repo-2"), readWrite("gitlab", "repo-2"),
		readOnly("gitlab", "repo-3"), readOnly("gitlab", "repo-4"), {Engine: "git", Path: "gitlab/repo-1/default/accesstoken-api"},
		secrets.ClusterKubeconfig(mount), secrets.ClusterReviewer(mount), secrets.ProviderToken("gitlab"),
	}
	for _, ref := range all {
		s.ask(http.MethodPost, secrets.DataPath(ref), map[string]any{"data": map[string]string{"a": ref.String()}})
	}
	for _, a := range accounts {
		for _, ref := range a.refs {
			s.applied(v, policyItem(a.product, ref))
		}
		s.applied(v, roleItem(mount, a.product, a.account, a.refs...))
	}
	for name, a := range accounts {
		for _, namespace := range []string{"-dev", "-test"} {
			status, token := s.login(mount, a.product+"-"+a.account, c.token(a.product+namespace+"/"+a.account))
			if status != http.StatusOK {
				t.Fatalf("%s in %s%s cannot log in: status %d", name, a.product, namespace, status)
			}
			for _, ref := range all {
				s.checkAccess(name, token, ref, slices.Contains(a.refs, ref))
			}
			s.checkNothingElse(name, token, mount)
		}
		for other, b := range accounts {
			if other == name {
				continue
			}
			if status, _ := s.login(mount, b.product+"-"+b.account, c.token(a.product+"-dev/"+a.account)); status != http.StatusForbidden {
				t.Errorf("%s logs in as %s: status %d", name, other, status)
			}
		}
		if status, _ := s.login(mount, a.product+"-"+a.account, c.token("elsewhere/"+a.account)); status != http.StatusForbidden {
			t.Errorf("%s of another namespace logs in: status %d", name, status)
		}
	}
}

// checkAccess tries every operation on a secret.
func (s server) checkAccess(name, token string, ref secrets.Ref, granted bool) {
	s.t.Helper()
	want := http.StatusForbidden
	if granted {
		want = http.StatusOK
	}
	if got := s.statusFor(token, http.MethodGet, secrets.DataPath(ref), nil); got != want {
		s.t.Errorf("%s reads %s: status %d, want %d", name, ref, got, want)
	}
	body := map[string]any{"data": map[string]string{"a": "mine"}, "versions": []int{1}}
	for _, attempt := range [][2]string{
		{http.MethodPost, secrets.DataPath(ref)}, {http.MethodDelete, secrets.DataPath(ref)},
		{http.MethodGet, metadataPath(ref)}, {http.MethodPost, metadataPath(ref)}, {http.MethodDelete, metadataPath(ref)},
		{http.MethodPost, ref.Engine + "/delete/" + ref.Path}, {http.MethodPost, ref.Engine + "/destroy/" + ref.Path},
	} {
		if got := s.statusFor(token, attempt[0], attempt[1], body); got != http.StatusForbidden {
			s.t.Errorf("%s: %s %s: status %d", name, attempt[0], attempt[1], got)
		}
	}
}

// checkNothingElse tries to list objects and to get more rights.
func (s server) checkNothingElse(name, token, mount string) {
	s.t.Helper()
	for _, path := range []string{"git/metadata/?list=true", "git/metadata/gitlab/?list=true", "sys/policies/acl?list=true", "sys/auth", "auth/" + mount + "/role?list=true", "auth/" + mount + "/config"} {
		if got := s.statusFor(token, http.MethodGet, path, nil); got != http.StatusForbidden {
			s.t.Errorf("%s: GET %s: status %d", name, path, got)
		}
	}
	for _, path := range []string{"sys/policies/acl/nautes:acme:product-1", "auth/" + mount + "/role/product-1-reader", "auth/" + mount + "/config", "auth/token/create"} {
		body := map[string]any{"policy": "", "policies": []string{"root"}, "token_policies": []string{"root"}}
		if got := s.statusFor(token, http.MethodPost, path, body); got != http.StatusForbidden && got != http.StatusBadRequest {
			s.t.Errorf("%s: POST %s: status %d", name, path, got)
		}
	}
}

// A revocation takes effect at once, even for accounts that are logged in.
func TestRevocationTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t, "revocation")
	g := s.gateway()
	v := s.open(g.behind)
	const mount = "revocation"
	c := newCluster(t, "product-1-dev/a", "product-1-dev/b")
	c.mount(v, mount)
	shared := secrets.RepositoryReadOnly("gitlab", "shared")
	put(t, v, repoKey, "a", "1")
	put(t, v, shared, "a", "1")
	role := func(account string, refs ...secrets.Ref) plan.Item {
		return roleItem(mount, "product-1", account, refs...)
	}
	tokens := map[string]string{}
	logIn := func() {
		t.Helper()
		for _, item := range []plan.Item{policyItem("product-1", repoKey), policyItem("product-1", shared), role("a", repoKey, shared), role("b", shared)} {
			s.applied(v, item)
		}
		for _, account := range []string{"a", "b"} {
			_, tokens[account] = s.login(mount, "product-1-"+account, c.token("product-1-dev/"+account))
			s.mustRead(tokens[account], shared, true)
		}
		s.mustRead(tokens["a"], repoKey, true)
	}
	logIn() // The policy is removed: other accounts do not notice.
	s.deleted(v, spaceOwner("product-1"), plan.VaultPolicyID(secrets.PolicyName(repoKey)))
	s.mustRead(tokens["a"], repoKey, false)
	s.applied(v, role("a", shared))
	s.mustRead(tokens["a"], shared, true)
	s.mustRead(tokens["b"], shared, true)
	if got := s.count("update sys/leases/revoke-prefix/auth/" + mount + "/login"); got != 0 {
		t.Errorf("tokens were revoked %d times, without need", got)
	}

	logIn() // The role loses a policy that others keep. Logins in the meantime do not keep it.
	var meanwhile []string
	g.intercept(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			_, token := s.login(mount, "product-1-a", c.token("product-1-dev/a"))
			meanwhile = append(meanwhile, token)
		}
		panic(errPass)
	})
	s.applied(v, role("a", repoKey))
	g.intercept(nil)
	for _, token := range append(meanwhile, tokens["a"]) {
		s.mustRead(token, shared, false)
	}
	if _, again := s.login(mount, "product-1-b", c.token("product-1-dev/b")); s.statusFor(again, http.MethodGet, secrets.DataPath(shared), nil) != http.StatusOK {
		t.Error("the other account cannot log in again")
	}

	logIn() // The role is removed, and the policies stay.
	s.deleted(v, spaceOwner("product-1"), plan.VaultRoleID(mount, "product-1-a"))
	s.mustRead(tokens["a"], shared, false)

	logIn() // Vault fails between the two writes: the next attempt revokes the tokens.
	for _, attempt := range []func() error{
		func() error {
			_, err := v.System().Put(t.Context(), spaceOwner("product-1"), role("a", repoKey), nil)
			return err
		},
		func() error {
			_, err := v.System().Delete(t.Context(), spaceOwner("product-1"), plan.VaultRoleID(mount, "product-1-a"))
			return err
		},
	} {
		logIn()
		g.intercept(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/v1/sys/leases/") {
				panic(errPass)
			}
			w.WriteHeader(http.StatusInternalServerError)
		})
		if err := attempt(); !errors.Is(err, secrets.ErrUnavailable) {
			t.Errorf("an attempt that fails halfway: %v", err)
		}
		g.intercept(nil)
		eventually(t, attempt)
		s.mustRead(tokens["a"], shared, false)
	}
	if got, want := fmt.Sprint(s.policiesOf(mount, "product-1-b")), "[gitlab-shared-default-readonly nautes:acme:product-1]"; got != want {
		t.Errorf("the other role has the policies %s, want %s", got, want)
	}
}

func (s server) mustRead(token string, ref secrets.Ref, want bool) {
	s.t.Helper()
	if got := s.statusFor(token, http.MethodGet, secrets.DataPath(ref), nil); (got == http.StatusOK) != want {
		s.t.Errorf("reading %s: status %d, want it allowed: %v", ref, got, want)
	}
}

func (s server) policiesOf(mount, role string) any {
	s.t.Helper()
	return at(s.ask(http.MethodGet, rolePath(mount, role), nil), "data", "token_policies")
}

// The operator logs in with the token of its ServiceAccount.
func TestOperatorLogsInWithItsServiceAccount(t *testing.T) {
	t.Parallel()
	s := newServer(t, "service-account")
	c := newCluster(t, "nautes/nautes-operator", "nautes/other")
	s.ask(http.MethodPost, "sys/auth/"+tenant, map[string]string{"type": "kubernetes"})
	s.ask(http.MethodPost, "auth/"+tenant+"/config", map[string]any{
		"kubernetes_host": c.plane.URL, "kubernetes_ca_cert": string(c.plane.Config().CAData),
		"token_reviewer_jwt": c.token(systemNamespace + "/vault-auth"), "disable_local_ca_jwt": true,
	})
	s.ask(http.MethodPost, "auth/"+tenant+"/role/nautes-operator", map[string]any{
		"bound_service_account_names": "nautes-operator", "bound_service_account_namespaces": "nautes",
		"token_policies": "nautes-operator", "token_ttl": "1h",
	})
	open := func(account string) *Vault {
		return s.open(func(o *Options) {
			o.Auth = config.VaultAuth{Method: config.VaultAuthKubernetes, Mount: tenant, Role: "nautes-operator", TokenFile: file(t, c.token(account))}
		})
	}
	v := open("nautes/nautes-operator")
	put(t, v, repoKey, "a", "1")
	s.applied(v, mountItem("c", "https://127.0.0.1:6443"))
	wantClass(t, s.reads(open("nautes/other"))(), secrets.ErrDenied, "does not accept the operator's login at auth/"+tenant)
	// It may not change its own mount.
	_, err := v.System().Put(context.WithoutCancel(t.Context()), clusterOwner(tenant), mountItem(tenant, "https://127.0.0.1:6443"), resolved(string(s.CA), reviewerToken, "1"))
	var notOurs *NotOursError
	if !errors.As(err, &notOurs) {
		t.Errorf("Put of the operator's own mount: %v", err)
	}
}
