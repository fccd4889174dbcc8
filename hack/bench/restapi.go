package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
	"nautes.io/nautes/test/scenario"
)

const (
	// fewProducts are there for the API when nothing is said.
	fewProducts = 1000
	// writtenProducts are written to at once, at most.
	writtenProducts = 16
	// mostClients send requests at once, each with a token of its own.
	mostClients = 64
	// readers send requests at once, to read.
	readers = 16
	// writes are measured with each number of clients, and at least two for each.
	writes = 128
	// quickReads and slowReads are measured of one object, and of a list.
	quickReads, slowReads = 2000, 200
	// listed is the number of environments in a list.
	listed = 100
)

// restBench is the program nautes-apiserver on a real control plane, beside an emulated
// GitLab. There is no operator: products and providers are applied.
type restBench struct {
	*bench
	forge  *gitlab.Server
	api    *devstack.RESTServer
	client *http.Client
	// tokens of the clients, each of a user of its own.
	tokens []string
}

// runREST prints the figures of the API with so many products.
func runREST(ctx context.Context, products int) (err error) {
	dir, err := os.MkdirTemp("", "nautes-bench-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b, err := newRESTBench(ctx, dir, max(products, writtenProducts))
	defer func() { err = errors.Join(err, b.close()) }()
	if err != nil {
		return err
	}
	fmt.Printf("\nThe REST API as a process of its own, an emulated GitLab with %d products, each client with a token of its own:\n", products)
	if err := b.measureWrites(ctx); err != nil {
		return err
	}
	if err := b.measureReads(ctx); err != nil {
		return err
	}
	return b.measureWatchers(ctx)
}

func newRESTBench(ctx context.Context, dir string, products int) (*restBench, error) {
	b := &restBench{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: mostClients}}}
	var err error
	if b.bench, err = newBench(ctx, devstack.Options{Dir: filepath.Join(dir, "stack")}); err != nil {
		return b, err
	}
	if b.forge, err = gitlab.NewServer(gitlab.Options{Dir: filepath.Join(dir, "gitlab")}); err != nil {
		return b, err
	}
	if err := b.declareTenant(ctx); err != nil {
		return b, err
	}
	for i := range mostClients {
		user := fmt.Sprintf("client-%d", i)
		b.forge.AddUser(gitlab.User{Username: user})
		b.tokens = append(b.tokens, b.forge.Token(user))
	}
	for i := range products {
		if err := b.addProduct(ctx, i); err != nil {
			return b, err
		}
	}
	root, err := devstack.ModuleRoot()
	if err != nil {
		return b, err
	}
	settings := devstack.OperatorConfig{Tenant: "bench", Dir: filepath.Join(dir, "rest"), Receiver: "127.0.0.1:0", Metrics: "0", Probes: "0"}
	// The limit of requests is not measured here.
	b.api, err = b.StartRESTServer(ctx, filepath.Join(root, "bin", "nautes-apiserver"), settings, "--rate", "100000", "--burst", "100000")
	return b, err
}

// declareTenant applies the objects of the tenant.
func (b *restBench) declareTenant(ctx context.Context) error {
	if _, err := b.InstallOperator(ctx); err != nil {
		return err
	}
	b.forge.AddGroup("platform", gitlab.Private, "")
	b.forge.AddProject("platform/management", gitlab.ProjectSettings{Readme: true})
	token := b.forge.Token("root")
	if err := b.Secrets(ctx, secrets.ProviderToken("gitlab"), map[string]string{"access_token": token}); err != nil {
		return err
	}
	products := scenario.Declaration("ProductProvider", "products", "type: coderepo", "name: gitlab")
	return b.Apply(ctx, scenario.GitSecret("management", token), scenario.Provider("gitlab", b.forge.URL),
		scenario.InNamespace(devstack.OperatorNamespace, products), scenario.TenantRepository("bench", b.forge.URL+"/platform/management.git", "management"))
}

// address returns the Git host of manifests, of which they need the URL.
func (b *restBench) address() *githost.Host { return &githost.Host{URL: b.forge.URL} }

func group(i int) string { return fmt.Sprintf("labs-%d", i) }

func products() string { return "/api/v1/products" }

func environments(i int) string { return products() + "/" + group(i) + "/environments" }

// addProduct adds the group of a product with its repository, and the Product. All clients
// write to the first products, and read the others.
func (b *restBench) addProduct(ctx context.Context, i int) error {
	made := b.forge.AddGroup(group(i), gitlab.Private, "")
	project := b.forge.AddProject(group(i)+"/default.project", gitlab.ProjectSettings{})
	clients := readers
	if i < writtenProducts {
		clients = mostClients
		files := map[string]string{}
		for n := range listed {
			files[fmt.Sprintf("envs/env-%d.yaml", n)] = scenario.Declaration("Environment", fmt.Sprintf("env-%d", n), "cluster: worker", "envType: dev")
		}
		if _, err := b.forge.Push(ctx, project.Path, githost.Commit{Branch: "main", Message: "Declare environments", Files: files}); err != nil {
			return err
		}
	}
	for n := range clients {
		b.forge.SetMember(group(i), fmt.Sprintf("client-%d", n), gitlab.Maintainer)
	}
	p := scenario.Product{Name: fmt.Sprintf("product-%d", made.ID), Group: group(i)}
	return b.Apply(ctx, p.Manifest(b.address()))
}

