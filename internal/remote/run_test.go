package remote

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/test/remotetest"
)

func runLabels(product, runtime string, more ...string) map[string]string {
	labels := map[string]string{launch.LabelProduct: product, launch.LabelRuntime: runtime, launch.LabelRole: launch.RoleRun}
	for i := 0; i < len(more); i += 2 {
		labels[more[i]] = more[i+1]
	}
	return labels
}

// untyped returns an object of a kind that the tests do not import.
func untyped(gvk schema.GroupVersionKind, namespace, name string, labels map[string]string, spec map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetGroupVersionKind(gvk)
	u.SetNamespace(namespace)
	u.SetName(name)
	u.SetLabels(labels)
	return u
}

// setStatus replaces the status of an object.
func setStatus(t *testing.T, c client.Client, u *unstructured.Unstructured, status map[string]any) {
	t.Helper()
	u.Object["status"] = status
	if err := c.Status().Update(t.Context(), u); err != nil {
		t.Fatal(err)
	}
}

func conditions(kind, status, reason, message string) map[string]any {
	return map[string]any{"conditions": []any{map[string]any{
		"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z",
	}}}
}

// The runs of one runtime are those in its namespace that carry its labels; what
// Tekton keeps writing into them wakes nobody.
func TestRuns(t *testing.T) {
	remotetest.InstallCRDs(t, server, remotetest.CRDPipelineRun)
	c := admin(t)
	ns, elsewhere := namespace(t, c, nil), namespace(t, c, nil)
	spec := func() map[string]any { return map[string]any{"pipelineRef": map[string]any{"name": "p"}} }
	mine := untyped(pipelineRunKind(), ns, "mine", runLabels("product-1", "r", launch.LabelPipeline, "build", "other", "label"), spec())
	mine.SetAnnotations(map[string]string{"nautes.io/ref": strings.Repeat("x", 1000)})
	unlabelled := runLabels("product-1", "r")
	delete(unlabelled, launch.LabelRole)
	create(t, c, mine,
		untyped(pipelineRunKind(), ns, "theirs", runLabels("product-2", "r"), spec()),
		untyped(pipelineRunKind(), ns, "anothers", runLabels("product-1", "other"), spec()),
		untyped(pipelineRunKind(), elsewhere, "forged", runLabels("product-1", "r"), spec()),
		untyped(pipelineRunKind(), ns, "unlabelled", unlabelled, spec()))
	var told changes
	conn, err := Connect(t.Context(), server, ConnOptions{Tenant: tenant, Runs: true, OnChange: told.add})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	synced(t, conn)

	runs, err := conn.Runs(ns, "product-1", "r")
	if err != nil || len(runs) != 1 || runs[0].Name != "mine" || runs[0].Pipeline != "build" || runs[0].Result != launch.RunRunning {
		t.Fatalf("Runs: %+v, %v, want the one named mine", runs, err)
	}
	indexer, err := conn.runs.indexer()
	if err != nil {
		t.Fatal(err)
	}
	found, _, _ := indexer.GetByKey(ns + "/mine")
	kept := found.(*object).view()
	if want := runLabels("product-1", "r"); len(kept.Labels) != 2 || kept.Labels[launch.LabelRuntime] != want[launch.LabelRuntime] || kept.Annotations != nil || kept.ManagedFields != nil {
		t.Errorf("the cache holds %+v", kept)
	}

	setStatus(t, c, mine, conditions("Succeeded", "Unknown", "Running", "Tasks Completed: 0"))
	setStatus(t, c, mine, conditions("Succeeded", "Unknown", "Running", "Tasks Completed: 1"))
	setStatus(t, c, mine, conditions("Succeeded", "False", "Failed", "Tasks Completed: 2 (Failed: 1)"))
	remotetest.Eventually(t, "wait for the end of the run", func(context.Context) error {
		runs, err := conn.Runs(ns, "product-1", "r")
		return errors.Join(err, want(len(runs) == 1 && runs[0].Result == launch.RunFailed, "runs are %+v", runs))
	})
	remotetest.Eventually(t, "wait for word of it", func(context.Context) error {
		n := told.count("PipelineRun/" + ns + "/mine/is")
		return want(n == 2, "told %d times, want once of the run and once of its end", n)
	})
	if owned, err := conn.Owned(t.Context(), plan.Owner{Kind: "ProjectPipelineRuntime", Product: "product-1", Name: "r"}); err != nil || len(owned) > 0 {
		t.Errorf("Owned: %v, %v: runs are nobody's to prune", owned, err)
	}
}

// A cluster without Tekton has no runs, and who does not look at them is told so.
func TestRunsThatAreNotLookedAt(t *testing.T) {
	var unknown *UnknownKindError
	if _, err := synced(t, connect(t, server, nil)).Runs("default", "p", "r"); !errors.As(err, &unknown) {
		t.Errorf("Runs without the option: %v", err)
	}
	k := runCache("")
	k.known = true
	if runs, err := (&Conn{runs: k}).Runs("default", "p", "r"); err != nil || len(runs) > 0 {
		t.Errorf("Runs of a cluster without Tekton: %v, %v", runs, err)
	}
}

