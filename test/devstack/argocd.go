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

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"nautes.io/nautes/test/githost"
)

const (
	// ArgoCDNamespace is where Argo CD looks for its Applications.
	ArgoCDNamespace = "argocd"
	// ArgoCDUser is the user that Argo CD is on its control plane.
	ArgoCDUser = "argocd"
)

// ArgoCD is the application controller and the repo-server of Argo CD beside a
// control plane, which is its https://kubernetes.default.svc too. It reaches
// other control planes by the cluster Secrets in its namespace.
type ArgoCD struct {
	plane   *ControlPlane
	options argoCDOptions
	home    string
	socket  string
	process struct{ redis, repoServer, controller *Process }
}

// argoCDOptions are the settings of an Argo CD that differ from its defaults.
type argoCDOptions struct {
	// poll is the interval between two looks for new commits. RefreshApplication
	// asks for further ones.
	poll time.Duration
	// settings of argocd-cm, and arguments of the application controller.
	settings map[string]string
	args     []string
}

func runtimeArgoCD() argoCDOptions { return argoCDOptions{poll: 10 * time.Second} }

// tenantArgoCD works on clusters where it may do no more than it needs, and where
// other Argo CDs are. Its sources do not change, and each look takes long.
func tenantArgoCD() argoCDOptions {
	return argoCDOptions{
		poll: 10 * time.Minute,
		settings: map[string]string{
			// Without it, one kind that its user may not list stops it on the whole cluster.
			"resource.respectRBAC": "normal",
			// The other method uses a label, which controllers copy to dependents.
			"application.resourceTrackingMethod": "annotation",
		},
		// While CRDs are new it sees applied objects late, and would apply them
		// again at once.
		args: []string{"--self-heal-backoff-timeout-seconds=0", "--self-heal-timeout-seconds=15"},
	}
}

// startArgoCD needs the CRDs of Argo CD on the control plane.
func startArgoCD(ctx context.Context, s *Stack, plane *ControlPlane) (*ArgoCD, error) {
	taken, err := s.ports.takeMany(4)
	if err != nil {
		return nil, err
	}
	a := &ArgoCD{
		plane:   plane,
		options: runtimeArgoCD(),
		home:    filepath.Join(s.Dir, plane.Name+"-argocd"),
		// A socket's path must be short, and the directories of tests are not.
		socket: filepath.Join(os.TempDir(), "nautes-askpass-"+strconv.Itoa(taken[1])+".sock"),
	}
	if plane == s.Tenant {
		a.options = tenantArgoCD()
	}
	if err := a.prepare(ctx); err != nil {
		return nil, fmt.Errorf("prepare Argo CD on %s: %w", plane.Name, err)
	}
	if err := a.start(ctx, s, taken); err != nil {
		return nil, errors.Join(fmt.Errorf("start Argo CD on %s: %w", plane.Name, err), a.Stop())
	}
	return a, nil
}

// prepare creates the objects of an installation of Argo CD that are missing, the
// objects that its other programs would create, and the files of the processes.
func (a *ArgoCD) prepare(ctx context.Context) error {
	set, err := kubernetes.NewForConfig(a.plane.Config())
	if err != nil {
		return err
	}
	if err := ensureNamespace(ctx, set, ArgoCDNamespace); err != nil {
		return err
	}
	for name, data := range map[string]map[string]string{
		"argocd-cm":                 a.options.settings,
		"argocd-cmd-params-cm":      nil,
		"argocd-rbac-cm":            nil,
		"argocd-gpg-keys-cm":        nil,
		"argocd-ssh-known-hosts-cm": {"ssh_known_hosts": ""},
		"argocd-tls-certs-cm":       nil,
	} {
		object := &corev1.ConfigMap{ObjectMeta: argoCDMeta(name), Data: data}
		_, err := set.CoreV1().ConfigMaps(ArgoCDNamespace).Create(ctx, object, metav1.CreateOptions{FieldManager: fieldManager})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	// The server fills the one, an init container of redis makes the other.
	if err := a.ensureSecret(ctx, set, "argocd-secret", "server.secretkey", rand.Text()); err != nil {
		return err
	}
	if err := a.ensureSecret(ctx, set, "argocd-redis", "auth", ""); err != nil {
		return err
	}
	return a.writeFiles()
}

func argoCDMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: ArgoCDNamespace, Labels: map[string]string{"app.kubernetes.io/part-of": "argocd"}}
}

