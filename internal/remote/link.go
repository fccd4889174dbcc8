package remote

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/remote/kubeconfig"
	"nautes.io/nautes/internal/secrets"
)

// runtimeRights says what to do for an account that may not read something.
const runtimeRights = "bring the ClusterRole nautes-runtime on the cluster up to date with config/rbac/runtime_role.yaml, and bind it to the account"

// desired is how a cluster is to be reached.
type desired struct {
	uid        types.UID
	kubeconfig secrets.Value
	version    string
	expect     string
	// server takes the place of the kubeconfig's, unless it is empty.
	server string
}

// sameWay tells whether the cluster is reached as before.
func (d desired) sameWay(other desired) bool {
	return d.uid == other.uid && d.version == other.version && d.server == other.server
}

// link is the loop of one cluster, and what others may see of it.
type link struct {
	cluster string
	o       *ManagerOptions
	changed chan struct{} // one place: the desired connection is another one
	stop    context.CancelFunc

	mu    sync.Mutex
	want  desired
	conn  *Conn // only while it is good to use
	state State
}

func newLink(cluster string, o *ManagerOptions, want desired) *link {
	return &link{
		cluster: cluster, o: o, changed: make(chan struct{}, 1), want: want,
		state: State{Connecting: true, Reason: v1alpha1.ReasonNotConnected, Message: "the connection is being made", Since: time.Now()},
	}
}

func (l *link) set(want desired) {
	l.mu.Lock()
	same := want.sameWay(l.want) && want.expect == l.want.expect
	l.want = want
	l.mu.Unlock()
	if same {
		return
	}
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *link) wanted() desired {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.want
}

func (l *link) get() (*Conn, State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn, l.state
}

// run connects, watches over the connection, and connects again, until ctx ends.
func (l *link) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		want := l.wanted()
		conn, err := l.connect(ctx, want)
		if err == nil {
			var was bool
			if was, err = l.keep(ctx, conn, want); was {
				failures = 0
			}
			l.lose(ctx, err)
			conn.Close()
		} else {
			l.lose(ctx, err)
		}
		if err != nil {
			l.pause(ctx, failures)
			failures++
		}
	}
}

// lose takes the connection away from others, before it is closed, and says why.
func (l *link) lose(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
		l.mu.Lock()
		l.conn = nil
		l.mu.Unlock()
	case err == nil:
		l.report(nil, State{Connecting: true, Reason: v1alpha1.ReasonNotConnected, Message: "the connection is being made anew"})
	default:
		why := explain(err, runtimeRights)
		l.o.Log.Info("cluster is not connected", "cluster", l.cluster, "reason", reasonOf(err), "why", why)
		l.report(nil, State{Reason: reasonOf(err), Message: why})
	}
}

// connect makes a connection to what is wanted.
func (l *link) connect(ctx context.Context, want desired) (*Conn, error) {
	cfg, err := want.config()
	if err != nil {
		return nil, err
	}
	conn, err := Connect(ctx, cfg, ConnOptions{
		Tenant: l.o.Tenant, Kinds: RuntimeKinds(), Facts: RuntimeFacts(), EntryPoints: true, Runs: true, Rights: runtimeRights,
		Scheme: l.o.Scheme, QPS: l.o.QPS, Burst: l.o.Burst, ProbeTimeout: l.o.ProbeTimeout,
		OnChange: func(gvk schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, deleted bool) {
			l.o.OnObject(l.cluster, gvk, meta, deleted)
		},
	})
	if err != nil {
		return nil, outdated(cfg, err)
	}
	if want.expect != "" && conn.UID() != want.expect {
		conn.Close()
		return nil, &replacedError{want: want.expect, got: conn.UID()}
	}
	return conn, nil
}

// config returns how the API server is reached.
func (d desired) config() (*rest.Config, error) {
	if d.server == "" {
		return kubeconfig.Parse(d.kubeconfig.Bytes())
	}
	return kubeconfig.ParseFor(d.kubeconfig.Bytes(), d.server)
}

// outdated finds the reason for a refusal in the client certificate: an API
// server says no more than that it does not know who asks.
func outdated(cfg *rest.Config, err error) error {
	if !apierrors.IsUnauthorized(err) || len(cfg.CertData) == 0 {
		return err
	}
	pair, broken := tls.X509KeyPair(cfg.CertData, cfg.KeyData)
	if broken != nil || pair.Leaf == nil || time.Now().Before(pair.Leaf.NotAfter) {
		return err
	}
	return &expiredError{since: pair.Leaf.NotAfter}
}

