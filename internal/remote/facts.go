package remote

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
)

// factsOf returns the facts of a cached object with the tenant's labels, or nil if
// there is none. It returns an *UnknownKindError if the kind has other facts.
func factsOf[T any](c *Conn, id plan.ID) (*T, error) {
	o, err := c.lookup(id)
	if err != nil || o == nil {
		return nil, err
	}
	facts, ok := o.facts.(T)
	if !ok {
		return nil, &UnknownKindError{Group: id.Group, Kind: id.Kind}
	}
	return &facts, nil
}

// Application returns the state of an Argo CD Application with the tenant's labels,
// or nil if there is none. It returns a *NotSyncedError while Applications have
// not been read, and an *UnknownKindError if the connection does not watch them.
func (c *Conn) Application(_ context.Context, namespace, name string) (*observed.Application, error) {
	return factsOf[observed.Application](c, plan.ID{Group: argoKind("").Group, Kind: "Application", Namespace: namespace, Name: name})
}

// Held returns the reason why an object that is deleted is not gone, or "".
func (c *Conn) Held(id plan.ID) string {
	o, err := c.lookup(id)
	if err != nil || o == nil || o.deleted == nil {
		return ""
	}
	return observed.HeldOf(o.facts)
}

// Eventing returns the state of an EventSource or a Sensor with the tenant's labels,
// or nil if there is none. Its errors are the same as Application's.
func (c *Conn) Eventing(_ context.Context, id plan.ID) (*observed.Eventing, error) {
	return factsOf[observed.Eventing](c, id)
}

// ReadFiles reads Eventing.Files of a Sensor from the API server, because the cache
// may be outdated. It returns "" if the Sensor does not exist.
func (c *Conn) ReadFiles(ctx context.Context, sensor plan.ID) (string, error) {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(argoKind("Sensor"))
	err := c.Client().Get(ctx, client.ObjectKey{Namespace: sensor.Namespace, Name: sensor.Name}, u)
	if err != nil && !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("read the files of %s: %w", sensor, err)
	}
	return observed.FilesOf(u), nil
}

// runIndex is the name of the index of the runs by namespace and runtime.
const runIndex = "runtime"

// IsRun reports whether a kind is the kind of the runs of pipeline runtimes.
func IsRun(gvk schema.GroupVersionKind) bool { return gvk == pipelineRunKind() }

// runCache returns the cache of the launchers and runs of pipeline runtimes. Sensors
// and launchers create them without the labels of an owner, so they are never pruned.
func runCache() *kindCache {
	return &kindCache{
		gvk: pipelineRunKind(), facts: observed.FactsOf(pipelineRunKind().GroupKind()),
		selector: strings.Join([]string{launch.LabelProduct, launch.LabelRuntime, launch.LabelRole}, ","),
		indexers: cache.Indexers{runIndex: indexByRuntime},
		trim:     trimRun,
	}
}

// Runs returns the launchers and runs of a pipeline runtime in a namespace, the
// latest first. It returns none while the cluster does not serve PipelineRuns, a
// *NotSyncedError while they have not been read, and an *UnknownKindError for a
// connection without ConnOptions.Runs.
func (c *Conn) Runs(namespace, product, runtime string) ([]observed.Run, error) {
	if c.runs == nil {
		return nil, &UnknownKindError{Group: pipelineRunKind().Group, Kind: pipelineRunKind().Kind}
	}
	found, err := c.runs.byIndex(runIndex, runKey(namespace, product, runtime))
	if err != nil {
		return nil, err
	}
	runs := make([]observed.Run, 0, len(found))
	for _, o := range found {
		if run, ok := o.facts.(observed.Run); ok {
			runs = append(runs, run)
		}
	}
	slices.SortFunc(runs, func(a, b observed.Run) int {
		return cmp.Or(cmp.Compare(b.Created, a.Created), cmp.Compare(a.Name, b.Name))
	})
	return runs, nil
}

func indexByRuntime(in any) ([]string, error) {
	o, ok := in.(*object)
	if !ok {
		return nil, nil
	}
	return []string{runKey(o.namespace.Value(), o.labels.get(launch.LabelProduct), o.labels.get(launch.LabelRuntime))}, nil
}

func runKey(namespace, product, runtime string) string {
	return namespace + "/" + product + "/" + runtime
}

// trimRun keeps only the labels that identify the runtime.
func trimRun(o *object) {
	o.labels = packLabels(map[string]string{
		launch.LabelProduct: o.labels.get(launch.LabelProduct), launch.LabelRuntime: o.labels.get(launch.LabelRuntime),
	})
	o.annotations, o.fields = nil, plan.FieldsDigest{}
}
