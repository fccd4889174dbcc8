package apply_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/test/remotetest"
)

// gone returns the items that are deleted, or being deleted, on the server.
func (w *world) gone(items ...plan.Item) []string {
	w.t.Helper()
	var gone []string
	for _, item := range items {
		if live := w.live(item.ID); live == nil || live.GetDeletionTimestamp() != nil {
			gone = append(gone, item.ID.Kind)
		}
	}
	return gone
}

func names(ids []plan.ID) []string {
	var names []string
	for _, id := range ids {
		names = append(names, id.Kind)
	}
	return names
}

func TestPruneGoesAgainstTheStages(t *testing.T) {
	w := newWorld(t, "stages")
	items := w.complete(w.namespace())
	ns, app := items[0], items[5]
	a := w.applier()
	w.must(a, items...)
	o := apply.Options{NoGuard: true}

	// The Application has a finalizer: nothing else is removed while it exists.
	r, err := w.apply(a, o)
	if err != nil || len(r.Deleted) != 1 {
		t.Fatalf("first pass: %+v, %v", r, err)
	}
	if diff := cmp.Diff([]string{"Application"}, w.gone(items...)); diff != "" {
		t.Errorf("first pass: %s", diff)
	}
	if diff := cmp.Diff([]string{"Application", "AppProject", "Secret", "RoleBinding", "ServiceAccount", "Namespace"}, sortedAs(names(r.Removing))); diff != "" {
		t.Errorf("still there after the first pass: %s", diff)
	}
	w.settle(app)
	if r, err := w.apply(a, o); err != nil || len(r.Deleted) != 0 || r.Calls != 0 || len(r.Removing) != 6 {
		t.Errorf("pass while it terminates: %+v, %v", r, err)
	}

	w.release(app.ID)
	w.unseen(app.ID)
	r, err = w.apply(a, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Namespace"}, names(r.Removing)); diff != "" || len(r.Deleted) != 5 {
		t.Errorf("second pass: %+v %s", r, diff)
	}
	w.finish(ns.ID.Name)
	w.unseen(ns.ID)
	r, err = w.apply(a, o)
	if err != nil || len(r.Removing) != 0 || len(r.Deleted) != 0 {
		t.Errorf("last pass: %+v, %v", r, err)
	}
	if got := w.gone(items...); len(got) != len(items) {
		t.Errorf("only gone: %v", got)
	}
	if r, err := w.apply(a, o); err != nil || r.Calls != 0 {
		t.Errorf("pass over nothing: %+v, %v", r, err)
	}
}

// sortedAs puts kinds in the order of removal; kinds of one stage by name.
func sortedAs(kinds []string) []string {
	order := []string{"Application", "AppProject", "Secret", "RoleBinding", "ServiceAccount", "Namespace"}
	var out []string
	for _, want := range order {
		for _, kind := range kinds {
			if kind == want {
				out = append(out, kind)
			}
		}
	}
	return out
}

func TestPruneTakesOnlyWhatIsNotAsked(t *testing.T) {
	w := newWorld(t, "only")
	ns := w.namespace()
	a := w.applier()
	stays, kept, goes := w.account(ns, "stays"), w.account(ns, "kept"), w.account(ns, "goes")
	other := &world{t: t, admin: w.admin, conn: w.conn, store: w.store, owner: plan.Owner{Kind: "DeploymentRuntime", Product: w.owner.Product, Name: w.owner.Name}}
	others := other.account(ns, "others")
	w.must(a, stays, kept, goes)
	other.must(a, others)
	foreign := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "foreign"}}
	w.create(foreign)

	set := w.set(stays)
	set.Keep = []plan.ID{kept.ID}
	r, err := a.Apply(t.Context(), w.conn, set, apply.Options{})
	if err != nil || len(r.Deleted) != 1 || r.Unchanged != 1 {
		t.Fatalf("pass: %+v, %v", r, err)
	}
	for item, want := range map[*plan.Item]int{&stays: 0, &kept: 0, &others: 0, &goes: 1} {
		if got := w.gone(*item); len(got) != want {
			t.Errorf("%s: gone is %v", item.ID, got)
		}
	}
	if live := w.live(plan.IDOf(kinds["ServiceAccount"], foreign)); live == nil {
		t.Error("the foreign account is gone")
	}
}

