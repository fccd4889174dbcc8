package rest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/rest/body"
	"nautes.io/nautes/internal/telemetry"
)

const (
	// maxStreams is how many lists a caller can watch at once, maxAllStreams how many all
	// callers can.
	maxStreams    = 20
	maxAllStreams = 5000
	// heartbeat is the longest silence of a stream, in which proxies keep it open.
	heartbeat = 15 * time.Second
	// checkAgain is the longest time after which the right of a silent stream is checked.
	// The right to receive an event is never older than remembered.
	checkAgain = time.Minute
	// slowClient is the time in which a client must take the data that is sent.
	slowClient = 10 * time.Second
	// retryStream is the pause after which a client connects again.
	retryStream = 5 * time.Second
)

// The types of events.
const (
	eventAdded    = "ADDED"
	eventModified = "MODIFIED"
	eventDeleted  = "DELETED"
	// eventBookmark follows the events of a change. Its id is the one to resume from.
	eventBookmark = "BOOKMARK"
)

// event is the data of a server-sent event.
type event struct {
	Type     string          `json:"type" enum:"ADDED,MODIFIED,DELETED,BOOKMARK"`
	Object   json.RawMessage `json:"object,omitempty" doc:"The resource; after a deletion only its names."`
	Revision string          `json:"revision,omitempty" doc:"The commit that a bookmark is about."`
}

// streams counts the streams of callers.
type streams struct {
	mutex sync.Mutex
	of    map[string]int
	all   int
}

// open counts a stream, or returns a problem if there are too many.
func (s *streams) open(key string) *Problem {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	switch {
	case s.of[key] >= maxStreams:
		return problem(http.StatusTooManyRequests, reasonTooMany, "you watch %d lists already: end one of these requests first", maxStreams).again(retryStream)
	case s.all >= maxAllStreams:
		return problem(http.StatusServiceUnavailable, reasonUnavailable, "the API server has too many watchers: list again instead, or try later").again(retryUnavailable)
	}
	s.of[key]++
	s.all++
	telemetry.APIWatchers.Set(float64(s.all))
	return nil
}

func (s *streams) close(key string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.all--
	if s.of[key]--; s.of[key] == 0 {
		delete(s.of, key)
	}
	telemetry.APIWatchers.Set(float64(s.all))
}

// position is where a stream can be resumed: a revision, and the digest of the list.
type position struct {
	revision string
	digest   uint64
}

func (p position) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s\n%x", p.revision, p.digest))
}

