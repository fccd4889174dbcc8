package remote

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/test/remotetest"
)

func secret(namespace, name string, labels map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
}

func TestKindInOneNamespace(t *testing.T) {
	remotetest.InstallCRDs(t, server.Config(t), remotetest.CRDApplication, remotetest.CRDAppProject)
	c := admin(t)
	owner := plan.Owner{Kind: "Cluster", Name: remotetest.Unique("c")}
	argocd, elsewhere := namespace(t, c, nil), namespace(t, c, nil)
	create(t, c, secret(argocd, "mine", owner.Labels(tenant)), secret(elsewhere, "mine", owner.Labels(tenant)))
	// The account may read these kinds in one namespace only.
	account := limited(t, "tenant", []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{"apiextensions.k8s.io"}, Resources: []string{"customresourcedefinitions"}, Verbs: []string{"list", "watch"}},
	})
	name := account.Impersonate.UserName
	create(t, c, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: argocd, Name: name},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"list", "watch"}},
			{APIGroups: []string{"argoproj.io"}, Resources: []string{"appprojects", "applications"}, Verbs: []string{"list", "watch"}},
		},
	}, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: argocd, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
	})
	conn, err := Connect(t.Context(), account, ConnOptions{
		Tenant: tenant, Kinds: plan.TenantKinds(), Namespaces: plan.TenantNamespaces(argocd),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	synced(t, conn)

	owned, err := conn.Owned(t.Context(), owner)
	if err != nil || len(owned) != 1 || owned[0].Namespace != argocd {
		t.Errorf("Owned: %v, %v", owned, err)
	}
	if got, err := conn.Get(t.Context(), plan.ID{Kind: "Secret", Namespace: argocd, Name: "mine"}); err != nil || got == nil {
		t.Errorf("Get: %v, %v", got, err)
	}
	var unknown *UnknownKindError
	_, err = conn.Get(t.Context(), plan.ID{Kind: "Secret", Namespace: elsewhere, Name: "mine"})
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), argocd) {
		t.Errorf("Get in another namespace: %v", err)
	}
	if _, err := conn.Application(t.Context(), elsewhere, "a"); !errors.As(err, &unknown) {
		t.Errorf("Application in another namespace: %v", err)
	}

	u := &unstructured.Unstructured{Object: map[string]any{
		"spec":   map[string]any{"project": "default", "destination": map[string]any{}, "source": map[string]any{"repoURL": "https://git/x.git"}},
		"status": map[string]any{"health": map[string]any{"status": "Healthy"}},
	}}
	u.SetGroupVersionKind(argoKind("Application"))
	u.SetNamespace(argocd)
	u.SetName("a")
	u.SetLabels(owner.Labels(tenant))
	create(t, c, u)
	remotetest.Eventually(t, "wait for the Application", func(ctx context.Context) error {
		app, err := conn.Application(ctx, argocd, "a")
		return errors.Join(err, want(app != nil && app.Health == "Healthy", "it is %v", app))
	})
}

// service returns an entry point with two named ports.
func service(namespace, name string, kind corev1.ServiceType) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: map[string]string{"resource.nautes.io/Usage": "Entrypoint"},
			Annotations: map[string]string{"cluster-operator.nautes.io/http-entrypoint": "web", "cluster-operator.nautes.io/https-entrypoint": "websecure"},
		},
		Spec: corev1.ServiceSpec{Type: kind, Ports: []corev1.ServicePort{
			{Name: "metrics", Port: 9100}, {Name: "web", Port: 80}, {Name: "websecure", Port: 443},
		}},
	}
}

