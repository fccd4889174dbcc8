package snapshot_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

func TestTarget(t *testing.T) {
	whole := []client.Object{Environment("product-1", "dev", "c"), Environment("product-1", "lost", "absent"), Environment("product-2", "other", "c"), Cluster("c")}
	reordered := Deployed("c", DeploymentRuntime("product-1", "app", "dev", "repo", Into("a", "b")))
	changed := reordered.DeepCopy()
	reordered.Spec.Destination.Namespaces, changed.Spec.Destination.Namespaces = []string{"b", "a"}, []string{"b", "c"}
	tests := map[string]struct {
		runtime     *v1alpha1.DeploymentRuntime
		want        v1alpha1.RuntimeTarget
		wantMissing plan.Ref
	}{
		"by default": {
			runtime: DeploymentRuntime("product-1", "app", "dev", "repo"),
			want:    v1alpha1.RuntimeTarget{Environment: "dev", Cluster: "c", Namespaces: []string{"app"}, Account: "app"},
		},
		"as the spec says, each namespace once": {
			runtime: DeploymentRuntime("product-1", "app", "dev", "repo", Into("b", "a", "b"), As("robot")),
			want:    v1alpha1.RuntimeTarget{Environment: "dev", Cluster: "c", Namespaces: []string{"b", "a"}, Account: "robot"},
		},
		"in another order than before": {
			runtime: reordered,
			want:    v1alpha1.RuntimeTarget{Environment: "dev", Cluster: "c", Namespaces: []string{"a", "b"}, Account: "app"},
		},
		"other namespaces than before": {
			runtime: changed,
			want:    v1alpha1.RuntimeTarget{Environment: "dev", Cluster: "c", Namespaces: []string{"b", "c"}, Account: "app"},
		},
		"no environment": {
			runtime:     DeploymentRuntime("product-1", "app", "test", "repo"),
			wantMissing: plan.Ref{Kind: "Environment", Namespace: "product-1", Name: "test"},
		},
		"an environment of another product": {
			runtime:     DeploymentRuntime("product-1", "app", "other", "repo"),
			wantMissing: plan.Ref{Kind: "Environment", Namespace: "product-1", Name: "other"},
		},
		"no cluster": {
			runtime:     DeploymentRuntime("product-1", "app", "lost", "repo"),
			wantMissing: plan.Ref{Kind: "Cluster", Namespace: Namespace, Name: "absent"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := newSnapshot(whole...).Target(test.runtime)
			var missing *snapshot.MissingError
			if errors.As(err, &missing) != (test.wantMissing != plan.Ref{}) {
				t.Fatalf("error %v, want one about %v", err, test.wantMissing)
			}
			if missing != nil && missing.Missing != test.wantMissing {
				t.Errorf("%v is missing, want %v", missing.Missing, test.wantMissing)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("target (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEffectiveTarget(t *testing.T) {
	s := newSnapshot(Environment("product-1", "dev", "new"), Cluster("new"), Cluster("old"))
	spec := func() *v1alpha1.DeploymentRuntime {
		return DeploymentRuntime("product-1", "app", "dev", "repo", Into("a"))
	}
	moved := Deployed("old", spec())
	moved.Spec.Destination.Namespaces, moved.Spec.Account = []string{"b"}, "robot"
	empty := spec()
	empty.Status.Target = &v1alpha1.RuntimeTarget{Environment: "dev", Cluster: "old"}
	tests := map[string]struct {
		runtime v1alpha1.Runtime
		want    v1alpha1.RuntimeTarget
		wantOK  bool
	}{
		"not recorded": {runtime: spec(), wantOK: true,
			want: v1alpha1.RuntimeTarget{Environment: "dev", Cluster: "new", Namespaces: []string{"a"}, Account: "app"}},
		"recorded, with the account of now": {runtime: moved, wantOK: true,
			want: v1alpha1.RuntimeTarget{Environment: "dev", Cluster: "old", Namespaces: []string{"a"}, Account: "robot"}},
		"recorded and being deleted": {runtime: Deleting(Deployed("old", spec())), wantOK: true,
			want: v1alpha1.RuntimeTarget{Environment: "dev", Cluster: "old", Namespaces: []string{"a"}, Account: "app"}},
		"a record without namespaces is none": {runtime: empty, wantOK: true,
			want: v1alpha1.RuntimeTarget{Environment: "dev", Cluster: "new", Namespaces: []string{"a"}, Account: "app"}},
		"being deleted before it was recorded": {runtime: Deleting(spec())},
		"its environment is missing":           {runtime: DeploymentRuntime("product-1", "app", "test", "repo")},
		"a pipeline runtime": {runtime: PipelineRuntime("product-1", "pipe", "api", "dev", "repo"), wantOK: true,
			want: v1alpha1.RuntimeTarget{Environment: "dev", Cluster: "new", Namespaces: []string{"pipe"}, Account: "pipe"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := s.EffectiveTarget(test.runtime)
			if !ok {
				got = v1alpha1.RuntimeTarget{}
			}
			if diff := cmp.Diff(test.want, got); diff != "" || ok != test.wantOK {
				t.Errorf("ok = %v, want %v; target (-want +got):\n%s", ok, test.wantOK, diff)
			}
		})
	}
}

func TestClaims(t *testing.T) {
	base := []client.Object{
		Cluster("c"), Cluster("d"),
		Environment("product-1", "dev", "c"), Environment("product-2", "dev", "c"), Environment("product-3", "dev", "d"),
	}
	app := func(product, name string, minute int) *v1alpha1.DeploymentRuntime {
		return At(minute, DeploymentRuntime(product, name, "dev", "repo", Into("shared")))
	}
	pipe := func(product, name string, minute int) *v1alpha1.ProjectPipelineRuntime {
		return At(minute, PipelineRuntime(product, name, "api", "dev", "repo", func(r *v1alpha1.ProjectPipelineRuntime) {
			r.Spec.Destination.Namespace = "shared"
		}))
	}
	// moving is at another place, from where it goes to the shared one.
	moving := func(product, name, cluster, namespace string, minute int) *v1alpha1.ProjectPipelineRuntime {
		r := pipe(product, name, minute)
		r.Status.Target = &v1alpha1.RuntimeTarget{Environment: "old", Cluster: cluster, Namespaces: []string{namespace}}
		return r
	}
	away := moving("product-1", "p", "c", "shared", 9)
	away.Spec.Destination.Namespace = "elsewhere"
	notYet := app("product-2", "a", 0)
	notYet.CreationTimestamp.Reset()
	// Each line is the product and the name of a runtime, and whom it loses to.
	tests := map[string]struct {
		objects []client.Object
		want    []string
	}{
		"no runtime":                      {},
		"one":                             {objects: []client.Object{app("product-1", "a", 1)}, want: []string{"product-1/a"}},
		"another cluster does not matter": {objects: []client.Object{app("product-1", "a", 1), app("product-3", "a", 0)}, want: []string{"product-1/a"}},
		"a product may share":             {objects: []client.Object{app("product-1", "a", 1), app("product-1", "b", 0)}, want: []string{"product-1/b", "product-1/a"}},
		"the older product has it":        {objects: []client.Object{app("product-1", "a", 1), app("product-2", "a", 0)}, want: []string{"product-2/a", "product-1/a < product-2/a"}},
		"of equal age, the first by name": {objects: []client.Object{app("product-2", "a", 1), app("product-1", "b", 1)}, want: []string{"product-1/b", "product-2/a < product-1/b"}},
		"deployed comes before older":     {objects: []client.Object{Deployed("c", app("product-1", "a", 9)), app("product-2", "a", 0)}, want: []string{"product-1/a", "product-2/a < product-1/a"}},
		"of two deployed, the older":      {objects: []client.Object{Deployed("c", app("product-1", "a", 9)), Deployed("c", app("product-2", "a", 0))}, want: []string{"product-2/a", "product-1/a < product-2/a"}},
		"not created yet comes last":      {objects: []client.Object{app("product-1", "a", 9), notYet}, want: []string{"product-1/a", "product-2/a < product-1/a"}},
		"a loser excludes no other": {
			objects: []client.Object{app("product-1", "a", 1), app("product-2", "b", 2), app("product-1", "c", 3)},
			want:    []string{"product-1/a", "product-2/b < product-1/a", "product-1/c"},
		},
		"a deployed one that is being deleted keeps it":        {objects: []client.Object{Deleting(Deployed("c", app("product-1", "a", 9))), app("product-2", "a", 0)}, want: []string{"product-1/a", "product-2/a < product-1/a"}},
		"one that is deleted before it was deployed":           {objects: []client.Object{Deleting(app("product-1", "a", 0)), app("product-2", "a", 9)}, want: []string{"product-2/a"}},
		"a pipeline runtime shares with no deployment":         {objects: []client.Object{pipe("product-1", "p", 1), app("product-1", "a", 2)}, want: []string{"product-1/p", "product-1/a < product-1/p"}},
		"a deployment is not joined by a pipeline":             {objects: []client.Object{pipe("product-1", "p", 2), app("product-1", "a", 1)}, want: []string{"product-1/a", "product-1/p < product-1/a"}},
		"a pipeline runtime shares with no other one":          {objects: []client.Object{pipe("product-1", "p", 2), pipe("product-1", "q", 1)}, want: []string{"product-1/q", "product-1/p < product-1/q"}},
		"a pipeline runtime has where it is until it has left": {objects: []client.Object{away, app("product-1", "a", 1)}, want: []string{"product-1/p", "product-1/a < product-1/p"}},
		"a pipeline runtime wants where it goes":               {objects: []client.Object{moving("product-1", "p", "c", "old", 1), app("product-2", "a", 2)}, want: []string{"product-1/p", "product-2/a < product-1/p"}},
		"and from another cluster":                             {objects: []client.Object{moving("product-1", "p", "d", "shared", 2), app("product-2", "a", 1)}, want: []string{"product-2/a", "product-1/p < product-2/a"}},
		"deployed comes before an older one that moves":        {objects: []client.Object{moving("product-1", "p", "c", "old", 1), Deployed("c", app("product-2", "a", 2))}, want: []string{"product-2/a", "product-1/p < product-2/a"}},
		"who is deleted goes nowhere":                          {objects: []client.Object{Deleting(moving("product-1", "p", "c", "old", 1)), app("product-2", "a", 2)}, want: []string{"product-2/a"}},
		"runtimes of two kinds may be of the same name":        {objects: []client.Object{pipe("product-1", "a", 1), app("product-1", "a", 1)}, want: []string{"product-1/a", "product-1/a < product-1/a"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSnapshot(append(test.objects, base...)...)
			var got []string
			for _, c := range s.Claims("c", "shared") {
				line := c.Product() + "/" + c.Runtime.Name
				if !c.Granted() {
					line += " < " + c.LosesTo.Namespace + "/" + c.LosesTo.Name
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("claims, the holder first (-want +got):\n%s", diff)
			}
			holder := ""
			if len(test.want) > 0 {
				holder = test.want[0][:len("product-1")]
			}
			if got := s.HolderOf("c", "shared"); got != holder {
				t.Errorf("HolderOf = %q, want %q", got, holder)
			}
		})
	}
}

func TestClaimOf(t *testing.T) {
	first, second := DeploymentRuntime("product-1", "a", "dev", "repo"), DeploymentRuntime("product-2", "a", "dev", "repo")
	s := newSnapshot(Cluster("c"), Environment("product-1", "dev", "c"), Environment("product-2", "dev", "c"), first, second)
	if claim, ok := s.ClaimOf(second, "c", "a"); !ok || claim.LosesTo != snapshot.RefOf(first) {
		t.Errorf("the claim of the second is %v, %v, want it to lose to the first", claim, ok)
	}
	if claim, ok := s.ClaimOf(first, "c", "other"); ok {
		t.Errorf("a claim of no runtime is %v", claim)
	}
}
