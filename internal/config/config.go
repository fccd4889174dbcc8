// Package config defines the operator's versioned configuration file. It
// guarantees that the Operator that Load returns is complete and valid: every
// field is set, and the operator never has to interpret or refuse a value.
package config

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// The API version and the kind that a file must declare.
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

	// Tenant is the name of the tenant, a DNS label. Every object that the operator
	// writes carries it as a label, so it must not change. Required.
	Tenant string `json:"tenant"`
	// Namespace of the operator on the tenant cluster. It contains the tenant-level
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
	// CacheDir is the absolute path of a directory for bare mirrors. It may be
	// emptied while the operator is stopped. Default: /var/cache/nautes/git.
	CacheDir string `json:"cacheDir"`
	// PollInterval between two polls of a repository that reports no push.
	// Default: 5m.
	PollInterval metav1.Duration `json:"pollInterval"`
	// Timeout of one git command. Default: 60s.
	Timeout metav1.Duration `json:"timeout"`
	// AllowedProtocols of repository URLs: https, ssh, http and file. The last two
	// are for tests. Default: https, ssh.
	AllowedProtocols []string `json:"allowedProtocols"`
	// CABundleFile is the absolute path of the PEM certificates of authorities that
	// vouch for Git servers. All clients of Git trust them in addition to their own.
	CABundleFile string `json:"caBundleFile"`
	// KnownHostsFile is the absolute path of SSH host keys of Git servers, in the format
	// of OpenSSH's known_hosts. They count in addition to the ones of secrets.
	KnownHostsFile string `json:"knownHostsFile"`
	// Proxy for repositories by https and http. A CodeRepoProvider can name another one.
	Proxy GitProxy `json:"proxy"`
}

// GitProxy is an HTTP proxy for clients of Git.
type GitProxy struct {
	// URL of the proxy, in the form http://host:port, without credentials. If empty,
	// there is no proxy.
	URL string `json:"url"`
	// Login is true for a proxy that asks for a user name and a password, which the
	// secret store has.
	Login bool `json:"login"`
	// NoProxy lists the hosts that are reached without the proxy: names with their
	// subdomains, addresses, and networks such as 10.0.0.0/8.
	NoProxy []string `json:"noProxy"`
}

// Receiver configures the receiver of push hooks.
type Receiver struct {
	// Address to listen on, in the form host:port. Default: ":8082".
	Address string `json:"address"`
	// PublicURL is the https URL at which Git forges reach the receiver, such as
	// https://nautes.example.com. If it is set, the operator makes hooks in the forges. http
	// is accepted for a host on loopback only.
	PublicURL string `json:"publicURL"`
	// KeySecret is the Secret in the operator's namespace that holds the key of
	// the hooks' tokens. Default: nautes-receiver.
	KeySecret string `json:"keySecret"`
}

// SecretStore configures the store of the credentials.
type SecretStore struct {
	// Type of the store: kube stores credentials as Secrets in the operator's
	// namespace. vault stores them in HashiCorp Vault, where accounts of the
	// clusters can read the secrets granted to them. Default: kube.
	Type string `json:"type"`
	// Vault must be set if the type is vault, and must not be set otherwise.
	Vault *Vault `json:"vault,omitempty"`
}

// The types of secret stores.
const (
	SecretStoreKube  = "kube"
	SecretStoreVault = "vault"
)

// Vault configures the secret store in HashiCorp Vault.
type Vault struct {
	// Address is the https URL at which the operator and the clusters reach Vault.
	// http is accepted for a host on loopback only. Required.
	Address string `json:"address"`
	// CABundleFile is the absolute path of the PEM certificates by which Vault's
	// certificate is verified. If empty, the system's certificates are used.
	CABundleFile string `json:"caBundleFile"`
	// Namespace of Vault Enterprise, or empty for none.
	Namespace string `json:"namespace"`
	// Auth configures the operator's login.
	Auth VaultAuth `json:"auth"`
	// Timeout of one request. Default: 5s.
	Timeout metav1.Duration `json:"timeout"`
	// PollInterval between two polls of the versions of the secrets in use.
	// Default: 30s.
	PollInterval metav1.Duration `json:"pollInterval"`
}

