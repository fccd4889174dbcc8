package operator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/remote/kubeconfig"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/internal/secrets/vault"
	"nautes.io/nautes/internal/snapshot"
)

// settingsOf returns the settings of snapshots, but for the ones of Vault.
func settingsOf(o *config.Operator) (snapshot.Settings, error) {
	access, err := gitAccess(&o.Git)
	return snapshot.Settings{ArgoCDNamespace: o.ArgoCD.Namespace, RunnerImage: o.Pipelines.RunnerImage, Git: access}, err
}

// openStore opens the secret store that the configuration chooses, and makes the
// applier that fills objects from it. Vault is a target as well: accounts of the
// clusters log in to it. direct writes Secrets and has no cache: one that lags would hide
// a Secret that must be removed.
func openStore(d *reconcile.Deps, o *config.Operator, direct client.Client) error {
	var store secrets.Store = kube.New(d.Client, direct, o.Namespace)
	if o.SecretStore.Type == config.SecretStoreVault {
		v, err := openVault(d, o)
		if err != nil {
			return err
		}
		store, d.Access = v, v.System()
	}
	d.Secrets = namedSecrets{Store: store, reader: d.Client, namespace: o.Namespace}
	d.Applier = apply.New(o.Tenant, d.Secrets, apply.WithFormats(map[plan.Format]apply.FormatFunc{
		plan.FormatArgoCDCluster: kubeconfig.ArgoCDCluster,
		plan.FormatKubeconfigCA:  kubeconfig.CA,
	}))
	return nil
}

// openVault opens Vault. Its session begins with the manager.
func openVault(d *reconcile.Deps, o *config.Operator) (*vault.Vault, error) {
	c := o.SecretStore.Vault
	options := vault.Options{
		Vault: *c, Tenant: o.Tenant, Log: ctrl.Log.WithName("vault"),
		OnChange: d.SecretChanged,
		OnState: func(healthy bool) {
			if healthy {
				// The objects may have changed while Vault was away.
				d.Applier.Forget(d.Access.UID())
				d.SecretsReturned()
			}
		},
	}
	if c.CABundleFile != "" {
		bundle, err := os.ReadFile(c.CABundleFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificates that vouch for Vault: %w", err)
		}
		options.CABundle = bundle
	}
	v, err := vault.Open(options)
	if err != nil {
		return nil, err
	}
	d.Loader.Settings.Vault = &snapshot.VaultSettings{Address: c.Address, CABundle: string(options.CABundle), Namespace: c.Namespace}
	return v, d.Manager.Add(v)
}

// namedSecrets is the secret store, and beside it the Secrets of the operator's
// namespace that custom resources name, under the engine build.EngineOperator.
type namedSecrets struct {
	secrets.Store
	reader    client.Reader
	namespace string
}

var errReadOnly = errors.New("a Secret that a custom resource names is its writer's: it is only read")

// Get implements secrets.Store.
func (n namedSecrets) Get(ctx context.Context, ref secrets.Ref) (secrets.Secret, error) {
	if ref.Engine != build.EngineOperator {
		return n.Store.Get(ctx, ref)
	}
	name, key, _ := strings.Cut(ref.Path, "/")
	secret := &corev1.Secret{}
	err := n.reader.Get(ctx, client.ObjectKey{Namespace: n.namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return secrets.Secret{}, fmt.Errorf("secret %s: %w", ref, secrets.ErrNotFound)
	}
	if err != nil {
		return secrets.Secret{}, fmt.Errorf("read Secret %s/%s: %w", n.namespace, name, err)
	}
	fields := map[string]secrets.Value{}
	if content, ok := secret.Data[key]; ok {
		fields[build.KubeconfigField] = secrets.NewValue(content)
	}
	return secrets.Secret{Fields: fields, Version: string(secret.UID) + "/" + secret.ResourceVersion}, nil
}

// Version implements secrets.Store.
func (n namedSecrets) Version(ctx context.Context, ref secrets.Ref) (string, error) {
	if ref.Engine != build.EngineOperator {
		return n.Store.Version(ctx, ref)
	}
	secret, err := n.Get(ctx, ref)
	return secret.Version, err
}

// Put implements secrets.Store.
func (n namedSecrets) Put(ctx context.Context, ref secrets.Ref, fields map[string]secrets.Value) (string, error) {
	if ref.Engine == build.EngineOperator {
		return "", fmt.Errorf("store the secret %s: %w", ref, errReadOnly)
	}
	return n.Store.Put(ctx, ref, fields)
}

// Create implements secrets.Store.
func (n namedSecrets) Create(ctx context.Context, ref secrets.Ref, fields map[string]secrets.Value) (string, error) {
	if ref.Engine == build.EngineOperator {
		return "", fmt.Errorf("store the secret %s: %w", ref, errReadOnly)
	}
	return n.Store.Create(ctx, ref, fields)
}

// Delete implements secrets.Store.
func (n namedSecrets) Delete(ctx context.Context, ref secrets.Ref) error {
	if ref.Engine == build.EngineOperator {
		return fmt.Errorf("remove the secret %s: %w", ref, errReadOnly)
	}
	return n.Store.Delete(ctx, ref)
}
