package gitsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/giturl"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/mirror"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/servers"
)

// subject is an object whose repository is mirrored: a Product or the CodeRepo of the
// tenant repository.
type subject struct {
	object      v1alpha1.Object
	url, branch string
	secret      *v1alpha1.LocalReference
	scope       layout.Scope
	owner       plan.Owner
	confirm     string
	suspended   bool
	// recorded is the part of the status that the mirror writes, or nil.
	recorded *v1alpha1.SyncStatus
}

// subject returns the object that a key stands for, or nil if nothing is mirrored for it.
func (g *gitSync) subject(ctx context.Context, key reconcile.SyncKey) (*subject, error) {
	if key.Product == "" {
		r, err := g.deps.TenantRepository(ctx)
		if err != nil || r == nil || !r.DeletionTimestamp.IsZero() || r.Spec.URL == "" {
			return nil, err
		}
		return &subject{
			object: r, url: r.Spec.URL, branch: cmp.Or(r.Spec.Branch, "main"), secret: r.Spec.SecretRef, recorded: r.Status.Sync,
			scope: layout.Scope{Tenant: true, Namespace: g.deps.Namespace}, owner: plan.Owner{Kind: reconcile.OwnerTenant, Name: g.deps.Tenant},
			confirm: r.Annotations[v1alpha1.AnnotationConfirmPrune],
		}, nil
	}
	p := &v1alpha1.Product{}
	if err := g.deps.Client.Get(ctx, client.ObjectKey{Namespace: g.deps.Namespace, Name: key.Product}, p); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if !p.DeletionTimestamp.IsZero() || p.Status.Namespace == "" {
		return nil, nil
	}
	return &subject{
		object: p, url: p.Spec.MetaDataPath, branch: cmp.Or(p.Spec.Branch, "main"), secret: p.Spec.SecretRef, recorded: p.Status.Sync,
		scope: layout.Scope{Namespace: p.Name}, owner: plan.Owner{Kind: reconcile.OwnerProduct, Product: p.Name, Name: p.Name},
		confirm: p.Annotations[v1alpha1.AnnotationConfirmPrune], suspended: p.Spec.Suspend,
	}, nil
}

// source returns the repository of a subject, its credentials and the way to its server.
func (g *gitSync) source(ctx context.Context, s *subject) (git.Source, error) {
	snap, err := g.deps.Loader.Providers(ctx)
	if err != nil {
		return git.Source{}, err
	}
	source := git.Source{URL: giturl.Plain(s.url), Branch: s.branch}
	if source.Auth, err = g.gitCredentials(ctx, snap.TokenProvider(s.url), s.secret); err == nil {
		err = servers.SetWay(ctx, g.deps.Secrets, snap.GitAccess(s.url), &source)
	}
	return source, err
}

// gitCredentials returns the credentials of a repository: the named Secret, else the
// token of the provider, else none.
func (g *gitSync) gitCredentials(ctx context.Context, p *v1alpha1.CodeRepoProvider, ref *v1alpha1.LocalReference) (git.Auth, error) {
	if ref != nil {
		secret := &corev1.Secret{}
		err := g.deps.Client.Get(ctx, client.ObjectKey{Namespace: g.deps.Namespace, Name: ref.Name}, secret)
		if apierrors.IsNotFound(err) {
			return git.Auth{}, engine.Waiting(v1alpha1.ReasonSecretMissing,
				"Secret %s/%s with the credentials of the repository does not exist: create it", g.deps.Namespace, ref.Name)
		}
		if err != nil {
			return git.Auth{}, err
		}
		return git.Auth{
			Username: string(secret.Data["username"]), Password: secrets.NewValue(secret.Data["password"]),
			SSHKey: secrets.NewValue(secret.Data["ssh-privatekey"]), KnownHosts: secret.Data["known_hosts"],
		}, nil
	}
	if p == nil {
		return git.Auth{}, nil
	}
	secret, err := g.deps.Secrets.Get(ctx, secrets.ProviderToken(p.Name))
	if errors.Is(err, secrets.ErrNotFound) {
		return git.Auth{}, nil
	}
	if err != nil {
		return git.Auth{}, err
	}
	// Without a user name, git sends the one that every forge accepts.
	f, _ := forges.Of(p.Spec.ProviderType)
	return git.Auth{Username: f.TokenUser, Password: secret.Fields["access_token"]}, nil
}

// maxRefusal is the longest answer of an API server in a problem, in bytes.
const maxRefusal = 1024

// refused turns the errors of single objects into problems of their files. waiting is
// the reason to wait; retry holds the errors that are tried again.
func refused(ctx context.Context, t *mirror.Tracker, failed []apply.ItemError, outcome *mirror.Outcome) (waiting, retry, err error) {
	for i := range failed {
		item := &failed[i]
		path := outcome.Paths[item.ID]
		var leaving *apply.TerminatingError
		message, line := "", int32(0)
		var notOurs *apply.NotOursError
		var status apierrors.APIStatus
		switch {
		case errors.As(item.Err, &notOurs):
			message = notOurs.Error()
		case errors.As(item.Err, &status) && (apierrors.IsInvalid(item.Err) || apierrors.IsBadRequest(item.Err)):
			message = fmt.Sprintf("the API server refuses %s %q: %s", item.ID.Kind, item.ID.Name, plan.Words(status.Status().Message, maxRefusal))
			if details := status.Status().Details; details != nil && len(details.Causes) > 0 {
				if line, err = t.Line(ctx, path, details.Causes[0].Field); err != nil {
					return nil, nil, err
				}
			}
		case errors.As(item.Err, &leaving):
			waiting = engine.Waiting(v1alpha1.ReasonDeleting, "%s: %s", path, leaving)
			continue
		default:
			waiting = engine.Waiting(v1alpha1.ReasonApplyFailed, "%s: %s", path, item)
			retry = errors.Join(retry, item)
			continue
		}
		outcome.Problems[path] = []v1alpha1.FileProblem{*layout.Problem(path, line, layout.Refused, "%s", message)}
	}
	return waiting, retry, nil
}
