package rest

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/rest/body"
)

// maxLimit is the greatest number of items of a page.
const maxLimit = 500

// maxProblems is how many files that cannot be read a reply names.
const maxProblems = 20

// page is the reply to a list.
type page[T any] struct {
	Items    []T      `json:"items"`
	Continue string   `json:"continue,omitempty" doc:"Send it as continue to get the next page."`
	Warnings []string `json:"warnings,omitempty" doc:"Files that cannot be read, at most 20."`
}

// reader makes the replies of one repository's resources.
type reader struct {
	s      *Server
	x      *exchange
	place  *place
	view   *edit.View
	names  *names
	forge  map[string]client.Repository
	synced string
}

// open returns a reader of the resources that a request is for.
func (s *Server) open(x *exchange) (*reader, error) {
	ctx := x.r.Context()
	p, err := s.place(ctx, x.caller, x.product)
	if err != nil {
		return nil, err
	}
	r := &reader{s: s, x: x, place: p}
	if r.view, err = s.options.Editor.View(ctx, p.edit, s.options.MaxAge); err != nil {
		return nil, err
	}
	r.names = newNames(ctx, x.caller, p, r.view)
	r.synced, err = s.synced(ctx, p)
	return r, err
}

// synced returns the revision of a repository that the tenant cluster has mirrored, or
// an empty string if it is not known.
func (s *Server) synced(ctx context.Context, p *place) (string, error) {
	if s.options.Reader == nil {
		return "", nil
	}
	var sync *v1alpha1.SyncStatus
	if p.product == "" {
		repositories := &v1alpha1.CodeRepoList{}
		selected := kube.MatchingLabelsSelector{Selector: hasLabel(v1alpha1.LabelTenantRepository)}
		if err := s.options.Reader.List(ctx, repositories, kube.InNamespace(p.platform.Namespace), selected); err != nil {
			return "", err
		}
		if len(repositories.Items) == 1 {
			sync = repositories.Items[0].Status.Sync
		}
	} else {
		product := &v1alpha1.Product{}
		err := s.options.Reader.Get(ctx, kube.ObjectKey{Namespace: p.platform.Namespace, Name: p.namespace()}, product)
		if err != nil {
			return "", kube.IgnoreNotFound(err)
		}
		sync = product.Status.Sync
	}
	if sync == nil {
		return "", nil
	}
	return sync.Revision, nil
}

func hasLabel(name string) labels.Selector {
	selector, err := labels.Parse(name)
	if err != nil {
		return labels.Nothing()
	}
	return selector
}

// item returns the reply of one resource.
func (r *reader) item(entry edit.Entry) (any, error) {
	b := r.x.op.resource.body()
	if err := body.Reply(spec(entry.Object), b, r.names.name); err != nil {
		return nil, err
	}
	body.Identify(b, r.place.product, entry.Object.GetName())
	if repo, ok := b.(*body.CodeRepo); ok {
		object, _ := entry.Object.(*v1alpha1.CodeRepo)
		r.describe(repo, object)
	}
	status, err := r.status(entry.Object)
	if err == nil && status != nil {
		body.SetStatus(b, status)
	}
	return b, err
}

// describe adds the state of the forge to the reply of a code repository.
func (r *reader) describe(b *body.CodeRepo, o *v1alpha1.CodeRepo) {
	b.Name = cmp.Or(o.Spec.RepoName, o.Name)
	b.Git = &body.Git{GitLab: &body.GitLab{Name: b.Name, Path: b.Name}}
	if f, found := r.forge[o.Name]; found {
		b.Git.GitLab.Name, b.Git.GitLab.Visibility, b.Git.GitLab.Description = f.Name, string(f.Visibility), f.Description
		b.Git.GitLab.SSHURLToRepo, b.Git.GitLab.HTTPURLToRepo = f.SSHURL, f.HTTPURL
	}
}

// status returns the state of the mirrored object, or nil if there is none.
func (r *reader) status(o v1alpha1.Object) (*body.Status, error) {
	if r.s.options.Reader == nil {
		return nil, nil
	}
	mirrored, ok := o.DeepCopyObject().(v1alpha1.Object)
	if !ok {
		return nil, nil
	}
	err := r.s.options.Reader.Get(r.x.r.Context(), kube.ObjectKey{Namespace: r.place.namespace(), Name: o.GetName()}, mirrored)
	if apierrors.IsNotFound(err) {
		return &body.Status{Revision: r.synced}, nil
	}
	if err != nil {
		return nil, err
	}
	observed := mirrored.GetStatus()
	status := &body.Status{Revision: r.synced, Current: r.synced != "" && r.synced == r.view.Revision()}
	for _, w := range observed.Warnings {
		status.Warnings = append(status.Warnings, r.names.words(r.x.op.resource.body(), nil, w))
	}
	for _, c := range observed.Conditions {
		status.Conditions = append(status.Conditions, body.Condition{
			Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: r.names.words(r.x.op.resource.body(), nil, c.Message),
			LastTransitionTime: c.LastTransitionTime.UTC().Format("2006-01-02T15:04:05Z"),
		})
	}
	return status, nil
}

