package apply_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// errCrash simulates the end of the process at a write.
var errCrash = errors.New("crash")

// crashAt makes the connection's client fail at write number k, counted from 0,
// before or after the server has done it, and at every request after that.
func (w *world) crashAt(k int, after bool) {
	writes, dead := 0, false
	write := func(do func() error) error {
		if dead {
			return errCrash
		}
		if writes++; writes <= k {
			return do()
		}
		dead = true
		if after {
			if err := do(); err != nil {
				return err
			}
		}
		return errCrash
	}
	w.intercept(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if dead {
				return errCrash
			}
			return c.Get(ctx, key, o, opts...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return write(func() error { return c.Apply(ctx, o, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return write(func() error { return c.Delete(ctx, o, opts...) })
		},
	})
}

// converge applies with a fresh applier until nothing is removed any longer,
// and removes finalizers as their controllers would.
func (w *world) converge(o apply.Options, items ...plan.Item) {
	w.t.Helper()
	w.conn.client = nil
	a := w.applier()
	for range 20 {
		r, err := w.apply(a, o, items...)
		if err != nil {
			w.t.Fatalf("apply after the crash: %v", err)
		}
		w.settle(items...)
		if len(r.Removing) == 0 {
			return
		}
		for _, id := range r.Removing {
			live := w.live(id)
			if live == nil || live.GetDeletionTimestamp() == nil {
				continue
			}
			if id.Kind == "Namespace" {
				w.finish(id.Name)
			} else if len(live.GetFinalizers()) > 0 {
				w.release(id)
			}
			w.unseen(id)
		}
	}
	w.t.Fatal("it does not converge")
}

// caughtUp waits until the caches show all objects of the owner on the server.
func (w *world) caughtUp(items []plan.Item) {
	w.t.Helper()
	for _, item := range items {
		w.unseenOrOurs(item)
	}
}

// The process ends at each write of a change, of a creation and of a removal in
// turn. The next process must finish the work.
func TestCrashAtEveryWrite(t *testing.T) {
	w := newWorld(t, "crash")
	argo := w.namespace()
	bystander := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: argo, Name: "bystander"}}
	foreign := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: argo, Name: "foreign"}}
	w.create(bystander, foreign)
	old := w.complete(argo)
	// The new set changes one object, drops two and adds one.
	changed := slices.Clone(old)
	changed[5] = w.application(argo, "another")
	changed[2] = w.account(old[0].ID.Name, "another")
	annotated := w.project(argo, w.owner.Product)
	annotated.Object.SetAnnotations(map[string]string{"x": "y"})
	changed[3] = annotated
	everything := append(slices.Clone(old), changed[2], changed[5])

	scenarios := map[string]struct{ from, to []plan.Item }{
		"creation": {to: old},
		"change":   {from: old, to: changed},
		"removal":  {from: old},
	}
	for name, s := range scenarios {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, answer lost %t", name, after), func(t *testing.T) {
				inner := *w
				inner.t = t
				for k := 0; ; k++ {
					if k > 40 {
						t.Fatal("the work does not end")
					}
					inner.converge(apply.Options{NoGuard: true}, s.from...)
					inner.caughtUp(everything)
					if !inner.crashes(k, after, s.to, everything) {
						if k == 0 {
							t.Fatal("there was no write to crash at")
						}
						break
					}
					inner.check(s.to, everything)
				}
				inner.converge(apply.Options{NoGuard: true})
			})
		}
	}
	for _, o := range []client.Object{bystander, foreign} {
		version := o.GetResourceVersion()
		if err := w.admin.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil || o.GetResourceVersion() != version {
			t.Errorf("%s was touched: %v", o.GetName(), err)
		}
	}
}

// crashes ends the work at write k and lets another process finish it. It
// returns false when the work ends before that write.
func (w *world) crashes(k int, after bool, to, everything []plan.Item) bool {
	w.t.Helper()
	w.crashAt(k, after)
	a := w.applier()
	_, err := w.apply(a, apply.Options{NoGuard: true}, to...)
	if err != nil && !errors.Is(err, errCrash) {
		w.t.Fatalf("write %d: %v", k, err)
	}
	w.conn.client = nil
	// The next process starts with caches that have read everything.
	w.caughtUp(everything)
	w.converge(apply.Options{NoGuard: true}, to...)
	return err != nil
}

