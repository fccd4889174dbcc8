package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	kube "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/secrets"
	kubesecrets "nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
)

const (
	namespace  = "nautes"
	user       = "nautes-apiserver"
	tenantPath = "platform/management"
	provider   = "gitlab"
	// envProgram makes the test program be the API server.
	envProgram = "NAUTES_APISERVER"
	canary     = "c4n4ry"
)

var shared devstack.Shared

func TestMain(m *testing.M) {
	if os.Getenv(envProgram) != "" {
		main()
		return
	}
	os.Exit(shared.Run(m))
}

// program is the API server in a process of its own, with the rights of config/apiserver.
type program struct {
	t       *testing.T
	stack   *devstack.Stack
	objects kube.Client
	forge   *gitlab.Server
	process *exec.Cmd
	url     string
	probes  string
	token   string

	mutex sync.Mutex
	said  bytes.Buffer
}

func (p *program) Write(data []byte) (int, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.said.Write(data)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// install gives the user of the server its namespace and its rights, and returns its
// kubeconfig.
func (p *program) install() []byte {
	p.t.Helper()
	manifests := "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + namespace + "}\n---\n"
	role, err := os.ReadFile("../../config/apiserver/role.yaml")
	check(p.t, err)
	manifests += string(role)
	for _, scope := range []string{"Cluster", ""} {
		manifests += fmt.Sprintf("\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: %[1]sRoleBinding\nmetadata: {name: %[2]s, namespace: %[3]s}\n"+
			"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: %[1]sRole, name: %[2]s}\nsubjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[2]s}]\n",
			scope, user, map[string]string{"": namespace, "Cluster": `""`}[scope])
	}
	check(p.t, devstack.Apply(p.t.Context(), p.stack.Tenant.Config(), []byte(manifests)))
	config, err := p.stack.Tenant.KubeconfigFor(user)
	check(p.t, err)
	return config
}

// platform makes the forge of the tenant, and its objects.
func (p *program) platform() {
	p.t.Helper()
	p.forge = gitlab.New(p.t)
	for _, name := range []string{"owner", "server", "slow", "large"} {
		p.forge.AddUser(gitlab.User{Username: name})
	}
	p.token = p.forge.Token("owner")
	p.forge.AddGroup("platform", gitlab.Private, "")
	tenant := p.forge.AddProject(tenantPath, gitlab.ProjectSettings{Readme: true})
	p.forge.SetMember(tenantPath, "owner", gitlab.Maintainer)
	p.forge.SetMember(tenantPath, "server", gitlab.Reporter)

	scheme := runtime.NewScheme()
	check(p.t, clientgoscheme.AddToScheme(scheme))
	check(p.t, v1alpha1.AddToScheme(scheme))
	var err error
	p.objects, err = kube.New(p.stack.Tenant.Config(), kube.Options{Scheme: scheme})
	check(p.t, err)
	spec := v1alpha1.CodeRepoProviderSpec{ProviderType: "gitlab", APIServer: p.forge.API, HTTPAddress: p.forge.URL, SSHAddress: "ssh://git@127.0.0.1"}
	repo := v1alpha1.CodeRepoSpec{CodeRepoProvider: provider, RepoName: "management", URL: tenant.HTTPURL}
	check(p.t, p.objects.Create(p.t.Context(), &v1alpha1.CodeRepoProvider{ObjectMeta: metav1.ObjectMeta{Name: provider, Namespace: namespace}, Spec: spec}))
	check(p.t, p.objects.Create(p.t.Context(), &v1alpha1.CodeRepo{ObjectMeta: metav1.ObjectMeta{
		Name: "management", Namespace: namespace, Labels: map[string]string{v1alpha1.LabelTenantRepository: "pluto"},
	}, Spec: repo}))
	store := kubesecrets.New(p.objects, p.objects, namespace)
	_, err = store.Put(p.t.Context(), secrets.ProviderToken(provider), map[string]secrets.Value{
		"access_token": secrets.NewValue([]byte(p.forge.Token("server"))),
	})
	check(p.t, err)
	_, err = p.forge.Push(p.t.Context(), tenantPath, githost.Commit{Branch: "main", Message: "Provider", Files: map[string]string{
		"providers/" + provider + ".yaml": fmt.Sprintf("apiVersion: %s\nkind: CodeRepoProvider\nmetadata:\n  name: %s\nspec:\n  providerType: gitlab\n  apiServer: %s\n  httpAddress: %s\n  sshAddress: %s\n",
			v1alpha1.GroupVersion, provider, spec.APIServer, spec.HTTPAddress, spec.SSHAddress),
	}})
	check(p.t, err)
}

