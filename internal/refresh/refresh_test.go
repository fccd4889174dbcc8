package refresh

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/foreign"
	"nautes.io/nautes/internal/references"
)

func deployed(name string, change ...func(*v1alpha1.DeploymentRuntime)) *v1alpha1.DeploymentRuntime {
	r := &v1alpha1.DeploymentRuntime{
		ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: name},
		Spec:       v1alpha1.DeploymentRuntimeSpec{ManifestSource: v1alpha1.ManifestSource{CodeRepo: "repo-7", TargetRevision: "main"}},
		Status: v1alpha1.DeploymentRuntimeStatus{
			Target: &v1alpha1.RuntimeTarget{Cluster: "alpha"}, Application: &v1alpha1.ApplicationStatus{Namespace: "argocd", Name: "app-" + name},
		},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func at(revision string) func(*v1alpha1.DeploymentRuntime) {
	return func(r *v1alpha1.DeploymentRuntime) { r.Spec.ManifestSource.TargetRevision = revision }
}

func TestDeploys(t *testing.T) {
	push := Push{Product: "product-1", Repository: "repo-7", Ref: "refs/heads/main"}
	for name, test := range map[string]struct {
		change func(*v1alpha1.DeploymentRuntime)
		push   Push
		want   bool
	}{
		"its branch":         {push: push, want: true},
		"another branch":     {change: at("next"), push: push},
		"the full name":      {change: at("refs/heads/main"), push: push, want: true},
		"HEAD":               {change: at("HEAD"), push: push, want: true},
		"no revision":        {change: at(""), push: push, want: true},
		"a tag":              {change: at("v1.0"), push: push},
		"a commit":           {change: at("0123456789abcdef0123456789abcdef01234567"), push: Push{Product: "product-1", Repository: "repo-7"}},
		"an unknown branch":  {change: at("next"), push: Push{Product: "product-1", Repository: "repo-7"}, want: true},
		"another repository": {push: Push{Product: "product-1", Repository: "repo-8", Ref: "refs/heads/main"}},
		"another product":    {push: Push{Product: "product-2", Repository: "repo-7", Ref: "refs/heads/main"}},
		"not deployed yet":   {change: func(r *v1alpha1.DeploymentRuntime) { r.Status.Application = nil }, push: push},
		"no target":          {change: func(r *v1alpha1.DeploymentRuntime) { r.Status.Target = nil }, push: push},
		"suspended":          {change: func(r *v1alpha1.DeploymentRuntime) { r.Spec.Suspend = true }, push: push},
		"being deleted":      {change: func(r *v1alpha1.DeploymentRuntime) { r.DeletionTimestamp = &metav1.Time{} }, push: push},
	} {
		t.Run(name, func(t *testing.T) {
			r := deployed("a")
			if test.change != nil {
				test.change(r)
			}
			if got := Deploys(r, test.push); got != test.want {
				t.Errorf("Deploys = %t, want %t", got, test.want)
			}
		})
	}
}

// cluster records the refreshes, and fails some of them.
type cluster struct {
	mu        sync.Mutex
	refreshed []string
	fails     []error
}

func (c *cluster) patch(_ context.Context, _ client.WithWatch, o client.Object, p client.Patch, _ ...client.PatchOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.fails) > 0 {
		err := c.fails[0]
		c.fails = c.fails[1:]
		return err
	}
	data, err := p.Data(o)
	if err != nil {
		return err
	}
	if want := `{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}`; string(data) != want {
		return errors.New("the patch is " + string(data))
	}
	c.refreshed = append(c.refreshed, o.GetObjectKind().GroupVersionKind().Kind+" "+o.GetNamespace()+"/"+o.GetName())
	return nil
}

func (c *cluster) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(slices.Values(c.refreshed))
}

func TestRefresher(t *testing.T) {
	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "applications"}, "app-a")
	broken := errors.New("connection reset")
	app := func(names ...string) []string {
		for i, name := range names {
			names[i] = "Application argocd/app-" + name
		}
		return names
	}
	for name, test := range map[string]struct {
		objects []client.Object
		fails   []error
		connect error
		want    []string
		// wantAttempts is how often the push is handled.
		wantAttempts int
	}{
		"nothing deploys it":    {objects: []client.Object{deployed("a", at("next"))}, wantAttempts: 1},
		"two runtimes":          {objects: []client.Object{deployed("a"), deployed("b"), deployed("c", at("next"))}, want: app("a", "b"), wantAttempts: 1},
		"the Application gone":  {objects: []client.Object{deployed("a"), deployed("b")}, fails: []error{gone}, want: app("b"), wantAttempts: 1},
		"a cluster that fails":  {objects: []client.Object{deployed("a")}, fails: []error{broken, broken}, want: app("a"), wantAttempts: 3},
		"a cluster that is off": {objects: []client.Object{deployed("a")}, connect: broken, wantAttempts: maxAttempts},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			builder := fake.NewClientBuilder().WithScheme(foreign.Scheme()).WithObjects(test.objects...)
			builder = builder.WithIndex(&v1alpha1.DeploymentRuntime{}, references.Index, references.IndexValues)
			c := &cluster{fails: test.fails}
			remote := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{Patch: c.patch}).Build()
			r := New(builder.Build(), func(name string) (client.Client, error) {
				if name != "alpha" {
					return nil, errors.New("another cluster")
				}
				return remote, test.connect
			})
			r.queue = workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[Push](time.Millisecond, time.Millisecond))
			push := Push{Product: "product-1", Repository: "repo-7", Ref: "refs/heads/main"}
			r.Pushed(push)
			r.Pushed(push)
			for attempt := range test.wantAttempts {
				if !r.next(t.Context()) {
					t.Fatal("the queue has ended")
				}
				if again := r.queue.NumRequeues(push) > 0; again != (attempt < test.wantAttempts-1) {
					t.Errorf("after attempt %d, the push waits again: %t", attempt+1, again)
				}
			}
			if diff := cmp.Diff(test.want, c.seen()); diff != "" || r.queue.Len() > 0 {
				t.Errorf("%d pushes wait; refreshed (-want +got):\n%s", r.queue.Len(), diff)
			}
			ctx, stop := context.WithCancel(t.Context())
			stop()
			if err := r.Start(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}
