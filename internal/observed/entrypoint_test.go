package observed

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"nautes.io/nautes/api/v1alpha1"
)

func TestEntryPointOf(t *testing.T) {
	both := map[string]string{entryPointHTTP: "web", entryPointHTTPS: " websecure "}
	port := func(name string, port, nodePort any) any {
		return map[string]any{"name": name, "port": port, "nodePort": nodePort}
	}
	ports := []any{
		port("metrics", int64(9100), int64(30000)), port("web", int64(80), int64(30080)), port("websecure", int64(443), int64(30443)),
	}
	tests := map[string]struct {
		kind        string
		annotations map[string]string
		ports       any
		want        v1alpha1.EntryPoint
	}{
		"node ports":       {kind: "NodePort", annotations: both, ports: ports, want: v1alpha1.EntryPoint{Type: "NodePort", HTTPPort: 30080, HTTPSPort: 30443}},
		"load balancer":    {kind: "LoadBalancer", annotations: both, ports: ports, want: v1alpha1.EntryPoint{Type: "LoadBalancer", HTTPPort: 80, HTTPSPort: 443}},
		"HTTP only":        {kind: "NodePort", annotations: map[string]string{entryPointHTTP: "web"}, ports: ports, want: v1alpha1.EntryPoint{Type: "NodePort", HTTPPort: 30080}},
		"HTTPS only":       {kind: "NodePort", annotations: map[string]string{entryPointHTTPS: "websecure"}, ports: ports, want: v1alpha1.EntryPoint{Type: "NodePort", HTTPSPort: 30443}},
		"within a cluster": {kind: "ClusterIP", annotations: both, ports: ports},
		"without a type":   {annotations: both, ports: []any{map[string]any{"name": "web", "": int64(80)}}},
		"no annotation":    {kind: "NodePort", ports: []any{port("", int64(80), int64(30080))}},
		"no such port":     {kind: "NodePort", annotations: map[string]string{entryPointHTTP: "absent"}, ports: ports},
		"port as a string": {kind: "NodePort", annotations: both, ports: []any{port("web", "80", "30080"), port("websecure", int64(443), int64(30443))}, want: v1alpha1.EntryPoint{Type: "NodePort", HTTPSPort: 30443}},
		"malformed ports":  {kind: "NodePort", annotations: both, ports: []any{"web", 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"type": test.kind, "ports": test.ports}}}
			u.SetAnnotations(test.annotations)
			if diff := cmp.Diff(test.want, EntryPointOf(u)); diff != "" {
				t.Errorf("entry point (-want +got):\n%s", diff)
			}
		})
	}
}
