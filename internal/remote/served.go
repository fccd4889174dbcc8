package remote

import (
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/cache"
)

// The pauses between two looks at what a cluster serves, while a new definition
// is not served yet or the cluster does not answer.
const (
	firstLook = 50 * time.Millisecond
	lastLook  = 10 * time.Second
	// maxLooks bounds the looks for a definition that never is served: some
	// two minutes, and until the definition changes again.
	maxLooks = 20
)

// served keeps the caches in step with what the cluster serves: a kind's watch
// starts when its definition appears, and ends when it goes.
type served struct {
	discovery discovery.DiscoveryInterface
	source    source
	kinds     []*kindCache
	change    ChangeFunc
	run       *sync.WaitGroup

	mu      sync.Mutex
	dirty   map[string]bool // groups to look at
	defined map[string]bool // names of the CustomResourceDefinitions that exist
	wake    chan struct{}
}

// lookAll looks at every kind once, bounded by ctx; the watches that it starts
// last until run ends. An error says that nothing is known of some kinds.
func (s *served) lookAll(ctx, run context.Context) error {
	resources, err := s.allResources(ctx)
	if err != nil {
		return err
	}
	for _, k := range s.kinds {
		if _, err := s.set(run, k, resources[k.gvk.GroupVersion()]); err != nil {
			return err
		}
	}
	return nil
}

// allResources returns what the cluster serves of the groups and versions of all
// kinds. It asks for them at the same time: a slow cluster takes as long for all
// of them as for one.
func (s *served) allResources(ctx context.Context) (map[schema.GroupVersion][]metav1.APIResource, error) {
	var mu sync.Mutex
	found := map[schema.GroupVersion][]metav1.APIResource{}
	asked := map[schema.GroupVersion]bool{}
	g, ctx := errgroup.WithContext(ctx)
	for _, k := range s.kinds {
		gv := k.gvk.GroupVersion()
		if asked[gv] {
			continue
		}
		asked[gv] = true
		g.Go(func() error {
			list, err := s.resources(ctx, gv)
			mu.Lock()
			defer mu.Unlock()
			found[gv] = list
			return err
		})
	}
	return found, g.Wait()
}

// resources returns what the cluster serves of a group and version; nothing
// when it does not know them.
func (s *served) resources(ctx context.Context, gv schema.GroupVersion) ([]metav1.APIResource, error) {
	path := "/apis/" + gv.String()
	if gv.Group == "" {
		path = "/api/" + gv.Version
	}
	var list metav1.APIResourceList
	err := s.discovery.RESTClient().Get().AbsPath(path).Do(ctx).Into(&list)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, &readError{what: "what the cluster serves of " + gv.String(), err: err}
	}
	return list.APIResources, nil
}

// set starts or ends the watch of a kind. It returns whether the kind is served.
func (s *served) set(ctx context.Context, k *kindCache, resources []metav1.APIResource) (bool, error) {
	for _, r := range resources {
		if r.Kind != k.gvk.Kind || strings.Contains(r.Name, "/") {
			continue
		}
		_, err := k.start(ctx, s.run, s.source, k.gvk.GroupVersion().WithResource(r.Name), s.change)
		return true, err
	}
	k.forget()
	return false, nil
}

// keep looks at the groups whose definitions change, until ctx ends.
func (s *served) keep(ctx context.Context) {
	looks, pause := 0, firstLook
	timer := time.NewTimer(0)
	defer timer.Stop()
	again := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			looks, pause = 0, firstLook
		case <-timer.C:
			if len(again) == 0 {
				continue
			}
		}
		for group := range s.takeDirty() {
			again[group] = true
		}
		for group := range again {
			if settled := s.look(ctx, group); settled || looks >= maxLooks {
				delete(again, group)
			}
		}
		if len(again) > 0 {
			looks++
			timer.Reset(pause)
			pause = min(2*pause, lastLook)
		}
	}
}

// look brings the kinds of a group in step. It returns false when it is worth
// looking again soon: a kind is defined and not served (yet), it still is served
// although its definition is gone, or the cluster did not answer.
func (s *served) look(ctx context.Context, group string) bool {
	settled := true
	read := map[schema.GroupVersion][]metav1.APIResource{}
	for _, k := range s.kinds {
		gv := k.gvk.GroupVersion()
		if gv.Group != group {
			continue
		}
		if _, ok := read[gv]; !ok {
			resources, err := s.resources(ctx, gv)
			if err != nil {
				settled = false
				continue
			}
			read[gv] = resources
		}
		before, _ := k.served()
		is, err := s.set(ctx, k, read[gv])
		crd := definition(k.gvk, read[gv])
		settled = settled && err == nil && is == s.isDefined(k.gvk)
		switch {
		case is && !before:
			s.run.Go(func() { s.announceSynced(ctx, k, crd) })
		case !is && before:
			s.change(crdKind(), crd, true)
		}
	}
	return settled
}

// announceSynced tells that a kind has come, once its objects are known: who
// waits for the kind must find them when he looks.
func (s *served) announceSynced(ctx context.Context, k *kindCache, crd *metav1.PartialObjectMetadata) {
	k.mu.Lock()
	informer := k.informer
	k.mu.Unlock()
	if informer == nil {
		return
	}
	cache.WaitForCacheSync(ctx.Done(), func() bool { return informer.HasSynced() || informer.IsStopped() })
	if informer.HasSynced() {
		s.change(crdKind(), crd, false)
	}
}

// definition returns the metadata of a kind's CustomResourceDefinition.
func definition(gvk schema.GroupVersionKind, resources []metav1.APIResource) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(crdKind())
	m.Name = strings.ToLower(gvk.Kind) + "s." + gvk.Group
	for _, r := range resources {
		if r.Kind == gvk.Kind && !strings.Contains(r.Name, "/") {
			m.Name = r.Name + "." + gvk.Group
		}
	}
	return m
}

func (s *served) takeDirty() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	dirty := s.dirty
	s.dirty = map[string]bool{}
	return dirty
}

// definitionChanged marks the group of a CustomResourceDefinition, which is
// named <plural>.<group>.
func (s *served) definitionChanged(name string, deleted bool) {
	_, group, _ := strings.Cut(name, ".")
	if !s.watches(group) {
		return
	}
	s.mu.Lock()
	s.defined[name] = !deleted
	s.mu.Unlock()
	s.lookAgain(group)
}

// lookAgain has a group looked at.
func (s *served) lookAgain(group string) {
	s.mu.Lock()
	s.dirty[group] = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// isDefined tells whether there is a definition that can be that of a kind: its
// name begins with the kind's, whatever the plural is.
func (s *served) isDefined(gvk schema.GroupVersionKind) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, is := range s.defined {
		if resource, group, _ := strings.Cut(name, "."); is && group == gvk.Group && strings.HasPrefix(resource, strings.ToLower(gvk.Kind)) {
			return true
		}
	}
	return false
}

func (s *served) watches(group string) bool {
	for _, k := range s.kinds {
		if k.gvk.Group == group {
			return true
		}
	}
	return false
}
