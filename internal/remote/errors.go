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
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/remote/kubeconfig"
)

// ErrNotConnected is what every *NotConnectedError is.
var ErrNotConnected = errors.New("not connected")

// ErrNotSynced is what every *NotSyncedError is.
var ErrNotSynced = errors.New("not synced")

// errNotKubernetes is returned for an answer that no Kubernetes API server gives.
var errNotKubernetes = errors.New("what answers at the address is not a Kubernetes API server; check spec.apiServer")

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
type UnknownKindError struct {
	Group, Kind string
	// Namespace is set when the kind is watched in this namespace only, and
	// another one was asked for.
	Namespace string
}

// Error names the kind.
func (e *UnknownKindError) Error() string {
	if e.Namespace != "" {
		return "the connection watches the kind " + kindText(e.Group, e.Kind) + " in the namespace " + e.Namespace + " only"
	}
	return "the kind " + kindText(e.Group, e.Kind) + " is not in the list of kinds that the connection watches"
}

// replacedError is found when another cluster answers at an address.
type replacedError struct{ want, got string }

func (e *replacedError) Error() string {
	return fmt.Sprintf("another cluster answers at the address: the UID of its namespace kube-system is %s, and %s is remembered; "+
		"bring the first one back, or delete the Cluster and create it anew", e.got, e.want)
}

// expiredError is found when a cluster refuses a client certificate that is too old.
type expiredError struct{ since time.Time }

func (e *expiredError) Error() string {
	return fmt.Sprintf("the client certificate in the kubeconfig has expired on %s; store a kubeconfig with a new one", e.since.UTC().Format(time.DateOnly))
}

// readError is an error about something that was to be read.
type readError struct {
	what string
	err  error
}

func (e *readError) Error() string { return "read " + e.what + ": " + e.err.Error() }

func (e *readError) Unwrap() error { return e.err }

// reasonOf returns the condition reason of a failure to connect.
func reasonOf(err error) string {
	var refused *kubeconfig.Error
	var replaced *replacedError
	var expired *expiredError
	switch {
	case errors.As(err, &replaced):
		return v1alpha1.ReasonClusterReplaced
	case errors.As(err, &refused), errors.As(err, &expired), apierrors.IsUnauthorized(err):
		return v1alpha1.ReasonCredentialsInvalid
	}
	return v1alpha1.ReasonNotConnected
}

// explain says in our words what a failure means and what to do; rights says
// where the account gets its rights. The texts of the transport and of the API
// server, which hold addresses and may hold more, are not repeated.
func explain(err error, rights string) string {
	var refused *kubeconfig.Error
	var replaced *replacedError
	var expired *expiredError
	var unsynced *NotSyncedError
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &replaced):
		return replaced.Error()
	case errors.As(err, &expired):
		return expired.Error()
	case errors.As(err, &unsynced):
		return unsynced.Error()
	case errors.Is(err, errNotKubernetes):
		return errNotKubernetes.Error()
	case errors.As(err, &status):
		var read *readError
		what := "what is needed"
		if details := status.Status().Details; details != nil && details.Kind != "" {
			what = kindText(details.Group, details.Kind)
		} else if errors.As(err, &read) {
			what = read.what
		}
		return explainStatus(status.Status(), what, rights)
	}
	return explainTransport(err)
}

func explainStatus(s metav1.Status, what, rights string) string {
	switch {
	case s.Code == http.StatusUnauthorized:
		return "the API server does not accept the credentials: they are of another cluster, were revoked, or have expired; store a kubeconfig with valid ones"
	case s.Code == http.StatusForbidden:
		if rights == "" {
			rights = "grant it get, list and watch"
		}
		return "the account in use may not read " + what + "; " + rights
	case s.Code == http.StatusTooManyRequests, s.Code >= http.StatusInternalServerError:
		return fmt.Sprintf("the API server is not able to answer at the moment (status %d); it is asked again", s.Code)
	}
	return fmt.Sprintf("the API server's answer is not the one of Kubernetes (status %d); check spec.apiServer", s.Code)
}

func explainTransport(err error) string {
	var dns *net.DNSError
	var broken *net.OpError
	var header tls.RecordHeaderError
	var timeout net.Error
	if message := explainCertificate(err); message != "" {
		return message
	}
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the host name of the API server is not known; check spec.apiServer"
	case errors.As(err, &dns):
		return "the name service does not answer for the host name of the API server; check the name service of the operator"
	// So crypto/tls says that the other side has sent an alert.
	case errors.As(err, &broken) && broken.Op == "remote error":
		return "the API server breaks off the TLS handshake: it does not accept the client certificate, or the host name; check both"
	case errors.As(err, &header), errors.Is(err, http.ErrSchemeMismatch):
		return "what answers at the address does not speak TLS; check spec.apiServer"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused: nothing listens at the address; check spec.apiServer, and that the API server runs"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to the API server; check spec.apiServer and the network"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "the API server did not answer in time; check the network, firewalls and the load of the API server"
	}
	return "the connection broke; it is made anew"
}

// explainCertificate says what is wrong with the certificate of the API server;
// empty when nothing is.
func explainCertificate(err error) string {
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the API server's certificate has expired, or is not valid yet; renew it, and check the clocks"
	case errors.As(err, &authority):
		return "the API server's certificate is not signed by the authority in the kubeconfig; put the cluster's own authority into certificate-authority-data"
	case errors.As(err, &hostname):
		return "the API server's certificate is for another host name; use an address that it names, or add the name to the certificate"
	case errors.As(err, &invalid), errors.As(err, &certificate):
		return "the API server's certificate is not valid; renew it, or check certificate-authority-data"
	}
	return ""
}
