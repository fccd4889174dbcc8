package declared

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepos,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepos/status,verbs=patch

// AddCodeRepo starts the controller of CodeRepos.
func AddCodeRepo(d *reconcile.Deps) error {
	d.Syncs.OnChange(func(key reconcile.SyncKey) {
		if key.Product != "" {
			return
		}
		if r, err := d.Relations.TenantRepository(context.Background()); err == nil && r != nil {
			d.Triggers.CodeRepo.Enqueue(reconcile.Request(r.Namespace, r.Name))
		}
	})
	b := ctrl.NewControllerManagedBy(d.Manager).Named("coderepo").For(&v1alpha1.CodeRepo{}).
		WatchesRawSource(d.Triggers.CodeRepo.Source())
	reconcile.Watch(b, &v1alpha1.CodeRepo{}, func(ctx context.Context, r *v1alpha1.CodeRepo) []ctrl.Request {
		return reconcile.RequestsFor(d.Relations.Namesakes(ctx, r))
	})
	reconcile.Watch(b, &v1alpha1.Product{}, d.Relations.CodeReposOfProduct)
	reconcile.Watch(b, &v1alpha1.CodeRepoProvider{}, d.Relations.CodeReposOfProvider)
	reconcile.Watch(b, &v1alpha1.Project{}, d.Relations.CodeReposOfProject)
	reconcile.Watch(b, &v1alpha1.DeploymentRuntime{}, func(_ context.Context, r *v1alpha1.DeploymentRuntime) []ctrl.Request {
		return reconcile.Requests(r.Namespace, r.Spec.ManifestSource.CodeRepo)
	})
	reconcile.WatchPipelineRuntimes(b, func(_ context.Context, r *v1alpha1.ProjectPipelineRuntime) []ctrl.Request {
		return reconcile.Requests(r.Namespace, r.Repositories()...)
	})
	reconcile.Watch(b, &v1alpha1.CodeRepoBinding{}, func(_ context.Context, r *v1alpha1.CodeRepoBinding) []ctrl.Request {
		return reconcile.Requests(r.Namespace, r.Spec.CodeRepo)
	})
	work := reconcile.Declared[*v1alpha1.CodeRepo]{Deps: d, Ready: codeRepoWork{d}.ready, Leave: codeRepoWork{d}.leave}
	return reconcile.Start(d, b, work, engine.Options[*v1alpha1.CodeRepo]{
		Kind: "CodeRepo", New: func() *v1alpha1.CodeRepo { return &v1alpha1.CodeRepo{} },
	})
}

// codeRepoWork completes the status of code repositories.
type codeRepoWork struct{ deps *reconcile.Deps }

// ready sets the URL, and the state of the mirror of the tenant repository.
func (w codeRepoWork) ready(session *engine.Session[*v1alpha1.CodeRepo], snap *snapshot.Snapshot) (string, error) {
	r := session.Object
	url, err := snap.RepositoryURL(r)
	if err != nil {
		return "", err
	}
	r.Status.URL = url
	if !w.deps.Relations.IsTenantRepository(r) {
		r.Status.Sync = nil
		return "clients use " + url, nil
	}
	if r.Spec.URL == "" {
		return "", engine.Terminal(v1alpha1.ReasonInvalid, "spec.url is missing: the tenant repository is mirrored from there")
	}
	chosen, err := w.deps.Relations.TenantRepository(context.Background())
	if err != nil {
		return "", err
	}
	if chosen != nil && chosen.Name != r.Name {
		return "", engine.Terminal(v1alpha1.ReasonInvalid, "CodeRepo %s is the tenant repository already, since it is older: remove the label %s from one of them",
			chosen.Name, v1alpha1.LabelTenantRepository)
	}
	result, known := w.deps.Syncs.Get(reconcile.SyncKey{})
	if !known {
		return "", engine.ErrNotYet
	}
	status := result.Status
	r.Status.Sync = &status
	return "mirrored at " + reconcile.ShortRevision(status.Revision), reconcile.SetSynced(session.Facts, result)
}

// leave removes the credentials of a deleted code repository: the next one of its
// name, which may belong to another product, must not find them.
func (w codeRepoWork) leave(ctx context.Context, snap *snapshot.Snapshot, r *v1alpha1.CodeRepo) error {
	provider := snap.CodeRepoProvider(r.Spec.CodeRepoProvider)
	holder := snap.CredentialHolder(r)
	if r.Namespace == w.deps.Namespace || provider == nil || holder == nil || holder.Namespace != r.Namespace {
		return nil
	}
	for _, ref := range []secrets.Ref{
		secrets.RepositoryReadOnly(provider.Spec.ProviderType, r.Name), secrets.RepositoryReadWrite(provider.Spec.ProviderType, r.Name),
	} {
		if err := w.deps.Secrets.Delete(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}
