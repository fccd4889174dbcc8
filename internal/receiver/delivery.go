package receiver

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"sync"
	"time"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/forges"
)

const (
	// Tolerance is the largest difference between the time of a delivery and the
	// clock here. Standard Webhooks asks for a small one.
	Tolerance = 5 * time.Minute
	// remembered is the least time for which accepted deliveries are remembered. A
	// delivery of the future is fresh for twice the tolerance.
	remembered = 2 * Tolerance
	// maxSeen is the most deliveries of one span of time that are remembered.
	maxSeen = 8192
)

// delivery is a request with the way in which its sender proves the token.
type delivery struct {
	sender forge.Forge
	forge.Proof
	forge.Delivery
}

// deliveryOf returns the delivery of a request without its body. It reports false
// if the request has no proof, or a header of the proof more than once.
func deliveryOf(r *http.Request) (delivery, bool) {
	for _, f := range forges.All() {
		for _, proof := range f.Hooks.Proofs {
			if len(r.Header.Values(proof.Header)) == 0 {
				continue
			}
			d := delivery{sender: f, Proof: proof}
			var one, complete bool
			if d.Delivery.Proof, one = only(r, proof.Header); !one {
				return delivery{}, false
			}
			if d.ID, one = only(r, proof.IDHeader); !one {
				return delivery{}, false
			}
			d.Time, one = only(r, proof.TimeHeader)
			complete = proof.TimeHeader == "" || d.Time != "" && d.ID != ""
			return d, one && complete
		}
	}
	return delivery{}, false
}

// only returns the value of a header, or an empty string if there is none. It reports
// false for several values.
func only(r *http.Request, header string) (string, bool) {
	values := r.Header.Values(header)
	if len(values) == 0 {
		return "", true
	}
	return values[0], len(values) == 1
}

// fresh reports whether the delivery was sent just now, or has no time.
func (d *delivery) fresh(now time.Time) bool {
	if d.TimeHeader == "" {
		return true
	}
	const bits = 40 // Later times overflow.
	seconds, err := strconv.ParseUint(d.Time, 10, bits)
	if err != nil {
		return false
	}
	return now.Sub(time.Unix(int64(seconds), 0)).Abs() <= Tolerance //nolint:gosec // It has 40 bits.
}

// id returns a text that only the same delivery has, or an empty one if there is none.
func (d *delivery) id() string {
	if d.IDHeader == "" {
		return d.Delivery.Proof
	}
	return d.ID
}

// sighting is a delivery that was accepted. The hash of its id bounds its size.
type sighting struct {
	source string
	id     [sha256.Size]byte
}

// seen remembers deliveries for a while. The zero value is empty.
type seen struct {
	mutex sync.Mutex
	// recent has the deliveries since a time, and older the ones of the span before.
	recent, older map[sighting]struct{}
	since         time.Time
}

// add remembers a delivery and reports whether it is new. One without an id is.
func (s *seen) add(source, id string, now time.Time) bool {
	if id == "" {
		return true
	}
	key := sighting{source, sha256.Sum256([]byte(id))}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if now.Sub(s.since) >= remembered || len(s.recent) >= maxSeen {
		s.older = s.recent
		if now.Sub(s.since) >= 2*remembered {
			s.older = nil
		}
		s.recent, s.since = map[sighting]struct{}{}, now
	}
	_, recent := s.recent[key]
	_, older := s.older[key]
	if recent || older {
		return false
	}
	s.recent[key] = struct{}{}
	return true
}
