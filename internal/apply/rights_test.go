package apply_test

import (
	"os"
	"path/filepath"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/test/remotetest"
)

// The role for the account of a runtime cluster's kubeconfig is enough: a set is
// written and removed with it.
func TestLeastRights(t *testing.T) {
	name := remotetest.Unique("runtime")
	content, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", "runtime_role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(content, role); err != nil {
		t.Fatal(err)
	}
	role.ObjectMeta = metav1.ObjectMeta{Name: name}
	// The test's binding is to a role that Nautes does not bind.
	role.Rules = append(role.Rules, rbacv1.PolicyRule{
		APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterroles"}, ResourceNames: []string{"view"}, Verbs: []string{"bind"},
	})
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
	}
	admin, err := client.New(server(t), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{role, binding} {
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	account := rest.CopyConfig(server(t))
	account.Impersonate.UserName = name

	w := newWorldAs(t, "rights", account)
	items := w.complete(w.namespace())
	w.must(w.applier(), items...)
	w.converge(apply.Options{NoGuard: true})
	if got := w.gone(items...); len(got) != len(items) {
		t.Errorf("only gone: %v", got)
	}
}
