// Package repokeys has Git forges accept the deploy keys of CodeRepos. It guarantees that
// only a repository in the group of its product gets keys, that the place of the keys is on
// record before they are made, and that the condition DeployKeys says why keys are missing.
package repokeys

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/access"
	"nautes.io/nautes/internal/deploykeys"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/pace"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/servers"
	"nautes.io/nautes/internal/snapshot"
)

// maxRotation bounds the value of the annotation that asks for a rotation, in bytes.
const maxRotation = 128

// Session is a pass over a CodeRepo.
type Session = engine.Session[*v1alpha1.CodeRepo]

// Maker makes the deploy keys of an operator.
type Maker struct {
	Store secrets.Store
	// Connect returns a client with the tenant's token for the forge of a
	// CodeRepoProvider. The error wraps client.ErrNoToken if there is none.
	Connect func(ctx context.Context, provider string) (client.Client, error)
	// Later reconciles an object after a while.
	Later func(o v1alpha1.Object, after time.Duration)
	Looks pace.Memory
}

// Provider returns the CodeRepoProvider of a CodeRepo if the operator makes its deploy
// keys, and nil otherwise.
func Provider(snap *snapshot.Snapshot, r *v1alpha1.CodeRepo) *v1alpha1.CodeRepoProvider {
	p := snap.CodeRepoProvider(r.Spec.CodeRepoProvider)
	if r.Namespace == snap.Namespace || p == nil || !p.Spec.DeployKeys {
		return nil
	}
	return p
}

// pass is one pass over the keys of a repository.
type pass struct {
	*Maker
	s        *Session
	keeper   deploykeys.Keeper
	provider *v1alpha1.CodeRepoProvider
	// path is the full path of the repository.
	path     string
	rotation string
}

// Ensure has the forge accept the keys of a CodeRepo with a URL, and sets the condition
// DeployKeys. It returns an error if the repository lacks keys.
func (m *Maker) Ensure(ctx context.Context, s *Session, url string) error {
	r, provider := s.Object, Provider(s.Snapshot, s.Object)
	if provider == nil {
		r.Status.DeployKeys = nil
		return nil
	}
	_, full := servers.RepositoryOf(s.Snapshot, r, url)
	p := &pass{
		Maker: m, s: s, provider: provider, path: full,
		keeper: deploykeys.Keeper{Store: m.Store, Provider: provider.Spec.ProviderType}, rotation: rotationOf(r),
	}
	of, err := p.identity(ctx)
	if err != nil {
		return err
	}
	owner := references.RefOf(r).String()
	last, again := m.Looks.Last(owner, of)
	if at := r.Status.DeployKeys; again > 0 && (last.Err != nil || at != nil && at.Provider == provider.Name) {
		m.Later(r, again)
		return p.report(last.Err)
	}
	failure := p.ensure(ctx)
	if failure != nil && (!ofForge(failure) || ctx.Err() != nil) {
		// What is on record is not known, so the next pass looks again.
		m.Looks.Forget(owner)
		return failure
	}
	// The pass has put keys on record, and stored them.
	if of, err = p.identity(ctx); err != nil {
		return err
	}
	m.Later(r, m.Looks.Looked(owner, pace.Look{Of: of, Err: failure}, client.RetryAfter(failure)))
	return p.report(failure)
}

// rotationOf returns the value of the annotation that asks for a rotation.
func rotationOf(r *v1alpha1.CodeRepo) string {
	return plan.Cut(r.Annotations[v1alpha1.AnnotationRotateKeys], maxRotation)
}

// identity identifies the keys that the repository must have.
func (p *pass) identity(ctx context.Context) (pace.Identity, error) {
	text := fmt.Appendf(nil, "%q %q %q %q", p.provider.Name, p.provider.Spec.APIServer, p.path, p.rotation)
	for _, permission := range access.Permissions() {
		version, err := p.Store.Version(ctx, p.keeper.Ref(p.s.Object.Name, permission))
		if err != nil && !errors.Is(err, secrets.ErrNotFound) {
			return pace.Identity{}, err
		}
		text = fmt.Appendf(text, " %q", version)
	}
	for _, w := range p.wanted() {
		text = fmt.Appendf(text, " %q %q", w.Title(), w.Fingerprint)
	}
	return sha256.Sum256(text), nil
}

