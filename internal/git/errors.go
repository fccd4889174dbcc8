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

// What can be wrong with a repository. They are returned wrapped in an *Error.
var (
	// ErrRefused: the URL, the branch, the credentials or the content cannot be
	// used as they are.
	ErrRefused = errors.New("refused")
	// ErrUnreachable: the server does not answer, or not as a Git server does.
	ErrUnreachable = errors.New("unreachable")
	// ErrAuthentication: the server does not accept the credentials, or SSH does
	// not accept the server.
	ErrAuthentication = errors.New("authentication failed")
	// ErrRepositoryMissing: the server has no such repository, or hides it.
	ErrRepositoryMissing = errors.New("repository does not exist")
	// ErrBranchMissing: the repository has no such branch.
	ErrBranchMissing = errors.New("branch does not exist")
	// ErrUnknownRevision: the mirror does not hold the revision, or the repository
	// has none such.
	ErrUnknownRevision = errors.New("unknown revision")
	// ErrFileMissing: the revision has no such file.
	ErrFileMissing = errors.New("file does not exist")
)

// Error is a failure of one repository. Its message names the repository by
// host and path, says what is wrong and what to do, and holds no credential and
// nothing that the server said.
type Error struct {
	// Repository as host and path; the mirror's key where no URL is involved.
	Repository string
	// Err is one of the sentinel errors of this package.
	Err error
	// Reason says what is wrong and what to do.
	Reason string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("repository %s: %v: %s", e.Repository, e.Err, e.Reason)
}

// Unwrap returns the sentinel error.
func (e *Error) Unwrap() error { return e.Err }

// Quantities that a LimitError can be about.
const (
	LimitFiles  = "number of files and directories"
	LimitDepth  = "depth of the path"
	LimitLength = "length of a path"
	LimitBlob   = "size of the blob"
	LimitRead   = "size of all blobs"
)

// LimitError tells that a revision holds more than the mirror's options allow.
type LimitError struct {
	// Key of the mirror.
	Key string
	// Quantity is one of the Limit constants. Object is the path or the blob that
	// it was found at; empty when it is about the whole revision.
	Quantity, Object string
	// Limit is the most that is allowed.
	Limit int64
}

// maxObject is how much of a path a message shows.
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
	return fmt.Sprintf("repository of %q: the %s%s is over the limit of %d: remove from the repository what does not belong there",
		e.Key, e.Quantity, object, e.Limit)
}

// CommandError tells that git failed for a reason that this package does not know.
type CommandError struct {
	// Repository as in Error.
	Repository string
	// Command is the git subcommand and Code its exit code.
	Command string
	Code    int
	// Detail is what git said, without credentials. It can hold what the server
	// said, so it is for a debug log and not part of the message.
	Detail string
}

// Error implements error.
func (e *CommandError) Error() string {
	return fmt.Sprintf("repository %s: git %s failed with exit code %d", e.Repository, e.Command, e.Code)
}

// symptoms relate what git and ssh say, in the C locale, to what is wrong. The
// first match counts.
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
		"the branch's history holds malformed objects: run git fsck in a clone and rewrite what it names"},
	{regexp.MustCompile(`unable to access|Could not read from remote repository|RPC failed|early EOF|hung up|disconnect|Connection (refused|timed out|reset|closed)|not valid: is this a git repository|invalid server response|unexpected response`), ErrUnreachable,
		"the server does not answer as a Git server does: check the URL, and that it can be reached from here"},
}

// quoted is what git puts between quotes: names, which are no symptoms.
var quoted = regexp.MustCompile(`'[^'\n]*'`)

// classify turns what a failed git command said of a server into an error.
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
