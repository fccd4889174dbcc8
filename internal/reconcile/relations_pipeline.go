package reconcile

import (
	"context"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/internal/snapshot"
)

// Of ProjectPipelineRuntimes.

// moved lets through what of a pipeline runtime concerns others: what it asks for
// and where it is. Its runs, which change with every event, concern nobody else.
func TargetChanged() builder.WatchesOption {
	return builder.WithPredicates(predicate.Funcs{UpdateFunc: relevant})
}

func relevant(e event.UpdateEvent) bool {
	before, okBefore := e.ObjectOld.(*v1alpha1.ProjectPipelineRuntime)
	after, okAfter := e.ObjectNew.(*v1alpha1.ProjectPipelineRuntime)
	return !okBefore || !okAfter || before.Generation != after.Generation ||
		(before.DeletionTimestamp == nil) != (after.DeletionTimestamp == nil) ||
		!reflect.DeepEqual(before.Status.Target, after.Status.Target)
}

// WatchRuntimes adds the runtimes of both kinds to a controller.
func WatchRuntimes(b *builder.Builder, keys func(context.Context, v1alpha1.Runtime) []ctrl.Request) {
	Watch(b, &v1alpha1.DeploymentRuntime{}, func(ctx context.Context, r *v1alpha1.DeploymentRuntime) []ctrl.Request { return keys(ctx, r) })
	WatchPipelineRuntimes(b, func(ctx context.Context, r *v1alpha1.ProjectPipelineRuntime) []ctrl.Request { return keys(ctx, r) })
}

// WatchPipelineRuntimes adds the pipeline runtimes to what wakes a controller.
func WatchPipelineRuntimes(b *builder.Builder, keys func(context.Context, *v1alpha1.ProjectPipelineRuntime) []ctrl.Request) {
	b.Watches(&v1alpha1.ProjectPipelineRuntime{}, KeysOf(keys), TargetChanged())
}

// pipelineRuntimes returns the pipeline runtimes of a product, or of all when it
// is empty, that match.
func (rel *Relations) PipelineRuntimes(ctx context.Context, product string, match func(*v1alpha1.ProjectPipelineRuntime) bool) []ctrl.Request {
	return RequestsFor(find(ctx, rel, &v1alpha1.ProjectPipelineRuntimeList{}, match, client.InNamespace(product)))
}

func (rel *Relations) PipelineRuntimesOfProduct(ctx context.Context, p *v1alpha1.Product) []ctrl.Request {
	return rel.PipelineRuntimes(ctx, p.Name, nil)
}

func (rel *Relations) PipelineRuntimesOfEnvironment(ctx context.Context, e *v1alpha1.Environment) []ctrl.Request {
	return rel.PipelineRuntimes(ctx, e.Namespace, func(r *v1alpha1.ProjectPipelineRuntime) bool { return r.Spec.Destination.Environment == e.Name })
}

func (rel *Relations) PipelineRuntimesOfCluster(ctx context.Context, c *v1alpha1.Cluster) []ctrl.Request {
	wake := RequestsFor(find[*v1alpha1.ProjectPipelineRuntime](ctx, rel, &v1alpha1.ProjectPipelineRuntimeList{}, nil,
		client.MatchingFields{snapshot.IndexRecordedCluster: c.Name}))
	for _, e := range rel.EnvironmentsByCluster(ctx, c.Name) {
		wake = append(wake, rel.PipelineRuntimesOfEnvironment(ctx, e)...)
	}
	return wake
}

// pipelineRuntimesIn returns the pipeline runtimes that are or will be in a space.
func (rel *Relations) PipelineRuntimesIn(ctx context.Context, key ctrl.Request) []ctrl.Request {
	within := rel.Within(ctx, key)
	return rel.PipelineRuntimes(ctx, key.Namespace, func(r *v1alpha1.ProjectPipelineRuntime) bool {
		return within(r.Spec.Destination.Environment, r.Status.Target)
	})
}

func (rel *Relations) PipelineRuntimesOfCatalogue(ctx context.Context, _ *v1alpha1.ComponentCatalogue) []ctrl.Request {
	return rel.PipelineRuntimes(ctx, "", nil)
}

func (rel *Relations) PipelineRuntimesOfProject(ctx context.Context, p *v1alpha1.Project) []ctrl.Request {
	return rel.PipelineRuntimes(ctx, p.Namespace, func(r *v1alpha1.ProjectPipelineRuntime) bool { return r.Spec.Project == p.Name })
}

