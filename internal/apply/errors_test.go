package apply

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

func status(code int32, reason metav1.StatusReason, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Reason: reason, Message: message}}
}

// storeError returns the error of a secret store that is itself an API server.
func storeError(kind error, code int32) error {
	return fmt.Errorf("%w: %w", kind, status(code, "", "busy"))
}

var (
	testID    = plan.ID{Kind: "Secret", Namespace: "ns", Name: "s"}
	onCluster = plan.Cluster("c")
)

func TestItemError(t *testing.T) {
	ref := plan.SecretRef{Engine: "git", Path: "a"}
	for name, test := range map[string]struct {
		err    error
		secret bool
		want   string
		// wantOne: the error concerns this object only.
		wantOne bool
	}{
		"foreign":               {err: &NotOursError{ID: testID, Target: onCluster, Holder: "h"}, want: "Secret ns/s exists on Cluster c and belongs to h; delete it or use another name", wantOne: true},
		"foreign, can be given": {err: &NotOursError{ID: testID, Target: onCluster, Holder: "h", Adopt: "Space/p"}, want: "Secret ns/s exists on Cluster c and belongs to h; delete it or use another name, or hand it over with the annotation nautes.io/adopt: Space/p", wantOne: true},
		"terminating":           {err: &TerminatingError{ID: testID, Target: onCluster}, want: "Secret ns/s on Cluster c is being deleted; it is created again when it is gone", wantOne: true},
		"terminating, held":     {err: &TerminatingError{ID: testID, Target: onCluster, Held: "it has the finalizers a"}, want: "Secret ns/s on Cluster c is being deleted; it is created again when it is gone: it has the finalizers a", wantOne: true},
		"conflict":              {err: &ConflictError{ID: testID, Target: onCluster}, want: "Secret ns/s on Cluster c was changed by another writer at the same time; it is tried again", wantOne: true},
		"unknown kinds": {err: &KindMissingError{Target: onCluster, Kinds: []schema.GroupKind{{Kind: "A"}, {Group: "g", Kind: "B"}}},
			want: "Cluster c does not serve A, B.g; install the component that brings it", wantOne: true},
		"wrong plan":                 {err: &PlanError{ID: testID, Problem: "it is empty"}, want: "the plan of Secret ns/s is wrong: it is empty", wantOne: true},
		"need":                       {err: &NeedError{ID: testID, Target: onCluster}, want: "Secret ns/s on Cluster c: it is left unchanged: it needs Secret ns/s on Cluster c, which could not be written", wantOne: true},
		"no secret":                  {err: &SecretMissingError{Ref: ref}, want: "Secret ns/s on Cluster c: the secret git/a is not in the secret store; store it there", wantOne: true},
		"no field":                   {err: &SecretMissingError{Ref: ref, Field: "f"}, want: "Secret ns/s on Cluster c: the secret git/a in the secret store has no field f; add it", wantOne: true},
		"bad secret":                 {err: &FormatError{Ref: ref, Field: "f", Format: "x", Err: errors.New("hidden")}, want: "Secret ns/s on Cluster c: the field f of the secret git/a in the secret store cannot be converted to x; store a valid one", wantOne: true},
		"store away":                 {err: fmt.Errorf("read it: %w", secrets.ErrUnavailable), want: "Secret ns/s on Cluster c: read it: " + secrets.ErrUnavailable.Error()},
		"store refuses":              {err: fmt.Errorf("read it: %w", secrets.ErrDenied), want: "Secret ns/s on Cluster c: read it: " + secrets.ErrDenied.Error(), wantOne: true},
		"store away, with status":    {err: storeError(secrets.ErrUnavailable, 503), want: "Secret ns/s on Cluster c: " + secrets.ErrUnavailable.Error() + ": busy"},
		"store refuses, with status": {err: storeError(secrets.ErrDenied, 403), want: "Secret ns/s on Cluster c: " + secrets.ErrDenied.Error() + ": busy", wantOne: true},
		"no secret, with status":     {err: storeError(secrets.ErrNotFound, 500), want: "Secret ns/s on Cluster c: " + secrets.ErrNotFound.Error() + ": busy", wantOne: true},
		"refused":                    {err: status(422, metav1.StatusReasonInvalid, "spec is bad"), want: "Secret ns/s on Cluster c: the API server refuses it: spec is bad", wantOne: true},
		"refused, secret":            {err: status(422, metav1.StatusReasonInvalid, "hidden"), secret: true, want: "Secret ns/s on Cluster c: the API server refuses it (Invalid)", wantOne: true},
		"forbidden":                  {err: status(403, metav1.StatusReasonForbidden, "no"), want: "Secret ns/s on Cluster c: the API server refuses it: no", wantOne: true},
		"server error":               {err: status(500, metav1.StatusReasonInternalError, "hidden"), want: "Secret ns/s on Cluster c: the API server has a problem (status 500); it is tried again", wantOne: true},
		"webhook away": {err: status(500, metav1.StatusReasonInternalError, `Internal error occurred: failed calling webhook "namespaces.hnc.x-k8s.io": failed to call webhook: Post "https://127.0.0.1:1/validate?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused`),
			want: `Secret ns/s on Cluster c: the API server refuses it: failed calling webhook "namespaces.hnc.x-k8s.io": failed to call webhook: Post "https://127.0.0.1:1/validate?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused`, wantOne: true},
		"webhook away, secret": {err: status(500, metav1.StatusReasonInternalError, `Internal error occurred: failed calling webhook "secrets.example.com": expected response.uid="1", got "hidden"`), secret: true,
			want: `Secret ns/s on Cluster c: the API server refuses it (InternalError, failed calling webhook "secrets.example.com")`, wantOne: true},
		"webhook that denies with 503": {err: status(503, "", `admission webhook "a.example.com" denied the request: come back with https://me:hidden@h/`), want: `Secret ns/s on Cluster c: the API server refuses it: admission webhook "a.example.com" denied the request: come back with https://h/`, wantOne: true},
		"webhook that denies, secret":  {err: status(403, metav1.StatusReasonForbidden, `admission webhook "a.example.com" denied the request: hidden`), secret: true, want: `Secret ns/s on Cluster c: the API server refuses it (Forbidden, admission webhook "a.example.com")`, wantOne: true},
		"policy, secret": {err: status(422, metav1.StatusReasonInvalid, `secrets "s" is forbidden: ValidatingAdmissionPolicy 'no-cobol' with binding 'b' denied request: hidden`), secret: true,
			want: `Secret ns/s on Cluster c: the API server refuses it (Invalid, ValidatingAdmissionPolicy 'no-cobol')`, wantOne: true},
		"conversion webhook away": {err: status(500, metav1.StatusReasonInternalError, `conversion webhook for argoproj.io/v1, Kind=X failed: Post "https://h/c": EOF`), want: `Secret ns/s on Cluster c: the API server refuses it: conversion webhook for argoproj.io/v1, Kind=X failed: Post "https://h/c": EOF`, wantOne: true},
		"too large for etcd":      {err: status(500, metav1.StatusReasonUnknown, "etcdserver: request is too large"), want: "Secret ns/s on Cluster c: the API server refuses it: etcdserver: request is too large", wantOne: true},
		"too large, secret":       {err: status(500, metav1.StatusReasonUnknown, "etcdserver: request is too large"), secret: true, want: "Secret ns/s on Cluster c: the API server refuses it (without a reason, request is too large)", wantOne: true},
		"too large":               {err: status(413, metav1.StatusReasonRequestEntityTooLarge, "Request entity too large: limit is 3145728"), want: "Secret ns/s on Cluster c: the API server refuses it: Request entity too large: limit is 3145728", wantOne: true},
		"quota, secret":           {err: status(403, metav1.StatusReasonForbidden, `secrets "s" is forbidden: exceeded quota: few, requested: secrets=1, used: secrets=2, limited: secrets=2`), secret: true, want: "Secret ns/s on Cluster c: the API server refuses it (Forbidden, exceeded quota: few)", wantOne: true},
		"namespace that goes":     {err: status(403, metav1.StatusReasonForbidden, `unable to create new content in namespace ns because it is being terminated`), secret: true, want: "Secret ns/s on Cluster c: the API server refuses it (Forbidden, because it is being terminated)", wantOne: true},
		"a long answer":           {err: status(422, metav1.StatusReasonInvalid, strings.Repeat("x", 2000)), want: "Secret ns/s on Cluster c: the API server refuses it: " + strings.Repeat("x", 1024-len("…")) + "…", wantOne: true},
		"not logged in":           {err: status(401, metav1.StatusReasonUnauthorized, "who"), want: "Secret ns/s on Cluster c: the API server refuses it: who"},
		"time-out":                {err: status(408, metav1.StatusReasonTimeout, "slow"), want: "Secret ns/s on Cluster c: the API server refuses it: slow"},
		"too many":                {err: status(429, metav1.StatusReasonTooManyRequests, "busy"), want: "Secret ns/s on Cluster c: the API server refuses it: busy"},
		"bad gateway":             {err: status(http.StatusBadGateway, "", "x"), want: "Secret ns/s on Cluster c: the API server has a problem (status 502); it is tried again"},
		"unavailable":             {err: status(http.StatusServiceUnavailable, "", "x"), want: "Secret ns/s on Cluster c: the API server has a problem (status 503); it is tried again"},
		"gateway timeout":         {err: status(http.StatusGatewayTimeout, "", "x"), want: "Secret ns/s on Cluster c: the API server has a problem (status 504); it is tried again"},
		"no answer":               {err: &url.Error{Op: "Patch", URL: "https://hidden", Err: errors.New("hidden")}, want: "Secret ns/s on Cluster c: the API server did not answer; it is tried again"},
		"anything else":           {err: errors.New("odd"), want: "Secret ns/s on Cluster c: odd"},
	} {
		err := &ItemError{ID: testID, Target: onCluster, Err: test.err, secret: test.secret}
		if err.Error() != test.want {
			t.Errorf("%s: the message is %q, want %q", name, err, test.want)
		}
		if !errors.Is(err, test.err) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v does not lead to %v, or shows too much", name, err, test.err)
		}
		if got := concernsOne(fmt.Errorf("wrapped: %w", test.err)); got != test.wantOne {
			t.Errorf("%s: concerns one object only: %t", name, got)
		}
		// An isolated item is listed if its error is its own, and other errors
		// end the pass.
		for _, isolate := range []bool{false, true} {
			r := &Result{}
			journal := newJournal(t.Context(), &memory{}, memoKey{}, plan.Set{})
			got := r.failed(Options{Isolate: isolate}, journal, err)
			listed := isolate && test.wantOne
			if (got == nil) != listed || (len(r.Failed) == 1) != listed || (len(journal.refused) == 1) != test.wantOne {
				t.Errorf("%s, isolated %t: returned %v, listed %v, logged %v", name, isolate, got, r.Failed, journal.refused)
			}
		}
	}
}

