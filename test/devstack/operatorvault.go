package devstack

import (
	"context"
	"fmt"
	"net/http"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

const (
	// operatorPolicy is the policy of the operator in Vault, and its role there.
	operatorPolicy = "nautes-operator"
	// vaultReviewer is the ServiceAccount by which Vault asks the tenant's
	// control plane who logs in.
	vaultReviewer = "vault-reviewer"
	// accountTokenLife is longer than anything that is started here.
	accountTokenLife = 24 * time.Hour
)

// InstallVault follows config/vault/README.md as the administrator of a Vault: it
// enables the engines git, cluster, tenant and repo, writes the policy
// of config/vault/operator-policy.hcl, and lets the ServiceAccount of
// nautes-operator on the tenant's control plane log in. It returns a token of that
// account. The namespace of InstallOperator must be there.
func (s *Stack) InstallVault(ctx context.Context, v *Vault, tenant string) ([]byte, error) {
	policy, err := moduleFiles("config/vault/operator-policy.hcl")
	if err != nil {
		return nil, err
	}
	for _, engine := range []string{"git", "cluster", "tenant", "repo"} {
		if err := v.enableKV(ctx, engine); err != nil {
			return nil, err
		}
	}
	err = v.must(ctx, http.MethodPut, "sys/policies/acl/"+operatorPolicy, v.RootToken(), map[string]any{"policy": string(policy)})
	if err != nil {
		return nil, err
	}
	token, reviewer, err := s.vaultAccounts(ctx)
	if err != nil {
		return nil, err
	}
	return []byte(token), s.letLogIn(ctx, v, tenant, reviewer)
}

// enableKV enables an engine and waits until it answers: a new one does not at once.
func (v *Vault) enableKV(ctx context.Context, engine string) error {
	body := map[string]any{"type": "kv", "options": map[string]any{"version": "2"}}
	if err := v.must(ctx, http.MethodPost, "sys/mounts/"+engine, v.RootToken(), body); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := v.must(ctx, http.MethodGet, engine+"/config", v.RootToken(), nil)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(readyEvery):
		}
	}
}

// vaultAccounts makes the ServiceAccounts of the operator and of Vault's reviewer
// on the tenant's control plane, and returns their tokens.
func (s *Stack) vaultAccounts(ctx context.Context) (operator, reviewer string, err error) {
	err = Apply(ctx, s.Tenant.Config(), []byte(fmt.Sprintf(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: %[1]s, namespace: %[2]s}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: %[3]s, namespace: %[2]s}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[3]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:auth-delegator"}
subjects: [{kind: ServiceAccount, name: %[3]s, namespace: %[2]s}]
`, OperatorUser, OperatorNamespace, vaultReviewer)))
	if err != nil {
		return "", "", fmt.Errorf("make the accounts for Vault: %w", err)
	}
	if operator, err = s.Tenant.AccountToken(ctx, OperatorNamespace, OperatorUser); err != nil {
		return "", "", err
	}
	reviewer, err = s.Tenant.AccountToken(ctx, OperatorNamespace, vaultReviewer)
	return operator, reviewer, err
}

// letLogIn enables the auth mount of the tenant's name for accounts of the
// tenant's control plane.
func (s *Stack) letLogIn(ctx context.Context, v *Vault, tenant, reviewer string) error {
	for _, step := range []struct {
		path string
		body map[string]any
	}{
		{"sys/auth/" + tenant, map[string]any{"type": "kubernetes"}},
		{"auth/" + tenant + "/config", map[string]any{
			"kubernetes_host": s.Tenant.URL, "kubernetes_ca_cert": string(s.Tenant.Config().CAData),
			"token_reviewer_jwt": reviewer, "disable_local_ca_jwt": true,
		}},
		{"auth/" + tenant + "/role/" + operatorPolicy, map[string]any{
			"bound_service_account_names": OperatorUser, "bound_service_account_namespaces": OperatorNamespace,
			"token_policies": operatorPolicy, "token_ttl": "1h", "token_max_ttl": "24h",
		}},
	} {
		if err := v.must(ctx, http.MethodPost, step.path, v.RootToken(), step.body); err != nil {
			return err
		}
	}
	return nil
}

// AccountToken returns a token of a ServiceAccount, as a Pod would have it.
func (c *ControlPlane) AccountToken(ctx context.Context, namespace, name string) (string, error) {
	set, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return "", fmt.Errorf("make a token of %s/%s on %s: %w", namespace, name, c.Name, err)
	}
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(accountTokenLife.Seconds()))},
	}
	answer, err := set.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("make a token of %s/%s on %s: %w", namespace, name, c.Name, err)
	}
	return answer.Status.Token, nil
}
