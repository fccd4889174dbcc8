// Command nautes-runner is the program that the launchers of pipeline runtimes run: it
// creates the run of a pipeline, waits for its end and reports it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"nautes.io/nautes/internal/runner"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(runner.New(os.Stdout, os.Stderr).Run(ctx, os.Args[1:]))
}
