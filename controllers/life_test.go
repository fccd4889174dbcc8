package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/scenario"
)

// Two products with equal names of everything live on one cluster; only a
// namespace of the same name is refused, with the name of who has it.
func TestTwoProductsWithEqualNames(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	first, second := newProduct(sys, "401", "alpha"), newProduct(sys, "402", "alpha")
	first.open(t)
	second.open(t)
	sys.AwaitObjects(t, sys.Clusters["alpha"], first.application(), second.application(), first.appProject(), second.appProject())

	third := newProduct(sys, "403", "alpha")
	third.namespace = first.namespace
	third.declare(t)
	third.push(t, third.files())
	message := sys.condition(t, third.runtimeObject(), "Ready", "False", v1alpha1.ReasonNamespaceClaimed)
	if !strings.Contains(message, first.Name) {
		t.Errorf("the message does not name %s: %s", first.Name, message)
	}
	if left := labelled(t, sys.Clusters["alpha"], third.Name); len(left) > 0 {
		t.Errorf("a refused runtime wrote %v", left)
	}
	// It heals when the namespace is free.
	first.push(t, nil, runtimeFile)
	sys.Until(t, "the first runtime gone", func() error {
		first.release(t, "alpha")
		r := first.runtimeObject()
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(r), r); err != nil {
			return client.IgnoreNotFound(err)
		}
		return errors.New("it is still there")
	})
	sys.AwaitObjects(t, sys.Clusters["alpha"], third.application())
}

func TestNobodyReachesAnotherProduct(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	victim, thief := newProduct(sys, "404", "alpha"), newProduct(sys, "405", "alpha")
	victim.open(t)
	thief.declare(t)
	files := thief.files()
	files[repoFile] = strings.ReplaceAll(victim.codeRepo(), "repo-1", "repo-9")
	files["code-repos/repo-1/steal.yaml"] = strings.Replace(thief.binding("readwrite"), "product: "+thief.Name, "product: "+victim.Name, 1)
	delete(files, bindingFile)
	thief.push(t, files)
	p := thief.Object()
	sys.condition(t, p, "Ready", "False", v1alpha1.ReasonFilesRefused)
	sys.condition(t, thief.runtimeObject(), "Ready", "False", "")
	if left := labelled(t, sys.Clusters["alpha"], thief.Name); len(left) > 0 {
		t.Errorf("the thief has %v on the cluster", left)
	}
	project := victim.appProject()
	sys.AwaitObjects(t, sys.Clusters["alpha"], project)
	repos, _, _ := unstructured.NestedStringSlice(project.Object, "spec", "sourceRepos")
	if len(repos) != 1 || repos[0] != "https://git.example/"+victim.Group+"/app.git" {
		t.Errorf("the victim's project reads %v", repos)
	}
}

// A revoked binding takes its effect on a running runtime at once: Argo CD may
// read the repository no longer. The running workload goes on. A new binding heals it.
func TestRevokedBinding(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "406", "alpha")
	s.open(t)
	r := s.ready(t)

	s.push(t, nil, bindingFile)
	message := sys.condition(t, r, "Ready", "False", v1alpha1.ReasonPermissionDenied)
	if !strings.Contains(message, "repo-1") {
		t.Errorf("the message does not name the repository: %s", message)
	}
	if len(r.Status.IllegalProjectRefs) != 1 || r.Status.IllegalProjectRefs[0].ProjectName != "app" {
		t.Errorf("illegal projects: %v, want app", r.Status.IllegalProjectRefs)
	}
	sources := func() []string {
		project := s.appProject()
		if err := sys.Clusters["alpha"].Get(context.Background(), client.ObjectKeyFromObject(project), project); err != nil {
			t.Fatal(err)
		}
		repos, _, _ := unstructured.NestedStringSlice(project.Object, "spec", "sourceRepos")
		return repos
	}
	sys.Until(t, "a project that reads nothing", func() error {
		if repos := sources(); len(repos) > 0 {
			return fmt.Errorf("it reads %v", repos)
		}
		return nil
	})
	sys.AwaitObjects(t, sys.Clusters["alpha"], s.application(), scenario.Object("v1", "Namespace", "", s.namespace))

	s.push(t, map[string]string{bindingFile: s.binding("readwrite")})
	sys.condition(t, r, "Ready", "True", "Ready")
	if r.Status.Source.Permission != v1alpha1.PermissionReadWrite {
		t.Errorf("the permission is %s, want readwrite", r.Status.Source.Permission)
	}
	if len(sources()) != 1 {
		t.Errorf("the project reads %v", sources())
	}
}

