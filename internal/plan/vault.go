package plan

// The bodies of items for TargetVault. Their IDs have GroupVault and one of the
// kinds below; the Namespace of a role is its auth mount.

// GroupVault is the group of all items in Vault.
const GroupVault = "vault.nautes.io"

// The kinds of items in Vault.
const (
	KindVaultMount  = "AuthMount"
	KindVaultPolicy = "Policy"
	KindVaultRole   = "Role"
)

// Vault is the target of everything that the accounts of one cluster need in
// Vault. The auth mount has the name of the cluster.
func Vault(mount string) Target { return Target{Kind: TargetVault, Name: mount} }

// VaultMount is a Kubernetes auth mount, by which the accounts of one cluster log in.
type VaultMount struct {
	// Path of the mount, without auth/.
	Path string
	// Host is the URL of the cluster's API server.
	Host string
	// CA is the certificate authority of the API server, in PEM once formatted.
	// Reviewer is the token that Vault reviews other tokens with.
	CA, Reviewer SecretValue
}

// VaultPolicy grants access to exact paths.
type VaultPolicy struct {
	Name  string
	Rules []VaultRule
}

// VaultRule grants capabilities on one path of the API, for example
// git/data/gitlab/repo-1/default/readonly. A path has no wildcard.
type VaultRule struct {
	Path         string
	Capabilities []string
}

// VaultRole gives an account of a cluster its policies. The Namespace of its ID
// names the auth mount that it belongs to.
type VaultRole struct {
	Name string
	// ServiceAccounts and Namespaces that may log in as the role.
	ServiceAccounts, Namespaces []string
	// Policies that a login gets.
	Policies []string
}

// VaultMountID returns the ID of an auth mount.
func VaultMountID(path string) ID { return ID{Group: GroupVault, Kind: KindVaultMount, Name: path} }

// VaultPolicyID returns the ID of a policy.
func VaultPolicyID(name string) ID { return ID{Group: GroupVault, Kind: KindVaultPolicy, Name: name} }

// VaultRoleID returns the ID of a role of an auth mount.
func VaultRoleID(mount, name string) ID {
	return ID{Group: GroupVault, Kind: KindVaultRole, Namespace: mount, Name: name}
}