// repositories reads what the forge says about the code repositories of a product.
func (r *reader) repositories() error {
	r.forge = map[string]client.Repository{}
	all, err := r.x.caller.forge.Repositories(r.x.r.Context(), r.place.group.ID)
	for _, f := range all {
		r.forge[repositoryID(f.ID)] = f
	}
	return err
}

// getFile answers with one resource.
func (s *Server) getFile(x *exchange) error {
	r, err := s.open(x)
	if err != nil {
		return err
	}
	res, name := x.op.resource, x.name
	if res.kind == "CodeRepo" {
		name = r.names.id("repo", x.name)
	}
	entry, found := r.view.Get(res.kind, name)
	if r.names.err != nil {
		return r.names.err
	}
	if !found {
		return x.missing()
	}
	if res.kind == "CodeRepo" {
		f, err := x.caller.forge.Repository(x.r.Context(), r.place.product+"/"+x.name)
		if err != nil && !errors.Is(err, client.ErrNotFound) {
			return err
		}
		if err == nil {
			r.forge = map[string]client.Repository{repositoryID(f.ID): f}
		}
	}
	b, err := r.item(entry)
	if err != nil {
		return err
	}
	return x.reply(b, entry.Blob)
}

// listFiles answers with all resources of a kind.
func (s *Server) listFiles(x *exchange) error {
	selected, err := x.selection()
	if err != nil {
		return err
	}
	r, err := s.open(x)
	if err != nil {
		return err
	}
	if x.op.resource.kind == "CodeRepo" {
		if err := r.repositories(); err != nil {
			return err
		}
	}
	var items []any
	for _, entry := range r.view.List(x.op.resource.kind) {
		b, err := r.item(entry)
		if err != nil {
			return err
		}
		if selected(b) {
			items = append(items, b)
		}
	}
	reply, err := x.page(items, r.view.Revision())
	if err != nil {
		return err
	}
	problems := r.view.Problems()
	for _, p := range problems[:min(len(problems), maxProblems)] {
		reply.Warnings = append(reply.Warnings, fmt.Sprintf("%s: %s", p.Path, r.names.words(x.op.resource.body(), nil, p.Message)))
	}
	return x.reply(reply, "")
}

// page returns the items of a page, in the order of their names.
func (x *exchange) page(items []any, revision string) (*page[any], error) {
	slices.SortStableFunc(items, func(a, b any) int { return strings.Compare(body.NameOf(a), body.NameOf(b)) })
	limit := len(items)
	if text := x.query[queryLimit]; text != "" && text != "0" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxLimit {
			return nil, at(http.StatusBadRequest, "query."+queryLimit, body.Invalid, "write a number from 1 to %d", maxLimit)
		}
		limit = n
	}
	if text := x.query[queryContinue]; text != "" {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		of, last, found := strings.Cut(string(raw), "\n")
		switch {
		case err != nil || !found:
			return nil, at(http.StatusBadRequest, "query."+queryContinue, body.Invalid, "send continue as an earlier page had it")
		case of != revision:
			return nil, problem(http.StatusGone, reasonGone, "the repository has changed since the first page: list again from the beginning")
		}
		items = slices.DeleteFunc(items, func(b any) bool { return body.NameOf(b) <= last })
	}
	reply := &page[any]{Items: items}
	if limit < len(items) {
		reply.Items = items[:limit]
		reply.Continue = base64.RawURLEncoding.EncodeToString([]byte(revision + "\n" + body.NameOf(items[limit-1])))
	}
	if reply.Items == nil {
		reply.Items = []any{}
	}
	return reply, nil
}

var term = regexp.MustCompile(`^\s*([A-Za-z0-9_.]+)\s*=\s*([^=,!<>]*?)\s*$`)

// selection returns the filter of the query parameter field_selector: terms such as
// a=b, separated by commas, of which all must hold.
func (x *exchange) selection() (func(b any) bool, error) {
	text := x.query[querySelector]
	if strings.TrimSpace(text) == "" {
		return func(any) bool { return true }, nil
	}
	type comparison struct {
		selector
		value string
	}
	var all []comparison
	for one := range strings.SplitSeq(text, ",") {
		m := term.FindStringSubmatch(one)
		if m == nil {
			return nil, at(http.StatusBadRequest, "query."+querySelector, body.Invalid, "write terms such as field=value, separated by commas")
		}
		s, known := x.op.resource.selectors[m[1]]
		if !known {
			var fields []string
			for field := range x.op.resource.selectors {
				fields = append(fields, field)
			}
			slices.Sort(fields)
			return nil, at(http.StatusBadRequest, "query."+querySelector, body.UnknownKey, "the field %s is unknown: write one of %s", printable(m[1]), strings.Join(fields, ", "))
		}
		all = append(all, comparison{s, m[2]})
	}
	return func(b any) bool {
		return !slices.ContainsFunc(all, func(c comparison) bool {
			return !slices.ContainsFunc(c.values(b), func(v string) bool { return v == c.value || !c.equal && strings.Contains(v, c.value) })
		})
	}, nil
}