// wanted returns the keys that the repository must have.
func (p *pass) wanted() []deploykeys.Known {
	r := p.s.Object
	known := map[string]*v1alpha1.DeployKeys{}
	var repositories []*v1alpha1.CodeRepo
	for _, other := range p.s.Snapshot.CodeRepos(r.Namespace) {
		if other.Name == r.Name {
			other = r
		}
		if other.DeletionTimestamp != nil && other.Status.DeployKeys == nil {
			// One that others still use has its keys until it goes.
			continue
		}
		repositories = append(repositories, other)
		if at := other.Status.DeployKeys; at != nil && at.Provider == p.provider.Name {
			known[other.Name] = at
		}
	}
	var wanted []deploykeys.Known
	for _, g := range access.Grants(r.Namespace, repositories, p.s.Snapshot.BindingsOf(r.Namespace, r.Name)) {
		if g.On == r.Name {
			wanted = append(wanted, deploykeys.Known{Grant: g, Fingerprint: fingerprint(known[g.Of], g.Permission)})
		}
	}
	return wanted
}

// fingerprint returns the fingerprint on record of a key, or "".
func fingerprint(at *v1alpha1.DeployKeys, permission v1alpha1.Permission) string {
	if at != nil {
		for _, key := range at.Keys {
			if key.Permission == permission {
				return key.Fingerprint
			}
		}
	}
	return ""
}

// ensure makes the keys and asks the forge.
func (p *pass) ensure(ctx context.Context) error {
	r := p.s.Object
	forge, err := p.Connect(ctx, p.provider.Name)
	if err != nil {
		return p.failed(err)
	}
	p.keeper.Forge = forge
	repository, err := forge.Repository(ctx, p.path)
	if err != nil {
		return p.failed(err)
	}
	if err := Verify(r, p.s.Snapshot.Product(r.Namespace), p.path, repository); err != nil {
		return err
	}
	// Whoever may not see the keys may not change them, so nothing is made in vain.
	present, err := forge.Keys(ctx, repository.ID)
	if err != nil {
		return p.failed(err)
	}
	if at := r.Status.DeployKeys; at == nil || at.Provider != p.provider.Name || at.Repository != repository.ID {
		if err := p.remove(ctx, at); err != nil {
			return err
		}
		r.Status.DeployKeys = &v1alpha1.DeployKeys{Provider: p.provider.Name, Repository: repository.ID}
		if err := p.s.Record(ctx); err != nil {
			return err
		}
	}
	var keys []v1alpha1.DeployKey
	for _, permission := range access.Permissions() {
		key, err := p.keeper.Ensure(ctx, r.Name, permission, p.rotation)
		if err != nil {
			return err
		}
		if key.Made {
			keys = append(keys, v1alpha1.DeployKey{Permission: permission, Fingerprint: key.Fingerprint()})
		}
	}
	r.Status.DeployKeys.Keys, r.Status.DeployKeys.Rotated = keys, p.rotation
	if err := p.s.Record(ctx); err != nil {
		return err
	}
	return p.failed(p.keeper.Match(ctx, repository.ID, present, p.wanted()))
}

