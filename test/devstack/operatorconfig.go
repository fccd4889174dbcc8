package devstack

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// OperatorConfig is the configuration of an operator beside a stack. A setting that
// is zero has the operator's own default.
type OperatorConfig struct {
	// Tenant is the name of the tenant.
	Tenant string
	// Dir holds the configuration file, and the mirrors of Git repositories.
	Dir string
	// Receiver, Metrics and Probes are the addresses to listen on. With "0" there are
	// no metrics or probes.
	Receiver, Metrics, Probes string
	// PublicURL is the URL of the receiver for forges. If it is empty, the operator makes
	// no hooks.
	PublicURL string
	// GitPoll and ClusterProbe are the pauses between two looks at a repository, and
	// at a cluster.
	GitPoll, ClusterProbe time.Duration
	// RunnerImage is the image that launchers of pipelines name.
	RunnerImage string
	// Vault is the secret store. If it is nil, the operator stores secrets in its
	// namespace.
	Vault *OperatorVault
}

// OperatorVault holds the settings of an operator for Vault.
type OperatorVault struct {
	// Address of Vault, and CAFile with the certificate that vouches for it.
	Address, CAFile string
	Login           VaultLogin
	// Timeout limits a request, and Poll is the pause between two looks at a secret.
	Timeout, Poll time.Duration
}

// VaultLogin is the way in which the operator logs in to Vault.
type VaultLogin struct {
	// Method is kubernetes or token.
	Method string
	// TokenFile holds the token of a ServiceAccount, or of Vault.
	TokenFile string
}

// Write writes the configuration to Dir/operator.yaml, and returns that path.
func (c OperatorConfig) Write() (string, error) {
	settings := map[string]any{
		"apiVersion": "config.nautes.io/v1alpha1", "kind": "OperatorConfig", "tenant": c.Tenant, "namespace": OperatorNamespace,
		// The Git host of the stack speaks plain HTTP on loopback, and others do as servers do.
		"git":       given(map[string]any{"cacheDir": filepath.Join(c.Dir, "git"), "allowedProtocols": []string{"http", "https", "ssh"}, "pollInterval": c.GitPoll}),
		"receiver":  map[string]any{"address": c.Receiver, "publicURL": c.PublicURL},
		"metrics":   map[string]any{"address": c.Metrics},
		"probes":    map[string]any{"address": c.Probes},
		"clusters":  given(map[string]any{"probeInterval": c.ClusterProbe}),
		"pipelines": given(map[string]any{"runnerImage": c.RunnerImage}),
		// There is one. It must not end when its machine is too busy to renew a lease.
		"leaderElection": map[string]any{"enabled": false},
	}
	if v := c.Vault; v != nil {
		settings["secretStore"] = map[string]any{"type": "vault", "vault": given(map[string]any{
			"address": v.Address, "caBundleFile": v.CAFile, "timeout": v.Timeout, "pollInterval": v.Poll,
			"auth": map[string]any{"method": v.Login.Method, "tokenFile": v.Login.TokenFile},
		})}
	}
	content, err := json.Marshal(settings)
	if err != nil {
		return "", fmt.Errorf("write the operator's configuration: %w", err)
	}
	path := filepath.Join(c.Dir, "operator.yaml")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("write the operator's configuration: %w", err)
	}
	return path, nil
}

// given returns the settings without those that are zero. Durations become text.
func given(settings map[string]any) map[string]any {
	for key, value := range settings {
		switch v := value.(type) {
		case time.Duration:
			settings[key] = v.String()
			if v == 0 {
				delete(settings, key)
			}
		case string:
			if v == "" {
				delete(settings, key)
			}
		}
	}
	return settings
}
