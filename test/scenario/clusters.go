package scenario

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/test/devstack"
)

// SecretWriter stores the fields of a secret, as a person does.
type SecretWriter func(ctx context.Context, ref secrets.Ref, fields map[string]string) error

// KubernetesSecrets stores secrets in the operator's namespace.
func KubernetesSecrets(c client.Client) SecretWriter {
	store := kube.New(c, c, devstack.OperatorNamespace)
	return func(ctx context.Context, ref secrets.Ref, fields map[string]string) error {
		values := map[string]secrets.Value{}
		for name, text := range fields {
			values[name] = secrets.NewValue([]byte(text))
		}
		_, err := store.Put(ctx, ref, values)
		return err
	}
}

// VaultSecrets stores secrets in a Vault with its root token.
func VaultSecrets(v *devstack.Vault) SecretWriter {
	return func(ctx context.Context, ref secrets.Ref, fields map[string]string) error {
		status, _, err := v.Request(ctx, http.MethodPost, secrets.DataPath(ref), v.RootToken(), map[string]any{"data": fields})
		if err == nil && status/100 != 2 {
			err = fmt.Errorf("store %s/%s in Vault: status %d", ref.Engine, ref.Path, status)
		}
		return err
	}
}

// Cluster returns a Cluster of the tenant by its name alone, to read or to look for.
func Cluster(name string) *v1alpha1.Cluster {
	return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: name}}
}

// ClusterFile returns the declaration of a cluster, with more lines of its spec.
func ClusterFile(name, apiServer string, spec ...string) string {
	return Declaration("Cluster", name, append([]string{fmt.Sprintf("apiServer: %q", apiServer)}, spec...)...)
}

// WorkerSpec returns the lines of a spec for a physical worker of a type, which is
// deployment or pipeline.
func WorkerSpec(workerType string) []string {
	return []string{"clusterType: physical", "usage: worker", "workerType: " + workerType}
}

// StoreKubeconfig stores the kubeconfig of a cluster.
func (s *System) StoreKubeconfig(ctx context.Context, cluster string, kubeconfig []byte) error {
	return s.Secrets(ctx, secrets.ClusterKubeconfig(cluster), map[string]string{"kubeconfig": string(kubeconfig)})
}

// RegisterCluster registers a cluster on a control plane: its kubeconfig has the
// permissions of the operator's user on runtime clusters, and the Cluster is applied
// with more lines of its spec.
func (s *System) RegisterCluster(ctx context.Context, name string, plane *devstack.ControlPlane, spec ...string) error {
	kubeconfig, err := plane.RegisterUser(ctx)
	if err != nil {
		return err
	}
	if err := s.StoreKubeconfig(ctx, name, kubeconfig); err != nil {
		return err
	}
	return s.Apply(ctx, InNamespace(devstack.OperatorNamespace, ClusterFile(name, plane.URL, spec...)))
}

// Catalogue returns the manifest of the tenant's catalogue from entries of its list
// of components.
func Catalogue(components ...string) string {
	return InNamespace(devstack.OperatorNamespace,
		Declaration("ComponentCatalogue", v1alpha1.ComponentCatalogueName, "components:", strings.Join(components, "\n  ")))
}

// ExternalComponents returns the entries of a catalogue by which every built-in
// component but some is on the clusters already. Clusters are ready as soon as they
// are connected, as far as these components go.
func ExternalComponents(but ...string) []string {
	var entries []string
	for _, name := range catalogue.Builtin().Names() {
		if !slices.Contains(but, name) {
			entries = append(entries, "- {name: "+name+", installation: External}")
		}
	}
	return entries
}
