package rest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"nautes.io/nautes/internal/deploykeys"
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

// repositories reads the state of a product's code repositories in the forge.
func (r *reader) repositories(c *caller) error {
	r.forge = map[string]client.Repository{}
	all, err := c.forge.Repositories(r.ctx, r.place.group.ID)
	for _, f := range all {
		r.forge[deploykeys.RepositoryName(f.ID)] = f
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
			r.forge = map[string]client.Repository{deploykeys.RepositoryName(f.ID): f}
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
	if x.flag(queryWatch) {
		return s.watchFiles(x)
	}
	selected, err := x.selection()
	if err != nil {
		return err
	}
	r, err := s.open(x)
	if err != nil {
		return err
	}
	if x.op.resource.kind == "CodeRepo" {
		if err := r.repositories(x.caller); err != nil {
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
