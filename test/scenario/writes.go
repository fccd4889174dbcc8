package scenario

import (
	"context"
	"fmt"
	"maps"
	"time"

	"nautes.io/nautes/test/devstack"
)

// settled is how long nothing is written on control planes that are at rest.
const settled = time.Second

// Settle waits until nothing is written on control planes. busy reports other writes
// that the caller waits for, by a text that changes with each of them. It may be nil.
func Settle(ctx context.Context, patience time.Duration, planes map[string]*devstack.ControlPlane, busy func() string) error {
	last, since := map[string]string{}, time.Now()
	return Until(ctx, patience, "control planes at rest", func(ctx context.Context) error {
		now := map[string]string{}
		if busy != nil {
			now["elsewhere"] = busy()
		}
		for name, plane := range planes {
			revision, err := plane.EtcdRevision(ctx)
			if err != nil {
				return err
			}
			now[name] = fmt.Sprint(revision)
		}
		if !maps.Equal(now, last) {
			last, since = now, time.Now()
		}
		if time.Since(since) < settled {
			return fmt.Errorf("they are written to, and are at %v", now)
		}
		return nil
	})
}

// Recording holds the writes on control planes since it began.
type Recording struct {
	planes map[string]*devstack.ControlPlane
	marks  map[string]devstack.Mark
}

// Record begins a recording of the writes on control planes.
func Record(ctx context.Context, planes map[string]*devstack.ControlPlane) (*Recording, error) {
	r := &Recording{planes: planes, marks: map[string]devstack.Mark{}}
	for name, plane := range planes {
		mark, err := plane.Mark(ctx)
		if err != nil {
			return nil, err
		}
		r.marks[name] = mark
	}
	return r, nil
}

// Changes returns the objects that have changed, by control plane.
func (r *Recording) Changes(ctx context.Context) (map[string][]devstack.Change, error) {
	changes := map[string][]devstack.Change{}
	for name, plane := range r.planes {
		found, err := plane.Changes(ctx, r.marks[name])
		if err != nil {
			return nil, err
		}
		changes[name] = found
	}
	return changes, nil
}

// Requests returns the requests to write, by control plane.
func (r *Recording) Requests() (map[string][]devstack.Request, error) {
	requests := map[string][]devstack.Request{}
	for name, plane := range r.planes {
		found, err := plane.Requests(r.marks[name])
		if err != nil {
			return nil, err
		}
		requests[name] = found
	}
	return requests, nil
}
