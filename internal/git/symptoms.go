package git

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

var (
	// errFormat: the objects of the repository have hashes of another kind than the mirror's.
	errFormat = errors.New("other kind of hashes")
	// errIncomplete: an object is missing, on the server or in the mirror.
	errIncomplete = errors.New("objects are missing")
	// errNoDepth: the server cannot hand out a commit without its history.
	errNoDepth = errors.New("no fetch without history")
)

// failed is a git command that failed with a message.
type failed struct {
	repository, command string
	code                int
	stderr              string
	auth                Auth
	// secret is what no message may repeat.
	secret []string
	// said is the last answer of an HTTP server.
	said answer
}

// symptom maps messages of git, curl and ssh, in the C locale, to an error.
type symptom struct {
	pattern *regexp.Regexp
	err     error
	reason  string
}

// symptoms are in their order: the first match counts.
var symptoms = []symptom{
	{full, ErrNoSpace, reasonNoSpace},
	{regexp.MustCompile(`mismatched algorithms`), errFormat,
		"the hashes of its objects are of a kind that this git cannot read: use SHA-1 or SHA-256"},
	{regexp.MustCompile(`unknown object format|unsupported object format|unknown hash algorithm`), ErrRefused,
		"the hashes of its objects are of a kind that this git cannot read: use SHA-1 or SHA-256"},
	{regexp.MustCompile(`dumb http transport does not support shallow`), errNoDepth,
		"the server only hands out files: serve the repository with git http-backend"},
	{regexp.MustCompile(`did not send all necessary objects|shallow file has changed|shallow update not allowed|error processing shallow info`), errIncomplete,
		reasonShallow},
	{regexp.MustCompile(`couldn't find remote ref`), ErrBranchMissing,
		"the repository has no such branch: push it, or name another one"},
	{regexp.MustCompile(`not our ref|unadvertised object`), ErrUnknownRevision,
		"the repository has no such commit, or does not hand it out: push it, or name another one"},
	{regexp.MustCompile(`REMOTE HOST IDENTIFICATION HAS CHANGED`), ErrAuthentication,
		"the server's host key is not among the known hosts, which name another key for it: make sure that it is the right server, and put its new key into known_hosts"},
	{regexp.MustCompile(`Host key verification failed|No \S+ host key is known`), ErrAuthentication,
		"the server's host key is not among the known hosts: add the right one to known_hosts"},
	{regexp.MustCompile(`Load key .*: `), ErrRefused,
		"the SSH key cannot be read: use an unencrypted private key in the format of OpenSSH"},
	{regexp.MustCompile(`Unable to negotiate|no matching (host key|key exchange|cipher|MAC)`), ErrUnreachable,
		"the server and this SSH client have no algorithm in common: update the server"},
	{regexp.MustCompile(`Permission denied \(|Too many authentication failures|[Pp]ublic key authentication failed|SSH key has expired`), ErrAuthentication,
		"the server does not accept the credentials: check that the SSH key is registered there, has not expired, and may read the repository"},
	{regexp.MustCompile(`not allowed to download|User permission denied|insufficient permission|(?m)^(remote: )?(Gitea: |Forgejo: )?Unauthorized`), ErrAuthentication,
		"the server accepts the credentials, but they may not read the repository: give them the right to read it"},
	{regexp.MustCompile(`Could not resolve proxy`), ErrUnreachable,
		"the host name of the proxy cannot be resolved: check the proxy and the name service"},
	{regexp.MustCompile(`Could not resolve host|Name or service not known|Temporary failure in name resolution`), ErrUnreachable,
		"the host name cannot be resolved: check the URL and the name service"},
	{regexp.MustCompile(`fsck error`), ErrRefused,
		"the branch's history holds malformed objects: run git fsck in a clone and rewrite the objects that it names"},
	{regexp.MustCompile(`detected dubious ownership|unable to create thread|out of memory|upload-pack: (internal|died|error)`), ErrUnreachable,
		"the server itself fails at reading the repository: look into the server's log"},
	{regexp.MustCompile(`wrong version number|unrecognized name|unexpected TLS packet|record overflow|unsupported protocol|handshake|SSL_connect|TLS connection was non-properly terminated|packet with illegal or unsupported version`), ErrUnreachable,
		"the server does not agree on TLS: check the URL, for example https at a port that speaks http, and the TLS versions of the server"},
	{regexp.MustCompile(`A TLS fatal alert has been received`), ErrUnreachable,
		"the server ends the TLS connection: it may ask for a certificate of the client, which is not supported; use an address of it that takes a token or an SSH key"},
	{regexp.MustCompile(`No route to host|[Nn]etwork is unreachable`), ErrUnreachable,
		"there is no route to the server: check the URL, the network, and network policies"},
	{regexp.MustCompile(`timed? ?out|Timeout|Operation too slow`), ErrUnreachable,
		"the server does not answer in time: check that it runs and that firewalls and network policies let the connection pass"},
	{regexp.MustCompile(`Connection refused|Failed to connect|Couldn't connect|Could not connect`), ErrUnreachable,
		"nothing accepts connections at the host and port: check the URL, that the server runs, and firewalls"},
	{regexp.MustCompile(`Empty reply|not valid: is this a git repository|invalid server response|unexpected response|protocol error|invalid content-type`), ErrUnreachable,
		reasonNoGit},
	{regexp.MustCompile(`RPC failed|early EOF|hung up|[Dd]isconnect|Connection (reset|closed)|transfer closed|Recv failure|Send failure|invalid index-pack output|bad (line|band)|unexpected (EOF|disconnect)`), ErrUnreachable,
		"the server does not answer to the end: the connection broke; check the server, and limits of proxies between"},
	{regexp.MustCompile(`unable to access|Could not read from remote repository`), ErrUnreachable,
		"the server does not answer as a Git server does: check the URL, and that it can be reached from here"},
}

