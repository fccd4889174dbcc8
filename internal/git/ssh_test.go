package git

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/githost"
)

func TestFetchBySSH(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("the OpenSSH client is not installed")
	}
	server := githost.New(t)
	repo := server.Repo("demo/default.project")
	hash := repo.Push(map[string]string{"a": "1"})
	host, other := server.NewSSH(), server.NewSSH()
	right := Auth{SSHKey: secrets.NewValue(host.PrivateKey), KnownHosts: host.KnownHosts}
	tests := map[string]struct {
		url     string
		change  func(*Auth)
		wantErr error
	}{
		"right":               {},
		"without a user":      {url: strings.Replace(host.URL, "git@", "", 1) + "/demo/default.project.git"},
		"key without newline": {change: func(a *Auth) { a.SSHKey = secrets.NewValue([]byte(strings.TrimSpace(string(host.PrivateKey)))) }},
		"key from Windows": {change: func(a *Auth) {
			a.SSHKey = secrets.NewValue([]byte(strings.ReplaceAll(string(host.PrivateKey), "\n", "\r\n")))
		}},
		"wrong key":          {change: func(a *Auth) { a.SSHKey = secrets.NewValue(githost.NewKey(t)) }, wantErr: ErrAuthentication},
		"broken key":         {change: func(a *Auth) { a.SSHKey = secrets.NewValue([]byte("rubbish")) }, wantErr: ErrRefused},
		"unknown host":       {change: func(a *Auth) { a.KnownHosts = other.KnownHosts }, wantErr: ErrAuthentication},
		"repository missing": {url: host.URL + "/demo/absent.git", wantErr: ErrRepositoryMissing},
		"no server":          {url: "ssh://git@127.0.0.1:1/x.git", wantErr: ErrUnreachable},
		"no key":             {change: func(a *Auth) { a.SSHKey = secrets.Value{} }, wantErr: ErrRefused},
		"no known hosts":     {change: func(a *Auth) { a.KnownHosts = nil }, wantErr: ErrRefused},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			// The paths of the key and of the known hosts need quoting.
			m, err := New(filepath.Join(t.TempDir(), `a b'c%h`), Options{})
			if err != nil {
				t.Fatal(err)
			}
			src := Source{URL: host.URL + "/demo/default.project.git", Branch: "main", Auth: right}
			if tt.url != "" {
				src.URL = tt.url
			}
			if tt.change != nil {
				tt.change(&src.Auth)
			}
			commit, err := m.Fetch(context.Background(), key, src)
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("Fetch: %v, want %v", err, tt.wantErr)
			}
			if tt.wantErr == nil && commit.Hash != hash {
				t.Errorf("Fetch = %s, want %s", commit.Hash, hash)
			}
			if left := leftovers(t, m); len(left) != 0 {
				t.Errorf("left in the scratch directory: %v", left)
			}
		})
	}
}

func TestTheSSHKeyIsPrivate(t *testing.T) {
	m := testMirrors(t, nil)
	private := githost.NewKey(t)
	r, err := m.check(Source{URL: "git@example.com:a/b.git", Branch: "main",
		Auth: Auth{SSHKey: secrets.NewValue(private), KnownHosts: []byte("example.com ssh-ed25519 AAAA")}})
	if err != nil {
		t.Fatal(err)
	}
	line, remove, err := m.ssh(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(line, strings.Split(string(private), "\n")[1]) {
		t.Errorf("the command line holds the key: %s", line)
	}
	keys, _ := filepath.Glob(filepath.Join(m.scratch, "*", "key"))
	if len(keys) != 1 {
		t.Fatalf("keys on disk: %v, want one", keys)
	}
	for path, want := range map[string]os.FileMode{keys[0]: 0o600, filepath.Dir(keys[0]): os.ModeDir | 0o700} {
		info, err := os.Stat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("mode of %s is %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	remove()
	if left := leftovers(t, m); len(left) != 0 {
		t.Errorf("left in the scratch directory: %v", left)
	}
}
