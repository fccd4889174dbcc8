package gitea

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"nautes.io/nautes/internal/forge/client"
)

// requestTimeout bounds a request to prepare the server.
const requestTimeout = 2 * time.Minute

// User is an account of the server.
type User struct {
	ID          int64
	Name, Email string
	// Password is for the API of access tokens; the administrator has none.
	Password string
	// Token is an access token with all scopes.
	Token string
}

// The scopes of an access token that may do everything, and of one that may only read.
const (
	ScopeAll  = "all"
	ScopeRead = "read:repository,read:organization,read:user"
)

var errRole = errors.New("a group has no such role")

// client returns a client of the API with an access token.
func (s *Server) client(ctx context.Context, token string) (*sdk.Client, error) {
	return sdk.NewClient(s.URL, sdk.SetContext(ctx), sdk.SetToken(token), sdk.SetGiteaVersion(""))
}

// AddUser makes a user with an access token.
func (s *Server) AddUser(ctx context.Context, name string) (User, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	admin, err := s.client(ctx, s.Admin.Token)
	if err != nil {
		return User{}, err
	}
	added := User{Name: name, Email: name + "@example.com", Password: rand.Text()}
	mustChange, visibility := false, sdk.VisibleTypePublic
	account, _, err := admin.AdminCreateUser(sdk.CreateUserOption{
		Username: name, FullName: "User " + name, Email: added.Email, Password: added.Password,
		MustChangePassword: &mustChange, Visibility: &visibility,
	})
	if err != nil {
		return User{}, fmt.Errorf("add the user %s: %w", name, err)
	}
	added.ID = account.ID
	added.Token, err = s.AddToken(ctx, added, ScopeAll)
	return added, err
}

// ForbidGroups takes the right to make groups from a user.
func (s *Server) ForbidGroups(ctx context.Context, user User) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	admin, err := s.client(ctx, s.Admin.Token)
	if err != nil {
		return err
	}
	may := false
	if _, err := admin.AdminEditUser(user.Name, sdk.EditUserOption{LoginName: user.Name, AllowCreateOrganization: &may}); err != nil {
		return fmt.Errorf("change the user %s: %w", user.Name, err)
	}
	return nil
}

// RevokedToken returns a token of a user that was deleted.
func (s *Server) RevokedToken(ctx context.Context, user User) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	login, err := sdk.NewClient(s.URL, sdk.SetContext(ctx), sdk.SetBasicAuth(user.Name, user.Password), sdk.SetGiteaVersion(""))
	if err != nil {
		return "", err
	}
	token, _, err := login.CreateAccessToken(sdk.CreateAccessTokenOption{Name: "revoked-" + rand.Text(), Scopes: []sdk.AccessTokenScope{ScopeAll}})
	if err != nil {
		return "", fmt.Errorf("add a token of the user %s: %w", user.Name, err)
	}
	if _, err := login.DeleteAccessToken(token.ID); err != nil {
		return "", fmt.Errorf("revoke a token of the user %s: %w", user.Name, err)
	}
	return token.Token, nil
}

// Groups returns the names of all organizations.
func (s *Server) Groups(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	admin, err := s.client(ctx, s.Admin.Token)
	if err != nil {
		return nil, err
	}
	found, _, err := admin.AdminListOrgs(sdk.AdminListOrgsOptions{ListOptions: sdk.ListOptions{Page: 1, PageSize: 50}})
	if err != nil {
		return nil, fmt.Errorf("list the groups: %w", err)
	}
	names := make([]string, 0, len(found))
	for _, o := range found {
		names = append(names, o.Name)
	}
	return names, nil
}

// RepositoryDir is the directory of the bare repository with a path.
func (s *Server) RepositoryDir(repository string) string {
	return filepath.Join(s.settings.Dir, "repositories", strings.ToLower(repository)+".git")
}

// AddToken makes another access token of a user, with scopes that are separated by commas.
func (s *Server) AddToken(ctx context.Context, user User, scopes string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	login, err := sdk.NewClient(s.URL, sdk.SetContext(ctx), sdk.SetBasicAuth(user.Name, user.Password), sdk.SetGiteaVersion(""))
	if err != nil {
		return "", err
	}
	option := sdk.CreateAccessTokenOption{Name: "token-" + rand.Text()}
	for scope := range strings.SplitSeq(scopes, ",") {
		option.Scopes = append(option.Scopes, sdk.AccessTokenScope(scope))
	}
	token, _, err := login.CreateAccessToken(option)
	if err != nil {
		return "", fmt.Errorf("add a token of the user %s: %w", user.Name, err)
	}
	return token.Token, nil
}

