package edit

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// TestDeployedRuntimeStays checks that a change is judged by the status of the object in
// the cluster, which no file has.
func TestDeployedRuntimeStays(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t).tenant(t)
	deployed := DeploymentRuntime(product, "app", "dev", "repo", For("api"))
	w.seed(t, deployed)
	deployed.Status.Target = &v1alpha1.RuntimeTarget{Environment: "dev", Cluster: "worker", Namespaces: []string{"app"}, Account: "app"}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(deployed)
	for _, kind := range references.Kinds() {
		builder = builder.WithIndex(kind, references.Index, references.IndexValues)
	}
	w.Reader = builder.Build()
	w.loader = &snapshot.Loader{Reader: w.Reader, Tenant: w.Tenant, Namespace: "nautes"}
	for name, tt := range map[string]struct {
		change     func(*v1alpha1.DeploymentRuntime)
		wantFields []string
	}{
		"another path":      {change: func(r *v1alpha1.DeploymentRuntime) { r.Spec.ManifestSource.Path = "other" }},
		"another namespace": {change: Into("elsewhere"), wantFields: []string{"spec.destination.namespaces"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Do(context.Background(), w.save(DeploymentRuntime(product, "app", "dev", "repo", For("api"), tt.change)))
			var refused *InvalidError
			if errors.As(err, &refused) {
				err = nil
			} else {
				refused = &InvalidError{}
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.wantFields, fields(refused.Errors)); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}
