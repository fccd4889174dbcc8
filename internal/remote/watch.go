package remote

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
)

// watcher holds the settings that the watches of a connection share.
type watcher struct {
	metadata metadata.Interface
	dynamic  dynamic.Interface
	// selector selects objects by their labels.
	selector string
	change   ChangeFunc
	// rights is the remedy for missing rights, for messages.
	rights string
	// missing is called with the group of a kind that the cluster does not serve any
	// more, although it was discovered. It may be nil.
	missing func(group string)
	// run waits for the watches.
	run *sync.WaitGroup
}

// kindCache is the cache of one kind on one cluster. It is empty while the
// cluster does not serve the kind.
type kindCache struct {
	gvk schema.GroupVersionKind
	// facts extracts the facts from whole objects. If it is nil, only metadata is read.
	facts factsFunc
	// namespace that is watched, or empty for all.
	namespace string
	// selector and indexers override the watcher's selector and the index by owner.
	selector string
	indexers cache.Indexers
	// trim, unless nil, drops more metadata than usual.
	trim func(*object)
	// everyUpdate reports updates in fields that are not cached, too.
	everyUpdate bool

	mu       sync.Mutex
	known    bool // discovery has answered
	informer cache.SharedIndexInformer
	rights   string
	stop     context.CancelFunc
	cause    error // of the last failure to list or watch
}

// start starts to watch the kind as a resource, unless it is watched already.
func (k *kindCache) start(ctx context.Context, w watcher, gvr schema.GroupVersionResource) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if ctx.Err() != nil {
		return nil
	}
	k.known, k.rights = true, w.rights
	if k.informer != nil {
		return nil
	}
	report := func(err error) {
		k.mu.Lock()
		k.cause = err
		k.mu.Unlock()
		if apierrors.IsNotFound(err) && w.missing != nil {
			w.missing(k.gvk.Group)
		}
	}
	informer := k.newInformer(w, gvr, report)
	err := informer.SetTransform(trimmer(k.gvk, k.facts, k.trim))
	if err == nil {
		_, err = informer.AddEventHandler(k.handler(w.change))
	}
	if err == nil {
		err = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { report(err) })
	}
	if err != nil {
		return fmt.Errorf("watch %s: %w", kindText(k.gvk.Group, k.gvk.Kind), err)
	}
	ctx, k.stop = context.WithCancel(ctx)
	k.informer, k.cause = informer, nil
	w.run.Go(func() { informer.RunWithContext(ctx) })
	return nil
}

// newInformer returns an informer that calls report after each attempt to list or
// watch.
func (k *kindCache) newInformer(w watcher, gvr schema.GroupVersionResource, report func(error)) cache.SharedIndexInformer {
	selector := cmp.Or(k.selector, w.selector)
	var lister cache.ListerWatcher
	var example runtime.Object
	if k.facts == nil {
		lister = listWatch(w.metadata.Resource(gvr).Namespace(k.namespace), w.metadata, selector, report)
		example = &metav1.PartialObjectMetadata{}
	} else {
		lister = listWatch(w.dynamic.Resource(gvr).Namespace(k.namespace), w.dynamic, selector, report)
		example = &unstructured.Unstructured{}
	}
	indexers := k.indexers
	if indexers == nil {
		indexers = cache.Indexers{ownerIndex: indexByOwner}
	}
	return cache.NewSharedIndexInformerWithOptions(lister, example, cache.SharedIndexInformerOptions{
		Indexers: indexers, ObjectDescription: gvr.String(),
	})
}

// resource is a resource of the metadata client or of the dynamic client.
type resource[L runtime.Object] interface {
	List(context.Context, metav1.ListOptions) (L, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}

func listWatch[L runtime.Object](r resource[L], client any, selector string, report func(error)) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			list, err := r.List(ctx, o)
			report(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector
			opened, err := r.Watch(ctx, o)
			report(err)
			return opened, err
		},
	}, client)
}

// fail notes why it is unknown whether the kind is served, if it is.
func (k *kindCache) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.known {
		k.cause = err
	}
}

// forget stops to watch a kind that the cluster does not serve.
func (k *kindCache) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known, k.cause = true, nil
	if k.informer == nil {
		return
	}
	k.stop()
	k.informer, k.stop = nil, nil
}

// close makes the cache of a closed connection unreadable.
func (k *kindCache) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known, k.informer, k.cause = false, nil, nil
}

// indexer returns the synced cache of the kind, or nil if the kind is not served.
func (k *kindCache) indexer() (cache.Indexer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known && k.informer == nil {
		return nil, nil
	}
	if !k.known || !k.informer.HasSynced() {
		return nil, k.notSynced()
	}
	return k.informer.GetIndexer(), nil
}

// byIndex returns the cached objects with a value of an index, in no order. It
// returns none if the kind is not served.
func (k *kindCache) byIndex(index, value string) ([]*object, error) {
	indexer, err := k.indexer()
	if err != nil || indexer == nil {
		return nil, err
	}
	found, err := indexer.ByIndex(index, value)
	if err != nil {
		return nil, fmt.Errorf("look up %s by %s: %w", kindText(k.gvk.Group, k.gvk.Kind), index, err)
	}
	objects := make([]*object, 0, len(found))
	for _, f := range found {
		if o, ok := f.(*object); ok {
			objects = append(objects, o)
		}
	}
	return objects, nil
}

func (k *kindCache) notSynced() *NotSyncedError {
	return &NotSyncedError{Group: k.gvk.Group, Kind: k.gvk.Kind, Cause: explain(k.cause, k.rights)}
}

// denied returns an error if the account is not permitted to read the kind. The
// cache would become outdated unnoticed.
func (k *kindCache) denied() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.informer == nil || !apierrors.IsForbidden(k.cause) {
		return nil
	}
	return k.notSynced()
}

func (k *kindCache) served() (served, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.informer != nil, k.known
}

// handler calls change for each object that is added, deleted, or updated in a
// field that we track.
func (k *kindCache) handler(change ChangeFunc) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(in any) {
			if o, ok := in.(*object); ok {
				change(k.gvk, o.view(), false)
			}
		},
		UpdateFunc: func(before, after any) {
			b, okB := before.(*object)
			a, okA := after.(*object)
			if okA && okB && (k.everyUpdate || !equal(a, b)) {
				change(k.gvk, a.view(), false)
			}
		},
		DeleteFunc: func(in any) {
			if unknown, ok := in.(cache.DeletedFinalStateUnknown); ok {
				in = unknown.Obj
			}
			if o, ok := in.(*object); ok {
				change(k.gvk, o.view(), true)
			}
		},
	}
}
