package gitea_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"nautes.io/nautes/internal/forge/client"
	giteaclient "nautes.io/nautes/internal/forge/client/gitea"
	"nautes.io/nautes/internal/secrets"
	server "nautes.io/nautes/test/gitea"
	"nautes.io/nautes/test/githost"
)

// Git over SSH does with a deploy key what its right allows, until it is removed.
func TestDeployKeys(t *testing.T) {
	s := server.New(t)
	c, err := giteaclient.New(client.Connection{APIServer: s.URL, Token: secrets.NewValue([]byte(s.Admin.Token)), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	group, err := c.EnsureGroup(ctx, client.GroupSpec{Path: "labs"})
	if err != nil {
		t.Fatal(err)
	}
	repository, err := c.EnsureRepository(ctx, client.RepositorySpec{GroupID: group.ID, Path: "app", Initialize: true, DefaultBranch: "main"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, []byte(s.SSHHostKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git := func(key string, args ...string) error {
		command := exec.CommandContext(ctx, "git", args...)
		command.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
			"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
			"GIT_SSH_COMMAND=ssh -F none -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=" + known + " -i " + key,
		}
		out, err := command.CombinedOutput()
		if err != nil {
			t.Logf("git %s: %s", args[0], out)
		}
		return err
	}
	for name, tt := range map[string]struct{ canPush bool }{"readonly": {}, "readwrite": {canPush: true}} {
		key := filepath.Join(dir, name)
		private, public := githost.NewKeyPair(t)
		if err := os.WriteFile(key, private, 0o600); err != nil {
			t.Fatal(err)
		}
		added, err := c.EnsureKey(ctx, repository.ID, client.Key{Title: name, Public: public, CanPush: tt.canPush})
		if err != nil {
			t.Fatal(err)
		}
		clone := filepath.Join(dir, name+"-clone")
		if err := git(key, "clone", "-q", repository.SSHURL, clone); err != nil {
			t.Fatalf("%s cannot clone %s: %v", name, repository.SSHURL, err)
		}
		if err := git(key, "-C", clone, "commit", "-q", "--allow-empty", "-m", name); err != nil {
			t.Fatal(err)
		}
		if err := git(key, "-C", clone, "push", "-q", "origin", "HEAD:main"); (err == nil) != tt.canPush {
			t.Errorf("%s pushes: %v, want that it may: %t", name, err, tt.canPush)
		}
		if err := c.RemoveKey(ctx, repository.ID, added.ID); err != nil {
			t.Fatal(err)
		}
		if err := git(key, "-C", clone, "fetch", "-q"); err == nil {
			t.Errorf("%s fetches after it was removed", name)
		}
	}
}
