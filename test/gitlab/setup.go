package gitlab

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"nautes.io/nautes/test/githost"
)

// User is a user of GitLab.
type User struct {
	ID int64
	// Username is unique. Name and Email have defaults.
	Username, Name, Email string
	// Admin may do everything.
	Admin bool
	// CannotCreateGroups takes the right to create groups at the top.
	CannotCreateGroups bool
	// Blocked users cannot do anything.
	Blocked bool
}

// TokenKind is the kind of an access token.
type TokenKind int

// Kinds of access tokens.
const (
	PersonalToken TokenKind = iota
	OAuthToken
)

// Token is an access token of a user.
type Token struct {
	// Value is the token itself. AddToken makes one if it is empty.
	Value string
	// User is the username of its owner.
	User string
	// Scopes, such as api; api by default.
	Scopes []string
	Kind   TokenKind
	// ExpiresAt is in 365 days by default.
	ExpiresAt time.Time
}

// ProjectSettings are the settings of a new project.
type ProjectSettings struct {
	// Visibility is the group's by default.
	Visibility string
	// Owner is the username of its creator; the administrator by default.
	Owner string
	// Readme makes the default branch with a README.
	Readme bool
}

// prepare runs a change of the state. An error is recorded as a failure.
func (s *Server) prepare(change func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	if err := change(); err != nil {
		s.fail("%v", err)
	}
}

// AddUser adds a user and returns it with its ID.
func (s *Server) AddUser(u User) User {
	s.prepare(func() error {
		if s.userNamed(u.Username) != nil || u.Username == "" {
			return fmt.Errorf("add user %q: the name is taken or empty", u.Username)
		}
		u.ID = s.id()
		u.Name = cmp.Or(u.Name, u.Username)
		u.Email = cmp.Or(u.Email, u.Username+"@example.com")
		s.users = append(s.users, &user{User: u})
		return nil
	})
	return u
}

// ChangeUser changes a user. Its ID and Username must stay.
func (s *Server) ChangeUser(username string, change func(*User)) {
	s.prepare(func() error {
		u := s.userNamed(username)
		if u == nil {
			return fmt.Errorf("change user %q: there is no such user", username)
		}
		change(&u.User)
		return nil
	})
}

// Token returns the value of a new personal access token of a user.
func (s *Server) Token(username string, scopes ...string) string {
	return s.AddToken(Token{User: username, Scopes: scopes}).Value
}

// AddToken adds an access token.
func (s *Server) AddToken(t Token) Token {
	s.prepare(func() error {
		if s.userNamed(t.User) == nil {
			return fmt.Errorf("add token: there is no user %q", t.User)
		}
		if len(t.Scopes) == 0 {
			t.Scopes = []string{"api"}
		}
		for _, scope := range t.Scopes {
			if !slices.Contains(knownScopes, scope) {
				return fmt.Errorf("add token of %s: scope %q is unknown", t.User, scope)
			}
		}
		if t.Value == "" {
			prefix := "glpat-"
			if t.Kind == OAuthToken {
				prefix = ""
			}
			t.Value = prefix + rand.Text()
		}
		if t.ExpiresAt.IsZero() {
			t.ExpiresAt = s.now().AddDate(1, 0, 0)
		}
		s.tokens = append(s.tokens, &token{Token: t, id: s.id(), created: s.now()})
		return nil
	})
	return t
}

// RevokeToken revokes an access token.
func (s *Server) RevokeToken(value string) {
	s.prepare(func() error {
		for _, t := range s.tokens {
			if t.Value == value {
				t.revoked = true
				return nil
			}
		}
		return fmt.Errorf("revoke token: there is no such token")
	})
}

