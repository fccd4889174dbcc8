package apply_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	registration "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/test/remotetest"
)

// selector selects the objects of the world's owner.
func (w *world) selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: w.owner.Labels(tenant)}
}

func rule(group, version, resource string) []registration.RuleWithOperations {
	return []registration.RuleWithOperations{{
		Operations: []registration.OperationType{registration.Create, registration.Update},
		Rule:       registration.Rule{APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resource}},
	}}
}

// register creates an admission configuration, which ends with the test.
func (w *world) register(o client.Object) {
	w.t.Helper()
	w.create(o)
	w.t.Cleanup(func() { _ = client.IgnoreNotFound(w.admin.Delete(context.Background(), o)) })
}

// A webhook without anything behind it is named in the message, for objects with
// secrets too, and the other objects are written.
func TestWebhookThatDoesNotAnswer(t *testing.T) {
	w := newWorld(t, "hookdown")
	ns := w.namespace()
	w.store.set(deployKey, "deploykey", "hidden")
	var webhooks []registration.ValidatingWebhook
	for name, resource := range map[string]string{"accounts.example.com": "serviceaccounts", "secrets.example.com": "secrets"} {
		webhooks = append(webhooks, registration.ValidatingWebhook{
			Name: name, ClientConfig: registration.WebhookClientConfig{URL: ptr.To("https://127.0.0.1:1/validate")},
			FailurePolicy: ptr.To(registration.Fail), SideEffects: ptr.To(registration.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"}, ObjectSelector: w.selector(), Rules: rule("", "v1", resource),
		})
	}
	w.register(&registration.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: w.owner.Product}, Webhooks: webhooks})
	items := []plan.Item{
		w.account(ns, "a"), w.binding(ns, "b"),
		w.secret(ns, "s", plan.SecretValue{Key: "key", Ref: deployKey, Field: "deploykey"}),
	}
	remotetest.Eventually(t, "wait for the webhook", func(context.Context) error {
		r, err := w.apply(w.applier(), apply.Options{Isolate: true}, items...)
		if err != nil || len(r.Failed) != 2 {
			return fmt.Errorf("failed are %v: %w", r.Failed, err)
		}
		for i, want := range []string{
			`the API server refuses it: failed calling webhook "accounts.example.com": failed to call webhook: Post "https://127.0.0.1:1/validate`,
			`the API server refuses it (InternalError, failed calling webhook "secrets.example.com")`,
		} {
			message := r.Failed[i].Error()
			if !strings.Contains(message, want) || strings.Contains(message, "hidden") {
				t.Errorf("the message is %q, want it to contain %q", message, want)
			}
		}
		return nil
	})
	if w.live(items[1].ID) == nil {
		t.Error("the RoleBinding waits for a webhook of other kinds")
	}
}

// mutate registers a webhook that sends a JSON patch for every Application of the
// world's owner.
func (w *world) mutate(patch string) *registration.MutatingWebhookConfiguration {
	w.t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(in.Body).Decode(&review); err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{
			UID: review.Request.UID, Allowed: true, PatchType: ptr.To(admissionv1.PatchTypeJSONPatch), Patch: []byte(patch),
		}
		review.Request = nil
		_ = json.NewEncoder(out).Encode(review)
	}))
	w.t.Cleanup(server.Close)
	configuration := &registration.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: w.owner.Product},
		Webhooks: []registration.MutatingWebhook{{
			Name: "kyverno.example.com", FailurePolicy: ptr.To(registration.Ignore), SideEffects: ptr.To(registration.SideEffectClassNone),
			ClientConfig: registration.WebhookClientConfig{
				URL:      ptr.To(server.URL),
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			AdmissionReviewVersions: []string{"v1"}, ObjectSelector: w.selector(), Rules: rule("argoproj.io", "v1alpha1", "applications"),
		}},
	}
	w.register(configuration)
	return configuration
}

