package rest

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/layout"
	objectnames "nautes.io/nautes/internal/names"
)

const (
	defaultProject = "default.project"
	mainBranch     = "main"
)

// Platform holds the forge and the repository of the tenant. It can change while the server runs.
type Platform struct {
	// Provider is the forge of the tenant.
	Provider *v1alpha1.CodeRepoProvider
	// TenantRepository is the full path of the tenant repository in the forge.
	TenantRepository string
	// Namespace is the operator's.
	Namespace string
	// CABundle and Proxy are the way to the forge's Git server.
	CABundle, Proxy string
	ProxyLogin      git.Login
}

// platform returns the platform, or the problem that it is not set up completely, which
// the log describes.
func (s *Server) platform(ctx context.Context) (Platform, error) {
	p, err := s.options.Platform(ctx)
	if err != nil && ctx.Err() == nil {
		s.options.Log.Error(err, "the platform of the tenant is not complete")
		err = problem(http.StatusServiceUnavailable, reasonIncomplete, "the tenant's forge or its repository is not set up: ask the operator of the tenant").again(retryUnavailable)
	}
	return p, err
}

// place is a repository of resources, as a caller may use it.
type place struct {
	platform Platform
	// product is the name of the product and group its group; empty for the tenant
	// repository.
	product string
	group   client.Group
	forge   client.Repository
	canPush bool
	edit    edit.Repository
}

// namespace returns the namespace of the objects in the tenant cluster.
func (p *place) namespace() string { return p.edit.Scope.Namespace }

// productID returns the name of the Product of a group.
func productID(group int64) string { return objectnames.Product(group) }

// place returns the repository of a product, or of the tenant if the product is empty.
// It returns a problem if the caller may not read it.
func (s *Server) place(ctx context.Context, c *caller, product string) (*place, error) {
	return remember(ctx, s.memory, c.key+"/place/"+product, func(ctx context.Context) (*place, error) {
		platform, err := s.platform(ctx)
		if err != nil {
			return nil, err
		}
		p := &place{platform: platform, product: product}
		path := platform.TenantRepository
		p.edit = edit.Repository{Key: "tenant", Scope: layout.Scope{Tenant: true, Namespace: platform.Namespace}}
		if product != "" {
			if p.group, err = c.group(ctx, product); err != nil {
				return nil, err
			}
			id := productID(p.group.ID)
			path = product + "/" + defaultProject
			p.edit = edit.Repository{Key: id, Group: p.group.Path, Scope: layout.Scope{Namespace: id}}
		}
		p.forge, err = c.forge.Repository(ctx, path)
		if product != "" && (errors.Is(err, client.ErrNotFound) || err == nil && p.forge.Leaving) {
			return nil, problem(http.StatusNotFound, reasonNoProduct, "group %s has no repository %s, or you may not see it: save the product first", product, defaultProject)
		}
		if errors.Is(err, client.ErrNotFound) {
			return nil, problem(http.StatusNotFound, reasonNoRepository, "the tenant repository is not visible to you: become a member of it")
		}
		if err != nil {
			return nil, err
		}
		p.canPush, err = c.forge.CanPush(ctx, p.forge.ID, mainBranch)
		if errors.Is(err, client.ErrNotFound) {
			return nil, problem(http.StatusForbidden, reasonForbidden, "you may not read the branch %s of %s, or it does not exist: ask for the right to read the repository", mainBranch, path)
		}
		if err != nil {
			return nil, err
		}
		p.edit.Source = c.source(platform, p.forge)
		return p, nil
	})
}

// group returns a group, or a problem if the caller does not see it.
func (c *caller) group(ctx context.Context, product string) (client.Group, error) {
	group, err := c.forge.Group(ctx, product)
	if errors.Is(err, client.ErrNotFound) || err == nil && (group.Leaving || group.Path != product) {
		return client.Group{}, problem(http.StatusNotFound, reasonNoProduct, "product %s does not exist, or is not visible to you", product)
	}
	return group, err
}

// source returns a repository with the credentials of the caller.
func (c *caller) source(platform Platform, r client.Repository) git.Source {
	url := r.HTTPURL
	if base := platform.Provider.Spec.HTTPAddress; base != "" {
		// The token goes to the address of the provider only.
		url = strings.TrimSuffix(base, "/") + "/" + r.Path + ".git"
	}
	kind, _ := forges.Of(platform.Provider.Spec.ProviderType)
	return git.Source{
		URL: url, Branch: mainBranch, CABundle: platform.CABundle, Proxy: platform.Proxy, ProxyLogin: platform.ProxyLogin,
		Auth: git.Auth{Username: cmp.Or(kind.TokenUser, forge.AnyTokenUser), Password: c.token},
	}
}

// editCaller returns the author of commits.
func (c *caller) editCaller() edit.Caller {
	return edit.Caller{Name: cmp.Or(c.Name, c.Username), Email: c.Email, Key: c.key}
}

// writable returns the place of a product or the tenant, or a problem if the caller may
// not write it.
func (s *Server) writable(ctx context.Context, c *caller, product string) (*place, error) {
	p, err := s.place(ctx, c, product)
	if err == nil && !p.canPush {
		return nil, problem(http.StatusForbidden, reasonForbidden, "you may not push to the branch %s of %s: ask its maintainers for the right", mainBranch, p.forge.Path)
	}
	return p, err
}
