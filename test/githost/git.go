package githost

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Environ returns an environment for git that reads no configuration of the
// machine or the user.
func Environ(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ann Author", "GIT_AUTHOR_EMAIL=ann@example.com",
		"GIT_COMMITTER_NAME=Carl Committer", "GIT_COMMITTER_EMAIL=carl@example.com",
	}
}

// Git runs git in a directory and returns its output without the last newline.
func Git(ctx context.Context, dir string, args ...string) (string, error) {
	return git(ctx, dir, nil, nil, args...)
}

// tip returns the commit of a reference in a bare repository, or an empty string if there
// is none. Most references are files, which cost no process.
func tip(ctx context.Context, dir, ref string) string {
	if content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(ref))); err == nil {
		return strings.TrimSpace(string(content))
	}
	revision, err := git(ctx, dir, nil, nil, "rev-parse", "--verify", "--quiet", ref)
	if err != nil {
		return ""
	}
	return revision
}

// git runs git in dir and returns its output without the last newline.
func git(ctx context.Context, dir string, env []string, stdin io.Reader, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = dir
	command.Env = append(Environ(dir), env...)
	command.Stdin = stdin
	// git leaves its network helper behind when it alone is killed, and that
	// one would keep the pipes open.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
