// Command bench measures the whole system on real control planes and a real Git
// server, and prints a report: how long a push takes, what is written at rest
// and by a restart, and how much memory the operator takes. It judges nothing:
// figures depend on the machine, and belong into docs/bench.md with its name.
//
// BENCH_PRODUCTS lists the numbers of products to measure with (10,100), and
// BENCH_PUSHES the number of pushes each (100).
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
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
