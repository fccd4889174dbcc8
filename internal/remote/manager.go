package remote

import (
	"cmp"
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

// ManagerOptions configure the connections of a Manager.
type ManagerOptions struct {
	// Tenant whose objects are cached.
	Tenant string
	// Scheme of the clients, or nil for client-go's.
	Scheme *runtime.Scheme
	// ProbeInterval between two probes of a connected cluster; 10 seconds if zero.
	ProbeInterval time.Duration
	// ProbeTimeout of one probe, and of each step of connecting; 10 seconds if zero.
	ProbeTimeout time.Duration
	// FailureThreshold is the number of consecutive failed probes after which a
	// cluster counts as not connected; 3 if zero.
	FailureThreshold int
	// QPS and Burst limit the requests to each cluster; 50 and 100 if zero.
	QPS   float32
	Burst int
	// OnState is called after the state of a cluster has changed. It must be set.
	OnState func(cluster string)
	// OnObject is called like a ChangeFunc for each change on a cluster. It must be set.
	OnObject func(cluster string, gvk schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, deleted bool)
	// Log receives one line for each change of a connection.
	Log logr.Logger

	// slowAfter is the duration of a probe above which a cluster counts as slow.
	slowAfter time.Duration
	// retryBase and retryMax bound the growing pause between two attempts to connect.
	retryBase, retryMax time.Duration
}

// Endpoint describes how to reach a cluster.
type Endpoint struct {
	// UID of the Cluster object. A new object gets a new connection.
	UID types.UID
	// Kubeconfig and its Version in the secret store. A new version gets a new
	// connection.
	Kubeconfig secrets.Value
	Version    string
	// ExpectedUID is the UID on record of the cluster's namespace kube-system, or
	// empty if none is. Another cluster at the same address is not connected.
	ExpectedUID string
	// Server is the https URL of the API server. It overrides the kubeconfig's, unless
	// it is empty. A new URL gets a new connection.
	Server string
}

// needsNewConnection reports whether a connection to old is of no use for e.
func (e Endpoint) needsNewConnection(old Endpoint) bool {
	return e.UID != old.UID || e.Version != old.Version || e.Server != old.Server
}

// State is the state of the connection to a cluster.
type State struct {
	// Connected reports whether the cluster answers and its objects are cached.
	// Connecting reports whether the first attempt to connect is still running.
	Connected, Connecting bool
	// Reason is a condition reason of v1alpha1, and Message its message.
	Reason, Message string
	// Version of Kubernetes, and UID of the namespace kube-system. While there is no
	// connection, they are the last connection's.
	Version, UID string
	// Since is the time at which the connection was made or lost.
	Since time.Time
	// Slow reports whether the last probe of the connected cluster took longer than a
	// second. OnState is not called for a change of Slow alone.
	Slow bool
}

// Manager keeps one connection per cluster.
type Manager struct {
	o ManagerOptions

	mu         sync.Mutex
	connectors map[string]*connector
	running    context.Context // nil before Start
	ended      bool
	run        sync.WaitGroup
}

// NewManager returns a manager without clusters.
func NewManager(o ManagerOptions) *Manager {
	o.ProbeInterval = cmp.Or(o.ProbeInterval, 10*time.Second)
	o.ProbeTimeout = cmp.Or(o.ProbeTimeout, 10*time.Second)
	o.FailureThreshold = cmp.Or(o.FailureThreshold, 3)
	o.slowAfter = cmp.Or(o.slowAfter, time.Second)
	o.retryBase = cmp.Or(o.retryBase, time.Second)
	o.retryMax = cmp.Or(o.retryMax, time.Minute)
	return &Manager{o: o, connectors: map[string]*connector{}}
}

// Start connects the clusters and keeps them connected until ctx ends. Then it
// closes every connection and returns nil.
func (m *Manager) Start(ctx context.Context) error {
	m.mu.Lock()
	m.running = ctx
	for _, c := range m.connectors {
		m.startLoop(c)
	}
	m.mu.Unlock()
	<-ctx.Done()
	// Set may start a loop as long as ended is false.
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
	m.run.Wait()
	return nil
}

// NeedLeaderElection reports that only the leader connects to clusters.
func (m *Manager) NeedLeaderElection() bool { return true }

// startLoop starts the loop of a connector. The caller must hold m.mu.
func (m *Manager) startLoop(c *connector) {
	if m.running == nil || m.ended {
		return
	}
	ctx, stop := context.WithCancel(m.running)
	c.stop = stop
	m.run.Go(func() { c.run(ctx) })
}

// Set sets how to reach a cluster, and returns at once.
func (m *Manager) Set(cluster string, endpoint Endpoint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.connectors[cluster]; ok {
		c.set(endpoint)
		return
	}
	c := newConnector(cluster, &m.o, endpoint)
	m.connectors[cluster] = c
	m.startLoop(c)
}

// Remove ends the connection to a cluster. It does not wait until it is closed.
func (m *Manager) Remove(cluster string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.connectors[cluster]
	if !ok {
		return
	}
	delete(m.connectors, cluster)
	if c.stop != nil {
		c.stop()
	}
}

// Get returns the connection to a cluster. It never connects and never waits.
// Without a connection it returns a *NotConnectedError, which is ErrNotConnected.
func (m *Manager) Get(cluster string) (*Conn, error) {
	conn, state := m.get(cluster)
	if conn == nil {
		return nil, &NotConnectedError{Cluster: cluster, Reason: state.Reason, Message: state.Message}
	}
	return conn, nil
}

// State returns the state of the connection to a cluster.
func (m *Manager) State(cluster string) State {
	_, state := m.get(cluster)
	return state
}

func (m *Manager) get(cluster string) (*Conn, State) {
	m.mu.Lock()
	c := m.connectors[cluster]
	m.mu.Unlock()
	if c == nil {
		return nil, unknownCluster()
	}
	return c.get()
}

// unknownCluster returns the state of a cluster that was never set.
func unknownCluster() State {
	return State{Reason: v1alpha1.ReasonNotConnected, Message: "no Cluster of this name has a usable kubeconfig"}
}
