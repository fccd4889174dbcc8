package vaulted_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/scenario"
)

// certificateKubeconfig is a kubeconfig with a client certificate.
func (sys *system) certificateKubeconfig(t *testing.T, plane string) []byte {
	t.Helper()
	kubeconfig, err := sys.Runtimes[plane].RegisterUser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// accountKubeconfig is a kubeconfig with the token of a new ServiceAccount that
// has the operator's rights.
func (sys *system) accountKubeconfig(t *testing.T, plane, account string) []byte {
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
	sys.certificateKubeconfig(t, plane)
	if err := devstack.Apply(t.Context(), sys.Runtimes[plane].Config(), []byte(manifests)); err != nil {
		t.Fatal(err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: sys.Runtimes[plane].URL, CertificateAuthorityData: sys.Runtimes[plane].Config().CAData}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: sys.account(t, plane, "kube-system", account)}
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
func (sys *system) putKubeconfig(t *testing.T, cluster string, kubeconfig []byte) {
	t.Helper()
	if before := sys.field(t, secrets.ClusterKubeconfig(cluster), "kubeconfig"); before != "" {
		sys.canaries.move(credentialIn(t, []byte(before)))
	}
	sys.canaries.add(canary{
		name: "the kubeconfig of " + cluster, value: credentialIn(t, kubeconfig), places: []string{argoCDSecret(cluster)},
	})
	if err := sys.StoreKubeconfig(t.Context(), cluster, kubeconfig); err != nil {
		t.Fatal(err)
	}
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

// condition waits until a condition of an object is true for a reason.
func (sys *system) condition(t *testing.T, o v1alpha1.Object, conditionType, reason string) {
	t.Helper()
	sys.AwaitCondition(t, o, conditionType, metav1.ConditionTrue, reason)
}

// ready waits until an object is ready.
func (sys *system) ready(t *testing.T, o v1alpha1.Object) {
	t.Helper()
	sys.condition(t, o, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
}

// waits waits until a condition of an object is false for a reason, and says all
// that it must.
func (sys *system) waits(t *testing.T, o v1alpha1.Object, conditionType, reason string, says ...string) {
	t.Helper()
	sys.Until(t, fmt.Sprintf("%T %s: %s=False/%s", o, o.GetName(), conditionType, reason), func() error {
		found, err := scenario.Condition(context.Background(), sys.Client, o, conditionType, metav1.ConditionFalse, reason)
		for _, text := range says {
			if err == nil && !strings.Contains(found.Message, text) {
				err = fmt.Errorf("it does not say %q: %s", text, found.Message)
			}
		}
		return err
	})
}

// register registers a worker on the plane beta, whose accounts are let go when
// the test ends.
func (sys *system) register(t *testing.T, name string) *v1alpha1.Cluster {
	t.Helper()
	c := scenario.Cluster(name)
	t.Cleanup(func() { sys.unregister(t, c) })
	sys.putKubeconfig(t, name, sys.certificateKubeconfig(t, betaPlane))
	sys.MustApply(t, sys.clusterManifest(name, betaPlane))
	sys.ready(t, c)
	return c
}

// unregister removes a cluster, and waits until it is gone.
func (sys *system) unregister(t *testing.T, c *v1alpha1.Cluster) {
	t.Helper()
	if err := client.IgnoreNotFound(sys.Client.Delete(context.Background(), c)); err != nil {
		t.Fatal(err)
	}
	sys.AwaitGone(t, sys.Client, c)
}
