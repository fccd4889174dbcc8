package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/foreign"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

// Credentials that arrive late, or are rotated, are used at once.
func TestCredentialsAreWatched(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	sys.MustApply(t, scenario.Provider("late", "https://late.example"))
	s := newProduct(sys, "901", "alpha")
	s.declare(t)
	files := s.files()
	files[repoFile] = s.CodeRepo("repo-1", "app", "codeRepoProvider: late")
	for path, content := range files {
		files[path] = strings.ReplaceAll(content, "repo-1", "repo-901")
	}
	files["code-repos/repo-901/repo-901.yaml"], files["code-repos/repo-901/app.yaml"] = files[repoFile], files[bindingFile]
	delete(files, repoFile)
	delete(files, bindingFile)
	s.push(t, files)
	message := sys.condition(t, s.runtimeObject(), "Ready", "False", v1alpha1.ReasonSecretMissing)
	if !strings.Contains(message, "repo-901") {
		t.Errorf("the message does not say which secret is missing: %s", message)
	}
	for _, key := range []string{"first-key", "rotated-key"} {
		sys.putText(t, secrets.RepositoryReadOnly("gitlab", "repo-901"), "deploykey", key)
		repository := scenario.Object("v1", "Secret", devstack.ArgoCDNamespace, s.Name+"-repo-901")
		sys.Until(t, "the credential on the runtime cluster", func() error {
			if err := sys.Clusters["alpha"].Get(context.Background(), client.ObjectKeyFromObject(repository), repository); err != nil {
				return err
			}
			data, _, _ := unstructured.NestedMap(repository.Object, "data")
			if text := fmt.Sprint(data["sshPrivateKey"]); text != base64Of(key) {
				return errors.New("it holds another key")
			}
			return nil
		})
	}
	sys.AwaitObjects(t, sys.Clusters["alpha"], s.application())
}

// A product whose credentials do not exist yet says which Secret it waits for.
func TestGitCredentialsArriveLate(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "902", "alpha")
	if _, err := sys.Git.AddRepository(t.Context(), s.Repository()); err != nil {
		t.Fatal(err)
	}
	s.Secret = "git-late"
	sys.Git.Grant(s.Token, githost.Read, s.Group)
	s.push(t, s.files())
	sys.MustApply(t, s.Manifest(sys.Git))
	t.Cleanup(func() { s.remove(t) })
	message := sys.condition(t, s.Object(), "Ready", "False", v1alpha1.ReasonSecretMissing)
	if !strings.Contains(message, "git-late") {
		t.Errorf("the message does not name the Secret: %s", message)
	}
	sys.MustApply(t, scenario.GitSecret(s.Secret, s.Token))
	sys.AwaitObjects(t, sys.Clusters["alpha"], s.application())
}

// Fields that people add to mirrored objects, and to the objects on clusters, go back
// within seconds: a Git repository is the only source.
func TestForeignFieldsGoBack(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "910", "alpha")
	s.open(t)
	s.ready(t)
	alpha := sys.Clusters["alpha"]
	for name, test := range map[string]struct {
		c      client.Client
		o      client.Object
		patch  string
		fields [][]string
	}{
		"a binding": {c: sys.Client, o: &v1alpha1.CodeRepoBinding{ObjectMeta: s.Meta("app")},
			patch: `{"spec":{"projects":["app","other"],"permissions":"readwrite"}}`, fields: [][]string{{"spec", "projects"}, {"spec", "permissions"}}},
		"a runtime": {c: sys.Client, o: s.runtimeObject(),
			patch: `{"spec":{"suspend":true,"account":"another","projectsRef":["app","other"]}}`, fields: [][]string{{"spec", "suspend"}, {"spec", "account"}, {"spec", "projectsRef"}}},
		"an AppProject": {c: alpha, o: s.appProject(),
			patch:  `{"spec":{"clusterResourceWhitelist":[{"group":"*","kind":"*"}],"sourceNamespaces":["*"],"namespaceResourceWhitelist":[{"group":"*","kind":"*"}]}}`,
			fields: [][]string{{"spec", "clusterResourceWhitelist"}, {"spec", "sourceNamespaces"}, {"spec", "namespaceResourceWhitelist"}}},
		"an Application": {c: alpha, o: s.application(),
			patch:  `{"spec":{"syncPolicy":{"syncOptions":["Replace=true"]},"source":{"helm":{"values":"x: y"}},"ignoreDifferences":[{"group":"apps","kind":"Deployment","jsonPointers":["/spec"]}]}}`,
			fields: [][]string{{"spec", "syncPolicy"}, {"spec", "source"}, {"spec", "ignoreDifferences"}}},
		"a repository Secret": {c: alpha, o: scenario.Object("v1", "Secret", devstack.ArgoCDNamespace, s.Name+"-repo-1"),
			patch: `{"stringData":{"insecure":"true","proxy":"http://evil.example"}}`, fields: [][]string{{"data"}}},
	} {
		gvk, err := apiutil.GVKForObject(test.o, foreign.Scheme())
		if err != nil {
			gvk = test.o.GetObjectKind().GroupVersionKind()
		}
		live := func() *unstructured.Unstructured {
			o := &unstructured.Unstructured{}
			o.SetGroupVersionKind(gvk)
			if err := test.c.Get(context.Background(), client.ObjectKeyFromObject(test.o), o); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return o
		}
		before, changed := live(), live()
		if err := test.c.Patch(t.Context(), changed, client.RawPatch("application/merge-patch+json", []byte(test.patch)), client.FieldOwner("kubectl-edit")); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if changed.GetResourceVersion() == before.GetResourceVersion() {
			t.Fatalf("%s: the patch changed nothing", name)
		}
		sys.Until(t, name+" as it was", func() error {
			now := live()
			for _, path := range test.fields {
				want, _, _ := unstructured.NestedFieldNoCopy(before.Object, path...)
				got, _, _ := unstructured.NestedFieldNoCopy(now.Object, path...)
				if diff := cmp.Diff(want, got); diff != "" {
					return fmt.Errorf("%v (-want +got):\n%s", path, diff)
				}
			}
			return nil
		})
	}
	sys.condition(t, s.runtimeObject(), "Ready", "True", "Ready")
}

