package rest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/rest/body"
)

// Trailers of commits.
const (
	trailerRequestID = "Request-Id"
	trailerDigest    = "Request-Digest"
)

// change is a request to save a resource that is kept in a file.
type change struct {
	place   *place
	view    *edit.View
	names   *names
	body    any
	decoded *body.Decoded
	object  v1alpha1.Object
	// exists reports whether the resource has a file.
	exists bool
	// digest of the request.
	digest string
}

// saveFile saves a resource of which the file is everything.
func (s *Server) saveFile(x *exchange) error {
	c, err := s.change(x)
	if err != nil {
		return err
	}
	return s.commit(x, c, nil)
}

// commit makes the commit and replies.
func (s *Server) commit(x *exchange, c *change, adjust func(*edit.Request)) error {
	result, err := s.do(x, c, adjust)
	if err != nil {
		return err
	}
	return s.saved(x, c, result)
}

// change reads a request to save a resource.
func (s *Server) change(x *exchange) (*change, error) {
	res, ctx := x.op.resource, x.r.Context()
	p, err := s.writable(ctx, x.caller, x.product)
	if err != nil {
		return nil, err
	}
	c := &change{place: p, body: res.body()}
	if c.decoded, err = x.decode(c.body, badName(x)...); err != nil {
		return nil, err
	}
	c.digest = x.digest
	if c.view, err = s.options.Editor.View(ctx, p.edit, s.options.MaxAge); err != nil {
		return nil, err
	}
	c.names = newNames(ctx, x.caller, p, c.view)
	return c, s.build(x, c)
}

// build sets the object of a change.
func (s *Server) build(x *exchange, c *change) error {
	res := x.op.resource
	name := x.name
	if res.kind == "CodeRepo" {
		name = c.names.id("repo", x.name)
	}
	object, objectSpec := res.parts()
	if entry, found := c.view.Get(res.kind, name); found {
		c.exists = true
		if copied, ok := entry.Object.DeepCopyObject().(v1alpha1.Object); ok {
			object, objectSpec = copied, spec(copied)
		}
	}
	object.SetName(name)
	c.object = object
	if err := body.Spec(c.body, objectSpec, c.names.id); err != nil {
		return err
	}
	if c.names.err != nil {
		return c.names.err
	}
	if x.flag(querySkip) {
		if errs := c.names.unresolved(c.body, c.decoded); len(errs) > 0 {
			return invalid(http.StatusUnprocessableEntity, errs)
		}
	}
	return complete(x, c)
}

// complete sets the fields of an object that requests do not have.
func complete(x *exchange, c *change) error {
	product := c.place.edit.Scope.Namespace
	taken := ""
	switch o := c.object.(type) {
	case *v1alpha1.Project:
		o.Spec.Product = product
	case *v1alpha1.Environment:
		o.Spec.Product = product
	case *v1alpha1.CodeRepo:
		o.Spec.Product, o.Spec.RepoName, o.Spec.CodeRepoProvider = product, x.name, c.place.platform.Provider.Name
	case *v1alpha1.CodeRepoBinding:
		o.Spec.Product, taken = product, o.Spec.CodeRepo
		o.Spec.Permissions = cmp.Or(o.Spec.Permissions, v1alpha1.PermissionReadOnly)
	case *v1alpha1.DeploymentRuntime:
		o.Spec.Product = product
		o.Spec.ManifestSource.TargetRevision = cmp.Or(o.Spec.ManifestSource.TargetRevision, "HEAD")
	case *v1alpha1.ProjectPipelineRuntime:
		o.Namespace, taken = product, o.Spec.Project
		o.Spec.Isolation = cmp.Or(o.Spec.Isolation, v1alpha1.IsolationShared)
	}
	if taken != "" && taken == c.object.GetName() {
		return at(http.StatusUnprocessableEntity, "path."+x.op.resource.param, body.Invalid, "a file of another resource has this name: choose another one")
	}
	return nil
}

// badName returns the problem of a name that no resource can have.
func badName(x *exchange) []body.Fault {
	res := x.op.resource
	if res.kind == "CodeRepo" {
		if !repositoryNames.MatchString(x.name) {
			return []body.Fault{{Location: "path." + res.param, Reason: body.Invalid, Message: "the name is not one of a repository: write letters, digits, dashes, underscores and dots, beginning with a letter or digit"}}
		}
		return nil
	}
	if errs := validation.IsDNS1123Label(x.name); len(errs) > 0 {
		return []body.Fault{{Location: "path." + res.param, Reason: body.Invalid, Message: "the name is not one of a resource: write at most 63 lower case letters, digits and dashes"}}
	}
	return nil
}

