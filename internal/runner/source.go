package runner

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/gitaccess"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/secrets"
)

// sourceFlags are the flags for reading the repository.
type sourceFlags struct {
	workDir, credentials, caFile, knownHosts, protocols string
}

func (s *sourceFlags) flags(f *flag.FlagSet) {
	f.StringVar(&s.workDir, "work-dir", "", "directory for the fetched objects; if empty, a temporary one")
	f.StringVar(&s.credentials, "credentials", launch.CredentialsDir, "directory with the credentials of the repository")
	f.StringVar(&s.caFile, "git-ca-file", "", "certificates in PEM to check the Git server against, in addition to the system's")
	f.StringVar(&s.knownHosts, "git-known-hosts", "", "SSH host keys of the Git server, in addition to known_hosts of the credentials")
	f.StringVar(&s.protocols, "git-protocols", "https,ssh,http", "allowed protocols of the repository's URL, separated by commas: https, ssh, http, file")
}

// mirrorKey is the key of the only repository.
const mirrorKey = "pipelines"

// read returns the pipeline file and its commit.
func (s *sourceFlags) read(ctx context.Context, p *Program, c *launch.Config, e *launch.Event) (content []byte, commit string, err error) {
	dir := s.workDir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "nautes-runner-"); err != nil {
			return nil, "", fail(launch.ExitUsage, "make a directory to work in: %w", err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
	}
	mirrors, err := git.New(dir, git.Options{AllowedProtocols: strings.Split(s.protocols, ",")})
	if err != nil {
		return nil, "", fail(launch.ExitUsage, "%w", err)
	}
	auth, err := credentials(s.credentials)
	if err != nil {
		return nil, "", err
	}
	source := git.Source{URL: c.URL, Auth: auth, Proxy: c.Proxy}
	if c.ProxyLogin {
		if source.ProxyLogin, err = proxyLogin(s.credentials); err != nil {
			return nil, "", err
		}
	}
	if err := s.trust(&source); err != nil {
		return nil, "", err
	}
	var fetched git.Commit
	unreachable := func(err error) bool { return errors.Is(err, git.ErrUnreachable) }
	err = p.retry(ctx, p.Attempts, unreachable, func(ctx context.Context) error {
		fetched, err = mirrors.FetchRevision(ctx, mirrorKey, source, revision(c, e))
		return err
	})
	switch {
	case errors.Is(err, git.ErrUnknownRevision):
		return nil, "", fail(launch.ExitRevision, "%w", err)
	case err != nil:
		return nil, "", fail(launch.ExitGit, "%w", err)
	}
	content, err = mirrors.File(ctx, mirrorKey, fetched.Hash, c.Path)
	var limit *git.LimitError
	switch {
	case errors.Is(err, git.ErrFileMissing), errors.Is(err, git.ErrRefused), errors.As(err, &limit):
		return nil, "", fail(launch.ExitFile, "pipeline file at commit %s: %w", fetched.Hash, err)
	case err != nil:
		return nil, "", fail(launch.ExitGit, "%w", err)
	}
	return content, fetched.Hash, nil
}

// trust adds the certificates and host keys of files to a source.
func (s *sourceFlags) trust(source *git.Source) error {
	var contents [2]string
	for i, path := range []string{s.caFile, s.knownHosts} {
		if path == "" {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fail(launch.ExitUsage, "read what identifies the Git server: %w", err)
		}
		contents[i] = string(content)
	}
	source.CABundle = contents[0]
	source.Auth.KnownHosts = gitaccess.Access{KnownHosts: contents[1]}.JoinKnownHosts(source.Auth.KnownHosts)
	return nil
}

// revision returns the revision of the pipeline file; "" is the default branch. A
// commit counts in its own repository only, a name in each.
func revision(c *launch.Config, e *launch.Event) string {
	switch {
	case c.Revision != "":
		return c.Revision
	case e.Commit != "" && c.EventRepository == c.Repository:
		return e.Commit
	}
	return e.Ref
}

// proxyLogin reads the login for the proxy in a directory.
func proxyLogin(dir string) (git.Login, error) {
	fields, err := readFields(dir, launch.FileProxyUser, launch.FileProxyPassword)
	if err != nil {
		return git.Login{}, err
	}
	login := git.Login{Username: string(fields[launch.FileProxyUser]), Password: secrets.NewValue(fields[launch.FileProxyPassword])}
	if login.Username == "" {
		return git.Login{}, fail(launch.ExitUsage, "the proxy asks for a login, and there is none in %s: store username and password, as the condition of the pipeline runtime says", dir)
	}
	return login, nil
}

// readFields reads files of a directory. Neither need exist.
func readFields(dir string, names ...string) (map[string][]byte, error) {
	fields := map[string][]byte{}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fail(launch.ExitUsage, "read the credentials: %w", err)
		}
		fields[name] = content
	}
	return fields, nil
}

// credentials reads the credentials in a directory, which need not exist.
func credentials(dir string) (git.Auth, error) {
	fields, err := readFields(dir, "username", "password", "ssh-privatekey", "known_hosts")
	if err != nil {
		return git.Auth{}, err
	}
	return git.Auth{
		Username:   string(fields["username"]),
		Password:   secrets.NewValue(fields["password"]),
		SSHKey:     secrets.NewValue(fields["ssh-privatekey"]),
		KnownHosts: fields["known_hosts"],
	}, nil
}
