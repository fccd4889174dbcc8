package githost

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// Commit describes a commit and the branch to put it on.
type Commit struct {
	// Message of the commit; "change" when it is empty.
	Message string
	// Branch to put it on; DefaultBranch when it is empty. A branch that does not
	// exist begins at the default branch.
	Branch string
	// Files and Executables to write, by their paths. Delete lists files and folders
	// to remove.
	Files, Executables map[string]string
	Delete             []string
	// Symlinks holds targets, Submodules commits, by their paths.
	Symlinks, Submodules map[string]string
	// Onto is the commit to build on instead of the branch's.
	Onto string
	// Orphan begins a history without a parent.
	Orphan bool
	// Force pushes a commit that does not descend from the branch.
	Force bool
	// Author as "name <address>", and Date in git's raw format; both have defaults.
	Author, Date string
}

func (c Commit) ref() string {
	if c.Branch == "" {
		return defaultRef
	}
	return "refs/heads/" + c.Branch
}

// pusher is the author of every Commit.
var pusher = author{Name: "Ada Pusher", Email: "ada@example.com"}

// Push makes a clone, commits in it and pushes, with git and by HTTP, as a user
// who may do everything; it returns the new commit.
func (g *Host) Push(ctx context.Context, path string, commit Commit) (string, error) {
	found, err := g.find(path)
	if err != nil {
		return "", err
	}
	return PushTo(ctx, found.URL, g.token, commit)
}

// PushTo is Host.Push to a repository of any forge by its URL, with an access token.
func PushTo(ctx context.Context, url, token string, commit Commit) (string, error) {
	clone, err := os.MkdirTemp("", "nautes-clone-")
	if err != nil {
		return "", fmt.Errorf("push to %s: %w", url, err)
	}
	defer func() { _ = os.RemoveAll(clone) }()
	revision, err := commitTo(ctx, clone, url, token, commit)
	if err != nil {
		return "", fmt.Errorf("push to %s: %w", url, err)
	}
	return revision, nil
}

// ReadFrom returns the content of a file on the default branch of a repository of any
// forge by its URL, with an access token.
func ReadFrom(ctx context.Context, url, token, path string) (string, error) {
	clone, err := os.MkdirTemp("", "nautes-clone-")
	if err != nil {
		return "", fmt.Errorf("read %s of %s: %w", path, url, err)
	}
	defer func() { _ = os.RemoveAll(clone) }()
	_, err = git(ctx, clone, credentialEnv(token), nil, "clone", "--quiet", "--bare", "--no-tags", "--depth=1", "--end-of-options", url, ".")
	if err != nil {
		return "", fmt.Errorf("read %s of %s: %w", path, url, err)
	}
	content, err := git(ctx, clone, nil, nil, "cat-file", "blob", "HEAD:"+path)
	if err != nil {
		return "", fmt.Errorf("read %s of %s: %w", path, url, err)
	}
	return content + "\n", nil
}

// committed is the reference of a new commit in a clone.
const committed = "refs/devstack/new"

func commitTo(ctx context.Context, clone, url, token string, commit Commit) (string, error) {
	env := credentialEnv(token)
	args := []string{"clone", "--quiet", "--bare", "--no-tags"}
	if commit.ref() == defaultRef && commit.Onto == "" {
		args = append(args, "--depth=1")
	}
	if _, err := git(ctx, clone, env, nil, append(args, "--end-of-options", url, ".")...); err != nil {
		return "", err
	}
	stream := fastImport(committed, parentOf(ctx, clone, commit), commit)
	revision, err := git(ctx, clone, nil, stream, "fast-import", "--quiet", "--done")
	if err != nil {
		return "", err
	}
	args = []string{"push", "--quiet"}
	if commit.Force {
		args = append(args, "--force")
	}
	_, err = git(ctx, clone, env, nil, append(args, "--end-of-options", url, committed+":"+commit.ref())...)
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

// fastImport returns a commit on a reference as the commands of git fast-import, which
// prints the hash of the commit.
func fastImport(ref, parent string, commit Commit) *bytes.Buffer {
	message := cmp.Or(commit.Message, "change")
	date := cmp.Or(commit.Date, fmt.Sprintf("%d +0000", time.Now().Unix()))
	person := cmp.Or(commit.Author, pusher.Name+" <"+pusher.Email+">")
	stream := &bytes.Buffer{}
	fmt.Fprintf(stream, "commit %s\nmark :1\nauthor %s %s\n", ref, person, date)
	if commit.Author != "" {
		person = "Carl Committer <carl@example.com>"
	}
	fmt.Fprintf(stream, "committer %s %s\ndata %d\n%s\n", person, date, len(message), message)
	if parent != "" {
		fmt.Fprintf(stream, "from %s\n", parent)
	}
	for _, path := range commit.Delete {
		fmt.Fprintf(stream, "D %s\n", quotePath(path))
	}
	for mode, files := range map[string]map[string]string{"100644": commit.Files, "100755": commit.Executables, "120000": commit.Symlinks} {
		for _, path := range slices.Sorted(maps.Keys(files)) {
			fmt.Fprintf(stream, "M %s inline %s\ndata %d\n%s\n", mode, quotePath(path), len(files[path]), files[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(commit.Submodules)) {
		fmt.Fprintf(stream, "M 160000 %s %s\n", commit.Submodules[path], quotePath(path))
	}
	stream.WriteString("get-mark :1\ndone\n")
	return stream
}

// parentOf returns the commit that the new one follows, or an empty string.
func parentOf(ctx context.Context, dir string, commit Commit) string {
	if commit.Orphan {
		return ""
	}
	if commit.Onto != "" {
		return commit.Onto
	}
	for _, ref := range []string{commit.ref(), defaultRef} {
		if found := tip(ctx, dir, ref); found != "" {
			return found
		}
	}
	return ""
}

// quotePath writes a path as fast-import reads it, with any bytes but NUL in it.
func quotePath(path string) string {
	var quoted strings.Builder
	for _, c := range []byte(path) {
		if c < ' ' || c == '"' || c == '\\' || c > '~' {
			fmt.Fprintf(&quoted, `\%03o`, c)
		} else {
			quoted.WriteByte(c)
		}
	}
	return `"` + quoted.String() + `"`
}