func TestRunFacts(t *testing.T) {
	const created = "2026-01-01T00:00:00Z"
	tests := map[string]struct {
		labels map[string]string
		status map[string]any
		want   Run
	}{
		"new":     {want: Run{Result: launch.RunRunning}},
		"pending": {status: conditions("Succeeded", "Unknown", "PipelineRunPending", "waits"), want: Run{Result: launch.RunRunning}},
		"running": {
			status: map[string]any{"startTime": "2026-01-01T00:00:10Z"}, want: Run{Result: launch.RunRunning, Started: 1767225610},
		},
		"succeeded": {status: conditions("Succeeded", "True", "Completed", "Tasks Completed: 1"), want: Run{Result: launch.RunSucceeded}},
		"failed":    {status: conditions("Succeeded", "False", "CouldntGetTask", "no such task"), want: Run{Result: launch.RunFailed, Message: "no such task"}},
		"cancelled": {status: conditions("Succeeded", "False", "Cancelled", "by hand"), want: Run{Result: launch.RunCancelled, Message: "by hand"}},
		"timed out": {status: conditions("Succeeded", "False", "PipelineRunTimeout", "after 1h"), want: Run{Result: launch.RunTimeout, Message: "after 1h"}},
		"a long message": {
			status: conditions("Succeeded", "False", "Failed", strings.Repeat("ü", 1000)),
			want:   Run{Result: launch.RunFailed, Message: strings.Repeat("ü", maxRunMessage/2) + "…"},
		},
		"a launcher that failed after it had created a run": {
			status: map[string]any{"results": []any{map[string]any{"name": "run", "value": "build-1"}}}, want: Run{Result: launch.RunRunning, Launched: true},
		},
		"a launcher that created none": {
			status: map[string]any{"results": []any{map[string]any{"name": "run", "value": ""}, map[string]any{"name": "commit", "value": "0123"}}}, want: Run{Result: launch.RunRunning},
		},
		"a status of another form": {status: map[string]any{"conditions": "none", "startTime": "soon"}, want: Run{Result: launch.RunRunning}},
		"labels": {
			labels: map[string]string{
				launch.LabelRole: "launcher", launch.LabelLauncher: "l", launch.LabelPipeline: "p", launch.LabelEventSource: "e",
				launch.LabelEvent: "push_events", launch.LabelCommit: "0123",
			},
			want: Run{Role: "launcher", Launcher: "l", Pipeline: "p", EventSource: "e", Event: "push_events", Commit: "0123", Result: launch.RunRunning},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := untyped(pipelineRunKind(), "ns", "run", test.labels, nil)
			u.Object["metadata"].(map[string]any)["creationTimestamp"] = created
			if test.status != nil {
				u.Object["status"] = test.status
			}
			test.want.Name, test.want.Created = "run", 1767225600
			if diff := cmp.Diff(any(test.want), runFacts(u)); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventingFacts(t *testing.T) {
	list := func(conditions ...any) map[string]any { return map[string]any{"conditions": conditions} }
	condition := func(kind, status, message string) any {
		return map[string]any{"type": kind, "status": status, "message": message}
	}
	tests := map[string]struct {
		status, spec map[string]any
		want         Eventing
	}{
		"new":             {},
		"not looked at":   {status: list(condition("SourcesProvided", "Unknown", ""), condition("Deployed", "Unknown", ""))},
		"only valid":      {status: list(condition("SourcesProvided", "True", ""), condition("Deployed", "Unknown", ""))},
		"deployed":        {status: list(condition("Deployed", "True", ""), condition("SourcesProvided", "True", "")), want: Eventing{Deployed: true}},
		"with files":      {spec: map[string]any{"template": map[string]any{"volumes": []any{map[string]any{"name": "tmp", "emptyDir": map[string]any{}}, map[string]any{"name": "files", "configMap": map[string]any{"name": "s-1"}}}}}, want: Eventing{Files: "s-1"}},
		"without a bus":   {status: list(condition("Deployed", "False", "EventBus not ready."), condition("SourcesProvided", "True", "")), want: Eventing{Failed: true, Message: "EventBus not ready."}},
		"invalid":         {status: list(condition("DependenciesProvided", "False", "no such event"), condition("Deployed", "Unknown", "")), want: Eventing{Failed: true, Message: "no such event"}},
		"invalid by now":  {status: list(condition("Deployed", "True", ""), condition("TriggersProvided", "False", "no template")), want: Eventing{Failed: true, Message: "no template"}},
		"of another form": {status: map[string]any{"conditions": []any{"Deployed", map[string]any{"type": 1, "status": true}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := untyped(sensorKind(), "ns", "s", nil, nil)
			if test.status != nil {
				u.Object["status"] = test.status
			}
			if test.spec != nil {
				u.Object["spec"] = test.spec
			}
			if diff := cmp.Diff(any(test.want), eventingFacts(u)); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}
