package vaulted_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

// soon is how late a change in Vault may arrive: it is polled for every second
// here, and no other check runs for hours.
const soon = 5 * vaultPoll

// holdsSoon waits until a Secret holds a value, and fails if it takes too long.
func (sys *system) holdsSoon(t *testing.T, c client.Client, namespace, name, key, value string) {
	t.Helper()
	began := time.Now()
	sys.Until(t, "the new content of Secret "+namespace+"/"+name, func() error {
		secret := &corev1.Secret{}
		if err := c.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
			return err
		}
		if string(secret.Data[key]) != value {
			return errors.New("it holds something else")
		}
		return nil
	})
	took := time.Since(began)
	if within := sys.within(soon); took > within {
		t.Errorf("Secret %s/%s was changed after %v, want within %v", namespace, name, took, within)
	}
	t.Logf("Secret %s/%s was changed after %v", namespace, name, took)
}

// Secrets that change in Vault arrive at their users, without a change of any
// object.
func TestRotatedSecretsArrive(t *testing.T) {
	sys := theSystem(t)
	alpha := sys.Clusters[alphaPlane]
	books := sys.first.find("books")
	rotate := func(ref secrets.Ref, field, name string, places ...string) string {
		sys.canaries.move(sys.field(t, ref, field))
		value := sys.canaries.make(name, places...)
		sys.putField(t, ref, field, value)
		return value
	}
	key := rotate(readOnly(books.repo), "deploykey", "the new key of "+books.repo, sys.first.repositorySecret(books))
	sys.holdsSoon(t, alpha, devstack.ArgoCDNamespace, "product-501-"+books.repo, "sshPrivateKey", key)
	password := rotate(edgeSecret, "password", "the new secret of a component", alphaPlane+" Secret edge/edge-login")
	sys.holdsSoon(t, alpha, "edge", "edge-login", "password", password)

	// The token that the second product's repository is read with.
	old := sys.field(t, secrets.ProviderToken(provider), "access_token")
	sys.Git.Grant(old, githost.NoAccess, sys.second.Group)
	token := rotate(secrets.ProviderToken(provider), "access_token", "the new token of the provider")
	sys.Git.Grant(token, githost.Read, sys.second.Group)
	d := sys.second.find("books")
	d.path = "rotated"
	sys.second.push(t, map[string]string{runtimeFile(d): sys.second.runtime(d)})
	sys.deploys(t, sys.second, d)
	sys.second.ready(t)
}

// deploys waits until the Application of a deployment has the path that it must.
func (sys *system) deploys(t *testing.T, s product, d deployment) {
	t.Helper()
	app := scenario.Object("argoproj.io/v1alpha1", "Application", devstack.ArgoCDNamespace, s.Name+"-"+d.name)
	sys.Until(t, "the path of "+app.GetName(), func() error {
		if err := sys.Clusters[s.plane].Get(context.Background(), client.ObjectKeyFromObject(app), app); err != nil {
			return err
		}
		if path, _, _ := unstructured.NestedString(app.Object, "spec", "source", "path"); path != d.path {
			return fmt.Errorf("it is %q, want %q", path, d.path)
		}
		return nil
	})
}

// A kubeconfig that comes late is used, and so is the one that replaces it when
// the first one is of no use any more.
func TestKubeconfigArrivesAndRotates(t *testing.T) {
	sys := theSystem(t)
	const name = "beta-rotates"
	c := scenario.Cluster(name)
	t.Cleanup(func() { sys.unregister(t, c) })
	sys.MustApply(t, sys.clusterManifest(name, betaPlane))
	sys.waits(t, c, v1alpha1.ConditionCredentials, v1alpha1.ReasonSecretMissing, secrets.ClusterKubeconfig(name).String(), "store one there")
	argoCDHas := func(kubeconfig []byte) {
		t.Helper()
		sys.Until(t, "the cluster Secret of Argo CD", func() error {
			secret := &corev1.Secret{}
			key := client.ObjectKey{Namespace: devstack.ArgoCDNamespace, Name: "cluster-" + name}
			if err := sys.Client.Get(context.Background(), key, secret); err != nil {
				return err
			}
			if holds(base64.StdEncoding.EncodeToString(secret.Data["config"]), credentialIn(t, kubeconfig)) == "" {
				return errors.New("it holds something else")
			}
			return nil
		})
	}
	first := sys.accountKubeconfig(t, betaPlane, "first")
	sys.putKubeconfig(t, name, first)
	sys.ready(t, c)
	argoCDHas(first)

	second := sys.accountKubeconfig(t, betaPlane, "second")
	sys.putKubeconfig(t, name, second)
	argoCDHas(second)
	// With its account a token is worth nothing any more.
	account := scenario.Object("v1", "ServiceAccount", "kube-system", "first")
	if err := sys.Clusters[betaPlane].Delete(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	mark, err := sys.Runtimes[betaPlane].Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reviewer := scenario.Object("v1", "ServiceAccount", "vault", "vault-auth")
	if err := sys.Clusters[betaPlane].Delete(t.Context(), reviewer); err != nil {
		t.Fatal(err)
	}
	sys.AwaitObjects(t, sys.Clusters[betaPlane], reviewer)
	sys.Until(t, "who has made the account again", func() error {
		requests, err := sys.Runtimes[betaPlane].Requests(mark)
		for _, r := range requests {
			if r.Resource != "serviceaccounts" || r.Verb != "patch" {
				continue
			}
			if r.User != "system:serviceaccount:kube-system:second" {
				t.Errorf("the account was made again by %s", r.User)
			}
			return nil
		}
		return fmt.Errorf("nobody: %v", err)
	})
	sys.ready(t, c)
}
