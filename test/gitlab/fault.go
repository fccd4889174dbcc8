package gitlab

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is a way in which a request goes wrong. next is the server itself.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

type fault struct {
	match func(*http.Request) bool
	left  int
	fault Fault
}

// Fail makes the requests that match go wrong: the next ones, or all of them if times is
// 0. heal ends it.
func (s *Server) Fail(match func(*http.Request) bool, times int, what Fault) (heal func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if times == 0 {
		times = -1
	}
	added := &fault{match: match, left: times, fault: what}
	s.faults = append(s.faults, added)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(f *fault) bool { return f == added })
	}
}

func (s *Server) faultOf(r *http.Request) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.left != 0 && f.match(r) {
			f.left--
			return f.fault
		}
	}
	return nil
}

// Everything matches all requests.
func Everything(*http.Request) bool { return true }

// Calls matches the requests for a route of the API, such as /projects/:id/hooks.
func Calls(method, route string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		_, match := matchPath(strings.Split(route, "/"), strings.Split(apiPath(r), "/"))
		return match && r.Method == method
	}
}

// RetryLater answers 429 with the headers of GitLab. after is in whole seconds.
func RetryLater(after time.Duration) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		reset := time.Now().Add(after).UTC()
		w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
		w.Header().Set("RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
		w.Header().Set("RateLimit-ResetTime", reset.Format(http.TimeFormat))
		w.Header().Set("RateLimit-Remaining", "0")
		http.Error(w, "Retry later", http.StatusTooManyRequests)
	}
}

// BadGateway answers 502 with a page in HTML, as the proxy in front of GitLab does during
// an upgrade.
func BadGateway() Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = fmt.Fprint(w, "<!DOCTYPE html>\n<html><head><title>GitLab is not responding (502)</title></head><body>Whoops, GitLab is taking too much time to respond.</body></html>\n")
	}
}

// Answer answers with a status and a body in JSON.
func Answer(status int, body string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}
}

// Slow answers after a delay.
func Slow(delay time.Duration) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		select {
		case <-time.After(delay):
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}
}

// Lost serves the request, and closes the connection without an answer.
func Lost() Fault {
	return func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
}

// Refused closes the connection and does nothing.
func Refused() Fault {
	return func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }
}
