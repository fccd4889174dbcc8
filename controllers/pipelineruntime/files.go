package pipelineruntime

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
	ids := slices.Clone(set.Keep)
	for _, item := range set.Items {
		ids = append(ids, item.ID)
	}
	used, err := filesOf(ids, cachedFiles(ctx, conn))
	if err != nil {
		return set, err
	}
	set.Keep = slices.Clone(set.Keep)
	for files := range used {
		if !slices.Contains(ids, files) {
			set.Keep = append(set.Keep, files)
		}
	}
	return set, nil
}

// withoutUnused returns those of some IDs that are no files which no sensor of them
// works with. The cache may be behind a sensor that was just written, so the
// cluster is asked when there seem to be such files.
func withoutUnused(ctx context.Context, conn *remote.Conn, ids []plan.ID) ([]plan.ID, error) {
	used, err := filesOf(ids, cachedFiles(ctx, conn))
	if err != nil || !slices.ContainsFunc(ids, unused(used)) {
		return ids, err
	}
	used, err = filesOf(ids, func(sensor plan.ID) (string, error) { return conn.ReadFiles(ctx, sensor) })
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(ids), unused(used)), nil
}

// cachedFiles tells which files a sensor was seen to work with.
func cachedFiles(ctx context.Context, conn *remote.Conn) func(sensor plan.ID) (string, error) {
	return func(sensor plan.ID) (string, error) {
		state, err := conn.Eventing(ctx, sensor)
		if err != nil || state == nil {
			return "", err
		}
		return state.Files, nil
	}
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
		if files != "" {
			used[build.SensorFilesID(id, files)] = true
		}
	}
	return used, nil
}

func unused(used map[plan.ID]bool) func(plan.ID) bool {
	return func(id plan.ID) bool { return id.Kind == kindFiles && id.Group == "" && !used[id] }
}
