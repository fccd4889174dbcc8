package remote

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/api/v1alpha1"
)

// A Service with the label lets traffic into its cluster. The annotations name
// its ports.
const (
	entryPointLabel = "resource.nautes.io/Usage=Entrypoint"
	entryPointHTTP  = "cluster-operator.nautes.io/http-entrypoint"
	entryPointHTTPS = "cluster-operator.nautes.io/https-entrypoint"
)

func serviceKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Version: "v1", Kind: "Service"}
}

// watchEntryPoints looks at the entry points apart from the kinds: that they
// cannot be read concerns nothing else.
func (c *Conn) watchEntryPoints(run context.Context, s source, rights string, change ChangeFunc) error {
	s.selector = entryPointLabel
	c.entryPoints = &kindCache{gvk: serviceKind(), facts: entryPointFacts, rights: rights}
	_, err := c.entryPoints.start(run, &c.run, s, serviceKind().GroupVersion().WithResource("services"), change)
	return err
}

// EntryPoints returns the Services through which traffic enters the cluster, by
// their names; of two of one name, the one in the first namespace. A Service
// counts when it is of type NodePort or LoadBalancer and has one of the ports
// that its annotations name. It returns a *NotSyncedError while they have not
// been read, which says what to do when they may not be; and an
// *UnknownKindError for a connection without ConnOptions.EntryPoints.
func (c *Conn) EntryPoints() (map[string]v1alpha1.EntryPoint, error) {
	if c.entryPoints == nil {
		return nil, &UnknownKindError{Kind: serviceKind().Kind}
	}
	if err := c.entryPoints.denied(); err != nil {
		return nil, err
	}
	indexer, err := c.entryPoints.indexer()
	if err != nil {
		return nil, err
	}
	points := map[string]v1alpha1.EntryPoint{}
	if indexer == nil {
		return points, nil
	}
	keys := indexer.ListKeys()
	slices.Sort(keys)
	for _, key := range keys {
		found, ok, err := indexer.GetByKey(key)
		if err != nil {
			return nil, err
		}
		o, _ := found.(*object)
		if !ok || o == nil {
			continue
		}
		point, _ := o.facts.(v1alpha1.EntryPoint)
		if _, taken := points[o.name]; !taken && point.Type != "" {
			points[o.name] = point
		}
	}
	return points, nil
}

// entryPointFacts returns the entry point that a Service is; an empty one when
// it is none.
func entryPointFacts(u *unstructured.Unstructured) any {
	kind, _, _ := unstructured.NestedString(u.Object, "spec", "type")
	field := map[string]string{string(corev1.ServiceTypeNodePort): "nodePort", string(corev1.ServiceTypeLoadBalancer): "port"}[kind]
	if field == "" {
		return v1alpha1.EntryPoint{}
	}
	ports, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "ports")
	list, _ := ports.([]any)
	port := func(annotation string) int32 {
		name := strings.TrimSpace(u.GetAnnotations()[annotation])
		for _, p := range list {
			fields, _ := p.(map[string]any)
			if number, ok := fields[field].(int64); ok && name != "" && fields["name"] == name {
				return int32(number)
			}
		}
		return 0
	}
	point := v1alpha1.EntryPoint{HTTPPort: port(entryPointHTTP), HTTPSPort: port(entryPointHTTPS), Type: kind}
	if point.HTTPPort == 0 && point.HTTPSPort == 0 {
		return v1alpha1.EntryPoint{}
	}
	return point
}