// freePort returns a port of loopback.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func (p *program) start(kubeconfig []byte) {
	p.t.Helper()
	dir := p.t.TempDir()
	config := filepath.Join(dir, "operator.yaml")
	check(p.t, os.WriteFile(config, []byte("apiVersion: config.nautes.io/v1alpha1\nkind: OperatorConfig\ntenant: pluto\nnamespace: "+namespace+
		"\ngit:\n  cacheDir: "+dir+"\n  allowedProtocols: [http]\n"), 0o600))
	file := filepath.Join(dir, "kubeconfig")
	check(p.t, os.WriteFile(file, kubeconfig, 0o600))
	api, probes := freePort(p.t), freePort(p.t)
	p.url, p.probes = "http://"+api, "http://"+probes
	p.process = exec.Command(os.Args[0], "--config="+config, "--kubeconfig="+file, "--address="+api, "--probes-address="+probes, "--metrics-address=0", "--cache-dir="+filepath.Join(dir, "cache"))
	p.process.Env = append(os.Environ(), envProgram+"=1")
	p.process.Stderr, p.process.Stdout = p, p
	check(p.t, p.process.Start())
	p.t.Cleanup(func() { _ = p.process.Process.Kill() })
}

// send sends a request as the owner, and returns the reply.
func (p *program) send(method, path, body string) string {
	p.t.Helper()
	q, err := http.NewRequestWithContext(p.t.Context(), method, p.url+"/api/v1/"+path, strings.NewReader(body))
	check(p.t, err)
	q.Header.Set("Authorization", "Bearer "+p.token)
	q.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(q)
	check(p.t, err)
	defer func() { _ = reply.Body.Close() }()
	said, err := io.ReadAll(reply.Body)
	check(p.t, err)
	if reply.StatusCode != http.StatusOK {
		_ = p.process.Process.Signal(syscall.SIGTERM)
		_ = p.process.Wait()
		p.t.Fatalf("%s %s: %d %s\n%s", method, path, reply.StatusCode, said, &p.said)
	}
	return string(said)
}

// crowd opens 1,000 connections that send nothing, half of a header or half of a request,
// and sends bodies without an end. Requests of others are answered beside them, and the
// server closes the ones whose request does not come.
func (p *program) crowd() {
	p.t.Helper()
	const head = "POST /api/v1/products/labs/environments/crowd HTTP/1.1\r\nHost: a\r\n"
	bodyOf := func(user string) string {
		return head + "Authorization: Bearer " + p.forge.Token(user) + "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
	}
	p.forge.SetMember("labs", "large", gitlab.Maintainer)
	large := bodyOf("large")
	chunk := "10000\r\n" + strings.Repeat(" ", 1<<16) + "\r\n"
	begins := []string{"", head, bodyOf("slow")}
	var slow []net.Conn
	for i := range 1000 {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		check(p.t, err)
		defer func() { _ = c.Close() }()
		_, err = io.WriteString(c, begins[i%len(begins)])
		check(p.t, err)
		if i%len(begins) == 1 {
			slow = append(slow, c)
		}
	}
	for range 5 {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		check(p.t, err)
		defer func() { _ = c.Close() }()
		_, err = io.WriteString(c, large)
		for range 40 {
			if err == nil {
				_, err = io.WriteString(c, chunk)
			}
		}
		// The server may have closed the connection meanwhile.
		check(p.t, c.SetReadDeadline(time.Now().Add(time.Minute)))
		if reply, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil && reply.StatusCode != http.StatusRequestEntityTooLarge {
			p.t.Errorf("a body without an end: %s", reply.Status)
		}
	}
	for range 20 {
		p.send("GET", "products/labs/environments", "")
	}
	for _, c := range slow {
		check(p.t, c.SetReadDeadline(time.Now().Add(time.Minute)))
		if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			p.t.Fatalf("the server keeps a connection whose request does not come: %v", err)
		}
	}
}

