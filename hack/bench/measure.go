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

	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/scenario"
)

const (
	cluster    = "worker"
	restTime   = 10 * time.Second
	settleTime = 2 * time.Second
	patience   = scenario.Patience
)

// bench is one stack with its operator.
type bench struct {
	*scenario.System
	operator *devstack.Operator
}

// newBench returns the bench of a stack. The operator is started by startOperator.
func newBench(ctx context.Context, options devstack.Options) (*bench, error) {
	stack, err := devstack.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	system, err := scenario.NewSystem(stack)
	if err != nil {
		return nil, errors.Join(err, stack.Stop())
	}
	return &bench{System: system}, nil
}

func (b *bench) startOperator(ctx context.Context) error {
	var err error
	if b.operator, err = b.StartOperator(ctx, devstack.OperatorOptions{Tenant: "bench"}); err != nil {
		return err
	}
	b.Hooks = b.operator.Hooks
	return nil
}

// close ends the operator and the stack, of which either may be missing.
func (b *bench) close() error {
	if b == nil {
		return nil
	}
	if b.operator != nil {
		_ = b.operator.Stop()
	}
	return b.Stop()
}

func measure(ctx context.Context, products, pushes int) (row result, err error) {
	dir, err := os.MkdirTemp("", "nautes-bench-")
	if err != nil {
		return row, fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// Argo CD is not measured, so it need not run; deletions are not measured
	// either, so neither does a controller manager.
	b, err := newBench(ctx, devstack.Options{Dir: filepath.Join(dir, "stack"), Runtimes: []string{cluster}})
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.startOperator(ctx); err != nil {
		return row, err
	}
	if err := b.prepare(ctx, "deployment"); err != nil {
		return row, err
	}
	if err := b.populate(ctx, products); err != nil {
		return row, err
	}
	if row.resource, row.application, err = b.push(ctx, products, pushes); err != nil {
		return row, err
	}
	if row.rest, err = b.writes(ctx, func() error { return scenario.Pause(ctx, restTime) }); err != nil {
		return row, err
	}
	row.restart, err = b.writes(ctx, func() error {
		if err := b.operator.Restart(ctx); err != nil {
			return err
		}
		return scenario.Pause(ctx, restTime)
	})
	if err != nil {
		return row, err
	}
	row.memory, err = rss(b.operator.PID())
	return row, err
}

// prepare registers the cluster, for one type of work.
func (b *bench) prepare(ctx context.Context, workerType string) error {
	if err := b.CreateNamespace(ctx, cluster, devstack.ArgoCDNamespace); err != nil {
		return err
	}
	spec := append(scenario.WorkerSpec(workerType), "primaryDomain: bench.example")
	return b.RegisterCluster(ctx, cluster, b.Runtimes[cluster], spec...)
}

// writes counts the objects that are written on both control planes while do runs.
func (b *bench) writes(ctx context.Context, do func() error) (int, error) {
	if err := scenario.Pause(ctx, settleTime); err != nil {
		return 0, err
	}
	recording, err := scenario.Record(ctx, b.Planes())
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	changes, err := recording.Changes(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, all := range changes {
		total += len(all)
	}
	return total, nil
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
