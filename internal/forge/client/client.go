// Package client declares requests to Git forges in the terms of Nautes. It guarantees
// that callers depend on no kind of forge: the packages below this one implement Client,
// and answer the same for the same state.
package client

import (
	"context"
	"path"
	"time"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/secrets"
)

// Client sends requests to one forge with one access token. All methods may be called
// concurrently. Their errors wrap one of the sentinels of this package where it fits,
// and hold no token and no URL with credentials. Ids are the forge's own.
type Client interface {
	AccessClient
	GroupClient
	RepositoryClient
	KeyClient
	HookClient
	StatusClient
	// Capabilities returns the features of the forge that not every forge has.
	Capabilities(ctx context.Context) (Capabilities, error)
}

// AccessClient asks about the caller, who is the owner of the access token.
type AccessClient interface {
	// WhoAmI returns the caller. The error wraps ErrUnauthorized if the forge does not
	// accept the token.
	WhoAmI(ctx context.Context) (Caller, error)
	// CanPush reports whether the caller may push to a branch. A branch of an empty
	// repository that the caller could create counts. The error wraps ErrNotFound if
	// the caller cannot read the files of the repository, and for a missing branch of a
	// repository that is not empty.
	CanPush(ctx context.Context, repository int64, branch string) (bool, error)
	// Role returns the effective role of a user in a repository, inherited roles
	// included, or RoleNone.
	Role(ctx context.Context, repository, user int64) (Role, error)
}

// GroupClient manages groups of repositories. Organizations of Gitea are groups.
type GroupClient interface {
	// Group returns the group with a full path, such as labs or labs/team. The error
	// wraps ErrNotFound if the caller does not see such a group.
	Group(ctx context.Context, path string) (Group, error)
	GroupByID(ctx context.Context, id int64) (Group, error)
	// Groups returns the groups that the caller sees as a member, sorted by path.
	Groups(ctx context.Context) ([]Group, error)
	// EnsureGroup creates the group, or changes the fields in which it differs.
	EnsureGroup(ctx context.Context, spec GroupSpec) (Group, error)
	// RemoveGroup removes an empty group, or marks it for deletion. The error wraps
	// ErrConflict if the group has repositories that are not leaving.
	RemoveGroup(ctx context.Context, id int64) error
}

// RepositoryClient manages repositories.
type RepositoryClient interface {
	// Repository returns the repository with a full path, such as labs/team/app. The
	// error wraps ErrNotFound if the caller does not see such a repository.
	Repository(ctx context.Context, path string) (Repository, error)
	RepositoryByID(ctx context.Context, id int64) (Repository, error)
	// Repositories returns the repositories directly in a group that the caller sees,
	// sorted by path.
	Repositories(ctx context.Context, group int64) ([]Repository, error)
	// RepositoriesNamed returns all repositories whose path ends with a name, sorted by
	// path: the ones that the caller maintains, or all that the caller sees. It may lack
	// some.
	RepositoriesNamed(ctx context.Context, name string, maintained bool) ([]Repository, error)
	// EnsureRepository creates the repository, or changes the fields in which it
	// differs.
	EnsureRepository(ctx context.Context, spec RepositorySpec) (Repository, error)
	// RemoveRepository removes a repository, or marks it for deletion.
	RemoveRepository(ctx context.Context, id int64) error
}

// KeyClient manages the deploy keys of repositories.
type KeyClient interface {
	Keys(ctx context.Context, repository int64) ([]Key, error)
	// EnsureKey gives a repository a deploy key with the title, public half and right
	// of the argument, whose ID is ignored. It replaces a key of the same title that
	// differs, and enables a key that another repository has.
	EnsureKey(ctx context.Context, repository int64, key Key) (Key, error)
	// RemoveKey takes a key from a repository. A missing key is no error.
	RemoveKey(ctx context.Context, repository, key int64) error
}

// HookClient manages the webhooks of repositories.
type HookClient interface {
	Hooks(ctx context.Context, repository int64) ([]Hook, error)
	// EnsureHook gives a repository exactly one hook with the URL of spec, its events
	// and its secret. A hook of the same URL that differs is changed or replaced, and
	// further hooks of the URL are removed. renew sends the secret again, although no
	// forge shows the one that it has.
	EnsureHook(ctx context.Context, repository int64, spec HookSpec, renew bool) (Hook, error)
	// RemoveHook removes a hook. A missing hook is no error.
	RemoveHook(ctx context.Context, repository, hook int64) error
}

