package git

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// answer has the facts about a failure in the last answer of an HTTP server. Git leaves
// them out of its messages.
type answer struct {
	retryAfter time.Duration
	// page: the answer is a web page. login: it redirects to a login page. smart: it is
	// from git's own service, and not from one that hands out files.
	page, login, smart bool
	// proxy: it is from a proxy, which asks for a login.
	proxy bool
}

// listener reads git's trace of HTTP headers from a pipe. The trace is stored nowhere.
type listener struct {
	read, write *os.File
	heard       chan answer
}

// listen makes git report the headers of HTTP answers. The function that it returns must
// be called when git has ended, and returns the last answer.
func (c command) listen(cmd *exec.Cmd) (func() answer, error) {
	if c.remote == nil || !strings.HasPrefix(c.remote.protocol, "http") {
		return func() answer { return answer{} }, nil
	}
	l, err := newListener(cmd)
	if err != nil {
		return nil, fmt.Errorf("repository %s: git %s: %w", c.remote.display, c.args[0], err)
	}
	return l.end, nil
}

// newListener makes git write the trace of the headers to a pipe.
func newListener(cmd *exec.Cmd) (*listener, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	l := &listener{read: read, write: write, heard: make(chan answer, 1)}
	cmd.ExtraFiles = []*os.File{write}
	// The first extra file has the number 3.
	cmd.Env = append(cmd.Env, "GIT_TRACE_CURL=3", "GIT_TRACE_CURL_NO_DATA=1", "GIT_TRACE_REDACT=1")
	go func() { l.heard <- hear(read, time.Now) }()
	return l, nil
}

// end returns the last answer. It must be called when git has ended.
func (l *listener) end() answer {
	_ = l.write.Close()
	// A process that git left behind may hold the pipe.
	_ = l.read.SetReadDeadline(time.Now().Add(gracePeriod))
	last := <-l.heard
	_ = l.read.Close()
	return last
}

// maxRetryAfter is the longest time that a server can ask for.
const maxRetryAfter = 24 * time.Hour

// hear reads a trace to its end.
func hear(trace io.Reader, now func() time.Time) (last answer) {
	lines := bufio.NewReader(trace)
	continued := false
	for {
		line, more, err := lines.ReadLine()
		if err != nil {
			return last
		}
		if _, header, found := strings.Cut(string(line), "<= Recv header: "); found && !continued {
			last.hear(header, now)
		}
		continued = more
	}
}

// hear adds a header, or forgets the answer before at the first line of the next one.
func (a *answer) hear(header string, now func() time.Time) {
	name, value, _ := strings.Cut(header, ":")
	value = strings.TrimSpace(value)
	switch strings.ToLower(name) {
	case "retry-after":
		if seconds, err := strconv.Atoi(value); err == nil {
			a.retryAfter = time.Duration(min(max(seconds, 0), int(maxRetryAfter/time.Second))) * time.Second
		} else if when, err := http.ParseTime(value); err == nil {
			a.retryAfter = min(max(when.Sub(now()), 0), maxRetryAfter)
		}
	case "content-type":
		a.page = strings.HasPrefix(strings.ToLower(value), "text/html")
		a.smart = strings.HasPrefix(strings.ToLower(value), "application/x-git-")
	case "location":
		target := strings.ToLower(value)
		for _, word := range []string{"login", "sign_in", "signin", "oauth", "saml", "/auth", "sso"} {
			a.login = a.login || strings.Contains(target, word)
		}
	default:
		if strings.HasPrefix(header, "HTTP/") {
			status := strings.Fields(header)
			*a = answer{proxy: len(status) > 1 && status[1] == strconv.Itoa(http.StatusProxyAuthRequired)}
		}
	}
}
