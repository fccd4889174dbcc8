package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

const (
	// ArgoCDNamespace is where Argo CD looks for its Applications.
	ArgoCDNamespace = "argocd"
	// ArgoCDUser is the user that Argo CD is on its control plane.
	ArgoCDUser = "argocd"

	// Argo CD looks for new commits this often, beside what RefreshApplication asks.
	argoCDPoll = 10 * time.Second
)

// ArgoCD is the application controller and the repo-server of Argo CD beside a
// control plane, which is its https://kubernetes.default.svc too.
type ArgoCD struct {
	plane   *ControlPlane
	home    string
	socket  string
	process struct{ redis, repoServer, controller *Process }
}

// startArgoCD needs the CRDs of Argo CD on the control plane.
func startArgoCD(ctx context.Context, s *Stack, plane *ControlPlane) (*ArgoCD, error) {
	taken, err := s.ports.takeMany(4)
	if err != nil {
		return nil, err
	}
	a := &ArgoCD{
		plane: plane,
		home:  filepath.Join(s.Dir, plane.Name+"-argocd"),
		// A socket's path has to be short, unlike that of a directory for tests.
		socket: filepath.Join(os.TempDir(), "nautes-askpass-"+strconv.Itoa(taken[1])+".sock"),
	}
	if err := a.prepare(ctx); err != nil {
		return nil, fmt.Errorf("prepare Argo CD on %s: %w", plane.Name, err)
	}
	if err := a.start(ctx, s, taken); err != nil {
		return nil, errors.Join(fmt.Errorf("start Argo CD on %s: %w", plane.Name, err), a.Stop())
	}
	return a, nil
}

// prepare makes what an installation of Argo CD makes, and the files of the processes.
func (a *ArgoCD) prepare(ctx context.Context) error {
	set, err := kubernetes.NewForConfig(a.plane.Config())
	if err != nil {
		return err
	}
	options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	if _, err := set.CoreV1().Namespaces().Apply(ctx, applycorev1.Namespace(ArgoCDNamespace), options); err != nil {
		return err
	}
	labels := map[string]string{"app.kubernetes.io/part-of": "argocd"}
	for name, data := range map[string]map[string]string{
		"argocd-cm":                 {"timeout.reconciliation": argoCDPoll.String()},
		"argocd-cmd-params-cm":      {},
		"argocd-rbac-cm":            {},
		"argocd-gpg-keys-cm":        {},
		"argocd-ssh-known-hosts-cm": {"ssh_known_hosts": ""},
		"argocd-tls-certs-cm":       {},
	} {
		object := applycorev1.ConfigMap(name, ArgoCDNamespace).WithLabels(labels).WithData(data)
		if _, err := set.CoreV1().ConfigMaps(ArgoCDNamespace).Apply(ctx, object, options); err != nil {
			return err
		}
	}
	for name, data := range map[string]map[string]string{
		"argocd-secret": {"server.secretkey": rand.Text()},
		"argocd-redis":  {"auth": ""},
	} {
		object := applycorev1.Secret(name, ArgoCDNamespace).WithLabels(labels).WithStringData(data)
		if _, err := set.CoreV1().Secrets(ArgoCDNamespace).Apply(ctx, object, options); err != nil {
			return err
		}
	}
	return a.writeFiles()
}

func (a *ArgoCD) writeFiles() error {
	kubeconfig, err := a.plane.KubeconfigFor(ArgoCDUser, mastersGroup)
	if err != nil {
		return err
	}
	for _, dir := range []string{".kube", "ssh", "tls", "plugins"} {
		if err := os.MkdirAll(filepath.Join(a.home, dir), 0o700); err != nil {
			return err
		}
	}
	return os.WriteFile(a.kubeconfig(), kubeconfig, 0o600)
}

// kubeconfig is also where Argo CD looks for the cluster that it runs in.
func (a *ArgoCD) kubeconfig() string { return filepath.Join(a.home, ".kube", "config") }

