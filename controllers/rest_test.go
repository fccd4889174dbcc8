package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/controllers"
	"nautes.io/nautes/test/devstack"
)

// A second pass over an unchanged world, after a restart at that, writes
// nothing: counted at the API servers.
func TestSecondPassWritesNothing(t *testing.T) {
	w := thePipelines(t)
	s, m := newShop(w, "801", "alpha"), newMill(w, "1009")
	m.open(t, m.guide(t))
	s.open(t)
	s.synced(t, "Synced", "Healthy")
	w.condition(t, s.runtimeObject(), "Ready", "True", "Ready")
	w.condition(t, s.productObject(), "Ready", "True", "Ready")
	m.ready(t)
	w.condition(t, m.productObject(), "Ready", "True", "Ready")
	key := w.webhookKey(t)
	quiet(t, w, func() {}, pipelineWorker)
	quiet(t, w, func() {
		w.restart(t)
		until(t, "the new operator at work", func() error {
			for _, cluster := range []string{s.cluster, m.cluster} {
				if !w.op.Deps.Clusters.State(cluster).Connected {
					return fmt.Errorf("it has not connected to %s yet", cluster)
				}
			}
			return nil
		})
	}, pipelineWorker)
	if w.webhookKey(t) != key {
		t.Error("the key of the webhooks has changed")
	}
	inSeveralProcesses(t, w)
	// No other test runs until here; the products go while the others do.
	t.Parallel()
}

// The controllers know everything from the API server, so they may run in several
// processes: nothing is written when they start, and a push brings about the same.
func inSeveralProcesses(t *testing.T, w *world) {
	t.Helper()
	onClusters := []string{"space", "deploymentruntime", "projectpipelineruntime"}
	others := slices.DeleteFunc(controllers.Names(), func(name string) bool { return name == "cluster" || slices.Contains(onClusters, name) })
	var more []*running
	quiet(t, w, func() {
		w.op.quit(t)
		w.op = w.start(t, others)
		for _, names := range [][]string{{"cluster"}, {"space"}, {"deploymentruntime", "projectpipelineruntime"}} {
			more = append(more, w.start(t, names))
		}
		until(t, "the connections of the processes", func() error {
			for _, r := range more {
				if !r.Deps.Clusters.State("alpha").Connected {
					return errors.New("one of them has not connected yet")
				}
			}
			return nil
		})
	})
	s := newShop(w, "803", "alpha")
	s.open(t)
	w.condition(t, s.runtimeObject(), "Ready", "False", v1alpha1.ReasonProgressing)
	exists(t, w.runtimes["alpha"], s.application())
	w.op.quit(t)
	for _, r := range more {
		r.quit(t)
	}
	w.op = w.start(t, controllers.Names())
	w.condition(t, s.productObject(), "Ready", "True", "Ready")
}

// quiet waits until the API servers are at rest, does something, and checks
// that nothing is written in the seconds after it.
func quiet(t *testing.T, w *world, do func(), runtimes ...string) {
	t.Helper()
	planes := map[string]*devstack.ControlPlane{"tenant": w.Tenant, "alpha": w.Runtimes["alpha"]}
	for _, name := range runtimes {
		planes[name] = w.Runtimes[name]
	}
	marks := map[string]devstack.Mark{}
	settle := func() {
		until(t, "a world at rest", func() error {
			before := map[string]int64{}
			for name, plane := range planes {
				revision, err := plane.EtcdRevision(context.Background())
				if err != nil {
					return err
				}
				before[name] = revision
			}
			time.Sleep(time.Second)
			for name, plane := range planes {
				if revision, err := plane.EtcdRevision(context.Background()); err != nil || revision != before[name] {
					return fmt.Errorf("%s is written to: %v", name, err)
				}
			}
			return nil
		})
	}
	settle()
	for name, plane := range planes {
		mark, err := plane.Mark(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		marks[name] = mark
	}
	do()
	time.Sleep(3 * time.Second)
	for name, plane := range planes {
		changes, err := plane.Changes(t.Context(), marks[name])
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range changes {
			t.Errorf("%s: %s", name, change)
		}
	}
}
