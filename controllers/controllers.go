// Package controllers adds the controllers to an operator. Each of its folders holds
// thin reconcilers: the phases of the pass of a kind, and its status. They guarantee that
// every decision is made by the pure packages below them.
package controllers

import (
	"fmt"
	"slices"
	"strings"

	"nautes.io/nautes/controllers/cluster"
	"nautes.io/nautes/controllers/declared"
	"nautes.io/nautes/controllers/deploymentruntime"
	"nautes.io/nautes/controllers/gitsync"
	"nautes.io/nautes/controllers/pipelineruntime"
	"nautes.io/nautes/controllers/product"
	"nautes.io/nautes/controllers/productprovider"
	"nautes.io/nautes/controllers/space"
	"nautes.io/nautes/internal/reconcile"
)

type controller struct {
	name string
	add  func(*reconcile.Deps) error
}

func all() []controller {
	return []controller{
		{"product", product.Add},
		{"gitsync", gitsync.Add},
		{"space", space.Add},
		{"cluster", cluster.Add},
		{"componentcatalogue", declared.AddComponentCatalogue},
		{"environment", declared.AddEnvironment},
		{"project", declared.AddProject},
		{"coderepo", declared.AddCodeRepo},
		{"coderepobinding", declared.AddCodeRepoBinding},
		{"artifactrepo", declared.AddArtifactRepo},
		{"deploymentruntime", deploymentruntime.Add},
		{"projectpipelineruntime", pipelineruntime.Add},
		{"productprovider", productprovider.Add},
		{"coderepoprovider", declared.AddCodeRepoProvider},
		{"pipelinehook", declared.AddPipelineHook},
	}
}

// Names lists the controllers that can be chosen.
func Names() []string {
	var names []string
	for _, c := range all() {
		names = append(names, c.name)
	}
	return names
}

// Choose checks names of controllers; none, or *, means all of them.
func Choose(names []string) ([]string, error) {
	if len(names) == 0 || slices.Contains(names, "*") {
		return Names(), nil
	}
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("no controller is named %q; choose from %s", name, strings.Join(Names(), ", "))
		}
	}
	return names, nil
}

// Add adds the named controllers to the manager of an operator.
func Add(d *reconcile.Deps, names []string) error {
	for _, c := range all() {
		if !slices.Contains(names, c.name) {
			continue
		}
		if err := c.add(d); err != nil {
			return err
		}
	}
	onClusters := []string{"space", "deploymentruntime", "projectpipelineruntime"}
	if !slices.Contains(names, "cluster") && slices.ContainsFunc(names, func(name string) bool { return slices.Contains(onClusters, name) }) {
		return d.AddConnections()
	}
	return nil
}
