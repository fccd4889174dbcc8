package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
)

// taskRunLabel is on the Pods that Tekton makes of TaskRuns.
const taskRunLabel = "tekton.dev/taskRun"

// StepRunner plays the nodes that the Pods of Tekton's TaskRuns would run on. A
// step whose program this machine has runs as a process, with the arguments, the
// volumes and the account of the Pod, and its results are reported as Tekton's
// entrypoint would. A step of any other image does not run: it counts as
// succeeded, without results.
type StepRunner struct {
	plane    *ControlPlane
	set      kubernetes.Interface
	stack    *Stack
	programs map[string]StepProgram

	cancel context.CancelFunc
	done   sync.WaitGroup

	// mutex guards the fields below.
	mutex sync.Mutex
	known map[types.UID]bool
	steps []Step
}

// StepProgram takes the place of a program in an image.
type StepProgram struct {
	// Path of the file on this machine.
	Path string
	// Args are put in after the first argument of the step, by that argument, for
	// differences between this machine and a cluster.
	Args map[string][]string
}

// Step is a step that has ended.
type Step struct {
	// Pod and TaskRun of the step, and the Pod's namespace.
	Namespace, Pod, TaskRun string
	// Program is the path in the image, and Args are its arguments.
	Program string
	Args    []string
	// Ran: as a process, that ended with Code and wrote Log; else it is only said
	// to have ended well.
	Ran  bool
	Code int
	Log  string
	// Took is the life of the process.
	Took time.Duration
}

// RunSteps starts a StepRunner on a runtime control plane, which ends with the
// stack. The programs go by their paths in images.
func (s *Stack) RunSteps(ctx context.Context, runtime string, programs map[string]StepProgram) (*StepRunner, error) {
	plane, err := s.runtime(runtime)
	if err != nil {
		return nil, err
	}
	config, err := plane.ConfigFor(podPlayerUser, mastersGroup)
	if err != nil {
		return nil, err
	}
	set, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("run the steps of %s: %w", runtime, err)
	}
	r := &StepRunner{plane: plane, set: set, stack: s, programs: programs, known: map[types.UID]bool{}}
	life, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	informer := informers.NewSharedInformerFactoryWithOptions(set, 0,
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = taskRunLabel })).Core().V1().Pods().Informer()
	if err := informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {}); err != nil {
		return nil, fmt.Errorf("run the steps of %s: %w", runtime, err)
	}
	seen := func(object any) {
		if pod, ok := object.(*corev1.Pod); ok {
			r.seen(life, pod)
		}
	}
	registered, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: seen, UpdateFunc: func(_, now any) { seen(now) },
	})
	if err != nil {
		return nil, fmt.Errorf("run the steps of %s: %w", runtime, err)
	}
	r.done.Go(func() { informer.RunWithContext(life) })
	s.keep(r)
	if !cache.WaitForCacheSync(ctx.Done(), registered.HasSynced) {
		return nil, fmt.Errorf("run the steps of %s: %w", runtime, ctx.Err())
	}
	return r, nil
}

// Stop ends the processes; the Pods stay as they are.
func (r *StepRunner) Stop() error {
	r.cancel()
	r.done.Wait()
	return nil
}

// Err returns nil: it runs in this process.
func (r *StepRunner) Err() error { return nil }

// Ended returns the steps that have ended, in that order.
func (r *StepRunner) Ended() []Step {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.Clone(r.steps)
}

// seen runs a Pod that waits, once.
func (r *StepRunner) seen(life context.Context, pod *corev1.Pod) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if !isPending(pod) || r.known[pod.UID] || life.Err() != nil {
		return
	}
	r.known[pod.UID] = true
	r.done.Go(func() { r.run(life, pod.DeepCopy()) })
}

