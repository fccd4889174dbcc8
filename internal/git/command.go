package git

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nautes.io/nautes/internal/forge"
)

const (
	// maxStderr is the number of bytes of git's error output that are kept.
	maxStderr = 16 << 10
	// gracePeriod is the time that git has to clean up before it is killed.
	gracePeriod = 2 * time.Second
)

// command is one run of git.
type command struct {
	// dir is the bare repository, or empty for commands without one.
	dir  string
	args []string
	// remote is nil for commands that only read the mirror, whose name is in repository.
	remote     *remote
	repository string
	stdin      io.Reader
	// talk, if set, gets git's standard input and output, and stdin is unused.
	talk func(in io.WriteCloser, out io.Reader) error
	// read consumes git's output. Its error ends git and is returned.
	read func(out io.Reader) error
	// said, if set, gets the last answer of an HTTP server.
	said *answer
	// complaint, if set, gets the beginning of git's error output.
	complaint *string
}

// run runs git until it ends, the context is done or the reader fails. It leaves
// no process behind that git started.
func (m *Mirrors) run(ctx context.Context, c command) error {
	limited, stop := context.WithTimeout(ctx, m.options.Timeout)
	defer stop()
	env, done, err := m.environment(c)
	if err != nil {
		return err
	}
	defer done()
	running, end := context.WithCancel(limited)
	defer end()
	cmd := exec.CommandContext(running, m.git, c.args...)
	cmd.Dir, cmd.Env, cmd.Stdin = m.home, env, c.stdin
	stderr := &head{}
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = gracePeriod
	heard, err := c.listen(cmd)
	if err != nil {
		return err
	}
	consumed, err := c.start(cmd)
	if consumed != nil && !errors.Is(consumed, io.ErrUnexpectedEOF) {
		// Git would wait forever on a pipe without a reader.
		end()
	}
	if err == nil {
		err = cmd.Wait()
	}
	if running.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	said := heard()
	if c.said != nil {
		*c.said = said
	}
	if c.complaint != nil {
		*c.complaint = stderr.String()
	}
	switch {
	case limited.Err() == nil && consumed != nil && !errors.Is(consumed, io.ErrUnexpectedEOF):
		return consumed
	case err != nil:
		return m.failure(limited, c, err, stderr.String(), said)
	default:
		return consumed
	}
}

// start runs the command's reader over git's output; consumed is the reader's error.
func (c command) start(cmd *exec.Cmd) (consumed, err error) {
	if c.read == nil && c.talk == nil {
		return nil, cmd.Start()
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.read != nil {
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		return c.read(out), nil
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return c.talk(in, out), nil
}

// failure returns the error for a git that failed, from its exit code and output.
func (m *Mirrors) failure(ctx context.Context, c command, err error, stderr string, said answer) error {
	repository := c.repository
	if c.remote != nil {
		repository = c.remote.display
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{Repository: repository, Err: ErrUnreachable,
			Reason: fmt.Sprintf("git %s took longer than %s: check the server and the size of the repository", c.args[0], m.options.Timeout)}
	case ctx.Err() != nil:
		return fmt.Errorf("repository %s: git %s: %w", repository, c.args[0], ctx.Err())
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("repository %s: git %s: %w", repository, c.args[0], err)
	}
	f := failed{repository: repository, command: c.args[0], code: exit.ExitCode(), stderr: stderr, said: said}
	if c.remote == nil && full.MatchString(stderr) {
		return &Error{Repository: repository, Err: ErrNoSpace, Reason: reasonNoSpace}
	}
	if c.remote == nil {
		return &CommandError{Repository: repository, Command: c.args[0], Code: exit.ExitCode(), Detail: scrub(stderr, nil)}
	}
	f.auth, f.secret = c.remote.auth, c.remote.secret()
	return m.examine(ctx, c.remote, classify(f))
}

// secret returns what no message may repeat.
func (r *remote) secret() []string {
	proxy := Auth{Username: r.proxyLogin.Username, Password: r.proxyLogin.Password}
	return []string{
		string(r.auth.Password.Bytes()), r.auth.basic(), strings.TrimSpace(string(r.auth.SSHKey.Bytes())),
		string(proxy.Password.Bytes()), proxy.basic(), strings.TrimPrefix(r.proxyLogin.To("x://"), "x://"),
	}
}

// basic returns the credentials in the form of HTTP's basic scheme, or "" without
// a password.
func (a Auth) basic() string {
	if len(a.Password.Bytes()) == 0 {
		return ""
	}
	user := a.Username
	if user == "" {
		user = forge.AnyTokenUser
	}
	return base64.StdEncoding.EncodeToString(append([]byte(user+":"), a.Password.Bytes()...))
}

// environment returns git's environment, with its whole configuration. Arguments
// are visible to the processes of all users, and variables only to our own.
func (m *Mirrors) environment(c command) (env []string, done func(), err error) {
	done = func() {}
	settings := [][2]string{
		{"core.hooksPath", "/dev/null"},
		{"core.askPass", ""},
		{"core.fsmonitor", "false"},
		{"credential.helper", ""},
		{"submodule.recurse", "false"},
		{"protocol.allow", "never"},
		{"gc.autoDetach", "false"},
		{"gc.auto", "1000"},
		{"gc.autoPackLimit", "20"},
		{"maintenance.auto", "false"},
	}
	env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + m.home, "XDG_CONFIG_HOME=" + m.home, "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "GIT_CEILING_DIRECTORIES=" + filepath.Dir(m.home),
	}
	if c.dir != "" {
		env = append(env, "GIT_DIR="+c.dir)
	}
	allowed := ""
	if r := c.remote; r != nil {
		allowed = r.protocol
		way, err := m.waySettings(r)
		if err != nil {
			return nil, nil, err
		}
		settings = append(append(settings, m.remoteSettings(r)...), way...)
		if r.protocol == "ssh" {
			ssh, remove, err := m.ssh(r)
			if err != nil {
				return nil, nil, err
			}
			done = remove
			env = append(env, "GIT_SSH_COMMAND="+ssh, "GIT_SSH_VARIANT=ssh")
		}
	}
	env = append(env, "GIT_ALLOW_PROTOCOL="+allowed, "GIT_CONFIG_COUNT="+strconv.Itoa(len(settings)))
	for i, setting := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, setting[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, setting[1]))
	}
	return env, done, nil
}

