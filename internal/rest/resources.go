package rest

import (
	"net/http"
	"strconv"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/rest/body"
)

// The query parameters.
const (
	querySkip          = "insecure_skip_check"
	queryDryRun        = "dry_run"
	querySelector      = "field_selector"
	queryLimit         = "limit"
	queryContinue      = "continue"
	queryWatch         = "watch"
	queryDeleteProject = "delete_project"
)

// resource describes a kind of resources.
type resource struct {
	kind string
	// segment of the path, and the name of the path parameter.
	segment, param string
	// operations begins the ids of operations, operation follows the verb.
	operations, operation string
	// noun ends the messages of replies; empty for products, whose messages have no name.
	noun string
	// tenant: the files are in the tenant repository.
	tenant bool
	body   func() any
	// parts returns an empty object and its spec. It is nil for products.
	parts     func() (v1alpha1.Object, any)
	selectors map[string]selector
	// Handlers that differ from the ones of resources in files.
	save, remove, list, get handler
	// removeQuery has further parameters of DELETE.
	removeQuery []string
}

// collection returns the path of the list.
func (r *resource) collection() string {
	switch {
	case r.tenant, r.parts == nil:
		return "/api/v1/" + r.segment
	}
	return "/api/v1/products/{product_name}/" + r.segment
}

// selector compares a field of a reply with a value.
type selector struct {
	values func(body any) []string
	// equal: the value must be equal, otherwise it must be contained.
	equal bool
}

func contains[T any](values func(b *T) []string) selector {
	return selector{values: func(v any) []string {
		b, _ := v.(*T)
		return values(b)
	}}
}

func equals[T any](value func(b *T) string) selector {
	s := contains(func(b *T) []string { return []string{value(b)} })
	s.equal = true
	return s
}

func has[T any](value func(b *T) string) selector {
	return contains(func(b *T) []string { return []string{value(b)} })
}

// spec returns an object and a pointer to its spec.
func spec(o v1alpha1.Object) any {
	switch o := o.(type) {
	case *v1alpha1.Project:
		return &o.Spec
	case *v1alpha1.Environment:
		return &o.Spec
	case *v1alpha1.CodeRepo:
		return &o.Spec
	case *v1alpha1.CodeRepoBinding:
		return &o.Spec
	case *v1alpha1.DeploymentRuntime:
		return &o.Spec
	case *v1alpha1.ProjectPipelineRuntime:
		return &o.Spec
	case *v1alpha1.Cluster:
		return &o.Spec
	}
	return nil
}

func parts[T v1alpha1.Object](object func() T) func() (v1alpha1.Object, any) {
	return func() (v1alpha1.Object, any) {
		o := object()
		return o, spec(o)
	}
}

// resources returns the resources of the API.
func resources() []*resource {
	return append([]*resource{clusters(), products()}, inProducts()...)
}

// inProducts returns the resources below a product.
func inProducts() []*resource {
	return []*resource{
		{
			kind: "Environment", segment: "environments", param: "environmentName", operations: "Environment", operation: "Environment", noun: "configuration",
			body:  func() any { return &body.Environment{} },
			parts: parts(func() *v1alpha1.Environment { return &v1alpha1.Environment{} }),
			selectors: map[string]selector{
				"cluster":  has(func(b *body.Environment) string { return b.Cluster }),
				"env_type": has(func(b *body.Environment) string { return b.EnvType }),
			},
		},
		{
			kind: "Project", segment: "projects", param: "project_name", operations: "Project", operation: "Project", noun: "configuration",
			body:  func() any { return &body.Project{} },
			parts: parts(func() *v1alpha1.Project { return &v1alpha1.Project{} }),
			selectors: map[string]selector{
				"project_name": has(func(b *body.Project) string { return b.Name }),
			},
		},
		codeRepos(),
		{
			kind: "CodeRepoBinding", segment: "coderepobindings", param: "coderepo_binding_name", operations: "CodeRepoBinding", operation: "CodeRepoBinding", noun: "configuration",
			body:  func() any { return &body.CodeRepoBinding{} },
			parts: parts(func() *v1alpha1.CodeRepoBinding { return &v1alpha1.CodeRepoBinding{} }),
			save:  (*Server).saveBinding, remove: (*Server).removeBinding,
			selectors: map[string]selector{
				"coderepo":    has(func(b *body.CodeRepoBinding) string { return b.CodeRepo }),
				"product":     has(func(b *body.CodeRepoBinding) string { return b.Product }),
				"projects.in": contains(func(b *body.CodeRepoBinding) []string { return b.Projects }),
			},
		},
		{
			kind: "DeploymentRuntime", segment: "deploymentruntimes", param: "deploymentruntimeName", operations: "Deploymentruntime", operation: "DeploymentRuntime", noun: "configuration",
			body:  func() any { return &body.DeploymentRuntime{} },
			parts: parts(func() *v1alpha1.DeploymentRuntime { return &v1alpha1.DeploymentRuntime{} }),
			selectors: map[string]selector{
				"projects_ref.in": contains(func(b *body.DeploymentRuntime) []string { return b.ProjectsRef }),
				"manifest_source.code_repo": contains(func(b *body.DeploymentRuntime) []string {
					if b.ManifestSource == nil {
						return nil
					}
					return []string{b.ManifestSource.CodeRepo}
				}),
				"destination": contains(func(b *body.DeploymentRuntime) []string {
					if b.Destination == nil {
						return nil
					}
					return []string{b.Destination.Environment}
				}),
			},
		},
		{
			kind: "ProjectPipelineRuntime", segment: "projectpipelineruntimes", param: "project_pipeline_runtime_name",
			operations: "ProjectPipelineRuntime", operation: "ProjectPipelineRuntime", noun: "configuration",
			body:  func() any { return &body.ProjectPipelineRuntime{} },
			parts: parts(func() *v1alpha1.ProjectPipelineRuntime { return &v1alpha1.ProjectPipelineRuntime{} }),
			selectors: map[string]selector{
				"project_name":    has(func(b *body.ProjectPipelineRuntime) string { return b.Name }),
				"pipeline_source": has(func(b *body.ProjectPipelineRuntime) string { return b.PipelineSource }),
				"project":         has(func(b *body.ProjectPipelineRuntime) string { return b.Project }),
				"destination": contains(func(b *body.ProjectPipelineRuntime) []string {
					if b.Destination == nil {
						return nil
					}
					return []string{b.Destination.Environment}
				}),
				"pipeline_triggers.pipeline": contains(func(b *body.ProjectPipelineRuntime) (pipelines []string) {
					for _, t := range b.PipelineTriggers {
						pipelines = append(pipelines, t.Pipeline)
					}
					return pipelines
				}),
			},
		},
	}
}

