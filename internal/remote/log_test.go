package remote

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/remotetest"
)

// logLines collects the lines of a log.
type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) logger() logr.Logger {
	return funcr.New(func(_, line string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, line)
	}, funcr.Options{})
}

var logLine = regexp.MustCompile(`"msg"="([^"]*)" "(cluster|kind)"="([^"]*)".* ?"reason"="([^"]*)"`)

// short returns each line with a word as "message subject: reason".
func (l *logLines) short(word string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, line := range l.lines {
		if found := logLine.FindStringSubmatch(line); found != nil {
			line = fmt.Sprintf("%s %s: %s", found[1], found[3], found[4])
		}
		if strings.Contains(line, word) {
			out = append(out, line)
		}
	}
	return out
}

// connections returns the lines about clusters. It leaves out a cluster whose caches
// are not filled at the first probe, which happens on a slow machine.
func (l *logLines) connections() []string {
	return slices.DeleteFunc(l.short("cluster"), func(line string) bool { return strings.HasPrefix(line, "cluster not connected") })
}

func TestConnectionChangesAreLogged(t *testing.T) {
	var log logLines
	m, _ := started(t, ManagerOptions{FailureThreshold: 2, slowAfter: time.Hour, Log: log.logger()})
	i := newImpostor(t)
	good := value(i.kubeconfig())
	// waitProbes waits until a state would be logged again if it were not compared.
	waitProbes := func() {
		t.Helper()
		seen := i.probes.Load()
		remotetest.Eventually(t, "wait for probes", func(context.Context) error { return want(i.probes.Load() > seen+3, "none") })
	}
	endpoint := Endpoint{UID: "uid", Kubeconfig: good, Version: "1"}
	connected := func(change func()) {
		t.Helper()
		before := m.State("c").Since
		change()
		m.Set("c", endpoint)
		remotetest.Eventually(t, "wait for the connection", func(context.Context) error {
			s := m.State("c")
			return want(s.Connected && s.Since.After(before), "state is %+v", s)
		})
		waitProbes()
	}
	connected(func() {})
	i.ill.Store(true)
	waitState(t, m, "c", v1alpha1.ReasonNotConnected)
	waitProbes()
	i.ill.Store(false)
	waitState(t, m, "c", v1alpha1.ReasonConnected)
	connected(func() { endpoint.Version = "2" })
	connected(func() { endpoint.Server = i.URL + "/" })
	connected(func() { endpoint.UID = "another" })
	endpoint.Version, endpoint.Server = "3", "https://user:"+secretToken+"@host"
	m.Set("c", endpoint)
	waitState(t, m, "c", v1alpha1.ReasonCredentialsInvalid)
	connected(func() { endpoint.Version, endpoint.Server = "4", "" })
	endpoint.ExpectedUID = m.State("c").UID
	m.Set("c", endpoint)
	i.other.Store(true)
	waitState(t, m, "c", v1alpha1.ReasonClusterReplaced)
	waitProbes()
	i.other.Store(false)
	waitState(t, m, "c", v1alpha1.ReasonConnected)
	set(m, "d", value("no kubeconfig"), "1", "", "")
	waitState(t, m, "d", v1alpha1.ReasonCredentialsInvalid)
	// The line follows the state.
	remotetest.Eventually(t, "wait for the last line", func(context.Context) error {
		lines := log.connections()
		return want(lines[len(lines)-1] == "cluster refused d: CredentialsInvalid", "the lines are %v", lines)
	})

	want := []string{
		"cluster connected c: first connection",
		"cluster disconnected c: NotConnected",
		"cluster reconnected c: the connection was lost",
		"cluster reconnected c: rotated credential",
		"cluster reconnected c: changed address",
		"cluster reconnected c: the Cluster was created again",
		"cluster refused c: CredentialsInvalid",
		"cluster reconnected c: rotated credential",
		"cluster disconnected c: ClusterReplaced",
		"cluster reconnected c: the connection was lost",
		"cluster refused d: CredentialsInvalid",
	}
	if diff := cmp.Diff(want, log.connections()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	for _, line := range log.lines {
		if strings.Contains(line, secretToken) || strings.Contains(line, "https://") {
			t.Errorf("the line contains an address or a secret: %s", line)
		}
	}
}

func TestSlownessIsLogged(t *testing.T) {
	var log logLines
	m, _ := started(t, ManagerOptions{slowAfter: 400 * time.Millisecond, Log: log.logger()})
	i := newImpostor(t)
	set(m, "c", value(i.kubeconfig()), "1", "", "")
	waitState(t, m, "c", v1alpha1.ReasonConnected)
	for _, delay := range []time.Duration{600 * time.Millisecond, 0} {
		i.delay.Store(int64(delay))
		remotetest.Eventually(t, "wait for the change", func(context.Context) error {
			return want(m.State("c").Slow == (delay > 0), "slow is %t", m.State("c").Slow)
		})
		// The next probes are equal and must not be logged.
		seen := i.probes.Load()
		remotetest.Eventually(t, "wait for probes", func(context.Context) error { return want(i.probes.Load() > seen+2, "none") })
	}
	want := []string{
		"cluster connected c: first connection", "cluster slow c: a probe took longer than 400ms", "cluster fast again c: a probe took at most 400ms",
	}
	if diff := cmp.Diff(want, log.connections()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestUnreachableClusterIsLoggedOnce(t *testing.T) {
	var log logLines
	m, _ := started(t, ManagerOptions{Log: log.logger()})
	i := newImpostor(t)
	i.ill.Store(true)
	set(m, "c", value(i.kubeconfig()), "1", "", "")
	remotetest.Eventually(t, "wait for several attempts", func(context.Context) error {
		return want(i.probes.Load() > 5, "%d attempts", i.probes.Load())
	})
	if diff := cmp.Diff([]string{"cluster not connected c: NotConnected"}, log.short("cluster")); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
