package scenario

import (
	"context"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/githost"
)

// Panics returns how many reconciles have panicked in this process, or -1 if the
// metrics cannot be read.
func Panics() int {
	families, err := metrics.Registry.(prometheus.Gatherer).Gather()
	if err != nil {
		return -1
	}
	total := 0.0
	for _, family := range families {
		if family.GetName() == "controller_runtime_reconcile_panics_total" {
			for _, m := range family.GetMetric() {
				total += m.GetCounter().GetValue()
			}
		}
	}
	return int(total)
}

// MustApply is Apply for a test.
func (s *System) MustApply(t testing.TB, manifests ...string) {
	t.Helper()
	if err := s.Apply(t.Context(), manifests...); err != nil {
		t.Fatal(err)
	}
}

// Push pushes to a repository and returns the revision. A test may also push when it
// cleans up.
func (s *System) Push(t testing.TB, path string, commit githost.Commit) string {
	t.Helper()
	revision, err := s.Git.Edit(context.WithoutCancel(t.Context()), path, commit)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// Until asks until the answer is nil. If that takes too long, the test fails with the
// last answer, and with the state of all objects.
func (s *System) Until(t testing.TB, what string, ask func() error) {
	t.Helper()
	err := Until(context.Background(), Patience, what, func(context.Context) error { return ask() })
	if err != nil {
		s.dump(t)
		t.Fatal(err)
	}
}

// AwaitObjects waits until objects exist on a cluster.
func (s *System) AwaitObjects(t testing.TB, c client.Client, objects ...*unstructured.Unstructured) {
	t.Helper()
	for _, o := range objects {
		s.Until(t, o.GetKind()+" "+o.GetName()+" exists", func() error {
			return c.Get(context.Background(), client.ObjectKeyFromObject(o), o)
		})
	}
}

// AwaitGone waits until objects do not exist on a cluster.
func (s *System) AwaitGone(t testing.TB, c client.Client, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		s.Until(t, kindOf(o)+" "+o.GetName()+" is gone", func() error { return Absent(context.Background(), c, o) })
	}
}

// AwaitCondition waits until a condition of an object has a status and a reason, of
// which empty ones match all. It returns the message.
func (s *System) AwaitCondition(t testing.TB, o v1alpha1.Object, conditionType string, status metav1.ConditionStatus, reason string) string {
	t.Helper()
	message := ""
	s.Until(t, fmt.Sprintf("%s %s: %s=%s/%s", kindOf(o), o.GetName(), conditionType, status, reason), func() error {
		found, err := Condition(context.Background(), s.Client, o, conditionType, status, reason)
		if err == nil {
			message = found.Message
		}
		return err
	})
	return message
}

// dump logs the state of every object, for a test that fails.
func (s *System) dump(t testing.TB) {
	t.Helper()
	for _, list := range []client.ObjectList{
		&v1alpha1.ClusterList{}, &v1alpha1.ProductList{}, &v1alpha1.EnvironmentList{}, &v1alpha1.ProjectList{}, &v1alpha1.CodeRepoList{},
		&v1alpha1.CodeRepoBindingList{}, &v1alpha1.DeploymentRuntimeList{}, &v1alpha1.ProjectPipelineRuntimeList{},
	} {
		if err := s.Client.List(context.Background(), list); err != nil {
			t.Logf("list %T: %v", list, err)
			continue
		}
		_ = meta.EachListItem(list, func(o runtime.Object) error {
			object := o.(v1alpha1.Object)
			t.Logf("%T %s/%s deleted=%v", o, object.GetNamespace(), object.GetName(), !object.GetDeletionTimestamp().IsZero())
			for _, c := range object.GetStatus().Conditions {
				t.Logf("   %s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
			}
			if p, ok := o.(*v1alpha1.Product); ok {
				t.Logf("   sync %+v spaces %+v", p.Status.Sync, p.Status.Spaces)
			}
			return nil
		})
	}
}
