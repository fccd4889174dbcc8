package controllers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
)

// The clusters of the tests of registration: control planes that no other test
// has, and the components that are installed on them. The tenant's Argo CD
// is played: the tests write its reports, and take its finalizer off.
const (
	bareWorker, bareHost, bareInner = "sigma", "sigma", "tau"

	managedComponents = `
  - {name: argocd, installation: External, rules: [{usage: worker, requirement: Default}]}
  - {name: traefik, installation: External, rules: [{usage: worker, clusterType: physical, requirement: Default}, {usage: host, requirement: Required}]}
  - name: managed-argocd
    category: deployment
    namespace: argo-here
    after: [managed-traefik]
    settings: [{name: host, type: host, default: argocd.$(cluster.name).$(cluster.primaryDomain)}]
    clusterResources: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition}]
    rules: [{usage: worker, requirement: Possible}]
    sources: [{name: git, repoURL: "https://mirror.example.com/components.git", path: argocd, targetRevision: v1}]
  - name: managed-traefik
    category: gateway
    namespace: traefik-here
    settings: [{name: httpNodePort, type: port, default: "30080"}, {name: httpsNodePort, type: port, default: "30443"}]
    rules: [{usage: worker, clusterType: physical, requirement: Possible}, {usage: host, requirement: Possible}]
    sources: [{name: chart, repoURL: "https://mirror.example.com/charts", chart: traefik, targetRevision: 1.2.3, values: {ports: {web: {nodePort: $(settings.httpNodePort)}}}}]
`
)

// bareCluster is a Cluster on one of the control planes of the registration tests.
func bareCluster(w *world, name, plane, more string) string {
	return fmt.Sprintf(`
apiVersion: nautes.resource.nautes.io/v1alpha1
kind: Cluster
metadata: {name: %s, namespace: nautes}
spec:
  apiServer: %q
  primaryDomain: example.com
  %s
`, name, w.Runtimes[plane].Config().Host, more)
}

func clusterObject(name string) *v1alpha1.Cluster {
	return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: name}}
}

// putKubeconfig stores the kubeconfig of the operator's user on a control plane.
func (w *world) putKubeconfig(t *testing.T, cluster, plane string) {
	t.Helper()
	kubeconfig, err := w.Runtimes[plane].RegisterUser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.putText(t, secrets.ClusterKubeconfig(cluster), "kubeconfig", string(kubeconfig))
}

func (w *world) putText(t *testing.T, ref secrets.Ref, field, text string) {
	t.Helper()
	if _, err := w.store.Put(t.Context(), ref, map[string]secrets.Value{field: secrets.NewValue([]byte(text))}); err != nil {
		t.Fatal(err)
	}
}

// tenantApplication is an Application of the tenant's Argo CD.
func tenantApplication(name string) *unstructured.Unstructured {
	return object("argoproj.io/v1alpha1", "Application", devstack.ArgoCDNamespace, name)
}

