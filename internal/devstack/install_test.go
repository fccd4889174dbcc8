package devstack

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	installWithin  = 6 * time.Minute
	installMirror  = "platform/components"
	installWorker  = "worker"
	installProject = "cluster-" + installWorker
)

// The tenant's Argo CD installs all mirrored components on a worker that has
// nothing, with no more permissions than config/rbac grants; the worker's own
// Argo CD and HNC run on what was installed.
func TestTenantInstallsComponents(t *testing.T) {
	options := Options{
		Runtimes: []string{installWorker}, ControllerManager: true,
		BareRuntimes: true, TenantArgoCD: true, HNC: true,
	}
	SkipUnbuilt(t, options)
	options.HNC = false
	t.Parallel()
	options.Dir = t.TempDir()
	options.Progress = func(step string, took time.Duration) { t.Logf("%s: %v", step, took.Round(time.Millisecond)) }
	stack, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stack.Stop() })
	worker := stack.Runtimes[installWorker]
	if _, err := worker.PlayPods(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, contents, err := stack.FillMirror(t.Context(), installMirror)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("mirror: %v", time.Since(began).Round(time.Millisecond))
	if err := stack.LetArgoCDRead(t.Context(), stack.ArgoCD[TenantName], installMirror); err != nil {
		t.Fatal(err)
	}
	registerCluster(t, stack, worker)
	installComponents(t, stack, worker, contents)

	for _, start := range []func(context.Context, string) error{stack.StartArgoCD, stack.StartHNC} {
		if err := start(t.Context(), installWorker); err != nil {
			t.Fatal(err)
		}
	}
	// What they write to what was installed is no difference to the tenant.
	for _, entry := range contents {
		if entry.Missing == "" {
			if err := stack.ArgoCD[TenantName].RefreshApplication(t.Context(), worker.Name+"."+entry.Component); err != nil {
				t.Fatal(err)
			}
		}
	}
	waitInstalled(t, stack)
	removeComponent(t, stack, worker, "argo-rollouts")
	if err := stack.Err(); err != nil {
		t.Error(err)
	}
}

// registerCluster tells the tenant's Argo CD of a worker.
func registerCluster(t *testing.T, stack *Stack, worker *ControlPlane) {
	t.Helper()
	kubeconfig, err := worker.RegisterInstaller(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := json.Marshal(map[string]any{"tlsClientConfig": map[string]any{
		"caData": config.CAData, "certData": config.CertData, "keyData": config.KeyData,
	}})
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: installProject, Namespace: ArgoCDNamespace,
			Labels: map[string]string{"argocd.argoproj.io/secret-type": "cluster"},
		},
		StringData: map[string]string{"name": worker.Name, "server": worker.URL, "config": string(connection)},
	}
	set := clientFor(t, stack.Tenant.Config())
	if _, err := set.CoreV1().Secrets(ArgoCDNamespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// installComponents makes an AppProject with nothing that the mirror does not
// hold, and an Application for each component, and waits for them.
func installComponents(t *testing.T, stack *Stack, worker *ControlPlane, contents []MirrorEntry) {
	t.Helper()
	set := clientFor(t, worker.Config())
	repository, err := stack.Git.Repository(installMirror)
	if err != nil {
		t.Fatal(err)
	}
	var destinations, kinds []any
	var made []map[string]any
	known := map[schema.GroupKind]bool{}
	for _, entry := range contents {
		if entry.Missing != "" {
			continue
		}
		namespace(t, set, entry.Namespace)
		for _, namespace := range append([]string{entry.Namespace}, entry.Namespaces...) {
			destinations = append(destinations, map[string]any{"name": worker.Name, "namespace": namespace})
		}
		for _, kind := range entry.ClusterResources {
			if !known[kind] {
				known[kind] = true
				kinds = append(kinds, map[string]any{"group": kind.Group, "kind": kind.Kind})
			}
		}
		made = append(made, map[string]any{
			"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
			"metadata": map[string]any{
				"name":       worker.Name + "." + entry.Component,
				"finalizers": []any{"resources-finalizer.argocd.argoproj.io"},
			},
			"spec": map[string]any{
				"project":     installProject,
				"source":      map[string]any{"repoURL": repository.URL, "path": entry.Path, "targetRevision": DefaultBranch},
				"destination": map[string]any{"name": worker.Name, "namespace": entry.Namespace},
				"syncPolicy": map[string]any{
					"automated":   map[string]any{"prune": true, "selfHeal": true},
					"syncOptions": []any{"ServerSideApply=true", "CreateNamespace=false"},
					"retry":       map[string]any{"limit": int64(5), "backoff": map[string]any{"duration": "5s", "factor": int64(2), "maxDuration": "1m"}},
				},
			},
		})
	}
	create(t, stack.Tenant, "appprojects", ArgoCDNamespace, map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
		"metadata": map[string]any{"name": installProject},
		"spec": map[string]any{
			"sourceRepos": []any{repository.URL}, "destinations": destinations, "clusterResourceWhitelist": kinds,
		},
	})
	began := time.Now()
	for _, application := range made {
		create(t, stack.Tenant, "applications", ArgoCDNamespace, application)
	}
	waitInstalled(t, stack)
	t.Logf("%d components installed: %v", len(made), time.Since(began).Round(time.Millisecond))
}

func applications(t *testing.T, stack *Stack) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(stack.Tenant.Config())
	if err != nil {
		t.Fatal(err)
	}
	resource := schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}
	return client.Resource(resource).Namespace(ArgoCDNamespace)
}

// removeComponent deletes an Application: Argo CD may delete what it installed.
func removeComponent(t *testing.T, stack *Stack, worker *ControlPlane, component string) {
	t.Helper()
	client, set := applications(t, stack), clientFor(t, worker.Config())
	began, name := time.Now(), worker.Name+"."+component
	if err := client.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, installWithin, func(ctx context.Context) error {
		_, err := client.Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			return notYetError("the end of " + name)
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
		return nil
	})
	t.Logf("%s is gone: %v", name, time.Since(began).Round(time.Millisecond))
	accounts, err := set.CoreV1().ServiceAccounts(component).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, account := range accounts.Items {
		if account.Name != "default" {
			t.Errorf("ServiceAccount %s is left", account.Name)
		}
	}
}

// waitInstalled waits until all Applications of the tenant are Synced and Healthy.
func waitInstalled(t *testing.T, stack *Stack) {
	t.Helper()
	client := applications(t, stack)
	began, done := time.Now(), map[string]bool{}
	eventually(t, installWithin, func(ctx context.Context) error {
		list, err := client.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, application := range list.Items {
			if notYet := notInstalled(application); notYet != nil {
				err = notYet
			} else if !done[application.GetName()] {
				done[application.GetName()] = true
				t.Logf("%s is Synced and Healthy: %v", application.GetName(), time.Since(began).Round(time.Millisecond))
			}
		}
		return err
	})
}

func notInstalled(application unstructured.Unstructured) error {
	sync, _, _ := unstructured.NestedString(application.Object, "status", "sync", "status")
	health, _, _ := unstructured.NestedString(application.Object, "status", "health", "status")
	_, asked := application.GetAnnotations()["argocd.argoproj.io/refresh"]
	if sync == "Synced" && health == "Healthy" && !asked {
		return nil
	}
	conditions, _, _ := unstructured.NestedSlice(application.Object, "status", "conditions")
	message, _, _ := unstructured.NestedString(application.Object, "status", "operationState", "message")
	return fmt.Errorf("%s is %q and %q: %s %v", application.GetName(), sync, health, message, conditions)
}
