package apply_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
)

func TestSecondPassIsSilent(t *testing.T) {
	w := newWorld(t, "silent")
	items := w.complete(w.namespace())
	a := w.applier()
	first := w.must(a, items...)
	if first.Written != len(items) || first.Unchanged != 0 || len(first.Deleted) != 0 || len(first.Removing) != 0 {
		t.Errorf("first pass: %+v", first)
	}
	secret := w.live(items[4].ID)
	value, _, _ := unstructured.NestedString(secret.Object, "data", "sshPrivateKey")
	if value != base64.StdEncoding.EncodeToString([]byte("first")) {
		t.Errorf("the Secret holds %q", value)
	}
	before, gets := w.versions(items), w.store.gets

	want := apply.Result{Unchanged: len(items)}
	second := w.must(a, items...)
	if diff := cmp.Diff(want, second); diff != "" {
		t.Errorf("second pass: %s", diff)
	}
	// After a restart the memory is empty: the items are applied, and the server
	// changes nothing.
	third := w.must(w.applier(), items...)
	want.Calls = len(items)
	if diff := cmp.Diff(want, third); diff != "" {
		t.Errorf("pass after a restart: %s", diff)
	}
	if diff := cmp.Diff(before, w.versions(items)); diff != "" {
		t.Errorf("versions have changed: %s", diff)
	}
	if w.store.gets != gets+1 {
		t.Errorf("secrets were read %d times without a need", w.store.gets-gets-1)
	}
	a.Forget(w.conn.UID())
	if r := w.must(a, items...); r.Calls != len(items) {
		t.Errorf("pass after Forget: %+v", r)
	}
}

// A cache that is behind our own write must not cause a second one.
func TestStaleCacheCausesNoWrite(t *testing.T) {
	w := newWorld(t, "stale")
	ns := w.namespace()
	a := w.applier()
	account := w.account(ns, "a")
	w.must(a, account)
	old, err := w.conn.Conn.Get(t.Context(), account.ID)
	if err != nil {
		t.Fatal(err)
	}
	account.Object.SetAnnotations(map[string]string{"x": "y"})
	w.must(a, account)
	w.conn.get = func(id plan.ID) (*metav1.PartialObjectMetadata, error) {
		if id == account.ID {
			return old, nil
		}
		return w.conn.Conn.Get(t.Context(), id)
	}
	if r := w.must(a, account); r.Calls != 0 || r.Unchanged != 1 {
		t.Errorf("pass over a stale cache: %+v", r)
	}
}

