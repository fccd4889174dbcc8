package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

var (
	spaceOwner = plan.Owner{Kind: "Space", Product: "p", Name: "p"}
	ourLabels  = spaceOwner.Labels("acme")
	errTrouble = errors.New("trouble")
)

// stubConn is a connection with fixed caches in front of a fake client.
type stubConn struct {
	Connection
	client   client.Client
	cache    map[plan.ID]*metav1.PartialObjectMetadata
	owned    []metav1.PartialObjectMetadata
	unserved string
	err      error
}

func (c *stubConn) UID() string           { return "1" }
func (c *stubConn) Client() client.Client { return c.client }

func (c *stubConn) Get(_ context.Context, id plan.ID) (*metav1.PartialObjectMetadata, error) {
	return c.cache[id], c.err
}

func (c *stubConn) Owned(context.Context, plan.Owner) ([]metav1.PartialObjectMetadata, error) {
	return c.owned, nil
}

func (c *stubConn) Serves(_ context.Context, group, kind string) (bool, error) {
	return group+"/"+kind != c.unserved, c.err
}

func newPass(t *testing.T, conn *stubConn, objects ...client.Object) *pass {
	t.Helper()
	if conn.client == nil {
		conn.client = fake.NewClientBuilder().WithObjects(objects...).Build()
	}
	p := &pass{
		Applier: New("acme", nil), conn: conn, set: plan.Set{Owner: spaceOwner, Target: onCluster},
		key: memoKey{uid: "1", owner: spaceOwner}, failedNamespaces: map[string]error{},
	}
	p.journal = newJournal(t.Context(), &p.memory, p.key, p.set)
	return p
}

func meta(gvk schema.GroupVersionKind, namespace, name string, labels map[string]string) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
	o.SetGroupVersionKind(gvk)
	return o
}

var secretKind = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}

func secret(name string, labels map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: labels}}
}

func secretID(name string) plan.ID { return plan.ID{Kind: "Secret", Namespace: "ns", Name: name} }

func with(labels map[string]string, key, value string) map[string]string {
	changed := map[string]string{key: value}
	for k, v := range labels {
		if k != key {
			changed[k] = v
		}
	}
	return changed
}

func TestStageOf(t *testing.T) {
	for _, test := range []struct {
		group, kind string
		want        plan.Stage
	}{
		{"", "Namespace", plan.StageNamespace},
		{"other", "Namespace", plan.StageConfig},
		{"", "ServiceAccount", plan.StageAccount},
		{"other", "ServiceAccount", plan.StageConfig},
		{"rbac.authorization.k8s.io", "Role", plan.StageAccount},
		{"rbac.authorization.k8s.io", "RoleBinding", plan.StageAccount},
		{"", "Role", plan.StageConfig},
		{"argoproj.io", "Application", plan.StageWorkload},
		{"argoproj.io", "EventSource", plan.StageWorkload},
		{"argoproj.io", "Sensor", plan.StageWorkload},
		{"argoproj.io", "AppProject", plan.StageConfig},
		{"other", "Application", plan.StageConfig},
		{"nautes.resource.nautes.io", "Cluster", plan.StageWorkload},
		{"cluster.x-k8s.io", "Cluster", plan.StageConfig},
		{"", "Secret", plan.StageConfig},
	} {
		if got := stageOf(plan.ID{Group: test.group, Kind: test.kind, Name: "x"}); got != test.want {
			t.Errorf("%s of group %q is removed in stage %d, want %d", test.kind, test.group, got, test.want)
		}
	}
}

