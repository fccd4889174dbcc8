package vaulted_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// everything returns each object of each kind that any control plane can list,
// in all of its namespaces, by its place: <control plane> <Kind> <namespace>/<name>.
func (sys *system) everything(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	found := map[string]*unstructured.Unstructured{}
	for name, plane := range sys.Planes() {
		cfg := plane.Config()
		cfg.WarningHandler = rest.NoWarnings{}
		served, err := discovery.NewDiscoveryClientForConfig(cfg)
		if err != nil {
			t.Fatal(err)
		}
		client, err := dynamic.NewForConfig(cfg)
		if err != nil {
			t.Fatal(err)
		}
		lists, err := served.ServerPreferredResources()
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range lists {
			group, err := schema.ParseGroupVersion(list.GroupVersion)
			if err != nil {
				t.Fatal(err)
			}
			for _, resource := range list.APIResources {
				if !slices.Contains(resource.Verbs, "list") || strings.Contains(resource.Name, "/") {
					continue
				}
				listed, err := client.Resource(group.WithResource(resource.Name)).List(context.Background(), metav1.ListOptions{})
				if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
					continue
				}
				if err != nil {
					t.Fatalf("list %s on %s: %v", resource.Name, name, err)
				}
				for i := range listed.Items {
					o := &listed.Items[i]
					found[fmt.Sprintf("%s %s %s/%s", name, o.GetKind(), o.GetNamespace(), o.GetName())] = o
				}
			}
		}
	}
	return found
}

// lost lists the objects that were changed or removed, recreated ones too. Objects
// that were being deleted may go, events end, and leases and the reports of control
// planes about themselves come and go.
func lost(before, after map[string]*unstructured.Unstructured) []string {
	var gone []string
	for place, was := range before {
		switch was.GetKind() {
		case "Event", "Lease", "ComponentStatus", "APIService", "EndpointSlice", "Endpoints":
			continue
		}
		plane, _, _ := strings.Cut(place, " ")
		ns := before[plane+" Namespace /"+was.GetNamespace()]
		if was.GetDeletionTimestamp() != nil || ns != nil && ns.GetDeletionTimestamp() != nil {
			continue
		}
		if is := after[place]; is == nil || is.GetUID() != was.GetUID() {
			gone = append(gone, place)
		}
	}
	slices.Sort(gone)
	return gone
}
