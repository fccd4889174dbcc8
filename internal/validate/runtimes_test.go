package validate_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/validate"
	. "nautes.io/nautes/test/testutil"
)

func TestDeploymentRuntimeReferences(t *testing.T) {
	run(t, map[string]verdict{
		"for the product":          {new: DeploymentRuntime("product-1", "app", "dev", "whole")},
		"for a project":            {new: DeploymentRuntime("product-1", "app", "dev", "repo", For("api"))},
		"an absent environment":    {new: DeploymentRuntime("product-1", "app", "absent", "whole"), want: []string{"ReferenceMissing spec.destination.environment"}, wantText: "Environment product-1/absent does not exist"},
		"an absent cluster":        {without: []client.Object{Cluster("c")}, new: DeploymentRuntime("product-1", "app", "dev", "whole"), want: []string{"ReferenceMissing spec.destination.environment"}, wantText: "Cluster nautes/c"},
		"an absent repository":     {new: DeploymentRuntime("product-1", "app", "dev", "absent"), want: []string{"ReferenceMissing spec.manifestSource.codeRepo"}},
		"another's repository":     {new: DeploymentRuntime("product-1", "app", "dev", "theirs"), want: []string{"ReferenceMissing spec.manifestSource.codeRepo"}},
		"another's environment":    {objects: []client.Object{Environment("product-2", "prod", "c")}, new: DeploymentRuntime("product-1", "app", "prod", "whole"), want: []string{"ReferenceMissing spec.destination.environment"}},
		"an absent project":        {new: DeploymentRuntime("product-1", "app", "dev", "whole", For("absent")), want: []string{"ReferenceMissing spec.projectsRef[0]", "PermissionDenied spec.manifestSource.codeRepo"}},
		"an absent provider":       {without: []client.Object{CodeRepoProvider(Provider)}, new: DeploymentRuntime("product-1", "app", "dev", "whole"), want: []string{"ReferenceMissing spec.manifestSource.codeRepo"}, wantText: "CodeRepoProvider nautes/gitlab"},
		"a repository without URL": {objects: []client.Object{CodeRepo("product-1", "whole", "", func(r *v1alpha1.CodeRepo) { r.Spec.RepoName = "" })}, new: DeploymentRuntime("product-1", "app", "dev", "whole"), want: []string{"Invalid spec.manifestSource.codeRepo"}, wantText: "spec.repoName"},
		"another product":          {new: DeploymentRuntime("product-1", "app", "dev", "whole", func(r *v1alpha1.DeploymentRuntime) { r.Spec.Product = "product-2" }), want: []string{"Invalid spec.product"}},
		"everything missing at once": {
			new: DeploymentRuntime("product-9", "app", "dev", "whole", For("api")),
			want: []string{
				"ReferenceMissing spec.product", "ReferenceMissing spec.destination.environment", "ReferenceMissing spec.projectsRef[0]",
				"ReferenceMissing spec.manifestSource.codeRepo",
			},
		},
	})
}

func TestDeploymentRuntimePermission(t *testing.T) {
	denied := []string{"PermissionDenied spec.manifestSource.codeRepo"}
	run(t, map[string]verdict{
		"the owner": {new: DeploymentRuntime("product-1", "app", "dev", "repo", For("api"))},
		"a name of another product's": {
			objects: []client.Object{At(-5, CodeRepo("product-2", "repo", ""))}, new: DeploymentRuntime("product-1", "app", "dev", "repo", For("api")),
			want: []string{"RepositoryClaimed spec.manifestSource.codeRepo"}, wantText: "CodeRepo product-2/repo of another product",
		},
		"another project":                {new: DeploymentRuntime("product-1", "app", "dev", "repo", For("web")), want: denied, wantText: "CodeRepo product-1/repo is not granted to web"},
		"one of two":                     {new: DeploymentRuntime("product-1", "app", "dev", "repo", For("api", "web")), want: denied},
		"another project, granted":       {objects: []client.Object{Binding("product-1", "b", "repo", "readonly", "web")}, new: DeploymentRuntime("product-1", "app", "dev", "repo", For("web"))},
		"another project, revoked":       {objects: []client.Object{Deleting(Binding("product-1", "b", "repo", "readonly", "web"))}, new: DeploymentRuntime("product-1", "app", "dev", "repo", For("web")), want: denied},
		"the product":                    {new: DeploymentRuntime("product-1", "app", "dev", "whole")},
		"the product, of a project's":    {new: DeploymentRuntime("product-1", "app", "dev", "repo"), want: denied, wantText: "not granted to the whole product"},
		"the product, granted to all":    {objects: []client.Object{Binding("product-1", "b", "repo", "readonly")}, new: DeploymentRuntime("product-1", "app", "dev", "repo")},
		"the product, granted to one":    {objects: []client.Object{Binding("product-1", "b", "repo", "readonly", "web")}, new: DeploymentRuntime("product-1", "app", "dev", "repo"), want: denied},
		"a project, of the product's":    {new: DeploymentRuntime("product-1", "app", "dev", "whole", For("api")), want: denied},
		"a repository that is going":     {objects: []client.Object{Deleting(CodeRepo("product-1", "repo", "api"))}, new: DeploymentRuntime("product-1", "app", "dev", "repo", For("api"))},
		"a binding of another's product": {objects: []client.Object{Binding("product-2", "b", "repo", "readonly", "web")}, new: DeploymentRuntime("product-1", "app", "dev", "repo", For("web")), want: denied},
	})
}

