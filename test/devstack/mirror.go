package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/test/githost"
)

// MirrorEntry is a component of FillMirror, or says why there is none.
type MirrorEntry struct {
	// Component and Namespace, as the catalogue of components has them.
	Component, Namespace string
	// Path of the component's directory of plain YAML files in the repository,
	// and the version of the module that they come from.
	Path, Version string
	// ClusterResources are the cluster-scoped kinds of the objects, and
	// Namespaces those that the objects are in, beside the component's own; in order.
	ClusterResources []schema.GroupKind
	Namespaces       []string
	// Objects counts the objects.
	Objects int
	// LeftOut names the parts of the component that are missing here, and why.
	LeftOut []string
	// Missing says why there is nothing of the component, all else being empty.
	Missing string
}

// mirrored is a component whose manifests a Go module carries.
type mirrored struct {
	name, namespace string
	// required is the directory of the go.mod that requires the module, in this one.
	required, module string
	// files are patterns below the module's directory.
	files []string
	// change makes an object fit to be installed; nil: it is.
	change func(*unstructured.Unstructured) error
	// leftOut names the parts for which the module has no plain manifest.
	leftOut string
}

// manifestsModule requires modules for their manifests alone.
const manifestsModule = "hack/tools/manifests"

const (
	crdsOnly    = "all but the CRDs, which is in templates of a Helm chart"
	traefikCRDs = "docs/content/reference/dynamic-configuration/traefik.io_"
)

func mirroredComponents() []mirrored {
	return []mirrored{
		{
			name: "argo-events", namespace: "argo-events", module: "github.com/argoproj/argo-events",
			files: []string{"manifests/install.yaml"},
		}, {
			name: "argo-rollouts", namespace: "argo-rollouts", required: manifestsModule, module: "github.com/argoproj/argo-rollouts",
			files: []string{"manifests/install.yaml"},
		}, {
			name: "argocd", namespace: ArgoCDNamespace, module: "github.com/argoproj/argo-cd/v2",
			files: []string{"manifests/install.yaml"},
		}, {
			name: "external-secrets", namespace: "external-secrets", required: manifestsModule, module: "github.com/external-secrets/external-secrets",
			files: []string{"config/crds/bases/external-secrets.io_*.yaml"}, leftOut: crdsOnly + ", and the CRDs of generators",
		}, {
			name: "hnc", namespace: hncNamespace, module: "sigs.k8s.io/hierarchical-namespaces",
			files:  []string{"config/crd/bases/*.yaml", "config/internalcert/manifests.yaml", "config/manager/*.yaml", "config/rbac/*.yaml"},
			change: inNamespace(hncNamespace, "hnc-"),
		}, {
			name: "tekton", namespace: "tekton-pipelines", module: "github.com/tektoncd/pipeline",
			files: []string{"config/*.yaml", "config/100-namespace/*.yaml", "config/300-crds/*.yaml", "config/resolvers/*.yaml"},
		}, {
			name: "traefik", namespace: "traefik", required: manifestsModule, module: "github.com/traefik/traefik/v3",
			files: []string{traefikCRDs + "middlewares.yaml", traefikCRDs + "ingressroutes.yaml"}, leftOut: crdsOnly + ", and the other CRDs",
		},
	}
}

// missingComponents are the components without a plain manifest in any Go module.
func missingComponents() []MirrorEntry {
	const chart = "its manifests are templates of a Helm chart"
	return []MirrorEntry{
		{Component: "cert-manager", Namespace: "cert-manager", Missing: chart},
		{Component: "oauth2-proxy", Namespace: "oauth2-proxy", Missing: chart},
		{Component: "vault", Namespace: "vault", Missing: chart},
		{Component: "vcluster", Missing: chart},
	}
}