func (m *Mirrors) remoteSettings(r *remote) [][2]string {
	settings := [][2]string{
		{"protocol." + r.protocol + ".allow", "always"},
		{"protocol.version", "2"},
		{"http.followRedirects", "false"},
		{"http.sslVerify", "true"},
		{"http.lowSpeedLimit", "1000"},
		{"http.lowSpeedTime", "30"},
		{"fetch.recurseSubmodules", "false"},
		{"fetch.fsckObjects", "true"},
		// Commits of old tools have these faults, and every host accepts them.
		{"fetch.fsck.zeroPaddedFilemode", "ignore"},
		{"fetch.fsck.badTimezone", "ignore"},
		{"fetch.fsck.missingSpaceBeforeDate", "ignore"},
	}
	if basic := r.auth.basic(); basic != "" && r.protocol != "ssh" && r.protocol != "file" {
		settings = append(settings, [2]string{
			"http." + r.protocol + "://" + r.host + "/.extraHeader", "Authorization: Basic " + basic,
		})
	}
	return settings
}

// ssh writes the key and the known hosts to files that only this user can read. It
// returns an ssh command that uses only these files.
func (m *Mirrors) ssh(r *remote) (string, func(), error) {
	dir, err := os.MkdirTemp(m.scratch, "ssh-")
	if err != nil {
		return "", nil, fmt.Errorf("repository %s: SSH key: %w", r.display, err)
	}
	remove := func() { _ = os.RemoveAll(dir) }
	for name, content := range map[string][]byte{"key": r.auth.SSHKey.Bytes(), "known_hosts": r.auth.KnownHosts} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			remove()
			return "", nil, fmt.Errorf("repository %s: SSH key: %w", r.display, err)
		}
	}
	options := []string{
		"BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none",
		"IdentityFile=" + escapeSSH(filepath.Join(dir, "key")),
		"UserKnownHostsFile=" + escapeSSH(filepath.Join(dir, "known_hosts")), "GlobalKnownHostsFile=/dev/null",
		"StrictHostKeyChecking=yes", "UpdateHostKeys=no", "PreferredAuthentications=publickey",
		"ForwardAgent=no", "ClearAllForwardings=yes", "ControlMaster=no", "ControlPath=none", "PermitLocalCommand=no",
		"ConnectTimeout=15", "ServerAliveInterval=15", "ServerAliveCountMax=2", "LogLevel=ERROR",
	}
	if r.user == "" {
		options = append(options, "User=git")
	}
	line := "ssh -F /dev/null"
	for _, option := range options {
		line += " -o " + shellQuote(option)
	}
	return line, remove, nil
}

// escapeSSH quotes a path for an option of ssh, in which a percent sign begins a token.
func escapeSSH(path string) string {
	return `"` + strings.ReplaceAll(path, "%", "%%") + `"`
}

// shellQuote quotes a word for the shell that git runs GIT_SSH_COMMAND with.
func shellQuote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// head keeps the first maxStderr bytes of its input.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if room := maxStderr - h.Len(); room > 0 {
		h.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
