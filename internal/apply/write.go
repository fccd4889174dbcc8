package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// write makes one object as it is intended. It asks the server nothing when
// neither the intent nor our fields of the object have changed since the last write.
func (p *pass) write(ctx context.Context, in intent) error {
	id := in.item.ID
	if err := p.mayEnter(ctx, id); err != nil {
		return err
	}
	if err := p.lacks(in.item); err != nil {
		return err
	}
	hash, err := p.hash(ctx, in)
	if err != nil {
		return p.asBefore(ctx, id, err)
	}
	seen, err := p.conn.Get(ctx, id)
	if err != nil {
		return err
	}
	if p.settled(id, hash, seen) {
		p.result.Unchanged++
		return nil
	}
	if seen == nil {
		if seen, err = p.read(ctx, in.gvk, id); err != nil {
			return err
		}
	}
	err = p.send(ctx, in, hash, seen)
	if !isAnother(err) {
		return err
	}
	// The object is not, or no longer, the one that was seen: look, and try
	// once more on what is there.
	if seen, err = p.read(ctx, in.gvk, id); err != nil {
		return err
	}
	err = p.send(ctx, in, hash, seen)
	if isAnother(err) && !apierrors.IsNotFound(err) {
		return &ConflictError{ID: id, Target: p.set.Target, Err: err}
	}
	return err
}

// lacks returns a *NeedError when something that an item needs could not be written.
func (p *pass) lacks(item plan.Item) error {
	for _, failed := range p.result.Failed {
		if !failed.Kept && slices.Contains(item.Needs, failed.ID) {
			return &NeedError{ID: failed.ID, Target: p.set.Target}
		}
	}
	return nil
}

// met returns the error about an object that belongs to somebody else; nil when
// the item is content with it. Nothing is remembered of such an object: nobody
// tells when it goes, so it is looked for each time.
func (p *pass) met(in intent, seen metav1.Object) error {
	id := in.item.ID
	switch {
	case !in.item.IfAbsent:
		return p.notOurs(id, seen)
	case seen.GetDeletionTimestamp() != nil:
		return &TerminatingError{ID: id, Target: p.set.Target, Unwatched: true}
	}
	p.memory.drop(p.place(), id)
	p.result.Unchanged++
	return nil
}

// isAnother tells whether an error says that the object is not the one that was
// seen: there is one now, there is none any longer, or it has another UID.
func isAnother(err error) bool {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return true
	}
	var status *apierrors.StatusError
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.ErrStatus.Details == nil {
		return false
	}
	return slices.ContainsFunc(status.ErrStatus.Details.Causes, func(c metav1.StatusCause) bool { return c.Field == "metadata.uid" })
}

// keptError is why an object of ours stays as it was written before.
type keptError struct{ error }

func (e keptError) Unwrap() error { return e.error }

// asBefore returns why the secrets of an object cannot be told, as a keptError
// when the store is at fault and the object is there: whoever uses it can go on.
func (p *pass) asBefore(ctx context.Context, id plan.ID, err error) error {
	if !errors.Is(err, secrets.ErrUnavailable) && !errors.Is(err, secrets.ErrDenied) {
		return err
	}
	seen, getErr := p.conn.Get(ctx, id)
	if getErr != nil {
		return getErr
	}
	if seen == nil || seen.DeletionTimestamp != nil || !p.owns(seen) {
		return err
	}
	return keptError{err}
}

func (p *pass) place() place { return place{uid: p.uid, owner: p.set.Owner} }

// settled tells whether an object is known to be as it is intended. A cache
// that is behind our own last write says nothing against it: whatever came
// after that write is still to be told.
func (p *pass) settled(id plan.ID, hash string, seen *metav1.PartialObjectMetadata) bool {
	r, ok := p.memory.get(p.place(), id)
	return ok && r.settled && r.intent == hash && seen != nil && seen.DeletionTimestamp == nil && p.owns(seen) &&
		(plan.DigestFields(seen) == r.fields || older(seen.ResourceVersion, r.version))
}

