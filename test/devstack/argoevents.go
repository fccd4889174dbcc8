package devstack

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

const (
	// ArgoEventsNamespace holds Argo Events, its event sources and its sensors.
	ArgoEventsNamespace = "argo-events"
	// ArgoEventsUser is the user that its controller is on its control plane.
	ArgoEventsUser = "argo-events"

	// Objects that the controller creates for the event bus named default.
	busServerSecret = "eventbus-default-js-server"

	argoEventsImage = "quay.io/argoproj/argo-events"
)

// ArgoEvents is Argo Events on a control plane that has no node. Its controller
// is a process, and makes Deployments and a StatefulSet as everywhere. In place of
// their Pods the same services run as processes, each with the settings of its
// Pod: the object, the Secrets, the account.
//
// Three things differ from a cluster. The event bus is one server of NATS, on
// loopback, with the certificate and the users that the controller made. A port of
// an EventSource becomes another one of this machine, since no Pod has an address
// of its own: Hook finds it. And those ports are open on all of its interfaces:
// Argo Events has no setting for that.
type ArgoEvents struct {
	plane *ControlPlane
	set   kubernetes.Interface
	stack *Stack
	home  string

	controller, bus *Process
	busPort         int
	services        *services
}

// StartArgoEvents starts Argo Events on a runtime control plane where its CRDs
// and its configuration are, and an EventBus with the name default.
func (s *Stack) StartArgoEvents(ctx context.Context, runtime string) (*ArgoEvents, error) {
	plane, err := s.runtime(runtime)
	if err != nil {
		return nil, err
	}
	a := &ArgoEvents{plane: plane, stack: s, home: filepath.Join(s.Dir, runtime+"-argo-events")}
	err = s.step("Argo Events on "+runtime, func() error { return a.start(ctx) })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start Argo Events on %s: %w", runtime, err), a.Stop())
	}
	s.keep(a)
	return a, nil
}

func (a *ArgoEvents) start(ctx context.Context) error {
	if err := os.MkdirAll(a.home, 0o700); err != nil {
		return err
	}
	var err error
	if a.set, err = kubernetes.NewForConfig(a.plane.Config()); err != nil {
		return err
	}
	if err := a.startController(ctx); err != nil {
		return err
	}
	if err := a.startBus(ctx); err != nil {
		return err
	}
	a.services, err = startServices(ctx, a)
	return err
}

func (a *ArgoEvents) startController(ctx context.Context) error {
	programs := a.stack.programs()
	path, err := programs.path(programArgoEvents)
	if err != nil {
		return err
	}
	kubeconfig, err := a.plane.KubeconfigFor(ArgoEventsUser, mastersGroup)
	if err != nil {
		return err
	}
	configuration, err := a.set.CoreV1().ConfigMaps(ArgoEventsNamespace).Get(ctx, "argo-events-controller-config", metav1.GetOptions{})
	if err != nil {
		return err
	}
	dir := filepath.Join(a.home, "configuration")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"controller-config.yaml": configuration.Data["controller-config.yaml"], "kubeconfig": string(kubeconfig),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	program, err := programs.inRoot(Program{
		Name: a.plane.Name + "-argo-events-controller", Path: path, Args: []string{"controller"},
		Home: filepath.Join(a.home, "controller"), Logs: a.stack.logs(),
		Env: []string{"KUBECONFIG=/etc/argo-events/kubeconfig", "ARGO_EVENTS_IMAGE=" + argoEventsImage},
	}, map[string]string{"/etc/argo-events": dir})
	if err != nil {
		return err
	}
	a.controller, err = StartProcess(ctx, program)
	return err
}

// natsConfig is the controller's own configuration of the bus, but for the ports,
// the directory of the data, and the other servers that a cluster would have.
const natsConfig = `host: 127.0.0.1
port: %d
jetstream {store_dir: "/data"}
include ./auth.conf
`

