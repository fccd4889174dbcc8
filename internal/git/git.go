// Package git keeps bare mirrors of Git repositories on disk, and reads and fetches them
// with the git command line. It guarantees that nothing of a repository is ever checked
// out or executed, and that credentials reach no command line, no file of the
// mirror, no error and no log.
package git

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"nautes.io/nautes/internal/secrets"
)

// Auth holds the credentials of a repository. The zero value is anonymous. Username
// and Password are for HTTP. SSH needs both SSHKey, a private key in PEM, and
// KnownHosts, in the format of OpenSSH.
type Auth struct {
	Username   string
	Password   secrets.Value
	SSHKey     secrets.Value
	KnownHosts []byte
}

// Login is a user name and a password for a proxy. The zero value is none.
type Login struct {
	Username string
	Password secrets.Value
}

// Source is one branch of a remote repository. URL has no credentials:
// https://host/path, ssh://user@host/path or user@host:path. Branch is a short
// name such as main, and must not be empty.
type Source struct {
	URL, Branch string
	Auth        Auth
	// CABundle has certificates in PEM that are trusted in addition to the system's.
	CABundle string
	// Proxy is the URL of an HTTP proxy for https and http, without credentials, or empty
	// for none. ProxyLogin is the login for it.
	Proxy      string
	ProxyLogin Login
}

// Commit is the head of a branch. Hash has 40 hexadecimal digits, or 64
// in a repository with SHA-256, and Author is
// "name <address>" in valid UTF-8. Time is the time of the commit in UTC, or zero if
// the commit has no valid time. Parent is the hash of the first parent, or empty.
// ConfirmsPrune reports whether the message has the trailer that confirms removals.
type Commit struct {
	Hash, Author  string
	Time          time.Time
	Parent        string
	ConfirmsPrune bool
}

// Step is a commit of a branch with its difference from its first parent. The files
// of the changes have no sizes.
type Step struct {
	Commit
	Changes []Change
}

// Modes of the entries of a tree, as git writes them.
const (
	ModeFile       = "100644"
	ModeExecutable = "100755"
	ModeSymlink    = "120000"
	ModeSubmodule  = "160000"
)

// File is one entry of a tree. Path is relative, with slashes, in the bytes of the
// commit, which need not be UTF-8. Blob is the hash of the content; for a submodule
// it is a commit that is not in the mirror. Size is in bytes, and 0 for submodules.
type File struct {
	Path, Blob, Mode string
	Size             int64
}

// Change is a path that differs between two revisions. Old is nil if the path was
// added, and New is nil if it was removed.
type Change struct {
	Path     string
	Old, New *File
}

// Options of Mirrors. Zero values mean the defaults.
type Options struct {
	// Timeout of one operation; 60 s by default.
	Timeout time.Duration
	// AllowedProtocols among https, ssh, http and file; https and ssh by default.
	AllowedProtocols []string
	// CAFile is a file with the trusted certificates of HTTPS servers, in PEM. If it
	// is empty, the system's certificates are trusted.
	CAFile string
}

// limits bound the revisions that are read.
type limits struct {
	// files is the number of files and directories in one tree, and depth the
	// number of components of a path.
	files, depth int
	// blob is the largest size of a blob, and read the largest size of all blobs of
	// one Read, in bytes.
	blob, read int64
}

func defaultLimits() limits {
	return limits{files: 50_000, depth: 64, blob: 1 << 20, read: 64 << 20}
}

// Mirrors manages the mirrors in one directory. Only one Mirrors at a time may use
// the directory. All methods may be called concurrently.
type Mirrors struct {
	options Options
	limits  limits
	git     string
	// store has a directory per mirror. scratch has short-lived files: new mirrors
	// until they are complete, old mirrors until they are removed, and SSH keys.
	store, scratch, home string
	mirrors              table
	senders              senders
}

const defaultTimeout = 60 * time.Second

// New returns the mirrors in dir, and creates the directory if necessary. It
// removes unfinished work of an earlier process from it. It fails when git 2.39
// or later is not installed.
func New(dir string, o Options) (*Mirrors, error) {
	return newMirrors(dir, o, defaultLimits())
}

func newMirrors(dir string, o Options, l limits) (*Mirrors, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("directory of the Git mirrors: %w", err)
	}
	program, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("git is not installed: %w", err)
	}
	if err := checkVersion(program); err != nil {
		return nil, err
	}
	m := &Mirrors{
		options: o, limits: l, git: program,
		store: filepath.Join(dir, "mirrors"), scratch: filepath.Join(dir, "scratch"), home: filepath.Join(dir, "home"),
		mirrors: table{entries: map[string]*mirror{}}, senders: senders{all: map[[sha256.Size]byte]*http.Client{}},
	}
	for _, path := range []string{m.scratch, m.home} {
		if err := os.RemoveAll(path); err != nil {
			return nil, fmt.Errorf("directory of the Git mirrors: %w", err)
		}
	}
	for _, path := range []string{m.store, m.scratch, m.home} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, fmt.Errorf("directory of the Git mirrors: %w", err)
		}
	}
	return m, nil
}

func (o *Options) complete() error {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if len(o.AllowedProtocols) == 0 {
		o.AllowedProtocols = []string{"https", "ssh"}
	}
	for _, protocol := range o.AllowedProtocols {
		switch protocol {
		case "https", "ssh", "http", "file":
		default:
			return fmt.Errorf("protocol %q of the Git mirrors is not known: use https, ssh, http or file", protocol)
		}
	}
	return nil
}

var versionPattern = regexp.MustCompile(`^git version (\d+)\.(\d+)`)

func checkVersion(program string) error {
	out, err := exec.Command(program, "version").Output()
	if err != nil {
		return fmt.Errorf("git does not run: %w", err)
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return fmt.Errorf("git reports no version: install git 2.39 or later")
	}
	major, _ := strconv.Atoi(string(match[1]))
	minor, _ := strconv.Atoi(string(match[2]))
	if major < 2 || major == 2 && minor < 39 {
		return fmt.Errorf("git %d.%d is too old: install git 2.39 or later", major, minor)
	}
	return nil
}
