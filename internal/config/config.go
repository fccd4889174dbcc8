// Package config is the operator's versioned configuration file. It guarantees
// that an Operator that Load returns is complete and valid: every field is set,
// and none holds a value that the operator would have to interpret or refuse.
package config

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// The version and the kind that a file must declare.
const (
	APIVersion = "config.nautes.io/v1alpha1"
	Kind       = "OperatorConfig"
)

// Operator configures nautes-operator. Durations are written as in Go: 90s, 5m, 6h.
type Operator struct {
	// APIVersion is config.nautes.io/v1alpha1.
	APIVersion string `json:"apiVersion"`
	// Kind is OperatorConfig.
	Kind string `json:"kind"`

	// Tenant is the name of the tenant, a DNS label. It is a label on everything
	// that the operator writes, so it must not change. Required.
	Tenant string `json:"tenant"`
	// Namespace of the operator on the tenant cluster: it holds the tenant-level
	// objects and the secrets. Default: nautes.
	Namespace string `json:"namespace"`

	Git            Git            `json:"git"`
	Receiver       Receiver       `json:"receiver"`
	SecretStore    SecretStore    `json:"secretStore"`
	ArgoCD         ArgoCD         `json:"argocd"`
	Clusters       Clusters       `json:"clusters"`
	Pipelines      Pipelines      `json:"pipelines"`
	Reconcile      Reconcile      `json:"reconcile"`
	Metrics        Metrics        `json:"metrics"`
	Probes         Probes         `json:"probes"`
	LeaderElection LeaderElection `json:"leaderElection"`
}

// Git configures the mirrors of Git repositories.
type Git struct {
	// CacheDir is an absolute path of a directory for bare mirrors. It may be
	// emptied while the operator is down. Default: /var/cache/nautes/git.
	CacheDir string `json:"cacheDir"`
	// PollInterval between two looks at a repository that reported no push.
	// Default: 5m.
	PollInterval metav1.Duration `json:"pollInterval"`
	// Timeout of one git command. Default: 60s.
	Timeout metav1.Duration `json:"timeout"`
	// AllowedProtocols of repository URLs, out of https, ssh, http and file.
	// The last two are for tests. Default: https, ssh.
	AllowedProtocols []string `json:"allowedProtocols"`
}

// Receiver configures the receiver of push hooks.
type Receiver struct {
	// Address to listen on, as host:port. Default: ":8082".
	Address string `json:"address"`
	// KeySecret is the Secret in the operator's namespace that holds the key of
	// the hooks' tokens. Default: nautes-receiver.
	KeySecret string `json:"keySecret"`
}

// SecretStore chooses where credentials are kept.
type SecretStore struct {
	// Type of the store: kube keeps them as Secrets in the operator's namespace,
	// vault keeps them in HashiCorp Vault, where accounts of the clusters can
	// read what is granted to them. Default: kube.
	Type string `json:"type"`
	// Vault must be set when the type is vault, and only then.
	Vault *Vault `json:"vault,omitempty"`
}

// The types of secret stores.
const (
	SecretStoreKube  = "kube"
	SecretStoreVault = "vault"
)

// Vault configures the secret store in HashiCorp Vault.
type Vault struct {
	// Address is the https URL of Vault, as operator and clusters reach it; http
	// only for a host on loopback. Required.
	Address string `json:"address"`
	// CABundleFile is an absolute path of the PEM certificates that vouch for
	// Vault; those of the system when empty.
	CABundleFile string `json:"caBundleFile"`
	// Namespace of Vault Enterprise; none when empty.
	Namespace string `json:"namespace"`
	// Auth is how the operator logs in.
	Auth VaultAuth `json:"auth"`
	// Timeout of one request. Default: 5s.
	Timeout metav1.Duration `json:"timeout"`
	// PollInterval between two looks at the versions of the secrets in use.
	// Default: 30s.
	PollInterval metav1.Duration `json:"pollInterval"`
}

// VaultAuth is how the operator logs in to Vault. Files are read at each login.
type VaultAuth struct {
	// Method is kubernetes, approle or token. Default: kubernetes.
	Method string `json:"method"`
	// Mount of the auth method. Default: the tenant's name for kubernetes,
	// approle for approle.
	Mount string `json:"mount"`
	// Role to log in as, for kubernetes. Default: nautes-operator.
	Role string `json:"role"`
	// TokenFile holds the ServiceAccount's token for kubernetes, or Vault's for
	// token. Default for kubernetes: the pod's own.
	TokenFile string `json:"tokenFile"`
	// RoleIDFile and SecretIDFile hold the credentials of approle.
	RoleIDFile   string `json:"roleIDFile"`
	SecretIDFile string `json:"secretIDFile"`
}

