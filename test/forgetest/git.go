package forgetest

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"nautes.io/nautes/internal/forge/client"
)

// commit pushes a commit to main as the administrator, and returns its hash.
func (s *suite) commit(r client.Repository, message string) string {
	s.Helper()
	admin := s.Host.Admin()
	address, err := url.Parse(r.HTTPURL)
	s.must(err)
	address.User = url.UserPassword(admin.Name, admin.Token)
	dir := filepath.Join(s.TempDir(), "clone")
	git := func(args ...string) string {
		s.Helper()
		command := exec.CommandContext(s.ctx(), "git", args...)
		command.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + s.TempDir(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
		}
		out, err := command.CombinedOutput()
		if err != nil {
			s.Fatalf("git %s: %v: %s", args[0], err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("clone", "-q", address.String(), dir)
	git("-C", dir, "commit", "-q", "--allow-empty", "-m", message)
	git("-C", dir, "push", "-q", "origin", "HEAD:main")
	return git("-C", dir, "rev-parse", "HEAD")
}
