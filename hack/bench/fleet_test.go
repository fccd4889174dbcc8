package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/remote/kubeconfig"
	"nautes.io/nautes/test/scenario"
)

// A figure of the fleet means something only if Nautes treats its clusters as real
// ones: connected, with every kind served, written once, and pruned.
func TestSimulatedCluster(t *testing.T) {
	f, err := startFleet(map[behaviour]int{healthy: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.stop() })
	conn := connect(t, f, f.members[0])
	if other := connect(t, f, f.members[1]); other.UID() == conn.UID() {
		t.Errorf("two clusters have the UID %s", conn.UID())
	}
	if conn.Version() != simulatedVersion {
		t.Errorf("the version is %s", conn.Version())
	}
	for _, gvk := range plan.RuntimeKinds() {
		if served, err := conn.Serves(t.Context(), gvk.Group, gvk.Kind); err != nil || !served {
			t.Errorf("%v is served: %v, %v", gvk, served, err)
		}
	}
	if _, err := conn.EntryPoints(); err != nil {
		t.Errorf("the entry points: %v", err)
	}

	owner := plan.Owner{Kind: "Cluster", Name: "one"}
	set := plan.Set{Owner: owner, Target: plan.Cluster("one"), Items: []plan.Item{namespaceItem(owner), accountItem(owner)}}
	applier := apply.New("bench", nil)
	for _, step := range []struct {
		name          string
		items         int
		want          apply.Result
		wantDeleted   int
		writes, there int
	}{
		{name: "new", items: 2, want: apply.Result{Written: 2}, writes: 2, there: 2},
		{name: "again", items: 2, want: apply.Result{Unchanged: 2}, there: 2},
		{name: "less", items: 1, want: apply.Result{Unchanged: 1}, wantDeleted: 1, writes: 1, there: 1},
	} {
		set.Items = set.Items[:step.items]
		before := f.writes.Load()
		got, err := applier.Apply(t.Context(), conn, set, apply.Options{})
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got.Written != step.want.Written || got.Unchanged != step.want.Unchanged || len(got.Deleted) != step.wantDeleted {
			t.Errorf("%s: %+v, want %+v", step.name, got, step.want)
		}
		if writes := f.writes.Load() - before; writes != int64(step.writes) {
			t.Errorf("%s: %d requests to write, want %d", step.name, writes, step.writes)
		}
		err = scenario.Until(t.Context(), patience, "the objects in the cache", func(context.Context) error {
			if owned, err := conn.Owned(t.Context(), owner); err != nil || len(owned) != step.there {
				return notThere{len(owned), err}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
	}
	// Another process does not know the writes of the first one.
	got, err := apply.New("bench", nil).Apply(t.Context(), conn, set, apply.Options{})
	if err != nil || got.Written != 0 || got.Unchanged != 1 {
		t.Errorf("by another process: %+v, %v", got, err)
	}
}

// notThere says how many objects were found.
type notThere struct {
	found int
	err   error
}

func (e notThere) Error() string { return fmt.Sprintf("%d are found: %v", e.found, e.err) }

func connect(t *testing.T, f *fleet, m *member) *remote.Conn {
	t.Helper()
	credentials, err := f.kubeconfig(m)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := kubeconfig.Parse(credentials)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := remote.Connect(t.Context(), cfg, remote.ConnOptions{
		Tenant: "bench", Kinds: plan.RuntimeKinds(), EntryPoints: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := conn.WaitForSync(ctx); err != nil {
		t.Fatal(err)
	}
	return conn
}

func namespaceItem(owner plan.Owner) plan.Item {
	o := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "room", Labels: owner.Labels("bench")}}
	return plan.Item{ID: plan.ID{Kind: "Namespace", Name: o.Name}, Stage: plan.StageNamespace, Object: o}
}

func accountItem(owner plan.Owner) plan.Item {
	o := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "room", Name: "guest", Labels: owner.Labels("bench")}}
	return plan.Item{ID: plan.ID{Kind: "ServiceAccount", Namespace: o.Namespace, Name: o.Name}, Stage: plan.StageAccount, Object: o}
}