var revisions = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})?$`)

// resumes returns the position in the header Last-Event-ID, or nil.
func (x *exchange) resumes() (*position, error) {
	given := x.r.Header.Get("Last-Event-ID")
	if given == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(given)
	revision, digest, found := strings.Cut(string(raw), "\n")
	number, notHex := strconv.ParseUint(digest, 16, 64)
	if err != nil || !found || notHex != nil || !revisions.MatchString(revision) {
		return nil, at(http.StatusBadRequest, "header.Last-Event-ID", body.Invalid, "send the id of the last event, or leave the header out")
	}
	return &position{revision, number}, nil
}

// watchFiles answers with the resources of a kind, and then with their changes, as
// server-sent events.
func (s *Server) watchFiles(x *exchange) error {
	for _, name := range []string{queryLimit, queryContinue} {
		if x.query[name] != "" {
			return at(http.StatusBadRequest, "query."+name, body.Conflicting, "a list that is watched has no pages: remove it")
		}
	}
	selected, err := x.selection()
	if err != nil {
		return err
	}
	last, err := x.resumes()
	if err != nil {
		return err
	}
	p, err := s.place(x.r.Context(), x.caller, x.product)
	if err != nil {
		return err
	}
	if refused := s.streams.open(x.caller.key); refused != nil {
		return refused
	}
	defer s.streams.close(x.caller.key)
	f, leave := s.subscribe(p, x.op.resource)
	defer leave()
	w := &watcher{s: s, x: x, feed: f, selected: selected, sent: map[string][8]byte{}, control: http.NewResponseController(x.w)}
	state, err := w.first()
	if err != nil {
		return err
	}
	if last != nil {
		if err := w.resume(p, state, *last); err != nil {
			return err
		}
	}
	w.follow(state)
	return nil
}

// watcher is a stream of events.
type watcher struct {
	s        *Server
	x        *exchange
	feed     *feed
	selected func(b any) bool
	// sent has the digests of the resources that the client knows.
	sent    map[string][8]byte
	control *http.ResponseController
	checked time.Time
}

// first waits until the feed has rendered the list.
func (w *watcher) first() (feedState, error) {
	for {
		state := w.feed.current()
		if state.known || state.err != nil {
			return state, state.err
		}
		select {
		case <-state.next:
		case <-w.x.r.Context().Done():
			return state, w.x.r.Context().Err()
		case <-w.s.ending:
			return state, problem(http.StatusServiceUnavailable, reasonUnavailable, "the API server ends: repeat the request").again(time.Second)
		}
	}
}

// resume finds out which resources a client knows that has seen a position.
func (w *watcher) resume(p *place, state feedState, last position) error {
	now := w.digests(state)
	if state.revision == last.revision && digestOfItems(now) == last.digest {
		w.sent = now
		return nil
	}
	if last.revision == "" {
		return nil
	}
	ctx := w.x.r.Context()
	view, err := w.s.options.Editor.At(ctx, p.edit, last.revision)
	if errors.Is(err, git.ErrUnknownRevision) {
		return problem(http.StatusGone, reasonGone, "the history has no such revision any more: watch again without Last-Event-ID")
	}
	if err != nil {
		return err
	}
	r := &reader{s: w.s, ctx: ctx, res: w.x.op.resource, place: p, view: view, names: newNames(ctx, nil, p, view)}
	for _, entry := range view.List(r.res.kind) {
		b, err := r.item(entry)
		if err != nil {
			return err
		}
		if w.selected(b) {
			// The status that the client knows is not known here.
			w.sent[body.NameOf(b)] = [8]byte{}
		}
	}
	return nil
}

// digests returns the digests of the selected items of a state.
func (w *watcher) digests(state feedState) map[string][8]byte {
	all := map[string][8]byte{}
	for _, item := range state.items {
		if w.selected(item.body) {
			all[item.name] = item.digest
		}
	}
	return all
}

// follow sends the changes until the client leaves, loses its right or is too slow.
func (w *watcher) follow(state feedState) {
	ctx := w.x.whole
	h := w.x.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	w.x.replied, w.x.streamed = true, true
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	out := fmt.Appendf(nil, "retry: %d\n\n", retryStream.Milliseconds())
	for first := true; ; first = false {
		events := w.events(state)
		if first || len(events) > 0 {
			if err := w.allowed(ctx); err != nil {
				w.refuse(err)
				return
			}
			events = append(events, w.bookmark(state)...)
		}
		if out = append(out, events...); len(out) > 0 && w.send(out) != nil {
			return
		}
		out = nil
		select {
		case <-ctx.Done():
			return
		case <-w.s.ending:
			return
		case <-state.next:
			state = w.feed.current()
		case <-beat.C:
			out = []byte(": still here\n\n")
			if w.s.options.Now().Sub(w.checked) >= checkAgain {
				if err := w.allowed(ctx); err != nil {
					w.refuse(err)
					return
				}
			}
		}
	}
}

// events returns the events that bring the client to a state.
func (w *watcher) events(state feedState) []byte {
	var out bytes.Buffer
	now := map[string]bool{}
	for _, item := range state.items {
		if !w.selected(item.body) {
			continue
		}
		now[item.name] = true
		before, known := w.sent[item.name]
		switch {
		case !known:
			write(&out, "", event{Type: eventAdded, Object: item.data})
		case before != item.digest:
			write(&out, "", event{Type: eventModified, Object: item.data})
		}
		w.sent[item.name] = item.digest
	}
	for name := range w.sent {
		if !now[name] {
			b := w.x.op.resource.body()
			body.Identify(b, w.x.product, name)
			object, _ := json.Marshal(b)
			write(&out, "", event{Type: eventDeleted, Object: object})
			delete(w.sent, name)
		}
	}
	return out.Bytes()
}

func (w *watcher) bookmark(state feedState) []byte {
	var out bytes.Buffer
	write(&out, position{state.revision, digestOfItems(w.sent)}.String(), event{Type: eventBookmark, Revision: state.revision})
	return out.Bytes()
}

// write writes an event. JSON has no line ends.
func write(out *bytes.Buffer, id string, e event) {
	data, err := json.Marshal(e)
	if err != nil {
		return
	}
	if id != "" {
		out.WriteString("id: " + id + "\n")
	}
	out.WriteString("data: ")
	out.Write(data)
	out.WriteString("\n\n")
}

// allowed asks the forge whether the caller may still read the repository.
func (w *watcher) allowed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.s.options.Timeout)
	defer cancel()
	c, err := w.s.caller(ctx, string(w.x.caller.token.Bytes()))
	if err != nil {
		return err
	}
	p, err := w.s.place(ctx, c, w.x.product)
	if err != nil {
		return err
	}
	w.checked = w.s.options.Now()
	w.feed.use(p)
	return nil
}

// refuse ends the stream with a problem.
func (w *watcher) refuse(err error) {
	p := asProblem(err)
	w.x.outcome = p
	p.complete(w.x.id)
	data, err := json.Marshal(p)
	if err == nil {
		_ = w.send(fmt.Appendf(nil, "event: error\ndata: %s\n\n", data))
	}
}

// send sends data that a client must take in time.
func (w *watcher) send(data []byte) error {
	err := w.control.SetWriteDeadline(time.Now().Add(w.s.slow))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := w.x.w.Write(data); err != nil {
		return err
	}
	return w.control.Flush()
}
