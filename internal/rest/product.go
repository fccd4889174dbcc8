package rest

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/deploykeys"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/rest/body"
)

// groupWorkers is how many groups of a caller are looked at together.
const groupWorkers = 8

// saveProduct saves a product: a group in the forge, with the repository default.project
// and its deploy key. Each step can be repeated.
func (s *Server) saveProduct(x *exchange) error {
	ctx := x.r.Context()
	existing, err := s.mayWriteProduct(ctx, x)
	if err != nil {
		return err
	}
	b := &body.Product{}
	decoded, err := x.decode(b, badProduct(x)...)
	if err != nil {
		return err
	}
	if err := x.parent(ctx, decoded, b.Git.GitLab.ParentID); err != nil {
		return err
	}
	g := b.Git.GitLab
	if x.flag(queryDryRun) {
		return s.tryProduct(x, "saved", &groupState{
			Path: x.name, Name: cmp.Or(g.Name, lastPart(x.name)), Visibility: client.Visibility(g.Visibility), Description: g.Description,
			Repositories: []string{defaultProject},
		})
	}
	return s.once(x, x.digest, func() (*saved, error) { return s.makeProduct(x, decoded, g, existing) })
}

// makeProduct makes the group of a product, with its repository and deploy key.
func (s *Server) makeProduct(x *exchange, decoded *body.Decoded, g *body.GitLab, existing *place) (*saved, error) {
	ctx := x.r.Context()
	group, err := x.caller.forge.EnsureGroup(ctx, client.GroupSpec{
		Path: x.name, Name: g.Name, Description: g.Description, Visibility: client.Visibility(g.Visibility),
	})
	if errors.Is(err, client.ErrConflict) && existing == nil {
		return nil, problem(http.StatusForbidden, reasonForbidden, "the name %s is taken in the forge by a group or user that you may not see: choose another name, or become a member of the group", printable(x.name))
	}
	if err != nil {
		return nil, refusedByForge(decoded, err)
	}
	visibility := client.VisibilityPrivate
	if existing != nil {
		visibility = existing.forge.Visibility
	}
	repository, err := x.caller.forge.EnsureRepository(ctx, client.RepositorySpec{
		GroupID: group.ID, Path: defaultProject, Visibility: visibility, Initialize: true, DefaultBranch: mainBranch,
	})
	if err != nil {
		return nil, err
	}
	s.memory.forget(x.caller.key + "/place")
	platform, err := s.platform(ctx)
	if err != nil {
		return nil, err
	}
	k, err := s.keeper(ctx, x.caller, platform)
	if err == nil {
		err = k.Own(ctx, repository.ID, v1alpha1.PermissionReadOnly)
	}
	if k != nil && (errors.Is(err, client.ErrForbidden) || errors.Is(err, client.ErrNotFound)) {
		// The tenant's account need not be a member of the group.
		k.Forge = x.caller.forge
		err = k.Own(ctx, repository.ID, v1alpha1.PermissionReadOnly)
	}
	if err != nil {
		return nil, err
	}
	x.done.Changed = true
	reply := x.written("saved", edit.Result{})
	s.awaitProduct(x, group.ID, false, reply)
	return reply, nil
}

