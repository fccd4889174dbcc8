package runner

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"time"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"nautes.io/nautes/internal/launch"
)

const (
	fieldManager = "nautes-runner"
	// callTimeout is the time limit of one request.
	callTimeout = 30 * time.Second
)

// clusterFlags are the flags that locate the cluster.
type clusterFlags struct{ kubeconfig string }

func (c *clusterFlags) flags(f *flag.FlagSet) {
	f.StringVar(&c.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster; if empty, the account of the pod is used")
}

// pipelineRuns reads and creates the PipelineRuns of a namespace.
type pipelineRuns struct {
	program *Program
	client  dynamic.ResourceInterface
}

func (c *clusterFlags) connect(p *Program, namespace string) (*pipelineRuns, error) {
	settings, err := c.settings()
	if err != nil {
		return nil, fail(launch.ExitUsage, "find the cluster: %w", err)
	}
	settings.UserAgent = fieldManager
	client, err := dynamic.NewForConfig(settings)
	if err != nil {
		return nil, fail(launch.ExitUsage, "find the cluster: %w", err)
	}
	resource := schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "pipelineruns"}
	return &pipelineRuns{program: p, client: client.Resource(resource).Namespace(namespace)}, nil
}

func (c *clusterFlags) settings() (*rest.Config, error) {
	if c.kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", c.kubeconfig)
}

// call calls the API server, and repeats the call while it may succeed later.
func (r *pipelineRuns) call(ctx context.Context, attempts int, what string, do func(context.Context) error) error {
	err := r.program.retry(ctx, attempts, func(err error) bool { return !denied(err) }, func(ctx context.Context) error {
		ctx, stop := context.WithTimeout(ctx, callTimeout)
		defer stop()
		return do(ctx)
	})
	switch {
	case err == nil:
		return nil
	case denied(err):
		return fail(launch.ExitDenied, "%s: the cluster refuses it: %w", what, err)
	}
	return fail(launch.ExitCluster, "%s: the cluster does not answer: %w", what, err)
}

// denied reports whether an error is an answer of the API server that a later attempt
// would get as well.
func denied(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	switch code := status.Status().Code; code {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	default:
		return code >= 400 && code < 500
	}
}

// ofLauncher returns the run that a launcher created, or nil if there is none.
func (r *pipelineRuns) ofLauncher(ctx context.Context, launcher string) (run *tektonv1.PipelineRun, err error) {
	err = r.call(ctx, r.program.Attempts, "look for the run", func(ctx context.Context) error {
		list, err := r.client.List(ctx, metav1.ListOptions{
			LabelSelector: labels.Set{launch.LabelLauncher: launcher, launch.LabelRole: launch.RoleRun}.String(),
		})
		if err != nil || len(list.Items) == 0 {
			return err
		}
		run, err = typed(&list.Items[0])
		return err
	})
	return run, err
}

// create creates a run. created is false if the launcher had created it before.
func (r *pipelineRuns) create(ctx context.Context, run *tektonv1.PipelineRun) (created bool, err error) {
	object := &unstructured.Unstructured{}
	if err := convert(run, object); err != nil {
		return false, fail(launch.ExitPipeline, "the run cannot be written: %w", err)
	}
	err = r.call(ctx, r.program.Attempts, "create the run "+run.Name, func(ctx context.Context) error {
		_, err := r.client.Create(ctx, object, metav1.CreateOptions{FieldManager: fieldManager})
		created = err == nil
		if apierrors.IsAlreadyExists(err) {
			return r.checkOurs(ctx, run, err)
		}
		return err
	})
	return created, err
}

// checkOurs returns nil if the same launcher created the existing run, and the error
// exists if not.
func (r *pipelineRuns) checkOurs(ctx context.Context, run *tektonv1.PipelineRun, exists error) error {
	found, err := r.client.Get(ctx, run.Name, metav1.GetOptions{})
	switch {
	case err != nil:
		return err
	case found.GetLabels()[launch.LabelLauncher] != run.Labels[launch.LabelLauncher]:
		return exists
	}
	return nil
}

func typed(object *unstructured.Unstructured) (*tektonv1.PipelineRun, error) {
	run := &tektonv1.PipelineRun{}
	return run, convert(object, run)
}

// convert copies an object by its JSON, the one form that all types of Tekton have.
func convert(from, to any) error {
	content, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(content, to)
}
