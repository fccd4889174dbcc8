package rest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/rest/body"
)

const (
	// feedPause is the pause between two looks at the cache of the tenant cluster.
	feedPause = time.Second
	// feedAge is the age of a view at which a feed fetches, although nothing says that the
	// repository has changed.
	feedAge = 30 * time.Second
)

// feedKey names the resources of a kind in a repository.
type feedKey struct{ repository, kind string }

// feed renders the resources of one kind in one repository for all its watchers.
type feed struct {
	res    *resource
	cancel context.CancelFunc
	// users is guarded by the lock of feeds.
	users int
	// look asks for a look at once.
	look chan struct{}

	mutex sync.Mutex
	// place has the credentials of the watcher that was authorised last.
	place *place
	state feedState
}

// feedState is a rendered list. It never changes.
type feedState struct {
	revision string
	items    []feedItem
	// signature of the files and objects that were rendered, by which a change is found.
	signature string
	// next is closed when there is another state.
	next chan struct{}
	// known is false before the first look that succeeds, and err is the error of one that
	// fails before it.
	known bool
	err   error
}

// feedItem is a rendered resource. Its digest leaves out the fields that every commit changes.
type feedItem struct {
	name   string
	digest [8]byte
	data   json.RawMessage
	body   any
}

// feeds has the feeds that have watchers.
type feeds struct {
	mutex sync.Mutex
	all   map[feedKey]*feed
	pause time.Duration
}

func newFeeds() *feeds { return &feeds{all: map[feedKey]*feed{}, pause: feedPause} }

// subscribe returns the feed of a kind in a place. The caller must call leave.
func (s *Server) subscribe(p *place, res *resource) (f *feed, leave func()) {
	key := feedKey{p.edit.Key, res.kind}
	s.feeds.mutex.Lock()
	defer s.feeds.mutex.Unlock()
	f = s.feeds.all[key]
	if f == nil {
		ctx, cancel := context.WithCancel(context.Background())
		f = &feed{res: res, cancel: cancel, look: make(chan struct{}, 1), place: p, state: feedState{next: make(chan struct{})}}
		s.feeds.all[key] = f
		go s.run(ctx, f)
	}
	f.users++
	f.renew(p)
	return f, func() {
		s.feeds.mutex.Lock()
		defer s.feeds.mutex.Unlock()
		if f.users--; f.users == 0 {
			delete(s.feeds.all, key)
			f.cancel()
		}
	}
}

// changed makes the feeds of a repository look for the change that a request has made.
func (f *feeds) changed(repository string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for key, one := range f.all {
		if key.repository == repository {
			select {
			case one.look <- struct{}{}:
			default:
			}
		}
	}
}

// current returns the list that the feed has rendered last.
func (f *feed) current() feedState {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.state
}

// use gives the feed the credentials of a watcher that is authorised.
func (f *feed) use(p *place) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.place = p
}

// renew gives a feed that has rendered nothing the credentials of a new watcher.
func (f *feed) renew(p *place) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.state.err != nil {
		f.place, f.state = p, feedState{next: make(chan struct{})}
		select {
		case f.look <- struct{}{}:
		default:
		}
	}
}

// fail keeps an error if nothing has been rendered. Watchers need not wait then.
func (f *feed) fail(err error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if !f.state.known {
		close(f.state.next)
		f.state = feedState{err: err, next: make(chan struct{})}
	}
}

// run renders the resources whenever they change, until the last watcher leaves.
func (s *Server) run(ctx context.Context, f *feed) {
	tick := time.NewTicker(s.feeds.pause)
	defer tick.Stop()
	synced := ""
	for {
		err := edit.Guard(func() (err error) {
			alone, cancel := context.WithTimeout(ctx, s.options.Timeout)
			defer cancel()
			synced, err = s.refresh(alone, f, synced)
			return err
		})
		if err != nil && ctx.Err() == nil {
			// A watcher with a lost right ends by itself, and the next look has the
			// credentials of another one.
			f.fail(err)
			s.options.Log.V(1).Info("a repository with watchers cannot be read", "kind", f.res.kind, "error", asProblem(err).Message)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.ending:
			return
		case <-tick.C:
		case <-f.look:
		}
	}
}

// refresh renders the resources if they have changed. It fetches only if the tenant
// cluster has mirrored another revision than before, or the view is old.
func (s *Server) refresh(ctx context.Context, f *feed, before string) (synced string, err error) {
	f.mutex.Lock()
	p, last := f.place, f.state
	f.mutex.Unlock()
	r := &reader{s: s, ctx: ctx, res: f.res, place: p}
	if r.synced, err = s.synced(ctx, p); err != nil {
		return before, err
	}
	if r.view, err = s.options.Editor.View(ctx, p.edit, feedAge); err != nil {
		return before, err
	}
	if r.synced != before && r.synced != r.view.Revision() {
		if r.view, err = s.options.Editor.View(ctx, p.edit, 0); err != nil {
			return before, err
		}
	}
	entries := r.view.List(f.res.kind)
	signature, err := r.signature(entries)
	if err != nil || last.known && signature == last.signature && last.revision == r.view.Revision() {
		return r.synced, err
	}
	r.names = newNames(ctx, nil, p, r.view)
	next := feedState{revision: r.view.Revision(), signature: signature, next: make(chan struct{}), known: true}
	for _, entry := range entries {
		item, err := r.render(entry)
		if err != nil {
			return before, err
		}
		next.items = append(next.items, item)
	}
	slices.SortFunc(next.items, func(a, b feedItem) int { return strings.Compare(a.name, b.name) })
	f.mutex.Lock()
	defer f.mutex.Unlock()
	close(f.state.next)
	f.state = next
	return r.synced, nil
}

// signature describes files and their mirrored objects.
func (r *reader) signature(entries []edit.Entry) (string, error) {
	h := sha256.New()
	for _, entry := range entries {
		version := ""
		if r.s.options.Reader != nil {
			mirrored, err := r.mirrored(entry.Object)
			if err != nil {
				return "", err
			}
			if mirrored != nil {
				version = mirrored.GetResourceVersion()
			}
		}
		_, _ = fmt.Fprintf(h, "%s %s %s\n", entry.Path, entry.Blob, version)
	}
	return string(h.Sum(nil)), nil
}

// render returns the reply of a resource with its digest.
func (r *reader) render(entry edit.Entry) (feedItem, error) {
	b, err := r.item(entry)
	if err != nil {
		return feedItem{}, err
	}
	item := feedItem{name: body.NameOf(b), body: b}
	if item.data, err = json.Marshal(b); err != nil {
		return feedItem{}, err
	}
	status := body.StatusOf(b)
	if status != nil {
		// Other resources' commits change these too.
		lasting := *status
		lasting.Revision, lasting.Current, lasting.URLs = "", false, nil
		body.SetStatus(b, &lasting)
	}
	lasting, err := json.Marshal(b)
	body.SetStatus(b, status)
	h := sha256.New()
	h.Write(lasting)
	copy(item.digest[:], h.Sum(nil))
	return item, err
}

// digestOfItems returns the digest of a list.
func digestOfItems(items map[string][8]byte) uint64 {
	names := make([]string, 0, len(items))
	for name := range items {
		names = append(names, name)
	}
	slices.Sort(names)
	h := sha256.New()
	for _, name := range names {
		digest := items[name]
		_, _ = fmt.Fprintf(h, "%s %x\n", name, digest)
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}
