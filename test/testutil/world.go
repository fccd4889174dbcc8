package testutil

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
)

// World is a random tenant. Its products use the same names for everything,
// names that collide when they are joined, and now and then the names of others.
type World struct {
	Objects []client.Object
	// Products and Clusters are the names of those that exist.
	Products, Clusters []string
}

// dice picks; worlds of one seed are equal.
type dice struct{ *rand.Rand }

func (d dice) of(names ...string) string { return names[d.IntN(len(names))] }
func (d dice) chance(percent int) bool   { return d.IntN(100) < percent }

// some returns each name with a chance of one in two.
func (d dice) some(names ...string) []string {
	var picked []string
	for _, name := range names {
		if d.chance(50) {
			picked = append(picked, name)
		}
	}
	return picked
}

// NewWorld returns the world of a seed.
func NewWorld(seed uint64) World {
	d := dice{rand.New(rand.NewPCG(seed, 0))}
	products := []string{"product-a", "product-a-b", "product-b", "product-1", "product-12", "product-" + strings.Repeat("x", 50)}
	w := World{Products: products[:2+d.IntN(len(products)-1)]}
	w.add(CodeRepoProvider(Provider))
	w.addClusters(d)
	for _, product := range w.Products {
		w.addProduct(d, product)
	}
	// Dice of their own, so that the rest of a world does not depend on them.
	d = dice{rand.New(rand.NewPCG(seed, 3))}
	w.add(PipelineHook("lint"))
	for _, product := range w.Products {
		w.addPipelines(d, product)
	}
	d = dice{rand.New(rand.NewPCG(seed, 5))}
	for _, product := range w.Products {
		w.addArtifacts(d, product)
	}
	return w
}

// addArtifacts adds artifact repositories, with the same names in every product.
func (w *World) addArtifacts(d dice, product string) {
	for _, name := range d.some("images", "b-c", "c") {
		a := ArtifactRepo(product, name, v1alpha1.Permission(d.of("readonly", "readwrite")), d.some("api", "web")...)
		a.Spec.PackageType = v1alpha1.PackageType(d.of("image", "image", "maven"))
		if d.chance(15) {
			a.Spec.Product = d.of(w.Products...)
		}
		if d.chance(15) {
			Deleting(a)
		}
		w.add(a)
	}
}

func (w *World) add(objects ...client.Object) { w.Objects = append(w.Objects, objects...) }

// Shuffled returns the objects in a random order.
func (w World) Shuffled(seed uint64) []client.Object {
	objects := slices.Clone(w.Objects)
	rand.New(rand.NewPCG(seed, 1)).Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
	return objects
}

func (w *World) addClusters(d dice) {
	w.Clusters = []string{"hierarchical", "native", "pipelines", "tools", "host"}
	grant := func(c *v1alpha1.Cluster) {
		c.Spec.ReservedNamespacesAllowedProducts = map[string][]string{
			d.of("argo-rollouts", "argocd", "cert-manager", "tekton"): {Group(d.of(w.Products...))},
		}
		c.Spec.ProductAllowedClusterResources = map[string][]v1alpha1.ClusterResource{
			Group(d.of(w.Products...)): {{Kind: "ClusterRole", Group: d.of("authorization.k8s.io", "rbac.authorization.k8s.io")}, {Kind: "*", Group: "*"}},
		}
		c.Status.ProductIDMap = map[string]string{}
		for _, product := range w.Products {
			c.Status.ProductIDMap[Group(product)] = product
		}
	}
	w.add(
		Cluster("hierarchical", grant), Cluster("native", grant, NativeTenancy),
		Cluster("pipelines", PipelineWorker), Cluster("tools", PipelineWorker, NativeTenancy), Cluster("host", HostCluster))
}

func (w *World) addProduct(d dice, product string) {
	w.add(At(d.IntN(9), Product(product)))
	environments := []string{"dev", "test"}
	for _, name := range environments {
		if d.chance(90) {
			w.add(Environment(product, name, d.of("hierarchical", "hierarchical", "native", "pipelines", "host", "absent")))
		}
	}
	projects := []string{"api", "web"}
	for _, name := range projects {
		if d.chance(90) {
			w.add(Project(product, name))
		}
	}
	// Every product has the first two, and one of them their credentials.
	repos := []string{"repo-1", "repo-2", "repo-" + product}
	for _, name := range repos {
		w.addRepo(d, product, name, d.of("", "api", "web"))
	}
	for i := range 4 {
		b := Binding(product, fmt.Sprintf("binding-%d", i), d.of(repos...),
			v1alpha1.Permission(d.of("readonly", "readwrite")), d.some(projects...)...)
		if d.chance(20) {
			Deleting(b)
		}
		if d.chance(20) {
			b.Spec.Product = d.of(w.Products...)
		}
		w.add(b)
	}
	names := []string{"app", "b-c", "c", "b", "a-b-c", "b-0123456789", "0123456789", strings.Repeat("long-", 12) + "x"}
	d.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:1+d.IntN(5)] {
		w.addRuntime(d, product, name, d.of(environments...), d.of(repos...))
	}
}

func (w *World) addRepo(d dice, product, name, project string) {
	w.add(At(d.IntN(9), CodeRepo(product, name, project, func(r *v1alpha1.CodeRepo) {
		group := Group(d.of(w.Products...))
		switch d.IntN(6) {
		case 0:
			r.Spec.URL = "https://" + Host + "/" + group + "/" + name + ".git"
		case 1:
			r.Spec.CodeRepoProvider = ""
			r.Spec.URL = d.of("https://public.example.org/"+name+".git", "https://"+Host+"/"+group+"/"+name, "https://public.example.org/*")
		case 2:
			r.Spec.Product = d.of(w.Products...)
		case 3:
			r.Spec.CodeRepoProvider = "absent"
		}
	})))
}

