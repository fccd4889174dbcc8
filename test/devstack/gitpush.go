package devstack

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// Commit describes a commit and the branch to push it to.
type Commit struct {
	// Message of the commit; "change" when it is empty.
	Message string
	// Branch to push to; DefaultBranch when it is empty. A branch that does not
	// exist begins at the default branch.
	Branch string
	// Files to write, by their paths; Delete lists files and folders to remove.
	Files  map[string]string
	Delete []string
	// Symlinks holds targets, Submodules commits, by their paths.
	Symlinks, Submodules map[string]string
	// Onto is the commit to build on instead of the branch's.
	Onto string
	// Orphan begins a history without a parent.
	Orphan bool
	// Force pushes a commit that does not descend from the branch.
	Force bool
}

// pusher is the author of every Commit.
var pusher = author{Name: "Ada Pusher", Email: "ada@example.com"}

// Push makes a clone, commits in it and pushes, with git and by HTTP, as a user
// who may do everything; it returns the new commit.
func (g *GitHost) Push(ctx context.Context, path string, commit Commit) (string, error) {
	found, err := g.find(path)
	if err != nil {
		return "", err
	}
	clone, err := os.MkdirTemp("", "nautes-clone-")
	if err != nil {
		return "", fmt.Errorf("push to %s: %w", path, err)
	}
	defer func() { _ = os.RemoveAll(clone) }()
	revision, err := g.push(ctx, clone, found.URL, commit)
	if err != nil {
		return "", fmt.Errorf("push to %s: %w", path, err)
	}
	return revision, nil
}

// committed is the reference of a new commit in a clone.
const committed = "refs/devstack/new"

func (g *GitHost) push(ctx context.Context, clone, url string, commit Commit) (string, error) {
	branch := commit.Branch
	if branch == "" {
		branch = DefaultBranch
	}
	env := credentialEnv(g.token)
	args := []string{"clone", "--quiet", "--bare", "--no-tags"}
	if branch == DefaultBranch && commit.Onto == "" {
		args = append(args, "--depth=1")
	}
	if _, err := git(ctx, clone, env, nil, append(args, "--end-of-options", url, ".")...); err != nil {
		return "", err
	}
	stream := fastImport(parentOf(ctx, clone, branch, commit), commit)
	if _, err := git(ctx, clone, nil, stream, "fast-import", "--quiet", "--done"); err != nil {
		return "", err
	}
	revision, err := git(ctx, clone, nil, nil, "rev-parse", "--verify", committed)
	if err != nil {
		return "", err
	}
	args = []string{"push", "--quiet"}
	if commit.Force {
		args = append(args, "--force")
	}
	_, err = git(ctx, clone, env, nil, append(args, "--end-of-options", url, committed+":refs/heads/"+branch)...)
	return revision, err
}

// credentialEnv gives git a token without showing it in its arguments.
func credentialEnv(token string) []string {
	basic := base64.StdEncoding.EncodeToString([]byte("devstack:" + token))
	return []string{
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=http.extraHeader",
		"GIT_CONFIG_VALUE_0=Authorization: Basic " + basic,
	}
}

// fastImport returns a commit as the commands of git fast-import.
func fastImport(parent string, commit Commit) *bytes.Buffer {
	message := commit.Message
	if message == "" {
		message = "change"
	}
	stream := &bytes.Buffer{}
	fmt.Fprintf(stream, "commit %s\n", committed)
	fmt.Fprintf(stream, "committer %s <%s> %d +0000\n", pusher.Name, pusher.Email, time.Now().Unix())
	fmt.Fprintf(stream, "data %d\n%s\n", len(message), message)
	if parent != "" {
		fmt.Fprintf(stream, "from %s\n", parent)
	}
	for _, path := range commit.Delete {
		fmt.Fprintf(stream, "D %s\n", quotePath(path))
	}
	for _, path := range slices.Sorted(maps.Keys(commit.Files)) {
		fmt.Fprintf(stream, "M 100644 inline %s\ndata %d\n%s\n", quotePath(path), len(commit.Files[path]), commit.Files[path])
	}
	for _, path := range slices.Sorted(maps.Keys(commit.Symlinks)) {
		fmt.Fprintf(stream, "M 120000 inline %s\ndata %d\n%s\n", quotePath(path), len(commit.Symlinks[path]), commit.Symlinks[path])
	}
	for _, path := range slices.Sorted(maps.Keys(commit.Submodules)) {
		fmt.Fprintf(stream, "M 160000 %s %s\n", commit.Submodules[path], quotePath(path))
	}
	stream.WriteString("done\n")
	return stream
}

// parentOf returns the commit that the new one follows; empty when there is none.
func parentOf(ctx context.Context, clone, branch string, commit Commit) string {
	if commit.Orphan {
		return ""
	}
	if commit.Onto != "" {
		return commit.Onto
	}
	for _, name := range []string{branch, DefaultBranch} {
		if tip, err := git(ctx, clone, nil, nil, "rev-parse", "--verify", "--quiet", "refs/heads/"+name); err == nil {
			return tip
		}
	}
	return ""
}

// quotePath writes a path as fast-import reads it, with any byte but NUL in it.
func quotePath(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}
