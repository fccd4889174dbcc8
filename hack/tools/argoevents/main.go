// Command argoevents runs the parts of Argo Events for a development stack, with
// Argo Events' own code: its controller, which makes Deployments of EventSources
// and Sensors, and the services that the Pods of those run. They differ from the
// programs of its image in their ports alone: many of them fit on one machine,
// since the services serve no metrics, and the controller at a free port.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	"github.com/argoproj/argo-events/pkg/eventsources"
	"github.com/argoproj/argo-events/pkg/metrics"
	controllercmd "github.com/argoproj/argo-events/pkg/reconciler/cmd"
	"github.com/argoproj/argo-events/pkg/sensors"
	"github.com/argoproj/argo-events/pkg/shared/logging"
	sharedutil "github.com/argoproj/argo-events/pkg/shared/util"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

var errUsage = errors.New(`usage: argoevents controller | eventsource | sensor
All is said by the environment, as Argo Events' own manifests and its controller
do: the controller needs KUBECONFIG and ARGO_EVENTS_IMAGE, and its configuration
in /etc/argo-events; the services need EVENTSOURCE_OBJECT or SENSOR_OBJECT,
EVENTBUS_CONFIG, EVENTBUS_SUBJECT and POD_NAME.`)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "argoevents:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	ctx = logging.WithLogger(ctx, logging.NewArgoEventsLogger().Named(args[0]))
	switch args[0] {
	case "controller":
		// It ends with a signal or with the process. Its ports are any that are free.
		controllercmd.Start(controllercmd.ArgoEventsControllerOpts{})
		return nil
	case "eventsource":
		return runEventSource(ctx)
	case "sensor":
		return runSensor(ctx)
	}
	return errUsage
}

func runEventSource(ctx context.Context) error {
	var object v1alpha1.EventSource
	var bus v1alpha1.BusConfig
	if err := errors.Join(decode(v1alpha1.EnvVarEventSourceObject, &object), decode(v1alpha1.EnvVarEventBusConfig, &bus)); err != nil {
		return err
	}
	adaptor := eventsources.NewEventSourceAdaptor(&object, &bus, os.Getenv(v1alpha1.EnvVarEventBusSubject),
		os.Getenv(v1alpha1.EnvVarPodName), metrics.NewMetrics(object.Namespace))
	return adaptor.Start(ctx)
}

func runSensor(ctx context.Context) error {
	var object v1alpha1.Sensor
	var bus v1alpha1.BusConfig
	if err := errors.Join(decode(v1alpha1.EnvVarSensorObject, &object), decode(v1alpha1.EnvVarEventBusConfig, &bus)); err != nil {
		return err
	}
	config, err := sharedutil.GetClientConfig(os.Getenv(v1alpha1.EnvVarKubeConfig))
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	set, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	sensor := sensors.NewSensorContext(set, client, &object, &bus, os.Getenv(v1alpha1.EnvVarEventBusSubject),
		os.Getenv(v1alpha1.EnvVarPodName), metrics.NewMetrics(object.Namespace))
	return sensor.Start(ctx)
}

// decode reads a variable that holds base64 of JSON.
func decode(variable string, into any) error {
	raw, err := base64.StdEncoding.DecodeString(os.Getenv(variable))
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", variable, err)
	}
	return nil
}
