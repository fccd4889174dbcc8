package apply_test

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/remote/remotetest"
)

// The least that the account of a runtime cluster's kubeconfig must be allowed:
// a set is written and removed with it.
func TestLeastRights(t *testing.T) {
	name := remotetest.Unique("runtime")
	all := []string{"get", "list", "watch", "create", "patch", "delete"}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces", "serviceaccounts", "secrets"}, Verbs: all},
		{APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"rolebindings"}, Verbs: all},
		{APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"clusterroles"}, ResourceNames: []string{"admin", "edit", "view"}, Verbs: []string{"bind"}},
		{APIGroups: []string{"hnc.x-k8s.io"}, Resources: []string{"hierarchyconfigurations"}, Verbs: all},
		{APIGroups: []string{"argoproj.io"}, Resources: []string{"appprojects", "applications"}, Verbs: all},
		{APIGroups: []string{"apiextensions.k8s.io"}, Resources: []string{"customresourcedefinitions"}, Verbs: []string{"list", "watch"}},
	}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
	}
	admin, err := client.New(server, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{role, binding} {
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	account := rest.CopyConfig(server)
	account.Impersonate.UserName = name

	w := newWorldAs(t, "rights", account)
	items := w.complete(w.namespace())
	w.must(w.applier(), items...)
	w.converge(apply.Options{NoGuard: true})
	if got := w.gone(items...); len(got) != len(items) {
		t.Errorf("only gone: %v", got)
	}
}
