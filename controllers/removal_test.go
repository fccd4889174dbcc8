package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

const confirmation = "Remove it\n\n" + v1alpha1.TrailerConfirmPrune + ": " + v1alpha1.TrailerConfirmed

// removeEach removes one file per push, in an order.
func (p *product) removeEach(t *testing.T, order ...string) {
	t.Helper()
	for n, file := range order {
		p.mirrored(t, p.push(t, map[string]string{"README.md": fmt.Sprint(n)}, file))
		if file == envFile && n == 0 {
			message := p.sys.condition(t, &v1alpha1.Environment{ObjectMeta: p.Meta("dev")}, "Ready", "False", v1alpha1.ReasonInUse)
			if !strings.Contains(message, "dr") {
				t.Errorf("the message does not say who uses it: %s", message)
			}
		}
	}
}

// removeInOnePush removes one file per commit, in an order, and pushes all commits at once.
func (p *product) removeInOnePush(t *testing.T, order ...string) {
	t.Helper()
	head := ""
	for _, file := range order {
		head = p.sys.Push(t, p.Repository(), githost.Commit{Branch: "removal", Delete: []string{file}})
	}
	p.mirrored(t, p.sys.Push(t, p.Repository(), githost.Commit{Onto: head, Files: map[string]string{"README.md": "the end"}}))
}

// removeConfirmed removes the files by one commit, which confirms it.
func (p *product) removeConfirmed(t *testing.T, order ...string) {
	t.Helper()
	p.mirrored(t, p.sys.Push(t, p.Repository(), githost.Commit{Delete: order, Files: map[string]string{"README.md": "the end"}, Message: confirmation}))
}

// addEach pushes one file at a time, in an order, until the runtime is ready.
func (p *product) addEach(t *testing.T, order ...string) {
	t.Helper()
	p.declare(t)
	for n, file := range order {
		p.push(t, map[string]string{file: p.files()[file]})
		if n == 0 && file == runtimeFile {
			message := p.sys.condition(t, p.runtimeObject(), "Ready", "False", v1alpha1.ReasonReferenceMissing)
			if !strings.Contains(message, "dev") {
				t.Errorf("the message does not name the missing environment: %s", message)
			}
		}
	}
	p.ready(t)
}

// Files may come in any order: everything converges when the last is there. Every order of
// removing them ends clean, in each way to push it, with one to three namespaces and
// nothing to confirm on the cluster.
func TestFilesInAnyOrder(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	arrivals := [][]string{
		{envFile, projectFile, repoFile, bindingFile, runtimeFile},
		{runtimeFile, bindingFile, repoFile, projectFile, envFile},
		{runtimeFile, bindingFile, repoFile, envFile, projectFile},
		{bindingFile, runtimeFile, projectFile, envFile, repoFile},
	}
	removals := [][]string{
		{runtimeFile, bindingFile, repoFile, projectFile, envFile},
		{envFile, repoFile, projectFile, bindingFile, runtimeFile},
		{bindingFile, projectFile, envFile, runtimeFile, repoFile},
		{projectFile, runtimeFile, envFile, repoFile, bindingFile},
	}
	for i, test := range []struct {
		// arrival is the order of the pushes; without one, all files come in one push.
		arrival []string
		way     string
		remove  func(*product, *testing.T, ...string)
		removal []string
	}{
		{arrivals[0], "one file per push", (*product).removeEach, removals[0]},
		{arrivals[1], "one file per push", (*product).removeEach, removals[1]},
		{arrivals[2], "one file per push", (*product).removeEach, removals[2]},
		{arrivals[3], "one file per push", (*product).removeEach, removals[3]},
		{nil, "all commits in one push", (*product).removeInOnePush, removals[1]},
		{nil, "all commits in one push", (*product).removeInOnePush, removals[3]},
		{nil, "one confirmed commit", (*product).removeConfirmed, removals[0]},
	} {
		t.Run(test.way+" "+strings.Join(test.removal, " "), func(t *testing.T) {
			t.Parallel()
			s := newProduct(sys, fmt.Sprintf("50%d", i), "alpha")
			for n := range i % 3 {
				s.more = append(s.more, fmt.Sprintf("%s-%d", s.namespace, n))
			}
			if test.arrival == nil {
				s.open(t)
			} else {
				s.addEach(t, test.arrival...)
			}
			sys.condition(t, s.Object(), "Ready", "True", "Ready")
			test.remove(s, t, test.removal...)
			s.ends(t, "alpha")
		})
	}
}

// ends waits until nothing is left of the files of a product, on any cluster.
func (p *product) ends(t *testing.T, clusters ...string) {
	t.Helper()
	p.sys.Until(t, "everything is gone", func() error {
		for _, cluster := range clusters {
			p.release(t, cluster)
		}
		for _, list := range []client.ObjectList{
			&v1alpha1.DeploymentRuntimeList{}, &v1alpha1.ProjectPipelineRuntimeList{}, &v1alpha1.EnvironmentList{}, &v1alpha1.ProjectList{},
			&v1alpha1.CodeRepoList{}, &v1alpha1.CodeRepoBindingList{}, &v1alpha1.SpaceList{},
		} {
			if err := p.sys.Client.List(context.Background(), list, client.InNamespace(p.Name)); err != nil {
				return err
			}
			if n := meta.LenList(list); n > 0 {
				return fmt.Errorf("%T has %d items", list, n)
			}
		}
		return nil
	})
	for _, cluster := range clusters {
		p.sys.awaitEmpty(t, cluster, p.Name)
	}
	p.sys.condition(t, p.Object(), "Ready", "True", "Ready")
}

