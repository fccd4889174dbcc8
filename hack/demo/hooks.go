package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/scenario"
)

// hooked waits until the forge reports pushes to a repository, to the hook that the operator
// makes.
func (d *demo) hooked(ctx context.Context, o v1alpha1.Object) error {
	began := time.Now()
	var told *metav1.Condition
	err := d.until(ctx, "the hook of "+o.GetName(), func(ctx context.Context) (err error) {
		told, err = scenario.Condition(ctx, d.Client, o, v1alpha1.ConditionHooked, metav1.ConditionTrue, "")
		return err
	})
	if err == nil {
		d.screen.done("hooks, which the operator makes in the forge: "+told.Message, time.Since(began))
	}
	return err
}

var errPolled = errors.New("the operator found most pushes by its poll, and not by the hooks of the forge")

// reported checks that the operator learns of pushes by hooks.
func (d *demo) reported(ctx context.Context) error {
	accepted, err := d.metric(ctx, `nautes_push_hooks_total{result="accepted"}`)
	if err != nil {
		return err
	}
	polled, err := d.metric(ctx, "nautes_git_changes_found_by_poll_total")
	if err != nil {
		return err
	}
	d.screen.say("until now the forge reported %.0f pushes to the operator, whose poll found %.0f before their report came", accepted, polled)
	if accepted <= polled {
		return errPolled
	}
	return nil
}

// metric returns the value of a metric of the operator, or 0 if it has none.
func (d *demo) metric(ctx context.Context, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.process.Metrics, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("read the metrics of the operator: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), name+" "); found {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, lines.Err()
}