// VaultAuth configures the operator's login to Vault. Files are read at each login.
type VaultAuth struct {
	// Method is kubernetes, approle or token. Default: kubernetes.
	Method string `json:"method"`
	// Mount of the auth method. Default: the tenant's name for kubernetes,
	// approle for approle.
	Mount string `json:"mount"`
	// Role to log in as with kubernetes. Default: nautes-operator.
	Role string `json:"role"`
	// TokenFile contains the ServiceAccount's token for kubernetes, or a Vault token
	// for token. Default for kubernetes: the pod's own token.
	TokenFile string `json:"tokenFile"`
	// RoleIDFile and SecretIDFile contain the credentials for approle.
	RoleIDFile   string `json:"roleIDFile"`
	SecretIDFile string `json:"secretIDFile"`
}

// The methods to log in to Vault.
const (
	VaultAuthKubernetes = "kubernetes"
	VaultAuthAppRole    = "approle"
	VaultAuthToken      = "token"
)

// ArgoCD configures the tenant's Argo CD, which installs the components of clusters.
type ArgoCD struct {
	// Namespace of Argo CD on the tenant cluster. The operator needs its Role in that
	// namespace. Default: argocd.
	Namespace string `json:"namespace"`
}

// Clusters configures the connections to runtime clusters. The limits apply to
// each cluster separately.
type Clusters struct {
	// ProbeInterval between two probes of a cluster. Default: 15s.
	ProbeInterval metav1.Duration `json:"probeInterval"`
	// ProbeTimeout of one probe. Default: 10s.
	ProbeTimeout metav1.Duration `json:"probeTimeout"`
	// FailureThreshold is the number of consecutive failed probes after which a
	// cluster counts as not connected. Default: 3.
	FailureThreshold int `json:"failureThreshold"`
	// QPS is the largest number of requests per second to one cluster in the long
	// run. Default: 50.
	QPS float32 `json:"qps"`
	// Burst is the largest number of requests to one cluster at once. Default: 100.
	Burst int `json:"burst"`
}

// Pipelines configures the pipeline runtimes.
type Pipelines struct {
	// RunnerImage is the container image with nautes-runner. The clusters of pipeline
	// runtimes must be able to pull it. Without it, no pipeline runtime is deployed.
	RunnerImage string `json:"runnerImage"`
}

// Reconcile configures the controllers.
type Reconcile struct {
	// SafetyInterval after which an object is reconciled although nothing has
	// changed. Default: 6h.
	SafetyInterval metav1.Duration `json:"safetyInterval"`
	// Workers is the number of objects of one kind that are reconciled at the same
	// time. Default: 8.
	Workers int `json:"workers"`
}

// Metrics configures the endpoint of Prometheus metrics.
type Metrics struct {
	// Address to listen on, in the form host:port. "0" turns the endpoint off.
	// Default: ":8080".
	Address string `json:"address"`
}

// Probes configures the endpoints /healthz and /readyz.
type Probes struct {
	// Address to listen on, in the form host:port. "0" turns the endpoints off.
	// Default: ":8081".
	Address string `json:"address"`
}

// LeaderElection configures the election by which one of several replicas acts.
type LeaderElection struct {
	// Enabled turns the election on. Load never leaves it nil. Default: true.
	Enabled *bool `json:"enabled"`
	// Name of the Lease in the operator's namespace. Processes with different
	// controllers need different names. Default: nautes-operator.
	Name string `json:"name"`
}

// Default sets each empty field that has a default.
func (o *Operator) Default() {
	set(&o.Namespace, "nautes")
	set(&o.Git.CacheDir, "/var/cache/nautes/git")
	set(&o.Git.PollInterval.Duration, 5*time.Minute)
	set(&o.Git.Timeout.Duration, time.Minute)
	if o.Git.AllowedProtocols == nil {
		o.Git.AllowedProtocols = []string{"https", "ssh"}
	}
	if o.Git.Proxy.NoProxy == nil {
		o.Git.Proxy.NoProxy = []string{}
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
	set(&o.LeaderElection.Name, "nautes-operator")
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