// check compares the objects on the server with the expected ones.
func (w *world) check(to, everything []plan.Item) {
	w.t.Helper()
	want, got := map[plan.ID]bool{}, map[plan.ID]bool{}
	for _, item := range to {
		want[item.ID] = true
	}
	for _, item := range everything {
		if live := w.live(item.ID); live != nil {
			got[item.ID] = true
		}
	}
	if diff := cmp.Diff(slices.SortedFunc(maps.Keys(want), plan.ID.Compare), slices.SortedFunc(maps.Keys(got), plan.ID.Compare)); diff != "" {
		w.t.Errorf("after the crash: %s", diff)
	}
	w.settle(to...)
	if r, err := w.apply(w.applier(), apply.Options{}, to...); err != nil || r.Written != 0 || len(r.Deleted) != 0 {
		w.t.Errorf("there was still something to do: %+v, %v", r, err)
	}
}

func TestSecrets(t *testing.T) {
	w := newWorld(t, "secrets")
	ns := w.namespace()
	user, password := secrets.Ref{Engine: "git", Path: "user"}, secrets.Ref{Engine: "git", Path: "password"}
	item := w.secret(ns, "s",
		plan.SecretValue{Key: "username", Ref: user, Field: "name", Optional: true},
		plan.SecretValue{Key: "password", Ref: password, Field: "value"})
	a := w.applier()
	missing := func(wantRef secrets.Ref, wantField string) {
		t.Helper()
		_, err := w.apply(a, apply.Options{}, item)
		var e *apply.SecretMissingError
		if !errors.As(err, &e) || e.Ref != wantRef || e.Field != wantField {
			t.Errorf("error is %v, want a *SecretMissingError about %s %s", err, wantRef, wantField)
		} else if !strings.Contains(err.Error(), wantRef.String()) || !strings.Contains(err.Error(), item.ID.String()) {
			t.Errorf("message is %q", err)
		}
		if w.live(item.ID) != nil {
			t.Error("the Secret was written")
		}
	}
	missing(user, "")
	w.store.set(user, "other", "x")
	missing(password, "")
	w.store.set(password, "other", "x")
	missing(password, "value")

	data := func(want map[string]string) {
		t.Helper()
		var live corev1.Secret
		if err := w.admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "s"}, &live); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for key, value := range live.Data {
			got[key] = string(value)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	w.store.set(password, "value", "one")
	w.must(a, item)
	data(map[string]string{"type": "git", "password": "one"})

	w.store.set(password, "value", "two")
	w.store.set(user, "name", "robot")
	if r := w.must(a, item); r.Written != 1 {
		t.Errorf("pass after a rotation: %+v", r)
	}
	data(map[string]string{"type": "git", "password": "two", "username": "robot"})
	if r := w.must(a, item); r.Calls != 0 {
		t.Errorf("pass after that: %+v", r)
	}
}

func TestServersWordsAboutSecretsAreNotRepeated(t *testing.T) {
	w := newWorld(t, "words")
	ns := w.namespace()
	w.store.set(deployKey, "deploykey", "first")
	item := w.secret(ns, "s", plan.SecretValue{Key: "k", Ref: deployKey, Field: "deploykey"})
	w.intercept(interceptor.Funcs{Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
		return apierrors.NewBadRequest("cannot decode first")
	}})
	_, err := w.apply(w.applier(), apply.Options{}, item)
	if err == nil || strings.Contains(err.Error(), "first") || !strings.Contains(err.Error(), "BadRequest") {
		t.Errorf("message is %q", err)
	}
}