// StatusClient reports on commits.
type StatusClient interface {
	// SetStatus sets a status of a commit. A status that the commit has already is no
	// error. The error wraps ErrRetry where a later attempt may succeed.
	SetStatus(ctx context.Context, repository int64, status forge.Status) error
}

// Connection holds the settings of a Client.
type Connection struct {
	// APIServer is the URL of the forge's API, without credentials.
	APIServer string
	// Token is the caller's access token.
	Token secrets.Value
	// CABundle has certificates in PEM that are trusted in addition to the system's.
	CABundle string
	// Proxy returns the URL of the proxy for a host, or an empty string for none. It
	// may be nil.
	Proxy func(host string) string
	// Timeout of one request; 10 s by default.
	Timeout time.Duration
}

// Caller is the owner of an access token.
type Caller struct {
	ID             int64
	Username       string
	Name, Email    string
	Administrator  bool
	TokenExpiresAt time.Time
}

// Visibility of a group or repository: who may read it without being a member.
type Visibility string

// The visibilities of forges. Not every forge has VisibilityInternal.
const (
	VisibilityPrivate  Visibility = "private"
	VisibilityInternal Visibility = "internal"
	VisibilityPublic   Visibility = "public"
)

// Group is a group of repositories.
type Group struct {
	ID int64
	// ParentID is 0 for a group at the top.
	ParentID int64
	// Path is the full path. Name is for people.
	Path, Name, Description string
	Visibility              Visibility
	WebURL                  string
	// Leaving reports whether the group is marked for deletion. The forge may have
	// renamed it.
	Leaving bool
}

// GroupSpec is the desired state of a group.
type GroupSpec struct {
	// Path is the full path. The groups above it must exist.
	Path string
	// Name defaults to the last part of the path.
	Name, Description string
	// Visibility defaults to the parent's, or to private.
	Visibility Visibility
}

// Repository is a Git repository.
type Repository struct {
	ID, GroupID int64
	// Path is the full path. Name is for people.
	Path, Name, Description string
	Visibility              Visibility
	// DefaultBranch is empty in an empty repository.
	DefaultBranch           string
	Empty                   bool
	SSHURL, HTTPURL, WebURL string
	// Leaving reports whether the repository is marked for deletion. The forge may
	// have renamed it.
	Leaving bool
	// Archived repositories are read-only.
	Archived bool
}

// GroupPath returns the full path of the group, or user, that the repository is in.
func (r Repository) GroupPath() string { return path.Dir(r.Path) }

// RepositorySpec is the desired state of a repository.
type RepositorySpec struct {
	// GroupID is the group, Path the last part of the path.
	GroupID int64
	Path    string
	// Name defaults to Path.
	Name, Description string
	Visibility        Visibility
	// Initialize creates DefaultBranch with a README in a new repository.
	Initialize    bool
	DefaultBranch string
}

// Role is the right of a user in a repository. Roles are ordered.
type Role int

// Roles of users. Forges have roles between these, which count as the lower one.
const (
	RoleNone Role = iota
	// RoleGuest sees that the repository exists.
	RoleGuest
	// RoleRead reads its files.
	RoleRead
	// RoleWrite pushes to branches that are not protected.
	RoleWrite
	// RoleMaintain manages protected branches, keys and hooks.
	RoleMaintain
	// RoleOwner manages members, and deletes.
	RoleOwner
)

// Key is a deploy key.
type Key struct {
	ID    int64
	Title string
	// Public is the public half in the format of authorized_keys, without a comment.
	Public  string
	CanPush bool
}

// Hook is a webhook as the forge has it. No forge shows its secret.
type Hook struct {
	ID  int64
	URL string
	// Events have the names of the forge's API. They are sorted.
	Events []string
	// Signed reports whether the forge signs the deliveries.
	Signed bool
	// Disabled reports whether the forge has stopped to deliver because of failures.
	Disabled bool
}

// HookSpec is the desired state of a webhook.
type HookSpec struct {
	URL    string
	Events []string
	// Secret proves deliveries: a signature where the forge can sign, and a header
	// otherwise.
	Secret secrets.Value
	// Plain sends the secret in the header as well where the forge signs. It is for
	// receivers that check no signature.
	Plain bool
}

// Capabilities are features that not every forge has.
type Capabilities struct {
	// NestedGroups: groups may have parents.
	NestedGroups bool
	// SignedHooks: deliveries can be signed.
	SignedHooks bool
	// DelayedDeletion: the forge marks and renames groups and repositories, and removes them later.
	DelayedDeletion bool
	// InternalVisibility: VisibilityInternal is known.
	InternalVisibility bool
	// Version of the forge, for messages.
	Version string
}
