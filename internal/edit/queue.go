package edit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/git"
)

const (
	// maxBatch is the number of requests that share a push.
	maxBatch = 100
	// maxAttempts is the number of pushes for a request when others push in between.
	maxAttempts = 8
	// maxPause is the longest pause before the second attempt; it grows with each one.
	maxPause = 50 * time.Millisecond
	// undoTime bounds the time to take back a preparation.
	undoTime = 30 * time.Second
)

// pending is a request that waits for its outcome.
type pending struct {
	Request
	ctx     context.Context
	arrived time.Time

	// prepared: Prepare has succeeded, and undo takes it back.
	prepared bool
	undo     func(ctx context.Context) error

	result Result
	err    error
	done   chan struct{}
}

// Do makes the change of a request, and returns when the server has the commit. It
// judges the change by the head of the branch: the request is refused only for errors
// of its object, or errors that it would bring about in others. Errors are an
// *InvalidError, *InUseError or *TakenError, wrap ErrNotFound, ErrPrecondition,
// ErrContended or ErrKeyReused, or are the ones of git.Mirrors.Push.
//
// Concurrent requests to one repository wait for each other. Requests of one caller
// share a push. If the context ends while the push is under way, Do waits for it.
func (e *Editor) Do(ctx context.Context, q Request) (Result, error) {
	if err := q.check(); err != nil {
		return Result{}, err
	}
	if q.DryRun {
		return e.try(ctx, q)
	}
	l := e.lane(q.Repository.Key)
	p := &pending{Request: q, ctx: ctx, arrived: e.now(), done: make(chan struct{})}
	if l.enqueue(p) {
		go e.work(context.WithoutCancel(ctx), l)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		if l.withdraw(p) {
			return Result{}, fmt.Errorf("repository %s: waiting for other changes: %w", q.Repository.Key, ctx.Err())
		}
		<-p.done
	}
	return p.result, p.err
}

// check refuses requests that cannot become a commit.
func (q Request) check() error {
	if (q.Save == nil) == (q.Delete.Name == "") {
		return errors.New("a request needs either an object to save or one to delete")
	}
	texts := []string{q.Subject}
	for _, t := range q.Trailers {
		texts = append(texts, t.Key, t.Value)
	}
	if q.Subject == "" || slices.ContainsFunc(texts, func(text string) bool { return strings.ContainsAny(text, "\r\n\x00") }) {
		return errors.New("a commit needs a subject, and neither subject nor trailers may have line ends")
	}
	return nil
}

// key returns the idempotency key, or "".
func (q Request) key() string {
	for _, t := range q.Trailers {
		if strings.EqualFold(t.Key, TrailerIdempotencyKey) {
			return t.Value
		}
	}
	return ""
}

// message returns the message of the commit.
func (q Request) message() string {
	trailers := slices.Clone(q.Trailers)
	if q.Save == nil {
		trailers = append(trailers, Trailer{Key: v1alpha1.TrailerConfirmPrune, Value: v1alpha1.TrailerConfirmed})
	}
	message := q.Subject + "\n"
	for i, t := range trailers {
		if i == 0 {
			message += "\n"
		}
		message += t.Key + ": " + t.Value + "\n"
	}
	return message
}

// enqueue adds a request, and reports whether the caller must start the worker.
func (l *lane) enqueue(p *pending) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, p)
	start := !l.working
	l.working = true
	return start
}

// withdraw removes a request, and reports whether no worker had it yet.
func (l *lane) withdraw(p *pending) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, p)
	if i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	return i >= 0
}

// take returns the first request and the other ones of its caller. Of requests with one
// idempotency key it returns the first, so that the next ones find its commit. Without
// requests the worker ends.
func (l *lane) take() []*pending {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.working = false
		return nil
	}
	first := l.waiting[0]
	keys := map[string]bool{}
	var batch, rest []*pending
	for _, p := range l.waiting {
		key := p.key()
		mine := p.Caller == first.Caller && p.Repository.Source.URL == first.Repository.Source.URL && p.Repository.Source.Branch == first.Repository.Source.Branch
		if !mine || len(batch) == maxBatch || key != "" && keys[key] {
			rest = append(rest, p)
			continue
		}
		keys[key] = true
		batch = append(batch, p)
	}
	l.waiting = rest
	return batch
}

// work works off the requests of a repository until there are none. A panic ends the
// requests of its batch only.
func (e *Editor) work(ctx context.Context, l *lane) {
	for batch := l.take(); batch != nil; batch = l.take() {
		err := Guard(func() error {
			e.push(ctx, l, batch)
			return nil
		})
		for _, p := range batch {
			if !p.finished() {
				p.finish(Result{}, err)
			}
		}
	}
}

func (p *pending) finished() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// finish ends a request. The preparation of a request that fails is taken back.
func (p *pending) finish(result Result, err error) {
	if err != nil && p.undo != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), undoTime)
		defer cancel()
		if failure := Guard(func() error { return p.undo(ctx) }); failure != nil {
			err = fmt.Errorf("%w (and what was prepared could not be taken back: %w)", err, failure)
		}
	}
	p.result, p.err = result, err
	close(p.done)
}

