package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/devstack"
	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
)

// The names of the demo.
const (
	tenantName   = "demo"
	clusterName  = "physical-worker-deployment"
	runtimeName  = "worker"
	productName  = "product-1001"
	groupName    = "nautes-labs"
	tenantRepo   = "demo/management"
	productRepo  = groupName + "/default.project"
	manifestRepo = groupName + "/api-server"
)

func (d *demo) stage(ctx context.Context) error {
	var err error
	d.stack, err = devstack.Start(ctx, devstack.Options{
		Dir: filepath.Join(d.dir, "stack"), Runtimes: []string{runtimeName},
		ControllerManager: true, ArgoCD: true, HNC: true, Progress: d.screen.done,
	})
	if err != nil {
		return err
	}
	for _, path := range []string{tenantRepo, productRepo, manifestRepo} {
		if _, err := d.stack.Git.AddRepository(ctx, path); err != nil {
			return err
		}
	}
	d.screen.say("Git repositories below %s: %s", d.stack.Git.URL, strings.Join([]string{tenantRepo, productRepo, manifestRepo}, ", "))
	return nil
}

func (d *demo) operator(ctx context.Context) error {
	began := time.Now()
	kubeconfig, err := d.stack.InstallOperator(ctx)
	if err != nil {
		return err
	}
	root, err := devstack.ModuleRoot()
	if err != nil {
		return err
	}
	addresses, err := freeAddresses(3)
	if err != nil {
		return err
	}
	d.hooks = "http://" + addresses[2]
	settings := map[string]any{
		"apiVersion": "config.nautes.io/v1alpha1", "kind": "OperatorConfig", "tenant": tenantName, "namespace": devstack.OperatorNamespace,
		// The Git host of the demo speaks plain HTTP on loopback.
		"git":      map[string]any{"cacheDir": filepath.Join(d.dir, "mirrors"), "allowedProtocols": []string{"http"}},
		"metrics":  map[string]any{"address": addresses[0]},
		"probes":   map[string]any{"address": addresses[1]},
		"receiver": map[string]any{"address": addresses[2]},
	}
	content, err := json.Marshal(settings)
	if err != nil {
		return fmt.Errorf("write the operator's configuration: %w", err)
	}
	files := map[string][]byte{"operator.yaml": content, "operator.kubeconfig": kubeconfig}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(d.dir, name), content, 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	d.process, err = devstack.StartProcess(ctx, devstack.Program{
		Name: "nautes-operator", Path: filepath.Join(root, "bin", "nautes-operator"), Home: d.dir, Logs: filepath.Join(d.stack.Dir, "logs"),
		Env:   []string{"KUBECONFIG=" + filepath.Join(d.dir, "operator.kubeconfig"), "PATH=" + os.Getenv("PATH")},
		Args:  []string{"--config", filepath.Join(d.dir, "operator.yaml")},
		Ready: ready("http://" + addresses[1] + "/readyz"),
	})
	if err != nil {
		return err
	}
	d.screen.done("nautes-operator is ready", time.Since(began))
	return nil
}

// freeAddresses returns addresses on loopback that nothing listens on.
func freeAddresses(n int) ([]string, error) {
	var addresses []string
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = listener.Close() }()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

func ready(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, strconv.Itoa(response.StatusCode))
		}
		return nil
	}
}

// tenant sets up what an administrator does once: credentials, the tenant
// repository, and in it a provider and a cluster.
func (d *demo) tenant(ctx context.Context) error {
	c, err := d.tenantClient()
	if err != nil {
		return err
	}
	kubeconfig, err := d.stack.Runtimes[runtimeName].RegisterUser(ctx)
	if err != nil {
		return err
	}
	store := kube.New(c, c, devstack.OperatorNamespace)
	d.stack.Git.Grant("mirror-token", devstack.Read, "demo")
	d.stack.Git.Grant("mirror-token", devstack.Read, groupName)
	d.stack.Git.Grant("deploy-token", devstack.Read, manifestRepo)
	for ref, fields := range map[secrets.Ref]map[string]secrets.Value{
		secrets.ClusterKubeconfig(clusterName):                  {"kubeconfig": secrets.NewValue(kubeconfig)},
		secrets.ProviderToken("gitlab"):                         {"access_token": secrets.NewValue([]byte("mirror-token"))},
		secrets.RepositoryReadOnly("gitlab", "repo-api-server"): {"username": secrets.NewValue([]byte("deploy")), "password": secrets.NewValue([]byte("deploy-token"))},
	} {
		if _, err := store.Put(ctx, ref, fields); err != nil {
			return err
		}
	}
	d.screen.say("secrets are stored: the cluster's kubeconfig, the provider's token, the repository's deploy token")
	if err := d.applyTenantRepository(ctx, c); err != nil {
		return err
	}
	if err := d.addHook(ctx, c, tenantRepo, receiver.Tenant, receiver.TenantPath); err != nil {
		return err
	}
	pushed := time.Now()
	if _, err := d.stack.Git.Push(ctx, tenantRepo, devstack.Commit{Message: "Register a cluster", Files: d.tenantFiles()}); err != nil {
		return err
	}
	d.screen.done("git push "+tenantRepo, time.Since(pushed))
	cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: clusterName}}
	if err := d.waitReady(ctx, c, cluster); err != nil {
		return err
	}
	d.screen.done("Cluster "+clusterName+" is Ready", time.Since(pushed))
	return d.screen.table(ctx, d.stack.Tenant.Config(), v1alpha1.GroupVersion, "clusters", devstack.OperatorNamespace)
}

// applyTenantRepository names the tenant repository, with credentials of its own.
func (d *demo) applyTenantRepository(ctx context.Context, c client.Client) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: "tenant-repository"},
		StringData: map[string]string{"username": "nautes", "password": "mirror-token"},
	}
	if err := c.Create(ctx, secret); err != nil {
		return fmt.Errorf("create the credentials of the tenant repository: %w", err)
	}
	return d.apply(ctx, fmt.Sprintf(`
apiVersion: nautes.resource.nautes.io/v1alpha1
kind: CodeRepo
metadata:
  name: management
  namespace: nautes
  labels: {coderepo.resource.nautes.io/tenant-management: %s}
spec:
  url: %s/%s.git
  secretRef: {name: tenant-repository}
`, tenantName, d.stack.Git.URL, tenantRepo))
}

// addHook makes the Git host report pushes to the operator, as GitLab would.
func (d *demo) addHook(ctx context.Context, c client.Client, path, source, endpoint string) error {
	if d.key == nil {
		// The operator makes its key when it is asked for the first time.
		secret := &corev1.Secret{}
		err := d.until(ctx, "the key of the push hooks", func(ctx context.Context) error {
			_ = post(ctx, d.hooks+"/hooks/v1/tenant")
			return c.Get(ctx, client.ObjectKey{Namespace: devstack.OperatorNamespace, Name: "nautes-receiver"}, secret)
		})
		if err != nil {
			return err
		}
		d.key = secret.Data["key"]
	}
	return d.stack.Git.AddHook(path, devstack.Hook{URL: d.hooks + endpoint, Token: receiver.Token(d.key, source)})
}

func post(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	request.Header.Set("X-Gitlab-Token", "none")
	request.Header.Set("X-Gitlab-Event", "Push Hook")
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// writeKubeconfig writes a kubeconfig for people.
func (d *demo) writeKubeconfig(name string, content []byte) (string, error) {
	path := filepath.Join(d.dir, name+".kubeconfig")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("write a kubeconfig: %w", err)
	}
	return path, nil
}
