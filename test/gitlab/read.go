package gitlab

import (
	"context"
	"slices"
	"strings"
	"time"

	"nautes.io/nautes/test/githost"
)

// Group is the state of a group.
type Group struct {
	ID, ParentID                      int64
	Path, Name, Description           string
	Visibility                        string
	Marked                            bool
	DefaultBranchProtection           int
	ProjectCreation, SubgroupCreation string
}

// Project is the state of a project.
type Project struct {
	ID, GroupID             int64
	Path, Name, Description string
	Visibility              string
	DefaultBranch           string
	Empty, Archived, Marked bool
	// HTTPURL and SSHURL are the addresses of its repository, Dir its directory.
	HTTPURL, SSHURL, Dir string
	// Protected has the level that may push by the name of a protected branch.
	Protected map[string]int
}

// Key is a deploy key of a project.
type Key struct {
	ID         int64
	Title, Key string
	CanPush    bool
	// Owner is the username of the user who has made it.
	Owner string
}

// Hook is a webhook of a project, with its secrets.
type Hook struct {
	ID                  int64
	URL                 string
	Token, SigningToken string
	// Events are the names of the events that are switched on, such as push_events.
	Events   []string
	Filter   string
	Insecure bool
	// AlertStatus is executable, temporarily_disabled or disabled.
	AlertStatus string
}

// Status is an entry of the statuses of a commit.
type Status struct {
	ID                            int64
	Commit, Ref, Name             string
	State, Description, TargetURL string
	User                          string
}

func (s *Server) groupOf(g *group) Group {
	made := Group{
		ID: g.id, Path: g.full(), Name: g.name, Description: g.description, Visibility: g.visibility, Marked: !g.marked.IsZero(),
		DefaultBranchProtection: g.protection, ProjectCreation: g.projectLevel, SubgroupCreation: g.subgroupLevel,
	}
	if g.parent != nil {
		made.ParentID = g.parent.id
	}
	return made
}

func (s *Server) projectOf(p *project) Project {
	made := Project{
		ID: p.id, GroupID: p.parent.id, Path: p.full(), Name: p.name, Description: p.description, Visibility: p.visibility,
		DefaultBranch: p.branch, Empty: !p.pushed, Archived: p.archived, Marked: !p.marked.IsZero(),
		HTTPURL: s.httpURL(p), SSHURL: s.sshURL(p), Dir: p.dir, Protected: map[string]int{},
	}
	for _, rule := range p.protected {
		made.Protected[rule.name] = rule.push
	}
	return made
}

// read runs a function with the settled state.
func (s *Server) read(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	f()
}

// Group returns the group with a full path.
func (s *Server) Group(full string) (found Group, ok bool) {
	s.read(func() {
		if g := s.groupAt(full); g != nil {
			found, ok = s.groupOf(g), true
		}
	})
	return found, ok
}

// Groups returns all groups, sorted by path.
func (s *Server) Groups() []Group {
	var found []Group
	s.read(func() {
		for _, g := range s.groups {
			found = append(found, s.groupOf(g))
		}
	})
	slices.SortFunc(found, func(a, b Group) int { return strings.Compare(a.Path, b.Path) })
	return found
}

// Project returns the project with a full path.
func (s *Server) Project(full string) (found Project, ok bool) {
	s.read(func() {
		if p := s.projectAt(full); p != nil {
			found, ok = s.projectOf(p), true
		}
	})
	return found, ok
}

// Projects returns all projects, sorted by path.
func (s *Server) Projects() []Project {
	var found []Project
	s.read(func() {
		for _, p := range s.projects {
			found = append(found, s.projectOf(p))
		}
	})
	slices.SortFunc(found, func(a, b Project) int { return strings.Compare(a.Path, b.Path) })
	return found
}

// Members returns the levels of the direct members of a group or project by username.
func (s *Server) Members(full string) map[string]int {
	found := map[string]int{}
	s.read(func() {
		if in := s.spaceAt(full); in != nil {
			for _, m := range in.members {
				found[s.userID(m.user).Username] = m.level
			}
		}
	})
	return found
}

// Keys returns the deploy keys of a project in the order of their IDs.
func (s *Server) Keys(projectPath string) []Key {
	var found []Key
	s.read(func() {
		if p := s.projectAt(projectPath); p != nil {
			for _, enabled := range p.enabled {
				found = append(found, Key{
					ID: enabled.key.id, Title: enabled.key.title, Key: enabled.key.public, CanPush: enabled.canPush,
					Owner: s.userID(enabled.key.user).Username,
				})
			}
		}
	})
	slices.SortFunc(found, func(a, b Key) int { return int(a.ID - b.ID) })
	return found
}

// Hooks returns the hooks of a project in the order of their IDs.
func (s *Server) Hooks(projectPath string) []Hook {
	var found []Hook
	s.read(func() {
		if p := s.projectAt(projectPath); p != nil {
			for _, h := range p.hooks {
				found = append(found, Hook{
					ID: h.id, URL: h.url, Token: h.token, SigningToken: h.signingToken, Events: h.names(), Filter: h.filter,
					Insecure: !h.verify, AlertStatus: h.alert(s.now()),
				})
			}
		}
	})
	return found
}

// Statuses returns the entries of a commit's statuses, the oldest first.
func (s *Server) Statuses(projectPath, commit string) []Status {
	var found []Status
	s.read(func() {
		p := s.projectAt(projectPath)
		for _, st := range s.statuses {
			if p != nil && st.project == p.id && st.commit == commit {
				found = append(found, Status{
					ID: st.id, Commit: st.commit, Ref: st.ref, Name: st.name, State: st.state,
					Description: st.description, TargetURL: st.targetURL, User: s.userID(st.user).Username,
				})
			}
		}
	})
	return found
}

// Revision returns the commit of a branch, or an empty string.
func (s *Server) Revision(ctx context.Context, projectPath, branch string) string {
	p, ok := s.Project(projectPath)
	if !ok {
		return ""
	}
	revision, err := githost.Git(ctx, p.Dir, "rev-parse", "--verify", "--quiet", "--end-of-options", "refs/heads/"+branch)
	if err != nil {
		return ""
	}
	return revision
}

// File returns the content of a file of a branch, and whether there is one.
func (s *Server) File(ctx context.Context, projectPath, branch, file string) (string, bool) {
	p, ok := s.Project(projectPath)
	if !ok {
		return "", false
	}
	content, err := githost.Git(ctx, p.Dir, "cat-file", "blob", "refs/heads/"+branch+":"+file)
	return content, err == nil
}

// Files returns the paths of the files of a branch.
func (s *Server) Files(ctx context.Context, projectPath, branch string) []string {
	p, ok := s.Project(projectPath)
	if !ok {
		return nil
	}
	list, err := githost.Git(ctx, p.Dir, "ls-tree", "-r", "--name-only", "refs/heads/"+branch)
	if err != nil || list == "" {
		return nil
	}
	return strings.Split(list, "\n")
}

func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

func day(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Format(time.DateOnly)
}
