package gitlab_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
)

// A deploy key reads the project that has it by SSH, and no other one.
func TestDeployKeyBySSH(t *testing.T) {
	s := gitlab.New(t, func(o *gitlab.Options) { o.SSH = true })
	s.AddGroup("labs", gitlab.Private, "")
	for _, path := range []string{"labs/app", "labs/other"} {
		s.AddProject(path, gitlab.ProjectSettings{Readme: true})
	}
	dir := t.TempDir()
	key, known := filepath.Join(dir, "key"), filepath.Join(dir, "known_hosts")
	private, public := githost.NewKeyPair(t)
	for path, content := range map[string][]byte{key: private, known: []byte(s.SSHKnownHosts)} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fetches := func(url string) bool {
		command := exec.CommandContext(t.Context(), "git", "ls-remote", url)
		command.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_SSH_COMMAND=ssh -F none -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=" + known + " -i " + key,
		}
		out, err := command.CombinedOutput()
		t.Logf("%s", out)
		return err == nil
	}
	app, _ := s.Project("labs/app")
	other, _ := s.Project("labs/other")
	if fetches(app.SSHURL) {
		t.Error("a key that no project has reads a project")
	}
	c := newClient(t, s, s.Token("root"))
	added, _, err := c.DeployKeys.AddDeployKey(app.ID, &api.AddDeployKeyOptions{Title: api.Ptr("key"), Key: &public})
	if err != nil {
		t.Fatal(err)
	}
	if !fetches(app.SSHURL) {
		t.Errorf("the key of %s does not read it", app.SSHURL)
	}
	if fetches(other.SSHURL) {
		t.Errorf("the key of another project reads %s", other.SSHURL)
	}
	if _, err := c.DeployKeys.DeleteDeployKey(app.ID, added.ID); err != nil {
		t.Fatal(err)
	}
	if fetches(app.SSHURL) {
		t.Error("a removed key reads its project")
	}
}
