package rest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/clients"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/gitea"
	"nautes.io/nautes/test/githost"
)

// gitLabsOwn are the cases that only GitLab can answer, with the reason.
func gitLabsOwn() map[string]string {
	return map[string]string{}
}

// TestCasesOnGitea sends every case to a server beside a real Gitea, but for the ones that
// are GitLab's own. One Gitea serves all worlds, one after another.
func TestCasesOnGitea(t *testing.T) {
	s := load(t)
	check(t, s.inGitea())
	own := gitLabsOwn()
	var cases []*testCase
	for _, c := range s.Cases {
		if own[c.Name] == "" {
			cases = append(cases, c)
		}
		delete(own, c.Name)
	}
	for name := range own {
		t.Errorf("case %s is said to be GitLab's own, and there is no such case", name)
	}
	f := newReal(t)
	tokens := prepare(f)
	f.Protect(tenantPath, client.RoleMaintain)
	s.run(t, cases, func(t *testing.T) *world {
		inner := f.within(t)
		inner.reset()
		return worldOn(t, s, inner, tokens)
	})
	t.Logf("%d cases were sent, %d are GitLab's own", len(cases), len(s.Cases)-len(cases))
}

// giteaForge is a real Gitea, on which worlds follow one another.
type giteaForge struct {
	*gitea.Server
	t testing.TB
	// admin asks as the administrator.
	admin client.Client
	users map[string]gitea.User
}

func newReal(t testing.TB) *giteaForge {
	t.Helper()
	r := &giteaForge{Server: gitea.New(t), t: t, users: map[string]gitea.User{}}
	var err error
	r.admin, err = clients.New(r.Kind(), client.Connection{APIServer: r.URL, Token: secrets.NewValue([]byte(r.Admin.Token))})
	check(t, err)
	return r
}

// within returns the same forge for a subtest.
func (r *giteaForge) within(t testing.TB) *giteaForge {
	inner := *r
	inner.t = t
	return &inner
}

// reset removes everything but the users and the tenant repository, which becomes empty.
func (r *giteaForge) reset() {
	r.t.Helper()
	for _, g := range r.Groups() {
		repositories, err := r.admin.Repositories(r.ctx(), g.ID)
		check(r.t, err)
		for _, one := range repositories {
			if one.Path != tenantPath {
				check(r.t, r.admin.RemoveRepository(r.ctx(), one.ID))
			}
		}
		if !strings.HasPrefix(tenantPath, g.Path+"/") {
			check(r.t, r.admin.RemoveGroup(r.ctx(), g.ID))
		}
	}
	list, err := githost.Git(r.ctx(), r.Dir(tenantPath), "ls-tree", "-r", "--name-only", mainBranch)
	check(r.t, err)
	r.Push(tenantPath, githost.Commit{Delete: strings.Fields(list)})
}

func (r *giteaForge) ctx() context.Context { return r.t.Context() }

func (r *giteaForge) Kind() string { return "gitea" }

func (r *giteaForge) Addresses() (web, api string) { return r.URL, r.URL + "/api/v1" }

func (r *giteaForge) Push(repository string, commit githost.Commit) {
	r.t.Helper()
	commit.Branch = mainBranch
	_, err := githost.PushTo(r.ctx(), r.URL+"/"+repository+".git", r.Admin.Token, commit)
	check(r.t, err)
}

func (r *giteaForge) Protect(repository string, least client.Role) {
	r.t.Helper()
	check(r.t, r.Server.Protect(r.ctx(), repository, mainBranch, least))
}

func (r *giteaForge) AddUser(name string, mayCreateGroups bool) string {
	r.t.Helper()
	user, err := r.Server.AddUser(r.ctx(), name)
	check(r.t, err)
	if !mayCreateGroups {
		check(r.t, r.ForbidGroups(r.ctx(), user))
	}
	r.users[name] = user
	return user.Token
}

func (r *giteaForge) ExpiredToken(user string) string {
	r.t.Helper()
	token, err := r.RevokedToken(r.ctx(), r.users[user])
	check(r.t, err)
	return token
}

func (r *giteaForge) AddRepository(path string) {
	r.t.Helper()
	group, name, _ := strings.Cut(path, "/")
	made, err := r.admin.EnsureGroup(r.ctx(), client.GroupSpec{Path: group})
	check(r.t, err)
	_, err = r.admin.EnsureRepository(r.ctx(), client.RepositorySpec{GroupID: made.ID, Path: name, Initialize: true, DefaultBranch: mainBranch})
	check(r.t, err)
}

func (r *giteaForge) SetRole(path, user string, role client.Role) {
	r.t.Helper()
	group, _, _ := strings.Cut(path, "/")
	check(r.t, r.Server.SetRole(r.ctx(), group, user, role))
}

func (r *giteaForge) Author(user string) string { return "User " + user }

func (r *giteaForge) Groups() []client.Group {
	r.t.Helper()
	names, err := r.Server.Groups(r.ctx())
	check(r.t, err)
	var groups []client.Group
	for _, name := range names {
		g, err := r.admin.Group(r.ctx(), name)
		check(r.t, err)
		groups = append(groups, g)
	}
	return groups
}

func (r *giteaForge) Repositories() []client.Repository {
	r.t.Helper()
	var all []client.Repository
	for _, g := range r.Groups() {
		some, err := r.admin.Repositories(r.ctx(), g.ID)
		check(r.t, err)
		all = append(all, some...)
	}
	return all
}

func (r *giteaForge) FindGroup(path string) (client.Group, bool) {
	r.t.Helper()
	g, err := r.admin.Group(r.ctx(), path)
	if !errors.Is(err, client.ErrNotFound) {
		check(r.t, err)
	}
	return g, err == nil
}

func (r *giteaForge) FindRepository(path string) (client.Repository, bool) {
	r.t.Helper()
	found, err := r.admin.Repository(r.ctx(), path)
	if !errors.Is(err, client.ErrNotFound) {
		check(r.t, err)
	}
	return found, err == nil
}

func (r *giteaForge) Keys(repository string) []client.Key {
	r.t.Helper()
	found, ok := r.FindRepository(repository)
	if !ok {
		return nil
	}
	keys, err := r.admin.Keys(r.ctx(), found.ID)
	check(r.t, err)
	return keys
}

func (r *giteaForge) Hooks(repository string) []string {
	r.t.Helper()
	found, err := r.admin.Repository(r.ctx(), repository)
	check(r.t, err)
	hooks, err := r.admin.Hooks(r.ctx(), found.ID)
	check(r.t, err)
	var urls []string
	for _, h := range hooks {
		urls = append(urls, h.URL)
	}
	return urls
}

func (r *giteaForge) Dir(repository string) string { return r.RepositoryDir(repository) }
