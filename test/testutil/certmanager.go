package testutil

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// RequestedCertificates returns the Certificates that cert-manager makes of an Ingress:
// one for each entry of spec.tls, by the name of its Secret, with the labels of the
// Ingress.
func RequestedCertificates(in *networkingv1.Ingress) []*unstructured.Unstructured {
	all := make([]*unstructured.Unstructured, 0, len(in.Spec.TLS))
	for _, entry := range in.Spec.TLS {
		hosts := make([]any, 0, len(entry.Hosts))
		for _, host := range entry.Hosts {
			hosts = append(hosts, host)
		}
		o := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
			"spec": map[string]any{
				"dnsNames": hosts, "secretName": entry.SecretName, "usages": []any{"digital signature", "key encipherment"},
				"issuerRef": map[string]any{"name": in.Annotations["cert-manager.io/cluster-issuer"], "kind": "ClusterIssuer", "group": "cert-manager.io"},
			},
		}}
		o.SetNamespace(in.Namespace)
		o.SetName(entry.SecretName)
		o.SetLabels(in.Labels)
		all = append(all, o)
	}
	return all
}
