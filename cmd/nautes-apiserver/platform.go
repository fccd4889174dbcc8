package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/gitaccess"
	"nautes.io/nautes/internal/giturl"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/rest"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/servers"
)

// platform finds the forge and the tenant repository in the tenant cluster.
type platform struct{ deps *reconcile.Deps }

// found is the tenant repository and the way to it.
type found struct {
	rest.Platform
	url, branch string
	access      gitaccess.Access
}

func (p platform) find(ctx context.Context) (found, error) {
	repository, err := p.deps.TenantRepository(ctx)
	if err != nil {
		return found{}, err
	}
	if repository == nil || repository.Spec.URL == "" {
		return found{}, fmt.Errorf("no CodeRepo in namespace %s has the label %s: create the one of the tenant repository", p.deps.Namespace, v1alpha1.LabelTenantRepository)
	}
	url := repository.Spec.URL
	snap, err := p.deps.Loader.Providers(ctx)
	if err != nil {
		return found{}, err
	}
	provider := snap.TokenProvider(url)
	if provider == nil {
		return found{}, fmt.Errorf("no CodeRepoProvider has an httpAddress that the URL of the tenant repository begins with: correct one of them")
	}
	_, path := snap.ForgeRepository(url)
	access := snap.GitAccess(url)
	login, err := servers.ProxyLogin(ctx, p.deps.Secrets, access)
	if err != nil {
		return found{}, err
	}
	return found{
		Platform: rest.Platform{
			Provider: provider, TenantRepository: path, Namespace: p.deps.Namespace,
			CABundle: access.CABundle, Proxy: access.Proxy, ProxyLogin: login,
		},
		url: giturl.Plain(url), branch: cmp.Or(repository.Spec.Branch, "main"), access: access,
	}, nil
}

// current returns the platform for a request.
func (p platform) current(ctx context.Context) (rest.Platform, error) {
	f, err := p.find(ctx)
	return f.Platform, err
}

// connect returns a client of the forge with an access token.
func (p platform) connect(provider *v1alpha1.CodeRepoProvider, token secrets.Value) (client.Client, error) {
	return servers.Forge(context.Background(), p.deps.Secrets, p.deps.Loader.Settings.Git, provider, token)
}

// tenant returns the tenant repository with the forge's token of the tenant.
func (p platform) tenant(ctx context.Context) (edit.Repository, error) {
	f, err := p.find(ctx)
	if err != nil {
		return edit.Repository{}, err
	}
	secret, err := p.deps.Secrets.Get(ctx, secrets.ProviderToken(f.Provider.Name))
	if err != nil && !errors.Is(err, secrets.ErrNotFound) {
		return edit.Repository{}, err
	}
	kind, _ := forges.Of(f.Provider.Spec.ProviderType)
	auth := git.Auth{Username: cmp.Or(kind.TokenUser, forge.AnyTokenUser), Password: secret.Fields["access_token"]}
	if err != nil {
		auth = git.Auth{}
	}
	return edit.Repository{
		Key: "tenant", Scope: layout.Scope{Tenant: true, Namespace: p.deps.Namespace},
		Source: git.Source{URL: f.url, Branch: f.branch, Auth: auth, CABundle: f.access.CABundle, Proxy: f.access.Proxy, ProxyLogin: f.ProxyLogin},
	}, nil
}
