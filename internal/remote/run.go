package remote

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/plan"
)

// maxRunMessage is how much of a message of Tekton is kept, in bytes: there can
// be many runs.
const maxRunMessage = 256

// Run is a Tekton PipelineRun of a pipeline runtime, as far as its labels say so:
// whoever may create one can put any labels on it.
type Run struct {
	Name string
	// Role is launch.RoleLauncher or launch.RoleRun, and Launcher the name of
	// the launcher that created a run.
	Role, Launcher string
	// Pipeline, EventSource, Event and Commit are what the labels say.
	Pipeline, EventSource, Event, Commit string
	// Result is one of the results of package launch, such as launch.RunSucceeded.
	Result string
	// Launched: a launcher names the run that it created, which may be gone.
	Launched bool
	// Message says why it did not succeed, in Tekton's words.
	Message string
	// Created, Started and Ended are in seconds since 1970; 0: not yet.
	Created, Started, Ended int64
}

// runIndex is the index of the runs by their namespaces and runtimes.
const runIndex = "runtime"

func pipelineRunKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "PipelineRun"}
}

// IsRun tells whether a kind is that of the runs of pipeline runtimes.
func IsRun(gvk schema.GroupVersionKind) bool { return gvk == pipelineRunKind() }

// runCache looks at what carries the labels of a pipeline runtime's launchers and
// runs. Sensors and launchers create them, so they have no labels of an owner,
// and are never pruned.
func runCache(rights string) *kindCache {
	return &kindCache{
		gvk: pipelineRunKind(), facts: runFacts, rights: rights,
		selector: strings.Join([]string{launch.LabelProduct, launch.LabelRuntime, launch.LabelRole}, ","),
		indexers: cache.Indexers{runIndex: indexByRuntime},
		trim:     trimRun,
	}
}

// Runs returns the launchers and runs of a pipeline runtime in a namespace, the
// latest first. There are none while the cluster does not serve PipelineRuns. It
// returns a *NotSyncedError while they have not been read, and an
// *UnknownKindError for a connection without ConnOptions.Runs.
func (c *Conn) Runs(namespace, product, runtime string) ([]Run, error) {
	if c.runs == nil {
		return nil, &UnknownKindError{Group: pipelineRunKind().Group, Kind: pipelineRunKind().Kind}
	}
	indexer, err := c.runs.indexer()
	if err != nil || indexer == nil {
		return nil, err
	}
	found, err := indexer.ByIndex(runIndex, runKey(namespace, product, runtime))
	if err != nil {
		return nil, fmt.Errorf("look up the runs of %s/%s: %w", product, runtime, err)
	}
	runs := make([]Run, 0, len(found))
	for _, f := range found {
		if o, ok := f.(*object); ok {
			if run, ok := o.facts.(Run); ok {
				runs = append(runs, run)
			}
		}
	}
	slices.SortFunc(runs, func(a, b Run) int {
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

// trimRun keeps of the metadata what tells whose the run is.
func trimRun(o *object) {
	o.labels = packLabels(map[string]string{
		launch.LabelProduct: o.labels.get(launch.LabelProduct), launch.LabelRuntime: o.labels.get(launch.LabelRuntime),
	})
	o.annotations, o.fields = nil, plan.FieldsDigest{}
}

func runFacts(u *unstructured.Unstructured) any {
	labels := u.GetLabels()
	run := Run{
		Name: u.GetName(), Role: labels[launch.LabelRole], Launcher: labels[launch.LabelLauncher],
		Pipeline: labels[launch.LabelPipeline], EventSource: labels[launch.LabelEventSource],
		Event: labels[launch.LabelEvent], Commit: labels[launch.LabelCommit],
		Created: u.GetCreationTimestamp().Unix(),
		Started: seconds(u, "startTime"), Ended: seconds(u, "completionTime"),
	}
	for _, result := range entries(u.Object, "results") {
		run.Launched = run.Launched || result["name"] == launch.ResultRun && result["value"] != ""
	}
	run.Result = launch.RunRunning
	for _, condition := range entries(u.Object, "conditions") {
		if condition["type"] != launch.ConditionSucceeded {
			continue
		}
		status, _ := condition["status"].(string)
		reason, _ := condition["reason"].(string)
		run.Result = launch.RunResult(status, reason)
		if status == string(metav1.ConditionFalse) {
			message, _ := condition["message"].(string)
			run.Message = clipTo(message, maxRunMessage)
		}
	}
	return run
}

func seconds(u *unstructured.Unstructured, field string) int64 {
	text, _, _ := unstructured.NestedString(u.Object, "status", field)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0
	}
	return at.Unix()
}
