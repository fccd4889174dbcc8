package runner

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/test/githost"
)

// The certificates and host keys come from files, and no secret has them.
func TestPrivateServers(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("the OpenSSH client is not installed")
	}
	server := githost.NewTLS(t)
	repo := server.Repo("demo/pipelines")
	hash := repo.Push(map[string]string{"main.yaml": "a: b"})
	host := server.NewSSH()
	credentials := t.TempDir()
	known := filepath.Join(t.TempDir(), launch.FileKnownHosts)
	for path, content := range map[string][]byte{filepath.Join(credentials, "ssh-privatekey"): host.PrivateKey, known: host.KnownHosts} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ssh := host.URL + "/demo/pipelines.git"
	tests := map[string]struct {
		url   string
		flags sourceFlags
		want  string
	}{
		"private authority":         {url: repo.URL(), flags: sourceFlags{caFile: server.CertificateFile()}},
		"unknown authority":         {url: repo.URL(), want: "certificate"},
		"file of certificates gone": {url: repo.URL(), flags: sourceFlags{caFile: known + ".gone"}, want: "read what identifies the Git server"},
		"known host":                {url: ssh, flags: sourceFlags{credentials: credentials, knownHosts: known}},
		"unknown host":              {url: ssh, flags: sourceFlags{credentials: credentials}, want: "knownHosts of the CodeRepoProvider"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.flags.workDir, tt.flags.protocols = t.TempDir(), "https,ssh"
			if tt.flags.credentials == "" {
				tt.flags.credentials = t.TempDir()
			}
			_, commit, err := tt.flags.read(t.Context(), &Program{Attempts: 1}, &launch.Config{URL: tt.url, Path: "main.yaml", Revision: "main"}, &launch.Event{})
			if tt.want == "" && (err != nil || commit != hash) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("read = %s, %v, want %q", commit, err, tt.want)
			}
		})
	}
}
