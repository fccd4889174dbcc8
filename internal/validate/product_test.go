package validate_test

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	. "nautes.io/nautes/test/testutil"
)

func TestEnvironment(t *testing.T) {
	app := Deployed("c", DeploymentRuntime("product-1", "app", "dev", "whole"))
	pipe := PipelineRuntime("product-1", "pipe", "api", "ci", "repo")
	pipe.Status.Target = &v1alpha1.RuntimeTarget{Environment: "ci", Cluster: "ci", Namespaces: []string{"pipe"}}
	spare := Cluster("spare")
	inOther := Deployed("c", DeploymentRuntime("product-1", "app", "other", "whole"))
	run(t, map[string]verdict{
		"as it stands":                       {new: Environment("product-1", "dev", "c")},
		"on an absent cluster":               {new: Environment("product-1", "new", "absent"), want: []string{"ReferenceMissing spec.cluster"}},
		"on a host":                          {new: Environment("product-1", "new", "host"), want: []string{"Invalid spec.cluster"}, wantText: "usage is worker"},
		"of another product":                 {new: Environment("product-1", "new", "c", func(e *v1alpha1.Environment) { e.Spec.Product = "product-2" }), want: []string{"Invalid spec.product"}, wantWarning: "is on cluster c already"},
		"moved while nothing is deployed":    {objects: []client.Object{spare, DeploymentRuntime("product-1", "app", "dev", "whole")}, new: Environment("product-1", "dev", "spare")},
		"moved while a runtime is deployed":  {objects: []client.Object{spare, app}, new: Environment("product-1", "dev", "spare"), want: []string{"DestinationImmutable spec.cluster"}, wantText: "set spec.cluster back to it, or delete and create again DeploymentRuntime product-1/app"},
		"moved while a pipeline is deployed": {objects: []client.Object{spare, pipe}, new: Environment("product-1", "ci", "spare")},
		"moved while another's is deployed":  {objects: []client.Object{spare, Deployed("c", DeploymentRuntime("product-2", "app", "dev", "theirs"))}, new: Environment("product-1", "dev", "spare")},
		"moved while one of another environment is deployed": {
			objects: []client.Object{spare, At(-5, Environment("product-1", "other", "c")), inOther}, new: Environment("product-1", "dev", "spare"),
		},
		"the third on a cluster":        {objects: []client.Object{At(4, Environment("product-1", "more", "c"))}, new: At(5, Environment("product-1", "new", "c")), wantWarning: "Environment dev is on cluster c already"},
		"where a runtime is deployed":   {objects: []client.Object{app}, new: Environment("product-1", "dev", "c")},
		"the second on a cluster":       {new: At(5, Environment("product-1", "new", "c")), wantWarning: "Environment dev is on cluster c already"},
		"the first of two on a cluster": {objects: []client.Object{At(5, Environment("product-1", "new", "c"))}, new: Environment("product-1", "dev", "c")},
	})
}

