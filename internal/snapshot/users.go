package snapshot

import (
	"slices"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// UsersOf returns who needs an object and so keeps it from being deleted, by
// kind, namespace and name. Objects that are being deleted themselves count
// until they are gone. A product, a binding and a runtime are needed by none.
func (s *Snapshot) UsersOf(o v1alpha1.Object) []plan.Ref {
	var users []plan.Ref
	name, product := o.GetName(), o.GetNamespace()
	switch o.(type) {
	case *v1alpha1.Cluster:
		users = s.usersOfCluster(name)
	case *v1alpha1.CodeRepoProvider:
		users = s.usersOfProvider(name)
	case *v1alpha1.PipelineHook:
		s.pipelines.all(func(r *v1alpha1.ProjectPipelineRuntime) {
			if slices.Contains(r.HookNames(), name) {
				users = append(users, RefOf(r))
			}
		})
	case *v1alpha1.Environment:
		for _, r := range s.Runtimes(product) {
			recorded := r.DeployedTarget()
			if environment, _ := r.Destination(); environment == name || recorded != nil && recorded.Environment == name {
				users = append(users, RefOf(r))
			}
		}
	case *v1alpha1.Project:
		users = s.usersOfProject(product, name)
	case *v1alpha1.CodeRepo:
		users = s.usersOfRepo(product, name)
	}
	slices.SortFunc(users, compareRefs)
	return slices.Compact(users)
}

func (s *Snapshot) usersOfCluster(name string) (users []plan.Ref) {
	s.environments.all(func(e *v1alpha1.Environment) {
		if e.Spec.Cluster == name {
			users = append(users, RefOf(e))
		}
	})
	for _, c := range s.clusters.byNamespace[s.Namespace] {
		if c.Spec.HostCluster == name && c.Name != name {
			users = append(users, RefOf(c))
		}
	}
	for _, r := range s.runtimesOn(name) {
		users = append(users, RefOf(r))
	}
	for _, p := range s.products.byNamespace[s.Namespace] {
		if slices.Contains(SpaceClusters(p), name) {
			users = append(users, RefOf(p))
		}
	}
	return users
}

// SpaceClusters returns the clusters that hold, or may hold, objects of a product.
func SpaceClusters(p *v1alpha1.Product) []string {
	clusters := make([]string, 0, len(p.Status.Spaces))
	for _, space := range p.Status.Spaces {
		clusters = append(clusters, space.Cluster)
	}
	return clusters
}

// runtimesOn returns the runtimes whose effective target is on a cluster.
func (s *Snapshot) runtimesOn(cluster string) (found []v1alpha1.Runtime) {
	s.eachRuntime(func(r v1alpha1.Runtime) {
		if target, ok := s.EffectiveTarget(r); ok && target.Cluster == cluster {
			found = append(found, r)
		}
	})
	return found
}

func (s *Snapshot) usersOfProvider(name string) (users []plan.Ref) {
	s.repos.all(func(r *v1alpha1.CodeRepo) {
		if r.Spec.CodeRepoProvider == name {
			users = append(users, RefOf(r))
		}
	})
	for _, p := range s.productProviders.byNamespace[s.Namespace] {
		if p.Spec.Name == name {
			users = append(users, RefOf(p))
		}
	}
	return users
}

func (s *Snapshot) usersOfProject(product, name string) (users []plan.Ref) {
	for _, r := range s.repos.byNamespace[product] {
		if r.Spec.Project == name {
			users = append(users, RefOf(r))
		}
	}
	for _, b := range s.bindings.byNamespace[product] {
		if slices.Contains(b.Spec.Projects, name) {
			users = append(users, RefOf(b))
		}
	}
	for _, r := range s.runtimes.byNamespace[product] {
		if slices.Contains(r.Spec.ProjectsRef, name) {
			users = append(users, RefOf(r))
		}
	}
	for _, r := range s.pipelines.byNamespace[product] {
		if r.Spec.Project == name {
			users = append(users, RefOf(r))
		}
	}
	return users
}

func (s *Snapshot) usersOfRepo(product, name string) (users []plan.Ref) {
	for _, b := range s.bindingsOf(product, name) {
		users = append(users, RefOf(b))
	}
	for _, r := range s.Runtimes(product) {
		if slices.Contains(r.Repositories(), name) {
			users = append(users, RefOf(r))
		}
	}
	return users
}

func compareRefs(a, b plan.Ref) int {
	for _, pair := range [][2]string{{a.Kind, b.Kind}, {a.Namespace, b.Namespace}, {a.Name, b.Name}} {
		if order := strings.Compare(pair[0], pair[1]); order != 0 {
			return order
		}
	}
	return 0
}
