package devstack

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/test/githost"
)

var (
	crdKind     = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
	roleKind    = schema.GroupKind{Group: rbacGroup, Kind: "ClusterRole"}
	bindingKind = schema.GroupKind{Group: rbacGroup, Kind: "ClusterRoleBinding"}
)

// The commit holds the manifests from which a catalogue of components is written.
func TestFillMirror(t *testing.T) {
	t.Parallel()
	const path = "mirrors/components"
	host := shared.Stack(t).Git
	commit, contents, err := shared.Stack(t).FillMirror(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	whole := []schema.GroupKind{crdKind, roleKind, bindingKind}
	type want struct {
		Namespace  string
		Kinds      []schema.GroupKind
		Namespaces []string
	}
	wanted := map[string]want{
		"argo-events":      {Namespace: "argo-events", Kinds: whole},
		"argo-rollouts":    {Namespace: "argo-rollouts", Kinds: whole},
		"argocd":           {Namespace: "argocd", Kinds: whole},
		"external-secrets": {Namespace: "external-secrets", Kinds: []schema.GroupKind{crdKind}},
		"hnc":              {Namespace: "hnc-system", Kinds: whole},
		"tekton": {
			Namespace:  "tekton-pipelines",
			Kinds:      append([]schema.GroupKind{{Kind: "Namespace"}}, whole...),
			Namespaces: []string{"tekton-pipelines-resolvers"},
		},
		"traefik": {Namespace: "traefik", Kinds: []schema.GroupKind{crdKind}},
	}
	found, err := host.Repository(path)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]want{}
	for _, entry := range contents {
		if entry.Missing != "" {
			if entry.Objects != 0 || entry.Path != "" {
				t.Errorf("%s is missing and holds something: %+v", entry.Component, entry)
			}
			continue
		}
		got[entry.Component] = want{Namespace: entry.Namespace, Kinds: entry.ClusterResources, Namespaces: entry.Namespaces}
		objects := mirroredObjects(t, found.Dir, commit, entry.Path)
		if len(objects) != entry.Objects || entry.Version == "" {
			t.Errorf("%s %s has %d objects in Git, and is said to have %d", entry.Component, entry.Version, len(objects), entry.Objects)
		}
		for _, object := range objects {
			if leaveOut(object, entry.Namespace) != "" {
				t.Errorf("%s holds %s %s", entry.Component, object.GetKind(), object.GetName())
			}
		}
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
	if !slices.IsSortedFunc(contents, func(a, b MirrorEntry) int { return strings.Compare(a.Component, b.Component) }) {
		t.Error("the contents are in no order")
	}
}

func mirroredObjects(t *testing.T, dir, commit, path string) []*unstructured.Unstructured {
	t.Helper()
	files, err := githost.Git(t.Context(), dir, "ls-tree", "-r", "--name-only", commit, path+"/")
	if err != nil {
		t.Fatal(err)
	}
	var objects []*unstructured.Unstructured
	for file := range strings.Lines(files) {
		content, err := githost.Git(t.Context(), dir, "show", commit+":"+strings.TrimSpace(file))
		if err != nil {
			t.Fatal(err)
		}
		found, err := decodeManifests([]byte(content))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		objects = append(objects, found...)
	}
	return objects
}

// HNC's manifests keep all references between them.
func TestManifestsInANamespace(t *testing.T) {
	const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: leader, namespace: system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: leader}
subjects: [{kind: ServiceAccount, name: default, namespace: system}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: manager, namespace: system}
spec:
  template:
    spec:
      containers: [{name: manager, args: [--x]}]
      volumes: [{name: cert, secret: {secretName: cert}}, {name: tmp, emptyDir: {}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
`
	const want = `
apiVersion: v1
kind: Namespace
metadata: {name: hnc-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: hnc-leader, namespace: hnc-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: hnc-leader}
subjects: [{kind: ServiceAccount, name: default, namespace: hnc-system}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hnc-manager, namespace: hnc-system}
spec:
  template:
    spec:
      containers: [{name: manager, args: [--x, --enable-internal-cert-management, --no-webhooks]}]
      volumes: [{name: cert, secret: {secretName: hnc-cert}}, {name: tmp, emptyDir: {}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
`
	objects, err := decodeManifests([]byte(manifests))
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if err := inNamespace("hnc-system", "hnc-")(object); err != nil {
			t.Fatal(err)
		}
	}
	wanted, err := decodeManifests([]byte(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, objects); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}
