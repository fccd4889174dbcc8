package rest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/rest/body"
)

// maxBody is the size of the largest body, in bytes.
const maxBody = 1 << 20

type exchangeKey struct{}

// exchange is a request and its reply.
type exchange struct {
	id      string
	started time.Time
	// token stands for the access token, also of a caller that is turned away.
	token  string
	caller *caller
	op     *operation
	r      *http.Request
	w      http.ResponseWriter
	// whole is the context of the request without the limit of time.
	whole   context.Context
	query   map[string]string
	replied bool
	// streamed: the reply was a stream of events.
	streamed bool
	// product and name are the ones in the path.
	product, name string
	outcome       *Problem
	// done and before describe a write for the audit.
	done   edit.Result
	before string
	// digest of the request, once its body is read.
	digest string
}

// saved is the reply to a request that saves or deletes.
type saved struct {
	Message  string       `json:"message"`
	Commit   string       `json:"commit,omitempty" doc:"The commit; empty if nothing had to change."`
	File     string       `json:"file,omitempty" doc:"Path of the resource's file."`
	Warnings []string     `json:"warnings,omitempty"`
	Reached  string       `json:"reached,omitempty" enum:"committed,mirrored,ready,stalled" doc:"What the request has reached; only for requests that prefer to wait."`
	Status   *body.Status `json:"status,omitempty" doc:"The state of the resource in the tenant cluster; only for requests that prefer to wait."`
	DryRun   bool         `json:"dry_run,omitempty"`
	Diff     string       `json:"diff,omitempty" doc:"What a dry run would change in the files."`
	Plan     any          `json:"plan,omitempty" doc:"What a dry run would change on the clusters."`
}

// parse reads the path and the query parameters. It refuses unknown ones: a misspelt
// insecure_skip_check must not count as false.
func (x *exchange) parse() error {
	res := x.op.resource
	if !res.tenant {
		x.product = x.r.PathValue("product_name")
	}
	if !x.op.list {
		x.name = x.r.PathValue(res.param)
	}
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return at(http.StatusBadRequest, "query", reasonSyntax, "the query parameters are malformed: encode them")
	}
	x.query = map[string]string{}
	spelled := map[string]string{}
	var errs []body.Fault
	for given, all := range values {
		name, known := x.op.query[given]
		location := "query." + printable(given)
		switch {
		case !known:
			errs = append(errs, body.Fault{Location: location, Reason: body.UnknownKey, Message: "the query parameter is unknown: remove it, or write one of " + strings.Join(x.op.parameters(), ", ")})
		case len(all) > 1 || spelled[name] != "" && x.query[name] != all[0]:
			errs = append(errs, body.Fault{Location: location, Reason: body.Conflicting, Message: "the query parameter is there twice: keep one"})
		default:
			x.query[name], spelled[name] = all[0], given
		}
	}
	for _, name := range []string{queryDryRun, querySkip, queryDeleteProject, queryWatch} {
		if value, given := x.query[name]; given {
			if _, err := parseBool(value); err != nil {
				errs = append(errs, body.Fault{Location: "query." + spelled[name], Reason: body.WrongType, Message: "write true or false"})
			}
		}
	}
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b body.Fault) int { return strings.Compare(a.Location, b.Location) })
		return invalid(http.StatusBadRequest, errs)
	}
	return nil
}

func parseBool(text string) (bool, error) {
	switch text {
	case "true", "1", "t":
		return true, nil
	case "false", "0", "f", "":
		return false, nil
	}
	return false, strconv.ErrSyntax
}

// flag returns a query parameter that is true or false.
func (x *exchange) flag(name string) bool {
	value, _ := parseBool(x.query[name])
	return value
}

// parameters returns the names of the query parameters of an operation.
func (op *operation) parameters() []string {
	var names []string
	for _, name := range op.query {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// printable returns a text of a request for a location.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > 128 {
		text = strings.ToValidUTF8(text[:128], "") + "…"
	}
	return text
}

// read returns the body of the request.
func (x *exchange) read() ([]byte, error) {
	if given := x.r.Header.Get("Content-Type"); given != "" {
		media, _, err := mime.ParseMediaType(given)
		if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
			return nil, problem(http.StatusUnsupportedMediaType, reasonMediaType, "the body has another type: send JSON with Content-Type: application/json")
		}
	}
	data, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	x.arrived()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, problem(http.StatusRequestEntityTooLarge, reasonTooLarge, "the body is larger than %d bytes: make it smaller", maxBody)
	case err != nil:
		return nil, problem(http.StatusBadRequest, reasonSyntax, "the body ended too early or came too slowly: send it again")
	}
	return data, nil
}

// arrived ends the time limit for reading the request, which would end its context too.
func (x *exchange) arrived() {
	// Only tests have writers without deadlines.
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Time{})
}

// decode reads the body into a resource. It returns a problem with every fault.
func (x *exchange) decode(into any, further ...body.Fault) (*body.Decoded, error) {
	data, err := x.read()
	if err != nil {
		return nil, err
	}
	x.digest = digestOf(x.r, data)
	decoded, err := body.Decode(data, into, body.Echoes{"product": x.product, "name": x.name})
	if err != nil {
		return nil, at(http.StatusBadRequest, "body", reasonSyntax, "%s", err)
	}
	decoded.Check(into, x.name)
	if errs := append(further, decoded.Problems...); len(errs) > 0 {
		return nil, invalid(http.StatusBadRequest, errs)
	}
	return decoded, nil
}

// reply writes a reply with status 200.
func (x *exchange) reply(v any, etag string) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	x.replied = true
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	if etag != "" {
		h.Set("ETag", strconv.Quote(etag))
	}
	x.w.WriteHeader(http.StatusOK)
	_, _ = x.w.Write(append(data, '\n'))
	return nil
}

// ifMatch returns the blob that the header If-Match asks for.
func (x *exchange) ifMatch() (string, error) {
	value := strings.TrimSpace(x.r.Header.Get("If-Match"))
	if value == "" || value == "*" {
		return value, nil
	}
	tag := strings.TrimPrefix(value, "W/")
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' || strings.Contains(tag[1:len(tag)-1], `"`) {
		return "", at(http.StatusBadRequest, "header.If-Match", reasonSyntax, `write one ETag in quotes, such as "1f7ec5…", or *`)
	}
	return tag[1 : len(tag)-1], nil
}
