package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// OperatorNamespace is the namespace of the operator on the tenant.
	OperatorNamespace = "nautes"
	// OperatorUser is the user that the operator is on the tenant's control
	// plane, and RuntimeUser the one that it is on runtime control planes. They
	// may do what config/rbac grants, and nothing else.
	OperatorUser = "nautes-operator"
	RuntimeUser  = "nautes-runtime"
)

// InstallOperator gives the operator's user on the tenant's control plane its
// namespace and the permissions of config/rbac, and returns its kubeconfig.
func (s *Stack) InstallOperator(ctx context.Context) ([]byte, error) {
	manifests, err := moduleFiles("config/rbac/role.yaml")
	if err != nil {
		return nil, err
	}
	manifests = append([]byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: "+OperatorNamespace+"}\n---\n"), manifests...)
	manifests = append(manifests, []byte(fmt.Sprintf(`
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: nautes-operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: nautes-operator}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: nautes-operator, namespace: %[2]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: nautes-operator}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s}]
`, OperatorUser, OperatorNamespace))...)
	if err := Apply(ctx, s.Tenant.Config(), manifests); err != nil {
		return nil, fmt.Errorf("install the operator's permissions: %w", err)
	}
	return s.Tenant.KubeconfigFor(OperatorUser)
}

// RegisterUser gives the operator's user on a runtime control plane the
// permissions of config/rbac/runtime_role.yaml, and returns its kubeconfig.
func (c *ControlPlane) RegisterUser(ctx context.Context) ([]byte, error) {
	manifests, err := moduleFiles("config/rbac/runtime_role.yaml")
	if err != nil {
		return nil, err
	}
	manifests = append(manifests, []byte(`
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: nautes-runtime}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: nautes-runtime}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: `+RuntimeUser+`}]
`)...)
	if err := Apply(ctx, c.Config(), manifests); err != nil {
		return nil, fmt.Errorf("install the permissions on %s: %w", c.Name, err)
	}
	return c.KubeconfigFor(RuntimeUser)
}

func moduleFiles(paths ...string) ([]byte, error) {
	root, err := ModuleRoot()
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, path := range paths {
		content, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return nil, fmt.Errorf("read the manifests of the module: %w", err)
		}
		all = append(all, content)
	}
	return bytes.Join(all, []byte("\n---\n")), nil
}

// Apply writes YAML documents as `kubectl apply --server-side` does.
func Apply(ctx context.Context, config *rest.Config, manifests []byte) error {
	c, err := client.New(config, client.Options{})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("decode a manifest: %w", err)
		}
		if len(object.Object) == 0 {
			continue
		}
		configuration := client.ApplyConfigurationFromUnstructured(object)
		if err := c.Apply(ctx, configuration, client.FieldOwner("kubectl"), client.ForceOwnership); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
}
