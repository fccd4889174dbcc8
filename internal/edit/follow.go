package edit

import (
	"context"
	"errors"
	"time"

	"nautes.io/nautes/internal/git"
)

// At returns the content of a repository at a revision of its history. The error wraps
// git.ErrUnknownRevision if the mirror has no such commit.
func (e *Editor) At(ctx context.Context, r Repository, revision string) (*View, error) {
	current := e.lane(r.Key).current()
	if current.of(r.Source) && current.revision == revision {
		return current, nil
	}
	if _, _, err := e.Mirrors.Diff(ctx, r.Key, revision, revision); err != nil {
		return nil, err
	}
	entries, err := e.entriesAt(ctx, r, current, revision)
	if err != nil {
		return nil, err
	}
	return newView(r.Source, revision, time.Time{}, entries), nil
}

// Includes reports whether a commit is part of the history of a revision. It fetches if
// the revision is not known.
func (e *Editor) Includes(ctx context.Context, r Repository, revision, commit string) (bool, error) {
	if revision == "" || commit == "" || revision == commit {
		return revision == commit, nil
	}
	none := func(string, string) git.Interest { return git.Ignored }
	_, included, err := e.Mirrors.Diff(ctx, r.Key, commit, revision, none)
	if errors.Is(err, git.ErrUnknownRevision) {
		if _, err := e.View(ctx, r, 0); err != nil {
			return false, err
		}
		_, included, err = e.Mirrors.Diff(ctx, r.Key, commit, revision, none)
	}
	if errors.Is(err, git.ErrUnknownRevision) {
		return false, nil
	}
	return included, err
}