func TestGuard(t *testing.T) {
	ids := func(n int) []plan.ID {
		var all []plan.ID
		for i := range n {
			all = append(all, secretID(fmt.Sprintf("s%03d", i)))
		}
		return all
	}
	// light reports the last objects as free.
	light := func(first int) func(plan.ID) bool {
		heavy := ids(first)
		return func(id plan.ID) bool { return slices.Contains(heavy, id) }
	}
	for _, test := range []struct {
		removed, total int
		o              Options
		want           int
	}{
		{removed: 10, total: 10},
		{removed: 11, total: 22},
		{removed: 11, total: 21, want: 11},
		{removed: 11, total: 11, want: 11},
		{removed: 11, total: 11, o: Options{ConfirmPrune: true}},
		{removed: 11, total: 11, o: Options{NoGuard: true}},
		{removed: 30, total: 30, o: Options{Weighs: light(0)}},
		{removed: 30, total: 30, o: Options{Weighs: light(10)}},
		{removed: 30, total: 30, o: Options{Weighs: light(11)}, want: 11},
		{removed: 11, total: 40, o: Options{Weighs: light(22)}},
		{removed: 11, total: 40, o: Options{Weighs: light(21)}, want: 11},
		{},
	} {
		guarded := checkGuard(plan.Set{Owner: spaceOwner, Target: onCluster}, test.o, ids(test.removed), ids(test.total))
		if got := !test.o.allows(guarded); got != (test.want > 0) {
			t.Errorf("%d of %d: refused is %t", test.removed, test.total, got)
		}
		if test.want > 0 && len(guarded.Objects) != test.want {
			t.Errorf("%d of %d: %d objects are kept, want %d", test.removed, test.total, len(guarded.Objects), test.want)
		}
	}
}

func TestOwns(t *testing.T) {
	tenantOwned := plan.Owner{Kind: "Cluster", Name: "c"}
	for name, test := range map[string]struct {
		owner  plan.Owner
		labels map[string]string
		// want: the object has the owner's labels. wantOwner: it has an owner of the tenant.
		want, wantOwner bool
	}{
		"ours":                   {spaceOwner, ourLabels, true, true},
		"with other labels":      {spaceOwner, with(ourLabels, "x", "y"), true, true},
		"of another manager":     {spaceOwner, with(ourLabels, v1alpha1.LabelManagedBy, "helm"), false, false},
		"of another tenant":      {spaceOwner, with(ourLabels, v1alpha1.LabelTenant, "other"), false, false},
		"of another kind":        {spaceOwner, with(ourLabels, v1alpha1.LabelOwnerKind, "Other"), false, true},
		"of no kind":             {spaceOwner, with(ourLabels, v1alpha1.LabelOwnerKind, ""), false, false},
		"of another name":        {spaceOwner, with(ourLabels, v1alpha1.LabelOwnerName, "q"), false, true},
		"of another product":     {spaceOwner, with(ourLabels, v1alpha1.LabelProduct, "q"), false, true},
		"a copy by HNC":          {spaceOwner, with(ourLabels, labelInheritedFrom, "parent"), false, true},
		"without labels":         {spaceOwner, nil, false, false},
		"of the tenant":          {tenantOwned, tenantOwned.Labels("acme"), true, true},
		"of a product as well":   {tenantOwned, with(tenantOwned.Labels("acme"), v1alpha1.LabelProduct, "p"), false, true},
		"a copy of the tenant's": {tenantOwned, with(tenantOwned.Labels("acme"), labelInheritedFrom, ""), false, true},
	} {
		p := newPass(t, &stubConn{})
		p.set.Owner = test.owner
		o := meta(secretKind, "ns", "s", test.labels)
		if p.owns(o) != test.want || p.hasOwner(o) != test.wantOwner {
			t.Errorf("%s: owned %t, has an owner %t", name, p.owns(o), p.hasOwner(o))
		}
		// Only an object without owner can be handed over, and to its taker only.
		for adopt, taker := range map[string]bool{"": false, test.owner.Kind + "/" + test.owner.Name: true, "Space/other": false} {
			o.Annotations = map[string]string{v1alpha1.AnnotationAdopt: adopt}
			_, copied := test.labels[labelInheritedFrom]
			if got := p.mayWrite(o); got != (test.want || taker && !test.wantOwner && !copied) {
				t.Errorf("%s, handed to %q: may be written %t", name, adopt, got)
			}
		}
	}
}

