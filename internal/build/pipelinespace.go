package build

import (
	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/foreign/externalsecrets"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

// The keys of the Secret with the credentials of a launcher, which the runner
// reads as files.
const (
	keyUsername   = "username"
	keyPassword   = "password"
	keyPrivateKey = corev1.SSHAuthPrivateKey
	keyKnownHosts = "known_hosts"
)

// credentialsRefresh is the time in which a changed credential arrives at the latest.
const credentialsRefresh = "5m0s"

// fieldDeployKey is the field of a stored credential that a launcher knows as
// keyPrivateKey; the others have the same names.
const fieldDeployKey = "deploykey"

// addResources adds the Application of the additional resources.
func (p *pipeline) addResources() error {
	url, refusal, err := p.snap.AdditionalResources(p.runtime)
	if err != nil || refusal != "" || url == "" {
		return err
	}
	git := p.runtime.Spec.AdditionalResources.Git
	p.add(plan.StageWorkload, argocd.ApplicationSchemaGroupVersionKind, &argocd.Application{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.snap.DeploymentNamespace(p.cluster),
			Name:      names.ResourcesApplication(p.runtime.Namespace, p.runtime.Name),
			// Argo CD removes the resources before the Application is gone.
			Finalizers: []string{argocd.ResourcesFinalizerName},
		},
		Spec: argocd.ApplicationSpec{
			Project:     p.runtime.Namespace,
			Source:      &argocd.ApplicationSource{RepoURL: url, Path: git.Path, TargetRevision: git.Revision},
			Destination: argocd.ApplicationDestination{Server: inCluster, Namespace: p.namespace()},
			SyncPolicy:  automaticSync(),
		},
	}, p.source)
	return nil
}

// addSensorAccount adds the account of the runtime's sensors. It creates
// launchers in the runtime's namespace, and can do nothing else anywhere.
func (p *pipeline) addSensorAccount() {
	account := names.SensorAccount(p.runtime.Namespace, p.runtime.Name)
	p.add(plan.StageAccount, serviceAccountKind,
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: p.eventNamespace, Name: account}}, p.source)
	role := names.SensorRole(p.runtime.Name)
	p.add(plan.StageAccount, roleKind, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace(), Name: role},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{pipelineRunKind.Group}, Resources: []string{"pipelineruns"}, Verbs: []string{"create"},
		}},
	}, p.source)
	p.add(plan.StageAccount, roleBindingKind, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace(), Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: roleKind.Kind, Name: role},
		Subjects:   []rbacv1.Subject{accountSubject(p.eventNamespace, account)},
	}, p.source)
}

// addCredentials adds the credentials and the files by which launchers read the
// pipeline files.
// External Secrets fetches them if the secret store is Vault and accounts of the
// cluster have access to it, otherwise Nautes writes them. A public repository needs
// none.
func (p *pipeline) addCredentials() error {
	repo := p.snap.CodeRepo(p.runtime.Namespace, p.runtime.Spec.PipelineSource)
	url, err := p.snap.RepositoryURL(repo)
	if err != nil {
		return err
	}
	p.addGitConfig(url)
	if login := p.snap.GitAccess(url).ProxyLogin; login != (plan.SecretRef{}) {
		p.addSecret(p.proxySecret(),
			plan.SecretValue{Key: launch.FileProxyUser, Ref: login, Field: keyUsername},
			plan.SecretValue{Key: launch.FileProxyPassword, Ref: login, Field: keyPassword})
	}
	provider := p.snap.CodeRepoProvider(repo.Spec.CodeRepoProvider)
	if provider == nil {
		return nil
	}
	ref := secrets.RepositoryReadOnly(provider.Spec.ProviderType, repo.Name)
	if syncsSecrets(p.snap, p.cluster) {
		p.addSyncedCredentials(ref)
		return nil
	}
	values := []plan.SecretValue{
		{Key: keyPrivateKey, Ref: ref, Field: fieldDeployKey},
		{Key: keyKnownHosts, Ref: ref, Field: keyKnownHosts, Optional: true},
	}
	if snapshot.HTTPRepository(url) {
		values = []plan.SecretValue{
			{Key: keyUsername, Ref: ref, Field: keyUsername},
			{Key: keyPassword, Ref: ref, Field: keyPassword},
		}
	}
	p.addSecret(names.PipelineCredentials(p.runtime.Name), values...)
	return nil
}

func (p *pipeline) addSecret(name string, values ...plan.SecretValue) {
	p.add(plan.StageConfig, secretKind, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace(), Name: name}, Type: corev1.SecretTypeOpaque,
	}, p.source, values...)
}

// addSyncedCredentials has External Secrets fetch the credentials by the account of
// the runtime, which may read these and no others. External Secrets brings the
// kind: until it is ready, an existing ExternalSecret stays.
func (p *pipeline) addSyncedCredentials(ref secrets.Ref) {
	name := names.SyncedCredentials(p.runtime.Name)
	component, _ := p.snap.ChoiceOf(p.cluster, v1alpha1.CategorySecretSync)
	if !componentReady(p.cluster, component) {
		p.keep(externalsecrets.ExternalSecretKind(), p.namespace(), name)
		return
	}
	p.add(plan.StageConfig, externalsecrets.ExternalSecretKind(), &externalsecrets.ExternalSecret{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace(), Name: name},
		Spec: externalsecrets.ExternalSecretSpec{
			RefreshInterval: credentialsRefresh,
			SecretStoreRef:  externalsecrets.SecretStoreRef{Kind: externalsecrets.SecretStoreKind().Kind, Name: names.SecretStore(p.target.Account)},
			Target:          externalsecrets.ExternalSecretTarget{Name: name, CreationPolicy: "Owner", DeletionPolicy: "Retain"},
			DataFrom: []externalsecrets.ExternalSecretDataFrom{{
				Extract: externalsecrets.ExternalSecretExtract{Key: ref.Path},
				Rewrite: []externalsecrets.ExternalSecretRewrite{{Regexp: externalsecrets.ExternalSecretRegexp{Source: "^" + fieldDeployKey + "$", Target: keyPrivateKey}}},
			}},
		},
	}, p.source)
}
