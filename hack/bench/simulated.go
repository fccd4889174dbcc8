package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// A slow cluster takes between slowLeast and slowMost for each answer.
const (
	slowLeast = 1500 * time.Millisecond
	slowMost  = 3 * time.Second
)

// simulated is the API server of one cluster, in memory: as much of Kubernetes as
// a registration asks for. One field manager writes to it, and objects are gone
// as soon as they are deleted.
type simulated struct {
	*surface
	// uid of the namespace kube-system, and the token that clients must send.
	uid   types.UID
	token string
	slow  bool
	// writes counts the requests to write, of all clusters.
	writes *atomic.Int64

	mu      sync.Mutex
	version int64
	objects map[place]*unstructured.Unstructured
	// applied holds the objects of the last applies, as they were sent.
	applied map[place][]byte
	// history holds everything that was written, and wake is closed with each write.
	history []happening
	wake    chan struct{}
}

// happening is a change of an object, which is never changed afterwards.
type happening struct {
	what    watch.EventType
	at      place
	object  *unstructured.Unstructured
	version int64
}

// newSimulated returns a cluster with the objects of every cluster: the namespace
// that gives it its identity, and its definitions.
func newSimulated(s *surface, uid types.UID, token string, slow bool, writes *atomic.Int64) *simulated {
	c := &simulated{
		surface: s, uid: uid, token: token, slow: slow, writes: writes, version: 1, wake: make(chan struct{}),
		objects: map[place]*unstructured.Unstructured{}, applied: map[place][]byte{},
	}
	system := &unstructured.Unstructured{}
	system.SetAPIVersion("v1")
	system.SetKind("Namespace")
	system.SetName(metav1.NamespaceSystem)
	system.SetUID(uid)
	system.SetResourceVersion("1")
	c.objects[place{of: s.resources["/api/v1/namespaces"], name: system.GetName()}] = system
	for _, o := range s.definitions {
		c.objects[place{of: s.resources[definitionsPath], name: o.GetName()}] = o
	}
	return c
}

// ServeHTTP answers as an API server would.
func (c *simulated) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.slow {
		select {
		case <-r.Context().Done():
			return
		case <-time.After(slowLeast + rand.N(slowMost-slowLeast)):
		}
	}
	if r.Header.Get("Authorization") != "Bearer "+c.token {
		refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized)
		return
	}
	if d, ok := c.documents[r.URL.Path]; ok {
		w.Header().Set("Content-Type", d.contentType)
		_, _ = w.Write(d.content)
		return
	}
	at, ok := c.locate(r.URL.Path)
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	case r.Method == http.MethodGet && at.name != "":
		c.get(w, r, at)
	case r.Method == http.MethodGet && r.URL.Query().Get("watch") != "":
		c.watch(w, r, at)
	case r.Method == http.MethodGet:
		c.list(w, r, at)
	case r.Method == http.MethodPatch && at.name != "" && r.Header.Get("Content-Type") == string(types.ApplyPatchType):
		c.apply(w, r, at)
	case r.Method == http.MethodDelete && at.name != "":
		c.remove(w, r, at)
	default:
		refuse(w, http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed)
	}
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	answer(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: reason, Message: "the simulated cluster says: " + string(reason),
	})
}

func answer(w http.ResponseWriter, code int, content any) {
	w.Header().Set("Content-Type", plainJSON)
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(content)
}

// shown returns an object as the request asks for it: whole, or its metadata.
func shown(r *http.Request, o *unstructured.Unstructured) any {
	if !strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata") {
		return o.Object
	}
	return map[string]any{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": o.Object["metadata"]}
}

func (c *simulated) get(w http.ResponseWriter, r *http.Request, at place) {
	c.mu.Lock()
	o := c.objects[at]
	c.mu.Unlock()
	if o == nil {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
		return
	}
	answer(w, http.StatusOK, shown(r, o))
}

// chosen returns a test of which objects a request is about.
func chosen(r *http.Request, at place) (func(place, *unstructured.Unstructured) bool, error) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		return nil, err
	}
	return func(of place, o *unstructured.Unstructured) bool {
		return of.of == at.of && (at.namespace == "" || of.namespace == at.namespace) && selector.Matches(labels.Set(o.GetLabels()))
	}, nil
}

func (c *simulated) list(w http.ResponseWriter, r *http.Request, at place) {
	is, err := chosen(r, at)
	if err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
		return
	}
	now, version, _ := c.present(is)
	items := []any{}
	for _, h := range now {
		items = append(items, shown(r, h.object))
	}
	kind, group := at.of.Kind+"List", at.of.GroupVersion().String()
	if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList") {
		kind, group = "PartialObjectMetadataList", "meta.k8s.io/v1"
	}
	answer(w, http.StatusOK, map[string]any{
		"kind": kind, "apiVersion": group, "items": items,
		"metadata": map[string]any{"resourceVersion": strconv.FormatInt(version, 10)},
	})
}

// present returns the objects, their version, and the number of events until then.
func (c *simulated) present(is func(place, *unstructured.Unstructured) bool) (now []happening, version int64, seen int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, o := range c.objects {
		if is(at, o) {
			now = append(now, happening{what: watch.Added, at: at, object: o})
		}
	}
	return now, c.version, len(c.history)
}