func TestForgedLabels(t *testing.T) {
	w := newWorld(t, "forged")
	attacker := remotetest.Unique("product-attacker")
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: attacker, Labels: plan.Owner{Kind: "Space", Product: attacker, Name: attacker}.Labels(tenant),
	}})
	ns := w.namespace()
	a := w.applier()
	var items, forged []plan.Item
	for i := range 4 {
		items = append(items, w.account(ns, fmt.Sprint("a", i)))
	}
	for i := range 20 {
		f := w.account(attacker, fmt.Sprint("f", i))
		w.create(f.Object)
		forged = append(forged, f)
	}
	w.must(a, items...)
	w.settle(forged...)
	// Twenty forged objects are neither removed nor counted by the guard.
	r, err := w.apply(a, apply.Options{}, items[0])
	if err != nil || len(r.Deleted) != 3 || len(r.Removing) != 0 {
		t.Errorf("pass: %+v, %v", r, err)
	}
	if got := w.gone(forged...); len(got) != 0 {
		t.Errorf("%d forged objects are gone", len(got))
	}
	// Nothing of ours is written there either.
	_, err = w.apply(a, apply.Options{}, items[0], w.account(attacker, "mine"))
	var notOurs *apply.NotOursError
	if !errors.As(err, &notOurs) || notOurs.ID.Kind != "Namespace" || !strings.Contains(err.Error(), attacker) {
		t.Errorf("write into another product's namespace: %v", err)
	}
}

func TestGuard(t *testing.T) {
	w := newWorld(t, "guard")
	ns := w.namespace()
	a := w.applier()
	items := w.accounts(ns, 22)
	w.must(a, items...)
	fresh := w.account(ns, "new")

	// Half of them may be removed.
	if r, err := w.apply(a, apply.Options{}, items[11:]...); err != nil || len(r.Deleted) != 11 {
		t.Errorf("eleven of twenty-two: %+v, %v", r, err)
	}
	for _, item := range items[:11] {
		w.unseen(item.ID)
	}
	// Ten may be removed, however few remain.
	if r, err := w.apply(a, apply.Options{}, items[21]); err != nil || len(r.Deleted) != 10 {
		t.Errorf("ten of eleven: %+v, %v", r, err)
	}
	for _, item := range items[:21] {
		w.unseen(item.ID)
	}
	w.must(a, items...)

	r, err := w.apply(a, apply.Options{}, append([]plan.Item{fresh}, items[:10]...)...)
	var guard *apply.GuardError
	if !errors.As(err, &guard) || len(guard.Objects) != 12 || guard.Total != 22 {
		t.Fatalf("error is %v, want a *GuardError about 12 of 22", err)
	}
	if r.Written != 1 || len(r.Deleted) != 0 || w.live(fresh.ID) == nil {
		t.Errorf("guarded pass: %+v", r)
	}
	if !strings.Contains(err.Error(), v1alpha1.AnnotationConfirmPrune) || !strings.Contains(err.Error(), "12 of the 22") {
		t.Errorf("message is %q", err)
	}
	w.settle(fresh)
	r, err = w.apply(a, apply.Options{ConfirmPrune: true}, append([]plan.Item{fresh}, items[:10]...)...)
	if err != nil || len(r.Deleted) != 12 {
		t.Errorf("confirmed pass: %+v, %v", r, err)
	}
	for _, item := range items[10:] {
		w.unseen(item.ID)
	}
	if r, err := w.apply(a, apply.Options{NoGuard: true}); err != nil || len(r.Deleted) != 11 {
		t.Errorf("unguarded pass: %+v, %v", r, err)
	}
}

// While the guard keeps the objects that weigh, the others go.
func TestGuardLetsOthersGo(t *testing.T) {
	w := newWorld(t, "light")
	ns := w.namespace()
	a := w.applier()
	items := w.accounts(ns, 15)
	w.must(a, items...)
	for _, item := range items {
		w.settle(item)
	}
	weighs := func(id plan.ID) bool { return id.Name < "a12" }
	r, err := w.apply(a, apply.Options{Weighs: weighs})
	var guard *apply.GuardError
	if !errors.As(err, &guard) || len(guard.Objects) != 12 || guard.Total != 12 || len(r.Deleted) != 3 {
		t.Fatalf("%v, deleted %v: want a *GuardError about 12 of 12, and three deleted", err, r.Deleted)
	}
	for i, item := range items {
		if got := w.live(item.ID) != nil; got != (i < 12) {
			t.Errorf("%s exists: %v", item.ID, got)
		}
	}
	if r, err := w.apply(a, apply.Options{Weighs: func(plan.ID) bool { return false }}); err != nil || len(r.Deleted) != 12 {
		t.Errorf("%v, deleted %v: want all deleted", err, r.Deleted)
	}
}