func TestTampering(t *testing.T) {
	w := newWorld(t, "tamper")
	argo := w.namespace()
	items := w.complete(argo)
	items[1].Object.SetAnnotations(map[string]string{"example.com/ours": "1"})
	a := w.applier()
	w.must(a, items...)
	account, binding, secret, app := items[1], items[2], items[4], items[5]

	status := `{"status":{"sync":{"status":"Synced","comparedTo":{"source":{"repoURL":"https://git/x.git"},"destination":{}}},"health":{"status":"Healthy"}}}`
	tests := map[string]struct {
		item      plan.Item
		patch     string
		json      bool
		owner     string
		wantWrite bool
		// wantTaken is true if the fields belong to another writer first.
		wantTaken bool
		// wantKept is true if the annotation team stays.
		wantKept bool
	}{
		"status by Argo CD":            {item: app, patch: status, owner: "argocd-application-controller"},
		"operation by Argo CD":         {item: app, patch: `{"operation":{"sync":{"revision":"abc"}}}`, owner: "argocd-application-controller"},
		"annotation of another writer": {item: app, patch: `{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}`},
		"label of another writer":      {item: account, patch: `{"metadata":{"labels":{"x":"y"}}}`},
		"status by another writer":     {item: app, patch: `{"status":{"sync":{"status":"Unknown","comparedTo":{"source":{"repoURL":"https://git/x.git"},"destination":{}}}}}`},
		"pull secret of another":       {item: account, patch: `{"imagePullSecrets":[{"name":"x"}]}`},
		"key of another writer":        {item: secret, patch: `{"data":{"x":"eA=="}}`, wantWrite: true, wantTaken: true},
		"field of another writer":      {item: secret, patch: `{"immutable":false}`, wantWrite: true, wantTaken: true},
		"optional field added":         {item: app, patch: `{"spec":{"source":{"helm":{"values":"a: 1"}}}}`, wantWrite: true, wantTaken: true},
		"list added":                   {item: app, patch: `{"spec":{"ignoreDifferences":[{"group":"*","kind":"*","jsonPointers":["/spec"]}]}}`, wantWrite: true, wantTaken: true},
		"option and annotation added":  {item: app, patch: `{"metadata":{"annotations":{"team":"x"}},"spec":{"syncPolicy":{"syncOptions":["Replace=true"]}}}`, wantWrite: true, wantTaken: true, wantKept: true},
		"field changed":                {item: app, patch: `{"spec":{"source":{"targetRevision":"evil"}}}`, wantWrite: true},
		"field removed":                {item: app, patch: `{"spec":{"source":{"path":null}}}`, wantWrite: true},
		"finalizer removed":            {item: app, patch: `{"metadata":{"finalizers":null}}`, wantWrite: true},
		"annotation changed":           {item: account, patch: `{"metadata":{"annotations":{"example.com/ours":"2"}}}`, wantWrite: true},
		"annotation removed":           {item: account, patch: `{"metadata":{"annotations":{"example.com/ours":null}}}`, wantWrite: true},
		"subjects changed":             {item: binding, patch: `{"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"mallory"}]}`, wantWrite: true},
		"subject added":                {item: binding, patch: `[{"op":"add","path":"/subjects/-","value":{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"mallory"}}]`, json: true, wantWrite: true},
		"text in a secret changed":     {item: secret, patch: `{"data":{"type":"eA=="}}`, wantWrite: true},
		"secret value changed":         {item: secret, patch: `{"data":{"sshPrivateKey":"eA=="}}`, wantWrite: true},
		"secret value removed":         {item: secret, patch: `{"data":{"sshPrivateKey":null}}`, wantWrite: true},
		"changed under our name":       {item: app, patch: `{"spec":{"source":{"targetRevision":"evil"}}}`, owner: v1alpha1.ManagedBy, wantWrite: true},
		"managed fields removed":       {item: account, patch: `[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]`, json: true, wantWrite: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := w.live(test.item.ID)
			kind := types.MergePatchType
			if test.json {
				kind = types.JSONPatchType
			}
			owner := test.owner
			if owner == "" {
				owner = "kubectl-edit"
			}
			live := w.live(test.item.ID)
			if err := w.admin.Patch(t.Context(), live, client.RawPatch(kind, []byte(test.patch)), client.FieldOwner(owner)); err != nil {
				t.Fatal(err)
			}
			if live.GetResourceVersion() == before.GetResourceVersion() {
				t.Fatal("the patch has changed nothing")
			}
			w.settle(items...)
			r := w.must(a, items...)
			wantCalls := 0
			switch {
			case test.wantTaken:
				wantCalls = 2
			case test.wantWrite:
				wantCalls = 1
			}
			if wrote := r.Written == 1; wrote != test.wantWrite || r.Calls != wantCalls {
				t.Errorf("pass: %+v, want a write: %t, with %d calls", r, test.wantWrite, wantCalls)
			}
			if !test.wantWrite {
				return
			}
			after := w.live(test.item.ID)
			if test.wantKept {
				if after.GetAnnotations()["team"] != "x" {
					t.Errorf("the annotations are %v", after.GetAnnotations())
				}
				after.SetAnnotations(before.GetAnnotations())
			}
			for _, u := range []*unstructured.Unstructured{before, after} {
				u.SetManagedFields(nil)
				u.SetResourceVersion("")
				u.SetGeneration(0)
			}
			if diff := cmp.Diff(before.Object, after.Object); diff != "" {
				t.Errorf("not as it was: %s", diff)
			}
			if r := w.must(a, items...); r.Calls != 0 {
				t.Errorf("pass after the repair: %+v", r)
			}
		})
	}
}

