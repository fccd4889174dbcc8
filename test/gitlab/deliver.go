package gitlab

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"

	"nautes.io/nautes/test/githost"
)

// hookTimeout is the time that GitLab waits for an answer.
const hookTimeout = 10 * time.Second

// pushedHooksLimit is the number of branches or tags up to which a push calls hooks.
const pushedHooksLimit = 3

// Delivery is a call of a hook.
type Delivery struct {
	Hook int64
	URL  string
	// Event is X-Gitlab-Event, such as Push Hook.
	Event  string
	Header http.Header
	Body   []byte
	// Status is the answer's, or 0 with Err if there was none.
	Status int
	Err    error
}

func (d Delivery) succeeded() bool { return d.Status >= 200 && d.Status < 400 }

func (d Delivery) loggedStatus() string {
	if d.Status == 0 {
		return "internal error"
	}
	return strconv.Itoa(d.Status)
}

// loggedHeader returns the headers without the secret.
func (d Delivery) loggedHeader() object {
	row := object{}
	for name := range d.Header {
		row[name] = d.Header.Get(name)
		if name == "X-Gitlab-Token" {
			row[name] = "[REDACTED]"
		}
	}
	return row
}

func newUUID() string { return string(uuid.NewUUID()) }

func (h *hook) copied() *hook {
	other := *h
	return &other
}

// unlocked runs a function without the lock.
func (s *Server) unlocked(f func() Delivery) Delivery {
	s.mu.Unlock()
	defer s.mu.Lock()
	return f()
}

// Deliveries returns the calls of a project's hooks that have ended, in that order.
func (s *Server) Deliveries(projectPath string) []Delivery {
	var found []Delivery
	s.read(func() {
		if p := s.projectAt(projectPath); p != nil {
			found = slices.Clone(p.deliveries)
		}
	})
	return found
}

// Redeliver sends a delivery again, byte by byte, as duplicates come. It returns the
// status of the answer.
func (s *Server) Redeliver(ctx context.Context, d Delivery) (int, error) {
	return s.post(ctx, d, true)
}

// announce calls the hooks of a project for the changes of a push.
func (s *Server) announce(p *project, u *user, pushed []githost.Pushed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushed(p, pushed)
	counts := map[string]int{}
	for _, change := range pushed {
		counts[change.Event]++
	}
	for _, change := range pushed {
		if counts[change.Event] > pushedHooksLimit {
			continue
		}
		body, err := s.eventBody(p, u, change.Ref, change.Body)
		if err != nil {
			s.fail("event of %s: %v", p.full(), err)
			continue
		}
		for _, h := range p.hooks {
			if h.alert(s.now()) == "executable" && h.wants(change) {
				sent, d := h.copied(), newDelivery(h, change.Event, body)
				twice := s.options.DuplicateDeliveries
				s.sending.Go(func() {
					done := s.call(sent, d)
					if twice {
						_, _ = s.post(s.hooks, done, sent.verify)
					}
					s.mu.Lock()
					defer s.mu.Unlock()
					s.finish(p, h, done)
				})
			}
		}
	}
}

// pushed notes the first push of a project and the time of the last.
func (s *Server) pushed(p *project, pushed []githost.Pushed) {
	for _, change := range pushed {
		branch, isBranch := strings.CutPrefix(change.Ref, "refs/heads/")
		if isBranch && !p.pushed && !change.Deleted() {
			// The first branch of a project becomes its default branch.
			p.pushed, p.branch = true, branch
			s.protectDefault(p)
		}
	}
	p.activity = s.now()
}

func (h *hook) wants(change githost.Pushed) bool {
	if change.Event == "Tag Push Hook" {
		return h.events["tag_push_events"]
	}
	branch := strings.TrimPrefix(change.Ref, "refs/heads/")
	return h.events["push_events"] && (h.filter == "" || h.strategy == "all_branches" || matches(h.filter, branch))
}