func TestReadErrorPrunesNothing(t *testing.T) {
	w := newWorld(t, "unread")
	ns := w.namespace()
	a := w.applier()
	old, fresh := w.account(ns, "old"), w.account(ns, "fresh")
	w.must(a, old)
	trouble := errors.New("not synced")
	inNamespace := func(id plan.ID) (*metav1.PartialObjectMetadata, error) {
		if id.Kind == "Namespace" {
			return nil, trouble
		}
		return w.conn.Conn.Get(t.Context(), id)
	}
	for name, spoil := range map[string]func(){
		"of what is owned": func() {
			w.conn.owned = func(plan.Owner) ([]metav1.PartialObjectMetadata, error) { return nil, trouble }
		},
		"of the namespace":   func() { w.conn.get = inNamespace },
		"of a single object": func() { w.conn.get = func(plan.ID) (*metav1.PartialObjectMetadata, error) { return nil, trouble } },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() { w.conn.owned, w.conn.get = nil, nil }()
			spoil()
			if _, err := w.apply(a, apply.Options{NoGuard: true}, fresh); !errors.Is(err, trouble) {
				t.Errorf("error is %v", err)
			}
			if got := w.gone(old); len(got) != 0 || w.live(fresh.ID) != nil {
				t.Errorf("gone: %v, written: %v", got, w.live(fresh.ID))
			}
		})
	}
}

// The cache is behind, and the state on the server decides.
func TestServerDecidesWhatIsDeleted(t *testing.T) {
	w := newWorld(t, "decides")
	a := w.applier()
	label := func(key, value string) string { return fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, key, value) }
	for name, patch := range map[string]string{
		"of another product":  label(v1alpha1.LabelProduct, "product-x"),
		"of another owner":    label(v1alpha1.LabelOwnerName, "x"),
		"of another kind":     label(v1alpha1.LabelOwnerKind, "DeploymentRuntime"),
		"of another tenant":   label(v1alpha1.LabelTenant, "other"),
		"not managed":         label(v1alpha1.LabelManagedBy, "Helm"),
		"inherited from":      label("hnc.x-k8s.io/inherited-from", "parent"),
		"without the product": `{"metadata":{"labels":{"` + v1alpha1.LabelProduct + `":null}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			ns := w.namespaceItem(remotetest.Unique("decides"))
			w.must(a, ns)
			cached, err := w.conn.Conn.Get(t.Context(), ns.ID)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.admin.Patch(t.Context(), w.live(ns.ID), client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
				t.Fatal(err)
			}
			w.conn.owned = func(plan.Owner) ([]metav1.PartialObjectMetadata, error) {
				return []metav1.PartialObjectMetadata{*cached}, nil
			}
			defer func() { w.conn.owned = nil }()
			r, err := w.apply(a, apply.Options{NoGuard: true})
			if err != nil || len(r.Deleted) != 0 || len(r.Removing) != 0 {
				t.Errorf("pass: %+v, %v", r, err)
			}
			if got := w.gone(ns); len(got) != 0 {
				t.Error("the namespace is deleted")
			}
		})
	}
}

// The preconditions prevent the deletion of an object that changed since it was read.
func TestDeleteIsConditional(t *testing.T) {
	w := newWorld(t, "conditional")
	ns := w.namespace()
	a := w.applier()
	account := w.account(ns, "a")
	w.must(a, account)
	w.intercept(interceptor.Funcs{Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+v1alpha1.LabelOwnerName+`":"x"}}}`))
		if err := c.Patch(ctx, w.live(account.ID), patch); err != nil {
			t.Error(err)
		}
		return c.Delete(ctx, o, opts...)
	}})
	_, err := w.apply(a, apply.Options{NoGuard: true})
	var conflict *apply.ConflictError
	if !errors.As(err, &conflict) || !apierrors.IsConflict(err) {
		t.Errorf("error is %v, want a *ConflictError", err)
	}
	if got := w.gone(account); len(got) != 0 {
		t.Error("deleted all the same")
	}
}