// await waits until the server is ready.
func (p *program) await() {
	p.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		reply, err := http.Get(p.probes + "/readyz")
		if err == nil {
			_ = reply.Body.Close()
			if reply.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			p.t.Fatalf("not ready: %v\n%s", err, &p.said)
		}
	}
}

// TestRights holds that the cluster role grants to read the kinds of the caches, and
// nothing else.
func TestRights(t *testing.T) {
	content, err := os.ReadFile("../../config/apiserver/role.yaml")
	check(t, err)
	var role rbacv1.ClusterRole
	_, first, _ := strings.Cut(string(content), "---\n")
	first, _, _ = strings.Cut(first, "---\n")
	check(t, yaml.UnmarshalStrict([]byte(first), &role))
	var kinds []string
	for _, o := range references.Kinds() {
		kinds = append(kinds, strings.ToLower(reflect.TypeOf(o).Elem().Name())+"s")
	}
	slices.Sort(kinds)
	want := []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: kinds, Verbs: []string{"get", "list", "watch"}}}
	if diff := cmp.Diff(want, role.Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

// TestProgram runs the program with the rights of config/apiserver. They must be enough,
// and each right to write must be needed.
func TestProgram(t *testing.T) {
	p := &program{t: t, stack: shared.Stack(t)}
	kubeconfig := p.install()
	p.platform()
	mark, err := p.stack.Tenant.Mark(t.Context())
	check(t, err)
	p.start(kubeconfig)
	p.await()

	config := "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- name: a\n  context: {cluster: c, user: u}\n" +
		"clusters:\n- name: c\n  cluster: {server: 'https://10.0.0.1:6443'}\nusers:\n- name: u\n  user: {token: " + canary + "%d}\n"
	for i := range 2 {
		text, err := json.Marshal(fmt.Sprintf(config, i))
		check(t, err)
		p.send("POST", "clusters/alpha", fmt.Sprintf(`{"api_server": "https://10.0.0.1:6443", "cluster_kind": "kubernetes", "cluster_type": "physical", "usage": "worker", "worker_type": "deployment", "kubeconfig": %s}`, text))
	}
	p.send("POST", "products/labs", `{"git": {"gitlab": {"path": "labs", "visibility": "private"}}}`)
	saved := p.send("POST", "products/labs/environments/dev", `{"cluster": "alpha", "env_type": "dev"}`)
	if list := p.send("GET", "products/labs/environments", ""); !strings.Contains(list, `"name":"dev"`) {
		t.Errorf("list %s", list)
	}
	p.crowd()
	p.send("DELETE", "products/labs", "")

	requests, err := p.stack.Tenant.Requests(mark)
	check(t, err)
	var written []string
	for _, r := range requests {
		if r.User != user {
			continue
		}
		if r.Code >= http.StatusBadRequest {
			t.Errorf("refused: %s", r)
		}
		written = append(written, r.Verb+" "+r.Namespace+"/"+r.Resource+"."+r.Group)
	}
	slices.Sort(written)
	want := []string{"create nautes/secrets.", "delete nautes/secrets.", "update nautes/secrets."}
	if diff := cmp.Diff(want, slices.Compact(written)); diff != "" {
		t.Errorf("requests to write (-want +got):\n%s", diff)
	}

	check(t, p.process.Process.Signal(syscall.SIGTERM))
	ended := make(chan error, 1)
	go func() { ended <- p.process.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the end: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the program does not end")
	}
	log := p.said.String()
	for _, want := range []string{`"msg":"starting"`, `"operation":"Environment_SaveEnvironment"`, `"user":"owner"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	for _, secret := range []string{canary, p.token, "forbidden"} {
		if strings.Contains(log+saved, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if t.Failed() || testing.Verbose() {
		t.Log(log)
	}
}
