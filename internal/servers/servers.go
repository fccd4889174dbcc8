// Package servers connects clients to Git servers and forges. It guarantees that all of
// them go the way that the settings of the operator and of a CodeRepoProvider say, with the
// login that a proxy asks for.
package servers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	forge "nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/clients"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/gitaccess"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

// SetWay sets the way to the server of a repository, with the login for its proxy.
func SetWay(ctx context.Context, store secrets.Store, access gitaccess.Access, source *git.Source) (err error) {
	source.Auth.KnownHosts = access.JoinKnownHosts(source.Auth.KnownHosts)
	source.CABundle, source.Proxy = access.CABundle, access.Proxy
	source.ProxyLogin, err = ProxyLogin(ctx, store, access)
	return err
}

// ProxyLogin returns the login for the proxy, or the zero value if it asks for none. It
// waits until the secret has both fields.
func ProxyLogin(ctx context.Context, store secrets.Store, access gitaccess.Access) (git.Login, error) {
	ref := access.ProxyLogin
	if ref == (plan.SecretRef{}) {
		return git.Login{}, nil
	}
	secret, err := store.Get(ctx, ref)
	if err != nil && !errors.Is(err, secrets.ErrNotFound) {
		return git.Login{}, err
	}
	login := git.Login{Username: string(secret.Fields[plan.FieldUsername].Bytes()), Password: secret.Fields["password"]}
	if login.Username == "" || len(login.Password.Bytes()) == 0 {
		return git.Login{}, engine.Waiting(v1alpha1.ReasonSecretMissing,
			"the proxy %s asks for a login, and the secret store has no username and password at %s: store them there, or set login of the proxy to false", access.Proxy, ref)
	}
	return login, nil
}

// Forge returns a client of the forge of a provider with an access token. settings are the
// operator's. It sends no request.
func Forge(ctx context.Context, store secrets.Store, settings gitaccess.Access, provider *v1alpha1.CodeRepoProvider, token secrets.Value) (forge.Client, error) {
	way := settings.With(provider)
	login, err := ProxyLogin(ctx, store, way)
	if err != nil {
		return nil, err
	}
	c, err := clients.New(provider.Spec.ProviderType, forge.Connection{
		APIServer: provider.Spec.APIServer, Token: token, CABundle: way.CABundle,
		Proxy: func(host string) string { return login.To(way.To("https://" + host + "/").Proxy) },
	})
	if err != nil {
		return nil, engine.Terminal(v1alpha1.ReasonInvalid, "CodeRepoProvider %s: %s", provider.Name, err)
	}
	return c, nil
}

// Tenant returns a client of the forge of a provider with the access token of the tenant.
func Tenant(ctx context.Context, store secrets.Store, settings gitaccess.Access, provider *v1alpha1.CodeRepoProvider) (forge.Client, error) {
	c, err := stored(ctx, store, settings, provider)
	if errors.Is(err, secrets.ErrNotFound) {
		return nil, engine.Waiting(v1alpha1.ReasonSecretMissing,
			"there is no access token of CodeRepoProvider %s: store it at %s, key access_token", provider.Name, secrets.ProviderToken(provider.Name))
	}
	return c, err
}

// stored is Tenant with the error of the store for a missing token.
func stored(ctx context.Context, store secrets.Store, settings gitaccess.Access, provider *v1alpha1.CodeRepoProvider) (forge.Client, error) {
	secret, err := store.Get(ctx, secrets.ProviderToken(provider.Name))
	if err != nil {
		return nil, err
	}
	return Forge(ctx, store, settings, provider, secret.Fields["access_token"])
}

// Tenants returns a function like Tenant, for the names of providers. Its errors wrap
// forge.ErrNoToken if there is no token.
func Tenants(store secrets.Store, loader *snapshot.Loader) func(ctx context.Context, provider string) (forge.Client, error) {
	return func(ctx context.Context, provider string) (forge.Client, error) {
		snap, err := loader.Providers(ctx)
		if err != nil {
			return nil, err
		}
		p := snap.CodeRepoProvider(provider)
		if p == nil {
			return nil, fmt.Errorf("CodeRepoProvider %s does not exist: %w", provider, forge.ErrNoToken)
		}
		c, err := stored(ctx, store, loader.Settings.Git, p)
		if errors.Is(err, secrets.ErrNotFound) {
			return nil, fmt.Errorf("%w at %s", forge.ErrNoToken, secrets.ProviderToken(provider))
		}
		return c, err
	}
}

// RepositoryOf returns the provider and the full path of a CodeRepo with a URL, or nil if no
// provider has it.
func RepositoryOf(s *snapshot.Snapshot, r *v1alpha1.CodeRepo, url string) (*v1alpha1.CodeRepoProvider, string) {
	if r.Namespace != s.Namespace && r.Spec.URL == "" {
		// Its URL follows from the provider, and another one may have the same address.
		if own, product := s.CodeRepoProvider(r.Spec.CodeRepoProvider), s.Product(r.Namespace); own != nil && product != nil {
			return own, product.Spec.Name + "/" + r.Spec.RepoName
		}
	}
	return s.ForgeRepository(url)
}

// InGroup reports whether a repository of a forge is in the group of a product, which may be
// nil. Of a product that was found in the forge, the number of the group counts too: its
// path may belong to another group by now.
func InGroup(product *v1alpha1.Product, found forge.Repository) bool {
	return product != nil && strings.EqualFold(found.GroupPath(), product.Spec.Name) &&
		(product.Labels[v1alpha1.LabelFrom] == "" || product.Name == names.Product(found.GroupID))
}

// Problem returns the error of a forge about something in it, such as the deploy keys of a
// repository, with its reason and remedy. It returns another error as it is.
func Problem(of, provider string, err error) error {
	var failure *forge.Error
	if err == nil || !errors.As(err, &failure) && !errors.Is(err, forge.ErrNoToken) {
		return err
	}
	return &engine.Error{Class: engine.ClassWaiting, Reason: Reason(err), Cause: err, Message: fmt.Sprintf("%s: %v: %s", of, err, forge.Remedy(provider, err))}
}

// Reason returns the reason of a condition for an error of a forge.
func Reason(err error) string {
	switch {
	case errors.Is(err, forge.ErrNoToken):
		return v1alpha1.ReasonSecretMissing
	case errors.Is(err, forge.ErrUnavailable):
		return v1alpha1.ReasonForgeUnavailable
	}
	return v1alpha1.ReasonForgeDenied
}
