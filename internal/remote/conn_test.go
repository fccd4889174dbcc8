package remote

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/test/remotetest"
)

var _ apply.Connection = (*Conn)(nil)

func TestOwned(t *testing.T) {
	c := admin(t)
	product := remotetest.Unique("product")
	owner := plan.Owner{Kind: "Space", Product: product, Name: product}
	sameNames := plan.Owner{Kind: "DeploymentRuntime", Product: product, Name: product}
	other := plan.Owner{Kind: "Space", Product: "product-other", Name: product}
	labels := owner.Labels(tenant)
	ns := namespace(t, c, labels)
	create(t, c,
		account(ns, "mine", labels),
		account(ns, "of-another-kind", sameNames.Labels(tenant)),
		account(ns, "of-another-product", other.Labels(tenant)),
		account(ns, "of-another-tenant", owner.Labels("other")),
		account(ns, "not-managed", with(labels, v1alpha1.LabelManagedBy, "helm")),
		account(ns, "propagated", with(labels, labelInheritedFrom, "parent")),
		account(ns, "foreign", nil),
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "mine", Labels: labels},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		},
	)
	conn := synced(t, connect(t, server.Config(t), nil))

	owned, err := conn.Owned(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range owned {
		got = append(got, o.Kind+" "+o.Namespace+"/"+o.Name)
	}
	want := []string{"Namespace /" + ns, "ServiceAccount " + ns + "/mine", "RoleBinding " + ns + "/mine"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	for name, visible := range map[string]bool{
		"mine": true, "of-another-kind": true, "of-another-product": true,
		"of-another-tenant": false, "not-managed": false, "propagated": false, "foreign": false, "absent": false,
	} {
		got, err := conn.Get(t.Context(), accountID(ns, name))
		if err != nil || (got != nil) != visible {
			t.Errorf("Get %s: %v, %v, want visible %t", name, got, err, visible)
		}
	}
	var unknown *UnknownKindError
	if _, err := conn.Get(t.Context(), plan.ID{Kind: "Pod", Namespace: ns, Name: "x"}); !errors.As(err, &unknown) {
		t.Errorf("Get of an unknown kind: %v", err)
	}
}

func TestCachedMetadata(t *testing.T) {
	c := admin(t)
	labels := plan.Owner{Kind: "Space", Product: "product-trim", Name: "product-trim"}.Labels(tenant)
	ns := namespace(t, c, nil)
	sa := account(ns, "a", labels)
	sa.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "Space/x", "example.com/large": strings.Repeat("x", 1000)}
	sa.Finalizers = []string{"example.com/f"}
	create(t, c, sa)
	t.Cleanup(func() {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		if err := c.Patch(context.Background(), sa, patch); err != nil {
			t.Error(err)
		}
	})
	ours := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"namespace": ns, "name": "a", "labels": map[string]any{"x": "y"}},
	}}
	if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(ours), client.FieldOwner(v1alpha1.ManagedBy)); err != nil {
		t.Fatal(err)
	}

	conn := synced(t, connect(t, server.Config(t), nil))
	got, err := conn.Get(t.Context(), accountID(ns, "a"))
	if err != nil || got == nil {
		t.Fatalf("Get: %v, %v", got, err)
	}
	if diff := cmp.Diff(map[string]string{v1alpha1.AnnotationAdopt: "Space/x"}, got.Annotations); diff != "" {
		t.Error(diff)
	}
	if len(got.ManagedFields) != 1 || got.ManagedFields[0].Manager != v1alpha1.ManagedBy || got.ManagedFields[0].FieldsV1 == nil {
		t.Errorf("managed fields are %v, want only those of %s", got.ManagedFields, v1alpha1.ManagedBy)
	}
	if got.UID != sa.UID || got.ResourceVersion != ours.GetResourceVersion() || got.Labels["x"] != "y" {
		t.Errorf("identity is %s %s %v", got.UID, got.ResourceVersion, got.Labels)
	}
	if got.Kind != "ServiceAccount" || got.APIVersion != "v1" {
		t.Errorf("kind is %s %s", got.APIVersion, got.Kind)
	}
	if got.Finalizers != nil {
		t.Errorf("finalizers are %v", got.Finalizers)
	}
}

