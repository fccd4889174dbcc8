package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/scenario"
)

// patience bounds one wait; installing components takes longest.
const patience = 6 * time.Minute

// until asks again and again until the answer is nil. If that takes too long, or if
// a program has ended, it returns the last answer.
func (d *demo) until(ctx context.Context, what string, ask func(context.Context) error) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	looked := time.Now()
	return scenario.Until(ctx, patience, what, func(ctx context.Context) error {
		err := ask(ctx)
		if err != nil && time.Since(looked) > time.Second {
			looked = time.Now()
			if dead := d.alive(); dead != nil {
				end(dead)
			}
		}
		return err
	})
}

// waitReady is `kubectl wait --for=condition=Ready`.
func (d *demo) waitReady(ctx context.Context, c client.Client, objects ...v1alpha1.Object) error {
	for _, o := range objects {
		what := fmt.Sprintf("%T %s Ready", o, o.GetName())
		err := d.until(ctx, what, func(ctx context.Context) error {
			_, err := scenario.Condition(ctx, c, o, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
