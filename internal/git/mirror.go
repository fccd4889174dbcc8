package git

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

const (
	// headRef is the one reference that a mirror has.
	headRef = "refs/nautes/head"
	// sourceFile, in a mirror, holds the URL that it mirrors.
	sourceFile = "nautes-source"
	// collectEvery is after how many new revisions git is asked to tidy up. Each
	// adds a pack.
	collectEvery = 50
	// maxAnswer is how much of ls-remote's answer is read, in bytes.
	maxAnswer = 1 << 20
)

// mirror is what is known of one mirror while it is in use.
type mirror struct {
	// fetching holds one token; who has it may write to the mirror.
	fetching chan struct{}
	// files is held for reading by who reads the mirror, and for writing by who replaces it.
	files sync.RWMutex
	dir   string

	// These belong to who has the token.
	// swept: nothing of an interrupted git is left in the mirror.
	swept bool
	// revisions counts the new ones, from a start that differs between
	// mirrors, so that they are not all tidied up at once.
	revisions uint32
	head      string

	// These are guarded by the table's lock.
	// users is how many calls are using the entry; kept: it stays when there
	// are none.
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

// use returns the mirror of a key; release must be called when done with it.
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

// keep notes whether the entry is to be remembered, and whether the mirror may
// be damaged: the next fetch makes a doubtful one anew.
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

// Head asks the server for the head of a branch and returns its hash. It needs
// and changes no mirror.
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
		return "", &Error{Repository: r.display, Err: ErrBranchMissing,
			Reason: fmt.Sprintf("the repository has no branch %q: push it, or name another one", r.branch)}
	}
	return hash, nil
}

// list asks the server for references by their full names and returns the hashes
// of those that exist.
func (m *Mirrors) list(ctx context.Context, r *remote, names ...string) (map[string]string, error) {
	refs := map[string]string{}
	err := m.run(ctx, command{
		remote: r,
		args:   append([]string{"ls-remote", "--quiet", "--end-of-options", r.url}, names...),
		read: func(out io.Reader) error {
			answer, err := io.ReadAll(io.LimitReader(out, maxAnswer))
			for line := range strings.Lines(string(answer)) {
				// The names are patterns that also match references that end in them.
				id, ref, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
				if slices.Contains(names, ref) && hashForm.MatchString(id) {
					refs[ref] = id
				}
			}
			if err == nil {
				_, err = io.Copy(io.Discard, out)
			}
			return err
		},
	})
	return refs, err
}

// Fetch brings the mirror of a key up to the head of the source's branch and
// returns that commit. Histories that were rewritten are followed. Fetches of
// one key wait for each other. A mirror of another URL, and one that is damaged,
// is made anew; until that has succeeded the old one stays.
func (m *Mirrors) Fetch(ctx context.Context, key string, src Source) (Commit, error) {
	r, err := m.check(src)
	if err != nil {
		return Commit{}, err
	}
	return m.fetch(ctx, key, r)
}

// fetch is Fetch of what has been checked.
func (m *Mirrors) fetch(ctx context.Context, key string, r *remote) (Commit, error) {
	entry, release := m.use(key)
	defer release()
	select {
	case entry.fetching <- struct{}{}:
		defer func() { <-entry.fetching }()
	case <-ctx.Done():
		return Commit{}, fmt.Errorf("repository %s: waiting for another fetch: %w", r.display, ctx.Err())
	}
	if !entry.holds(r.url) || m.doubtful(entry) || entry.sweep() != nil {
		return m.renew(ctx, entry, r)
	}
	commit, err := m.update(ctx, entry.dir, r)
	if err != nil {
		entry.swept = false
		var unexplained *CommandError
		if errors.As(err, &unexplained) || errors.Is(err, errMissing) {
			return m.renew(ctx, entry, r)
		}
		return Commit{}, err
	}
	m.keep(entry, true, !m.collected(ctx, entry, r, commit.Hash))
	return commit, nil
}

// update fetches the branch, or the commit, into the bare repository at dir.
func (m *Mirrors) update(ctx context.Context, dir string, r *remote) (Commit, error) {
	args := []string{"fetch", "--quiet", "--no-tags", "--no-auto-maintenance", "--no-recurse-submodules", "--no-write-fetch-head"}
	what := r.ref()
	if r.commit != "" {
		args, what = append(args, "--depth=1"), r.commit
	}
	err := m.run(ctx, command{dir: dir, remote: r, args: append(args, "--end-of-options", r.url, "+"+what+":"+headRef)})
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

// renew makes the mirror in a scratch directory and puts it in place when it
// is complete.
func (m *Mirrors) renew(ctx context.Context, entry *mirror, r *remote) (Commit, error) {
	scratch, err := os.MkdirTemp(m.scratch, "mirror-")
	if err != nil {
		return Commit{}, fmt.Errorf("repository %s: new mirror: %w", r.display, err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	fresh := filepath.Join(scratch, "new")
	if err := m.run(ctx, command{dir: fresh, repository: r.display, args: []string{"init", "--quiet", "--bare", "--template="}}); err != nil {
		return Commit{}, err
	}
	if err := os.WriteFile(filepath.Join(fresh, sourceFile), []byte(r.url), 0o600); err != nil {
		return Commit{}, fmt.Errorf("repository %s: new mirror: %w", r.display, err)
	}
	commit, err := m.update(ctx, fresh, r)
	if err != nil {
		return Commit{}, err
	}
	entry.files.Lock()
	defer entry.files.Unlock()
	if err := os.Rename(entry.dir, filepath.Join(scratch, "old")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Commit{}, fmt.Errorf("repository %s: old mirror: %w", r.display, err)
	}
	if err := os.Rename(fresh, entry.dir); err != nil {
		return Commit{}, fmt.Errorf("repository %s: new mirror: %w", r.display, err)
	}
	entry.swept, entry.head = true, commit.Hash
	m.keep(entry, true, false)
	return commit, nil
}

// collected lets git tidy up the mirror after so many new revisions. It answers
// false for a mirror that cannot be tidied up; the fetch itself has succeeded.
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

// holds tells whether the directory is a mirror of the URL.
func (entry *mirror) holds(url string) bool {
	content, err := os.ReadFile(filepath.Join(entry.dir, sourceFile))
	return err == nil && string(content) == url
}

// sweep removes what a git that was killed left behind: lock files, which would
// stop the next one, and half-written packs. Only who has the token may do it.
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

// Drop removes the mirror of a key from the disk, after a fetch of it that is
// under way. A key without a mirror is no error.
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
