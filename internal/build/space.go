package build

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/record"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
)

// SpaceFacts are the facts about a Space on which runtimes rely.
type SpaceFacts struct {
	// Namespaces of the Space, in order.
	Namespaces []string
	// Repositories are the URLs that its Argo CD project may read, in order.
	Repositories []string
}

// Space returns the desired state that a product's runtimes share on a cluster. On
// the cluster these are the product's namespaces, the accounts in them, the role
// of its group, its Argo CD project and repositories. In Vault it is the access of
// the accounts. The sets are empty if no runtime asks for the Space. If one does
// and the product or the cluster does not exist, Space returns a
// *snapshot.MissingError: then nothing may be written or removed.
//
// Space decides which runtimes count, so it validates each of them again.
func Space(s *snapshot.Snapshot, product, cluster string) (Result[SpaceFacts], error) {
	space, err := newSpace(s, product, cluster)
	if err != nil {
		return Result[SpaceFacts]{}, err
	}
	var facts SpaceFacts
	if len(space.members) > 0 {
		space.placeNamespaces()
		space.addNamespaces()
		space.addTenancy()
		space.addAccounts()
		space.addSecretStores()
		facts.Repositories = space.addArgoCD()
		facts.Namespaces = append(space.sortedNamespaces(), product)
		slices.Sort(facts.Namespaces)
	}
	space.addAccess()
	return Result[SpaceFacts]{Plan: plan.Plan{Sets: []plan.Set{space.done(), space.vault.done()}}, Facts: facts}, nil
}

// newSpace returns an empty space. Product and cluster may be missing if no runtime
// asks for it.
func newSpace(s *snapshot.Snapshot, product, cluster string) (*space, error) {
	members := membersOf(s, product, func(name string) bool { return name == cluster })
	space := &space{
		set:   newSet(s.Tenant, SpaceOwner(product), plan.Cluster(cluster)),
		vault: newSet(s.Tenant, SpaceOwner(product), plan.Vault(cluster)),
		name:  product, snap: s, members: members, product: s.Product(product), cluster: s.Cluster(cluster),
	}
	if len(members) == 0 {
		return space, nil
	}
	needed := snapshot.RefOf(members[0].runtime)
	switch {
	case space.product == nil:
		return nil, missing("Product", s.Namespace, product, needed)
	case space.cluster == nil:
		return nil, missing("Cluster", s.Namespace, cluster, needed)
	}
	return space, nil
}

// member is a runtime, of either kind, that asks for the space.
type member struct {
	runtime v1alpha1.Runtime
	target  v1alpha1.RuntimeTarget
}

// membersOf returns the runtimes that ask for a space on one of some clusters, by
// kind and name. A runtime with a recorded target counts until it is gone, whatever
// its spec says now; another one counts if it breaks no rule.
func membersOf(s *snapshot.Snapshot, product string, on func(cluster string) bool) []member {
	var members []member
	for _, r := range s.Runtimes(product) {
		target, ok := s.EffectiveTarget(r)
		switch {
		case !ok || !on(target.Cluster):
			continue
		case r.DeployedTarget() == nil && (invalid(s, r) || unreadable(s, r)):
			continue
		}
		if last := record.Replaced(r); last != nil && invalid(s, r) {
			// The spec on record is deployed until the new one is valid.
			r = last
			target, _ = s.EffectiveTarget(r)
		}
		members = append(members, member{runtime: r, target: target})
	}
	return members
}

// invalid reports whether the spec of a runtime cannot be deployed. A pipeline
// runtime may lack an event source, or its additional resources.
func invalid(s *snapshot.Snapshot, r v1alpha1.Runtime) bool {
	refusals, _ := validate.Run(s, validate.Request{New: r})
	if _, isPipeline := r.(*v1alpha1.ProjectPipelineRuntime); !isPipeline {
		return len(refusals) > 0
	}
	return slices.ContainsFunc(refusals, func(e *field.Error) bool { return !validate.Disarming(e) })
}

// unreadable reports whether a runtime has pipeline files that it may not read now.
func unreadable(s *snapshot.Snapshot, r v1alpha1.Runtime) bool {
	p, ok := r.(*v1alpha1.ProjectPipelineRuntime)
	if !ok {
		return false
	}
	_, refusal, err := s.ProjectRepository(p.Namespace, p.Spec.Project, p.Spec.PipelineSource)
	return refusal != "" || err != nil
}

// space builds a Space.
type space struct {
	*set
	vault *set
	snap  *snapshot.Snapshot
	// name of the product, which may be missing.
	name    string
	product *v1alpha1.Product
	cluster *v1alpha1.Cluster
	members []member
	// namespaces of the runtimes, with the runtime that asks for each.
	namespaces map[string]plan.Ref
}

// placeNamespaces finds the namespaces of the runtimes, except for namespaces that
// another product holds.
func (s *space) placeNamespaces() {
	s.namespaces = map[string]plan.Ref{}
	for _, m := range s.members {
		for _, name := range m.target.Namespaces {
			if _, known := s.namespaces[name]; !known && s.holds(name) {
				s.namespaces[name] = snapshot.RefOf(m.runtime)
			}
		}
	}
}

// addNamespaces adds the namespaces of the product and of its runtimes.
func (s *space) addNamespaces() {
	s.add(plan.StageNamespace, namespaceKind, namespace(s.product.Name), snapshot.RefOf(s.product))
	for name, source := range s.namespaces {
		s.add(plan.StageNamespace, namespaceKind, namespace(name), source)
	}
}

// holds reports whether the product holds a namespace.
func (s *space) holds(namespace string) bool {
	return !snapshot.SystemNamespace(namespace) && s.snap.HolderOf(s.cluster.Name, namespace) == s.product.Name
}

// accountIn is an account in one of its namespaces.
type accountIn struct{ account, namespace string }

// accountsIn returns the accounts of the runtimes in their namespaces, with the
// runtime that asks for each.
func (s *space) accountsIn() map[accountIn]plan.Ref {
	accounts := map[accountIn]plan.Ref{}
	for _, m := range s.members {
		for _, name := range m.target.Namespaces {
			at := accountIn{m.target.Account, name}
			if _, known := accounts[at]; known || s.namespaces[name] == (plan.Ref{}) || !s.granted(m, name) {
				continue
			}
			accounts[at] = snapshot.RefOf(m.runtime)
		}
	}
	return accounts
}

// granted reports whether a runtime may use one of the product's namespaces.
func (s *space) granted(m member, namespace string) bool {
	claim, ok := s.snap.ClaimOf(m.runtime, s.cluster.Name, namespace)
	return ok && claim.Granted()
}

// addAccounts adds a ServiceAccount and its role for each account in each of its
// namespaces.
func (s *space) addAccounts() {
	pulls := s.addPullSecrets()
	for at, source := range s.accountsIn() {
		s.add(plan.StageAccount, serviceAccountKind, s.account(at, pulls[at]), source)
		s.add(plan.StageAccount, roleBindingKind,
			roleBinding(at.namespace, names.AccountBinding(at.account), "edit", accountSubject(at.namespace, at.account)), source)
	}
}

// sortedNamespaces returns the namespaces of the runtimes in order.
func (s *space) sortedNamespaces() []string { return slices.Sorted(maps.Keys(s.namespaces)) }