// The ways to log in to Vault.
const (
	VaultAuthKubernetes = "kubernetes"
	VaultAuthAppRole    = "approle"
	VaultAuthToken      = "token"
)

// ArgoCD configures the tenant's Argo CD, which installs the components of clusters.
type ArgoCD struct {
	// Namespace of Argo CD on the tenant cluster. Default: argocd. The operator's
	// Role there must be in that namespace too.
	Namespace string `json:"namespace"`
}

// Clusters configures the connections to runtime clusters. Each cluster has
// limits of its own.
type Clusters struct {
	// ProbeInterval between two probes of a cluster. Default: 15s.
	ProbeInterval metav1.Duration `json:"probeInterval"`
	// ProbeTimeout of one probe. Default: 10s.
	ProbeTimeout metav1.Duration `json:"probeTimeout"`
	// FailureThreshold is how many probes in a row must fail before a cluster
	// counts as not connected. Default: 3.
	FailureThreshold int `json:"failureThreshold"`
	// QPS is how many requests a second one cluster gets at most in the long
	// run. Default: 50.
	QPS float32 `json:"qps"`
	// Burst is how many requests one cluster may get at once. Default: 100.
	Burst int `json:"burst"`
}

// Pipelines configures the pipeline runtimes.
type Pipelines struct {
	// RunnerImage is the container image with nautes-runner, which the clusters
	// of pipeline runtimes can pull. Without one no pipeline runtime is deployed.
	RunnerImage string `json:"runnerImage"`
}

// Reconcile configures the controllers.
type Reconcile struct {
	// SafetyInterval after which an object is looked at although nothing
	// happened to it. Default: 6h.
	SafetyInterval metav1.Duration `json:"safetyInterval"`
	// Workers is how many objects of one kind are reconciled at the same time.
	// Default: 8.
	Workers int `json:"workers"`
}

// Metrics configures the endpoint of Prometheus metrics.
type Metrics struct {
	// Address to listen on, as host:port; "0" turns the endpoint off.
	// Default: ":8080".
	Address string `json:"address"`
}

// Probes configures the endpoints /healthz and /readyz.
type Probes struct {
	// Address to listen on, as host:port; "0" turns the endpoints off.
	// Default: ":8081".
	Address string `json:"address"`
}

// LeaderElection lets several replicas run, of which one acts.
type LeaderElection struct {
	// Enabled is never nil in an Operator that Load returned. Default: true.
	Enabled *bool `json:"enabled"`
}

// Default sets each field that has a default and is empty.
func (o *Operator) Default() {
	set(&o.Namespace, "nautes")
	set(&o.Git.CacheDir, "/var/cache/nautes/git")
	set(&o.Git.PollInterval.Duration, 5*time.Minute)
	set(&o.Git.Timeout.Duration, time.Minute)
	if o.Git.AllowedProtocols == nil {
		o.Git.AllowedProtocols = []string{"https", "ssh"}
	}
	set(&o.Receiver.Address, ":8082")
	set(&o.Receiver.KeySecret, "nautes-receiver")
	set(&o.SecretStore.Type, SecretStoreKube)
	set(&o.ArgoCD.Namespace, "argocd")
	set(&o.Clusters.ProbeInterval.Duration, 15*time.Second)
	set(&o.Clusters.ProbeTimeout.Duration, 10*time.Second)
	set(&o.Clusters.FailureThreshold, 3)
	set(&o.Clusters.QPS, 50)
	set(&o.Clusters.Burst, 100)
	set(&o.Reconcile.SafetyInterval.Duration, 6*time.Hour)
	set(&o.Reconcile.Workers, 8)
	set(&o.Metrics.Address, ":8080")
	set(&o.Probes.Address, ":8081")
	set(&o.LeaderElection.Enabled, ptr.To(true))
}

func (v *Vault) setDefaults() {
	v.Timeout.Duration = 5 * time.Second
	v.PollInterval.Duration = 30 * time.Second
}

func (a *VaultAuth) setDefaults(tenant string) {
	set(&a.Method, VaultAuthKubernetes)
	switch a.Method {
	case VaultAuthKubernetes:
		set(&a.Mount, tenant)
		set(&a.Role, "nautes-operator")
		set(&a.TokenFile, "/var/run/secrets/kubernetes.io/serviceaccount/token")
	case VaultAuthAppRole:
		set(&a.Mount, "approle")
	}
}

func set[T comparable](field *T, value T) {
	var empty T
	if *field == empty {
		*field = value
	}
}
