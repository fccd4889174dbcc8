package build_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// TestArtifactsGolden keeps the pull secrets, accounts and grants of both kinds of
// runtimes.
func TestArtifactsGolden(t *testing.T) {
	deployment := Deployed("c", DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api"), Into("app", "more")))
	pipe := PipelineRuntime("product-1", "pipe", "api", "ci", "repo-1")
	maven := ArtifactRepo("product-1", "maven", "readonly")
	maven.Spec.PackageType = "maven"
	hub := ArtifactRepo("product-1", "hub", "readonly")
	hub.Spec.Registry = "docker.io"
	s := snapshot.New(Tenant, Namespace, world(
		Product("product-1"), Project("product-1", "api"), Project("product-1", "web"), CodeRepo("product-1", "repo-1", "api"),
		Cluster("ci", PipelineWorker), Environment("product-1", "dev", "c"), Environment("product-1", "ci", "ci"), deployment, pipe,
		ArtifactRepo("product-1", "images", "readwrite", "api"), ArtifactRepo("product-1", "foreign", "readonly", "web"), maven, hub,
	)...).WithSettings(withVault())
	var sets []plan.Set
	for _, cluster := range []string{"c", "ci"} {
		space, access, err := spaceSets(s, "product-1", cluster)
		if err != nil {
			t.Fatal(err)
		}
		space.Items = slices.DeleteFunc(space.Items, func(item plan.Item) bool { return item.ID.Kind != "Secret" && item.ID.Kind != "ServiceAccount" })
		sets = append(sets, space, access)
	}
	got, err := SetsYAML(sets...)
	if err != nil {
		t.Fatal(err)
	}
	Golden(t, "golden/artifacts.yaml", got)
}

// TestPullSecrets holds which accounts pull by which secrets.
func TestPullSecrets(t *testing.T) {
	app := func(projects ...string) client.Object {
		return Deployed("c", DeploymentRuntime("product-1", "app", "dev", "repo-1", For(projects...)))
	}
	elsewhere := ArtifactRepo("product-1", "images", "readonly")
	elsewhere.Spec.Product = "product-2"
	packages := ArtifactRepo("product-1", "images", "readonly")
	packages.Spec.PackageType = "go"
	untyped := ArtifactRepo("product-1", "images", "readonly")
	untyped.Spec.PackageType = ""
	for name, test := range map[string]struct {
		objects []client.Object
		want    []string
	}{
		"of the product":              {objects: []client.Object{app("api"), ArtifactRepo("product-1", "images", "readonly")}, want: []string{"nautes-pull-images"}},
		"of no type":                  {objects: []client.Object{app("api"), untyped}, want: []string{"nautes-pull-images"}},
		"of the project":              {objects: []client.Object{app("api"), ArtifactRepo("product-1", "images", "readonly", "api")}, want: []string{"nautes-pull-images"}},
		"of both projects":            {objects: []client.Object{app("api", "web"), ArtifactRepo("product-1", "images", "readonly", "api", "web")}, want: []string{"nautes-pull-images"}},
		"of one of two projects":      {objects: []client.Object{app("api", "web"), ArtifactRepo("product-1", "images", "readonly", "api")}},
		"of a project, for no one's":  {objects: []client.Object{app(), ArtifactRepo("product-1", "images", "readonly", "api")}},
		"of another project":          {objects: []client.Object{app("api"), ArtifactRepo("product-1", "images", "readonly", "web")}},
		"of another product":          {objects: []client.Object{app("api"), Product("product-2"), ArtifactRepo("product-2", "images", "readonly")}},
		"that names another product":  {objects: []client.Object{app("api"), elsewhere}},
		"that is being deleted":       {objects: []client.Object{app("api"), Deleting(ArtifactRepo("product-1", "images", "readonly"))}},
		"of packages":                 {objects: []client.Object{app("api"), packages}},
		"two, in order":               {objects: []client.Object{app("api"), ArtifactRepo("product-1", "z", "readonly"), ArtifactRepo("product-1", "a", "readonly")}, want: []string{"nautes-pull-a", "nautes-pull-z"}},
		"a binding that is not there": {objects: []client.Object{app("api")}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := append([]client.Object{
				Product("product-1"), Project("product-1", "api"), Project("product-1", "web"), CodeRepo("product-1", "repo-1", ""),
				Binding("product-1", "all", "repo-1", "readonly"), Environment("product-1", "dev", "c"),
			}, test.objects...)
			space, _, err := spaceSets(snapshot.New(Tenant, Namespace, world(objects...)...), "product-1", "c")
			if err != nil {
				t.Fatal(err)
			}
			var pulls, secrets []string
			for _, item := range space.Items {
				switch o := item.Object.(type) {
				case *corev1.ServiceAccount:
					for _, one := range o.ImagePullSecrets {
						pulls = append(pulls, one.Name)
					}
					if len(o.Secrets) > 0 {
						t.Errorf("the account of a deployment has the secrets %v", o.Secrets)
					}
				case *corev1.Secret:
					if o.Type == corev1.SecretTypeDockerConfigJson {
						secrets = append(secrets, o.Name)
						if len(o.Data) > 0 || len(item.Secrets) != 1 || item.Source.Kind != "ArtifactRepo" {
							t.Errorf("the secret is %+v of %v", item.Secrets, item.Source)
						}
					}
				}
			}
			if diff := cmp.Diff(test.want, pulls); diff != "" {
				t.Errorf("the account pulls by (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, secrets); diff != "" {
				t.Errorf("the secrets (-want +got):\n%s", diff)
			}
		})
	}
}