func TestHolder(t *testing.T) {
	by := func(manager, subresource string) []metav1.ManagedFieldsEntry {
		return []metav1.ManagedFieldsEntry{{Manager: v1alpha1.ManagedBy}, {Manager: manager, Subresource: subresource}}
	}
	for name, test := range map[string]struct {
		labels    map[string]string
		fields    []metav1.ManagedFieldsEntry
		want      string
		wantAdopt bool
	}{
		"nothing known":       {want: "another owner", wantAdopt: true},
		"a field manager":     {fields: by("kubectl", ""), want: "another owner (kubectl)", wantAdopt: true},
		"only a status":       {fields: by("controller", "status"), want: "another owner", wantAdopt: true},
		"only ours":           {fields: by(v1alpha1.ManagedBy, ""), want: "another owner", wantAdopt: true},
		"another manager":     {labels: map[string]string{v1alpha1.LabelManagedBy: "Helm"}, want: "Helm", wantAdopt: true},
		"another tenant":      {labels: with(ourLabels, v1alpha1.LabelTenant, "b"), want: "the tenant b", wantAdopt: true},
		"ours without tenant": {labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}, want: v1alpha1.ManagedBy, wantAdopt: true},
		"a tenant of another": {labels: map[string]string{v1alpha1.LabelManagedBy: "x", v1alpha1.LabelTenant: "b"}, want: "x", wantAdopt: true},
		"another owner":       {labels: with(ourLabels, v1alpha1.LabelOwnerName, "r"), want: "Space p/r"},
		"a copy":              {labels: with(ourLabels, labelInheritedFrom, "parent"), want: "HNC, which copies it from the namespace parent"},
		"a copy of no owner":  {labels: map[string]string{labelInheritedFrom: "parent"}, want: "HNC, which copies it from the namespace parent"},
	} {
		o := meta(secretKind, "ns", "s", test.labels)
		o.ManagedFields = test.fields
		var got *NotOursError
		if err := newPass(t, &stubConn{}).notOurs(testID, o); !errors.As(err, &got) {
			t.Fatal(err)
		}
		wantAdopt := ""
		if test.wantAdopt {
			wantAdopt = "Space/p"
		}
		if diff := cmp.Diff(&NotOursError{ID: testID, Target: onCluster, Holder: test.want, Adopt: wantAdopt}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Labels prove nothing in a namespace of another product, and a namespace that
// cannot be read proves nothing at all.
func TestNamespaces(t *testing.T) {
	namespaceKind := schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}
	for name, test := range map[string]struct {
		namespace *metav1.PartialObjectMetadata
		err       error
		failed    bool
		clustered bool
		// wantOwned: an object with our labels counts as ours. wantEnter: objects
		// may be written there.
		wantOwned, wantEnter bool
	}{
		"unknown":               {wantOwned: true, wantEnter: true},
		"ours":                  {namespace: meta(namespaceKind, "", "ns", ourLabels), wantOwned: true, wantEnter: true},
		"of no product":         {namespace: meta(namespaceKind, "", "ns", nil), wantOwned: true, wantEnter: true},
		"of another product":    {namespace: meta(namespaceKind, "", "ns", with(ourLabels, v1alpha1.LabelProduct, "q"))},
		"not readable":          {err: errTrouble},
		"could not be written":  {failed: true, wantOwned: true},
		"not readable, no need": {err: errTrouble, clustered: true, wantOwned: true, wantEnter: true},
	} {
		conn := &stubConn{cache: map[plan.ID]*metav1.PartialObjectMetadata{}, err: test.err}
		if test.namespace != nil {
			conn.cache[namespaceID("ns")] = test.namespace
		}
		p := newPass(t, conn)
		if test.failed {
			p.failedNamespaces["ns"] = errTrouble
		}
		o := meta(secretKind, "ns", "s", ourLabels)
		if test.clustered {
			o.Namespace = ""
		}
		owned, err := p.isOwned(t.Context(), o)
		if owned != test.wantOwned || (err != nil) != (test.err != nil && !test.clustered) {
			t.Errorf("%s: owned %t, %v", name, owned, err)
		}
		err = p.checkNamespace(t.Context(), plan.IDOf(secretKind, o))
		if (err == nil) != test.wantEnter || (test.failed || test.err != nil && !test.clustered) && !errors.Is(err, errTrouble) {
			t.Errorf("%s: entering ends with %v", name, err)
		}
		o.Labels = nil
		if owned, err := p.isOwned(t.Context(), o); owned || err != nil {
			t.Errorf("%s: an object without labels is owned %t, %v", name, owned, err)
		}
	}
}

func TestFindPrunable(t *testing.T) {
	now := metav1.Now()
	terminating := func(o *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
		o.DeletionTimestamp = &now
		return o
	}
	cached := meta(secretKind, "ns", "cached", ourLabels)
	for name, test := range map[string]struct {
		owned    []*metav1.PartialObjectMetadata
		items    []string
		keep     []string
		written  []string
		server   []client.Object
		unserved string
		want     []candidate
		wantLeft []string
	}{
		"nothing":              {},
		"an object of the set": {owned: []*metav1.PartialObjectMetadata{cached}, items: []string{"cached"}},
		"an object to keep":    {owned: []*metav1.PartialObjectMetadata{cached}, keep: []string{"cached"}},
		"a cached object":      {owned: []*metav1.PartialObjectMetadata{cached}, want: []candidate{{id: secretID("cached"), gvk: secretKind}}},
		"one that terminates": {
			owned: []*metav1.PartialObjectMetadata{terminating(meta(secretKind, "ns", "cached", ourLabels))},
			want:  []candidate{{id: secretID("cached"), gvk: secretKind, terminating: true}},
		},
		"a foreign one": {owned: []*metav1.PartialObjectMetadata{meta(secretKind, "ns", "cached", nil)}},
		"one that the cache does not show": {
			written: []string{"b", "a"}, server: []client.Object{secret("a", ourLabels), secret("b", ourLabels)},
			want:     []candidate{{id: secretID("a"), gvk: secretKind}, {id: secretID("b"), gvk: secretKind}},
			wantLeft: []string{"a", "b"},
		},
		"one that is gone":        {written: []string{"a"}},
		"one that is foreign now": {written: []string{"a"}, server: []client.Object{secret("a", nil)}},
		"one whose kind is gone":  {written: []string{"a"}, server: []client.Object{secret("a", ourLabels)}, unserved: "/Secret"},
		"one that is in the set": {
			written: []string{"a"}, items: []string{"a"}, server: []client.Object{secret("a", ourLabels)}, wantLeft: []string{"a"},
		},
		"one that the cache shows too": {
			owned: []*metav1.PartialObjectMetadata{cached}, written: []string{"cached"}, server: []client.Object{secret("cached", ourLabels)},
			want: []candidate{{id: secretID("cached"), gvk: secretKind}}, wantLeft: []string{"cached"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn := &stubConn{unserved: test.unserved}
			p := newPass(t, conn, test.server...)
			for _, name := range test.items {
				p.set.Items = append(p.set.Items, plan.Item{ID: secretID(name)})
			}
			for _, name := range test.keep {
				p.set.Keep = append(p.set.Keep, secretID(name))
			}
			for _, name := range test.written {
				p.memory.put(p.key, secretID(name), record{gvk: secretKind})
			}
			var owned []metav1.PartialObjectMetadata
			for _, o := range test.owned {
				owned = append(owned, *o)
			}
			got, err := p.findPrunable(t.Context(), owned)
			if err != nil || got.guarded != nil {
				t.Fatal(err, got.guarded)
			}
			if diff := cmp.Diff(test.want, got.candidates, cmp.AllowUnexported(candidate{})); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
			var left []string
			for _, id := range p.memory.ids(p.key) {
				left = append(left, id.Name)
			}
			slices.Sort(left)
			if diff := cmp.Diff(test.wantLeft, left); diff != "" {
				t.Errorf("remembered (-want +got):\n%s", diff)
			}
		})
	}
}

// The guard counts objects that the cache does not show, and not those that
// terminate already. An error of a read is no empty list.
func TestFindPrunableCounts(t *testing.T) {
	now := metav1.Now()
	var owned []metav1.PartialObjectMetadata
	var server []client.Object
	conn := &stubConn{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		owned = append(owned, *meta(secretKind, "ns", name, ourLabels))
	}
	for _, name := range []string{"u", "v"} {
		server = append(server, secret(name, ourLabels))
	}
	leaving := meta(secretKind, "ns", "leaving", ourLabels)
	leaving.DeletionTimestamp = &now
	p := newPass(t, conn, server...)
	p.memory.put(p.key, secretID("u"), record{gvk: secretKind})
	got, err := p.findPrunable(t.Context(), append(owned, *leaving))
	if err != nil || got.guarded == nil || len(got.guarded.Objects) != 11 || got.guarded.Total != 12 || len(got.candidates) != 12 {
		t.Errorf("%+v, %v", got.guarded, err)
	}
	conn.err = errTrouble
	if _, err := p.findPrunable(t.Context(), nil); !errors.Is(err, errTrouble) {
		t.Errorf("a kind that cannot be looked up: %v", err)
	}
	if _, err := newPass(t, conn).findPrunable(t.Context(), owned); !errors.Is(err, errTrouble) {
		t.Errorf("a namespace that cannot be looked up: %v", err)
	}
	conn.err = nil
	conn.client = interceptor.NewClient(conn.client.(client.WithWatch), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return errTrouble
		},
	})
	var about *ItemError
	if _, err := p.findPrunable(t.Context(), nil); !errors.As(err, &about) || about.ID != secretID("u") || !errors.Is(err, errTrouble) {
		t.Errorf("an object that cannot be read: %v", err)
	}
}

