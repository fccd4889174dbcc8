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

// source reads and watches resources.
type source struct {
	metadata metadata.Interface
	dynamic  dynamic.Interface
	// selector chooses the objects by their labels.
	selector string
}

// attempt is told how an attempt to list or watch has begun: nil when it was granted.
type attempt func(error)

// informer returns an informer of trimmed objects, in one namespace or, when it
// is empty, in all. With facts, whole objects are read, otherwise their metadata only.
func (s source) informer(k *kindCache, gvr schema.GroupVersionResource, tried attempt) (cache.SharedIndexInformer, error) {
	selector := cmp.Or(k.selector, s.selector)
	var lister cache.ListerWatcher
	var example runtime.Object
	if k.facts == nil {
		var resource metadata.ResourceInterface = s.metadata.Resource(gvr)
		if k.namespace != "" {
			resource = s.metadata.Resource(gvr).Namespace(k.namespace)
		}
		example = &metav1.PartialObjectMetadata{}
		lister = listWatch(selector, s.metadata, tried,
			func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return resource.List(ctx, o) },
			resource.Watch)
	} else {
		var resource dynamic.ResourceInterface = s.dynamic.Resource(gvr)
		if k.namespace != "" {
			resource = s.dynamic.Resource(gvr).Namespace(k.namespace)
		}
		example = &unstructured.Unstructured{}
		lister = listWatch(selector, s.dynamic, tried,
			func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return resource.List(ctx, o) },
			resource.Watch)
	}
	if k.indexers == nil {
		k.indexers = cache.Indexers{ownerIndex: indexByOwner}
	}
	informer := cache.NewSharedIndexInformerWithOptions(lister, example, cache.SharedIndexInformerOptions{
		Indexers:          k.indexers,
		ObjectDescription: gvr.String(),
	})
	if err := informer.SetTransform(trimmer(k.gvk, k.facts, k.trim)); err != nil {
		return nil, fmt.Errorf("watch %s: %w", kindText(k.gvk.Group, k.gvk.Kind), err)
	}
	return informer, nil
}

func listWatch(selector string, client any, tried attempt,
	list func(context.Context, metav1.ListOptions) (runtime.Object, error),
	open func(context.Context, metav1.ListOptions) (watch.Interface, error),
) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			listed, err := list(ctx, o)
			tried(err)
			return listed, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector
			opened, err := open(ctx, o)
			tried(err)
			return opened, err
		},
	}, client)
}

// kindCache is the cache of one kind on one cluster. It is empty while the
// cluster does not serve the kind.
type kindCache struct {
	gvk   schema.GroupVersionKind
	facts FactsFunc
	// namespace that is looked at; all when empty.
	namespace string
	// selector chooses the objects, if not all of the tenant's; indexers find
	// them, if not by their owners; trim drops more of them than others need to.
	selector string
	indexers cache.Indexers
	trim     func(*object)
	// rights says where the account gets its rights, for messages.
	rights string
	// missing is called when the cluster does not serve what it said it serves.
	missing func()

	mu       sync.Mutex
	known    bool // discovery has answered
	informer cache.SharedIndexInformer
	stop     context.CancelFunc
	cause    error // why the last attempt to list or watch was not granted, or has ended
}

// start begins to watch the kind as resource; it returns false when it is watched already.
func (k *kindCache) start(ctx context.Context, run *sync.WaitGroup, s source, gvr schema.GroupVersionResource, change ChangeFunc) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if ctx.Err() != nil {
		return false, nil
	}
	k.known = true
	if k.informer != nil {
		return false, nil
	}
	tried := func(err error) {
		k.mu.Lock()
		k.cause = err
		k.mu.Unlock()
		if apierrors.IsNotFound(err) && k.missing != nil {
			k.missing()
		}
	}
	informer, err := s.informer(k, gvr, tried)
	if err != nil {
		return false, err
	}
	if _, err := informer.AddEventHandler(handler(k.gvk, change)); err != nil {
		return false, fmt.Errorf("watch %s: %w", kindText(k.gvk.Group, k.gvk.Kind), err)
	}
	err = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { tried(err) })
	if err != nil {
		return false, fmt.Errorf("watch %s: %w", kindText(k.gvk.Group, k.gvk.Kind), err)
	}
	ctx, k.stop = context.WithCancel(ctx)
	k.informer, k.cause = informer, nil
	run.Go(func() { informer.RunWithContext(ctx) })
	return true, nil
}

// forget stops to watch the kind, because the cluster does not serve it; it
// returns false when it was not watched.
func (k *kindCache) forget() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known = true
	if k.informer == nil {
		return false
	}
	k.stop()
	k.informer, k.stop, k.cause = nil, nil, nil
	return true
}

// close makes the cache of a connection that has ended unreadable.
func (k *kindCache) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known, k.informer, k.cause = false, nil, nil
}

// indexer returns the synced cache of the kind; nil when the kind is not served.
func (k *kindCache) indexer() (cache.Indexer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known && k.informer == nil {
		return nil, nil
	}
	if !k.known || !k.informer.HasSynced() {
		return nil, k.unsynced()
	}
	return k.informer.GetIndexer(), nil
}

func (k *kindCache) unsynced() *NotSyncedError {
	return &NotSyncedError{Group: k.gvk.Group, Kind: k.gvk.Kind, Cause: explain(k.cause, k.rights)}
}

// denied returns an error when the account may not read the kind, or no longer:
// what the cache holds would grow old unnoticed.
func (k *kindCache) denied() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.informer == nil || !apierrors.IsForbidden(k.cause) {
		return nil
	}
	return k.unsynced()
}

func (k *kindCache) served() (served, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.informer != nil, k.known
}

// handler tells of what appears, disappears or changes in what we look at.
func handler(gvk schema.GroupVersionKind, change ChangeFunc) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(in any) {
			if o, ok := in.(*object); ok {
				change(gvk, o.view(), false)
			}
		},
		UpdateFunc: func(before, after any) {
			b, okB := before.(*object)
			a, okA := after.(*object)
			if okA && okB && !alike(a, b) {
				change(gvk, a.view(), false)
			}
		},
		DeleteFunc: func(in any) {
			if unknown, ok := in.(cache.DeletedFinalStateUnknown); ok {
				in = unknown.Obj
			}
			if o, ok := in.(*object); ok {
				change(gvk, o.view(), true)
			}
		},
	}
}
