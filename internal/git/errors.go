package git

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// Errors about a repository. They are returned wrapped in an *Error.
var (
	// ErrRefused: the URL, the branch, the credentials or the content are not allowed.
	ErrRefused = errors.New("refused")
	// ErrUnreachable: the server does not answer, or its answer is not from a Git server.
	ErrUnreachable = errors.New("unreachable")
	// ErrAuthentication: the server rejects the credentials, or SSH rejects the
	// server's key.
	ErrAuthentication = errors.New("authentication failed")
	// ErrRepositoryMissing: the server has no such repository, or hides it.
	ErrRepositoryMissing = errors.New("repository does not exist")
	// ErrBranchMissing: the repository has no such branch.
	ErrBranchMissing = errors.New("branch does not exist")
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
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("repository %s: %v: %s", e.Repository, e.Err, e.Reason)
}

// Unwrap returns the sentinel error.
func (e *Error) Unwrap() error { return e.Err }

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
	object := e.Object
	if len(object) > maxObject {
		object = object[:maxObject] + "…"
	}
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

// symptoms maps messages of git and ssh, in the C locale, to errors. The first
// match counts.
var symptoms = []struct {
	pattern *regexp.Regexp
	err     error
	reason  string
}{
	{regexp.MustCompile(`couldn't find remote ref`), ErrBranchMissing,
		"the repository has no such branch: push it, or name another one"},
	{regexp.MustCompile(`not our ref|unadvertised object`), ErrUnknownRevision,
		"the repository has no such commit, or does not hand it out: push it, or name another one"},
	{regexp.MustCompile(`Host key verification failed|No \S+ host key is known`), ErrAuthentication,
		"the server's host key is not among the known hosts: add the right one to known_hosts"},
	{regexp.MustCompile(`could not read (Username|Password)|Authentication failed|Access denied|returned error: 40[13]|Permission denied \(|Too many authentication failures`), ErrAuthentication,
		"the server does not accept the credentials: check that they are valid and may read the repository"},
	{regexp.MustCompile(`repository '' not found|returned error: (404|410)|does not appear to be a git repository|could not be found`), ErrRepositoryMissing,
		"the server knows no such repository, or does not show it to this user: check the URL and the credentials"},
	{regexp.MustCompile(`returned error: 30\d|unable to update url base`), ErrUnreachable,
		"the server redirects, which is not followed: use the final URL, which often ends in .git"},
	{regexp.MustCompile(`certificate`), ErrUnreachable,
		"the server's certificate is not trusted: add its authority to the trusted certificates"},
	{regexp.MustCompile(`Could not resolve host`), ErrUnreachable,
		"the host name cannot be resolved: check the URL and the name service"},
	{regexp.MustCompile(`fsck error`), ErrRefused,
		"the branch's history holds malformed objects: run git fsck in a clone and rewrite the objects that it names"},
	{regexp.MustCompile(`unable to access|Could not read from remote repository|RPC failed|early EOF|hung up|disconnect|Connection (refused|timed out|reset|closed)|not valid: is this a git repository|invalid server response|unexpected response`), ErrUnreachable,
		"the server does not answer as a Git server does: check the URL, and that it can be reached from here"},
}

// quoted matches names, which git puts between quotes and which are not symptoms.
var quoted = regexp.MustCompile(`'[^'\n]*'`)

// classify returns the error for the output of a git command that failed.
func classify(repository, command string, code int, stderr string, secret []string) error {
	said := quoted.ReplaceAllString(stderr, "''")
	for _, s := range symptoms {
		if s.pattern.MatchString(said) {
			return &Error{Repository: repository, Err: s.err, Reason: s.reason}
		}
	}
	return &CommandError{Repository: repository, Command: command, Code: code, Detail: scrub(stderr, secret)}
}

const maxDetail = 500

var userInfo = regexp.MustCompile(`//[^/\s]*@`)

// scrub removes credentials and control characters from a text.
func scrub(text string, secret []string) string {
	for _, s := range secret {
		if s == "" {
			continue
		}
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s))} {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	text = userInfo.ReplaceAllString(text, "//")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	text = strings.TrimSpace(text)
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "")
	}
	return text
}
