package rest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/rest/body"
)

const (
	// maxWait is the longest time for which a reply waits for the tenant cluster.
	maxWait = 45 * time.Second
	// lookAgain is the pause between two looks at the cache of the tenant cluster.
	lookAgain = 100 * time.Millisecond
)

// The states that a write reaches, in their order.
const (
	reachedCommitted = "committed"
	reachedMirrored  = "mirrored"
	reachedReady     = "ready"
	// reachedStalled: the resource cannot become ready without a change.
	reachedStalled = "stalled"
)

// preference is a wish of the header Prefer.
type preference struct {
	wait  time.Duration
	until string
}

// prefer reads the header Prefer of RFC 7240. Preferences that are not known or not
// valid are ignored, as the RFC demands.
func prefer(values []string) preference {
	p := preference{until: reachedMirrored}
	for _, value := range values {
		for one := range strings.SplitSeq(value, ",") {
			one, _, _ = strings.Cut(one, ";")
			name, value, _ := strings.Cut(one, "=")
			value = strings.Trim(strings.TrimSpace(value), `"`)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "wait":
				if seconds, err := strconv.ParseUint(value, 10, 31); err == nil && p.wait == 0 {
					p.wait = min(time.Duration(seconds)*time.Second, maxWait)
				}
			case "until":
				if value == reachedReady {
					p.until = value
				}
			}
		}
	}
	return p
}

// applied returns the header Preference-Applied.
func (p preference) applied() string {
	return fmt.Sprintf("wait=%d, until=%s", int(p.wait/time.Second), p.until)
}

// await waits, if the request prefers it, until the tenant cluster has mirrored a change,
// or the resource is ready. It fills in the state that was reached: the change itself is
// committed whatever it finds.
func (s *Server) await(x *exchange, c *change, result edit.Result, reply *saved) {
	if result.Commit == "" {
		return
	}
	r := &reader{s: s, res: x.op.resource, place: c.place, view: c.view, names: c.names}
	s.wait(x, reply, func(ctx context.Context) error {
		r.ctx = ctx
		return r.look(c.object, result, reply)
	})
}

// wait looks, if the request prefers it, until the state that it waits for is reached.
// look fills it in.
func (s *Server) wait(x *exchange, reply *saved, look func(context.Context) error) {
	p := prefer(x.r.Header.Values("Prefer"))
	if p.wait == 0 || s.options.Reader == nil || reply.DryRun {
		return
	}
	x.w.Header().Set("Preference-Applied", p.applied())
	ctx, cancel := context.WithTimeout(x.whole, p.wait)
	defer cancel()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	reply.Reached = reachedCommitted
	for {
		if err := look(ctx); err != nil {
			s.options.Log.Error(err, "waiting for the tenant cluster", "requestID", x.id)
			return
		}
		if reply.Reached != reachedCommitted && (p.until == reachedMirrored || reply.Reached != reachedMirrored) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.ending:
			return
		case <-tick.C:
		}
	}
}

// look fills in how far the tenant cluster is with a change of an object.
func (r *reader) look(o v1alpha1.Object, result edit.Result, reply *saved) error {
	synced, err := r.s.synced(r.ctx, r.place)
	if err != nil {
		return err
	}
	if reply.Reached == reachedCommitted && synced != r.synced {
		included, err := r.s.options.Editor.Includes(r.ctx, r.place.edit, synced, result.Commit)
		if err != nil {
			return err
		}
		if included {
			reply.Reached = reachedMirrored
		}
	}
	r.synced = synced
	mirrored, err := r.mirrored(o)
	if err != nil {
		return err
	}
	reply.Status = &body.Status{Revision: synced, Current: reply.Reached != reachedCommitted}
	if mirrored != nil {
		r.observe(reply.Status, mirrored.GetStatus())
	}
	if reply.Reached == reachedMirrored {
		reply.Reached = reached(o, mirrored, result.Blob == "")
	}
	return nil
}

// reached returns the state of the mirrored object of a change.
func reached(o, mirrored v1alpha1.Object, deleted bool) string {
	if deleted && mirrored == nil {
		return reachedReady
	}
	if deleted || mirrored == nil || !edit.SameSpec(o, mirrored) {
		return reachedMirrored
	}
	return readiness(mirrored)
}

// readiness returns the state of an object of the tenant cluster.
func readiness(mirrored v1alpha1.Object) string {
	status := mirrored.GetStatus()
	switch {
	case status.ObservedGeneration != mirrored.GetGeneration():
		return reachedMirrored
	case apimeta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionStalled):
		return reachedStalled
	case apimeta.IsStatusConditionPresentAndEqual(status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue):
		return reachedReady
	}
	return reachedMirrored
}