func (b *restBench) close() error {
	if b.api != nil {
		_ = b.api.Stop()
	}
	var err error
	if b.forge != nil {
		err = b.forge.Close()
		for _, failure := range b.forge.Failures() {
			err = errors.Join(err, errors.New("GitLab: "+failure))
		}
	}
	return errors.Join(err, b.bench.close())
}

// ask sends a request, whose reply must be a success.
func (b *restBench) ask(ctx context.Context, client int, method, path, body string) error {
	q, err := http.NewRequestWithContext(ctx, method, b.api.URL+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	q.Header.Set("Authorization", "Bearer "+b.tokens[client])
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	reply, err := b.client.Do(q)
	if err != nil {
		return err
	}
	defer func() { _ = reply.Body.Close() }()
	said, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %d %.500s", method, path, reply.StatusCode, said)
	}
	return err
}

// asked are the figures of some requests.
type asked struct {
	took       []time.Duration
	all        time.Duration
	forge, git float64
}

func (a asked) rate() float64 { return float64(len(a.took)) / a.all.Seconds() }

// round sends n requests by so many clients at once.
func (b *restBench) round(clients, n int, send func(client, i int) error) (asked, error) {
	a := asked{took: make([]time.Duration, n)}
	failures := make([]error, clients)
	b.forge.ForgetRequests()
	git := b.forge.GitRequests()
	var next atomic.Int64
	var wait sync.WaitGroup
	began := time.Now()
	for c := range clients {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failures[c] == nil; i = int(next.Add(1)) - 1 {
				started := time.Now()
				failures[c] = send(c, i)
				a.took[i] = time.Since(started)
			}
		})
	}
	wait.Wait()
	a.all = time.Since(began)
	a.forge, a.git = float64(len(b.forge.Requests()))/float64(n), float64(b.forge.GitRequests()-git)/float64(n)
	for _, err := range failures {
		if err != nil {
			return a, err
		}
	}
	return a, nil
}

// measureWrites has clients save one object after another.
func (b *restBench) measureWrites(ctx context.Context) error {
	fmt.Printf("%-10s %-8s %-8s %-10s %-22s %-14s %s\n", "products", "clients", "writes", "writes/s", "p50/p99", "forge calls", "Git requests per write")
	for _, products := range []int{1, writtenProducts} {
		for _, clients := range []int{1, 16, mostClients} {
			n := max(writes, 2*clients)
			saved, err := b.round(clients, n, func(client, i int) error {
				path := fmt.Sprintf("%s/projects/p-%d-%d-%d", strings.TrimSuffix(environments(i%products), "/environments"), products, clients, i)
				return b.ask(ctx, client, http.MethodPost, path, `{"language": "go"}`)
			})
			if err != nil {
				return err
			}
			fmt.Printf("%-10d %-8d %-8d %-10.1f %-22s %-14.1f %.1f\n", products, clients, n, saved.rate(), spread(saved.took), saved.forge, saved.git)
		}
	}
	return nil
}

// measureReads has clients read an object and lists. The first request is measured alone.
func (b *restBench) measureReads(ctx context.Context) error {
	fmt.Printf("%-24s %-8s %-10s %-12s %-26s %s\n", "read", "clients", "first", "requests/s", "p50/p99", "forge calls, Git requests per read")
	for _, one := range []struct {
		name, path string
		n          int
	}{
		{"an environment", environments(0) + "/env-7", quickReads},
		{fmt.Sprintf("%d environments", listed), environments(0), slowReads},
		{"a product", products() + "/" + group(7), quickReads},
		{"all products", products(), slowReads},
	} {
		first, err := b.round(1, 1, func(int, int) error { return b.ask(ctx, readers-1, http.MethodGet, one.path, "") })
		if err != nil {
			return err
		}
		read, err := b.round(readers, one.n, func(client, _ int) error { return b.ask(ctx, client, http.MethodGet, one.path, "") })
		if err != nil {
			return err
		}
		fmt.Printf("%-24s %-8d %-10s %-12.0f %-26s %.2f, %.2f\n", one.name, readers, first.all.Round(time.Millisecond), read.rate(),
			fmt.Sprintf("%.1f ms / %.1f ms", milliseconds(percentile(read.took, 50)), milliseconds(percentile(read.took, 99))), read.forge, read.git)
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