func TestDeploymentRuntimeDestination(t *testing.T) {
	at := func(i string) []string { return []string{"Invalid spec.destination.namespaces" + i} }
	elsewhere := Cluster("c", func(c *v1alpha1.Cluster) {
		c.Spec.ComponentsList.Deployment = &v1alpha1.Component{Name: "argocd", Namespace: "cd"}
	})
	twin := At(5, Cluster("twin", func(c *v1alpha1.Cluster) { c.Status.Connection.UID = "uid-of-c" }))
	into := func(namespaces ...string) v1alpha1.Object {
		return DeploymentRuntime("product-1", "app", "dev", "whole", Into(namespaces...))
	}
	run(t, map[string]verdict{
		"namespaces":                      {new: into("a", "b")},
		"Kubernetes' namespace":           {new: into("a", "kube-system"), want: at("[1]"), wantText: "kube-system is reserved"},
		"the default namespace":           {new: into("default"), want: at("[0]")},
		"a product's namespace":           {new: into("product-2"), want: at("[0]")},
		"its product's namespace":         {new: into("product-1"), want: at("[0]")},
		"the operator's namespace":        {new: into(Namespace), want: at("[0]")},
		"a component's namespace":         {new: into("argocd"), want: at("[0]"), wantText: "belongs to the component argocd"},
		"a component's that is elsewhere": {new: into("tekton-pipelines"), want: at("[0]")},
		"a component's, by the cluster":   {objects: []client.Object{elsewhere}, new: into("cd"), want: at("[0]")},
		"by its name, a component's":      {new: DeploymentRuntime("product-1", "vault", "dev", "whole"), want: at("")},
		"by its name, a product's":        {new: DeploymentRuntime("product-1", "product-7", "dev", "whole"), want: at("")},
		"a pipeline worker":               {new: DeploymentRuntime("product-1", "app", "ci", "whole"), want: []string{"Invalid spec.destination.environment"}, wantText: "worker cluster of the type deployment"},
		"a host that once was a worker":   {objects: []client.Object{Cluster("was", func(c *v1alpha1.Cluster) { c.Spec.Usage = v1alpha1.UsageHost }), Environment("product-1", "dev", "was")}, new: into("a"), want: []string{"Invalid spec.destination.environment"}},
		"a host":                          {objects: []client.Object{Environment("product-1", "dev", "host")}, new: into("a"), want: []string{"Invalid spec.destination.environment"}},
		"one cluster under two names":     {objects: []client.Object{twin, Environment("product-1", "dev", "twin")}, new: into("a"), want: []string{"Invalid spec.destination.environment"}},
		"an account":                      {new: DeploymentRuntime("product-1", "app", "dev", "whole", As("robot"))},
		"an account that is always there": {new: DeploymentRuntime("product-1", "app", "dev", "whole", As("default")), want: []string{"Invalid spec.account"}},
		"a path":                          {new: DeploymentRuntime("product-1", "app", "dev", "whole", func(r *v1alpha1.DeploymentRuntime) { r.Spec.ManifestSource.Path = "a/..b" })},
		"a path to the outside":           {new: DeploymentRuntime("product-1", "app", "dev", "whole", func(r *v1alpha1.DeploymentRuntime) { r.Spec.ManifestSource.Path = "a/../../b" }), want: []string{"Invalid spec.manifestSource.path"}},
		"an absolute path":                {new: DeploymentRuntime("product-1", "app", "dev", "whole", func(r *v1alpha1.DeploymentRuntime) { r.Spec.ManifestSource.Path = "/etc" }), want: []string{"Invalid spec.manifestSource.path"}},
	})
}

