package mirror

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/test/githost"
)

const confirmation = "Remove it\n\nNautes-Confirm-Prune: true"

// story is a repository, its mirror, and the objects that the mirror would have written.
type story struct {
	t       *testing.T
	tracker *Tracker
	server  *githost.Server
	repo    *githost.Repo
	source  git.Source
	have    map[plan.ID]string
	status  *v1alpha1.SyncStatus
}

func tell(t *testing.T) *story {
	s := &story{t: t, have: map[plan.ID]string{}}
	s.tracker, s.server, s.repo, s.source = follow(t)
	return s
}

// path is the file of a project.
func path(name string) string { return "projects/" + name + "/" + name + ".yaml" }

func projects(names ...string) map[string]string {
	files := map[string]string{}
	for _, name := range names {
		files[path(name)] = projectFile(name, "go")
	}
	return files
}

func numbered(prefix string, n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("%s%02d", prefix, i))
	}
	return names
}

func (s *story) write(names ...string) { s.repo.Push(projects(names...)) }

func (s *story) remove(message string, names ...string) {
	c := githost.Commit{Message: message}
	for _, name := range names {
		c.Delete = append(c.Delete, path(name))
	}
	s.repo.Commit(c)
}

// mirror fetches, plans, applies the plan and reports it, unless the process ends before.
func (s *story) mirror() Outcome {
	s.t.Helper()
	outcome := s.crash()
	kept := map[plan.ID]string{}
	for _, item := range outcome.Set.Items {
		kept[item.ID] = outcome.Paths[item.ID]
	}
	for _, id := range outcome.Set.Keep {
		kept[id] = s.have[id]
	}
	s.have = kept
	status := outcome.Status(s.tracker.Status)
	s.tracker.Settle(status)
	s.status = &status
	return outcome
}

// crash fetches and plans only.
func (s *story) crash() Outcome {
	s.t.Helper()
	s.tracker.Recorded = s.status
	mustFetch(s.t, s.tracker, s.source)
	var have []Owned
	for id, path := range s.have {
		have = append(have, Owned{ID: id, Path: path})
	}
	return s.tracker.Plan(s.t.Context(), "t", owner, have, false)
}

// restart begins with a new process, which may have lost its disk.
func (s *story) restart(lost bool) {
	s.t.Helper()
	old := s.tracker
	s.tracker = &Tracker{Mirrors: old.Mirrors, Name: old.Name, Kinds: old.Kinds, Scope: old.Scope}
	if !lost {
		return
	}
	if err := old.Mirrors.Drop(old.Name); err != nil {
		s.t.Fatal(err)
	}
}

// check compares the objects that are left with the wanted ones, and the kept ones.
func (s *story) check(held []string, left ...string) {
	s.t.Helper()
	var got, kept []string
	for id := range s.have {
		got = append(got, id.Name)
	}
	slices.Sort(got)
	if diff := cmp.Diff(left, got); diff != "" {
		s.t.Errorf("objects (-want +got):\n%s", diff)
	}
	outcome := s.crash()
	for _, id := range outcome.Held {
		kept = append(kept, id.Name)
	}
	if diff := cmp.Diff(held, kept); diff != "" {
		s.t.Errorf("kept by the guard (-want +got):\n%s", diff)
	}
	if int(s.status.HeldBack) != len(held) || (s.status.HeldBackSince != "") != (len(held) > 0) {
		s.t.Errorf("the status has %d kept since %q", s.status.HeldBack, s.status.HeldBackSince)
	}
}