func TestChangesAreReportedOnce(t *testing.T) {
	c := admin(t)
	labels := plan.Owner{Kind: "Space", Product: "product-reported", Name: "product-reported"}.Labels(tenant)
	ns := namespace(t, c, nil)
	var reported changes
	synced(t, connect(t, server.Config(t), reported.add))

	sa := account(ns, "a", labels)
	create(t, c, sa)
	reported.wait(t, "ServiceAccount/"+ns+"/a/is")
	for _, patch := range []string{
		`{"metadata":{"annotations":{"example.com/heartbeat":"1"}}}`, // not tracked
		`{"metadata":{"labels":{"x":"y"}}}`,
	} {
		if err := c.Patch(t.Context(), sa, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Delete(t.Context(), sa); err != nil {
		t.Fatal(err)
	}
	reported.wait(t, "ServiceAccount/"+ns+"/a/gone")
	if got := reported.count("ServiceAccount/" + ns + "/a/is"); got != 2 {
		t.Errorf("%d changes were reported, want 2, for the creation and the label", got)
	}
}

func TestKindIsServedLater(t *testing.T) {
	product := remotetest.Unique("product")
	owner := plan.Owner{Kind: "Space", Product: product, Name: product}
	const kind, group = "HierarchyConfiguration", "hnc.x-k8s.io"
	const crd = "CustomResourceDefinition//hierarchyconfigurations.hnc.x-k8s.io/"
	c := admin(t)
	ns := namespace(t, c, nil)
	var reported changes
	var log logLines
	conn, err := Connect(t.Context(), server.Config(t), ConnOptions{Tenant: tenant, Kinds: plan.RuntimeKinds(), OnChange: reported.add, Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	synced(t, conn)

	serves := func(want bool) {
		t.Helper()
		if is, err := conn.Serves(t.Context(), group, kind); err != nil || is != want {
			t.Fatalf("serves: %t, %v, want %t", is, err, want)
		}
	}
	owned := func(want int) {
		t.Helper()
		if found, err := conn.Owned(t.Context(), owner); err != nil || len(found) != want {
			t.Fatalf("owned: %v, %v, want %d objects", found, err, want)
		}
	}
	serves(false)
	owned(0)

	// A kind may come back.
	for range 2 {
		remotetest.InstallCRDs(t, server.Config(t), remotetest.CRDHierarchyConfiguration)
		reported.wait(t, crd+"is")
		serves(true)
		h := &unstructured.Unstructured{}
		h.SetAPIVersion("hnc.x-k8s.io/v1alpha2")
		h.SetKind(kind)
		h.SetNamespace(ns)
		h.SetName("hierarchy")
		h.SetLabels(owner.Labels(tenant))
		create(t, c, h)
		reported.wait(t, kind+"/"+ns+"/hierarchy/is")
		owned(1)

		remotetest.RemoveCRDs(t, server.Config(t), remotetest.CRDHierarchyConfiguration)
		reported.wait(t, crd+"gone")
		serves(false)
		owned(0)
		reported.mu.Lock()
		reported.seen = nil
		reported.mu.Unlock()
	}
	served, gone := "kind served "+kind+"."+group+": its definition has appeared", "kind no longer served "+kind+"."+group+": its definition is gone"
	if diff := cmp.Diff([]string{served, gone, served, gone}, log.short(kind)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestUnreadableKindIsNotEmpty(t *testing.T) {
	rules := runtimeRules()
	for i := range rules {
		if rules[i].Resources[0] == "secrets" {
			rules[i].Verbs = []string{"get"}
		}
	}
	conn := connect(t, limited(t, "no-secrets", rules), nil)
	remotetest.Eventually(t, "wait for the cause", func(ctx context.Context) error {
		_, err := conn.Owned(ctx, plan.Owner{Kind: "Space", Product: "p", Name: "p"})
		var unsynced *NotSyncedError
		if !errors.As(err, &unsynced) || !errors.Is(err, ErrNotSynced) {
			t.Fatalf("Owned: %v, want a *NotSyncedError", err)
		}
		return want(unsynced.Kind == "Secret" && strings.Contains(unsynced.Cause, "may not read secrets; grant it"), "the error is %v", err)
	})
	if _, err := conn.Get(t.Context(), plan.ID{Kind: "Secret", Namespace: "default", Name: "x"}); !errors.Is(err, ErrNotSynced) {
		t.Errorf("Get of a Secret: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := conn.WaitForSync(ctx); !errors.Is(err, ErrNotSynced) {
		t.Errorf("WaitForSync: %v", err)
	}
}

func TestClosedConnection(t *testing.T) {
	conn := synced(t, connect(t, server.Config(t), nil))
	if noLoops(0) == nil {
		t.Fatal("the test does not find the goroutines of a connection")
	}
	conn.Close()
	if err := noLoops(0); err != nil {
		t.Error(err)
	}
	if _, err := conn.Owned(t.Context(), plan.Owner{Kind: "Space", Product: "p", Name: "p"}); !errors.Is(err, ErrNotSynced) {
		t.Errorf("Owned after Close: %v", err)
	}
	if _, err := conn.Serves(t.Context(), "", "Namespace"); !errors.Is(err, ErrNotSynced) {
		t.Errorf("Serves after Close: %v", err)
	}
}

// runtimeRules returns the minimal rights of a kubeconfig's account.
func runtimeRules() []rbacv1.PolicyRule {
	read := []string{"get", "list", "watch"}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: read},
		{APIGroups: []string{""}, Resources: []string{"serviceaccounts", "configmaps"}, Verbs: read},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: read},
		{APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"roles", "rolebindings", "clusterrolebindings"}, Verbs: read},
		{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"ingresses"}, Verbs: read},
		{APIGroups: []string{"external-secrets.io"}, Resources: []string{"secretstores", "externalsecrets"}, Verbs: read},
		{APIGroups: []string{"traefik.io"}, Resources: []string{"middlewares"}, Verbs: read},
		{APIGroups: []string{"hnc.x-k8s.io"}, Resources: []string{"hierarchyconfigurations"}, Verbs: read},
		{APIGroups: []string{"argoproj.io"}, Resources: []string{"appprojects", "applications", "eventbus", "eventsources", "sensors"}, Verbs: read},
		{APIGroups: []string{"tekton.dev"}, Resources: []string{"pipelineruns"}, Verbs: read},
		{APIGroups: []string{"apiextensions.k8s.io"}, Resources: []string{"customresourcedefinitions"}, Verbs: read},
	}
}

func TestLeastRights(t *testing.T) {
	remotetest.InstallCRDs(t, server.Config(t), remotetest.CRDApplication, remotetest.CRDAppProject)
	synced(t, connect(t, limited(t, "least", runtimeRules()), nil))
}

func TestApplication(t *testing.T) {
	remotetest.InstallCRDs(t, server.Config(t), remotetest.CRDApplication)
	c := admin(t)
	owner := plan.Owner{Kind: "DeploymentRuntime", Product: "product-app", Name: "r"}
	ns := namespace(t, c, nil)
	var reported changes
	conn := synced(t, connect(t, server.Config(t), reported.add))

	if app, err := conn.Application(t.Context(), ns, "a"); app != nil || err != nil {
		t.Fatalf("an Application that does not exist: %v, %v", app, err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"project": "default", "destination": map[string]any{}, "source": map[string]any{"repoURL": "https://git/x.git"},
	}}}
	u.SetGroupVersionKind(argoKind("Application"))
	u.SetNamespace(ns)
	u.SetName("a")
	u.SetLabels(owner.Labels(tenant))
	create(t, c, u)
	sees := func(want observed.Application) {
		t.Helper()
		remotetest.Eventually(t, "wait for the Application", func(ctx context.Context) error {
			app, err := conn.Application(ctx, ns, "a")
			if err != nil || app == nil {
				return errors.Join(err, errors.New("no Application"))
			}
			if diff := cmp.Diff(want, *app); diff != "" {
				return errors.New(diff)
			}
			return nil
		})
	}
	sees(observed.Application{})
	patch := client.RawPatch(types.MergePatchType, []byte(`{"status":{"sync":{"status":"Synced","revision":"abc",
		"comparedTo":{"source":{"repoURL":"https://git/x.git"},"destination":{}}},"health":{"status":"Healthy"},"reconciledAt":"2024-01-01T00:00:00Z"}}`))
	if err := c.Patch(t.Context(), u, patch); err != nil {
		t.Fatal(err)
	}
	compared := observed.ApplicationSource{RepoURL: "https://git/x.git"}
	sees(observed.Application{Sync: "Synced", Health: "Healthy", Revision: "abc", Compared: compared, Current: true})
	// Changes are reported after the cache has been updated.
	remotetest.Eventually(t, "wait for the creation and the status", func(context.Context) error {
		return want(reported.count("Application/"+ns+"/a/is") >= 2, "not reported yet")
	})
	before := reported.count("Application/" + ns + "/a/is")
	for _, status := range []string{`{"status":{"reconciledAt":"2024-01-01T00:01:00Z"}}`, `{"status":{"health":{"status":"Degraded"}}}`} {
		if err := c.Patch(t.Context(), u, client.RawPatch(types.MergePatchType, []byte(status))); err != nil {
			t.Fatal(err)
		}
	}
	sees(observed.Application{Sync: "Synced", Health: "Degraded", Revision: "abc", Compared: compared, Current: true})
	remotetest.Eventually(t, "wait for the health", func(context.Context) error {
		return want(reported.count("Application/"+ns+"/a/is") > before, "the health was not reported")
	})
	if got := reported.count("Application/"+ns+"/a/is") - before; got != 1 {
		t.Errorf("%d changes were reported, want one: a new time stamp is not tracked", got)
	}
}
