// Package sensorfiles finds the ConfigMaps that deployed Sensors mount. Each state of the
// files of a Sensor is a ConfigMap of its own; the package guarantees that none is removed
// while a Sensor mounts it.
package sensorfiles

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
)

// Conn is the connection to a cluster with Sensors.
type Conn interface {
	// Get returns the cached metadata of an object, or nil if it does not exist.
	Get(ctx context.Context, id plan.ID) (*metav1.PartialObjectMetadata, error)
	// Eventing returns the cached state of an EventSource or a Sensor, or nil if it does
	// not exist.
	Eventing(ctx context.Context, id plan.ID) (*observed.Eventing, error)
	// ReadFiles returns the name of the ConfigMap that a Sensor mounts, from the API
	// server, or "" if there is none.
	ReadFiles(ctx context.Context, sensor plan.ID) (string, error)
}

// State returns the state of an EventSource or a Sensor, or nil if it does not exist. A
// Sensor whose files are gone works only until its Pod starts again. A ConfigMap counts
// as deployed: it belongs to a Sensor that exists, or is not in use yet.
func State(ctx context.Context, conn Conn, id plan.ID) (*observed.Eventing, error) {
	if id.Group == "" {
		return &observed.Eventing{Deployed: true}, nil
	}
	state, err := conn.Eventing(ctx, id)
	if err != nil || state == nil || state.Files == "" {
		return state, err
	}
	files, err := conn.Get(ctx, build.SensorFilesID(id, state.Files))
	if err == nil && files == nil {
		state = &observed.Eventing{Failed: true, Message: "its ConfigMap " + state.Files + " is gone, and is made again when the runtime can be deployed"}
	}
	return state, err
}

// Keep adds to set.Keep the ConfigMaps that a deployed Sensor still mounts. They
// are removed when the cache shows that the Sensor has changed, which also triggers a
// reconciliation of the runtime.
func Keep(ctx context.Context, conn Conn, set plan.Set) (plan.Set, error) {
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

// DropUnused removes the ConfigMaps that no Sensor in ids mounts. The cache may be
// behind a Sensor that was just written, so the cluster is asked before any is removed.
func DropUnused(ctx context.Context, conn Conn, ids []plan.ID) ([]plan.ID, error) {
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

func unused(used map[plan.ID]bool) func(plan.ID) bool {
	return func(id plan.ID) bool { return id.Kind == "ConfigMap" && id.Group == "" && !used[id] }
}

// cachedFiles returns a function that looks up in the cache which files a Sensor mounts.
func cachedFiles(ctx context.Context, conn Conn) func(sensor plan.ID) (string, error) {
	return func(sensor plan.ID) (string, error) {
		state, err := conn.Eventing(ctx, sensor)
		if err != nil || state == nil {
			return "", err
		}
		return state.Files, nil
	}
}

// filesOf returns the ConfigMaps that the Sensors in ids mount.
func filesOf(ids []plan.ID, of func(sensor plan.ID) (string, error)) (map[plan.ID]bool, error) {
	used := map[plan.ID]bool{}
	for _, id := range ids {
		if id.Kind != "Sensor" {
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
