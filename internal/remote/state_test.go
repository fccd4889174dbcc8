package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/remote/kubeconfig"
)

func TestNeedsNewConnection(t *testing.T) {
	old := Endpoint{UID: "uid", Version: "1", Server: "https://a", ExpectedUID: "x"}
	tests := map[string]struct {
		change func(*Endpoint)
		want   bool
	}{
		"nothing":      {change: func(*Endpoint) {}},
		"expected UID": {change: func(e *Endpoint) { e.ExpectedUID = "y" }},
		"UID":          {change: func(e *Endpoint) { e.UID = "other" }, want: true},
		"version":      {change: func(e *Endpoint) { e.Version = "2" }, want: true},
		"server":       {change: func(e *Endpoint) { e.Server = "https://b" }, want: true},
	}
	for name, test := range tests {
		now := old
		test.change(&now)
		if got := now.needsNewConnection(old); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
		// The loop is told of each change that can matter, and of no other.
		c := newConnector("c", &ManagerOptions{}, old)
		c.set(now)
		if got, want := len(c.changed) == 1, name != "nothing"; got != want {
			t.Errorf("%s: the loop is woken: %t, want %t", name, got, want)
		}
		c.set(old)
		c.set(now)
		if c.wanted() != now {
			t.Errorf("%s: the endpoint is %+v", name, c.wanted())
		}
	}
}