// Verify returns an error unless a repository of a forge is the one that a CodeRepo names by
// a path, in the group of its product. The product may be nil.
func Verify(r *v1alpha1.CodeRepo, product *v1alpha1.Product, path string, found client.Repository) error {
	provider := r.Spec.CodeRepoProvider
	mismatch := func(format string, args ...any) error {
		return engine.Terminal(v1alpha1.ReasonRepositoryMismatch, format, args...)
	}
	switch {
	case found.Leaving:
		return engine.Waiting(v1alpha1.ReasonMarkedForDeletion, "the forge will delete repository %s: restore it there, or delete CodeRepo %s", path, r.Name)
	case product == nil || !strings.EqualFold(found.Path, path) || !strings.EqualFold(found.GroupPath(), product.Spec.Name):
		return mismatch("repository %s is %s in CodeRepoProvider %s, outside the group of its product: move it back, or correct the repository that CodeRepo %s names",
			path, found.Path, provider, r.Name)
	case !servers.InGroup(product, found):
		return mismatch("repository %s belongs to group %d in CodeRepoProvider %s, and %s is another group: wait until the Product has the new name of its group, or correct the repository that CodeRepo %s names",
			path, found.GroupID, provider, product.Name, r.Name)
	case r.Name != deploykeys.RepositoryName(found.ID):
		return mismatch("%s is repository %d in CodeRepoProvider %s, and its deploy keys are kept by the name of the CodeRepo: declare it as CodeRepo %s",
			path, found.ID, provider, deploykeys.RepositoryName(found.ID))
	}
	return nil
}

// report sets the condition. It returns the failure, unless the forge is away while the
// keys are on record.
func (p *pass) report(failure error) error {
	at := p.s.Object.Status.DeployKeys
	if failure != nil {
		p.s.Facts.Fail(v1alpha1.ConditionDeployKeys, failure)
		if errors.Is(failure, client.ErrUnavailable) && at != nil && len(at.Keys) > 0 {
			return nil
		}
		return failure
	}
	own, others := 0, 0
	for _, w := range p.wanted() {
		switch {
		case w.Fingerprint == "":
		case w.Of == p.s.Object.Name:
			own++
		default:
			others++
		}
	}
	message := fmt.Sprintf("%s accepts %d keys of its own and %d of other repositories", p.path, own, others)
	var stored []string
	for _, permission := range access.Permissions() {
		if !slices.ContainsFunc(at.Keys, func(k v1alpha1.DeployKey) bool { return k.Permission == permission }) {
			stored = append(stored, string(permission))
		}
	}
	if len(stored) > 0 {
		message += "; not made by Nautes, and left as stored: " + strings.Join(stored, ", ")
	}
	p.s.Facts.True(v1alpha1.ConditionDeployKeys, v1alpha1.ReasonReady, message)
	return nil
}

// Remove removes the keys at the place on record from the forge. Keys that the token does
// not show any more stay: their private halves are removed.
func (m *Maker) Remove(ctx context.Context, s *Session) error {
	if s.Object.Status.DeployKeys == nil {
		return nil
	}
	m.Looks.Forget(references.RefOf(s.Object).String())
	p := &pass{Maker: m, s: s, path: fmt.Sprintf("repository %d", s.Object.Status.DeployKeys.Repository)}
	if err := p.remove(ctx, s.Object.Status.DeployKeys); err != nil {
		return err
	}
	s.Object.Status.DeployKeys = nil
	return s.Record(ctx)
}

// remove removes all keys of Nautes from the repository at a recorded place.
func (p *pass) remove(ctx context.Context, at *v1alpha1.DeployKeys) error {
	if at == nil {
		return nil
	}
	forge, err := p.Connect(ctx, at.Provider)
	var present []client.Key
	if err == nil {
		present, err = forge.Keys(ctx, at.Repository)
	}
	if err == nil {
		err = (&deploykeys.Keeper{Store: p.Store, Forge: forge}).Match(ctx, at.Repository, present, nil)
	}
	if client.Lasts(err) {
		return nil
	}
	err = failed(at.Provider, p.path, err)
	var named *engine.Error
	if errors.As(err, &named) {
		named.RetryAfter = max(pace.FirstPause, client.RetryAfter(err))
	}
	return err
}

func (p *pass) failed(err error) error { return failed(p.provider.Name, p.path, err) }

// failed returns the error of a forge with its reason and remedy.
func failed(provider, repository string, err error) error {
	return servers.Problem("the deploy keys of "+repository, provider, err)
}

// ofForge reports whether an error is about the repository in the forge, and not about the
// object or the store.
func ofForge(err error) bool {
	var named *engine.Error
	return errors.As(err, &named)
}
