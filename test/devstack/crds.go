package devstack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

const (
	fieldManager    = "devstack"
	crdsServeWithin = time.Minute
)

// NautesCRDs returns the directory of this module's CRDs.
func NautesCRDs() (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "config", "crd", "bases"), nil
}

// applicationSets is the file of a CRD of Argo CD that InstallCRDs leaves out:
// its controller runs nowhere here, and it is three times as large as all
// others, so that it took more than half of the start of a control plane.
const applicationSets = "applicationset-crd.yaml"

// ArgoCDCRDs returns the directory of the CRDs in Argo CD's module.
func ArgoCDCRDs(ctx context.Context) (string, error) {
	dir, err := ModuleDir(ctx, "github.com/argoproj/argo-cd/v2")
	return filepath.Join(dir, "manifests", "crds"), err
}

// HNCCRDs returns the directory of the CRDs in HNC's module.
func HNCCRDs(ctx context.Context) (string, error) {
	dir, err := ModuleDir(ctx, "sigs.k8s.io/hierarchical-namespaces")
	return filepath.Join(dir, "config", "crd", "bases"), err
}

// SecretStoreCRD returns the file of the CRD SecretStore in the module of External
// Secrets.
func SecretStoreCRD(ctx context.Context) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	dir, err := moduleDir(ctx, filepath.Join(root, filepath.FromSlash(manifestsModule)), "github.com/external-secrets/external-secrets")
	return filepath.Join(dir, "config", "crds", "bases", "external-secrets.io_secretstores.yaml"), err
}

// InstallCRDs applies every CustomResourceDefinition in files, and in the files *.yaml
// of directories, without the ApplicationSets of Argo CD. It waits until the API server
// serves them all.
func InstallCRDs(ctx context.Context, config *rest.Config, paths ...string) error {
	var crds []crdFile
	for _, path := range paths {
		found, err := readCRDs(path)
		if err != nil {
			return fmt.Errorf("install CRDs: %w", err)
		}
		crds = append(crds, found...)
	}
	return installCRDs(ctx, config, crds)
}

func installCRDs(ctx context.Context, config *rest.Config, crds []crdFile) error {
	client, err := apiextensionsclient.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("install CRDs: %w", err)
	}
	served, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("install CRDs: %w", err)
	}
	force := true
	for _, crd := range crds {
		options := metav1.PatchOptions{FieldManager: fieldManager, Force: &force}
		if _, err := client.CustomResourceDefinitions().Patch(ctx, crd.Name, types.ApplyPatchType, crd.content, options); err != nil {
			return fmt.Errorf("apply CRD %s: %w", crd.Name, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, crdsServeWithin)
	defer cancel()
	for _, crd := range crds {
		if err := poll(ctx, func(context.Context) error { return crdServed(served, crd) }); err != nil {
			return fmt.Errorf("wait for CRD %s: %w", crd.Name, err)
		}
	}
	return nil
}

type crdFile struct {
	apiextensions.CustomResourceDefinition
	content []byte
}

func readCRDs(path string) ([]crdFile, error) {
	files := []string{path}
	if filepath.Ext(path) != ".yaml" {
		var err error
		if files, err = filepath.Glob(filepath.Join(path, "*.yaml")); err != nil {
			return nil, err
		}
	}
	var crds []crdFile
	for _, file := range files {
		if filepath.Base(file) == applicationSets {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		crd := crdFile{content: content}
		if err := yaml.Unmarshal(content, &crd.CustomResourceDefinition); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		// The directories of others hold more than CRDs, as a kustomization.
		if crd.Kind == "CustomResourceDefinition" {
			crds = append(crds, crd)
		}
	}
	if len(crds) == 0 {
		return nil, fmt.Errorf("%s holds no CustomResourceDefinition", path)
	}
	return crds, nil
}

// crdServed returns nil if discovery lists the kind of a CRD. Discovery leaves out
// CRDs that are not established, and is shorter to read than the CRD itself.
func crdServed(served discovery.DiscoveryInterface, crd crdFile) error {
	for _, version := range crd.Spec.Versions {
		if !version.Served {
			continue
		}
		list, err := served.ServerResourcesForGroupVersion(crd.Spec.Group + "/" + version.Name)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == crd.Spec.Names.Plural }) {
			return notYetError(crd.Name + " " + version.Name + " in discovery")
		}
	}
	return nil
}
