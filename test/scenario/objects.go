package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/foreign"
)

// NewClient returns a client for the kinds of Nautes and its components, without a
// limit on its requests.
func NewClient(config *rest.Config) (client.WithWatch, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	c, err := client.NewWithWatch(config, client.Options{Scheme: foreign.Scheme()})
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return c, nil
}

// Object returns an untyped object, to read or to look for.
func Object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	gv, _ := schema.ParseGroupVersion(apiVersion)
	o.SetGroupVersionKind(gv.WithKind(kind))
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

// Absent returns an error unless none of the objects exists.
func Absent[T client.Object](ctx context.Context, c client.Client, objects ...T) error {
	for _, o := range objects {
		err := c.Get(ctx, client.ObjectKeyFromObject(o), o)
		if err == nil {
			return fmt.Errorf("%s %s is still there, deleted: %v", kindOf(o), o.GetName(), !o.GetDeletionTimestamp().IsZero())
		}
		if client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

func kindOf(o client.Object) string {
	if u, ok := o.(*unstructured.Unstructured); ok {
		return u.GetKind()
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", o), "*v1alpha1.")
}

// List returns the objects of some kinds. A kind that is not served has none.
func List(ctx context.Context, c client.Client, kinds []schema.GroupVersionKind, options ...client.ListOption) ([]unstructured.Unstructured, error) {
	var found []unstructured.Unstructured
	for _, kind := range kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		err := c.List(ctx, list, options...)
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", kind.Kind, err)
		}
		found = append(found, list.Items...)
	}
	return found, nil
}

// ArgoKind returns a kind of Argo CD or Argo Events.
func ArgoKind(kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: kind}
}

// Condition reads an object, and returns its condition of a type. It returns an error
// unless the condition has the status and the reason, of which empty ones match all,
// and describes the present generation.
func Condition(ctx context.Context, c client.Client, o v1alpha1.Object, conditionType string, status metav1.ConditionStatus, reason string) (*metav1.Condition, error) {
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return nil, err
	}
	found := meta.FindStatusCondition(o.GetStatus().Conditions, conditionType)
	switch {
	case found == nil:
		return nil, errors.New("there is no such condition")
	case (status != "" && found.Status != status) || (reason != "" && found.Reason != reason) || found.ObservedGeneration != o.GetGeneration():
		return nil, fmt.Errorf("it is %s/%s of generation %d: %s", found.Status, found.Reason, found.ObservedGeneration, found.Message)
	}
	return found, nil
}
