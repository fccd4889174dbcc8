package build_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/foreign/externalsecrets"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// accessLines renders a set for Vault in lines that can be compared.
func accessLines(t *testing.T, set plan.Set) []string {
	t.Helper()
	var lines []string
	for _, item := range set.Items {
		switch body := item.Body.(type) {
		case plan.VaultPolicy:
			for _, rule := range body.Rules {
				lines = append(lines, fmt.Sprintf("%s: %s %v", body.Name, rule.Path, rule.Capabilities))
			}
		case plan.VaultRole:
			if item.ID != plan.VaultRoleID(set.Target.Name, body.Name) {
				t.Errorf("the role %s has the ID %v", body.Name, item.ID)
			}
			lines = append(lines, fmt.Sprintf("role %s: %v in %v has %v", body.Name, body.ServiceAccounts, body.Namespaces, body.Policies))
		default:
			t.Errorf("unexpected %v", item.ID)
		}
	}
	for _, id := range set.Keep {
		lines = append(lines, "keep "+id.String())
	}
	return lines
}

const (
	readRepo1  = "gitlab-repo-1-default-readonly: git/data/gitlab/repo-1/default/readonly [read]"
	writeRepo1 = "gitlab-repo-1-default-readwrite: git/data/gitlab/repo-1/default/readwrite [read]"
	noPolicies = "role product-1-app: [app] in [app] has []"
	readOnly   = "role product-1-app: [app] in [app] has [gitlab-repo-1-default-readonly]"
	readWrite  = "role product-1-app: [app] in [app] has [gitlab-repo-1-default-readonly gitlab-repo-1-default-readwrite]"
)

