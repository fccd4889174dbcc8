// Package pace remembers when something in a forge was looked at. It guarantees that a
// forge is asked about it again after an hour, and after failures with growing pauses.
package pace

import (
	"crypto/sha256"
	"maps"
	"math/rand/v2"
	"sync"
	"time"
)

// Times between two looks: while it is as it should be, and after failures.
const (
	CheckEvery = time.Hour
	FirstPause = 30 * time.Second
	LastPause  = 15 * time.Minute
)

// Identity identifies the state that was looked for.
type Identity = [sha256.Size]byte

// Look is the last look of an owner.
type Look struct {
	Of Identity
	// Note is of the owner, and not interpreted.
	Note string
	// Err is the failure of the look, or nil.
	Err error

	at, next time.Time
	failures int
}

// Memory has the last look of each owner. The zero value is empty.
type Memory struct {
	// Now returns the time, or is nil for the time of the system.
	Now func() time.Time

	mutex sync.Mutex
	looks map[string]Look
}

// Last returns the last look of an owner, and the time until the next one must follow. The
// time is 0 if it must follow now, for example because the last one was for something else.
func (m *Memory) Last(owner string, of Identity) (last Look, again time.Duration) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	last = m.looks[owner]
	if last.Of != of {
		return last, 0
	}
	return last, max(0, last.next.Sub(m.now()))
}

// Looked notes a look, and returns the time until the next one. A failure is followed
// after a pause, or after atLeast if that is longer.
func (m *Memory) Looked(owner string, look Look, atLeast time.Duration) (again time.Duration) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	again = stretched(CheckEvery)
	if look.Err != nil {
		last := m.looks[owner]
		look.failures = last.failures + 1
		again = max(atLeast, stretched(min(FirstPause<<min(last.failures, 10), LastPause)))
	}
	look.at = m.now()
	look.next = look.at.Add(again)
	if m.looks == nil {
		m.looks = map[string]Look{}
	}
	m.looks[owner] = look
	return again
}

// Since returns the time until a pause after the last look of an owner has passed, or 0.
func (m *Memory) Since(owner string, pause time.Duration) time.Duration {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	last, found := m.looks[owner]
	if !found {
		return 0
	}
	return max(0, last.at.Add(pause).Sub(m.now()))
}

// Forget lets the next look of an owner follow at once.
func (m *Memory) Forget(owner string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.looks, owner)
}

// Retry lets the next look follow at once for each owner whose last one failed.
func (m *Memory) Retry() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	maps.DeleteFunc(m.looks, func(_ string, last Look) bool { return last.Err != nil })
}

func (m *Memory) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

// stretched adds up to a tenth to an interval at random, so that the objects of a tenant
// are not looked at all at once.
func stretched(interval time.Duration) time.Duration {
	return interval + rand.N(interval/10+1)
}
