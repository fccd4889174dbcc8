package declared

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/api/meta"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/deploykeys"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/pushhooks"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/summary"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepos,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepos/status,verbs=patch

// AddCodeRepo starts the controller of CodeRepos.
func AddCodeRepo(d *reconcile.Deps) error {
	w := codeRepoWork{d}
	phases := func(s *engine.Session[*v1alpha1.CodeRepo]) engine.Phases {
		p := reconcile.Declared(d, w.ready, w.leave)(s)
		if d.Hooks.Active() && (d.IsTenantRepository(s.Object) || s.Object.Status.Hook != nil) {
			p.Conditions = append(p.Conditions, v1alpha1.ConditionHooked)
		}
		if s.Object.Status.DeployKeys != nil {
			p.Conditions = append(p.Conditions, v1alpha1.ConditionDeployKeys)
		}
		return p
	}
	return reconcile.Start(d, phases, engine.Options[*v1alpha1.CodeRepo]{Foreign: []string{v1alpha1.ConditionSynced}})
}

// codeRepoWork completes the status of code repositories.
type codeRepoWork struct{ deps *reconcile.Deps }

// ready sets the URL of a code repository. The tenant repository must be in sync.
func (w codeRepoWork) ready(ctx context.Context, s *engine.Session[*v1alpha1.CodeRepo]) (string, error) {
	r, d := s.Object, w.deps
	url, err := s.Snapshot.RepositoryURL(r)
	if err != nil {
		return "", err
	}
	r.Status.URL = url
	if !d.IsTenantRepository(r) {
		if err := pushhooks.EnsureManifests(ctx, d.Hooks, s); err != nil {
			return "", err
		}
		r.Status.Sync = nil
		meta.RemoveStatusCondition(&r.Status.Conditions, v1alpha1.ConditionSynced)
		return "clients use " + url, d.Keys.Ensure(ctx, s, url)
	}
	if r.Spec.URL == "" {
		return "", engine.Terminal(v1alpha1.ReasonInvalid, "spec.url is missing: the tenant repository is mirrored from there")
	}
	chosen, err := d.TenantRepository(ctx)
	if err != nil {
		return "", err
	}
	if chosen != nil && chosen.Name != r.Name {
		return "", engine.Terminal(v1alpha1.ReasonInvalid, "CodeRepo %s is the tenant repository already, since it is older: remove the label %s from one of them",
			chosen.Name, v1alpha1.LabelTenantRepository)
	}
	if err := pushhooks.Ensure(ctx, d.Hooks, s); err != nil {
		return "", err
	}
	if err := summary.MirrorOutcome(r, r.Status.Sync); err != nil {
		return "", err
	}
	return "mirrored at " + summary.ShortRevision(r.Status.Sync.Revision), nil
}

// leave removes the deploy keys and the credentials of a deleted code repository: the
// next one of its name, which may belong to another product, must not find them.
func (w codeRepoWork) leave(ctx context.Context, s *engine.Session[*v1alpha1.CodeRepo]) error {
	r := s.Object
	if err := errors.Join(pushhooks.Remove(ctx, w.deps.Hooks, s), w.deps.Keys.Remove(ctx, s)); err != nil {
		return err
	}
	provider := s.Snapshot.CodeRepoProvider(r.Spec.CodeRepoProvider)
	holder := s.Snapshot.CredentialHolder(r)
	if r.Namespace == w.deps.Namespace || provider == nil || holder == nil || holder.Namespace != r.Namespace {
		return nil
	}
	keys := deploykeys.Keeper{Store: w.deps.Secrets, Provider: provider.Spec.ProviderType}
	return keys.Forget(ctx, r.Name)
}
