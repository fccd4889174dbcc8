package forgetest

import (
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/forge/client"
)

func groups(s *suite) {
	path := name("group")
	_, err := s.admin.Group(s.ctx(), path)
	s.want(err, client.ErrNotFound, "a missing group")
	_, err = s.admin.GroupByID(s.ctx(), 1<<40)
	s.want(err, client.ErrNotFound, "a missing group by its number")

	made, err := s.admin.EnsureGroup(s.ctx(), client.GroupSpec{Path: path, Name: "The group", Description: "first"})
	s.must(err)
	want := client.Group{ID: made.ID, Path: path, Name: "The group", Description: "first", Visibility: client.VisibilityPrivate, WebURL: made.WebURL}
	if diff := cmp.Diff(want, made); diff != "" || made.ID == 0 || !strings.HasSuffix(made.WebURL, path) {
		s.Errorf("EnsureGroup (-want +got):\n%s", diff)
	}
	again, err := s.admin.EnsureGroup(s.ctx(), client.GroupSpec{Path: path, Name: "The group", Description: "first"})
	s.must(err)
	s.same("EnsureGroup again", made, again)

	changed, err := s.admin.EnsureGroup(s.ctx(), client.GroupSpec{Path: path, Description: "second", Visibility: client.VisibilityPublic})
	s.must(err)
	want.Description, want.Visibility = "second", client.VisibilityPublic
	s.same("EnsureGroup with changes", want, changed)
	read, err := s.admin.Group(s.ctx(), path)
	s.must(err)
	s.same("Group after the change", want, read)
	read, err = s.admin.GroupByID(s.ctx(), made.ID)
	s.must(err)
	s.same("GroupByID", want, read)

	private := s.group()
	stranger := s.user()
	_, err = s.as(stranger).Group(s.ctx(), private.Path)
	s.want(err, client.ErrNotFound, "a private group of others")
	_, err = s.as(stranger).GroupByID(s.ctx(), private.ID)
	s.want(err, client.ErrNotFound, "a private group of others by its number")
	member := s.member(private, s.repository(private), client.RoleRead)
	all, err := s.as(member).Groups(s.ctx())
	s.must(err)
	paths := make([]string, 0, len(all))
	for _, g := range all {
		paths = append(paths, g.Path)
	}
	if !slices.Equal(paths, []string{private.Path}) {
		s.Errorf("Groups of a member = %v, want %s only", paths, private.Path)
	}
	_, err = s.admin.EnsureGroup(s.ctx(), client.GroupSpec{Path: stranger.Name})
	s.want(err, client.ErrConflict, "a group with the name of a user")
}

func nested(s *suite) {
	parent := s.group()
	path := parent.Path + "/" + name("team")
	_, err := s.admin.Group(s.ctx(), path)
	s.want(err, client.ErrNotFound, "a missing group in a group")
	made, err := s.admin.EnsureGroup(s.ctx(), client.GroupSpec{Path: path})
	if !s.can.NestedGroups {
		s.want(err, client.ErrInvalid, "a group in a group")
		return
	}
	s.must(err)
	if made.ParentID != parent.ID || made.Path != path {
		s.Errorf("EnsureGroup in a group = %+v, want the path %s below group %d", made, path, parent.ID)
	}
	again, err := s.admin.EnsureGroup(s.ctx(), client.GroupSpec{Path: path})
	s.must(err)
	s.same("EnsureGroup again", made, again)
	_, err = s.admin.EnsureGroup(s.ctx(), client.GroupSpec{Path: name("missing") + "/team"})
	s.want(err, client.ErrNotFound, "a group in a missing group")
}