// keep watches over a connection. It returns when the connection is lost, with
// the error, or no longer the wanted one, without; and whether the cluster was
// connected in between.
func (l *link) keep(ctx context.Context, conn *Conn, want desired) (was bool, err error) {
	synced := make(chan struct{})
	waiting, stop := context.WithCancel(ctx)
	var waiter sync.WaitGroup
	defer func() { stop(); waiter.Wait() }()
	waiter.Go(func() {
		if conn.WaitForSync(waiting) == nil {
			close(synced)
		}
	})
	ticker := time.NewTicker(l.o.ProbeInterval)
	defer ticker.Stop()
	p := &probes{link: l, conn: conn, version: conn.Version(), slow: conn.took > l.o.SlowAfter}
	for {
		select {
		case <-ctx.Done():
			return p.was, nil
		case <-l.changed:
			now := l.wanted()
			if !now.sameWay(want) {
				return p.was, nil
			}
			if now.expect != "" && now.expect != conn.UID() {
				return p.was, &replacedError{want: now.expect, got: conn.UID()}
			}
			want = now
		case <-synced:
			synced, p.was = nil, true
			p.connected()
		case <-ticker.C:
			if err := p.next(ctx); err != nil {
				return p.was, err
			}
		}
	}
}

// probes watches over one connection.
type probes struct {
	*link
	conn *Conn
	// version of Kubernetes that was last seen.
	version string
	// slow: the last probe took long. was: the cluster was connected.
	slow, was bool
	// failed counts the probes that failed in a row, denied those in a row at
	// which the account might not read a kind.
	failed, denied int
}

// next probes the cluster and tells what that means. The error ends the connection.
func (p *probes) next(ctx context.Context) error {
	began := time.Now()
	err := p.ask(ctx)
	p.slow = time.Since(began) > p.o.SlowAfter
	if err != nil {
		p.failed++
		if p.failed >= p.o.FailureThreshold || reasonOf(err) == v1alpha1.ReasonClusterReplaced {
			return err
		}
		if p.was && p.denied < p.o.FailureThreshold {
			p.connected()
		}
		return nil
	}
	p.failed = 0
	if !p.was {
		if err := p.conn.Synced(); err != nil {
			p.unread(err)
		}
		return nil
	}
	// An API server that starts denies what it grants a moment later.
	denied := p.conn.denied()
	if denied == nil {
		p.denied = 0
	} else if p.denied++; p.denied >= p.o.FailureThreshold {
		p.unread(denied)
		return nil
	}
	p.connected()
	return nil
}

// ask asks the cluster who it is: an answer shows that the network, the
// credentials and the storage behind the API server work, and that it is still
// the same cluster.
func (p *probes) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.o.ProbeTimeout)
	defer cancel()
	uid, version, err := p.conn.identity(ctx)
	if err != nil {
		return err
	}
	if uid != p.conn.UID() {
		return &replacedError{want: p.conn.UID(), got: uid}
	}
	p.version = version
	return nil
}

// unread reports that the cluster answers, and that not everything is known.
func (p *probes) unread(err error) {
	p.report(nil, State{Reason: v1alpha1.ReasonNotConnected, Message: err.Error(), Version: p.version, UID: p.conn.UID()})
}

func (p *probes) connected() {
	p.report(p.conn, State{
		Connected: true, Reason: v1alpha1.ReasonConnected, Version: p.version, UID: p.conn.UID(),
		Message: fmt.Sprintf("Kubernetes %s answers", p.version), Slow: p.slow,
	})
}

// report makes a state the one that others see, and tells them if it is new.
func (l *link) report(conn *Conn, s State) {
	l.mu.Lock()
	l.conn = conn
	before := l.state
	s.Since = before.Since
	if s.Connected != before.Connected {
		s.Since = time.Now()
	}
	if !s.Connected {
		s.Version, s.UID = orDefault(s.Version, before.Version), orDefault(s.UID, before.UID)
	}
	l.state = s
	l.mu.Unlock()
	s.Slow = before.Slow
	if s != before {
		l.o.OnState(l.cluster)
	}
}

// pause waits before the next attempt: longer after each failure, and not at
// all when another connection is wanted.
func (l *link) pause(ctx context.Context, failures int) {
	d := min(l.o.RetryBase<<min(failures, 16), l.o.RetryMax)
	timer := time.NewTimer(wait.Jitter(d, 0.2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-l.changed:
	case <-timer.C:
	}
}
