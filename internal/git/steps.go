package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxSteps is the number of commits that Steps returns at most.
const maxSteps = 1000

// Steps returns the commits that a branch gained when it moved from one revision to
// another, the newest first, each with its difference from its first parent. It follows
// first parents, so a merge is one step. After a rewrite it returns the commits that
// the old history does not have. It returns at most the newest thousand, and ends
// before a commit that is not within the limits. The error wraps ErrUnknownRevision if
// the mirror does not have one of the revisions.
func (m *Mirrors) Steps(ctx context.Context, key, from, to string) ([]Step, error) {
	var steps []Step
	err := m.reading(ctx, key, func(dir string, s *session) error {
		for _, revision := range []string{from, to} {
			if _, err := commitOf(s, key, revision); err != nil {
				return err
			}
		}
		hashes, err := m.gained(ctx, dir, key, from, to)
		if err != nil {
			return err
		}
		w := walk{session: s, key: key, maxDepth: m.limits.depth, budget: 2 * m.limits.files, limit: m.limits.files}
		for _, hash := range hashes {
			step, err := w.step(hash)
			if err != nil {
				return err
			}
			steps = append(steps, step)
		}
		return nil
	})
	var limit *LimitError
	if errors.As(err, &limit) || errors.Is(err, errTooLarge) || errors.Is(err, ErrRefused) {
		return steps, nil
	}
	return steps, err
}

// gained lists the hashes of the commits of Steps.
func (m *Mirrors) gained(ctx context.Context, dir, key, from, to string) (hashes []string, err error) {
	err = m.run(ctx, command{
		dir: dir, repository: key,
		args: []string{"rev-list", "--first-parent", fmt.Sprintf("--max-count=%d", maxSteps), "--end-of-options", to, "^" + from},
		read: func(out io.Reader) error {
			answer, err := io.ReadAll(io.LimitReader(out, maxAnswer))
			for hash := range strings.Lines(string(answer)) {
				if hash = strings.TrimSpace(hash); hashForm.MatchString(hash) {
					hashes = append(hashes, hash)
				}
			}
			return err
		},
	})
	return hashes, err
}

// step compares a commit with its first parent.
func (w *walk) step(hash string) (Step, error) {
	commit, err := w.session.commit(hash)
	if err != nil {
		return Step{}, err
	}
	before := commitObject{}
	if commit.Parent != "" {
		if before, err = w.session.commit(commit.Parent); err != nil {
			return Step{}, err
		}
	}
	w.changes = nil
	if before.tree != commit.tree {
		if err := w.compare("", before.tree, commit.tree, 1); err != nil {
			return Step{}, err
		}
	}
	return Step{Commit: commit.Commit, Changes: w.changes}, nil
}
