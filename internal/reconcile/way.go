package reconcile

import (
	"context"
	"errors"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	forge "nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/clients"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/gitaccess"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// SetWay sets the way to the server of a repository, with the login for its proxy.
func (d *Deps) SetWay(ctx context.Context, access gitaccess.Access, source *git.Source) (err error) {
	source.Auth.KnownHosts = access.JoinKnownHosts(source.Auth.KnownHosts)
	source.CABundle, source.Proxy = access.CABundle, access.Proxy
	source.ProxyLogin, err = d.ProxyLogin(ctx, access)
	return err
}

// ProxyLogin returns the login for the proxy, or the zero value if it asks for none. It
// waits until the secret has both fields.
func (d *Deps) ProxyLogin(ctx context.Context, access gitaccess.Access) (git.Login, error) {
	ref := access.ProxyLogin
	if ref == (plan.SecretRef{}) {
		return git.Login{}, nil
	}
	secret, err := d.Secrets.Get(ctx, ref)
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

// Forge returns a client of the forge of a provider with an access token. It sends no
// request.
func (d *Deps) Forge(ctx context.Context, provider *v1alpha1.CodeRepoProvider, token secrets.Value) (forge.Client, error) {
	way := d.Loader.Settings.Git.With(provider)
	login, err := d.ProxyLogin(ctx, way)
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