// A field of another writer that excludes one of ours goes first, and ours comes back. An
// intent that is refused by itself stays refused.
func TestFieldsThatExclude(t *testing.T) {
	const moved, beside = `{"data":null,"binaryData":{"key":"eA=="}}`, `{"binaryData":{"other":"eA=="}}`
	for name, test := range map[string]struct {
		patch string
		// invalid is true if no server accepts the intent.
		invalid   bool
		wantCalls int
	}{
		"ours has moved":                   {patch: moved, wantCalls: 4},
		"theirs is beside ours":            {patch: beside, wantCalls: 2},
		"an intent that is invalid":        {patch: `{"metadata":{"labels":{"x":"y"}}}`, invalid: true, wantCalls: 2},
		"beside a field of another writer": {patch: beside, invalid: true, wantCalls: 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "exclude")
			a, config := w.applier(), &corev1.ConfigMap{ObjectMeta: w.meta(w.namespace(), "c"), Data: map[string]string{"key": "ours"}}
			one := item(plan.StageConfig, corev1.SchemeGroupVersion.WithKind("ConfigMap"), config)
			w.must(a, one)
			before := w.live(one.ID)
			if err := w.admin.Patch(t.Context(), w.live(one.ID), client.RawPatch(types.MergePatchType, []byte(test.patch)), client.FieldOwner("kubectl-edit")); err != nil {
				t.Fatal(err)
			}
			if test.invalid {
				config.Data["no key"] = "x"
			}
			w.settle(one)
			result, err := w.apply(a, apply.Options{}, one)
			if refused := apierrors.IsInvalid(err); refused != test.invalid || !refused && err != nil || result.Calls != test.wantCalls {
				t.Fatalf("pass: %+v, error %v, want an invalid one: %t, with %d calls", result, err, test.invalid, test.wantCalls)
			}
			if test.invalid {
				return
			}
			if after := w.live(one.ID); !cmp.Equal(before.Object["data"], after.Object["data"]) || after.Object["binaryData"] != nil {
				t.Errorf("not as it was: %v", after.Object)
			}
			w.settle(one)
			if r := w.must(w.applier(), one); r.Written != 0 {
				t.Errorf("pass of a new process after the repair: %+v", r)
			}
		})
	}
}

func TestChangedIntent(t *testing.T) {
	w := newWorld(t, "change")
	ns := w.namespace()
	a := w.applier()
	account := w.account(ns, "a")
	account.Object.SetAnnotations(map[string]string{"keep": "1", "drop": "1"})
	w.must(a, account)
	account.Object.SetAnnotations(map[string]string{"keep": "2"})
	if r := w.must(a, account); r.Written != 1 || r.Calls != 1 {
		t.Errorf("pass: %+v", r)
	}
	if diff := cmp.Diff(map[string]string{"keep": "2"}, w.live(account.ID).GetAnnotations()); diff != "" {
		t.Error(diff)
	}
}

// Fields that a typed object leaves unset belong to the writer that sets them.
func TestNullsClaimNothing(t *testing.T) {
	w := newWorld(t, "nulls")
	project := w.project(w.namespace(), "p")
	spec := project.Object.(*unstructured.Unstructured).Object["spec"].(map[string]any)
	spec["sourceRepos"] = nil
	spec["roles"] = []any{map[string]any{"name": "r", "groups": nil}}
	w.must(w.applier(), project)
	for _, entry := range w.live(project.ID).GetManagedFields() {
		if fields := string(entry.FieldsV1.Raw); strings.Contains(fields, "sourceRepos") || strings.Contains(fields, "groups") {
			t.Errorf("%s manages %s", entry.Manager, fields)
		}
	}
}