// AddGroup adds a group with a full path. The groups above it must exist. The owner is
// its Owner; an empty name is the administrator, who is no member.
func (s *Server) AddGroup(full, visibility, owner string) Group {
	var made Group
	s.prepare(func() error {
		parent := s.groupAt(parentPath(full))
		if parent == nil && strings.Contains(full, "/") {
			return fmt.Errorf("add group %s: there is no group %s", full, parentPath(full))
		}
		if s.groupAt(full) != nil || s.projectAt(full) != nil {
			return fmt.Errorf("add group %s: the path is taken", full)
		}
		g := s.newGroup(parent, path.Base(full), path.Base(full), visibility)
		s.own(&g.space, owner)
		made = s.groupOf(g)
		return nil
	})
	return made
}

func (s *Server) newGroup(parent *group, part, name, visibility string) *group {
	g := &group{
		space:        space{id: s.id(), parent: parent, path: part, name: name, visibility: cmp.Or(visibility, Private), created: s.now()},
		projectLevel: "developer", subgroupLevel: "maintainer", protection: protectionFull,
	}
	if s.options.Unprotected {
		g.protection = protectionNone
	}
	if parent != nil {
		g.protection = parent.protection
	}
	s.groups = append(s.groups, g)
	return g
}

func (s *Server) own(in *space, username string) {
	if u := s.userNamed(username); u != nil && username != rootUser {
		in.members = append(in.members, &membership{user: u.ID, level: Owner, created: s.now()})
	}
}

// SetDefaultProtection sets the level of protection that default branches of new
// projects in a group get: 0 none, 1 partial, 2 full, 3 against pushes, 4 full after the
// first push.
func (s *Server) SetDefaultProtection(groupPath string, level int) {
	s.prepare(func() error {
		g := s.groupAt(groupPath)
		if g == nil {
			return fmt.Errorf("set the protection of %s: there is no such group", groupPath)
		}
		g.protection = level
		return nil
	})
}

// AddProject adds a project with a full path. Its group must exist.
func (s *Server) AddProject(full string, settings ProjectSettings) Project {
	var made Project
	s.prepare(func() error {
		parent := s.groupAt(parentPath(full))
		if parent == nil {
			return fmt.Errorf("add project %s: there is no group %s", full, parentPath(full))
		}
		if s.projectAt(full) != nil || s.groupAt(full) != nil {
			return fmt.Errorf("add project %s: the path is taken", full)
		}
		creator := s.userNamed(cmp.Or(settings.Owner, rootUser))
		if creator == nil {
			return fmt.Errorf("add project %s: there is no user %s", full, settings.Owner)
		}
		p, err := s.newProject(creator, parent, path.Base(full), cmp.Or(settings.Visibility, parent.visibility))
		if err != nil {
			return err
		}
		if settings.Readme {
			if err := s.initialize(p, creator); err != nil {
				return err
			}
		}
		made = s.projectOf(p)
		return nil
	})
	return made
}

func (s *Server) newProject(creator *user, parent *group, part, visibility string) (*project, error) {
	id := s.id()
	repository, err := s.git.AddRepository(context.Background(), fmt.Sprintf("hashed/%d", id))
	if err != nil {
		return nil, err
	}
	p := &project{
		space:      space{id: id, parent: parent, path: part, name: part, visibility: visibility, created: s.now()},
		repository: repository.Path, dir: repository.Dir, branch: githost.DefaultBranch, creator: creator.ID,
		buildsEnabled: true, activity: s.now(),
	}
	if s.level(creator, &p.space) < Owner {
		s.own(&p.space, creator.Username)
	}
	s.projects = append(s.projects, p)
	return p, nil
}

// initialize makes the default branch with a README, as GitLab does on the server.
func (s *Server) initialize(p *project, u *user) error {
	_, err := s.git.Commit(context.Background(), p.repository, githost.Commit{
		Branch: p.branch, Orphan: true, Message: "Initial commit",
		Author: fmt.Sprintf("%s <%s>", u.Name, u.Email),
		Files:  map[string]string{"README.md": "# " + p.name + "\n"},
	})
	if err != nil {
		return err
	}
	p.pushed = true
	s.protectDefault(p)
	return nil
}

// spaceAt returns the group or project with a path.
func (s *Server) spaceAt(full string) *space {
	if g := s.groupAt(full); g != nil {
		return &g.space
	}
	if p := s.projectAt(full); p != nil {
		return &p.space
	}
	return nil
}

