package receiver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nautes.io/nautes/internal/forge/gitlab"
)

// send lets a handler handle a request and returns the result.
func (r *recorder) send(request *http.Request) string {
	r.ServeHTTP(httptest.NewRecorder(), request)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.results[len(r.results)-1]
}

func TestDuplicates(t *testing.T) {
	token := Token(key, "product/product-1")
	signed := func(id string, sent time.Time, content string) func() *http.Request {
		return func() *http.Request {
			r := request()
			sign(r, token, id, strconv.FormatInt(sent.Unix(), 10), content)
			return r
		}
	}
	plain := func(id string) func() *http.Request {
		return func() *http.Request {
			r := request()
			if id != "" {
				r.Header.Set("Idempotency-Key", id)
			}
			return r
		}
	}
	gitea := func(id, content string) func() *http.Request {
		return func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, ProductsPath+"product-1", strings.NewReader(content))
			mac := hmac.New(sha256.New, []byte(token))
			mac.Write([]byte(content))
			r.Header.Set("X-Gitea-Signature", hex.EncodeToString(mac.Sum(nil)))
			r.Header.Set("X-Gitea-Delivery", id)
			r.Header.Set("X-Gitea-Event", "push")
			r.Header.Set("Content-Type", "application/json")
			return r
		}
	}
	with := func(request func() *http.Request, change func(*http.Request)) func() *http.Request {
		return func() *http.Request {
			r := request()
			change(r)
			return r
		}
	}
	tests := map[string]struct {
		first, second func() *http.Request
		// after is the time between them.
		after time.Duration
		// want is the result of the second.
		want string
	}{
		"signed, sent again":          {first: signed("1", at, push), second: signed("1", at.Add(time.Minute), push), after: time.Minute, want: ResultDuplicate},
		"signed, replayed at once":    {first: signed("1", at, push), second: signed("1", at, push), want: ResultDuplicate},
		"signed, replayed at the end": {first: signed("1", at.Add(Tolerance), push), second: signed("1", at.Add(Tolerance), push), after: 2 * Tolerance, want: ResultDuplicate},
		"signed, replayed later":      {first: signed("1", at, push), second: signed("1", at, push), after: Tolerance + time.Second, want: ResultStale},
		"signed, the next":            {first: signed("1", at, push), second: signed("2", at, push), want: ResultAccepted},
		"ignored, then a push":        {first: with(signed("1", at, push), func(r *http.Request) { r.Header.Set("X-Gitlab-Event", "Issue Hook") }), second: signed("1", at, push), want: ResultAccepted},
		"refused, then a push": {
			first: with(signed("1", at, push), func(r *http.Request) { r.Header.Set("Webhook-Signature", "v1,") }), second: signed("1", at, push), want: ResultAccepted,
		},
		"malformed, then a push": {first: signed("1", at, "{"), second: signed("1", at, push), want: ResultAccepted},
		"token, sent again":      {first: plain("1"), second: plain("1"), want: ResultDuplicate},
		"token, the next":        {first: plain("1"), second: plain("2"), want: ResultAccepted},
		"token, no id":           {first: plain(""), second: plain(""), want: ResultAccepted},
		"token, another source": {first: plain("1"), second: with(plain("1"), func(r *http.Request) {
			r.URL.Path = TenantPath
			r.Header.Set("X-Gitlab-Token", Token(key, Tenant))
		}), want: ResultAccepted},
		"Gitea, replayed":        {first: gitea("1", push), second: gitea("1", push), want: ResultDuplicate},
		"Gitea, with another id": {first: gitea("1", push), second: gitea("2", push), want: ResultDuplicate},
		"Gitea, in upper case": {first: gitea("1", push), second: with(gitea("1", push), func(r *http.Request) {
			r.Header.Set("X-Gitea-Signature", strings.ToUpper(r.Header.Get("X-Gitea-Signature")))
		}), want: ResultUnauthorized},
		"Gitea, the next":            {first: gitea("1", push), second: gitea("2", strings.ReplaceAll(push, "main", "next")), want: ResultAccepted},
		"Gitea, no longer in memory": {first: gitea("1", push), second: gitea("1", push), after: 2 * remembered, want: ResultAccepted},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, now := newRecorder(), at
			h.Now = func() time.Time { return now }
			h.send(tt.first())
			before := len(h.notified)
			now = now.Add(tt.after)
			if got := h.send(tt.second()); got != tt.want {
				t.Errorf("the second delivery is %s, want %s", got, tt.want)
			}
			if got := len(h.notified) > before; got != (tt.want == ResultAccepted) {
				t.Errorf("notified: %t", got)
			}
		})
	}
}

// Of the same delivery at the same time, one is handled.
func TestDuplicatesAtTheSameTime(t *testing.T) {
	h := newRecorder()
	h.Now = func() time.Time { return at }
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			r := request()
			sign(r, Token(key, "product/product-1"), "1", "1790000000", push)
			h.ServeHTTP(httptest.NewRecorder(), r)
		})
	}
	group.Wait()
	slices.Sort(h.results)
	want := append([]string{ResultAccepted}, slices.Repeat([]string{ResultDuplicate}, 15)...)
	if !slices.Equal(h.results, want) || len(h.notified) != 1 {
		t.Errorf("results %v, notified %v", h.results, h.notified)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var s seen
	for i := range 4 * maxSeen {
		if !s.add("product/product-1", strconv.Itoa(i), at) {
			t.Fatalf("delivery %d counts as seen", i)
		}
		if got := len(s.recent) + len(s.older); got > 2*maxSeen {
			t.Fatalf("%d deliveries are remembered, want at most %d", got, 2*maxSeen)
		}
	}
	if s.add("product/product-1", strconv.Itoa(4*maxSeen-1), at) {
		t.Error("the last delivery is forgotten")
	}
}

// No headers but the right ones are taken, whatever they hold.
func FuzzSignature(f *testing.F) {
	content, token := push, Token(key, "product/product-1")
	signature := func(id, sent string) string {
		mac := hmac.New(sha256.New, gitlab.SigningKey([]byte(token)))
		_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, sent, content)
		return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	f.Add("1", "1790000000", signature("1", "1790000000"))
	f.Add("1", "1790000000", "v1,YQ== "+signature("1", "1790000000"))
	f.Add("1", "1790000001", signature("1", "1790000000"))
	f.Add("", "1790000000", signature("", "1790000000"))
	f.Add("1", "-1", signature("1", "-1"))
	f.Add("1", "99999999999999999999", "v1,,,, v1,")
	f.Add("1", " ", strings.Repeat("v1, ", 1000))
	f.Fuzz(func(t *testing.T, id, sent, proof string) {
		h, r, w := newRecorder(), request(), httptest.NewRecorder()
		h.Now = func() time.Time { return at }
		r.Header.Del("X-Gitlab-Token")
		r.Header["Webhook-Id"], r.Header["Webhook-Timestamp"], r.Header["Webhook-Signature"] = []string{id}, []string{sent}, []string{proof}
		h.ServeHTTP(w, r)
		checkAnswer(t, w)
		seconds, err := strconv.ParseUint(sent, 10, 40)
		fresh := err == nil && at.Sub(time.Unix(int64(seconds), 0)).Abs() <= Tolerance
		right := id != "" && fresh && slices.Contains(strings.Split(proof, " "), signature(id, sent))
		if accepted := w.Code == http.StatusOK; accepted != right || accepted != (len(h.notified) == 1) {
			t.Errorf("%d for id %q, time %q and signature %q; notified %v", w.Code, id, sent, proof, h.notified)
		}
	})
}
