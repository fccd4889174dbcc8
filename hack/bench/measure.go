package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/foreign"
	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
)

const (
	cluster    = "worker"
	restTime   = 10 * time.Second
	settleTime = 2 * time.Second
	patience   = 3 * time.Minute
)

// bench is one stack with its operator.
type bench struct {
	stack    *devstack.Stack
	tenant   client.WithWatch
	runtime  client.WithWatch
	operator *devstack.Operator
	key      []byte
}

func measure(ctx context.Context, products, pushes int) (row result, err error) {
	dir, err := os.MkdirTemp("", "nautes-bench-")
	if err != nil {
		return row, fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{}
	// Argo CD is not measured, so it need not run; deletions are not measured
	// either, so neither does a controller manager.
	if b.stack, err = devstack.Start(ctx, devstack.Options{Dir: filepath.Join(dir, "stack"), Runtimes: []string{cluster}}); err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, b.stack.Stop()) }()
	if b.operator, err = b.stack.StartOperator(ctx, devstack.OperatorOptions{Tenant: "bench"}); err != nil {
		return row, err
	}
	defer func() { _ = b.operator.Stop() }()
	if err := b.prepare(ctx, "deployment"); err != nil {
		return row, err
	}
	if err := b.populate(ctx, products); err != nil {
		return row, err
	}
	if row.resource, row.application, err = b.push(ctx, products, pushes); err != nil {
		return row, err
	}
	if row.rest, err = b.writes(ctx, func() error { return pause(ctx, restTime) }); err != nil {
		return row, err
	}
	row.restart, err = b.writes(ctx, func() error {
		if err := b.operator.Restart(ctx); err != nil {
			return err
		}
		return pause(ctx, restTime)
	})
	if err != nil {
		return row, err
	}
	row.memory, err = rss(b.operator.PID())
	return row, err
}

// prepare registers the cluster, for one type of work, with its credentials.
func (b *bench) prepare(ctx context.Context, workerType string) error {
	for plane, c := range map[*devstack.ControlPlane]*client.WithWatch{b.stack.Tenant: &b.tenant, b.stack.Runtimes[cluster]: &b.runtime} {
		cfg := plane.Config()
		cfg.QPS = -1
		made, err := client.NewWithWatch(cfg, client.Options{Scheme: foreign.Scheme()})
		if err != nil {
			return fmt.Errorf("make a client: %w", err)
		}
		*c = made
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: devstack.ArgoCDNamespace}}
	if err := b.runtime.Create(ctx, namespace); err != nil {
		return fmt.Errorf("create the namespace of Argo CD: %w", err)
	}
	credentials, err := b.stack.Runtimes[cluster].RegisterUser(ctx)
	if err != nil {
		return err
	}
	store := kube.New(b.tenant, b.tenant, devstack.OperatorNamespace)
	_, err = store.Put(ctx, secrets.ClusterKubeconfig(cluster), map[string]secrets.Value{"kubeconfig": secrets.NewValue(credentials)})
	if err != nil {
		return err
	}
	return devstack.Apply(ctx, b.stack.Tenant.Config(), []byte(clusterManifest(b.stack.Runtimes[cluster].Config().Host, workerType)))
}

// hook returns the push hook of a product.
func (b *bench) hook(ctx context.Context, product string) (githost.Hook, error) {
	if b.key == nil {
		secret := &corev1.Secret{}
		err := until(ctx, "the key of the push hooks", func() error {
			return b.tenant.Get(ctx, client.ObjectKey{Namespace: devstack.OperatorNamespace, Name: "nautes-receiver"}, secret)
		})
		if err != nil {
			return githost.Hook{}, err
		}
		b.key = secret.Data["key"]
	}
	return githost.Hook{URL: b.operator.Hooks + receiver.ProductsPath + product, Token: receiver.Token(b.key, receiver.ProductPrefix+product)}, nil
}

// writes counts the objects that are written on both control planes while do runs.
func (b *bench) writes(ctx context.Context, do func() error) (int, error) {
	if err := pause(ctx, settleTime); err != nil {
		return 0, err
	}
	planes := []*devstack.ControlPlane{b.stack.Tenant, b.stack.Runtimes[cluster]}
	var marks []devstack.Mark
	for _, plane := range planes {
		mark, err := plane.Mark(ctx)
		if err != nil {
			return 0, err
		}
		marks = append(marks, mark)
	}
	if err := do(); err != nil {
		return 0, err
	}
	total := 0
	for i, plane := range planes {
		changes, err := plane.Changes(ctx, marks[i])
		if err != nil {
			return 0, err
		}
		total += len(changes)
	}
	return total, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// until polls until ask returns nil.
func until(ctx context.Context, what string, ask func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s: %w", what, patience, err)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// rss returns the resident memory of a process in bytes.
func rss(pid int) (int64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of the operator: %w", err)
	}
	fields := strings.Fields(string(content))
	if len(fields) < 2 {
		return 0, errors.New("read the memory of the operator: unknown format")
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the memory of the operator: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}

// spread is the median and the 99th percentile.
func spread(took []time.Duration) string {
	if len(took) == 0 {
		return "-"
	}
	return fmt.Sprintf("%d ms / %d ms", percentile(took, 50).Milliseconds(), percentile(took, 99).Milliseconds())
}

// percentile returns the value that p of a hundred do not exceed.
func percentile(took []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}
