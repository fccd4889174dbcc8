package plan

// The bodies of items for TargetVault. IDs have the kinds below, no group, and
// as Namespace the auth mount for roles.

// The kinds of items in Vault.
const (
	KindVaultMount  = "AuthMount"
	KindVaultPolicy = "Policy"
	KindVaultRole   = "Role"
)

// Vault is the target of what the accounts of one cluster need in Vault. The
// name is that of the auth mount, and of the cluster.
func Vault(mount string) Target { return Target{Kind: TargetVault, Name: mount} }

// VaultMount is a Kubernetes auth mount: who may log in from a cluster.
type VaultMount struct {
	// Path of the mount, without auth/.
	Path string
	// Host is the URL of the cluster's API server.
	Host string
	// CA is where the certificate authority of the API server is, in PEM after
	// its Format; Reviewer is where the token that reviews tokens is.
	CA, Reviewer SecretValue
}

// VaultPolicy lets its holders do something with exact paths.
type VaultPolicy struct {
	Name  string
	Rules []VaultRule
}

// VaultRule is what may be done with one path of the API, as
// git/data/gitlab/repo-1/default/readonly. A path holds no wildcard.
type VaultRule struct {
	Path         string
	Capabilities []string
}

// VaultRole says what an account of a cluster may do. It belongs to the mount
// that the ID's Namespace names.
type VaultRole struct {
	Name string
	// ServiceAccounts and Namespaces that may log in as the role.
	ServiceAccounts, Namespaces []string
	// Policies that a login gets.
	Policies []string
}

// VaultMountID returns the ID of an auth mount.
func VaultMountID(path string) ID { return ID{Kind: KindVaultMount, Name: path} }

// VaultPolicyID returns the ID of a policy.
func VaultPolicyID(name string) ID { return ID{Kind: KindVaultPolicy, Name: name} }

// VaultRoleID returns the ID of a role of an auth mount.
func VaultRoleID(mount, name string) ID { return ID{Kind: KindVaultRole, Namespace: mount, Name: name} }
