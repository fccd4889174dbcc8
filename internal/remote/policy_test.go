package remote

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/internal/plan"
)

// TestWebhookHosts checks with a real API server that the policy in config/policy
// permits the hosts of hooks in the namespaces of components only.
func TestWebhookHosts(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "config", "policy", "webhook-hosts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c := admin(t)
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		o := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(document), &o.Object); err != nil {
			t.Fatal(err)
		}
		create(t, c, o)
		t.Cleanup(func() { _ = c.Delete(context.Background(), o) })
	}
	components := namespace(t, c, plan.Owner{Kind: "Cluster", Name: "pipes"}.Labels(tenant))
	product := namespace(t, c, plan.Owner{Kind: "Space", Product: "product-1", Name: "product-1"}.Labels(tenant))
	try := func(ctx context.Context, namespace string, hosts ...string) error {
		ingress := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "hooks-"}}
		exact := networkingv1.PathTypeExact
		for _, host := range hosts {
			ingress.Spec.Rules = append(ingress.Spec.Rules, networkingv1.IngressRule{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{
				HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
					Path: "/product-2-pipe/push", PathType: &exact,
					Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "mine", Port: networkingv1.ServiceBackendPort{Number: 80}}},
				}}},
			}})
		}
		return c.Create(ctx, ingress, client.DryRunAll)
	}
	// A new policy takes effect after a moment.
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return try(ctx, product, "webhook.pipes.example.com") != nil, nil
	}); err != nil {
		t.Fatal("the policy has no effect")
	}
	for name, test := range map[string]struct {
		namespace string
		hosts     []string
		refused   bool
	}{
		"of a component":             {namespace: components, hosts: []string{"webhook.pipes.example.com"}},
		"another host":               {namespace: product, hosts: []string{"shop.example.com"}},
		"of a product":               {namespace: product, hosts: []string{"webhook.pipes.example.com"}, refused: true},
		"the second of a rule":       {namespace: product, hosts: []string{"shop.example.com", "webhook.pipes.example.com"}, refused: true},
		"a wildcard":                 {namespace: product, hosts: []string{"*.pipes.example.com"}, refused: true},
		"every host":                 {namespace: product, hosts: []string{""}, refused: true},
		"every host, by a component": {namespace: components, hosts: []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			err := try(t.Context(), test.namespace, test.hosts...)
			refused := err != nil && strings.Contains(err.Error(), "only components may publish")
			if refused != test.refused || !refused && err != nil || refused && !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
