package apply

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/plan"
)

// maxWords is the longest answer of an API server in a message, in bytes.
const maxWords = 1024

// mendable matches the answers with a status of 500 or more that name something that a
// person can repair. Others are about the state of the server itself.
var mendable = regexp.MustCompile(`failed calling webhook|failed to call webhook|admission webhook|conversion webhook|` +
	`(?i:request is too large)|database space exceeded|ValidatingAdmissionPolicy|MutatingAdmissionPolicy`)

// culprit matches the parts of an answer that name the party that refused an object,
// and that repeat nothing of the object.
var culprit = regexp.MustCompile(`(failed calling webhook|admission webhook|conversion webhook for|ValidatingAdmissionPolicy|MutatingAdmissionPolicy) ["'][^"']+["']|` +
	`conversion webhook for [^ ,]+|exceeded quota: [^ ,]+|(?i:request is too large)|database space exceeded|because it is being terminated`)

// Refused reports whether an API server gave an answer about a request that a person
// can act on: that it refuses the object, or which part of the cluster does not work.
func Refused(err error) bool {
	var status *apierrors.StatusError
	if !errors.As(err, &status) {
		return false
	}
	s := status.Status()
	switch {
	case s.Code >= http.StatusInternalServerError:
		return mendable.MatchString(s.Message)
	case s.Code == http.StatusRequestTimeout, s.Code == http.StatusTooManyRequests:
		return false
	}
	return s.Code >= http.StatusBadRequest
}

// Words returns the answer of an API server for people, or "" for other errors. The
// answer is left out if the object holds secrets, but for who refused it.
func Words(err error, secret bool) string {
	var status *apierrors.StatusError
	if !errors.As(err, &status) {
		return ""
	}
	s := status.Status()
	secret = secret || s.Details != nil && s.Details.Kind == "secrets"
	switch {
	case s.Code >= http.StatusInternalServerError && !Refused(err):
		return fmt.Sprintf("the API server has a problem (status %d); it is tried again", s.Code)
	case !secret:
		return "the API server refuses it: " + plan.Words(strings.TrimPrefix(s.Message, "Internal error occurred: "), maxWords)
	}
	return "the API server refuses it (" + because(s) + ")"
}

// because returns the reason of a refusal and who refused, and nothing of the object.
func because(s metav1.Status) string {
	parts := []string{cmp.Or(string(s.Reason), "without a reason")}
	for _, part := range culprit.FindAllString(s.Message, -1) {
		parts = append(parts, plan.Words(part, maxWords))
	}
	return strings.Join(parts, ", ")
}
