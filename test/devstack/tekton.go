package devstack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// TektonNamespace is where Tekton and its configuration are.
	TektonNamespace = "tekton-pipelines"
	// TektonUser is the user that its controller is on its control plane.
	TektonUser = "tekton"
)

// Tekton is the controller of Tekton beside a control plane, without its
// admission webhooks: nothing is defaulted or validated when it is written.
type Tekton struct{ *Process }

// StartTekton starts Tekton's controller on a runtime control plane that has its
// CRDs and its ConfigMaps.
func (s *Stack) StartTekton(ctx context.Context, runtime string) (*Tekton, error) {
	plane, err := s.runtime(runtime)
	if err != nil {
		return nil, err
	}
	var t *Tekton
	err = s.step("Tekton on "+runtime, func() (err error) {
		t, err = startTekton(ctx, s, plane)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("start Tekton on %s: %w", runtime, err)
	}
	s.keep(t)
	return t, nil
}

func startTekton(ctx context.Context, s *Stack, plane *ControlPlane) (*Tekton, error) {
	taken, err := s.ports.takeMany(3)
	if err != nil {
		return nil, err
	}
	path, err := s.programs().path(programTekton)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := plane.KubeconfigFor(TektonUser, mastersGroup)
	if err != nil {
		return nil, err
	}
	home := filepath.Join(s.Dir, plane.Name+"-tekton")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(home, "kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		return nil, err
	}
	set, err := kubernetes.NewForConfig(plane.Config())
	if err != nil {
		return nil, err
	}
	if _, err := set.CoreV1().ConfigMaps(TektonNamespace).Get(ctx, "config-defaults", metav1.GetOptions{}); err != nil {
		return nil, err
	}
	args := []string{"-kubeconfig=" + file, "-disable-ha"}
	// They stand in the Pods that it makes, and no kubelet pulls them.
	for _, image := range []string{"entrypoint-image", "nop-image", "sidecarlogresults-image", "workingdirinit-image", "shell-image", "shell-image-win"} {
		args = append(args, "-"+image+"=tekton.example/"+image)
	}
	process, err := StartProcess(ctx, Program{
		Name: plane.Name + "-tekton-controller", Path: path, Home: home, Logs: s.logs(), Args: args,
		Env: []string{
			"SYSTEM_NAMESPACE=" + TektonNamespace, "METRICS_DOMAIN=tekton.dev/pipeline",
			"METRICS_PROMETHEUS_PORT=" + strconv.Itoa(taken[0]), "PROBES_PORT=" + strconv.Itoa(taken[1]),
			"PROFILING_PORT=" + strconv.Itoa(taken[2]), "KUBERNETES_MIN_VERSION=v1.20.0",
			"CONFIG_LOGGING_NAME=config-logging", "CONFIG_OBSERVABILITY_NAME=config-observability",
		},
		Ready: httpReady("http://" + loopback(taken[1]) + "/readiness"),
	})
	if err != nil {
		return nil, err
	}
	return &Tekton{process}, nil
}
