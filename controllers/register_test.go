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
	"nautes.io/nautes/test/scenario"
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
    sources: [{name: git, repoURL: "https://mirror.example.com/components.git", path: argocd, targetRevision: v1, values: {configs: {tls: {certificates: {git.example.com: ours}}}}}]
  - name: managed-traefik
    category: gateway
    namespace: traefik-here
    settings: [{name: httpNodePort, type: port, default: "30080"}, {name: httpsNodePort, type: port, default: "30443"}]
    rules: [{usage: worker, clusterType: physical, requirement: Possible}, {usage: host, requirement: Possible}]
    sources: [{name: chart, repoURL: "https://mirror.example.com/charts", chart: traefik, targetRevision: 1.2.3, values: {ports: {web: {nodePort: $(settings.httpNodePort)}}}}]
`
)

// registrationCluster is a Cluster on one of the control planes of the registration
// tests, with more lines of its spec.
func registrationCluster(sys *system, name, plane, more string) string {
	return scenario.InNamespace(devstack.OperatorNamespace,
		scenario.ClusterFile(name, sys.Runtimes[plane].URL, "primaryDomain: example.com", more))
}

// putKubeconfig stores the kubeconfig of the operator's user on a control plane.
func (sys *system) putKubeconfig(t *testing.T, cluster, plane string) {
	t.Helper()
	kubeconfig, err := sys.Runtimes[plane].RegisterUser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sys.putText(t, secrets.ClusterKubeconfig(cluster), "kubeconfig", string(kubeconfig))
}

func (sys *system) putText(t *testing.T, ref secrets.Ref, field, text string) {
	t.Helper()
	if err := sys.Secrets(t.Context(), ref, map[string]string{field: text}); err != nil {
		t.Fatal(err)
	}
}

// report writes the status that the tenant's Argo CD would report for an Application.
func (sys *system) report(t *testing.T, name, sync, health, failure string) {
	t.Helper()
	app := scenario.Application(name)
	sys.AwaitObjects(t, sys.Client, app)
	status := scenario.Compared(app, sync, health)
	if failure != "" {
		status["operationState"] = map[string]any{
			"phase": "Failed", "message": failure, "startedAt": "2026-01-01T00:00:00Z",
			"operation": map[string]any{},
		}
	}
	if err := scenario.Report(context.Background(), sys.Client, app, status); err != nil {
		t.Fatal(err)
	}
}

// letGo takes the finalizer of Argo CD off an Application that is being deleted.
func (sys *system) letGo(t *testing.T, name string) {
	t.Helper()
	app := scenario.Application(name)
	sys.Until(t, "the deletion of Application "+name, func() error {
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(app), app); err != nil {
			return client.IgnoreNotFound(err)
		}
		if app.GetDeletionTimestamp() == nil {
			return fmt.Errorf("it is not deleted")
		}
		app.SetFinalizers(nil)
		return client.IgnoreNotFound(sys.Client.Update(context.Background(), app))
	})
}

// progress waits for the progress of a cluster.
func (sys *system) progress(t *testing.T, name, want string) {
	t.Helper()
	c := scenario.Cluster(name)
	sys.Until(t, name+": "+want, func() error {
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(c), c); err != nil {
			return err
		}
		if c.Status.Progress != want {
			return fmt.Errorf("it is %q: %+v", c.Status.Progress, c.Status.Components)
		}
		return nil
	})
}

func (sys *system) component(t *testing.T, cluster, name string) v1alpha1.ComponentStatus {
	t.Helper()
	c := scenario.Cluster(cluster)
	if err := sys.Client.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil {
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
	sys := theSystem(t)
	t.Run("worker", sys.registerWorker)
	t.Run("virtual worker", sys.registerVirtualWorker)
	t.Run("orphan and abandon", sys.unregisterOrphanAndAbandon)
}

// The life of a physical worker: each failure shows in one condition, the
// components come one after another, and unregistering takes all of it away.
func (sys *system) registerWorker(t *testing.T) {
	const name, argocd, traefik = "bare-worker", "bare-worker.managed-argocd", "bare-worker.managed-traefik"
	c := scenario.Cluster(name)
	sys.MustApply(t, registrationCluster(sys, name, bareWorker, `clusterType: physical
  usage: worker
  workerType: deployment
  componentsList: {deployment: {name: managed-argocd}, gateway: {name: managed-traefik, additions: {httpNodePort: "31080"}}}`))

	if m := sys.condition(t, c, "Credentials", "False", v1alpha1.ReasonSecretMissing); !strings.Contains(m, "cluster/kubernetes/"+name+"/default/admin") {
		t.Errorf("the message does not say where the kubeconfig belongs: %s", m)
	}
	sys.condition(t, c, "Ready", "False", v1alpha1.ReasonSecretMissing)
	sys.progress(t, name, "5/7 components")
	sys.putText(t, secrets.ClusterKubeconfig(name), "kubeconfig", "apiVersion: v1\nkind: Config\n")
	sys.condition(t, c, "Ready", "False", v1alpha1.ReasonCredentialsInvalid)
	other, err := sys.Runtimes["alpha"].KubeconfigFor("nobody")
	if err != nil {
		t.Fatal(err)
	}
	sys.putText(t, secrets.ClusterKubeconfig(name), "kubeconfig", string(other))
	sys.condition(t, c, "Connected", "False", "")
	sys.putKubeconfig(t, name, bareWorker)
	sys.condition(t, c, "Connected", "True", "Connected")
	sys.condition(t, c, "Supported", "True", v1alpha1.ReasonVersionSupported)
	sys.condition(t, c, "Registered", "True", v1alpha1.ReasonRegistered)

	secret := sys.clusterSecret(t, name)

	// Traefik comes first, and Argo CD waits for it.
	app := scenario.Application(traefik)
	sys.AwaitObjects(t, sys.Client, app)
	if port, _, _ := unstructured.NestedInt64(app.Object, "spec", "source", "helm", "valuesObject", "ports", "web", "nodePort"); port != 31080 {
		t.Errorf("the node port reaches the chart as %d, want the number 31080", port)
	}
	if err := sys.Client.Get(t.Context(), client.ObjectKey{Namespace: devstack.ArgoCDNamespace, Name: argocd}, scenario.Application(argocd)); !apierrors.IsNotFound(err) {
		t.Errorf("Application %s is there before Traefik is ready: %v", argocd, err)
	}
	sys.AwaitObjects(t, sys.Clusters[bareWorker], scenario.Object("v1", "Namespace", "", "traefik-here"), scenario.Object("v1", "Namespace", "", "argo-here"))
	if s := sys.component(t, name, "managed-argocd"); s.State != v1alpha1.ComponentWaiting || !strings.Contains(s.Message, "managed-traefik") {
		t.Errorf("managed-argocd is %+v, want it to wait for managed-traefik", s)
	}
	sys.report(t, traefik, "OutOfSync", "Missing", "Service traefik is invalid: spec.ports[0].nodePort: provided port is already allocated")
	if m := sys.condition(t, c, "ComponentsReady", "False", v1alpha1.ReasonComponentDegraded); !strings.Contains(m, "port is already allocated") {
		t.Errorf("the condition does not tell what Argo CD says: %s", m)
	}
	foreign := sys.trustByHand(t)
	sys.report(t, traefik, "Synced", "Healthy", "")
	sys.progress(t, name, "6/7 components")
	sys.takesNoTrustOver(t, c, foreign, argocd)
	sys.AwaitObjects(t, sys.Client, scenario.Application(argocd))
	sys.report(t, argocd, "Synced", "Progressing", "")
	sys.condition(t, c, "ComponentsReady", "False", v1alpha1.ReasonComponentsProgressing)
	sys.report(t, argocd, "Synced", "Healthy", "")
	if m := sys.condition(t, c, "Ready", "True", "Ready"); !strings.Contains(m, "7/7 components") {
		t.Errorf("Ready says %q", m)
	}
	// A component that was installed is not withdrawn when another one fails.
	sys.report(t, traefik, "Synced", "Degraded", "")
	sys.condition(t, c, "Ready", "False", v1alpha1.ReasonComponentDegraded)
	sys.AwaitObjects(t, sys.Client, scenario.Application(argocd))
	sys.report(t, traefik, "Synced", "Healthy", "")
	sys.condition(t, c, "Ready", "True", "Ready")

	if err := sys.Client.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	sys.letGo(t, argocd)
	if err := sys.Client.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Errorf("Argo CD lost the cluster before it removed the components: %v", err)
	}
	sys.letGo(t, traefik)
	sys.AwaitGone(t, sys.Client, c)
	sys.nothingOf(t, name, bareWorker)
}

// trustByHand has another writer trust a certificate for a host of ours.
func (sys *system) trustByHand(t *testing.T) *corev1.ConfigMap {
	t.Helper()
	foreign := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "argo-here", Name: "argocd-tls-certs-cm"},
		Data:       map[string]string{"git.example.com": "theirs", "other.example.com": "theirs"},
	}
	if err := sys.Clusters[bareWorker].Create(t.Context(), foreign, client.FieldOwner("argocd-server")); err != nil {
		t.Fatal(err)
	}
	return foreign
}

// takesNoTrustOver checks that Argo CD is not installed over a value of another writer,
// and takes the value away.
func (sys *system) takesNoTrustOver(t *testing.T, c *v1alpha1.Cluster, foreign *corev1.ConfigMap, application string) {
	t.Helper()
	want := "ConfigMap argo-here/argocd-tls-certs-cm on cluster " + c.Name + " has a value of argocd-server for git.example.com, which the installation would overwrite: remove that key"
	if m := sys.condition(t, c, "ComponentsReady", "False", v1alpha1.ReasonComponentDegraded); !strings.Contains(m, want) {
		t.Errorf("the condition says %q, want %q", m, want)
	}
	if err := scenario.Absent(t.Context(), sys.Client, scenario.Application(application)); err != nil {
		t.Error(err)
	}
	delete(foreign.Data, "git.example.com")
	if err := sys.Clusters[bareWorker].Update(t.Context(), foreign, client.FieldOwner("argocd-server")); err != nil {
		t.Fatal(err)
	}
	// Otherwise it is looked at again after a minute.
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"now"}}}`, v1alpha1.AnnotationReconcileAt)
	if err := sys.Client.Patch(t.Context(), c, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		t.Fatal(err)
	}
}