// After a change, Ready waits until Argo CD has compared the new source.
func TestReadyIsAboutTheDeployedSource(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "903", "alpha")
	s.open(t)
	s.ready(t)
	s.push(t, map[string]string{runtimeFile: strings.Replace(s.runtime(), "path: deploy", "path: elsewhere", 1)})
	sys.Until(t, "the changed Application", func() error {
		app := s.application()
		if err := sys.Clusters["alpha"].Get(context.Background(), client.ObjectKeyFromObject(app), app); err != nil {
			return err
		}
		if path, _, _ := unstructured.NestedString(app.Object, "spec", "source", "path"); path != "elsewhere" {
			return fmt.Errorf("path %q", path)
		}
		return nil
	})
	sys.condition(t, s.runtimeObject(), "Ready", "False", v1alpha1.ReasonProgressing)
	s.ready(t)
}

// The project that a runtime names arrives last, and by kubectl: nothing else changes.
func TestProjectArrivesLast(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "904", "alpha")
	s.declare(t)
	files := s.files()
	delete(files, projectFile)
	files[bindingFile] = strings.Replace(s.binding("readonly"), "  projects:\n  - app\n", "", 1)
	s.push(t, files)
	sys.condition(t, s.runtimeObject(), "Ready", "False", v1alpha1.ReasonReferenceMissing)
	sys.condition(t, s.Object(), "Ready", "True", "Ready")
	sys.MustApply(t, strings.Replace(s.project(), "name: app\n", "name: app\n  namespace: "+s.Name+"\n", 1))
	sys.AwaitObjects(t, sys.Clusters["alpha"], s.application())
}

// Objects on a cluster that is lost for ever can be given up, step by step, and
// nothing waits for them any more.
func TestAbandonedCluster(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	const name = "abandoned"
	plane := sys.takeExclusive(t)
	sys.registerDeploymentWorker(t, name, plane)
	cluster := scenario.Cluster(name)
	sys.condition(t, cluster, "Ready", "True", "Ready")
	s := newProduct(sys, "905", name)
	s.open(t)
	if err := plane.Kill(); err != nil {
		t.Fatal(err)
	}
	sys.condition(t, cluster, "Connected", "False", "")
	r, p := s.runtimeObject(), s.Object()
	s.push(t, nil, runtimeFile)
	sys.Until(t, "the deletion", func() error {
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(r), r); err != nil || r.DeletionTimestamp.IsZero() {
			return fmt.Errorf("not deleted yet: %v", err)
		}
		return nil
	})
	annotation := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationAbandon, name))
	for _, o := range []client.Object{r, p} {
		if err := sys.Client.Patch(t.Context(), o, annotation); err != nil {
			t.Fatal(err)
		}
	}
	sys.AwaitGone(t, sys.Client, r)
	sys.Until(t, "the space is given up", func() error {
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(p), p); err != nil || len(p.Status.Spaces) > 0 {
			return fmt.Errorf("spaces %v: %v", p.Status.Spaces, err)
		}
		return sys.event(p, v1alpha1.ReasonAbandoned, name)
	})
	s.push(t, map[string]string{envFile: strings.Replace(s.env(), "cluster: "+name, "cluster: alpha", 1)})
	if err := sys.Client.Delete(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	sys.AwaitGone(t, sys.Client, cluster)

	// It comes back after all: the abandoned objects are still there, to be removed by hand.
	if err := plane.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := labelled(t, sys.Clusters[name], s.Name)
	if len(left) == 0 {
		t.Error("what was given up is gone")
	}
	s.cluster = "alpha"
}
