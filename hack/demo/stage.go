package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
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
	groupName    = "nautes-labs"
	mirrorRepo   = "platform/components"
	tenantRepo   = "demo/management"
	productRepo  = groupName + "/default.project"
	manifestRepo = groupName + "/" + manifestName
	manifestName = "api-server"
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
	began := time.Now()
	if d.entry, err = d.StartEntry(); err != nil {
		return err
	}
	if d.forge, err = startForge(ctx, d.kind, filepath.Join(d.dir, "forge"), d.entry); err != nil {
		return err
	}
	d.screen.done("the Git forge", time.Since(began))
	d.screen.say("the forge, at %s, is %s", d.forge.web, d.forge.about)
	d.screen.say("No node runs: Pods are said to run, so that what is installed can become healthy.")
	return nil
}

// operator makes the settings of an administrator, and starts the operator.
func (d *demo) operator(ctx context.Context) error {
	began := time.Now()
	var err error
	d.process, err = d.StartOperator(ctx, devstack.OperatorOptions{Tenant: tenantName, Vault: d.vault(), MakeHooks: true, GitPoll: forgePoll})
	if err != nil {
		return err
	}
	d.Hooks = d.process.Hooks
	d.screen.done("nautes-operator is ready, logged in to Vault by its ServiceAccount", time.Since(began))
	d.screen.say("its rights: config/rbac on the tenant cluster, config/vault/operator-policy.hcl in Vault")
	if err := d.startAPI(ctx); err != nil {
		return err
	}
	stored := map[secrets.Ref]map[string]string{secrets.ProviderToken(d.kind): {"access_token": d.forge.admin}}
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
	d.screen.say("stored in Vault: a token of the forge for the operator, the kubeconfigs of %s and %s", hostName, workerName)
	if err := d.forge.repository(ctx, tenantRepo); err != nil {
		return err
	}
	d.screen.say("made in the forge: the repository %s, and ada, who is no member of it", tenantRepo)
	d.ada, err = d.addPerson(ctx, "ada")
	return err
}

// forgePoll is how often the operator asks the forge for groups. The default is a minute.
const forgePoll = 5 * time.Second

// writeKubeconfig writes a kubeconfig for people.
func (d *demo) writeKubeconfig(name string, content []byte) (string, error) {
	path := filepath.Join(d.dir, name+".kubeconfig")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("write a kubeconfig: %w", err)
	}
	return path, nil
}
