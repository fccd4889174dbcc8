package git

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxAnswer is the largest answer of ls-remote that is read, in bytes.
const maxAnswer = 1 << 20

// list asks the server for references by their full names. It returns the hashes of
// the existing ones. If there are none, the server may hold no repository.
func (m *Mirrors) list(ctx context.Context, r *remote, names ...string) (map[string]string, error) {
	refs := map[string]string{}
	err := m.lines(ctx, r, names, func(id, ref string) {
		// The names are patterns that also match references that end in them.
		if slices.Contains(names, ref) && hashForm.MatchString(id) {
			refs[ref] = id
		}
	})
	return refs, err
}

// known returns an error if a server that hands out files names nothing: then it is a web
// page or an empty answer, which git takes for a repository without branches.
func (m *Mirrors) known(ctx context.Context, r *remote) error {
	said, named := answer{}, false
	err := m.run(ctx, command{
		remote: r, said: &said, args: []string{"ls-remote", "--quiet", "--end-of-options", r.url},
		read: func(out io.Reader) error {
			n, err := io.Copy(io.Discard, out)
			named = n > 0
			return err
		},
	})
	if err == nil && !named && !said.smart && strings.HasPrefix(r.protocol, "http") {
		return &Error{Repository: r.display, Err: ErrUnreachable, Reason: reasonNoGit}
	}
	return err
}

// lines calls f with both fields of each line of ls-remote.
func (m *Mirrors) lines(ctx context.Context, r *remote, patterns []string, f func(value, ref string), flags ...string) error {
	args := append(append([]string{"ls-remote", "--quiet"}, flags...), "--end-of-options", r.url)
	return m.run(ctx, command{
		remote: r,
		args:   append(args, patterns...),
		read: func(out io.Reader) error {
			answer, err := io.ReadAll(io.LimitReader(out, maxAnswer))
			for line := range strings.Lines(string(answer)) {
				value, ref, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
				f(value, ref)
			}
			if err == nil {
				_, err = io.Copy(io.Discard, out)
			}
			return err
		},
	})
}

// absent returns the error for a branch that does not exist, with the branch that the
// repository has in its place. Without a branch, the default one does not exist.
func (m *Mirrors) absent(ctx context.Context, r *remote) error {
	standard, branches := "", false
	err := m.lines(ctx, r, []string{headName, "refs/heads/*"}, func(value, ref string) {
		branches = branches || strings.HasPrefix(ref, "refs/heads/")
		if name, found := strings.CutPrefix(value, "ref: refs/heads/"); found && ref == headName && !badRefName(name) {
			standard = name
		}
	}, "--symref")
	if err == nil && !branches {
		err = m.known(ctx, r)
	}
	if err != nil {
		return err
	}
	missing := &Error{Repository: r.display, Err: ErrBranchMissing}
	switch {
	case r.branch == "" && !branches:
		missing.Err = ErrEmpty
		missing.Reason = "the repository is empty: push a first commit"
	case r.branch == "":
		missing.Reason = "its HEAD names a branch that does not exist: set the default branch at the Git host, or name a revision"
	case !branches:
		missing.Err = ErrEmpty
		missing.Reason = fmt.Sprintf("the repository is empty: push a first commit to the branch %q", r.branch)
	case standard != "" && standard != r.branch:
		missing.Reason = fmt.Sprintf("the repository has no branch %q: push it, or name another one; the default branch is %q", r.branch, standard)
	default:
		missing.Reason = fmt.Sprintf("the repository has no branch %q: push it, or name another one", r.branch)
	}
	return missing
}
