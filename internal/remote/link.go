package remote

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
)

// desired is how a cluster is to be reached.
type desired struct {
	uid        types.UID
	kubeconfig secrets.Value
	version    string
	expect     string
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
	same := want.uid == l.want.uid && want.version == l.want.version && want.expect == l.want.expect
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
		l.o.Log.Info("cluster is not connected", "cluster", l.cluster, "reason", reasonOf(err), "why", explain(err))
		l.report(nil, State{Reason: reasonOf(err), Message: explain(err)})
	}
}

// connect makes a connection to what is wanted.
func (l *link) connect(ctx context.Context, want desired) (*Conn, error) {
	cfg, err := ParseKubeconfig(want.kubeconfig.Bytes())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.o.ProbeTimeout)
	defer cancel()
	conn, err := Connect(ctx, cfg, ConnOptions{
		Tenant: l.o.Tenant, Kinds: RuntimeKinds(), Facts: RuntimeFacts(), Scheme: l.o.Scheme, QPS: l.o.QPS, Burst: l.o.Burst,
		OnChange: func(gvk schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, deleted bool) {
			l.o.OnObject(l.cluster, gvk, meta, deleted)
		},
	})
	if err != nil {
		return nil, err
	}
	if want.expect != "" && conn.UID() != want.expect {
		conn.Close()
		return nil, &replacedError{want: want.expect, got: conn.UID()}
	}
	return conn, nil
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
	version, failed := conn.Version(), 0
	for {
		select {
		case <-ctx.Done():
			return was, nil
		case <-l.changed:
			now := l.wanted()
			if now.uid != want.uid || now.version != want.version {
				return was, nil
			}
			if now.expect != "" && now.expect != conn.UID() {
				return was, &replacedError{want: now.expect, got: conn.UID()}
			}
			want = now
		case <-synced:
			synced, was = nil, true
			l.connected(conn, version)
		case <-ticker.C:
			version, err = l.probe(ctx, conn, version)
			if err == nil {
				failed = 0
				l.alive(conn, version, was)
				continue
			}
			failed++
			if failed >= l.o.FailureThreshold || reasonOf(err) == v1alpha1.ReasonClusterReplaced {
				return was, err
			}
		}
	}
}

// probe asks the cluster who it is: an answer shows that the network, the
// credentials and the storage behind the API server work, and that it is still
// the same cluster. It returns the version of Kubernetes, the known one on error.
func (l *link) probe(ctx context.Context, conn *Conn, known string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.ProbeTimeout)
	defer cancel()
	uid, version, err := conn.identity(ctx)
	if err != nil {
		return known, err
	}
	if uid != conn.UID() {
		return known, &replacedError{want: conn.UID(), got: uid}
	}
	return version, nil
}

// alive reports a probe that succeeded.
func (l *link) alive(conn *Conn, version string, synced bool) {
	if synced {
		l.connected(conn, version)
		return
	}
	if err := conn.Synced(); err != nil {
		l.report(nil, State{Reason: v1alpha1.ReasonNotConnected, Message: err.Error(), Version: version, UID: conn.UID()})
	}
}

func (l *link) connected(conn *Conn, version string) {
	l.report(conn, State{
		Connected: true, Reason: v1alpha1.ReasonConnected, Version: version, UID: conn.UID(),
		Message: fmt.Sprintf("Kubernetes %s answers", version),
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
