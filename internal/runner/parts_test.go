package runner

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"nautes.io/nautes/internal/launch"
)

func TestPrintLine(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"plain":              {"a run: 'x'", "a run: 'x'"},
		"letters":            {"ä €", "ä €"},
		"lines":              {"a\nb\n", "a; b; "},
		"control characters": {"\x1b[2J\x00\r\t", `\x1b[2J\x00\r\t`},
		"invisible":          {"a\u202eb", `a\u202eb`},
		"no UTF-8":           {"\xff", "\ufffd"},
		"long":               {strings.Repeat("x", 2*maxLine), strings.Repeat("x", maxLine)},
		"long, of letters":   {strings.Repeat("ä", maxLine), strings.Repeat("ä", maxLine/2)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out, complaints bytes.Buffer
			p := New(&out, &complaints)
			p.say("%s", tt.text)
			p.complain("%.10s", tt.text)
			if got := out.String(); got != tt.want+"\n" {
				t.Errorf("it prints %.60q, want %.60q", got, tt.want)
			}
			if got := complaints.String(); !strings.HasPrefix(got, "nautes-runner: ") || strings.Count(got, "\n") != 1 {
				t.Errorf("it complains %q", got)
			}
		})
	}
}

func TestRetry(t *testing.T) {
	passing, lasting := errors.New("passing"), errors.New("lasting")
	tests := map[string]struct {
		results  []error
		attempts int
		// stop ends the context after so many calls.
		stop      int
		want      error
		wantCalls int
	}{
		"at once":                  {results: []error{nil}, attempts: 3, wantCalls: 1},
		"at the second attempt":    {results: []error{passing, nil}, attempts: 3, wantCalls: 2},
		"at the last attempt":      {results: []error{passing, passing, nil}, attempts: 3, wantCalls: 3},
		"too late":                 {results: []error{passing, passing, passing, nil}, attempts: 3, want: passing, wantCalls: 3},
		"one attempt":              {results: []error{passing, nil}, attempts: 1, want: passing, wantCalls: 1},
		"without a limit":          {results: []error{passing, passing, passing, passing, passing, nil}, attempts: -1, wantCalls: 6},
		"an error that lasts":      {results: []error{passing, lasting, nil}, attempts: -1, want: lasting, wantCalls: 2},
		"the context ends":         {results: []error{passing, passing, nil}, attempts: -1, stop: 2, want: passing, wantCalls: 2},
		"the context ends at once": {results: []error{passing, nil}, attempts: -1, stop: 1, want: passing, wantCalls: 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			p := &Program{Pause: time.Microsecond}
			calls := 0
			err := p.retry(ctx, tt.attempts, func(err error) bool { return !errors.Is(err, lasting) }, func(context.Context) error {
				calls++
				if calls == tt.stop {
					stop()
				}
				return tt.results[calls-1]
			})
			if !errors.Is(err, tt.want) || calls != tt.wantCalls {
				t.Errorf("retry = %v after %d calls; want %v after %d", err, calls, tt.want, tt.wantCalls)
			}
		})
	}
}

// A context that ends during a pause ends the wait.
func TestRetryStopsInAPause(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	passing := errors.New("passing")
	p := &Program{Pause: time.Hour}
	calls := 0
	err := p.retry(ctx, 2, func(error) bool {
		// The pause comes next.
		time.AfterFunc(time.Millisecond, stop)
		return true
	}, func(context.Context) error { calls++; return passing })
	if !errors.Is(err, passing) || calls != 1 {
		t.Errorf("retry = %v after %d calls; want %v after one", err, calls, passing)
	}
}

func TestDenied(t *testing.T) {
	status := func(code int32) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code}}
	}
	tests := map[string]struct {
		err  error
		want bool
	}{
		"no answer":         {err: errors.New("connection refused")},
		"forbidden":         {err: status(http.StatusForbidden), want: true},
		"bad request":       {err: status(http.StatusBadRequest), want: true},
		"the last refusal":  {err: status(499), want: true},
		"wrapped":           {err: errors.Join(errors.New("x"), status(http.StatusForbidden)), want: true},
		"time-out":          {err: status(http.StatusRequestTimeout)},
		"too many requests": {err: status(http.StatusTooManyRequests)},
		"broken":            {err: status(http.StatusInternalServerError)},
		"redirect":          {err: status(399)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := denied(tt.err); got != tt.want {
				t.Errorf("denied(%v) = %t, want %t", tt.err, got, tt.want)
			}
		})
	}
}

