package deploykeys

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/access"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/secrets"
)

// workers is how many repositories of a product are looked at together.
const workers = 8

// Sync gives all repositories of a product the keys that they must have, and removes the
// others of Nautes. The own keys of the repository renewed are compared with the store.
func (k *Keeper) Sync(ctx context.Context, product string, repositories []*v1alpha1.CodeRepo, bindings []*v1alpha1.CodeRepoBinding, renewed string) error {
	wanted := map[string][]access.Grant{}
	for _, g := range access.Grants(product, repositories, bindings) {
		wanted[g.On] = append(wanted[g.On], g)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, r := range repositories {
		id, known := RepositoryID(r.Name)
		if !known {
			continue
		}
		group.Go(func() error {
			err := k.Adjust(ctx, id, wanted[r.Name], renewed)
			if errors.Is(err, client.ErrNotFound) && r.Name != renewed {
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

// Adjust gives one repository its keys, and removes the others of Nautes.
func (k *Keeper) Adjust(ctx context.Context, id int64, wanted []access.Grant, renewed string) error {
	keys, err := k.Forge.Keys(ctx, id)
	if err != nil {
		return err
	}
	if err := k.prune(ctx, id, keys, wanted); err != nil {
		return err
	}
	for _, g := range wanted {
		if _, known := RepositoryID(g.Of); !known {
			continue
		}
		present := slices.ContainsFunc(keys, func(key client.Key) bool { return key.Title == g.Title() })
		if present && g.Of != renewed {
			continue
		}
		if err := k.enable(ctx, id, g); err != nil {
			return err
		}
	}
	return nil
}

// prune removes the keys of Nautes that a repository must not have.
func (k *Keeper) prune(ctx context.Context, id int64, keys []client.Key, wanted []access.Grant) error {
	for _, key := range keys {
		_, _, ours := access.Owner(key.Title)
		if !ours || slices.ContainsFunc(wanted, func(g access.Grant) bool { return g.Title() == key.Title }) {
			continue
		}
		if err := k.Forge.RemoveKey(ctx, id, key.ID); err != nil {
			return err
		}
	}
	return nil
}

// Known is a key that a repository must have, with the fingerprint on record. The
// fingerprint is empty for a key that is not made yet, or that a person has stored: such a
// key stays in the repository as it is.
type Known struct {
	access.Grant
	Fingerprint string
}

// Match gives a repository, which has some keys, the keys that it must have, and removes
// the others of Nautes. A key of another repository that the store does not have as on
// record is left out: the pass of that repository puts it on record.
func (k *Keeper) Match(ctx context.Context, id int64, keys []client.Key, wanted []Known) error {
	grants := make([]access.Grant, 0, len(wanted))
	for _, w := range wanted {
		grants = append(grants, w.Grant)
	}
	if err := k.prune(ctx, id, keys, grants); err != nil {
		return err
	}
	for _, w := range Lacking(keys, wanted) {
		stored, err := k.Read(ctx, w.Of, w.Permission)
		switch {
		case err != nil && !errors.Is(err, secrets.ErrNotFound):
			return err
		case !stored.Made || stored.Fingerprint() != w.Fingerprint:
			continue
		}
		if _, err := k.Forge.EnsureKey(ctx, id, keyIn(w.Grant, stored.Public)); err != nil {
			return err
		}
	}
	return nil
}

// Lacking returns the keys that a repository must have and lacks, or has with another
// content or right.
func Lacking(keys []client.Key, wanted []Known) []Known {
	var lacking []Known
	for _, w := range wanted {
		var same, others int
		for _, key := range keys {
			switch {
			case key.Title != w.Title():
			case FingerprintOf(key.Public) == w.Fingerprint && key.CanPush == (w.Permission == v1alpha1.PermissionReadWrite):
				same++
			default:
				others++
			}
		}
		if w.Fingerprint != "" && (same == 0 || others > 0) {
			lacking = append(lacking, w)
		}
	}
	return lacking
}
