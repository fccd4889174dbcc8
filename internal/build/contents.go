package build

import (
	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"

	"nautes.io/nautes/internal/plan"
)

// The kinds of owners, as in the label of their objects.
const (
	OwnerSpace             = "Space"
	OwnerDeploymentRuntime = "DeploymentRuntime"
	OwnerProductNamespace  = "ProductNamespace"
	OwnerPipelineRuntime   = "ProjectPipelineRuntime"
	OwnerCluster           = "Cluster"
)

// Contents returns the namespaces of a Space, and the URLs of the repositories that
// its Argo CD project may read.
func Contents(space plan.Set) (namespaces, repositories []string) {
	for _, item := range space.Items {
		switch o := item.Object.(type) {
		case *argocd.AppProject:
			repositories = o.Spec.SourceRepos
		default:
			if item.Stage == plan.StageNamespace {
				namespaces = append(namespaces, item.ID.Name)
			}
		}
	}
	return namespaces, repositories
}