// accepted is a request whose change is to be pushed.
type accepted struct {
	*pending
	verdict verdict
}

// push makes a batch of requests of one caller into commits, and finishes each of them.
func (e *Editor) push(ctx context.Context, l *lane, batch []*pending) {
	r := batch[0].Repository
	var since time.Time
	for attempt := range maxAttempts {
		if attempt > 0 {
			e.pause(ctx, attempt)
		}
		v, err := e.atLeast(ctx, l, r, since)
		if err != nil {
			fail(batch, err)
			return
		}
		list, stale := e.acceptAll(ctx, l, v, &batch)
		if stale {
			// The files of an older view refuse nothing.
			since = e.now()
			if v, err = e.refresh(ctx, l, r, since); err != nil {
				fail(batch, err)
				return
			}
			list, _ = e.acceptAll(ctx, l, v, &batch)
		}
		if len(list) == 0 {
			return
		}
		asked := e.now()
		commits, err := e.Mirrors.Push(ctx, r.Key, r.Source, v.revision, drafts(list, asked))
		var denied *git.DeniedError
		switch {
		case err == nil:
			e.settle(l, v, list, commits, asked)
			return
		case errors.As(err, &denied) && len(list) > 1:
			// The server may refuse one of them alone.
			for _, one := range list {
				e.push(ctx, l, []*pending{one.pending})
			}
			return
		case !errors.Is(err, git.ErrOutdated):
			fail(batch, err)
			return
		}
		since = e.now()
	}
	fail(batch, ErrContended)
}

func fail(batch []*pending, err error) {
	for _, p := range batch {
		p.finish(Result{}, err)
	}
}

// pause waits before another attempt, so that editors which race come apart.
func (e *Editor) pause(ctx context.Context, attempt int) {
	timer := time.NewTimer(rand.N(time.Duration(attempt) * maxPause))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// atLeast returns the last view, or one that is not older than a time.
func (e *Editor) atLeast(ctx context.Context, l *lane, r Repository, since time.Time) (*View, error) {
	if v := l.current(); v.of(r.Source) && !v.confirmed.Before(since) {
		return v, nil
	}
	return e.refresh(ctx, l, r, since)
}

// acceptAll judges requests one after another, each by the files after the ones before
// it. It finishes the requests that need no push, and returns the others, which are also
// left in the batch. It reports true, and accepts nothing, if such a request is younger
// than the view: then a younger view must decide.
func (e *Editor) acceptAll(ctx context.Context, l *lane, v *View, batch *[]*pending) (list []accepted, stale bool) {
	var left []*pending
	for i, p := range *batch {
		if err := p.ctx.Err(); err != nil {
			p.finish(Result{}, err)
			continue
		}
		var result verdict
		err := Guard(func() (err error) {
			result, err = e.accept(ctx, l, v, p)
			return err
		})
		if (err != nil || result.files == nil) && v.confirmed.Before(p.arrived) {
			*batch = append(left, (*batch)[i:]...)
			return nil, true
		}
		if err == nil && result.replayed == nil {
			err = Guard(p.prepare)
		}
		switch {
		case err != nil:
			p.finish(Result{}, err)
		case result.replayed != nil:
			p.finish(*result.replayed, nil)
		case result.files == nil:
			p.finish(result.result(v.revision), nil)
		default:
			list, left = append(list, accepted{p, result}), append(left, p)
			v = v.with(result)
		}
	}
	*batch = left
	return list, false
}

// accept judges a request, unless it has been done before.
func (e *Editor) accept(ctx context.Context, l *lane, v *View, p *pending) (verdict, error) {
	if p.key() != "" {
		result, found, err := e.replay(ctx, l, p.Repository, v.revision, p.Request)
		if err != nil || found {
			return verdict{replayed: &result}, err
		}
	}
	return e.judge(ctx, v, p.Request)
}

// prepare runs Prepare once.
func (p *pending) prepare() error {
	if p.prepared || p.Prepare == nil {
		return nil
	}
	undo, err := p.Prepare(p.ctx)
	if err == nil {
		p.prepared, p.undo = true, undo
	}
	return err
}

// result returns the result of a verdict.
func (r verdict) result(commit string) Result {
	return Result{Commit: commit, Path: r.path, Blob: r.blob, Changed: r.files != nil, Warnings: r.warnings}
}

// drafts returns the commits of accepted requests.
func drafts(list []accepted, when time.Time) []git.Draft {
	all := make([]git.Draft, 0, len(list))
	for _, one := range list {
		all = append(all, git.Draft{
			Name: one.Caller.Name, Email: one.Caller.Email, Time: when, Message: one.message(), Files: one.verdict.files,
		})
	}
	return all
}

// settle makes the pushed commits the last view, and finishes their requests.
func (e *Editor) settle(l *lane, v *View, list []accepted, commits []string, asked time.Time) {
	next := v
	for _, one := range list {
		next = next.with(one.verdict)
	}
	l.advance(newView(v.source, commits[len(commits)-1], asked, next.entries))
	for i, one := range list {
		result := one.verdict.result(commits[i])
		l.done.add(one.Request, result)
		one.finish(result, nil)
	}
	l.done.advance(v.revision, commits[len(commits)-1])
}