// What people remove file by file goes, whatever is left. A tree that is emptied or
// replaced at once stays until a person confirms it.
func TestRemovals(t *testing.T) {
	five := []string{"a", "b", "c", "d", "e"}
	many := numbered("p", 30)
	for name, test := range map[string]struct {
		first []string
		then  func(s *story)
		// wantHeld stay without a file, beside the others that wantLeft lists.
		wantHeld, wantLeft []string
	}{
		"the last file":                        {[]string{"a"}, func(s *story) { s.remove("", "a") }, nil, nil},
		"two of three in one commit":           {five[:3], func(s *story) { s.remove("", "a", "b") }, nil, []string{"c"}},
		"ten of eleven in one commit":          {many[:11], func(s *story) { s.remove("", many[:10]...) }, nil, many[10:11]},
		"eleven of twelve in one commit":       {many[:12], func(s *story) { s.remove("", many[:11]...) }, many[:11], many[:12]},
		"half of thirty in one commit":         {many, func(s *story) { s.remove("", many[:15]...) }, nil, many[15:]},
		"more than half of thirty":             {many, func(s *story) { s.remove("", many[:16]...) }, many[:16], many},
		"the last two in one commit":           {[]string{"a", "b"}, func(s *story) { s.remove("", "a", "b") }, []string{"a", "b"}, []string{"a", "b"}},
		"all in one commit":                    {five, func(s *story) { s.remove("", five...) }, five, five},
		"all in one commit, confirmed":         {five, func(s *story) { s.remove(confirmation, five...) }, nil, nil},
		"a great part, confirmed":              {many, func(s *story) { s.remove(confirmation, many[:20]...) }, nil, many[20:]},
		"all in one commit, another trailer":   {five, func(s *story) { s.remove("x\n\nNautes-Confirm-Prune: false", five...) }, five, five},
		"a folder that is not ours beside all": {five, func(s *story) { s.repo.Push(map[string]string{"README.md": "a"}); s.remove("", five...) }, five, five},
		"one after the other in one push": {five, func(s *story) {
			for _, name := range five {
				s.remove("", name)
			}
		}, nil, nil},
		"thirty, one after the other in one push": {many, func(s *story) {
			for _, name := range many {
				s.remove("", name)
			}
		}, nil, nil},
		"a commit that empties, between others": {five, func(s *story) {
			s.remove("", "a")
			s.remove("", "b", "c", "d", "e")
			s.repo.Push(map[string]string{"README.md": "a"})
		}, five[1:], five[1:]},
		"a confirmed commit does not confirm the next one": {many, func(s *story) {
			s.remove(confirmation, many[:13]...)
			s.remove("", many[13:29]...)
		}, many[13:29], many[13:]},
		"a commit does not confirm the one before": {many, func(s *story) {
			s.remove("", many[:20]...)
			s.remove(confirmation, many[20:29]...)
		}, many[:20], slices.Concat(many[:20], many[29:])},
		"other files in place of all": {five, func(s *story) {
			s.repo.Commit(githost.Commit{Files: projects("x", "y", "z"), Delete: []string{"projects/a", "projects/b", "projects/c", "projects/d", "projects/e"}})
		}, five, slices.Concat(five, []string{"x", "y", "z"})},
		"emptied, and filled with others in the same push": {five, func(s *story) { s.remove("", five...); s.write("x", "y") }, five, slices.Concat(five, []string{"x", "y"})},
		"emptied, and most of it restored":                 {five, func(s *story) { s.remove("", five...); s.write("c", "d", "e") }, nil, five[2:]},
		"all files are moved": {five[:2], func(s *story) {
			s.repo.Commit(githost.Commit{Files: map[string]string{"projects/a/z.yaml": projectFile("a", "go"), "projects/b/z.yaml": projectFile("b", "go")}, Delete: []string{path("a"), path("b")}})
		}, nil, five[:2]},
		"removed, restored and removed one by one": {five[:1], func(s *story) { s.remove(confirmation, "a"); s.write("a"); s.remove("", "a") }, nil, nil},
		"confirmed, restored, then emptied":        {five, func(s *story) { s.remove(confirmation, five...); s.write(five...); s.remove("", five...) }, five, five},
		"a history of its own": {five, func(s *story) {
			s.repo.Commit(githost.Commit{Orphan: true, Force: true, Files: projects("x"), Message: confirmation})
		}, five, slices.Concat(five, []string{"x"})},
		"a history of its own, with most of the files": {five, func(s *story) { s.repo.Commit(githost.Commit{Orphan: true, Force: true, Files: projects(five[1:]...)}) }, nil, five[1:]},
		"another branch": {five, func(s *story) {
			s.repo.Commit(githost.Commit{Branch: "next", Delete: []string{"projects"}, Files: map[string]string{"README.md": "a"}, Message: confirmation})
			s.source.Branch = "next"
		}, five, five},
		"another repository": {five[:1], func(s *story) {
			other := s.server.Repo("demo/other")
			other.Push(map[string]string{"README.md": "a"})
			s.source.URL = other.URL()
		}, five[:1], five[:1]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The outcome is the same for a process that runs on, and for one that ends between
			// the fetch and the prune, with its disk or without.
			for when, before := range map[string]func(s *story){
				"running":                    func(*story) {},
				"restarted before the prune": func(s *story) { s.crash(); s.restart(false) },
				"lost before the prune":      func(s *story) { s.crash(); s.restart(true) },
			} {
				t.Run(when, func(t *testing.T) {
					s := tell(t)
					s.write(test.first...)
					s.mirror()
					test.then(s)
					before(s)
					s.mirror()
					s.check(test.wantHeld, test.wantLeft...)
					// It stays so, in the next process as well.
					s.restart(false)
					s.repo.Push(map[string]string{"README.md": "later"})
					s.mirror()
					s.check(test.wantHeld, test.wantLeft...)
				})
			}
		})
	}
}

