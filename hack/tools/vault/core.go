package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	kubeauth "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/audit"
	auditfile "github.com/hashicorp/vault/builtin/audit/file"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/helper/namespace"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

var errSealed = errors.New("the key does not unseal the storage")

// open returns an unsealed core, which was initialised now or in an earlier run.
func open(o options, logger hclog.Logger) (*vault.Core, error) {
	storage, err := newStorage(o.storage, logger)
	if err != nil {
		return nil, fmt.Errorf("open the storage: %w", err)
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		Logger:             logger,
		LogLevel:           o.logLevel,
		DisableMlock:       true,
		LogicalBackends:    secretEngines,
		CredentialBackends: authMethods,
		AuditBackends:      map[string]audit.Factory{"file": auditfile.Factory},
		BuiltinRegistry:    registry{},
	})
	if err != nil {
		return nil, fmt.Errorf("make the core: %w", err)
	}
	if err := start(core, o); err != nil {
		return nil, errors.Join(err, core.Shutdown())
	}
	return core, nil
}

func start(core *vault.Core, o options) error {
	ctx := namespace.RootContext(context.Background())
	initialized, err := core.Initialized(ctx)
	if err != nil {
		return fmt.Errorf("read the storage: %w", err)
	}
	if !initialized {
		if err := initialize(ctx, core, o); err != nil {
			return fmt.Errorf("initialise the storage: %w", err)
		}
	}
	if err := unseal(core, o.unsealKey); err != nil {
		return fmt.Errorf("unseal the storage: %w", err)
	}
	if o.audit == "" {
		return nil
	}
	if err := enableAudit(ctx, core, o); err != nil {
		return fmt.Errorf("enable the audit device: %w", err)
	}
	return nil
}

func newStorage(dir string, logger hclog.Logger) (physical.Backend, error) {
	logger = logger.Named("storage")
	if dir == "" {
		return inmem.NewInmem(nil, logger)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return file.NewFileBackend(map[string]string{"path": dir}, logger)
}

// initialize leaves the key and the token in their files: the storage is of no
// use without the key.
func initialize(ctx context.Context, core *vault.Core, o options) error {
	result, err := core.Initialize(ctx, &vault.InitParams{
		BarrierConfig:  &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
		RecoveryConfig: &vault.SealConfig{},
	})
	if err != nil {
		return err
	}
	if err := writeSecret(o.unsealKey, hex.EncodeToString(result.SecretShares[0])); err != nil {
		return err
	}
	return writeSecret(o.rootToken, result.RootToken)
}

// writeSecret replaces a file, so that one with wider permissions lends none.
func writeSecret(path, content string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(content+"\n"), 0o600)
}

func readSecret(path string) (string, error) {
	content, err := os.ReadFile(path)
	return strings.TrimSpace(string(content)), err
}

func unseal(core *vault.Core, path string) error {
	encoded, err := readSecret(path)
	if err != nil {
		return err
	}
	key, err := hex.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	unsealed, err := core.Unseal(key)
	if err == nil && !unsealed {
		err = errSealed
	}
	return err
}

// enableAudit asks as a client would, since the core has no other door to it.
// The storage remembers a device that was enabled before.
func enableAudit(ctx context.Context, core *vault.Core, o options) error {
	token, err := readSecret(o.rootToken)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(o.audit)
	if err != nil {
		return err
	}
	enabled, err := request(ctx, core, token, logical.ReadOperation, "sys/audit", nil)
	if err != nil {
		return err
	}
	if enabled != nil && enabled.Data["file/"] != nil {
		return nil
	}
	_, err = request(ctx, core, token, logical.UpdateOperation, "sys/audit/file", map[string]any{
		"type": "file", "options": map[string]any{"file_path": path},
	})
	return err
}

func request(ctx context.Context, core *vault.Core, token string, operation logical.Operation, path string, data map[string]any) (*logical.Response, error) {
	response, err := core.HandleRequest(ctx, &logical.Request{
		Operation: operation, Path: path, Data: data, ClientToken: token,
		Connection: &logical.Connection{RemoteAddr: "127.0.0.1"},
	})
	if err != nil {
		return nil, err
	}
	return response, response.Error()
}

var (
	secretEngines = map[string]logical.Factory{"kv": kv.Factory}
	authMethods   = map[string]logical.Factory{"kubernetes": kubeauth.Factory, "approle": approle.Factory}
)

// registry lists the plugins that are compiled in: the core asks it about each
// type that is to be mounted.
type registry struct{}

func (registry) of(plugins consts.PluginType) map[string]logical.Factory {
	switch plugins {
	case consts.PluginTypeSecrets:
		return secretEngines
	case consts.PluginTypeCredential:
		return authMethods
	default:
		return nil
	}
}

// Contains implements vault.BuiltinRegistry.
func (r registry) Contains(name string, plugins consts.PluginType) bool {
	return r.of(plugins)[name] != nil
}

// Get implements vault.BuiltinRegistry.
func (r registry) Get(name string, plugins consts.PluginType) (func() (any, error), bool) {
	factory, found := r.of(plugins)[name]
	return func() (any, error) { return factory, nil }, found
}

// Keys implements vault.BuiltinRegistry.
func (r registry) Keys(plugins consts.PluginType) []string {
	var names []string
	for name := range r.of(plugins) {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// DeprecationStatus implements vault.BuiltinRegistry.
func (r registry) DeprecationStatus(name string, plugins consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, plugins)
}

// IsBuiltinEntPlugin implements vault.BuiltinRegistry.
func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