const reasonNoGit = "the server does not answer as a Git server does: check the URL, and that no web page, such as a login page or a portal, answers in its place"

const reasonShallow = "the repository on the server is shallow, without its older history: complete it there with git fetch --unshallow"

const reasonNoSpace = "the disk for the copies of repositories is full or cannot be written to: give it more room"

var (
	// full: the local disk is full. Lines of the server begin with "remote: ".
	full = regexp.MustCompile(`(?m)^(fatal|error|warning): .*(No space left on device|Disk quota exceeded|Read-only file system)`)
	// quoted matches names, which git puts between quotes and which are not symptoms.
	quoted = regexp.MustCompile(`'[^'\n]*'`)
	// refusal matches the message for an answer with an error.
	refusal = regexp.MustCompile(`returned error: ([3-5]\d\d)|RPC failed; HTTP ([3-5]\d\d)`)
	// challenged: the server asks for other credentials than it got.
	challenged = regexp.MustCompile(`could not read (Username|Password)|Authentication failed|Access denied|terminal prompts disabled`)
	// hidden: the server does not say whether the repository exists.
	hidden = regexp.MustCompile(`(?i)repository '' not found|repository not found|could not be found|does not exist or you do not have|does not appear to be a git repository|repository does not exist|no such repository|access denied or repository not exported|project not found|not found or (access|no access)`)
	// moved: the server redirects.
	moved = regexp.MustCompile(`returned error: 30\d|unable to update url base`)
)

// classify returns the error for a git command that failed.
func classify(f failed) error {
	said := quoted.ReplaceAllString(f.stderr, "''")
	known := func(reason string, err error) error {
		return &Error{Repository: f.repository, Err: err, Reason: reason, RetryAfter: f.said.retryAfter}
	}
	status := 0
	if match := refusal.FindStringSubmatch(said); match != nil {
		status, _ = strconv.Atoi(match[1] + match[2])
	}
	switch {
	case f.said.proxy:
		return known(refusedWith(http.StatusProxyAuthRequired))
	case moved.MatchString(said):
		return known(f.redirected())
	case status == http.StatusForbidden && f.said.retryAfter > 0:
		// Some servers limit requests so.
		return known(comeBack(status), ErrUnreachable)
	case status == http.StatusForbidden, challenged.MatchString(said) && status < http.StatusInternalServerError:
		return known(f.unauthorised(status), ErrAuthentication)
	case hidden.MatchString(said) || status == http.StatusNotFound || status == http.StatusGone:
		return known(f.missing(), ErrRepositoryMissing)
	case status > 0:
		return known(refusedWith(status))
	}
	if reason := certificateReason(said); reason != "" {
		return known(certificateError(reason))
	}
	for _, s := range symptoms {
		if s.pattern.MatchString(said) {
			if f.said.page && errors.Is(s.err, ErrUnreachable) {
				return known(reasonNoGit, ErrUnreachable)
			}
			return known(s.reason, s.err)
		}
	}
	return &CommandError{Repository: f.repository, Command: f.command, Code: f.code, Detail: scrub(f.stderr, f.secret)}
}

