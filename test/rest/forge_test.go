package rest

import (
	"context"
	"strings"
	"testing"
	"time"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
)

// forge is the Git forge of a world.
type forge interface {
	forgeUsers
	forgeState
	// Kind is the type of its provider. Addresses are as the provider has them.
	Kind() string
	Addresses() (web, api string)
	// Push commits to the main branch of a repository, in spite of its protection.
	Push(repository string, commit githost.Commit)
	// Protect lets only roles from least upward push to the main branch.
	Protect(repository string, least client.Role)
}

// forgeUsers prepares users and what they may do.
type forgeUsers interface {
	// AddUser adds a user, and returns an access token.
	AddUser(name string, mayCreateGroups bool) string
	// ExpiredToken returns a token of a user that is not good any more.
	ExpiredToken(user string) string
	// AddRepository makes a repository with a main branch, and its group.
	AddRepository(path string)
	// SetRole gives a user a role in a group or a repository.
	SetRole(path, user string, role client.Role)
	// Author is the name of a user in commits.
	Author(user string) string
}

// forgeState reads the state of a forge.
type forgeState interface {
	Groups() []client.Group
	Repositories() []client.Repository
	FindGroup(path string) (client.Group, bool)
	FindRepository(path string) (client.Repository, bool)
	Keys(repository string) []client.Key
	// Hooks returns the URLs of the hooks of a repository.
	Hooks(repository string) []string
	// Dir is the directory of the bare repository.
	Dir(repository string) string
}

// revision returns the commit of the main branch, or an empty string.
func (w *world) revision(repository string) string {
	revision, err := githost.Git(w.t.Context(), w.forge.Dir(repository), "rev-parse", "--verify", "--quiet", "refs/heads/"+mainBranch)
	if err != nil {
		return ""
	}
	return revision
}

// file returns the content of a file of the main branch, and whether there is one.
func (w *world) file(repository, path string) (string, bool) {
	if _, found := w.forge.FindRepository(repository); !found {
		return "", false
	}
	content, err := githost.Git(w.t.Context(), w.forge.Dir(repository), "cat-file", "blob", "refs/heads/"+mainBranch+":"+path)
	return content, err == nil
}

// files returns the paths of the files of the main branch.
func (w *world) files(repository string) []string {
	if _, found := w.forge.FindRepository(repository); !found {
		return nil
	}
	list, err := githost.Git(w.t.Context(), w.forge.Dir(repository), "ls-tree", "-r", "--name-only", "refs/heads/"+mainBranch)
	if err != nil || list == "" {
		return nil
	}
	return strings.Split(list, "\n")
}

// emulated is an emulated GitLab.
type emulated struct {
	*gitlab.Server
	t testing.TB
}

// gitLab returns the emulated GitLab of a world that has one.
func (w *world) gitLab() *emulated {
	w.t.Helper()
	e, ok := w.forge.(*emulated)
	if !ok {
		w.t.Fatalf("the forge is %s, and not an emulated GitLab", w.forge.Kind())
	}
	return e
}

func newEmulated(t testing.TB) *emulated { return &emulated{Server: gitlab.New(t), t: t} }

func (e *emulated) Kind() string { return "gitlab" }

func (e *emulated) Addresses() (web, api string) { return e.URL, e.API }

func (e *emulated) Push(repository string, commit githost.Commit) {
	commit.Branch = mainBranch
	_, err := e.Server.Push(e.context(), repository, commit)
	check(e.t, err)
}

func (e *emulated) context() context.Context { return e.t.Context() }

// levels are the levels of GitLab by roles.
func levels() map[client.Role]int {
	return map[client.Role]int{
		client.RoleGuest: gitlab.Guest, client.RoleRead: gitlab.Reporter, client.RoleWrite: gitlab.Developer,
		client.RoleMaintain: gitlab.Maintainer, client.RoleOwner: gitlab.Owner,
	}
}

func (e *emulated) Protect(repository string, least client.Role) {
	e.Server.Protect(repository, mainBranch, levels()[least])
}

func (e *emulated) AddUser(name string, mayCreateGroups bool) string {
	e.Server.AddUser(gitlab.User{Username: name, CannotCreateGroups: !mayCreateGroups})
	return e.Token(name)
}

func (e *emulated) ExpiredToken(user string) string {
	return e.AddToken(gitlab.Token{User: user, ExpiresAt: e.Now().Add(-time.Hour)}).Value
}

func (e *emulated) AddRepository(path string) {
	group, _, _ := strings.Cut(path, "/")
	e.AddGroup(group, gitlab.Private, "")
	e.AddProject(path, gitlab.ProjectSettings{Readme: true})
}

func (e *emulated) SetRole(path, user string, role client.Role) {
	e.SetMember(path, user, levels()[role])
}

func (e *emulated) Author(user string) string { return user }

func (e *emulated) Groups() []client.Group {
	var groups []client.Group
	for _, g := range e.Server.Groups() {
		groups = append(groups, client.Group{
			ID: g.ID, Path: g.Path, Name: g.Name, Description: g.Description, Visibility: client.Visibility(g.Visibility), Leaving: g.Marked,
		})
	}
	return groups
}

func (e *emulated) Repositories() []client.Repository {
	var all []client.Repository
	for _, p := range e.Projects() {
		all = append(all, client.Repository{
			ID: p.ID, GroupID: p.GroupID, Path: p.Path, Name: p.Name, Description: p.Description, Visibility: client.Visibility(p.Visibility),
			DefaultBranch: p.DefaultBranch, Empty: p.Empty, HTTPURL: p.HTTPURL, SSHURL: p.SSHURL, Leaving: p.Marked,
		})
	}
	return all
}

func (e *emulated) FindGroup(path string) (client.Group, bool) {
	for _, g := range e.Groups() {
		if strings.EqualFold(g.Path, path) {
			return g, true
		}
	}
	return client.Group{}, false
}

func (e *emulated) FindRepository(path string) (client.Repository, bool) {
	for _, r := range e.Repositories() {
		if strings.EqualFold(r.Path, path) {
			return r, true
		}
	}
	return client.Repository{}, false
}

func (e *emulated) Keys(repository string) []client.Key {
	var keys []client.Key
	for _, k := range e.Server.Keys(repository) {
		keys = append(keys, client.Key{ID: k.ID, Title: k.Title, Public: k.Key, CanPush: k.CanPush})
	}
	return keys
}

func (e *emulated) Hooks(repository string) []string {
	var urls []string
	for _, h := range e.Server.Hooks(repository) {
		urls = append(urls, h.URL)
	}
	return urls
}

func (e *emulated) Dir(repository string) string {
	p, _ := e.Project(repository)
	return p.Dir
}