func codeRepos() *resource {
	return &resource{
		kind: "CodeRepo", segment: "coderepos", param: "coderepoName", operations: "CodeRepo", operation: "CodeRepo", noun: "configuration",
		body:  func() any { return &body.CodeRepo{} },
		parts: parts(func() *v1alpha1.CodeRepo { return &v1alpha1.CodeRepo{} }),
		save:  (*Server).saveCodeRepo, remove: (*Server).removeCodeRepo, removeQuery: []string{queryDeleteProject},
		selectors: map[string]selector{
			"project":            has(func(b *body.CodeRepo) string { return b.Project }),
			"pipeline_runtime":   equals(func(b *body.CodeRepo) string { return strconv.FormatBool(b.PipelineRuntime) }),
			"deployment_runtime": equals(func(b *body.CodeRepo) string { return strconv.FormatBool(b.DeploymentRuntime) }),
		},
	}
}

func clusters() *resource {
	return &resource{
		kind: "Cluster", segment: "clusters", param: "cluster_name", operations: "Cluster", operation: "Cluster", noun: "cluster", tenant: true,
		body:  func() any { return &body.Cluster{} },
		parts: parts(func() *v1alpha1.Cluster { return &v1alpha1.Cluster{} }),
		save:  (*Server).saveCluster,
		selectors: map[string]selector{
			"cluster_name": has(func(b *body.Cluster) string { return b.Name }),
			"cluster_type": equals(func(b *body.Cluster) string { return b.ClusterType }),
			"usage":        equals(func(b *body.Cluster) string { return b.Usage }),
			"worker_type":  equals(func(b *body.Cluster) string { return b.WorkerType }),
		},
	}
}

func products() *resource {
	return &resource{
		kind: "Product", segment: "products", param: "product_name", operations: "Product", operation: "Product",
		body: func() any { return &body.Product{} },
		save: (*Server).saveProduct, remove: (*Server).removeProduct, list: (*Server).listProducts, get: (*Server).getProduct,
		selectors: map[string]selector{
			"product_name": has(func(b *body.Product) string { return b.Name }),
		},
	}
}

func orElse(handle *handler, otherwise handler) {
	if *handle == nil {
		*handle = otherwise
	}
}

// operations returns the routes of the API.
func operations() []*operation {
	var all []*operation
	for _, r := range resources() {
		orElse(&r.list, (*Server).listFiles)
		orElse(&r.get, (*Server).getFile)
		orElse(&r.save, (*Server).saveFile)
		orElse(&r.remove, (*Server).removeFile)
		one := r.collection() + "/{" + r.param + "}"
		listQuery := []string{querySelector, queryLimit, queryContinue}
		if r.parts != nil {
			listQuery = append(listQuery, queryWatch)
		}
		plural := r.operation + "s"
		all = append(all,
			&operation{
				method: http.MethodGet, path: r.collection(), resource: r, id: r.operations + "_List" + plural, summary: "List " + words(plural), list: true,
				query: spellings(listQuery...), handle: r.list,
			},
			&operation{method: http.MethodGet, path: one, resource: r, id: r.operations + "_Get" + r.operation, summary: "Read a " + words(r.operation), handle: r.get},
			&operation{
				method: http.MethodPost, path: one, resource: r, id: r.operations + "_Save" + r.operation, summary: "Create or replace a " + words(r.operation),
				write: true, query: spellings(querySkip, queryDryRun), handle: r.save,
			},
			&operation{
				method: http.MethodDelete, path: one, resource: r, id: r.operations + "_Delete" + r.operation, summary: "Delete a " + words(r.operation),
				write: true, query: spellings(append([]string{querySkip, queryDryRun}, r.removeQuery...)...), handle: r.remove,
			},
		)
	}
	return all
}

// spellings returns query parameters by their spellings.
func spellings(names ...string) map[string]string {
	all := map[string]string{}
	for _, name := range names {
		all[name] = name
		if name == querySkip {
			// The documentation of the earlier API prints it so.
			all[strings.ReplaceAll(name, "_", "-")] = name
		}
	}
	return all
}

// words returns the name of a kind in words: CodeRepoBindings becomes code repo bindings.
func words(kind string) string {
	var b strings.Builder
	for i, r := range kind {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}
