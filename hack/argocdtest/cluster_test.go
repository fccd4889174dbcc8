package argocdtest_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	listers "github.com/argoproj/argo-cd/v2/pkg/client/listers/application/v1alpha1"
	"github.com/argoproj/argo-cd/v2/util/argo"
	"github.com/argoproj/argo-cd/v2/util/db"
	"github.com/argoproj/argo-cd/v2/util/settings"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	nautes "nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/remote/kubeconfig"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/testutil"
)

const (
	namespace = "argocd"
	worlds    = 40
)

// worthless returns a kubeconfig whose credentials no server accepts.
func worthless(t *testing.T) []byte {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	content, err := clientcmd.Write(clientcmdapi.Config{
		CurrentContext: "c",
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: "https://elsewhere.example.com:6443", CertificateAuthorityData: authority}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {Token: "worthless"}},
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c", AuthInfo: "u"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// argoCD is a tenant as Argo CD's own code sees it.
type argoCD struct {
	db       db.ArgoDB
	settings *settings.SettingsManager
	projects listers.AppProjectLister
	// apps by the names of their clusters, as the plans of the clusters have them.
	apps  map[string][]*v1alpha1.Application
	plans map[string]build.Result[build.ClusterFacts]
}

// newArgoCD shows Argo CD's code the objects of all clusters' plans for the tenant,
// with the connection to each cluster as it will be written.
func newArgoCD(t *testing.T, s *snapshot.Snapshot) *argoCD {
	t.Helper()
	a := &argoCD{apps: map[string][]*v1alpha1.Application{}, plans: map[string]build.Result[build.ClusterFacts]{}}
	projects := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	label := map[string]string{"app.kubernetes.io/part-of": "argocd"}
	objects := []runtime.Object{
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "argocd-cm", Labels: label}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "argocd-secret", Labels: label},
			Data:       map[string][]byte{"server.secretkey": []byte("worthless")},
		},
	}
	for _, c := range s.Clusters() {
		p, err := build.Cluster(s, c)
		if err != nil {
			continue
		}
		a.plans[c.Name] = p
		for _, item := range p.On(plan.Tenant).Items {
			switch o := item.Object.(type) {
			case *corev1.Secret:
				objects = append(objects, filled(t, o, item.Secrets))
			case *v1alpha1.AppProject:
				if err := projects.Add(o); err != nil {
					t.Fatal(err)
				}
			case *v1alpha1.Application:
				a.apps[c.Name] = append(a.apps[c.Name], o)
			default:
				t.Fatalf("%v is nothing of Argo CD's", item.ID)
			}
		}
	}
	clientset := fake.NewClientset(objects...)
	a.settings = settings.NewSettingsManager(t.Context(), clientset, namespace)
	a.db = db.NewDB(namespace, a.settings, clientset)
	a.projects = listers.NewAppProjectLister(projects)
	return a
}

// filled returns a Secret as the applier writes it.
func filled(t *testing.T, secret *corev1.Secret, values []plan.SecretValue) *corev1.Secret {
	t.Helper()
	secret = secret.DeepCopy()
	for _, value := range values {
		if value.Format != plan.FormatArgoCDCluster {
			t.Fatalf("%s has %s in the format %q", secret.Name, value.Key, value.Format)
		}
		content, err := kubeconfig.ArgoCDCluster(worthless(t))
		if err != nil {
			t.Fatal(err)
		}
		secret.Data[value.Key] = content
	}
	return secret
}

// project returns the project of an Application as Argo CD sees it in the end,
// with everything that its cluster Secrets and global projects add.
func (a *argoCD) project(ctx context.Context, t *testing.T, app *v1alpha1.Application) *v1alpha1.AppProject {
	t.Helper()
	project, err := argo.GetAppProject(app, a.projects, namespace, a.settings, a.db, ctx)
	if err != nil {
		t.Fatalf("the project of %s: %v", app.Name, err)
	}
	return project
}

// tenants returns the user guide's clusters with everything ready, and random
// tenants, each with Vault and without.
func tenants() map[string]*snapshot.Snapshot {
	var guide []client.Object
	for i, c := range testutil.GuideClusters() {
		// The guide has one machine for all of its examples.
		c.Spec.APIServer = fmt.Sprintf("https://%s.example.com:%d", c.Name, 31000+i)
		testutil.AllReady(c, "argo-events", "argo-rollouts", "argocd", "cert-manager", "external-secrets", "hnc", "oauth2-proxy", "tekton", "traefik", "vault", "vcluster")
		guide = append(guide, c)
	}
	all := map[string]*snapshot.Snapshot{"the user guide": snapshot.New(testutil.Tenant, testutil.Namespace, guide...)}
	for seed := range uint64(worlds) {
		w := testutil.NewClusterWorld(seed)
		for i, o := range w.Objects {
			if c, ok := o.(*nautes.Cluster); ok {
				c.Spec.APIServer = fmt.Sprintf("https://cluster-%d.example.com:%d", i, 31000+i)
			}
		}
		all[fmt.Sprintf("world %d", seed)] = snapshot.New(testutil.Tenant, testutil.Namespace, w.Objects...)
	}
	with := snapshot.Settings{Vault: &snapshot.VaultSettings{Address: "https://vault.example.com:8200"}}
	for name, s := range all {
		if strings.HasSuffix(name, "1") || name == "the user guide" {
			all[name+" with Vault"] = s.WithSettings(with)
		}
	}
	return all
}