// run runs the steps of a Pod one after another, as Tekton has them wait for each other.
func (r *StepRunner) run(ctx context.Context, pod *corev1.Pod) {
	now := metav1.Now()
	status := played(pod, now)
	r.write(ctx, pod, status)
	status.Phase = corev1.PodSucceeded
	for i := range pod.Spec.Containers {
		step, message := r.step(ctx, pod, &pod.Spec.Containers[i])
		if ctx.Err() != nil {
			return
		}
		ended := &corev1.ContainerStateTerminated{
			Reason: "Completed", ExitCode: int32(step.Code), Message: message, StartedAt: now, FinishedAt: metav1.Now(),
		}
		if step.Code != 0 {
			ended.Reason, status.Phase = "Error", corev1.PodFailed
		}
		no := false
		status.ContainerStatuses[i].State = corev1.ContainerState{Terminated: ended}
		status.ContainerStatuses[i].Ready, status.ContainerStatuses[i].Started = false, &no
		r.mutex.Lock()
		r.steps = append(r.steps, step)
		r.mutex.Unlock()
	}
	r.write(ctx, pod, status)
}

// write says how a Pod is; one that is gone needs no status.
func (r *StepRunner) write(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) {
	_ = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		now, err := r.set.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		now.Status = status
		_, err = r.set.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, now, metav1.UpdateOptions{})
		return err
	})
}

// step runs one step, and returns the message that its entrypoint would leave.
func (r *StepRunner) step(ctx context.Context, pod *corev1.Pod, spec *corev1.Container) (Step, string) {
	program, results, args := entrypoint(spec.Args)
	step := Step{Namespace: pod.Namespace, Pod: pod.Name, TaskRun: pod.Labels[taskRunLabel], Program: program, Args: args}
	own, ok := r.programs[program]
	if !ok {
		return step, ""
	}
	if len(args) > 0 {
		args = slices.Insert(slices.Clone(args), 1, own.Args[args[0]]...)
	}
	began := time.Now()
	room := container{
		plane: r.plane, set: r.set, namespace: pod.Namespace, name: pod.Name, pod: &pod.Spec, spec: spec,
		dir: filepath.Join(r.stack.Dir, r.plane.Name+"-steps", string(pod.UID)),
	}
	step.Ran, step.Log = true, filepath.Join(r.stack.logs(), pod.Name+".log")
	if err := r.process(ctx, room, own.Path, args); err != nil {
		step.Code = 1
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			step.Code = ended.ExitCode()
		} else {
			_ = os.WriteFile(step.Log, []byte(err.Error()+"\n"), 0o600)
		}
	}
	step.Took = time.Since(began)
	return step, terminationMessage(room, began, results)
}

// process runs a program until it ends.
func (r *StepRunner) process(ctx context.Context, room container, file string, args []string) error {
	program, err := room.program(ctx, r.stack.programs(), file, args, nil)
	if err != nil {
		return err
	}
	program.Logs = r.stack.logs()
	process, err := StartProcess(ctx, program)
	if err != nil {
		return err
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		return errors.Join(ctx.Err(), process.Stop())
	}
	if process.err == nil {
		return nil
	}
	return process.Err()
}

// entrypoint reads the arguments of Tekton's entrypoint: which program it runs,
// with which arguments, and which results it looks for.
func entrypoint(all []string) (program string, results, args []string) {
	for i := 0; i < len(all); i++ {
		switch {
		case all[i] == "--":
			return program, results, all[i+1:]
		case i+1 == len(all):
		case all[i] == "-entrypoint":
			program = all[i+1]
		case all[i] == "-results":
			results = strings.Split(all[i+1], ",")
		}
	}
	return program, results, nil
}

// terminationMessage is the text that Tekton's entrypoint writes for its controller.
func terminationMessage(room container, began time.Time, results []string) string {
	const (
		ofTaskRun = 1
		internal  = 3
	)
	type entry struct {
		Key   string `json:"key"`
		Value string `json:"value"`
		Type  int    `json:"type"`
	}
	entries := []entry{{"StartedAt", began.UTC().Format("2006-01-02T15:04:05.000Z07:00"), internal}}
	for _, mount := range room.spec.VolumeMounts {
		if mount.MountPath != "/tekton/results" {
			continue
		}
		for _, name := range results {
			content, err := os.ReadFile(filepath.Join(room.dir, "volumes", mount.Name, name))
			if err == nil {
				entries = append(entries, entry{name, string(content), ofTaskRun})
			}
		}
	}
	message, err := json.Marshal(entries)
	if err != nil {
		return ""
	}
	return string(message)
}