// pipelineRuntimesOfCodeRepo returns the pipeline runtimes that a code repository
// concerns: those that read it, those that name the URL of one of its product, and
// those of its namesakes.
func (rel *Relations) PipelineRuntimesOfCodeRepo(ctx context.Context, repo *v1alpha1.CodeRepo) []ctrl.Request {
	var wake []ctrl.Request
	for _, one := range append(rel.Namesakes(ctx, repo), repo) {
		wake = append(wake, rel.PipelineRuntimes(ctx, one.Namespace, func(r *v1alpha1.ProjectPipelineRuntime) bool {
			return reads(r, repo.Name)
		})...)
	}
	return wake
}

func (rel *Relations) PipelineRuntimesOfBinding(ctx context.Context, b *v1alpha1.CodeRepoBinding) []ctrl.Request {
	return rel.PipelineRuntimes(ctx, b.Namespace, func(r *v1alpha1.ProjectPipelineRuntime) bool { return reads(r, b.Spec.CodeRepo) })
}

// reads tells whether a pipeline runtime reads a code repository of its product,
// or may do so by a URL.
func reads(r *v1alpha1.ProjectPipelineRuntime, repo string) bool {
	more := r.Spec.AdditionalResources
	byURL := more != nil && more.Git != nil && more.Git.CodeRepo == ""
	return byURL || slices.Contains(r.Repositories(), repo)
}

func (rel *Relations) PipelineRuntimesOfProvider(ctx context.Context, p *v1alpha1.CodeRepoProvider) []ctrl.Request {
	var wake []ctrl.Request
	for _, repo := range rel.CodeReposByProvider(ctx, p.Name) {
		wake = append(wake, rel.PipelineRuntimesOfCodeRepo(ctx, repo)...)
	}
	return wake
}

func (rel *Relations) PipelineRuntimesOfHook(ctx context.Context, h *v1alpha1.PipelineHook) []ctrl.Request {
	return RequestsFor(find[*v1alpha1.ProjectPipelineRuntime](ctx, rel, &v1alpha1.ProjectPipelineRuntimeList{}, nil, client.MatchingFields{snapshot.IndexPipelineHook: h.Name}))
}

// hooksOfPipelineRuntime returns the hooks of a pipeline runtime that wait until
// nobody uses them any more. The others do not care who does, and there can be many.
func (rel *Relations) HooksOfPipelineRuntime(ctx context.Context, r *v1alpha1.ProjectPipelineRuntime) []ctrl.Request {
	var wake []ctrl.Request
	for _, name := range r.HookNames() {
		hook := &v1alpha1.PipelineHook{}
		err := rel.Client.Get(ctx, client.ObjectKey{Namespace: rel.Namespace, Name: name}, hook, client.UnsafeDisableDeepCopy)
		if err == nil && hook.DeletionTimestamp != nil {
			wake = append(wake, Request(rel.Namespace, name))
		}
	}
	return wake
}

// pipelineRuntimesOfSecret returns the pipeline runtimes that a stored secret is for.
func (rel *Relations) PipelineRuntimesOfSecret(ctx context.Context, secret *corev1.Secret) []ctrl.Request {
	if ref, stored := kube.RefOf(secret); stored {
		return rel.PipelineRuntimesOfRef(ctx, ref)
	}
	return nil
}

// pipelineRuntimesOfRef returns the pipeline runtimes that a stored secret is for:
// the key of all webhooks, or the credential of the repository of their files.
func (rel *Relations) PipelineRuntimesOfRef(ctx context.Context, ref secrets.Ref) []ctrl.Request {
	if ref == secrets.WebhookKey() {
		return rel.PipelineRuntimes(ctx, "", nil)
	}
	repo, ok := secrets.RepositoryOf(ref)
	if !ok {
		return nil
	}
	return rel.PipelineRuntimes(ctx, "", func(r *v1alpha1.ProjectPipelineRuntime) bool { return r.Spec.PipelineSource == repo })
}

// The pipeline runtimes that can have a namespace when another runtime lets go.

func (rel *Relations) PipelineRivalsOfRuntime(ctx context.Context, r *v1alpha1.DeploymentRuntime) []ctrl.Request {
	return RequestsFor(only[*v1alpha1.ProjectPipelineRuntime](rel.Rivals(ctx, r)))
}

func (rel *Relations) PipelineRivalsOfPipelineRuntime(ctx context.Context, r *v1alpha1.ProjectPipelineRuntime) []ctrl.Request {
	return RequestsFor(only[*v1alpha1.ProjectPipelineRuntime](rel.Rivals(ctx, r)))
}

func (rel *Relations) PipelineRivalsOfEnvironment(ctx context.Context, e *v1alpha1.Environment) []ctrl.Request {
	return RequestsFor(only[*v1alpha1.ProjectPipelineRuntime](rel.RivalsOfEnvironment(ctx, e)))
}
