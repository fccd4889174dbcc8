package build

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
)

// Space returns what a product shares on a cluster: its namespaces, the accounts
// in them and the group's role, the Argo CD project and the repositories. It
// exists as long as a runtime asks for it, and is empty when none does. A
// *snapshot.MissingError names the product or the cluster when a runtime asks
// and they do not exist: then nothing may be written or removed.
func Space(s *snapshot.Snapshot, product, cluster string) (plan.Set, error) {
	space, err := newSpace(s, product, cluster, plan.Cluster(cluster))
	if err != nil {
		return plan.Set{}, err
	}
	if len(space.members) == 0 {
		return space.done(), nil
	}
	space.placeNamespaces()
	space.addNamespaces()
	space.addTenancy()
	space.addAccounts()
	space.addSecretStores()
	space.addArgoCD()
	return space.done(), nil
}

// newSpace returns a space that nothing is in yet. Product and cluster may be
// missing when no runtime asks for it.
func newSpace(s *snapshot.Snapshot, product, cluster string, target plan.Target) (*space, error) {
	members := membersOf(s, product, func(name string) bool { return name == cluster })
	space := &space{
		set:  newSet(s.Tenant, SpaceOwner(product), target),
		snap: s, members: members, product: s.Product(product), cluster: s.Cluster(cluster),
	}
	if len(members) == 0 {
		return space, nil
	}
	asks := snapshot.RefOf(members[0].runtime)
	switch {
	case space.product == nil:
		return nil, &snapshot.MissingError{Missing: plan.Ref{Kind: "Product", Namespace: s.Namespace, Name: product}, Needed: asks}
	case space.cluster == nil:
		return nil, &snapshot.MissingError{Missing: plan.Ref{Kind: "Cluster", Namespace: s.Namespace, Name: cluster}, Needed: asks}
	}
	return space, nil
}

// member is a runtime, of either kind, that asks for the space.
type member struct {
	runtime v1alpha1.Object
	target  v1alpha1.RuntimeTarget
}

// membersOf returns the runtimes that ask for a space on one of some clusters, by
// kind and name: those that are recorded there until they are gone, whatever
// became of their spec, and those that are to be deployed there and break no rule.
func membersOf(s *snapshot.Snapshot, product string, on func(cluster string) bool) []member {
	var members []member
	add := func(r v1alpha1.Object) {
		target, ok := s.EffectiveTarget(r)
		if !ok || !on(target.Cluster) {
			return
		}
		if snapshot.RecordedTarget(r) == nil && refused(s, r) {
			return
		}
		members = append(members, member{runtime: r, target: target})
	}
	for _, r := range s.DeploymentRuntimes(product) {
		add(r)
	}
	for _, r := range s.PipelineRuntimes(product) {
		add(r)
	}
	return members
}

// refused tells whether nothing may be deployed for a runtime. A pipeline runtime
// may lack an event source, or its additional resources.
func refused(s *snapshot.Snapshot, r v1alpha1.Object) bool {
	refusals, _ := validate.Run(s, validate.Request{New: r})
	p, isPipeline := r.(*v1alpha1.ProjectPipelineRuntime)
	if !isPipeline {
		return len(refusals) > 0
	}
	if _, refusal, err := s.ProjectRepository(p.Namespace, p.Spec.Project, p.Spec.PipelineSource); refusal != "" || err != nil {
		return true
	}
	return slices.ContainsFunc(refusals, func(e *field.Error) bool { return !validate.Disarming(e) })
}

// space is a Space while it is put together.
type space struct {
	*set
	snap    *snapshot.Snapshot
	product *v1alpha1.Product
	cluster *v1alpha1.Cluster
	members []member
	// namespaces of the runtimes, with the runtime that asks for each.
	namespaces map[string]plan.Ref
}

// placeNamespaces finds the namespaces of the runtimes, unless another product
// has them.
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

// addNamespaces adds the product's namespace and those of its runtimes.
func (s *space) addNamespaces() {
	s.add(plan.StageNamespace, namespaceKind, namespace(s.product.Name), snapshot.RefOf(s.product))
	for name, source := range s.namespaces {
		s.add(plan.StageNamespace, namespaceKind, namespace(name), source)
	}
}

// holds tells whether a namespace is the product's to have.
func (s *space) holds(namespace string) bool {
	return !snapshot.SystemNamespace(namespace) && s.snap.HolderOf(s.cluster.Name, namespace) == s.product.Name
}

// seat is an account in one of its namespaces.
type seat struct{ account, namespace string }

// seats returns the accounts of the runtimes in their namespaces, with the
// runtime that asks for each.
func (s *space) seats() map[seat]plan.Ref {
	seats := map[seat]plan.Ref{}
	for _, m := range s.members {
		for _, name := range m.target.Namespaces {
			at := seat{m.target.Account, name}
			if _, known := seats[at]; known || s.namespaces[name] == (plan.Ref{}) || !s.granted(m, name) {
				continue
			}
			seats[at] = snapshot.RefOf(m.runtime)
		}
	}
	return seats
}

// granted tells whether a runtime has one of the product's namespaces.
func (s *space) granted(m member, namespace string) bool {
	claim, ok := s.snap.ClaimOf(m.runtime, s.cluster.Name, namespace)
	return ok && claim.Granted()
}

// addAccounts adds a ServiceAccount and its role for each account in each of its
// namespaces.
func (s *space) addAccounts() {
	for at, source := range s.seats() {
		s.add(plan.StageAccount, serviceAccountKind,
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: at.account}}, source)
		s.add(plan.StageAccount, roleBindingKind,
			roleBinding(at.namespace, accountBinding(at.account), "edit", accountSubject(at.namespace, at.account)), source)
	}
}

// sortedNamespaces returns the namespaces of the runtimes in order.
func (s *space) sortedNamespaces() []string { return slices.Sorted(maps.Keys(s.namespaces)) }