var (
	repositoryNames = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9_.]{0,254}$`)
	idempotencyKeys = regexp.MustCompile(`^[!-~]([ -~]{0,126}[!-~])?$`)
)

// request returns the request of a write without its change.
func (x *exchange) request(p *place, digest string) (edit.Request, error) {
	match, err := x.ifMatch()
	if err != nil {
		return edit.Request{}, err
	}
	r := edit.Request{
		Repository: p.edit, Caller: x.caller.editCaller(), IfMatch: match,
		SkipReferences: x.flag(querySkip), DryRun: x.flag(queryDryRun),
		Trailers: []edit.Trailer{{Key: trailerRequestID, Value: x.id}},
	}
	key, err := x.idempotencyKey()
	if err != nil {
		return edit.Request{}, err
	}
	if key != "" {
		r.Trailers = append(r.Trailers, edit.Trailer{Key: edit.TrailerIdempotencyKey, Value: key}, edit.Trailer{Key: trailerDigest, Value: digest})
	}
	return r, nil
}

// digestOf returns the digest of a request, by which a reused Idempotency-Key is found.
func digestOf(r *http.Request, data []byte) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s %s?%s\n", r.Method, r.URL.EscapedPath(), r.URL.RawQuery)
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

// do makes the commit of a change.
func (s *Server) do(x *exchange, c *change, adjust func(*edit.Request)) (edit.Result, error) {
	r, err := x.request(c.place, c.digest)
	if err != nil {
		return edit.Result{}, err
	}
	r.Save = c.object
	r.Subject = fmt.Sprintf("[API] Save %s %s", x.op.resource.kind, x.name)
	if adjust != nil {
		adjust(&r)
	}
	x.before = c.view.Revision()
	result, err := s.edit(x.r.Context(), r)
	if err != nil {
		return result, c.refused(x, err)
	}
	if err := replayed(result, c.digest); err != nil {
		return result, err
	}
	x.done = result
	s.feeds.changed(r.Repository.Key)
	return result, nil
}

// replayed returns a problem if the key of a request was used for another one.
func replayed(result edit.Result, digest string) error {
	for _, t := range result.Trailers {
		if t.Key == trailerDigest && t.Value != digest {
			return at(http.StatusUnprocessableEntity, "header.Idempotency-Key", reasonKeyReused, "the key was used for another request: choose a new key")
		}
	}
	return nil
}

// refused turns the error of a change into the problem of the request.
func (c *change) refused(x *exchange, err error) error {
	var invalidObject *edit.InvalidError
	var taken *edit.TakenError
	switch {
	case errors.As(err, &taken):
		p := at(http.StatusConflict, "path."+x.op.resource.param, body.Invalid, "%s", c.names.words(c.body, c.decoded, taken.Error()))
		return p
	case errors.As(err, &invalidObject) && len(invalidObject.Errors) > 0:
		errs := c.names.problems(x, c.body, c.decoded, invalidObject.Errors)
		status := http.StatusUnprocessableEntity
		if !slices.ContainsFunc(errs, func(e body.Fault) bool { return !slices.Contains(conflicts(), e.Reason) }) {
			status = http.StatusConflict
		}
		p := invalid(status, errs)
		if slices.ContainsFunc(errs, func(e body.Fault) bool { return e.Reason == v1alpha1.ReasonDestinationImmutable }) {
			p.Reason = reasonImmutable
		}
		return p
	case errors.Is(err, edit.ErrNotFound):
		return x.missing()
	}
	return err
}

// missing returns the problem of a resource that does not exist.
func (x *exchange) missing() *Problem {
	return problem(http.StatusNotFound, reasonNoResource, "%s %s does not exist", x.op.resource.kind, printable(x.name))
}

// saved replies to a request to save.
func (s *Server) saved(x *exchange, c *change, result edit.Result, warnings ...string) error {
	reply := x.written("saved", result)
	for _, w := range append(append(c.decoded.Warnings, result.Warnings...), warnings...) {
		reply.Warnings = append(reply.Warnings, c.names.words(c.body, c.decoded, w))
	}
	s.await(x, c, result, reply)
	return x.reply(reply, result.Blob)
}

// written returns the reply to a write.
func (x *exchange) written(verb string, result edit.Result) *saved {
	res := x.op.resource
	reply := &saved{Message: "Successfully " + verb, File: result.Path}
	if res.noun != "" {
		reply.Message = fmt.Sprintf("Successfully %s %s %s", verb, x.name, res.noun)
	}
	if result.Changed || len(result.Trailers) > 0 {
		reply.Commit = result.Commit
	}
	if x.flag(queryDryRun) {
		reply.Message, reply.Commit = "Nothing was changed: this was a dry run", ""
		reply.DryRun, reply.Diff = true, result.Diff
		reply.Plan = planned(result.Plan)
	}
	return reply
}

// plannedSet lists how the objects of one owner on one cluster change.
type plannedSet struct {
	Owner   string   `json:"owner" doc:"The resource that asks for the objects."`
	Target  string   `json:"target" doc:"Where the objects are, such as Cluster/alpha."`
	Made    []string `json:"made,omitempty" doc:"Objects that would be created, as kind.group namespace/name."`
	Changed []string `json:"changed,omitempty"`
	Pruned  []string `json:"pruned,omitempty"`
}

func planned(sets []edit.PlannedSet) []plannedSet {
	texts := func(all []plan.ID) (texts []string) {
		for _, id := range all {
			texts = append(texts, id.String())
		}
		return texts
	}
	list := []plannedSet{}
	for _, s := range sets {
		list = append(list, plannedSet{
			Owner: s.Owner.String(), Target: s.Target.String(),
			Made: texts(s.Made), Changed: texts(s.Changed), Pruned: texts(s.Pruned),
		})
	}
	return list
}

// removeFile deletes a resource of which the file is everything.
func (s *Server) removeFile(x *exchange) error {
	c, result, err := s.removal(x, nil)
	if err != nil {
		return err
	}
	return s.removed(x, c, result)
}

func (s *Server) removed(x *exchange, c *change, result edit.Result, warnings ...string) error {
	reply := x.written("deleted", result)
	for _, w := range append(result.Warnings, warnings...) {
		reply.Warnings = append(reply.Warnings, c.names.words(c.body, nil, w))
	}
	s.await(x, c, result, reply)
	return x.reply(reply, "")
}

// removal makes the commit that deletes a resource, after prepare if that is set.
func (s *Server) removal(x *exchange, prepare func(context.Context, *change) error) (*change, edit.Result, error) {
	res, ctx := x.op.resource, x.r.Context()
	p, err := s.writable(ctx, x.caller, x.product)
	if err != nil {
		return nil, edit.Result{}, err
	}
	c := &change{place: p, body: res.body(), digest: digestOf(x.r, nil)}
	if c.view, err = s.options.Editor.View(ctx, p.edit, s.options.MaxAge); err != nil {
		return nil, edit.Result{}, err
	}
	c.names = newNames(ctx, x.caller, p, c.view)
	name := x.name
	if res.kind == "CodeRepo" {
		name = c.names.id("repo", x.name)
	}
	c.object, _ = res.parts()
	c.object.SetName(name)
	r, err := x.request(p, c.digest)
	if err != nil {
		return c, edit.Result{}, err
	}
	r.Delete = plan.Ref{Kind: res.kind, Namespace: p.namespace(), Name: name}
	r.Subject = fmt.Sprintf("[API] Delete %s %s", res.kind, strings.Map(line, x.name))
	if prepare != nil {
		r.Prepare = func(ctx context.Context) (func(context.Context) error, error) { return nil, prepare(ctx, c) }
	}
	x.before = c.view.Revision()
	result, err := s.edit(ctx, r)
	if err != nil {
		return c, result, c.refusedRemoval(x, err)
	}
	if err := replayed(result, c.digest); err != nil {
		return c, result, err
	}
	x.done = result
	s.feeds.changed(p.edit.Key)
	return c, result, nil
}

// line replaces characters that would end the subject of a commit.
func line(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '?'
	}
	return r
}

func (c *change) refusedRemoval(x *exchange, err error) error {
	var inUse *edit.InUseError
	var invalidObject *edit.InvalidError
	switch {
	case errors.Is(err, edit.ErrNotFound):
		return x.missing()
	case errors.As(err, &inUse):
		return problem(http.StatusConflict, reasonInUse, "%s", c.names.words(c.body, nil, inUse.Error())).again(retryInUse)
	case errors.As(err, &invalidObject) && len(invalidObject.Errors) > 0:
		return invalid(http.StatusConflict, c.names.problems(x, c.body, nil, invalidObject.Errors))
	}
	return err
}
