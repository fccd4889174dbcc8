package build_test

import (
	"slices"
	"strings"
	"testing"

	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	hnc "sigs.k8s.io/hierarchical-namespaces/api/v1alpha2"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/foreign/externalsecrets"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// worlds is how many random tenants the properties are checked in.
const worlds = 300

// TestNoCrossing holds that no object of a product is outside of the product's
// namespaces and paths, in many random tenants with hostile products.
func TestNoCrossing(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(worlds) {
		w := NewWorld(seed)
		s := newSnapshot(w.Objects...)
		if seed%2 == 0 {
			s = newSnapshot(append(w.Objects, external("external-secrets"))...).WithSettings(withVault())
		}
		taken := map[plan.Target]map[plan.ID]plan.Owner{}
		credentials := map[plan.SecretRef]string{}
		shared := map[string]plan.Owner{}
		for _, set := range everything(t, s, w.Products...) {
			if taken[set.Target] == nil {
				taken[set.Target] = map[plan.ID]plan.Owner{}
			}
			c := crossing{t: t, seed: seed, s: s, set: set, seen: seen, credentials: credentials, shared: shared}
			for _, item := range set.Items {
				if other, ok := taken[set.Target][item.ID]; ok {
					t.Errorf("world %d: %v and %v both have %v on %v", seed, other, set.Owner, item.ID, set.Target)
				}
				taken[set.Target][item.ID] = set.Owner
				c.check(item)
			}
		}
	}
	for _, kind := range []string{
		"Namespace", "ServiceAccount", "RoleBinding", "HierarchyConfiguration", "AppProject", "Secret", "Application",
		"EventSource", "Sensor", "ConfigMap", "Ingress", "Role", "SecretStore", "ExternalSecret",
	} {
		if seen[kind] < 20 {
			t.Errorf("only %d objects of the kind %s were seen: the worlds are too poor to show anything", seen[kind], kind)
		}
	}
}

// crossing checks the items of one set.
type crossing struct {
	t    *testing.T
	seed uint64
	s    *snapshot.Snapshot
	set  plan.Set
	seen map[string]int
	// credentials are the products that got each of them.
	credentials map[plan.SecretRef]string
	// shared are the owners of things that more than an ID distinguishes.
	shared map[string]plan.Owner
}

func (c crossing) fail(item plan.Item, format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("world %d, %v on %v, %v: "+format, append([]any{c.seed, c.set.Owner, c.set.Target, item.ID}, args...)...)
}

func (c crossing) product() string { return c.set.Owner.Product }

// owns reports whether the product holds a namespace on the set's target.
func (c crossing) owns(namespace string) bool {
	if namespace == c.product() {
		return true
	}
	return c.set.Target.Kind == plan.TargetCluster && !snapshot.SystemNamespace(namespace) &&
		c.s.HolderOf(c.set.Target.Name, namespace) == c.product()
}

func (c crossing) check(item plan.Item) {
	c.seen[item.ID.Kind]++
	if item.Source.Namespace != c.product() && item.Source != (plan.Ref{Kind: "Product", Namespace: Namespace, Name: c.product()}) {
		c.fail(item, "it is asked for by %v", item.Source)
	}
	o := item.Object
	if o == nil {
		c.fail(item, "it is %v", item.Body)
		return
	}
	for key, want := range c.set.Owner.Labels(Tenant) {
		if got := o.GetLabels()[key]; got != want {
			c.fail(item, "the label %s is %q, want %q", key, got, want)
		}
	}
	if gvk := o.GetObjectKind().GroupVersionKind(); gvk.Kind != item.ID.Kind || gvk.Version == "" {
		c.fail(item, "the object says it is a %v", gvk)
	}
	if c.set.Owner.Kind == build.OwnerPipelineRuntime {
		c.pipeline(item)
		return
	}
	switch o := o.(type) {
	case *corev1.Namespace:
		if !c.owns(o.Name) {
			c.fail(item, "the namespace is not the product's")
		}
	case *corev1.Secret:
		c.secret(item, o)
	case *rbacv1.RoleBinding:
		c.roleBinding(item, o)
	case *hnc.HierarchyConfiguration:
		if !c.owns(o.Namespace) || o.Spec.Parent != c.product() || o.Name != "hierarchy" {
			c.fail(item, "the parent is %s", o.Spec.Parent)
		}
	case *corev1.ServiceAccount:
		if !c.owns(o.Namespace) || o.Namespace == c.product() {
			c.fail(item, "the namespace is not a runtime's of the product")
		}
	case *externalsecrets.SecretStore:
		if !c.owns(o.Namespace) || o.Spec.Provider.Vault.Auth.Kubernetes.Role != names.AccessRole(c.product(), o.Spec.Provider.Vault.Auth.Kubernetes.ServiceAccountRef.Name) {
			c.fail(item, "it logs in as %v", o.Spec.Provider.Vault.Auth)
		}
	case *v1alpha1.Space:
		if o.Namespace != c.product() || o.Spec.Product != c.product() || o.Spec.Cluster != o.Name {
			c.fail(item, "it is for %s on %s", o.Spec.Product, o.Spec.Cluster)
		}
	case *argocd.AppProject:
		c.project(item, o)
	case *argocd.Application:
		c.application(item, o)
	default:
		c.fail(item, "unexpected kind %T", o)
	}
}

func (c crossing) roleBinding(item plan.Item, o *rbacv1.RoleBinding) {
	if !c.owns(o.Namespace) || len(o.Subjects) != 1 {
		c.fail(item, "the namespace is not the product's, or subjects %v", o.Subjects)
		return
	}
	switch subject := o.Subjects[0]; subject.Kind {
	case "Group":
		if subject.Name != Group(c.product()) || o.RoleRef.Name != "admin" {
			c.fail(item, "the group %s is %s", subject.Name, o.RoleRef.Name)
		}
	case "ServiceAccount":
		if subject.Namespace != o.Namespace || o.RoleRef.Name != "edit" {
			c.fail(item, "the account %s/%s is %s", subject.Namespace, subject.Name, o.RoleRef.Name)
		}
	default:
		c.fail(item, "unexpected subject %v", subject)
	}
}

// urls returns the URLs that the product may read on the set's cluster by the
// rules, told in another way than the builder does.
func (c crossing) urls() map[string]string {
	urls := map[string]string{}
	for _, r := range c.s.DeploymentRuntimes(c.product()) {
		repo := c.s.CodeRepo(c.product(), r.Spec.ManifestSource.CodeRepo)
		if repo == nil || c.s.RuntimePermission(r) == "" {
			continue
		}
		if url, err := c.s.RepositoryURL(repo); err == nil {
			urls[url] = repo.Name
		} else if r.Status.Source != nil {
			urls[r.Status.Source.URL] = repo.Name
		}
	}
	for _, r := range c.s.PipelineRuntimes(c.product()) {
		if r.Spec.AdditionalResources == nil {
			continue
		}
		git := r.Spec.AdditionalResources.Git
		if repo := c.s.CodeRepo(c.product(), git.CodeRepo); repo != nil && c.s.Permission(c.product(), r.Spec.Project, repo.Name) != "" {
			if url, err := c.s.RepositoryURL(repo); err == nil {
				urls[url] = repo.Name
			}
		} else if git.CodeRepo == "" && (strings.HasPrefix(git.URL, "https://public.") || strings.HasPrefix(git.URL, "https://"+Host+"/"+Group(c.product())+"/")) {
			urls[git.URL] = ""
		}
	}
	return urls
}

// pullSecret checks that a pull secret has a credential of the product, in a namespace of a
// runtime that may use it.
func (c crossing) pullSecret(item plan.Item, o *corev1.Secret) {
	used := slices.ContainsFunc(c.s.Runtimes(c.product()), func(r v1alpha1.Runtime) bool {
		return slices.ContainsFunc(c.s.ArtifactRepos(r), func(a *v1alpha1.ArtifactRepo) bool {
			return a.Namespace == c.product() && len(item.Secrets) == 1 && slices.Contains(build.ArtifactRefs(a), item.Secrets[0].Ref)
		})
	})
	if !used || !c.owns(o.Namespace) || len(o.Data) > 0 {
		c.fail(item, "it has the credentials %v", item.Secrets)
	}
	for _, value := range item.Secrets {
		if other, taken := c.credentials[value.Ref]; taken && other != c.product() {
			c.fail(item, "%s has the credentials %v as well", other, value.Ref)
		}
		c.credentials[value.Ref] = c.product()
	}
}

func (c crossing) secret(item plan.Item, o *corev1.Secret) {
	if o.Type == corev1.SecretTypeDockerConfigJson {
		c.pullSecret(item, o)
		return
	}
	url := string(o.Data["url"])
	if _, ok := c.urls()[url]; !ok || string(o.Data["project"]) != c.product() || o.Namespace != "argocd" {
		c.fail(item, "it gives %s to the project %s", url, o.Data["project"])
	}
	if strings.Contains(url, Host) && !strings.Contains(url, "/"+Group(c.product())+"/") {
		c.fail(item, "%s is in the group of another product", url)
	}
	for _, value := range item.Secrets {
		repo := strings.Split(value.Ref.Path, "/")[1]
		if c.s.CodeRepo(c.product(), repo) == nil || !strings.Contains(url, Host) || !strings.HasSuffix(value.Ref.Path, "/readonly") {
			c.fail(item, "it takes the credentials %v to %s", value.Ref, url)
		}
		if other, taken := c.credentials[value.Ref]; taken && other != c.product() {
			c.fail(item, "%s has the credentials %v as well", other, value.Ref)
		}
		c.credentials[value.Ref] = c.product()
	}
}

func (c crossing) project(item plan.Item, o *argocd.AppProject) {
	if o.Name != c.product() || o.Namespace != "argocd" {
		c.fail(item, "the project is not the product's")
	}
	for _, url := range o.Spec.SourceRepos {
		if _, ok := c.urls()[url]; !ok || strings.ContainsAny(url, "*?!") {
			c.fail(item, "it may read %s", url)
		}
	}
	cluster := c.s.Cluster(c.set.Target.Name)
	for _, d := range o.Spec.Destinations {
		granted := slices.Contains(c.s.GrantedNamespaces(cluster, c.product()), d.Namespace)
		if !c.owns(d.Namespace) && !granted || d.Namespace == c.product() || d.Server != "https://kubernetes.default.svc" || d.Name != "" {
			c.fail(item, "it may deploy to %v", d)
		}
	}
	for _, kind := range o.Spec.ClusterResourceWhitelist {
		if kind.Kind != "ClusterRole" || cluster.Status.ProductIDMap[Group(c.product())] != c.product() {
			c.fail(item, "it may deploy the cluster's %v", kind)
		}
	}
	for _, role := range o.Spec.Roles {
		for _, policy := range role.Policies {
			if !strings.HasPrefix(policy, "p, proj:"+c.product()+":") || !strings.Contains(policy, ", "+c.product()+"/*, allow") {
				c.fail(item, "the policy %s", policy)
			}
		}
		if !slices.Equal(role.Groups, []string{Group(c.product())}) {
			c.fail(item, "the groups %v", role.Groups)
		}
	}
	if err := o.ValidateProject(); err != nil {
		c.fail(item, "Argo CD refuses it: %v", err)
	}
}

func (c crossing) application(item plan.Item, o *argocd.Application) {
	if o.Namespace != "argocd" || o.Spec.Project != c.product() || o.Spec.Destination.Namespace == "" {
		c.fail(item, "it is of the project %s, for the namespace %q", o.Spec.Project, o.Spec.Destination.Namespace)
	}
	if !slices.Equal(o.Finalizers, []string{"resources-finalizer.argocd.argoproj.io"}) {
		c.fail(item, "the finalizers %v", o.Finalizers)
	}
	if url := o.Spec.Source.RepoURL; strings.Contains(url, Host) && !strings.Contains(url, "/"+Group(c.product())+"/") {
		c.fail(item, "%s is in the group of another product", url)
	}
}

// TestRevocation holds that no repository stays registered that no runtime may read,
// whichever object is removed from a random tenant.
func TestRevocation(t *testing.T) {
	revoked := 0
	for seed := range uint64(worlds) {
		w := NewWorld(seed)
		before := newSnapshot(w.Objects...)
		after := before
		for _, o := range w.Objects {
			switch o := o.(type) {
			case *v1alpha1.CodeRepoBinding:
				after = after.With(Deleting(o.DeepCopy()))
			case *v1alpha1.ArtifactRepo:
				after = after.With(Deleting(o.DeepCopy()))
			}
		}
		for _, set := range everything(t, after, w.Products...) {
			for _, item := range set.Items {
				secret, ok := item.Object.(*corev1.Secret)
				if !ok {
					continue
				}
				owned := slices.ContainsFunc(after.DeploymentRuntimes(set.Owner.Product), func(r *v1alpha1.DeploymentRuntime) bool {
					repo := after.CodeRepo(r.Namespace, r.Spec.ManifestSource.CodeRepo)
					return repo != nil && repo.Name == string(secret.Data["name"]) && !slices.ContainsFunc(r.Projects(), func(project string) bool {
						return repo.Spec.Project != project
					})
				})
				if !owned && !pipelineOwns(after, set, item, string(secret.Data["name"])) {
					t.Errorf("world %d: %v still has %v", seed, set.Owner, item.ID)
				}
			}
		}
		revoked += count(everything(t, before, w.Products...), "Secret") - count(everything(t, after, w.Products...), "Secret")
	}
	if revoked < 20 {
		t.Errorf("only %d repositories were taken away: the worlds are too poor to show anything", revoked)
	}
}

func count(sets []plan.Set, kind string) (n int) {
	for _, set := range sets {
		for _, item := range set.Items {
			if item.ID.Kind == kind {
				n++
			}
		}
	}
	return n
}
