package githost

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
)

// hookTimeout is how long GitLab waits for an answer.
const hookTimeout = 10 * time.Second

// Hook is a project's push hook.
type Hook struct {
	URL string
	// Token is sent as X-Gitlab-Token; none when it is empty.
	Token string
	// Host is the host of the request when the URL leads to a gateway's address.
	// If it is empty, the host of the URL is used.
	Host string
}

// Delivery is one call of a hook.
type Delivery struct {
	Hook string
	// Event is X-Gitlab-Event: Push Hook or Tag Push Hook.
	Event string
	// Ref, Before and After describe the push.
	Ref, Before, After string
	// Status is the HTTP status of the answer; 0 with Err when there was none.
	Status int
	Err    error
	Took   time.Duration

	hook   Hook
	header http.Header
	body   []byte
}

// AddHook calls a URL after each push to a repository. Like GitLab, the host
// tries once and does not wait: deliveries of two pushes may cross.
func (g *Host) AddHook(path string, hook Hook) error {
	found, err := g.find(path)
	if err != nil {
		return err
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	found.hooks = append(found.hooks, hook)
	return nil
}

// RemoveHooks takes the hooks of a repository away: pushes go unannounced.
func (g *Host) RemoveHooks(path string) error {
	found, err := g.find(path)
	if err != nil {
		return err
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	found.hooks = nil
	return nil
}

// Deliveries returns the calls of a repository's hooks that have ended, in that order.
func (g *Host) Deliveries(path string) ([]Delivery, error) {
	found, err := g.find(path)
	if err != nil {
		return nil, err
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return slices.Clone(found.deliveries), nil
}

// announce calls the hooks for every branch and tag that a push has changed.
func (g *Host) announce(ctx context.Context, repository *repository, before, after map[string]string) {
	g.mutex.Lock()
	hooks := slices.Clone(repository.hooks)
	g.mutex.Unlock()
	if len(hooks) == 0 {
		return
	}
	for _, update := range diffReferences(before, after) {
		event, err := newPushEvent(ctx, repository, g.URL, update)
		if err != nil {
			g.logf("hooks of %s: %v", repository.Path, err)
			continue
		}
		body, err := json.Marshal(event)
		if err != nil {
			g.logf("hooks of %s: %v", repository.Path, err)
			continue
		}
		for _, hook := range hooks {
			g.sending.Go(func() { g.deliver(repository, hook, update, body) })
		}
	}
}

func (g *Host) deliver(repository *repository, hook Hook, update refUpdate, body []byte) {
	started := time.Now()
	delivery := Delivery{
		Hook: hook.URL, Event: update.event(), Ref: update.ref, Before: update.before, After: update.after,
		hook: hook, header: g.header(update.event()), body: body,
	}
	delivery.Status, delivery.Err = g.call(g.hooks, hook, delivery.header, body)
	delivery.Took = time.Since(started)
	g.mutex.Lock()
	defer g.mutex.Unlock()
	repository.deliveries = append(repository.deliveries, delivery)
}

// Redeliver sends a delivery again, as GitLab does after a failure: it is the same
// byte by byte. With a token it claims another sender. It returns the
// HTTP status of the answer.
func (g *Host) Redeliver(ctx context.Context, d Delivery, token string) (int, error) {
	if token != "" {
		d.hook.Token = token
	}
	return g.call(ctx, d.hook, d.header, d.body)
}

// header returns the headers that GitLab sends with a new delivery.
func (g *Host) header(event string) http.Header {
	header := http.Header{}
	for name, value := range map[string]string{
		"Content-Type":          "application/json",
		"User-Agent":            "GitLab/17.5.0",
		"Idempotency-Key":       string(uuid.NewUUID()),
		"X-Gitlab-Event":        event,
		"X-Gitlab-Instance":     g.URL,
		"X-Gitlab-Event-UUID":   string(uuid.NewUUID()),
		"X-Gitlab-Webhook-UUID": string(uuid.NewUUID()),
	} {
		header.Set(name, value)
	}
	return header
}

func (g *Host) call(ctx context.Context, hook Hook, header http.Header, body []byte) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("call hook: %w", err)
	}
	request.Header, request.Host = header.Clone(), hook.Host
	if hook.Token != "" {
		request.Header.Set("X-Gitlab-Token", hook.Token)
	}
	response, err := g.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("call hook: %w", err)
	}
	return response.StatusCode, response.Body.Close()
}

const (
	// noCommit stands for the commit of a reference that is not there.
	noCommit = "0000000000000000000000000000000000000000"

	defaultRef = "refs/heads/" + DefaultBranch
)

// refUpdate is the effect of a push on one reference.
type refUpdate struct {
	ref, before, after string
	// known is the commit whose history receivers have: the previous one, or the
	// head of the default branch for a new branch. It is empty if there is none.
	known string
}

func (u refUpdate) isTag() bool { return strings.HasPrefix(u.ref, "refs/tags/") }

func (u refUpdate) event() string {
	if u.isTag() {
		return "Tag Push Hook"
	}
	return "Push Hook"
}

func diffReferences(before, after map[string]string) []refUpdate {
	all := map[string]refUpdate{}
	for ref, commit := range before {
		all[ref] = refUpdate{ref: ref, before: commit, after: noCommit, known: commit}
	}
	for ref, commit := range after {
		update, was := all[ref]
		if !was {
			update = refUpdate{ref: ref, before: noCommit}
			if ref != defaultRef {
				update.known = after[defaultRef]
			}
		}
		update.after = commit
		all[ref] = update
	}
	var updates []refUpdate
	for _, update := range all {
		if update.before != update.after {
			updates = append(updates, update)
		}
	}
	slices.SortFunc(updates, func(a, b refUpdate) int { return strings.Compare(a.ref, b.ref) })
	return updates
}

// references returns the branches and tags of a repository with their commits.
func references(ctx context.Context, dir string) (map[string]string, error) {
	out, err := git(ctx, dir, nil, nil, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags")
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for line := range strings.Lines(out) {
		commit, ref, _ := strings.Cut(strings.TrimSpace(line), " ")
		found[ref] = commit
	}
	return found, nil
}
