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

	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
)

// The names of the demo. Clusters have the names of their control planes, but for
// the virtual one.
const (
	tenantName   = "demo"
	hostName     = "host"
	workerName   = "worker"
	virtualName  = "virtual-worker"
	innerName    = "inner"
	productName  = "product-1001"
	groupName    = "nautes-labs"
	mirrorRepo   = "platform/components"
	tenantRepo   = "demo/management"
	productRepo  = groupName + "/default.project"
	manifestRepo = groupName + "/api-server"
)

// stage starts everything but the components that Nautes installs.
func (d *demo) stage(ctx context.Context) error {
	var err error
	d.stack, err = devstack.Start(ctx, devstack.Options{
		Dir: filepath.Join(d.dir, "stack"), Runtimes: []string{hostName, workerName, innerName},
		ControllerManager: true, BareRuntimes: true, TenantArgoCD: true, Vault: true, Pipelines: true, Progress: d.screen.done,
	})
	if err != nil {
		return err
	}
	for name, plane := range d.stack.Runtimes {
		pods, err := plane.PlayPods(ctx)
		if err != nil {
			return err
		}
		if name == innerName {
			d.innerPods = pods
		}
	}
	for _, path := range []string{tenantRepo, productRepo, manifestRepo} {
		if _, err := d.stack.Git.AddRepository(ctx, path); err != nil {
			return err
		}
	}
	d.screen.say("Git repositories below %s: %s", d.stack.Git.URL, strings.Join([]string{tenantRepo, productRepo, manifestRepo}, ", "))
	d.screen.say("No node runs: Pods are said to run, so that what is installed can become healthy.")
	return nil
}

// operator makes the settings of an administrator, and starts the operator.
func (d *demo) operator(ctx context.Context) error {
	began := time.Now()
	var err error
	d.process, err = d.stack.StartOperator(ctx, devstack.OperatorOptions{Tenant: tenantName, Vault: d.vault()})
	if err != nil {
		return err
	}
	d.screen.done("nautes-operator is ready, logged in to Vault by its ServiceAccount", time.Since(began))
	d.screen.say("its rights: config/rbac on the tenant cluster, config/vault/operator-policy.hcl in Vault")
	d.stack.Git.Grant("mirror-token", githost.Read, "demo")
	d.stack.Git.Grant("mirror-token", githost.Read, groupName)
	d.stack.Git.Grant("deploy-token", githost.Read, manifestRepo)
	stored := map[secrets.Ref]map[string]string{
		secrets.ProviderToken("gitlab"):                         {"access_token": "mirror-token"},
		secrets.RepositoryReadOnly("gitlab", "repo-api-server"): {"username": "deploy", "password": "deploy-token"},
	}
	for _, name := range []string{hostName, workerName} {
		kubeconfig, err := d.stack.Runtimes[name].RegisterInstaller(ctx)
		if err != nil {
			return err
		}
		stored[secrets.ClusterKubeconfig(name)] = map[string]string{"kubeconfig": string(kubeconfig)}
	}
	for ref, fields := range stored {
		if err := d.putSecret(ctx, ref, fields); err != nil {
			return err
		}
	}
	d.screen.say("stored in Vault: the provider's token, the repository's deploy token, the kubeconfigs of %s and %s", hostName, workerName)
	return nil
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
	return d.stack.Git.AddHook(path, githost.Hook{URL: d.process.Hooks + endpoint, Token: receiver.Token(secret.Data["key"], source)})
}

// writeKubeconfig writes a kubeconfig for people.
func (d *demo) writeKubeconfig(name string, content []byte) (string, error) {
	path := filepath.Join(d.dir, name+".kubeconfig")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("write a kubeconfig: %w", err)
	}
	return path, nil
}