func TestCodeRepo(t *testing.T) {
	change := func(f func(*v1alpha1.CodeRepoSpec)) func(*v1alpha1.CodeRepo) {
		return func(r *v1alpha1.CodeRepo) { f(&r.Spec) }
	}
	url := func(url string) func(*v1alpha1.CodeRepo) {
		return change(func(s *v1alpha1.CodeRepoSpec) { s.URL = url })
	}
	public := change(func(s *v1alpha1.CodeRepoSpec) { s.CodeRepoProvider, s.URL = "", "https://public.example.org/a.git" })
	broken := CodeRepoProvider("broken", func(p *v1alpha1.CodeRepoProvider) { p.Spec.SSHAddress = "nonsense" })
	run(t, map[string]verdict{
		"of a project":          {new: CodeRepo("product-1", "new", "api")},
		"of the product":        {new: CodeRepo("product-1", "new", "")},
		"of an absent project":  {new: CodeRepo("product-1", "new", "absent"), want: []string{"ReferenceMissing spec.project"}},
		"of another's project":  {objects: []client.Object{Project("product-2", "other")}, new: CodeRepo("product-1", "new", "other"), want: []string{"ReferenceMissing spec.project"}},
		"of an absent provider": {new: CodeRepo("product-1", "new", "", change(func(s *v1alpha1.CodeRepoSpec) { s.CodeRepoProvider = "absent" })), want: []string{"ReferenceMissing spec.codeRepoProvider"}},
		"of a broken provider":  {objects: []client.Object{broken}, new: CodeRepo("product-1", "new", "", change(func(s *v1alpha1.CodeRepoSpec) { s.CodeRepoProvider = "broken" })), want: []string{"Invalid spec.codeRepoProvider"}, wantText: "CodeRepoProvider nautes/broken"},
		"without a name":        {new: CodeRepo("product-1", "new", "", change(func(s *v1alpha1.CodeRepoSpec) { s.RepoName = "" })), want: []string{"Invalid spec.repoName"}},
		"with a URL":            {new: CodeRepo("product-1", "new", "", url("https://git.example.com/team-1/new.git"))},
		"with another's URL":    {new: CodeRepo("product-1", "new", "", url("https://git.example.com/team-2/code.git")), want: []string{"Invalid spec.url"}, wantText: "repositories of its own group only"},
		"with a credential":     {new: CodeRepo("product-1", "new", "", url("https://a:b@git.example.com/team-1/new.git")), want: []string{"Invalid spec.url"}},
		"with the name of another product's": {
			new: At(5, CodeRepo("product-1", "theirs", "")), want: []string{"RepositoryClaimed metadata.name"}, wantText: "CodeRepo product-2/theirs of another product has the name already",
		},
		"with the name of a younger one": {objects: []client.Object{At(5, CodeRepo("product-2", "repo", ""))}, new: CodeRepo("product-1", "repo", "api")},
		"with the name of one that goes": {
			objects: []client.Object{Deleting(CodeRepo("product-2", "old", ""))}, new: At(5, CodeRepo("product-1", "old", "")), want: []string{"RepositoryClaimed metadata.name"},
		},
		"with the name of one that is gone": {without: []client.Object{CodeRepo("product-2", "theirs", "")}, new: CodeRepo("product-1", "theirs", "")},
		"with another's name, public":       {new: At(5, CodeRepo("product-1", "theirs", "", public))},
		"with the name of an older public one": {
			objects: []client.Object{At(-5, CodeRepo("product-1", "both", "", public)), CodeRepo("product-2", "both", "")},
			new:     CodeRepo("product-2", "both", ""), want: []string{"RepositoryClaimed metadata.name"},
		},
		"of no product":        {new: CodeRepo("product-9", "new", ""), want: []string{"ReferenceMissing spec.product"}},
		"the same as an older": {new: At(5, CodeRepo("product-1", "new", "", change(func(s *v1alpha1.CodeRepoSpec) { s.RepoName = "code-repo" }))), wantWarning: "CodeRepo product-1/repo is the same repository"},
		"the same as an older, spelled otherwise": {
			new: At(5, CodeRepo("product-1", "new", "", change(func(s *v1alpha1.CodeRepoSpec) { s.URL = "ssh://git@GIT.example.com.:2222/team-1/Code-Repo/" }))), wantWarning: "CodeRepo product-1/repo is the same repository",
		},
		"the same as two older": {
			objects: []client.Object{At(4, CodeRepo("product-1", "more", "", change(func(s *v1alpha1.CodeRepoSpec) { s.RepoName = "code-repo" })))},
			new:     At(5, CodeRepo("product-1", "new", "", change(func(s *v1alpha1.CodeRepoSpec) { s.RepoName = "code-repo" }))), wantWarning: "CodeRepo product-1/more is the same repository",
		},
		"the same as a younger": {objects: []client.Object{At(5, CodeRepo("product-1", "new", "", change(func(s *v1alpha1.CodeRepoSpec) { s.RepoName = "code-repo" })))}, new: CodeRepo("product-1", "repo", "api")},
		"the tenant's": {new: CodeRepo(Namespace, "tenant", "", change(func(s *v1alpha1.CodeRepoSpec) {
			*s = v1alpha1.CodeRepoSpec{URL: "https://git.example.com/tenant/management.git"}
		}))},
		"the tenant's, no URL":    {new: CodeRepo(Namespace, "tenant", "", change(func(s *v1alpha1.CodeRepoSpec) { *s = v1alpha1.CodeRepoSpec{} })), want: []string{"Invalid spec.codeRepoProvider"}},
		"the tenant's, a product": {new: CodeRepo(Namespace, "tenant", "", change(func(s *v1alpha1.CodeRepoSpec) { s.Product = "product-9" })), want: []string{"ReferenceMissing spec.product"}},
	})
}

func TestArtifactRepo(t *testing.T) {
	of := func(kind v1alpha1.PackageType) *v1alpha1.ArtifactRepo {
		a := ArtifactRepo("product-1", "a", "readonly", "web")
		a.Spec.PackageType = kind
		return a
	}
	elsewhere := of("image")
	elsewhere.Spec.Product = "product-2"
	run(t, map[string]verdict{
		"of the product":         {new: ArtifactRepo("product-1", "a", "readonly")},
		"of projects":            {new: ArtifactRepo("product-1", "a", "readwrite", "web", "api")},
		"of an absent project":   {new: ArtifactRepo("product-1", "a", "readonly", "web", "absent"), want: []string{"ReferenceMissing spec.projects[1]"}},
		"of another product":     {new: elsewhere, want: []string{"Invalid spec.product"}},
		"of no product":          {new: ArtifactRepo("product-9", "a", "readonly"), want: []string{"ReferenceMissing spec.product"}},
		"of no type":             {new: of("")},
		"packages without Vault": {new: of("maven"), wantWarning: "spec.packageType: the secret store is not Vault"},
	})
}

func TestCodeRepoBinding(t *testing.T) {
	outward := Binding("product-1", "b", "repo", "readonly")
	outward.Spec.Product = "product-2"
	run(t, map[string]verdict{
		"to projects":          {new: Binding("product-1", "b", "repo", "readonly", "api", "web")},
		"to all":               {new: Binding("product-1", "b", "repo", "readwrite")},
		"to an absent project": {new: Binding("product-1", "b", "repo", "readonly", "api", "absent"), want: []string{"ReferenceMissing spec.projects[1]"}},
		"to another product":   {new: outward, want: []string{"Invalid spec.product"}},
		"of an absent one":     {new: Binding("product-1", "b", "absent", "readonly"), want: []string{"ReferenceMissing spec.codeRepo"}},
		"of another product's": {new: Binding("product-1", "b", "theirs", "readonly"), want: []string{"ReferenceMissing spec.codeRepo"}},
	})
}
