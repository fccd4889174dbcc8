package controllers

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepos,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepos/status,verbs=patch

// CodeRepo starts the controller of CodeRepos.
func (s *Shared) CodeRepo() error {
	s.Syncs.OnChange(func(key SyncKey) {
		if key.Product != "" {
			return
		}
		if source, err := s.tenantSource(context.Background()); err == nil && source != nil {
			s.WakeCodeRepo.Wake(request(source.object.GetNamespace(), source.object.GetName()))
		}
	})
	b := ctrl.NewControllerManagedBy(s.Manager).Named("coderepo").For(&v1alpha1.CodeRepo{}).
		WatchesRawSource(s.WakeCodeRepo.Source())
	watch(b, &v1alpha1.CodeRepo{}, func(ctx context.Context, r *v1alpha1.CodeRepo) []reconcile.Request {
		return requestsFor(s.namesakes(ctx, r))
	})
	watch(b, &v1alpha1.Product{}, s.codeReposOfProduct)
	watch(b, &v1alpha1.CodeRepoProvider{}, s.codeReposOfProvider)
	watch(b, &v1alpha1.Project{}, s.codeReposOfProject)
	watch(b, &v1alpha1.DeploymentRuntime{}, func(_ context.Context, r *v1alpha1.DeploymentRuntime) []reconcile.Request {
		return requests(r.Namespace, r.Spec.ManifestSource.CodeRepo)
	})
	watchPipelineRuntimes(b, func(_ context.Context, r *v1alpha1.ProjectPipelineRuntime) []reconcile.Request {
		return requests(r.Namespace, snapshot.ReposOf(r)...)
	})
	watch(b, &v1alpha1.CodeRepoBinding{}, func(_ context.Context, r *v1alpha1.CodeRepoBinding) []reconcile.Request {
		return requests(r.Namespace, r.Spec.CodeRepo)
	})
	work := declaredWork[*v1alpha1.CodeRepo]{Shared: s, ready: s.codeRepoReady, leave: s.codeRepoLeaves}
	return start(s, b, work, engine.Options[*v1alpha1.CodeRepo]{
		Kind: "CodeRepo", New: func() *v1alpha1.CodeRepo { return &v1alpha1.CodeRepo{} },
	})
}

// codeRepoReady tells the URL, and the state of the mirror of the tenant
// repository.
func (s *Shared) codeRepoReady(session *engine.Session[*v1alpha1.CodeRepo], snap *snapshot.Snapshot) (string, error) {
	r := session.Object
	url, err := snap.RepositoryURL(r)
	if err != nil {
		return "", err
	}
	r.Status.URL = url
	if !s.isTenantRepository(r) {
		r.Status.Sync = nil
		return "clients use " + url, nil
	}
	if r.Spec.URL == "" {
		return "", engine.Terminal(v1alpha1.ReasonInvalid, "spec.url is missing: the tenant repository is mirrored from there")
	}
	chosen, err := s.tenantRepository(context.Background())
	if err != nil {
		return "", err
	}
	if chosen != nil && chosen.Name != r.Name {
		return "", engine.Terminal(v1alpha1.ReasonInvalid, "CodeRepo %s is the tenant repository already, since it is older: remove the label %s from one of them",
			chosen.Name, v1alpha1.LabelTenantRepository)
	}
	result, known := s.Syncs.Get(SyncKey{})
	if !known {
		return "", engine.ErrNotYet
	}
	status := result.Status
	r.Status.Sync = &status
	return "mirrored at " + short(status.Revision), syncFacts(session.Facts, result)
}

// codeRepoLeaves removes the credentials of a code repository that goes: the next
// one of its name, which may be another product's, must not find them.
func (s *Shared) codeRepoLeaves(ctx context.Context, snap *snapshot.Snapshot, r *v1alpha1.CodeRepo) error {
	provider := snap.CodeRepoProvider(r.Spec.CodeRepoProvider)
	holder := snap.CredentialHolder(r)
	if r.Namespace == s.Namespace || provider == nil || holder == nil || holder.Namespace != r.Namespace {
		return nil
	}
	for _, ref := range []secrets.Ref{
		secrets.RepositoryReadOnly(provider.Spec.ProviderType, r.Name), secrets.RepositoryReadWrite(provider.Spec.ProviderType, r.Name),
	} {
		if err := s.Secrets.Delete(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}