// startBus waits for the controller to make the users and the certificate of the bus.
func (a *ArgoEvents) startBus(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	secret := &corev1.Secret{}
	err := poll(waiting, func(ctx context.Context) (err error) {
		secret, err = a.set.CoreV1().Secrets(ArgoEventsNamespace).Get(ctx, busServerSecret, metav1.GetOptions{})
		return errors.Join(err, a.controller.Err())
	})
	if err != nil {
		return fmt.Errorf("wait for the event bus: %w", err)
	}
	ports, err := a.stack.ports.takeMany(1)
	if err != nil {
		return err
	}
	a.busPort = ports[0]
	dir, data := filepath.Join(a.home, "bus"), filepath.Join(a.home, "bus-data")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.MkdirAll(data, 0o700)); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"nats-js.conf": fmt.Appendf(nil, natsConfig, a.busPort), "auth.conf": secret.Data["auth"],
		"server-key.pem": secret.Data["private-key"], "server-cert.pem": secret.Data["cert"], "ca-cert.pem": secret.Data["ca-cert"],
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	programs := a.stack.programs()
	path, err := programs.path(programNATS)
	if err != nil {
		return err
	}
	program, err := programs.inRoot(Program{
		Name: a.plane.Name + "-event-bus", Path: path, Args: []string{"--config", "/etc/nats-config/nats-js.conf"},
		Home: filepath.Join(a.home, "bus-home"), Logs: a.stack.logs(),
		Ready: dialReady(loopback(a.busPort)),
	}, map[string]string{"/etc/nats-config": dir, "/data": data})
	if err != nil {
		return err
	}
	a.bus, err = StartProcess(ctx, program)
	return err
}

// busConfig changes the configuration of the bus that a service gets: the address,
// for which no cluster's DNS is asked, and the number of servers.
func (a *ArgoEvents) busConfig(encoded string) (string, error) {
	return recode(encoded, func(config map[string]any) error {
		stream, ok := config["jetstream"].(map[string]any)
		if !ok {
			return errNoBus
		}
		stream["url"] = "nats://" + loopback(a.busPort)
		settings := map[string]any{}
		text, _ := stream["streamConfig"].(string)
		if err := yaml.Unmarshal([]byte(text), &settings); err != nil {
			return err
		}
		settings["replicas"] = 1
		changed, err := yaml.Marshal(settings)
		stream["streamConfig"] = string(changed)
		return err
	})
}

var errNoBus = errors.New("the event bus is none of JetStream")

// movePorts gives the servers of an EventSource other ports, which it adds to moved.
func (a *ArgoEvents) movePorts(encoded string, moved map[string]int) (string, error) {
	return recode(encoded, func(object map[string]any) error {
		spec, _ := object["spec"].(map[string]any)
		for _, kind := range spec {
			entries, _ := kind.(map[string]any)
			for _, entry := range entries {
				fields, _ := entry.(map[string]any)
				hook, ok := fields["webhook"].(map[string]any)
				if !ok {
					continue
				}
				port, _ := hook["port"].(string)
				if _, known := moved[port]; !known {
					taken, err := a.stack.ports.takeMany(1)
					if err != nil {
						return err
					}
					moved[port] = taken[0]
				}
				hook["port"] = strconv.Itoa(moved[port])
			}
		}
		return nil
	})
}

// recode changes an object that is base64 of JSON.
func recode(encoded string, change func(map[string]any) error) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", err
	}
	object := map[string]any{}
	if err := json.Unmarshal(raw, &object); err != nil {
		return "", err
	}
	if err := change(object); err != nil {
		return "", err
	}
	if raw, err = json.Marshal(object); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}

// Err returns nil while everything runs, and the errors of ended parts otherwise.
func (a *ArgoEvents) Err() error {
	return errors.Join(a.controller.Err(), a.bus.Err(), a.services.err())
}

// Stop ends the processes, those that depend on others first.
func (a *ArgoEvents) Stop() error {
	var all []error
	if a.services != nil {
		all = append(all, a.services.stop())
	}
	for _, process := range []*Process{a.controller, a.bus} {
		if process != nil {
			all = append(all, process.Stop())
		}
	}
	return errors.Join(all...)
}