func TestSpaceAccess(t *testing.T) {
	// app is a runtime of the product on c, deployed for a project.
	app := func(project string, change ...func(*v1alpha1.DeploymentRuntime)) *v1alpha1.DeploymentRuntime {
		return Deployed("c", DeploymentRuntime("product-1", "app", "dev", "repo-1", append(change, For(project))...))
	}
	// base is a product that owns repo-1 for the project api.
	base := func(more ...client.Object) []client.Object {
		return world(append([]client.Object{
			Product("product-1"), Environment("product-1", "dev", "c"), Project("product-1", "api"), Project("product-1", "web"),
			CodeRepo("product-1", "repo-1", "api"),
		}, more...)...)
	}
	rival := func(minute int) []client.Object {
		return []client.Object{At(-minute, Product("product-2")), At(minute, CodeRepo("product-2", "repo-1", "api"))}
	}
	github := CodeRepoProvider(Provider, func(p *v1alpha1.CodeRepoProvider) { p.Spec.ProviderType = "github" })
	public := CodeRepo("product-1", "repo-1", "api", func(r *v1alpha1.CodeRepo) {
		r.Spec.CodeRepoProvider, r.Spec.URL = "", "https://public.example.org/a/b.git"
	})
	elsewhere := CodeRepo("product-1", "repo-1", "api", func(r *v1alpha1.CodeRepo) { r.Spec.URL = "https://public.example.org/*" })

	isProvider := func(o client.Object) bool {
		_, is := o.(*v1alpha1.CodeRepoProvider)
		return is
	}

	tests := map[string]struct {
		objects []client.Object
		want    []string
	}{
		"the owner's project":        {objects: base(app("api")), want: []string{readRepo1, writeRepo1, readWrite}},
		"another project":            {objects: base(app("web")), want: []string{noPolicies}},
		"the product as a whole":     {objects: base(app("")), want: []string{noPolicies}},
		"granted to read":            {objects: base(app("web"), Binding("product-1", "b", "repo-1", "readonly", "web")), want: []string{readRepo1, readOnly}},
		"granted to write":           {objects: base(app("web"), Binding("product-1", "b", "repo-1", "readwrite", "web")), want: []string{readRepo1, writeRepo1, readWrite}},
		"granted to another":         {objects: base(app("web"), Binding("product-1", "b", "repo-1", "readwrite", "other")), want: []string{noPolicies}},
		"granted to all":             {objects: base(app(""), Binding("product-1", "b", "repo-1", "readonly")), want: []string{readRepo1, readOnly}},
		"revoked":                    {objects: base(app("web"), Deleting(Binding("product-1", "b", "repo-1", "readwrite", "web"))), want: []string{noPolicies}},
		"granted by another product": {objects: base(app("web"), Binding("product-2", "b", "repo-1", "readwrite", "web")), want: []string{noPolicies}},
		"the weakest of two projects": {
			objects: base(Binding("product-1", "b", "repo-1", "readonly", "web"),
				Deployed("c", DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api", "web")))),
			want: []string{readRepo1, readOnly},
		},
		"a younger repository of the name": {objects: base(append(rival(5), app("api"))...), want: []string{readRepo1, writeRepo1, readWrite}},
		"an older repository of the name":  {objects: base(append(rival(-5), app("api"))...), want: []string{noPolicies}},
		"an older one, and a provider that is away": {
			objects: slices.DeleteFunc(base(append(rival(-5), app("api"))...), isProvider), want: []string{noPolicies},
		},
		"not deployed yet": {
			objects: base(DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api"))), want: []string{readRepo1, writeRepo1, readWrite},
		},
		"not deployed, and not permitted": {objects: base(DeploymentRuntime("product-1", "app", "dev", "repo-1", For("web")))},
		"being deleted":                   {objects: base(Deleting(app("api"))), want: []string{readRepo1, writeRepo1, readWrite}},
		"deleted before it was deployed":  {objects: base(Deleting(DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api"))))},
		"no runtime":                      {objects: base()},
		"a public repository":             {objects: base(app("api"), public), want: []string{noPolicies}},
		"an address that is none":         {objects: base(app("api"), elsewhere), want: []string{noPolicies}},
		"no repository":                   {objects: world(Product("product-1"), app("api")), want: []string{noPolicies}},
		"another type of provider": {
			objects: append(base(app("api")), github),
			want: []string{
				"github-repo-1-default-readonly: git/data/github/repo-1/default/readonly [read]",
				"github-repo-1-default-readwrite: git/data/github/repo-1/default/readwrite [read]",
				"role product-1-app: [app] in [app] has [github-repo-1-default-readonly github-repo-1-default-readwrite]",
			},
		},
		"a provider that is away": {
			objects: slices.DeleteFunc(base(app("web"), Binding("product-1", "b", "repo-1", "readonly", "web")), isProvider),
			want: []string{
				"keep Policy.vault.nautes.io gitea-repo-1-default-readonly", "keep Policy.vault.nautes.io github-repo-1-default-readonly", "keep Policy.vault.nautes.io gitlab-repo-1-default-readonly", "keep Role.vault.nautes.io c/product-1-app",
			},
		},
		"an account of two runtimes": {
			objects: base(
				app("api", As("deployer"), Into("b", "a")), CodeRepo("product-1", "repo-2", "web"),
				Deployed("c", DeploymentRuntime("product-1", "web", "dev", "repo-2", For("web"), As("deployer"), Into("b", "z"))),
				Deployed("c", DeploymentRuntime("product-1", "other", "dev", "repo-2", For("api"))),
			),
			want: []string{
				readRepo1, writeRepo1,
				"gitlab-repo-2-default-readonly: git/data/gitlab/repo-2/default/readonly [read]",
				"gitlab-repo-2-default-readwrite: git/data/gitlab/repo-2/default/readwrite [read]",
				"role product-1-deployer: [deployer] in [a b z] has [gitlab-repo-1-default-readonly gitlab-repo-1-default-readwrite gitlab-repo-2-default-readonly gitlab-repo-2-default-readwrite]",
				"role product-1-other: [other] in [other] has []",
			},
		},
		"namespaces that are not the product's": {
			objects: base(
				app("api", Into("app", "kube-system", "taken")),
				At(-5, Product("product-2")), Environment("product-2", "dev", "c"),
				At(-5, Deployed("c", DeploymentRuntime("product-2", "x", "dev", "repo-9", Into("taken")))),
			),
			want: []string{readRepo1, writeRepo1, readWrite},
		},
		// A pipeline runtime has the account to itself on its cluster, and only reads.
		"a pipeline runtime": {
			objects: base(Environment("product-1", "ci", "c"), Cluster("c", PipelineWorker), PipelineRuntime("product-1", "app", "api", "ci", "repo-1")),
			want:    []string{readRepo1, readOnly},
		},
		"a pipeline runtime that is granted to write": {
			objects: base(Environment("product-1", "ci", "c"), Cluster("c", PipelineWorker), Binding("product-1", "b", "repo-1", "readwrite", "web"),
				PipelineRuntime("product-1", "app", "web", "ci", "repo-1")),
			want: []string{readRepo1, readOnly},
		},
		"a pipeline runtime, no longer granted": {
			objects: base(Environment("product-1", "ci", "c"), Cluster("c", PipelineWorker), PipelineRuntime("product-1", "app", "web", "ci", "repo-1", func(r *v1alpha1.ProjectPipelineRuntime) {
				r.Status.Target = &v1alpha1.RuntimeTarget{Environment: "ci", Cluster: "c", Namespaces: []string{"app"}}
			})),
			want: []string{noPolicies},
		},
		"no namespace at all": {objects: base(app("api", Into("kube-system")))},
		"policies of other clusters": {
			objects: base(
				app("web"), Cluster("d"), Environment("product-1", "test", "d"), CodeRepo("product-1", "repo-2", "web"),
				Deployed("d", DeploymentRuntime("product-1", "web", "test", "repo-2", For("web"))),
				Deployed("d", DeploymentRuntime("product-1", "api", "test", "repo-1", For("api"))),
			),
			want: []string{
				noPolicies,
				"keep Policy.vault.nautes.io gitlab-repo-1-default-readonly", "keep Policy.vault.nautes.io gitlab-repo-1-default-readwrite",
				"keep Policy.vault.nautes.io gitlab-repo-2-default-readonly", "keep Policy.vault.nautes.io gitlab-repo-2-default-readwrite",
			},
		},
		"only other clusters": {
			objects: base(Cluster("d"), Deployed("d", DeploymentRuntime("product-1", "api", "dev", "repo-1", For("api")))),
			want:    []string{"keep Policy.vault.nautes.io gitlab-repo-1-default-readonly", "keep Policy.vault.nautes.io gitlab-repo-1-default-readwrite"},
		},
		"a host": {objects: append(base(app("api")), Cluster("c", HostCluster))},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSnapshot(test.objects...)
			_, got, err := spaceSets(s.WithSettings(withVault()), "product-1", "c")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, accessLines(t, got), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("access (-want +got):\n%s", diff)
			}
			if got.Owner != build.SpaceOwner("product-1") || got.Target != plan.Vault("c") {
				t.Errorf("the set is of %v on %v", got.Owner, got.Target)
			}
			_, without, err := spaceSets(s, "product-1", "c")
			if err != nil || len(without.Items)+len(without.Keep) > 0 || without.Target != plan.Vault("c") {
				t.Errorf("without Vault there is %v, error %v", without, err)
			}
		})
	}
}

func TestSpaceAccessWithoutWhatItNeeds(t *testing.T) {
	tests := map[string][]client.Object{
		"Product": world(product("product-1")[1:]...),
		"Cluster": product("product-1", CodeRepoProvider(Provider)),
	}
	for want, objects := range tests {
		_, set, err := spaceSets(newSnapshot(objects...).WithSettings(withVault()), "product-1", "c")
		var missing *snapshot.MissingError
		if !errors.As(err, &missing) || missing.Missing.Kind != want || len(set.Items) > 0 {
			t.Errorf("error %v with %d items, want that a %s is missing", err, len(set.Items), want)
		}
	}
}

// TestAccessApart holds that no account of a product can read a credential of another
// product, in many random tenants with hostile products. No policy of a product is
// removed while another of its clusters needs it.
func TestAccessApart(t *testing.T) {
	roles, policies, kept, stores := 0, 0, 0, 0
	for seed := range uint64(worlds) {
		w := NewWorld(seed)
		w.Objects = append(w.Objects, external("external-secrets"))
		s := newSnapshot(w.Objects...).WithSettings(withVault())
		shuffled := newSnapshot(w.Shuffled(seed)...).WithSettings(withVault())
		holders := map[plan.ID]string{}
		for _, product := range w.Products {
			wanted := map[plan.ID]bool{}
			var sets []plan.Set
			for _, c := range s.Clusters() {
				_, set, err := spaceSets(s, product, c.Name)
				if err != nil {
					t.Fatal(err)
				}
				sets = append(sets, set)
				if _, again, err := spaceSets(shuffled, product, c.Name); err != nil || !cmp.Equal(set, again) {
					t.Errorf("world %d: shuffled objects give another plan: %v (-want +got):\n%s", seed, err, cmp.Diff(set, again))
				}
				stores += storesOwn(t, s, set)
				for _, item := range set.Items {
					if other := holders[item.ID]; other != "" && other != product {
						t.Errorf("world %d: %s and %s both have %v", seed, other, product, item.ID)
					}
					holders[item.ID] = product
					switch body := item.Body.(type) {
					case plan.VaultPolicy:
						policies++
						wanted[item.ID] = true
						readsOwn(t, s, product, body)
					case plan.VaultRole:
						roles++
						rolesOwn(t, s, set, body)
					}
				}
			}
			for _, set := range sets {
				for id := range wanted {
					planned := slices.ContainsFunc(set.Items, func(i plan.Item) bool { return i.ID == id })
					if keeps := slices.Contains(set.Keep, id); keeps {
						kept++
					} else if !planned {
						t.Errorf("world %d: the set for %v takes %v away from another cluster", seed, set.Target, id)
					}
				}
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	if roles < 100 || policies < 100 || kept < 100 || stores < 100 {
		t.Errorf("only %d roles and %d policies, of which %d were kept, and %d SecretStores: the worlds are too poor to show anything", roles, policies, kept, stores)
	}
}

// artifactOf checks that a policy reads one credential of an artifact repository that the
// product has.
func artifactOf(t *testing.T, s *snapshot.Snapshot, product string, rule plan.VaultRule, policy string) {
	t.Helper()
	granted := slices.ContainsFunc(s.Runtimes(product), func(r v1alpha1.Runtime) bool {
		return slices.ContainsFunc(s.ArtifactRepos(r), func(a *v1alpha1.ArtifactRepo) bool {
			return a.Namespace == product && slices.ContainsFunc(build.ArtifactRefs(a), func(ref plan.SecretRef) bool {
				return secrets.DataPath(ref) == rule.Path && secrets.PolicyName(ref) == policy
			})
		})
	})
	if !granted || !slices.Equal(rule.Capabilities, []string{"read"}) {
		t.Errorf("%s: the policy %s lets %v at %s", product, policy, rule.Capabilities, rule.Path)
	}
}

// readsOwn checks that a policy reads one credential of a repository that the
// product has, and whose name it has.
func readsOwn(t *testing.T, s *snapshot.Snapshot, product string, policy plan.VaultPolicy) {
	if len(policy.Rules) != 1 {
		t.Errorf("%s: the policy %s has the rules %v", product, policy.Name, policy.Rules)
		return
	}
	rule := policy.Rules[0]
	parts := strings.Split(rule.Path, "/")
	if parts[0] == "repo" {
		artifactOf(t, s, product, rule, policy.Name)
		return
	}
	if strings.ContainsAny(rule.Path, "*+") || !slices.Equal(rule.Capabilities, []string{"read"}) || len(parts) != 6 ||
		parts[0] != "git" || parts[1] != "data" || policy.Name != strings.Join(parts[2:], "-") {
		t.Errorf("%s: the policy %s lets %v at %s", product, policy.Name, rule.Capabilities, rule.Path)
		return
	}
	repo := s.CodeRepo(product, parts[3])
	if repo == nil || s.CredentialHolder(repo) != repo || repo.Spec.CodeRepoProvider == "" {
		t.Errorf("%s: the policy %s is for a credential that is not the product's", product, policy.Name)
		return
	}
	granted := slices.ContainsFunc(s.DeploymentRuntimes(product), func(r *v1alpha1.DeploymentRuntime) bool {
		permission := s.RuntimePermission(r)
		return r.Spec.ManifestSource.CodeRepo == repo.Name && (permission == "readwrite" || permission == "readonly" && parts[5] == "readonly")
	})
	granted = granted || slices.ContainsFunc(s.PipelineRuntimes(product), func(r *v1alpha1.ProjectPipelineRuntime) bool {
		return r.Spec.PipelineSource == repo.Name && s.Permission(product, r.Spec.Project, repo.Name) != "" && parts[5] == "readonly"
	})
	if !granted {
		t.Errorf("%s: the policy %s is granted to no runtime", product, policy.Name)
	}
}

// rolesOwn checks that a role is for accounts in namespaces of the product, with
// policies that the set has.
func rolesOwn(t *testing.T, s *snapshot.Snapshot, set plan.Set, role plan.VaultRole) {
	product := set.Owner.Product
	if len(role.ServiceAccounts) != 1 || role.Name != names.AccessRole(product, role.ServiceAccounts[0]) || len(role.Namespaces) == 0 {
		t.Errorf("%s: the role %s is for %v in %v", product, role.Name, role.ServiceAccounts, role.Namespaces)
	}
	for _, namespace := range role.Namespaces {
		if snapshot.SystemNamespace(namespace) || s.HolderOf(set.Target.Name, namespace) != product {
			t.Errorf("%s: the role %s lets in from %s", product, role.Name, namespace)
		}
	}
	for _, name := range role.Policies {
		if !slices.ContainsFunc(set.Items, func(i plan.Item) bool { return i.ID == plan.VaultPolicyID(name) }) {
			t.Errorf("%s: the role %s has the policy %s, which the set has not", product, role.Name, name)
		}
	}
}

// storesOwn checks that each SecretStore of a space logs in as a role of the space for its
// account in its namespace. The role may be kept as it is. It returns the number of
// SecretStores.
func storesOwn(t *testing.T, s *snapshot.Snapshot, access plan.Set) (n int) {
	product, cluster := access.Owner.Product, access.Target.Name
	space, _, err := spaceSets(s, product, cluster)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range space.Items {
		store, ok := item.Object.(*externalsecrets.SecretStore)
		if !ok {
			continue
		}
		n++
		login := store.Spec.Provider.Vault.Auth.Kubernetes
		account := login.ServiceAccountRef.Name
		if login.MountPath != cluster || store.Name != names.SecretStore(account) || store.Spec.Provider.Vault.Path != "git" {
			t.Errorf("%s: the SecretStore %s/%s logs in at %s as %s", product, store.Namespace, store.Name, login.MountPath, account)
		}
		id := plan.VaultRoleID(cluster, login.Role)
		role := slices.ContainsFunc(access.Items, func(i plan.Item) bool {
			body, ok := i.Body.(plan.VaultRole)
			return ok && i.ID == id && slices.Contains(body.Namespaces, store.Namespace) && slices.Equal(body.ServiceAccounts, []string{account})
		})
		if !role && !slices.Contains(access.Keep, id) {
			t.Errorf("%s: the SecretStore %s/%s has the role %s, which lets %s in from elsewhere", product, store.Namespace, store.Name, login.Role, account)
		}
	}
	return n
}

// TestSecretStores holds that accounts get a SecretStore where they can use it.
func TestSecretStores(t *testing.T) {
	const name = "nautes-app"
	with := func(state v1alpha1.ComponentState, change ...func(*v1alpha1.Cluster)) *v1alpha1.Cluster {
		return Cluster("c", append(change, func(c *v1alpha1.Cluster) {
			AllReady(c, "argocd", "external-secrets")
			c.Status.Components[1].State = state
		})...)
	}
	other := ComponentCatalogue(v1alpha1.CatalogueComponent{
		Name: "other", Category: v1alpha1.CategorySecretSync, Installation: v1alpha1.InstallationExternal,
		Rules: []v1alpha1.ComponentRule{{Usage: v1alpha1.UsageWorker, Requirement: v1alpha1.RequirementRequired}},
	}, v1alpha1.CatalogueComponent{
		Name: "external-secrets", Rules: []v1alpha1.ComponentRule{{Usage: v1alpha1.UsageHost, Requirement: v1alpha1.RequirementPossible}},
	})
	tests := map[string]struct {
		objects            []client.Object
		settings           snapshot.Settings
		wantItem, wantKept bool
	}{
		"ready":                  {objects: []client.Object{with("Ready")}, settings: withVault(), wantItem: true},
		"without Vault":          {objects: []client.Object{with("Ready")}},
		"not ready":              {objects: []client.Object{with("Progressing")}, settings: withVault(), wantKept: true},
		"not there yet":          {objects: []client.Object{Cluster("c")}, settings: withVault(), wantKept: true},
		"an external one":        {objects: []client.Object{Cluster("c"), external("external-secrets")}, settings: withVault(), wantItem: true},
		"another way of syncing": {objects: []client.Object{with("Ready"), other}, settings: withVault()},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			set, _, err := spaceSets(newSnapshot(append(world(product("product-1")...), test.objects...)...).WithSettings(test.settings), "product-1", "c")
			if err != nil {
				t.Fatal(err)
			}
			item := itemOf(set, "SecretStore", name)
			if (item != nil) != test.wantItem || kept(set, "SecretStore", name) != test.wantKept {
				t.Errorf("planned %v, kept %v, want %v, %v", item != nil, kept(set, "SecretStore", name), test.wantItem, test.wantKept)
			}
		})
	}
}

// TestSecretStore compares a SecretStore, as it is sent, with its golden form.
func TestSecretStore(t *testing.T) {
	s := newSnapshot(append(world(product("product-1",
		Deployed("c", DeploymentRuntime("product-1", "web", "dev", "repo-1", For("api"), Into("app", "web"), As("deployer"))))...),
		external("external-secrets"))...).WithSettings(withVault())
	set, _, err := spaceSets(s, "product-1", "c")
	if err != nil {
		t.Fatal(err)
	}
	set.Items = slices.DeleteFunc(set.Items, func(i plan.Item) bool { return i.ID.Kind != "SecretStore" })
	got, err := SetsYAML(set)
	if err != nil {
		t.Fatal(err)
	}
	Golden(t, "golden/secretstore.yaml", got)
	for _, item := range set.Items {
		if diff := cmp.Diff(item.Object, item.Object.DeepCopyObject()); diff != "" {
			t.Errorf("the copy of %v differs (-original +copy):\n%s", item.ID, diff)
		}
		store := item.Object.(*externalsecrets.SecretStore)
		item.Object.DeepCopyObject().(*externalsecrets.SecretStore).Spec.Provider.Vault.CABundle[0] = '!'
		if store.Spec.Provider.Vault.CABundle[0] == '!' {
			t.Errorf("the copy of %v shares its content", item.ID)
		}
	}
}
