package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// ErrOutdated is returned, wrapped in an *Error, for a push to a branch that has moved.
var ErrOutdated = errors.New("the branch has moved")

// DeniedError is returned for a push that the server refuses, by a protected branch, a
// hook, or for want of rights.
type DeniedError struct {
	// Repository as in Error.
	Repository string
	// Reason is the server's text, cut and without credentials.
	Reason string
}

// Error implements error. The text of the server is not part of it.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("repository %s: the server denies the push: get the right to push to the branch, or correct what its hooks refuse", e.Repository)
}

// Push makes a commit of each draft on the commit base, one upon the other, and pushes
// them to the source's branch, which must be at base. It returns the hashes of the commits, and
// overwrites nothing: the error
// wraps ErrOutdated if the branch has moved, is a *DeniedError if the server refuses the
// commits, and else one of the errors of Fetch. Either all commits are pushed or none.
//
// Base is a commit of the mirror of the key, or empty for the first commits of a branch
// that does not exist. The mirror is afterwards at the last commit.
// If an answer of the server is lost, Push finds out by a fetch whether it has the commits.
func (m *Mirrors) Push(ctx context.Context, key string, src Source, base string, drafts []Draft) ([]string, error) {
	r, err := m.check(src)
	if err != nil {
		return nil, err
	}
	made, err := m.pushDrafts(ctx, key, r, base, drafts)
	if err == nil {
		return made, nil
	}
	if made == nil || settled(err) {
		return nil, err
	}
	after := context.WithoutCancel(ctx)
	if _, failure := m.Fetch(after, key, src); failure == nil && m.Has(after, key, made[len(made)-1]) {
		return made, nil
	}
	return nil, err
}

// settled reports whether an error of a push means that the server has not taken it. If
// an answer is lost, git may push again by itself, and find that the branch has moved.
func settled(err error) bool {
	var denied *DeniedError
	return errors.As(err, &denied) || errors.Is(err, ErrAuthentication) || errors.Is(err, ErrRepositoryMissing) || errors.Is(err, ErrRefused) || errors.Is(err, ErrCertificate)
}

