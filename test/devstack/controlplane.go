package devstack

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// adminUser is the user of Config and Kubeconfig, a member of system:masters.
const (
	adminUser    = "admin"
	mastersGroup = "system:masters"
	tokenFile    = "tokens.csv"
)

// ControlPlane is a kube-apiserver with its share of an etcd, RBAC, and service
// account keys. It keeps its address, its certificates and its data when it is
// stopped and started again.
type ControlPlane struct {
	// Name is the file name of its logs and the prefix of its keys in etcd.
	Name string
	// URL of the API server, as https://127.0.0.1:<port>.
	URL string

	dir, logs   string
	port        int
	etcd        *Etcd
	programs    programs
	authority   *authority
	controllers bool
	admin       *rest.Config
	tokens      map[string]string
	kubeconfig  []byte

	// mutex guards the fields of the processes, not calls of their methods.
	mutex   sync.Mutex
	server  *Process
	manager *Process
	players []*PodPlayer
}

// newControlPlane writes the files of a control plane without starting it.
func newControlPlane(s *Stack, name string) (*ControlPlane, error) {
	port, err := s.ports.take()
	if err != nil {
		return nil, err
	}
	authority, err := newAuthority(name + "-ca")
	if err != nil {
		return nil, err
	}
	c := &ControlPlane{
		Name:        name,
		URL:         "https://" + loopback(port),
		dir:         filepath.Join(s.Dir, name),
		logs:        s.logs(),
		port:        port,
		etcd:        s.Etcd,
		programs:    s.programs(),
		authority:   authority,
		controllers: s.options.ControllerManager,
	}
	certified, err := c.ConfigFor(adminUser, mastersGroup)
	if err != nil {
		return nil, err
	}
	if c.kubeconfig, err = c.encode(certified, adminUser); err != nil {
		return nil, err
	}
	// The API server verifies the signature on a client's certificate with each request,
	// which is a tenth of its work. So the users with the most requests have tokens.
	c.admin = rest.CopyConfig(certified)
	c.admin.CertData, c.admin.KeyData, c.admin.BearerToken = nil, nil, rand.Text()
	c.tokens = map[string]string{managerUser: rand.Text(), OperatorUser: rand.Text()}
	return c, c.writeFiles()
}

func (c *ControlPlane) writeFiles() error {
	serving, err := c.authority.serving()
	if err != nil {
		return err
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the service account key of %s: %w", c.Name, err)
	}
	serviceAccounts, err := encodeKey(signer)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of %s: %w", c.Name, err)
	}
	for name, content := range map[string][]byte{
		"ca.crt":            c.authority.certificate,
		"serving.crt":       serving.certificate,
		"serving.key":       serving.key,
		"sa.key":            serviceAccounts,
		"audit-policy.yaml": []byte(auditPolicy),
		"kubeconfig":        c.kubeconfig,
		tokenFile: fmt.Appendf(nil, "%s,%s,%s,%q\n%s,%s,%s,%q\n%s,%s,%s\n", c.admin.BearerToken, adminUser, adminUser, mastersGroup,
			c.tokens[managerUser], managerUser, managerUser, mastersGroup, c.tokens[OperatorUser], OperatorUser, OperatorUser),
	} {
		if err := os.WriteFile(c.file(name), content, 0o600); err != nil {
			return fmt.Errorf("write %s of %s: %w", name, c.Name, err)
		}
	}
	return nil
}

func (c *ControlPlane) file(name string) string { return filepath.Join(c.dir, name) }

func (c *ControlPlane) prefix() string { return "/" + c.Name }

// Start starts the control plane, or starts it again with the data, the address
// and the certificates that it had; it returns when the API server is ready. A
// control plane that runs is to be stopped before.
func (c *ControlPlane) Start(ctx context.Context) error {
	server, err := c.startServer(ctx)
	if err != nil {
		return fmt.Errorf("start control plane %s: %w", c.Name, err)
	}
	c.keep(server, nil)
	if !c.controllers {
		return nil
	}
	manager, err := c.startManager(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("start control plane %s: %w", c.Name, err), c.Stop())
	}
	c.keep(server, manager)
	return nil
}

func (c *ControlPlane) keep(server, manager *Process) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.server, c.manager = server, manager
}

// processes returns the controllers first: they complain without a server.
func (c *ControlPlane) processes() []*Process {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return []*Process{c.manager, c.server}
}

// Stop ends the control plane; its data stay. It is no error when it does not run.
func (c *ControlPlane) Stop() error {
	return c.each(func(p *Process) error { return p.Stop() })
}

// Kill ends the control plane as a crash would; its data stay.
func (c *ControlPlane) Kill() error {
	return c.each(func(p *Process) error { return p.Kill() })
}

// Pause freezes the control plane: connections are accepted and never answered.
func (c *ControlPlane) Pause() error {
	return c.each(func(p *Process) error { return p.Pause() })
}

// Resume ends a Pause.
func (c *ControlPlane) Resume() error {
	return c.each(func(p *Process) error { return p.Resume() })
}

// Err returns nil while the control plane runs, and why it ended otherwise.
func (c *ControlPlane) Err() error {
	return c.each(func(p *Process) error { return p.Err() })
}

func (c *ControlPlane) each(do func(*Process) error) error {
	var all []error
	for _, process := range c.processes() {
		if process != nil {
			all = append(all, do(process))
		}
	}
	return errors.Join(all...)
}

// UID identifies the cluster: the UID of its namespace kube-system.
func (c *ControlPlane) UID(ctx context.Context) (types.UID, error) {
	set, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return "", fmt.Errorf("read the UID of %s: %w", c.Name, err)
	}
	namespace, err := set.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read the UID of %s: %w", c.Name, err)
	}
	return namespace.UID, nil
}

func (c *ControlPlane) startServer(ctx context.Context) (*Process, error) {
	path, err := c.programs.path(programAPIServer)
	if err != nil {
		return nil, err
	}
	args := []string{
		"--etcd-servers=" + c.etcd.URL,
		"--etcd-prefix=" + c.prefix(),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(c.port),
		// A service cannot have an endpoint on loopback.
		"--endpoint-reconciler-type=none",
		"--cert-dir=" + c.dir,
		"--tls-cert-file=" + c.file("serving.crt"),
		"--tls-private-key-file=" + c.file("serving.key"),
		"--client-ca-file=" + c.file("ca.crt"),
		"--token-auth-file=" + c.file(tokenFile),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.file("sa.key"),
		"--service-account-signing-key-file=" + c.file("sa.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--audit-policy-file=" + c.file("audit-policy.yaml"),
		"--audit-log-path=" + c.file(auditLog),
		"--audit-log-maxsize=10240",
		"--profiling=false",
	}
	if !c.controllers {
		// No controller creates the service account that this plugin requires.
		args = append(args, "--disable-admission-plugins=ServiceAccount")
	}
	set, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return nil, err
	}
	return StartProcess(ctx, Program{
		Name: c.Name + "-apiserver", Path: path, Args: args, Env: thrifty(), Home: c.dir, Logs: c.logs,
		Ready: func(ctx context.Context) error { return serverReady(ctx, set) },
	})
}

// serverReady also waits for the namespace that gives the cluster its identity,
// which the API server makes after it has become ready.
func serverReady(ctx context.Context, set kubernetes.Interface) error {
	if err := set.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return err
	}
	_, err := set.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	return err
}
