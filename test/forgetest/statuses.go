package forgetest

import (
	"errors"
	"slices"
	"strings"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/launch"
)

func statuses(s *suite) {
	group := s.group()
	r := s.repository(group)
	commit := s.commit(r, "to be judged")
	running := forge.Status{Commit: commit, Result: launch.RunRunning, Name: "nautes/pipeline", TargetURL: "https://ci.example.com/1", Description: "is running"}
	s.must(s.admin.SetStatus(s.ctx(), r.ID, running))
	s.must(s.admin.SetStatus(s.ctx(), r.ID, running))
	s.wantStatuses(r, commit, "the same status twice", running.Name)

	other := running
	other.Name = "nautes/other"
	s.must(s.admin.SetStatus(s.ctx(), r.ID, other))
	done := running
	done.Result, done.Description = launch.RunSucceeded, "has succeeded"
	s.must(s.admin.SetStatus(s.ctx(), r.ID, done))
	s.must(s.admin.SetStatus(s.ctx(), r.ID, done))
	found, err := s.Host.Statuses(s.ctx(), r.Path, commit)
	s.must(err)
	if n := len(found); n < 2 || n > 3 || !slices.Contains(found, other.Name) || !slices.Contains(found, done.Name) {
		s.Errorf("the statuses are %v, want one of %s and at most two of %s", found, other.Name, done.Name)
	}

	for _, result := range []string{launch.RunFailed, launch.RunCancelled, launch.RunTimeout, launch.RunPending} {
		s.must(s.admin.SetStatus(s.ctx(), r.ID, forge.Status{Commit: commit, Result: result, Name: "nautes/" + result}))
	}
	unknown := running
	unknown.Commit = strings.Repeat("1", 40)
	s.want(s.admin.SetStatus(s.ctx(), r.ID, unknown), client.ErrNotFound, "a status of a missing commit")
	unknown.Commit, unknown.Result = commit, "Purple"
	s.want(s.admin.SetStatus(s.ctx(), r.ID, unknown), client.ErrInvalid, "an unknown result")
	err = s.as(s.member(group, r, client.RoleRead)).SetStatus(s.ctx(), r.ID, done)
	s.clean(err)
	if err != nil && !errors.Is(err, client.ErrForbidden) {
		s.Errorf("a status of a reader: %v, want that it is there, or %v", err, client.ErrForbidden)
	}
}

func (s *suite) wantStatuses(r client.Repository, commit, when string, want ...string) {
	s.Helper()
	found, err := s.Host.Statuses(s.ctx(), r.Path, commit)
	s.must(err)
	if !slices.Equal(found, want) {
		s.Errorf("%s: the statuses are %v, want %v", when, found, want)
	}
}
