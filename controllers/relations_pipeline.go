package controllers

import (
	"context"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/internal/snapshot"
)

// Of ProjectPipelineRuntimes.

// moved lets through what of a pipeline runtime concerns others: what it asks for
// and where it is. Its runs, which change with every event, concern nobody else.
func moved() builder.WatchesOption {
	return builder.WithPredicates(predicate.Funcs{UpdateFunc: relevant})
}

func relevant(e event.UpdateEvent) bool {
	before, okBefore := e.ObjectOld.(*v1alpha1.ProjectPipelineRuntime)
	after, okAfter := e.ObjectNew.(*v1alpha1.ProjectPipelineRuntime)
	return !okBefore || !okAfter || before.Generation != after.Generation ||
		(before.DeletionTimestamp == nil) != (after.DeletionTimestamp == nil) ||
		!reflect.DeepEqual(before.Status.Target, after.Status.Target)
}

// watchPipelineRuntimes adds the pipeline runtimes to what wakes a controller.
func watchPipelineRuntimes(b *builder.Builder, keys func(context.Context, *v1alpha1.ProjectPipelineRuntime) []reconcile.Request) {
	b.Watches(&v1alpha1.ProjectPipelineRuntime{}, keysOf(keys), moved())
}

// pipelineRuntimes returns the pipeline runtimes of a product, or of all when it
// is empty, that match.
func (s *Shared) pipelineRuntimes(ctx context.Context, product string, match func(*v1alpha1.ProjectPipelineRuntime) bool) []reconcile.Request {
	return requestsFor(find(ctx, s, &v1alpha1.ProjectPipelineRuntimeList{}, match, client.InNamespace(product)))
}

func (s *Shared) pipelineRuntimesOfProduct(ctx context.Context, p *v1alpha1.Product) []reconcile.Request {
	return s.pipelineRuntimes(ctx, p.Name, nil)
}

func (s *Shared) pipelineRuntimesOfEnvironment(ctx context.Context, e *v1alpha1.Environment) []reconcile.Request {
	return s.pipelineRuntimes(ctx, e.Namespace, func(r *v1alpha1.ProjectPipelineRuntime) bool { return r.Spec.Destination.Environment == e.Name })
}

func (s *Shared) pipelineRuntimesOfCluster(ctx context.Context, c *v1alpha1.Cluster) []reconcile.Request {
	wake := requestsFor(find[*v1alpha1.ProjectPipelineRuntime](ctx, s, &v1alpha1.ProjectPipelineRuntimeList{}, nil,
		client.MatchingFields{snapshot.IndexRecordedCluster: c.Name}))
	for _, e := range s.environmentsByCluster(ctx, c.Name) {
		wake = append(wake, s.pipelineRuntimesOfEnvironment(ctx, e)...)
	}
	return wake
}

// pipelineRuntimesIn returns the pipeline runtimes that are or will be in a space.
func (s *Shared) pipelineRuntimesIn(ctx context.Context, key SpaceKey) []reconcile.Request {
	within := s.within(ctx, key)
	return s.pipelineRuntimes(ctx, key.Product, func(r *v1alpha1.ProjectPipelineRuntime) bool {
		return within(r.Spec.Destination.Environment, r.Status.Target)
	})
}

func (s *Shared) pipelineRuntimesOfCatalogue(ctx context.Context, _ *v1alpha1.ComponentCatalogue) []reconcile.Request {
	return s.pipelineRuntimes(ctx, "", nil)
}

func (s *Shared) pipelineRuntimesOfProject(ctx context.Context, p *v1alpha1.Project) []reconcile.Request {
	return s.pipelineRuntimes(ctx, p.Namespace, func(r *v1alpha1.ProjectPipelineRuntime) bool { return r.Spec.Project == p.Name })
}

// pipelineRuntimesOfCodeRepo returns the pipeline runtimes that a code repository
// concerns: those that read it, those that name the URL of one of its product, and
// those of its namesakes.
func (s *Shared) pipelineRuntimesOfCodeRepo(ctx context.Context, repo *v1alpha1.CodeRepo) []reconcile.Request {
	var wake []reconcile.Request
	for _, one := range append(s.namesakes(ctx, repo), repo) {
		wake = append(wake, s.pipelineRuntimes(ctx, one.Namespace, func(r *v1alpha1.ProjectPipelineRuntime) bool {
			return reads(r, repo.Name)
		})...)
	}
	return wake
}

