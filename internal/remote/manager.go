package remote

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
)

// ManagerOptions say how connections are made and kept.
type ManagerOptions struct {
	// Tenant whose objects are looked at.
	Tenant string
	// Scheme of the clients; the one of client-go when nil.
	Scheme *runtime.Scheme
	// ProbeInterval between two probes of a connected cluster; 10 seconds when zero.
	ProbeInterval time.Duration
	// ProbeTimeout of one probe, and of each part of connecting; 10 seconds when zero.
	ProbeTimeout time.Duration
	// FailureThreshold is how many probes in a row must fail before a cluster
	// counts as not connected; 3 when zero.
	FailureThreshold int
	// SlowAfter is how long a probe may take before a cluster counts as slow; 1
	// second when zero.
	SlowAfter time.Duration
	// RetryBase and RetryMax bound the growing pause between two attempts to
	// connect; 1 second and 1 minute when zero.
	RetryBase, RetryMax time.Duration
	// QPS and Burst limit the requests to each cluster; 50 and 100 when zero.
	QPS   float32
	Burst int
	// OnState is told when the state of a cluster has changed.
	OnState func(cluster string)
	// OnObject is told of what changes on a cluster, as a ChangeFunc is.
	OnObject func(cluster string, gvk schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, deleted bool)
	// Log is told, in our words, why connections fail.
	Log logr.Logger
}

// State tells what is known of the connection to a cluster.
type State struct {
	// Connected: the cluster answers and its objects are known. Connecting: it
	// is not known yet whether it does, since the first attempt has not ended.
	Connected, Connecting bool
	// Reason is a condition reason of v1alpha1, and Message its message.
	Reason, Message string
	// Version of Kubernetes, and UID of the namespace kube-system; of the last
	// connection while there is none.
	Version, UID string
	// Since is when the connection was made or lost.
	Since time.Time
	// Slow: the last probe of the connected cluster took longer than
	// ManagerOptions.SlowAfter. OnState is not told of a change of Slow alone.
	Slow bool
}

// Manager keeps one connection per cluster.
type Manager struct {
	o ManagerOptions

	mu      sync.Mutex
	links   map[string]*link
	running context.Context // nil before Start
	ended   bool
	run     sync.WaitGroup
}

// NewManager returns a manager without clusters.
func NewManager(o ManagerOptions) *Manager {
	o.ProbeInterval = orDefault(o.ProbeInterval, 10*time.Second)
	o.ProbeTimeout = orDefault(o.ProbeTimeout, 10*time.Second)
	o.FailureThreshold = orDefault(o.FailureThreshold, 3)
	o.SlowAfter = orDefault(o.SlowAfter, time.Second)
	o.RetryBase = orDefault(o.RetryBase, time.Second)
	o.RetryMax = orDefault(o.RetryMax, time.Minute)
	if o.OnState == nil {
		o.OnState = func(string) {}
	}
	if o.OnObject == nil {
		o.OnObject = func(string, schema.GroupVersionKind, *metav1.PartialObjectMetadata, bool) {}
	}
	return &Manager{o: o, links: map[string]*link{}}
}

// Start connects the clusters, and keeps them connected until ctx ends; then it
// closes every connection and returns nil.
func (m *Manager) Start(ctx context.Context) error {
	m.mu.Lock()
	m.running = ctx
	for _, l := range m.links {
		m.launch(l)
	}
	m.mu.Unlock()
	<-ctx.Done()
	// Who holds the lock may still launch a loop; from here on nobody does.
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
	m.run.Wait()
	return nil
}

// NeedLeaderElection tells that only the leader is connected.
func (m *Manager) NeedLeaderElection() bool { return true }

// launch begins the loop of a link; m.mu is held.
func (m *Manager) launch(l *link) {
	if m.running == nil || m.ended {
		return
	}
	ctx, stop := context.WithCancel(m.running)
	l.stop = stop
	m.run.Go(func() { l.run(ctx) })
}

// Set says how a cluster is to be reached, and returns at once. uid is the
// Cluster's; a new one, a new version of the kubeconfig, or another server
// reconnects. expectClusterUID is the UID that status remembers; another cluster
// at the address is not connected. It is empty while none is remembered. server
// is the https URL of the API server, in the place of the kubeconfig's; the
// kubeconfig's holds when it is empty.
func (m *Manager) Set(cluster string, uid types.UID, kubeconfig secrets.Value, version, expectClusterUID, server string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	want := desired{uid: uid, kubeconfig: kubeconfig, version: version, expect: expectClusterUID, server: server}
	if l, ok := m.links[cluster]; ok {
		l.set(want)
		return
	}
	l := newLink(cluster, &m.o, want)
	m.links[cluster] = l
	m.launch(l)
}

// Remove ends the connection to a cluster; closing goes on in the background.
func (m *Manager) Remove(cluster string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.links[cluster]
	if !ok {
		return
	}
	delete(m.links, cluster)
	if l.stop != nil {
		l.stop()
	}
}

// Get returns the connection to a cluster; it never connects and never waits.
// Without a connection it returns a *NotConnectedError, which is ErrNotConnected.
func (m *Manager) Get(cluster string) (*Conn, error) {
	state := notAsked()
	if l := m.link(cluster); l != nil {
		conn, s := l.get()
		if conn != nil {
			return conn, nil
		}
		state = s
	}
	return nil, &NotConnectedError{Cluster: cluster, Reason: state.Reason, Message: state.Message}
}

// State returns what is known of the connection to a cluster.
func (m *Manager) State(cluster string) State {
	if l := m.link(cluster); l != nil {
		_, state := l.get()
		return state
	}
	return notAsked()
}

func (m *Manager) link(cluster string) *link {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.links[cluster]
}

func notAsked() State {
	return State{Reason: v1alpha1.ReasonNotConnected, Message: "no Cluster of this name has a usable kubeconfig"}
}
