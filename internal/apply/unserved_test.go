package apply_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
)

// An API server that starts answers with 404 for kinds that it serves a moment later.
// Their objects must not count as removed.
func TestUnservedKindIsNotEmpty(t *testing.T) {
	for name, test := range map[string]struct {
		reads, deletions, uncached bool
	}{
		"reads":                                 {reads: true},
		"deletions":                             {deletions: true},
		"reads of objects that the cache lacks": {reads: true, uncached: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "unserved")
			argo := w.namespace()
			project := w.project(argo, w.owner.Product)
			a := w.applier()
			w.must(a, project)
			notServed := func(method string, o client.Object) error {
				group := schema.GroupResource{Group: o.GetObjectKind().GroupVersionKind().Group, Resource: "appprojects"}
				return apierrors.NewGenericServerResponse(http.StatusNotFound, method, group, o.GetName(), "404 page not found", 0, true)
			}
			w.intercept(interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
					if test.reads {
						return notServed(http.MethodGet, o)
					}
					return c.Get(ctx, key, o, opts...)
				},
				Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
					if test.deletions {
						return notServed(http.MethodDelete, o)
					}
					return c.Delete(ctx, o, opts...)
				},
			})
			if test.uncached {
				w.conn.owned = func(plan.Owner) ([]metav1.PartialObjectMetadata, error) { return nil, nil }
			}
			var unserved *apply.UnservedError
			_, err := w.apply(a, apply.Options{NoGuard: true})
			if !errors.As(err, &unserved) {
				t.Fatalf("the error is %v, want one about a kind that is not served", err)
			}
			if want := "Cluster c does not serve the kind of AppProject.argoproj.io "; !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not hold %q", err, want)
			}
			test.reads, test.deletions = false, false
			if r, err := w.apply(a, apply.Options{NoGuard: true}); err != nil || len(r.Deleted) != 1 || w.live(project.ID) != nil {
				t.Errorf("when it is served again: %+v, %v", r, err)
			}
		})
	}
}
