package build

import (
	networkingv1 "k8s.io/api/networking/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/snapshot"
)

// annotationClusterIssuer asks cert-manager for the certificate of an Ingress.
const annotationClusterIssuer = "cert-manager.io/cluster-issuer"

// clusterIssuer returns the ClusterIssuer on a cluster that issues the certificates of our
// Ingresses, or "" if none is set. Errors in the choice of components are reported on the
// Cluster.
func clusterIssuer(s *snapshot.Snapshot, c *v1alpha1.Cluster) string {
	components, _ := s.ClusterComponents(c)
	certificates, _ := catalogue.Find(components, v1alpha1.CategoryCertManagement)
	return issuerOf(certificates)
}

// issuerOf returns the ClusterIssuer that the settings of a component name, or "".
func issuerOf(certificates catalogue.Component) string {
	issuer, _ := certificates.Settings[catalogue.SettingClusterIssuer].(string)
	return issuer
}

// certify has cert-manager keep the certificate of an Ingress in a Secret beside it.
// Without an issuer the gateway shows its own certificate.
func certify(in *networkingv1.Ingress, issuer, secret string) {
	if issuer == "" {
		return
	}
	in.Annotations[annotationClusterIssuer] = issuer
	var hosts []string
	for _, rule := range in.Spec.Rules {
		hosts = append(hosts, rule.Host)
	}
	in.Spec.TLS = []networkingv1.IngressTLS{{Hosts: hosts, SecretName: secret}}
}
