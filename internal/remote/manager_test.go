package remote

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/remotetest"
)

var (
	_ manager.Runnable               = (*Manager)(nil)
	_ manager.LeaderElectionRunnable = (*Manager)(nil)
)

// history collects the states for which a manager calls OnState.
type history struct {
	mu     sync.Mutex
	states []State
}

func (h *history) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.states = nil
}

// started returns a manager that runs until the end of the test, and its history.
func started(t *testing.T, o ManagerOptions) (*Manager, *history) {
	t.Helper()
	h := &history{}
	var m *Manager
	o.Tenant = tenant
	o.ProbeInterval, o.ProbeTimeout = 50*time.Millisecond, cmp.Or(o.ProbeTimeout, 5*time.Second)
	o.retryBase, o.retryMax = 20*time.Millisecond, 100*time.Millisecond
	if o.OnObject == nil {
		o.OnObject = func(string, schema.GroupVersionKind, *metav1.PartialObjectMetadata, bool) {}
	}
	o.OnState = func(cluster string) {
		s := m.State(cluster)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.states = append(h.states, s)
	}
	m = NewManager(o)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Start: %v", err)
		}
	})
	return m, h
}

func value(s string) secrets.Value { return secrets.NewValue([]byte(s)) }

// set sets how to reach a cluster. The UID of the Cluster object is always the same.
func set(m *Manager, cluster string, kubeconfig secrets.Value, version, expectedUID, server string) {
	m.Set(cluster, Endpoint{UID: "uid", Kubeconfig: kubeconfig, Version: version, ExpectedUID: expectedUID, Server: server})
}

func waitState(t *testing.T, m *Manager, cluster, reason string) State {
	t.Helper()
	var state State
	remotetest.Eventually(t, "wait for "+reason, func(context.Context) error {
		state = m.State(cluster)
		return want(state.Reason == reason && (state.Connected == (reason == v1alpha1.ReasonConnected)), "state is %+v", state)
	})
	return state
}

func waitMessage(t *testing.T, m *Manager, cluster, part string) {
	t.Helper()
	remotetest.Eventually(t, "wait for the message", func(context.Context) error {
		s := m.State(cluster)
		return want(strings.Contains(s.Message, part), "state is %+v, want a message with %q", s, part)
	})
}

func TestManagerConnects(t *testing.T) {
	var reported changes
	m, _ := started(t, ManagerOptions{OnObject: func(cluster string, gvk schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, deleted bool) {
		if cluster == "c" {
			reported.add(gvk, meta, deleted)
		}
	}})
	if _, err := m.Get("c"); !errors.Is(err, ErrNotConnected) {
		t.Fatalf("Get of an unknown cluster: %v", err)
	}
	set(m, "c", value(kubeconfigFor(t, newCable(t).address())), "1", "", "")
	state := waitState(t, m, "c", v1alpha1.ReasonConnected)
	if state.UID == "" || !strings.HasPrefix(state.Version, "v1.") || state.Since.IsZero() {
		t.Errorf("state is %+v", state)
	}
	conn, err := m.Get("c")
	if err != nil {
		t.Fatal(err)
	}
	if conn.UID() != state.UID {
		t.Errorf("UID is %s, state says %s", conn.UID(), state.UID)
	}
	// Recording the UID after the first connection must not cause a second one.
	set(m, "c", value("not read"), "1", state.UID, "")
	c := admin(t)
	ns := namespace(t, c, nil)
	create(t, c, account(ns, "a", plan.Owner{Kind: "Space", Product: "p", Name: "p"}.Labels(tenant)))
	reported.wait(t, "ServiceAccount/"+ns+"/a/is")
	if again, err := m.Get("c"); err != nil || again != conn {
		t.Errorf("the connection was replaced: %v", err)
	}
}