func (a *ArgoCD) start(ctx context.Context, s *Stack, taken []int) error {
	redis, repoServer, repoServerMetrics, metrics := taken[0], taken[1], taken[2], taken[3]
	path, err := s.programs().path(programArgoCD)
	if err != nil {
		return err
	}
	redisPath, err := s.programs().path(programRedis)
	if err != nil {
		return err
	}
	program := func(name, path, binary string, ready func(context.Context) error, args ...string) (*Process, error) {
		return StartProcess(ctx, Program{
			Name: a.plane.Name + "-" + name, Path: path, Home: a.home, Logs: s.logs(),
			Args: args, Env: a.env(binary, path), Ready: ready,
		})
	}
	a.process.redis, err = program("redis", redisPath, "", tcpReady(redis), "-address", loopback(redis))
	if err != nil {
		return err
	}
	a.process.repoServer, err = program("argocd-repo-server", path, "argocd-repo-server",
		httpReady("http://"+loopback(repoServerMetrics)+"/healthz?full=true"),
		"--address=127.0.0.1", "--port="+strconv.Itoa(repoServer),
		"--metrics-address=127.0.0.1", "--metrics-port="+strconv.Itoa(repoServerMetrics),
		"--redis="+loopback(redis), "--disable-tls")
	if err != nil {
		return err
	}
	a.process.controller, err = program("argocd-application-controller", path, "argocd-application-controller",
		httpReady("http://"+loopback(metrics)+"/healthz"),
		"--kubeconfig="+a.kubeconfig(), "--namespace="+ArgoCDNamespace,
		"--redis="+loopback(redis),
		"--repo-server="+loopback(repoServer), "--repo-server-plaintext",
		"--metrics-port="+strconv.Itoa(metrics))
	return err
}

func (a *ArgoCD) env(binary, path string) []string {
	return []string{
		"ARGOCD_BINARY_NAME=" + binary,
		// The repo-server's git asks for credentials through a program named argocd.
		"PATH=" + filepath.Dir(path) + string(os.PathListSeparator) + os.Getenv("PATH"),
		"ARGOCD_ASK_PASS_SOCK=" + a.socket,
		"ARGOCD_GPG_ENABLED=false",
		"ARGOCD_FAKE_IN_CLUSTER=true",
		"ARGOCD_RECONCILIATION_TIMEOUT=" + argoCDPoll.String(),
		"ARGOCD_SSH_DATA_PATH=" + filepath.Join(a.home, "ssh"),
		"ARGOCD_TLS_DATA_PATH=" + filepath.Join(a.home, "tls"),
		"ARGOCD_PLUGINSOCKFILEPATH=" + filepath.Join(a.home, "plugins"),
	}
}

// Stop ends the processes; what they made on the control plane stays.
func (a *ArgoCD) Stop() error {
	var all []error
	for _, process := range []*Process{a.process.controller, a.process.repoServer, a.process.redis} {
		if process != nil {
			all = append(all, process.Stop())
		}
	}
	_ = os.Remove(a.socket)
	return errors.Join(all...)
}

// Err returns nil while all of it runs, and what ended otherwise.
func (a *ArgoCD) Err() error {
	return errors.Join(a.process.redis.Err(), a.process.repoServer.Err(), a.process.controller.Err())
}

// RefreshApplication makes Argo CD look at an Application's repository now.
func (a *ArgoCD) RefreshApplication(ctx context.Context, name string) error {
	client, err := dynamic.NewForConfig(a.plane.Config())
	if err != nil {
		return fmt.Errorf("refresh Application %s: %w", name, err)
	}
	applications := schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}
	patch := []byte(`{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}`)
	_, err = client.Resource(applications).Namespace(ArgoCDNamespace).
		Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("refresh Application %s: %w", name, err)
	}
	return nil
}

// tcpReady answers whether a port on loopback accepts connections.
func tcpReady(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		var dialer net.Dialer
		connection, err := dialer.DialContext(ctx, "tcp", loopback(port))
		if err != nil {
			return err
		}
		return connection.Close()
	}
}