func TestEntryPoints(t *testing.T) {
	c := admin(t)
	first, second := namespace(t, c, nil), namespace(t, c, nil)
	first, second = min(first, second), max(first, second)
	name := remotetest.Unique("gateway")
	node, balanced, inner := service(first, name, corev1.ServiceTypeNodePort), service(first, name+"-lb", corev1.ServiceTypeLoadBalancer),
		service(first, name+"-inner", corev1.ServiceTypeClusterIP)
	plain, unnamed, twice := service(first, name+"-plain", corev1.ServiceTypeNodePort), service(first, name+"-unnamed", corev1.ServiceTypeNodePort),
		service(second, name, corev1.ServiceTypeLoadBalancer)
	plain.Labels = nil
	unnamed.Annotations = map[string]string{"cluster-operator.nautes.io/http-entrypoint": "absent"}
	balanced.Annotations = map[string]string{"cluster-operator.nautes.io/https-entrypoint": "websecure"}
	services := []client.Object{node, balanced, inner, plain, unnamed, twice}
	create(t, c, services...)
	t.Cleanup(func() {
		for _, o := range services {
			if err := client.IgnoreNotFound(c.Delete(context.Background(), o)); err != nil {
				t.Error(err)
			}
		}
	})
	var reported changes
	conn, err := Connect(t.Context(), server.Config(t), ConnOptions{Tenant: tenant, EntryPoints: true, OnChange: reported.add})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	sees := func(want map[string]v1alpha1.EntryPoint) {
		t.Helper()
		remotetest.Eventually(t, "wait for the entry points", func(context.Context) error {
			got, err := conn.EntryPoints()
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				return errors.Join(err, errors.New(diff))
			}
			return nil
		})
	}
	points := map[string]v1alpha1.EntryPoint{
		name:         {HTTPPort: node.Spec.Ports[1].NodePort, HTTPSPort: node.Spec.Ports[2].NodePort, Type: "NodePort"},
		name + "-lb": {HTTPSPort: 443, Type: "LoadBalancer"},
	}
	sees(points)
	reported.wait(t, "Service/"+first+"/"+name+"/is")

	before := reported.count("Service/" + first + "/" + name + "/is")
	for _, patch := range []string{
		`{"metadata":{"annotations":{"example.com/x":"y"}}}`,
		`{"metadata":{"annotations":{"` + "cluster-operator.nautes.io/http-entrypoint" + `":null}}}`,
	} {
		if err := c.Patch(t.Context(), node, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
	points[name] = v1alpha1.EntryPoint{HTTPSPort: node.Spec.Ports[2].NodePort, Type: "NodePort"}
	sees(points)
	remotetest.Eventually(t, "wait for the change", func(context.Context) error {
		return want(reported.count("Service/"+first+"/"+name+"/is") > before, "not reported")
	})
	if got := reported.count("Service/"+first+"/"+name+"/is") - before; got != 1 {
		t.Errorf("%d changes were reported, want one", got)
	}
	if err := c.Delete(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	points[name] = v1alpha1.EntryPoint{HTTPPort: 80, HTTPSPort: 443, Type: "LoadBalancer"}
	sees(points)
	conn.Close()
	if _, err := conn.EntryPoints(); !errors.Is(err, ErrNotSynced) {
		t.Errorf("after Close: %v", err)
	}
	var unknown *UnknownKindError
	if _, err := connect(t, server.Config(t), nil).EntryPoints(); !errors.As(err, &unknown) {
		t.Errorf("a connection without the option: %v", err)
	}
}

// An account without the right to read Services lacks the entry points only.
func TestUnreadableEntryPoints(t *testing.T) {
	conn, err := Connect(t.Context(), limited(t, "no-services", runtimeRules()), ConnOptions{
		Tenant: tenant, Kinds: plan.RuntimeKinds(), EntryPoints: true, Rights: runtimeRights,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	synced(t, conn)
	remotetest.Eventually(t, "wait for the cause", func(context.Context) error {
		_, err := conn.EntryPoints()
		if !errors.Is(err, ErrNotSynced) {
			t.Fatalf("error is %v", err)
		}
		return want(strings.Contains(err.Error(), "may not read services") && strings.Contains(err.Error(), "nautes-runtime"), "error is %v", err)
	})
}

// installKind installs a CRD with one version that accepts any object.
func installKind(t *testing.T, gvk schema.GroupVersionKind, plural string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	anything := true
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + gvk.Group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: gvk.Group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: gvk.Kind, Plural: plural, Singular: strings.ToLower(gvk.Kind)},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: gvk.Version, Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: &anything,
				}},
			}},
		},
	}
	o := envtest.CRDInstallOptions{CRDs: []*apiextensionsv1.CustomResourceDefinition{crd}}
	if _, err := envtest.InstallCRDs(server.Config(t), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := envtest.UninstallCRDs(server.Config(t), o); err != nil {
			t.Error(err)
		}
	})
	return crd
}

// tokenFor returns the kubeconfig of a new account, and its ClusterRole.
func tokenFor(t *testing.T, address string, rules []rbacv1.PolicyRule) (string, *rbacv1.ClusterRole) {
	t.Helper()
	c, name := admin(t), remotetest.Unique("runtime")
	sa := account(namespace(t, c, nil), name, nil)
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
	create(t, c, sa, role, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: sa.Namespace, Name: name}},
	})
	request := &authenticationv1.TokenRequest{}
	if err := c.SubResource("token").Create(t.Context(), sa, request); err != nil {
		t.Fatal(err)
	}
	return withToken(t, address, request.Status.Token), role
}