// pushDrafts implements Push, but for lost answers. It returns the commits also if it is
// not known whether the server has them.
func (m *Mirrors) pushDrafts(ctx context.Context, key string, r *remote, base string, drafts []Draft) ([]string, error) {
	entry, release := m.use(key)
	defer release()
	done, err := entry.acquire(ctx, r)
	if err != nil {
		return nil, err
	}
	defer done()
	if base == "" {
		return m.pushFirst(ctx, entry, r, drafts)
	}
	outdated := &Error{Repository: r.display, Err: ErrOutdated, Reason: "fetch it, and make the change again"}
	if !entry.holds(r.url) || m.doubtful(entry) || !hashForm.MatchString(base) {
		return nil, outdated
	}
	dir, err := m.quarantine(entry)
	if err != nil {
		return nil, fmt.Errorf("repository %s: new commits: %w", r.display, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	made, err := m.commitDrafts(ctx, dir, r.display, base, drafts)
	var unexplained *CommandError
	if errors.As(err, &unexplained) {
		// The mirror lacks objects: the next fetch replaces it.
		m.keep(entry, true, true)
		return nil, outdated
	}
	if err != nil {
		return nil, err
	}
	head := made[len(made)-1]
	if err := m.push(ctx, dir, r, base, head); err != nil {
		return made, err
	}
	// The commits are pushed, whatever becomes of the mirror.
	after := context.WithoutCancel(ctx)
	adopted := entry.adopt(dir, head) == nil
	m.keep(entry, true, !adopted || !m.collected(after, entry, r, head))
	return made, nil
}

// pushFirst implements pushDrafts for a branch that does not exist. The commits are made
// in a new mirror, which replaces the mirror if there is one.
func (m *Mirrors) pushFirst(ctx context.Context, entry *mirror, r *remote, drafts []Draft) ([]string, error) {
	scratch, err := os.MkdirTemp(m.scratch, "mirror-")
	if err != nil {
		return nil, fmt.Errorf("repository %s: new mirror: %w", r.display, err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	fresh := filepath.Join(scratch, "sha1")
	if err := m.initialize(ctx, fresh, "sha1", r); err != nil {
		return nil, err
	}
	made, err := m.commitDrafts(ctx, fresh, r.display, "", drafts)
	if err != nil {
		return nil, err
	}
	head := made[len(made)-1]
	if err := m.push(ctx, fresh, r, "", head); err != nil {
		return made, err
	}
	// The commits are pushed. Without the mirror, the next fetch makes one.
	after := context.WithoutCancel(ctx)
	for _, args := range [][]string{{"update-ref", headRef, head}, {"update-ref", "-d", draftRef}} {
		if m.run(after, command{dir: fresh, repository: r.display, args: args}) != nil {
			return made, nil
		}
	}
	_ = m.install(entry, r, scratch, fresh, head)
	return made, nil
}

// acquire waits until the caller may write to the mirror. The function that it returns
// ends this.
func (entry *mirror) acquire(ctx context.Context, r *remote) (done func(), err error) {
	select {
	case entry.fetching <- struct{}{}:
		return func() { <-entry.fetching }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("repository %s: waiting for another fetch: %w", r.display, ctx.Err())
	}
}

// push pushes a commit of the repository at dir to the branch, which must be at base, or
// must not exist if base is empty.
func (m *Mirrors) push(ctx context.Context, dir string, r *remote, base, head string) error {
	if done, err := m.send(ctx, dir, r, base, head); done {
		return err
	}
	var report, complaint string
	err := m.run(ctx, command{
		dir: dir, remote: r, complaint: &complaint,
		args: []string{"push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no",
			"--force-with-lease=" + r.ref() + ":" + base, "--end-of-options", r.url, head + ":" + r.ref()},
		read: func(out io.Reader) error {
			answer, err := io.ReadAll(io.LimitReader(out, maxAnswer))
			report = string(answer)
			return err
		},
	})
	if err == nil {
		return nil
	}
	return rejected(r, report, complaint, err)
}

var (
	// rejection matches the line of a report about a branch that was not updated.
	rejection = regexp.MustCompile(`(?m)^!\t[^\t]*\t\[([a-z ]+)\](?: \((.*)\))?`)
	// overtaken: another push came first. The server compares with the head that it listed.
	overtaken = regexp.MustCompile(`stale info|fetch first|non-fast-forward|cannot lock|failed to lock|already exists|incorrect old value|failed to update ref|already being updated`)
	// unable: the server itself failed.
	unable = regexp.MustCompile(`unpacker error|unable to (create|migrate|write)|internal (server )?error|failed to report status|failed to store`)
)

// rejected returns the error for a push that failed with a report on standard output and
// a complaint on standard error.
func rejected(r *remote, report, complaint string, err error) error {
	match := rejection.FindStringSubmatch(report)
	forbidden := refusal.FindStringSubmatch(quoted.ReplaceAllString(complaint, "''"))
	switch {
	case match == nil && forbidden != nil && forbidden[1]+forbidden[2] == fmt.Sprint(http.StatusForbidden):
		return &DeniedError{Repository: r.display, Reason: r.serverText(complaint, "403 Forbidden")}
	case match == nil:
		return err
	case overtaken.MatchString(match[2]):
		return &Error{Repository: r.display, Err: ErrOutdated, Reason: "fetch it, and make the change again"}
	case match[1] != "remote rejected" || unable.MatchString(match[2]):
		return &Error{Repository: r.display, Err: ErrUnreachable, Reason: "the server could not store the push: check the server if it stays so"}
	}
	return &DeniedError{Repository: r.display, Reason: r.serverText(complaint, match[2])}
}

// serverText returns the server's lines on standard error, or else the reason.
func (r *remote) serverText(complaint, reason string) string {
	var said []string
	for line := range strings.Lines(complaint) {
		if text, found := strings.CutPrefix(line, "remote:"); found && strings.Trim(text, " =\t\r\n") != "" {
			said = append(said, strings.TrimSpace(text))
		}
	}
	if len(said) == 0 {
		said = []string{reason}
	}
	return scrub(strings.Join(said, " "), r.secret())
}
