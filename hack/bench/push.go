package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

func product(i int) scenario.Product {
	p := scenario.NewProduct(strconv.Itoa(i))
	p.Token, p.Secret = "bench", "git"
	return p
}

// populate declares the products and waits until each has its Application.
func (b *bench) populate(ctx context.Context, products int) error {
	err := b.declare(ctx, 0, products, func(i int) map[string]string { return files(i, "first") })
	if err != nil {
		return err
	}
	return scenario.Until(ctx, patience, "an Application for each product", func(context.Context) error {
		list := scenario.Applications()
		if err := b.Clusters[cluster].List(ctx, list, client.InNamespace(devstack.ArgoCDNamespace)); err != nil {
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
	for i := from; i < to; i++ {
		if err := b.DeclareProduct(ctx, product(i), files(i)); err != nil {
			return err
		}
	}
	return nil
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
	if err := scenario.Watch(ctx, b.Client, &v1alpha1.DeploymentRuntimeList{}, func(o client.Object) {
		resources.note(o.(*v1alpha1.DeploymentRuntime).Spec.ManifestSource.Path)
	}); err != nil {
		return nil, nil, err
	}
	if err := scenario.Watch(ctx, b.Clusters[cluster], scenario.Applications(), func(o client.Object) {
		path, _, _ := unstructured.NestedString(o.(*unstructured.Unstructured).Object, "spec", "source", "path")
		apps.note(path)
	}); err != nil {
		return nil, nil, err
	}
	for n := range pushes {
		i, path := n%products, fmt.Sprintf("deploy/%d", n)
		if _, err := b.Git.Push(ctx, product(i).Repository(), githost.Commit{Files: map[string]string{scenario.RuntimePath("dr"): runtimeManifest(i, path)}}); err != nil {
			return nil, nil, err
		}
		pushed := time.Now()
		err := scenario.Until(ctx, patience, "the pushed change", func(context.Context) error {
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

func runtimeManifest(i int, path string) string {
	return product(i).DeploymentRuntime(scenario.Deployment{
		Name: "dr", Environment: "dev", Namespace: fmt.Sprintf("ns-%d", i), Repo: "repo-1", Path: path,
	})
}

func files(i int, path string) map[string]string {
	p := product(i)
	return map[string]string{
		scenario.EnvironmentPath("dev"): p.Environment("dev", cluster),
		scenario.CodeRepoPath("repo-1"): p.CodeRepo("repo-1", "app", "url: https://git.example/"+p.Group+"/app.git"),
		scenario.RuntimePath("dr"):      runtimeManifest(i, path),
	}
}
