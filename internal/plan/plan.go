// Package plan holds the shape of desired state: which objects must exist, on
// which target, and who owns them. It guarantees that a plan is plain data: it
// holds no client, no secret value and no clock, and equal inputs give equal plans.
package plan

import (
	"cmp"
	"fmt"
	"slices"

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
)

// Target is one system that a set is applied to. Name is the name of the
// cluster for TargetCluster and TargetVault, and empty for the others.
type Target struct {
	Kind TargetKind
	Name string
}

// String returns the target for messages, for example "Cluster c".
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

// GroupKind returns the kind of the object.
func (id ID) GroupKind() schema.GroupKind { return schema.GroupKind{Group: id.Group, Kind: id.Kind} }

// Compare orders IDs by group, kind, namespace and name.
func (id ID) Compare(other ID) int {
	return cmp.Or(
		cmp.Compare(id.Group, other.Group),
		cmp.Compare(id.Kind, other.Kind),
		cmp.Compare(id.Namespace, other.Namespace),
		cmp.Compare(id.Name, other.Name),
	)
}

// IDOf returns the ID of an object of the given kind.
func IDOf(gvk schema.GroupVersionKind, o client.Object) ID {
	return ID{Group: gvk.Group, Kind: gvk.Kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}

// Stage orders the writes to a target. Stages are written one after another,
// and removed in the opposite order, each when the later ones are gone.
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

// SecretRef names a secret in the secret store by its engine (git, cluster or
// tenant) and its path in that engine. It never holds a value.
type SecretRef struct {
	Engine, Path string
}

// String returns the reference as engine/path.
func (r SecretRef) String() string { return r.Engine + "/" + r.Path }

// SecretValue fills one key of a Secret object from a stored secret, at the time
// of the write.
type SecretValue struct {
	// Key in the object's data.
	Key string
	// Ref of the stored secret, and Field in it.
	Ref   SecretRef
	Field string
	// Optional: the key is left out when the stored secret has no such field.
	Optional bool
	// Format that the field is converted to; unchanged when empty.
	Format Format
	// Subject that FormatWebhookToken makes a token for, the registry of
	// FormatDockerConfig, and the URL of FormatProxy; empty for other formats.
	Subject string
}

// Format converts a field of a stored secret for its user.
type Format string

// The formats.
const (
	// FormatArgoCDCluster turns a kubeconfig into the connection settings that
	// an Argo CD cluster Secret holds.
	FormatArgoCDCluster Format = "argocd-cluster"
	// FormatKubeconfigCA turns a kubeconfig into its certificate authority, in PEM.
	FormatKubeconfigCA Format = "kubeconfig-ca"
	// FormatWebhookToken derives the token of one hook from the tenant's webhook
	// key: the HMAC-SHA256 of the Subject, in hexadecimal. No token can be
	// derived from other tokens, and none needs to be stored.
	FormatWebhookToken Format = "webhook-token"
	// FormatDockerConfig makes the content of an image pull secret: the Field of the
	// secret is the password, and FieldUsername the user, at the registry in Subject.
	FormatDockerConfig Format = "docker-config"
	// FormatProxy makes the URL of a proxy with a login: the Field of the secret is the
	// password, FieldUsername the user, and the Subject the URL without them.
	FormatProxy Format = "proxy"
	// FormatText is BareText of a user name or a password.
	FormatText Format = "text"
	// FormatKey is the text of an SSH key with the line ends that OpenSSH needs.
	FormatKey Format = "ssh-key"
)

// FieldUsername is the field of a stored secret that holds the user of a password.
const FieldUsername = "username"

// Item is one object that must exist.
type Item struct {
	ID    ID
	Stage Stage
	// Object is the typed object, labels included, for Kubernetes targets.
	Object client.Object
	// Body is the desired state for other targets.
	Body any
	// Secrets fill a Secret object with values at the time of the write.
	Secrets []SecretValue
	// IfAbsent: an existing object of another owner satisfies the item. Such an
	// object is never changed or removed.
	IfAbsent bool
	// Needs lists items of earlier stages of the set that this item depends on.
	// It is not written when one of them could not be written.
	Needs []ID
	// Source is the custom resource that asks for the item.
	Source Ref
}

// Owner identifies the owner of a set. Product is empty for owners that belong
// to the tenant.
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

// Set is everything that an owner has on a target. It is complete: the owner's
// other objects on the target are removed, unless Keep lists them.
type Set struct {
	Owner  Owner
	Target Target
	Items  []Item
	// Keep lists objects that stay unchanged if they exist, because their
	// desired state is unknown at the moment.
	Keep []ID
}

// Without returns a set that keeps some of its items as they are, and writes the others.
func (s Set) Without(stays func(ID) bool) Set {
	some := s
	some.Items, some.Keep = nil, slices.Clone(s.Keep)
	for _, item := range s.Items {
		if stays(item.ID) {
			some.Keep = append(some.Keep, item.ID)
		} else {
			some.Items = append(some.Items, item)
		}
	}
	return some
}

// Holds reports whether a set writes or keeps an object.
func (s Set) Holds(id ID) bool {
	return slices.Contains(s.Keep, id) || slices.ContainsFunc(s.Items, func(item Item) bool { return item.ID == id })
}

// Sort puts the items in the order of writing, and the objects to keep in the order of
// their IDs.
func (s *Set) Sort() {
	slices.SortFunc(s.Items, func(a, b Item) int { return cmp.Or(cmp.Compare(a.Stage, b.Stage), a.ID.Compare(b.ID)) })
	slices.SortFunc(s.Keep, ID.Compare)
}

// Plan is the desired state of one owner, with a set for each target that can
// hold any of it.
type Plan struct {
	Sets []Set
}

// On returns the set for a target, or nil if the plan has none there.
func (p Plan) On(target Target) *Set {
	for i := range p.Sets {
		if p.Sets[i].Target == target {
			return &p.Sets[i]
		}
	}
	return nil
}