func TestNothingForeignIsAdopted(t *testing.T) {
	w := newWorld(t, "adopt")
	ns := w.namespace()
	labels := w.owner.Labels(tenant)
	ours := "Space/" + w.owner.Name
	other := plan.Owner{Kind: "DeploymentRuntime", Product: w.owner.Product, Name: "r"}
	with := func(key, value string) map[string]string {
		l := w.owner.Labels(tenant)
		l[key] = value
		return l
	}
	tests := map[string]struct {
		labels      map[string]string
		adopt       string
		wantTaken   bool
		wantMessage string
	}{
		"without labels":       {wantMessage: "belongs to another owner (kubectl)"},
		"of Helm":              {labels: map[string]string{v1alpha1.LabelManagedBy: "Helm"}, wantMessage: "belongs to Helm"},
		"of another tenant":    {labels: w.owner.Labels("other"), wantMessage: "belongs to the tenant other"},
		"of another owner":     {labels: other.Labels(tenant), wantMessage: "belongs to DeploymentRuntime " + w.owner.Product + "/r"},
		"of another product":   {labels: with(v1alpha1.LabelProduct, "product-x"), wantMessage: "belongs to Space product-x/" + w.owner.Name},
		"copied by HNC":        {labels: with("hnc.x-k8s.io/inherited-from", "parent"), wantMessage: "belongs to HNC, which copies it from the namespace parent"},
		"handed over":          {adopt: ours, wantTaken: true},
		"handed over by Helm":  {labels: map[string]string{v1alpha1.LabelManagedBy: "Helm"}, adopt: ours, wantTaken: true},
		"handed to another":    {adopt: "Space/product-x", wantMessage: "belongs to another owner"},
		"other owner's, given": {labels: other.Labels(tenant), adopt: ours, wantMessage: "belongs to DeploymentRuntime"},
		"a copy, given":        {labels: with("hnc.x-k8s.io/inherited-from", "parent"), adopt: ours, wantMessage: "belongs to HNC"},
		"ours":                 {labels: labels, wantTaken: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			id := strings.ToLower(strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(name))
			existing := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
				Namespace: ns, Name: id, Labels: test.labels, Annotations: map[string]string{"x": "y"},
			}}
			if test.adopt != "" {
				existing.Annotations[v1alpha1.AnnotationAdopt] = test.adopt
			}
			if err := w.admin.Create(t.Context(), existing, client.FieldOwner("kubectl")); err != nil {
				t.Fatal(err)
			}
			account := w.account(ns, id)
			_, err := w.apply(w.applier(), apply.Options{}, account)
			taken := w.live(account.ID)
			if test.wantTaken {
				if err != nil || taken.GetLabels()[v1alpha1.LabelOwnerKind] != "Space" || taken.GetUID() != existing.UID {
					t.Errorf("not taken: %v, labels %v", err, taken.GetLabels())
				}
				return
			}
			var notOurs *apply.NotOursError
			if !errors.As(err, &notOurs) {
				t.Fatalf("error is %v, want a *NotOursError", err)
			}
			if notOurs.ID != account.ID || !strings.Contains(err.Error(), test.wantMessage) || !strings.Contains(err.Error(), "on Cluster c") {
				t.Errorf("message is %q", err)
			}
			if taken.GetResourceVersion() != existing.ResourceVersion {
				t.Error("it was written to")
			}
		})
	}
}

// Another writer creates the object between our read and our apply.
func TestConcurrentCreator(t *testing.T) {
	tests := map[string]*rbacv1.RoleBinding{
		"with fields in conflict": {
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "other"}},
		},
		"without fields in conflict": {
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"x": "y"}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		},
	}
	w := newWorld(t, "race")
	ns := w.namespace()
	for name, foreign := range tests {
		t.Run(name, func(t *testing.T) {
			id := strings.ReplaceAll(name, " ", "-")
			foreign.Namespace, foreign.Name = ns, id
			created := false
			w.intercept(interceptor.Funcs{Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
				if !created {
					created = true
					if err := c.Create(ctx, foreign, client.FieldOwner("kubectl")); err != nil {
						t.Error(err)
					}
				}
				return c.Apply(ctx, o, opts...)
			}})
			binding := w.binding(ns, id)
			a := w.applier()
			_, err := w.apply(a, apply.Options{}, binding)
			var notOurs *apply.NotOursError
			if !errors.As(err, &notOurs) || !strings.Contains(err.Error(), "(kubectl)") {
				t.Fatalf("error is %v, want a *NotOursError that names kubectl", err)
			}
			live := w.live(binding.ID)
			if diff := cmp.Diff(foreign.Labels, live.GetLabels()); diff != "" {
				t.Errorf("labels: %s", diff)
			}
			for _, entry := range live.GetManagedFields() {
				if entry.Manager == v1alpha1.ManagedBy {
					t.Errorf("we still manage %s", entry.FieldsV1)
				}
			}
			if _, err := w.apply(a, apply.Options{NoGuard: true}); err != nil {
				t.Error(err)
			}
			if live := w.live(binding.ID); live == nil || live.GetDeletionTimestamp() != nil {
				t.Error("the foreign object was deleted")
			}
		})
	}
}

