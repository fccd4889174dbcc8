package plan_test

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/internal/plan"
)

func TestString(t *testing.T) {
	for name, test := range map[string]struct {
		value fmt.Stringer
		want  string
	}{
		"the tenant":                    {plan.Tenant, "Tenant"},
		"a cluster":                     {plan.Cluster("c"), "Cluster c"},
		"the mount of a cluster":        {plan.Vault("c"), "Vault c"},
		"an object of the core group":   {plan.ID{Kind: "Secret", Namespace: "ns", Name: "s"}, "Secret ns/s"},
		"an object without namespace":   {plan.ID{Kind: "Namespace", Name: "ns"}, "Namespace ns"},
		"an object of a group":          {plan.ID{Group: "argoproj.io", Kind: "Application", Namespace: "argocd", Name: "a"}, "Application.argoproj.io argocd/a"},
		"a cluster-wide one of a group": {plan.ID{Group: "nautes.io", Kind: "Cluster", Name: "c"}, "Cluster.nautes.io c"},
		"a mount":                       {plan.VaultMountID("c"), "AuthMount.vault.nautes.io c"},
		"a policy":                      {plan.VaultPolicyID("p"), "Policy.vault.nautes.io p"},
		"a role":                        {plan.VaultRoleID("c", "r"), "Role.vault.nautes.io c/r"},
		"a reference":                   {plan.Ref{Kind: "Project", Namespace: "product-1", Name: "p"}, "Project product-1/p"},
		"a secret":                      {plan.SecretRef{Engine: "git", Path: "gitlab/repo-1/default/readonly"}, "git/gitlab/repo-1/default/readonly"},
		"a commit":                      {plan.Commit{Revision: "1a2b3c4d5e6f7a8b", Author: "Ada <ada@x>"}, "revision 1a2b3c4d5e6f by Ada <ada@x>"},
		"a short revision":              {plan.Commit{Revision: "1a2b"}, "revision 1a2b"},
		"a revision of 13 digits":       {plan.Commit{Revision: "1a2b3c4d5e6f7"}, "revision 1a2b3c4d5e6f"},
		"no commit":                     {plan.Commit{Author: "Ada <ada@x>"}, ""},
		"an owner of the tenant":        {plan.Owner{Kind: "Cluster", Name: "c"}, "Cluster c"},
		"an owner of a product":         {plan.Owner{Kind: "DeploymentRuntime", Product: "p", Name: "r"}, "DeploymentRuntime p/r"},
		"an owner for a whole product":  {plan.Owner{Kind: "Space", Product: "p", Name: "p"}, "Space p"},
	} {
		if got := test.value.String(); got != test.want {
			t.Errorf("%s is %q, want %q", name, got, test.want)
		}
	}
}

// ordered holds IDs in their order: each next one differs in one field, and the
// fields behind it would order them the other way.
var ordered = []plan.ID{
	{Group: "", Kind: "Secret", Namespace: "b", Name: "b"},
	{Group: "a", Kind: "A", Namespace: "z", Name: "z"},
	{Group: "a", Kind: "B", Namespace: "", Name: "z"},
	{Group: "a", Kind: "B", Namespace: "x", Name: "y"},
	{Group: "a", Kind: "B", Namespace: "x", Name: "z"},
	{Group: "a", Kind: "B", Namespace: "y", Name: "a"},
	{Group: "a", Kind: "C", Namespace: "a", Name: "a"},
	{Group: "b", Kind: "A", Namespace: "a", Name: "a"},
}

func TestIDsAreOrdered(t *testing.T) {
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("%v compared with %v is %d, want %d", a, b, got, want)
			}
		}
	}
	shuffled := slices.Clone(ordered)
	rand.New(rand.NewSource(1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	slices.SortFunc(shuffled, plan.ID.Compare)
	if diff := cmp.Diff(ordered, shuffled); diff != "" {
		t.Errorf("sorted (-want +got):\n%s", diff)
	}
}

func TestIDOf(t *testing.T) {
	o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "n"}}
	// The kind is the caller's word: a typed object need not know its own.
	got := plan.IDOf(schema.GroupVersionKind{Group: "g", Version: "v1", Kind: "K"}, o)
	if want := (plan.ID{Group: "g", Kind: "K", Namespace: "ns", Name: "n"}); got != want {
		t.Errorf("the ID is %v, want %v", got, want)
	}
}

