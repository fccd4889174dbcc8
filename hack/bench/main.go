// Command bench measures the whole system on real control planes and a real Git
// server, and prints a report: how long a push takes, how long it takes to
// register many clusters at once, how long an event takes to become a pipeline,
// how many writes happen at rest and by a restart, and how much memory the
// operator takes. It judges nothing: figures depend on the machine, and belong
// into docs/bench.md with its name.
//
// BENCH_PRODUCTS lists the numbers of products to measure with (10,100), and
// BENCH_PUSHES the number of pushes each (100); BENCH_DELIVERIES is the number of
// events (100). With -clusters, only the
// registration of so many clusters is measured; they are simulated. With
// -pipelines, only pipelines are, and the cost of so many of their runtimes; with
// -runtimes, only the latter. With -rest, only the REST API is, with so many products.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

const (
	// fewClusters are registered when nothing is said.
	fewClusters = 40
	// troubleShare: one of so many clusters is slow, and one is dead.
	troubleShare = 40
	// fewRuntimes of pipelines are declared when nothing is said.
	fewRuntimes = 100
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	clusters := flag.Int("clusters", 0, "measure only the registration of this `number` of clusters")
	slowOnes := flag.Int("slow", -1, "how many of the clusters answer slowly (one of 40)")
	deadOnes := flag.Int("dead", -1, "how many of the clusters accept connections and never answer (one of 40)")
	pipelines := flag.Int("pipelines", 0, "measure only pipelines, with this `number` of runtimes")
	products := flag.Int("rest", 0, "measure only the REST API, with this `number` of products")
	runtimes := flag.Int("runtimes", 0, "measure only what this `number` of pipeline runtimes takes, without Argo Events")
	flag.Parse()
	if err := run(ctx, *clusters, *slowOnes, *deadOnes, *pipelines, *runtimes, *products); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, clusters, slowOnes, deadOnes, pipelines, runtimes, products int) error {
	switch {
	case products > 0:
		return runREST(ctx, products)
	case runtimes > 0:
		return runRuntimes(ctx, runtimes)
	case pipelines > 0:
		return measuredPipelines(ctx, pipelines)
	}
	if clusters == 0 {
		if err := runProducts(ctx); err != nil {
			return err
		}
		if err := runREST(ctx, fewProducts); err != nil {
			return err
		}
		if err := measuredPipelines(ctx, fewRuntimes); err != nil {
			return err
		}
		clusters = fewClusters
	}
	if slowOnes < 0 {
		slowOnes = max(1, clusters/troubleShare)
	}
	if deadOnes < 0 {
		deadOnes = max(1, clusters/troubleShare)
	}
	sizes := map[behaviour]int{healthy: clusters - slowOnes - deadOnes, slow: slowOnes, dead: deadOnes}
	if sizes[healthy] < 1 {
		return errors.New("-clusters must be more than -slow and -dead together")
	}
	return runClusters(ctx, sizes)
}

func measuredPipelines(ctx context.Context, runtimes int) error {
	deliveries, err := numbers("BENCH_DELIVERIES", "100")
	if err != nil {
		return err
	}
	if err := runPipelines(ctx, deliveries[0]); err != nil {
		return err
	}
	return runRuntimes(ctx, runtimes)
}

func runProducts(ctx context.Context) error {
	sizes, err := numbers("BENCH_PRODUCTS", "10,100")
	if err != nil {
		return err
	}
	pushes, err := numbers("BENCH_PUSHES", "100")
	if err != nil {
		return err
	}
	fmt.Println("\nThe whole system, one runtime cluster, the operator as a process of its own:")
	fmt.Printf("%-10s %-8s %-22s %-22s %-14s %-16s %-10s\n", "products", "pushes", "push → CR p50/p99", "push → App p50/p99", "at rest (10 s)", "restart writes", "RSS")
	for _, products := range sizes {
		row, err := measure(ctx, products, pushes[0])
		if err != nil {
			return fmt.Errorf("with %d products: %w", products, err)
		}
		fmt.Printf("%-10d %-8d %-22s %-22s %-14d %-16d %-10s\n", products, pushes[0],
			spread(row.resource), spread(row.application), row.rest, row.restart, fmt.Sprintf("%d MiB", row.memory>>20))
	}
	return nil
}

// runClusters registers the healthy clusters alone, and then all of them.
func runClusters(ctx context.Context, sizes map[behaviour]int) error {
	fmt.Println("\nRegistering simulated clusters at once, the tenant real, the operator as a process of its own:")
	fmt.Printf("%-8s %-6s %-6s %-38s %-11s %-32s %s\n", "healthy", "slow", "dead",
		"healthy: Ready p50/p99/all", "slow Ready", "at rest (10 s) objects/req/fleet", "RSS before → after (per cluster)")
	var rows []registration
	for _, each := range []map[behaviour]int{{healthy: sizes[healthy]}, sizes} {
		row, err := register(ctx, each)
		if err != nil {
			return fmt.Errorf("with %v clusters: %w", each, err)
		}
		connected := each[healthy] + row.slowReady
		fmt.Printf("%-8d %-6d %-6d %-38s %-11s %-32s %d → %d MiB (%d KiB)\n", each[healthy], each[slow], each[dead],
			fmt.Sprintf("%d / %d / %d ms", percentile(row.ready, 50).Milliseconds(), percentile(row.ready, 99).Milliseconds(), row.total().Milliseconds()),
			fmt.Sprintf("%d of %d", row.slowReady, each[slow]), fmt.Sprintf("%d / %d / %d", row.objects, row.requests, row.remote),
			row.before>>20, row.after>>20, (row.after-row.before)>>10/int64(connected))
		rows = append(rows, row)
	}
	ratio := func(of func(registration) time.Duration) float64 {
		return of(rows[1]).Seconds() / of(rows[0]).Seconds()
	}
	fmt.Printf("beside slow and dead clusters, the healthy ones took: p50 × %.2f, p99 × %.2f, all × %.2f\n",
		ratio(func(r registration) time.Duration { return percentile(r.ready, 50) }),
		ratio(func(r registration) time.Duration { return percentile(r.ready, 99) }), ratio(registration.total))
	return nil
}

// numbers reads a list of numbers from the environment.
func numbers(name, otherwise string) ([]int, error) {
	text := os.Getenv(name)
	if text == "" {
		text = otherwise
	}
	var all []int
	for _, one := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(one))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%s: %q is not a list of numbers above 0", name, text)
		}
		all = append(all, n)
	}
	return all, nil
}

// result is one row of the report.
type result struct {
	resource, application []time.Duration
	rest, restart         int
	memory                int64
}