func TestCheckUID(t *testing.T) {
	tests := map[string]struct {
		expected, got string
		wantErr       bool
	}{
		"the same":       {expected: "a", got: "a"},
		"none on record": {got: "a"},
		"another":        {expected: "a", got: "b", wantErr: true},
	}
	for name, test := range tests {
		err := checkUID(test.expected, test.got)
		if (err != nil) != test.wantErr || err != nil && reasonOf(err) != v1alpha1.ReasonClusterReplaced {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestManagerDefaults(t *testing.T) {
	o := NewManager(ManagerOptions{}).o
	got := []any{o.ProbeInterval, o.ProbeTimeout, o.FailureThreshold, o.slowAfter, o.retryBase, o.retryMax}
	if diff := cmp.Diff([]any{10 * time.Second, 10 * time.Second, 3, time.Second, time.Second, time.Minute}, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func statusError(code int32, kind string) error {
	s := &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Message: "hidden"}}
	if kind != "" {
		s.ErrStatus.Details = &metav1.StatusDetails{Group: "group", Kind: kind}
	}
	return s
}

func TestExplain(t *testing.T) {
	tests := map[string]struct {
		err        error
		rights     string
		wantReason string
		want       string
	}{
		"none":                  {want: ""},
		"a refusal":             {err: fmt.Errorf("x: %w", checkUID("a", "b")), wantReason: v1alpha1.ReasonClusterReplaced, want: "another cluster answers"},
		"a kubeconfig":          {err: &kubeconfig.Error{Field: "users", Problem: "bad"}, wantReason: v1alpha1.ReasonCredentialsInvalid, want: "the kubeconfig is refused: users: bad"},
		"not synced":            {err: &NotSyncedError{Kind: "Secret", Cause: "why"}, want: "Secret have not been read yet: why"},
		"not synced, no cause":  {err: &NotSyncedError{Group: "g", Kind: "K"}, want: "K (g) have not been read yet"},
		"not Kubernetes":        {err: errNotKubernetes, want: "not a Kubernetes API server"},
		"unauthorized":          {err: &apierrors.StatusError{ErrStatus: metav1.Status{Code: 401, Reason: metav1.StatusReasonUnauthorized}}, wantReason: v1alpha1.ReasonCredentialsInvalid, want: "does not accept the credentials"},
		"forbidden":             {err: &readError{subject: "the version", err: statusError(403, "")}, rights: "ask", want: "may not read the version; ask"},
		"forbidden kind":        {err: &readError{subject: "the version", err: statusError(403, "secrets")}, want: "may not read secrets (group); grant it get, list and watch"},
		"forbidden, no subject": {err: statusError(403, ""), want: "may not read some objects; grant"},
		"too many requests":     {err: statusError(429, ""), want: "not able to answer at the moment (status 429)"},
		"internal error":        {err: statusError(500, ""), want: "not able to answer at the moment (status 500)"},
		"conflict":              {err: statusError(499, ""), want: "not the one of Kubernetes (status 499)"},
		"no route":              {err: syscall.EHOSTUNREACH, want: "no route"},
		"no network":            {err: syscall.ENETUNREACH, want: "no route"},
		"refused":               {err: syscall.ECONNREFUSED, want: "nothing listens"},
		"HTTP":                  {err: http.ErrSchemeMismatch, want: "does not speak TLS"},
		"time-out":              {err: context.DeadlineExceeded, want: "did not answer in time"},
		"network time-out":      {err: &net.OpError{Op: "read", Err: timeoutError{}}, want: "did not answer in time"},
		"broken":                {err: &net.OpError{Op: "read", Err: errors.New("x")}, want: "the connection broke"},
	}
	for name, test := range tests {
		got := explain(test.err, test.rights)
		if !strings.Contains(got, test.want) || test.want == "" && got != "" || strings.Contains(got, "hidden") {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if reason := reasonOf(test.err); test.wantReason != "" && reason != test.wantReason || test.wantReason == "" && reason != v1alpha1.ReasonNotConnected {
			t.Errorf("%s: reason is %s", name, reason)
		}
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "slow" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

func TestPublish(t *testing.T) {
	long := time.Now().Add(-time.Hour)
	connected := State{Connected: true, Reason: v1alpha1.ReasonConnected, Message: "m", Version: "v1", UID: "u", Since: long}
	lost := State{Reason: v1alpha1.ReasonNotConnected, Message: "lost", Version: "v1", UID: "u", Since: long}
	slow, connecting, refused, otherMessage := connected, lost, lost, lost
	slow.Slow = true
	connecting.Connecting = true
	refused.Reason = v1alpha1.ReasonCredentialsInvalid
	otherMessage.Message = "other"
	endpoint := Endpoint{UID: "uid", Version: "1", Server: "s"}
	tests := map[string]struct {
		before, now State
		last        *Endpoint
		want        string
		wantQuiet   bool // OnState is not called
		wantSame    bool // Since is kept
	}{
		"first connection":     {before: connecting, now: connected, want: "cluster connected c: first connection"},
		"restored":             {before: lost, now: connected, last: &endpoint, want: "cluster reconnected c: the connection was lost"},
		"rotated":              {before: connecting, now: connected, last: &Endpoint{UID: "uid", Version: "0", Server: "s"}, want: "cluster reconnected c: rotated credential"},
		"moved":                {before: connecting, now: connected, last: &Endpoint{UID: "uid", Version: "1"}, want: "cluster reconnected c: changed address"},
		"created again":        {before: connecting, now: connected, last: &Endpoint{Version: "0"}, want: "cluster reconnected c: the Cluster was created again"},
		"lost":                 {before: connected, now: lost, want: "cluster disconnected c: NotConnected"},
		"refused":              {before: connecting, now: refused, want: "cluster refused c: CredentialsInvalid", wantSame: true},
		"not reached":          {before: refused, now: lost, want: "cluster not connected c: NotConnected", wantSame: true},
		"for another reason":   {before: lost, now: otherMessage, want: "cluster not connected c: NotConnected", wantSame: true},
		"lost as before":       {before: lost, now: lost, wantQuiet: true, wantSame: true},
		"connected as before":  {before: connected, now: connected, wantQuiet: true, wantSame: true},
		"slow":                 {before: connected, now: slow, want: "cluster slow c: a probe took longer than 1s", wantQuiet: true, wantSame: true},
		"slow as before":       {before: slow, now: slow, wantQuiet: true, wantSame: true},
		"fast again":           {before: slow, now: connected, want: "cluster fast again c: a probe took at most 1s", wantQuiet: true, wantSame: true},
		"planned reconnection": {before: connected, now: connecting},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var log logLines
			calls := 0
			c := newConnector("c", &ManagerOptions{Log: log.logger(), slowAfter: time.Second, OnState: func(string) { calls++ }}, endpoint)
			c.attempt, c.connected, c.state = endpoint, test.last, test.before
			give := test.now
			if !give.Connected {
				give.Version, give.UID = "", ""
			}
			give.Since = time.Time{}
			conn := &Conn{}
			c.publish(conn, give)
			got, state := c.get()
			if got != conn || (state.Since.Equal(long)) != test.wantSame || state.Version != "v1" || state.UID != "u" {
				t.Errorf("state is %+v", state)
			}
			if (calls == 0) != test.wantQuiet {
				t.Errorf("OnState was called %d times", calls)
			}
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			if diff := cmp.Diff(want, log.short("")); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			if test.now.Connected && !test.before.Connected && (c.connected == nil || *c.connected != endpoint) {
				t.Errorf("the endpoint on record is %v", c.connected)
			}
		})
	}
}

func TestEqual(t *testing.T) {
	now := metav1.Now()
	base := func() *object {
		return &object{uid: "u", resourceVersion: "1", labels: packLabels(map[string]string{"a": "b"}), annotations: map[string]string{"nautes.io/a": "b"}, facts: 1}
	}
	tests := map[string]struct {
		change func(*object)
		want   bool
	}{
		"nothing":          {change: func(*object) {}, want: true},
		"resource version": {change: func(o *object) { o.resourceVersion = "2" }, want: true},
		"UID":              {change: func(o *object) { o.uid = "v" }},
		"deletion":         {change: func(o *object) { o.deleted = &now }},
		"labels":           {change: func(o *object) { o.labels = packLabels(nil) }},
		"annotations":      {change: func(o *object) { o.annotations = nil }},
		"facts":            {change: func(o *object) { o.facts = 2 }},
		"fields": {change: func(o *object) {
			o.fields = plan.DigestFields(schema.GroupKind{Kind: "Secret"}, &metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{
				Manager: v1alpha1.ManagedBy, Operation: metav1.ManagedFieldsOperationApply, FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:x":{}}`)},
			}}})
		}},
	}
	for name, test := range tests {
		changed := base()
		test.change(changed)
		if got := equal(base(), changed); got != test.want {
			t.Errorf("%s: equal is %t, want %t", name, got, test.want)
		}
		// The handler reports exactly the changes that are not equal, or every update.
		for _, every := range []bool{false, true} {
			reported := 0
			k := &kindCache{everyUpdate: every}
			k.handler(func(schema.GroupVersionKind, *metav1.PartialObjectMetadata, bool) { reported++ }).OnUpdate(withKind(base()), withKind(changed))
			if want := every || !test.want; (reported == 1) != want {
				t.Errorf("%s: reported %d times with everyUpdate %t", name, reported, every)
			}
		}
	}
}

func withKind(o *object) *object {
	o.gvk, o.namespace = &schema.GroupVersionKind{Kind: "K"}, packLabels(nil).Handle
	return o
}

func TestHandler(t *testing.T) {
	var seen []string
	h := (&kindCache{}).handler(func(_ schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, deleted bool) {
		seen = append(seen, fmt.Sprintf("%s %t", meta.Name, deleted))
	})
	object := func(name string) *object { return withKind(&object{name: name, labels: packLabels(nil)}) }
	h.OnAdd(object("a"), false)
	h.OnAdd("nonsense", false)
	h.OnUpdate("nonsense", object("x"))
	h.OnUpdate(object("x"), "nonsense")
	h.OnDelete(object("b"))
	h.OnDelete(cache.DeletedFinalStateUnknown{Obj: object("c")})
	h.OnDelete("nonsense")
	if diff := cmp.Diff([]string{"a false", "b true", "c true"}, seen); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestTrimmer(t *testing.T) {
	gvk := schema.GroupVersionKind{Group: "g", Version: "v1", Kind: "K"}
	created, deleted := metav1.Unix(1767225600, 0), metav1.Unix(1767225700, 0)
	meta := metav1.ObjectMeta{
		Namespace: "ns", Name: "n", UID: "u", ResourceVersion: "7", Generation: 3, CreationTimestamp: created, DeletionTimestamp: &deleted,
		Labels: map[string]string{"a": "b", "c": ""}, Annotations: map[string]string{"nautes.io/x": "y", "other.io/x": "z"}, Finalizers: []string{"f"},
	}
	trim := trimmer(gvk, nil, nil)
	packed, err := trim(&metav1.PartialObjectMetadata{ObjectMeta: meta})
	if err != nil {
		t.Fatal(err)
	}
	want := &metav1.PartialObjectMetadata{ObjectMeta: *meta.DeepCopy()}
	want.SetGroupVersionKind(gvk)
	want.Annotations, want.Finalizers = map[string]string{"nautes.io/x": "y"}, nil
	if diff := cmp.Diff(want, packed.(*object).view()); diff != "" {
		t.Errorf("view (-want +got):\n%s", diff)
	}
	if again, err := trim(packed); err != nil || again != packed {
		t.Errorf("trimming again: %v, %v", again, err)
	}
	unknown, err := trim(cache.DeletedFinalStateUnknown{Key: "k", Obj: &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "gone"}}})
	gone, ok := unknown.(cache.DeletedFinalStateUnknown)
	if err != nil || !ok || gone.Key != "k" || gone.Obj.(*object).name != "gone" {
		t.Errorf("a deleted object: %+v, %v", unknown, err)
	}
	if empty := gone.Obj.(*object).view(); empty.Labels != nil || empty.Annotations != nil || !empty.CreationTimestamp.IsZero() {
		t.Errorf("an empty object: %+v", empty)
	}
	facts := trimmer(gvk, func(u *unstructured.Unstructured) any { return u.GetName() }, func(o *object) { o.labels = packLabels(nil) })
	whole := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "w", "labels": map[string]any{"a": "b"}}}}
	if got, err := facts(whole); err != nil || got.(*object).facts != "w" || got.(*object).labels.get("a") != "" {
		t.Errorf("a whole object: %+v, %v", got, err)
	}
}

