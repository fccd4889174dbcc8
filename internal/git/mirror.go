package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

const (
	// headRef is the only reference of a mirror.
	headRef = "refs/nautes/head"
	// sourceFile is the file of a mirror with the URL of its source.
	sourceFile = "nautes-source"
	// collectEvery is the number of new revisions between two garbage collections.
	// Each revision adds a pack.
	collectEvery = 50
	// sha256Digits is the number of digits of a hash in a repository with SHA-256.
	sha256Digits = 64
)

// mirror is the state of one mirror while it is in use.
type mirror struct {
	// fetching holds one token, whose owner may write to the mirror.
	fetching chan struct{}
	// files is held for reading while the mirror is read, and for writing while it is
	// replaced.
	files sync.RWMutex
	dir   string

	// The next three fields belong to the owner of the token.
	// swept: no file of an interrupted git is left in the mirror.
	swept bool
	// revisions counts new revisions. Its first value differs between mirrors, so that
	// their garbage collections do not coincide.
	revisions uint32
	head      string

	// The next three fields are guarded by the table's lock.
	// users is the number of calls that use the entry; kept: it stays when there are none.
	users int
	kept  bool
	// doubt: something in the mirror could not be read.
	doubt bool
}

// table holds the mirrors in use by their keys.
type table struct {
	mu      sync.Mutex
	entries map[string]*mirror
}

// use returns the mirror of a key. The caller must call release when it is done.
func (m *Mirrors) use(key string) (entry *mirror, release func()) {
	m.mirrors.mu.Lock()
	defer m.mirrors.mu.Unlock()
	entry = m.mirrors.entries[key]
	if entry == nil {
		name := nameOf(key)
		hash := fnv.New32a()
		_, _ = hash.Write([]byte(name))
		entry = &mirror{
			fetching: make(chan struct{}, 1), dir: filepath.Join(m.store, name),
			revisions: hash.Sum32() % collectEvery,
		}
		m.mirrors.entries[key] = entry
	}
	entry.users++
	return entry, func() {
		m.mirrors.mu.Lock()
		defer m.mirrors.mu.Unlock()
		entry.users--
		if entry.users == 0 && !entry.kept {
			delete(m.mirrors.entries, key)
		}
	}
}

// keep records whether the entry stays in the table, and whether the mirror may be
// damaged. The next fetch replaces a mirror that may be damaged.
func (m *Mirrors) keep(entry *mirror, kept, doubt bool) {
	m.mirrors.mu.Lock()
	defer m.mirrors.mu.Unlock()
	entry.kept, entry.doubt = kept, doubt
}

func (m *Mirrors) doubtful(entry *mirror) bool {
	m.mirrors.mu.Lock()
	defer m.mirrors.mu.Unlock()
	return entry.doubt
}

// Head returns the hash of a branch's head on the server. It uses no mirror.
func (m *Mirrors) Head(ctx context.Context, src Source) (string, error) {
	r, err := m.check(src)
	if err != nil {
		return "", err
	}
	refs, err := m.list(ctx, r, r.ref())
	if err != nil {
		return "", err
	}
	hash := refs[r.ref()]
	if hash == "" {
		return "", m.absent(ctx, r)
	}
	return hash, nil
}

// Fetch updates the mirror of a key to the head of the source's branch and returns
// that commit. It follows rewritten histories. Fetches of one key wait for each
// other. A mirror that is damaged or of another URL is replaced, and stays until its
// replacement is complete.
func (m *Mirrors) Fetch(ctx context.Context, key string, src Source) (Commit, error) {
	r, err := m.check(src)
	if err != nil {
		return Commit{}, err
	}
	commit, err := m.fetch(ctx, key, r)
	if errors.Is(err, ErrBranchMissing) {
		return Commit{}, m.absent(ctx, r)
	}
	return commit, err
}

// fetch implements Fetch for a source that has been checked.
func (m *Mirrors) fetch(ctx context.Context, key string, r *remote) (Commit, error) {
	entry, release := m.use(key)
	defer release()
	done, err := entry.acquire(ctx, r)
	if err != nil {
		return Commit{}, err
	}
	defer done()
	if !entry.holds(r.url) || m.doubtful(entry) || entry.sweep() != nil {
		return m.renew(ctx, entry, r)
	}
	commit, err := m.update(ctx, entry.dir, r)
	if err != nil {
		entry.swept = false
		var unexplained *CommandError
		if errors.As(err, &unexplained) || errors.Is(err, errMissing) || errors.Is(err, errFormat) || errors.Is(err, errIncomplete) {
			return m.renew(ctx, entry, r)
		}
		return Commit{}, err
	}
	m.keep(entry, true, !m.collected(ctx, entry, r, commit.Hash))
	return commit, nil
}

// update fetches the branch, or the commit, into the bare repository at dir.
func (m *Mirrors) update(ctx context.Context, dir string, r *remote) (Commit, error) {
	fetch := func(depth ...string) error {
		args := []string{"fetch", "--quiet", "--no-tags", "--no-auto-maintenance", "--no-recurse-submodules", "--no-write-fetch-head"}
		args = append(append(args, depth...), "--end-of-options", r.url, "+"+cmp.Or(r.commit, r.ref())+":"+headRef)
		return m.run(ctx, command{dir: dir, remote: r, args: args})
	}
	var err error
	if r.commit != "" {
		err = fetch("--depth=1")
	}
	if r.commit == "" || errors.Is(err, errNoDepth) {
		err = fetch()
	}
	if r.commit != "" && errors.Is(err, ErrBranchMissing) {
		// Git takes a hash of another kind for the name of a branch.
		return Commit{}, noRevision(r, r.commit)
	}
	if err != nil {
		return Commit{}, err
	}
	var commit commitObject
	err = m.session(ctx, dir, r.display, func(s *session) error {
		commit, err = s.commit(headRef + "^{commit}")
		return err
	})
	return commit.Commit, err
}

