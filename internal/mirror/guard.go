package mirror

import (
	"slices"

	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/plan"
)

// History says how a revision came about. It decides which removals are meant.
type History struct {
	// Steps lead to the revision from the last one whose removals have all been made,
	// the newest first. They are empty if no commits lead there, for example from
	// another branch.
	Steps []git.Step
	// Holding: the guard has kept objects since then.
	Holding bool
	// Confirmed: a person has confirmed all that the revision removes.
	Confirmed bool
}

// guardFloor is the number of objects that one commit may always remove, unless it
// leaves none.
const guardFloor = 10

// event is the change of a file by a step.
type event struct {
	step                     int
	added, removed, confirms bool
}

// guard decides which of the objects without a file stay. A commit may remove files as
// long as it neither empties nor replaces the tree. Objects that left without a commit
// that removes them are kept if they are more than half.
type guard struct {
	// events of each file, the newest first.
	events map[string][]event
	// paths are the files of all objects, before and now.
	paths map[string]bool
	// files are the files of the revision.
	files map[string]Entry
}

// hold returns the objects among gone that the guard keeps. Paths are the files of the
// objects in the revision.
func (h History) hold(entries map[string]Entry, paths map[plan.ID]string, owned, gone []Owned) []plan.ID {
	// If no objects are waiting, a commit that removes more than half of those that it
	// finds also removes more than half of those that are there.
	if h.Confirmed || len(gone) == 0 || !h.Holding && 2*len(gone) <= len(owned) {
		return nil
	}
	g := guard{events: map[string][]event{}, paths: map[string]bool{}, files: entries}
	for _, have := range owned {
		g.paths[have.Path] = true
	}
	for _, path := range paths {
		g.paths[path] = true
	}
	for i, step := range h.Steps {
		for _, c := range step.Changes {
			if g.paths[c.Path] {
				g.events[c.Path] = append(g.events[c.Path], event{step: i, added: c.Old == nil, removed: c.New == nil, confirms: step.ConfirmsPrune})
			}
		}
	}
	left := map[int][]Owned{}
	confirmed := map[int]int{}
	for _, o := range gone {
		step, confirms := g.removedBy(o.Path)
		if confirms {
			confirmed[step]++
			continue
		}
		left[step] = append(left[step], o)
	}
	var held []plan.ID
	for step, lost := range left {
		if step == unknownStep && (h.Holding || 2*len(lost) > len(owned)) || step != unknownStep && g.drastic(step, len(lost), confirmed[step]) {
			for _, o := range lost {
				held = append(held, o.ID)
			}
		}
	}
	slices.SortFunc(held, plan.ID.Compare)
	return held
}

// unknownStep stands for no step.
const unknownStep = -1

// removedBy returns the step that took an object out of its file, and whether its commit
// confirms that. A file that only changed may have lost the object by any of the changes.
func (g *guard) removedBy(path string) (step int, confirms bool) {
	step = unknownStep
	for _, e := range g.events[path] {
		if e.added {
			if step != unknownStep {
				break
			}
			continue
		}
		if step == unknownStep {
			step, confirms = e.step, true
		}
		confirms = confirms && e.confirms
		if e.removed {
			break
		}
	}
	return step, confirms
}

// drastic reports whether a step that lost objects without a confirmation, beside
// confirmed ones, emptied or replaced the tree.
func (g *guard) drastic(step, lost, confirmed int) bool {
	before := 0
	for path := range g.paths {
		if g.existed(path, step) {
			before++
		}
	}
	return lost > 1 && lost+confirmed >= before || lost > guardFloor && 2*lost > before
}

// existed reports whether a file existed before a step.
func (g *guard) existed(path string, step int) bool {
	events := g.events[path]
	newer := -1
	for i, e := range events {
		if e.step == step {
			return !e.added
		}
		if e.step < step {
			newer = i
		}
	}
	switch {
	case newer >= 0:
		return !events[newer].added
	case len(events) > 0:
		return !events[0].removed
	}
	_, exists := g.files[path]
	return exists
}
