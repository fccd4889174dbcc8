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

// Ref names a secret: engine (git, cluster, tenant) and path.
type Ref = plan.SecretRef

// ErrNotFound is returned, wrapped, when the store has no secret at a Ref.
var ErrNotFound = errors.New("secret not found")

// ErrExists is returned, wrapped, by Create when there is a secret already.
var ErrExists = errors.New("there is a secret already")

// ErrUnavailable is returned, wrapped, when the store does not answer, or cannot
// at the moment: it is sealed, too slow, or failing. It goes away by itself.
var ErrUnavailable = errors.New("the secret store does not answer")

// ErrDenied is returned, wrapped, when the store refuses what is asked of it: a
// person must give the operator the right.
var ErrDenied = errors.New("the secret store refuses it")

// Value is one field of a secret. Bytes is the only way to its content.
type Value struct {
	// Where a Value is in an unexported field, package fmt cannot call its
	// methods and prints what it finds. It follows one pointer at most, and so
	// never comes to the content.
	content **[]byte
}

// NewValue returns a Value that holds a copy of content.
func NewValue(content []byte) Value {
	own := append([]byte(nil), content...)
	pointer := &own
	return Value{content: &pointer}
}

// Bytes returns the content; the caller must not log or store it in the open.
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
	// Fields by their names, as deploykey, accesstoken or kubeconfig.
	Fields map[string]Value
	// Version changes whenever a field does.
	Version string
}

// Store keeps secrets.
type Store interface {
	// Get returns the secret at ref; ErrNotFound, wrapped, when there is none.
	Get(ctx context.Context, ref Ref) (Secret, error)
	// Put stores the fields at ref and returns the new version. Equal content
	// writes nothing and keeps the version.
	Put(ctx context.Context, ref Ref, fields map[string]Value) (version string, err error)
	// Create stores the fields at ref and returns the version, unless there is a
	// secret: then nothing is changed, and the error is ErrExists, wrapped.
	Create(ctx context.Context, ref Ref, fields map[string]Value) (version string, err error)
	// Delete removes the secret at ref; one that does not exist is no error.
	Delete(ctx context.Context, ref Ref) error
	// Version returns the version of the secret at ref without its content;
	// ErrNotFound, wrapped, when there is none.
	Version(ctx context.Context, ref Ref) (string, error)
}

// The documented paths.

// RepositoryReadOnly returns where the read-only credential of a repository is:
// deploykey for SSH, or username and password for HTTP.
func RepositoryReadOnly(providerType, repo string) Ref {
	return Ref{Engine: "git", Path: providerType + "/" + repo + "/default/readonly"}
}

// RepositoryReadWrite returns where the read-write credential of a repository is.
func RepositoryReadWrite(providerType, repo string) Ref {
	return Ref{Engine: "git", Path: providerType + "/" + repo + "/default/readwrite"}
}

// RepositoryOf returns the name of the code repository that a credential is for;
// false when it is for none.
func RepositoryOf(ref Ref) (string, bool) {
	parts := strings.Split(ref.Path, "/")
	if ref.Engine != "git" || len(parts) < 3 {
		return "", false
	}
	return parts[1], true
}

// ClusterKubeconfig returns where the kubeconfig of a cluster is, in the field kubeconfig.
func ClusterKubeconfig(cluster string) Ref {
	return Ref{Engine: "cluster", Path: "kubernetes/" + cluster + "/default/admin"}
}

// ClusterReviewer returns where the token is, in the field token, by which the
// secret store reviews the tokens of a cluster's accounts.
func ClusterReviewer(cluster string) Ref {
	return Ref{Engine: "cluster", Path: "kubernetes/" + cluster + "/default/reviewer"}
}

// DataPath returns the path of the store's API at which a secret is read.
func DataPath(ref Ref) string { return ref.Engine + "/data/" + ref.Path }

// PolicyName returns the name of the policy that lets its holder read a secret:
// the secret's path, as gitlab-repo-1-default-readonly.
func PolicyName(ref Ref) string { return strings.ReplaceAll(ref.Path, "/", "-") }

// ProviderToken returns where the access token of a CodeRepoProvider is, in the
// field access_token.
func ProviderToken(provider string) Ref {
	return Ref{Engine: "tenant", Path: "git/" + provider + "/root"}
}

// WebhookKey returns where the key is, in the field WebhookKeyField, that the
// tokens of all webhooks of the tenant are made with.
func WebhookKey() Ref { return Ref{Engine: "tenant", Path: "nautes/webhook"} }

// WebhookKeyField is the field of the secret at WebhookKey.
const WebhookKeyField = "key"
