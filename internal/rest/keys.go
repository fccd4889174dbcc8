package rest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/deploykeys"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// keeper returns the keeper of a tenant's keys. It uses the forge's token of the tenant
// if there is one, and the caller's otherwise.
func (s *Server) keeper(ctx context.Context, c *caller, p Platform) (*deploykeys.Keeper, error) {
	k := s.storedKeys(p)
	k.Forge = c.forge
	secret, err := k.Store.Get(ctx, secrets.ProviderToken(p.Provider.Name))
	switch {
	case errors.Is(err, secrets.ErrNotFound):
		return k, nil
	case err != nil:
		return nil, err
	}
	k.Forge, err = s.options.Forge(p.Provider, secret.Fields["access_token"])
	return k, err
}

// storedKeys returns a keeper of keys that only uses the store.
func (s *Server) storedKeys(p Platform) *deploykeys.Keeper {
	return &deploykeys.Keeper{Store: s.options.Secrets, Provider: p.Provider.Spec.ProviderType}
}

// syncKeys brings the keys of a product in line with its files after a commit. It
// returns a warning if neither the tenant's nor the caller's token may do so.
func (s *Server) syncKeys(x *exchange, p *place, renewed string) ([]string, error) {
	ctx := x.r.Context()
	view, err := s.options.Editor.View(ctx, p.edit, time.Minute)
	if err != nil {
		return nil, err
	}
	var repositories []*v1alpha1.CodeRepo
	for _, entry := range view.List("CodeRepo") {
		if r, ok := entry.Object.(*v1alpha1.CodeRepo); ok {
			repositories = append(repositories, r)
		}
	}
	var bindings []*v1alpha1.CodeRepoBinding
	for _, entry := range view.List("CodeRepoBinding") {
		if b, ok := entry.Object.(*v1alpha1.CodeRepoBinding); ok {
			bindings = append(bindings, b)
		}
	}
	k, err := s.keeper(ctx, x.caller, p.platform)
	if err == nil {
		err = k.Sync(ctx, p.namespace(), repositories, bindings, renewed)
	}
	return afterCommit(err)
}

// afterCommit turns an error of a step after the commit into a warning if repeating the
// request cannot help, and into a problem otherwise.
func afterCommit(err error) ([]string, error) {
	var failure *client.Error
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, client.ErrForbidden) && errors.As(err, &failure):
		return []string{"the deploy keys are not up to date: " + plan.Words(failure.Error(), maxForgeReason) + "; a maintainer of the repositories must repeat the request"}, nil
	}
	p := asProblem(err)
	if p.Status < http.StatusInternalServerError {
		p = problem(http.StatusServiceUnavailable, reasonIncomplete, "%s", p.Message)
	}
	p.Message = "the file is committed, but the deploy keys are not up to date: repeat the request; " + p.Message
	return nil, p.again(max(p.retryAfter, retryUnavailable))
}