func TestIsolation(t *testing.T) {
	w := newWorld(t, "isolate")
	ns := w.namespace()
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "foreign"}})
	a := w.applier()
	old := w.account(ns, "old")
	w.must(a, old)
	foreign, nowhere, unfilled, good := w.account(ns, "foreign"), w.account("no-such-namespace", "a"),
		w.secret(ns, "s", plan.SecretValue{Key: "k", Ref: deployKey, Field: "f"}), w.account(ns, "good")
	items := []plan.Item{foreign, nowhere, unfilled, good}

	if _, err := w.apply(a, apply.Options{}, items...); err == nil || w.live(good.ID) != nil || len(w.gone(old)) != 0 {
		t.Errorf("without isolation: error %v, written %v", err, w.live(good.ID))
	}
	r, err := w.apply(a, apply.Options{Isolate: true}, items...)
	if err != nil || w.live(good.ID) == nil || len(w.gone(old)) != 1 {
		t.Errorf("with isolation: %+v, %v", r, err)
	}
	var failed []plan.ID
	for _, f := range r.Failed {
		failed = append(failed, f.ID)
		if f.Source.Name != "p" || f.Error() == "" {
			t.Errorf("failed item: %+v", f)
		}
	}
	if diff := cmp.Diff([]plan.ID{foreign.ID, nowhere.ID, unfilled.ID}, failed); diff != "" {
		t.Error(diff)
	}
	// Nothing is written into a namespace that could not be written.
	occupied := w.namespace()
	inside := w.account(occupied, "inside")
	r, err = w.apply(a, apply.Options{Isolate: true}, w.namespaceItem(occupied), inside)
	if err != nil || len(r.Failed) != 2 || w.live(inside.ID) != nil {
		t.Errorf("items of a foreign namespace: %+v, %v", r, err)
	}
	// An item whose need could not be written is left unchanged.
	lacking, content := w.secret(ns, "lacking"), w.secret(ns, "content")
	lacking.Needs, content.Needs = []plan.ID{good.ID, foreign.ID}, []plan.ID{good.ID}
	r, err = w.apply(a, apply.Options{Isolate: true}, good, foreign, lacking, content)
	if err != nil || len(r.Failed) != 2 || w.live(lacking.ID) != nil || w.live(content.ID) == nil {
		t.Errorf("an item that needs others: %+v, %v", r, err)
	}
	var need *apply.NeedError
	if !errors.As(&r.Failed[1], &need) || need.ID != foreign.ID {
		t.Errorf("it was not written since %v", &r.Failed[1])
	}
	// A server that is unavailable does not concern a single item.
	for name, trouble := range map[string]error{
		"busy":    apierrors.NewTooManyRequests("later", 1),
		"dead":    apierrors.NewServiceUnavailable("later"),
		"refused": apierrors.NewUnauthorized("who are you"),
		"cut":     errCrash,
	} {
		calls := 0
		w.intercept(interceptor.Funcs{Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
			calls++
			return trouble
		}})
		r, err := w.apply(w.applier(), apply.Options{Isolate: true}, w.account(ns, "x"), w.account(ns, "y"))
		if !errors.Is(err, trouble) || calls != 1 || len(r.Failed) != 0 {
			t.Errorf("%s: %+v, %v, %d calls", name, r, err, calls)
		}
	}
	poison := apierrors.NewGenericServerResponse(http.StatusInternalServerError, "patch", corev1.Resource("x"), "x", "typed", 0, true)
	w.intercept(interceptor.Funcs{Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
		return poison
	}})
	if r, err := w.apply(w.applier(), apply.Options{Isolate: true}, w.account(ns, "x"), w.account(ns, "y")); err != nil || len(r.Failed) != 2 {
		t.Errorf("an object that the server chokes on: %+v, %v", r, err)
	}
}

func TestPlanThatContradictsItself(t *testing.T) {
	w := newWorld(t, "plan")
	ns := w.namespace()
	for name, spoil := range map[string]func(*plan.Item){
		"no object":     func(i *plan.Item) { i.Object = nil },
		"another name":  func(i *plan.Item) { i.ID.Name = "b" },
		"another kind":  func(i *plan.Item) { i.ID.Kind = "Secret" },
		"no label":      func(i *plan.Item) { i.Object.SetLabels(nil) },
		"other tenant":  func(i *plan.Item) { i.Object.SetLabels(w.owner.Labels("other")) },
		"no such stage": func(i *plan.Item) { i.Stage = 17 },
	} {
		t.Run(name, func(t *testing.T) {
			i := w.account(ns, "a")
			spoil(&i)
			_, err := w.apply(w.applier(), apply.Options{}, i)
			var wrong *apply.PlanError
			if !errors.As(err, &wrong) {
				t.Errorf("error is %v, want a *PlanError", err)
			}
			if w.live(plan.ID{Kind: "ServiceAccount", Namespace: ns, Name: "a"}) != nil {
				t.Error("something was written")
			}
		})
	}
}
