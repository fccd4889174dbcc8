package git

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// headName is what a repository calls the head of its default branch.
const headName = "HEAD"

// FetchRevision makes the mirror of a key hold one commit, without its history,
// and returns it. The revision is a commit's hash in full, the full name of a
// reference, as refs/heads/main, or the short name of a branch or else of a tag;
// empty or HEAD stands for the default branch. The source's branch is not
// looked at. A key belongs either to FetchRevision or to Fetch. The error is
// ErrUnknownRevision, wrapped, when the repository has no such revision.
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
		if found < 0 {
			return Commit{}, &Error{Repository: r.display, Err: ErrUnknownRevision,
				Reason: fmt.Sprintf("the repository has no branch, tag or commit %q: push it, or name another one", shorten(revision))}
		}
		r.commit = refs[names[found]]
	}
	commit, err := m.fetch(ctx, key, r)
	if errors.Is(err, errMissing) || errors.Is(err, errTooLarge) {
		return Commit{}, &Error{Repository: r.display, Err: ErrUnknownRevision,
			Reason: fmt.Sprintf("%q is no commit: name a branch, a tag or a commit", shorten(revision))}
	}
	return commit, err
}

// candidates returns the references that a revision can mean, the most likely
// first; none for a hash. A tag that is an object of its own comes after the
// commit that it stands for.
func candidates(revision string) (names []string, reason string) {
	full := strings.HasPrefix(revision, "refs/")
	switch {
	case revision == "" || revision == headName:
		return []string{headName}, ""
	case hashForm.MatchString(revision):
		return nil, ""
	case badRefName(revision):
		return nil, "the revision is not one that git allows: use a branch, a tag or a commit, such as main, v1.2.0 or the 40 digits of a commit"
	case full:
		return []string{revision + "^{}", revision}, ""
	}
	return []string{"refs/heads/" + revision, "refs/tags/" + revision + "^{}", "refs/tags/" + revision}, ""
}

// shorten cuts what a message shows of a name.
func shorten(name string) string {
	if len(name) > maxObject {
		return name[:maxObject] + "…"
	}
	return name
}

// File returns the content of one file of a revision. Path is relative, with
// slashes. The error is ErrUnknownRevision, ErrFileMissing, or ErrRefused for
// what is no file, each wrapped, or a *LimitError.
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

// blob reads what an entry of a tree names.
func (m *Mirrors) blob(s *session, key, path string, of entry) ([]byte, error) {
	switch of.mode {
	case "":
		return nil, missing(key, path)
	case ModeFile, ModeExecutable:
	default:
		return nil, &Error{Repository: key, Err: ErrRefused,
			Reason: fmt.Sprintf("%q is a directory, a link or a submodule: name a file", shorten(path))}
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
			return nil, &Error{Repository: key, Err: ErrRefused, Reason: fmt.Sprintf("the path %q leads out of directories: remove the dots", shorten(path))}
		default:
			names = append(names, name)
		}
	}
	return names, nil
}

func missing(key, path string) error {
	return &Error{Repository: key, Err: ErrFileMissing, Reason: fmt.Sprintf("the revision has no file %q: push it, or correct the path", shorten(path))}
}
