// Command redis is the Redis protocol server that Argo CD keeps its cache in
// on a development stack. It holds everything in memory and ends with its
// parent's signal.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	address := flag.String("address", "127.0.0.1:6379", "host:port to listen on")
	flag.Parse()

	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(*address); err != nil {
		fmt.Fprintf(os.Stderr, "redis: listen on %s: %v\n", *address, err)
		os.Exit(1)
	}
	defer server.Close()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	// The in-memory server expires keys only when its clock is moved.
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			server.FastForward(time.Second)
		}
	}
}
