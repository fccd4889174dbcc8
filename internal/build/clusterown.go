package build

import (
	"cmp"
	"maps"
	"slices"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/foreign/traefik"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

const (
	// ReviewerField is the field of the stored secret, and the key of the Secret
	// on a cluster, that holds the token by which Vault reviews tokens.
	ReviewerField = "token"

	vaultNamespace      = "vault"
	vaultAccount        = "vault-auth"
	vaultAccountToken   = "vault-auth-token"
	vaultBinding        = "nautes-vault-auth"
	tokenReviewer       = "system:auth-delegator"
	engineTenant        = "tenant"
	eventBus            = "default"
	oauthMiddleware     = "oauth"
	routerEntryPoints   = "traefik.ingress.kubernetes.io/router.entrypoints"
	routerTLS           = "traefik.ingress.kubernetes.io/router.tls"
	routerMiddlewares   = "traefik.ingress.kubernetes.io/router.middlewares"
	jetStreamVersion    = "latest"
	jetStreamReplicas   = 3
	jetStreamOneReplica = "replicas: 1\n"
)

func eventBusReplicas(c *v1alpha1.Cluster) (int32, *string) {
	if c.Spec.ClusterType == v1alpha1.ClusterPhysical {
		return jetStreamReplicas, nil
	}
	// A virtual cluster has one control plane, so more replicas add no safety.
	one := jetStreamOneReplica
	return 1, &one
}

// addOwn adds the objects that the components need on the cluster itself.
func (b *cluster) addOwn() {
	b.addNamespaces()
	b.addTokenReviewer()
	proxy, protected := b.findAuthProxy()
	for _, component := range b.components {
		if component.OnHost || component.External {
			continue
		}
		b.addSecrets(b.own, component)
		b.addIssuerCA(component)
		if component.Ingress != nil && (protected || !component.Ingress.Protected) {
			b.addIngress(component, proxy)
		}
	}
	if protected && !b.virtual() {
		b.addMiddleware(proxy)
	}
	if b.Spec.WorkerType == v1alpha1.WorkerTypePipeline {
		b.addEventBus()
	}
}

// addNamespaces adds the namespaces of the components, unless they exist. The
// namespaces of components that are to be removed stay until Argo CD has removed
// the components.
func (b *cluster) addNamespaces() {
	names := map[string]bool{}
	for _, component := range b.components {
		if !component.External && !component.OnHost && component.Namespace != "" {
			names[component.Namespace] = true
		}
	}
	if at, ok := ReviewerSecret(b.snap, b.Cluster); ok {
		names[at.Namespace] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		b.own.add(plan.StageNamespace, namespaceKind, namespace(name), b.source).IfAbsent = true
	}
	for _, status := range b.leaving {
		if !names[status.Namespace] && status.Category != v1alpha1.CategoryVirtualCluster {
			b.own.keep(namespaceKind, "", status.Namespace)
		}
	}
}

// ReviewerSecret returns the Secret on a cluster with the token by which Vault reviews
// the tokens of the cluster's accounts, under ReviewerField. It returns false if Vault
// does not review them.
func ReviewerSecret(s *snapshot.Snapshot, c *v1alpha1.Cluster) (plan.ID, bool) {
	if !hasAccess(s, c) {
		return plan.ID{}, false
	}
	component, _ := s.ChoiceOf(c, v1alpha1.CategorySecretManagement)
	return plan.ID{Kind: secretKind.Kind, Namespace: cmp.Or(component.Namespace, vaultNamespace), Name: vaultAccountToken}, true
}

// reviewer returns the reference to the stored token by which Vault reviews tokens.
func reviewer(cluster string) plan.SecretValue {
	return plan.SecretValue{Key: ReviewerField, Ref: secrets.ClusterReviewer(cluster), Field: ReviewerField}
}

// addTokenReviewer adds the account whose token lets Vault ask the cluster who
// logs in.
func (b *cluster) addTokenReviewer() {
	at, ok := ReviewerSecret(b.snap, b.Cluster)
	if !ok {
		return
	}
	b.own.add(plan.StageAccount, serviceAccountKind,
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: vaultAccount}}, b.source)
	b.own.add(plan.StageAccount, clusterRoleBindingKind, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: vaultBinding},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: tokenReviewer},
		Subjects:   []rbacv1.Subject{accountSubject(at.Namespace, vaultAccount)},
	}, b.source)
	b.own.add(plan.StageConfig, secretKind, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: at.Namespace, Name: at.Name,
			Annotations: map[string]string{corev1.ServiceAccountNameKey: vaultAccount},
		},
		Type: corev1.SecretTypeServiceAccountToken,
	}, b.source)
}

