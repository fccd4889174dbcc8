package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/test/scenario"
)

// showRegistration prints a cluster's registration as `kubectl describe` shows it.
func (d *demo) showRegistration(ctx context.Context, name string) error {
	c := d.Client
	cluster := scenario.Cluster(name)
	if err := c.Get(ctx, client.ObjectKeyFromObject(cluster), cluster); err != nil {
		return fmt.Errorf("get Cluster %s: %w", name, err)
	}
	d.screen.say("kubectl describe cluster %s:", name)
	rows := [][]string{{"CONDITION", "STATUS", "REASON", "MESSAGE"}}
	for _, condition := range cluster.Status.Conditions {
		rows = append(rows, []string{condition.Type, string(condition.Status), condition.Reason, condition.Message})
	}
	d.screen.rows(rows)
	rows = [][]string{{"COMPONENT", "STATE", "SINCE", "NAMESPACE", "VERSION", "APPLICATION"}}
	for _, component := range cluster.Status.Components {
		since := ""
		if component.Since != nil {
			since = component.Since.Format("15:04:05")
		}
		rows = append(rows, []string{component.Name, string(component.State), since, component.Namespace, short(component.Version), component.Application})
	}
	d.screen.rows(rows)
	for _, service := range slices.Sorted(maps.Keys(cluster.Status.EntryPoints)) {
		point := cluster.Status.EntryPoints[service]
		d.screen.say("entry point %s: %d for HTTP, %d for HTTPS (%s)", service, point.HTTPPort, point.HTTPSPort, point.Type)
	}
	return nil
}

// short returns a version as people read it: of a commit only the beginning.
func short(version string) string {
	const commit, enough = 40, 10
	if len(version) == commit {
		return version[:enough]
	}
	return version
}
