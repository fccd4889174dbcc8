// Package build turns a snapshot into plans. It guarantees that a plan is a pure
// function of the snapshot: the same objects, in whatever order, give the same
// bytes, and nothing of one product is in the plan of another.
package build

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// The kinds of owners, as in the label of their objects.
const (
	OwnerSpace             = "Space"
	OwnerDeploymentRuntime = "DeploymentRuntime"
	OwnerProductNamespace  = "ProductNamespace"
	OwnerPipelineRuntime   = "ProjectPipelineRuntime"
	OwnerCluster           = "Cluster"
)

// SpaceOwner returns the owner of the objects that a product shares on a cluster.
func SpaceOwner(product string) plan.Owner {
	return plan.Owner{Kind: OwnerSpace, Product: product, Name: product}
}

// RuntimeOwner returns the owner of the objects of one deployment runtime.
func RuntimeOwner(r *v1alpha1.DeploymentRuntime) plan.Owner {
	return plan.Owner{Kind: OwnerDeploymentRuntime, Product: r.Namespace, Name: r.Name}
}

// ProductOwner returns the owner of a product's namespace on the tenant cluster.
// It is not the owner of the objects that are mirrored into that namespace, so
// that neither of the two sets prunes the other.
func ProductOwner(product string) plan.Owner {
	return plan.Owner{Kind: OwnerProductNamespace, Product: product, Name: product}
}

// ClusterOwner returns the owner of the objects of a registered cluster:
// on itself, on its host, in the tenant's Argo CD and in the secret store.
func ClusterOwner(c *v1alpha1.Cluster) plan.Owner {
	return plan.Owner{Kind: OwnerCluster, Name: c.Name}
}

// missing returns the error about an object that another one needs.
func missing(kind, namespace, name string, needed plan.Ref) error {
	return &snapshot.MissingError{Missing: plan.Ref{Kind: kind, Namespace: namespace, Name: name}, Needed: needed}
}

// set collects the items of one owner on one target.
type set struct {
	plan.Set
	labels map[string]string
}

func newSet(tenant string, owner plan.Owner, target plan.Target) *set {
	return &set{Set: plan.Set{Owner: owner, Target: target}, labels: owner.Labels(tenant)}
}

// add adds an object: its kind and the owner's labels are set on it. The item
// may be changed until the next one is added.
func (s *set) add(stage plan.Stage, gvk schema.GroupVersionKind, o client.Object, source plan.Ref, secrets ...plan.SecretValue) *plan.Item {
	o.GetObjectKind().SetGroupVersionKind(gvk)
	labels := o.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	for key, value := range s.labels {
		labels[key] = value
	}
	o.SetLabels(labels)
	s.Items = append(s.Items, plan.Item{ID: plan.IDOf(gvk, o), Stage: stage, Object: o, Secrets: secrets, Source: source})
	return &s.Items[len(s.Items)-1]
}

// addBody adds an item that is not a Kubernetes object.
func (s *set) addBody(stage plan.Stage, id plan.ID, body any, source plan.Ref) {
	s.Items = append(s.Items, plan.Item{ID: id, Stage: stage, Body: body, Source: source})
}

// keep leaves the object with the ID as it is.
func (s *set) keep(gvk schema.GroupVersionKind, namespace, name string) {
	s.Keep = append(s.Keep, plan.ID{Group: gvk.Group, Kind: gvk.Kind, Namespace: namespace, Name: name})
}

// done returns the set in order.
func (s *set) done() plan.Set {
	s.Sort()
	return s.Set
}
