// Package plan holds the shape of desired state: what must exist, on which
// target, owned by whom. It guarantees that a plan is plain data: it holds no
// client, no secret value and no clock, and equal inputs give equal plans.
package plan

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
)

// TargetKind is a kind of system that a plan is applied to.
type TargetKind string

// The systems that plans are applied to.
const (
	TargetCluster TargetKind = "Cluster"
	TargetTenant  TargetKind = "Tenant"
	TargetVault   TargetKind = "Vault"
	TargetGitLab  TargetKind = "GitLab"
)

// Target is one system that a set is applied to. Name is the cluster's name for
// TargetCluster and empty for the others.
type Target struct {
	Kind TargetKind
	Name string
}

// String returns the target as a person would name it.
func (t Target) String() string {
	if t.Name == "" {
		return string(t.Kind)
	}
	return string(t.Kind) + " " + t.Name
}

// Tenant is the target of everything on the tenant cluster.
var Tenant = Target{Kind: TargetTenant}

// Cluster returns the target of a runtime cluster.
func Cluster(name string) Target { return Target{Kind: TargetCluster, Name: name} }

// ID names one object on a target. Group and Namespace may be empty.
type ID struct {
	Group, Kind, Namespace, Name string
}

// String returns the ID as kind.group namespace/name.
func (id ID) String() string {
	kind := id.Kind
	if id.Group != "" {
		kind += "." + id.Group
	}
	if id.Namespace == "" {
		return kind + " " + id.Name
	}
	return fmt.Sprintf("%s %s/%s", kind, id.Namespace, id.Name)
}

// Compare orders IDs by group, kind, namespace and name.
func (id ID) Compare(other ID) int {
	for _, pair := range [][2]string{
		{id.Group, other.Group}, {id.Kind, other.Kind},
		{id.Namespace, other.Namespace}, {id.Name, other.Name},
	} {
		switch {
		case pair[0] < pair[1]:
			return -1
		case pair[0] > pair[1]:
			return 1
		}
	}
	return 0
}

// IDOf returns the ID of an object of the given kind.
func IDOf(gvk schema.GroupVersionKind, o client.Object) ID {
	return ID{Group: gvk.Group, Kind: gvk.Kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}

// Stage orders the writes to a target: a stage is written when the one before
// it is, and removed when the one after it is gone.
type Stage int

// The stages, in the order of writing.
const (
	StageNamespace Stage = iota
	StageAccount
	StageConfig
	StageWorkload
)

// Stages lists the stages in the order of writing.
var Stages = []Stage{StageNamespace, StageAccount, StageConfig, StageWorkload}

// Ref names the custom resource that asks for an item, for messages.
type Ref struct {
	Kind, Namespace, Name string
}

// String returns the reference as kind namespace/name.
func (r Ref) String() string { return fmt.Sprintf("%s %s/%s", r.Kind, r.Namespace, r.Name) }

// SecretRef names a secret in the secret store: an engine (git, cluster,
// tenant) and a path below it. It never holds a value.
type SecretRef struct {
	Engine, Path string
}

// String returns the reference as engine/path.
func (r SecretRef) String() string { return r.Engine + "/" + r.Path }

// SecretValue says which key of a Secret object is filled, at the last moment,
// with which field of which stored secret.
type SecretValue struct {
	// Key in the object's data.
	Key string
	// Ref of the stored secret, and Field in it.
	Ref   SecretRef
	Field string
	// Optional: the key is left out when the stored secret has no such field.
	Optional bool
	// Format in which the field is written; as it is when empty.
	Format Format
	// Subject is what FormatWebhookToken makes a token for; empty for the others.
	Subject string
}

// Format is how a secret's field is turned into what its user reads.
type Format string

// The formats.
const (
	// FormatArgoCDCluster turns a kubeconfig into the connection settings that
	// an Argo CD cluster Secret holds.
	FormatArgoCDCluster Format = "argocd-cluster"
	// FormatKubeconfigCA turns a kubeconfig into its certificate authority, in PEM.
	FormatKubeconfigCA Format = "kubeconfig-ca"
	// FormatWebhookToken turns the tenant's webhook key into the token of one
	// hook: the HMAC-SHA256 of the Subject, in hexadecimal. Nobody who knows some
	// tokens can tell another one, and none of them needs to be stored.
	FormatWebhookToken Format = "webhook-token"
)

// Item is one object that must exist.
type Item struct {
	ID    ID
	Stage Stage
	// Object is the typed object, labels included, for Kubernetes targets.
	Object client.Object
	// Body is the desired state for Vault and GitLab.
	Body any
	// Secrets fills a Secret object with values at the time of the write.
	Secrets []SecretValue
	// IfAbsent: an object of that name that is not ours is as good as our own; it
	// is used as it is, and never changed or removed.
	IfAbsent bool
	// Needs are items of an earlier stage of the set without which this one would
	// not work: it is not written when one of them could not be.
	Needs []ID
	// Source is the custom resource that asks for the item.
	Source Ref
}

// Owner is whose a set is. Kind and Name are the owner's; Product is empty for
// owners that belong to the tenant.
type Owner struct {
	Kind, Product, Name string
}

// String returns the owner as kind product/name.
func (o Owner) String() string {
	if o.Product == "" || o.Product == o.Name {
		return o.Kind + " " + o.Name
	}
	return fmt.Sprintf("%s %s/%s", o.Kind, o.Product, o.Name)
}

// Labels returns the labels that each object of the owner carries.
func (o Owner) Labels(tenant string) map[string]string {
	labels := map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
		v1alpha1.LabelTenant:    tenant,
		v1alpha1.LabelOwnerKind: o.Kind,
		v1alpha1.LabelOwnerName: o.Name,
	}
	if o.Product != "" {
		labels[v1alpha1.LabelProduct] = o.Product
	}
	return labels
}

// Set is everything that an owner has on a target. It is complete: what the
// owner has there and is neither in Items nor in Keep is removed.
type Set struct {
	Owner  Owner
	Target Target
	Items  []Item
	// Keep lists objects that stay as they are if they exist: their desired
	// state cannot be told at the moment.
	Keep []ID
}

// Plan is everything that one custom resource asks for.
type Plan struct {
	Sets []Set
}
