package rest

import (
	"context"
	"errors"
	"net/http"

	"nautes.io/nautes/internal/deploykeys"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/rest/body"
)

// unmade is the name of a CodeRepo whose repository the forge does not have yet.
const unmade = "repo-0"

// saveCodeRepo saves a code repository: its file, the repository in the forge, and the
// deploy keys. Nothing is made before the request is found good. Each step can be
// repeated.
func (s *Server) saveCodeRepo(x *exchange) error {
	c, err := s.change(x)
	if err != nil {
		return err
	}
	b, _ := c.body.(*body.CodeRepo)
	if c.names.ids[x.name] == "" {
		c.object.SetName(unmade)
	}
	judged, err := s.do(x, c, func(r *edit.Request) { r.DryRun = true })
	if err != nil || x.flag(queryDryRun) {
		if err != nil {
			return err
		}
		return s.saved(x, c, judged)
	}
	made, err := x.caller.forge.EnsureRepository(x.r.Context(), client.RepositorySpec{
		GroupID: c.place.group.ID, Path: x.name, Name: b.Git.GitLab.Name, Description: b.Git.GitLab.Description,
		Visibility: client.Visibility(b.Git.GitLab.Visibility),
	})
	if err != nil {
		return refusedByForge(c.decoded, err)
	}
	id := deploykeys.RepositoryName(made.ID)
	if known := c.names.ids[x.name]; known == "" || known == unmade {
		c.names.know(x.name, id)
		c.object.SetName(id)
	}
	result, err := s.do(x, c, nil)
	if err != nil {
		return err
	}
	warnings, err := s.syncKeys(x, c.place, c.object.GetName())
	if err != nil {
		return err
	}
	return s.saved(x, c, result, warnings...)
}

// refusedByForge returns the problem of a group or repository that the forge refuses.
func refusedByForge(d *body.Decoded, err error) error {
	var failure *client.Error
	if errors.As(err, &failure) && errors.Is(err, client.ErrInvalid) {
		return at(http.StatusUnprocessableEntity, d.At("body.git.gitlab"), body.Invalid, "the forge refuses it: %s", plan.Words(failure.Reason, maxForgeReason))
	}
	return err
}

// removeCodeRepo deletes a code repository: its file, its deploy keys, and if asked for
// the repository in the forge. Whatever is done last shows a repeated request that
// something is left to do: the stored keys, or the file if the repository goes, whose name
// the forge does not know any more.
func (s *Server) removeCodeRepo(x *exchange) error {
	ctx := x.r.Context()
	p, err := s.writable(ctx, x.caller, x.product)
	if err != nil {
		return err
	}
	var prepare func(context.Context, *change) error
	if x.flag(queryDeleteProject) {
		if err := x.owner(ctx, p); err != nil {
			return err
		}
		prepare = func(ctx context.Context, c *change) error { return s.removeProject(ctx, x, c) }
	}
	c, result, err := s.removal(x, prepare)
	id := ""
	if c != nil {
		id = c.names.ids[x.name]
	}
	number, inForge := deploykeys.RepositoryID(id)
	var absent *Problem
	if errors.As(err, &absent) && absent.Reason == reasonNoResource && inForge {
		// An earlier request may have ended after its commit.
		if !s.storedKeys(p.platform).Stored(ctx, id) {
			return err
		}
		err = nil
	}
	if err != nil {
		return err
	}
	if x.flag(queryDryRun) {
		return s.removed(x, c, result)
	}
	warnings, err := s.dropKeys(x, p, id, number, inForge)
	if err != nil {
		return err
	}
	return s.removed(x, c, result, warnings...)
}

// removeProject removes the repository of a CodeRepo from the forge, with its keys.
func (s *Server) removeProject(ctx context.Context, x *exchange, c *change) error {
	id := c.object.GetName()
	number, inForge := deploykeys.RepositoryID(id)
	if !inForge {
		return nil
	}
	if err := x.caller.forge.RemoveRepository(ctx, number); err != nil && !errors.Is(err, client.ErrNotFound) {
		return err
	}
	return s.storedKeys(c.place.platform).Forget(ctx, id)
}

// owner returns a problem unless the caller is an owner of the product.
func (x *exchange) owner(ctx context.Context, p *place) error {
	role, err := x.caller.forge.Role(ctx, p.forge.ID, x.caller.ID)
	if err != nil {
		return err
	}
	if role < client.RoleOwner && !x.caller.Administrator {
		return problem(http.StatusForbidden, reasonForbidden, "only owners of group %s may do this: ask one of them", p.group.Path)
	}
	return nil
}

// dropKeys removes the keys of a repository, from the forge and the store.
func (s *Server) dropKeys(x *exchange, p *place, repository string, number int64, inForge bool) ([]string, error) {
	ctx := x.r.Context()
	warnings, err := s.syncKeys(x, p, "")
	if err != nil || !inForge {
		return warnings, err
	}
	k, err := s.keeper(ctx, x.caller, p.platform)
	if err == nil {
		err = k.Adjust(ctx, number, nil, "")
	}
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		more, err := afterCommit(err)
		if err != nil {
			return nil, err
		}
		warnings = append(warnings, more...)
	}
	if err := s.storedKeys(p.platform).Forget(ctx, repository); err != nil {
		return afterCommit(err)
	}
	return warnings, nil
}

// saveBinding saves a binding, and gives the repositories the keys that it grants.
func (s *Server) saveBinding(x *exchange) error {
	c, err := s.change(x)
	if err != nil {
		return err
	}
	result, err := s.do(x, c, nil)
	if err != nil {
		return err
	}
	if x.flag(queryDryRun) {
		return s.saved(x, c, result)
	}
	warnings, err := s.syncKeys(x, c.place, "")
	if err != nil {
		return err
	}
	return s.saved(x, c, result, warnings...)
}

// removeBinding deletes a binding, and takes the keys that nothing else grants.
func (s *Server) removeBinding(x *exchange) error {
	c, result, err := s.removal(x, nil)
	if err != nil {
		return err
	}
	if x.flag(queryDryRun) {
		return s.removed(x, c, result)
	}
	warnings, err := s.syncKeys(x, c.place, "")
	if err != nil {
		return err
	}
	return s.removed(x, c, result, warnings...)
}
