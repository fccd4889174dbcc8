// Command nautes-apiserver serves the REST API of one tenant.
package main

// The caches have the kinds by which requests are judged. The secret store has the
// kubeconfigs, the deploy keys, and the tenant's token of the forge.
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=artifactrepos;clusters;coderepobindings;coderepoproviders;coderepos;componentcatalogues;deploymentruntimes;environments;pipelinehooks;productproviders;products;projectpipelineruntimes;projects;spaces,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;create;update;delete,namespace=nautes

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/operator"
	"nautes.io/nautes/internal/rest"
	"nautes.io/nautes/internal/telemetry"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "nautes-apiserver: %v\n", err)
		os.Exit(1)
	}
}

// options are the settings that differ from the ones of the operator.
type options struct {
	config, address, cert, key, cacheDir string
	metrics, probes                      string
	maxAge                               time.Duration
	rate                                 float64
	burst                                int
}

func run() error {
	var o options
	flag.StringVar(&o.config, "config", "/etc/nautes/operator.yaml", "path of the configuration file of the operator, which the API server shares")
	flag.StringVar(&o.address, "address", ":8000", "host:port to serve the API at")
	flag.StringVar(&o.cert, "tls-cert", "", "path of the certificate to serve HTTPS with, in PEM; plain HTTP without it")
	flag.StringVar(&o.key, "tls-key", "", "path of the key of the certificate, in PEM")
	flag.StringVar(&o.cacheDir, "cache-dir", "/var/cache/nautes/api", "directory of the mirrors, which no other process uses")
	flag.StringVar(&o.metrics, "metrics-address", ":8083", "host:port of the metrics, or 0 for none")
	flag.StringVar(&o.probes, "probes-address", ":8084", "host:port of the probes of the caches, or 0 for none")
	flag.DurationVar(&o.maxAge, "max-age", time.Second, "age of a mirror that reads are answered from without a fetch")
	flag.Float64Var(&o.rate, "rate", 20, "requests per second of one caller")
	flag.IntVar(&o.burst, "burst", 100, "requests of one caller at once")
	var logging telemetry.LogOptions
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	log, err := logging.Logger(os.Stderr)
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	settings, err := config.Load(o.config)
	if err != nil {
		return err
	}
	settings.Git.CacheDir, settings.Metrics.Address, settings.Probes.Address = o.cacheDir, o.metrics, o.probes
	return serve(ctrl.SetupSignalHandler(), settings, o)
}

// serve serves the API until the context ends.
func serve(ctx context.Context, settings *config.Operator, o options) error {
	cluster, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the tenant cluster: %w", err)
	}
	deps, err := operator.NewReader(ctx, cluster, settings)
	if err != nil {
		return err
	}
	p := platform{deps}
	editor := edit.New(edit.Options{
		Mirrors: deps.Mirrors, Kinds: deps.Kinds, Reader: deps.Client, Tenant: settings.Tenant, Namespace: settings.Namespace,
		Settings: deps.Loader.Settings, TenantRepository: p.tenant,
	})
	api := rest.New(rest.Options{
		Editor: editor, Platform: p.current, Forge: p.connect, Secrets: deps.Secrets, Reader: deps.Client,
		Log: ctrl.Log.WithName("api"), Audit: ctrl.Log.WithName("audit"), MaxAge: o.maxAge, Rate: o.rate, Burst: o.burst,
		Ready: func(ctx context.Context) error {
			if !deps.Manager.GetCache().WaitForCacheSync(ctx) {
				return errors.New("the caches are not synced yet")
			}
			return nil
		},
	})
	listener, err := net.Listen("tcp", o.address)
	if err != nil {
		return fmt.Errorf("listen for requests: %w", err)
	}
	server := &http.Server{
		Handler: api, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: 2 * time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
	server.RegisterOnShutdown(api.End)
	err = deps.Manager.Add(manager.RunnableFunc(func(ctx context.Context) error {
		context.AfterFunc(ctx, func() {
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
			defer cancel()
			_ = server.Shutdown(ending)
		})
		if o.cert != "" {
			err = server.ServeTLS(listener, o.cert, o.key)
		} else {
			err = server.Serve(listener)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}))
	if err != nil {
		return err
	}
	ctrl.Log.Info("starting", "tenant", settings.Tenant, "address", listener.Addr().String(), "https", o.cert != "")
	return deps.Manager.Start(ctx)
}
