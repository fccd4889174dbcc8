package remote

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"nautes.io/nautes/internal/observed"
)

// A group is checked again with growing pauses while a new definition is not served
// yet or the cluster does not answer.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 10 * time.Second
	// maxChecks limits the checks of a definition that is never served. They take
	// about two minutes, and start again when a definition changes.
	maxChecks = 20
)

// tracker keeps the caches in step with the kinds that the cluster serves. The
// watch of a kind starts when its definition appears, and ends when it goes.
type tracker struct {
	discovery rest.Interface
	watcher   watcher
	kinds     []*kindCache
	log       logr.Logger
	groups    workqueue.TypedRateLimitingInterface[string] // to check
	// definitions returns the names of the CustomResourceDefinitions that exist, or an
	// error while they have not been read.
	definitions func() ([]string, error)
}

func newTracker(run context.Context, discovery rest.Interface, w watcher, kinds []*kindCache, log logr.Logger) *tracker {
	t := &tracker{discovery: discovery, watcher: w, kinds: kinds, log: log}
	t.groups = workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstPause, lastPause))
	context.AfterFunc(run, t.groups.ShutDown)
	// Discovery can be outdated: a definition may have gone before its watch began.
	t.watcher.missing = func(group string) { t.requestCheck(group) }
	return t
}

