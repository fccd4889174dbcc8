package vault

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"nautes.io/nautes/internal/secrets"
)

const (
	// pollSpacing is the pause between two reads of the poll: 20 per second.
	pollSpacing = 50 * time.Millisecond
	// A missing secret is read again soon, but at most four of them per second.
	missingPause, missingSpacing = 3 * time.Second, 250 * time.Millisecond
	// forgetAfter is longer than any object goes without a reconcile.
	forgetAfter = 24 * time.Hour
	// maxTracked limits the secrets that are polled.
	maxTracked = 20_000
)

// tracked is the known state of a secret in use.
type tracked struct {
	// version is empty if there is no such secret.
	version string
	// known: version has been read. failed: a caller got an error instead.
	known, failed bool
	// Times when it was last asked for, was last read, and is to be read next.
	asked, checked, due time.Time
	// writes counts the writes of this process. A read that began before one of
	// them must not hide it.
	writes int
}

// versions remembers the versions of the secrets in use.
type versions struct {
	interval time.Duration
	polling  atomic.Bool

	mu   sync.Mutex
	refs map[secrets.Ref]*tracked
}

// ask records that a secret is in use. It returns the argument of learn for a
// read that begins afterwards.
func (s *versions) ask(ref secrets.Ref) (writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.track(ref).writes
}

// recall returns the version of a secret, if the poll keeps it fresh.
func (s *versions) recall(ref secrets.Ref) (version string, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.track(ref)
	round := max(s.interval, time.Duration(len(s.refs))*pollSpacing)
	return t.version, t.known && s.polling.Load() && time.Since(t.checked) < 2*round
}

// track returns the state of a secret, and keeps it if there is room. s.mu is held.
func (s *versions) track(ref secrets.Ref) *tracked {
	t := s.refs[ref]
	if t == nil {
		t = &tracked{due: s.nextDue(false)}
		if len(s.refs) < maxTracked {
			s.refs[ref] = t
		}
	}
	t.asked = time.Now()
	return t
}

func (s *versions) nextDue(isMissing bool) time.Time {
	pause, missing := s.interval, time.Duration(0)
	if isMissing {
		for _, other := range s.refs {
			if other.known && other.version == "" {
				missing++
			}
		}
		pause = min(pause, max(missingPause, missing*missingSpacing))
	}
	return time.Now().Add(wait.Jitter(pause, jitter))
}

// learn records the version that was read or written, or an empty one if there is
// none. It reports whether users of the secret must be notified.
func (s *versions) learn(ref secrets.Ref, version string, writes int, wrote bool) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.refs[ref]
	if t == nil || (!wrote && t.writes != writes) {
		return false
	}
	changed = t.failed || t.known && t.version != version
	t.version, t.known, t.failed, t.checked, t.due = version, true, false, time.Now(), s.nextDue(version == "")
	if wrote {
		t.writes++
	}
	return changed
}

// miss records that the version could not be read.
func (s *versions) miss(ref secrets.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.refs[ref]; t != nil {
		t.known, t.failed, t.due = false, true, s.nextDue(false)
	}
}

// next returns the secret that is to be read first, and when. It forgets secrets
// that have not been asked for in a long time.
func (s *versions) next() (ref secrets.Ref, due time.Time, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due = time.Now().Add(s.interval)
	for candidate, t := range s.refs {
		switch {
		case time.Since(t.asked) > forgetAfter:
			delete(s.refs, candidate)
		case ref.Engine == "" || t.due.Before(due):
			ref, due, writes = candidate, t.due, t.writes
		}
	}
	return ref, due, writes
}

// poll reads the versions of the secrets in use, one after the other, until ctx
// ends.
func (v *Vault) poll(ctx context.Context) {
	v.versions.polling.Store(true)
	defer v.versions.polling.Store(false)
	for {
		_, due, _ := v.versions.next()
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(time.Until(due), pollSpacing)):
		}
		// A caller may have read it in the meantime.
		ref, due, writes := v.versions.next()
		if ref.Engine == "" || time.Now().Before(due) || v.State() != nil {
			continue
		}
		// OnChange is called when it can be read again.
		_, _ = v.readVersion(ctx, ref, writes)
	}
}

// learned records a version and calls OnChange if it is news.
func (v *Vault) learned(ref secrets.Ref, version string, writes int, wrote bool) {
	if v.versions.learn(ref, version, writes, wrote) {
		v.o.OnChange(ref)
	}
}
