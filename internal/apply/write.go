package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// write applies one item. It sends no request if neither the intent nor our
// fields of the object have changed since the last write.
func (p *pass) write(ctx context.Context, in intent) error {
	id := in.item.ID
	if err := p.checkNamespace(ctx, id); err != nil {
		return err
	}
	if err := p.checkNeeds(in.item); err != nil {
		return err
	}
	hash, err := p.hash(ctx, in)
	if err != nil {
		return p.keepOnStoreError(ctx, id, err)
	}
	seen, err := p.conn.Get(ctx, id)
	if err != nil {
		return err
	}
	if p.settled(id, hash, seen) {
		known, _ := p.memory.get(p.key, id)
		if known.differs == nil {
			p.unchanged(in.item)
			return nil
		}
		if time.Since(known.written) < DiffersRetry {
			p.unchanged(in.item)
			return known.differs
		}
	}
	if err := p.mayRestore(id, hash, seen); err != nil {
		return err
	}
	if seen == nil {
		if seen, err = p.read(ctx, in.gvk, id); err != nil {
			return err
		}
	}
	err = p.send(ctx, in, hash, seen)
	if !isReplaced(err) {
		return err
	}
	// The object was created, removed or replaced since it was read: read it
	// from the server and try once more.
	if seen, err = p.read(ctx, in.gvk, id); err != nil {
		return err
	}
	err = p.send(ctx, in, hash, seen)
	if isReplaced(err) && !apierrors.IsNotFound(err) {
		return &ConflictError{ID: id, Target: p.set.Target, Err: err}
	}
	return err
}

// unchanged counts an item that needed no change.
func (p *pass) unchanged(item plan.Item) {
	p.result.Unchanged++
	p.journal.unchanged(item)
}

// checkNeeds returns a *NeedError if an item that this one needs could not be written.
func (p *pass) checkNeeds(item plan.Item) error {
	for _, failed := range p.result.Failed {
		if !failed.Kept && slices.Contains(item.Needs, failed.ID) {
			return &NeedError{ID: failed.ID, Target: p.set.Target}
		}
	}
	return nil
}

// handleForeign returns a *NotOursError, or nil if the item has IfAbsent. Foreign
// objects are not remembered: no watch reports their deletion, so each
// application reads them again.
func (p *pass) handleForeign(in intent, seen metav1.Object) error {
	id := in.item.ID
	switch {
	case !in.item.IfAbsent:
		return p.notOurs(id, seen)
	case seen.GetDeletionTimestamp() != nil:
		return &TerminatingError{ID: id, Target: p.set.Target, Unwatched: true, Held: p.held(id)}
	}
	p.memory.drop(p.key, id)
	p.unchanged(in.item)
	return nil
}

// isReplaced reports whether an error means that the object is not the one that
// was read: it exists now, is gone, or has another UID.
func isReplaced(err error) bool {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return true
	}
	var status *apierrors.StatusError
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.ErrStatus.Details == nil {
		return false
	}
	return slices.ContainsFunc(status.ErrStatus.Details.Causes, func(c metav1.StatusCause) bool { return c.Field == "metadata.uid" })
}

// keptError is the reason why an object of ours stays as it was written before.
type keptError struct{ error }

func (e keptError) Unwrap() error { return e.error }

// keepOnStoreError returns the error of a secret. It is a keptError if the secret
// store is at fault and the object exists, since its users can go on.
func (p *pass) keepOnStoreError(ctx context.Context, id plan.ID, err error) error {
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

// settled reports whether an object is known to be as intended. A cache that is
// behind our last write proves nothing: an event for any later change will follow.
func (p *pass) settled(id plan.ID, hash string, seen *metav1.PartialObjectMetadata) bool {
	r, _ := p.memory.get(p.key, id)
	return r.intent == hash && seen != nil && seen.DeletionTimestamp == nil && p.owns(seen) &&
		(plan.DigestFields(id.GroupKind(), seen) == r.fields || older(seen.ResourceVersion, r.version))
}

// owns reports whether an object carries exactly the owner's labels.
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

// checkNamespace returns an error if an object's namespace could not be written,
// and a *NotOursError if the namespace is labelled for another product.
func (p *pass) checkNamespace(ctx context.Context, id plan.ID) error {
	if id.Namespace == "" {
		return nil
	}
	if err := p.failedNamespaces[id.Namespace]; err != nil {
		return fmt.Errorf("its namespace does not exist: %w", err)
	}
	ns, err := p.conn.Get(ctx, namespaceID(id.Namespace))
	if err != nil {
		return err
	}
	if ns != nil && !p.isOpen(ns) {
		return p.notOurs(namespaceID(id.Namespace), ns)
	}
	return nil
}

// isOpen reports whether the owner may have objects in a namespace: it is not
// labelled for another product.
func (p *pass) isOpen(namespace *metav1.PartialObjectMetadata) bool {
	product := namespace.Labels[v1alpha1.LabelProduct]
	return product == "" || product == p.set.Owner.Product
}

// read returns the metadata of an object from the server, or nil if it does not exist.
func (p *pass) read(ctx context.Context, gvk schema.GroupVersionKind, id plan.ID) (*metav1.PartialObjectMetadata, error) {
	p.result.Calls++
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(gvk)
	err := p.conn.Client().Get(ctx, client.ObjectKey{Namespace: id.Namespace, Name: id.Name}, o)
	if isGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, p.checkServed(id, err)
	}
	return o, nil
}

