package certmanagertest_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/client/clientset/versioned/fake"
	listers "github.com/cert-manager/cert-manager/pkg/client/listers/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/controller"
	shim "github.com/cert-manager/cert-manager/pkg/controller/certificate-shim"
	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	nautes "nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/testutil"
)

// ingresses returns the Ingresses of a cluster's web pages and of a pipeline's hooks, with
// an issuer or without.
func ingresses(t *testing.T, issuer string) []*networkingv1.Ingress {
	t.Helper()
	cluster := testutil.Cluster("pipes", testutil.PipelineWorker, func(c *nautes.Cluster) {
		if issuer != "" {
			c.Spec.ComponentsList.CertManagement = &nautes.Component{Name: "cert-manager", Additions: map[string]string{"clusterIssuer": issuer}}
		}
	})
	testutil.AllReady(cluster, "argo-events", "argocd", "cert-manager", "hnc", "oauth2-proxy", "tekton", "traefik")
	listening := func(r *nautes.ProjectPipelineRuntime) {
		r.UID = types.UID("uid-of-" + r.Name)
		r.Spec.EventSources = []nautes.EventSource{{Name: "push", GitLab: &nautes.GitLabEventSource{RepoName: "repo-1", Events: []nautes.GitLabEvent{"push_events"}}}}
		r.Spec.PipelineTriggers = []nautes.PipelineTrigger{{EventSource: "push", Pipeline: "dev"}}
	}
	one := testutil.PipelineRuntime("product-1", "one", "api", "dev", "repo-1", listening)
	two := testutil.PipelineRuntime("product-1", "two", "api", "dev", "repo-1", listening)
	s := snapshot.New(testutil.Tenant, testutil.Namespace, cluster, one, two, testutil.CodeRepoProvider(testutil.Provider), testutil.Product("product-1"),
		testutil.Project("product-1", "api"), testutil.Environment("product-1", "dev", "pipes"), testutil.CodeRepo("product-1", "repo-1", "api"),
	).WithSettings(snapshot.Settings{RunnerImage: "example.com/nautes:v1"})
	pages, err := build.Cluster(s, cluster)
	if err != nil {
		t.Fatal(err)
	}
	sets := pages.Sets
	for _, r := range []*nautes.ProjectPipelineRuntime{one, two} {
		hooks, err := build.PipelineRuntime(s, r)
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, hooks.Sets...)
	}
	var found []*networkingv1.Ingress
	for _, set := range sets {
		for _, item := range set.Items {
			if in, ok := item.Object.(*networkingv1.Ingress); ok {
				in = in.DeepCopy()
				in.UID = types.UID("uid-of-" + in.Name)
				found = append(found, in)
			}
		}
	}
	if len(found) < 5 {
		t.Fatalf("the plans have %d Ingresses, want the ones of the web pages and of the hooks", len(found))
	}
	return found
}

// certManager is the controller of cert-manager for Ingresses.
type certManager struct {
	sync   shim.SyncFn
	client *fake.Clientset
	store  cache.Indexer
	events *record.FakeRecorder
}

// newCertManager makes it with the defaults of its program.
func newCertManager() *certManager {
	c := &certManager{
		client: fake.NewSimpleClientset(), events: record.NewFakeRecorder(100),
		store: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}),
	}
	options := controller.IngressShimOptions{
		DefaultIssuerKind: cmv1.IssuerKind, DefaultIssuerGroup: certmanager.GroupName, DefaultAutoCertificateAnnotations: []string{"kubernetes.io/tls-acme"},
	}
	c.sync = shim.SyncFnFor(c.events, logr.Discard(), c.client, listers.NewCertificateLister(c.store), options, "cert-manager")
	return c
}

// warnings returns the events since the last call that are no good news.
func (c *certManager) warnings() []string {
	var found []string
	for {
		select {
		case event := <-c.events.Events:
			if !strings.HasPrefix(event, "Normal ") {
				found = append(found, event)
			}
		default:
			return found
		}
	}
}