// Our object is deleted, and another writer creates one of the same name, before
// the cache shows it.
func TestReplacedBehindTheCache(t *testing.T) {
	w := newWorld(t, "replaced")
	ns := w.namespace()
	a := w.applier()
	account := w.account(ns, "a")
	w.must(a, account)
	for name, foreign := range map[string]bool{"by a foreign one": true, "by nothing": false} {
		t.Run(name, func(t *testing.T) {
			account.Object.SetAnnotations(map[string]string{"x": name})
			done := false
			w.intercept(interceptor.Funcs{Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
				if !done {
					done = true
					if err := c.Delete(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "a"}}); err != nil {
						t.Error(err)
					}
					if foreign {
						if err := c.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "a"}}); err != nil {
							t.Error(err)
						}
					}
				}
				return c.Apply(ctx, o, opts...)
			}})
			_, err := w.apply(a, apply.Options{}, account)
			live := w.live(account.ID)
			if foreign {
				var notOurs *apply.NotOursError
				if !errors.As(err, &notOurs) || len(live.GetLabels()) != 0 {
					t.Errorf("error is %v, labels are %v", err, live.GetLabels())
				}
				if err := w.admin.Delete(t.Context(), live); err != nil {
					t.Fatal(err)
				}
			} else if err != nil || live == nil || live.GetAnnotations()["x"] != name {
				t.Errorf("error is %v, object is %v", err, live)
			}
			w.conn.client = nil
			w.unseenOrOurs(account)
			w.must(a, account)
		})
	}
}

// unseenOrOurs waits until the cache shows the server's state of an item.
func (w *world) unseenOrOurs(item plan.Item) {
	w.t.Helper()
	if w.live(item.ID) == nil {
		w.unseen(item.ID)
		return
	}
	w.settle(item)
}

func TestWantedObjectThatTerminates(t *testing.T) {
	w := newWorld(t, "terminating")
	argo := w.namespace()
	a := w.applier()
	app := w.application(argo, "a")
	w.must(a, app)
	if err := w.admin.Delete(t.Context(), w.live(app.ID)); err != nil {
		t.Fatal(err)
	}
	w.settle(app)
	_, err := w.apply(a, apply.Options{}, app)
	var terminating *apply.TerminatingError
	if !errors.As(err, &terminating) || terminating.ID != app.ID {
		t.Fatalf("error is %v, want a *TerminatingError", err)
	}
	w.release(app.ID)
	w.unseen(app.ID)
	if r := w.must(a, app); r.Written != 1 {
		t.Errorf("pass after it is gone: %+v", r)
	}
}

// release removes the finalizers, as their controller would.
func (w *world) release(id plan.ID) {
	w.t.Helper()
	live := w.live(id)
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	if err := w.admin.Patch(w.t.Context(), live, patch); err != nil {
		w.t.Fatal(err)
	}
}

func TestRefusalKeepsItsCauses(t *testing.T) {
	w := newWorld(t, "refused")
	ns := w.namespace()
	bad := w.application(ns, "bad")
	spec, _, _ := unstructured.NestedMap(bad.Object.(*unstructured.Unstructured).Object, "spec")
	delete(spec, "project")
	bad.Object.(*unstructured.Unstructured).Object["spec"] = spec
	good := w.account(ns, "good")

	_, err := w.apply(w.applier(), apply.Options{}, good, bad)
	var status *apierrors.StatusError
	if !errors.As(err, &status) || status.ErrStatus.Details == nil || len(status.ErrStatus.Details.Causes) == 0 {
		t.Fatalf("error is %v, want a *StatusError with causes", err)
	}
	if got := status.ErrStatus.Details.Causes[0].Field; got != "spec.project" {
		t.Errorf("field is %q", got)
	}
	for _, part := range []string{bad.ID.String(), "on Cluster c", "refuses it"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("message %q lacks %q", err, part)
		}
	}
}
