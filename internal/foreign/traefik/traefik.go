// Package traefik holds the few fields of Traefik's kinds that Nautes sets. It
// guarantees that an object of these types is accepted by Traefik's CRDs, whose own
// module would bring the whole program along.
package traefik

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// MiddlewareKind is the kind of Middlewares.
func MiddlewareKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "traefik.io", Version: "v1alpha1", Kind: "Middleware"}
}

// Middleware is a step that a request passes on its way to a service.
type Middleware struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              MiddlewareSpec `json:"spec"`
}

// MiddlewareSpec configures the step.
type MiddlewareSpec struct {
	ForwardAuth *ForwardAuth `json:"forwardAuth,omitempty"`
}

// ForwardAuth lets a request pass if a server answers it with success.
type ForwardAuth struct {
	// Address of the server that is asked, a URL.
	Address string `json:"address"`
	// TrustForwardHeader: the X-Forwarded headers go along as they came.
	TrustForwardHeader bool `json:"trustForwardHeader,omitempty"`
	// AuthResponseHeaders of the answer replace the headers of the request.
	AuthResponseHeaders []string `json:"authResponseHeaders,omitempty"`
}

// DeepCopyObject implements runtime.Object.
func (m *Middleware) DeepCopyObject() runtime.Object {
	out := &Middleware{TypeMeta: m.TypeMeta, ObjectMeta: *m.ObjectMeta.DeepCopy()}
	if auth := m.Spec.ForwardAuth; auth != nil {
		own := *auth
		own.AuthResponseHeaders = append([]string(nil), auth.AuthResponseHeaders...)
		out.Spec.ForwardAuth = &own
	}
	return out
}
