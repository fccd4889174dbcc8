package build

import (
	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	hnc "sigs.k8s.io/hierarchical-namespaces/api/v1alpha2"

	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

var (
	namespaceKind      = corev1.SchemeGroupVersion.WithKind("Namespace")
	secretKind         = corev1.SchemeGroupVersion.WithKind("Secret")
	serviceAccountKind = corev1.SchemeGroupVersion.WithKind("ServiceAccount")
	roleKind           = rbacv1.SchemeGroupVersion.WithKind("Role")
	roleBindingKind    = rbacv1.SchemeGroupVersion.WithKind("RoleBinding")
	hierarchyKind      = hnc.GroupVersion.WithKind("HierarchyConfiguration")

	clusterRoleBindingKind = rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding")
	ingressKind            = networkingv1.SchemeGroupVersion.WithKind("Ingress")
	eventBusKind           = argoevents.EventBusGroupVersionKind
)

// addTenancy lets the product's group administer its namespaces, in the way of
// the cluster's multi-tenancy component: HNC passes the one RoleBinding of the
// product's namespace on to its children, native tenancy writes each.
func (s *space) addTenancy() {
	s.addGroupBinding(s.product.Name, snapshot.RefOf(s.product))
	native := s.snap.Tenancy(s.cluster) == snapshot.TenancyNative
	for name, source := range s.namespaces {
		if native {
			s.addGroupBinding(name, source)
			continue
		}
		s.add(plan.StageAccount, hierarchyKind, &hnc.HierarchyConfiguration{
			ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: hnc.Singleton},
			Spec:       hnc.HierarchyConfigurationSpec{Parent: s.product.Name},
		}, source)
	}
}

func (s *space) addGroupBinding(namespace string, source plan.Ref) {
	group, ok := s.group()
	if !ok {
		return
	}
	s.add(plan.StageAccount, roleBindingKind, roleBinding(namespace, names.GroupBinding, "admin",
		rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: group}), source)
}

// group returns the product's group of people, and false if spec.name cannot be one,
// such as a name that Kubernetes reserves: then no group gets access.
func (s *space) group() (string, bool) {
	return s.product.Spec.Name, snapshot.ValidGroup(s.product.Spec.Name)
}

func accountSubject(namespace, account string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}
}

// roleBinding binds one of the roles for people that every cluster has.
func roleBinding(namespace, name, clusterRole string, subject rbacv1.Subject) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
		Subjects:   []rbacv1.Subject{subject},
	}
}