// TestArgoCDAccepts holds that Argo CD's own checks find nothing wrong with the
// projects and Applications of clusters.
func TestArgoCDAccepts(t *testing.T) {
	checked := 0
	for name, s := range tenants() {
		t.Run(name, func(t *testing.T) {
			a := newArgoCD(t, s)
			for cluster, apps := range a.apps {
				for _, app := range apps {
					a.check(t, cluster, app)
					checked++
				}
			}
		})
	}
	if checked < 500 {
		t.Errorf("only %d Applications were checked: the tenants are too poor to show anything", checked)
	}
}

func (a *argoCD) check(t *testing.T, cluster string, app *v1alpha1.Application) {
	project := a.project(t.Context(), t, app)
	if err := project.ValidateProject(); err != nil {
		t.Errorf("Argo CD refuses the project %s: %v", project.Name, err)
	}
	if !argo.IsValidAppName(app.Name) || !argo.IsValidProjectName(project.Name) {
		t.Errorf("Argo CD refuses the names %s and %s", app.Name, project.Name)
	}
	spec := app.Spec.DeepCopy()
	conditions, err := argo.ValidatePermissions(t.Context(), spec, project, a.db)
	if err != nil || len(conditions) > 0 {
		if len(a.plans[app.Spec.Destination.Name].On(plan.Tenant).Items) == 0 {
			// The host of a virtual cluster is not registered itself.
			return
		}
		t.Errorf("Argo CD has something against %s: %v %s", app.Name, err, argo.FormatAppConditions(conditions))
	}
	if diff := cmp.Diff(app.Spec, *argo.NormalizeApplicationSpec(app.Spec.DeepCopy()), cmpopts.EquateComparable(v1alpha1.ApplicationDestination{})); diff != "" {
		t.Errorf("Argo CD would write %s in another way (-ours +normal):\n%s", app.Name, diff)
	}
	for _, source := range app.Spec.GetSources() {
		if _, err := source.ExplicitType(); err != nil {
			t.Errorf("a source of %s: %v", app.Name, err)
		}
	}
	for attempt := range app.Spec.SyncPolicy.Retry.Limit {
		now := time.Now()
		if at, err := app.Spec.SyncPolicy.Retry.NextRetryAt(now, attempt); err != nil || at.Before(now) || at.After(now.Add(3*time.Minute)) {
			t.Errorf("%s is tried again at %v, after %v: %v", app.Name, at, now, err)
		}
	}
	a.checkObjects(t, cluster, app, project)
}

// checkObjects checks which objects Argo CD lets an Application install. It asks in
// the same way before it removes them.
func (a *argoCD) checkObjects(t *testing.T, cluster string, app *v1alpha1.Application, project *v1alpha1.AppProject) {
	place := app.Spec.Destination
	permits := func(gk schema.GroupKind, at string) bool {
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(gk.WithVersion("v1"))
		o.SetNamespace(at)
		permitted, err := project.IsLiveResourcePermitted(o, place.Server, place.Name, func(string) ([]*v1alpha1.Cluster, error) { return nil, nil })
		if err != nil {
			t.Fatal(err)
		}
		return permitted
	}
	i := slices.IndexFunc(a.plans[cluster].Facts.Components, func(c build.ComponentPlan) bool { return c.Application == app.Name })
	component := a.plans[cluster].Facts.Components[i]
	deployment := schema.GroupKind{Group: "apps", Kind: "Deployment"}
	for _, at := range append([]string{place.Namespace}, component.Namespaces...) {
		if !permits(deployment, at) {
			t.Errorf("%s may not install a Deployment in %s", app.Name, at)
		}
	}
	for _, kind := range component.ClusterResources {
		if !permits(schema.GroupKind(kind), "") {
			t.Errorf("%s may not install a %v", app.Name, kind)
		}
	}
	if permits(deployment, "kube-public") || permits(schema.GroupKind{Kind: "Node"}, "") {
		t.Errorf("%s may install what no component needs", app.Name)
	}
}

