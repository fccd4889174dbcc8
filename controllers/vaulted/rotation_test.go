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
)

// soon is how late a change in Vault may arrive: it is polled for every second
// here, and no other check runs for hours.
const soon = 5 * vaultPoll

// holdsSoon waits until a Secret holds a value, and fails if it takes too long.
func (w *world) holdsSoon(t *testing.T, c client.Client, namespace, name, key, value string) {
	t.Helper()
	began := time.Now()
	until(t, "the new content of Secret "+namespace+"/"+name, func() error {
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
	if within := w.within(soon); took > within {
		t.Errorf("Secret %s/%s was changed after %v, want within %v", namespace, name, took, within)
	}
	t.Logf("Secret %s/%s was changed after %v", namespace, name, took)
}

// Secrets that change in Vault arrive at their users, without a change of any
// object.
func TestRotatedSecretsArrive(t *testing.T) {
	w := theWorld(t)
	alpha := w.runtimes[alphaPlane]
	books := w.first.find("books")
	rotate := func(ref secrets.Ref, field, name string, places ...string) string {
		w.canaries.move(w.field(t, ref, field))
		value := w.canaries.make(name, places...)
		w.putField(t, ref, field, value)
		return value
	}
	key := rotate(readOnly(books.repo), "deploykey", "the new key of "+books.repo, w.first.repositorySecret(books))
	w.holdsSoon(t, alpha, devstack.ArgoCDNamespace, "product-501-"+books.repo, "sshPrivateKey", key)
	password := rotate(edgeSecret, "password", "the new secret of a component", alphaPlane+" Secret edge/edge-login")
	w.holdsSoon(t, alpha, "edge", "edge-login", "password", password)

	// The token that the second product's repository is read with.
	old := w.field(t, secrets.ProviderToken(provider), "access_token")
	w.Git.Grant(old, githost.NoAccess, w.second.group)
	token := rotate(secrets.ProviderToken(provider), "access_token", "the new token of the provider")
	w.Git.Grant(token, githost.Read, w.second.group)
	d := w.second.find("books")
	d.path = "rotated"
	w.second.push(t, map[string]string{runtimeFile(d): w.second.runtime(d)})
	w.deploys(t, w.second, d)
	w.second.ready(t)
}

// deploys waits until the Application of a deployment has the path that it must.
func (w *world) deploys(t *testing.T, s shop, d deployment) {
	t.Helper()
	app := object("argoproj.io/v1alpha1", "Application", devstack.ArgoCDNamespace, s.product+"-"+d.name)
	until(t, "the path of "+app.GetName(), func() error {
		if err := w.runtimes[s.plane].Get(context.Background(), client.ObjectKeyFromObject(app), app); err != nil {
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
	w := theWorld(t)
	const name = "beta-rotates"
	c := clusterObject(name)
	t.Cleanup(func() { w.unregister(t, c) })
	w.apply(t, w.clusterYAML(name, betaPlane, ""))
	w.waits(t, c, v1alpha1.ConditionCredentials, v1alpha1.ReasonSecretMissing, secrets.ClusterKubeconfig(name).String(), "store one there")
	argoCDHas := func(kubeconfig []byte) {
		t.Helper()
		until(t, "the cluster Secret of Argo CD", func() error {
			secret := &corev1.Secret{}
			key := client.ObjectKey{Namespace: devstack.ArgoCDNamespace, Name: "cluster-" + name}
			if err := w.c.Get(context.Background(), key, secret); err != nil {
				return err
			}
			if holds(base64.StdEncoding.EncodeToString(secret.Data["config"]), credentialIn(t, kubeconfig)) == "" {
				return errors.New("it holds something else")
			}
			return nil
		})
	}
	first := w.accountKubeconfig(t, betaPlane, "first")
	w.putKubeconfig(t, name, first)
	w.ready(t, c)
	argoCDHas(first)

	second := w.accountKubeconfig(t, betaPlane, "second")
	w.putKubeconfig(t, name, second)
	argoCDHas(second)
	// With its account a token is worth nothing any more.
	account := object("v1", "ServiceAccount", "kube-system", "first")
	if err := w.runtimes[betaPlane].Delete(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	mark, err := w.Runtimes[betaPlane].Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reviewer := object("v1", "ServiceAccount", "vault", "vault-auth")
	if err := w.runtimes[betaPlane].Delete(t.Context(), reviewer); err != nil {
		t.Fatal(err)
	}
	exists(t, w.runtimes[betaPlane], reviewer)
	until(t, "who has made the account again", func() error {
		requests, err := w.Runtimes[betaPlane].Requests(mark)
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
	w.ready(t, c)
}
