package runner_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/test/gittest"
	"nautes.io/nautes/test/remotetest"
)

const crdPipelineRun = "github.com/tektoncd/pipeline:config/300-crds/300-pipelinerun.yaml"

var (
	// server is the API server of the package's tests.
	server *rest.Config
	// binary is nautes-runner.
	binary string
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "nautes-runner-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := remotetest.Main(m, func(cfg *rest.Config) {
		server, binary = cfg, filepath.Join(dir, "nautes-runner")
		if out, err := exec.Command("go", "build", "-o", binary, "nautes.io/nautes/cmd/nautes-runner").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build nautes-runner: %v\n%s", err, out)
			binary = ""
		}
	})
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// world is a namespace on the API server and a repository on a Git server.
type world struct {
	t          testing.TB
	client     client.WithWatch
	namespace  string
	kubeconfig string
	host       *gittest.Server
	repo       *gittest.Repo
	// credentials is the directory with the credentials of the repository.
	credentials string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	if binary == "" {
		t.Fatal("nautes-runner does not build")
	}
	remotetest.InstallCRDs(t, server, crdPipelineRun)
	scheme := runtime.NewScheme()
	if err := errors.Join(tektonv1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(server, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, client: c, namespace: remotetest.Unique("runs"), kubeconfig: kubeconfig(t, server), host: gittest.New(t), credentials: t.TempDir()}
	w.repo = w.host.Repo("demo/pipelines")
	if err := c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}); err != nil {
		t.Fatal(err)
	}
	return w
}

// within returns the world for a part of its test.
func (w *world) within(t testing.TB) *world {
	part := *w
	part.t = t
	return &part
}

// nameFor returns the name of a launcher for a case of a test.
func nameFor(test string) string {
	return "l-" + strings.Trim(notInNames.ReplaceAllString(strings.ToLower(test), "-"), "-")
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// kubeconfig writes a file for a configuration.
func kubeconfig(t testing.TB, cfg *rest.Config) string {
	t.Helper()
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData}
	file.AuthInfos["u"] = &clientcmdapi.AuthInfo{
		ClientCertificateData: cfg.CertData, ClientKeyData: cfg.KeyData, Token: cfg.BearerToken, Impersonate: cfg.Impersonate.UserName,
	}
	file.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	file.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// config is what the runtime of a test says.
func (w *world) config() launch.Config {
	return launch.Config{
		Product: "product-1", Runtime: "pr-demo", Namespace: w.namespace, Account: "pr-demo-account", EventSource: "push", Pipeline: "pipeline-dev",
		Label: "dev", Repository: "repo-1", URL: w.repo.URL(), Path: "pipelines/dev.yaml", EventRepository: "repo-1",
	}
}

// result is how the program ended.
type result struct {
	code           int
	stdout, stderr string
	// The results for Tekton, empty when they were not written.
	run, commit, status string
}

// exec runs the program as a process, without anything of the environment.
func (w *world) exec(args ...string) result {
	w.t.Helper()
	return execute(w.t, w.t.Context(), args...)
}

func execute(t testing.TB, ctx context.Context, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(ctx, binary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.Dir = t.TempDir()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// launch runs the program as a launcher's step does.
func (w *world) launch(c launch.Config, e launch.Event, launcher string, more ...string) result {
	w.t.Helper()
	dir := w.t.TempDir()
	r := w.exec(append([]string{
		"launch", "--config=" + encode(w.t, c), "--event=" + encode(w.t, e), "--launcher=" + launcher,
		"--result-run=" + filepath.Join(dir, "run"), "--result-commit=" + filepath.Join(dir, "commit"),
		"--work-dir=" + filepath.Join(dir, "work"), "--kubeconfig=" + w.kubeconfig, "--credentials=" + w.credentials, "--git-protocols=http",
	}, more...)...)
	r.run, r.commit = read(filepath.Join(dir, "run")), read(filepath.Join(dir, "commit"))
	return r
}

func read(path string) string {
	content, _ := os.ReadFile(path)
	return string(content)
}

func encode(t testing.TB, v any) string {
	t.Helper()
	text, err := launch.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// get returns a run of the world's namespace.
func (w *world) get(name string) *tektonv1.PipelineRun {
	w.t.Helper()
	run := &tektonv1.PipelineRun{}
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, run); err != nil {
		w.t.Fatal(err)
	}
	return run
}

// runs returns all runs of the world's namespace.
func (w *world) runs() []tektonv1.PipelineRun {
	w.t.Helper()
	list := &tektonv1.PipelineRunList{}
	if err := w.client.List(w.t.Context(), list, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

// forms returns a secret as it is and as programs encode it.
func forms(secret string) []string {
	return []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))}
}
