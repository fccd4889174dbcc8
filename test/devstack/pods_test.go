package devstack

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const playedNamespace = "played"

func podOf(name string, restart corev1.RestartPolicy) corev1.PodTemplateSpec {
	always := corev1.ContainerRestartPolicyAlways
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			RestartPolicy: restart,
			InitContainers: []corev1.Container{
				{Name: "prepare", Image: "prepare:1"},
				{Name: "sidecar", Image: "sidecar:1", RestartPolicy: &always},
			},
			Containers: []corev1.Container{{Name: "main", Image: "main:1"}},
		},
	}
}

// Controllers that create Pods see them run, without a node. A Pod on a node
// belongs to its kubelet.
func TestPlayedPods(t *testing.T) {
	t.Parallel()
	plane := shared.Stack(t).Tenant
	set := clientFor(t, plane.Config())
	namespace(t, set, playedNamespace)
	eventually(t, 20*time.Second, func(ctx context.Context) error {
		_, err := set.CoreV1().ServiceAccounts(playedNamespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	onNode := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "on-node"}, Spec: podOf("on-node", corev1.RestartPolicyAlways).Spec}
	onNode.Spec.NodeName = "node"
	if _, err := set.CoreV1().Pods(playedNamespace).Create(t.Context(), onNode, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	makeWorkloads(t, set, "before")
	player, err := plane.PlayPods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	waitForWorkloads(t, set, "before")
	makeWorkloads(t, set, "during")
	waitForWorkloads(t, set, "during")
	for range 2 {
		player.Stop()
	}
	found, err := set.CoreV1().Pods(playedNamespace).Get(t.Context(), "on-node", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if found.Status.Phase != corev1.PodPending {
		t.Errorf("the Pod with a node is %s, want it to be left alone", found.Status.Phase)
	}
}

func makeWorkloads(t *testing.T, set kubernetes.Interface, name string) {
	t.Helper()
	replicas := int32(2)
	meta, selector := metav1.ObjectMeta{Name: name}, &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
	deployment := &appsv1.Deployment{
		ObjectMeta: meta,
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: selector, Template: podOf(name, corev1.RestartPolicyAlways)},
	}
	if _, err := set.AppsV1().Deployments(playedNamespace).Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	statefulSet := &appsv1.StatefulSet{
		ObjectMeta: meta,
		Spec:       appsv1.StatefulSetSpec{Replicas: &replicas, Selector: selector, Template: podOf(name, corev1.RestartPolicyAlways)},
	}
	// One label for both would let one adopt the other's Pods.
	statefulSet.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": name + "-set"}}
	statefulSet.Spec.Template.Labels = statefulSet.Spec.Selector.MatchLabels
	if _, err := set.AppsV1().StatefulSets(playedNamespace).Create(t.Context(), statefulSet, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	job := &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{Template: podOf(name+"-job", corev1.RestartPolicyNever)}}
	if _, err := set.BatchV1().Jobs(playedNamespace).Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func waitForWorkloads(t *testing.T, set kubernetes.Interface, name string) {
	t.Helper()
	eventually(t, time.Minute, func(ctx context.Context) error {
		deployment, err := set.AppsV1().Deployments(playedNamespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		statefulSet, err := set.AppsV1().StatefulSets(playedNamespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		job, err := set.BatchV1().Jobs(playedNamespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if deployment.Status.AvailableReplicas != 2 || statefulSet.Status.ReadyReplicas != 2 || job.Status.Succeeded != 1 {
			return fmt.Errorf("%s: %d of a Deployment, %d of a StatefulSet, %d of a Job",
				name, deployment.Status.AvailableReplicas, statefulSet.Status.ReadyReplicas, job.Status.Succeeded)
		}
		return nil
	})
}

func TestPlayedStatus(t *testing.T) {
	yes, no := true, false
	now := metav1.NewTime(time.Unix(1000, 0))
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}
	completed := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now}}
	condition := func(kind corev1.PodConditionType, status corev1.ConditionStatus, reason string) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: status, Reason: reason, LastTransitionTime: now}
	}
	tests := map[string]struct {
		owner string
		want  corev1.PodStatus
	}{
		"of a ReplicaSet": {
			owner: "ReplicaSet",
			want: corev1.PodStatus{
				Phase: corev1.PodRunning, StartTime: &now, QOSClass: corev1.PodQOSBurstable,
				Conditions: []corev1.PodCondition{
					condition(corev1.PodInitialized, corev1.ConditionTrue, ""),
					condition(corev1.ContainersReady, corev1.ConditionTrue, ""),
					condition(corev1.PodReady, corev1.ConditionTrue, ""),
				},
				InitContainerStatuses: []corev1.ContainerStatus{
					{Name: "prepare", Image: "prepare:1", Ready: true, Started: &no, State: completed},
					{Name: "sidecar", Image: "sidecar:1", Ready: true, Started: &yes, State: running},
				},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "main", Image: "main:1", Ready: true, Started: &yes, State: running}},
			},
		},
		"of a Job": {
			owner: "Job",
			want: corev1.PodStatus{
				Phase: corev1.PodSucceeded, StartTime: &now, QOSClass: corev1.PodQOSBurstable,
				Conditions: []corev1.PodCondition{
					condition(corev1.PodInitialized, corev1.ConditionTrue, ""),
					condition(corev1.ContainersReady, corev1.ConditionFalse, "PodCompleted"),
					condition(corev1.PodReady, corev1.ConditionFalse, "PodCompleted"),
				},
				InitContainerStatuses: []corev1.ContainerStatus{
					{Name: "prepare", Image: "prepare:1", Ready: true, Started: &no, State: completed},
					{Name: "sidecar", Image: "sidecar:1", Started: &no, State: completed},
				},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "main", Image: "main:1", Started: &no, State: completed}},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			isController := true
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: test.owner, Controller: &isController}}},
				Spec:       podOf("x", corev1.RestartPolicyAlways).Spec,
				Status:     corev1.PodStatus{Phase: corev1.PodPending, QOSClass: corev1.PodQOSBurstable},
			}
			if diff := cmp.Diff(test.want, played(pod, now)); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}
