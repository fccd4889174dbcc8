package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
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
	stack, err := devstack.Start(ctx, devstack.Options{
		Dir: filepath.Join(d.dir, "stack"), Runtimes: []string{hostName, workerName, innerName},
		ControllerManager: true, BareRuntimes: true, TenantArgoCD: true, Vault: true, Pipelines: true, Progress: d.screen.done,
	})
	if err != nil {
		return err
	}
	if d.System, err = scenario.NewSystem(stack); err != nil {
		return errors.Join(err, stack.Stop())
	}
	d.Secrets = scenario.VaultSecrets(d.vault())
	for name, plane := range d.Runtimes {
		pods, err := plane.PlayPods(ctx)
		if err != nil {
			return err
		}
		if name == innerName {
			d.innerPods = pods
		}
	}
	for _, path := range []string{tenantRepo, productRepo, manifestRepo} {
		if _, err := d.Git.AddRepository(ctx, path); err != nil {
			return err
		}
	}
	d.screen.say("Git repositories below %s: %s", d.Git.URL, strings.Join([]string{tenantRepo, productRepo, manifestRepo}, ", "))
	d.screen.say("No node runs: Pods are said to run, so that what is installed can become healthy.")
	return nil
}

// operator makes the settings of an administrator, and starts the operator.
func (d *demo) operator(ctx context.Context) error {
	began := time.Now()
	var err error
	d.process, err = d.StartOperator(ctx, devstack.OperatorOptions{Tenant: tenantName, Vault: d.vault()})
	if err != nil {
		return err
	}
	d.Hooks = d.process.Hooks
	d.screen.done("nautes-operator is ready, logged in to Vault by its ServiceAccount", time.Since(began))
	d.screen.say("its rights: config/rbac on the tenant cluster, config/vault/operator-policy.hcl in Vault")
	d.Git.Grant("mirror-token", githost.Read, "demo")
	d.Git.Grant("mirror-token", githost.Read, groupName)
	d.Git.Grant("deploy-token", githost.Read, manifestRepo)
	stored := map[secrets.Ref]map[string]string{
		secrets.ProviderToken("gitlab"):                    {"access_token": "mirror-token"},
		secrets.RepositoryReadOnly("gitlab", codeRepoName): deployCredentials(),
	}
	for _, name := range []string{hostName, workerName} {
		kubeconfig, err := d.Runtimes[name].RegisterInstaller(ctx)
		if err != nil {
			return err
		}
		stored[secrets.ClusterKubeconfig(name)] = map[string]string{"kubeconfig": string(kubeconfig)}
	}
	for ref, fields := range stored {
		if err := d.Secrets(ctx, ref, fields); err != nil {
			return err
		}
	}
	d.screen.say("stored in Vault: the provider's token, the repository's deploy token, the kubeconfigs of %s and %s", hostName, workerName)
	return nil
}

// deployCredentials are the fields of the secret with the repository's deploy token.
func deployCredentials() map[string]string {
	return map[string]string{"username": "deploy", "password": "deploy-token"}
}

// writeKubeconfig writes a kubeconfig for people.
func (d *demo) writeKubeconfig(name string, content []byte) (string, error) {
	path := filepath.Join(d.dir, name+".kubeconfig")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("write a kubeconfig: %w", err)
	}
	return path, nil
}
