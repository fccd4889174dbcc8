package build

import (
	"cmp"
	"fmt"

	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// Deployment holds the facts about a deployment runtime.
type Deployment struct {
	// Target is where the runtime is or will be; nil while that is not known.
	Target *v1alpha1.RuntimeTarget
	// URL of the repository with the manifests; empty while it is not known.
	URL string
	// Permission of the runtime on that repository.
	Permission v1alpha1.Permission
	// Source of the manifests, by the spec that the plan is built from.
	Source v1alpha1.ManifestSource
	// Illegal lists the projects of the runtime that may not use the repository.
	Illegal []v1alpha1.IllegalProjectRef
}

// DeploymentRuntime returns the desired state of a deployment runtime: its Argo CD
// Application, on the cluster where it is or will be. The result has an empty set
// for a runtime that is being deleted, and no set if nothing was written for it. A
// *snapshot.MissingError or a *snapshot.RepositoryError says why the Application
// cannot be described.
func DeploymentRuntime(s *snapshot.Snapshot, r *v1alpha1.DeploymentRuntime) (Result[Deployment], error) {
	result := Result[Deployment]{Facts: Deployment{
		Permission: s.RuntimePermission(r), Source: r.Spec.ManifestSource, Illegal: illegalProjects(s, r),
	}}
	target, ok := s.EffectiveTarget(r)
	if !ok {
		return result, nil
	}
	result.Facts.Target = &target
	set := newSet(s.Tenant, RuntimeOwner(r), plan.Cluster(target.Cluster))
	if !r.DeletionTimestamp.IsZero() {
		result.Sets = []plan.Set{set.done()}
		return result, nil
	}
	cluster := s.Cluster(target.Cluster)
	if cluster == nil {
		return result, missing("Cluster", s.Namespace, target.Cluster, snapshot.RefOf(r))
	}
	repo := s.CodeRepo(r.Namespace, r.Spec.ManifestSource.CodeRepo)
	if repo == nil {
		return result, missing("CodeRepo", r.Namespace, r.Spec.ManifestSource.CodeRepo, snapshot.RefOf(r))
	}
	url, err := s.RepositoryURL(repo)
	if err != nil {
		return result, err
	}
	result.Facts.URL = url
	set.add(plan.StageWorkload, argocd.ApplicationSchemaGroupVersionKind, &argocd.Application{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.DeploymentNamespace(cluster),
			Name:      names.Application(r.Namespace, r.Name),
			// Argo CD removes the workloads before the Application is gone.
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
			SyncPolicy:  automaticSync(),
		},
	}, snapshot.RefOf(r))
	result.Sets = []plan.Set{set.done()}
	return result, nil
}

// automaticSync returns the sync policy of the manifests of a product. Argo CD tries a
// refused revision again for about a minute, so that a moment's failure heals, and a
// corrected revision waits no longer if the operator is down.
func automaticSync() *argocd.SyncPolicy {
	factor := int64(2)
	return &argocd.SyncPolicy{
		Automated: &argocd.SyncPolicyAutomated{Prune: true, SelfHeal: true},
		Retry:     &argocd.RetryStrategy{Limit: 5, Backoff: &argocd.Backoff{Duration: "5s", Factor: &factor, MaxDuration: "15s"}},
	}
}

// illegalProjects lists the projects of a runtime that may not use its code
// repository.
func illegalProjects(s *snapshot.Snapshot, r *v1alpha1.DeploymentRuntime) []v1alpha1.IllegalProjectRef {
	var illegal []v1alpha1.IllegalProjectRef
	repo := r.Spec.ManifestSource.CodeRepo
	for _, project := range r.Spec.ProjectsRef {
		reason := ""
		switch {
		case s.Project(r.Namespace, project) == nil:
			reason = "the project does not exist: declare it, or remove it from spec.projectsRef"
		case s.CodeRepo(r.Namespace, repo) != nil && s.Permission(r.Namespace, project, repo) == "":
			reason = fmt.Sprintf("CodeRepo %s is not granted to the project: bind it with a CodeRepoBinding", repo)
		default:
			continue
		}
		illegal = append(illegal, v1alpha1.IllegalProjectRef{ProjectName: project, Reason: reason})
	}
	return illegal
}
