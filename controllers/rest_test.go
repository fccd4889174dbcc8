package controllers_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/controllers"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/scenario"
)

// A second pass over an unchanged system, after a restart at that, writes
// nothing: counted at the API servers.
func TestSecondPassWritesNothing(t *testing.T) {
	sys := thePipelines(t)
	s, m := newProduct(sys, "801", "alpha"), newPipelineProduct(sys, "1009")
	m.open(t, m.guide(t))
	s.open(t)
	s.ready(t)
	sys.condition(t, s.Object(), "Ready", "True", "Ready")
	m.ready(t)
	sys.condition(t, m.Object(), "Ready", "True", "Ready")
	key := sys.webhookKey(t)
	quiet(t, sys, func() {}, pipelineWorker)
	quiet(t, sys, func() {
		sys.restart(t)
		sys.Until(t, "the new operator at work", func() error {
			for _, cluster := range []string{s.cluster, m.cluster} {
				if !sys.op.Deps.Clusters.State(cluster).Connected {
					return fmt.Errorf("it has not connected to %s yet", cluster)
				}
			}
			return nil
		})
	}, pipelineWorker)
	if sys.webhookKey(t) != key {
		t.Error("the key of the webhooks has changed")
	}
	inSeveralProcesses(t, sys)
	// No other test runs until here; the products go while the others do.
	t.Parallel()
}

// The controllers know everything from the API server, so they may run in several
// processes: nothing is written when they start, and a push brings about the same.
func inSeveralProcesses(t *testing.T, sys *system) {
	t.Helper()
	onClusters := []string{"space", "deploymentruntime", "projectpipelineruntime"}
	others := slices.DeleteFunc(controllers.Names(), func(name string) bool { return name == "cluster" || slices.Contains(onClusters, name) })
	var more []*scenario.Operator
	quiet(t, sys, func() {
		stop(t, sys.op)
		sys.serve(t, others)
		for _, names := range [][]string{{"cluster"}, {"space"}, {"deploymentruntime", "projectpipelineruntime"}} {
			more = append(more, sys.start(t, names))
		}
		sys.Until(t, "the connections of the processes", func() error {
			for _, r := range more {
				if !r.Deps.Clusters.State("alpha").Connected {
					return errors.New("one of them has not connected yet")
				}
			}
			return nil
		})
	})
	s := newProduct(sys, "803", "alpha")
	s.open(t)
	sys.condition(t, s.runtimeObject(), "Ready", "False", v1alpha1.ReasonProgressing)
	sys.AwaitObjects(t, sys.Clusters["alpha"], s.application())
	more[2] = lostBeforeItIsFound(t, sys, s, more[2])
	stop(t, sys.op)
	for _, r := range more {
		stop(t, r)
	}
	// No later test needs an early look at a repository that does not change, and each of
	// them starts two processes.
	sys.poll = 5 * time.Second
	sys.serve(t, controllers.Names())
	sys.condition(t, s.Object(), "Ready", "True", "Ready")
}

// A space keeps what a runtime has on its cluster while the record of it is lost, for as
// long as no controller of runtimes finds it again. It returns the new process of that
// controller.
func lostBeforeItIsFound(t *testing.T, sys *system, s *product, runtimes *scenario.Operator) *scenario.Operator {
	t.Helper()
	r, namespace := s.runtimeObject(), scenario.Object("v1", "Namespace", "", s.namespace)
	recorded(t, sys, r, "alpha")
	sys.AwaitObjects(t, sys.Clusters["alpha"], namespace)
	stop(t, runtimes)
	s.mirrored(t, s.push(t, map[string]string{runtimeFile: strings.Replace(s.runtime(), "environment: dev", "environment: nowhere", 1)}))
	s.lose(t, r)
	planes := map[string]*devstack.ControlPlane{"tenant": sys.Tenant, "alpha": sys.Runtimes["alpha"]}
	if err := scenario.Settle(t.Context(), scenario.Patience, planes, nil); err != nil {
		t.Fatal(err)
	}
	kept := scenario.Object("v1", "Namespace", "", s.namespace)
	sys.AwaitObjects(t, sys.Clusters["alpha"], s.application(), kept)
	if kept.GetUID() != namespace.GetUID() || kept.GetDeletionTimestamp() != nil {
		t.Errorf("the space removes the namespace of a runtime whose record is lost: %v", kept.Object["metadata"])
	}
	runtimes = sys.start(t, []string{"deploymentruntime", "projectpipelineruntime"})
	recorded(t, sys, r, "alpha")
	s.mirrored(t, s.push(t, map[string]string{runtimeFile: s.runtime()}))
	return runtimes
}

// quiet waits until the API servers are at rest, does something, and checks
// that nothing is written in the seconds after it.
func quiet(t *testing.T, sys *system, do func(), runtimes ...string) {
	t.Helper()
	planes := map[string]*devstack.ControlPlane{"tenant": sys.Tenant, "alpha": sys.Runtimes["alpha"]}
	for _, name := range runtimes {
		planes[name] = sys.Runtimes[name]
	}
	if err := scenario.Settle(t.Context(), scenario.Patience, planes, nil); err != nil {
		t.Fatal(err)
	}
	writes, err := scenario.Record(t.Context(), planes)
	if err != nil {
		t.Fatal(err)
	}
	do()
	time.Sleep(3 * time.Second)
	changes, err := writes.Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, all := range changes {
		for _, change := range all {
			t.Errorf("%s: %s", name, change)
		}
	}
}
