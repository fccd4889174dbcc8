package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/scenario"
)

const (
	// productRuntimes is how many pipeline runtimes a product has.
	productRuntimes = 10
	// firstShare separates fixed from growing cost: the first measurement has one
	// in firstShare runtimes, the second has all of them.
	firstShare = 4
	// progressTime is how often progress is printed.
	progressTime = 10 * time.Second
	// quietTime without a write or a look at a runtime means that the operator has
	// done its work.
	quietTime = 5 * time.Second
	// collectTime is longer than the pause between two garbage collections of a
	// process that does nothing: Go makes it two minutes at most.
	collectTime = 150 * time.Second
)

// load is the cost of some pipeline runtimes for the operator.
type load struct {
	runtimes int
	// took is from the declaration to the last object.
	took time.Duration
	// did holds the operator's counters since its start, after a garbage collection.
	did telemetry
}

// runRuntimes prints the cost of pipeline runtimes for the operator.
func runRuntimes(ctx context.Context, runtimes int) error {
	fmt.Printf("\nThe operator with pipeline runtimes, shared, %d in each product, without Argo Events:\n", productRuntimes)
	most := max(2, runtimes/productRuntimes)
	loads, err := measureRuntimes(ctx, max(1, most/firstShare), most)
	if err != nil {
		return fmt.Errorf("%d pipeline runtimes: %w", runtimes, err)
	}
	fmt.Printf("%-9s %-9s %-10s %-14s %-10s %-16s %s\n", "runtimes", "took", "CPU", "live heap", "RSS", "tenant reads/writes", "cluster reads/writes")
	for _, l := range loads {
		fmt.Printf("%-9d %-9s %-10s %-14s %-10s %-16s %s\n", l.runtimes, l.took.Round(time.Second), l.did.cpu.Round(time.Second/10),
			mebibytes(l.did.live), mebibytes(l.did.resident), pair(l.did.tenant), pair(l.did.cluster))
	}
	few, all := loads[0], loads[1]
	more := float64(all.runtimes - few.runtimes)
	per := func(a, b int64) float64 { return float64(b-a) / more }
	fmt.Printf("for 1,000 at that slope: live heap %s, RSS %s\n",
		mebibytes(int64(1000*per(few.did.live, all.did.live))), mebibytes(int64(1000*per(few.did.resident, all.did.resident))))
	fmt.Printf("for one at that slope: %.0f ms of CPU, %.1f reads and %.1f writes on its cluster, %.1f and %.1f on the tenant\n",
		1000*(all.did.cpu-few.did.cpu).Seconds()/more, per(few.did.cluster.reads, all.did.cluster.reads), per(few.did.cluster.writes, all.did.cluster.writes),
		per(few.did.tenant.reads, all.did.tenant.reads), per(few.did.tenant.writes, all.did.tenant.writes))
	return nil
}

func mebibytes(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

func pair(r requests) string { return fmt.Sprintf("%d/%d", r.reads, r.writes) }

// measureRuntimes declares the pipeline runtimes of so many products, and then of
// more, and returns the operator's counters at each of the two.
func measureRuntimes(ctx context.Context, sizes ...int) (loads []load, err error) {
	dir, err := os.MkdirTemp("", "nautes-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b, err := pipelineStack(ctx, dir)
	defer func() { err = errors.Join(err, b.close()) }()
	if err != nil {
		return nil, err
	}
	sensors := &metav1.PartialObjectMetadataList{}
	sensors.SetGroupVersionKind(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "SensorList"})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := newArrivals()
	if err := scenario.Watch(ctx, b.Clusters[cluster], sensors, func(o client.Object) { seen.note(o.GetName()) }); err != nil {
		return nil, err
	}
	began, from := time.Now(), 0
	for _, products := range sizes {
		if err := b.storeCredentials(ctx, from, products); err != nil {
			return nil, err
		}
		err = b.declare(ctx, from, products, func(i int) map[string]string { return b.pipelineFiles(i, productRuntimes, v1alpha1.IsolationShared) })
		if err != nil {
			return nil, err
		}
		l := load{runtimes: products * productRuntimes}
		err = reach(ctx, "sensors", l.runtimes, seen.count, func() string { return "the first runtime says: " + b.runtimeStatus(ctx) })
		if err != nil {
			return nil, err
		}
		l.took = time.Since(began)
		if l.did, err = b.settled(ctx); err != nil {
			return nil, err
		}
		began, from, loads = time.Now(), products, append(loads, l)
	}
	return loads, nil
}

// reach waits until there are as many of something as wanted, and prints how many
// there are. It gives up when there are no more for as long as patience lasts.
// why is asked then.
func reach(ctx context.Context, what string, want int, count func() int, why func() string) error {
	began := time.Now()
	grown, told, most := began, began, -1
	for {
		have, now := count(), time.Now()
		if have > most {
			most, grown = have, now
		}
		if have >= want {
			return nil
		}
		if now.Sub(grown) > patience {
			return fmt.Errorf("%d of %d %s are there, and no more come within %s; %s", have, want, what, patience, why())
		}
		if now.Sub(told) >= progressTime {
			told = now
			fmt.Printf("  %4.0f s: %d of %d %s\n", now.Sub(began).Seconds(), have, want, what)
		}
		if err := scenario.Pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// settled waits until the operator has nothing to do any more and has collected its
// garbage since, and returns its counters. At work, garbage of the next moment is
// larger than the memory that it keeps.
func (b *bench) settled(ctx context.Context) (telemetry, error) {
	last, err := b.telemetry(ctx)
	if err != nil {
		return telemetry{}, err
	}
	quiet := time.Now()
	for {
		if err := scenario.Pause(ctx, time.Second); err != nil {
			return telemetry{}, err
		}
		now, err := b.telemetry(ctx)
		if err != nil {
			return telemetry{}, err
		}
		switch still := time.Since(quiet); {
		case now.looks != last.looks, now.tenant.writes != last.tenant.writes, now.cluster.writes != last.cluster.writes:
			last, quiet = now, time.Now()
		case still < quietTime:
			// Collections before everything is at rest do not count.
			last.collections = now.collections
		case now.collections > last.collections:
			return now, nil
		case still > collectTime:
			return telemetry{}, fmt.Errorf("the operator collects no garbage within %s", collectTime)
		}
	}
}
