package devstack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// OperatorNamespace is the namespace of the operator on the tenant.
	OperatorNamespace = "nautes"
	// OperatorUser is the user that the operator is on the tenant's control plane.
	// It has the rights of config/rbac, and no others.
	OperatorUser = "nautes-operator"
	// RuntimeUser is the user that the operator is on runtime control planes. It has
	// the rights of config/rbac, and no others.
	RuntimeUser = "nautes-runtime"
	// InstallerUser may also install components; the tenant's Argo CD is that
	// user too.
	InstallerUser = "nautes-installer"
)

// InstallOperator gives the operator's user on the tenant's control plane its
// namespace and the permissions of config/rbac, and returns its kubeconfig.
func (s *Stack) InstallOperator(ctx context.Context) ([]byte, error) {
	manifests, err := moduleFiles("config/rbac/role.yaml")
	if err != nil {
		return nil, err
	}
	for _, namespace := range []string{OperatorNamespace, ArgoCDNamespace} {
		manifests = append([]byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: "+namespace+"}\n---\n"), manifests...)
	}
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
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: nautes-operator, namespace: %[3]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: nautes-operator}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s}]
`, OperatorUser, OperatorNamespace, ArgoCDNamespace))...)
	if err := Apply(ctx, s.Tenant.Config(), manifests); err != nil {
		return nil, fmt.Errorf("install the operator's permissions: %w", err)
	}
	return s.Tenant.KubeconfigFor(OperatorUser)
}

// RegisterUser gives the operator's user on a runtime control plane the
// permissions of config/rbac/runtime_role.yaml, and returns its kubeconfig.
func (c *ControlPlane) RegisterUser(ctx context.Context) ([]byte, error) {
	return c.registerUser(ctx, RuntimeUser, "runtime")
}

// RegisterInstaller is RegisterUser for InstallerUser, with the permissions of
// config/rbac/installer_role.yaml too.
func (c *ControlPlane) RegisterInstaller(ctx context.Context) ([]byte, error) {
	return c.registerUser(ctx, InstallerUser, "runtime", "installer")
}

// registerUser binds ClusterRoles nautes-<role> of config/rbac/<role>_role.yaml to a user.
func (c *ControlPlane) registerUser(ctx context.Context, user string, roles ...string) ([]byte, error) {
	for _, role := range roles {
		manifests, err := moduleFiles("config/rbac/" + role + "_role.yaml")
		if err != nil {
			return nil, err
		}
		manifests = append(manifests, []byte(fmt.Sprintf(`
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s-%[2]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: nautes-%[2]s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s}]
`, user, role))...)
		if err := Apply(ctx, c.Config(), manifests); err != nil {
			return nil, fmt.Errorf("install the permissions on %s: %w", c.Name, err)
		}
	}
	return c.KubeconfigFor(user)
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

// Apply is ApplyWith, for those who have no client yet.
func Apply(ctx context.Context, config *rest.Config, manifests []byte) error {
	c, err := client.New(config, client.Options{})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	return ApplyWith(ctx, c, manifests)
}

// ApplyWith writes YAML documents as `kubectl apply --server-side` does.
func ApplyWith(ctx context.Context, c client.Client, manifests []byte) error {
	objects, err := decodeManifests(manifests)
	if err != nil {
		return err
	}
	for _, object := range objects {
		configuration := client.ApplyConfigurationFromUnstructured(object)
		if err := c.Apply(ctx, configuration, client.FieldOwner("kubectl"), client.ForceOwnership); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}
