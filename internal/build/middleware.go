package build

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Traefik's own module brings its whole program along: these are the few fields
// that are set here, and a test holds them against its CRD.

// oauthMiddleware is the name of the Middleware that has people log in.
const oauthMiddleware = "oauth"

var middlewareKind = schema.GroupVersionKind{Group: "traefik.io", Version: "v1alpha1", Kind: "Middleware"}

// Middleware is what Traefik does with a request on its way to a service.
type Middleware struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              MiddlewareSpec `json:"spec"`
}

// MiddlewareSpec says what is done.
type MiddlewareSpec struct {
	ForwardAuth *ForwardAuth `json:"forwardAuth,omitempty"`
}

// ForwardAuth lets a request through when a server has nothing against it.
type ForwardAuth struct {
	// Address of the server that is asked, a URL.
	Address string `json:"address"`
	// TrustForwardHeader: the X-Forwarded headers go along as they came.
	TrustForwardHeader bool `json:"trustForwardHeader,omitempty"`
	// AuthResponseHeaders of the answer replace those of the request.
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

func newMiddleware(front doorway) *Middleware {
	return &Middleware{
		ObjectMeta: metav1.ObjectMeta{Namespace: front.gateway, Name: oauthMiddleware},
		Spec: MiddlewareSpec{ForwardAuth: &ForwardAuth{
			// Not the proxy's /oauth2/auth: that answers who is not logged in with
			// a bare 401, and its root with the way to log in.
			Address:            "http://" + front.proxy + "." + front.proxyNamespace + ".svc.cluster.local/",
			TrustForwardHeader: true,
			// Nobody can say by himself who he is.
			AuthResponseHeaders: []string{"X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups"},
		}},
	}
}