// clusterSecret returns the tenant's Argo CD's Secret for a worker, and checks that
// it grants nothing else.
func (sys *system) clusterSecret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.ArgoCDNamespace, Name: "cluster-" + name}}
	if err := sys.Client.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
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
func (sys *system) nothingOf(t *testing.T, name string, planes ...string) {
	t.Helper()
	if _, err := sys.store.Get(t.Context(), secrets.ClusterKubeconfig(name)); err == nil {
		t.Errorf("the kubeconfig of %s is still stored", name)
	}
	look := func(where string, c client.Client, kinds [][2]string) {
		for _, kind := range kinds {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(scenario.Object(kind[0], kind[1]+"List", "", "").GroupVersionKind())
			err := c.List(t.Context(), list, client.MatchingLabels{v1alpha1.LabelOwnerKind: "Cluster", v1alpha1.LabelOwnerName: name})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range list.Items {
				t.Errorf("%s %s/%s of %s is left on %s", kind[1], o.GetNamespace(), o.GetName(), name, where)
			}
		}
	}
	look("the tenant", sys.Client, [][2]string{{"v1", "Secret"}, {"argoproj.io/v1alpha1", "AppProject"}, {"argoproj.io/v1alpha1", "Application"}})
	for _, plane := range planes {
		look(plane, sys.Clusters[plane], [][2]string{{"v1", "Namespace"}, {"v1", "Secret"}, {"rbac.authorization.k8s.io/v1", "ClusterRoleBinding"}, {"networking.k8s.io/v1", "Ingress"}})
	}
}

