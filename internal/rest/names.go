package rest

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/deploykeys"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/rest/body"
)

// names turns the names of requests into the ids of files, and back.
type names struct {
	product, productID string
	ids                map[string]string
	byID               map[string]string
	// lookup asks the forge for a repository that no file describes.
	lookup func(name string) (client.Repository, error)
	err    error
}

// newNames returns the names of the repositories of a product. Without a caller, the forge
// is not asked.
func newNames(ctx context.Context, c *caller, p *place, view *edit.View) *names {
	n := &names{product: p.product, productID: p.edit.Scope.Namespace, ids: map[string]string{}, byID: map[string]string{}}
	if p.product == "" {
		return n
	}
	for _, entry := range view.List("CodeRepo") {
		r, ok := entry.Object.(*v1alpha1.CodeRepo)
		if !ok || r.Spec.RepoName == "" {
			continue
		}
		if _, taken := n.ids[r.Spec.RepoName]; !taken {
			n.ids[r.Spec.RepoName] = r.Name
		}
		n.byID[r.Name] = r.Spec.RepoName
	}
	for _, entry := range view.List("CodeRepo") {
		// A file that people wrote may have any name.
		if name := entry.Object.GetName(); n.ids[name] == "" && n.byID[name] == "" {
			n.ids[name] = name
		}
	}
	if c == nil {
		return n
	}
	n.lookup = func(name string) (client.Repository, error) { return c.forge.Repository(ctx, p.product+"/"+name) }
	return n
}

// id returns the id of a name, or the name itself if there is no such repository.
func (n *names) id(ref, name string) string {
	if ref != "repo" {
		return name
	}
	if id := n.ids[name]; id != "" {
		return id
	}
	if n.lookup == nil || n.err != nil || name == "" || strings.ContainsAny(name, "/\\?#%") {
		return name
	}
	r, err := n.lookup(name)
	switch {
	case errors.Is(err, client.ErrNotFound), err == nil && (r.Leaving || !strings.HasSuffix(r.Path, "/"+name)):
	case err != nil:
		n.err = err
	default:
		n.know(name, deploykeys.RepositoryName(r.ID))
		return n.ids[name]
	}
	return name
}

func (n *names) know(name, id string) { n.ids[name], n.byID[id] = id, name }

// name returns the name of an id, or the id itself if it has none.
func (n *names) name(ref, id string) string {
	if name := n.byID[id]; ref == "repo" && name != "" {
		return name
	}
	return id
}

// unresolved returns the values of a body that name no repository, by their location.
func (n *names) unresolved(b any, d *body.Decoded) []body.Fault {
	var errs []body.Fault
	for _, r := range body.References(b) {
		if n.ids[r.Name] == "" {
			errs = append(errs, body.Fault{
				Location: d.At(r.Location), Reason: v1alpha1.ReasonReferenceMissing,
				Message: "CodeRepo " + r.Name + " does not exist, and its id is not known before it does: create it, or correct the name",
			})
		}
	}
	return errs
}

var (
	ids   = regexp.MustCompile(`\b(?:product|repo)-[0-9]+\b`)
	paths = regexp.MustCompile(`\bspec(?:\.[A-Za-z]+|\[[^\]]*\])+`)
)

// words returns a message in the names and keys of the request.
func (n *names) words(b any, d *body.Decoded, message string) string {
	if d != nil {
		message = paths.ReplaceAllStringFunc(message, func(path string) string {
			return strings.TrimPrefix(d.Locate(b, path), "body.")
		})
		message = body.Words(b, message)
	}
	return ids.ReplaceAllStringFunc(message, func(id string) string {
		switch {
		case id == n.productID:
			return n.product
		case n.byID[id] != "":
			return n.byID[id]
		}
		return id
	})
}

// problems turns the errors of an object into problems of the request.
func (n *names) problems(x *exchange, b any, d *body.Decoded, errs field.ErrorList) []body.Fault {
	var all []body.Fault
	for _, e := range errs {
		p := body.Fault{Reason: e.Origin, Message: n.words(b, d, e.Detail)}
		if p.Reason == "" {
			p.Reason = body.Invalid
		}
		switch {
		case strings.HasPrefix(e.Field, "metadata.name"):
			p.Location = "path." + x.op.resource.param
		case strings.HasPrefix(e.Field, "metadata"):
			p.Location = "body"
		case e.Field == "spec.product":
			p.Location = "path.product_name"
		case e.Field == "spec.repoName":
			p.Location = d.At("body.git.gitlab.path")
		case d == nil:
			p.Location = "path." + x.op.resource.param
		default:
			p.Location = d.Locate(b, e.Field)
		}
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// conflicts are the reasons of errors that the state of other objects causes.
func conflicts() []string {
	return []string{
		v1alpha1.ReasonNamespaceClaimed, v1alpha1.ReasonDestinationImmutable, v1alpha1.ReasonInUse, v1alpha1.ReasonDeleting,
		v1alpha1.ReasonRepositoryClaimed, v1alpha1.ReasonPortTaken, v1alpha1.ReasonNotOurs,
	}
}
