package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
)

// What a person can repair has the server's words, and the server's own trouble stays
// unexpected.
func TestClassifyAnswersOfServers(t *testing.T) {
	const down = `Internal error occurred: failed calling webhook "namespaces.hnc.x-k8s.io": failed to call webhook: Post "https://h/validate": EOF`
	answer := func(code int32, message string) *apierrors.StatusError {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Reason: reasonOf(code), Message: message}}
	}
	secret := answer(422, "hidden")
	secret.ErrStatus.Details = &metav1.StatusDetails{Kind: "secrets"}
	item := func(err error) error {
		return fmt.Errorf("apply: %w", &apply.ItemError{ID: plan.ID{Kind: "ConfigMap", Namespace: "n", Name: "c"}, Target: plan.Cluster("alpha"), Err: err})
	}
	const object = "ConfigMap n/c on Cluster alpha: the API server refuses it: "
	for name, test := range map[string]struct {
		err        error
		wantReason string
		wantClass  engine.Class
		want       string
	}{
		"a webhook that does not answer": {err: item(answer(500, down)), wantReason: v1alpha1.ReasonApplyFailed, want: object + `failed calling webhook "namespaces.hnc.x-k8s.io": failed to call webhook: Post "https://h/validate": EOF`},
		"a quota":                        {err: item(answer(403, "exceeded quota: q")), wantReason: v1alpha1.ReasonApplyFailed, want: object + "exceeded quota: q"},
		"a namespace that is not there":  {err: item(answer(404, `namespaces "n" not found`)), wantReason: v1alpha1.ReasonApplyFailed, want: object + `namespaces "n" not found`},
		"a bad request":                  {err: item(answer(400, "no such field")), wantReason: v1alpha1.ReasonApplyFailed, want: object + "no such field"},
		"too large":                      {err: item(answer(413, "too large")), wantReason: v1alpha1.ReasonApplyFailed, want: object + "too large"},
		"too large for etcd":             {err: item(answer(500, "etcdserver: request is too large")), wantReason: v1alpha1.ReasonApplyFailed, want: object + "etcdserver: request is too large"},
		"the server's own trouble":       {err: item(answer(500, "etcdserver: leader changed")), wantReason: v1alpha1.ReasonInternalError},
		"a busy server":                  {err: item(answer(429, "busy")), wantReason: v1alpha1.ReasonInternalError},
		"no server":                      {err: item(answer(503, "no endpoints")), wantReason: v1alpha1.ReasonInternalError},
		"another write":                  {err: fmt.Errorf("patch: %w", answer(403, "no")), wantReason: v1alpha1.ReasonApplyFailed, want: "a write failed: the API server refuses it: no"},
		"another write of a Secret":      {err: fmt.Errorf("patch: %w", secret), wantReason: v1alpha1.ReasonApplyFailed, want: "a write failed: the API server refuses it (Invalid)"},
		"an object that is gone":         {err: fmt.Errorf("read: %w", answer(404, "gone")), wantReason: v1alpha1.ReasonInternalError},
		"a kind that is not served": {
			err:        item(&apply.UnservedError{ID: plan.ID{Kind: "ConfigMap", Namespace: "n", Name: "c"}, Target: plan.Cluster("alpha"), Err: answer(404, "404 page not found")}),
			wantReason: v1alpha1.ReasonKindMissing, wantClass: engine.ClassWaiting,
			want: "Cluster alpha does not serve the kind of ConfigMap n/c at the moment; it is tried again",
		},
		"another error": {err: errors.New("odd"), wantReason: v1alpha1.ReasonInternalError},
	} {
		outcome := engine.Classify(test.err, Classify)
		if outcome.Reason != test.wantReason || outcome.Class != cmp.Or(test.wantClass, engine.ClassUnexpected) || test.want != "" && outcome.Message != test.want {
			t.Errorf("%s: %s %q, want %s %q", name, outcome.Reason, outcome.Message, test.wantReason, test.want)
		}
	}
}

func reasonOf(code int32) metav1.StatusReason {
	return map[int32]metav1.StatusReason{
		400: metav1.StatusReasonBadRequest, 403: metav1.StatusReasonForbidden, 404: metav1.StatusReasonNotFound,
		413: metav1.StatusReasonRequestEntityTooLarge, 422: metav1.StatusReasonInvalid, 429: metav1.StatusReasonTooManyRequests,
		500: metav1.StatusReasonInternalError, 503: metav1.StatusReasonServiceUnavailable,
	}[code]
}
