// Package validate holds the rules that need more than one object. It guarantees that
// the controllers, admission and the API apply the same rules in the same words: the
// result is a function of a snapshot and a change, with every error in stable order.
package validate

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// Request is a change to check. Without Old it is a creation, or an object that is
// checked as it stands; without New it is a deletion.
type Request struct {
	Old, New v1alpha1.Object
}

// Run checks a change against a snapshot, which need not hold the change yet. It
// returns every error in stable order, and warnings, which refuse nothing. The Origin
// of each error is a condition reason of v1alpha1: errors with ReasonReferenceMissing
// disappear when the missing object arrives; all others need a person. The Detail of
// an error describes the fault and the remedy, and is complete without the field.
func Run(s *snapshot.Snapshot, r Request) (field.ErrorList, []string) {
	findings, warnings := Check(s, r)
	var list field.ErrorList
	for _, f := range findings {
		list = append(list, f.Error)
	}
	return list, warnings
}

// Finding is an error of Run, and the rule that the change breaks.
type Finding struct {
	*field.Error
	Rule Rule
}

// Check is Run with the rule of each error.
func Check(s *snapshot.Snapshot, r Request) ([]Finding, []string) {
	c := &checker{s: s}
	switch {
	case r.New != nil:
		before := previous(s, r)
		o := settled(r.New, before)
		if !known(s, o) {
			c.s = s.With(o)
		}
		c.object(o, before)
	case r.Old != nil:
		c.removal(r.Old)
	}
	return c.errors, c.warnings
}

// known reports whether a snapshot holds a runtime as it is, as far as the rules can
// see: the copy of a reconciler differs from the stored one in other parts of its
// status. Of the other kinds, only the very object is known.
func known(s *snapshot.Snapshot, o v1alpha1.Object) bool {
	if s.Holds(o) {
		return true
	}
	r, _ := o.(v1alpha1.Runtime)
	was, _ := s.Stored(o).(v1alpha1.Runtime)
	return sameSpec(r, was) &&
		equality.Semantic.DeepEqual(r.DeployedTarget(), was.DeployedTarget()) &&
		equality.Semantic.DeepEqual(r.GetCreationTimestamp(), was.GetCreationTimestamp()) &&
		equality.Semantic.DeepEqual(r.GetDeletionTimestamp(), was.GetDeletionTimestamp())
}

// sameSpec reports whether two runtimes are of one kind and have equal specs. Nil is no
// runtime.
func sameSpec(a, b v1alpha1.Runtime) bool {
	switch a := a.(type) {
	case *v1alpha1.DeploymentRuntime:
		b, ok := b.(*v1alpha1.DeploymentRuntime)
		return ok && equality.Semantic.DeepEqual(a.Spec, b.Spec)
	case *v1alpha1.ProjectPipelineRuntime:
		b, ok := b.(*v1alpha1.ProjectPipelineRuntime)
		return ok && equality.Semantic.DeepEqual(a.Spec, b.Spec)
	}
	return false
}

// previous returns the old object of a change, or the stored one, or nil if there is
// neither.
func previous(s *snapshot.Snapshot, r Request) v1alpha1.Object {
	if r.Old != nil {
		return r.Old
	}
	stored, _ := s.Stored(r.New).(v1alpha1.Object)
	return stored
}

// settled returns the new object with the fields that only the API server has. A file
// or a request body holds neither the time of creation nor a status, and both decide
// which of two objects comes first.
func settled(o, before v1alpha1.Object) v1alpha1.Object {
	if before == nil {
		return o
	}
	recorded := recordedTarget(before)
	lacksTime := isZero(o) && !isZero(before)
	lacksTarget := recorded != nil && recordedTarget(o) == nil
	lacksStatus := lacksClusterStatus(o, before)
	if !lacksTime && !lacksTarget && !lacksStatus {
		return o
	}
	settled, ok := o.DeepCopyObject().(v1alpha1.Object)
	if !ok {
		return o
	}
	if lacksTime {
		settled.SetCreationTimestamp(before.GetCreationTimestamp())
	}
	if r, ok := settled.(v1alpha1.Runtime); ok && lacksTarget {
		r.SetDeployedTarget(recorded)
	}
	if c, ok := settled.(*v1alpha1.Cluster); ok && lacksStatus {
		if was, ok := before.(*v1alpha1.Cluster); ok {
			c.Status = *was.Status.DeepCopy()
		}
	}
	return settled
}

// recordedTarget returns the target that a runtime has on record, or nil for any
// other object.
func recordedTarget(o v1alpha1.Object) *v1alpha1.RuntimeTarget {
	if r, ok := o.(v1alpha1.Runtime); ok {
		return r.DeployedTarget()
	}
	return nil
}

// lacksClusterStatus reports whether a cluster comes without the status that it had.
func lacksClusterStatus(o, before v1alpha1.Object) bool {
	c, ok := o.(*v1alpha1.Cluster)
	was, sameKind := before.(*v1alpha1.Cluster)
	return ok && sameKind && equality.Semantic.DeepEqual(c.Status, v1alpha1.ClusterStatus{}) &&
		!equality.Semantic.DeepEqual(was.Status, v1alpha1.ClusterStatus{})
}

