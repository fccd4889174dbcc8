// Package secrets is the store of credentials behind a narrow interface. It
// guarantees that a credential's value cannot be printed by accident: a Value
// formats, logs and marshals as ***.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"nautes.io/nautes/internal/plan"
)

// Ref names a secret: its engine (git, cluster, tenant) and its path.
type Ref = plan.SecretRef

// Errors that stores return, wrapped.
var (
	// ErrNotFound means that there is no secret at a Ref.
	ErrNotFound = errors.New("secret not found")
	// ErrExists is returned by Create if there is a secret.
	ErrExists = errors.New("there is a secret already")
	// ErrUnavailable means that the store cannot answer at the moment: it is sealed,
	// too slow, or failing. Callers may try again.
	ErrUnavailable = errors.New("the secret store does not answer")
	// ErrDenied means that the store refuses the request: a person must grant the
	// right to the operator.
	ErrDenied = errors.New("the secret store refuses it")
)

// Value is one field of a secret. Only Bytes returns its content.
type Value struct {
	// Package fmt cannot call methods of a Value in an unexported field, and prints
	// its fields instead. It follows one pointer at most, so it never reaches the
	// content.
	content **[]byte
}

// NewValue returns a Value that holds a copy of content.
func NewValue(content []byte) Value {
	own := append([]byte(nil), content...)
	pointer := &own
	return Value{content: &pointer}
}

// Bytes returns the content. The caller must not log it or store it unprotected.
func (v Value) Bytes() []byte {
	if v.content == nil {
		return nil
	}
	return **v.content
}

// Format implements fmt.Formatter for every verb.
func (Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// String returns ***.
func (Value) String() string { return "***" }

// MarshalJSON returns "***".
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"***"`), nil }

// LogValue returns ***.
func (Value) LogValue() slog.Value { return slog.StringValue("***") }

// Secret is one version of a stored secret.
type Secret struct {
	// Fields by name, for example deploykey, accesstoken or kubeconfig.
	Fields map[string]Value
	// Version changes whenever a field does.
	Version string
}

// Store keeps secrets.
type Store interface {
	// Get returns the secret at ref, or an error that wraps ErrNotFound.
	Get(ctx context.Context, ref Ref) (Secret, error)
	// Put stores the fields at ref and returns the new version. Equal content
	// writes nothing and keeps the version.
	Put(ctx context.Context, ref Ref, fields map[string]Value) (version string, err error)
	// Create stores the fields at ref and returns the version. If there is a secret,
	// it changes nothing and returns an error that wraps ErrExists.
	Create(ctx context.Context, ref Ref, fields map[string]Value) (version string, err error)
	// Delete removes the secret at ref, if there is one.
	Delete(ctx context.Context, ref Ref) error
	// Version returns the version of the secret at ref without its content, or an
	// error that wraps ErrNotFound.
	Version(ctx context.Context, ref Ref) (string, error)
}

// RepositoryReadOnly names the read-only credential of a repository: deploykey, or username and password.
func RepositoryReadOnly(providerType, repo string) Ref {
	return Ref{Engine: "git", Path: providerType + "/" + repo + "/default/readonly"}
}

// Artifacts names a credential of an artifact repository: username and password.
func Artifacts(repository, permission string) Ref {
	return Ref{Engine: "repo", Path: repository + "/default/" + permission}
}

// RepositoryReadWrite names the read-write credential.
func RepositoryReadWrite(providerType, repo string) Ref {
	return Ref{Engine: "git", Path: providerType + "/" + repo + "/default/readwrite"}
}

// RepositoryOf returns the name of the code repository of a credential. It returns
// false if the credential belongs to none.
func RepositoryOf(ref Ref) (string, bool) {
	parts := strings.Split(ref.Path, "/")
	if ref.Engine != "git" || len(parts) < 3 {
		return "", false
	}
	return parts[1], true
}

// ClusterKubeconfig names the kubeconfig of a cluster, in the field kubeconfig.
func ClusterKubeconfig(cluster string) Ref {
	return Ref{Engine: "cluster", Path: "kubernetes/" + cluster + "/default/admin"}
}

// ClusterReviewer names the token with which the secret store reviews tokens of a
// cluster's accounts, in the field token.
func ClusterReviewer(cluster string) Ref {
	return Ref{Engine: "cluster", Path: "kubernetes/" + cluster + "/default/reviewer"}
}

// DataPath returns the path of a secret in Vault's API.
func DataPath(ref Ref) string { return ref.Engine + "/data/" + ref.Path }

// PolicyName returns the name of the policy that grants reading a secret: its path
// with dashes, for example gitlab-repo-1-default-readonly.
func PolicyName(ref Ref) string { return strings.ReplaceAll(ref.Path, "/", "-") }

// ProviderToken names the access token of a CodeRepoProvider, in the field
// access_token.
func ProviderToken(provider string) Ref {
	return Ref{Engine: "tenant", Path: "git/" + provider + "/root"}
}

// WebhookKey names the key from which the tokens of all webhooks of the tenant are
// derived, in the field WebhookKeyField.
func WebhookKey() Ref { return Ref{Engine: "tenant", Path: "nautes/webhook"} }

// WebhookKeyField is the field of the secret at WebhookKey.
const WebhookKeyField = "key"
