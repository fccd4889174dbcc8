package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
)

// receiverKey is the Secret with the key of the tokens of push hooks.
const receiverKey = "nautes-receiver"

// Product is a product whose declarations are in a repository of the Git host.
type Product struct {
	// Name of the Product, and of its namespace.
	Name string
	// Group on the Git host.
	Group string
	// Token lets the operator read the repositories of the group. It is in a Secret of
	// the tenant. If it is empty, the operator uses the token of the provider.
	Token string
	// Secret is the name of that Secret. If it is empty, the name follows from the
	// product's.
	Secret string
}

// NewProduct returns the product with a number.
func NewProduct(id string) Product {
	return Product{Name: "product-" + id, Group: "group-" + id}
}

// Repository returns the path of the repository with the product's declarations.
func (p Product) Repository() string { return p.Group + "/default.project" }

// SecretName returns the name of the Secret with the token.
func (p Product) SecretName() string {
	if p.Secret != "" {
		return p.Secret
	}
	return "git-" + p.Name
}

// Object returns the Product by its name alone, to read or to look for.
func (p Product) Object() *v1alpha1.Product {
	return &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: p.Name}}
}

// Meta returns the metadata of a resource of the product.
func (p Product) Meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: p.Name, Name: name}
}

// RuntimeObject returns a DeploymentRuntime of the product, to read or to look for.
func (p Product) RuntimeObject(name string) *v1alpha1.DeploymentRuntime {
	return &v1alpha1.DeploymentRuntime{ObjectMeta: p.Meta(name)}
}

// Application returns the Application of a DeploymentRuntime, to read or to look for.
func (p Product) Application(runtime string) *unstructured.Unstructured {
	return Application(p.Name + "-" + runtime)
}

// Manifest returns the Product for kubectl apply.
func (p Product) Manifest(host *githost.Host) string {
	spec := []string{"name: " + p.Group, fmt.Sprintf("metaDataPath: %s/%s.git", host.URL, p.Repository())}
	if p.Token != "" {
		spec = append(spec, "secretRef: {name: "+p.SecretName()+"}")
	}
	return InNamespace(devstack.OperatorNamespace, Declaration("Product", p.Name, spec...))
}

// TenantRepository returns the CodeRepo of the tenant's own repository, which the
// operator reads with the credentials in a Secret.
func TenantRepository(tenant, url, secret string) string {
	file := Declaration("CodeRepo", "management", "url: "+url, "secretRef: {name: "+secret+"}")
	return InNamespace(devstack.OperatorNamespace,
		strings.Replace(file, "metadata:\n", "metadata:\n  labels: {"+v1alpha1.LabelTenantRepository+": "+tenant+"}\n", 1))
}

// GitSecret returns a Secret of the tenant with the token for a repository.
func GitSecret(name, token string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\nstringData: {username: any, password: %s}\n---\n",
		name, devstack.OperatorNamespace, token)
}

// Provider returns the manifest of a CodeRepoProvider for a Git host at a URL.
func Provider(name, url string) string {
	return InNamespace(devstack.OperatorNamespace, ProviderFile(name, url))
}

// ProviderFile returns the declaration of a CodeRepoProvider for a Git host at a URL.
func ProviderFile(name, url string) string {
	return Declaration("CodeRepoProvider", name, fmt.Sprintf("httpAddress: %q", url), "sshAddress: ssh://git@127.0.0.1:22",
		fmt.Sprintf("apiServer: %q", url+"/api/v4"), "providerType: gitlab")
}

// DeclareProduct makes the repository of a product with files and a push hook, and
// applies the Product. Without files, the repository has no commit.
func (s *System) DeclareProduct(ctx context.Context, p Product, files map[string]string) error {
	if _, err := s.Git.AddRepository(ctx, p.Repository()); err != nil && !errors.Is(err, githost.ErrRepositoryExists) {
		return err
	}
	if p.Token != "" {
		s.Git.Grant(p.Token, githost.Read, p.Group)
	}
	if len(files) > 0 {
		if _, err := s.Git.Push(ctx, p.Repository(), githost.Commit{Files: files}); err != nil {
			return err
		}
	}
	if err := s.AddProductHook(ctx, p); err != nil {
		return err
	}
	manifests := p.Manifest(s.Git)
	if p.Token != "" {
		manifests = GitSecret(p.SecretName(), p.Token) + manifests
	}
	return s.Apply(ctx, manifests)
}

// AddProductHook has the Git host report the pushes to a product's repository.
func (s *System) AddProductHook(ctx context.Context, p Product) error {
	hook, err := s.ProductHook(ctx, p.Name)
	if err != nil {
		return err
	}
	return s.Git.AddHook(p.Repository(), hook)
}

// AddTenantHook has the Git host report the pushes to the tenant's repository.
func (s *System) AddTenantHook(ctx context.Context, repository string) error {
	hook, err := s.hook(ctx, receiver.Tenant, receiver.TenantPath)
	if err != nil {
		return err
	}
	return s.Git.AddHook(repository, hook)
}

// ProductHook returns the hook for pushes to a product's repository.
func (s *System) ProductHook(ctx context.Context, product string) (githost.Hook, error) {
	return s.hook(ctx, receiver.ProductPrefix+product, receiver.ProductsPath+product)
}

// hook returns a push hook. The operator makes the key of its token when it starts.
func (s *System) hook(ctx context.Context, source, path string) (githost.Hook, error) {
	secret := &corev1.Secret{}
	err := Until(ctx, Patience, "the key of the push hooks", func(ctx context.Context) error {
		return s.Client.Get(ctx, client.ObjectKey{Namespace: devstack.OperatorNamespace, Name: receiverKey}, secret)
	})
	return githost.Hook{URL: s.Hooks + path, Token: receiver.Token(secret.Data["key"], source)}, err
}