// A virtual cluster is installed on its host, registered with the kubeconfig that
// it leaves there, and goes after the workloads on it.
func (sys *system) registerVirtualWorker(t *testing.T) {
	const host, name, vcluster, argocd = "bare-host", "bare-virtual", "bare-virtual.bare-host.vcluster", "bare-virtual.managed-argocd"
	sys.putKubeconfig(t, host, bareHost)
	inner := sys.Runtimes[bareInner]
	sys.MustApply(t, registrationCluster(sys, name, bareInner, `clusterType: virtual
  usage: worker
  workerType: deployment
  hostCluster: bare-host
  vcluster: {httpsNodePort: "31456"}
  componentsList: {deployment: {name: managed-argocd}}`))
	virtual, hosting := scenario.Cluster(name), scenario.Cluster(host)
	// Files come in any order: the host is missing at first.
	sys.condition(t, virtual, "Ready", "False", v1alpha1.ReasonReferenceMissing)
	sys.MustApply(t, registrationCluster(sys, host, bareHost, `clusterType: physical
  usage: host`))
	sys.condition(t, hosting, "Ready", "True", "Ready")
	sys.AwaitObjects(t, sys.Client, scenario.Application(vcluster))
	sys.AwaitObjects(t, sys.Clusters[bareHost], scenario.Object("v1", "Namespace", "", name))
	sys.condition(t, virtual, "Credentials", "False", v1alpha1.ReasonSecretMissing)

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
	if err := sys.Clusters[bareHost].Create(t.Context(), leave); err != nil {
		t.Fatal(err)
	}
	sys.report(t, vcluster, "Synced", "Healthy", "")
	sys.condition(t, virtual, "Connected", "True", "Connected")
	stored, err := sys.store.Get(t.Context(), secrets.ClusterKubeconfig(name))
	if err != nil || !strings.Contains(string(stored.Fields["kubeconfig"].Bytes()), inner.Config().Host) {
		t.Errorf("the stored kubeconfig does not have the address of spec.apiServer: %v", err)
	}
	sys.report(t, argocd, "Synced", "Healthy", "")
	sys.condition(t, virtual, "Ready", "True", "Ready")

	// The host carries a cluster: it stays, and it stays a host.
	if err := sys.Client.Delete(t.Context(), hosting); err != nil {
		t.Fatal(err)
	}
	if m := sys.condition(t, hosting, "Ready", "False", v1alpha1.ReasonInUse); !strings.Contains(m, name) {
		t.Errorf("the message does not name the virtual cluster: %s", m)
	}
	if err := sys.Client.Delete(t.Context(), virtual); err != nil {
		t.Fatal(err)
	}
	sys.letGo(t, argocd)
	sys.letGo(t, vcluster)
	sys.AwaitGone(t, sys.Client, virtual, hosting)
	// The objects on the virtual cluster go with it.
	sys.nothingOf(t, name, bareHost)
	sys.nothingOf(t, host, bareHost)
}

