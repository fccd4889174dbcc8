package build

import (
	"cmp"

	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// DeploymentRuntime returns what a deployment runtime has for itself: its Argo CD
// Application, on the cluster where it is or will be. The plan of a runtime that
// is being deleted holds an empty set for the cluster it is recorded on, and no
// set when nothing was written. A *snapshot.MissingError or a
// *snapshot.RepositoryError tells what keeps the Application from being described.
func DeploymentRuntime(s *snapshot.Snapshot, r *v1alpha1.DeploymentRuntime) (plan.Plan, error) {
	target, ok := s.EffectiveTarget(r)
	if !ok {
		return plan.Plan{}, nil
	}
	set := newSet(s.Tenant, RuntimeOwner(r), plan.Cluster(target.Cluster))
	if !r.DeletionTimestamp.IsZero() {
		return plan.Plan{Sets: []plan.Set{set.done()}}, nil
	}
	cluster := s.Cluster(target.Cluster)
	if cluster == nil {
		return plan.Plan{}, &snapshot.MissingError{
			Missing: plan.Ref{Kind: "Cluster", Namespace: s.Namespace, Name: target.Cluster}, Needed: snapshot.RefOf(r),
		}
	}
	repo := s.CodeRepo(r.Namespace, r.Spec.ManifestSource.CodeRepo)
	if repo == nil {
		return plan.Plan{}, &snapshot.MissingError{
			Missing: plan.Ref{Kind: "CodeRepo", Namespace: r.Namespace, Name: r.Spec.ManifestSource.CodeRepo}, Needed: snapshot.RefOf(r),
		}
	}
	url, err := s.RepositoryURL(repo)
	if err != nil {
		return plan.Plan{}, err
	}
	set.add(plan.StageWorkload, argocd.ApplicationSchemaGroupVersionKind, &argocd.Application{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.DeploymentNamespace(cluster),
			Name:      ApplicationName(r.Namespace, r.Name),
			// Argo CD removes what it deployed before the Application is gone.
			Finalizers: []string{argocd.ResourcesFinalizerName},
		},
		Spec: argocd.ApplicationSpec{
			Project: r.Namespace,
			Source: &argocd.ApplicationSource{
				RepoURL:        url,
				Path:           r.Spec.ManifestSource.Path,
				TargetRevision: cmp.Or(r.Spec.ManifestSource.TargetRevision, "HEAD"),
			},
			Destination: argocd.ApplicationDestination{Server: inCluster, Namespace: target.Namespaces[0]},
			SyncPolicy:  &argocd.SyncPolicy{Automated: &argocd.SyncPolicyAutomated{Prune: true, SelfHeal: true}},
		},
	}, snapshot.RefOf(r))
	return plan.Plan{Sets: []plan.Set{set.done()}}, nil
}