// eventBody puts the user and the protection into an event of the Git host.
func (s *Server) eventBody(p *project, u *user, ref string, body []byte) ([]byte, error) {
	event := object{}
	if err := json.Unmarshal(body, &event); err != nil {
		return nil, err
	}
	event["user_id"], event["user_name"], event["user_username"], event["user_email"] = u.ID, u.Name, u.Username, ""
	event["ref_protected"] = len(p.rulesFor(strings.TrimPrefix(ref, "refs/heads/"))) > 0
	if details, isObject := event["project"].(object); isObject {
		details["name"], details["description"], details["default_branch"] = p.name, p.description, p.branch
		details["namespace"], details["visibility_level"] = p.parent.name, 10*visibilityRank(p.visibility)
	}
	return json.Marshal(event)
}

// sampleEvent is the event with which GitLab tests a hook: the last commit again.
func (s *Server) sampleEvent(p *project) ([]byte, bool) {
	commit, found := s.commitOf(p, "refs/heads/"+p.branch)
	if !found {
		return nil, false
	}
	body, err := json.Marshal(object{
		"object_kind": "push", "event_name": "push", "ref": "refs/heads/" + p.branch, "before": commit["id"], "after": commit["id"],
		"checkout_sha": commit["id"], "project_id": p.id, "total_commits_count": 0, "commits": []object{},
		"project": object{"id": p.id, "path_with_namespace": p.full(), "git_http_url": s.httpURL(p), "git_ssh_url": s.sshURL(p), "default_branch": p.branch},
	})
	return body, err == nil
}

// newDelivery returns a delivery with headers that stay the same when it is repeated.
func newDelivery(h *hook, event string, body []byte) Delivery {
	header := http.Header{}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Idempotency-Key": newUUID(), "X-Gitlab-Event": event,
		"X-Gitlab-Event-Uuid": newUUID(), "X-Gitlab-Webhook-Uuid": h.uuid,
	} {
		header.Set(name, value)
	}
	return Delivery{Hook: h.id, URL: h.url, Event: event, Header: header, Body: body}
}

// call sends a delivery, and proves it by the secrets that the hook has now.
func (s *Server) call(h *hook, d Delivery) Delivery {
	s.mu.Lock()
	now, version := s.now(), s.options.Version
	s.mu.Unlock()
	d.Header = d.Header.Clone()
	d.Header.Set("User-Agent", "GitLab/"+version)
	d.Header.Set("X-Gitlab-Instance", s.URL)
	d.URL = h.url
	if h.token != "" {
		d.Header.Set("X-Gitlab-Token", h.token)
	}
	if h.signingToken != "" {
		sign(d.Header, h.signingToken, now, d.Body)
	}
	d.Status, d.Err = s.post(s.hooks, d, h.verify)
	return d
}

// sign adds the headers of Standard Webhooks.
// https://www.standardwebhooks.com
func sign(header http.Header, signingToken string, now time.Time, body []byte) {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(signingToken, "whsec_"))
	id, stamp := header.Get("Idempotency-Key"), strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", stamp)
	header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func (s *Server) post(ctx context.Context, d Delivery, verify bool) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader(d.Body))
	if err != nil {
		return 0, fmt.Errorf("call hook: %w", err)
	}
	request.Header = d.Header.Clone()
	client := *s.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if !verify {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		defer transport.CloseIdleConnections()
		client.Transport = transport
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("call hook: %w", err)
	}
	return response.StatusCode, response.Body.Close()
}

// finish records a delivery.
func (s *Server) finish(p *project, h *hook, d Delivery) {
	p.deliveries = append(p.deliveries, d)
	h.calls = append(h.calls, hookCall{id: s.id(), at: s.now(), trigger: strings.ToLower(strings.ReplaceAll(d.Event, " ", "_")) + "s", delivery: d})
	if s.options.AutoDisable {
		h.count(s.now(), d.succeeded())
	}
}
