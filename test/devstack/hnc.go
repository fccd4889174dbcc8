package devstack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// HNCUser is the user that HNC is on its control plane.
	HNCUser = "hnc"

	hncNamespace = "hnc-system"
)

// HNC is the manager of hierarchical namespaces beside a control plane, without
// its admission webhooks.
type HNC struct{ *Process }

// startHNC needs the CRDs of HNC on the control plane.
func startHNC(ctx context.Context, s *Stack, plane *ControlPlane) (*HNC, error) {
	taken, err := s.ports.takeMany(2)
	if err != nil {
		return nil, err
	}
	path, err := s.programs().path(programHNC)
	if err != nil {
		return nil, err
	}
	home := filepath.Join(s.Dir, plane.Name+"-hnc")
	kubeconfig, err := plane.KubeconfigFor(HNCUser, mastersGroup)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, fmt.Errorf("start HNC on %s: %w", plane.Name, err)
	}
	file := filepath.Join(home, "kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		return nil, fmt.Errorf("start HNC on %s: %w", plane.Name, err)
	}
	set, err := kubernetes.NewForConfig(plane.Config())
	if err != nil {
		return nil, fmt.Errorf("start HNC on %s: %w", plane.Name, err)
	}
	if err := ensureNamespace(ctx, set, hncNamespace); err != nil {
		return nil, fmt.Errorf("start HNC on %s: %w", plane.Name, err)
	}
	process, err := StartProcess(ctx, Program{
		Name: plane.Name + "-hnc-manager", Path: path, Home: home, Logs: s.logs(),
		Env: []string{"POD_NAMESPACE=" + hncNamespace},
		Args: []string{
			"--kubeconfig=" + file,
			"--namespace=" + hncNamespace,
			"--no-webhooks",
			"--enable-stackdriver=false",
			"--metrics-addr=" + loopback(taken[0]),
			"--health-probe-bind-address=" + loopback(taken[1]),
			"--apiserver-qps-throttle=200",
			"--excluded-namespace=kube-system",
			"--excluded-namespace=kube-public",
			"--excluded-namespace=kube-node-lease",
			"--excluded-namespace=" + hncNamespace,
		},
		Ready: func(ctx context.Context) error { return hncReady(ctx, set) },
	})
	if err != nil {
		return nil, fmt.Errorf("start HNC on %s: %w", plane.Name, err)
	}
	return &HNC{Process: process}, nil
}

// hncReady looks for the label that HNC puts on each namespace that it has
// seen: its probe answers before its controllers run.
func hncReady(ctx context.Context, set kubernetes.Interface) error {
	const label = metav1.NamespaceDefault + ".tree.hnc.x-k8s.io/depth"
	namespace, err := set.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if _, labelled := namespace.Labels[label]; !labelled {
		return notYetError("label " + label)
	}
	return nil
}
