package build

import (
	"errors"
	"maps"
	"slices"
	"strings"

	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	hnc "sigs.k8s.io/hierarchical-namespaces/api/v1alpha2"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/giturl"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

const (
	// inCluster is the cluster that an Argo CD runs on.
	inCluster = "https://kubernetes.default.svc"
	// projectRole is the role of the product's group in its Argo CD project.
	projectRole = "product"

	secretTypeLabel = "argocd.argoproj.io/secret-type"
)

// addArgoCD adds the Argo CD project of the product and its repositories. It returns the
// URLs that the project may read, in order.
func (s *space) addArgoCD() []string {
	argoNamespace := s.snap.DeploymentNamespace(s.cluster)
	urls := s.addRepositories(argoNamespace)

	var destinations []argocd.ApplicationDestination
	reachable := slices.Concat(s.sortedNamespaces(), s.snap.GrantedNamespaces(s.cluster, s.product.Name))
	slices.Sort(reachable)
	for _, name := range slices.Compact(reachable) {
		destinations = append(destinations, argocd.ApplicationDestination{Server: inCluster, Namespace: name})
	}
	s.add(plan.StageConfig, argocd.AppProjectSchemaGroupVersionKind, &argocd.AppProject{
		ObjectMeta: metav1.ObjectMeta{Namespace: argoNamespace, Name: s.product.Name},
		Spec: argocd.AppProjectSpec{
			Description:              "Nautes product " + s.product.Spec.Name,
			SourceRepos:              urls,
			Destinations:             destinations,
			ClusterResourceWhitelist: snapshot.GrantedKinds(s.cluster, s.product.Name),
			// The hierarchy decides which namespaces a product has, so the product
			// must not change it.
			NamespaceResourceBlacklist: []metav1.GroupKind{
				{Group: hnc.GroupVersion.Group, Kind: "HierarchyConfiguration"},
				{Group: hnc.GroupVersion.Group, Kind: "SubnamespaceAnchor"},
			},
			Roles: s.projectRoles(),
		},
	}, snapshot.RefOf(s.product))
	return urls
}

// projectRoles lets the product's group see and operate its Applications. Their
// content comes from Git, so the group may not create, change or delete them.
func (s *space) projectRoles() []argocd.ProjectRole {
	group, ok := s.group()
	if !ok {
		return nil
	}
	var policies []string
	for _, grant := range [][2]string{
		{"applications", "get"}, {"applications", "sync"}, {"applications", "action/*"}, {"logs", "get"}, {"exec", "create"},
	} {
		policies = append(policies, strings.Join([]string{
			"p", "proj:" + s.product.Name + ":" + projectRole, grant[0], grant[1], s.product.Name + "/*", "allow",
		}, ", "))
	}
	return []argocd.ProjectRole{{
		Name: projectRole, Description: "the people of the product", Groups: []string{group}, Policies: policies,
	}}
}

// addRepositories adds the repositories that runtimes of the space have Argo CD
// read and returns their URLs in order.
func (s *space) addRepositories(argoNamespace string) []string {
	readable := map[string]member{}
	urls := map[string]bool{}
	for _, m := range s.members {
		name, url := s.manifests(m)
		if _, known := readable[name]; !known && name != "" {
			readable[name] = m
		}
		if url != "" {
			urls[url] = true
		}
	}
	// Argo CD finds a repository by its URL and takes any of several.
	present := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(readable)) {
		repo := s.snap.CodeRepo(s.product.Name, name)
		url, err := s.snap.RepositoryURL(repo)
		if missing := (*snapshot.MissingError)(nil); errors.As(err, &missing) {
			// A provider that is missing for a moment must not stop running workloads.
			s.Keep = append(s.Keep, plan.ID{Kind: secretKind.Kind, Namespace: argoNamespace, Name: names.Repository(s.product.Name, name)})
			if r, ok := readable[name].runtime.(*v1alpha1.DeploymentRuntime); ok && r.Status.Source != nil && snapshot.CheckAddress(r.Status.Source.URL) == nil {
				urls[r.Status.Source.URL] = true
			}
			continue
		}
		if err != nil {
			continue
		}
		urls[url] = true
		if access := giturl.Access(url); !present[access] {
			present[access] = true
			s.addRepository(argoNamespace, repo, url)
		}
	}
	return slices.Sorted(maps.Keys(urls))
}

// manifests returns the code repository that a runtime has Argo CD read, or the
// URL of one that is no CodeRepo; neither without permission.
func (s *space) manifests(m member) (repo, url string) {
	switch r := m.runtime.(type) {
	case *v1alpha1.DeploymentRuntime:
		if s.snap.RuntimePermission(r) != "" {
			repo = r.Spec.ManifestSource.CodeRepo
		}
	case *v1alpha1.ProjectPipelineRuntime:
		if r.Spec.AdditionalResources == nil || r.Spec.AdditionalResources.Git == nil {
			return "", ""
		}
		if repo = r.Spec.AdditionalResources.Git.CodeRepo; repo == "" {
			// Without an error and a refusal.
			url, _, _ = s.snap.AdditionalResources(r)
		} else if s.snap.Permission(r.Namespace, r.Spec.Project, repo) == "" {
			repo = ""
		}
	}
	return repo, url
}

// addRepository registers a repository in Argo CD, for this product's project only.
func (s *space) addRepository(argoNamespace string, repo *v1alpha1.CodeRepo, url string) {
	data := map[string][]byte{
		"type": []byte("git"), "url": []byte(url), "project": []byte(s.product.Name), "name": []byte(repo.Name),
	}
	values := s.credentials(repo, url)
	if access := s.snap.GitAccess(url); access.Proxy != "" {
		data["proxy"] = []byte(access.Proxy)
		if access.NoProxy != "" {
			data["noProxy"] = []byte(access.NoProxy)
		}
		if access.ProxyLogin != (plan.SecretRef{}) {
			values = append(values, plan.SecretValue{Key: "proxy", Ref: access.ProxyLogin, Field: keyPassword, Format: plan.FormatProxy, Subject: access.Proxy})
		}
	}
	s.add(plan.StageConfig, secretKind, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: argoNamespace, Name: names.Repository(s.product.Name, repo.Name),
			Labels: map[string]string{secretTypeLabel: "repository"},
		},
		Type: corev1.SecretTypeOpaque,
		Data: data,
	}, snapshot.RefOf(repo), values...)
}

// credentials returns the references to the credentials of a repository, or nil if
// it is public. Argo CD only needs to read.
func (s *space) credentials(repo *v1alpha1.CodeRepo, url string) []plan.SecretValue {
	provider := s.snap.CodeRepoProvider(repo.Spec.CodeRepoProvider)
	if provider == nil {
		return nil
	}
	ref := secrets.RepositoryReadOnly(provider.Spec.ProviderType, repo.Name)
	if snapshot.HTTPRepository(url) {
		return []plan.SecretValue{
			{Key: "username", Ref: ref, Field: "username", Format: plan.FormatText},
			{Key: "password", Ref: ref, Field: "password", Format: plan.FormatText},
		}
	}
	return []plan.SecretValue{{Key: "sshPrivateKey", Ref: ref, Field: "deploykey", Format: plan.FormatKey}}
}
