package remote

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/remote/kubeconfig"
)

// runtimeRights is the remedy for an account without the right to read a kind.
const runtimeRights = "bring the ClusterRole nautes-runtime on the cluster up to date with config/rbac/runtime_role.yaml, and bind it to the account"

// connector runs the loop that connects one cluster, and publishes its state.
type connector struct {
	cluster string
	o       *ManagerOptions
	log     logr.Logger
	changed chan struct{} // buffered: the endpoint has changed
	stop    context.CancelFunc

	// attempt is the endpoint of the present attempt to connect, and connected the
	// endpoint of the last connection, or nil. Only the loop uses them.
	attempt   Endpoint
	connected *Endpoint

	mu       sync.Mutex
	endpoint Endpoint
	conn     *Conn // nil unless it can be used
	state    State
}

func newConnector(cluster string, o *ManagerOptions, endpoint Endpoint) *connector {
	return &connector{
		cluster: cluster, o: o, log: o.Log.WithValues("cluster", cluster), changed: make(chan struct{}, 1), endpoint: endpoint,
		state: State{Connecting: true, Reason: v1alpha1.ReasonNotConnected, Message: "the connection is being made", Since: time.Now()},
	}
}

func (c *connector) set(endpoint Endpoint) {
	c.mu.Lock()
	same := !endpoint.needsNewConnection(c.endpoint) && endpoint.ExpectedUID == c.endpoint.ExpectedUID
	c.endpoint = endpoint
	c.mu.Unlock()
	if same {
		return
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *connector) wanted() Endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endpoint
}

func (c *connector) get() (*Conn, State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn, c.state
}

// run connects the cluster, watches over the connection and reconnects, until ctx ends.
func (c *connector) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		c.attempt = c.wanted()
		conn, err := c.connect(ctx)
		if err == nil {
			var connected bool
			if connected, err = c.keep(ctx, conn); connected {
				failures = 0
			}
			c.withdraw(ctx, err)
			conn.Close()
		} else {
			c.withdraw(ctx, err)
		}
		if err != nil {
			c.pause(ctx, failures)
			failures++
		}
	}
}

// withdraw withdraws the connection before it is closed, and publishes the reason.
func (c *connector) withdraw(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
		c.mu.Lock()
		c.conn = nil
		c.mu.Unlock()
	case err == nil:
		c.publish(nil, State{Connecting: true, Reason: v1alpha1.ReasonNotConnected, Message: "the connection is being made again"})
	default:
		c.publish(nil, State{Reason: reasonOf(err), Message: explain(err, runtimeRights)})
	}
}

// connect connects to the endpoint of the present attempt.
func (c *connector) connect(ctx context.Context) (*Conn, error) {
	cfg, err := c.attempt.config()
	if err != nil {
		return nil, err
	}
	conn, err := Connect(ctx, cfg, ConnOptions{
		Tenant: c.o.Tenant, Kinds: plan.RuntimeKinds(), EntryPoints: true, Runs: true, Rights: runtimeRights,
		ExpectedUID: c.attempt.ExpectedUID, Scheme: c.o.Scheme, QPS: c.o.QPS, Burst: c.o.Burst, ProbeTimeout: c.o.ProbeTimeout, Log: c.log,
		OnChange: func(gvk schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, deleted bool) {
			c.o.OnObject(c.cluster, gvk, meta, deleted)
		},
	})
	if err != nil {
		return nil, checkExpiry(cfg, err)
	}
	return conn, nil
}

// config returns the configuration of a client for the endpoint.
func (e Endpoint) config() (*rest.Config, error) {
	if e.Server == "" {
		return kubeconfig.Parse(e.Kubeconfig.Bytes())
	}
	return kubeconfig.ParseFor(e.Kubeconfig.Bytes(), e.Server)
}

// checkUID returns an error if another cluster than the expected one answers.
func checkUID(expected, got string) error {
	if expected == "" || expected == got {
		return nil
	}
	return &refusal{reason: v1alpha1.ReasonClusterReplaced, message: fmt.Sprintf(
		"another cluster answers at the address: the UID of its namespace kube-system is %s, and %s is on record; "+
			"bring the first one back, or delete the Cluster and create it again", got, expected)}
}