// The role of the account is older than the operator.
func TestUnreadableKind(t *testing.T) {
	rules := runtimeRules()
	var old []rbacv1.PolicyRule
	for _, rule := range rules {
		if rule.APIGroups[0] != "networking.k8s.io" && rule.APIGroups[0] != "traefik.io" {
			old = append(old, rule)
		}
	}
	kubeconfig, role := tokenFor(t, newCable(t).address(), old)
	m, _ := started(t, ManagerOptions{FailureThreshold: 3})
	set(m, "c", value(kubeconfig), "1", "", "")
	denied := func(resource string) {
		t.Helper()
		waitMessage(t, m, "c", "may not read "+resource+"; ")
		state := waitState(t, m, "c", v1alpha1.ReasonNotConnected)
		for _, part := range []string{"ClusterRole nautes-runtime", "config/rbac/runtime_role.yaml"} {
			if !strings.Contains(state.Message, part) {
				t.Errorf("message %q does not hold %q", state.Message, part)
			}
		}
		if state.UID == "" || state.Version == "" || state.Connecting {
			t.Errorf("state is %+v", state)
		}
		if _, err := m.Get("c"); !errors.Is(err, ErrNotConnected) {
			t.Errorf("Get: %v", err)
		}
	}
	grant := func(groups ...string) {
		t.Helper()
		for _, rule := range rules {
			for _, group := range groups {
				if rule.APIGroups[0] == group {
					role.Rules = append(role.Rules, rule)
				}
			}
		}
		if err := admin(t).Update(t.Context(), role); err != nil {
			t.Fatal(err)
		}
		waitState(t, m, "c", v1alpha1.ReasonConnected)
	}
	denied("ingresses (networking.k8s.io)")
	grant("networking.k8s.io")
	// A kind that is not served needs no rights.
	conn, err := m.Get("c")
	if err != nil {
		t.Fatal(err)
	}
	if served, err := conn.Serves(t.Context(), "traefik.io", "Middleware"); err != nil || served {
		t.Errorf("serves: %t, %v", served, err)
	}
	installKind(t, schema.GroupVersionKind{Group: "traefik.io", Version: "v1alpha1", Kind: "Middleware"}, "middlewares")
	denied("middlewares (traefik.io)")
	grant("traefik.io")
	if again, err := m.Get("c"); err != nil || again != conn {
		t.Errorf("the connection was replaced: %v", err)
	}
}

// A definition of another kind in the same group must not cause endless checks.
func TestCheckSettles(t *testing.T) {
	remotetest.InstallCRDs(t, server.Config(t), remotetest.CRDApplication, remotetest.CRDAppProject)
	conn := synced(t, connect(t, server.Config(t), nil))
	for name, test := range map[string]struct {
		defined []string
		want    bool
	}{
		"everything defined is served": {defined: []string{"applications", "appprojects", "rollouts"}, want: true},
		"one is not served yet":        {defined: []string{"applications", "appprojects", "eventbus"}},
		"one is still served":          {defined: []string{"applications"}},
		"of another group":             {defined: []string{"applications", "appprojects", "eventbus.example.com/"}, want: true},
		"of a similar kind":            {defined: []string{"applications", "appprojects", "eventsourcesets"}, want: true},
	} {
		tr := newTracker(t.Context(), conn.discovery, watcher{run: &conn.run}, conn.order, logr.Discard())
		tr.definitions = func() ([]string, error) {
			var names []string
			for _, plural := range test.defined {
				names = append(names, plural+".argoproj.io")
			}
			return names, nil
		}
		if got := tr.check(t.Context(), "argoproj.io"); got != test.want {
			t.Errorf("%s: settled is %t, want %t", name, got, test.want)
		}
	}
}

// The minimal rights suffice for kinds that are served later.
func TestNewKinds(t *testing.T) {
	owner := plan.Owner{Kind: "Cluster", Name: remotetest.Unique("c")}
	c := admin(t)
	ns := namespace(t, c, nil)
	conn := synced(t, connect(t, limited(t, "new-kinds", runtimeRules()), nil))
	kinds := map[schema.GroupVersionKind]string{
		{Group: "external-secrets.io", Version: "v1", Kind: "SecretStore"}:   "secretstores",
		{Group: "traefik.io", Version: "v1alpha1", Kind: "Middleware"}:       "middlewares",
		{Group: "argoproj.io", Version: "v1alpha1", Kind: "EventBus"}:        "eventbus",
		{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"}:         "",
		{Group: rbacv1.GroupName, Version: "v1", Kind: "ClusterRoleBinding"}: "",
	}
	for gvk, plural := range kinds {
		if plural != "" {
			installKind(t, gvk, plural)
		}
		u := &unstructured.Unstructured{Object: map[string]any{}}
		u.SetGroupVersionKind(gvk)
		u.SetName(owner.Name)
		u.SetLabels(owner.Labels(tenant))
		switch gvk.Kind {
		case "Ingress":
			backend := map[string]any{"service": map[string]any{"name": "x", "port": map[string]any{"number": int64(80)}}}
			u.Object["spec"] = map[string]any{"defaultBackend": backend}
		case "ClusterRoleBinding":
			u.Object["roleRef"] = map[string]any{"apiGroup": rbacv1.GroupName, "kind": "ClusterRole", "name": "view"}
		}
		if gvk.Kind != "ClusterRoleBinding" {
			u.SetNamespace(ns)
		}
		create(t, c, u)
	}
	remotetest.Eventually(t, "wait for the objects", func(ctx context.Context) error {
		owned, err := conn.Owned(ctx, owner)
		if err != nil {
			return err
		}
		seen := map[schema.GroupVersionKind]bool{}
		for _, o := range owned {
			seen[o.GroupVersionKind()] = true
		}
		return want(len(seen) == len(kinds), "only %v are cached", seen)
	})
}