// FillMirror pushes one commit to a repository of the stack's Git host, which it
// adds where it is missing: a directory for each component whose manifests the Go
// modules carry. It returns the commit, and the entries with present and missing
// parts, in order of the components' names.
//
// Left out are the component's own Namespace, which is Nautes' to make, webhook
// configurations, since nothing answers where no Pod runs, and autoscalers,
// since nothing measures. References to images stay as they are.
func (s *Stack) FillMirror(ctx context.Context, repoPath string) (commit string, contents []MirrorEntry, err error) {
	files := map[string]string{}
	for _, component := range mirroredComponents() {
		entry, objects, err := component.read(ctx)
		if err == nil {
			err = writeMirror(files, entry, objects)
		}
		if err != nil {
			return "", nil, fmt.Errorf("mirror %s: %w", component.name, err)
		}
		contents = append(contents, entry)
	}
	contents = append(contents, missingComponents()...)
	slices.SortFunc(contents, func(a, b MirrorEntry) int { return strings.Compare(a.Component, b.Component) })

	if _, err := s.Git.AddRepository(ctx, repoPath); err != nil && !errors.Is(err, githost.ErrRepositoryExists) {
		return "", nil, err
	}
	commit, err = s.Git.Push(ctx, repoPath, githost.Commit{Message: "Mirror the components", Files: files})
	return commit, contents, err
}

// read returns the objects that are mirrored, ready to be written.
func (m mirrored) read(ctx context.Context) (MirrorEntry, []*unstructured.Unstructured, error) {
	root, err := ModuleRoot()
	if err != nil {
		return MirrorEntry{}, nil, err
	}
	dir, err := moduleDir(ctx, filepath.Join(root, filepath.FromSlash(m.required)), m.module)
	if err != nil {
		return MirrorEntry{}, nil, err
	}
	all, err := readManifests(dir, m.files...)
	if err != nil {
		return MirrorEntry{}, nil, err
	}
	_, version, _ := strings.Cut(filepath.Base(dir), "@")
	entry := MirrorEntry{Component: m.name, Namespace: m.namespace, Path: m.name, Version: version}
	if m.leftOut != "" {
		entry.LeftOut = append(entry.LeftOut, m.leftOut)
	}
	var objects []*unstructured.Unstructured
	for _, object := range all {
		if m.change != nil {
			if err := m.change(object); err != nil {
				return MirrorEntry{}, nil, fmt.Errorf("change %s %s: %w", object.GetKind(), object.GetName(), err)
			}
		}
		if reason := leaveOut(object, m.namespace); reason != "" {
			entry.LeftOut = append(entry.LeftOut, fmt.Sprintf("%s %s: %s", object.GetKind(), object.GetName(), reason))
			continue
		}
		objects = append(objects, object)
	}
	entry.describe(objects)
	return entry, objects, nil
}

// leaveOut says why an object is not mirrored; empty: it is.
func leaveOut(object *unstructured.Unstructured, namespace string) string {
	switch kind := groupKind(object); {
	case kind.Group == "admissionregistration.k8s.io":
		return "nothing answers it"
	case kind.Kind == "HorizontalPodAutoscaler":
		return "nothing measures for it"
	case kind.Group == "" && kind.Kind == "Namespace" && object.GetName() == namespace:
		return "Nautes makes it"
	default:
		return ""
	}
}

func (e *MirrorEntry) describe(objects []*unstructured.Unstructured) {
	kinds, namespaces := map[schema.GroupKind]bool{}, map[string]bool{}
	for _, object := range objects {
		switch kind, in := groupKind(object), object.GetNamespace(); {
		case isClusterScoped(kind):
			kinds[kind] = true
		case in != "" && in != e.Namespace:
			namespaces[in] = true
		}
	}
	e.Objects = len(objects)
	e.Namespaces = slices.Sorted(maps.Keys(namespaces))
	e.ClusterResources = slices.SortedFunc(maps.Keys(kinds), func(a, b schema.GroupKind) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Kind, b.Kind))
	})
}

var errTwice = errors.New("two objects have one name")

// writeMirror adds a file for each object: <path>/<kind>.<name>.yaml, with the
// namespace before the name where it is not the component's own.
func writeMirror(files map[string]string, entry MirrorEntry, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		parts := []string{strings.ToLower(object.GetKind())}
		if in := object.GetNamespace(); in != "" && in != entry.Namespace {
			parts = append(parts, in)
		}
		parts = append(parts, strings.ReplaceAll(object.GetName(), ":", "-"), "yaml")
		file := entry.Path + "/" + strings.Join(parts, ".")
		if _, taken := files[file]; taken {
			return fmt.Errorf("write %s: %w", file, errTwice)
		}
		content, err := yaml.Marshal(object.Object)
		if err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
		files[file] = string(content)
	}
	return nil
}