func TestLostClusterIsReconnected(t *testing.T) {
	m, h := started(t, ManagerOptions{FailureThreshold: 3})
	cable := newCable(t)
	set(m, "c", value(kubeconfigFor(t, cable.address())), "1", "", "")
	first := waitState(t, m, "c", v1alpha1.ReasonConnected)

	cable.set(true)
	lost := waitState(t, m, "c", v1alpha1.ReasonNotConnected)
	if lost.Version != first.Version || lost.UID != first.UID || !lost.Since.After(first.Since) {
		t.Errorf("lost state is %+v, the one before %+v", lost, first)
	}
	var refused *NotConnectedError
	if _, err := m.Get("c"); !errors.As(err, &refused) || refused.Cluster != "c" || refused.Message == "" {
		t.Errorf("Get: %v", err)
	}
	cable.set(false)
	back := waitState(t, m, "c", v1alpha1.ReasonConnected)
	if !back.Since.After(lost.Since) {
		t.Errorf("connected since %s, lost since %s", back.Since, lost.Since)
	}
	conn, err := m.Get("c")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Owned(t.Context(), plan.Owner{Kind: "Space", Product: "p", Name: "p"}); err != nil {
		t.Errorf("the caches are not filled: %v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.states) == 0 || !h.states[len(h.states)-1].Connected {
		t.Errorf("the states are %+v, want a connection at the end", h.states)
	}
}

func TestShortFailureKeepsTheConnection(t *testing.T) {
	m, h := started(t, ManagerOptions{FailureThreshold: 1 << 20})
	i := newImpostor(t)
	set(m, "c", value(i.kubeconfig()), "1", "", "")
	waitState(t, m, "c", v1alpha1.ReasonConnected)
	conn, err := m.Get("c")
	if err != nil {
		t.Fatal(err)
	}
	// On a slow machine the caches may not be filled at the first probe.
	h.forget()
	probes := func(what string) {
		t.Helper()
		seen := i.probes.Load()
		remotetest.Eventually(t, "wait for probes that "+what, func(context.Context) error {
			return want(i.probes.Load() > seen+3, "%d probes", i.probes.Load()-seen)
		})
	}
	i.ill.Store(true)
	probes("fail")
	i.ill.Store(false)
	probes("succeed")
	if again, err := m.Get("c"); err != nil || again != conn {
		t.Errorf("the connection did not last: %v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.states {
		if !s.Connected {
			t.Errorf("OnState was called for %+v", s)
		}
	}
}

func TestRotatedKubeconfig(t *testing.T) {
	m, _ := started(t, ManagerOptions{})
	address := newCable(t).address()
	for i, step := range []struct{ kubeconfig, wantReason, wantMessage string }{
		{kubeconfigFor(t, address), v1alpha1.ReasonConnected, "answers"},
		{strings.Replace(kubeconfigFor(t, address), "client-key-data:", "client-key:", 1), v1alpha1.ReasonCredentialsInvalid, "client-key"},
		{"", v1alpha1.ReasonCredentialsInvalid, "refused"},
		{kubeconfigFor(t, address), v1alpha1.ReasonConnected, "answers"},
		{withToken(t, address, "no-such-token"), v1alpha1.ReasonCredentialsInvalid, "does not accept"},
		{strings.Replace(kubeconfigFor(t, address), "https://127.0.0.1:", "https://127.0.0.1:1", 1), v1alpha1.ReasonNotConnected, ""},
		{kubeconfigFor(t, "nautes.invalid:443"), v1alpha1.ReasonNotConnected, "host name"},
		{kubeconfigFor(t, address), v1alpha1.ReasonConnected, "answers"},
	} {
		set(m, "c", value(step.kubeconfig), fmt.Sprint(i), "", "")
		waitMessage(t, m, "c", step.wantMessage)
		waitState(t, m, "c", step.wantReason)
		if s := m.State("c"); strings.Contains(s.Message, "no-such-token") || strings.Contains(s.Message, "https://") {
			t.Errorf("the message contains an address or a secret: %s", s.Message)
		}
	}
}

// withToken returns the kubeconfig with a token as its credential.
func withToken(t testing.TB, address, token string) string {
	head, _, _ := strings.Cut(kubeconfigFor(t, address), "users:\n")
	return head + "users:\n- name: u\n  user:\n    token: " + token + "\n"
}

func TestServerOverridesTheKubeconfig(t *testing.T) {
	m, _ := started(t, ManagerOptions{})
	kubeconfig := value(kubeconfigFor(t, "nautes.invalid:443"))
	first, second := newCable(t), newCable(t)
	set(m, "c", kubeconfig, "1", "", "https://"+first.address())
	state := waitState(t, m, "c", v1alpha1.ReasonConnected)
	conn, err := m.Get("c")
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{"http://" + first.address(), "https://user:" + secretToken + "@" + first.address(), "https://h:" + secretToken} {
		set(m, "c", kubeconfig, "1", state.UID, server)
		refused := waitState(t, m, "c", v1alpha1.ReasonCredentialsInvalid)
		if !strings.Contains(refused.Message, "spec.apiServer") || strings.Contains(refused.Message, secretToken) {
			t.Errorf("message is %q", refused.Message)
		}
		set(m, "c", kubeconfig, "1", state.UID, "https://"+first.address())
		waitState(t, m, "c", v1alpha1.ReasonConnected)
	}
	// The connection lasts until the address changes.
	first.set(true)
	waitState(t, m, "c", v1alpha1.ReasonNotConnected)
	set(m, "c", kubeconfig, "1", state.UID, "https://"+second.address())
	waitState(t, m, "c", v1alpha1.ReasonConnected)
	if again, err := m.Get("c"); err != nil || again == conn {
		t.Errorf("the connection is the old one: %v", err)
	}
}

func TestSlowCluster(t *testing.T) {
	m, h := started(t, ManagerOptions{slowAfter: 100 * time.Millisecond, FailureThreshold: 1 << 20})
	i := newImpostor(t)
	set(m, "c", value(i.kubeconfig()), "1", "", "")
	waitState(t, m, "c", v1alpha1.ReasonConnected)
	conn, err := m.Get("c")
	if err != nil {
		t.Fatal(err)
	}
	slow := func(want bool) {
		t.Helper()
		remotetest.Eventually(t, fmt.Sprint("wait until slow is ", want), func(context.Context) error {
			if s := m.State("c"); s.Slow != want || !s.Connected {
				return fmt.Errorf("state is %+v", s)
			}
			return nil
		})
	}
	slow(false)
	h.forget()
	for range 2 {
		i.delay.Store(int64(150 * time.Millisecond))
		slow(true)
		// A slow probe that fails counts, too.
		i.ill.Store(true)
		seen := i.probes.Load()
		remotetest.Eventually(t, "wait for a probe", func(context.Context) error { return want(i.probes.Load() > seen+1, "none") })
		slow(true)
		i.ill.Store(false)
		i.delay.Store(0)
		slow(false)
	}
	if again, err := m.Get("c"); err != nil || again != conn {
		t.Errorf("the connection did not last: %v", err)
	}
	h.mu.Lock()
	reported := len(h.states)
	h.mu.Unlock()
	if reported > 1 {
		t.Errorf("OnState was called %d times, want at most once, for the connection", reported)
	}
	i.delay.Store(int64(150 * time.Millisecond))
	set(m, "c", value(i.kubeconfig()), "2", "", "")
	slow(true)
}

// Discovery may list a kind whose definition has just gone. The cluster is connected
// as soon as discovery is up to date.
func TestOutdatedDiscoveryDelaysOnlyAMoment(t *testing.T) {
	i := newImpostor(t)
	i.stale.Store(3)
	m, _ := started(t, ManagerOptions{})
	set(m, "c", value(i.kubeconfig()), "1", "", "")
	waitState(t, m, "c", v1alpha1.ReasonConnected)
	if left := i.stale.Load(); left > -1 {
		t.Errorf("%d outdated answers were not requested", left+1)
	}
}

// The time limit applies to each answer, not to the sum of all answers.
func TestSlowClusterIsConnected(t *testing.T) {
	i := newImpostor(t)
	i.slow.Store(int64(300 * time.Millisecond))
	m, _ := started(t, ManagerOptions{ProbeTimeout: time.Second, slowAfter: 100 * time.Millisecond})
	set(m, "c", value(i.kubeconfig()), "1", "", "")
	if s := waitState(t, m, "c", v1alpha1.ReasonConnected); !s.Slow {
		t.Errorf("state is %+v, want slow", s)
	}
}

func TestReplacedCluster(t *testing.T) {
	m, _ := started(t, ManagerOptions{FailureThreshold: 1 << 20})
	i := newImpostor(t)
	set(m, "c", value(i.kubeconfig()), "1", "", "")
	first := waitState(t, m, "c", v1alpha1.ReasonConnected)

	i.other.Store(true)
	state := waitState(t, m, "c", v1alpha1.ReasonClusterReplaced)
	if !strings.Contains(state.Message, first.UID) || !strings.Contains(state.Message, otherUID) {
		t.Errorf("message is %q", state.Message)
	}
	// The UID on record is checked by a new connection, and after a restart.
	set(m, "c", value(i.kubeconfig()), "2", first.UID, "")
	set(m, "d", value(i.kubeconfig()), "1", first.UID, "")
	waitState(t, m, "d", v1alpha1.ReasonClusterReplaced)
	seen := i.probes.Load()
	remotetest.Eventually(t, "wait for more attempts", func(context.Context) error {
		return want(i.probes.Load() > seen+6, "%d attempts", i.probes.Load()-seen)
	})
	for _, cluster := range []string{"c", "d"} {
		if conn, err := m.Get(cluster); err == nil {
			t.Errorf("%s is connected to %s", cluster, conn.UID())
		}
		waitState(t, m, cluster, v1alpha1.ReasonClusterReplaced)
	}
	i.other.Store(false)
	waitState(t, m, "c", v1alpha1.ReasonConnected)
	// The connection ends if another UID is expected.
	set(m, "c", value(i.kubeconfig()), "2", otherUID, "")
	waitState(t, m, "c", v1alpha1.ReasonClusterReplaced)
}

func TestSilentClusterDelaysNoOther(t *testing.T) {
	m, _ := started(t, ManagerOptions{ProbeTimeout: time.Hour})
	address, accepted := silent(t)
	set(m, "silent", value(kubeconfigFor(t, address)), "1", "", "")
	remotetest.Eventually(t, "wait for the attempt", func(context.Context) error {
		return want(accepted.Load() > 0, "no attempt")
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 1000 {
			if _, err := m.Get("silent"); !errors.Is(err, ErrNotConnected) {
				t.Errorf("Get: %v", err)
			}
			m.State("silent")
			set(m, "silent", value(kubeconfigFor(t, address)), "1", fmt.Sprint(i), "")
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("Get, State or Set waits for the cluster")
	}
	set(m, "good", value(kubeconfigFor(t, newCable(t).address())), "1", "", "")
	waitState(t, m, "good", v1alpha1.ReasonConnected)
	m.Remove("silent")
	if got := m.State("silent"); got != unknownCluster() {
		t.Errorf("state of a removed cluster is %+v", got)
	}
}

func TestRemovedClusterLeavesNothing(t *testing.T) {
	m, _ := started(t, ManagerOptions{})
	remotetest.Eventually(t, "wait for the connections of other tests to end", func(context.Context) error { return noLoops(0) })
	set(m, "c", value(kubeconfigFor(t, newCable(t).address())), "1", "", "")
	waitState(t, m, "c", v1alpha1.ReasonConnected)
	conn, err := m.Get("c")
	if err != nil {
		t.Fatal(err)
	}
	if noLoops(0) == nil {
		t.Fatal("the test does not find the loop of a cluster")
	}
	m.Remove("c")
	m.Remove("c")
	if _, err := m.Get("c"); !errors.Is(err, ErrNotConnected) {
		t.Errorf("Get: %v", err)
	}
	remotetest.Eventually(t, "wait for the goroutines to end", func(context.Context) error { return noLoops(0) })
	if _, err := conn.Get(t.Context(), plan.ID{Kind: "Namespace", Name: "x"}); !errors.Is(err, ErrNotSynced) {
		t.Errorf("the caches of a closed connection answer: %v", err)
	}
}

// noLoops returns an error if more than n goroutines belong to connections.
func noLoops(n int) error {
	stacks := make([]byte, 8<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	count := 0
	var last []byte
	for _, stack := range bytes.Split(stacks, []byte("\n\n")) {
		for _, part := range []string{"remote.(*connector)", "remote.(*tracker)", "cache.(*Reflector)", "cache.(*sharedIndexInformer)", "cache.(*processorListener)"} {
			if bytes.Contains(stack, []byte(part)) {
				count, last = count+1, stack
				break
			}
		}
	}
	return want(count <= n, "%d goroutines, one is\n%s", count, last)
}

func TestExplainRepeatsNoForeignText(t *testing.T) {
	secret := "https://user:pass@host/path"
	for name, err := range map[string]error{
		"transport": &net.OpError{Op: "dial", Err: errors.New(secret)},
		"plain":     errors.New(secret),
		"wrapped":   fmt.Errorf("%s: %w", secret, context.DeadlineExceeded),
		"dns":       &net.DNSError{Err: secret, Name: secret},
	} {
		if got := explain(err, runtimeRights); strings.Contains(got, "pass") || got == "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
