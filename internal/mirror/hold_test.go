package mirror

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/plan"
)

// change is a change of the file of an object: "+" adds it, "-" removes it, and "~"
// changes it.
func change(kind byte, name string) git.Change {
	c := git.Change{Path: path(name), Old: &git.File{}, New: &git.File{}}
	switch kind {
	case '+':
		c.Old = nil
	case '-':
		c.New = nil
	}
	return c
}

// step is a step with changes such as "-a", and a leading "!" if its commit confirms.
func step(changes ...string) git.Step {
	s := git.Step{Commit: git.Commit{ConfirmsPrune: changes[0] == "!"}}
	for _, text := range changes {
		if text != "!" {
			s.Changes = append(s.Changes, change(text[0], text[1:]))
		}
	}
	return s
}

func each(kind string, names ...string) []string {
	var changes []string
	for _, name := range names {
		changes = append(changes, kind+name)
	}
	return changes
}

// The guard decides by the steps, the newest of which comes first.
func TestHold(t *testing.T) {
	many := numbered("p", 22)
	for name, test := range map[string]struct {
		owned []string
		// gone have no object any more, and files are the files of the revision.
		gone, files        []string
		steps              []git.Step
		holding, confirmed bool
		// wantAll: all that are gone are held, or wantHeld.
		wantAll  bool
		wantHeld []string
	}{
		"nothing is gone":                {owned: []string{"a", "b"}, files: []string{"a", "b"}, holding: true},
		"half, without steps":            {owned: []string{"a", "b"}, gone: []string{"a"}, files: []string{"b"}},
		"more than half, without steps":  {owned: []string{"a", "b", "c"}, gone: []string{"a", "b"}, files: []string{"c"}, wantAll: true},
		"the same, confirmed":            {owned: []string{"a", "b", "c"}, gone: []string{"a", "b"}, files: []string{"c"}, confirmed: true},
		"held already, without steps":    {owned: []string{"a", "b", "c"}, gone: []string{"a"}, files: []string{"b", "c"}, holding: true, wantAll: true},
		"the last one":                   {owned: []string{"a"}, gone: []string{"a"}, steps: []git.Step{step("-a")}},
		"the last two at once":           {owned: []string{"a", "b"}, gone: []string{"a", "b"}, steps: []git.Step{step("-a", "-b")}, wantAll: true},
		"the last two in steps":          {owned: []string{"a", "b"}, gone: []string{"a", "b"}, steps: []git.Step{step("-b"), step("-a")}},
		"two of three at once":           {owned: []string{"a", "b", "c"}, gone: []string{"a", "b"}, files: []string{"c"}, steps: []git.Step{step("-a", "-b")}},
		"the last two, confirmed":        {owned: []string{"a", "b"}, gone: []string{"a", "b"}, steps: []git.Step{step("!", "-a", "-b")}},
		"ten of eleven":                  {owned: many[:11], gone: many[:10], files: many[10:11], steps: []git.Step{step(each("-", many[:10]...)...)}},
		"eleven of twelve":               {owned: many[:12], gone: many[:11], files: many[11:12], steps: []git.Step{step(each("-", many[:11]...)...)}, wantAll: true},
		"eleven of 22, held already":     {owned: many, gone: many[:11], files: many[11:], steps: []git.Step{step(each("-", many[:11]...)...)}, holding: true},
		"eleven of 21, held already":     {owned: many[:21], gone: many[:11], files: many[11:21], steps: []git.Step{step(each("-", many[:11]...)...)}, holding: true, wantAll: true},
		"files that are not ours":        {owned: []string{"a", "b"}, gone: []string{"a", "b"}, steps: []git.Step{step("-a", "-b", "-x", "-y")}, wantAll: true},
		"removed before others came":     {owned: []string{"a", "b"}, gone: []string{"a", "b"}, files: []string{"c"}, steps: []git.Step{step("+c"), step("-a", "-b")}, wantAll: true},
		"others came before":             {owned: []string{"a", "b"}, gone: []string{"a", "b"}, files: []string{"c"}, steps: []git.Step{step("-a", "-b"), step("+c")}},
		"another one went later":         {owned: []string{"a", "b", "c"}, gone: []string{"a", "b", "c"}, steps: []git.Step{step("-c"), step("-a", "-b")}},
		"another one went before":        {owned: []string{"a", "b", "c"}, gone: []string{"a", "b", "c"}, steps: []git.Step{step("-a", "-b"), step("-c")}, wantHeld: []string{"a", "b"}},
		"restored, with another object":  {owned: []string{"a", "b"}, gone: []string{"a", "b"}, files: []string{"a", "b"}, steps: []git.Step{step("+a", "+b"), step("-a", "-b")}, wantAll: true},
		"changed, not confirmed before":  {owned: []string{"a", "b", "c"}, gone: []string{"a", "b", "c"}, files: []string{"a", "b"}, steps: []git.Step{step("!", "~a", "~b", "-c"), step("~a", "~b")}, wantHeld: []string{"a", "b"}},
		"removed, not confirmed before":  {owned: []string{"a", "b"}, gone: []string{"a", "b"}, steps: []git.Step{step("!", "-a", "-b"), step("+a", "+b"), step("-a", "-b")}},
		"half without steps, and one":    {owned: []string{"a", "b", "c", "d"}, gone: []string{"a", "b", "c"}, files: []string{"d"}, steps: []git.Step{step("-c")}},
		"restored, removed confirmed":    {owned: []string{"a", "b"}, gone: []string{"a", "b"}, files: []string{"a", "b"}, steps: []git.Step{step("+a", "+b"), step("!", "-a", "-b")}},
		"a confirmed change of new ones": {owned: []string{"a", "b"}, gone: []string{"a", "b"}, files: []string{"a", "b"}, steps: []git.Step{step("!", "~a", "~b"), step("+a", "+b"), step("-a", "-b")}},
		"only the first change is":       {owned: []string{"a", "b"}, gone: []string{"a", "b"}, files: []string{"a", "b"}, steps: []git.Step{step("~a", "~b"), step("!", "~a", "~b")}, wantAll: true},
		"removed, not changed with that": {owned: []string{"a", "b"}, gone: []string{"a", "b"}, steps: []git.Step{step("!", "-a", "-b"), step("~a", "~b")}},
	} {
		t.Run(name, func(t *testing.T) {
			entries, paths := map[string]Entry{}, map[plan.ID]string{}
			for _, file := range test.files {
				entries[path(file)] = project(file)
				if !slices.Contains(test.gone, file) {
					paths[owned(file)[0].ID] = path(file)
				}
			}
			history := History{Steps: test.steps, Holding: test.holding, Confirmed: test.confirmed}
			var got []string
			for _, id := range history.hold(entries, paths, owned(test.owned...), owned(test.gone...)) {
				got = append(got, id.Name)
			}
			want := test.wantHeld
			if test.wantAll {
				want = test.gone
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("held (-want +got):\n%s", diff)
			}
		})
	}
}
