package git

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/githost"
)

const canary = "cAnArY-0123456789"

// spyOnGit wraps git in a program that records its arguments and the arguments of
// every process that it starts. It returns the path of the record.
func spyOnGit(t *testing.T) (record string) {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	record = filepath.Join(dir, "record")
	script := fmt.Sprintf("#!/bin/sh\nprintf 'run %%s\\n' \"$*\" >>%[1]s\nGIT_TRACE=%[1]s exec %[2]s \"$@\"\n", record, git)
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return record
}

// forms lists the encodings in which the canary could appear.
func forms() []string {
	forms := []string{canary}
	for _, user := range []string{"ann:", ""} {
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(user+canary)))
	}
	return forms
}

func shows(text string) bool {
	for _, form := range forms() {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

func TestCredentialsShowNowhere(t *testing.T) {
	server := githost.New(t)
	repo := server.Repo("demo/default.project")
	repo.Push(map[string]string{"a": "1"})
	record := spyOnGit(t)
	m := testMirrors(t, nil)
	src := Source{URL: repo.URL(), Branch: "main", Auth: Auth{Username: "ann", Password: secrets.NewValue([]byte(canary))}}
	var seen []string
	var errs []error
	check := func(fails bool) {
		t.Helper()
		_, err := m.Fetch(context.Background(), key, src)
		_, headErr := m.Head(context.Background(), src)
		if (err != nil) != fails || (headErr != nil) != fails {
			t.Fatalf("Fetch: %v, Head: %v; want errors: %v", err, headErr, fails)
		}
		errs = append(errs, err, headErr)
	}
	server.RequireAuth("ann", canary)
	server.Intercept(func(http.ResponseWriter, *http.Request) bool {
		seen = append(seen, commandLines(t)...)
		return false
	})
	check(false)
	server.RequireAuth("ann", "another")
	check(true)
	// This server sends the request's credentials back.
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		message := "ERR " + r.Header.Get("Authorization") + " " + canary
		_, _ = fmt.Fprintf(w, "001e# service=git-upload-pack\n0000%04x%s", len(message)+4, message)
		return true
	})
	check(true)
	for _, err := range errs {
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); shows(text) {
			t.Errorf("an error shows the password: %s", text)
		}
		var command *CommandError
		if errors.As(err, &command) && shows(command.Detail) {
			t.Errorf("the detail shows the password: %s", command.Detail)
		}
	}
	recorded, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Join(seen, "\n")
	if !strings.Contains(lines, repo.URL()) || !strings.Contains(string(recorded), "git-remote-http") {
		t.Fatal("the test has not seen the commands")
	}
	if shows(lines) || shows(string(recorded)) {
		t.Errorf("a command line shows the password:\n%s\n%s", lines, recorded)
	}
	searchFiles(t, filepath.Dir(m.store))
}

func TestAPushCostsFewProcesses(t *testing.T) {
	record := spyOnGit(t)
	m, _, repo, src := setUp(t)
	repo.Push(map[string]string{"a/b/c": "1", "d": "1"})
	before := fetch(t, m, src)
	repo.Push(map[string]string{"a/b/c": "2"})
	if err := os.Truncate(record, 0); err != nil {
		t.Fatal(err)
	}
	after := fetch(t, m, src)
	changes, _, err := m.Diff(context.Background(), key, before.Hash, after.Hash)
	if err != nil || len(changes) != 1 {
		t.Fatalf("Diff = %v, %v", changes, err)
	}
	if _, err := m.Read(context.Background(), key, []string{changes[0].New.Blob}); err != nil {
		t.Fatal(err)
	}
	recorded, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	// The server uses git from another path, which is not recorded.
	var got []string
	for line := range strings.Lines(string(recorded)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "run" {
			got = append(got, fields[1])
		}
	}
	if diff := cmp.Diff([]string{"fetch", "cat-file", "cat-file", "cat-file"}, got); diff != "" {
		t.Errorf("git commands (-want +got):\n%s", diff)
	}
}

// commandLines returns the command lines of all processes.
func commandLines(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(paths) == 0 {
		t.Skip("there is no /proc")
	}
	var found []string
	for _, path := range paths {
		content, _ := os.ReadFile(path)
		found = append(found, strings.ReplaceAll(string(content), "\x00", " "))
	}
	return found
}

// searchFiles looks for the canary in every file below a directory.
func searchFiles(t *testing.T, dir string) {
	t.Helper()
	count := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		count++
		content, err := os.ReadFile(path)
		if shows(string(content)) {
			t.Errorf("%s holds the password", path)
		}
		return err
	})
	if err != nil || count == 0 {
		t.Errorf("%d files were searched: %v", count, err)
	}
}

func TestGitSeesNoConfigurationOfTheMachine(t *testing.T) {
	server := githost.New(t)
	repo := server.Repo("demo/default.project")
	hash := repo.Push(map[string]string{"a": "1"})
	home := t.TempDir()
	// A fetch that reads any of these settings fails.
	config := fmt.Sprintf("[url \"http://127.0.0.1:1/\"]\n\tinsteadOf = %s\n[http]\n\tproxy = http://127.0.0.1:1\n", server.URL)
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"HOME": home, "XDG_CONFIG_HOME": home, "GIT_CONFIG_GLOBAL": filepath.Join(home, ".gitconfig"), "GIT_DIR": "/nowhere",
		"http_proxy": "http://127.0.0.1:1", "GIT_SSH_COMMAND": "false", "GIT_ASKPASS": "false", "GIT_INDEX_FILE": "/nowhere",
	} {
		t.Setenv(name, value)
	}
	m := testMirrors(t, nil)
	if got := fetch(t, m, Source{URL: repo.URL(), Branch: "main"}); got.Hash != hash {
		t.Errorf("Fetch = %s, want %s", got.Hash, hash)
	}
}

func TestScrub(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"password":     {"fatal: " + canary + " is wrong", "fatal: *** is wrong"},
		"encoded":      {"key " + base64.StdEncoding.EncodeToString([]byte("p w&"+canary)), "key ***"},
		"escaped":      {"p+w%26" + canary, "***"},
		"user info":    {"unable to access 'https://ann:secret@example.com/a'", "unable to access 'https://example.com/a'"},
		"control":      {"a\x1b[31mb\nc\x00", "a [31mb c"},
		"invalid text": {"a\xffb", "a?b"},
		"long":         {strings.Repeat("é", 400), strings.Repeat("é", maxDetail/2-2) + "…"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := scrub(tt.text, []string{"", "p w&" + canary, canary}); got != tt.want {
				t.Errorf("scrub = %q, want %q", got, tt.want)
			}
		})
	}
}