// watch sends events until the client has enough. If it asks for them, the objects
// that exist come first, with a bookmark at the end.
func (c *simulated) watch(w http.ResponseWriter, r *http.Request, at place) {
	query := r.URL.Query()
	is, err := chosen(r, at)
	if err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
		return
	}
	w.Header().Set("Content-Type", plainJSON)
	out, encoder := http.NewResponseController(w), json.NewEncoder(w)
	send := func(what watch.EventType, o *unstructured.Unstructured) error {
		return encoder.Encode(map[string]any{"type": what, "object": shown(r, o)})
	}
	since, err := strconv.ParseInt(query.Get("resourceVersion"), 10, 64)
	initial := query.Get("sendInitialEvents") == "true"
	seen := 0
	if initial || err != nil || since == 0 {
		var now []happening
		now, since, seen = c.present(is)
		for _, h := range now {
			if send(h.what, h.object) != nil {
				return
			}
		}
	}
	if initial && send(watch.Bookmark, bookmark(at, since)) != nil {
		return
	}
	var end <-chan time.Time
	if seconds, err := strconv.Atoi(query.Get("timeoutSeconds")); err == nil && seconds > 0 {
		timer := time.NewTimer(time.Duration(seconds) * time.Second)
		defer timer.Stop()
		end = timer.C
	}
	for {
		c.mu.Lock()
		news, wake := c.history[seen:], c.wake
		seen = len(c.history)
		c.mu.Unlock()
		for _, h := range news {
			if h.version > since && is(h.at, h.object) && send(h.what, h.object) != nil {
				return
			}
		}
		if out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-end:
			return
		case <-wake:
		}
	}
}

// bookmark ends the events about objects that existed when a watch began.
func bookmark(at place, version int64) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(at.of.GroupVersionKind)
	o.SetResourceVersion(strconv.FormatInt(version, 10))
	o.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	return o
}

// apply is a server-side apply by the only manager: the object becomes the applied
// one, and nothing is written if that is the same.
func (c *simulated) apply(w http.ResponseWriter, r *http.Request, at place) {
	c.writes.Add(1)
	o := &unstructured.Unstructured{}
	if err := json.NewDecoder(r.Body).Decode(&o.Object); err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
		return
	}
	uid := o.GetUID()
	unstructured.RemoveNestedField(o.Object, "metadata", "uid")
	applied, err := json.Marshal(o.Object)
	if err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
		return
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.objects[at]
	switch {
	case uid != "" && (before == nil || before.GetUID() != uid):
		refuse(w, http.StatusConflict, metav1.StatusReasonConflict)
		return
	case before != nil && bytes.Equal(applied, c.applied[at]):
		answer(w, http.StatusOK, shown(r, before))
		return
	}
	own := owned(r, o)
	what := watch.Added
	o.SetNamespace(at.namespace)
	o.SetName(at.name)
	o.SetGeneration(1)
	o.SetCreationTimestamp(metav1.Now())
	o.SetUID(types.UID(fmt.Sprintf("%s-%d", c.uid, c.version)))
	if before != nil {
		what = watch.Modified
		o.SetGeneration(before.GetGeneration() + 1)
		o.SetCreationTimestamp(before.GetCreationTimestamp())
		o.SetUID(before.GetUID())
	}
	o.SetManagedFields([]metav1.ManagedFieldsEntry{own})
	c.happens(what, at, o)
	c.objects[at], c.applied[at] = o, applied
	answer(w, http.StatusOK, shown(r, o))
}

// owned is the entry of an applied object that says which of its fields the
// manager has set. Lists are taken as a whole.
func owned(r *http.Request, o *unstructured.Unstructured) metav1.ManagedFieldsEntry {
	var fields func(map[string]any) map[string]any
	fields = func(in map[string]any) map[string]any {
		out := map[string]any{}
		for key, value := range in {
			inner, _ := value.(map[string]any)
			out["f:"+key] = fields(inner)
		}
		return out
	}
	set := maps.Clone(o.Object)
	delete(set, "apiVersion")
	delete(set, "kind")
	raw, _ := json.Marshal(fields(set))
	now := metav1.Now()
	return metav1.ManagedFieldsEntry{
		Manager: r.URL.Query().Get("fieldManager"), Operation: metav1.ManagedFieldsOperationApply, APIVersion: o.GetAPIVersion(),
		Time: &now, FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: raw},
	}
}

// remove deletes an object, unless it is not the one that the client means.
func (c *simulated) remove(w http.ResponseWriter, r *http.Request, at place) {
	c.writes.Add(1)
	var options metav1.DeleteOptions
	if err := json.NewDecoder(r.Body).Decode(&options); err != nil && !errors.Is(err, io.EOF) {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.objects[at]
	switch p := options.Preconditions; {
	case before == nil:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
		return
	case p != nil && p.UID != nil && *p.UID != before.GetUID():
		refuse(w, http.StatusConflict, metav1.StatusReasonConflict)
		return
	}
	c.happens(watch.Deleted, at, before.DeepCopy())
	delete(c.objects, at)
	delete(c.applied, at)
	answer(w, http.StatusOK, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess})
}

// happens gives an object its version and wakes the watches; c.mu is held.
func (c *simulated) happens(what watch.EventType, at place, o *unstructured.Unstructured) {
	c.version++
	o.SetResourceVersion(strconv.FormatInt(c.version, 10))
	c.history = append(c.history, happening{what: what, at: at, object: o, version: c.version})
	close(c.wake)
	c.wake = make(chan struct{})
}
