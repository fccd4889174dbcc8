package rest

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/rest/body"
)

const (
	// onceWindow is the time for which a repeated request about a product is known, and
	// maxOnce the number of such requests.
	onceWindow = 24 * time.Hour
	maxOnce    = 10_000
	// maxWrites is the number of changes of one repository that may be under way.
	maxWrites = 128
)

// keyed is a request about a product with an idempotency key. There is no commit that
// could keep the key, and each step can be repeated: so the process keeps it.
type keyed struct {
	digest string
	// done is closed when the reply is there, or the request has failed.
	done  chan struct{}
	reply *saved
	until time.Time
}

// onces has the requests with a key by caller and key.
type onces struct {
	mutex sync.Mutex
	all   map[string]*keyed
	now   func() time.Time
}

// begin returns the request with a key, and reports whether it is new.
func (o *onces) begin(key, digest string) (k *keyed, isNew bool) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	now := o.now()
	if k := o.all[key]; k != nil && now.Before(k.until) {
		return k, false
	}
	if len(o.all) >= maxOnce {
		for other, k := range o.all {
			if !now.Before(k.until) {
				delete(o.all, other)
			}
		}
		if len(o.all) >= maxOnce {
			clear(o.all)
		}
	}
	k = &keyed{digest: digest, done: make(chan struct{}), until: now.Add(onceWindow)}
	o.all[key] = k
	return k, true
}

// end keeps the reply of a request. A request that failed is forgotten.
func (o *onces) end(key string, k *keyed, reply *saved) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if k.reply = reply; reply == nil && o.all[key] == k {
		delete(o.all, key)
	}
	close(k.done)
}

// idempotencyKey returns the header Idempotency-Key, or an empty string.
func (x *exchange) idempotencyKey() (string, error) {
	key := x.r.Header.Get("Idempotency-Key")
	if key != "" && !idempotencyKeys.MatchString(key) {
		return "", at(http.StatusBadRequest, "header.Idempotency-Key", body.Invalid, "write at most 128 characters of ASCII")
	}
	return key, nil
}

// once makes a change of a product, unless the same request of the caller has made it.
func (s *Server) once(x *exchange, digest string, change func() (*saved, error)) error {
	key, err := x.idempotencyKey()
	if err != nil {
		return err
	}
	if key == "" || x.flag(queryDryRun) {
		reply, err := change()
		if err != nil {
			return err
		}
		return x.reply(reply, "")
	}
	key = strconv.FormatInt(x.caller.ID, 10) + "/" + key
	for {
		k, isNew := s.onces.begin(key, digest)
		if k.digest != digest {
			return at(http.StatusUnprocessableEntity, "header.Idempotency-Key", reasonKeyReused, "the key was used for another request: choose a new key")
		}
		if isNew {
			var reply *saved
			err := edit.Guard(func() (err error) {
				reply, err = change()
				return err
			})
			if err != nil {
				reply = nil
			}
			s.onces.end(key, k, reply)
			if err != nil {
				return err
			}
			return x.reply(reply, "")
		}
		select {
		case <-k.done:
			if k.reply != nil {
				return x.reply(k.reply, "")
			}
		case <-x.r.Context().Done():
			return x.r.Context().Err()
		}
	}
}

// writes counts the changes that are under way, by repository.
type writes struct {
	mutex sync.Mutex
	of    map[string]int
}

// enter counts a change, or returns a problem if there are too many.
func (w *writes) enter(repository string) (leave func(), refused error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.of[repository] >= maxWrites {
		return nil, problem(http.StatusTooManyRequests, reasonTooMany, "%d changes of the repository are under way: repeat the request", maxWrites).again(time.Second)
	}
	w.of[repository]++
	return func() {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		if w.of[repository]--; w.of[repository] == 0 {
			delete(w.of, repository)
		}
	}, nil
}

// edit makes a commit, unless too many are under way.
func (s *Server) edit(ctx context.Context, r edit.Request) (edit.Result, error) {
	leave, refused := s.writes.enter(r.Repository.Key)
	if refused != nil {
		return edit.Result{}, refused
	}
	defer leave()
	return s.options.Editor.Do(ctx, r)
}
