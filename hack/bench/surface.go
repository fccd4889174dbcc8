package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	discovery "k8s.io/api/apidiscovery/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"nautes.io/nautes/internal/plan"
)

const (
	simulatedVersion = "v1.34.4"
	// furtherDefinitions is about the number of CustomResourceDefinitions of the
	// built-in components for kinds that Nautes does not look at.
	furtherDefinitions = 50
)

// resource is a kind that simulated clusters serve.
type resource struct {
	schema.GroupVersionKind
	name       string
	namespaced bool
}

// surface is the API that all simulated clusters serve: the stable
// kinds of Kubernetes, and the CustomResourceDefinitions of components. Nothing
// changes it once it is made.
type surface struct {
	// documents are the answers that are always the same, by their paths.
	documents map[string]document
	// resources by the path of their collection over all namespaces.
	resources   map[string]*resource
	definitions []*unstructured.Unstructured
}

type document struct {
	contentType string
	content     []byte
}

const (
	plainJSON      = "application/json"
	aggregatedJSON = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
)

func newSurface() (*surface, error) {
	s := &surface{documents: map[string]document{}, resources: map[string]*resource{}}
	groups := map[string]*discovery.APIGroupDiscovery{}
	lists := map[string]*metav1.APIResourceList{}
	for _, gvk := range servedKinds() {
		r := newResource(gvk)
		path := versionPath(gvk.GroupVersion())
		s.resources[path+"/"+r.name] = r
		if lists[path] == nil {
			lists[path] = &metav1.APIResourceList{
				TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gvk.GroupVersion().String(),
			}
		}
		lists[path].APIResources = append(lists[path].APIResources, metav1.APIResource{
			Name: r.name, SingularName: strings.ToLower(r.Kind), Kind: r.Kind, Namespaced: r.namespaced, Verbs: verbs(),
		})
		if groups[gvk.Group] == nil {
			groups[gvk.Group] = &discovery.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: gvk.Group}}
		}
		discovered(groups[gvk.Group], r)
		if !clientgoscheme.Scheme.Recognizes(gvk) && gvk != definitionKind() {
			s.definitions = append(s.definitions, newDefinition(r))
		}
	}
	for path, list := range lists {
		if err := s.document(path, plainJSON, list); err != nil {
			return nil, err
		}
	}
	core, others := newGroups(), newGroups()
	for name, group := range groups {
		if name == "" {
			core.Items = append(core.Items, *group)
		} else {
			others.Items = append(others.Items, *group)
		}
	}
	return s, s.addRoots(core, others)
}

func (s *surface) addRoots(core, others *discovery.APIGroupDiscoveryList) error {
	if err := s.document("/api", aggregatedJSON, core); err != nil {
		return err
	}
	if err := s.document("/apis", aggregatedJSON, others); err != nil {
		return err
	}
	return s.document("/version", plainJSON, map[string]string{"major": "1", "minor": "34", "gitVersion": simulatedVersion, "platform": "linux/amd64"})
}

func (s *surface) document(path, contentType string, content any) error {
	encoded, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode %s of the simulated clusters: %w", path, err)
	}
	s.documents[path] = document{contentType: contentType, content: encoded}
	return nil
}

// servedKinds returns the stable kinds of Kubernetes, those that Nautes looks at
// on a runtime cluster, and some more that components bring, in a fixed order.
func servedKinds() []schema.GroupVersionKind {
	stable := regexp.MustCompile(`^v[0-9]+$`)
	var kinds []schema.GroupVersionKind
	for gvk, of := range clientgoscheme.Scheme.AllKnownTypes() {
		if _, is := of.FieldByName("ObjectMeta"); is && stable.MatchString(gvk.Version) {
			kinds = append(kinds, gvk)
		}
	}
	kinds = append(append(kinds, plan.RuntimeKinds()...), definitionKind())
	for i := range furtherDefinitions {
		kinds = append(kinds, schema.GroupVersionKind{Group: "components.example.com", Version: "v1", Kind: fmt.Sprintf("Thing%d", i)})
	}
	slices.SortFunc(kinds, func(a, b schema.GroupVersionKind) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(kinds)
}

func newResource(gvk schema.GroupVersionKind) *resource {
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	return &resource{
		GroupVersionKind: gvk, name: plural.Resource,
		namespaced: gvk.Kind != "Namespace" && gvk != definitionKind() && !strings.HasPrefix(gvk.Kind, "ClusterRole"),
	}
}

func newDefinition(r *resource) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(definitionKind())
	o.SetName(r.name + "." + r.Group)
	o.SetUID(types.UID(o.GetName()))
	o.SetResourceVersion("1")
	return o
}

func definitionKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
}

const definitionsPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

func verbs() []string { return []string{"delete", "get", "list", "patch", "watch"} }

func newGroups() *discovery.APIGroupDiscoveryList {
	return &discovery.APIGroupDiscoveryList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupDiscoveryList", APIVersion: discovery.SchemeGroupVersion.String()}}
}

// discovered adds a resource to its group.
func discovered(group *discovery.APIGroupDiscovery, r *resource) {
	i := slices.IndexFunc(group.Versions, func(v discovery.APIVersionDiscovery) bool { return v.Version == r.Version })
	if i < 0 {
		i = len(group.Versions)
		group.Versions = append(group.Versions, discovery.APIVersionDiscovery{Version: r.Version, Freshness: discovery.DiscoveryFreshnessCurrent})
	}
	scope := discovery.ScopeCluster
	if r.namespaced {
		scope = discovery.ScopeNamespace
	}
	group.Versions[i].Resources = append(group.Versions[i].Resources, discovery.APIResourceDiscovery{
		Resource: r.name, SingularResource: strings.ToLower(r.Kind), Scope: scope, Verbs: verbs(),
		ResponseKind: &metav1.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind},
	})
}

func versionPath(gv schema.GroupVersion) string {
	if gv.Group == "" {
		return "/api/" + gv.Version
	}
	return "/apis/" + gv.String()
}

// place is one object, or the objects of a resource, of one namespace or of all,
// when name is empty.
type place struct {
	of              *resource
	namespace, name string
}

// locate returns the collection or object at a path, and false if none is served there.
func (s *surface) locate(path string) (place, bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	prefix := 2
	if parts[0] == "apis" {
		prefix = 3
	}
	if len(parts) <= prefix {
		return place{}, false
	}
	version, rest := "/"+strings.Join(parts[:prefix], "/"), parts[prefix:]
	var at place
	if len(rest) > 2 && rest[0] == "namespaces" {
		at.namespace, rest = rest[1], rest[2:]
	}
	if len(rest) > 2 {
		return place{}, false
	}
	if len(rest) == 2 {
		at.name = rest[1]
	}
	at.of = s.resources[version+"/"+rest[0]]
	return at, at.of != nil
}
