package devstack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// RunnerImage is the image that launchers of pipelines name.
const RunnerImage = "registry.example/nautes:devstack"

// Operator is nautes-operator as a process beside a stack's tenant.
type Operator struct {
	*Process
	// Hooks is the base URL of its receiver of push hooks, Metrics the URL of its metrics.
	Hooks, Metrics string
	// Config is its configuration. A REST server shares it, with another Dir.
	Config OperatorConfig

	start func(context.Context) error
}

// OperatorOptions say how nautes-operator runs.
type OperatorOptions struct {
	// Tenant is the name of the tenant.
	Tenant string
	// Vault is the secret store; nil: Secrets in the operator's namespace.
	Vault *Vault
	// MakeHooks has it make hooks in forges. GitPoll is the pause between two looks at a
	// forge, or 0 for the default.
	MakeHooks bool
	GitPoll   time.Duration
}

// StartOperator runs bin/nautes-operator with the permissions that InstallOperator
// grants on clusters and InstallVault in its Vault. It keeps its mirrors in the
// stack's directory.
func (s *Stack) StartOperator(ctx context.Context, options OperatorOptions) (*Operator, error) {
	root, err := ModuleRoot()
	if err != nil {
		return nil, err
	}
	taken, err := s.ports.takeMany(3)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(s.Dir, "operator")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the operator: %w", err)
	}
	config, err := s.writeOperatorFiles(ctx, dir, options, taken)
	if err != nil {
		return nil, err
	}
	o := &Operator{Hooks: "http://" + loopback(taken[2]), Metrics: "http://" + loopback(taken[0]) + "/metrics", Config: config}
	o.start = func(ctx context.Context) (err error) {
		o.Process, err = StartProcess(ctx, Program{
			Name: "nautes-operator", Path: filepath.Join(root, "bin", "nautes-operator"), Home: dir, Logs: s.logs(),
			Env:   []string{"KUBECONFIG=" + filepath.Join(dir, "kubeconfig"), "PATH=" + os.Getenv("PATH")},
			Args:  []string{"--config", filepath.Join(dir, "operator.yaml")},
			Ready: httpReady("http://" + loopback(taken[1]) + "/readyz"),
		})
		return err
	}
	if err := o.start(ctx); err != nil {
		return nil, err
	}
	return o, nil
}

// Restart stops the process and starts it again, with the same addresses.
func (o *Operator) Restart(ctx context.Context) error {
	if err := o.Stop(); err != nil {
		return err
	}
	return o.start(ctx)
}

func (s *Stack) writeOperatorFiles(ctx context.Context, dir string, o OperatorOptions, ports []int) (OperatorConfig, error) {
	kubeconfig, err := s.InstallOperator(ctx)
	if err != nil {
		return OperatorConfig{}, err
	}
	files := map[string][]byte{"kubeconfig": kubeconfig}
	config := OperatorConfig{
		Tenant: o.Tenant, Dir: dir, Metrics: loopback(ports[0]), Probes: loopback(ports[1]), Receiver: loopback(ports[2]),
		// No kubelet pulls it.
		RunnerImage: RunnerImage, GitPoll: o.GitPoll,
	}
	if o.MakeHooks {
		config.PublicURL = "http://" + config.Receiver
	}
	if o.Vault != nil {
		if files["vault-token"], err = s.InstallVault(ctx, o.Vault, o.Tenant); err != nil {
			return config, err
		}
		config.Vault = &OperatorVault{
			Address: o.Vault.Address, Login: VaultLogin{Method: "kubernetes", TokenFile: filepath.Join(dir, "vault-token")},
		}
		if o.Vault.CA != nil {
			files["vault-ca.crt"] = o.Vault.CA
			config.Vault.CAFile = filepath.Join(dir, "vault-ca.crt")
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return config, fmt.Errorf("write the operator's %s: %w", name, err)
		}
	}
	_, err = config.Write()
	return config, err
}
