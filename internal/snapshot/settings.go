package snapshot

import (
	"cmp"

	"nautes.io/nautes/internal/gitaccess"
)

// Settings are the parts of the configuration of the operator that decisions need.
type Settings struct {
	// ArgoCDNamespace is the namespace of the tenant's Argo CD; argocd when empty.
	ArgoCDNamespace string
	// RunnerImage is the container image with nautes-runner.
	RunnerImage string
	// Vault is nil if the secret store is not Vault.
	Vault *VaultSettings
	// Git is how clients reach Git servers, unless their CodeRepoProvider says more.
	Git gitaccess.Access
}

// VaultSettings say how clusters reach Vault.
type VaultSettings struct {
	// Address is the URL of Vault.
	Address string
	// CABundle holds the certificate authorities of Vault in PEM; empty if its
	// certificate is publicly trusted.
	CABundle string
	// Namespace of Vault Enterprise; usually empty.
	Namespace string
}

func (s Settings) defaulted() Settings {
	s.ArgoCDNamespace = cmp.Or(s.ArgoCDNamespace, defaultArgoCDNamespace)
	return s
}

// WithSettings returns a snapshot of the same objects with the settings of the
// operator.
func (s *Snapshot) WithSettings(settings Settings) *Snapshot {
	next := *s
	next.Settings = settings.defaulted()
	// Answers are derived from the new snapshot, with the catalogue that it gets.
	next.derive()
	next.effective = s.effective
	return &next
}