// An object that a policy changes is written once, reported with the field, and right
// again after the policy is gone. The objects beside and behind it are written.
func TestPolicyThatChangesAnObject(t *testing.T) {
	w := newWorld(t, "policy")
	ns := w.namespace()
	app := w.application(ns, "a")
	if err := unstructured.SetNestedField(app.Object.(*unstructured.Unstructured).Object, true, "spec", "syncPolicy", "automated", "prune"); err != nil {
		t.Fatal(err)
	}
	other := w.application(ns, "b")
	gone := w.account(ns, "gone")
	w.must(w.applier(), gone)
	configuration := w.mutate(`[{"op": "add", "path": "/spec/syncPolicy", "value": {"automated": {"prune": false}}}]`)
	const want = "spec.syncPolicy.automated.prune is false, and true was applied"
	a := w.applier()
	remotetest.Eventually(t, "wait for the policy", func(context.Context) error {
		a.Forget(w.conn.UID())
		_, err := w.apply(a, apply.Options{}, app, other)
		var differs *apply.DiffersError
		if !errors.As(err, &differs) || !strings.Contains(err.Error(), want) {
			return fmt.Errorf("the error is %w, want %s", err, want)
		}
		return nil
	})
	w.settle(app, other)
	if w.live(other.ID) == nil {
		t.Error("another object waits for the one that differs")
	}
	w.unseen(gone.ID)
	version := w.live(app.ID).GetResourceVersion()
	for range 5 {
		r, err := w.apply(a, apply.Options{Isolate: true}, app, other)
		if err != nil || len(r.Failed) != 1 || !r.Failed[0].Kept || !apply.Differs(&r.Failed[0]) || r.Calls != 0 {
			t.Fatalf("a pass at rest: %+v, %v", r, err)
		}
	}
	if again := w.live(app.ID).GetResourceVersion(); again != version {
		t.Errorf("the object is written again and again: %s, %s", version, again)
	}
	if err := w.admin.Delete(t.Context(), configuration); err != nil {
		t.Fatal(err)
	}
	remotetest.Eventually(t, "wait for the end of the policy", func(context.Context) error {
		a.Forget(w.conn.UID())
		_, err := w.apply(a, apply.Options{}, app, other)
		return err
	})
}

// What the server adds, and other spellings, are no difference.
func TestServersDefaultsAreNoDifference(t *testing.T) {
	w := newWorld(t, "defaults")
	ns := w.namespace()
	w.mutate(`[{"op": "add", "path": "/metadata/annotations", "value": {"policy.example.com/seen": "true"}}]`)
	if r := w.must(w.applier(), append(w.complete(ns), w.application(ns, "more"))...); len(r.Failed) != 0 {
		t.Errorf("failed are %v", r.Failed)
	}
}

// A namespace and an object that are not gone say why.
func TestHeldObjects(t *testing.T) {
	w := newWorld(t, "held")
	a := w.applier()
	ns := w.namespaceItem(w.owner.Product)
	account := w.account(w.namespace(), "held")
	account.Object.SetFinalizers([]string{"example.com/hold"})
	w.must(a, ns, account)
	remove := func(want string) {
		t.Helper()
		remotetest.Eventually(t, "wait for "+want, func(context.Context) error {
			r, err := w.apply(a, apply.Options{NoGuard: true})
			if err != nil {
				return err
			}
			for _, why := range r.Held {
				if strings.Contains(why, want) {
					return nil
				}
			}
			return fmt.Errorf("removing %v, held %v", r.Removing, r.Held)
		})
	}
	remove("it has the finalizers example.com/hold")
	live := w.live(account.ID)
	live.SetFinalizers(nil)
	if err := w.admin.Update(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	w.unseen(account.ID)
	if _, err := w.apply(a, apply.Options{NoGuard: true}); err != nil {
		t.Fatal(err)
	}
	// The namespace controller does not run here.
	namespace := &corev1.Namespace{}
	if err := w.admin.Get(t.Context(), client.ObjectKey{Name: ns.ID.Name}, namespace); err != nil {
		t.Fatal(err)
	}
	const words = "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
	namespace.Status.Conditions = []corev1.NamespaceCondition{
		{Type: corev1.NamespaceContentRemaining, Status: corev1.ConditionTrue, Reason: "SomeResourcesRemain", Message: "configmaps. has 1 resource instances"},
		{Type: corev1.NamespaceFinalizersRemaining, Status: corev1.ConditionTrue, Reason: "SomeFinalizersRemain", Message: words},
	}
	if err := w.admin.Status().Update(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	remove(words)
	var leaving *apply.TerminatingError
	if _, err := w.apply(a, apply.Options{}, ns); !errors.As(err, &leaving) || !strings.Contains(err.Error(), words) {
		t.Errorf("a namespace that is needed again: %v, want %s", err, words)
	}
	w.finish(ns.ID.Name)
}
