package build

import (
	"errors"
	"maps"
	"slices"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

// engineGit is the engine of the credentials of code repositories.
const engineGit = "git"

// addAccess adds the access of the space's accounts to Vault: a role for each
// account, and a policy for each credential that one of its runtimes is granted.
// There is none without Vault. Policies belong to no cluster, so it keeps those
// that the product's other clusters need.
func (s *space) addAccess() {
	if s.snap.Settings.Vault == nil {
		return
	}
	here := map[string]bool{}
	if len(s.members) > 0 && hasAccess(s.snap, s.cluster) {
		here = s.addRoles()
	}
	for _, m := range membersOf(s.snap, s.name, func(cluster string) bool { return cluster != s.Target.Name }) {
		for _, ref := range m.grants(s.snap).all() {
			if name := secrets.PolicyName(ref); !here[name] {
				here[name] = true
				s.vault.Keep = append(s.vault.Keep, plan.VaultPolicyID(name))
			}
		}
	}
}

// addRoles adds the roles and policies of the space, and returns the names of the
// policies that are added or kept.
func (s *space) addRoles() map[string]bool {
	type account struct {
		role plan.VaultRole
		// unknown: the permissions of one of its runtimes cannot be decided now.
		unknown  bool
		source   plan.Ref
		policies map[string]bool
	}
	accounts := map[string]*account{}
	for at, source := range s.accountsIn() {
		a := accounts[at.account]
		if a == nil {
			a = &account{policies: map[string]bool{}, source: source}
			a.role = plan.VaultRole{Name: names.AccessRole(s.product.Name, at.account), ServiceAccounts: []string{at.account}}
			accounts[at.account] = a
		}
		if source.Name < a.source.Name {
			a.source = source
		}
		a.role.Namespaces = append(a.role.Namespaces, at.namespace)
	}
	policies, kept := map[string]plan.Item{}, map[string]bool{}
	for _, m := range s.members {
		a := accounts[m.target.Account]
		if a == nil {
			continue
		}
		granted := m.grants(s.snap)
		for _, ref := range granted.known {
			policy := readPolicy(ref, granted.sources[ref])
			policies[policy.ID.Name] = policy
			a.policies[policy.ID.Name] = true
		}
		for _, ref := range granted.possible {
			kept[secrets.PolicyName(ref)] = true
			a.unknown = true
		}
	}
	for _, a := range accounts {
		id := plan.VaultRoleID(s.cluster.Name, a.role.Name)
		if a.unknown {
			s.vault.Keep = append(s.vault.Keep, id)
			continue
		}
		slices.Sort(a.role.Namespaces)
		a.role.Policies = slices.Sorted(maps.Keys(a.policies))
		s.vault.addBody(plan.StageWorkload, id, a.role, a.source)
	}
	for name := range kept {
		if _, known := policies[name]; !known {
			s.vault.Keep = append(s.vault.Keep, plan.VaultPolicyID(name))
		}
	}
	for name, policy := range policies {
		s.vault.Items = append(s.vault.Items, policy)
		kept[name] = true
	}
	return kept
}

// readPolicy lets its holders read one credential.
func readPolicy(ref secrets.Ref, source plan.Ref) plan.Item {
	name := secrets.PolicyName(ref)
	return plan.Item{
		ID: plan.VaultPolicyID(name), Stage: plan.StageConfig, Source: source,
		Body: plan.VaultPolicy{Name: name, Rules: []plan.VaultRule{{Path: secrets.DataPath(ref), Capabilities: []string{"read"}}}},
	}
}

// grants are the credentials that a runtime may read.
type grants struct {
	// sources are the repositories of the known ones.
	sources map[secrets.Ref]plan.Ref
	// known are granted. Some of the possible ones are, but which ones is not known
	// while the repository's provider is missing.
	known, possible []secrets.Ref
}

func (g grants) all() []secrets.Ref { return slices.Concat(g.known, g.possible) }

// grants returns the credentials of the runtime's repository and of the artifact
// repositories that the runtime may use.
func (m member) grants(s *snapshot.Snapshot) grants {
	granted := m.repositoryGrants(s)
	for _, a := range s.ArtifactRepos(m.runtime) {
		ref := artifactRef(a, m.runtime)
		granted.known, granted.sources[ref] = append(granted.known, ref), snapshot.RefOf(a)
	}
	return granted
}

// repositoryGrants returns the credentials of the runtime's repository, if it has
// permission there and the product has the repository's name. A pipeline runtime only
// reads its pipeline files.
func (m member) repositoryGrants(s *snapshot.Snapshot) grants {
	product := m.runtime.GetNamespace()
	permission := s.RuntimePermission(m.runtime)
	repo := s.CodeRepo(product, m.runtime.Repositories()[0])
	granted := grants{sources: map[secrets.Ref]plan.Ref{}}
	if repo == nil || permission == "" || repo.Spec.CodeRepoProvider == "" {
		return granted
	}
	// A repository whose name belongs to another product gives no credentials.
	_, err := s.RepositoryURL(repo)
	provider := s.CodeRepoProvider(repo.Spec.CodeRepoProvider)
	missing := (*snapshot.MissingError)(nil)
	switch {
	case errors.As(err, &missing), err == nil && provider == nil:
		for _, providerType := range forges.Types() {
			granted.possible = append(granted.possible, readable(providerType, repo.Name, permission)...)
		}
	case err == nil:
		granted.known = readable(provider.Spec.ProviderType, repo.Name, permission)
		for _, ref := range granted.known {
			granted.sources[ref] = snapshot.RefOf(repo)
		}
	}
	return granted
}

// readable returns the credentials that a permission grants.
func readable(providerType, repo string, permission v1alpha1.Permission) []secrets.Ref {
	refs := []secrets.Ref{secrets.RepositoryReadOnly(providerType, repo)}
	if permission == v1alpha1.PermissionReadWrite {
		refs = append(refs, secrets.RepositoryReadWrite(providerType, repo))
	}
	return refs
}
