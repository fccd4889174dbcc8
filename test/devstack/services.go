package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// The labels of Deployments that the controller of Argo Events makes.
const (
	serviceSelector = "controller in (eventsource-controller,sensor-controller)"
	eventSourceLine = "route is activated"
	sensorLine      = "successfully subscribed to subject"
)

// serviceStarts is how many services may start at the same time: an EventSource
// sleeps for up to two seconds before it listens.
const serviceStarts = 4

// services runs a process for each Deployment of an EventSource or a Sensor.
type services struct {
	of     *ArgoEvents
	queue  workqueue.TypedRateLimitingInterface[cache.ObjectName]
	lister cache.Indexer
	cancel context.CancelFunc
	done   sync.WaitGroup

	// mutex guards running.
	mutex   sync.Mutex
	running map[cache.ObjectName]*service
}

// service is the process of one Deployment.
type service struct {
	*Process
	uid        types.UID
	generation int64
	labels     labels.Set
	// ports of this machine, by those that the EventSource names.
	ports map[string]int
}

func startServices(ctx context.Context, a *ArgoEvents) (*services, error) {
	factory := informers.NewSharedInformerFactoryWithOptions(a.set, 0, informers.WithNamespace(ArgoEventsNamespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = serviceSelector }))
	informer := factory.Apps().V1().Deployments().Informer()
	s := &services{
		of: a, lister: informer.GetIndexer(), running: map[cache.ObjectName]*service{},
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](100*time.Millisecond, 5*time.Second)),
	}
	if err := informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {}); err != nil {
		return nil, err
	}
	registered, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: s.seen, UpdateFunc: func(_, now any) { s.seen(now) }, DeleteFunc: s.seen,
	})
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.done.Go(func() { informer.RunWithContext(life) })
	for range serviceStarts {
		s.done.Go(func() { s.work(life) })
	}
	if !cache.WaitForCacheSync(ctx.Done(), registered.HasSynced) {
		return s, ctx.Err()
	}
	return s, nil
}

func (s *services) seen(object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	if deployment, ok := object.(*appsv1.Deployment); ok {
		s.queue.Add(cache.MetaObjectToName(deployment))
	}
}

func (s *services) work(ctx context.Context) {
	for {
		name, end := s.queue.Get()
		if end {
			return
		}
		if err := s.follow(ctx, name); err != nil {
			s.queue.AddRateLimited(name)
		} else {
			s.queue.Forget(name)
		}
		s.queue.Done(name)
	}
}

// follow brings the process of a Deployment into line with its spec.
func (s *services) follow(ctx context.Context, name cache.ObjectName) error {
	found, exists, err := s.lister.GetByKey(name.String())
	if err != nil {
		return err
	}
	var wanted *appsv1.Deployment
	if exists {
		if wanted = found.(*appsv1.Deployment); wanted.DeletionTimestamp != nil {
			wanted = nil
		}
	}
	s.mutex.Lock()
	runs := s.running[name]
	s.mutex.Unlock()
	if runs != nil && wanted != nil && runs.uid == wanted.UID && runs.generation == wanted.Generation && runs.Err() == nil {
		return nil
	}
	if runs != nil {
		// A stopped process has not ended by itself.
		s.put(name, nil)
		if err := runs.Stop(); err != nil {
			return err
		}
	}
	if wanted == nil {
		return nil
	}
	if runs, err = s.start(ctx, wanted); err != nil {
		return err
	}
	s.put(name, runs)
	return nil
}

func (s *services) put(name cache.ObjectName, runs *service) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if runs == nil {
		delete(s.running, name)
		return
	}
	s.running[name] = runs
}

func (s *services) start(ctx context.Context, d *appsv1.Deployment) (*service, error) {
	programs := s.of.stack.programs()
	path, err := programs.path(programArgoEvents)
	if err != nil {
		return nil, err
	}
	pod := &d.Spec.Template.Spec
	room := container{
		plane: s.of.plane, set: s.of.set, namespace: d.Namespace, name: d.Name, pod: pod, spec: &pod.Containers[0],
		dir: filepath.Join(s.of.home, fmt.Sprintf("%s-%d", d.Name, d.Generation)),
	}
	runs := &service{uid: d.UID, generation: d.Generation, labels: d.Spec.Template.Labels, ports: map[string]int{}}
	which, line, env, err := s.environment(room.spec, runs.ports)
	if err != nil {
		return nil, fmt.Errorf("the Deployment %s: %w", d.Name, err)
	}
	program, err := room.program(ctx, programs, path, []string{which}, env)
	if err != nil {
		return nil, err
	}
	program.Logs = s.of.stack.logs()
	log := filepath.Join(program.Logs, program.Name+".log")
	before, _ := os.ReadFile(log)
	program.Ready = logReady(log, len(before), line)
	if runs.Process, err = StartProcess(ctx, program); err != nil {
		return nil, err
	}
	return runs, nil
}

// environment returns the part of Argo Events that a container runs, the line of
// its log that shows that it works, and the variables with other values here.
func (s *services) environment(spec *corev1.Container, ports map[string]int) (which, line string, env []string, err error) {
	encoded, _ := variable(spec, "EVENTBUS_CONFIG")
	bus, err := s.of.busConfig(encoded)
	if err != nil {
		return "", "", nil, err
	}
	env = []string{"EVENTBUS_CONFIG=" + bus}
	object, ok := variable(spec, "EVENTSOURCE_OBJECT")
	if !ok {
		// Its log says only in detail that it listens.
		return "sensor", sensorLine, append(env, "LOG_LEVEL=debug"), nil
	}
	changed, err := s.of.movePorts(object, ports)
	if len(ports) > 0 {
		line = eventSourceLine
	}
	return "eventsource", line, append(env, "EVENTSOURCE_OBJECT="+changed), err
}

// logReady is ready when a line holds a text that was written after an offset.
func logReady(path string, offset int, text string) func(context.Context) error {
	return func(context.Context) error {
		content, err := os.ReadFile(path)
		if err != nil || strings.Contains(string(content[min(offset, len(content)):]), text) {
			return err
		}
		return notYetError(text)
	}
}

// dialReady is ready when a server listens.
func dialReady(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

// Running returns the Deployments of EventSources and Sensors whose services run.
func (a *ArgoEvents) Running() []string {
	a.services.mutex.Lock()
	defer a.services.mutex.Unlock()
	var names []string
	for name := range maps.Keys(a.services.running) {
		names = append(names, name.Name)
	}
	return names
}

// address returns where a port of the Pods that a selector finds is on this machine.
func (s *services) address(selector labels.Selector, port string) (string, bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, runs := range s.running {
		if moved, ok := runs.ports[port]; ok && selector.Matches(runs.labels) {
			return loopback(moved), true
		}
	}
	return "", false
}

func (s *services) err() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var all []error
	for _, runs := range s.running {
		all = append(all, runs.Err())
	}
	return errors.Join(all...)
}

func (s *services) stop() error {
	s.cancel()
	s.queue.ShutDown()
	s.done.Wait()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var all []func() error
	for _, runs := range s.running {
		all = append(all, runs.Stop)
	}
	return parallel(all...)
}