// What the guard keeps stays, whatever is pushed later, until it is confirmed, restored,
// or removed anew.
func TestHeldObjectsStay(t *testing.T) {
	five, more := []string{"a", "b", "c", "d", "e"}, numbered("x", 20)
	for name, test := range map[string]struct {
		then               func(s *story)
		wantHeld, wantLeft []string
	}{
		"many other files come":                     {func(s *story) { s.write(more...) }, five, slices.Concat(five, more)},
		"a later commit confirms others":            {func(s *story) { s.write("x"); s.mirror(); s.remove(confirmation, "x") }, five, five},
		"single files go":                           {func(s *story) { s.write("x", "y"); s.mirror(); s.remove("", "x"); s.mirror(); s.remove("", "y") }, five, five},
		"restored":                                  {func(s *story) { s.write(five...) }, nil, five},
		"restored but for one":                      {func(s *story) { s.write(five[1:]...) }, nil, five[1:]},
		"restored, and removed with a confirmation": {func(s *story) { s.write(five...); s.mirror(); s.remove(confirmation, five...) }, nil, nil},
		"restored and removed in one push":          {func(s *story) { s.write(five...); s.remove(confirmation, five...) }, nil, nil},
		"the commit is amended with a confirmation": {func(s *story) {
			parent := strings.TrimSpace(s.repo.Git("rev-parse", "main^"))
			s.repo.Commit(githost.Commit{Onto: parent, Force: true, Delete: []string{"projects"}, Files: map[string]string{"README.md": "a"}, Message: confirmation})
		}, nil, nil},
		"the branch goes back": {func(s *story) {
			s.repo.Git("update-ref", "refs/heads/main", strings.TrimSpace(s.repo.Git("rev-parse", "main^")))
		}, nil, five},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, restarts := range []bool{false, true} {
				s := tell(t)
				s.write(five...)
				s.mirror()
				s.repo.Commit(githost.Commit{Delete: []string{"projects"}, Files: map[string]string{"README.md": "a"}})
				s.mirror()
				s.check(five, five...)
				if restarts {
					s.restart(false)
				}
				test.then(s)
				s.mirror()
				s.check(test.wantHeld, test.wantLeft...)
			}
		})
	}
}

// A file that declares another object removes the one before, which may be any of the
// changes of the file.
func TestOtherObjectsInTheSameFiles(t *testing.T) {
	declare := func(s *story, message string, names ...string) {
		files := map[string]string{}
		for i, name := range names {
			files[fmt.Sprintf("envs/%d.yaml", i)] = strings.Replace(environmentFile, "name: dev", "name: "+name, 1)
		}
		s.repo.Commit(githost.Commit{Files: files, Message: message})
	}
	for name, test := range map[string]struct {
		then               func(s *story)
		wantHeld, wantLeft []string
	}{
		"one of them":         {func(s *story) { declare(s, "", "x", "b") }, nil, []string{"b", "x"}},
		"all":                 {func(s *story) { declare(s, "", "x", "y") }, []string{"a", "b"}, []string{"a", "b", "x", "y"}},
		"all, confirmed":      {func(s *story) { declare(s, confirmation, "x", "y") }, nil, []string{"x", "y"}},
		"confirmed too late":  {func(s *story) { declare(s, "", "x", "y"); declare(s, confirmation, "v", "w") }, []string{"a", "b"}, []string{"a", "b", "v", "w"}},
		"confirmed each time": {func(s *story) { declare(s, confirmation, "x", "y"); declare(s, confirmation, "v", "w") }, nil, []string{"v", "w"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t)
			declare(s, "", "a", "b")
			s.mirror()
			test.then(s)
			s.mirror()
			s.check(test.wantHeld, test.wantLeft...)
		})
	}
}

