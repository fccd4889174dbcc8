package vaulted_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/foreign"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
)

func newClient(t *testing.T, cfg *rest.Config) client.Client {
	t.Helper()
	cfg.QPS = -1
	c, err := client.New(cfg, client.Options{Scheme: foreign.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// apply is kubectl apply on the tenant cluster.
func (w *world) apply(t *testing.T, manifests ...string) {
	t.Helper()
	for _, m := range manifests {
		if err := devstack.Apply(t.Context(), w.Tenant.Config(), []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
}

// certificateKubeconfig is a kubeconfig with a client certificate.
func (w *world) certificateKubeconfig(t *testing.T, plane string) []byte {
	t.Helper()
	kubeconfig, err := w.Runtimes[plane].RegisterUser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// accountKubeconfig is a kubeconfig with the token of a new ServiceAccount that
// has the operator's rights.
func (w *world) accountKubeconfig(t *testing.T, plane, account string) []byte {
	t.Helper()
	manifests := fmt.Sprintf(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: %[1]s, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: nautes-runtime}
subjects: [{kind: ServiceAccount, name: %[1]s, namespace: kube-system}]
`, account)
	w.certificateKubeconfig(t, plane)
	if err := devstack.Apply(t.Context(), w.Runtimes[plane].Config(), []byte(manifests)); err != nil {
		t.Fatal(err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: w.Runtimes[plane].URL, CertificateAuthorityData: w.Runtimes[plane].Config().CAData}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: w.account(t, plane, "kube-system", account)}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	kubeconfig, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// putKubeconfig stores the kubeconfig of a cluster, whose secret only the
// tenant's Argo CD is meant to have. The one that was there is nowhere any more.
func (w *world) putKubeconfig(t *testing.T, cluster string, kubeconfig []byte) {
	t.Helper()
	if before := w.field(t, secrets.ClusterKubeconfig(cluster), "kubeconfig"); before != "" {
		w.canaries.move(credentialIn(t, []byte(before)))
	}
	w.canaries.add(canary{
		name: "the kubeconfig of " + cluster, value: credentialIn(t, kubeconfig), places: []string{argoCDSecret(cluster)},
	})
	w.putField(t, secrets.ClusterKubeconfig(cluster), "kubeconfig", string(kubeconfig))
}

// argoCDSecret is where the tenant's Argo CD has the credentials of a cluster.
func argoCDSecret(cluster string) string {
	return "tenant Secret " + devstack.ArgoCDNamespace + "/cluster-" + cluster
}

// credentialIn returns the token of a kubeconfig, or a line of its private key.
func credentialIn(t *testing.T, kubeconfig []byte) string {
	t.Helper()
	config, err := clientcmd.Load(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	user := config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo]
	if user.Token != "" {
		return user.Token
	}
	block, _ := pem.Decode(user.ClientKeyData)
	if block == nil {
		t.Fatal("the kubeconfig has neither a token nor a key")
	}
	if _, err := x509.ParseECPrivateKey(block.Bytes); err != nil {
		if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
			t.Fatal("the kubeconfig holds a key of a kind that this test does not know")
		}
	}
	// The first line names the kind of the key, the last one may be short.
	return strings.Split(string(user.ClientKeyData), "\n")[2]
}

// until polls until ask returns nil.
func until(t *testing.T, what string, ask func() error) {
	t.Helper()
	untilEvery(t, 20*time.Millisecond, what, ask)
}

// untilEvery is until for expensive questions.
func untilEvery(t *testing.T, pause time.Duration, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			if prepared != nil {
				prepared.dump(t)
			}
			t.Fatalf("%s: not within %s: %v", what, patience, err)
		}
		time.Sleep(pause)
	}
}

// is returns nil when a condition of an object has a status and a reason.
func (w *world) is(o v1alpha1.Object, conditionType string, status metav1.ConditionStatus, reason string) (message string, err error) {
	if err := w.c.Get(context.Background(), client.ObjectKeyFromObject(o), o); err != nil {
		return "", err
	}
	c := meta.FindStatusCondition(o.GetStatus().Conditions, conditionType)
	switch {
	case c == nil:
		return "", errors.New("there is no such condition")
	case c.Status != status || c.Reason != reason || c.ObservedGeneration != o.GetGeneration():
		return "", fmt.Errorf("it is %s/%s of generation %d: %s", c.Status, c.Reason, c.ObservedGeneration, c.Message)
	}
	return c.Message, nil
}

// condition waits until a condition of an object is true for a reason.
func (w *world) condition(t *testing.T, o v1alpha1.Object, conditionType, reason string) {
	t.Helper()
	until(t, fmt.Sprintf("%T %s: %s=True/%s", o, o.GetName(), conditionType, reason), func() error {
		_, err := w.is(o, conditionType, metav1.ConditionTrue, reason)
		return err
	})
}

// ready waits until an object is ready.
func (w *world) ready(t *testing.T, o v1alpha1.Object) {
	t.Helper()
	w.condition(t, o, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
}

// waits waits until a condition of an object is false for a reason, and says all
// that it must.
func (w *world) waits(t *testing.T, o v1alpha1.Object, conditionType, reason string, says ...string) {
	t.Helper()
	until(t, fmt.Sprintf("%T %s: %s=False/%s", o, o.GetName(), conditionType, reason), func() error {
		message, err := w.is(o, conditionType, metav1.ConditionFalse, reason)
		for _, text := range says {
			if err == nil && !strings.Contains(message, text) {
				err = fmt.Errorf("it does not say %q: %s", text, message)
			}
		}
		return err
	})
}

// object is an untyped object to read or to look for.
func object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	gv, _ := schema.ParseGroupVersion(apiVersion)
	o.SetGroupVersionKind(gv.WithKind(kind))
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

// exists waits until objects exist on a cluster.
func exists(t *testing.T, c client.Client, objects ...*unstructured.Unstructured) {
	t.Helper()
	for _, o := range objects {
		until(t, o.GetKind()+" "+o.GetName()+" exists", func() error {
			return c.Get(context.Background(), client.ObjectKeyFromObject(o), o)
		})
	}
}

// gone waits until objects do not exist on a cluster.
func gone(t *testing.T, c client.Client, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		until(t, fmt.Sprintf("%T %s gone", o, o.GetName()), func() error {
			err := c.Get(context.Background(), client.ObjectKeyFromObject(o), o)
			if err == nil {
				return fmt.Errorf("it is there, deleted: %v", !o.GetDeletionTimestamp().IsZero())
			}
			return client.IgnoreNotFound(err)
		})
	}
}

// dump logs the state of every object, for a test that fails.
func (w *world) dump(t *testing.T) {
	for _, list := range []client.ObjectList{
		&v1alpha1.ClusterList{}, &v1alpha1.ProductList{}, &v1alpha1.CodeRepoList{}, &v1alpha1.DeploymentRuntimeList{},
	} {
		if err := w.c.List(context.Background(), list); err != nil {
			t.Logf("list %T: %v", list, err)
			continue
		}
		_ = meta.EachListItem(list, func(o runtime.Object) error {
			object := o.(v1alpha1.Object)
			t.Logf("%T %s/%s deleted=%v", o, object.GetNamespace(), object.GetName(), !object.GetDeletionTimestamp().IsZero())
			for _, c := range object.GetStatus().Conditions {
				t.Logf("   %s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
			}
			if p, ok := o.(*v1alpha1.Product); ok {
				t.Logf("   spaces %+v", p.Status.Spaces)
			}
			return nil
		})
	}
}

// register registers a worker on the plane beta, whose accounts are let go when
// the test ends. more is added to its spec.
func (w *world) register(t *testing.T, name, more string) *v1alpha1.Cluster {
	t.Helper()
	c := clusterObject(name)
	t.Cleanup(func() { w.unregister(t, c) })
	w.putKubeconfig(t, name, w.certificateKubeconfig(t, betaPlane))
	w.apply(t, w.clusterYAML(name, betaPlane, more))
	w.ready(t, c)
	return c
}

// unregister removes a cluster, and waits until it is gone.
func (w *world) unregister(t *testing.T, c *v1alpha1.Cluster) {
	t.Helper()
	if err := client.IgnoreNotFound(w.c.Delete(context.Background(), c)); err != nil {
		t.Fatal(err)
	}
	gone(t, w.c, c)
}
