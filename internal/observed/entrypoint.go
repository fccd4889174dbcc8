package observed

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"nautes.io/nautes/api/v1alpha1"
)

// EntryPointLabel selects the Services through which traffic enters a cluster.
const EntryPointLabel = "resource.nautes.io/Usage=Entrypoint"

// The annotations with which such a Service names its ports.
const (
	entryPointHTTP  = "cluster-operator.nautes.io/http-entrypoint"
	entryPointHTTPS = "cluster-operator.nautes.io/https-entrypoint"
)

// EntryPointOf returns the entry point of a Service. It is empty unless the Service
// is of type NodePort or LoadBalancer and has a port that its annotations name.
func EntryPointOf(u *unstructured.Unstructured) v1alpha1.EntryPoint {
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