// startServed starts the watches of all kinds that are served. ctx bounds that, and
// the watches last until run ends. The other kinds stay unknown until the definitions
// have been read: a cluster that starts may not serve a defined kind yet.
func (t *tracker) startServed(ctx, run context.Context) error {
	resources, err := t.allResources(ctx)
	if err != nil {
		return err
	}
	for _, k := range t.kinds {
		if name := observed.ResourceOf(k.gvk.Kind, resources[k.gvk.GroupVersion()]); name != "" {
			if err := k.start(run, t.watcher, k.gvk.GroupVersion().WithResource(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// allResources returns the resources in the groups and versions of all kinds. It
// reads them concurrently, so that a slow cluster takes no longer for all than for
// one.
func (t *tracker) allResources(ctx context.Context) (map[schema.GroupVersion][]metav1.APIResource, error) {
	var mu sync.Mutex
	found := map[schema.GroupVersion][]metav1.APIResource{}
	requested := map[schema.GroupVersion]bool{}
	g, ctx := errgroup.WithContext(ctx)
	for _, k := range t.kinds {
		gv := k.gvk.GroupVersion()
		if requested[gv] {
			continue
		}
		requested[gv] = true
		g.Go(func() error {
			list, err := t.resources(ctx, gv)
			mu.Lock()
			defer mu.Unlock()
			found[gv] = list
			return err
		})
	}
	return found, g.Wait()
}

// resources returns the resources in a group and version, or none if the cluster
// does not serve it.
func (t *tracker) resources(ctx context.Context, gv schema.GroupVersion) ([]metav1.APIResource, error) {
	path := "/apis/" + gv.String()
	if gv.Group == "" {
		path = "/api/" + gv.Version
	}
	var list metav1.APIResourceList
	err := t.discovery.Get().AbsPath(path).Do(ctx).Into(&list)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, &readError{subject: "the resources of " + gv.String(), err: err}
	}
	return list.APIResources, nil
}

// update starts or ends the watch of a kind, and reports whether the kind is served.
// It leaves the watch as it is if the cluster must serve the kind and does not.
func (t *tracker) update(ctx context.Context, k *kindCache, resources []metav1.APIResource) (bool, error) {
	if name := observed.ResourceOf(k.gvk.Kind, resources); name != "" {
		return true, k.start(ctx, t.watcher, k.gvk.GroupVersion().WithResource(name))
	}
	if err := t.checkUndefined(ctx, k.gvk); err != nil {
		k.fail(err)
		return false, err
	}
	k.forget()
	return false, nil
}

// checkUndefined returns an error if the cluster has a definition by which it serves
// the kind, or if that is unknown.
func (t *tracker) checkUndefined(ctx context.Context, gvk schema.GroupVersionKind) error {
	names, err := t.definitions()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !observed.MayDefine(name, gvk) {
			continue
		}
		raw, err := t.discovery.Get().AbsPath("/apis/" + crdKind().GroupVersion().String() + "/customresourcedefinitions/" + name).Do(ctx).Raw()
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return &readError{subject: "the CustomResourceDefinition " + name, err: err}
		}
		if observed.Serves(raw, gvk) {
			return errNotServedYet
		}
	}
	return nil
}

// followDefinitions watches the CustomResourceDefinitions, and checks the groups
// whose definitions change, until ctx ends.
func (t *tracker) followDefinitions(ctx context.Context) error {
	w := t.watcher
	w.selector, w.missing = "", nil
	w.change = func(_ schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, _ bool) {
		t.definitionChanged(meta.Name)
	}
	// A definition becomes served by a change of its conditions, which are not cached.
	definitions := &kindCache{gvk: crdKind(), everyUpdate: true}
	t.definitions = func() ([]string, error) {
		indexer, err := definitions.indexer()
		if err != nil {
			return nil, err
		}
		return indexer.ListKeys(), nil
	}
	if err := definitions.start(ctx, w, crdKind().GroupVersion().WithResource("customresourcedefinitions")); err != nil {
		return err
	}
	w.run.Go(func() {
		cache.WaitForCacheSync(ctx.Done(), func() bool { _, err := t.definitions(); return err == nil })
		t.requestCheck(t.unknown()...)
	})
	t.requestCheck(t.unknown()...)
	w.run.Go(func() { t.checkGroups(ctx) })
	return nil
}

// checkGroups checks the groups in the queue until it is shut down.
func (t *tracker) checkGroups(ctx context.Context) {
	for {
		group, shutdown := t.groups.Get()
		if shutdown {
			return
		}
		if t.check(ctx, group) || t.groups.NumRequeues(group) >= maxChecks && !slices.Contains(t.unknown(), group) {
			t.groups.Forget(group)
		} else {
			t.groups.AddRateLimited(group)
		}
		t.groups.Done(group)
	}
}

// check brings the caches of a group in step with the cluster. It returns false if
// the group must be checked again soon: a kind is defined and not served yet, is
// still served although its definition is gone, or the cluster did not answer.
func (t *tracker) check(ctx context.Context, group string) bool {
	settled := true
	read := map[schema.GroupVersion][]metav1.APIResource{}
	for _, k := range t.kinds {
		gv := k.gvk.GroupVersion()
		if gv.Group != group {
			continue
		}
		if _, ok := read[gv]; !ok {
			resources, err := t.resources(ctx, gv)
			if err != nil {
				settled = false
				continue
			}
			read[gv] = resources
		}
		before, _ := k.served()
		served, err := t.update(ctx, k, read[gv])
		settled = settled && err == nil && served == t.isDefined(k.gvk)
		switch {
		case err != nil:
		case served && !before:
			t.log.Info("kind served", "kind", k.gvk.GroupKind().String(), "reason", "its definition has appeared")
			t.watcher.run.Go(func() { t.announceSynced(ctx, k, definition(k.gvk, read[gv])) })
		case !served && before:
			t.log.Info("kind no longer served", "kind", k.gvk.GroupKind().String(), "reason", "its definition is gone")
			t.watcher.change(crdKind(), definition(k.gvk, read[gv]), true)
		}
	}
	return settled
}

// announceSynced announces a new kind after its objects have been read, so that
// whoever waits for the kind finds them.
func (t *tracker) announceSynced(ctx context.Context, k *kindCache, crd *metav1.PartialObjectMetadata) {
	k.mu.Lock()
	informer := k.informer
	k.mu.Unlock()
	if informer == nil {
		return
	}
	cache.WaitForCacheSync(ctx.Done(), func() bool { return informer.HasSynced() || informer.IsStopped() })
	if informer.HasSynced() {
		t.watcher.change(crdKind(), crd, false)
	}
}

// definition returns the metadata of a kind's CustomResourceDefinition.
func definition(gvk schema.GroupVersionKind, resources []metav1.APIResource) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(crdKind())
	m.Name = cmp.Or(observed.ResourceOf(gvk.Kind, resources), strings.ToLower(gvk.Kind)+"s") + "." + gvk.Group
	return m
}

// definitionChanged requests a check of the group of a CustomResourceDefinition, whose name is
// <plural>.<group>.
func (t *tracker) definitionChanged(name string) {
	_, group, _ := strings.Cut(name, ".")
	if slices.ContainsFunc(t.kinds, func(k *kindCache) bool { return k.gvk.Group == group }) {
		t.requestCheck(group)
	}
}

// requestCheck requests checks of groups, without a pause.
func (t *tracker) requestCheck(groups ...string) {
	for _, group := range groups {
		t.groups.Forget(group)
		t.groups.Add(group)
	}
}

// unknown returns the groups with a kind of which it is unknown whether it is served.
func (t *tracker) unknown() (groups []string) {
	for _, k := range t.kinds {
		if _, known := k.served(); !known {
			groups = append(groups, k.gvk.Group)
		}
	}
	return groups
}

// isDefined reports whether there may be a definition for the kind.
func (t *tracker) isDefined(gvk schema.GroupVersionKind) bool {
	names, err := t.definitions()
	return err != nil || slices.ContainsFunc(names, func(name string) bool { return observed.MayDefine(name, gvk) })
}
