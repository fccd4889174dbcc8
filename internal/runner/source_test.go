package runner

import (
	"net/url"
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

// A launcher whose proxy asks for a login reads it from files, and names a missing one.
func TestProxyLogin(t *testing.T) {
	server := githost.New(t)
	repo := server.Repo("demo/pipelines")
	hash := repo.Push(map[string]string{"main.yaml": "a: b"})
	upstream, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := githost.NewProxy(t, upstream.Host)
	proxy.RequireLogin("ann", "s@fe")
	for name, test := range map[string]struct {
		user, password, want string
	}{
		"right": {user: "ann", password: "s@fe\n"},
		"wrong": {user: "ann", password: "canary", want: "the proxy asks for a login, or does not accept it"},
		"none":  {want: "the proxy asks for a login, and there is none in"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range map[string]string{launch.FileProxyUser: test.user, launch.FileProxyPassword: test.password} {
				if content == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			flags := sourceFlags{workDir: t.TempDir(), credentials: dir, protocols: "http"}
			config := &launch.Config{URL: "http://example.com/demo/pipelines.git", Path: "main.yaml", Revision: "main", Proxy: proxy.URL, ProxyLogin: true}
			_, commit, err := flags.read(t.Context(), &Program{Attempts: 1}, config, &launch.Event{})
			switch {
			case test.want == "":
				if err != nil || commit != hash {
					t.Errorf("read = %s, %v, want %s", commit, err, hash)
				}
			case err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "canary"):
				t.Errorf("read = %v, want %q", err, test.want)
			}
		})
	}
}
