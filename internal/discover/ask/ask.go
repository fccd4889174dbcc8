// Package ask asks a forge for everything that decides which Products there are. It
// guarantees that an answer that did not come is an error, and never an absence.
package ask

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"nautes.io/nautes/internal/discover"
	"nautes.io/nautes/internal/forge/client"
)

// parallel is the number of questions to the forge at the same time.
const parallel = 8

// Forge sets the part of a world that the forge knows. Its errors are the forge's.
func Forge(ctx context.Context, forge client.Client, w *discover.World) error {
	caller, err := forge.WhoAmI(ctx)
	if err != nil {
		return err
	}
	w.Account, w.SeesAll, w.TokenEnds = caller.Username, caller.Administrator, caller.TokenExpiresAt
	listed, err := forge.RepositoriesNamed(ctx, discover.Repository, !caller.Administrator)
	if err != nil {
		return err
	}
	for _, r := range listed {
		w.Listed = append(w.Listed, discover.Found{Group: r.GroupID, Path: r.GroupPath(), Branch: r.DefaultBranch, Leaving: r.Leaving})
	}
	ids := w.Ask()
	answers := make([]discover.Group, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, id := range ids {
		group.Go(func() error {
			g, err := forge.GroupByID(ctx, id)
			if errors.Is(err, client.ErrNotFound) {
				answers[i].Missing = true
				return nil
			}
			answers[i] = discover.Group{Path: g.Path, Leaving: g.Leaving}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	w.Groups = map[int64]discover.Group{}
	for i, id := range ids {
		w.Groups[id] = answers[i]
	}
	return nil
}