// A branch that goes back to a commit that confirmed a removal confirms nothing: the
// commit is not new.
func TestOldConfirmationsAreHistory(t *testing.T) {
	five := []string{"a", "b", "c", "d", "e"}
	s := tell(t)
	s.write(five...)
	s.mirror()
	s.remove(confirmation, five...)
	s.repo.Push(map[string]string{"README.md": "a"})
	old := strings.TrimSpace(s.repo.Git("rev-parse", "main"))
	s.mirror()
	s.check(nil)
	s.write(five...)
	s.mirror()
	s.repo.Git("update-ref", "refs/heads/main", old)
	s.mirror()
	s.check(five, five...)
	s.repo.Push(map[string]string{"README.md": "b"})
	s.mirror()
	s.check(five, five...)
}

// A status on record of another repository or branch says nothing about the commits of
// this one, although they are the same as in a fork.
func TestRecordOfAnotherSource(t *testing.T) {
	five := []string{"a", "b", "c", "d", "e"}
	for name, test := range map[string]struct {
		change    func(*v1alpha1.SyncStatus)
		wantHeld  []string
		wantThere []string
	}{
		"this one":           {change: func(*v1alpha1.SyncStatus) {}},
		"another repository": {change: func(s *v1alpha1.SyncStatus) { s.URL += "/fork" }, wantHeld: five, wantThere: five},
		"another branch":     {change: func(s *v1alpha1.SyncStatus) { s.Branch = "other" }, wantHeld: five, wantThere: five},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t)
			s.write(five...)
			s.mirror()
			s.remove(confirmation, five...)
			s.restart(false)
			test.change(s.status)
			s.mirror()
			s.check(test.wantHeld, test.wantThere...)
		})
	}
}

// The status passes on that the commits confirm what they change, for this revision only.
func TestConfirmedRevision(t *testing.T) {
	change := func(message string) func(*story) {
		return func(s *story) {
			s.repo.Commit(githost.Commit{Files: map[string]string{path("a"): projectFile("a", message[:1])}, Message: message})
		}
	}
	confirmed := change("rust" + strings.TrimPrefix(confirmation, "Remove it"))
	readme := func(s *story) { s.repo.Push(map[string]string{"README.md": "x"}) }
	for name, test := range map[string]struct {
		then []func(*story)
		want bool
	}{
		"no confirmation":                  {[]func(*story){change("go")}, false},
		"confirmed":                        {[]func(*story){confirmed}, true},
		"confirmed, then another file":     {[]func(*story){confirmed, readme}, true},
		"confirmed, then another change":   {[]func(*story){confirmed, change("go")}, false},
		"another change, then a confirmed": {[]func(*story){change("go"), confirmed}, false},
		"nothing of ours": {[]func(*story){func(s *story) {
			s.repo.Commit(githost.Commit{Files: map[string]string{"README.md": "y"}, Message: confirmation})
		}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t)
			s.write("a")
			readme(s)
			s.mirror()
			for _, then := range test.then {
				then(s)
			}
			for range 2 {
				if s.mirror(); s.status.PruneConfirmed != test.want {
					t.Errorf("PruneConfirmed = %v, want %v", s.status.PruneConfirmed, test.want)
				}
				s.restart(true)
			}
			s.repo.Push(map[string]string{"README.md": "later"})
			if s.mirror(); s.status.PruneConfirmed {
				t.Error("the confirmation is believed for a later revision")
			}
		})
	}
}