// report writes the status that the tenant's Argo CD would report for an Application.
func (w *world) report(t *testing.T, name, sync, health, failure string) {
	t.Helper()
	app := tenantApplication(name)
	exists(t, w.c, app)
	before := app.DeepCopy()
	compared := map[string]any{"destination": map[string]any{}}
	if source, ok, _ := unstructured.NestedMap(app.Object, "spec", "source"); ok {
		compared["source"] = source
	}
	status := map[string]any{
		"sync": map[string]any{"status": sync, "comparedTo": compared}, "health": map[string]any{"status": health},
	}
	if failure != "" {
		status["operationState"] = map[string]any{
			"phase": "Failed", "message": failure, "startedAt": "2026-01-01T00:00:00Z",
			"operation": map[string]any{},
		}
	}
	app.Object["status"] = status
	if err := w.c.Patch(context.Background(), app, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// letGo takes the finalizer of Argo CD off an Application that is being deleted.
func (w *world) letGo(t *testing.T, name string) {
	t.Helper()
	app := tenantApplication(name)
	until(t, "the deletion of Application "+name, func() error {
		if err := w.c.Get(context.Background(), client.ObjectKeyFromObject(app), app); err != nil {
			return client.IgnoreNotFound(err)
		}
		if app.GetDeletionTimestamp() == nil {
			return fmt.Errorf("it is not deleted")
		}
		app.SetFinalizers(nil)
		return client.IgnoreNotFound(w.c.Update(context.Background(), app))
	})
}

// progress waits for the progress of a cluster.
func (w *world) progress(t *testing.T, name, want string) {
	t.Helper()
	c := clusterObject(name)
	until(t, name+": "+want, func() error {
		if err := w.c.Get(context.Background(), client.ObjectKeyFromObject(c), c); err != nil {
			return err
		}
		if c.Status.Progress != want {
			return fmt.Errorf("it is %q: %+v", c.Status.Progress, c.Status.Components)
		}
		return nil
	})
}

func (w *world) component(t *testing.T, cluster, name string) v1alpha1.ComponentStatus {
	t.Helper()
	c := clusterObject(cluster)
	if err := w.c.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(c.Status.Components, func(s v1alpha1.ComponentStatus) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("cluster %s has no component %s: %+v", cluster, name, c.Status.Components)
	}
	return c.Status.Components[i]
}

// One after another, since they have the same control plane.
func TestRegistration(t *testing.T) {
	t.Parallel()
	w := theWorld(t)
	t.Run("worker", w.registerWorker)
	t.Run("virtual worker", w.registerVirtualWorker)
	t.Run("orphan and abandon", w.unregisterOrphanAndAbandon)
}

// The life of a physical worker: each failure shows in one condition, the
// components come one after another, and unregistering takes all of it away.
func (w *world) registerWorker(t *testing.T) {
	const name, argocd, traefik = "bare-worker", "bare-worker.managed-argocd", "bare-worker.managed-traefik"
	c := clusterObject(name)
	w.apply(t, bareCluster(w, name, bareWorker, `clusterType: physical
  usage: worker
  workerType: deployment
  componentsList: {deployment: {name: managed-argocd}, gateway: {name: managed-traefik, additions: {httpNodePort: "31080"}}}`))

	if m := w.condition(t, c, "Credentials", "False", v1alpha1.ReasonSecretMissing); !strings.Contains(m, "cluster/kubernetes/"+name+"/default/admin") {
		t.Errorf("the message does not say where the kubeconfig belongs: %s", m)
	}
	w.condition(t, c, "Ready", "False", v1alpha1.ReasonSecretMissing)
	w.progress(t, name, "5/7 components")
	w.putText(t, secrets.ClusterKubeconfig(name), "kubeconfig", "apiVersion: v1\nkind: Config\n")
	w.condition(t, c, "Ready", "False", v1alpha1.ReasonCredentialsInvalid)
	other, err := w.Runtimes["alpha"].KubeconfigFor("nobody")
	if err != nil {
		t.Fatal(err)
	}
	w.putText(t, secrets.ClusterKubeconfig(name), "kubeconfig", string(other))
	w.condition(t, c, "Connected", "False", "")
	w.putKubeconfig(t, name, bareWorker)
	w.condition(t, c, "Connected", "True", "Connected")
	w.condition(t, c, "Supported", "True", v1alpha1.ReasonVersionSupported)
	w.condition(t, c, "Registered", "True", v1alpha1.ReasonRegistered)

	secret := w.clusterSecret(t, name)

	// Traefik comes first, and Argo CD waits for it.
	app := tenantApplication(traefik)
	exists(t, w.c, app)
	if port, _, _ := unstructured.NestedInt64(app.Object, "spec", "source", "helm", "valuesObject", "ports", "web", "nodePort"); port != 31080 {
		t.Errorf("the node port reaches the chart as %d, want the number 31080", port)
	}
	if err := w.c.Get(t.Context(), client.ObjectKey{Namespace: devstack.ArgoCDNamespace, Name: argocd}, tenantApplication(argocd)); !apierrors.IsNotFound(err) {
		t.Errorf("Application %s is there before Traefik is ready: %v", argocd, err)
	}
	exists(t, w.runtimes[bareWorker], object("v1", "Namespace", "", "traefik-here"), object("v1", "Namespace", "", "argo-here"))
	if s := w.component(t, name, "managed-argocd"); s.State != v1alpha1.ComponentWaiting || !strings.Contains(s.Message, "managed-traefik") {
		t.Errorf("managed-argocd is %+v, want it to wait for managed-traefik", s)
	}
	w.report(t, traefik, "OutOfSync", "Missing", "Service traefik is invalid: spec.ports[0].nodePort: provided port is already allocated")
	if m := w.condition(t, c, "ComponentsReady", "False", v1alpha1.ReasonComponentDegraded); !strings.Contains(m, "port is already allocated") {
		t.Errorf("the condition does not tell what Argo CD says: %s", m)
	}
	w.report(t, traefik, "Synced", "Healthy", "")
	w.progress(t, name, "6/7 components")
	exists(t, w.c, tenantApplication(argocd))
	w.report(t, argocd, "Synced", "Progressing", "")
	w.condition(t, c, "ComponentsReady", "False", v1alpha1.ReasonComponentsProgressing)
	w.report(t, argocd, "Synced", "Healthy", "")
	if m := w.condition(t, c, "Ready", "True", "Ready"); !strings.Contains(m, "7/7 components") {
		t.Errorf("Ready says %q", m)
	}
	// A component that was installed is not withdrawn when another one fails.
	w.report(t, traefik, "Synced", "Degraded", "")
	w.condition(t, c, "Ready", "False", v1alpha1.ReasonComponentDegraded)
	exists(t, w.c, tenantApplication(argocd))
	w.report(t, traefik, "Synced", "Healthy", "")
	w.condition(t, c, "Ready", "True", "Ready")

	if err := w.c.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.letGo(t, argocd)
	if err := w.c.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Errorf("Argo CD lost the cluster before it removed the components: %v", err)
	}
	w.letGo(t, traefik)
	gone(t, w.c, c)
	w.nothingOf(t, name, bareWorker)
}

// clusterSecret returns the tenant's Argo CD's Secret for a worker, and checks that
// it grants nothing else.
func (w *world) clusterSecret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.ArgoCDNamespace, Name: "cluster-" + name}}
	if err := w.c.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatal(err)
	}
	var config struct {
		BearerToken     string
		TLSClientConfig struct{ Insecure bool }
	}
	if err := json.Unmarshal(secret.Data["config"], &config); err != nil || config.TLSClientConfig.Insecure {
		t.Errorf("the settings of the cluster Secret: insecure %v, error %v", config.TLSClientConfig.Insecure, err)
	}
	if _, has := secret.Data["project"]; has || string(secret.Data["name"]) != name || secret.Labels["cluster.nautes.io/usage"] != "worker" {
		t.Errorf("the cluster Secret has the keys %v and the labels %v", secret.Data, secret.Labels)
	}
	return secret
}

