package githost

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Passage is a request for a repository that another server in front of the host
// has authorized. The host checks no token and calls no hooks for it.
type Passage struct {
	// Repository is the path of the repository on this host.
	Repository string
	// ID and Path are the project's number and path in the events of a push.
	ID   int
	Path string
	// Refuse returns the message with which a push is refused, or an empty string.
	// It may be nil.
	Refuse func([]RefChange) string
	// FastForward refuses pushes that replace commits.
	FastForward bool
	// Pushed gets the changes of a push. It may be nil.
	Pushed func([]Pushed)
}

// RefChange is a change of a branch or tag. Before or After is all zeros if the
// reference is created or deleted.
type RefChange struct{ Ref, Before, After string }

// Created reports whether the change creates the reference.
func (c RefChange) Created() bool { return c.Before == noCommit }

// Deleted reports whether the change deletes the reference.
func (c RefChange) Deleted() bool { return c.After == noCommit }

// Pushed is a change that a push has made.
type Pushed struct {
	RefChange
	// Event is X-Gitlab-Event, Body the event in JSON. The user is not the caller.
	Event string
	Body  []byte
}

// Own reports whether a request comes from the host's own Push.
func (g *Host) Own(r *http.Request) bool { return tokenOf(r) == g.token }

// Pass serves a request of Git's smart protocol. The part of the path before .git/
// does not count.
func (g *Host) Pass(w http.ResponseWriter, r *http.Request, p Passage) {
	request, ok := parseGitRequest(r)
	found, err := g.find(p.Repository)
	if !ok || err != nil {
		http.NotFound(w, r)
		return
	}
	_, rest, _ := strings.Cut(r.URL.Path, ".git/")
	r = r.Clone(r.Context())
	r.URL.Path, r.URL.RawPath = "/"+p.Repository+".git/"+rest, ""
	if request.service != receivePack || request.discovery {
		g.pass(w, r)
		return
	}
	g.receivePassage(w, r, found, p)
}

func (g *Host) receivePassage(w http.ResponseWriter, r *http.Request, found *repository, p Passage) {
	changes, err := readChanges(r)
	if err != nil {
		http.Error(w, "Bad Request", http.StatusBadRequest)
		return
	}
	found.pushing.Lock()
	defer found.pushing.Unlock()
	if len(changes) > 0 && p.Refuse != nil {
		if message := p.Refuse(changes); message != "" {
			g.refusePush(w, r, message)
			return
		}
	}
	if p.FastForward {
		g.pass(w, r, gitConfig("receive.denyNonFastForwards", "true")...)
	} else {
		g.pass(w, r)
	}
	if len(changes) > 0 && p.Pushed != nil {
		pushed, err := g.pushed(context.WithoutCancel(r.Context()), found, p, changes)
		if err != nil {
			g.logf("push to %s: %v", p.Path, err)
			return
		}
		p.Pushed(pushed)
	}
}

// refusal is a pre-receive hook that prints its message and fails. git shows it to
// the user as an answer of the remote.
const refusal = "#!/bin/sh\ncat >/dev/null\necho \"GitLab: $GITHOST_REFUSAL\" >&2\nexit 1\n"