// checkExpiry replaces the error of an API server that refuses an expired client
// certificate: the server itself does not name the cause.
func checkExpiry(cfg *rest.Config, err error) error {
	if !apierrors.IsUnauthorized(err) || len(cfg.CertData) == 0 {
		return err
	}
	pair, broken := tls.X509KeyPair(cfg.CertData, cfg.KeyData)
	if broken != nil || pair.Leaf == nil || time.Now().Before(pair.Leaf.NotAfter) {
		return err
	}
	return &refusal{reason: v1alpha1.ReasonCredentialsInvalid, message: fmt.Sprintf(
		"the client certificate in the kubeconfig has expired on %s; store a kubeconfig with a new one",
		pair.Leaf.NotAfter.UTC().Format(time.DateOnly))}
}

// keep watches over a connection. It returns an error if the connection is lost,
// and nil if another endpoint is wanted. It also returns whether the cluster was
// connected in between.
func (c *connector) keep(ctx context.Context, conn *Conn) (connected bool, err error) {
	synced := make(chan struct{})
	waiting, stop := context.WithCancel(ctx)
	var waiter sync.WaitGroup
	defer func() { stop(); waiter.Wait() }()
	waiter.Go(func() {
		if conn.WaitForSync(waiting) == nil {
			close(synced)
		}
	})
	ticker := time.NewTicker(c.o.ProbeInterval)
	defer ticker.Stop()
	p := &prober{connector: c, conn: conn, version: conn.Version(), slow: conn.took > c.o.slowAfter}
	for {
		select {
		case <-ctx.Done():
			return p.synced, nil
		case <-c.changed:
			wanted := c.wanted()
			if wanted.needsNewConnection(c.attempt) {
				return p.synced, nil
			}
			if err := checkUID(wanted.ExpectedUID, conn.UID()); err != nil {
				return p.synced, err
			}
		case <-synced:
			synced, p.synced = nil, true
			p.publishConnected()
		case <-ticker.C:
			if err := p.probe(ctx); err != nil {
				return p.synced, err
			}
		}
	}
}

// publish publishes a state. It logs the state and calls OnState if it is new.
func (c *connector) publish(conn *Conn, s State) {
	c.mu.Lock()
	c.conn = conn
	before := c.state
	s.Since = before.Since
	if s.Connected != before.Connected {
		s.Since = time.Now()
	}
	if !s.Connected {
		s.Version, s.UID = cmp.Or(s.Version, before.Version), cmp.Or(s.UID, before.UID)
	}
	c.state = s
	c.mu.Unlock()
	c.logChange(before, s)
	s.Slow = before.Slow
	if s != before {
		c.o.OnState(c.cluster)
	}
}

// logChange logs one line for a change of the connection. A planned reconnection
// is logged when it has succeeded or failed.
func (c *connector) logChange(before, now State) {
	switch {
	case now.Connected && !before.Connected:
		message, cause := "cluster connected", "first connection"
		if c.connected != nil {
			message, cause = "cluster reconnected", reconnectionCause(*c.connected, c.attempt)
		}
		c.log.Info(message, "reason", cause, "kubernetes", now.Version, "uid", now.UID, "slow", now.Slow)
		attempt := c.attempt
		c.connected = &attempt
	case now.Connecting:
	case before.Connected && !now.Connected:
		c.log.Info("cluster disconnected", "reason", now.Reason, "message", now.Message)
	case !now.Connected && (now.Reason != before.Reason || now.Message != before.Message):
		message := "cluster not connected"
		if now.Reason != v1alpha1.ReasonNotConnected {
			message = "cluster refused"
		}
		c.log.Info(message, "reason", now.Reason, "message", now.Message)
	case now.Slow && !before.Slow:
		c.log.Info("cluster slow", "reason", "a probe took longer than "+c.o.slowAfter.String())
	case before.Slow && !now.Slow && now.Connected:
		c.log.Info("cluster fast again", "reason", "a probe took at most "+c.o.slowAfter.String())
	}
}

func reconnectionCause(old, now Endpoint) string {
	switch {
	case now.UID != old.UID:
		return "the Cluster was created again"
	case now.Version != old.Version:
		return "rotated credential"
	case now.Server != old.Server:
		return "changed address"
	}
	return "the connection was lost"
}

// pause waits before the next attempt, longer after each failure. It ends early if
// the endpoint changes.
func (c *connector) pause(ctx context.Context, failures int) {
	d := min(c.o.retryBase<<min(failures, 16), c.o.retryMax)
	timer := time.NewTimer(wait.Jitter(d, 0.2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c.changed:
	case <-timer.C:
	}
}