// owns tells whether an object carries exactly the owner's labels.
func (p *pass) owns(o metav1.Object) bool {
	labels := o.GetLabels()
	if isCopy(o) {
		return false
	}
	if p.set.Owner.Product == "" && labels[v1alpha1.LabelProduct] != "" {
		return false
	}
	for key, value := range p.set.Owner.Labels(p.tenant) {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// mayEnter returns an error for an object in a namespace that the set asks for
// and does not have, and a *NotOursError for one in a namespace that is labelled
// for another product.
func (p *pass) mayEnter(ctx context.Context, id plan.ID) error {
	if id.Namespace == "" {
		return nil
	}
	if err := p.closed[id.Namespace]; err != nil {
		return fmt.Errorf("its namespace is not there: %w", err)
	}
	ns, err := p.conn.Get(ctx, namespaceID(id.Namespace))
	if err != nil {
		return err
	}
	if ns != nil && !p.ours(ns) {
		return p.notOurs(namespaceID(id.Namespace), ns)
	}
	return nil
}

// ours tells whether a namespace of the tenant is not labelled for another product.
func (p *pass) ours(namespace *metav1.PartialObjectMetadata) bool {
	product := namespace.Labels[v1alpha1.LabelProduct]
	return product == "" || product == p.set.Owner.Product
}

// read returns the metadata of an object from the server; nil when there is none.
func (p *pass) read(ctx context.Context, gvk schema.GroupVersionKind, id plan.ID) (*metav1.PartialObjectMetadata, error) {
	p.result.Calls++
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(gvk)
	err := p.conn.Client().Get(ctx, key(id), o)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// mayWrite tells whether an object that exists is ours, or was handed over to us.
func (p *pass) mayWrite(seen *metav1.PartialObjectMetadata) bool {
	if p.owns(seen) {
		return true
	}
	return !p.hasOwner(seen) && !isCopy(seen) && seen.Annotations[v1alpha1.AnnotationAdopt] == p.adoption()
}

// hasOwner tells whether an object belongs to an owner of the tenant.
func (p *pass) hasOwner(o metav1.Object) bool {
	labels := o.GetLabels()
	return labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && labels[v1alpha1.LabelTenant] == p.tenant && labels[v1alpha1.LabelOwnerKind] != ""
}

// send applies the intent to what was seen. What does not exist is applied
// without force, and what exists under its UID, so that an object that somebody
// else has made in the meantime is a conflict.
func (p *pass) send(ctx context.Context, in intent, hash string, seen *metav1.PartialObjectMetadata) error {
	id := in.item.ID
	switch {
	case seen == nil:
	case !p.mayWrite(seen):
		return p.met(in, seen)
	case seen.DeletionTimestamp != nil:
		return &TerminatingError{ID: id, Target: p.set.Target, Unwatched: !p.owns(seen)}
	}
	object, err := p.fill(ctx, in)
	if err != nil {
		return err
	}
	options := []client.ApplyOption{client.FieldOwner(v1alpha1.ManagedBy)}
	if seen != nil {
		object.SetUID(seen.UID)
		options = append(options, client.ForceOwnership)
	}
	// From here on the object may exist even if no answer comes.
	p.memory.put(p.place(), id, record{gvk: in.gvk})
	p.result.Calls++
	if err := p.conn.Client().Apply(ctx, client.ApplyConfigurationFromUnstructured(object), options...); err != nil {
		return err
	}
	if seen == nil && hasOtherManager(object) {
		return p.retreat(ctx, in, object)
	}
	if seen != nil && seen.ResourceVersion == object.GetResourceVersion() {
		p.result.Unchanged++
	} else {
		p.result.Written++
	}
	p.memory.put(p.place(), id, record{
		gvk: in.gvk, intent: hash, fields: plan.DigestFields(object), version: object.GetResourceVersion(), settled: true,
	})
	return nil
}

// hasOtherManager tells whether somebody else has set fields of an object. An
// object that our apply has just created has none.
func hasOtherManager(o metav1.Object) bool {
	for _, entry := range o.GetManagedFields() {
		if !plan.OurFields(entry) {
			return true
		}
	}
	return false
}

// retreat takes our fields out of an object that somebody else has created
// between our look and our apply, without a field in conflict.
func (p *pass) retreat(ctx context.Context, in intent, met *unstructured.Unstructured) error {
	nothing := &unstructured.Unstructured{}
	nothing.SetGroupVersionKind(in.gvk)
	nothing.SetNamespace(met.GetNamespace())
	nothing.SetName(met.GetName())
	nothing.SetUID(met.GetUID())
	p.result.Calls++
	err := p.conn.Client().Apply(ctx, client.ApplyConfigurationFromUnstructured(nothing), client.FieldOwner(v1alpha1.ManagedBy))
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	p.memory.drop(p.place(), in.item.ID)
	return p.met(in, nothing)
}
