// Package git keeps bare mirrors of Git repositories on disk and reads them by
// the git command line. It guarantees that nothing is ever checked out or
// executed from a repository, and that a credential reaches neither a command
// line, a file of the mirror, an error nor a log.
package git

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"nautes.io/nautes/internal/secrets"
)

// Auth is how a repository is opened. The zero value is anonymous. Username and
// Password are for HTTP; SSHKey, a private key in PEM, and KnownHosts, in the
// format of OpenSSH, are for SSH and go together.
type Auth struct {
	Username   string
	Password   secrets.Value
	SSHKey     secrets.Value
	KnownHosts []byte
}

// Source is one branch of a remote repository. URL holds no credentials:
// https://host/path, ssh://user@host/path or user@host:path. Branch is a short
// name such as main and may not be empty.
type Source struct {
	URL, Branch string
	Auth        Auth
}

// Commit is the head of a branch. Hash has 40 hexadecimal digits, Author is
// "name <address>" in valid UTF-8, and Time is when it was committed, in UTC;
// zero when the commit gives no sensible time.
type Commit struct {
	Hash, Author string
	Time         time.Time
}

// Modes of the entries of a tree, as git writes them.
const (
	ModeFile       = "100644"
	ModeExecutable = "100755"
	ModeSymlink    = "120000"
	ModeSubmodule  = "160000"
)

// File is one entry of a tree. Path is relative, with slashes, in the bytes
// that the commit has, which need not be UTF-8. Blob is the hash of the content;
// for a submodule it is a commit that the mirror does not hold. Size is in
// bytes, and 0 for submodules.
type File struct {
	Path, Blob, Mode string
	Size             int64
}

// Change is a path that differs between two revisions. Old is nil when the path
// was added, New when it was removed.
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
	// CAFile holds the certificates, in PEM, that HTTPS servers are checked
	// against; the system's when empty.
	CAFile string
}

// limits bound the revisions that are read.
type limits struct {
	// files is the number of files and directories in one tree, and depth the
	// number of components of a path.
	files, depth int
	// blob is the size in bytes of the largest blob, and read the number of bytes
	// that one Read returns at most.
	blob, read int64
}

func defaultLimits() limits {
	return limits{files: 50_000, depth: 64, blob: 1 << 20, read: 64 << 20}
}

// Mirrors are the mirrors in one directory, which belongs to one Mirrors of one
// process at a time. All methods may be called concurrently.
type Mirrors struct {
	options Options
	limits  limits
	git     string
	// store holds a directory per mirror; scratch holds what is short-lived:
	// mirrors in the making, those on their way out and SSH keys.
	store, scratch, home string
	mirrors              table
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
		mirrors: table{entries: map[string]*mirror{}},
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
		return fmt.Errorf("git tells no version: install git 2.39 or later")
	}
	major, _ := strconv.Atoi(string(match[1]))
	minor, _ := strconv.Atoi(string(match[2]))
	if major < 2 || major == 2 && minor < 39 {
		return fmt.Errorf("git %d.%d is too old: install git 2.39 or later", major, minor)
	}
	return nil
}
