package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
)

func product(i int) string    { return fmt.Sprintf("product-%d", i) }
func repository(i int) string { return fmt.Sprintf("group-%d/default.project", i) }

// populate declares the products and waits until each has its Application.
func (b *bench) populate(ctx context.Context, products int) error {
	err := b.declare(ctx, 0, products, func(i int) map[string]string { return files(i, "first") })
	if err != nil {
		return err
	}
	return until(ctx, "an Application for each product", func() error {
		list := applications()
		if err := b.runtime.List(ctx, list, client.InNamespace(devstack.ArgoCDNamespace)); err != nil {
			return err
		}
		if len(list.Items) != products {
			return fmt.Errorf("%d of %d are there", len(list.Items), products)
		}
		return nil
	})
}

// declare pushes the files of the products between two numbers, the second one
// left out, and declares the products.
func (b *bench) declare(ctx context.Context, from, to int, files func(int) map[string]string) error {
	credentials := "apiVersion: v1\nkind: Secret\nmetadata: {name: git, namespace: nautes}\nstringData: {username: any, password: bench}\n"
	if err := devstack.Apply(ctx, b.stack.Tenant.Config(), []byte(credentials)); err != nil {
		return err
	}
	for i := from; i < to; i++ {
		found, err := b.stack.Git.AddRepository(ctx, repository(i))
		if err != nil {
			return err
		}
		b.stack.Git.Grant("bench", githost.Read, repository(i))
		if _, err := b.stack.Git.Push(ctx, repository(i), githost.Commit{Files: files(i)}); err != nil {
			return err
		}
		hook, err := b.hook(ctx, product(i))
		if err != nil {
			return err
		}
		if err := b.stack.Git.AddHook(repository(i), hook); err != nil {
			return err
		}
		if err := devstack.Apply(ctx, b.stack.Tenant.Config(), []byte(productManifest(i, found.URL))); err != nil {
			return err
		}
	}
	return nil
}

func applications() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("argoproj.io/v1alpha1")
	list.SetKind("ApplicationList")
	return list
}

// arrivals notes when a path is seen for the first time, by watches: one that
// polls would measure itself.
type arrivals struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

func newArrivals() *arrivals { return &arrivals{seen: map[string]time.Time{}} }

func (a *arrivals) note(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.seen[path]; !known {
		a.seen[path] = time.Now()
	}
}

func (a *arrivals) at(path string) (time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	when, ok := a.seen[path]
	return when, ok
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen)
}

// push changes one runtime after another, and measures from the moment that the
// push has ended to the arrival of the change.
func (b *bench) push(ctx context.Context, products, pushes int) (resource, application []time.Duration, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resources, apps := newArrivals(), newArrivals()
	if err := b.watch(ctx, b.tenant, &v1alpha1.DeploymentRuntimeList{}, func(o client.Object) {
		resources.note(o.(*v1alpha1.DeploymentRuntime).Spec.ManifestSource.Path)
	}); err != nil {
		return nil, nil, err
	}
	if err := b.watch(ctx, b.runtime, applications(), func(o client.Object) {
		path, _, _ := unstructured.NestedString(o.(*unstructured.Unstructured).Object, "spec", "source", "path")
		apps.note(path)
	}); err != nil {
		return nil, nil, err
	}
	for n := range pushes {
		i, path := n%products, fmt.Sprintf("deploy/%d", n)
		if _, err := b.stack.Git.Push(ctx, repository(i), githost.Commit{Files: map[string]string{runtimeFile: runtimeManifest(i, path)}}); err != nil {
			return nil, nil, err
		}
		pushed := time.Now()
		err := until(ctx, "the pushed change", func() error {
			if _, ok := apps.at(path); !ok {
				return errors.New("it has not arrived")
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		first, _ := resources.at(path)
		second, _ := apps.at(path)
		resource = append(resource, max(0, first.Sub(pushed)))
		application = append(application, max(0, second.Sub(pushed)))
	}
	return resource, application, nil
}

// watch calls see for each object that exists or changes, until the context ends.
// An API server ends the watch of a client that does not keep up; the next watch
// begins with the objects that exist by then.
func (b *bench) watch(ctx context.Context, c client.WithWatch, list client.ObjectList, see func(client.Object)) error {
	w, err := c.Watch(ctx, list)
	if err != nil {
		return fmt.Errorf("watch %T: %w", list, err)
	}
	go func() {
		for ctx.Err() == nil {
			for event := range w.ResultChan() {
				if o, ok := event.Object.(client.Object); ok {
					see(o)
				}
			}
			w.Stop()
			next, err := c.Watch(ctx, list)
			if err != nil {
				_ = pause(ctx, 100*time.Millisecond)
				continue
			}
			w = next
		}
		w.Stop()
	}()
	return nil
}

const runtimeFile = "runtimes/dr.yaml"

func runtimeManifest(i int, path string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: DeploymentRuntime\nmetadata: {name: dr}\nspec:\n  manifestSource: {codeRepo: repo-1, path: %s}\n  destination: {environment: dev, namespaces: [ns-%d]}\n",
		v1alpha1.GroupVersion, path, i)
}

func files(i int, path string) map[string]string {
	header := "apiVersion: " + v1alpha1.GroupVersion.String() + "\n"
	return map[string]string{
		"envs/dev.yaml": header + "kind: Environment\nmetadata: {name: dev}\nspec: {cluster: " + cluster + ", envType: dev}\n",
		"code-repos/repo-1/repo-1.yaml": header + "kind: CodeRepo\nmetadata: {name: repo-1}\nspec: {url: \"https://git.example/group-" +
			fmt.Sprint(i) + "/app.git\"}\n",
		runtimeFile: runtimeManifest(i, path),
	}
}

func productManifest(i int, url string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: Product\nmetadata: {name: %s, namespace: nautes}\nspec: {name: group-%d, metaDataPath: %q, secretRef: {name: git}}\n",
		v1alpha1.GroupVersion, product(i), i, url)
}

func clusterManifest(host, workerType string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: Cluster\nmetadata: {name: %s, namespace: nautes}\nspec: {apiServer: %q, clusterType: physical, usage: worker, workerType: %s, primaryDomain: bench.example}\n",
		v1alpha1.GroupVersion, cluster, host, workerType)
}
