package apply_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/remotetest"
)

func ifAbsent(i plan.Item) plan.Item {
	i.IfAbsent = true
	return i
}

func TestWhatIsThereIsUsed(t *testing.T) {
	w := newWorld(t, "absent")
	foreign, own := remotetest.Unique("foreign"), remotetest.Unique("own")
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: foreign, Labels: map[string]string{"x": "y"}}})
	there, missing := ifAbsent(w.namespaceItem(foreign)), ifAbsent(w.namespaceItem(own))
	inside := w.account(foreign, "inside")
	before := w.live(there.ID)
	a := w.applier()

	r := w.mustUse(a, there, missing, inside)
	if r.Written != 2 || r.Unchanged != 1 {
		t.Errorf("first pass: %+v", r)
	}
	w.settle(missing, inside)
	// No watch covers the foreign object: it is read again, and nothing else is.
	if r := w.mustUse(a, there, missing, inside); r.Written != 0 || r.Unchanged != 3 || r.Calls != 1 {
		t.Errorf("second pass: %+v", r)
	}
	if diff := cmp.Diff(before, w.live(there.ID)); diff != "" {
		t.Errorf("the foreign namespace was changed: %s", diff)
	}
	if live := w.live(missing.ID); live.GetLabels()["nautes.io/owner-name"] != w.owner.Name {
		t.Errorf("what was made is not ours: %v", live.GetLabels())
	}

	r, err := w.apply(a, apply.Options{NoGuard: true})
	if err != nil || len(r.Deleted) != 2 {
		t.Fatalf("removal: %+v, %v", r, err)
	}
	if diff := cmp.Diff([]string{"Namespace", "ServiceAccount"}, w.gone(missing, inside, there)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, w.live(there.ID)); diff != "" {
		t.Errorf("the foreign namespace was changed: %s", diff)
	}
}

func (w *world) mustUse(a *apply.Applier, items ...plan.Item) apply.Result {
	w.t.Helper()
	r, err := w.apply(a, apply.Options{}, items...)
	if err != nil {
		w.t.Fatalf("apply: %v", err)
	}
	return r
}

func TestWhatAnotherOwnerHasIsUsed(t *testing.T) {
	w := newWorld(t, "shared")
	ns := w.namespace()
	other := &world{t: t, admin: w.admin, conn: w.conn, store: w.store, owner: plan.Owner{Kind: "Space", Product: w.owner.Product, Name: "other"}}
	theirs := other.account(ns, "a")
	other.must(w.applier(), theirs)
	version := w.live(theirs.ID).GetResourceVersion()

	r := w.mustUse(w.applier(), ifAbsent(w.account(ns, "a")))
	if r.Unchanged != 1 || r.Calls != 0 || w.live(theirs.ID).GetResourceVersion() != version {
		t.Errorf("pass: %+v", r)
	}
	// An item without IfAbsent is refused.
	var notOurs *apply.NotOursError
	if _, err := w.apply(w.applier(), apply.Options{}, w.account(ns, "a")); !errors.As(err, &notOurs) {
		t.Errorf("error is %v", err)
	}
	// So is an item with IfAbsent in a namespace of another product.
	stranger := remotetest.Unique("product-stranger")
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: stranger, Labels: plan.Owner{Kind: "Space", Product: stranger, Name: stranger}.Labels(tenant),
	}})
	w.settle(plan.Item{ID: plan.ID{Kind: "Namespace", Name: stranger}})
	if _, err := w.apply(w.applier(), apply.Options{}, ifAbsent(w.account(stranger, "a"))); !errors.As(err, &notOurs) {
		t.Errorf("error is %v", err)
	}
}

