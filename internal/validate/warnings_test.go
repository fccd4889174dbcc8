package validate_test

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	. "nautes.io/nautes/test/testutil"
)

// Fields that have no effect on a kind of cluster are warned of.
func TestIdleFields(t *testing.T) {
	type spec = v1alpha1.ClusterSpec
	with := func(change func(*spec)) func(*v1alpha1.Cluster) {
		return func(c *v1alpha1.Cluster) { change(&c.Spec) }
	}
	argocd := with(func(s *spec) { s.ArgoCDHost = "argocd.example.com" })
	tekton := with(func(s *spec) { s.TektonHost = "tekton.example.com" })
	chosen := func(choose func(*v1alpha1.ComponentsList, *v1alpha1.Component), name string, additions map[string]string) func(*v1alpha1.Cluster) {
		return with(func(s *spec) { choose(&s.ComponentsList, &v1alpha1.Component{Name: name, Additions: additions}) })
	}
	byGateway := func(l *v1alpha1.ComponentsList, c *v1alpha1.Component) { l.Gateway = c }
	byProxy := func(l *v1alpha1.ComponentsList, c *v1alpha1.Component) { l.OauthProxy = c }
	byVault := func(l *v1alpha1.ComponentsList, c *v1alpha1.Component) { l.SecretManagement = c }
	byDeployment := func(l *v1alpha1.ComponentsList, c *v1alpha1.Component) { l.Deployment = c }
	byIssuer := func(l *v1alpha1.ComponentsList, c *v1alpha1.Component) { l.CertManagement = c }
	ports := map[string]string{"httpNodePort": "30080", "httpsNodePort": "30443"}
	grants := with(func(s *spec) {
		s.ReservedNamespacesAllowedProducts = map[string][]string{"traefik": {"team-9"}, "hnc": {"team-9"}}
	})
	kinds := with(func(s *spec) {
		s.ProductAllowedClusterResources = map[string][]v1alpha1.ClusterResource{"team-9": {{Kind: "ClusterRole", Group: "authorization.k8s.io"}}}
	})
	external := func(names ...string) []client.Object {
		var components []v1alpha1.CatalogueComponent
		for _, name := range names {
			components = append(components, v1alpha1.CatalogueComponent{Name: name, Installation: v1alpha1.InstallationExternal})
		}
		return []client.Object{ComponentCatalogue(components...)}
	}
	virtual := VirtualCluster("host", "31443")
	run(t, map[string]verdict{
		"argocdHost on a host":                 {new: Cluster("new", HostCluster, argocd), wantWarning: "spec.argocdHost: it has no effect: a host cluster has no component of the category deployment"},
		"argocdHost on a physical worker":      {new: Cluster("new", argocd)},
		"argocdHost on a virtual worker":       {new: Cluster("new", virtual, argocd)},
		"argocdHost of others":                 {objects: external("argocd"), new: Cluster("new", argocd), wantWarning: "spec.argocdHost: it has no effect: Nautes does not install argocd"},
		"tektonHost on a deployment worker":    {new: Cluster("new", tekton), wantWarning: "spec.tektonHost: it has no effect: a physical deployment worker has no component of the category pipeline"},
		"tektonHost on a pipeline worker":      {new: Cluster("new", PipelineWorker, tekton)},
		"tektonHost of others":                 {objects: external("tekton"), new: Cluster("new", PipelineWorker, tekton), wantWarning: "spec.tektonHost: it has no effect: Nautes does not install tekton"},
		"the gateway's ports on a virtual one": {new: Cluster("new", virtual, gateway("30080", "")), wantWarning: "spec.traefik.httpNodePort: it has no effect: a virtual deployment worker has no component of the category gateway"},
		"its HTTPS port on a virtual one":      {new: Cluster("new", virtual, gateway("", "30443")), wantWarning: "spec.traefik.httpsNodePort: it has no effect"},
		"no port on a virtual one":             {new: Cluster("new", virtual, gateway("", ""))},
		"the gateway's ports on a host":        {new: Cluster("new", HostCluster, gateway("30080", "30443"))},
		"the ports of a gateway of others":     {objects: external("traefik"), new: Cluster("new", gateway("30080", "30443")), wantWarning: "spec.traefik.httpNodePort: it has no effect: Nautes does not install traefik"},
		"a gateway on a virtual one":           {new: Cluster("new", virtual, chosen(byGateway, "traefik", ports)), wantWarning: "spec.componentsList.gateway: it has no effect"},
		"a proxy on a virtual one":             {new: Cluster("new", virtual, chosen(byProxy, "oauth2-proxy", nil)), wantWarning: "spec.componentsList.oauthProxy: it has no effect"},
		"a proxy on a deployment worker":       {new: Cluster("new", chosen(byProxy, "oauth2-proxy", nil))},
		"a secret store on a host":             {new: Cluster("new", HostCluster, chosen(byVault, "vault", nil)), wantWarning: "spec.componentsList.secretManagement: it has no effect"},
		"an issuer of others":                  {objects: external("cert-manager"), new: Cluster("new", chosen(byIssuer, "cert-manager", map[string]string{"clusterIssuer": "letsencrypt"}))},
		"a setting of others":                  {objects: external("argocd"), new: Cluster("new", chosen(byDeployment, "argocd", map[string]string{"host": "a.example.com"})), wantWarning: "spec.componentsList.deployment.additions[host]: it has no effect"},
		"the port of a virtual one of others":  {objects: external("vcluster"), new: Cluster("new", virtual), wantWarning: "spec.vcluster.httpsNodePort: it has no effect: Nautes does not install vcluster"},
		"reserved namespaces on a host":        {new: Cluster("new", HostCluster, grants), wantWarning: "spec.reservedNamespacesAllowedProducts: it has no effect: a host cluster carries no products"},
		"kinds for products on a host":         {new: Cluster("new", HostCluster, kinds), wantWarning: "spec.productAllowedClusterResources: it has no effect: a host cluster carries no products"},
	})
}

