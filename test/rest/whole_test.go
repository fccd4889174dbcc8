package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/controllers"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/secrets"
	kubesecrets "nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
	"nautes.io/nautes/test/scenario"
)

// whole is an operator and the program nautes-apiserver beside an emulated GitLab, on real
// control planes.
type whole struct {
	*scenario.System
	forge *gitlab.Server
	api   *devstack.RESTServer
	// token is the access token of a person.
	token string
}

// A person creates a product and everything in it by HTTP alone, sees it on the clusters,
// and removes it by HTTP, until nothing is left anywhere.
func TestProductByHTTP(t *testing.T) {
	w := newWhole(t)
	const product = "/products/labs"
	saves := []struct{ path, body string }{
		{product, `{"git": {"gitlab": {"name": "labs", "path": "labs", "visibility": "private"}}}`},
		{product + "/environments/dev", `{"cluster": "alpha", "env_type": "dev"}`},
		{product + "/projects/web", `{"language": "golang"}`},
		{product + "/coderepos/web", `{"git": {"gitlab": {"name": "web", "path": "web", "visibility": "private"}}, "project": "web", "deployment_runtime": true}`},
		{product + "/deploymentruntimes/web-dev", `{"projects_ref": ["web"], "manifest_source": {"code_repo": "web", "target_revision": "HEAD", "path": "deploy"},
			"destination": {"environment": "dev", "namespaces": ["web-dev"]}}`},
	}
	for _, save := range saves {
		w.must(t, http.MethodPost, save.path, save.body)
	}
	group, found := w.forge.Group("labs")
	if !found {
		t.Fatal("the forge has no group labs")
	}
	namespace := fmt.Sprintf("product-%d", group.ID)
	runtime := &v1alpha1.DeploymentRuntime{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web-dev"}}
	w.AwaitCondition(t, runtime, v1alpha1.ConditionApplied, metav1.ConditionTrue, "")
	app := scenario.Object("argoproj.io/v1alpha1", "Application", devstack.ArgoCDNamespace, namespace+"-web-dev")
	w.AwaitObjects(t, w.Clusters["alpha"], app)
	var read struct {
		Status struct {
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"status"`
	}
	w.Until(t, "the status in a reply", func() error {
		if err := json.Unmarshal(w.must(t, http.MethodGet, product+"/deploymentruntimes/web-dev", ""), &read); err != nil {
			return err
		}
		if len(read.Status.Conditions) == 0 {
			return errors.New("it has no conditions")
		}
		return nil
	})

	for i := len(saves) - 1; i > 0; i-- {
		path := saves[i].path
		if strings.Contains(path, "coderepos") {
			path += "?delete_project=true"
		}
		w.Until(t, "DELETE "+path, func() error {
			// What is in use by something that is still being removed answers 409.
			status, body := w.send(t, http.MethodDelete, path, "")
			if status != http.StatusOK {
				return fmt.Errorf("%d: %s", status, body)
			}
			return nil
		})
	}
	w.must(t, http.MethodDelete, product, "")
	for _, g := range w.forge.Groups() {
		if g.ID == group.ID {
			w.forge.RemoveNow(g.Path)
		}
	}
	// Argo CD, which does not run here, has removed what it deployed: nothing.
	w.Until(t, "the deletion of the Application", func() error {
		if err := w.Clusters["alpha"].Get(t.Context(), client.ObjectKeyFromObject(app), app); err != nil {
			return client.IgnoreNotFound(err)
		}
		if app.GetDeletionTimestamp() == nil {
			return errors.New("it is not deleted")
		}
		return scenario.Release(t.Context(), w.Clusters["alpha"], app)
	})
	w.AwaitGone(t, w.Client, &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: namespace}})
	w.AwaitGone(t, w.Clusters["alpha"], app)
	w.nothingLeft(t)
}

// nothingLeft checks that no secret of the product stays, and no token is in the log.
func (w *whole) nothingLeft(t *testing.T) {
	t.Helper()
	left := &corev1.SecretList{}
	if err := w.Client.List(t.Context(), left, client.InNamespace(devstack.OperatorNamespace), client.MatchingLabels{kubesecrets.LabelEngine: "git"}); err != nil {
		t.Fatal(err)
	}
	for i := range left.Items {
		t.Errorf("the secret %s stays", left.Items[i].Annotations[kubesecrets.AnnotationPath])
	}
	log, err := os.ReadFile(w.api.Log)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(log), w.token) {
		t.Error("the log of the server holds the token of a caller")
	}
	for _, line := range strings.Split(string(log), "\n") {
		if strings.Contains(line, `"level":"error"`) {
			t.Errorf("the server logs an error: %s", line)
		}
	}
}

func newWhole(t *testing.T) *whole {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	stack, err := devstack.Start(t.Context(), devstack.Options{Dir: t.TempDir(), Runtimes: []string{"alpha"}, ControllerManager: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Stop(); err != nil {
			t.Error(err)
		}
	})
	system, err := scenario.NewSystem(stack)
	if err != nil {
		t.Fatal(err)
	}
	w := &whole{System: system, forge: gitlab.New(t)}
	w.forge.AddUser(gitlab.User{Username: "ada"})
	w.token = w.forge.Token("ada")
	w.forge.AddGroup("platform", gitlab.Private, "")
	w.forge.AddProject("platform/management", gitlab.ProjectSettings{Readme: true})
	w.forge.SetMember("platform/management", "ada", gitlab.Reporter)
	for _, prepare := range []func(context.Context) error{w.prepareClusters, w.pushTenant, w.applyTenant} {
		if err := prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.serve(t)
	return w
}

// prepareClusters installs everything but the operator.
func (w *whole) prepareClusters(ctx context.Context) error {
	if _, err := w.InstallOperator(ctx); err != nil {
		return err
	}
	if err := w.CreateNamespace(ctx, "alpha", devstack.ArgoCDNamespace); err != nil {
		return err
	}
	if err := w.InstallArgoCDKinds(ctx); err != nil {
		return err
	}
	kubeconfig, err := w.Runtimes["alpha"].RegisterUser(ctx)
	if err != nil {
		return err
	}
	return errors.Join(w.StoreKubeconfig(ctx, "alpha", kubeconfig),
		w.Secrets(ctx, secrets.ProviderToken("gitlab"), map[string]string{"access_token": w.forge.Token("root")}))
}

// pushTenant pushes the files of the tenant repository.
func (w *whole) pushTenant(ctx context.Context) error {
	components := scenario.Declaration("ComponentCatalogue", v1alpha1.ComponentCatalogueName,
		"components:", strings.Join(scenario.ExternalComponents(), "\n  "))
	_, err := w.forge.Push(ctx, "platform/management", githost.Commit{Branch: "main", Message: "Declare the tenant", Files: map[string]string{
		"providers/gitlab.yaml": scenario.Declaration("CodeRepoProvider", "gitlab", "httpAddress: "+w.forge.URL,
			"sshAddress: ssh://git@127.0.0.1:1", "apiServer: "+w.forge.API, "providerType: gitlab"),
		"providers/products.yaml": scenario.Declaration("ProductProvider", "products", "type: coderepo", "name: gitlab", "gracePeriodSeconds: 1"),
		"clusters/alpha.yaml":     scenario.ClusterFile("alpha", w.Runtimes["alpha"].URL, scenario.WorkerSpec("deployment")...),
		"catalogue/default.yaml":  components,
	}})
	return err
}

// applyTenant applies the one object that a person writes to the tenant cluster.
func (w *whole) applyTenant(ctx context.Context) error {
	file := scenario.Declaration("CodeRepo", "management", "url: "+w.forge.URL+"/platform/management.git", "secretRef: {name: management}")
	file = strings.Replace(file, "metadata:\n", "metadata:\n  labels: {"+v1alpha1.LabelTenantRepository+": acme}\n", 1)
	return w.Apply(ctx, scenario.GitSecret("management", w.forge.Token("root")), scenario.InNamespace(devstack.OperatorNamespace, file))
}

// serve starts the operator and the REST server.
func (w *whole) serve(t *testing.T) {
	t.Helper()
	settings := devstack.OperatorConfig{Tenant: "acme", Receiver: "127.0.0.1:0", Metrics: "0", Probes: "0", GitPoll: time.Second, ClusterProbe: time.Second}
	settings.Dir = filepath.Join(t.TempDir(), "operator")
	operator, err := w.RunOperator(settings, func(deps *reconcile.Deps) error { return controllers.Add(deps, controllers.Names()) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := operator.Stop(); err != nil {
			t.Error(err)
		}
	})
	root, err := devstack.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "nautes-apiserver")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/nautes-apiserver")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	settings.Dir = filepath.Join(t.TempDir(), "rest")
	if w.api, err = w.StartRESTServer(t.Context(), program, settings); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.api.Stop(); err != nil {
			t.Error(err)
		}
		if log, err := os.ReadFile(w.api.Log); t.Failed() && err == nil {
			t.Logf("the log of the server:\n%s", log)
		}
	})
	w.Until(t, "the tenant's provider and cluster", func() error {
		found := &v1alpha1.Cluster{}
		return w.Client.Get(t.Context(), client.ObjectKey{Namespace: devstack.OperatorNamespace, Name: "alpha"}, found)
	})
}

// send sends a request as a person and returns the status and the body of the reply.
func (w *whole) send(t *testing.T, method, path, body string) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, w.api.URL+"/api/v1"+path, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, content
}

// must is send for a request that must succeed.
func (w *whole) must(t *testing.T, method, path, body string) []byte {
	t.Helper()
	status, content := w.send(t, method, path, body)
	if status != http.StatusOK {
		t.Fatalf("%s %s: %d: %s", method, path, status, content)
	}
	return content
}
