package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
)

// ErrNotConnected is what every *NotConnectedError is.
var ErrNotConnected = errors.New("not connected")

// ErrNotSynced is what every *NotSyncedError is.
var ErrNotSynced = errors.New("not synced")

// errNotKubernetes is returned for an answer that no Kubernetes API server gives.
var errNotKubernetes = errors.New("what answers at the address is not a Kubernetes API server; check the address")

// NotConnectedError is returned for a cluster without a connection. The
// manager's OnState tells when it has one.
type NotConnectedError struct {
	// Cluster by its name.
	Cluster string
	// Reason is a condition reason of v1alpha1, and Message its message.
	Reason, Message string
}

// Error names the cluster and says why there is no connection.
func (e *NotConnectedError) Error() string {
	return fmt.Sprintf("cluster %s is not connected: %s", e.Cluster, e.Message)
}

// Is tells that the error is ErrNotConnected.
func (e *NotConnectedError) Is(target error) bool { return target == ErrNotConnected }

// NotSyncedError is returned while the objects of a kind have not been read:
// what is not known is not an empty list.
type NotSyncedError struct {
	// Kind and its group.
	Group, Kind string
	// Cause of the last failure to read; empty when there was none.
	Cause string
}

// Error names the kind, and why it has not been read.
func (e *NotSyncedError) Error() string {
	s := "the objects of kind " + kindText(e.Group, e.Kind) + " have not been read yet"
	if e.Cause != "" {
		s += ": " + e.Cause
	}
	return s
}

// Is tells that the error is ErrNotSynced.
func (e *NotSyncedError) Is(target error) bool { return target == ErrNotSynced }

// UnknownKindError is returned for a kind that a connection does not watch: it
// is missing in the connection's list of kinds, which is a programming error.
type UnknownKindError struct{ Group, Kind string }

// Error names the kind.
func (e *UnknownKindError) Error() string {
	return "the kind " + kindText(e.Group, e.Kind) + " is not in the list of kinds that the connection watches"
}

// replacedError is found when another cluster answers at an address.
type replacedError struct{ want, got string }

func (e *replacedError) Error() string {
	return fmt.Sprintf("another cluster answers at the address: the UID of its namespace kube-system is %s, and %s is remembered; "+
		"bring the first one back, or delete the Cluster and create it anew", e.got, e.want)
}

// reasonOf returns the condition reason of a failure to connect.
func reasonOf(err error) string {
	var kubeconfig *KubeconfigError
	var replaced *replacedError
	switch {
	case errors.As(err, &replaced):
		return v1alpha1.ReasonClusterReplaced
	case errors.As(err, &kubeconfig), apierrors.IsUnauthorized(err):
		return v1alpha1.ReasonCredentialsInvalid
	}
	return v1alpha1.ReasonNotConnected
}

// explain says in our words what a failure means and what to do. The texts of
// the transport and of the API server, which hold addresses and may hold more,
// are not repeated.
func explain(err error) string {
	var kubeconfig *KubeconfigError
	var replaced *replacedError
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return ""
	case errors.As(err, &kubeconfig):
		return kubeconfig.Error()
	case errors.As(err, &replaced):
		return replaced.Error()
	case errors.Is(err, errNotKubernetes):
		return errNotKubernetes.Error()
	case errors.As(err, &status):
		return explainStatus(status.Status())
	}
	return explainTransport(err)
}

func explainStatus(s metav1.Status) string {
	switch {
	case s.Code == http.StatusUnauthorized:
		return "the API server does not accept the credentials; store a kubeconfig with valid ones"
	case s.Code == http.StatusForbidden:
		what := "this"
		if s.Details != nil && s.Details.Kind != "" {
			what = kindText(s.Details.Group, s.Details.Kind)
		}
		return "the account of the kubeconfig may not read " + what + "; grant it get, list and watch"
	case s.Code == http.StatusTooManyRequests, s.Code >= http.StatusInternalServerError:
		return fmt.Sprintf("the API server is not able to answer at the moment (status %d)", s.Code)
	}
	return fmt.Sprintf("the API server's answer is not the one of Kubernetes (status %d); check the address", s.Code)
}

func explainTransport(err error) string {
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var certificate *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return "the host name of the API server is not known; check the address"
	case errors.As(err, &authority):
		return "the API server's certificate is not signed by the authority in the kubeconfig; check certificate-authority-data"
	case errors.As(err, &hostname):
		return "the API server's certificate is for another host name; use an address that it names"
	case errors.As(err, &certificate):
		return "the API server's certificate is not valid; renew it, or check certificate-authority-data"
	case errors.As(err, &header):
		return "what answers at the address does not speak TLS; check the address"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused: nothing listens at the address"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to the API server"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "the API server did not answer in time"
	}
	return "the connection broke"
}