// Settings of earlier versions name what does their work now.
func TestFormerSettings(t *testing.T) {
	hnc := func(setting string) *v1alpha1.Cluster {
		return Cluster("new", func(c *v1alpha1.Cluster) {
			c.Spec.ComponentsList.MultiTenant = &v1alpha1.Component{Name: "hnc", Additions: map[string]string{setting: "x"}}
		})
	}
	at := func(setting string) []string {
		return []string{"Invalid spec.componentsList.multiTenant.additions[" + setting + "]"}
	}
	run(t, map[string]verdict{
		"a folder":   {new: hnc("productResourceKustomizeFileFolder"), want: at("productResourceKustomizeFileFolder"), wantText: "by a DeploymentRuntime, or by spec.additionalResources"},
		"a revision": {new: hnc("productResourceRevision"), want: at("productResourceRevision"), wantText: "by a DeploymentRuntime, or by spec.additionalResources"},
		"types":      {new: hnc("syncResourceTypes"), want: at("syncResourceTypes"), wantText: "spec.resources of the HNCConfiguration"},
	})
}

// The marks of a code repository allow nothing and are not silently contradicted.
func TestMarks(t *testing.T) {
	marked := func(deployment, pipeline bool) []client.Object {
		return []client.Object{CodeRepo("product-1", "repo", "", func(r *v1alpha1.CodeRepo) {
			r.Spec.DeploymentRuntime, r.Spec.PipelineRuntime = deployment, pipeline
		})}
	}
	deployment := DeploymentRuntime("product-1", "app", "dev", "repo")
	pipeline := PipelineRuntime("product-1", "pipe", "api", "ci", "repo")
	granted := func(objects []client.Object) []client.Object {
		return append(objects, Binding("product-1", "b", "repo", "readonly"))
	}
	run(t, map[string]verdict{
		"a deployment, not marked":         {objects: marked(false, false), new: deployment},
		"a deployment, marked":             {objects: marked(true, false), new: deployment},
		"a deployment, marked for both":    {objects: marked(true, true), new: deployment},
		"a deployment, marked for another": {objects: marked(false, true), new: deployment, wantWarning: "spec.manifestSource.codeRepo: CodeRepo product-1/repo is marked for pipelines alone"},
		"a pipeline, not marked":           {objects: granted(marked(false, false)), new: pipeline},
		"a pipeline, marked":               {objects: granted(marked(false, true)), new: pipeline},
		"a pipeline, marked for both":      {objects: granted(marked(true, true)), new: pipeline},
		"a pipeline, marked for another":   {objects: granted(marked(true, false)), new: pipeline, wantWarning: "spec.pipelineSource: CodeRepo product-1/repo is marked for deployments alone"},
	})
}

func TestPipelineWarnings(t *testing.T) {
	sends := func(events ...v1alpha1.GitLabEvent) []client.Object {
		return []client.Object{CodeRepo("product-1", "repo", "api", func(r *v1alpha1.CodeRepo) { r.Spec.Webhook = &v1alpha1.Webhook{Events: events} })}
	}
	pipe := func(paths ...string) *v1alpha1.ProjectPipelineRuntime {
		return PipelineRuntime("product-1", "pipe", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) {
			r.Spec.EventSources[0].GitLab.Events = []v1alpha1.GitLabEvent{"push_events", "tag_push_events"}
			for i, path := range paths {
				r.Spec.Pipelines = append(r.Spec.Pipelines, v1alpha1.Pipeline{Name: string(rune('a' + i)), Path: path})
			}
		})
	}
	run(t, map[string]verdict{
		"every event is listed":   {objects: sends("push_events", "tag_push_events", "job_events"), new: pipe()},
		"nothing is listed":       {objects: []client.Object{CodeRepo("product-1", "repo", "api")}, new: pipe()},
		"an event is not listed":  {objects: sends("push_events"), new: pipe(), wantWarning: "spec.eventSources[0].gitlab.events: CodeRepo product-1/repo does not list tag_push_events in its spec.webhook.events"},
		"pipelines of two files":  {new: pipe("a.yaml", "b.yaml")},
		"two pipelines of a file": {new: pipe("a.yaml", "./a.yaml"), wantWarning: "spec.pipelines[2].path: pipeline a is the same file"},
	})
}
