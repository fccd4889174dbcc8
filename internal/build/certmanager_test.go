package build_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/test/devstack"
	. "nautes.io/nautes/test/testutil"
)

const certManager = "github.com/cert-manager/cert-manager"

// certManagerServer returns a server that knows the kinds of cert-manager, and the folder
// of cert-manager's module.
func certManagerServer(t *testing.T) (server, string) {
	t.Helper()
	s := newServer(t)
	module, err := moduleDir(t.Context(), "hack/tools/manifests", certManager)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, file := range []string{"crd-certificates.yaml", "crd-clusterissuers.yaml"} {
		content, err := os.ReadFile(filepath.Join(module, "deploy", "crds", file))
		if err != nil {
			t.Fatal(err)
		}
		// The labels are for Helm.
		content = regexp.MustCompile(`'\{\{.*\}\}'`).ReplaceAll(content, []byte("x"))
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := devstack.InstallCRDs(t.Context(), shared.Stack(t).Tenant.Config(), dir); err != nil {
		t.Fatal(err)
	}
	return s, module
}

// TestCertManagerAccepts holds that a real API server accepts our Ingresses with
// certificates, and the Certificates that cert-manager makes of them, by the definitions
// of the version in the catalogue. The module hack/certmanagertest holds which these are.
func TestCertManagerAccepts(t *testing.T) {
	s, module := certManagerServer(t)
	if version := catalogue.Builtin().Component("cert-manager").Sources[0].TargetRevision; !strings.HasSuffix(module, "@"+version) {
		t.Errorf("the definitions are from %s, and the catalogue has %s", module, version)
	}
	certificates := s.Resource(schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"})
	put := func(o *unstructured.Unstructured) error {
		text, err := o.MarshalJSON()
		if err != nil {
			return err
		}
		_, err = certificates.Namespace(o.GetNamespace()).Patch(t.Context(), o.GetName(), types.ApplyPatchType, text, metav1.PatchOptions{
			FieldManager: "cert-manager", FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll},
		})
		return err
	}
	one := listening("product-1", "one", v1alpha1.IsolationShared, pushes("product-1", "push", ""))
	world := pipelineWorld(pipelineWorker(issuing), []string{"product-1"}, one)
	sets := append(mustCluster(t, newSnapshot(Cluster("new", PipelineWorker, issuing)), "new").Sets, planOf(t, world, one).Sets...)
	var last *unstructured.Unstructured
	made := 0
	for _, item := range ingresses(sets) {
		in := item.Object.(*networkingv1.Ingress)
		namespaced(t, s, in.Namespace)
		if _, err := s.apply(t.Context(), content(t, in)); err != nil {
			t.Errorf("%v: %v", item.ID, err)
		}
		for _, last = range RequestedCertificates(in) {
			if err := put(last); err != nil {
				t.Errorf("the certificate of %v: %v", item.ID, err)
			}
			made++
		}
	}
	if made < 4 {
		t.Fatalf("%d certificates are requested, want the ones of the web pages and of the hooks", made)
	}
	// The server can refuse one.
	if err := unstructured.SetNestedField(last.Object, "x", "spec", "issuerReference"); err != nil {
		t.Fatal(err)
	}
	if err := put(last); err == nil {
		t.Error("the server accepts a certificate with a field that does not exist")
	}
}

// ingresses returns the Ingresses in sets.
func ingresses(sets []plan.Set) []plan.Item {
	var found []plan.Item
	for _, set := range sets {
		for _, item := range set.Items {
			if _, ok := item.Object.(*networkingv1.Ingress); ok {
				found = append(found, item)
			}
		}
	}
	return found
}