// nothingOf checks that nothing of a cluster is left anywhere.
func (w *world) nothingOf(t *testing.T, name string, planes ...string) {
	t.Helper()
	if _, err := w.store.Get(t.Context(), secrets.ClusterKubeconfig(name)); err == nil {
		t.Errorf("the kubeconfig of %s is still stored", name)
	}
	look := func(where string, c client.Client, kinds [][2]string) {
		for _, kind := range kinds {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(object(kind[0], kind[1]+"List", "", "").GroupVersionKind())
			err := c.List(t.Context(), list, client.MatchingLabels{v1alpha1.LabelOwnerKind: "Cluster", v1alpha1.LabelOwnerName: name})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range list.Items {
				t.Errorf("%s %s/%s of %s is left on %s", kind[1], o.GetNamespace(), o.GetName(), name, where)
			}
		}
	}
	look("the tenant", w.c, [][2]string{{"v1", "Secret"}, {"argoproj.io/v1alpha1", "AppProject"}, {"argoproj.io/v1alpha1", "Application"}})
	for _, plane := range planes {
		look(plane, w.runtimes[plane], [][2]string{{"v1", "Namespace"}, {"v1", "Secret"}, {"rbac.authorization.k8s.io/v1", "ClusterRoleBinding"}, {"networking.k8s.io/v1", "Ingress"}})
	}
}