func repositories(s *suite) {
	group := s.group()
	spec := client.RepositorySpec{GroupID: group.ID, Path: "app", Description: "first", Initialize: true, DefaultBranch: "main"}
	_, err := s.admin.Repository(s.ctx(), group.Path+"/app")
	s.want(err, client.ErrNotFound, "a missing repository")
	_, err = s.admin.RepositoryByID(s.ctx(), 1<<40)
	s.want(err, client.ErrNotFound, "a missing repository by its number")

	made, err := s.admin.EnsureRepository(s.ctx(), spec)
	s.must(err)
	want := client.Repository{
		ID: made.ID, GroupID: group.ID, Path: group.Path + "/app", Name: "app", Description: "first", Visibility: client.VisibilityPrivate,
		DefaultBranch: "main", SSHURL: made.SSHURL, HTTPURL: made.HTTPURL, WebURL: made.WebURL,
	}
	if diff := cmp.Diff(want, made); diff != "" || made.ID == 0 || !strings.HasSuffix(made.HTTPURL, made.Path+".git") || !strings.HasSuffix(made.SSHURL, made.Path+".git") {
		s.Errorf("EnsureRepository = %+v (-want +got):\n%s", made, diff)
	}
	again, err := s.admin.EnsureRepository(s.ctx(), spec)
	s.must(err)
	s.same("EnsureRepository again", made, again)

	spec.Description = "second"
	changed, err := s.admin.EnsureRepository(s.ctx(), spec)
	s.must(err)
	want.Description = "second"
	s.same("EnsureRepository with changes", want, changed)
	for what, read := range map[string]func() (client.Repository, error){
		"Repository":     func() (client.Repository, error) { return s.admin.Repository(s.ctx(), want.Path) },
		"RepositoryByID": func() (client.Repository, error) { return s.admin.RepositoryByID(s.ctx(), want.ID) },
	} {
		got, err := read()
		s.must(err)
		s.same(what, want, got)
		_, err = s.as(s.user()).Repository(s.ctx(), want.Path)
		s.want(err, client.ErrNotFound, "a private repository of others")
	}
	if _, err = s.admin.EnsureRepository(s.ctx(), client.RepositorySpec{GroupID: group.ID, Path: "a-first"}); err != nil {
		s.must(err)
	}
	all, err := s.admin.Repositories(s.ctx(), group.ID)
	s.must(err)
	var paths []string
	for _, r := range all {
		paths = append(paths, r.Path)
	}
	if diff := cmp.Diff([]string{group.Path + "/a-first", group.Path + "/app"}, paths); diff != "" {
		s.Errorf("Repositories (-want +got):\n%s", diff)
	}
	s.named()
	_, err = s.admin.EnsureRepository(s.ctx(), client.RepositorySpec{GroupID: 1 << 40, Path: "app"})
	s.want(err, client.ErrNotFound, "a repository in a missing group")
	_, err = s.admin.Repositories(s.ctx(), 1<<40)
	s.want(err, client.ErrNotFound, "the repositories of a missing group")
}

// named holds which repositories are found by their names.
func (s *suite) named() {
	searched := "needle." + name("n")
	first, second := s.group(), s.group()
	public, err := s.admin.EnsureGroup(s.ctx(), client.GroupSpec{Path: name("public"), Visibility: client.VisibilityPublic})
	s.must(err)
	for path, group := range map[string]client.Group{searched: first, searched + "-more": first, "more-" + searched: second} {
		_, err := s.admin.EnsureRepository(s.ctx(), client.RepositorySpec{GroupID: group.ID, Path: path})
		s.must(err)
	}
	own, err := s.admin.EnsureRepository(s.ctx(), client.RepositorySpec{GroupID: second.ID, Path: searched})
	s.must(err)
	open, err := s.admin.EnsureRepository(s.ctx(), client.RepositorySpec{GroupID: public.ID, Path: searched, Visibility: client.VisibilityPublic})
	s.must(err)
	maintainer, writer := s.as(s.member(second, own, client.RoleMaintain)), s.as(s.member(public, open, client.RoleWrite))
	both := []string{own.Path, open.Path}
	slices.Sort(both)
	everywhere := append([]string{first.Path + "/" + searched}, both...)
	slices.Sort(everywhere)
	for what, row := range map[string]struct {
		by         client.Client
		maintained bool
		want       []string
	}{
		"all, by an administrator":  {by: s.admin, want: everywhere},
		"maintained, by a member":   {by: maintainer, maintained: true, want: []string{own.Path}},
		"visible, by a member":      {by: maintainer, want: both},
		"maintained, by a writer":   {by: writer, maintained: true},
		"maintained, by a stranger": {by: s.as(s.user()), maintained: true},
	} {
		found, err := row.by.RepositoriesNamed(s.ctx(), searched, row.maintained)
		s.must(err)
		var paths []string
		for _, r := range found {
			paths = append(paths, r.GroupPath()+"/"+searched)
		}
		if !slices.Equal(row.want, paths) {
			s.Errorf("RepositoriesNamed, %s: %v, want %v", what, paths, row.want)
		}
	}
}