func TestOwnerIndex(t *testing.T) {
	owner := plan.Owner{Kind: "Space", Product: "p", Name: "n"}
	for name, test := range map[string]struct {
		in   any
		want []string
	}{
		"owned":    {in: &object{labels: packLabels(owner.Labels(tenant))}, want: []string{ownerKey(owner)}},
		"no owner": {in: &object{labels: packLabels(map[string]string{"a": "b"})}},
		"nonsense": {in: "x"},
	} {
		got, err := indexByOwner(test.in)
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	if keys, err := indexByRuntime("x"); keys != nil || err != nil {
		t.Errorf("the index of runs: %v, %v", keys, err)
	}
}

func TestTrackerKnowsDefinitions(t *testing.T) {
	bus := argoKind("EventBus")
	resources := []metav1.APIResource{{Name: "eventbus/status", Kind: "EventBus"}, {Name: "sensors", Kind: "Sensor"}, {Name: "eventbus", Kind: "EventBus"}}
	for name, test := range map[string]struct {
		resources []metav1.APIResource
		want      string
	}{
		"served":     {resources: resources, want: "eventbus.argoproj.io"},
		"not served": {want: "eventbuss.argoproj.io"},
	} {
		if got := definition(bus, test.resources); got.Name != test.want || got.Kind != crdKind().Kind {
			t.Errorf("%s: the definition is %s", name, got.Name)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	tr := newTracker(ctx, nil, watcher{run: &sync.WaitGroup{}}, []*kindCache{{gvk: bus}}, logr.Discard())
	for _, step := range []struct {
		name       string
		others     []string
		wantChecks int
		want       bool
	}{
		{name: "eventbus.example.com", others: []string{"eventbus.example.com"}},
		{name: "sensors.argoproj.io", others: []string{"sensors.argoproj.io"}, wantChecks: 1},
		{name: "eventbus.argoproj.io", others: []string{"sensors.argoproj.io", "eventbus.argoproj.io"}, want: true, wantChecks: 1},
		{name: "eventbus.argoproj.io", others: []string{"eventbuses.argoproj.io"}, want: true, wantChecks: 1},
		{name: "eventbus.argoproj.io", wantChecks: 1},
	} {
		tr.definitions = func() ([]string, error) { return step.others, nil }
		tr.definitionChanged(step.name)
		if got := tr.isDefined(bus); got != step.want || tr.groups.Len() != step.wantChecks {
			t.Errorf("after %+v: defined %t, %d checks", step, got, tr.groups.Len())
		}
	}
	tr.definitions = func() ([]string, error) { return nil, errNotKubernetes }
	if !tr.isDefined(bus) || tr.checkUndefined(ctx, bus) == nil {
		t.Error("a definition counts as missing while they have not been read")
	}
	// A change starts the checks again.
	tr.groups.AddRateLimited("argoproj.io")
	tr.definitionChanged("sensors.argoproj.io")
	if n := tr.groups.NumRequeues("argoproj.io"); n != 0 {
		t.Errorf("%d checks are counted after a change", n)
	}
}

func TestKindCacheWithoutAWatch(t *testing.T) {
	k := &kindCache{gvk: coreKind("Secret")}
	if _, err := k.indexer(); !errors.Is(err, ErrNotSynced) {
		t.Errorf("before discovery: %v", err)
	}
	if _, err := k.byIndex(ownerIndex, "x"); !errors.Is(err, ErrNotSynced) {
		t.Errorf("before discovery: %v", err)
	}
	k.cause = statusError(403, "secrets")
	if err := k.denied(); err != nil {
		t.Errorf("denied: %v", err)
	}
	k.forget()
	if objects, err := k.byIndex(ownerIndex, "x"); objects != nil || err != nil {
		t.Errorf("not served: %v, %v", objects, err)
	}
	if served, known := k.served(); served || !known {
		t.Errorf("served %t, known %t", served, known)
	}
	k.close()
	if _, known := k.served(); known {
		t.Error("known after close")
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := k.start(ctx, watcher{}, schema.GroupVersionResource{}); err != nil || k.known {
		t.Errorf("a watch after the end: %v", err)
	}
}

func TestErrorsNameTheirKind(t *testing.T) {
	for want, err := range map[string]error{
		"the connection watches the kind Secret in the namespace argocd only":    &UnknownKindError{Kind: "Secret", Namespace: "argocd"},
		"the kind K (g) is not in the list of kinds that the connection watches": &UnknownKindError{Group: "g", Kind: "K"},
		"cluster c is not connected: why":                                        &NotConnectedError{Cluster: "c", Message: "why"},
		"read the version: why":                                                  &readError{subject: "the version", err: errors.New("why")},
		"the objects of kind Secret have not been read yet":                      &NotSyncedError{Kind: "Secret"},
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
}