func TestLabels(t *testing.T) {
	for name, test := range map[string]struct {
		owner plan.Owner
		want  map[string]string
	}{
		"of the tenant": {
			owner: plan.Owner{Kind: "Cluster", Name: "c"},
			want: map[string]string{
				"app.kubernetes.io/managed-by": "nautes", "nautes.io/tenant": "acme",
				"nautes.io/owner-kind": "Cluster", "nautes.io/owner-name": "c",
			},
		},
		"of a product": {
			owner: plan.Owner{Kind: "DeploymentRuntime", Product: "p", Name: "r"},
			want: map[string]string{
				"app.kubernetes.io/managed-by": "nautes", "nautes.io/tenant": "acme",
				"nautes.io/owner-kind": "DeploymentRuntime", "nautes.io/owner-name": "r", "nautes.io/product": "p",
			},
		},
	} {
		if diff := cmp.Diff(test.want, test.owner.Labels("acme")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The applier writes the stages in this order, and removes them in the other.
func TestStages(t *testing.T) {
	want := []plan.Stage{plan.StageNamespace, plan.StageAccount, plan.StageConfig, plan.StageWorkload}
	if diff := cmp.Diff(want, plan.Stages); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	if !slices.IsSorted(plan.Stages) || plan.Stages[0] != 0 {
		t.Errorf("the stages %v are not in order, beginning with the zero value", plan.Stages)
	}
}

// The names of targets and formats are in metrics, logs and messages.
func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		string(plan.Tenant.Kind): "Tenant", string(plan.Cluster("c").Kind): "Cluster", plan.Cluster("c").Name: "c",
		string(plan.Vault("m").Kind): "Vault", plan.Vault("m").Name: "m",
		string(plan.FormatArgoCDCluster): "argocd-cluster", string(plan.FormatKubeconfigCA): "kubeconfig-ca",
		string(plan.FormatWebhookToken): "webhook-token",
	} {
		if got != want {
			t.Errorf("the name is %q, want %q", got, want)
		}
	}
	if plan.Tenant.Name != "" {
		t.Errorf("%+v has a name", plan.Tenant)
	}
}

// A role of Vault and one of Kubernetes are different objects, whatever their names.
func TestSystemsHaveGroups(t *testing.T) {
	rbac := plan.ID{Group: "rbac.authorization.k8s.io", Kind: "Role", Namespace: "c", Name: "r"}
	for _, id := range []plan.ID{plan.VaultMountID("c"), plan.VaultPolicyID("p"), plan.VaultRoleID("c", "r")} {
		if id.Group == "" || id == rbac {
			t.Errorf("%+v could be an object of a cluster", id)
		}
	}
}

// A set neither writes nor removes the items that it keeps.
func TestPartsOfSets(t *testing.T) {
	app, sensor, old := plan.ID{Kind: "Application", Name: "a"}, plan.ID{Kind: "Sensor", Name: "s"}, plan.ID{Kind: "Secret", Name: "k"}
	set := plan.Set{Items: []plan.Item{{ID: app}, {ID: sensor}}, Keep: []plan.ID{old}}
	some := set.Without(func(id plan.ID) bool { return id == app })
	if len(some.Items) != 1 || some.Items[0].ID != sensor || !some.Holds(app) || !some.Holds(sensor) || !some.Holds(old) || some.Holds(plan.ID{Kind: "Sensor", Name: "a"}) {
		t.Errorf("without: %+v", some)
	}
	if len(set.Items) != 2 || len(set.Keep) != 1 {
		t.Errorf("the set itself has changed: %+v", set)
	}
}
