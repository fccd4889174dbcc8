// Package receiver is the HTTP endpoint to which Git hosts report pushes. It
// guarantees that a request needs the token of a source to trigger that source, that
// the same delivery triggers it once, and that it uses a bounded amount of memory. A
// request only triggers a fetch, and the fetch finds the changes.
package receiver

import (
	"cmp"
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
)

// Limits of a request.
const (
	// MaxBody is the largest size of a body, in bytes.
	MaxBody = 1 << 20
	// DefaultInFlight is the default number of requests that are handled at the
	// same time.
	DefaultInFlight = 64

	minKey        = 16
	maxHeader     = 16 << 10
	headerTimeout = 5 * time.Second
	timeout       = 10 * time.Second
	idleTimeout   = time.Minute
)

// The sources that a request can trigger. The source of a product is
// ProductPrefix followed by its name, and RepositoryOf the source of one of its other
// repositories.
const (
	Tenant        = "tenant"
	ProductPrefix = "product/"

	repositories = "/repositories/"
)

// Paths of the endpoint. The path of a product is ProductsPath followed by its name. The
// path of one of its other repositories goes on with /repositories/ and a name.
const (
	ProductsPath = "/hooks/v1/products/"
	TenantPath   = "/hooks/v1/tenant"
)

// RepositoryOf returns the source and the path of a repository of a product.
func RepositoryOf(product, repository string) (source, path string) {
	name := product + repositories + repository
	return ProductPrefix + name, ProductsPath + name
}

// Split returns the product of a source, and the repository if the source is not the
// repository of the product's own files. Both are empty for Tenant.
func Split(source string) (product, repository string) {
	product, _ = strings.CutPrefix(source, ProductPrefix)
	if source == Tenant {
		return "", ""
	}
	product, repository, _ = strings.Cut(product, repositories)
	return product, repository
}

// The results of a request, as label values of a metric.
const (
	ResultAccepted     = "accepted"     // 200: the source was notified
	ResultIgnored      = "ignored"      // 202: an event that changes no branch
	ResultInvalid      = "invalid"      // 400: the body is not an event
	ResultDuplicate    = "duplicate"    // 200: the delivery was accepted before
	ResultUnauthorized = "unauthorized" // 401
	ResultStale        = "stale"        // 401: the delivery was sent too long ago
	ResultNotFound     = "not_found"    // 404
	ResultMethod       = "method"       // 405
	ResultTooLarge     = "too_large"    // 413
	ResultMediaType    = "media_type"   // 415
	ResultBusy         = "busy"         // 503: too many requests at the same time
	ResultUnavailable  = "unavailable"  // 503: the key cannot be read
)

// Token returns the secret token that the hook of a source must send: the
// HMAC-SHA256 of the source, in base64url without padding. The source is Tenant,
// or ProductPrefix followed by the product's name.
func Token(key []byte, source string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("nautes.io/push-hook/v1\n" + source))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Handler handles push hooks of the forges that package forges lists. Its fields
// must be set before the first request.
type Handler struct {
	// Key returns the key of the tokens, which has at least 16 bytes. It is called
	// for each request and must answer from memory.
	Key func(context.Context) ([]byte, error)
	// Notify is called with a source that may have changed, and the push that the event
	// announces. It must return at once and merge notifications itself. The product of
	// the source may be gone.
	Notify func(source string, push forge.Push)
	// Observe is called with the result of each request, if it is set.
	Observe func(result string)
	// InFlight is the number of requests that are handled at the same time, or
	// DefaultInFlight if zero. Further requests are answered with 503.
	InFlight int
	// Now returns the time, or is nil for the time of the system.
	Now func() time.Time

	running atomic.Int64
	seen    seen
}

// outcome is the answer to a request.
type outcome struct {
	status int
	result string
	// detail describes the problem and its remedy; it is empty on success.
	detail string
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limit := int64(cmp.Or(h.InFlight, DefaultInFlight))
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
		return outcome{http.StatusNotFound, ResultNotFound, "this path does not exist: send events to " + ProductsPath + "<product>, to " + ProductsPath + "<product>" + repositories + "<CodeRepo> or to " + TenantPath}
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		return outcome{http.StatusMethodNotAllowed, ResultMethod, "send events with POST"}
	}
	key, err := h.Key(r.Context())
	if err != nil || len(key) < minKey {
		return outcome{http.StatusServiceUnavailable, ResultUnavailable, "tokens cannot be checked at the moment: send the event again later"}
	}
	d, found := deliveryOf(r)
	// A product that does not exist has a token too. So a wrong proof gets the
	// same answer whether or not the product exists.
	token := Token(key, source)
	unauthorized := outcome{http.StatusUnauthorized, ResultUnauthorized, "the token is missing or wrong: set the hook's token to the one of this source"}
	switch {
	case !found, !d.Signed && !d.Proves(d.Delivery, token):
		return unauthorized
	case !d.fresh(h.now()):
		return outcome{http.StatusUnauthorized, ResultStale, "the event was sent too long ago: check the clocks, and send it again"}
	}
	body, refused := readBody(w, r)
	if refused.status != 0 {
		return refused
	}
	d.Body = body
	if d.Signed && !d.Proves(d.Delivery, token) {
		return unauthorized
	}
	return h.accept(source, d, r.Header.Get(d.sender.Hooks.EventHeader))
}

func (h *Handler) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}

// readBody returns the body of a request, or the outcome that refuses it.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, outcome) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, outcome{http.StatusUnsupportedMediaType, ResultMediaType, "send the event as application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, outcome{http.StatusRequestEntityTooLarge, ResultTooLarge, "the event is larger than 1 MiB: send a smaller one"}
	case err != nil:
		return nil, outcome{http.StatusBadRequest, ResultInvalid, "the event ended early: send it again"}
	}
	return body, outcome{}
}

// accept notifies about a delivery that is proven.
func (h *Handler) accept(source string, d delivery, event string) outcome {
	push, changes, err := d.sender.Hooks.ChangesBranch(event, d.Body)
	switch {
	case err != nil:
		return outcome{http.StatusBadRequest, ResultInvalid, "the event is not a JSON object in the format of " + d.sender.Name}
	case !changes:
		return outcome{http.StatusAccepted, ResultIgnored, ""}
	case !h.seen.add(source, d.id(), h.now()):
		// It is a success, because GitLab stops to send after many failures.
		return outcome{http.StatusOK, ResultDuplicate, ""}
	}
	h.Notify(source, push)
	return outcome{http.StatusOK, ResultAccepted, ""}
}

// sourceOf returns the source that a path belongs to.
func sourceOf(path string) (source string, found bool) {
	if path == TenantPath {
		return Tenant, true
	}
	name, found := strings.CutPrefix(path, ProductsPath)
	product, repository, nested := strings.Cut(name, repositories)
	part := func(text string) bool { return text != "" && !strings.Contains(text, "/") }
	return ProductPrefix + name, found && part(product) && (!nested || part(repository))
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
		// The server must not wait for the rest of the body.
		header.Set("Connection", "close")
	}
	if o.status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "10")
	}
	w.WriteHeader(o.status)
	// The client may be gone, which does not matter here.
	_ = json.NewEncoder(w).Encode(document)
}

// NewServer returns a server that closes the connections of slow and idle clients.
func NewServer(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: h,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: timeout, WriteTimeout: timeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
	}
}