// renew creates the mirror in a scratch directory and moves it into place when it is
// complete.
func (m *Mirrors) renew(ctx context.Context, entry *mirror, r *remote) (Commit, error) {
	scratch, err := os.MkdirTemp(m.scratch, "mirror-")
	if err != nil {
		return Commit{}, fmt.Errorf("repository %s: new mirror: %w", r.display, err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	formats := []string{"sha1", "sha256"}
	if len(r.commit) == sha256Digits {
		slices.Reverse(formats)
	}
	var fresh string
	var commit Commit
	for _, format := range formats {
		fresh = filepath.Join(scratch, format)
		var failure error
		commit, failure = m.create(ctx, fresh, format, r)
		if err == nil || !errors.Is(failure, errFormat) {
			err = failure
		}
		// A server that only hands out files does not say that its hashes are of another kind.
		if !errors.Is(failure, errFormat) && !errors.Is(failure, errIncomplete) {
			break
		}
	}
	var known *Error
	switch {
	case errors.As(err, &known) && (errors.Is(known, errFormat) || errors.Is(known, errIncomplete)):
		known.Err = ErrRefused
	case errors.Is(err, errMissing) && r.commit == "":
		// Git does not say that it has left out the branch for this reason.
		err = &Error{Repository: r.display, Err: ErrRefused, Reason: reasonShallow}
	}
	if err != nil {
		return Commit{}, err
	}
	return commit, m.install(entry, r, scratch, fresh, commit.Hash)
}

// install replaces a mirror by the repository at fresh, whose head is a commit. The old
// one goes into scratch.
func (m *Mirrors) install(entry *mirror, r *remote, scratch, fresh, head string) error {
	entry.files.Lock()
	defer entry.files.Unlock()
	if err := os.Rename(entry.dir, filepath.Join(scratch, "old")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("repository %s: old mirror: %w", r.display, err)
	}
	if err := os.Rename(fresh, entry.dir); err != nil {
		return fmt.Errorf("repository %s: new mirror: %w", r.display, err)
	}
	entry.swept, entry.head = true, head
	m.keep(entry, true, false)
	return nil
}

// create makes a mirror at dir for objects with hashes of one kind, and fetches into it.
// The error wraps errFormat if the repository has hashes of another kind.
func (m *Mirrors) create(ctx context.Context, dir, format string, r *remote) (Commit, error) {
	if err := m.initialize(ctx, dir, format, r); err != nil {
		return Commit{}, err
	}
	return m.update(ctx, dir, r)
}

// initialize makes a mirror without objects at dir.
func (m *Mirrors) initialize(ctx context.Context, dir, format string, r *remote) error {
	args := []string{"init", "--quiet", "--bare", "--template=", "--object-format=" + format}
	if err := m.run(ctx, command{dir: dir, repository: r.display, args: args}); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, sourceFile), []byte(r.url), 0o600); err != nil {
		return fmt.Errorf("repository %s: new mirror: %w", r.display, err)
	}
	return nil
}

// collected collects garbage every collectEvery revisions. It reports false if git
// failed, which means that the mirror may be damaged.
func (m *Mirrors) collected(ctx context.Context, entry *mirror, r *remote, head string) bool {
	if entry.head == head {
		return true
	}
	entry.head = head
	entry.revisions++
	if entry.revisions%collectEvery != 0 {
		return true
	}
	err := m.run(ctx, command{dir: entry.dir, repository: r.display, args: []string{"gc", "--quiet", "--auto"}})
	entry.swept = err == nil
	return err == nil || ctx.Err() != nil
}

// holds reports whether the directory is a mirror of the URL.
func (entry *mirror) holds(url string) bool {
	content, err := os.ReadFile(filepath.Join(entry.dir, sourceFile))
	return err == nil && string(content) == url
}

// sweep removes the lock files and unfinished packs of a git that was killed. Lock
// files would stop the next git. Only the owner of the token may call it.
func (entry *mirror) sweep() error {
	if entry.swept {
		return nil
	}
	err := filepath.WalkDir(entry.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if name := d.Name(); strings.HasSuffix(name, ".lock") || strings.HasPrefix(name, "tmp_") || name == "gc.pid" {
			return os.Remove(path)
		}
		return nil
	})
	entry.swept = err == nil
	return err
}

// Drop removes the mirror of a key from the disk. It waits for a fetch that is under
// way. A key without a mirror is not an error.
func (m *Mirrors) Drop(key string) error {
	entry, release := m.use(key)
	defer release()
	entry.fetching <- struct{}{}
	defer func() { <-entry.fetching }()
	entry.files.Lock()
	defer entry.files.Unlock()
	entry.swept, entry.head = false, ""
	if err := os.RemoveAll(entry.dir); err != nil {
		return fmt.Errorf("mirror of %q: %w", key, err)
	}
	m.keep(entry, false, false)
	return nil
}
