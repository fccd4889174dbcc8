package forgetest

import (
	"fmt"

	"nautes.io/nautes/internal/forge/client"
)

// allRoles are the roles that the suite gives, RoleNone included.
func allRoles() []client.Role {
	return []client.Role{client.RoleNone, client.RoleGuest, client.RoleRead, client.RoleWrite, client.RoleMaintain, client.RoleOwner}
}

func callers(s *suite) {
	admin := s.Host.Admin()
	me, err := s.admin.WhoAmI(s.ctx())
	s.must(err)
	if me.Username != admin.Name || me.ID != admin.ID || !me.Administrator {
		s.Errorf("the administrator is %+v, want %s with the number %d", me, admin.Name, admin.ID)
	}
	u := s.user()
	me, err = s.as(u).WhoAmI(s.ctx())
	s.must(err)
	if me.Username != u.Name || me.ID != u.ID || me.Administrator || me.Name == "" || me.Email != u.Email {
		s.Errorf("the user is %+v, want %+v without a right of administration", me, u)
	}
	_, err = s.as(User{Token: "0123456789abcdef0123456789abcdef01234567"}).WhoAmI(s.ctx())
	s.want(err, client.ErrUnauthorized, "a token that does not exist")
}

// pushes checks each role against each protection of a branch.
func pushes(s *suite) {
	group := s.group()
	open, nobody, maintainers := s.repository(group), s.repository(group), s.repository(group)
	s.must(s.Host.Protect(s.ctx(), maintainers.Path, "main", client.RoleMaintain))
	s.must(s.Host.Protect(s.ctx(), nobody.Path, "main", client.RoleOwner+1))
	least := map[string]struct {
		client.Repository
		least client.Role
	}{
		"open":            {open, client.RoleWrite},
		"for maintainers": {maintainers, client.RoleMaintain},
		"for nobody":      {nobody, client.RoleOwner + 1},
	}
	for _, role := range allRoles() {
		as := s.as(s.member(group, open, role))
		for protection, repository := range least {
			can, err := as.CanPush(s.ctx(), repository.ID, "main")
			if role < client.RoleRead {
				s.want(err, client.ErrNotFound, "a repository whose files the caller does not see")
				continue
			}
			s.must(err)
			if want := role >= repository.least; can != want {
				s.Errorf("role %d in a repository whose main is %s: CanPush = %t, want %t", role, protection, can, want)
			}
		}
	}
	_, err := s.admin.CanPush(s.ctx(), open.ID, "no-such-branch")
	s.want(err, client.ErrNotFound, "a missing branch")
}

// empty checks that the first push to an empty repository depends on the role.
func empty(s *suite) {
	group := s.group()
	r, err := s.admin.EnsureRepository(s.ctx(), client.RepositorySpec{GroupID: group.ID, Path: "default.project"})
	s.must(err)
	if !r.Empty || r.DefaultBranch != "" {
		s.Errorf("a new repository is %+v, want an empty one without a default branch", r)
	}
	for _, role := range allRoles() {
		can, err := s.as(s.member(group, r, role)).CanPush(s.ctx(), r.ID, "main")
		if role < client.RoleRead {
			s.want(err, client.ErrNotFound, "a repository whose files the caller does not see")
			continue
		}
		s.must(err)
		if want := role >= client.RoleWrite; can != want {
			s.Errorf("role %d in an empty repository: CanPush = %t, want %t", role, can, want)
		}
	}
}

func roles(s *suite) {
	group := s.group()
	r := s.repository(group)
	for _, role := range allRoles() {
		u := s.member(group, r, role)
		has, err := s.admin.Role(s.ctx(), r.ID, u.ID)
		s.must(err)
		if want := s.reported(role); has != want {
			s.Errorf("the administrator sees the role %d, want %d", has, want)
		}
		has, err = s.as(u).Role(s.ctx(), r.ID, u.ID)
		if role == client.RoleNone {
			s.want(err, client.ErrNotFound, "a repository that the caller does not see")
			continue
		}
		s.must(err)
		if want := s.reported(role); has != want {
			s.Errorf("the user sees its role as %d, want %d", has, want)
		}
	}
	has, err := s.admin.Role(s.ctx(), r.ID, 1<<40)
	s.must(err)
	if has != client.RoleNone {
		s.Errorf("a user that does not exist has the role %d", has)
	}
	_, err = s.admin.Role(s.ctx(), 1<<40, s.Host.Admin().ID)
	s.want(err, client.ErrNotFound, fmt.Sprintf("repository %d", 1<<40))
}
