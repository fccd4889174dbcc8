package reconcile

import (
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

// foreignRetry is the time after which a foreign object that is in the way is looked
// up again: it carries no label of ours, so no watch reports its deletion.
const foreignRetry = time.Minute

// Intervals after which a cause that no watch reports is looked up again: a secret
// store that did not answer or refused, a token that a cluster has yet to issue, a
// kind that an API server does not serve at the moment, and objects that are being
// read.
const (
	storeRetry    = 30 * time.Second
	TokenRetry    = 2 * time.Second
	unservedRetry = 2 * time.Second
	syncRetry     = 300 * time.Millisecond
)

// Classify is the one place that maps the errors of the packages below to the
// classes of the engine.
func Classify(err error) *engine.Error {
	var (
		notOurs  *apply.NotOursError
		guard    *apply.GuardError
		kind     *apply.KindMissingError
		secret   *apply.SecretMissingError
		missing  *snapshot.MissingError
		unserved *apply.UnservedError
		leaving  *apply.TerminatingError
		conflict *apply.ConflictError
		rival    *apply.ContestedError
		differs  *apply.DiffersError
		repo     *snapshot.RepositoryError
		holder   interface{ Holder() string }
		host     *build.HostError
		size     *build.SizeError
	)
	switch {
	case errors.Is(err, secrets.ErrUnavailable):
		return &engine.Error{Class: engine.ClassWaiting, Reason: v1alpha1.ReasonSecretStoreUnavailable, Message: err.Error(), RetryAfter: storeRetry}
	case errors.Is(err, secrets.ErrDenied):
		return &engine.Error{Class: engine.ClassWaiting, Reason: v1alpha1.ReasonSecretStoreDenied, Message: err.Error(), RetryAfter: storeRetry}
	case errors.As(err, &holder):
		return &engine.Error{Class: engine.ClassTerminal, Reason: v1alpha1.ReasonNotOurs, Message: err.Error(), RetryAfter: foreignRetry}
	case errors.As(err, &notOurs):
		return &engine.Error{Class: engine.ClassTerminal, Reason: v1alpha1.ReasonNotOurs, Message: notOurs.Error(), RetryAfter: foreignRetry}
	case errors.As(err, &guard):
		outcome := &engine.Error{Class: engine.ClassTerminal, Reason: v1alpha1.ReasonPruneGuarded, Message: guard.Error()}
		if guard.Owner.Product == "" {
			// No watch reports that the tenant repository confirms it.
			outcome.RetryAfter = foreignRetry
		}
		return outcome
	case errors.As(err, &kind):
		return &engine.Error{Class: engine.ClassWaiting, Reason: v1alpha1.ReasonKindMissing, Message: kind.Error()}
	case errors.As(err, &unserved):
		return &engine.Error{Class: engine.ClassWaiting, Reason: v1alpha1.ReasonKindMissing, Message: unserved.Error(), RetryAfter: unservedRetry}
	case errors.As(err, &secret):
		return &engine.Error{Class: engine.ClassWaiting, Reason: v1alpha1.ReasonSecretMissing, Message: secret.Error()}
	case errors.As(err, &missing):
		return &engine.Error{Class: engine.ClassWaiting, Reason: v1alpha1.ReasonReferenceMissing, Message: missing.Error()}
	case errors.As(err, &repo):
		return &engine.Error{Class: engine.ClassTerminal, Reason: repo.Reason(), Message: repo.Error()}
	case errors.As(err, &host), errors.As(err, &size):
		return &engine.Error{Class: engine.ClassTerminal, Reason: v1alpha1.ReasonInvalid, Message: err.Error()}
	case errors.As(err, &leaving):
		outcome := &engine.Error{Class: engine.ClassWaiting, Reason: v1alpha1.ReasonDeleting, Message: leaving.Error()}
		if leaving.Unwatched {
			outcome.RetryAfter = foreignRetry
		}
		return outcome
	case errors.As(err, &rival):
		return &engine.Error{Class: engine.ClassTerminal, Reason: v1alpha1.ReasonFieldsContested, Message: rival.Error(), RetryAfter: rival.Retry}
	case errors.As(err, &differs):
		return &engine.Error{Class: engine.ClassTerminal, Reason: v1alpha1.ReasonDiffers, Message: differs.Error(), RetryAfter: apply.DiffersRetry}
	case errors.As(err, &conflict):
		return &engine.Error{Class: engine.ClassUnexpected, Reason: v1alpha1.ReasonApplyFailed, Message: conflict.Error(), Cause: err}
	case errors.Is(err, remote.ErrNotSynced):
		// The kind is new on the cluster, and its objects are being read.
		return &engine.Error{Class: engine.ClassSilent, Message: err.Error(), Cause: err, RetryAfter: syncRetry}
	case errors.Is(err, remote.ErrNotConnected):
		return &engine.Error{Class: engine.ClassWaiting, Reason: v1alpha1.ReasonNotConnected, Message: err.Error()}
	case isRefusal(err):
		return &engine.Error{Class: engine.ClassUnexpected, Reason: v1alpha1.ReasonApplyFailed, Message: refusal(err), Cause: err}
	}
	return nil
}

// isRefusal reports whether an API server refused a write for a reason that a person
// can repair. Outside the applier, an object that is missing or was changed meanwhile is
// none.
func isRefusal(err error) bool {
	var item *apply.ItemError
	return apply.Refused(err) && (errors.As(err, &item) || !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && !apierrors.IsUnauthorized(err))
}

// refusal returns the answer of an API server. For an object that holds secrets, the
// applier leaves out values that the answer repeats. Other writers write no such objects.
func refusal(err error) string {
	var item *apply.ItemError
	if errors.As(err, &item) {
		return item.Error()
	}
	return "a write failed: " + apply.Words(err, false)
}

// Message returns the message of an error for a status.
func Message(err error) string { return engine.Classify(err, Classify).Message }