func (g *Host) refusePush(w http.ResponseWriter, r *http.Request, message string) {
	hooks := filepath.Join(g.dir, ".refusal")
	hook := filepath.Join(hooks, "pre-receive")
	if _, err := os.Stat(hook); err != nil {
		if err := cmp.Or(os.MkdirAll(hooks, 0o700), writeProgram(hook, refusal)); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	g.pass(w, r, append(gitConfig("core.hooksPath", hooks), "GITHOST_REFUSAL="+message)...)
}

// writeProgram makes a program that can be run as soon as its file exists.
func writeProgram(path, content string) error {
	file, err := os.CreateTemp(filepath.Dir(path), "new-")
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	return cmp.Or(err, file.Chmod(0o700), file.Close(), os.Rename(file.Name(), path))
}

func gitConfig(key, value string) []string {
	return []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=" + key, "GIT_CONFIG_VALUE_0=" + value}
}

// readChanges returns the changes that a push asks for, and leaves the body as it
// was. They are the first lines of the body, up to an empty one.
// https://git-scm.com/docs/pack-protocol
func readChanges(r *http.Request) ([]RefChange, error) {
	read := &bytes.Buffer{}
	body := bufio.NewReader(r.Body)
	var changes []RefChange
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(body, head); err != nil {
			return nil, fmt.Errorf("read a push: %w", err)
		}
		read.Write(head)
		length, err := strconv.ParseUint(string(head), 16, 16)
		if err != nil || length > 0 && length < 4 {
			return nil, fmt.Errorf("read a push: a line of length %q", head)
		}
		if length == 0 {
			break
		}
		line := make([]byte, length-4)
		if _, err := io.ReadFull(body, line); err != nil {
			return nil, fmt.Errorf("read a push: %w", err)
		}
		read.Write(line)
		command, _, _ := strings.Cut(string(line), "\x00")
		if fields := strings.Fields(command); len(fields) == 3 {
			changes = append(changes, RefChange{Before: fields[0], After: fields[1], Ref: fields[2]})
		}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(read, body), r.Body}
	return changes, nil
}

// pushed returns the changes that have been made, with their events.
func (g *Host) pushed(ctx context.Context, found *repository, p Passage, changes []RefChange) ([]Pushed, error) {
	now, err := references(ctx, found.Dir)
	if err != nil {
		return nil, err
	}
	named := &repository{Repository: Repository{ID: p.ID, Path: p.Path, URL: g.URL + "/" + p.Path + ".git", Dir: found.Dir}}
	var made []Pushed
	for _, change := range changes {
		if cmp.Or(now[change.Ref], noCommit) != change.After {
			continue
		}
		update := refUpdate{ref: change.Ref, before: change.Before, after: change.After, known: change.Before}
		if change.Created() {
			update.known = ""
			if change.Ref != defaultRef {
				update.known = now[defaultRef]
			}
		}
		event, err := newPushEvent(ctx, named, g.URL, update)
		if err != nil {
			return nil, err
		}
		body, err := json.Marshal(event)
		if err != nil {
			return nil, err
		}
		made = append(made, Pushed{RefChange: change, Event: update.event(), Body: body})
	}
	return made, nil
}

// Commit makes a commit in a repository without a push, and calls no hooks.
func (g *Host) Commit(ctx context.Context, path string, commit Commit) (string, error) {
	found, err := g.find(path)
	if err != nil {
		return "", err
	}
	found.pushing.Lock()
	defer found.pushing.Unlock()
	commit.Force = true
	parent := commit.Onto
	if parent == "" && !commit.Orphan {
		parent = tip(ctx, found.Dir, commit.ref())
	}
	return importCommit(ctx, found, parent, commit)
}

// Edit makes a commit in a repository as the web interface of a forge does: without a
// clone and a push, with the hooks of a push. It refuses what Push refuses.
func (g *Host) Edit(ctx context.Context, path string, commit Commit) (string, error) {
	found, err := g.find(path)
	if err != nil {
		return "", err
	}
	found.pushing.Lock()
	defer found.pushing.Unlock()
	before := map[string]string{}
	for _, ref := range []string{commit.ref(), defaultRef} {
		if old := tip(ctx, found.Dir, ref); old != "" {
			before[ref] = old
		}
	}
	revision, err := importCommit(ctx, found, parentOf(ctx, found.Dir, commit), commit)
	if err != nil {
		return "", err
	}
	after := maps.Clone(before)
	after[commit.ref()] = revision
	g.announce(ctx, found, before, after)
	return revision, nil
}

// importCommit makes a commit in a repository, and returns its hash.
func importCommit(ctx context.Context, found *repository, parent string, commit Commit) (string, error) {
	args := []string{"fast-import", "--quiet", "--done"}
	if commit.Force {
		args = append(args, "--force")
	}
	revision, err := git(ctx, found.Dir, nil, fastImport(commit.ref(), parent, commit), args...)
	if err != nil {
		return "", fmt.Errorf("commit to %s: %w", found.Path, err)
	}
	return revision, nil
}
