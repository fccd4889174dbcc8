package git

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"nautes.io/nautes/internal/plan"
)

// Errors about a repository. They are returned wrapped in an *Error.
var (
	// ErrRefused: the URL, the branch, the credentials or the content are not allowed.
	ErrRefused = errors.New("refused")
	// ErrUnreachable: the server does not answer, or its answer is not from a Git server.
	ErrUnreachable = errors.New("unreachable")
	// ErrCertificate: the certificate of the server is not accepted.
	ErrCertificate = errors.New("certificate not accepted")
	// ErrCertificateEarly: the certificate of the server is not valid yet. It is an
	// ErrCertificate that time mends.
	ErrCertificateEarly = fmt.Errorf("%w", ErrCertificate)
	// ErrNoSpace: the disk of the mirrors is full.
	ErrNoSpace = errors.New("no space left")
	// ErrAuthentication: the server rejects the credentials, or SSH rejects the
	// server's key.
	ErrAuthentication = errors.New("authentication failed")
	// ErrRepositoryMissing: the server has no such repository, or hides it.
	ErrRepositoryMissing = errors.New("repository does not exist")
	// ErrBranchMissing: the repository has no such branch.
	ErrBranchMissing = errors.New("branch does not exist")
	// ErrEmpty: the repository has no branch at all. It is an ErrBranchMissing.
	ErrEmpty = fmt.Errorf("%w", ErrBranchMissing)
	// ErrUnknownRevision: the mirror or the repository has no such revision.
	ErrUnknownRevision = errors.New("unknown revision")
	// ErrFileMissing: the revision has no such file.
	ErrFileMissing = errors.New("file does not exist")
)

// Error is a failure of one repository. Its message contains the repository's
// host and path, the problem and its remedy. It contains neither credentials nor
// text from the server.
type Error struct {
	// Repository as host and path, or the mirror's key where no URL is involved.
	Repository string
	// Err is one of the sentinel errors of this package.
	Err error
	// Reason is the problem and its remedy.
	Reason string
	// RetryAfter is the time for which the server does not want to be asked again, or 0
	// if it names none.
	RetryAfter time.Duration
	// ValidFrom is the time at which the server's certificate becomes valid, if that is
	// the problem and the time is known.
	ValidFrom time.Time
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("repository %s: %v: %s", e.Repository, e.Err, e.Reason)
}

// Unwrap returns the sentinel error.
func (e *Error) Unwrap() error { return e.Err }

// maxPause is the longest time for which a server can keep others from asking it again.
const maxPause = 15 * time.Minute

// RetryAfter returns the time for which the server of a failed command does not want to be
// asked again, up to a ceiling, or 0.
func RetryAfter(err error) time.Duration {
	var known *Error
	if !errors.As(err, &known) {
		return 0
	}
	return min(known.RetryAfter, maxPause)
}

// RetryWithin returns the time until the certificate of a server becomes valid, at least a
// second, or 0 if it is unknown or not the problem.
func RetryWithin(err error) time.Duration {
	var known *Error
	if !errors.As(err, &known) || known.ValidFrom.IsZero() {
		return 0
	}
	return max(time.Until(known.ValidFrom), time.Second)
}

// Quantities of a LimitError.
const (
	LimitFiles  = "number of files and directories"
	LimitDepth  = "depth of the path"
	LimitLength = "length of a path"
	LimitBlob   = "size of the blob"
	LimitRead   = "size of all blobs"
)

// LimitError is returned for a revision that exceeds a limit.
type LimitError struct {
	// Key of the mirror.
	Key string
	// Quantity is one of the Limit constants. Object is the path or the blob that
	// exceeds it, or empty if the whole revision does.
	Quantity, Object string
	// Limit is the largest allowed value.
	Limit int64
}

// maxObject is the number of bytes of a path that a message shows.
const maxObject = 200

// Error implements error.
func (e *LimitError) Error() string {
	object := plan.Cut(e.Object, maxObject)
	if object != "" {
		object = fmt.Sprintf(" %q", object)
	}
	return fmt.Sprintf("repository of %q: the %s%s is over the limit of %d: remove files that do not belong in the repository",
		e.Key, e.Quantity, object, e.Limit)
}

// CommandError is returned when git fails for a reason unknown to this package.
type CommandError struct {
	// Repository as in Error.
	Repository string
	// Command is the git subcommand and Code its exit code.
	Command string
	Code    int
	// Detail is git's error output without credentials. It can contain text from the
	// server, so it is meant for a debug log and is not part of the message.
	Detail string
}

// Error implements error.
func (e *CommandError) Error() string {
	return fmt.Sprintf("repository %s: git %s failed with exit code %d", e.Repository, e.Command, e.Code)
}

const maxDetail = 500

// scrub returns a text of git or of a server without the credentials of the repository,
// in the form of all foreign texts.
func scrub(text string, secret []string) string {
	for _, s := range secret {
		if s == "" {
			continue
		}
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s))} {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	return plan.Words(text, maxDetail)
}
