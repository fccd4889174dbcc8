package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// reading calls f with a session on a key's mirror, which is not replaced meanwhile.
// If f fails because of the mirror, the next fetch replaces it.
func (m *Mirrors) reading(ctx context.Context, key string, f func(dir string, s *session) error) error {
	entry, release := m.use(key)
	defer release()
	entry.files.RLock()
	defer entry.files.RUnlock()
	if _, err := os.Stat(entry.dir); errors.Is(err, fs.ErrNotExist) {
		return &Error{Repository: key, Err: ErrUnknownRevision, Reason: "the repository has not been fetched yet: fetch it first"}
	}
	err := m.session(ctx, entry.dir, key, func(s *session) error { return f(entry.dir, s) })
	var unexplained *CommandError
	if errors.As(err, &unexplained) || errors.Is(err, errDamaged) {
		m.keep(entry, true, true)
	}
	if errors.Is(err, errDamaged) {
		return fmt.Errorf("repository %s: %w", key, err)
	}
	return err
}

// unknown returns the error for a revision that the mirror does not hold.
func unknown(key, revision string) error {
	return &Error{Repository: key, Err: ErrUnknownRevision,
		Reason: fmt.Sprintf("the mirror holds no commit %q: fetch again, or read the whole tree of the head", revision)}
}

// commitOf reads the commit of a revision.
func commitOf(s *session, key, revision string) (commitObject, error) {
	if !hashForm.MatchString(revision) {
		return commitObject{}, unknown(key, revision)
	}
	c, err := s.commit(revision)
	if errors.Is(err, errMissing) || errors.Is(err, errTooLarge) {
		return commitObject{}, unknown(key, revision)
	}
	return c, err
}

// Has reports whether the mirror has a commit.
func (m *Mirrors) Has(ctx context.Context, key, revision string) bool {
	return m.reading(ctx, key, func(_ string, s *session) error {
		_, err := commitOf(s, key, revision)
		return err
	}) == nil
}

// IsHash reports whether a text is the full hash of an object.
func IsHash(text string) bool { return hashForm.MatchString(text) }

// Tree returns every file, link and submodule of a revision that the filters
// select, sorted by path. The error wraps ErrUnknownRevision or ErrRefused, or is a
// *LimitError. Without filters it is everything.
func (m *Mirrors) Tree(ctx context.Context, key, revision string, filters ...Filter) ([]File, error) {
	var files []File
	err := m.reading(ctx, key, func(_ string, s *session) error {
		commit, err := commitOf(s, key, revision)
		if err != nil {
			return err
		}
		w := walk{session: s, key: key, maxDepth: m.limits.depth, budget: m.limits.files, limit: m.limits.files, filters: filters, spare: m.limits.files}
		if err := w.compare("", "", commit.tree, 1); err != nil {
			return err
		}
		if err := w.measure(); err != nil {
			return err
		}
		files = make([]File, 0, len(w.changes))
		for _, change := range w.changes {
			files = append(files, *change.New)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// Diff returns the paths that differ between two revisions and that the filters
// select, sorted; all of them without filters. A renamed file is a removal and an
// addition. fastForward reports whether from is an ancestor of
// to. The error wraps ErrUnknownRevision if the mirror does not have one of them, for
// example after a rewrite of the history. It wraps ErrRefused for trees that are not
// allowed, or is a *LimitError.
func (m *Mirrors) Diff(ctx context.Context, key, from, to string, filters ...Filter) (changes []Change, fastForward bool, err error) {
	err = m.reading(ctx, key, func(dir string, s *session) error {
		before, err := commitOf(s, key, from)
		if err != nil {
			return err
		}
		after, err := commitOf(s, key, to)
		if err != nil {
			return err
		}
		w := walk{session: s, key: key, maxDepth: m.limits.depth, budget: 2 * m.limits.files, limit: m.limits.files, filters: filters, spare: 2 * m.limits.files}
		if before.tree != after.tree {
			if err := w.compare("", before.tree, after.tree, 1); err != nil {
				return err
			}
		}
		changes = w.changes
		if err := w.measure(); err != nil {
			return err
		}
		fastForward, err = m.ancestor(ctx, dir, key, before, after)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return changes, fastForward, nil
}

// ancestor reports whether one commit is the other or an ancestor of it. Only
// ancestors beyond the parents need a process.
func (m *Mirrors) ancestor(ctx context.Context, dir, key string, before, after commitObject) (bool, error) {
	if before.Hash == after.Hash || slices.Contains(after.parents, before.Hash) {
		return true, nil
	}
	err := m.run(ctx, command{dir: dir, repository: key,
		args: []string{"merge-base", "--is-ancestor", "--end-of-options", before.Hash, after.Hash}})
	var answer *CommandError
	if errors.As(err, &answer) && answer.Code == 1 {
		return false, nil
	}
	return err == nil, err
}

// Read returns the content of blobs by their hashes, which come from Tree and Diff.
// If a blob or all blobs together are too large, it reads nothing and returns a
// *LimitError.
func (m *Mirrors) Read(ctx context.Context, key string, blobs []string) (map[string][]byte, error) {
	ids := slices.Compact(slices.Sorted(slices.Values(blobs)))
	for _, id := range ids {
		if !hashForm.MatchString(id) {
			return nil, fmt.Errorf("repository %s: %q is not the hash of a blob", key, id)
		}
	}
	if len(ids) == 0 {
		return map[string][]byte{}, nil
	}
	var contents map[string][]byte
	err := m.reading(ctx, key, func(_ string, s *session) error {
		total := int64(0)
		err := s.sizes(ids, func(id string, size int64) error {
			total += size
			switch {
			case size > m.limits.blob:
				return &LimitError{Key: key, Quantity: LimitBlob, Object: id, Limit: m.limits.blob}
			case total > m.limits.read:
				return &LimitError{Key: key, Quantity: LimitRead, Limit: m.limits.read}
			}
			return nil
		})
		if err != nil {
			return err
		}
		contents, err = s.blobs(ids, m.limits.blob)
		return err
	})
	if err != nil {
		return nil, err
	}
	return contents, nil
}