// TestArgoCDKnowsTheClusters holds that Argo CD's code reads the Secret of each
// cluster as it is meant: who it is, where, and for no project.
func TestArgoCDKnowsTheClusters(t *testing.T) {
	for name, s := range tenants() {
		t.Run(name, func(t *testing.T) {
			a := newArgoCD(t, s)
			for name, p := range a.plans {
				if len(p.On(plan.Tenant).Items) == 0 {
					continue
				}
				c := s.Cluster(name)
				servers, err := a.db.GetClusterServersByName(t.Context(), name)
				if err != nil || !slices.Equal(servers, []string{c.Spec.APIServer}) {
					t.Errorf("%s is at %v: %v", name, servers, err)
					continue
				}
				got, err := a.db.GetCluster(t.Context(), c.Spec.APIServer)
				if err != nil {
					t.Fatal(err)
				}
				if got.Name != name || got.Project != "" || len(got.Namespaces) > 0 || got.Labels["cluster.nautes.io/usage"] != string(c.Spec.Usage) {
					t.Errorf("Argo CD takes %s for %s, of the project %q, with the labels %v", name, got.Name, got.Project, got.Labels)
				}
				config, err := got.RawRestConfig()
				if err != nil || config.Host != c.Spec.APIServer || config.BearerToken != "worthless" || config.Insecure || len(config.CAData) == 0 {
					t.Errorf("Argo CD cannot connect to %s: %v", name, err)
				}
			}
		})
	}
}

// TestArgoCDRefuses holds that a cluster's project permits no more than it must,
// and that the checks above can fail.
func TestArgoCDRefuses(t *testing.T) {
	a := newArgoCD(t, tenants()["the user guide"])
	app := func(t *testing.T, cluster, name string) *v1alpha1.Application {
		t.Helper()
		i := slices.IndexFunc(a.apps[cluster], func(app *v1alpha1.Application) bool { return app.Labels["cluster.nautes.io/component"] == name })
		if i < 0 {
			t.Fatalf("%s has no %s", cluster, name)
		}
		return a.apps[cluster][i].DeepCopy()
	}
	tests := map[string]func(*v1alpha1.ApplicationSpec){
		"another cluster":             func(s *v1alpha1.ApplicationSpec) { s.Destination.Name = "physical-worker-pipeline" },
		"the host's other namespaces": func(s *v1alpha1.ApplicationSpec) { s.Destination.Name = "cluster-host" },
		"another virtual cluster's room": func(s *v1alpha1.ApplicationSpec) {
			s.Destination = v1alpha1.ApplicationDestination{Name: "cluster-host", Namespace: "virtual-worker-pipeline"}
		},
		"the tenant's cluster, by name": func(s *v1alpha1.ApplicationSpec) { s.Destination.Name = "in-cluster" },
		"the tenant's cluster, by server": func(s *v1alpha1.ApplicationSpec) {
			s.Destination.Name, s.Destination.Server = "", "https://kubernetes.default.svc"
		},
		"a namespace of the cluster":      func(s *v1alpha1.ApplicationSpec) { s.Destination.Namespace = "kube-system" },
		"another repository":              func(s *v1alpha1.ApplicationSpec) { s.Source.RepoURL = "https://charts.example.com" },
		"a longer name of the repository": func(s *v1alpha1.ApplicationSpec) { s.Source.RepoURL += ".example.com" },
		"a cluster that nobody knows":     func(s *v1alpha1.ApplicationSpec) { s.Destination.Name = "absent" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			one := app(t, "virtual-worker-deployment", "argocd")
			project := a.project(t.Context(), t, one)
			change(&one.Spec)
			conditions, err := argo.ValidatePermissions(t.Context(), &one.Spec, project, a.db)
			if err == nil && len(conditions) == 0 {
				t.Errorf("the project %s permits %v from %s", project.Name, one.Spec.Destination, one.Spec.Source.RepoURL)
			}
		})
	}
}

// TestAProjectInTheSecretOpensTheCluster holds why the Secret of a cluster must
// not have one: if Argo CD no longer did this, the rule could go.
func TestAProjectInTheSecretOpensTheCluster(t *testing.T) {
	s := tenants()["the user guide"]
	const name = "physical-worker-deployment"
	p, err := build.Cluster(s, s.Cluster(name))
	if err != nil {
		t.Fatal(err)
	}
	for project, want := range map[string]bool{"": false, names.Cluster(name): true} {
		projects := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
		var secret *corev1.Secret
		for _, item := range p.On(plan.Tenant).Items {
			switch o := item.Object.(type) {
			case *corev1.Secret:
				secret = filled(t, o, item.Secrets)
			case *v1alpha1.AppProject:
				if err := projects.Add(o.DeepCopy()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if project != "" {
			secret.Data["project"] = []byte(project)
		}
		clientset := fake.NewClientset(secret, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "argocd-cm", Labels: map[string]string{"app.kubernetes.io/part-of": "argocd"},
		}})
		manager := settings.NewSettingsManager(t.Context(), clientset, namespace)
		got, err := argo.GetAppProjectByName(names.Cluster(name), listers.NewAppProjectLister(projects), namespace, manager, db.NewDB(namespace, manager, clientset), t.Context())
		if err != nil {
			t.Fatal(err)
		}
		open, err := got.IsDestinationPermitted(v1alpha1.ApplicationDestination{Server: s.Cluster(name).Spec.APIServer, Namespace: "kube-system"}, nil)
		if err != nil || open != want {
			t.Errorf("with the project %q in the Secret, kube-system is open: %v (%v), want %v", project, open, err, want)
		}
	}
}