// addSecrets adds the Secrets that a component needs.
func (b *cluster) addSecrets(to *set, component ComponentPlan) {
	at := b.destination(component.Choice)
	for _, secret := range component.Secrets {
		var values []plan.SecretValue
		for _, key := range slices.Sorted(slices.Values(secret.Keys)) {
			values = append(values, plan.SecretValue{
				Key: key, Ref: plan.SecretRef{Engine: engineTenant, Path: secret.Path}, Field: key,
			})
		}
		to.add(plan.StageConfig, secretKind, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: secret.Name},
			Type:       corev1.SecretTypeOpaque,
		}, b.source, values...)
	}
}

// addEventBus adds the bus between the event sources and sensors of the cluster's
// pipelines, unless it exists.
func (b *cluster) addEventBus() {
	listener, ok := catalogue.Find(b.components, v1alpha1.CategoryEventListener)
	if !ok {
		return
	}
	if !componentReady(b.Cluster, listener.Choice) {
		// The kind comes with the component.
		b.own.keep(eventBusKind, listener.Namespace, eventBus)
		return
	}
	replicas, stream := eventBusReplicas(b.Cluster)
	b.own.add(plan.StageConfig, eventBusKind, &argoevents.EventBus{
		ObjectMeta: metav1.ObjectMeta{Namespace: listener.Namespace, Name: eventBus},
		Spec: argoevents.EventBusSpec{JetStream: &argoevents.JetStreamBus{
			Version: jetStreamVersion, Replicas: &replicas, StreamConfig: stream,
		}},
	}, b.source).IfAbsent = true
}

// authProxy locates the gateway and the oauth2-proxy in front of the web pages of a
// cluster.
type authProxy struct{ gatewayNamespace, name, namespace string }

// findAuthProxy returns the authProxy of a cluster, which a virtual cluster shares with
// its host, and false if there is none.
func (b *cluster) findAuthProxy() (authProxy, bool) {
	at := b.Cluster
	if b.virtual() {
		at = b.hostCluster
	}
	gateway, hasGateway := b.snap.ChoiceOf(at, v1alpha1.CategoryGateway)
	proxy, hasProxy := b.snap.ChoiceOf(at, v1alpha1.CategoryOauthProxy)
	return authProxy{gatewayNamespace: gateway.Namespace, name: proxy.Name, namespace: proxy.Namespace}, hasGateway && hasProxy
}

// addIngress publishes a web page of a component, over TLS only.
func (b *cluster) addIngress(component ComponentPlan, proxy authProxy) {
	in := component.Ingress
	annotations := map[string]string{routerEntryPoints: "websecure", routerTLS: "true"}
	if in.Protected {
		annotations[routerMiddlewares] = proxy.gatewayNamespace + "-" + oauthMiddleware + "@kubernetescrd"
	}
	prefix := networkingv1.PathTypePrefix
	ingress := &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: component.Namespace, Name: names.Ingress(component.Name), Annotations: annotations},
		Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{
			Host: in.Host,
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
				Path: "/", PathType: &prefix,
				Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
					Name: in.Service, Port: networkingv1.ServiceBackendPort{Number: in.Port},
				}},
			}}}},
		}}},
	}
	certificates, _ := catalogue.Find(b.components, v1alpha1.CategoryCertManagement)
	certify(ingress, issuerOf(certificates.Component), names.PageCertificate(component.Name))
	b.own.add(plan.StageConfig, ingressKind, ingress, b.source)
}

// addMiddleware has the gateway ask the proxy who sends a request.
func (b *cluster) addMiddleware(proxy authProxy) {
	gateway, _ := catalogue.Find(b.components, v1alpha1.CategoryGateway)
	if !componentReady(b.Cluster, gateway.Choice) {
		// The kind comes with the component.
		b.own.keep(traefik.MiddlewareKind(), proxy.gatewayNamespace, oauthMiddleware)
		return
	}
	b.own.add(plan.StageConfig, traefik.MiddlewareKind(), &traefik.Middleware{
		ObjectMeta: metav1.ObjectMeta{Namespace: proxy.gatewayNamespace, Name: oauthMiddleware},
		Spec: traefik.MiddlewareSpec{ForwardAuth: &traefik.ForwardAuth{
			// Not the proxy's /oauth2/auth: without a login it answers a bare 401,
			// and the root answers with the way to log in.
			Address:            "http://" + proxy.name + "." + proxy.namespace + ".svc.cluster.local/",
			TrustForwardHeader: true,
			// A client cannot set these headers itself.
			AuthResponseHeaders: []string{"X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups"},
		}},
	}, b.source)
}
