# What nautes-operator needs in Vault, and nothing beside it:
#
#   vault policy write nautes-operator operator-policy.hcl
#
# A test takes each line away and sees the operator fail without it.
#
# Whoever may write policies and roles can give himself all that Vault has, and no
# policy can prevent it. Give the operator a Vault, or a namespace of Vault
# Enterprise, in which there is nothing that it must not see.

# The secrets of code repositories and of clusters: versions are counted, a secret
# is read and written as a whole, and removed with all its versions.
path "git/data/*" {
  capabilities = ["create", "read", "update"]
}
path "git/metadata/*" {
  capabilities = ["read", "delete"]
}
path "cluster/data/*" {
  capabilities = ["create", "read", "update"]
}
path "cluster/metadata/*" {
  capabilities = ["read", "delete"]
}

# The secrets of artifact repositories: people store them.
path "repo/data/*" {
  capabilities = ["read"]
}
path "repo/metadata/*" {
  capabilities = ["read"]
}

# The secrets of the tenant, as access tokens of providers: people store them.
path "tenant/data/*" {
  capabilities = ["read"]
}
path "tenant/metadata/*" {
  capabilities = ["read"]
}

# The key of the tokens of pipelines' hooks: the operator makes it once, and
# cannot replace it.
path "tenant/data/nautes/webhook" {
  capabilities = ["create", "read"]
}

# One auth mount for each cluster. Its description says whose it is, and mounts
# that it does not name are left alone. Vault asks for sudo there.
path "sys/auth" {
  capabilities = ["read"]
}
path "sys/auth/+" {
  capabilities = ["read", "update", "delete", "sudo"]
}
path "sys/auth/+/tune" {
  capabilities = ["update", "sudo"]
}
path "auth/+/config" {
  capabilities = ["read", "update"]
}

# The roles of the clusters' accounts.
path "auth/+/role/" {
  capabilities = ["list"]
}
path "auth/+/role/+" {
  capabilities = ["create", "read", "update", "delete"]
}

# One policy for each secret that accounts may read. Those without our first line
# are left alone; reading tells which these are.
path "sys/policies/acl" {
  capabilities = ["list"]
}
path "sys/policies/acl/+" {
  capabilities = ["read", "update", "delete"]
}

# The operator's own policy is for people to write.
path "sys/policies/acl/nautes-operator" {
  capabilities = ["read"]
}

# A role that loses a policy which others keep: its tokens end with all those of
# the cluster's mount, whose users log in again.
path "sys/leases/revoke-prefix/auth/+/login" {
  capabilities = ["update", "sudo"]
}

# The operator's own token. The policy "default", which tokens have unless their
# role says otherwise, gives the same.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