func isZero(o v1alpha1.Object) bool {
	created := o.GetCreationTimestamp()
	return created.IsZero()
}

// checker collects the errors and warnings of the rules.
type checker struct {
	s        *snapshot.Snapshot
	errors   []Finding
	warnings []string
}

func (c *checker) object(o, old v1alpha1.Object) {
	switch o := o.(type) {
	case *v1alpha1.Product:
		c.product(o)
	case *v1alpha1.ProductProvider:
		c.productProvider(o)
	case *v1alpha1.CodeRepoProvider:
		c.codeRepoProvider(o)
	case *v1alpha1.Cluster:
		before, _ := old.(*v1alpha1.Cluster)
		c.cluster(o, before)
	case *v1alpha1.ComponentCatalogue:
		c.componentCatalogue(o)
	case *v1alpha1.PipelineHook:
		c.pipelineHook(o)
	case *v1alpha1.Environment:
		c.environment(o)
	case *v1alpha1.Project:
		c.ofProduct(o, o.Spec.Product)
	case *v1alpha1.CodeRepo:
		c.codeRepo(o)
	case *v1alpha1.CodeRepoBinding:
		c.codeRepoBinding(o)
	case *v1alpha1.ArtifactRepo:
		c.artifactRepo(o)
	case *v1alpha1.DeploymentRuntime:
		c.deploymentRuntime(o)
	case *v1alpha1.ProjectPipelineRuntime:
		c.pipelineRuntime(o)
	}
}

// removal refuses to delete an object in use.
func (c *checker) removal(o v1alpha1.Object) {
	users := c.s.UsersOf(o)
	if len(users) == 0 {
		return
	}
	c.fail(RuleInUse, v1alpha1.ReasonInUse, field.NewPath("metadata", "name"), o.GetName(),
		"%s is used by %s: delete these first, or make them use another one", snapshot.RefOf(o), listRefs(users))
}

// maxListed limits the objects that a message names.
const maxListed = 10

func listRefs(refs []plan.Ref) string {
	names := make([]string, 0, maxListed)
	for _, ref := range refs[:min(len(refs), maxListed)] {
		names = append(names, ref.String())
	}
	list := strings.Join(names, ", ")
	if more := len(refs) - maxListed; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// fail records an error; its type follows from the reason.
func (c *checker) fail(rule Rule, reason string, path *field.Path, value any, format string, args ...any) {
	e := &field.Error{Type: field.ErrorTypeInvalid, Field: path.String(), BadValue: value, Detail: fmt.Sprintf(format, args...), Origin: reason}
	switch reason {
	case v1alpha1.ReasonReferenceMissing:
		e.Type = field.ErrorTypeNotFound
	case v1alpha1.ReasonPermissionDenied, v1alpha1.ReasonDestinationImmutable, v1alpha1.ReasonInUse:
		e.Type = field.ErrorTypeForbidden
	}
	c.errors = append(c.errors, Finding{Error: e, Rule: rule})
}

// take records the errors of another package.
func (c *checker) take(rule Rule, reason string, list field.ErrorList) {
	for _, e := range list {
		taken := *e
		taken.Origin = reason
		c.errors = append(c.errors, Finding{Error: &taken, Rule: rule})
	}
}

// missing records a reference to an object that does not exist.
func (c *checker) missing(path *field.Path, kind, namespace, name string) {
	ref := plan.Ref{Kind: kind, Namespace: namespace, Name: name}
	c.fail(RuleReference, v1alpha1.ReasonReferenceMissing, path, name, "%s does not exist: create it, or correct the name", ref)
}

// warn records a warning about a field. The message names the effect, or that there is
// none, and the remedy.
func (c *checker) warn(at *field.Path, format string, args ...any) {
	c.warnings = append(c.warnings, at.String()+": "+fmt.Sprintf(format, args...))
}

// ofTenant checks that an object of the tenant is in the namespace of the operator.
func (c *checker) ofTenant(o v1alpha1.Object) {
	if o.GetNamespace() != c.s.Namespace {
		c.fail(RuleOwnNamespace, v1alpha1.ReasonInvalid, field.NewPath("metadata", "namespace"), o.GetNamespace(),
			"a %s counts only in the namespace %s: move it there", snapshot.RefOf(o).Kind, c.s.Namespace)
	}
}

// ofProduct checks that an object of a product is in the namespace of a product, and
// names no other product.
func (c *checker) ofProduct(o v1alpha1.Object, specProduct string) {
	at := field.NewPath("metadata", "namespace")
	product := o.GetNamespace()
	if product == c.s.Namespace {
		c.fail(RuleOwnNamespace, v1alpha1.ReasonInvalid, at, product, "a %s belongs to a product: move it to the namespace of its product", snapshot.RefOf(o).Kind)
		return
	}
	if specProduct != "" {
		at = field.NewPath("spec", "product")
		if specProduct != product {
			c.fail(RuleOwnProduct, v1alpha1.ReasonInvalid, at, specProduct,
				"the namespace %s belongs to another product: set spec.product to %s or leave it empty", product, product)
		}
	}
	if c.s.Product(product) == nil {
		c.missing(at, "Product", c.s.Namespace, product)
	}
}
