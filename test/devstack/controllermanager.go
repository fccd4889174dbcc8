package devstack

import (
	"context"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// managerUser is the user that kube-controller-manager is on a control plane.
const managerUser = "system:kube-controller-manager"

// controllers are the parts of a cluster that Nautes, Argo CD and HNC need:
// namespaces end, owned objects follow their owners, accounts appear, the roles
// admin and edit get their rules, and Deployments, StatefulSets and Jobs become Pods.
const controllers = "namespace-controller,garbage-collector-controller," +
	"serviceaccount-controller,serviceaccount-token-controller," +
	"root-ca-certificate-publisher-controller,clusterrole-aggregation-controller," +
	"deployment-controller,replicaset-controller,statefulset-controller,job-controller"

func (c *ControlPlane) startManager(ctx context.Context) (*Process, error) {
	path, err := c.programs.path(programControllerManager)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := c.KubeconfigFor(managerUser, mastersGroup)
	if err != nil {
		return nil, err
	}
	file := c.file("controller-manager.kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		return nil, fmt.Errorf("write the kubeconfig of the controller manager: %w", err)
	}
	set, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return nil, err
	}
	return StartProcess(ctx, Program{
		Name: c.Name + "-controller-manager", Path: path, Env: thrifty(), Home: c.dir, Logs: c.logs,
		Args: []string{
			"--kubeconfig=" + file,
			"--controllers=" + controllers,
			"--service-account-private-key-file=" + c.file("sa.key"),
			"--root-ca-file=" + c.file("ca.crt"),
			"--leader-elect=false",
			"--secure-port=0",
			"--kube-api-qps=500",
			"--kube-api-burst=1000",
		},
		Ready: func(ctx context.Context) error { return managerReady(ctx, set) },
	})
}

type notYetError string

func (e notYetError) Error() string { return string(e) + " is not there yet" }

// managerReady looks at results of the controllers, which have no endpoint to ask.
func managerReady(ctx context.Context, set kubernetes.Interface) error {
	if _, err := set.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{}); err != nil {
		return err
	}
	for _, name := range []string{"admin", "edit", "view"} {
		role, err := set.RbacV1().ClusterRoles().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(role.Rules) == 0 {
			return notYetError("the aggregation of ClusterRole " + name)
		}
	}
	return nil
}