// An object that we have written is removed even if the cache does not show it
// yet, and even if the answer to the write was lost.
func TestUnseenWritesAreRemoved(t *testing.T) {
	w := newWorld(t, "unseen")
	ns := w.namespace()
	a := w.applier()
	app, account := w.application(ns, "a"), w.account(ns, "a")
	blind := func() {
		w.conn.owned = func(plan.Owner) ([]metav1.PartialObjectMetadata, error) { return nil, nil }
		w.conn.get = func(plan.ID) (*metav1.PartialObjectMetadata, error) { return nil, nil }
	}
	blind()
	if r, err := w.apply(a, apply.Options{}, account, app); err != nil || r.Written != 2 {
		t.Fatalf("first pass: %+v, %v", r, err)
	}
	// Written again over a cache that shows nothing: still no change.
	before := w.versions([]plan.Item{account, app})
	if r, err := w.apply(a, apply.Options{}, account, app); err != nil || r.Unchanged != 2 {
		t.Errorf("second pass: %+v, %v", r, err)
	}
	if diff := cmp.Diff(before, w.versions([]plan.Item{account, app})); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		r, err := w.apply(a, apply.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]plan.ID{app.ID, account.ID}, r.Removing); diff != "" {
			t.Errorf("still there: %s", diff)
		}
	}
	w.release(app.ID)
	if r, err := w.apply(a, apply.Options{}); err != nil || len(r.Removing) != 0 || len(r.Deleted) != 1 {
		t.Errorf("last pass: %+v, %v", r, err)
	}
	if got := w.gone(app, account); len(got) != 2 {
		t.Errorf("only gone: %v", got)
	}
	if r, err := w.apply(a, apply.Options{}); err != nil || r.Calls != 0 {
		t.Errorf("pass over nothing: %+v, %v", r, err)
	}
}

// The answer to a write is lost, and the set changes before the cache shows the
// object.
func TestWriteWithoutAnAnswerIsRemembered(t *testing.T) {
	w := newWorld(t, "unanswered")
	ns := w.namespace()
	a := w.applier()
	account := w.account(ns, "a")
	w.conn.owned = func(plan.Owner) ([]metav1.PartialObjectMetadata, error) { return nil, nil }
	w.conn.get = func(plan.ID) (*metav1.PartialObjectMetadata, error) { return nil, nil }
	w.crashAt(0, true)
	if _, err := w.apply(a, apply.Options{}, account); !errors.Is(err, errCrash) || w.live(account.ID) == nil {
		t.Fatalf("error is %v, object is %v", err, w.live(account.ID))
	}
	w.conn.client = nil
	if r, err := w.apply(a, apply.Options{}); err != nil || len(r.Deleted) != 1 || w.live(account.ID) != nil {
		t.Errorf("pass: %+v, %v", r, err)
	}
}

// Many objects that disappear by themselves do not trigger the guard.
func TestVanishedObjectsDoNotGuard(t *testing.T) {
	w := newWorld(t, "vanished")
	ns := w.namespace()
	a := w.applier()
	items := w.accounts(ns, 15)
	w.must(a, items...)
	for _, item := range items {
		if err := w.admin.Delete(t.Context(), w.live(item.ID)); err != nil {
			t.Fatal(err)
		}
	}
	for _, item := range items {
		w.unseen(item.ID)
	}
	if r, err := w.apply(a, apply.Options{}); err != nil || len(r.Removing) != 0 {
		t.Errorf("pass: %+v, %v", r, err)
	}
}

func TestKindThatIsNotServed(t *testing.T) {
	w := newWorld(t, "kind")
	ns := w.namespace()
	hierarchy := func() plan.Item {
		u := w.project(ns, "hierarchy")
		u.ID.Group, u.ID.Kind = "hnc.x-k8s.io", "HierarchyConfiguration"
		u.Object.GetObjectKind().SetGroupVersionKind(kinds["HierarchyConfiguration"])
		return u
	}()
	account := w.account(ns, "a")
	_, err := w.apply(w.applier(), apply.Options{}, account, hierarchy)
	var missing *apply.KindMissingError
	if !errors.As(err, &missing) {
		t.Fatalf("error is %v, want a *KindMissingError", err)
	}
	if diff := cmp.Diff([]schema.GroupKind{{Group: "hnc.x-k8s.io", Kind: "HierarchyConfiguration"}}, missing.Kinds); diff != "" {
		t.Error(diff)
	}
	if w.live(account.ID) != nil {
		t.Error("something was written")
	}
	r, err := w.apply(w.applier(), apply.Options{Isolate: true}, hierarchy, account)
	if err != nil || len(r.Failed) != 1 || r.Failed[0].ID != hierarchy.ID || w.live(account.ID) == nil {
		t.Errorf("isolated pass: %+v, %v", r, err)
	}
	remotetest.Eventually(t, "wait for the account", func(ctx context.Context) error {
		_, err := w.conn.Conn.Get(ctx, account.ID)
		return err
	})
}