func visibility(s *suite) {
	group, err := s.admin.EnsureGroup(s.ctx(), client.GroupSpec{Path: name("group"), Visibility: client.VisibilityPublic})
	s.must(err)
	r, err := s.admin.EnsureRepository(s.ctx(), client.RepositorySpec{GroupID: group.ID, Path: "app", Visibility: client.VisibilityPublic})
	s.must(err)
	if r.Visibility != client.VisibilityPublic {
		s.Errorf("the visibility is %q, want %q", r.Visibility, client.VisibilityPublic)
	}
	stranger := s.as(s.user())
	if _, err := stranger.Repository(s.ctx(), r.Path); err != nil {
		s.must(err)
	}
	can, err := stranger.CanPush(s.ctx(), r.ID, "main")
	s.must(err)
	if can {
		s.Error("a stranger may push to an empty public repository")
	}
	// A spec without a visibility leaves the one that is there.
	r, err = s.admin.EnsureRepository(s.ctx(), client.RepositorySpec{GroupID: group.ID, Path: "app"})
	s.must(err)
	if r.Visibility != client.VisibilityPublic {
		s.Errorf("the visibility became %q", r.Visibility)
	}
	r, err = s.admin.EnsureRepository(s.ctx(), client.RepositorySpec{GroupID: group.ID, Path: "app", Visibility: client.VisibilityPrivate})
	s.must(err)
	_, err = stranger.Repository(s.ctx(), r.Path)
	s.want(err, client.ErrNotFound, "a repository that became private")

	r, err = s.admin.EnsureRepository(s.ctx(), client.RepositorySpec{GroupID: group.ID, Path: "internal", Visibility: client.VisibilityInternal})
	if !s.can.InternalVisibility {
		s.want(err, client.ErrInvalid, "an internal repository")
		return
	}
	s.must(err)
	if r.Visibility != client.VisibilityInternal {
		s.Errorf("the visibility is %q, want %q", r.Visibility, client.VisibilityInternal)
	}
}

func removal(s *suite) {
	group := s.group()
	r := s.repository(group)
	s.want(s.admin.RemoveGroup(s.ctx(), group.ID), client.ErrConflict, "a group with a repository")
	s.want(s.admin.RemoveRepository(s.ctx(), 1<<40), client.ErrNotFound, "a missing repository")
	s.want(s.admin.RemoveGroup(s.ctx(), 1<<40), client.ErrNotFound, "a missing group")

	s.must(s.admin.RemoveRepository(s.ctx(), r.ID))
	_, err := s.admin.Repository(s.ctx(), r.Path)
	s.want(err, client.ErrNotFound, "a repository by the path that it had")
	left, err := s.admin.RepositoryByID(s.ctx(), r.ID)
	if s.can.DelayedDeletion {
		s.must(err)
		if !left.Leaving {
			s.Errorf("a removed repository is %+v, want it to be leaving", left)
		}
	} else {
		s.want(err, client.ErrNotFound, "a removed repository")
	}
	s.must(s.admin.RemoveGroup(s.ctx(), group.ID))
	gone, err := s.admin.GroupByID(s.ctx(), group.ID)
	if s.can.DelayedDeletion {
		s.must(err)
		if !gone.Leaving {
			s.Errorf("a removed group is %+v, want it to be leaving", gone)
		}
	} else {
		s.want(err, client.ErrNotFound, "a removed group")
	}
	// The name of a removed group is free again.
	again, err := s.admin.EnsureGroup(s.ctx(), client.GroupSpec{Path: group.Path})
	s.must(err)
	if again.ID == group.ID || again.Leaving {
		s.Errorf("the group that is made again is %+v", again)
	}
}