func TestInterpretDeleteError(t *testing.T) {
	resource := schema.GroupResource{Resource: "secrets"}
	for name, test := range map[string]struct {
		err          error
		wantExists   bool
		wantConflict bool
	}{
		"gone":     {err: apierrors.NewNotFound(resource, "s")},
		"conflict": {err: apierrors.NewConflict(resource, "s", errTrouble), wantExists: true, wantConflict: true},
		"other":    {err: errTrouble, wantExists: true},
	} {
		p := newPass(t, &stubConn{})
		p.memory.put(p.key, testID, record{})
		exists, err := p.interpretDeleteError(candidate{id: testID}, test.err)
		var conflict *ConflictError
		if exists != test.wantExists || (err != nil) != test.wantExists || errors.As(err, &conflict) != test.wantConflict {
			t.Errorf("%s: exists %t, %v", name, exists, err)
		}
		if test.wantConflict && (conflict.ID != testID || conflict.Target != onCluster || !errors.Is(err, test.err)) {
			t.Errorf("%s: %+v", name, conflict)
		}
		if _, ok := p.memory.get(p.key, testID); ok != test.wantExists {
			t.Errorf("%s: remembered %t", name, ok)
		}
	}
}

func TestIsReplaced(t *testing.T) {
	resource := schema.GroupResource{Resource: "secrets"}
	invalid := func(field string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: 422, Reason: metav1.StatusReasonInvalid, Details: &metav1.StatusDetails{
			Causes: []metav1.StatusCause{{Field: "spec"}, {Field: field}},
		}}}
	}
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"none":               {},
		"conflict":           {apierrors.NewConflict(resource, "s", errTrouble), true},
		"gone":               {apierrors.NewNotFound(resource, "s"), true},
		"another UID":        {invalid("metadata.uid"), true},
		"another field":      {invalid("spec.x"), false},
		"without details":    {status(422, metav1.StatusReasonInvalid, ""), false},
		"another status":     {status(500, metav1.StatusReasonInternalError, ""), false},
		"no status":          {errTrouble, false},
		"a UID, but allowed": {&apierrors.StatusError{ErrStatus: metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden, Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Field: "metadata.uid"}}}}}, false},
	} {
		if got := isReplaced(test.err); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestSettled(t *testing.T) {
	now := metav1.Now()
	fields := func(raw string) []metav1.ManagedFieldsEntry {
		return []metav1.ManagedFieldsEntry{{
			Manager: v1alpha1.ManagedBy, Operation: metav1.ManagedFieldsOperationApply, FieldsV1: &metav1.FieldsV1{Raw: []byte(raw)},
		}}
	}
	for name, test := range map[string]struct {
		change func(*record, *metav1.PartialObjectMetadata)
		absent bool
		want   bool
	}{
		"as written":     {change: func(*record, *metav1.PartialObjectMetadata) {}, want: true},
		"never written":  {absent: true, change: func(*record, *metav1.PartialObjectMetadata) {}},
		"in doubt":       {change: func(r *record, _ *metav1.PartialObjectMetadata) { r.intent = "" }},
		"another intent": {change: func(r *record, _ *metav1.PartialObjectMetadata) { r.intent = "other" }},
		"terminating":    {change: func(_ *record, o *metav1.PartialObjectMetadata) { o.DeletionTimestamp = &now }},
		"no longer ours": {change: func(_ *record, o *metav1.PartialObjectMetadata) { o.Labels = nil }},
		"other fields":   {change: func(_ *record, o *metav1.PartialObjectMetadata) { o.ManagedFields = fields(`{"f:b":{}}`) }},
		"other fields, newer": {change: func(_ *record, o *metav1.PartialObjectMetadata) {
			o.ManagedFields, o.ResourceVersion = fields(`{"f:b":{}}`), "6"
		}},
		"other fields, older": {change: func(_ *record, o *metav1.PartialObjectMetadata) {
			o.ManagedFields, o.ResourceVersion = fields(`{"f:b":{}}`), "4"
		}, want: true},
		"no version": {change: func(_ *record, o *metav1.PartialObjectMetadata) { o.ManagedFields, o.ResourceVersion = nil, "" }},
	} {
		p := newPass(t, &stubConn{})
		seen := meta(secretKind, "ns", "s", ourLabels)
		seen.ResourceVersion, seen.ManagedFields = "5", fields(`{"f:a":{}}`)
		r := record{intent: "hash", version: "5", fields: plan.DigestFields(testID.GroupKind(), seen)}
		test.change(&r, seen)
		if !test.absent {
			p.memory.put(p.key, testID, r)
		}
		if got := p.settled(testID, "hash", seen); got != test.want {
			t.Errorf("%s: settled %t", name, got)
		}
		if p.settled(testID, "hash", nil) {
			t.Errorf("%s: an object that does not exist is settled", name)
		}
	}
}

func TestKeepOnStoreError(t *testing.T) {
	now := metav1.Now()
	leaving := meta(secretKind, "ns", "s", ourLabels)
	leaving.DeletionTimestamp = &now
	for name, test := range map[string]struct {
		err      error
		seen     *metav1.PartialObjectMetadata
		getErr   error
		wantKept bool
		wantErr  error
	}{
		"away, it exists":      {err: secrets.ErrUnavailable, seen: meta(secretKind, "ns", "s", ourLabels), wantKept: true, wantErr: secrets.ErrUnavailable},
		"denied, it exists":    {err: secrets.ErrDenied, seen: meta(secretKind, "ns", "s", ourLabels), wantKept: true, wantErr: secrets.ErrDenied},
		"missing, it exists":   {err: secrets.ErrNotFound, seen: meta(secretKind, "ns", "s", ourLabels), wantErr: secrets.ErrNotFound},
		"away, it does not":    {err: secrets.ErrUnavailable, wantErr: secrets.ErrUnavailable},
		"away, it terminates":  {err: secrets.ErrUnavailable, seen: leaving, wantErr: secrets.ErrUnavailable},
		"away, it is foreign":  {err: secrets.ErrUnavailable, seen: meta(secretKind, "ns", "s", nil), wantErr: secrets.ErrUnavailable},
		"away, and no read":    {err: secrets.ErrUnavailable, getErr: errTrouble, wantErr: errTrouble},
		"missing, and no read": {err: secrets.ErrNotFound, getErr: errTrouble, wantErr: secrets.ErrNotFound},
	} {
		conn := &stubConn{cache: map[plan.ID]*metav1.PartialObjectMetadata{}, err: test.getErr}
		if test.seen != nil {
			conn.cache[testID] = test.seen
		}
		got := newPass(t, conn).keepOnStoreError(t.Context(), testID, test.err)
		var kept keptError
		if !errors.Is(got, test.wantErr) || errors.As(got, &kept) != test.wantKept {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestHasOtherManager(t *testing.T) {
	ours := metav1.ManagedFieldsEntry{Manager: v1alpha1.ManagedBy, Operation: metav1.ManagedFieldsOperationApply}
	for want, entries := range map[bool][]metav1.ManagedFieldsEntry{
		false: {ours}, true: {ours, {Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate}},
	} {
		o := meta(secretKind, "ns", "s", nil)
		o.ManagedFields = entries
		if got := hasOtherManager(o); got != want {
			t.Errorf("%v: %t", entries, got)
		}
	}
}