// ensureSecret makes a Secret with a key, or adds the key to the one that is there.
func (a *ArgoCD) ensureSecret(ctx context.Context, set kubernetes.Interface, name, key, value string) error {
	secrets := set.CoreV1().Secrets(ArgoCDNamespace)
	found, err := secrets.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		made := &corev1.Secret{ObjectMeta: argoCDMeta(name), StringData: map[string]string{key: value}}
		_, err = secrets.Create(ctx, made, metav1.CreateOptions{FieldManager: fieldManager})
		return err
	}
	if _, has := found.Data[key]; err != nil || has {
		return err
	}
	found.StringData = map[string]string{key: value}
	_, err = secrets.Update(ctx, found, metav1.UpdateOptions{FieldManager: fieldManager})
	return err
}

func ensureNamespace(ctx context.Context, set kubernetes.Interface, name string) error {
	made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := set.CoreV1().Namespaces().Create(ctx, made, metav1.CreateOptions{FieldManager: fieldManager})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
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
		"--redis="+loopback(redis), "--disable-tls", "--parallelismlimit=2")
	if err != nil {
		return err
	}
	args := []string{
		"--kubeconfig=" + a.kubeconfig(), "--namespace=" + ArgoCDNamespace,
		"--redis=" + loopback(redis),
		"--repo-server=" + loopback(repoServer), "--repo-server-plaintext",
		"--metrics-port=" + strconv.Itoa(metrics),
		// For few processors, which other programs need too.
		"--status-processors=4", "--operation-processors=4", "--kubectl-parallelism-limit=4",
		"--enable-k8s-event=none",
	}
	a.process.controller, err = program("argocd-application-controller", path, "argocd-application-controller",
		httpReady("http://"+loopback(metrics)+"/healthz"), append(args, a.options.args...)...)
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
		"ARGOCD_RECONCILIATION_TIMEOUT=" + a.options.poll.String(),
		"ARGOCD_SSH_DATA_PATH=" + filepath.Join(a.home, "ssh"),
		"ARGOCD_TLS_DATA_PATH=" + filepath.Join(a.home, "tls"),
		"ARGOCD_PLUGINSOCKFILEPATH=" + filepath.Join(a.home, "plugins"),
	}
}

// Stop ends the processes. Their objects on the control plane stay.
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

// Err returns nil while all processes run, and the errors of ended ones otherwise.
func (a *ArgoCD) Err() error {
	return errors.Join(a.process.redis.Err(), a.process.repoServer.Err(), a.process.controller.Err())
}

// TrustHosts has Argo CD trust the SSH host keys of Git servers, as lines of known_hosts.
// On a cluster they are in the ConfigMap argocd-ssh-known-hosts-cm.
func (a *ArgoCD) TrustHosts(knownHosts string) error {
	if err := os.WriteFile(filepath.Join(a.home, "ssh", "ssh_known_hosts"), []byte(knownHosts), 0o600); err != nil {
		return fmt.Errorf("have Argo CD trust a Git server: %w", err)
	}
	return nil
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

// LetArgoCDRead gives the Argo CD of a control plane a token of its own to read a
// repository of the stack's Git host, whichever AppProject names it.
func (s *Stack) LetArgoCDRead(ctx context.Context, argoCD *ArgoCD, repoPath string) error {
	repository, err := s.Git.Repository(repoPath)
	if err != nil {
		return err
	}
	set, err := kubernetes.NewForConfig(argoCD.plane.Config())
	if err != nil {
		return fmt.Errorf("let Argo CD read %s: %w", repoPath, err)
	}
	token := rand.Text()
	meta := argoCDMeta("repository-" + strconv.Itoa(repository.ID))
	meta.Labels = map[string]string{"argocd.argoproj.io/secret-type": "repository"}
	made := &corev1.Secret{ObjectMeta: meta, StringData: map[string]string{
		"type": "git", "url": repository.URL, "username": "argocd", "password": token,
	}}
	if _, err := set.CoreV1().Secrets(ArgoCDNamespace).Create(ctx, made, metav1.CreateOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("let Argo CD read %s: %w", repoPath, err)
	}
	s.Git.Grant(token, githost.Read, repoPath)
	return nil
}
