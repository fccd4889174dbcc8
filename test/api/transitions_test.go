package api_test

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// transition is a change of an object that exists, and the wanted answer.
type transition struct {
	before, after []change
	// status is set before the change.
	status  []change
	wantErr string
}

func checkTransitions(t *testing.T, base *unstructured.Unstructured, tests map[string]transition) {
	t.Helper()
	c := clientFor(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			object := base.DeepCopy()
			object.SetNamespace(nsTransitions)
			unstructured.RemoveNestedField(object.Object, "status")
			for _, change := range tt.before {
				setValue(t, object.Object, change.at, change.value)
			}
			if err := c.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := c.Delete(context.WithoutCancel(t.Context()), object); err != nil {
					t.Error(err)
				}
			})
			if len(tt.status) > 0 {
				for _, change := range tt.status {
					setValue(t, object.Object, change.at, change.value)
				}
				if err := c.Status().Update(t.Context(), object); err != nil {
					t.Fatal(err)
				}
			}
			stored := object.DeepCopy()
			for _, change := range tt.after {
				setValue(t, object.Object, change.at, change.value)
			}
			sent := object.DeepCopy()
			err := c.Update(t.Context(), object)
			compareInProcess(t, sent, stored, err)
			checkAnswer(t, remember(err), tt.wantErr)
		})
	}
}

func TestProductOfAnObject(t *testing.T) {
	const want = "product cannot change"
	product := []any{"spec", "product"}
	for _, kind := range []string{"ArtifactRepo", "CodeRepo", "CodeRepoBinding", "DeploymentRuntime", "Environment", "Project"} {
		t.Run(kind, func(t *testing.T) {
			checkTransitions(t, filled(t, kind), map[string]transition{
				"another":         {after: []change{set("product-other", product...)}, wantErr: want},
				"left out":        {after: []change{remove(product...)}},
				"emptied":         {after: []change{set("", product...)}},
				"set":             {before: []change{remove(product...)}, after: []change{set("product-a", product...)}},
				"set from empty":  {before: []change{set("", product...)}, after: []change{set("product-a", product...)}},
				"the same":        {after: []change{set("product-filled", product...), set("x", "metadata", "labels", "x")}},
				"never there":     {before: []change{remove(product...)}, after: []change{set("x", "metadata", "labels", "x")}},
				"empty as before": {before: []change{set("", product...)}, after: []change{remove(product...)}},
			})
		})
	}
}

func TestImmutableFields(t *testing.T) {
	checkTransitions(t, filled(t, "CodeRepoBinding"), map[string]transition{
		"another repository": {after: []change{set("repo-2", "spec", "codeRepo")}, wantErr: "codeRepo cannot change"},
		"other projects":     {after: []change{set([]any{"other"}, "spec", "projects")}},
		"another permission": {after: []change{set("readonly", "spec", "permissions")}},
	})
	checkTransitions(t, filled(t, "Space"), map[string]transition{
		"another product": {after: []change{set("product-other", "spec", "product")}, wantErr: "the product of a space cannot change"},
		"another cluster": {after: []change{set("other", "spec", "cluster")}, wantErr: "the cluster of a space cannot change"},
		"labels":          {after: []change{set("x", "metadata", "labels", "x")}},
	})
	target := set(map[string]any{"environment": "staging", "cluster": "worker", "namespaces": []any{"filled"}}, "status", "target")
	project := set("other", "spec", "project")
	checkTransitions(t, filled(t, "ProjectPipelineRuntime"), map[string]transition{
		"another project, deployed":     {status: []change{target}, after: []change{project}, wantErr: "the project of a deployed runtime cannot change"},
		"another project, not deployed": {after: []change{project}},
		"another project, only status":  {status: []change{set(int64(1), "status", "observedGeneration")}, after: []change{project}},
		"other hooks, deployed":         {status: []change{target}, after: []change{remove("spec", "hooks")}},
	})
}

// Changes that no single object can forbid stay possible: they depend on runtimes
// and clusters, which the controllers ask.
func TestMutableFields(t *testing.T) {
	checkTransitions(t, filled(t, "DeploymentRuntime"), map[string]transition{
		"another environment": {after: []change{set("production", "spec", "destination", "environment")}},
		"other namespaces":    {after: []change{set([]any{"other"}, "spec", "destination", "namespaces")}},
	})
	checkTransitions(t, filled(t, "Environment"), map[string]transition{
		"another cluster": {after: []change{set("other", "spec", "cluster")}},
	})
	checkTransitions(t, filled(t, "Cluster"), map[string]transition{
		"another host": {after: []change{set("other", "spec", "hostCluster")}},
		"another use":  {after: []change{set("deployment", "spec", "workerType"), remove("spec", "tektonHost")}},
	})
	checkTransitions(t, filled(t, "Product"), map[string]transition{
		"another group":      {after: []change{set("other", "spec", "name")}},
		"another repository": {after: []change{set("https://a.example.com/b/c.git", "spec", "metaDataPath")}},
	})
}