func TestRevision(t *testing.T) {
	tests := map[string]struct {
		revision, eventRepository string
		event                     launch.Event
		want                      string
	}{
		"nothing":                       {},
		"the trigger's":                 {revision: "v1", eventRepository: "repo-1", event: launch.Event{Ref: "r", Commit: "c"}, want: "v1"},
		"the commit":                    {eventRepository: "repo-1", event: launch.Event{Ref: "r", Commit: "c"}, want: "c"},
		"the commit of another":         {eventRepository: "repo-2", event: launch.Event{Ref: "r", Commit: "c"}, want: "r"},
		"a commit of no repository":     {event: launch.Event{Ref: "r", Commit: "c"}, want: "r"},
		"the ref, of its repository":    {eventRepository: "repo-1", event: launch.Event{Ref: "r"}, want: "r"},
		"an event without a ref at all": {eventRepository: "repo-1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := &launch.Config{Repository: "repo-1", Revision: tt.revision, EventRepository: tt.eventRepository}
			if got := revision(c, &tt.event); got != tt.want {
				t.Errorf("revision = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	write := func(t *testing.T, files map[string]string) string {
		dir := t.TempDir()
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	tests := map[string]struct {
		files map[string]string
	}{
		"none":  {},
		"HTTP":  {files: map[string]string{"username": "u", "password": "p"}},
		"SSH":   {files: map[string]string{"ssh-privatekey": "k", "known_hosts": "h"}},
		"other": {files: map[string]string{"token": "x"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := credentials(write(t, tt.files))
			if err != nil {
				t.Fatal(err)
			}
			for field, value := range map[string]string{
				"username": got.Username, "password": string(got.Password.Bytes()), "ssh-privatekey": string(got.SSHKey.Bytes()), "known_hosts": string(got.KnownHosts),
			} {
				if value != tt.files[field] {
					t.Errorf("%s is %q, want %q", field, value, tt.files[field])
				}
			}
		})
	}
	if _, err := credentials(filepath.Join(t.TempDir(), "absent")); err != nil {
		t.Errorf("without the directory: %v", err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "password"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := credentials(dir); codeOf(err) != launch.ExitUsage {
		t.Errorf("with a file that cannot be read: %v, want exit code %d", err, launch.ExitUsage)
	}
}

func TestParseArguments(t *testing.T) {
	tests := map[string]struct {
		change func(*launch.Config, *launch.Event, *launchCommand)
		// wantSaid is a part of the error, empty when there is none.
		wantSaid string
	}{
		"all well":           {change: func(*launch.Config, *launch.Event, *launchCommand) {}},
		"no configuration":   {change: func(_ *launch.Config, _ *launch.Event, c *launchCommand) { c.configText = "{" }, wantSaid: "--config cannot be read"},
		"half an event":      {change: func(_ *launch.Config, _ *launch.Event, c *launchCommand) { c.eventText = "{" }, wantSaid: "--event cannot be read"},
		"no namespace":       {change: func(c *launch.Config, _ *launch.Event, _ *launchCommand) { c.Namespace = "" }, wantSaid: "has no namespace"},
		"no account":         {change: func(c *launch.Config, _ *launch.Event, _ *launchCommand) { c.Account = "" }, wantSaid: "has no account"},
		"no pipeline":        {change: func(c *launch.Config, _ *launch.Event, _ *launchCommand) { c.Pipeline = "" }, wantSaid: "has no pipeline"},
		"no repository":      {change: func(c *launch.Config, _ *launch.Event, _ *launchCommand) { c.Repository = "" }, wantSaid: "has no repository"},
		"no URL":             {change: func(c *launch.Config, _ *launch.Event, _ *launchCommand) { c.URL = "" }, wantSaid: "has no url"},
		"no path":            {change: func(c *launch.Config, _ *launch.Event, _ *launchCommand) { c.Path = "" }, wantSaid: "has no path"},
		"no event":           {change: func(_ *launch.Config, e *launch.Event, _ *launchCommand) { e.Event = "" }, wantSaid: "--event has no event"},
		"half a commit":      {change: func(_ *launch.Config, e *launch.Event, _ *launchCommand) { e.Commit = testCommit[:39] }, wantSaid: "the commit of --event"},
		"capital commit":     {change: func(_ *launch.Config, e *launch.Event, _ *launchCommand) { e.Commit = strings.ToUpper(testCommit) }, wantSaid: "the commit of --event"},
		"two lines":          {change: func(_ *launch.Config, e *launch.Event, _ *launchCommand) { e.Commit = testCommit + "\n" }, wantSaid: "the commit of --event"},
		"SHA-256":            {change: func(_ *launch.Config, e *launch.Event, _ *launchCommand) { e.Commit = strings.Repeat("ab", 32) }},
		"no commit":          {change: func(_ *launch.Config, e *launch.Event, _ *launchCommand) { e.Commit = "" }},
		"no launcher":        {change: func(_ *launch.Config, _ *launch.Event, c *launchCommand) { c.launcher = "" }, wantSaid: "--launcher"},
		"a capital launcher": {change: func(_ *launch.Config, _ *launch.Event, c *launchCommand) { c.launcher = "Launcher" }, wantSaid: "--launcher"},
		"a long launcher":    {change: func(_ *launch.Config, _ *launch.Event, c *launchCommand) { c.launcher = strings.Repeat("x", 63) }},
		"too long a launcher": {
			change: func(_ *launch.Config, _ *launch.Event, c *launchCommand) { c.launcher = strings.Repeat("x", 64) }, wantSaid: "--launcher",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			config, event := testConfig(), &launch.Event{Event: "push_events", Commit: testCommit}
			c := &launchCommand{launcher: testLauncher}
			tt.change(config, event, c)
			c.configText, c.eventText = cmp.Or(c.configText, encode(t, config)), cmp.Or(c.eventText, encode(t, event))
			err := c.parse()
			if tt.wantSaid == "" && err != nil || tt.wantSaid != "" && (codeOf(err) != launch.ExitUsage || !strings.Contains(err.Error(), tt.wantSaid)) {
				t.Errorf("parse: %v; want %q", err, tt.wantSaid)
			}
			if err == nil && (c.config.Product != "product-1" || c.event.Event != "push_events") {
				t.Errorf("it read %+v and %+v", c.config, c.event)
			}
		})
	}
}

func TestEnded(t *testing.T) {
	tests := map[string]struct {
		status corev1.ConditionStatus
		reason tektonv1.PipelineRunReason
		want   string
	}{
		"no condition": {},
		"running":      {status: corev1.ConditionUnknown, reason: tektonv1.PipelineRunReasonRunning},
		"succeeded":    {status: corev1.ConditionTrue, reason: tektonv1.PipelineRunReasonSuccessful, want: launch.RunSucceeded},
		"timed out":    {status: corev1.ConditionFalse, reason: tektonv1.PipelineRunReasonTimedOut, want: launch.RunTimeout},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			run := &tektonv1.PipelineRun{}
			if tt.status != "" {
				run.Status.Conditions = append(run.Status.Conditions, apis.Condition{Type: apis.ConditionSucceeded, Status: tt.status, Reason: string(tt.reason)})
			}
			if got := ended(run); got != tt.want {
				t.Errorf("ended = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWriteResult(t *testing.T) {
	if err := writeResult("", "x"); err != nil {
		t.Errorf("without a file: %v", err)
	}
	file := filepath.Join(t.TempDir(), "result")
	if err := writeResult(file, "x"); err != nil || read(file) != "x" {
		t.Errorf("writeResult: %v, wrote %q", err, read(file))
	}
	if err := writeResult(filepath.Join(t.TempDir(), "absent", "x"), "x"); codeOf(err) != launch.ExitReport {
		t.Errorf("writeResult: %v, want exit code %d", err, launch.ExitReport)
	}
}
