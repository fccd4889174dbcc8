package devstack

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// podPlayerUser is the user that a PodPlayer is on its control plane.
const podPlayerUser = "pod-player"

// PodPlayer plays the kubelets of a control plane that has no node: it says of
// every Pod that it runs and is ready, and of a Job's Pod that it has succeeded.
// Nothing runs: no image is fetched, no probe is asked, no log is written. It is
// for those who install components and want to see Deployments become available.
// The Pods of Tekton's TaskRuns, whose steps have results, are left to RunSteps.
type PodPlayer struct {
	set    kubernetes.Interface
	pods   corev1listers.PodLister
	queue  workqueue.TypedRateLimitingInterface[cache.ObjectName]
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// PlayPods starts a PodPlayer, which plays until its Stop or the stack's, also
// while the control plane is away; ctx limits the start alone. Pods that are on
// a node, or whose status says more than Pending, are left alone.
func (c *ControlPlane) PlayPods(ctx context.Context) (*PodPlayer, error) {
	config, err := c.ConfigFor(podPlayerUser, mastersGroup)
	if err != nil {
		return nil, err
	}
	set, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("play the Pods of %s: %w", c.Name, err)
	}
	factory := informers.NewSharedInformerFactory(set, 0)
	pods := factory.Core().V1().Pods()
	p := &PodPlayer{
		set:  set,
		pods: pods.Lister(),
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](50*time.Millisecond, 5*time.Second)),
	}
	informer := pods.Informer()
	// A control plane that was stopped is no news, and the informer tries again.
	if err := informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {}); err != nil {
		return nil, fmt.Errorf("play the Pods of %s: %w", c.Name, err)
	}
	registered, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    p.seen,
		UpdateFunc: func(_, now any) { p.seen(now) },
	})
	if err != nil {
		return nil, fmt.Errorf("play the Pods of %s: %w", c.Name, err)
	}
	life, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.done.Go(func() { informer.RunWithContext(life) })
	p.done.Go(func() { p.work(life) })
	if !cache.WaitForCacheSync(ctx.Done(), registered.HasSynced) {
		p.Stop()
		return nil, fmt.Errorf("play the Pods of %s: %w", c.Name, ctx.Err())
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.players = append(c.players, p)
	return p, nil
}

// Stop ends the play; the Pods stay as they are. It may be called again.
func (p *PodPlayer) Stop() {
	p.cancel()
	p.queue.ShutDown()
	p.done.Wait()
}

// endPlay stops all PodPlayers of the control plane.
func (c *ControlPlane) endPlay() error {
	c.mutex.Lock()
	players := c.players
	c.players = nil
	c.mutex.Unlock()
	for _, player := range players {
		player.Stop()
	}
	return nil
}

func (p *PodPlayer) seen(object any) {
	if pod, ok := object.(*corev1.Pod); ok && waits(pod) {
		p.queue.Add(cache.MetaObjectToName(pod))
	}
}

// waits reports whether a Pod waits for a kubelet that will never come.
func waits(pod *corev1.Pod) bool {
	_, step := pod.Labels[taskRunLabel]
	return !step && isPending(pod)
}

func isPending(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Spec.NodeName == "" &&
		(pod.Status.Phase == "" || pod.Status.Phase == corev1.PodPending)
}

func (p *PodPlayer) work(ctx context.Context) {
	for {
		name, end := p.queue.Get()
		if end {
			return
		}
		if err := p.play(ctx, name); err != nil {
			p.queue.AddRateLimited(name)
		} else {
			p.queue.Forget(name)
		}
		p.queue.Done(name)
	}
}

func (p *PodPlayer) play(ctx context.Context, name cache.ObjectName) error {
	pod, err := p.pods.Pods(name.Namespace).Get(name.Name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil || !waits(pod) {
		return err
	}
	pod = pod.DeepCopy()
	pod.Status = played(pod, metav1.Now())
	_, err = p.set.CoreV1().Pods(name.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// played is the status that a kubelet would report if all containers were ready.
func played(pod *corev1.Pod, now metav1.Time) corev1.PodStatus {
	owner := metav1.GetControllerOf(pod)
	ended := owner != nil && owner.Kind == "Job"
	status := corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &now, QOSClass: pod.Status.QOSClass}
	for _, container := range pod.Spec.InitContainers {
		sidecar := isSidecar(container)
		status.InitContainerStatuses = append(status.InitContainerStatuses, playedContainer(container, now, ended || !sidecar, !ended || !sidecar))
	}
	for _, container := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, playedContainer(container, now, ended, !ended))
	}
	ready := corev1.PodCondition{Status: corev1.ConditionTrue, LastTransitionTime: now}
	initialized := ready
	if ended {
		status.Phase = corev1.PodSucceeded
		ready.Status, ready.Reason = corev1.ConditionFalse, "PodCompleted"
	}
	containersReady := ready
	initialized.Type, containersReady.Type, ready.Type = corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady
	status.Conditions = []corev1.PodCondition{initialized, containersReady, ready}
	return status
}

// isSidecar reports whether an init container goes on beside the others.
func isSidecar(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func playedContainer(c corev1.Container, now metav1.Time, ended, ready bool) corev1.ContainerStatus {
	started := !ended
	status := corev1.ContainerStatus{Name: c.Name, Image: c.Image, Started: &started, Ready: ready}
	if ended {
		status.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now}
	} else {
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: now}
	}
	return status
}