func (w *World) addRuntime(d dice, product, name, environment, repo string) {
	r := At(d.IntN(9), DeploymentRuntime(product, name, environment, repo, For(d.some("api", "web")...), As(d.of("", "deployer", "app"))))
	r.Spec.ManifestSource.Path = d.of("manifests", "./manifests", "other")
	if d.chance(60) {
		// Namespaces of other products and of components are among them.
		r.Spec.Destination.Namespaces = d.some("app", "shared", "staging", "product-b", "argocd", "kube-system")
	}
	if d.chance(10) {
		r.Spec.Product = d.of(w.Products...)
	}
	if d.chance(50) {
		Deployed(d.of("hierarchical", "native"), r)
		r.Status.Source = &v1alpha1.RuntimeSource{URL: "https://" + Host + "/" + Group(product) + "/" + repo + ".git", Permission: v1alpha1.PermissionReadOnly}
	}
	if d.chance(15) {
		Deleting(r)
	}
	w.add(r)
}

// addPipelines adds pipeline runtimes, with the same names in every product, and
// an environment on the cluster that carries them.
func (w *World) addPipelines(d dice, product string) {
	w.add(Environment(product, "ci", d.of("pipelines", "pipelines", "pipelines", "tools", "native")))
	names := []string{"pipe", "b-c", "c", "b", "b-0123456789", strings.Repeat("long-", 12) + "x"}
	d.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:d.IntN(4)] {
		repos := []string{"repo-" + product, "repo-" + product, "repo-1", "repo-2", "absent"}
		r := At(d.IntN(9), PipelineRuntime(product, name, d.of("api", "web"), "ci", d.of(repos...), func(r *v1alpha1.ProjectPipelineRuntime) {
			r.Spec.Isolation = v1alpha1.Isolation(d.of("shared", "exclusive"))
			r.Spec.Account = d.of("", "", "deployer", "pipe")
			r.UID = types.UID("uid-of-" + product + "-" + name)
			if d.chance(70) {
				r.Spec.Destination.Namespace = d.of(product[8:]+"-ci", product[8:]+"-ci-2", "shared", "pipe", "product-b", "argo-events")
			}
			r.Spec.Pipelines = append(r.Spec.Pipelines, v1alpha1.Pipeline{Name: "main.v1", Path: "pipelines/main.yaml"})
			w.addEvents(d, r, repos)
			if d.chance(40) {
				r.Spec.AdditionalResources = &v1alpha1.AdditionalResources{Git: &v1alpha1.AdditionalResourcesGit{
					CodeRepo: d.of("", repos[0], "repo-1"), Revision: "main", Path: "resources",
					URL: d.of("https://public.example.org/more.git", "https://"+Host+"/"+Group(d.of(w.Products...))+"/more.git", "https://public.example.org/*"),
				}}
			}
			if d.chance(20) {
				r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: d.of("lint", "lint", "absent")}}}
			}
		}))
		if d.chance(50) {
			r.Status.Target = &v1alpha1.RuntimeTarget{
				Environment: "ci", Cluster: d.of("pipelines", "pipelines", "tools"), Account: "before",
				Namespaces: []string{d.of(product[8:]+"-ci", product[8:]+"-before", "shared")},
			}
		}
		if d.chance(15) {
			Deleting(r)
		}
		w.add(r)
	}
}

// addEvents gives a pipeline runtime event sources whose names collide when they
// are joined with the runtime's name, and triggers for some of them.
func (w *World) addEvents(d dice, r *v1alpha1.ProjectPipelineRuntime, repos []string) {
	r.Spec.EventSources, r.Spec.PipelineTriggers = nil, nil
	for _, name := range append(d.some("b.c", "b-c", "gitlab", "pipe"), "push") {
		e := v1alpha1.EventSource{Name: name}
		if d.chance(80) {
			e.GitLab = &v1alpha1.GitLabEventSource{RepoName: d.of(repos...), Revision: d.of("", "main"), Events: []v1alpha1.GitLabEvent{"push_events"}}
		}
		if e.GitLab == nil || d.chance(30) {
			e.Calendar = &v1alpha1.CalendarEventSource{Schedule: "0 17 * * 1-5"}
		}
		r.Spec.EventSources = append(r.Spec.EventSources, e)
		for _, pipeline := range d.some("dev", "main.v1") {
			r.Spec.PipelineTriggers = append(r.Spec.PipelineTriggers, v1alpha1.PipelineTrigger{EventSource: name, Pipeline: pipeline})
		}
	}
}

// BigProduct returns a product, product-1, with that many deployed runtimes of
// ten projects on cluster c; each has a namespace of its own.
func BigProduct(runtimes int) []client.Object {
	objects := []client.Object{Product("product-1"), CodeRepoProvider(Provider), Cluster("c"), Environment("product-1", "dev", "c")}
	for i := range 10 {
		project := fmt.Sprintf("project-%d", i)
		objects = append(objects, Project("product-1", project), CodeRepo("product-1", fmt.Sprintf("repo-%d", i), project))
	}
	for i := range runtimes {
		objects = append(objects, Deployed("c", DeploymentRuntime("product-1", fmt.Sprintf("runtime-%d", i), "dev",
			fmt.Sprintf("repo-%d", i%10), For(fmt.Sprintf("project-%d", i%10)))))
	}
	return objects
}
