// Command vault is the core of HashiCorp Vault as a small server for a
// development stack: KV version 2, authentication of Kubernetes service accounts
// and by AppRole, and the file audit device, with Vault's own HTTP API. It
// initialises and unseals itself; its root token and its unseal key lie in files
// of its owner, so it is nothing to keep real secrets in.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/vault"
)

// stopWithin is how long requests have to end after a signal.
const stopWithin = 3 * time.Second

type options struct {
	address         string
	cert, key       string
	storage         string
	rootToken       string
	unsealKey       string
	audit, logLevel string
}

var errUsage = errors.New("--root-token-file and --unseal-key-file are needed, --tls-cert and --tls-key only together")

func main() {
	var o options
	flag.StringVar(&o.address, "address", "127.0.0.1:8200", "host:port to listen on")
	flag.StringVar(&o.cert, "tls-cert", "", "file of the serving certificate; none: plain HTTP")
	flag.StringVar(&o.key, "tls-key", "", "file of the certificate's key")
	flag.StringVar(&o.storage, "storage", "", "directory that keeps the data; none: memory")
	flag.StringVar(&o.rootToken, "root-token-file", "", "file to write the root token to")
	flag.StringVar(&o.unsealKey, "unseal-key-file", "", "file to write the unseal key to, and to read it from when the storage is initialised")
	flag.StringVar(&o.audit, "audit-file", "", "file of the audit log; none: no audit device")
	flag.StringVar(&o.logLevel, "log-level", "warn", "trace, debug, info, warn or error")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.rootToken == "" || o.unsealKey == "" || (o.cert == "") != (o.key == "") {
		return errUsage
	}
	logger := hclog.New(&hclog.LoggerOptions{Name: "vault", Output: os.Stderr, Level: hclog.LevelFromString(o.logLevel)})
	// A port that is taken shows before anything is written.
	listener, err := net.Listen("tcp", o.address)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	core, err := open(o, logger)
	if err != nil {
		return err
	}
	return errors.Join(serve(ctx, o, core, listener, logger), core.Shutdown())
}

// serve answers requests until ctx ends.
func serve(ctx context.Context, o options, core *vault.Core, listener net.Listener, logger hclog.Logger) error {
	server := &http.Server{
		Handler:           vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core}),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       5 * time.Minute,
		ErrorLog:          logger.StandardLogger(nil),
	}
	scheme, run := "http", func() error { return server.Serve(listener) }
	if o.cert != "" {
		scheme, run = "https", func() error { return server.ServeTLS(listener, o.cert, o.key) }
	}
	ended := make(chan error, 1)
	go func() { ended <- run() }()
	fmt.Printf("vault: ready on %s://%s\n", scheme, listener.Addr())

	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		return server.Close()
	}
	return nil
}
