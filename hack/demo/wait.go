package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/foreign"
	"nautes.io/nautes/test/devstack"
)

const (
	// patience bounds one wait; installing components takes longest.
	patience = 6 * time.Minute
	// One asks often at first, for the sake of the figures, and less often later.
	firstPause, longestPause = 5 * time.Millisecond, 100 * time.Millisecond
)

// until asks again and again until the answer is nil. If that takes too long, it
// returns the last answer.
func (d *demo) until(ctx context.Context, what string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	looked := began
	var last error
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if time.Since(looked) > time.Second {
			looked = time.Now()
			if dead := d.alive(); dead != nil {
				return fmt.Errorf("%s: %w", what, errors.Join(err, dead))
			}
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s: %w", what, patience, errors.Join(last, d.alive()))
		case <-time.After(min(longestPause, max(firstPause, time.Since(began)/20))):
		}
	}
}

func (d *demo) tenantClient() (client.Client, error) { return newClient(d.stack.Tenant.Config()) }

func (d *demo) runtimeClient() (client.Client, error) {
	return newClient(d.stack.Runtimes[workerName].Config())
}

// newClient returns a client that asks as often as the demo likes.
func newClient(config *rest.Config) (client.Client, error) {
	config.QPS = -1
	c, err := client.New(config, client.Options{Scheme: foreign.Scheme()})
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return c, nil
}

// apply writes a manifest to the tenant cluster, as kubectl would.
func (d *demo) apply(ctx context.Context, manifest string) error {
	return devstack.Apply(ctx, d.stack.Tenant.Config(), []byte(manifest))
}

// waitReady is `kubectl wait --for=condition=Ready`.
func (d *demo) waitReady(ctx context.Context, c client.Client, objects ...v1alpha1.Object) error {
	for _, o := range objects {
		what := fmt.Sprintf("%T %s Ready", o, o.GetName())
		err := d.until(ctx, what, func(ctx context.Context) error {
			if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
				return err
			}
			ready := meta.FindStatusCondition(o.GetStatus().Conditions, v1alpha1.ConditionReady)
			switch {
			case ready == nil:
				return errors.New("it has no condition Ready yet")
			case ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != o.GetGeneration():
				return fmt.Errorf("%s: %s", ready.Reason, ready.Message)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func object(group, version, kind, namespace, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: version, Kind: kind})
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

// gone is nil when none of the objects exists any more.
func gone(ctx context.Context, c client.Client, objects ...*unstructured.Unstructured) error {
	for _, o := range objects {
		err := c.Get(ctx, client.ObjectKeyFromObject(o), o)
		if err == nil {
			return fmt.Errorf("%s %s is still there", o.GetKind(), o.GetName())
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
