package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

// standIns replace objects of charts that the demo waits for: the entry point of a
// gateway, and the Pod of a virtual cluster.
func standIns() map[string]string {
	return map[string]string{
		"traefik/service.yaml": `apiVersion: v1
kind: Service
metadata:
  name: traefik
  labels: {resource.nautes.io/Usage: Entrypoint}
  annotations:
    cluster-operator.nautes.io/http-entrypoint: web
    cluster-operator.nautes.io/https-entrypoint: websecure
spec:
  type: NodePort
  selector: {app: traefik}
  ports:
  - {name: web, port: 80, nodePort: 30080}
  - {name: websecure, port: 443, nodePort: 30443}
`,
		"vcluster/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata:
  name: vcluster
spec:
  selector:
    matchLabels: {app: vcluster}
  template:
    metadata:
      labels: {app: vcluster}
    spec:
      containers:
      - name: vcluster
        image: registry.example/vcluster:0.25.0
`,
	}
}

// plainSuffix ends the names of components that take the place of built-in ones.
const plainSuffix = "-plain"

// catalogue fills the mirror, and has the tenant's catalogue lead to it.
func (d *demo) catalogue(ctx context.Context) error {
	began := time.Now()
	var err error
	if _, d.mirrored, err = d.FillMirror(ctx, mirrorRepo); err != nil {
		return err
	}
	if d.mirror, err = d.Git.Push(ctx, mirrorRepo, githost.Commit{Message: "Add stand-ins", Files: standIns()}); err != nil {
		return err
	}
	if err := d.LetArgoCDRead(ctx, d.ArgoCD[devstack.TenantName], mirrorRepo); err != nil {
		return err
	}
	d.screen.done("git push "+mirrorRepo+": manifests that Go modules carry", time.Since(began))
	repository, err := d.Git.Repository(mirrorRepo)
	if err != nil {
		return err
	}
	components := d.components(repository.URL)
	d.showComponents(components)

	c := d.Client
	files := d.forge.files()
	if files["catalogue/default.yaml"], err = catalogueFile(components); err != nil {
		return err
	}
	if files[hookPath], err = hookFile(); err != nil {
		return err
	}
	if _, err := d.push(ctx, tenantRepo, githost.Commit{Message: "Install from the mirror", Files: files}); err != nil {
		return err
	}
	credentials := scenario.GitSecret("tenant-repository", d.forge.admin)
	if err := d.Apply(ctx, credentials, scenario.TenantRepository(tenantName, d.forge.url(tenantRepo), "tenant-repository")); err != nil {
		return err
	}
	applied := time.Now()
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: name}
	}
	err = d.waitReady(ctx, c, &v1alpha1.ComponentCatalogue{ObjectMeta: meta("default")},
		&v1alpha1.CodeRepoProvider{ObjectMeta: meta(d.kind)}, &v1alpha1.ProductProvider{ObjectMeta: meta("products")})
	if err != nil {
		return err
	}
	d.screen.done("git push "+tenantRepo+", kubectl apply of its CodeRepo: the catalogue and the forge's provider are in use", time.Since(applied))
	return d.hooked(ctx, &v1alpha1.CodeRepo{ObjectMeta: meta("management")})
}

// components overrides the sources of the built-in catalogue. A component without
// manifests here is External.
//
// A built-in component with more sources than the mirror has, or with patches,
// which only Kustomize can apply, cannot be changed into plain manifests: another
// component takes its place.
func (d *demo) components(mirror string) []v1alpha1.CatalogueComponent {
	builtin, taken := catalogue.Builtin(), map[string]string{}
	var changed []v1alpha1.CatalogueComponent
	for _, entry := range d.mirrored {
		known := builtin.Component(entry.Component)
		source := v1alpha1.ComponentSource{Name: "manifests", RepoURL: mirror, Path: entry.Path, TargetRevision: d.mirror}
		component := v1alpha1.CatalogueComponent{Name: entry.Component, Namespaces: entry.Namespaces}
		for _, kind := range entry.ClusterResources {
			component.ClusterResources = append(component.ClusterResources, v1alpha1.ClusterResource{Group: kind.Group, Kind: kind.Kind})
		}
		switch {
		case entry.Component == "vcluster":
			source.Name, source.Path = known.Sources[0].Name, "vcluster"
			component.Sources = append(component.Sources, source)
		case entry.Missing != "":
			component.Installation = v1alpha1.InstallationExternal
		case len(known.Sources) == 1 && len(known.Sources[0].Patches) == 0:
			source.Name = known.Sources[0].Name
			component.Sources = append(component.Sources, source)
		default:
			possible := v1alpha1.CatalogueComponent{Name: entry.Component}
			for _, rule := range known.Rules {
				rule.Requirement = v1alpha1.RequirementPossible
				possible.Rules = append(possible.Rules, rule)
			}
			changed = append(changed, possible)
			component.Name += plainSuffix
			taken[known.Name] = component.Name
			component.Category, component.Namespace = known.Category, known.Namespace
			component.Rules, component.After = known.Rules, known.After
			component.Sources = append(component.Sources, source)
		}
		changed = append(changed, component)
	}
	for i := range changed {
		after := changed[i].After
		if known := builtin.Component(changed[i].Name); known != nil {
			after = known.After
		}
		changed[i].After = renamed(after, taken)
	}
	return changed
}

// renamed returns names as they are called now.
func renamed(names []string, now map[string]string) []string {
	names = slices.Clone(names)
	for i, name := range names {
		if to, ok := now[name]; ok {
			names[i] = to
		}
	}
	return names
}

func catalogueFile(components []v1alpha1.CatalogueComponent) (string, error) {
	file, err := yaml.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "ComponentCatalogue",
		"metadata": map[string]any{"name": "default"},
		"spec":     v1alpha1.ComponentCatalogueSpec{Components: components},
	})
	if err != nil {
		return "", fmt.Errorf("write the catalogue: %w", err)
	}
	return string(file), nil
}

// showComponents prints the catalogue's entry of each component, and the parts
// left out of the mirror with the reason.
func (d *demo) showComponents(components []v1alpha1.CatalogueComponent) {
	rows := [][]string{{"COMPONENT", "VERSION", "OBJECTS", "THE CATALOGUE SAYS"}}
	var reasons []string
	without := map[string][]string{}
	for _, entry := range d.mirrored {
		row := []string{entry.Component, entry.Version, strconv.Itoa(entry.Objects), "from the mirror"}
		plain := func(c v1alpha1.CatalogueComponent) bool { return c.Name == entry.Component+plainSuffix }
		switch {
		case entry.Component == "vcluster":
			row = []string{entry.Component, "", "1", "from the mirror: a Deployment of the demo stands for it"}
		case entry.Missing != "":
			row = []string{entry.Component, "", "", "External"}
		case slices.ContainsFunc(components, plain):
			row[3] += ", as " + entry.Component + plainSuffix
		case entry.Component == "traefik":
			row[2], row[3] = strconv.Itoa(entry.Objects+1), row[3]+", with a Service of the demo"
		}
		rows = append(rows, row)
		for _, reason := range leftOut(entry) {
			if without[reason] == nil {
				reasons = append(reasons, reason)
			}
			without[reason] = append(without[reason], entry.Component)
		}
	}
	d.screen.rows(rows)
	d.screen.say("left out:")
	for _, reason := range reasons {
		d.screen.say("  %s: %s", strings.Join(without[reason], ", "), reason)
	}
}

// leftOut returns the parts of a component that are not mirrored. Objects are counted.
func leftOut(entry devstack.MirrorEntry) []string {
	if entry.Missing != "" {
		return []string{entry.Missing}
	}
	var texts, kinds []string
	count := map[string]int{}
	for _, one := range entry.LeftOut {
		object, reason, ofObject := strings.Cut(one, ": ")
		if !ofObject {
			texts = append(texts, one)
			continue
		}
		kind, _, _ := strings.Cut(object, " ")
		kind += ", since " + reason
		if count[kind]++; count[kind] == 1 {
			kinds = append(kinds, kind)
		}
	}
	for _, kind := range kinds {
		texts = append(texts, strconv.Itoa(count[kind])+" "+kind)
	}
	return texts
}
