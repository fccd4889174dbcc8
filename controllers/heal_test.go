package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
)

// Credentials that arrive late, or are rotated, are used at once.
func TestCredentialsAreWatched(t *testing.T) {
	t.Parallel()
	w := theWorld(t)
	w.apply(t, `apiVersion: nautes.resource.nautes.io/v1alpha1
kind: CodeRepoProvider
metadata: {name: late, namespace: nautes}
spec: {httpAddress: "https://late.example", sshAddress: "ssh://git@late.example:22", apiServer: "https://late.example/api/v4", providerType: gitlab}
`)
	s := newShop(w, "901", "alpha")
	s.declare(t)
	files := s.files()
	files[repoFile] = strings.Replace(s.codeRepo(), "  repoName: app\n  url: https://git.example/group-901/app.git\n", "  repoName: app\n  codeRepoProvider: late\n", 1)
	for path, content := range files {
		files[path] = strings.ReplaceAll(content, "repo-1", "repo-901")
	}
	files["code-repos/repo-901/repo-901.yaml"], files["code-repos/repo-901/app.yaml"] = files[repoFile], files[bindingFile]
	delete(files, repoFile)
	delete(files, bindingFile)
	s.push(t, files)
	message := w.condition(t, s.runtimeObject(), "Ready", "False", v1alpha1.ReasonSecretMissing)
	if !strings.Contains(message, "repo-901") {
		t.Errorf("the message does not say which secret is missing: %s", message)
	}
	for _, key := range []string{"first-key", "rotated-key"} {
		_, err := w.store.Put(t.Context(), secrets.RepositoryReadOnly("gitlab", "repo-901"), map[string]secrets.Value{"deploykey": secrets.NewValue([]byte(key))})
		if err != nil {
			t.Fatal(err)
		}
		repository := object("v1", "Secret", devstack.ArgoCDNamespace, s.product+"-repo-901")
		until(t, "the credential on the runtime cluster", func() error {
			if err := w.runtimes["alpha"].Get(context.Background(), client.ObjectKeyFromObject(repository), repository); err != nil {
				return err
			}
			data, _, _ := unstructured.NestedMap(repository.Object, "data")
			if text := fmt.Sprint(data["sshPrivateKey"]); text != base64Of(key) {
				return errors.New("it holds another key")
			}
			return nil
		})
	}
	exists(t, w.runtimes["alpha"], s.application())
}

// A product whose credentials do not exist yet says which Secret it waits for.
func TestGitCredentialsArriveLate(t *testing.T) {
	t.Parallel()
	w := theWorld(t)
	s := newShop(w, "902", "alpha")
	if _, err := w.Git.AddRepository(t.Context(), s.repo); err != nil {
		t.Fatal(err)
	}
	w.Git.Grant("token-902", githost.Read, s.group)
	s.push(t, s.files())
	w.apply(t, fmt.Sprintf(`apiVersion: nautes.resource.nautes.io/v1alpha1
kind: Product
metadata: {name: %s, namespace: nautes}
spec: {name: %s, metaDataPath: "%s/%s.git", secretRef: {name: git-late}}
`, s.product, s.group, w.Git.URL, s.repo))
	t.Cleanup(func() { s.remove(t) })
	message := w.condition(t, s.productObject(), "Ready", "False", v1alpha1.ReasonSecretMissing)
	if !strings.Contains(message, "git-late") {
		t.Errorf("the message does not name the Secret: %s", message)
	}
	w.apply(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: git-late, namespace: nautes}\nstringData: {username: any, password: token-902}\n")
	exists(t, w.runtimes["alpha"], s.application())
}

// After a change, Ready waits until Argo CD has compared the new source.
func TestReadyIsAboutTheDeployedSource(t *testing.T) {
	t.Parallel()
	w := theWorld(t)
	s := newShop(w, "903", "alpha")
	s.open(t)
	s.synced(t, "Synced", "Healthy")
	w.condition(t, s.runtimeObject(), "Ready", "True", "Ready")
	s.push(t, map[string]string{runtimeFile: strings.Replace(s.runtime(), "path: deploy", "path: elsewhere", 1)})
	until(t, "the changed Application", func() error {
		app := s.application()
		if err := w.runtimes["alpha"].Get(context.Background(), client.ObjectKeyFromObject(app), app); err != nil {
			return err
		}
		if path, _, _ := unstructured.NestedString(app.Object, "spec", "source", "path"); path != "elsewhere" {
			return fmt.Errorf("path %q", path)
		}
		return nil
	})
	w.condition(t, s.runtimeObject(), "Ready", "False", v1alpha1.ReasonProgressing)
	s.synced(t, "Synced", "Healthy")
	w.condition(t, s.runtimeObject(), "Ready", "True", "Ready")
}

// The project that a runtime names arrives last, and by kubectl: nothing else changes.
func TestProjectArrivesLast(t *testing.T) {
	t.Parallel()
	w := theWorld(t)
	s := newShop(w, "904", "alpha")
	s.declare(t)
	files := s.files()
	delete(files, projectFile)
	files[bindingFile] = strings.Replace(s.binding("readonly"), "  projects:\n  - app\n", "", 1)
	s.push(t, files)
	w.condition(t, s.runtimeObject(), "Ready", "False", v1alpha1.ReasonReferenceMissing)
	w.condition(t, s.productObject(), "Ready", "True", "Ready")
	w.apply(t, strings.Replace(s.project(), "name: app\n", "name: app\n  namespace: "+s.product+"\n", 1))
	exists(t, w.runtimes["alpha"], s.application())
}

// Objects on a cluster that is lost for ever can be given up, step by step, and
// nothing waits for them any more.
func TestAbandonedCluster(t *testing.T) {
	t.Parallel()
	w := theWorld(t)
	const name = "abandoned"
	plane := w.alone(t)
	w.registerCluster(t, name, plane)
	cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: name}}
	w.condition(t, cluster, "Ready", "True", "Ready")
	s := newShop(w, "905", name)
	s.open(t)
	if err := plane.Kill(); err != nil {
		t.Fatal(err)
	}
	w.condition(t, cluster, "Connected", "False", "")
	r, p := s.runtimeObject(), s.productObject()
	s.push(t, nil, runtimeFile)
	until(t, "the deletion", func() error {
		if err := w.c.Get(context.Background(), client.ObjectKeyFromObject(r), r); err != nil || r.DeletionTimestamp.IsZero() {
			return fmt.Errorf("not deleted yet: %v", err)
		}
		return nil
	})
	annotation := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationAbandon, name))
	for _, o := range []client.Object{r, p} {
		if err := w.c.Patch(t.Context(), o, annotation); err != nil {
			t.Fatal(err)
		}
	}
	gone(t, w.c, r)
	until(t, "the space is given up", func() error {
		if err := w.c.Get(context.Background(), client.ObjectKeyFromObject(p), p); err != nil || len(p.Status.Spaces) > 0 {
			return fmt.Errorf("spaces %v: %v", p.Status.Spaces, err)
		}
		return w.event(p, v1alpha1.ReasonAbandoned, name)
	})
	s.push(t, map[string]string{envFile: strings.Replace(s.env(), "cluster: "+name, "cluster: alpha", 1)})
	if err := w.c.Delete(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	gone(t, w.c, cluster)

	// It comes back after all: the abandoned objects are still there, to be removed by hand.
	if err := plane.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := labelled(t, w.runtimes[name], s.product)
	if len(left) == 0 {
		t.Error("what was given up is gone")
	}
	s.cluster = "alpha"
}