func TestDestinationIsImmutableOnceDeployed(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "407", "alpha")
	s.open(t)
	s.ready(t)
	moved := *s
	moved.namespace = "ns-elsewhere"
	s.push(t, map[string]string{runtimeFile: moved.runtime()})
	sys.condition(t, s.runtimeObject(), "Ready", "False", v1alpha1.ReasonDestinationImmutable)
	sys.AwaitObjects(t, sys.Clusters["alpha"], s.application(), scenario.Object("v1", "Namespace", "", s.namespace))
	sys.AwaitGone(t, sys.Clusters["alpha"], scenario.Object("v1", "Namespace", "", "ns-elsewhere"))

	s.push(t, map[string]string{runtimeFile: s.runtime(), envFile: strings.Replace(s.env(), "cluster: alpha", "cluster: beta", 1)})
	sys.condition(t, s.runtimeObject(), "Ready", "False", v1alpha1.ReasonDestinationImmutable)
	sys.condition(t, &v1alpha1.Environment{ObjectMeta: s.Meta("dev")}, "Ready", "False", v1alpha1.ReasonDestinationImmutable)
	if found := labelled(t, sys.Clusters["beta"], s.Name); len(found) > 0 {
		t.Errorf("the runtime moved to beta: %v", found)
	}
	s.push(t, map[string]string{envFile: s.env()})
	sys.condition(t, s.runtimeObject(), "Ready", "True", "Ready")
}

// A foreign object on the cluster is neither adopted nor removed.
func TestForeignNamespaceIsLeftAlone(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "408", "alpha")
	foreign := scenario.Object("v1", "Namespace", "", s.namespace)
	foreign.SetLabels(map[string]string{"owner": "somebody"})
	if err := sys.Clusters["alpha"].Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	s.declare(t)
	s.push(t, s.files())
	message := sys.condition(t, s.runtimeObject(), "Ready", "False", v1alpha1.ReasonNotOurs)
	if !strings.Contains(message, s.namespace) {
		t.Errorf("the message does not name the namespace: %s", message)
	}
	s.remove(t)
	sys.AwaitObjects(t, sys.Clusters["alpha"], foreign)
	if labels := foreign.GetLabels(); labels[v1alpha1.LabelManagedBy] != "" || labels["owner"] != "somebody" {
		t.Errorf("its labels are %v", labels)
	}
}

// Changes of others to our objects are reverted, and removed objects come back.
func TestDriftIsRepaired(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "409", "alpha")
	s.open(t)
	c := sys.Clusters["alpha"]
	app := s.application()
	sys.AwaitObjects(t, c, app)
	before := app.DeepCopy()
	if err := unstructured.SetNestedField(app.Object, "somewhere/else", "spec", "source", "path"); err != nil {
		t.Fatal(err)
	}
	if err := c.Patch(t.Context(), app, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	sys.Until(t, "the repaired path", func() error {
		if err := c.Get(context.Background(), client.ObjectKeyFromObject(app), app); err != nil {
			return err
		}
		if path, _, _ := unstructured.NestedString(app.Object, "spec", "source", "path"); path != "deploy" {
			return fmt.Errorf("path %q", path)
		}
		return nil
	})
	if err := c.Delete(t.Context(), s.appProject()); err != nil {
		t.Fatal(err)
	}
	sys.AwaitObjects(t, c, s.appProject())
	env := &v1alpha1.Environment{ObjectMeta: s.Meta("dev")}
	if err := sys.Client.Get(t.Context(), client.ObjectKeyFromObject(env), env); err != nil {
		t.Fatal(err)
	}
	patched := env.DeepCopy()
	patched.Spec.EnvType = "tampered"
	if err := sys.Client.Patch(t.Context(), patched, client.MergeFrom(env)); err != nil {
		t.Fatal(err)
	}
	sys.Until(t, "the repaired environment", func() error {
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(env), env); err != nil || env.Spec.EnvType != "dev" {
			return fmt.Errorf("envType %q, %v", env.Spec.EnvType, err)
		}
		return nil
	})
}