func TestWhatIsGoingIsNotUsed(t *testing.T) {
	w := newWorld(t, "going")
	ns := w.namespace()
	for name, labels := range map[string]map[string]string{
		"nobodys":  nil,
		"anothers": plan.Owner{Kind: "Space", Product: w.owner.Product, Name: "other"}.Labels(tenant),
		"mine":     w.owner.Labels(tenant),
	} {
		sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
			Namespace: ns, Name: name, Labels: labels, Finalizers: []string{"example.com/f"},
		}}
		w.create(sa)
		if err := w.admin.Delete(t.Context(), sa); err != nil {
			t.Fatal(err)
		}
		item := ifAbsent(w.account(ns, name))
		if labels != nil {
			w.settle(item)
		}
		_, err := w.apply(w.applier(), apply.Options{}, item)
		var leaving *apply.TerminatingError
		if !errors.As(err, &leaving) || leaving.Unwatched != (name != "mine") {
			t.Errorf("%s: error is %#v, want a *TerminatingError", name, err)
		}
		w.release(plan.IDOf(kinds["ServiceAccount"], sa))
	}
}

// Another writer creates the object between our read and our write, and keeps it.
func TestWhatComesInBetweenIsUsed(t *testing.T) {
	w := newWorld(t, "between")
	for name, labels := range map[string]map[string]string{
		"without a conflict": {"x": "y"},
		"with a conflict":    {"app.kubernetes.io/managed-by": "helm"},
	} {
		item := ifAbsent(w.namespaceItem(remotetest.Unique("between")))
		theirs := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: item.ID.Name, Labels: labels}}
		made := false
		w.intercept(interceptor.Funcs{Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			if !made {
				made = true
				w.create(theirs)
			}
			return c.Apply(ctx, o, opts...)
		}})
		r, err := w.apply(w.applier(), apply.Options{}, item)
		if err != nil || r.Unchanged != 1 || r.Written != 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if live := w.live(item.ID); live.GetLabels()["nautes.io/tenant"] != "" || live.GetUID() != theirs.UID {
			t.Errorf("%s: it was taken over: %v", name, live.GetLabels())
		}
	}
}

func TestFormats(t *testing.T) {
	w := newWorld(t, "formats")
	ns := w.namespace()
	ref := secrets.Ref{Engine: "cluster", Path: "kubernetes/c/default/admin"}
	w.store.set(ref, "kubeconfig", "hidden")
	secret := func(format plan.Format) plan.Item {
		return w.secret(ns, "s", plan.SecretValue{Key: "config", Ref: ref, Field: "kubeconfig", Format: format})
	}
	a := apply.New(tenant, w.store, formats())
	for format, want := range map[plan.Format]struct {
		as   any
		text string
	}{
		"none": {as: new(*apply.PlanError), text: `"none"`},
		fussy:  {as: new(*apply.FormatError), text: "the field kubeconfig"},
	} {
		_, err := w.apply(a, apply.Options{}, secret(format))
		if err == nil || !errors.As(err, want.as) {
			t.Fatalf("format %s: error is %v, want %T", format, err, want.as)
		}
		for _, part := range []string{secret("").ID.String(), ref.String(), want.text} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("format %s: message %q does not hold %q", format, err, part)
			}
		}
		if strings.Contains(err.Error(), "hidden") {
			t.Errorf("format %s: the message holds the secret: %v", format, err)
		}
		if r, err := w.apply(a, apply.Options{Isolate: true}, secret(format)); err != nil || len(r.Failed) != 1 {
			t.Errorf("format %s, isolated: %+v, %v", format, r, err)
		}
	}
	if w.live(secret("").ID) != nil {
		t.Error("something was written")
	}
	for _, step := range []struct {
		format plan.Format
		want   string
	}{{shout, "SElEREVO"}, {"", "aGlkZGVu"}, {shout, "SElEREVO"}} {
		if r := w.must(a, secret(step.format)); r.Written != 1 {
			t.Errorf("format %q: %+v", step.format, r)
		}
		if got, _, _ := unstructured.NestedString(w.live(secret("").ID).Object, "data", "config"); got != step.want {
			t.Errorf("format %q: the Secret holds %s, want %s", step.format, got, step.want)
		}
	}
}

