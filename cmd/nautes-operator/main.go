// Command nautes-operator runs the controllers of one tenant and the receiver
// of push hooks.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/controllers"
	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/operator"
	"nautes.io/nautes/internal/telemetry"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "nautes-operator: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	file := flag.String("config", "/etc/nautes/operator.yaml", "path of the configuration file")
	chosen := flag.String("controllers", "*", "controllers to run, separated by commas, out of: "+strings.Join(controllers.Names(), ", "))
	var logging telemetry.LogOptions
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	log, err := logging.Logger(os.Stderr)
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log)

	names, err := controllers.Choose(strings.Split(*chosen, ","))
	if err != nil {
		return fmt.Errorf("--controllers: %w", err)
	}
	settings, err := config.Load(*file)
	if err != nil {
		return err
	}
	cluster, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the tenant cluster: %w", err)
	}
	ctx := ctrl.SetupSignalHandler()
	op, err := operator.New(ctx, cluster, settings)
	if err != nil {
		return err
	}
	if err := controllers.Add(op.Deps, names); err != nil {
		return err
	}
	ctrl.Log.Info("starting", "tenant", settings.Tenant, "controllers", names, "pushHooks", op.ReceiverAddress)
	return op.Manager.Start(ctx)
}
