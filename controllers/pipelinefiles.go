package controllers

import (
	"context"
	"slices"

	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/remote"
)

// The files of sensors: each state of them is a ConfigMap of its own, which must
// be there as long as a sensor mounts it.

// keepFiles returns a set that leaves the files as they are that a sensor on the
// cluster still works with, though another state of it is to have others: they go
// when the sensor is seen to have changed, which wakes the runtime.
func keepFiles(ctx context.Context, conn *remote.Conn, set plan.Set) (plan.Set, error) {
	owned, err := conn.Owned(ctx, set.Owner)
	if err != nil {
		return set, err
	}
	set.Keep = slices.Clone(set.Keep)
	for i := range owned {
		id := plan.IDOf(owned[i].GroupVersionKind(), &owned[i])
		if id.Kind != kindSensor || !holds(set, id) {
			continue
		}
		state, err := conn.Eventing(ctx, id)
		if err != nil {
			return set, err
		}
		if state != nil && state.Files != "" {
			if files := build.SensorFilesID(id, state.Files); !holds(set, files) {
				set.Keep = append(set.Keep, files)
			}
		}
	}
	return set, nil
}

// withoutUnused returns those of some IDs that are no files which no sensor of them
// works with. The cache may be behind a sensor that was just written, so the
// cluster is asked when there seem to be such files.
func withoutUnused(ctx context.Context, conn *remote.Conn, ids []plan.ID) ([]plan.ID, error) {
	used, err := filesOf(ids, func(sensor plan.ID) (string, error) {
		state, err := conn.Eventing(ctx, sensor)
		if err != nil || state == nil {
			return "", err
		}
		return state.Files, nil
	})
	if err != nil || !slices.ContainsFunc(ids, unused(used)) {
		return ids, err
	}
	used, err = filesOf(ids, func(sensor plan.ID) (string, error) { return conn.ReadFiles(ctx, sensor) })
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(ids), unused(used)), nil
}

// filesOf returns the files that the sensors among some IDs work with.
func filesOf(ids []plan.ID, of func(sensor plan.ID) (string, error)) (map[plan.ID]bool, error) {
	used := map[plan.ID]bool{}
	for _, id := range ids {
		if id.Kind != kindSensor {
			continue
		}
		files, err := of(id)
		if err != nil {
			return nil, err
		}
		used[build.SensorFilesID(id, files)] = true
	}
	return used, nil
}

func unused(used map[plan.ID]bool) func(plan.ID) bool {
	return func(id plan.ID) bool { return id.Kind == kindFiles && id.Group == "" && !used[id] }
}