// unauthorised returns the reason for a server that does not accept the credentials.
// Servers that hide which repositories exist also answer so for missing ones.
func (f failed) unauthorised(status int) string {
	oddity := f.auth.oddity()
	switch {
	case f.auth.basic() == "":
		return "the server asks for credentials, and there are none for this repository: add a user name and a password or token; if the repository is public, check the URL, because servers that hide which repositories exist ask so for missing ones"
	case oddity != "":
		return "the server does not accept the credentials: " + oddity
	case status == http.StatusForbidden:
		return "the server does not accept the credentials for this repository (403 Forbidden): check that the token may read the repository, has not expired, and that the server admits this address"
	}
	return "the server does not accept the credentials: check that they are valid and may read the repository"
}

// missing returns the reason for a server that shows no repository.
func (f failed) missing() string {
	switch {
	case f.auth.basic() == "" && len(f.auth.SSHKey.Bytes()) == 0:
		return "the server knows no such repository, or does not show it without credentials: check the URL, or add credentials"
	case f.auth.oddity() != "":
		return "the server knows no such repository, or does not show it to these credentials: check the URL; besides, " + f.auth.oddity()
	}
	return "the server knows no such repository, or does not show it to this user: check the URL, and that the credentials may read the repository"
}

// redirected returns the error for a server that names another address. Where to is not
// repeated, because the server chooses it.
func (f failed) redirected() (reason string, err error) {
	if f.said.login {
		return "the server redirects to a login page, which is not followed: check the URL, which often ends in .git, and the credentials", ErrAuthentication
	}
	return "the server redirects, which is not followed: use the final URL, which often ends in .git", ErrUnreachable
}

// comeBack returns the reason for a server that limits requests.
func comeBack(status int) string {
	return fmt.Sprintf("the server asks to come back later (%d %s): ask the server's administrators to raise the limit if it stays so", status, http.StatusText(status))
}

// refusedWith returns the error for an answer with a status that is no success.
func refusedWith(status int) (reason string, err error) {
	named := strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
	switch {
	case status == http.StatusTooManyRequests:
		return comeBack(status), ErrUnreachable
	case status == http.StatusProxyAuthRequired:
		return "the proxy asks for a login, or does not accept it (" + named + "): set login of the proxy, and store the right username and password in the secret store", ErrAuthentication
	case status == http.StatusPaymentRequired:
		return "the server asks for a payment (" + named + "): check the plan of the account at the Git host", ErrRefused
	case status == http.StatusUnavailableForLegalReasons:
		return "the server withholds the repository for legal reasons (" + named + "): ask the Git host", ErrRefused
	case status == http.StatusRequestTimeout || status == http.StatusGatewayTimeout:
		return "the server does not answer in time (" + named + "): check the server, and the proxies before it", ErrUnreachable
	case status == http.StatusServiceUnavailable:
		return "the server is not available at present (" + named + "): check the server if it stays so", ErrUnreachable
	case status == http.StatusBadGateway:
		return "the proxy before the server gets no answer from it (" + named + "): check the server if it stays so", ErrUnreachable
	case status >= http.StatusInternalServerError:
		return "the server has an error of its own (" + named + "): look into the server's log if it stays so", ErrUnreachable
	}
	return "the server refuses the request (" + named + "), as no Git server does: check the URL, and the proxies before the server", ErrUnreachable
}