// mayWriteProduct returns the place of a product that exists, of which the caller must be
// an owner, or nil. The forge itself says who may create groups.
func (s *Server) mayWriteProduct(ctx context.Context, x *exchange) (*place, error) {
	s.memory.forget(x.caller.key + "/place")
	p, err := s.place(ctx, x.caller, x.name)
	var absent *Problem
	if errors.As(err, &absent) && absent.Reason == reasonNoProduct {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return p, x.owner(ctx, p)
}

func badProduct(x *exchange) []body.Fault {
	for part := range strings.SplitSeq(x.name, "/") {
		if !repositoryNames.MatchString(part) {
			return []body.Fault{{Location: "path.product_name", Reason: body.Invalid, Message: "the name is not the path of a group: write letters, digits, dashes, underscores and dots"}}
		}
	}
	return nil
}

// parent checks that the id of a parent group agrees with the path.
func (x *exchange) parent(ctx context.Context, d *body.Decoded, id int64) error {
	if id == 0 {
		return nil
	}
	where := d.At("body.git.gitlab.parent_id")
	cut := strings.LastIndex(x.name, "/")
	if cut < 0 {
		return at(http.StatusUnprocessableEntity, where, body.Conflicting, "the path of the request has no parent group: write the full path of the group there, with %%2F between its parts")
	}
	parent, err := x.caller.group(ctx, x.name[:cut])
	if err != nil {
		return err
	}
	if parent.ID != id {
		return at(http.StatusUnprocessableEntity, where, body.Conflicting, "group %s has another id: correct it, or leave parent_id out", parent.Path)
	}
	return nil
}

// removeProduct deletes a product whose group has nothing but default.project.
func (s *Server) removeProduct(x *exchange) error {
	return s.once(x, digestOf(x.r, nil), func() (*saved, error) { return s.dropProduct(x) })
}

// dropProduct implements removeProduct.
func (s *Server) dropProduct(x *exchange) (*saved, error) {
	ctx := x.r.Context()
	s.memory.forget(x.caller.key + "/place")
	p, err := s.place(ctx, x.caller, x.name)
	var absent *Problem
	if errors.As(err, &absent) && absent.Reason == reasonNoProduct {
		return s.removeRest(x, absent)
	}
	if err != nil {
		return nil, err
	}
	if err := x.owner(ctx, p); err != nil {
		return nil, err
	}
	if err := x.onlyDefault(ctx, p.group, p.forge.ID); err != nil {
		return nil, err
	}
	if x.flag(queryDryRun) {
		return s.triedProduct(x, "deleted", nil)
	}
	// The stored key goes first: a repeated request cannot find it once its repository is
	// gone.
	if err := s.storedKeys(p.platform).Forget(ctx, deploykeys.RepositoryName(p.forge.ID)); err != nil {
		return nil, err
	}
	if err := x.caller.forge.RemoveRepository(ctx, p.forge.ID); err != nil && !errors.Is(err, client.ErrNotFound) {
		return nil, err
	}
	if err := x.caller.forge.RemoveGroup(ctx, p.group.ID); err != nil && !errors.Is(err, client.ErrNotFound) {
		return nil, err
	}
	s.memory.forget(x.caller.key + "/place")
	x.done.Changed = true
	reply := x.written("deleted", edit.Result{})
	s.awaitProduct(x, p.group.ID, true, reply)
	return reply, nil
}

// onlyDefault returns a problem if a group has anything but default.project.
func (x *exchange) onlyDefault(ctx context.Context, group client.Group, defaultID int64) error {
	repositories, err := x.caller.forge.Repositories(ctx, group.ID)
	if err != nil {
		return err
	}
	groups, err := x.caller.forge.Groups(ctx)
	if err != nil {
		return err
	}
	var others []string
	for _, r := range repositories {
		if r.ID != defaultID && !r.Leaving {
			others = append(others, r.Path)
		}
	}
	for _, g := range groups {
		if g.ParentID == group.ID && !g.Leaving {
			others = append(others, g.Path)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return problem(http.StatusConflict, reasonInUse, "group %s still has %s: delete or move these first", group.Path, strings.Join(others, ", ")).again(retryInUse)
}

// removeRest removes the empty group of a product whose default.project an earlier
// request has removed. absent is the problem if there is none.
func (s *Server) removeRest(x *exchange, absent *Problem) (*saved, error) {
	ctx := x.r.Context()
	group, err := x.caller.group(ctx, x.name)
	if err != nil {
		return nil, err
	}
	if err := x.onlyDefault(ctx, group, 0); err != nil {
		return nil, absent
	}
	if x.flag(queryDryRun) {
		return s.triedProduct(x, "deleted", nil)
	}
	if err := x.caller.forge.RemoveGroup(ctx, group.ID); err != nil {
		return nil, err
	}
	x.done.Changed = true
	return x.written("deleted", edit.Result{}), nil
}

// groupState is the state of a product's group in the forge, as the diff of a dry run
// shows it.
type groupState struct {
	Path         string            `json:"path"`
	Name         string            `json:"name"`
	Visibility   client.Visibility `json:"visibility"`
	Description  string            `json:"description,omitempty"`
	Repositories []string          `json:"repositories,omitempty"`
}

// tryProduct replies to a dry run about a product.
func (s *Server) tryProduct(x *exchange, verb string, after *groupState) error {
	reply, err := s.triedProduct(x, verb, after)
	if err != nil {
		return err
	}
	return x.reply(reply, "")
}

// triedProduct returns the reply to a dry run, with the difference of the group between
// now and after, which is nil for a group that goes.
func (s *Server) triedProduct(x *exchange, verb string, after *groupState) (*saved, error) {
	ctx := x.r.Context()
	texts := make([][]byte, 2)
	group, err := x.caller.forge.Group(ctx, x.name)
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		return nil, err
	}
	if err == nil && !group.Leaving && group.Path == x.name {
		before := &groupState{Path: group.Path, Name: group.Name, Visibility: group.Visibility, Description: group.Description}
		is, err := s.isProduct(ctx, x.caller, x.name)
		if err != nil {
			return nil, err
		}
		if is {
			before.Repositories = []string{defaultProject}
		}
		if texts[0], err = yaml.Marshal(before); err != nil {
			return nil, err
		}
	}
	if after != nil {
		if texts[1], err = yaml.Marshal(after); err != nil {
			return nil, err
		}
	}
	diff, err := edit.Diff("groups/"+printable(x.name), texts[0], texts[1])
	return x.written(verb, edit.Result{Diff: diff}), err
}

func lastPart(path string) string { return path[strings.LastIndex(path, "/")+1:] }

// describeProduct returns the reply of a group.
func describeProduct(g client.Group) *body.Product {
	return &body.Product{Name: g.Path, Git: &body.Git{GitLab: &body.GitLab{
		Name: g.Name, Path: lastPart(g.Path), Visibility: string(g.Visibility), Description: g.Description,
	}}}
}

func (s *Server) getProduct(x *exchange) error {
	ctx := x.r.Context()
	if _, err := s.place(ctx, x.caller, x.name); err != nil {
		return err
	}
	// The place may be remembered, and the group has changed since.
	group, err := x.caller.group(ctx, x.name)
	if err != nil {
		return err
	}
	b := describeProduct(group)
	if _, b.Status, err = s.productStatus(ctx, group.ID); err != nil {
		return err
	}
	return x.reply(b, "")
}

// listProducts answers with the groups that the caller sees, and that are products.
func (s *Server) listProducts(x *exchange) error {
	ctx := x.r.Context()
	selected, err := x.selection()
	if err != nil {
		return err
	}
	groups, err := x.caller.forge.Groups(ctx)
	if err != nil {
		return err
	}
	is := make([]bool, len(groups))
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(groupWorkers)
	for i, g := range groups {
		if g.Leaving {
			continue
		}
		workers.Go(func() error {
			var err error
			is[i], err = s.isProduct(ctx, x.caller, g.Path)
			return err
		})
	}
	if err := workers.Wait(); err != nil {
		return err
	}
	var items []any
	for i, g := range groups {
		if b := describeProduct(g); is[i] && selected(b) {
			items = append(items, b)
		}
	}
	reply, err := x.page(items, "")
	if err != nil {
		return err
	}
	return x.reply(reply, "")
}

// isProduct reports whether a group has the repository default.project.
func (s *Server) isProduct(ctx context.Context, c *caller, path string) (bool, error) {
	return remember(ctx, s.memory, c.key+"/place?/"+path, func(ctx context.Context) (bool, error) {
		_, err := c.forge.Repository(ctx, path+"/"+defaultProject)
		if errors.Is(err, client.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	})
}
