package build

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

const (
	// settingIssuerCA is the setting of an OAuth proxy with the certificates of the
	// authority of its issuer. The catalogue mounts issuerConfigMap into the proxy.
	settingIssuerCA = "issuerCA"
	issuerConfigMap = "oauth2-proxy-issuer"
	issuerCAKey     = "ca.crt"
)

// addIssuerCA adds the certificates by which an OAuth proxy trusts its issuer.
func (b *cluster) addIssuerCA(component ComponentPlan) {
	bundle, _ := component.Settings[settingIssuerCA].(string)
	if component.Category != v1alpha1.CategoryOauthProxy || bundle == "" {
		return
	}
	b.own.add(plan.StageConfig, configMapKind, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: component.Namespace, Name: issuerConfigMap}, Data: map[string]string{issuerCAKey: bundle},
	}, b.source)
}
