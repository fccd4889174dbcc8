package gitlab

import (
	"path"
	"slices"
	"strings"
	"time"
)

// Levels of access. GitLab has further ones, and adds new ones, so they are compared
// and never listed.
const (
	NoAccess        = 0
	MinimalAccess   = 5
	Guest           = 10
	Planner         = 15
	Reporter        = 20
	SecurityManager = 25
	Developer       = 30
	Maintainer      = 40
	Owner           = 50
	Administrator   = 60
)

// Visibilities of groups and projects.
const (
	Private  = "private"
	Internal = "internal"
	Public   = "public"
)

const rootUser = "root"

func visibilityRank(visibility string) int {
	return slices.Index([]string{Private, Internal, Public}, visibility)
}

type user struct {
	User
}

type token struct {
	Token
	id       int64
	created  time.Time
	lastUsed time.Time
	revoked  bool
}

// membership is the level of a user in a group or project.
type membership struct {
	user    int64
	level   int
	created time.Time
	// from is the time from which the level has effect.
	from    time.Time
	expires time.Time
}

// space is the common part of groups and projects.
type space struct {
	id          int64
	parent      *group
	path, name  string
	description string
	visibility  string
	created     time.Time
	members     []*membership
	archived    bool
	// marked is the time of the request to delete it, restorePath and restoreName are
	// the values before that.
	marked                   time.Time
	restorePath, restoreName string
}

type group struct {
	space
	projectLevel, subgroupLevel string
	// protection is the level of the default branches' protection, 0 to 4.
	protection int
}

type project struct {
	space
	repository    string
	dir           string
	branch        string
	pushed        bool
	creator       int64
	protected     []*protection
	enabled       []enabledKey
	hooks         []*hook
	deliveries    []Delivery
	buildsEnabled bool
	activity      time.Time
}

// protection is a protected branch.
type protection struct {
	id          int64
	name        string
	push, merge int
	force       bool
}

func (s *space) full() string {
	if s.parent == nil {
		return s.path
	}
	return s.parent.full() + "/" + s.path
}

func (s *space) fullName() string {
	if s.parent == nil {
		return s.name
	}
	return s.parent.fullName() + " / " + s.name
}

// leaving reports whether the space, or one above it, is marked for deletion.
func (s *space) leaving() bool {
	return !s.marked.IsZero() || s.parent != nil && s.parent.leaving()
}

func (s *space) readOnly() bool {
	return s.archived || s.leaving() || s.parent != nil && s.parent.readOnly()
}

// within reports whether the space is in a group, or in a group of it.
func (s *space) within(g *group) bool {
	for above := s.parent; above != nil; above = above.parent {
		if above == g {
			return true
		}
	}
	return false
}

func (s *space) member(id int64) *membership {
	for _, m := range s.members {
		if m.user == id {
			return m
		}
	}
	return nil
}

// level returns the level that a user has in a space and in the groups above it.
func (s *Server) level(u *user, in *space) int {
	if u == nil {
		return NoAccess
	}
	if u.Admin {
		return Administrator
	}
	if m := s.memberOfAll(u.ID, in); m != nil {
		return m.level
	}
	return NoAccess
}

// memberOfAll returns the membership of a user with the highest level, in a space or
// above it.
func (s *Server) memberOfAll(id int64, in *space) *membership {
	var best *membership
	now := s.now()
	for at := in; ; at = &at.parent.space {
		m := at.member(id)
		if m != nil && !now.Before(m.from) && (m.expires.IsZero() || now.Before(m.expires)) && (best == nil || m.level > best.level) {
			best = m
		}
		if at.parent == nil {
			return best
		}
	}
}

// sees reports whether a user sees a space: by its visibility, as a member, or as a
// member of something in a group.
func (s *Server) sees(u *user, in *space) bool {
	switch {
	case in.visibility == Public, in.visibility == Internal && u != nil:
		return true
	case u == nil:
		return false
	}
	return s.level(u, in) >= Guest
}

func (s *Server) seesGroup(u *user, g *group) bool {
	if s.sees(u, &g.space) || s.level(u, &g.space) >= MinimalAccess {
		return true
	}
	if u == nil {
		return false
	}
	for _, p := range s.projects {
		if p.within(g) && s.level(u, &p.space) >= Guest {
			return true
		}
	}
	return slices.ContainsFunc(s.groups, func(below *group) bool { return below.within(g) && s.level(u, &below.space) >= Guest })
}

