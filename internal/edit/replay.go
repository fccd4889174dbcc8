package edit

import (
	"context"
	"errors"
	"strings"
	"time"

	"nautes.io/nautes/internal/git"
)

const (
	// ReplayWindow is the time for which a repeated request is known, and maxReplays the
	// number of commits with a key that are looked at.
	ReplayWindow = 7 * 24 * time.Hour
	maxReplays   = 10_000
)

// ErrKeyReused is returned for an idempotency key that another request has.
var ErrKeyReused = errors.New("the idempotency key belongs to another request: use a new key for each request")

// journal has the requests of the history of one revision, by callers and their keys.
type journal struct {
	revision string
	entries  map[string]done
}

// done is a request that became a commit.
type done struct {
	git.Logged
	// path and blob are empty until they are looked up.
	path, blob string
}

// owned returns a key of a caller, as git has the address of an author.
func owned(email, key string) string { return git.Person(email) + "\n" + key }

// add adds a request that was pushed.
func (j *journal) add(q Request, result Result) {
	key := q.key()
	if key == "" || j.entries == nil {
		return
	}
	j.entries[owned(q.Caller.Email, key)] = done{
		Logged: git.Logged{Hash: result.Commit, Email: q.Caller.Email, Subject: q.Subject, Trailers: q.Trailers},
		path:   result.Path, blob: result.Blob,
	}
}

// advance moves the journal from one revision to the next. The requests between have
// been added.
func (j *journal) advance(from, to string) {
	if j.revision == from {
		j.revision = to
	}
}

// update reads the history of a revision since the last one that was read.
func (e *Editor) update(ctx context.Context, j *journal, r Repository, revision string) error {
	if j.revision == revision && j.entries != nil {
		return nil
	}
	if revision == "" {
		j.revision, j.entries = "", map[string]done{}
		return nil
	}
	since := e.now().Add(-ReplayWindow)
	list, err := e.Mirrors.Log(ctx, r.Key, revision, j.revision, TrailerIdempotencyKey, since, maxReplays)
	if errors.Is(err, git.ErrUnknownRevision) || errors.As(err, new(*git.CommandError)) {
		// The history was rewritten.
		j.revision, j.entries = "", nil
		list, err = e.Mirrors.Log(ctx, r.Key, revision, "", TrailerIdempotencyKey, since, maxReplays)
	}
	if err != nil {
		return err
	}
	if j.entries == nil {
		j.entries = map[string]done{}
	}
	for _, logged := range list {
		for _, t := range logged.Trailers {
			if strings.EqualFold(t.Key, TrailerIdempotencyKey) {
				j.entries[owned(logged.Email, t.Value)] = done{Logged: logged}
			}
		}
	}
	j.revision = revision
	return nil
}

// replay returns the result of a request that was done before.
func (e *Editor) replay(ctx context.Context, l *lane, r Repository, revision string, q Request) (Result, bool, error) {
	if err := e.update(ctx, &l.done, r, revision); err != nil {
		return Result{}, false, err
	}
	found, known := l.done.entries[owned(q.Caller.Email, q.key())]
	if !known {
		return Result{}, false, nil
	}
	if found.Subject != q.Subject {
		return Result{}, false, ErrKeyReused
	}
	result, err := e.resultOf(ctx, r, found)
	return result, err == nil, err
}

// resultOf returns the result of a request that became a commit.
func (e *Editor) resultOf(ctx context.Context, r Repository, d done) (Result, error) {
	result := Result{Commit: d.Hash, Path: d.path, Blob: d.blob, Changed: true, Trailers: d.Trailers}
	if d.path != "" || d.Parent == "" {
		return result, nil
	}
	changes, _, err := e.Mirrors.Diff(ctx, r.Key, d.Parent, d.Hash)
	for _, c := range changes {
		if result.Path == "" || c.New != nil {
			result.Path = c.Path
		}
		if c.New != nil {
			result.Blob = c.New.Blob
		}
	}
	return result, err
}
