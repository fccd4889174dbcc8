package remote

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/test/remotetest"
)

// An API server that starts does not serve each defined kind at once. Until it does,
// the objects of the kind are unknown, and the cluster is not connected.
func TestDefinedKindIsNotEmpty(t *testing.T) {
	remotetest.InstallCRDs(t, server.Config(t), remotetest.CRDApplication, remotetest.CRDAppProject)
	c := admin(t)
	ns := namespace(t, c, nil)
	owner := plan.Owner{Kind: "Space", Name: remotetest.Unique("s")}
	project := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
	project.SetGroupVersionKind(argoKind("AppProject"))
	project.SetNamespace(ns)
	project.SetName(owner.Name)
	project.SetLabels(owner.Labels(tenant))
	create(t, c, project)
	t.Cleanup(func() { _ = c.Delete(context.Background(), project) })

	i := newImpostor(t)
	i.hidden.Store(true)
	m, _ := started(t, ManagerOptions{})
	set(m, "c", value(i.kubeconfig()), "1", "", "")
	waitMessage(t, m, "c", "has its definition, and does not serve it yet")
	if _, err := m.Get("c"); !errors.Is(err, ErrNotConnected) {
		t.Errorf("Get: %v", err)
	}
	i.hidden.Store(false)
	waitState(t, m, "c", v1alpha1.ReasonConnected)
	conn, err := m.Get("c")
	if err != nil {
		t.Fatal(err)
	}
	found := func() error {
		owned, err := conn.Owned(t.Context(), owner)
		return errors.Join(err, want(len(owned) == 1, "%d objects are found", len(owned)))
	}
	if err := found(); err != nil {
		t.Error(err)
	}

	// The watches break, and the kind is not served for a moment.
	i.hidden.Store(true)
	i.CloseClientConnections()
	tracker := newTracker(t.Context(), conn.discovery, watcher{run: &conn.run}, conn.order, logr.Discard())
	tracker.definitions = func() ([]string, error) { return []string{"applications.argoproj.io", "appprojects.argoproj.io"}, nil }
	if tracker.check(t.Context(), "argoproj.io") {
		t.Error("the group needs no check, although it is not served")
	}
	if err := found(); err != nil {
		t.Error(err)
	}
	if served, err := conn.Serves(t.Context(), "argoproj.io", "EventBus"); served || err != nil {
		t.Errorf("a kind without definition: served %t, %v", served, err)
	}
}

// A definition without our version serves nothing that we could have written.
func TestOtherVersionIsNotServed(t *testing.T) {
	gvk := schema.GroupVersionKind{Group: "external-secrets.io", Version: "v1beta1", Kind: "SecretStore"}
	installKind(t, gvk, "secretstores")
	conn := synced(t, connect(t, server.Config(t), nil))
	if served, err := conn.Serves(t.Context(), gvk.Group, gvk.Kind); served || err != nil {
		t.Errorf("served %t, %v", served, err)
	}
}

// An account that may not read definitions cannot know which kinds are missing.
func TestUnreadableDefinitions(t *testing.T) {
	rules := runtimeRules()
	conn, err := Connect(t.Context(), limited(t, "no-definitions", rules[:len(rules)-1]), ConnOptions{
		Tenant: tenant, Kinds: plan.RuntimeKinds(), Rights: runtimeRights,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	remotetest.Eventually(t, "wait for the cause", func(context.Context) error {
		err := conn.Synced()
		return want(errors.Is(err, ErrNotSynced) && strings.Contains(err.Error(), "may not read customresourcedefinitions") &&
			strings.Contains(err.Error(), "nautes-runtime"), "error is %v", err)
	})
}
