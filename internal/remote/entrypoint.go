package remote

import (
	"slices"

	"nautes.io/nautes/api/v1alpha1"
)

// EntryPoints returns the Services through which traffic enters the cluster, by
// name. If two have the same name, the one in the first namespace wins. EntryPoints
// returns a *NotSyncedError while the Services have not been read, and an
// *UnknownKindError for a connection without ConnOptions.EntryPoints.
func (c *Conn) EntryPoints() (map[string]v1alpha1.EntryPoint, error) {
	if c.entryPoints == nil {
		return nil, &UnknownKindError{Kind: "Service"}
	}
	if err := c.entryPoints.denied(); err != nil {
		return nil, err
	}
	points := map[string]v1alpha1.EntryPoint{}
	indexer, err := c.entryPoints.indexer()
	if err != nil || indexer == nil {
		return points, err
	}
	keys := indexer.ListKeys()
	slices.Sort(keys)
	for _, key := range keys {
		found, _, err := indexer.GetByKey(key)
		if err != nil {
			return nil, err
		}
		o, ok := found.(*object)
		if !ok {
			continue
		}
		point, _ := o.facts.(v1alpha1.EntryPoint)
		if _, taken := points[o.name]; !taken && point.Type != "" {
			points[o.name] = point
		}
	}
	return points, nil
}
