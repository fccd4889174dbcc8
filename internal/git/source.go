package git

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxURL    = 2048
	maxBranch = 255
)

// remote is a Source that has been checked.
type remote struct {
	// url is git's argument. It has no password.
	url string
	// display is host and path.
	display string
	// protocol and host, with the port if there is one.
	protocol, host string
	user           string
	branch         string
	// commit, if set, is fetched instead of the branch, without its history.
	commit string
	auth   Auth
	// caBundle and proxy are the way to the server.
	caBundle, proxy string
	proxyLogin      Login
	// caFile has the bundle and the system's certificates, if a command needed them.
	caFile string
}

func (r *remote) ref() string { return "refs/heads/" + r.branch }

var (
	scpForm    = regexp.MustCompile(`^(?:([A-Za-z0-9._-]+)@)?([A-Za-z0-9][A-Za-z0-9.-]*):([^:].*)$`)
	hostForm   = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	userForm   = regexp.MustCompile(`^[A-Za-z0-9._][A-Za-z0-9._-]*$`)
	helperForm = regexp.MustCompile(`^[A-Za-z0-9+.-]*::`)
	hashForm   = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
)

// check refuses sources that git could interpret as anything but a branch of a
// repository on a server.
func (m *Mirrors) check(src Source) (*remote, error) {
	r, err := m.checkRemote(src)
	if err != nil {
		return nil, err
	}
	if reason := badBranch(src.Branch); reason != "" {
		return nil, &Error{Repository: r.display, Err: ErrRefused, Reason: reason}
	}
	r.branch = src.Branch
	return r, nil
}

// checkRemote refuses sources that git could interpret as anything but a repository
// on a server. Its errors do not show URLs that may contain credentials.
func (m *Mirrors) checkRemote(src Source) (*remote, error) {
	r, reason := parseURL(src.URL)
	if reason == "" && !slices.Contains(m.options.AllowedProtocols, r.protocol) {
		reason = fmt.Sprintf("protocol %s is not allowed: use %s", r.protocol, strings.Join(m.options.AllowedProtocols, " or "))
	}
	display := "(unusable URL)"
	if r != nil {
		display = r.display
	}
	auth := src.Auth
	if reason == "" {
		auth, reason = auth.prepared(r.protocol)
	}
	if reason == "" {
		reason = badAuth(r, auth)
	}
	if reason != "" {
		return nil, &Error{Repository: display, Err: ErrRefused, Reason: reason}
	}
	r.auth, r.caBundle, r.proxy, r.proxyLogin = auth, src.CABundle, src.Proxy, src.ProxyLogin.bare()
	return r, nil
}

func parseURL(raw string) (*remote, string) {
	switch {
	case raw == "":
		return nil, "the URL is empty: set it to https://… or ssh://…"
	case len(raw) > maxURL:
		return nil, fmt.Sprintf("the URL is longer than %d bytes", maxURL)
	case !utf8.ValidString(raw) || strings.ContainsFunc(raw, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' || c >= 0x80 && c < 0xa0 }):
		return nil, "the URL contains spaces, control characters or backslashes: remove them"
	case strings.HasPrefix(raw, "-"):
		return nil, "the URL begins with a dash: use https://… or ssh://…"
	case helperForm.MatchString(raw):
		return nil, "the URL names a transport helper (::), which is never used: use https://… or ssh://…"
	case !strings.Contains(raw, "://"):
		return parseSCP(raw)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, "the URL cannot be parsed: use https://host/path or ssh://user@host/path"
	}
	r := &remote{url: raw, protocol: u.Scheme, host: u.Host, display: u.Host + u.EscapedPath()}
	switch u.Scheme {
	case "https", "http", "ssh":
		if !hostForm.MatchString(u.Host) {
			return nil, "the URL's host cannot be used: use https://host/path or ssh://user@host/path"
		}
	case "file":
		if u.Host != "" {
			return nil, "a file URL has no host: use file:///path"
		}
	default:
		return nil, "the URL's protocol is not supported: use https://… or ssh://…"
	}
	switch {
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return r, "the URL has a query or a fragment: remove it"
	case strings.Contains(u.Path, "@") && u.Scheme != "file":
		// The apparent path can be the rest of a password that contains a slash.
		return nil, "the URL has an @ after its host: put credentials into the repository's Secret"
	case len(strings.Trim(u.Path, "/")) == 0:
		return r, "the URL has no path: name the repository"
	case strings.ContainsFunc(u.Path, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return r, "the URL's path contains control characters: remove them"
	}
	if u.User != nil {
		_, hasPassword := u.User.Password()
		if u.Scheme != "ssh" || hasPassword {
			return r, "the URL contains credentials: put them into the repository's Secret and remove them from the URL"
		}
		r.user = u.User.Username()
		if !userForm.MatchString(r.user) {
			return r, "the URL's user cannot be used: use ssh://git@host/path"
		}
	}
	return r, ""
}

func parseSCP(raw string) (*remote, string) {
	match := scpForm.FindStringSubmatch(raw)
	if match == nil {
		return nil, "the URL is neither https://host/path, ssh://user@host/path nor user@host:path"
	}
	if strings.Contains(match[3], "@") {
		return nil, "the URL has an @ after its host: put credentials into the repository's Secret"
	}
	r := &remote{
		url: raw, protocol: "ssh", user: match[1], host: match[2],
		display: match[2] + "/" + strings.TrimPrefix(match[3], "/"),
	}
	if r.user != "" && !userForm.MatchString(r.user) {
		return r, "the URL's user cannot be used: use git@host:path"
	}
	if strings.HasPrefix(match[3], "-") {
		return r, "the repository's path begins with a dash"
	}
	return r, ""
}

// badBranch follows git check-ref-format.
func badBranch(branch string) string {
	switch {
	case branch == "":
		return "the branch is empty: set it, for example to main"
	case badRefName(branch):
		return "git does not allow such a branch name: use a name such as main or release/1.2"
	}
	return ""
}

func badRefName(branch string) bool {
	bad := len(branch) > maxBranch || !utf8.ValidString(branch) || branch == "@" ||
		strings.HasPrefix(branch, "-") || strings.HasSuffix(branch, ".") ||
		strings.Contains(branch, "..") || strings.Contains(branch, "@{") ||
		strings.ContainsFunc(branch, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune(`~^:?*[\`, c) })
	for _, component := range strings.Split(branch, "/") {
		bad = bad || component == "" || strings.HasPrefix(component, ".") || strings.HasSuffix(component, ".lock")
	}
	return bad
}

func badAuth(r *remote, a Auth) string {
	password, key := len(a.Password.Bytes()) > 0, len(a.SSHKey.Bytes()) > 0
	switch {
	case r.protocol == "ssh" && !key:
		return "SSH needs a private key: put ssh-privatekey and known_hosts into the repository's Secret"
	case r.protocol == "ssh" && len(strings.TrimSpace(string(a.KnownHosts))) == 0:
		return "SSH needs to know the server: put its host keys into knownHosts of the CodeRepoProvider, or known_hosts into the repository's Secret"
	case r.protocol != "ssh" && key && !password:
		return "an SSH key cannot be used with " + r.protocol + ": put username and password into the repository's Secret"
	case strings.Contains(a.Username, ":"):
		return "the user name contains a colon: correct it in the repository's Secret"
	}
	return ""
}

// nameOf returns the directory name of a mirror. The key itself is never used as a path.
func nameOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:20])
}
