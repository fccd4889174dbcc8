package runner

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/remotetest"
)

var (
	// apiServer starts with the first test that needs it: most of the package is
	// tested without one.
	apiServer remotetest.Server
	// server is the configuration of the API server, once a test has needed it.
	server *rest.Config
)

func TestMain(m *testing.M) { os.Exit(apiServer.Main(m)) }

// needServer fails the test if there is no API server.
func needServer(t testing.TB) {
	t.Helper()
	server = apiServer.Config(t)
}

// build returns the path of the program, built from the working tree.
func build(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nautes-runner")
	if out, err := exec.Command("go", "build", "-o", path, "nautes.io/nautes/cmd/nautes-runner").CombinedOutput(); err != nil {
		t.Fatalf("build nautes-runner: %v\n%s", err, out)
	}
	return path
}

// fixture is a namespace on the API server and a repository on a Git server.
type fixture struct {
	t          testing.TB
	client     client.WithWatch
	namespace  string
	kubeconfig string
	host       *githost.Server
	repo       *githost.Repo
	// credentials is the directory with the credentials of the repository.
	credentials string
	// program is the path of the built program; if empty, the program runs in the
	// process of the test.
	program string
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	needServer(t)
	remotetest.InstallCRDs(t, server, remotetest.CRDPipelineRun)
	scheme := runtime.NewScheme()
	if err := errors.Join(tektonv1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(server, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	w := &fixture{t: t, client: c, namespace: remotetest.Unique("runs"), kubeconfig: kubeconfig(t, server), host: githost.New(t), credentials: t.TempDir()}
	w.repo = w.host.Repo("demo/pipelines")
	if err := c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}); err != nil {
		t.Fatal(err)
	}
	return w
}

// within returns the fixture for a subtest.
func (w *fixture) within(t testing.TB) *fixture {
	part := *w
	part.t = t
	return &part
}

// nameFor returns the name of a launcher for a subtest.
func nameFor(test string) string {
	return "l-" + strings.Trim(notInNames.ReplaceAllString(strings.ToLower(test), "-"), "-")
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// kubeconfig writes a kubeconfig and returns its path.
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

// config returns the configuration of the tests' launchers.
func (w *fixture) config() launch.Config {
	return launch.Config{
		Product: "product-1", Runtime: "pr-demo", Namespace: w.namespace, Account: "pr-demo-account", EventSource: "push", Pipeline: "pipeline-dev",
		Label: "dev", Repository: "repo-1", URL: w.repo.URL(), Path: "pipelines/dev.yaml", EventRepository: "repo-1",
	}
}

// result is the outcome of the program.
type result struct {
	code           int
	stdout, stderr string
	// The results for Tekton, empty if they were not written.
	run, commit, status string
}

// exec runs the program.
func (w *fixture) exec(args ...string) result {
	w.t.Helper()
	if w.program != "" {
		return spawn(w.t, w.program, args...)
	}
	return execute(w.t, args...)
}

// execute runs the program in the process of the test, with short pauses.
func execute(t testing.TB, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	program := New(&stdout, &stderr)
	program.Pause, program.Attempts = time.Millisecond, 3
	code := program.Run(t.Context(), args)
	return result{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// spawn runs the program as a process, with an empty environment but for PATH.
func spawn(t testing.TB, program string, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
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

// launch runs the program like a launcher's step.
func (w *fixture) launch(c launch.Config, e launch.Event, launcher string, more ...string) result {
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

// get returns a run of the fixture's namespace.
func (w *fixture) get(name string) *tektonv1.PipelineRun {
	w.t.Helper()
	run := &tektonv1.PipelineRun{}
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, run); err != nil {
		w.t.Fatal(err)
	}
	return run
}

// runs returns all runs of the fixture's namespace.
func (w *fixture) runs() []tektonv1.PipelineRun {
	w.t.Helper()
	list := &tektonv1.PipelineRunList{}
	if err := w.client.List(w.t.Context(), list, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

// forms returns a secret as it is and in base64.
func forms(secret string) []string {
	return []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))}
}