func (s *Server) groupBy(match func(*group) bool) *group {
	for _, g := range s.groups {
		if match(g) {
			return g
		}
	}
	return nil
}

func (s *Server) groupAt(full string) *group {
	return s.groupBy(func(g *group) bool { return strings.EqualFold(g.full(), full) })
}

func (s *Server) projectBy(match func(*project) bool) *project {
	for _, p := range s.projects {
		if match(p) {
			return p
		}
	}
	return nil
}

func (s *Server) projectAt(full string) *project {
	return s.projectBy(func(p *project) bool { return strings.EqualFold(p.full(), full) })
}

func (s *Server) userBy(match func(*user) bool) *user {
	for _, u := range s.users {
		if match(u) {
			return u
		}
	}
	return nil
}

func (s *Server) userNamed(name string) *user {
	return s.userBy(func(u *user) bool { return u.Username == name })
}

func (s *Server) userID(id int64) *user {
	return s.userBy(func(u *user) bool { return u.ID == id })
}

// taken reports whether a name or path is used in a group, for groups and projects
// alike.
func (s *Server) taken(parent *group, self int64, same func(*space) bool) bool {
	for _, g := range s.groups {
		if g.parent == parent && g.id != self && same(&g.space) {
			return true
		}
	}
	return slices.ContainsFunc(s.projects, func(p *project) bool { return p.parent == parent && p.id != self && same(&p.space) })
}

func samePath(value string) func(*space) bool {
	return func(s *space) bool { return strings.EqualFold(s.path, value) }
}

func sameName(value string) func(*space) bool {
	return func(s *space) bool { return s.name == value }
}

// ruleFor returns the protections that match a branch. A rule may have wildcards.
func (p *project) rulesFor(branch string) []*protection {
	var rules []*protection
	for _, rule := range p.protected {
		if matches(rule.name, branch) {
			rules = append(rules, rule)
		}
	}
	return rules
}

// matches reports whether a branch matches a pattern, in which * stands for any text.
func matches(pattern, branch string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == branch
	}
	rest, ok := strings.CutPrefix(branch, parts[0])
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(rest, part)
		if !ok || at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return ok && strings.HasSuffix(rest, parts[len(parts)-1])
}

// canPush reports whether a user may push to a branch.
func (s *Server) canPush(u *user, p *project, branch string) bool {
	level := s.level(u, &p.space)
	if level < Developer || p.readOnly() {
		return false
	}
	rules := p.rulesFor(branch)
	if len(rules) == 0 && branch == p.branch && !p.pushed {
		return level >= firstPush(p.parent.defaultProtection())
	}
	if len(rules) == 0 {
		return true
	}
	return slices.ContainsFunc(rules, func(rule *protection) bool { return rule.push != NoAccess && level >= rule.push })
}

// defaultProtection is the level of protection that the default branches of a group's
// new projects get.
func (g *group) defaultProtection() int { return g.protection }

// The levels of default branch protection.
// https://docs.gitlab.com/user/project/repository/branches/default/
const (
	protectionNone = iota
	protectionPartial
	protectionFull
	protectionAgainstPushes
	protectionAfterInitialPush
)

// firstPush returns the level of access that the first push to an empty project needs.
func firstPush(protection int) int {
	if protection == protectionFull || protection == protectionAgainstPushes {
		return Maintainer
	}
	return Developer
}

// protectDefault protects the default branch of a project after its first push.
func (s *Server) protectDefault(p *project) {
	rule := &protection{id: s.id(), name: p.branch, push: Maintainer, merge: Maintainer}
	switch p.parent.defaultProtection() {
	case protectionNone:
		return
	case protectionPartial:
		rule.push, rule.merge = Developer, Developer
	case protectionAgainstPushes:
		rule.merge = Developer
	}
	s.later(s.options.ProtectionDelay, func() {
		if !slices.ContainsFunc(p.protected, func(other *protection) bool { return other.name == rule.name }) {
			p.protected = append(p.protected, rule)
		}
	})
}

func parentPath(full string) string {
	if dir := path.Dir(full); dir != "." {
		return dir
	}
	return ""
}
