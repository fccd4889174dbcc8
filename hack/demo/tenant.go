package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/devstack"
	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
)

// The names of the demo.
const (
	tenantName   = "demo"
	clusterName  = "physical-worker-deployment"
	runtimeName  = "worker"
	productName  = "product-1001"
	groupName    = "nautes-labs"
	tenantRepo   = "demo/management"
	productRepo  = groupName + "/default.project"
	manifestRepo = groupName + "/api-server"
)

func (d *demo) stage(ctx context.Context) error {
	var err error
	d.stack, err = devstack.Start(ctx, devstack.Options{
		Dir: filepath.Join(d.dir, "stack"), Runtimes: []string{runtimeName},
		ControllerManager: true, ArgoCD: true, HNC: true, Progress: d.screen.done,
	})
	if err != nil {
		return err
	}
	for _, path := range []string{tenantRepo, productRepo, manifestRepo} {
		if _, err := d.stack.Git.AddRepository(ctx, path); err != nil {
			return err
		}
	}
	d.screen.say("Git repositories below %s: %s", d.stack.Git.URL, strings.Join([]string{tenantRepo, productRepo, manifestRepo}, ", "))
	return nil
}

func (d *demo) operator(ctx context.Context) error {
	began := time.Now()
	var err error
	if d.process, err = d.stack.StartOperator(ctx, tenantName); err != nil {
		return err
	}
	d.screen.done("nautes-operator is ready", time.Since(began))
	return nil
}

// tenant sets up what an administrator does once: credentials, the tenant
// repository, and in it a provider and a cluster.
func (d *demo) tenant(ctx context.Context) error {
	c, err := d.tenantClient()
	if err != nil {
		return err
	}
	kubeconfig, err := d.stack.Runtimes[runtimeName].RegisterUser(ctx)
	if err != nil {
		return err
	}
	store := kube.New(c, c, devstack.OperatorNamespace)
	d.stack.Git.Grant("mirror-token", devstack.Read, "demo")
	d.stack.Git.Grant("mirror-token", devstack.Read, groupName)
	d.stack.Git.Grant("deploy-token", devstack.Read, manifestRepo)
	for ref, fields := range map[secrets.Ref]map[string]secrets.Value{
		secrets.ClusterKubeconfig(clusterName):                  {"kubeconfig": secrets.NewValue(kubeconfig)},
		secrets.ProviderToken("gitlab"):                         {"access_token": secrets.NewValue([]byte("mirror-token"))},
		secrets.RepositoryReadOnly("gitlab", "repo-api-server"): {"username": secrets.NewValue([]byte("deploy")), "password": secrets.NewValue([]byte("deploy-token"))},
	} {
		if _, err := store.Put(ctx, ref, fields); err != nil {
			return err
		}
	}
	d.screen.say("secrets are stored: the cluster's kubeconfig, the provider's token, the repository's deploy token")
	if err := d.applyTenantRepository(ctx, c); err != nil {
		return err
	}
	if err := d.addHook(ctx, c, tenantRepo, receiver.Tenant, receiver.TenantPath); err != nil {
		return err
	}
	pushed := time.Now()
	if _, err := d.stack.Git.Push(ctx, tenantRepo, devstack.Commit{Message: "Register a cluster", Files: d.tenantFiles()}); err != nil {
		return err
	}
	d.screen.done("git push "+tenantRepo, time.Since(pushed))
	cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: clusterName}}
	if err := d.waitReady(ctx, c, cluster); err != nil {
		return err
	}
	d.screen.done("Cluster "+clusterName+" is Ready", time.Since(pushed))
	return d.screen.table(ctx, d.stack.Tenant.Config(), v1alpha1.GroupVersion, "clusters", devstack.OperatorNamespace)
}

// applyTenantRepository names the tenant repository, with credentials of its own.
func (d *demo) applyTenantRepository(ctx context.Context, c client.Client) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: "tenant-repository"},
		StringData: map[string]string{"username": "nautes", "password": "mirror-token"},
	}
	if err := c.Create(ctx, secret); err != nil {
		return fmt.Errorf("create the credentials of the tenant repository: %w", err)
	}
	return d.apply(ctx, fmt.Sprintf(`
apiVersion: nautes.resource.nautes.io/v1alpha1
kind: CodeRepo
metadata:
  name: management
  namespace: nautes
  labels: {coderepo.resource.nautes.io/tenant-management: %s}
spec:
  url: %s/%s.git
  secretRef: {name: tenant-repository}
`, tenantName, d.stack.Git.URL, tenantRepo))
}

// addHook makes the Git host report pushes to the operator, as GitLab would.
func (d *demo) addHook(ctx context.Context, c client.Client, path, source, endpoint string) error {
	secret := &corev1.Secret{}
	err := d.until(ctx, "the key of the push hooks", func(ctx context.Context) error {
		return c.Get(ctx, client.ObjectKey{Namespace: devstack.OperatorNamespace, Name: "nautes-receiver"}, secret)
	})
	if err != nil {
		return err
	}
	return d.stack.Git.AddHook(path, devstack.Hook{URL: d.process.Hooks + endpoint, Token: receiver.Token(secret.Data["key"], source)})
}

// writeKubeconfig writes a kubeconfig for people.
func (d *demo) writeKubeconfig(name string, content []byte) (string, error) {
	path := filepath.Join(d.dir, name+".kubeconfig")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("write a kubeconfig: %w", err)
	}
	return path, nil
}