// mayWrite reports whether an existing object is ours, or was handed over to us.
func (p *pass) mayWrite(seen *metav1.PartialObjectMetadata) bool {
	if p.owns(seen) {
		return true
	}
	return !p.hasOwner(seen) && !isCopy(seen) && seen.Annotations[v1alpha1.AnnotationAdopt] == p.adoption()
}

// hasOwner reports whether an object belongs to an owner of the tenant.
func (p *pass) hasOwner(o metav1.Object) bool {
	labels := o.GetLabels()
	return labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && labels[v1alpha1.LabelTenant] == p.tenant && labels[v1alpha1.LabelOwnerKind] != ""
}

// send applies the intent. An existing object is applied under its UID, and a new
// one without force, so that an object that another writer has created in the
// meantime is a conflict.
func (p *pass) send(ctx context.Context, in intent, hash string, seen *metav1.PartialObjectMetadata) error {
	id := in.item.ID
	switch {
	case seen == nil:
	case !p.mayWrite(seen):
		return p.handleForeign(in, seen)
	case seen.DeletionTimestamp != nil:
		return &TerminatingError{ID: id, Target: p.set.Target, Unwatched: !p.owns(seen), Held: p.held(id)}
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
	p.memory.put(p.key, id, record{gvk: in.gvk})
	applied := object.DeepCopy()
	if err := p.apply(ctx, in, object, options); err != nil {
		return err
	}
	if seen == nil && hasOtherManager(object) {
		return p.relinquish(ctx, in, object)
	}
	if object, err = p.dropOtherFields(ctx, in, object); err != nil {
		return err
	}
	differs := p.compare(in, applied, object)
	p.memory.put(p.key, id, record{
		gvk: in.gvk, intent: hash, fields: plan.DigestFields(id.GroupKind(), object), version: object.GetResourceVersion(),
		differs: differs, written: time.Now(),
	})
	switch {
	case seen == nil:
		p.result.Written++
		p.journal.changed("object created", id, in.item.Source)
	case seen.ResourceVersion == object.GetResourceVersion():
		p.unchanged(in.item)
	default:
		p.result.Written++
		p.journal.changed("object changed", id, in.item.Source)
	}
	if differs != nil {
		return differs
	}
	return nil
}

// apply sends our apply, and leaves the answer of the server in the object. Fields of
// other writers can make the server refuse our fields beside them, for example where
// only one of two fields may be set: they are replaced first then.
func (p *pass) apply(ctx context.Context, in intent, object *unstructured.Unstructured, options []client.ApplyOption) error {
	p.result.Calls++
	err := p.conn.Client().Apply(ctx, client.ApplyConfigurationFromUnstructured(object), options...)
	if !apierrors.IsInvalid(err) || isReplaced(err) || object.GetUID() == "" {
		return err
	}
	// A refusal leaves the object as it was sent.
	restored, restoreErr := p.restore(ctx, in, object)
	if restoreErr != nil || !restored {
		return cmp.Or(restoreErr, err)
	}
	p.result.Calls++
	return p.conn.Client().Apply(ctx, client.ApplyConfigurationFromUnstructured(object), options...)
}

// hasOtherManager reports whether another writer has set fields of an object. An
// object that our apply has just created has none.
func hasOtherManager(o metav1.Object) bool {
	for _, entry := range o.GetManagedFields() {
		if !plan.OurFields(entry) {
			return true
		}
	}
	return false
}

// relinquish removes our fields from an object that another writer has created
// between our read and our apply, without a field in conflict.
func (p *pass) relinquish(ctx context.Context, in intent, applied *unstructured.Unstructured) error {
	empty := &unstructured.Unstructured{}
	empty.SetGroupVersionKind(in.gvk)
	empty.SetNamespace(applied.GetNamespace())
	empty.SetName(applied.GetName())
	empty.SetUID(applied.GetUID())
	p.result.Calls++
	err := p.conn.Client().Apply(ctx, client.ApplyConfigurationFromUnstructured(empty), client.FieldOwner(v1alpha1.ManagedBy))
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	p.journal.changed("object of another writer relinquished", in.item.ID, in.item.Source)
	p.memory.drop(p.key, in.item.ID)
	return p.handleForeign(in, empty)
}
