package git

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nautes.io/nautes/internal/plan"
)

// headName is a repository's reference to the head of its default branch.
const headName = "HEAD"

// FetchRevision fetches one commit, without its history, into the mirror of a key
// and returns it. The revision is a full hash, the full name of a reference such as
// refs/heads/main, or the short name of a branch or, failing that, of a tag. Empty
// and HEAD stand for the default branch. The source's branch is ignored. A key must
// not be used with Fetch too. The error wraps ErrUnknownRevision if the repository
// has no such revision.
func (m *Mirrors) FetchRevision(ctx context.Context, key string, src Source, revision string) (Commit, error) {
	r, err := m.checkRemote(src)
	if err != nil {
		return Commit{}, err
	}
	names, reason := candidates(revision)
	if reason != "" {
		return Commit{}, &Error{Repository: r.display, Err: ErrUnknownRevision, Reason: reason}
	}
	r.commit = revision
	if len(names) > 0 {
		refs, err := m.list(ctx, r, names...)
		if err != nil {
			return Commit{}, err
		}
		found := slices.IndexFunc(names, func(name string) bool { return refs[name] != "" })
		if found < 0 && names[0] == headName {
			var missing *Error
			err := m.absent(ctx, r)
			if errors.As(err, &missing) && errors.Is(missing, ErrBranchMissing) {
				missing.Err = ErrUnknownRevision
			}
			return Commit{}, err
		}
		if found < 0 {
			if len(refs) == 0 {
				if err := m.known(ctx, r); err != nil {
					return Commit{}, err
				}
			}
			return Commit{}, noRevision(r, revision)
		}
		r.commit = refs[names[found]]
	}
	commit, err := m.fetch(ctx, key, r)
	if errors.Is(err, errMissing) || errors.Is(err, errTooLarge) {
		return Commit{}, &Error{Repository: r.display, Err: ErrUnknownRevision,
			Reason: fmt.Sprintf("%q is not a commit: name a branch, a tag or a commit", plan.Cut(revision, maxObject))}
	}
	return commit, err
}

// noRevision returns the error for a revision that the repository does not have.
func noRevision(r *remote, revision string) error {
	return &Error{Repository: r.display, Err: ErrUnknownRevision,
		Reason: fmt.Sprintf("the repository has no branch, tag or commit %q: push it, or name another one", plan.Cut(revision, maxObject))}
}

// candidates returns the references that a revision can mean, the most likely
// first, and none for a hash. The commit of an annotated tag comes before the tag.
func candidates(revision string) (names []string, reason string) {
	full := strings.HasPrefix(revision, "refs/")
	switch {
	case revision == "" || revision == headName:
		return []string{headName}, ""
	case hashForm.MatchString(revision):
		return nil, ""
	case badRefName(revision):
		return nil, "git does not allow such a revision: use a branch, a tag or a commit, such as main, v1.2.0 or all digits of a commit"
	case full:
		return []string{revision + "^{}", revision}, ""
	}
	return []string{"refs/heads/" + revision, "refs/tags/" + revision + "^{}", "refs/tags/" + revision}, ""
}

// File returns the content of one file of a revision. Path is relative, with
// slashes. The error wraps ErrUnknownRevision, ErrFileMissing, or ErrRefused if the
// path is not a file, or is a *LimitError.
func (m *Mirrors) File(ctx context.Context, key, revision, path string) ([]byte, error) {
	names, err := components(key, path)
	if err != nil {
		return nil, err
	}
	var content []byte
	err = m.reading(ctx, key, func(_ string, s *session) error {
		commit, err := commitOf(s, key, revision)
		if err != nil {
			return err
		}
		w := walk{session: s, key: key, limit: m.limits.files}
		found := entry{mode: modeDirectory, id: commit.tree}
		for _, name := range names {
			if found.directory() == "" {
				return missing(key, path)
			}
			entries, err := w.read(found.id)
			if err != nil {
				return err
			}
			found = entries[name]
		}
		content, err = m.blob(s, key, path, found)
		return err
	})
	return content, err
}

// blob reads the content of an entry of a tree.
func (m *Mirrors) blob(s *session, key, path string, of entry) ([]byte, error) {
	switch of.mode {
	case "":
		return nil, missing(key, path)
	case ModeFile, ModeExecutable:
	default:
		return nil, &Error{Repository: key, Err: ErrRefused,
			Reason: fmt.Sprintf("%q is a directory, a link or a submodule: name a file", plan.Cut(path, maxObject))}
	}
	tooLarge := &LimitError{Key: key, Quantity: LimitBlob, Object: path, Limit: m.limits.blob}
	err := s.sizes([]string{of.id}, func(_ string, size int64) error {
		if size > m.limits.blob {
			return tooLarge
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	contents, err := s.blobs([]string{of.id}, m.limits.blob)
	return contents[of.id], err
}

// components splits a path into names.
func components(key, path string) ([]string, error) {
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		switch name {
		case "", ".":
		case "..":
			return nil, &Error{Repository: key, Err: ErrRefused, Reason: fmt.Sprintf("the path %q leads out of a directory: remove the dots", plan.Cut(path, maxObject))}
		default:
			names = append(names, name)
		}
	}
	return names, nil
}

func missing(key, path string) error {
	return &Error{Repository: key, Err: ErrFileMissing, Reason: fmt.Sprintf("the revision has no file %q: push it, or correct the path", plan.Cut(path, maxObject))}
}