// team is a team of an organization that stands for a role.
type team struct {
	name   string
	access sdk.AccessMode
	units  []sdk.RepoUnitType
}

// teamOf returns the team for a role. Owners are a team of Gitea's.
func teamOf(role client.Role) (team, bool) {
	code := []sdk.RepoUnitType{sdk.RepoUnitCode, sdk.RepoUnitPulls}
	t, known := map[client.Role]team{
		// Guests see the issues of a repository, and not its files.
		client.RoleGuest:    {"guests", sdk.AccessModeRead, []sdk.RepoUnitType{sdk.RepoUnitIssues}},
		client.RoleRead:     {"readers", sdk.AccessModeRead, code},
		client.RoleWrite:    {"writers", sdk.AccessModeWrite, code},
		client.RoleMaintain: {"maintainers", sdk.AccessModeAdmin, code},
		client.RoleOwner:    {"Owners", sdk.AccessModeOwner, code},
	}[role]
	return t, known
}

// SetRole gives a user a role in all repositories of a group, beside the ones that the user has.
func (s *Server) SetRole(ctx context.Context, group, user string, role client.Role) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	admin, err := s.client(ctx, s.Admin.Token)
	if err != nil {
		return err
	}
	id, err := ensureTeam(admin, group, role)
	if err != nil {
		return fmt.Errorf("make the team of a role in %s: %w", group, err)
	}
	if _, err := admin.AddTeamMember(id, user); err != nil {
		return fmt.Errorf("add %s to a team of %s: %w", user, group, err)
	}
	return nil
}

func ensureTeam(admin *sdk.Client, group string, role client.Role) (int64, error) {
	wanted, known := teamOf(role)
	if !known {
		return 0, errRole
	}
	teams, _, err := admin.ListOrgTeams(group, sdk.ListTeamsOptions{})
	if err != nil {
		return 0, err
	}
	for _, t := range teams {
		if strings.EqualFold(t.Name, wanted.name) {
			return t.ID, nil
		}
	}
	t, _, err := admin.CreateTeam(group, sdk.CreateTeamOption{
		Name: wanted.name, Permission: wanted.access, IncludesAllRepositories: true, CanCreateOrgRepo: role >= client.RoleMaintain,
		Units: wanted.units,
	})
	if err != nil {
		return 0, err
	}
	return t.ID, nil
}

// Protect protects a branch: only the roles from least upward may push, and the
// administrator. Above RoleOwner, all others are refused. It replaces an earlier protection.
func (s *Server) Protect(ctx context.Context, repository, branch string, least client.Role) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	admin, err := s.client(ctx, s.Admin.Token)
	if err != nil {
		return err
	}
	group, name, _ := strings.Cut(repository, "/")
	rule := sdk.CreateBranchProtectionOption{RuleName: branch, EnablePush: least <= client.RoleOwner, EnablePushWhitelist: true}
	for role := least; role <= client.RoleOwner; role++ {
		if _, err := ensureTeam(admin, group, role); err != nil {
			return fmt.Errorf("make the team of a role in %s: %w", group, err)
		}
		t, _ := teamOf(role)
		rule.PushWhitelistTeams = append(rule.PushWhitelistTeams, t.name)
	}
	// The administrator prepares files.
	rule.PushWhitelistUsernames = []string{AdminName}
	if answer, err := admin.DeleteBranchProtection(group, name, branch); err != nil && (answer == nil || answer.StatusCode != http.StatusNotFound) {
		return fmt.Errorf("end the protection of %s of %s: %w", branch, repository, err)
	}
	if _, _, err := admin.CreateBranchProtection(group, name, rule); err != nil {
		return fmt.Errorf("protect %s of %s: %w", branch, repository, err)
	}
	return nil
}

// Statuses returns the names of the statuses that a commit has got, oldest first.
func (s *Server) Statuses(ctx context.Context, repository, commit string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	admin, err := s.client(ctx, s.Admin.Token)
	if err != nil {
		return nil, err
	}
	group, name, _ := strings.Cut(repository, "/")
	found, _, err := admin.ListStatuses(group, name, commit, sdk.ListStatusesOption{})
	if err != nil {
		return nil, fmt.Errorf("list the statuses of %s: %w", repository, err)
	}
	slices.SortFunc(found, func(a, b *sdk.Status) int { return cmp.Compare(a.ID, b.ID) })
	names := make([]string, 0, len(found))
	for _, status := range found {
		names = append(names, status.Context)
	}
	return names, nil
}
