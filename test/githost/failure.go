package githost

import (
	"net/http"
	"time"
)

// Failure is a way in which a Git host, or the server behind a FaultProxy, does
// not work.
type Failure struct {
	// before runs instead of the request when it returns true.
	before func(http.ResponseWriter, *http.Request) bool
	// limit cuts the connection after so many bytes of the answer, when cut is set.
	cut   bool
	limit int
}

// Answers answers a request, if the failure does so instead of the server, and
// reports whether it has.
func (f Failure) Answers(w http.ResponseWriter, r *http.Request) bool {
	return f.before != nil && f.before(w, r)
}

// Cuts reports whether the failure closes the connection during an answer.
func (f Failure) Cuts() bool { return f.cut }

// Cut returns a writer that closes the connection, if the failure does so.
func (f Failure) Cut(w http.ResponseWriter) http.ResponseWriter {
	if !f.cut {
		return w
	}
	return &cutWriter{ResponseWriter: w, left: f.limit}
}

// Answer answers with a status and a body in JSON, like Vault.
func Answer(status int, body string) Failure {
	return Failure{before: func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}}
}

// RefuseAuth answers 401 to every token, as when they were all revoked.
func RefuseAuth() Failure {
	return Failure{before: func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("WWW-Authenticate", `Basic realm="GitLab"`)
		http.Error(w, "HTTP Basic: Access denied", http.StatusUnauthorized)
		return true
	}}
}

// ServerError answers 500.
func ServerError() Failure {
	return Failure{before: func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
		return true
	}}
}

// Hang accepts requests and never answers.
func Hang() Failure {
	return Failure{before: func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	}}
}

// Slow answers after a delay.
func Slow(delay time.Duration) Failure {
	return Failure{before: func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-time.After(delay):
			return false
		case <-r.Context().Done():
			return true
		}
	}}
}

// DropConnection closes the connection after so many bytes of an answer's body.
// A push that is answered so has taken place.
func DropConnection(after int) Failure { return Failure{cut: true, limit: after} }

// Fail makes the host fail for a repository, or for all of them when path is
// empty, until Heal. The host's own Push does not fail.
func (g *Host) Fail(path string, failure Failure) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.failures[path] = failure
}

// Heal ends a Fail of the same path.
func (g *Host) Heal(path string) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	delete(g.failures, path)
}

// failureOf returns the failure that a request meets.
func (g *Host) failureOf(r *http.Request, path string) (Failure, bool) {
	if tokenOf(r) == g.token {
		return Failure{}, false
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if failure, ok := g.failures[path]; ok {
		return failure, true
	}
	failure, ok := g.failures[""]
	return failure, ok
}

// cutWriter aborts the connection when an answer grows beyond its limit.
type cutWriter struct {
	http.ResponseWriter
	left int
}

// Write implements http.ResponseWriter.
func (w *cutWriter) Write(data []byte) (int, error) {
	if len(data) <= w.left {
		w.left -= len(data)
		return w.ResponseWriter.Write(data)
	}
	_, _ = w.ResponseWriter.Write(data[:w.left])
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}
