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
	"nautes.io/nautes/internal/remote/kubeconfig"
)

// ErrNotConnected matches every *NotConnectedError.
var ErrNotConnected = errors.New("not connected")

// ErrNotSynced matches every *NotSyncedError.
var ErrNotSynced = errors.New("not synced")

// NotConnectedError is returned for a cluster without a connection. The manager
// calls OnState when the cluster is connected.
type NotConnectedError struct {
	// Cluster is the name of the cluster.
	Cluster string
	// Reason is a condition reason of v1alpha1, and Message its message.
	Reason, Message string
}

// Error names the cluster and explains why there is no connection.
func (e *NotConnectedError) Error() string {
	return fmt.Sprintf("cluster %s is not connected: %s", e.Cluster, e.Message)
}

// Is reports whether target is ErrNotConnected.
func (e *NotConnectedError) Is(target error) bool { return target == ErrNotConnected }

// NotSyncedError is returned while the objects of a kind have not been read. They
// are unknown, and must not be taken for an empty list.
type NotSyncedError struct {
	// Kind and its group.
	Group, Kind string
	// Cause of the last failure to read, or empty.
	Cause string
}

// Error names the kind, and explains why it has not been read.
func (e *NotSyncedError) Error() string {
	s := "the objects of kind " + kindText(e.Group, e.Kind) + " have not been read yet"
	if e.Cause != "" {
		s += ": " + e.Cause
	}
	return s
}

// Is reports whether target is ErrNotSynced.
func (e *NotSyncedError) Is(target error) bool { return target == ErrNotSynced }

// UnknownKindError is returned for a kind that a connection does not watch. It is
// a programming error.
type UnknownKindError struct {
	Group, Kind string
	// Namespace is set if the kind is watched in this namespace only, and an object
	// in another one was requested.
	Namespace string
}

// Error names the kind.
func (e *UnknownKindError) Error() string {
	if e.Namespace != "" {
		return "the connection watches the kind " + kindText(e.Group, e.Kind) + " in the namespace " + e.Namespace + " only"
	}
	return "the kind " + kindText(e.Group, e.Kind) + " is not in the list of kinds that the connection watches"
}

// refusal is a failure to connect that has a reason and a message of its own.
type refusal struct{ reason, message string }

func (e *refusal) Error() string { return e.message }

// errNotKubernetes is the error for an answer that no Kubernetes API server gives.
var errNotKubernetes = &refusal{
	reason: v1alpha1.ReasonNotConnected, message: "the server at the address is not a Kubernetes API server; check spec.apiServer",
}

// errNotServedYet is the error for a kind whose definition is there.
var errNotServedYet = &refusal{v1alpha1.ReasonNotConnected, "the cluster has its definition, and does not serve it yet; it is asked again"}

// readError is a failure to read something from the API server.
type readError struct {
	subject string
	err     error
}

func (e *readError) Error() string { return "read " + e.subject + ": " + e.err.Error() }

func (e *readError) Unwrap() error { return e.err }

// reasonOf returns the condition reason of a failure to connect.
func reasonOf(err error) string {
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.reason
	}
	if _, invalid := errors.AsType[*kubeconfig.Error](err); invalid || apierrors.IsUnauthorized(err) {
		return v1alpha1.ReasonCredentialsInvalid
	}
	return v1alpha1.ReasonNotConnected
}

// explain describes a failure and its remedy in our own words. It never repeats
// the texts of the transport or the API server, which contain addresses and may
// contain secrets. rights is the remedy for missing rights.
func explain(err error, rights string) string {
	if err == nil {
		return ""
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.message
	}
	if invalid, ok := errors.AsType[*kubeconfig.Error](err); ok {
		return invalid.Error()
	}
	if unsynced, ok := errors.AsType[*NotSyncedError](err); ok {
		return unsynced.Error()
	}
	failed, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok {
		return explainTransport(err)
	}
	subject := "some objects"
	if details := failed.ErrStatus.Details; details != nil && details.Kind != "" {
		subject = kindText(details.Group, details.Kind)
	} else if read, ok := errors.AsType[*readError](err); ok {
		subject = read.subject
	}
	return explainStatus(failed.ErrStatus, subject, rights)
}

func explainStatus(s metav1.Status, subject, rights string) string {
	switch {
	case s.Code == http.StatusUnauthorized:
		return "the API server does not accept the credentials: they belong to another cluster, were revoked, or have expired; store a kubeconfig with valid ones"
	case s.Code == http.StatusForbidden:
		if rights == "" {
			rights = "grant it get, list and watch"
		}
		return "the account in use may not read " + subject + "; " + rights
	case s.Code == http.StatusTooManyRequests, s.Code >= http.StatusInternalServerError:
		return fmt.Sprintf("the API server is not able to answer at the moment (status %d); it is asked again", s.Code)
	}
	return fmt.Sprintf("the API server's answer is not the one of Kubernetes (status %d); check spec.apiServer", s.Code)
}

func explainTransport(err error) string {
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, isAuthority := errors.AsType[x509.UnknownAuthorityError](err)
	_, isHostname := errors.AsType[x509.HostnameError](err)
	_, isVerification := errors.AsType[*tls.CertificateVerificationError](err)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	broken, isOp := errors.AsType[*net.OpError](err)
	_, isRecord := errors.AsType[tls.RecordHeaderError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case isInvalid && invalid.Reason == x509.Expired:
		return "the API server's certificate has expired, or is not valid yet; renew it, and check the clocks"
	case isAuthority:
		return "the API server's certificate is not signed by the authority in the kubeconfig; put the cluster's own authority into certificate-authority-data"
	case isHostname:
		return "the API server's certificate is for another host name; use an address that it names, or add the name to the certificate"
	case isInvalid, isVerification:
		return "the API server's certificate is not valid; renew it, or check certificate-authority-data"
	case isDNS && dns.IsNotFound:
		return "the host name of the API server is not known; check spec.apiServer"
	case isDNS:
		return "the name service does not answer for the host name of the API server; check the name service of the operator"
	// This is how crypto/tls reports an alert of the other side.
	case isOp && broken.Op == "remote error":
		return "the API server breaks off the TLS handshake: it does not accept the client certificate, or the host name; check both"
	case isRecord, errors.Is(err, http.ErrSchemeMismatch):
		return "the server at the address does not speak TLS; check spec.apiServer"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused: nothing listens at the address; check spec.apiServer, and that the API server runs"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to the API server; check spec.apiServer and the network"
	case errors.Is(err, context.DeadlineExceeded), isNet && timeout.Timeout():
		return "the API server did not answer in time; check the network, firewalls and the load of the API server"
	}
	return "the connection broke; it is made again"
}