// Installed components stay on request, and a lost cluster is given up.
func (sys *system) unregisterOrphanAndAbandon(t *testing.T) {
	for test, start := range map[string]struct {
		spec string
		lose bool
	}{
		"orphan":  {spec: "deletionPolicy: Orphan\n  "},
		"abandon": {lose: true},
	} {
		name := "bare-" + test
		c := scenario.Cluster(name)
		sys.putKubeconfig(t, name, bareWorker)
		sys.MustApply(t, registrationCluster(sys, name, bareWorker, start.spec+`clusterType: physical
  usage: worker
  workerType: deployment
  componentsList: {gateway: {name: managed-traefik}}`))
		app := name + ".managed-traefik"
		sys.report(t, app, "Synced", "Healthy", "")
		sys.condition(t, c, "Ready", "True", "Ready")
		plane := sys.Runtimes[bareWorker]
		if start.lose {
			if err := plane.Kill(); err != nil {
				t.Fatal(err)
			}
			sys.condition(t, c, "Connected", "False", "")
		}
		if err := sys.Client.Delete(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if start.lose {
			if m := sys.condition(t, c, "Ready", "False", v1alpha1.ReasonNotConnected); !strings.Contains(m, v1alpha1.AnnotationAbandon) {
				t.Errorf("the message does not say how to give the cluster up: %s", m)
			}
			sys.AwaitObjects(t, sys.Client, scenario.Application(app))
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationAbandon, name)
			if err := sys.Client.Patch(t.Context(), c, client.RawPatch("application/merge-patch+json", patch)); err != nil {
				t.Fatal(err)
			}
		}
		// The finalizer stays on, as Argo CD must not remove anything.
		sys.AwaitGone(t, sys.Client, c, scenario.Application(app))
		if start.lose {
			if err := plane.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			sys.nothingOf(t, name)
			continue
		}
		sys.AwaitObjects(t, sys.Clusters[bareWorker], scenario.Object("v1", "Namespace", "", "traefik-here"))
	}
}