func TestDeploymentRuntimeMoves(t *testing.T) {
	deployed := func(change func(*v1alpha1.DeploymentRuntimeSpec)) *v1alpha1.DeploymentRuntime {
		r := Deployed("c", DeploymentRuntime("product-1", "app", "dev", "whole", Into("a", "b")))
		change(&r.Spec)
		return r
	}
	spare := []client.Object{Cluster("spare"), Environment("product-1", "new", "spare"), At(5, Environment("product-1", "twin", "c"))}
	run(t, map[string]verdict{
		"nothing":                    {new: deployed(func(*v1alpha1.DeploymentRuntimeSpec) {})},
		"the account":                {new: deployed(func(s *v1alpha1.DeploymentRuntimeSpec) { s.Account = "robot" })},
		"the source":                 {new: deployed(func(s *v1alpha1.DeploymentRuntimeSpec) { s.ManifestSource.Path = "other" })},
		"a namespace said twice":     {new: deployed(func(s *v1alpha1.DeploymentRuntimeSpec) { s.Destination.Namespaces = []string{"a", "b", "a"} })},
		"a namespace more":           {new: deployed(func(s *v1alpha1.DeploymentRuntimeSpec) { s.Destination.Namespaces = []string{"a", "b", "c"} }), want: []string{"DestinationImmutable spec.destination.namespaces"}},
		"no namespace":               {new: deployed(func(s *v1alpha1.DeploymentRuntimeSpec) { s.Destination.Namespaces = nil }), want: []string{"DestinationImmutable spec.destination.namespaces"}},
		"a namespace less":           {new: deployed(func(s *v1alpha1.DeploymentRuntimeSpec) { s.Destination.Namespaces = []string{"a"} }), want: []string{"DestinationImmutable spec.destination.namespaces"}},
		"another namespace":          {new: deployed(func(s *v1alpha1.DeploymentRuntimeSpec) { s.Destination.Namespaces = []string{"a", "c"} }), want: []string{"DestinationImmutable spec.destination.namespaces"}},
		"the order of namespaces":    {new: deployed(func(s *v1alpha1.DeploymentRuntimeSpec) { s.Destination.Namespaces = []string{"b", "a", "b"} }), wantWarning: "spec.destination.namespaces: manifests without a namespace stay in a"},
		"the environment":            {objects: spare, new: deployed(func(s *v1alpha1.DeploymentRuntimeSpec) { s.Destination.Environment = "new" }), want: []string{"DestinationImmutable spec.destination.environment"}, wantText: "deployed to a, b on cluster c (environment dev) and cannot move: undo the change, or delete the runtime and create it again"},
		"the environment's name":     {objects: spare, new: deployed(func(s *v1alpha1.DeploymentRuntimeSpec) { s.Destination.Environment = "twin" }), want: []string{"DestinationImmutable spec.destination.environment"}},
		"to an absent environment":   {new: deployed(func(s *v1alpha1.DeploymentRuntimeSpec) { s.Destination.Environment = "absent" }), want: []string{"ReferenceMissing spec.destination.environment", "DestinationImmutable spec.destination.environment"}},
		"the environment's cluster":  {objects: []client.Object{Cluster("spare"), Environment("product-1", "dev", "spare")}, new: deployed(func(*v1alpha1.DeploymentRuntimeSpec) {}), want: []string{"DestinationImmutable spec.destination.environment"}, wantText: "Environment dev now names cluster spare"},
		"before it was ever written": {objects: spare, old: DeploymentRuntime("product-1", "app", "dev", "whole"), new: DeploymentRuntime("product-1", "app", "new", "whole")},
	})
}