// mirrored waits until a revision is mirrored and nothing of it is held back.
func (p *product) mirrored(t *testing.T, revision string) {
	t.Helper()
	object := p.Object()
	p.sys.Until(t, "revision "+revision, func() error {
		if err := p.sys.Client.Get(context.Background(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		if object.Status.Sync == nil || object.Status.Sync.Revision != revision || object.Status.Sync.HeldBack > 0 {
			return fmt.Errorf("at %+v", object.Status.Sync)
		}
		return nil
	})
}

// A namespace that is deleted as a whole, and a cluster that is asked to go
// while it is in use, wait for their users and end clean.
func TestClusterInUseStays(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	plane := sys.takeExclusive(t)
	kubeconfig, err := plane.RegisterUser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The kubeconfig of this one is in a Secret that the Cluster names.
	spec := append(scenario.WorkerSpec("deployment"), "kubeconfigSecretRef: {name: gamma-kubeconfig}")
	sys.MustApply(t, scenario.InNamespace("nautes", scenario.ClusterFile("gamma", plane.URL, spec...)))
	cluster := scenario.Cluster("gamma")
	message := sys.condition(t, cluster, "Ready", "False", v1alpha1.ReasonSecretMissing)
	if !strings.Contains(message, "gamma-kubeconfig") {
		t.Errorf("the message does not name the Secret: %s", message)
	}
	secret := scenario.Object("v1", "Secret", "nautes", "gamma-kubeconfig")
	secret.Object["stringData"] = map[string]any{"kubeconfig": string(kubeconfig)}
	if err := sys.Client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	sys.condition(t, cluster, "Ready", "True", "Ready")
	if cluster.Status.Connection.Version == "" || cluster.Status.Connection.UID == "" {
		t.Errorf("the connection is reported as %+v", cluster.Status.Connection)
	}

	s := newProduct(sys, "601", "gamma")
	s.open(t)
	if err := sys.Client.Delete(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	sys.condition(t, cluster, "Ready", "False", v1alpha1.ReasonInUse)
	sys.AwaitObjects(t, sys.Clusters["gamma"], s.application())
	s.remove(t)
	sys.AwaitGone(t, sys.Client, cluster)
}

func TestLostClusterHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	const name = "lost"
	plane := sys.takeExclusive(t)
	sys.registerDeploymentWorker(t, name, plane)
	cluster := scenario.Cluster(name)
	t.Cleanup(func() {
		_ = sys.Client.Delete(context.Background(), cluster)
		sys.AwaitGone(t, sys.Client, cluster)
	})
	sys.condition(t, cluster, "Ready", "True", "Ready")
	s, other := newProduct(sys, "701", name), newProduct(sys, "702", "alpha")
	s.open(t)
	if err := plane.Kill(); err != nil {
		t.Fatal(err)
	}
	sys.condition(t, cluster, "Connected", "False", "")
	other.open(t)
	sys.condition(t, s.runtimeObject(), "Ready", "False", v1alpha1.ReasonNotConnected)

	// Deleted while its cluster is away, the runtime says which one it waits for.
	s.push(t, nil, runtimeFile)
	r := s.runtimeObject()
	sys.Until(t, "the deletion", func() error {
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(r), r); err != nil || r.DeletionTimestamp.IsZero() {
			return fmt.Errorf("not deleted yet: %v", err)
		}
		return nil
	})
	if message := sys.condition(t, r, "Ready", "False", v1alpha1.ReasonNotConnected); !strings.Contains(message, name) || !strings.Contains(message, v1alpha1.AnnotationAbandon) {
		t.Errorf("the message names not the cluster and the way out: %s", message)
	}
	// It comes back, and the deletion ends by itself.
	if err := plane.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	sys.Until(t, "the runtime gone", func() error {
		s.release(t, name)
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(r), r); err != nil {
			return client.IgnoreNotFound(err)
		}
		return errors.New("it is still there")
	})
	sys.awaitEmpty(t, name, s.Name)
}

// A rotated kubeconfig is used, a broken one is explained.
func TestKubeconfigIsWatched(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	plane := sys.takeExclusive(t)
	sys.MustApply(t, scenario.InNamespace("nautes", scenario.ClusterFile("delta", plane.URL, scenario.WorkerSpec("deployment")...)))
	cluster := scenario.Cluster("delta")
	t.Cleanup(func() {
		_ = sys.Client.Delete(context.Background(), cluster)
		sys.AwaitGone(t, sys.Client, cluster)
	})
	sys.condition(t, cluster, "Ready", "False", v1alpha1.ReasonSecretMissing)
	put := func(content string) {
		t.Helper()
		sys.putText(t, secrets.ClusterKubeconfig("delta"), "kubeconfig", content)
	}
	put("apiVersion: v1\nkind: Config\nusers: [{name: u, user: {exec: {command: /bin/evil}}}]\n")
	sys.condition(t, cluster, "Ready", "False", v1alpha1.ReasonCredentialsInvalid)
	kubeconfig, err := plane.RegisterUser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	put(string(kubeconfig))
	sys.condition(t, cluster, "Ready", "True", "Ready")
}
