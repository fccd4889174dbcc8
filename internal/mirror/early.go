package mirror

import (
	"time"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/git"
)

// maxLooks is the number of looks for a commit that was announced: after 1, 2, 4 and 8
// seconds.
const maxLooks = 4

// Early is a commit that a hook announced and that the repository does not have yet, as
// when the hook comes before the replica that is read. It is believed for a few looks only,
// because whoever sends the hook chooses it. The zero value waits for nothing.
type Early struct {
	// Commit is the announced commit, or empty.
	Commit string

	looks int
	next  time.Time
	// given is the last commit that did not come.
	given string
}

// Announce begins to wait for the commit of a push to a branch. A push to another branch,
// or of a commit that is waited for or did not come, changes nothing.
func (e *Early) Announce(push forge.Push, branch string) {
	if push.Ref == "refs/heads/"+branch && git.IsHash(push.Commit) && push.Commit != e.Commit && push.Commit != e.given {
		e.Commit, e.looks, e.next = push.Commit, 0, time.Time{}
	}
}

// Looked records a look at the branch. The repository has the commit if it is the head, or
// was.
func (e *Early) Looked(now time.Time, head string, has bool) {
	switch {
	case e.Commit == "":
	case e.Commit == head || has:
		*e = Early{given: e.given}
	case now.Before(e.next):
	case e.looks == maxLooks:
		*e = Early{given: e.Commit}
	default:
		e.next = now.Add(time.Second << e.looks)
		e.looks++
	}
}

// Waits reports whether a commit is waited for.
func (e *Early) Waits() bool { return e.Commit != "" }

// Before returns the time of the next look, if it is before a time, and the time otherwise.
func (e *Early) Before(t time.Time) time.Time {
	if e.Waits() && e.next.Before(t) {
		return e.next
	}
	return t
}