// runtimeNamed returns the file of another runtime with namespaces of its own.
func (p *product) runtimeNamed(name string, namespaces ...string) string {
	other := *p
	other.namespace, other.more = namespaces[0], namespaces[1:]
	return strings.NewReplacer("name: dr\n", "name: "+name+"\n", "path: deploy", "path: deploy/"+name).Replace(other.runtime())
}

// Of several runtimes on a cluster, all but one go at once, with their namespaces and
// nothing to confirm.
func TestMostRuntimesGo(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "531", "alpha")
	files := s.files()
	var paths []string
	var gone []*unstructured.Unstructured
	for i := range 5 {
		name := fmt.Sprintf("dr-%d", i)
		path := scenario.RuntimePath(name)
		files[path] = s.runtimeNamed(name, fmt.Sprintf("ns-531-%d", i), fmt.Sprintf("ns-531-%d-more", i))
		paths = append(paths, path)
		gone = append(gone, scenario.Object("v1", "Namespace", "", fmt.Sprintf("ns-531-%d-more", i)))
	}
	s.declare(t)
	s.push(t, files)
	c := sys.Clusters["alpha"]
	sys.AwaitObjects(t, c, gone...)
	sys.condition(t, s.Object(), "Ready", "True", "Ready")
	s.push(t, nil, paths...)
	for _, o := range gone {
		sys.Until(t, o.GetName()+" is gone", func() error {
			s.release(t, "alpha")
			if err := c.Get(context.Background(), client.ObjectKeyFromObject(o), o); err != nil {
				return client.IgnoreNotFound(err)
			}
			return fmt.Errorf("it is still there")
		})
	}
	sys.AwaitObjects(t, c, s.application(), scenario.Object("v1", "Namespace", "", s.namespace))
	sys.condition(t, s.Object(), "Ready", "True", "Ready")
}

// A runtime that is removed and added again while its Application hangs in deletion is
// deployed again by itself when the Application is gone.
func TestAddedAgainWhileItHangs(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "541", "alpha")
	s.open(t)
	before, app := s.ready(t), s.application()
	sys.AwaitObjects(t, sys.Clusters["alpha"], app)

	// Argo CD does not take its finalizer off.
	s.push(t, nil, runtimeFile)
	removing := s.runtimeObject()
	if message := sys.condition(t, removing, "Ready", "False", v1alpha1.ReasonDeleting); !strings.Contains(message, app.GetName()) {
		t.Errorf("the message does not name the Application: %s", message)
	}
	s.push(t, map[string]string{runtimeFile: s.runtime()})
	message := sys.condition(t, s.Object(), "Ready", "False", v1alpha1.ReasonDeleting)
	if !strings.Contains(message, runtimeFile) || !strings.Contains(message, "is being deleted") {
		t.Errorf("the product does not name the thing that it waits for: %s", message)
	}
	again := s.application()
	sys.Until(t, "another Application", func() error {
		s.release(t, "alpha")
		if err := sys.Clusters["alpha"].Get(context.Background(), client.ObjectKeyFromObject(again), again); err != nil {
			return err
		}
		if again.GetUID() == app.GetUID() || again.GetDeletionTimestamp() != nil {
			return fmt.Errorf("it is the one before")
		}
		return nil
	})
	if after := s.ready(t); after.GetUID() == before.GetUID() {
		t.Error("the runtime is the one before")
	}
	sys.condition(t, s.Object(), "Ready", "True", "Ready")
}

// A namespace that is deleted by hand and hangs is created again when it is gone. Until
// then the runtime says what holds it.
func TestNamespaceThatHangs(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "542", "alpha")
	s.open(t)
	s.ready(t)
	c, namespace := sys.Clusters["alpha"], scenario.Object("v1", "Namespace", "", s.namespace)
	held := scenario.Object("v1", "ConfigMap", s.namespace, "held")
	held.SetFinalizers([]string{"example.com/hold"})
	if err := c.Create(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	sys.AwaitObjects(t, c, namespace)
	if err := c.Delete(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	sys.Until(t, "what holds the namespace", func() error {
		message := sys.condition(t, s.runtimeObject(), "Ready", "False", "")
		if !strings.Contains(message, "example.com/hold") {
			return fmt.Errorf("the runtime says %q", message)
		}
		return nil
	})
	if err := c.Patch(t.Context(), held, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
		t.Fatal(err)
	}
	again := scenario.Object("v1", "Namespace", "", s.namespace)
	sys.Until(t, "another namespace", func() error {
		if err := c.Get(context.Background(), client.ObjectKeyFromObject(again), again); err != nil {
			return err
		}
		if again.GetUID() == namespace.GetUID() {
			return fmt.Errorf("it is the one before")
		}
		return nil
	})
	sys.condition(t, s.runtimeObject(), "Ready", "True", "Ready")
}
