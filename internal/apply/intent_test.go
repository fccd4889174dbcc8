package apply

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

func TestIntend(t *testing.T) {
	other := secret("other", ourLabels)
	unknown := &unstructured.Unstructured{}
	unknown.SetName("x")
	for name, test := range map[string]struct {
		change func(*plan.Item)
		want   string
	}{
		"right":            {change: func(*plan.Item) {}},
		"the last stage":   {change: func(i *plan.Item) { i.Stage = plan.StageWorkload }},
		"no object":        {change: func(i *plan.Item) { i.Object = nil }, want: "it has no object"},
		"a stage too low":  {change: func(i *plan.Item) { i.Stage = -1 }, want: "it has no stage -1"},
		"a stage too high": {change: func(i *plan.Item) { i.Stage = plan.StageWorkload + 1 }, want: "it has no stage 4"},
		"another object":   {change: func(i *plan.Item) { i.Object = other }, want: "its object is Secret ns/other"},
		"an unknown type":  {change: func(i *plan.Item) { i.Object = &v1alpha1.Cluster{} }, want: "its type *v1alpha1.Cluster is not known to the scheme"},
		"another label":    {change: func(i *plan.Item) { i.Object = secret("s", with(ourLabels, v1alpha1.LabelTenant, "b")) }, want: `its label nautes.io/tenant is "b" instead of "acme"`},
	} {
		item := plan.Item{ID: secretID("s"), Stage: plan.StageConfig, Object: secret("s", ourLabels)}
		test.change(&item)
		in, err := newPass(t, &stubConn{}).intend(item)
		var wrong *PlanError
		switch {
		case test.want == "" && (err != nil || in.gvk != secretKind || in.object.GroupVersionKind() != secretKind || in.object.GetName() != "s" || in.item.ID != item.ID):
			t.Errorf("%s: %+v, %v", name, in, err)
		case test.want != "" && (!errors.As(err, &wrong) || wrong.Problem != test.want || wrong.ID != item.ID):
			t.Errorf("%s: the error is %v, want %q", name, err, test.want)
		}
	}
}