// TestIngressShim holds that cert-manager makes the expected Certificate of each of our
// Ingresses, warns of none, and leaves the Certificate alone from then on.
func TestIngressShim(t *testing.T) {
	for _, in := range ingresses(t, "letsencrypt") {
		t.Run(in.Name, func(t *testing.T) {
			c := newCertManager()
			if err := c.sync(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			if warnings := c.warnings(); len(warnings) > 0 {
				t.Errorf("cert-manager warns of it: %v", warnings)
			}
			made, err := c.client.CertmanagerV1().Certificates(in.Namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var want []cmv1.Certificate
			for _, o := range testutil.RequestedCertificates(in) {
				o.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(in, networkingv1.SchemeGroupVersion.WithKind("Ingress"))})
				var one cmv1.Certificate
				if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &one, true); err != nil {
					t.Fatal(err)
				}
				one.TypeMeta = metav1.TypeMeta{}
				want = append(want, one)
			}
			if diff := cmp.Diff(want, made.Items); diff != "" || len(want) != 1 {
				t.Fatalf("its %d certificates (-want +made):\n%s", len(want), diff)
			}
			if err := c.store.Add(&made.Items[0]); err != nil {
				t.Fatal(err)
			}
			c.client.ClearActions()
			if err := c.sync(t.Context(), in); err != nil || len(c.client.Actions()) > 0 {
				t.Errorf("the second time it asks %v: %v", c.client.Actions(), err)
			}
		})
	}
}

// TestSharedCertificate holds that the Ingresses of two runtimes share a Certificate
// without a warning, and that the second has it anew when the first is gone.
func TestSharedCertificate(t *testing.T) {
	c := newCertManager()
	var hooks []*networkingv1.Ingress
	for _, in := range ingresses(t, "letsencrypt") {
		if strings.HasPrefix(in.Name, "product-1-") {
			hooks = append(hooks, in)
		}
	}
	if len(hooks) != 2 || hooks[0].Namespace != hooks[1].Namespace || hooks[0].Spec.TLS[0].SecretName != hooks[1].Spec.TLS[0].SecretName {
		t.Fatalf("the Ingresses for hooks are %v, want two that share a Secret", hooks)
	}
	sync := func(in *networkingv1.Ingress) (verbs string) {
		t.Helper()
		c.client.ClearActions()
		if err := c.sync(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if warnings := c.warnings(); len(warnings) > 0 {
			t.Errorf("cert-manager warns of %s: %v", in.Name, warnings)
		}
		for _, action := range c.client.Actions() {
			verbs += action.GetVerb()
		}
		return verbs
	}
	first := sync(hooks[0])
	made, err := c.client.CertmanagerV1().Certificates(hooks[0].Namespace).Get(t.Context(), hooks[0].Spec.TLS[0].SecretName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.store.Add(made); err != nil {
		t.Fatal(err)
	}
	shared := sync(hooks[1])
	// The garbage collector removes it with its owner.
	if err := errors.Join(c.store.Delete(made), c.client.CertmanagerV1().Certificates(made.Namespace).Delete(t.Context(), made.Name, metav1.DeleteOptions{})); err != nil {
		t.Fatal(err)
	}
	if again := sync(hooks[1]); first != "create" || shared != "" || again != "create" {
		t.Errorf("cert-manager asks %q for the first, %q for the second, and %q when the first is gone", first, shared, again)
	}
}

// TestIngressShimAsksForNothing holds that our Ingresses get no certificates without an
// issuer, and that the checks above can fail.
func TestIngressShimAsksForNothing(t *testing.T) {
	c := newCertManager()
	for _, in := range ingresses(t, "") {
		if err := c.sync(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	if actions, warnings := c.client.Actions(), c.warnings(); len(actions)+len(warnings) > 0 {
		t.Errorf("without an issuer cert-manager asks %v, with the warnings %v", actions, warnings)
	}
	broken := ingresses(t, "letsencrypt")[0]
	broken.Spec.TLS[0].SecretName = ""
	if err := c.sync(t.Context(), broken); err != nil {
		t.Fatal(err)
	}
	if warnings := c.warnings(); len(warnings) != 1 {
		t.Errorf("an Ingress without a Secret gets the warnings %v", warnings)
	}
}

// TestVersion holds that the code is the one that the catalogue installs.
func TestVersion(t *testing.T) {
	module, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := catalogue.Builtin().Component("cert-manager").Sources[0].TargetRevision; !strings.Contains(string(module), "github.com/cert-manager/cert-manager "+want+"\n") {
		t.Errorf("the catalogue installs %s: use that version of cert-manager here", want)
	}
}