// locked returns an account with a finalizer to release and another one.
func (w *world) locked(namespace, name string) plan.Item {
	i := w.account(namespace, name)
	i.Object.SetFinalizers([]string{"example.com/ours", "example.com/another"})
	return i
}

func TestRelease(t *testing.T) {
	w := newWorld(t, "release")
	ns := w.namespace()
	app := w.application(ns, "app")
	argo := app.Object.GetFinalizers()
	a := w.applier()
	two, stays, kept := w.locked(ns, "two"), w.locked(ns, "stays"), w.locked(ns, "kept")
	w.must(a, app, two, stays, kept)

	// The finalizer is removed first: a controller that sees the deletion would
	// begin its work.
	var log []string
	w.intercept(interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			log = append(log, fmt.Sprint("release ", o.GetName(), " ", o.GetDeletionTimestamp() != nil))
			return c.Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			log = append(log, fmt.Sprint("delete ", o.GetName(), " ", o.GetFinalizers()))
			return c.Delete(ctx, o, opts...)
		},
	})
	o := apply.Options{NoGuard: true, Release: append(argo, "example.com/ours")}
	set := w.set(stays)
	set.Keep = []plan.ID{kept.ID}
	r, err := a.Apply(t.Context(), w.conn, set, o)
	if err != nil || len(r.Deleted) != 2 || len(r.Removing) != 1 {
		t.Fatalf("pass: %+v, %v", r, err)
	}
	if diff := cmp.Diff([]string{"release app false", "delete app []", "release two false", "delete two [example.com/another]"}, log); diff != "" {
		t.Error(diff)
	}
	if w.live(app.ID) != nil {
		t.Error("the Application is still there")
	}
	for _, item := range []plan.Item{stays, kept} {
		if live := w.live(item.ID); len(live.GetFinalizers()) != 2 || live.GetDeletionTimestamp() != nil {
			t.Errorf("%s was touched", item.ID)
		}
	}
	w.settle(two)
	// Finalizers of others stay.
	if r, err := a.Apply(t.Context(), w.conn, set, o); err != nil || len(r.Deleted) != 0 || len(r.Removing) != 1 || len(log) != 4 {
		t.Errorf("pass while it terminates: %+v, %v, %v", r, err, log)
	}
	for _, item := range []plan.Item{two, stays, kept} {
		w.release(item.ID)
	}
}

func TestReleaseOfWhatTerminates(t *testing.T) {
	w := newWorld(t, "stuck")
	ns := w.namespace()
	app, project := w.application(ns, "app"), w.project(ns, "p")
	a := w.applier()
	w.must(a, app, project)
	if r, err := w.apply(a, apply.Options{NoGuard: true}); err != nil || len(r.Removing) != 2 {
		t.Fatalf("first pass: %+v, %v", r, err)
	}
	w.settle(app)
	o := apply.Options{NoGuard: true, Release: app.Object.GetFinalizers()}

	// Another writer changes it after the read: the next pass reads it again.
	w.intercept(interceptor.Funcs{Patch: func(ctx context.Context, c client.WithWatch, live client.Object, p client.Patch, opts ...client.PatchOption) error {
		other := w.live(app.ID)
		if err := w.admin.Patch(ctx, other, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"x":"y"}}}`))); err != nil {
			t.Error(err)
		}
		return c.Patch(ctx, live, p, opts...)
	}})
	var conflict *apply.ConflictError
	if _, err := w.apply(a, o); !errors.As(err, &conflict) || len(w.live(app.ID).GetFinalizers()) == 0 {
		t.Errorf("error is %v, want a *ConflictError", err)
	}
	w.conn.client = nil
	r, err := w.apply(a, o)
	if err != nil || len(r.Removing) != 0 || len(r.Deleted) != 1 || w.live(app.ID) != nil || w.live(project.ID) != nil {
		t.Errorf("last pass: %+v, %v", r, err)
	}
}