func TestDeploymentRuntimeClaims(t *testing.T) {
	shared := func(product, name, repo string, minute int) *v1alpha1.DeploymentRuntime {
		return At(minute, DeploymentRuntime(product, name, "dev", repo, Into("x", "shared")))
	}
	pipes := []client.Object{
		Environment("product-1", "both", "c"),
		At(1, PipelineRuntime("product-1", "pipe", "api", "both", "repo", func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Namespace = "shared" })),
	}
	claimed := []string{"NamespaceClaimed spec.destination.namespaces[0]", "NamespaceClaimed spec.destination.namespaces[1]"}
	run(t, map[string]verdict{
		"an older one of another product":   {objects: []client.Object{shared("product-2", "first", "theirs", 1)}, new: shared("product-1", "app", "whole", 2), want: claimed, wantText: "namespace shared on cluster c is used by DeploymentRuntime product-2/first of another product"},
		"a younger one of another product":  {objects: []client.Object{shared("product-2", "second", "theirs", 3)}, new: shared("product-1", "app", "whole", 2)},
		"an older one of the product":       {objects: []client.Object{shared("product-1", "first", "whole", 1)}, new: shared("product-1", "app", "whole", 2)},
		"an older one, by its name":         {objects: []client.Object{DeploymentRuntime("product-2", "app", "dev", "theirs")}, new: At(2, DeploymentRuntime("product-1", "app", "dev", "whole")), want: []string{"NamespaceClaimed spec.destination.namespaces"}},
		"an older one on another cluster":   {objects: []client.Object{Cluster("d"), Environment("product-2", "dev", "d"), shared("product-2", "first", "theirs", 1)}, new: shared("product-1", "app", "whole", 2)},
		"a pipeline runtime of the product": {objects: pipes, new: shared("product-1", "app", "whole", 2), want: []string{"NamespaceClaimed spec.destination.namespaces[1]"}, wantText: "shares its namespace with no other runtime"},
		"a younger pipeline of the product": {objects: pipes, new: shared("product-1", "app", "whole", 0)},
	})
}

func TestSameDeployment(t *testing.T) {
	from := func(name, path, revision string, minute int) *v1alpha1.DeploymentRuntime {
		return At(minute, DeploymentRuntime("product-1", name, "dev", "whole", func(r *v1alpha1.DeploymentRuntime) {
			r.Spec.ManifestSource.Path, r.Spec.ManifestSource.TargetRevision = path, revision
		}))
	}
	with := func(change func(*v1alpha1.DeploymentRuntime)) *v1alpha1.DeploymentRuntime {
		r := from("app", "m", "HEAD", 2)
		change(r)
		return r
	}
	same := []string{"Invalid spec.manifestSource"}
	run(t, map[string]verdict{
		"the same":                        {objects: []client.Object{from("first", "m", "HEAD", 1)}, new: from("app", "m", "HEAD", 2), want: same, wantText: "DeploymentRuntime product-1/first deploys the same manifests"},
		"the same in other words":         {objects: []client.Object{from("first", "./m/", "", 1)}, new: from("app", "m", "HEAD", 2), want: same},
		"another path":                    {objects: []client.Object{from("first", "n", "HEAD", 1)}, new: from("app", "m", "HEAD", 2)},
		"another revision":                {objects: []client.Object{from("first", "m", "v1", 1)}, new: from("app", "m", "HEAD", 2)},
		"the older of two":                {objects: []client.Object{from("second", "m", "HEAD", 3)}, new: from("app", "m", "HEAD", 2)},
		"the deployed of two":             {objects: []client.Object{from("first", "m", "HEAD", 1)}, new: Deployed("c", from("app", "m", "HEAD", 2))},
		"the older that is not deployed":  {objects: []client.Object{Deployed("c", from("second", "m", "HEAD", 3))}, new: from("app", "m", "HEAD", 2), want: same},
		"the same in another environment": {objects: []client.Object{At(5, Environment("product-1", "new", "c")), from("first", "m", "HEAD", 1)}, new: with(func(r *v1alpha1.DeploymentRuntime) { r.Spec.Destination.Environment = "new" })},
		"the same of another repository":  {objects: []client.Object{CodeRepo("product-1", "second", ""), from("first", "m", "HEAD", 1)}, new: with(func(r *v1alpha1.DeploymentRuntime) { r.Spec.ManifestSource.CodeRepo = "second" })},
		"the same of another product":     {objects: []client.Object{At(1, DeploymentRuntime("product-2", "first", "dev", "whole", func(r *v1alpha1.DeploymentRuntime) { r.Spec.ManifestSource.Path = "m" }))}, new: from("app", "m", "HEAD", 2)},
		"the third of the same":           {objects: []client.Object{from("first", "m", "HEAD", 0), from("second", "m", "HEAD", 1)}, new: from("app", "m", "HEAD", 2), want: same},
	})
}