// Only fields that the plan sets are applied: no status, no field of the server,
// no key without a value; and the text of a Secret becomes its data.
func TestIntentHoldsThePlan(t *testing.T) {
	o := &unstructured.Unstructured{}
	err := json.Unmarshal([]byte(`{
		"apiVersion": "v1", "kind": "Secret",
		"metadata": {"namespace": "ns", "name": "s", "creationTimestamp": null, "managedFields": [], "resourceVersion": "1", "uid": "u", "generation": 3},
		"status": {"x": "y"}, "stringData": {"b": "text"}, "data": {"a": "AA=="}, "list": [{"null": null, "kept": {"null": null, "zero": 0}}], "null": null
	}`), o)
	if err != nil {
		t.Fatal(err)
	}
	o.SetLabels(ourLabels)
	before := o.DeepCopy()
	in, err := newPass(t, &stubConn{}).intend(plan.Item{ID: secretID("s"), Object: o})
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]any{}
	for key, value := range ourLabels {
		labels[key] = value
	}
	want := map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"namespace": "ns", "name": "s", "labels": labels},
		"data": map[string]any{"a": "AA==", "b": "dGV4dA=="}, "list": []any{map[string]any{"kept": map[string]any{"zero": int64(0)}}},
	}
	if diff := cmp.Diff(want, in.object.Object); diff != "" {
		t.Errorf("the intent (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, o); diff != "" {
		t.Errorf("the plan was changed:\n%s", diff)
	}
	for name, test := range map[string]struct{ in, want map[string]any }{
		"no text":    {map[string]any{"data": map[string]any{"a": "AA=="}}, map[string]any{"data": map[string]any{"a": "AA=="}}},
		"empty text": {map[string]any{"stringData": map[string]any{}}, map[string]any{}},
		"only text":  {map[string]any{"stringData": map[string]any{"a": "text"}}, map[string]any{"data": map[string]any{"a": "dGV4dA=="}}},
		"no string":  {map[string]any{"stringData": map[string]any{"a": 1}}, map[string]any{"data": map[string]any{}}},
	} {
		encodeStringData(test.in)
		if diff := cmp.Diff(test.want, test.in); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// The stringData of other kinds is a field like any other.
	for _, kind := range []schema.GroupVersionKind{{Version: "v1", Kind: "ConfigMap"}, {Group: "other", Version: "v1", Kind: "Secret"}} {
		o.SetGroupVersionKind(kind)
		in, err = newPass(t, &stubConn{}).intend(plan.Item{ID: plan.IDOf(kind, o), Object: o})
		if err != nil || in.object.Object["stringData"] == nil {
			t.Errorf("%v: %v, %v", kind, in.object, err)
		}
	}
}

// stubStore is a secret store in which every secret has the same fields, or which
// fails.
type stubStore struct {
	secrets.Store
	version string
	fields  map[string]string
	calls   int
	err     error
}

func (s *stubStore) Version(context.Context, secrets.Ref) (string, error) {
	s.calls++
	return s.version, s.err
}

func (s *stubStore) Get(context.Context, secrets.Ref) (secrets.Secret, error) {
	s.calls++
	secret := secrets.Secret{Version: s.version, Fields: map[string]secrets.Value{}}
	for name, value := range s.fields {
		secret.Fields[name] = secrets.NewValue([]byte(value))
	}
	return secret, s.err
}

// The hash of an intent differs with the object, the references of its secrets and
// their versions, each of which is read once.
func TestHash(t *testing.T) {
	value := plan.SecretValue{Key: "k", Ref: plan.SecretRef{Engine: "git", Path: "a"}, Field: "f"}
	second := value
	second.Key = "l"
	hash := func(name, version string, values ...plan.SecretValue) (string, int) {
		t.Helper()
		store := &stubStore{version: version}
		p := newPass(t, &stubConn{})
		p.store = store
		got, err := p.hash(t.Context(), intent{item: plan.Item{ID: testID, Secrets: values}, object: &unstructured.Unstructured{Object: map[string]any{"name": name}}})
		if err != nil || got == "" {
			t.Fatal(got, err)
		}
		return got, store.calls
	}
	first, calls := hash("a", "1", value)
	if again, _ := hash("a", "1", value); again != first || calls != 1 {
		t.Errorf("the same intent has two hashes, or %d calls were made", calls)
	}
	if _, calls := hash("a", "1", value, second); calls != 1 {
		t.Errorf("%d calls for one secret", calls)
	}
	seen := map[string]bool{first: true}
	for name, of := range map[string]func() (string, int){
		"another object":  func() (string, int) { return hash("b", "1", value) },
		"another version": func() (string, int) { return hash("a", "2", value) },
		"another key":     func() (string, int) { return hash("a", "1", second) },
		"two values":      func() (string, int) { return hash("a", "1", value, second) },
		"no value":        func() (string, int) { return hash("a", "1") },
	} {
		if got, _ := of(); seen[got] {
			t.Errorf("%s has the hash of another intent", name)
		} else {
			seen[got] = true
		}
	}
	p := newPass(t, &stubConn{})
	p.store = &stubStore{err: secrets.ErrNotFound}
	var missing *SecretMissingError
	if _, err := p.hash(t.Context(), intent{item: plan.Item{Secrets: []plan.SecretValue{value}}, object: &unstructured.Unstructured{}}); !errors.As(err, &missing) {
		t.Errorf("without a secret: %v", err)
	}
	var wrong *PlanError
	unfit := &unstructured.Unstructured{Object: map[string]any{"f": func() {}}}
	if _, err := p.hash(t.Context(), intent{item: plan.Item{ID: testID}, object: unfit}); !errors.As(err, &wrong) || wrong.ID != testID {
		t.Errorf("an object that is no JSON: %v", err)
	}
}

func TestFill(t *testing.T) {
	value := plan.SecretValue{Key: "k", Ref: plan.SecretRef{Engine: "git", Path: "a"}, Field: "f"}
	optional := plan.SecretValue{Key: "o", Ref: value.Ref, Field: "absent", Optional: true}
	for name, test := range map[string]struct {
		values    []plan.SecretValue
		data      any
		storeErr  error
		want      any
		wantAs    any
		wantCalls int
	}{
		"a value":            {values: []plan.SecretValue{value}, data: map[string]any{"a": "AA=="}, want: map[string]any{"a": "AA==", "k": "dmFsdWU="}, wantCalls: 1},
		"an optional one":    {values: []plan.SecretValue{optional, value}, data: map[string]any{}, want: map[string]any{"k": "dmFsdWU="}, wantCalls: 1},
		"no data for it":     {values: []plan.SecretValue{value}, data: "text", wantAs: new(*PlanError), wantCalls: 1},
		"no secret":          {values: []plan.SecretValue{value}, data: map[string]any{}, storeErr: secrets.ErrNotFound, wantAs: new(*SecretMissingError), wantCalls: 1},
		"nothing to fill in": {data: map[string]any{"a": "AA=="}, want: map[string]any{"a": "AA=="}},
	} {
		store := &stubStore{version: "1", fields: map[string]string{"f": "value"}, err: test.storeErr}
		p := newPass(t, &stubConn{})
		p.store = store
		in := intent{item: plan.Item{ID: testID, Secrets: test.values}, object: &unstructured.Unstructured{Object: map[string]any{"data": test.data}}}
		got, err := p.fill(t.Context(), in)
		switch {
		case test.wantAs != nil && (err == nil || !errors.As(err, test.wantAs)):
			t.Errorf("%s: the error is %v, want %T", name, err, test.wantAs)
		case test.wantAs == nil && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.wantAs == nil:
			if diff := cmp.Diff(test.want, got.Object["data"]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		if diff := cmp.Diff(test.data, in.object.Object["data"]); diff != "" || store.calls != test.wantCalls {
			t.Errorf("%s: the intent was changed, or %d calls were made: %s", name, store.calls, diff)
		}
	}
}

func TestOlder(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{{"1", "2", true}, {"2", "2", false}, {"3", "2", false}, {"9", "10", true}, {"", "2", false}, {"1", "", false}, {"x", "y", false}} {
		if got := older(test.a, test.b); got != test.want {
			t.Errorf("%q is older than %q: %t", test.a, test.b, got)
		}
	}
}