// SetMember gives a user a level in the group or project with a path. NoAccess removes
// the user.
func (s *Server) SetMember(full, username string, level int) {
	s.prepare(func() error {
		in, u := s.spaceAt(full), s.userNamed(username)
		if in == nil || u == nil {
			return fmt.Errorf("set %s as a member of %s: there is no such group, project or user", username, full)
		}
		in.members = slices.DeleteFunc(in.members, func(m *membership) bool { return m.user == u.ID })
		if level != NoAccess {
			in.members = append(in.members, &membership{user: u.ID, level: level, created: s.now()})
		}
		return nil
	})
}

// Protect protects a branch, or the branches of a pattern, of a project. Users with the
// level may push; NoAccess forbids all pushes.
func (s *Server) Protect(projectPath, branch string, level int) {
	s.Unprotect(projectPath, branch)
	s.prepare(func() error {
		p := s.projectAt(projectPath)
		if p == nil {
			return fmt.Errorf("protect %s of %s: there is no such project", branch, projectPath)
		}
		p.protected = append(p.protected, &protection{id: s.id(), name: branch, push: level, merge: level})
		return nil
	})
}

// Unprotect removes the protection of a branch or pattern.
func (s *Server) Unprotect(projectPath, branch string) {
	s.prepare(func() error {
		p := s.projectAt(projectPath)
		if p == nil {
			return fmt.Errorf("unprotect %s of %s: there is no such project", branch, projectPath)
		}
		p.protected = slices.DeleteFunc(p.protected, func(rule *protection) bool { return rule.name == branch })
		return nil
	})
}

// SetArchived archives a project, or ends that.
func (s *Server) SetArchived(projectPath string, archived bool) {
	s.prepare(func() error {
		p := s.projectAt(projectPath)
		if p == nil {
			return fmt.Errorf("archive %s: there is no such project", projectPath)
		}
		p.archived = archived
		return nil
	})
}

// SetBuilds switches CI/CD of a project on or off.
func (s *Server) SetBuilds(projectPath string, enabled bool) {
	s.prepare(func() error {
		p := s.projectAt(projectPath)
		if p == nil {
			return fmt.Errorf("set CI/CD of %s: there is no such project", projectPath)
		}
		p.buildsEnabled = enabled
		return nil
	})
}

// RemoveNow removes a group or project with everything in it at once, as GitLab does at
// the end of the deletion.
func (s *Server) RemoveNow(full string) {
	s.prepare(func() error {
		if g := s.groupAt(full); g != nil {
			s.dropGroup(g)
			return nil
		}
		if p := s.projectAt(full); p != nil {
			s.dropProject(p)
			return nil
		}
		return fmt.Errorf("remove %s: there is no such group or project", full)
	})
}

func (s *Server) dropGroup(g *group) {
	for _, p := range slices.Clone(s.projects) {
		if p.within(g) {
			s.dropProject(p)
		}
	}
	s.groups = slices.DeleteFunc(s.groups, func(other *group) bool { return other == g || other.within(g) })
}

func (s *Server) dropProject(p *project) {
	for _, enabled := range slices.Clone(p.enabled) {
		s.disableKey(p, enabled.key)
	}
	s.projects = slices.DeleteFunc(s.projects, func(other *project) bool { return other == p })
	s.statuses = slices.DeleteFunc(s.statuses, func(st *status) bool { return st.project == p.id })
	_ = os.RemoveAll(p.dir)
}

// Push makes a commit and pushes it to a project with git, as the administrator, whom
// no protection stops. The hooks of the project are called.
func (s *Server) Push(ctx context.Context, projectPath string, commit githost.Commit) (string, error) {
	s.mu.Lock()
	p := s.projectAt(projectPath)
	s.mu.Unlock()
	if p == nil {
		return "", fmt.Errorf("push to %s: there is no such project", projectPath)
	}
	return s.git.Push(ctx, p.repository, commit)
}
