// Package receiver is the HTTP endpoint that Git hosts report pushes to. It
// guarantees that only who holds the token of a source can wake that source, and
// that a request costs a bounded amount of memory and no work of its own: it
// wakes, and the fetch decides what is new.
package receiver

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/forges"
)

// Limits of a request.
const (
	// MaxBody is the size of the largest body, in bytes.
	MaxBody = 1 << 20
	// DefaultInFlight is how many requests are answered at the same time.
	DefaultInFlight = 64

	minKey        = 16
	maxHeader     = 16 << 10
	headerTimeout = 5 * time.Second
	timeout       = 10 * time.Second
	idleTimeout   = time.Minute
)

// The sources that a request can be about. The source of a product is
// ProductPrefix and its name.
const (
	Tenant        = "tenant"
	ProductPrefix = "product/"
)

// Paths of the endpoint. The path of a product is ProductsPath and its name.
const (
	ProductsPath = "/hooks/v1/products/"
	TenantPath   = "/hooks/v1/tenant"
)

// Results that a request can have, for a metric.
const (
	ResultAccepted     = "accepted"     // 200: the source was notified
	ResultIgnored      = "ignored"      // 202: an event that changes no branch
	ResultInvalid      = "invalid"      // 400: the body is no event
	ResultUnauthorized = "unauthorized" // 401
	ResultNotFound     = "not_found"    // 404
	ResultMethod       = "method"       // 405
	ResultTooLarge     = "too_large"    // 413
	ResultMediaType    = "media_type"   // 415
	ResultBusy         = "busy"         // 503: too many requests at the same time
	ResultUnavailable  = "unavailable"  // 503: the key cannot be read
)

// Token returns the secret token that the hook of a source sends: the source's
// HMAC-SHA256, in base64url without padding. Source is Tenant or ProductPrefix
// and the product's name.
func Token(key []byte, source string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("nautes.io/push-hook/v1\n" + source))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Handler answers push hooks of the forges that package forges lists. Its fields are set before the
// first request.
type Handler struct {
	// Key returns the key that tokens are made with, of 16 bytes at least. It is
	// called for each request and must answer from memory.
	Key func(context.Context) ([]byte, error)
	// Notify says that a source may have changed. It must return at once, and
	// merging notifications is its own job. The source is one that a token was
	// given for; its product may be gone meanwhile.
	Notify func(source string)
	// Observe, when set, is told the result of each request.
	Observe func(result string)
	// InFlight is how many requests are answered at the same time;
	// DefaultInFlight when 0. More are turned away, to be sent again.
	InFlight int

	running atomic.Int64
}

// outcome is how a request ends.
type outcome struct {
	status int
	result string
	// detail says what is wrong and what to do; empty when nothing is.
	detail string
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limit := int64(h.InFlight)
	if limit == 0 {
		limit = DefaultInFlight
	}
	o := outcome{http.StatusServiceUnavailable, ResultBusy, "too many requests at the same time: send the event again later"}
	if h.running.Add(1) <= limit {
		o = h.handle(w, r)
	}
	h.running.Add(-1)
	if h.Observe != nil {
		h.Observe(o.result)
	}
	o.write(w)
}

func (h *Handler) handle(w http.ResponseWriter, r *http.Request) outcome {
	source, found := sourceOf(r.URL.Path)
	switch {
	case !found:
		return outcome{http.StatusNotFound, ResultNotFound, "there is nothing here: send events to " + ProductsPath + "<product> or " + TenantPath}
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		return outcome{http.StatusMethodNotAllowed, ResultMethod, "send events with POST"}
	}
	key, err := h.Key(r.Context())
	if err != nil || len(key) < minKey {
		return outcome{http.StatusServiceUnavailable, ResultUnavailable, "tokens cannot be checked at the moment: send the event again later"}
	}
	// A product that does not exist has a token too, which nobody was ever
	// given, so it answers as any other product does to a wrong token.
	sender, tokens := senderOf(r)
	if len(tokens) != 1 || !hmac.Equal([]byte(tokens[0]), []byte(Token(key, source))) {
		return outcome{http.StatusUnauthorized, ResultUnauthorized, "the token is missing or wrong: set the hook's secret token to the one of this source"}
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return outcome{http.StatusUnsupportedMediaType, ResultMediaType, "send the event as application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return outcome{http.StatusRequestEntityTooLarge, ResultTooLarge, "the event is larger than 1 MiB: send a smaller one"}
	case err != nil:
		return outcome{http.StatusBadRequest, ResultInvalid, "the event ended early: send it again"}
	}
	changes, err := sender.Hooks.ChangesBranch(r.Header.Get(sender.Hooks.EventHeader), body)
	switch {
	case err != nil:
		return outcome{http.StatusBadRequest, ResultInvalid, "the event is no JSON object as " + sender.Name + " sends it"}
	case !changes:
		return outcome{http.StatusAccepted, ResultIgnored, ""}
	}
	h.Notify(source)
	return outcome{http.StatusOK, ResultAccepted, ""}
}

// sourceOf returns the source that a path is about.
func sourceOf(path string) (source string, found bool) {
	if path == TenantPath {
		return Tenant, true
	}
	product, found := strings.CutPrefix(path, ProductsPath)
	return ProductPrefix + product, found && product != "" && !strings.Contains(product, "/")
}

// senderOf returns the forge that sends the token header of a request, and the
// tokens. It returns no token if there is no such header.
func senderOf(r *http.Request) (sender forge.Forge, tokens []string) {
	for _, f := range forges.All() {
		if tokens := r.Header.Values(f.Hooks.TokenHeader); len(tokens) > 0 {
			return f, tokens
		}
	}
	return forge.Forge{}, nil
}

// write answers with a small JSON document; problems follow RFC 9457.
func (o outcome) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	document := map[string]any{"result": o.result}
	header.Set("Content-Type", "application/json")
	if o.detail != "" {
		document = map[string]any{"type": "about:blank", "title": http.StatusText(o.status), "status": o.status, "detail": o.detail}
		header.Set("Content-Type", "application/problem+json")
		// The rest of the body is not waited for.
		header.Set("Connection", "close")
	}
	if o.status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "10")
	}
	w.WriteHeader(o.status)
	// The client may be gone, which is its own affair.
	_ = json.NewEncoder(w).Encode(document)
}

// NewServer returns a server whose clients cannot hold a connection for long
// without saying something.
func NewServer(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: h,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: timeout, WriteTimeout: timeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
	}
}