// A virtual cluster is installed on its host, registered with the kubeconfig that
// it leaves there, and goes after the workloads on it.
func (w *world) registerVirtualWorker(t *testing.T) {
	const host, name, vcluster, argocd = "bare-host", "bare-virtual", "bare-virtual.bare-host.vcluster", "bare-virtual.managed-argocd"
	w.putKubeconfig(t, host, bareHost)
	inner := w.Runtimes[bareInner]
	w.apply(t, bareCluster(w, name, bareInner, `clusterType: virtual
  usage: worker
  workerType: deployment
  hostCluster: bare-host
  vcluster: {httpsNodePort: "31456"}
  componentsList: {deployment: {name: managed-argocd}}`))
	virtual, hosting := clusterObject(name), clusterObject(host)
	// Files come in any order: the host is missing at first.
	w.condition(t, virtual, "Ready", "False", v1alpha1.ReasonReferenceMissing)
	w.apply(t, bareCluster(w, host, bareHost, `clusterType: physical
  usage: host`))
	w.condition(t, hosting, "Ready", "True", "Ready")
	exists(t, w.c, tenantApplication(vcluster))
	exists(t, w.runtimes[bareHost], object("v1", "Namespace", "", name))
	w.condition(t, virtual, "Credentials", "False", v1alpha1.ReasonSecretMissing)

	// The virtual cluster starts and leaves its kubeconfig, with an address that
	// only its own pod understands.
	kubeconfig, err := inner.RegisterUser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	left := strings.Replace(string(kubeconfig), inner.Config().Host, "https://localhost:8443", 1)
	if left == string(kubeconfig) {
		t.Fatal("the kubeconfig does not hold the address of the control plane")
	}
	leave := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "vc-vcluster"}, Data: map[string][]byte{"config": []byte(left)}}
	if err := w.runtimes[bareHost].Create(t.Context(), leave); err != nil {
		t.Fatal(err)
	}
	w.report(t, vcluster, "Synced", "Healthy", "")
	w.condition(t, virtual, "Connected", "True", "Connected")
	stored, err := w.store.Get(t.Context(), secrets.ClusterKubeconfig(name))
	if err != nil || !strings.Contains(string(stored.Fields["kubeconfig"].Bytes()), inner.Config().Host) {
		t.Errorf("the stored kubeconfig does not have the address of spec.apiServer: %v", err)
	}
	w.report(t, argocd, "Synced", "Healthy", "")
	w.condition(t, virtual, "Ready", "True", "Ready")

	// The host carries a cluster: it stays, and it stays a host.
	if err := w.c.Delete(t.Context(), hosting); err != nil {
		t.Fatal(err)
	}
	if m := w.condition(t, hosting, "Ready", "False", v1alpha1.ReasonInUse); !strings.Contains(m, name) {
		t.Errorf("the message does not name the virtual cluster: %s", m)
	}
	if err := w.c.Delete(t.Context(), virtual); err != nil {
		t.Fatal(err)
	}
	w.letGo(t, argocd)
	w.letGo(t, vcluster)
	gone(t, w.c, virtual, hosting)
	// The objects on the virtual cluster go with it.
	w.nothingOf(t, name, bareHost)
	w.nothingOf(t, host, bareHost)
}

// Installed components stay on request, and a lost cluster is given up.
func (w *world) unregisterOrphanAndAbandon(t *testing.T) {
	for test, start := range map[string]struct {
		spec string
		lose bool
	}{
		"orphan":  {spec: "deletionPolicy: Orphan\n  "},
		"abandon": {lose: true},
	} {
		name := "bare-" + test
		c := clusterObject(name)
		w.putKubeconfig(t, name, bareWorker)
		w.apply(t, bareCluster(w, name, bareWorker, start.spec+`clusterType: physical
  usage: worker
  workerType: deployment
  componentsList: {gateway: {name: managed-traefik}}`))
		app := name + ".managed-traefik"
		w.report(t, app, "Synced", "Healthy", "")
		w.condition(t, c, "Ready", "True", "Ready")
		plane := w.Runtimes[bareWorker]
		if start.lose {
			if err := plane.Kill(); err != nil {
				t.Fatal(err)
			}
			w.condition(t, c, "Connected", "False", "")
		}
		if err := w.c.Delete(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if start.lose {
			if m := w.condition(t, c, "Ready", "False", v1alpha1.ReasonNotConnected); !strings.Contains(m, v1alpha1.AnnotationAbandon) {
				t.Errorf("the message does not say how to give the cluster up: %s", m)
			}
			exists(t, w.c, tenantApplication(app))
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationAbandon, name)
			if err := w.c.Patch(t.Context(), c, client.RawPatch("application/merge-patch+json", patch)); err != nil {
				t.Fatal(err)
			}
		}
		// The finalizer stays on, as Argo CD must not remove anything.
		gone(t, w.c, c, tenantApplication(app))
		if start.lose {
			if err := plane.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.nothingOf(t, name)
			continue
		}
		exists(t, w.runtimes[bareWorker], object("v1", "Namespace", "", "traefik-here"))
	}
}
