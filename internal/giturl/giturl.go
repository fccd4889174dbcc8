// Package giturl reads the URLs of Git repositories. It guarantees that all spellings
// of one address give equal answers: upper and lower case, a dot behind the host, the
// default port, slashes and .git at the end, and the two forms of SSH.
package giturl

import (
	"errors"
	"regexp"
	"strings"
)

// Address is a URL of a repository or of a Git server, taken apart. It is a plain ssh,
// https or http URL without credentials and without characters that Argo CD would read
// as a pattern.
type Address struct {
	// Scheme is https, http or ssh. User is for ssh only.
	Scheme, User string
	// Host is in lower case, without a dot at its end. Port is never empty.
	Host, Port string
	// Path has no slashes at its ends.
	Path string
	// SCP is true for the form user@host:path.
	SCP bool
}

var (
	// Everything outside of these letters is either a pattern to Argo CD, an
	// escape that hides one, a query or a credential.
	urlForm = regexp.MustCompile(`^(https?)://([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?(/[A-Za-z0-9._~/-]*)?$`)
	sshForm = regexp.MustCompile(`^ssh://([A-Za-z0-9._-]+)@([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?(/[A-Za-z0-9._~/-]*)?$`)
	scpForm = regexp.MustCompile(`^([A-Za-z0-9._-]+)@([A-Za-z0-9.-]+)(?::([A-Za-z0-9._~/-]*))?$`)
)

// defaultPort returns the port of a scheme that a URL need not name.
func defaultPort(scheme string) string {
	return map[string]string{"https": "443", "http": "80", "ssh": "22"}[scheme]
}

// Parse splits a URL into its parts. Its errors never quote the URL, which may hold a
// credential.
func Parse(raw string) (Address, error) {
	var a Address
	if m := urlForm.FindStringSubmatch(raw); m != nil {
		a = Address{Scheme: m[1], Host: m[2], Port: m[3], Path: m[4]}
	} else if m := sshForm.FindStringSubmatch(raw); m != nil {
		a = Address{Scheme: "ssh", User: m[1], Host: m[2], Port: m[3], Path: m[4]}
	} else if m := scpForm.FindStringSubmatch(raw); m != nil {
		a = Address{Scheme: "ssh", User: m[1], Host: m[2], Path: m[3], SCP: true}
	} else {
		return Address{}, errors.New("it is not a URL of the form https://host/path, ssh://git@host:port/path or git@host:path: " +
			"correct it; credentials, queries, escapes and patterns are not allowed")
	}
	a.Host = strings.TrimSuffix(strings.ToLower(a.Host), ".")
	a.Path = strings.Trim(a.Path, "/")
	if a.Port = strings.TrimLeft(a.Port, "0"); a.Port == "" {
		a.Port = defaultPort(a.Scheme)
	}
	if a.Path == "" {
		return a, nil
	}
	for segment := range strings.SplitSeq(a.Path, "/") {
		if strings.Trim(segment, ".") == "" {
			return Address{}, errors.New("its path has an empty part, '.' or '..': write the path in its plain form")
		}
	}
	return a, nil
}

// String returns the URL in its plain spelling: without the default port, a dot behind
// the host, upper case in the host, and slashes at the end.
func (a Address) String() string {
	if a.SCP {
		return a.User + "@" + a.Host + ":" + a.Path
	}
	url := a.Scheme + "://"
	if a.User != "" {
		url += a.User + "@"
	}
	url += a.Host
	if a.Port != defaultPort(a.Scheme) {
		url += ":" + a.Port
	}
	if a.Path != "" {
		url += "/" + a.Path
	}
	return url
}

// Plain returns a URL in its plain spelling. It returns a URL that Parse refuses, such
// as one with the protocol file, as it is.
func Plain(raw string) string {
	a, err := Parse(raw)
	if err != nil || a.Path == "" || a.SCP && strings.HasPrefix(raw[strings.Index(raw, ":")+1:], "/") {
		// In the SCP form, an absolute path is another one than a relative path.
		return raw
	}
	return a.String()
}

// Repository returns a form that all URLs of one repository share, whatever their
// protocol and port. A URL that Parse refuses is its own form.
func Repository(raw string) string {
	a, err := Parse(raw)
	if err != nil {
		return raw
	}
	return a.Host + "/" + bare(a.Path)
}

// Access returns a form that the URLs share by which one client reaches a repository
// with the same credentials. A URL that Parse refuses is its own form.
func Access(raw string) string {
	a, err := Parse(raw)
	if err != nil {
		return raw
	}
	return a.Scheme + "://" + a.User + "@" + a.Host + ":" + a.Port + "/" + bare(a.Path)
}

// bare returns a path as forges and Argo CD compare it.
func bare(path string) string { return strings.TrimSuffix(strings.ToLower(path), ".git") }

// SameEndpoint reports whether credentials for other may be sent to a.
func (a Address) SameEndpoint(other Address) bool {
	return a.Scheme == other.Scheme && a.Host == other.Host && a.Port == other.Port
}

// SameWeb reports whether a may be the service at other although its scheme differs,
// for example http and https of one host.
func (a Address) SameWeb(other Address) bool {
	return a.Host == other.Host && a.Scheme != other.Scheme && a.Scheme != "ssh" && other.Scheme != "ssh"
}

// SameHost reports whether a and other are on one host, by whatever protocol.
func (a Address) SameHost(other Address) bool { return a.Host == other.Host }

// Below returns the path of a relative to a base, or false if a is not below it.
func (a Address) Below(base Address) (string, bool) {
	if base.Path == "" {
		return a.Path, true
	}
	return strings.CutPrefix(a.Path, base.Path+"/")
}

// Join returns the URL of a repository with a full path, without .git, on the server with
// a base address. It fails if the base is no address of a server.
func Join(base, path string) (string, error) {
	address, err := Parse(base)
	if err != nil {
		return "", err
	}
	separator := "/"
	if address.SCP && address.Path == "" {
		separator = ":"
	}
	return strings.TrimRight(base, "/:") + separator + path + ".git", nil
}
