// Package refresh has Argo CD look at its source at once after a push of manifests. It
// guarantees that a push refreshes only the Applications that deploy its branch, and that
// a cluster that does not answer is given up after some attempts: Argo CD polls its sources
// anyway.
package refresh

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
)

const (
	// annotation asks Argo CD for a refresh, which removes it.
	annotation = "argocd.argoproj.io/refresh"
	// fieldManager writes the annotation.
	fieldManager = "nautes-refresh"

	workers     = 4
	maxAttempts = 5
	firstPause  = 500 * time.Millisecond
	lastPause   = 30 * time.Second
	// timeout of one push.
	timeout = 30 * time.Second
)

// Push is a push to a repository of a product.
type Push struct {
	// Product is the namespace of the product, Repository the name of a CodeRepo.
	Product, Repository string
	// Ref is the full name of the branch, or empty if it is not known.
	Ref string
}

// Refresher refreshes the Applications of DeploymentRuntimes.
type Refresher struct {
	reader  client.Reader
	connect func(cluster string) (client.Client, error)
	queue   workqueue.TypedRateLimitingInterface[Push]
}

// New returns a Refresher. The reader is a cache with the indexes of package snapshot, and
// connect returns the client of a runtime cluster.
func New(reader client.Reader, connect func(cluster string) (client.Client, error)) *Refresher {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[Push](firstPause, lastPause)
	return &Refresher{reader: reader, connect: connect, queue: workqueue.NewTypedRateLimitingQueue(limiter)}
}

// Pushed queues a push. It never blocks, and equal pushes that wait are one.
func (r *Refresher) Pushed(push Push) { r.queue.Add(push) }

// Start implements manager.Runnable.
func (r *Refresher) Start(ctx context.Context) error {
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for r.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	r.queue.ShutDown()
	running.Wait()
	return nil
}

// next handles one push. It returns false after the end of the queue.
func (r *Refresher) next(ctx context.Context) bool {
	push, shutdown := r.queue.Get()
	if shutdown {
		return false
	}
	defer r.queue.Done(push)
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := r.refresh(bounded, push)
	switch {
	case err == nil:
		r.queue.Forget(push)
	case r.queue.NumRequeues(push) < maxAttempts-1:
		r.queue.AddRateLimited(push)
	default:
		r.queue.Forget(push)
		log.FromContext(ctx).Error(err, "push not reported to Argo CD, which finds it by its poll", "product", push.Product, "repository", push.Repository)
	}
	return true
}

// refresh asks for the refresh of all Applications that deploy a push.
func (r *Refresher) refresh(ctx context.Context, push Push) error {
	var runtimes v1alpha1.DeploymentRuntimeList
	err := r.reader.List(ctx, &runtimes, client.InNamespace(push.Product), snapshot.ReferringTo("CodeRepo", push.Product, push.Repository))
	if err != nil {
		return fmt.Errorf("list the runtimes of %s/%s: %w", push.Product, push.Repository, err)
	}
	var failed []error
	for i := range runtimes.Items {
		if runtime := &runtimes.Items[i]; Deploys(runtime, push) {
			failed = append(failed, r.annotate(ctx, runtime))
		}
	}
	return errors.Join(failed...)
}

// Deploys reports whether the Application of a runtime can change with a push.
func Deploys(r *v1alpha1.DeploymentRuntime, push Push) bool {
	source := r.Spec.ManifestSource
	if r.Namespace != push.Product || source.CodeRepo != push.Repository || r.Status.Application == nil || r.Status.Target == nil ||
		r.DeletionTimestamp != nil || r.Spec.Suspend || commit.MatchString(source.TargetRevision) {
		return false
	}
	branch, known := strings.CutPrefix(push.Ref, "refs/heads/")
	// The default branch is not known here.
	return !known || source.TargetRevision == "" || source.TargetRevision == "HEAD" || strings.TrimPrefix(source.TargetRevision, "refs/heads/") == branch
}

var commit = regexp.MustCompile(`^[0-9a-f]{40}$`)

// annotate asks for the refresh of the Application of a runtime. One that is gone needs
// none.
func (r *Refresher) annotate(ctx context.Context, runtime *v1alpha1.DeploymentRuntime) error {
	at, app := runtime.Status.Target.Cluster, &metav1.PartialObjectMetadata{}
	app.SetGroupVersionKind(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Application"})
	app.Namespace, app.Name = runtime.Status.Application.Namespace, runtime.Status.Application.Name
	c, err := r.connect(at)
	if err == nil {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"normal"}}}`, annotation)
		err = c.Patch(ctx, app, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(fieldManager))
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("refresh Application %s/%s on cluster %s: %w", app.Namespace, app.Name, at, err)
	}
	return nil
}
