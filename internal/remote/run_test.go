package remote

import (
	"context"
	"errors"
	"strings"
	"testing"

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

// untyped returns an unstructured object.
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

// The runs of a runtime are in its namespace and carry its labels. Progress that
// Tekton reports is not tracked.
func TestRuns(t *testing.T) {
	remotetest.InstallCRDs(t, server.Config(t), remotetest.CRDPipelineRun)
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
	var reported changes
	conn, err := Connect(t.Context(), server.Config(t), ConnOptions{Tenant: tenant, Runs: true, OnChange: reported.add})
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
	remotetest.Eventually(t, "wait for the change", func(context.Context) error {
		n := reported.count("PipelineRun/" + ns + "/mine/is")
		return want(n == 2, "%d changes were reported, want two, for the run and its end", n)
	})
	if owned, err := conn.Owned(t.Context(), plan.Owner{Kind: "ProjectPipelineRuntime", Product: "product-1", Name: "r"}); err != nil || len(owned) > 0 {
		t.Errorf("Owned: %v, %v: runs must not be pruned", owned, err)
	}
}

// A cluster without Tekton has no runs. A connection that does not watch runs
// returns an error.
func TestRunsWithoutTekton(t *testing.T) {
	var unknown *UnknownKindError
	if _, err := synced(t, connect(t, server.Config(t), nil)).Runs("default", "p", "r"); !errors.As(err, &unknown) {
		t.Errorf("Runs without the option: %v", err)
	}
	k := runCache()
	k.known = true
	if runs, err := (&Conn{runs: k}).Runs("default", "p", "r"); err != nil || len(runs) > 0 {
		t.Errorf("Runs of a cluster without Tekton: %v, %v", runs, err)
	}
}
