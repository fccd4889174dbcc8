package vault

import (
	"context"
	"errors"
	"sync"
	"time"

	"nautes.io/nautes/internal/secrets"
)

const (
	// pollSpacing is the pause between two reads of the poll: 20 in a second.
	pollSpacing = 50 * time.Millisecond
	// forgetAfter is how long a secret is looked at after somebody has asked for
	// it: longer than nobody looks at what depends on it.
	forgetAfter = 24 * time.Hour
	// maxTracked is how many secrets are looked at. The versions of others are
	// read whenever they are asked for, and their changes are not told.
	maxTracked = 20_000
)

// tracked is what is known of the version of a secret in use.
type tracked struct {
	// version is empty when there is no such secret.
	version string
	// known: version has been read. failed: somebody was told that it cannot be.
	known, failed bool
	// asked for last, looked at last, and to be looked at next.
	asked, checked, due time.Time
	// writes counts our own, which what was read before must not hide.
	writes int
}

// versions remembers the versions of the secrets in use.
type versions struct {
	interval time.Duration

	mu      sync.Mutex
	refs    map[secrets.Ref]*tracked
	polling bool
}

// ask notes that somebody wants to know of a secret. It returns what to call
// learn with after the secret has been read.
func (s *versions) ask(ref secrets.Ref) (writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.track(ref)
	if t == nil {
		return 0
	}
	return t.writes
}

// recall returns the version of a secret, if the poll keeps it fresh.
func (s *versions) recall(ref secrets.Ref) (version string, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.track(ref)
	if t == nil || !t.known || !s.polling {
		return "", false
	}
	round := max(s.interval, time.Duration(len(s.refs))*pollSpacing)
	return t.version, time.Since(t.checked) < 2*round
}

// track returns what is known of a secret; nil when there are too many. s.mu is held.
func (s *versions) track(ref secrets.Ref) *tracked {
	t := s.refs[ref]
	if t == nil {
		if len(s.refs) >= maxTracked {
			return nil
		}
		t = &tracked{due: time.Now().Add(jittered(s.interval))}
		s.refs[ref] = t
	}
	t.asked = time.Now()
	return t
}

// learn notes the version that was read, or written; empty: there is none. It
// tells whether those who use the secret have to know.
func (s *versions) learn(ref secrets.Ref, version string, writes int, wrote bool) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.refs[ref]
	if t == nil || (!wrote && t.writes != writes) {
		return false
	}
	changed = t.failed || t.known && t.version != version
	now := time.Now()
	t.version, t.known, t.failed, t.checked, t.due = version, true, false, now, now.Add(jittered(s.interval))
	if wrote {
		t.writes++
	}
	return changed
}

// miss notes that the version could not be read.
func (s *versions) miss(ref secrets.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.refs[ref]; t != nil {
		t.known, t.failed, t.due = false, true, time.Now().Add(jittered(s.interval))
	}
}

// next returns the secret that is to be looked at first, and when, and forgets
// those that nobody has asked for in a long time.
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

func (s *versions) setPolling(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polling = on
}

// poll looks at the versions of the secrets in use, one after the other, until
// ctx ends. It only reads.
func (v *Vault) poll(ctx context.Context) {
	v.versions.setPolling(true)
	defer v.versions.setPolling(false)
	for {
		_, due, _ := v.versions.next()
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(time.Until(due), pollSpacing)):
		}
		// Others may have looked at it in the meantime.
		ref, due, writes := v.versions.next()
		if ref.Engine == "" || time.Now().Before(due) || v.State() != nil {
			continue
		}
		_, err := v.readVersion(ctx, ref, writes)
		if err != nil && !errors.Is(err, secrets.ErrNotFound) && ctx.Err() == nil {
			v.versions.miss(ref)
		}
	}
}

// learned notes a version, and tells of it when it is news.
func (v *Vault) learned(ref secrets.Ref, version string, writes int, wrote bool) {
	if v.versions.learn(ref, version, writes, wrote) {
		v.o.OnChange(ref)
	}
}