// onHostsOnly changes built-in components so that no worker gets them.
func onHostsOnly(names ...string) []v1alpha1.CatalogueComponent {
	var components []v1alpha1.CatalogueComponent
	for _, name := range names {
		components = append(components, v1alpha1.CatalogueComponent{
			Name: name, Rules: []v1alpha1.ComponentRule{{Usage: v1alpha1.UsageHost, Requirement: v1alpha1.RequirementPossible}},
		})
	}
	return components
}

func TestPipelineRuntime(t *testing.T) {
	pipe := func(change ...func(*v1alpha1.ProjectPipelineRuntimeSpec)) *v1alpha1.ProjectPipelineRuntime {
		r := At(2, PipelineRuntime("product-1", "pipe", "api", "ci", "repo"))
		for _, f := range change {
			f(&r.Spec)
		}
		return r
	}
	type spec = v1alpha1.ProjectPipelineRuntimeSpec
	resources := func(repo, url string) func(*spec) {
		return func(s *spec) {
			s.AdditionalResources = &v1alpha1.AdditionalResources{Git: &v1alpha1.AdditionalResourcesGit{CodeRepo: repo, URL: url}}
		}
	}
	byURL := []string{"Invalid spec.additionalResources.git.url"}
	source := func(s *spec) { s.EventSources[0].GitLab.RepoName = "whole" }
	namespace := func(name string) func(*spec) { return func(s *spec) { s.Destination.Namespace = name } }
	moved := pipe()
	moved.Status.Target = &v1alpha1.RuntimeTarget{Environment: "old", Cluster: "old", Namespaces: []string{"pipe"}}
	recorded := pipe(namespace("new"))
	recorded.Status.Target = &v1alpha1.RuntimeTarget{Environment: "ci", Cluster: "ci", Namespaces: []string{"old"}}
	run(t, map[string]verdict{
		"as it stands":                    {new: pipe()},
		"an absent project":               {new: pipe(func(s *spec) { s.Project = "absent" }), want: []string{"ReferenceMissing spec.project", "PermissionDenied spec.pipelineSource", "PermissionDenied spec.eventSources[0].gitlab.repoName"}},
		"an absent environment":           {new: pipe(func(s *spec) { s.Destination.Environment = "absent" }), want: []string{"ReferenceMissing spec.destination.environment"}},
		"a deployment worker":             {new: pipe(func(s *spec) { s.Destination.Environment = "dev" }), want: []string{"Invalid spec.destination.environment"}, wantText: "type pipeline"},
		"an absent source":                {new: pipe(func(s *spec) { s.PipelineSource = "absent" }), want: []string{"ReferenceMissing spec.pipelineSource"}},
		"a source that is not granted":    {new: pipe(func(s *spec) { s.PipelineSource = "whole" }), want: []string{"PermissionDenied spec.pipelineSource"}},
		"a source that is granted":        {objects: []client.Object{Binding("product-1", "b", "whole", "readonly", "api")}, new: pipe(func(s *spec) { s.PipelineSource = "whole" })},
		"an event source not granted":     {new: pipe(source), want: []string{"PermissionDenied spec.eventSources[0].gitlab.repoName"}},
		"an event source that is granted": {objects: []client.Object{Binding("product-1", "b", "whole", "readonly")}, new: pipe(source)},
		"resources of no kind":            {new: pipe(func(s *spec) { s.AdditionalResources = &v1alpha1.AdditionalResources{} })},
		"resources by URL, of no product": {
			without: []client.Object{Product("product-1")}, new: pipe(resources("", "https://"+Host+"/team-1/more.git")),
			want: []string{"ReferenceMissing metadata.namespace", "ReferenceMissing spec.pipelineSource", "ReferenceMissing spec.eventSources[0].gitlab.repoName", "ReferenceMissing spec.additionalResources.git.url"},
		},
		"no component that listens or runs": {
			objects: []client.Object{ComponentCatalogue(onHostsOnly("argo-events", "tekton")...)}, new: pipe(),
			want: []string{"Invalid spec.destination.environment", "Invalid spec.destination.environment"}, wantText: "no component of the category eventListener",
		},
		"no component that runs": {
			objects: []client.Object{ComponentCatalogue(onHostsOnly("tekton")...)}, new: pipe(),
			want: []string{"Invalid spec.destination.environment"}, wantText: "no component of the category pipeline",
		},
		"resources that are owned":       {new: pipe(resources("repo", ""))},
		"resources that are not granted": {new: pipe(resources("whole", "")), want: []string{"PermissionDenied spec.additionalResources.git.codeRepo"}},
		"resources by URL":               {new: pipe(resources("", "https://public.example.org/a/b.git"))},
		"resources by a pattern":         {new: pipe(resources("", "https://public.example.org/*")), want: byURL},
		"resources of another group":     {new: pipe(resources("", "https://"+Host+"/team-2/code-theirs.git")), want: byURL, wantText: "uses the repositories of its own group only"},
		"resources not granted, by URL":  {new: pipe(resources("", "https://"+Host+"/team-1/CODE-whole")), want: byURL, wantText: "belongs to CodeRepo whole, which is not granted to the project api"},
		"resources owned, by URL":        {new: pipe(resources("", "https://"+Host+"/team-1/code-repo"))},
		"an event source on no GitLab": {
			objects: []client.Object{CodeRepoProvider(Provider, func(p *v1alpha1.CodeRepoProvider) { p.Spec.ProviderType = "github" })}, new: pipe(),
			want: []string{"Invalid spec.eventSources[0].gitlab.repoName"}, wantText: "on no GitLab that is registered",
		},
		"a namespace":                     {new: pipe(namespace("ci-runs"))},
		"a component's namespace":         {new: pipe(namespace("tekton-pipelines")), want: []string{"Invalid spec.destination.namespace"}},
		"a namespace that is taken":       {objects: []client.Object{At(1, PipelineRuntime("product-1", "first", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Namespace = "pipe" }))}, new: pipe(), want: []string{"NamespaceClaimed spec.destination.namespace"}},
		"a namespace that is taken later": {objects: []client.Object{At(3, PipelineRuntime("product-1", "second", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Namespace = "pipe" }))}, new: pipe()},
		"another namespace":               {new: recorded},
		"another namespace, which is taken": {
			objects: []client.Object{At(1, PipelineRuntime("product-1", "first", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Namespace = "new" }))},
			new:     recorded, want: []string{"NamespaceClaimed spec.destination.namespace"}, wantText: "ProjectPipelineRuntime product-1/first",
		},
		"another cluster": {objects: []client.Object{Cluster("ci", PipelineWorker), Cluster("old", PipelineWorker)}, new: moved},
		"another cluster, where the namespace is taken": {
			objects: []client.Object{Cluster("old", PipelineWorker), Environment("product-2", "ci", "ci"), CodeRepo("product-2", "theirs", "api"),
				At(1, PipelineRuntime("product-2", "first", "api", "ci", "theirs", func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Namespace = "pipe" }))},
			new: moved, want: []string{"NamespaceClaimed spec.destination.namespace"}, wantText: "product-2/first of another product",
		},
		"an account that is always there": {new: pipe(func(s *spec) { s.Account = "default" }), want: []string{"Invalid spec.account"}},
	})
}

// TestDisarming holds which errors about a pipeline runtime only take a repository
// away.
func TestDisarming(t *testing.T) {
	tests := map[string]bool{
		"spec.pipelineSource":                         true,
		"spec.eventSources[12].gitlab.repoName":       true,
		"spec.additionalResources.git.codeRepo":       true,
		"spec.additionalResources.git.url":            true,
		"spec.eventSources[0].gitlab.revision":        false,
		"spec.eventSources[0].calendar.schedule":      false,
		"spec.destination.namespace":                  false,
		"spec.hooks.preHooks[0].name":                 false,
		"spec.project":                                false,
		"spec.pipelines[0].gitlab.repoName":           false,
		"spec.eventSources.gitlab.repoName":           false,
		"spec.pipelineTriggers[0].inputs[0].source":   false,
		"spec.eventSources":                           false,
		"spec.additionalResources.gitolite.something": false,
	}
	for at, want := range tests {
		if got := validate.Disarming(field.Invalid(field.NewPath(at), "", "")); got != want {
			t.Errorf("Disarming(%s) is %v", at, got)
		}
	}
}