func (s *Shared) pipelineRuntimesOfBinding(ctx context.Context, b *v1alpha1.CodeRepoBinding) []reconcile.Request {
	return s.pipelineRuntimes(ctx, b.Namespace, func(r *v1alpha1.ProjectPipelineRuntime) bool { return reads(r, b.Spec.CodeRepo) })
}

// reads tells whether a pipeline runtime reads a code repository of its product,
// or may do so by a URL.
func reads(r *v1alpha1.ProjectPipelineRuntime, repo string) bool {
	more := r.Spec.AdditionalResources
	byURL := more != nil && more.Git != nil && more.Git.CodeRepo == ""
	return byURL || slices.Contains(snapshot.ReposOf(r), repo)
}

func (s *Shared) pipelineRuntimesOfProvider(ctx context.Context, p *v1alpha1.CodeRepoProvider) []reconcile.Request {
	var wake []reconcile.Request
	for _, repo := range s.codeReposByProvider(ctx, p.Name) {
		wake = append(wake, s.pipelineRuntimesOfCodeRepo(ctx, repo)...)
	}
	return wake
}

func (s *Shared) pipelineRuntimesOfHook(ctx context.Context, h *v1alpha1.PipelineHook) []reconcile.Request {
	return requestsFor(find[*v1alpha1.ProjectPipelineRuntime](ctx, s, &v1alpha1.ProjectPipelineRuntimeList{}, nil, client.MatchingFields{snapshot.IndexPipelineHook: h.Name}))
}

// hooksOfPipelineRuntime returns the hooks of a pipeline runtime that wait until
// nobody uses them any more. The others do not care who does, and there can be many.
func (s *Shared) hooksOfPipelineRuntime(ctx context.Context, r *v1alpha1.ProjectPipelineRuntime) []reconcile.Request {
	var wake []reconcile.Request
	for _, name := range snapshot.HooksOf(r) {
		hook := &v1alpha1.PipelineHook{}
		err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, hook, client.UnsafeDisableDeepCopy)
		if err == nil && hook.DeletionTimestamp != nil {
			wake = append(wake, request(s.Namespace, name))
		}
	}
	return wake
}

// pipelineRuntimesOfSecret returns the pipeline runtimes that a stored secret is for.
func (s *Shared) pipelineRuntimesOfSecret(ctx context.Context, secret *corev1.Secret) []reconcile.Request {
	if ref, stored := kube.RefOf(secret); stored {
		return s.pipelineRuntimesOfRef(ctx, ref)
	}
	return nil
}

// pipelineRuntimesOfRef returns the pipeline runtimes that a stored secret is for:
// the key of all webhooks, or the credential of the repository of their files.
func (s *Shared) pipelineRuntimesOfRef(ctx context.Context, ref secrets.Ref) []reconcile.Request {
	if ref == secrets.WebhookKey() {
		return s.pipelineRuntimes(ctx, "", nil)
	}
	repo, ok := secrets.RepositoryOf(ref)
	if !ok {
		return nil
	}
	return s.pipelineRuntimes(ctx, "", func(r *v1alpha1.ProjectPipelineRuntime) bool { return r.Spec.PipelineSource == repo })
}

// The pipeline runtimes that can have a namespace when another runtime lets go.

func (s *Shared) pipelineRivalsOfRuntime(ctx context.Context, r *v1alpha1.DeploymentRuntime) []reconcile.Request {
	return requestsFor(only[*v1alpha1.ProjectPipelineRuntime](s.rivals(ctx, r)))
}

func (s *Shared) pipelineRivalsOfPipelineRuntime(ctx context.Context, r *v1alpha1.ProjectPipelineRuntime) []reconcile.Request {
	return requestsFor(only[*v1alpha1.ProjectPipelineRuntime](s.rivals(ctx, r)))
}

func (s *Shared) pipelineRivalsOfEnvironment(ctx context.Context, e *v1alpha1.Environment) []reconcile.Request {
	return requestsFor(only[*v1alpha1.ProjectPipelineRuntime](s.rivalsOfEnvironment(ctx, e)))
}
