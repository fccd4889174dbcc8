package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/clients"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/gitea"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
	"nautes.io/nautes/test/scenario"
)

// The kinds of forges, as a CodeRepoProvider names them.
const (
	kindGitLab = "gitlab"
	kindGitea  = "gitea"
)

// gatewayHosts are the hosts of the clusters' gateways, to which a forge sends events.
const gatewayHosts = "*.nip.io"

// forge is the Git forge of the demo.
type forge struct {
	// Client asks the forge as its administrator, with the token admin.
	client.Client
	admin string
	// kind is the type of its provider, and about describes it, with its version.
	kind, about string
	// web is the address of pages and of Git by HTTP. ssh and knownHosts are of Git by SSH.
	web, api, ssh, knownHosts string

	program devstack.Part
	// addUser adds a user, and returns the access token and the password, which an
	// emulated forge does not have.
	addUser func(ctx context.Context, name string) (token, password string, err error)
	// expire ends the time for which a deleted group is kept.
	expire func(group string)
}

// startForge starts a forge of a kind. It sends events to gateways by way of the entry.
func startForge(ctx context.Context, kind, dir string, entry *devstack.Entry) (*forge, error) {
	var f *forge
	var err error
	switch kind {
	case kindGitLab:
		f, err = startGitLab(dir, entry)
	case kindGitea:
		f, err = startGitea(ctx, dir, entry)
	default:
		return nil, fmt.Errorf("FORGE is %q: set it to %s or %s", kind, kindGitLab, kindGitea)
	}
	if err != nil {
		return nil, err
	}
	f.kind = kind
	f.Client, err = clients.New(kind, client.Connection{APIServer: f.api, Token: secrets.NewValue([]byte(f.admin))})
	if err != nil {
		return nil, errors.Join(err, f.program.Stop())
	}
	features, err := f.Capabilities(ctx)
	if err != nil {
		return nil, errors.Join(err, f.program.Stop())
	}
	f.about = fmt.Sprintf(f.about, features.Version)
	return f, nil
}

func startGitLab(dir string, entry *devstack.Entry) (*forge, error) {
	proxy, err := url.Parse(entry.Proxy)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(entry.CA)
	server, err := gitlab.NewServer(gitlab.Options{Dir: dir, SSH: true, Hooks: &http.Transport{
		// The receiver of the operator is reached without it, by plain HTTP.
		Proxy: func(r *http.Request) (*url.URL, error) {
			if r.URL.Scheme != "https" {
				return nil, nil
			}
			return proxy, nil
		},
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}})
	if err != nil {
		return nil, err
	}
	return &forge{
		about: "an emulated GitLab %s: its REST API over real Git repositories",
		web:   server.URL, api: server.API, ssh: server.SSHURL, knownHosts: server.SSHKnownHosts,
		admin: server.Token("root"), program: emulator{server},
		addUser: func(_ context.Context, name string) (string, string, error) {
			server.AddUser(gitlab.User{Username: name})
			return server.Token(name), "", nil
		},
		expire: func(group string) {
			for _, g := range server.Groups() {
				if g.Marked && strings.HasPrefix(g.Path, group) {
					server.RemoveNow(g.Path)
				}
			}
		},
	}, nil
}

// emulator is an emulated GitLab as a part of the stack.
type emulator struct{ *gitlab.Server }

func (e emulator) Stop() error { return e.Close() }

var errEmulator = errors.New("the emulated GitLab did not understand a request")

// Err returns the first request that GitLab would not understand.
func (e emulator) Err() error {
	for _, failure := range e.Failures() {
		return fmt.Errorf("%w: %s", errEmulator, failure)
	}
	return nil
}

func startGitea(ctx context.Context, dir string, entry *devstack.Entry) (*forge, error) {
	server, err := gitea.Start(ctx, gitea.Options{Dir: dir, HookProxy: entry.Proxy, HookHosts: gatewayHosts, CA: entry.CA})
	if err != nil {
		return nil, err
	}
	return &forge{
		about: "a real Gitea %s",
		web:   server.URL, api: server.URL + "/api/v1", ssh: "ssh://git@" + server.SSHAddress, knownHosts: server.SSHHostKey + "\n",
		admin: server.Admin.Token, program: server,
		addUser: func(ctx context.Context, name string) (string, string, error) {
			added, err := server.AddUser(ctx, name)
			return added.Token, added.Password, err
		},
		// Gitea keeps nothing.
		expire: func(string) {},
	}, nil
}

// files are the declarations of the forge in the tenant repository: the provider, and
// the rule by which its groups become products.
func (f *forge) files() map[string]string {
	return map[string]string{
		"providers/" + f.kind + ".yaml": scenario.Declaration("CodeRepoProvider", f.kind, fmt.Sprintf("httpAddress: %q", f.web),
			fmt.Sprintf("sshAddress: %q", f.ssh), fmt.Sprintf("apiServer: %q", f.api), "providerType: "+f.kind, "deployKeys: true", fmt.Sprintf("knownHosts: %q", f.knownHosts)),
		"providers/products.yaml": scenario.Declaration("ProductProvider", "products", "type: coderepo", "name: "+f.kind, "gracePeriodSeconds: 1"),
	}
}

// url is the address of a repository for Git by HTTP.
func (f *forge) url(repository string) string { return f.web + "/" + repository + ".git" }

// repository makes a repository in a group, both of which may exist.
func (f *forge) repository(ctx context.Context, path string) error {
	group, name, _ := strings.Cut(path, "/")
	made, err := f.EnsureGroup(ctx, client.GroupSpec{Path: group})
	if err != nil {
		return err
	}
	_, err = f.EnsureRepository(ctx, client.RepositorySpec{GroupID: made.ID, Path: name, Initialize: true, DefaultBranch: githost.DefaultBranch})
	return err
}

// person is a user of the forge.
type person struct {
	name, token, password string
	client.Client
}

// addPerson adds a user, and writes the files by which programs have the access token: the
// headers for curl, and the credentials for git.
func (d *demo) addPerson(ctx context.Context, name string) (person, error) {
	p := person{name: name}
	var err error
	if p.token, p.password, err = d.forge.addUser(ctx, name); err != nil {
		return p, err
	}
	p.Client, err = clients.New(d.forge.kind, client.Connection{APIServer: d.forge.api, Token: secrets.NewValue([]byte(p.token))})
	if err != nil {
		return p, err
	}
	for path, content := range map[string]string{
		name + ".headers": "Authorization: Bearer " + p.token + "\nContent-Type: application/json\n",
		name + ".git":     strings.Replace(d.forge.web, "://", "://"+name+":"+p.token+"@", 1) + "\n",
	} {
		if err := os.WriteFile(filepath.Join(d.dir, path), []byte(content), 0o600); err != nil {
			return p, fmt.Errorf("write the access token of %s: %w", name, err)
		}
	}
	return p, nil
}

// push is `git push` of a commit by the person who owns the repository, with the person's
// access token. The tenant's repository belongs to the administrator.
func (d *demo) push(ctx context.Context, repository string, commit githost.Commit) (string, error) {
	token := d.ada.token
	if repository == tenantRepo {
		token = d.forge.admin
	}
	return githost.PushTo(ctx, d.forge.url(repository), token, commit)
}
