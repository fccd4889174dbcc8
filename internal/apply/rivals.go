package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// dropOtherFields removes the fields that other writers have added to an object of ours,
// and returns the object as it is then. The object is the answer of the server to our
// apply.
func (p *pass) dropOtherFields(ctx context.Context, in intent, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	id := in.item.ID
	others := plan.OtherFields(id.GroupKind(), object)
	if len(others) == 0 {
		return object, nil
	}
	exact := object.DeepCopy()
	changed, err := plan.DropOtherFields(id.GroupKind(), exact)
	if err != nil {
		return nil, fmt.Errorf("remove the fields of other writers from %s: %w", id, err)
	}
	if equality.Semantic.DeepEqual(exact.Object, object.Object) {
		// All of their fields are ours too.
		return object, nil
	}
	if err := p.replace(ctx, object, exact, changed); err != nil {
		return nil, err
	}
	p.removed(in, others)
	return exact, nil
}

// restore replaces the content of an object of ours by our intent, if other writers
// have fields in it. It returns false if there are none, or no object.
func (p *pass) restore(ctx context.Context, in intent, applied *unstructured.Unstructured) (bool, error) {
	id, live := in.item.ID, &unstructured.Unstructured{}
	live.SetGroupVersionKind(in.gvk)
	p.result.Calls++
	if err := p.conn.Client().Get(ctx, client.ObjectKeyFromObject(applied), live); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	others := plan.OtherFields(id.GroupKind(), live)
	if len(others) == 0 || live.GetUID() != applied.GetUID() {
		return false, nil
	}
	exact := live.DeepCopy()
	changed := plan.Restore(id.GroupKind(), exact, applied.Object)
	if len(changed) == 0 {
		return false, nil
	}
	if err := p.replace(ctx, live, exact, changed); err != nil {
		return false, err
	}
	p.removed(in, others)
	return true, nil
}

// replace writes the top-level fields of an object that was read, as they must be.
func (p *pass) replace(ctx context.Context, read, exact *unstructured.Unstructured, fields []string) error {
	// The version is a condition: the object is as it was read.
	patch := []map[string]any{{"op": "replace", "path": "/metadata/resourceVersion", "value": read.GetResourceVersion()}}
	for _, name := range fields {
		path := "/" + name
		switch content, stays := exact.Object[name]; {
		case stays:
			patch = append(patch, map[string]any{"op": "add", "path": path, "value": content})
		case read.Object[name] != nil:
			patch = append(patch, map[string]any{"op": "remove", "path": path})
		}
	}
	text, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("remove the fields of other writers: %w", err)
	}
	p.result.Calls++
	return p.conn.Client().Patch(ctx, exact, client.RawPatch(types.JSONPatchType, text), client.FieldOwner(v1alpha1.ManagedBy))
}

// removed reports fields of other writers that were removed.
func (p *pass) removed(in intent, others []plan.OtherWriter) {
	managers, paths := plan.DescribeFields(others)
	p.journal.logger.V(levelChange).Info("fields of other writers removed", append(describeObject(in.item.ID, in.item.Source),
		"managers", strings.Join(managers, ", "), "fields", strings.Join(paths, ", "))...)
	p.rivals.name(p.key, in.item.ID, managers)
}

// Two writers that insist on the fields of an object would undo the changes of each
// other for ever. After maxRestores within restoreWindow, the object is left alone for a
// pause, which doubles up to maxPause while it goes on.
const (
	maxRestores   = 10
	restoreWindow = time.Minute
	firstPause    = time.Minute
	maxPause      = time.Hour
)

// rivals counts how often objects are restored. The zero value is ready to use.
type rivals struct {
	mu      sync.Mutex
	objects map[memoKey]map[plan.ID]*rival
	// now is time.Now, but for tests.
	now func() time.Time
}

// rival is the history of one object.
type rival struct {
	// count of restores since the time since.
	count int
	since time.Time
	// The object is left alone until then.
	until time.Time
	pause time.Duration
	// managers are the other writers, as far as they are known.
	managers []string
}

func (r *rivals) time() time.Time {
	if r.now != nil {
		return r.now()
	}
	return time.Now()
}

// restore counts a restore. It returns the time for which the object must be left alone,
// with the known writers, or zero if it may be restored.
func (r *rivals) restore(key memoKey, id plan.ID) (time.Duration, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.time()
	one := r.objects[key][id]
	if one == nil {
		one = &rival{}
		r.put(key, id, one)
	}
	if now.Before(one.until) {
		return one.until.Sub(now), one.managers
	}
	if now.Sub(one.since) > max(restoreWindow, 2*one.pause) {
		*one = rival{since: now, managers: one.managers}
	}
	if one.count++; one.count <= maxRestores {
		return 0, nil
	}
	one.pause = min(max(2*one.pause, firstPause), maxPause)
	one.until = now.Add(one.pause)
	// After the pause, one more restore shows whether it goes on.
	one.count, one.since = maxRestores-1, one.until
	return one.pause, one.managers
}

// name notes the other writers of an object that is being restored.
func (r *rivals) name(key memoKey, id plan.ID, managers []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := r.objects[key][id]; one != nil {
		one.managers = managers
	}
}

func (r *rivals) put(key memoKey, id plan.ID, one *rival) {
	if r.objects == nil {
		r.objects = map[memoKey]map[plan.ID]*rival{}
	}
	if r.objects[key] == nil {
		r.objects[key] = map[plan.ID]*rival{}
	}
	r.objects[key][id] = one
}

// forgetWhere drops the history of the keys that match.
func (r *rivals) forgetWhere(match func(memoKey) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.objects {
		if match(key) {
			delete(r.objects, key)
		}
	}
}

// mayRestore returns a *ContestedError if an object that another writer changed again
// must be left alone for now. A changed intent, or a first write, is no restore.
func (p *pass) mayRestore(id plan.ID, hash string, seen *metav1.PartialObjectMetadata) error {
	r, _ := p.memory.get(p.key, id)
	if r.intent != hash || seen == nil || seen.DeletionTimestamp != nil || !p.owns(seen) {
		return nil
	}
	pause, managers := p.rivals.restore(p.key, id)
	if pause == 0 {
		return nil
	}
	return &ContestedError{ID: id, Target: p.set.Target, Managers: managers, Retry: pause}
}

// ContestedError reports that another writer changes an object of ours again and again,
// so it is left alone for a while.
type ContestedError struct {
	ID     plan.ID
	Target plan.Target
	// Managers are the field managers of the other writers, as far as they are known.
	Managers []string
	// Retry is the time after which the object is restored again.
	Retry time.Duration
}

// Error names the object and the writers, and the way out.
func (e *ContestedError) Error() string {
	by := "another writer"
	if len(e.Managers) > 0 {
		by = strings.Join(e.Managers, ", ")
	}
	return fmt.Sprintf("%s on %s is changed again and again by %s: stop that writer, or take the object out of its hands; the changes stay until the next attempt",
		e.ID, e.Target, by)
}
