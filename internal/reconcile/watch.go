package reconcile

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/references"
)

// watches are the event handlers that all controllers of a process share.
type watches struct {
	mu      sync.Mutex
	started bool
}

// Source returns the source of the controller of a kind: the queue of the kind, which
// gets every object whose answers can change with another object.
func (d *Deps) Source(kind string) source.Source {
	queue := d.Queues.Of(kind).Source()
	return source.Func(func(ctx context.Context, q workqueue.TypedRateLimitingInterface[ctrl.Request]) error {
		if err := queue.Start(ctx, q); err != nil {
			return err
		}
		return d.watch(ctx)
	})
}

// watch starts the event handlers, once. It returns before the workers of the first
// controller start, so no change is lost: an object in the initial list of a handler
// concerns objects that their own controllers have yet to reconcile.
func (d *Deps) watch(ctx context.Context) error {
	d.watches.mu.Lock()
	defer d.watches.mu.Unlock()
	if d.watches.started {
		return nil
	}
	handle := func(o client.Object, changed func(before, after any)) error {
		informer, err := d.Manager.GetCache().GetInformer(ctx, o)
		if err != nil {
			return fmt.Errorf("watch %T: %w", o, err)
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerDetailedFuncs{
			AddFunc: func(o any, initial bool) {
				if !initial {
					changed(nil, o)
				}
			},
			UpdateFunc: changed,
			DeleteFunc: func(o any) {
				if unknown, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
					o = unknown.Obj
				}
				changed(o, nil)
			},
		})
		return err
	}
	for _, kind := range references.Kinds() {
		err := handle(kind, func(before, after any) {
			was, _ := before.(v1alpha1.Object)
			is, _ := after.(v1alpha1.Object)
			d.objectChanged(ctx, was, is)
		})
		if err != nil {
			return err
		}
	}
	err := handle(&corev1.Secret{}, func(before, after any) {
		for _, o := range []any{before, after} {
			if secret, ok := o.(*corev1.Secret); ok {
				d.namedSecretChanged(ctx, secret)
			}
		}
	})
	d.watches.started = err == nil
	return err
}

// objectChanged enqueues the objects whose answers can change with a change of an
// object from was to is; was is nil if it is new, and is if it is gone.
func (d *Deps) objectChanged(ctx context.Context, was, is v1alpha1.Object) {
	var kinds []string
	for _, kind := range d.Queues.running() {
		if was == nil || is == nil || references.Concerns(kind, was, is) {
			kinds = append(kinds, kind)
		}
	}
	for _, o := range []v1alpha1.Object{was, is} {
		if o != nil {
			d.enqueueReaders(ctx, o, kinds...)
		}
	}
}

// enqueueReaders enqueues the objects of some kinds whose answers depend on an object.
func (d *Deps) enqueueReaders(ctx context.Context, o v1alpha1.Object, kinds ...string) {
	for _, ref := range references.Readers(d.finder(ctx), o, kinds...) {
		d.Queues.Of(ref.Kind).Add(Request(ref.Namespace, ref.Name))
	}
}

// finder implements references.Finder by the cache, which must have the index of the
// references. The objects that it returns are shared and must not be changed.
type finder struct {
	ctx       context.Context
	client    client.Client
	namespace string
}

func (d *Deps) finder(ctx context.Context) finder { return finder{ctx, d.Client, d.Namespace} }

// Referring implements references.Finder.
func (f finder) Referring(kind string, ref plan.Ref) []v1alpha1.Object {
	return f.list(kind, client.MatchingFields{references.Index: references.IndexKey(ref)})
}

// Get implements references.Finder.
func (f finder) Get(ref plan.Ref) v1alpha1.Object {
	if ref.Namespace == "" {
		ref.Namespace = f.namespace
	}
	made, err := f.client.Scheme().New(v1alpha1.GroupVersion.WithKind(ref.Kind))
	o, ok := made.(v1alpha1.Object)
	if err != nil || !ok {
		return nil
	}
	if err := f.client.Get(f.ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, o, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	return o
}

// list returns the objects of a kind.
func (f finder) list(kind string, options ...client.ListOption) []v1alpha1.Object {
	made, err := f.client.Scheme().New(v1alpha1.GroupVersion.WithKind(kind + "List"))
	list, ok := made.(client.ObjectList)
	if ok {
		err = f.client.List(f.ctx, list, append(options, client.UnsafeDisableDeepCopy)...)
	}
	if err != nil {
		// Reading the cache fails only while the manager stops.
		log.FromContext(f.ctx).Error(err, "cannot list the objects that a change concerns", "kind", kind)
		return nil
	}
	var found []v1alpha1.Object
	_ = apimeta.EachListItem(list, func(item runtime.Object) error {
		if o, ok := item.(v1alpha1.Object); ok {
			found = append(found, o)
		}
		return nil
	})
	return found
}