// A person can act on some answers of an API server.
func TestRefused(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"invalid":                {status(422, metav1.StatusReasonInvalid, "x"), true},
		"the first of its range": {status(400, metav1.StatusReasonBadRequest, "x"), true},
		"no error of a request":  {status(399, "", "x"), false},
		"time-out":               {status(408, metav1.StatusReasonTimeout, "x"), false},
		"too many":               {status(429, metav1.StatusReasonTooManyRequests, "x"), false},
		"a server error":         {status(500, metav1.StatusReasonInternalError, "x"), false},
		"a webhook that is away": {status(500, metav1.StatusReasonInternalError, `failed calling webhook "a.example.com": EOF`), true},
		"another error":          {errors.New("odd"), false},
		"wrapped":                {fmt.Errorf("apply: %w", status(422, metav1.StatusReasonInvalid, "x")), true},
	} {
		if got := Refused(test.err); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// The answer about a Secret is left out, whoever asks.
func TestWordsAboutSecrets(t *testing.T) {
	about := func(kind string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{
			Code: 422, Reason: metav1.StatusReasonInvalid, Message: "hidden", Details: &metav1.StatusDetails{Kind: kind},
		}}
	}
	for kind, want := range map[string]string{"secrets": "the API server refuses it (Invalid)", "configmaps": "the API server refuses it: hidden"} {
		if got := Words(about(kind), false); got != want {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
	if got := Words(errors.New("odd"), false); got != "" {
		t.Errorf("%q for another error", got)
	}
}

func TestErrorsLeadToTheirCauses(t *testing.T) {
	cause := errors.New("cause")
	for _, err := range []error{
		&FormatError{Err: cause}, &ConflictError{Err: cause}, &ItemError{Err: cause}, keptError{cause},
	} {
		if !errors.Is(err, cause) {
			t.Errorf("%T does not lead to its cause", err)
		}
	}
	missing := &SecretMissingError{}
	if !errors.Is(missing, secrets.ErrNotFound) || errors.Is(missing, secrets.ErrDenied) {
		t.Error("a missing secret is secrets.ErrNotFound and nothing else")
	}
	guard := &GuardError{Target: onCluster, Owner: plan.Owner{Kind: "Space", Name: "p"}, Total: 102}
	for i := range 100 {
		guard.Objects = append(guard.Objects, plan.ID{Kind: "Namespace", Name: fmt.Sprintf("namespace-%02d", i)})
	}
	begin, end := "100 of the 102 objects of Space p on Cluster c would be removed and are kept: Namespace namespace-00, Namespace namespace-01, ", " and 88 more. "
	if got := guard.Error(); !strings.HasPrefix(got, begin) || !strings.Contains(got, end) {
		t.Errorf("the message is %q, want %q … %q", got, begin, end)
	}
	want := end + "If the removal is intended, set the annotation nautes.io/confirm-prune, or push the change by a commit with the trailer Nautes-Confirm-Prune: true in its message"
	if got := guard.Error(); !strings.HasSuffix(got, want) {
		t.Errorf("the message is %q, want %q", got, want)
	}
	guard.Confirm, guard.Value = plan.Ref{Kind: "Product", Namespace: "nautes", Name: "p"}, "7"
	if got, want := guard.Error(), "set the annotation nautes.io/confirm-prune: 7 on Product nautes/p, or push"; !strings.Contains(got, want) {
		t.Errorf("the message is %q, want %q", got, want)
	}
	kinds := &KindMissingError{}
	for _, id := range []plan.ID{testID, {Group: "g", Kind: "K"}, testID} {
		kinds.add(id)
	}
	if len(kinds.Kinds) != 2 {
		t.Errorf("kinds are %v, want each once", kinds.Kinds)
	}
}
