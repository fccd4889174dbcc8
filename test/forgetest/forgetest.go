// Package forgetest holds the conformance suite of clients of Git forges. It guarantees
// that all implementations of client.Client answer the same for the same state: only the
// capabilities of a forge decide where answers differ.
package forgetest

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/secrets"
)

// within bounds a request of the suite, and the wait for a delivery.
const within = 2 * time.Minute

// User is an account of the forge.
type User struct {
	ID          int64
	Name, Email string
	// Token is an access token that may do whatever the user may do.
	Token string
}

// Host prepares the forge for the suite.
type Host interface {
	// Admin returns an administrator.
	Admin() User
	// AddUser makes a user.
	AddUser(ctx context.Context, name string) (User, error)
	// SetRole gives a user a role in all repositories of a group.
	SetRole(ctx context.Context, group string, user User, role client.Role) error
	// Protect protects a branch: only roles from least upward may push, and above
	// RoleOwner none.
	Protect(ctx context.Context, repository, branch string, least client.Role) error
	// Statuses returns the names of the statuses that a commit has got, oldest first.
	Statuses(ctx context.Context, repository, commit string) ([]string, error)
}

// Forge is a forge under test. The suite makes its own users, groups and repositories
// and expects no others of their names.
type Forge struct {
	Host Host
	// URL is the address of the API.
	URL string
	// Connect is the constructor under test.
	Connect func(client.Connection) (client.Client, error)
	// Reported has the roles that the forge reports for others that were given.
	Reported map[client.Role]client.Role
	// PushEvents and OtherEvents are names of events: of pushes, and others.
	PushEvents, OtherEvents []string
	// Verify reports whether a delivery of a hook proves its secret.
	Verify func(header http.Header, body []byte, secret string) bool
}

// Run runs the suite.
func Run(t *testing.T, f Forge) {
	for name, test := range map[string]func(*suite){
		"callers": callers, "groups": groups, "nested groups": nested, "repositories": repositories, "visibility": visibility,
		"pushes": pushes, "empty repositories": empty, "roles": roles, "keys": keys, "hooks": hooks, "deliveries": deliveries,
		"statuses": statuses, "removal": removal, "refusals": refusals, "outages": outages,
	} {
		t.Run(name, func(t *testing.T) {
			s := &suite{T: t, Forge: f}
			s.admin = s.as(f.Host.Admin())
			can, err := s.admin.Capabilities(s.ctx())
			s.must(err)
			s.can = can
			test(s)
		})
	}
}

// suite is one test of the suite.
type suite struct {
	*testing.T
	Forge
	admin client.Client
	can   client.Capabilities
	mutex sync.Mutex
	// canaries are contents that no error may have.
	canaries []string
}

func (s *suite) ctx() context.Context {
	ctx, cancel := context.WithTimeout(s.Context(), within)
	s.Cleanup(cancel)
	return ctx
}

// as returns a client with the token of a user.
func (s *suite) as(u User) client.Client {
	s.Helper()
	return s.with(client.Connection{APIServer: s.URL, Token: s.secret(u.Token), Timeout: within})
}

func (s *suite) with(c client.Connection) client.Client {
	s.Helper()
	connected, err := s.Connect(c)
	s.must(err)
	return connected
}

// secret returns a value that no error may have from now on.
func (s *suite) secret(content string) secrets.Value {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.canaries = append(s.canaries, content)
	return secrets.NewValue([]byte(content))
}

// clean checks that an error has none of the canaries.
func (s *suite) clean(err error) {
	s.Helper()
	if err == nil {
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, canary := range s.canaries {
		if strings.Contains(err.Error(), canary) {
			s.Error("an error holds a secret")
		}
	}
}

func (s *suite) must(err error) {
	s.Helper()
	s.clean(err)
	if err != nil {
		s.Fatal(err)
	}
}

// name returns a name that the forge does not have yet.
func name(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:10]) }

// user makes a user.
func (s *suite) user() User {
	s.Helper()
	u, err := s.Host.AddUser(s.ctx(), name("user"))
	s.must(err)
	return u
}

// group makes a private group.
func (s *suite) group() client.Group {
	s.Helper()
	g, err := s.admin.EnsureGroup(s.ctx(), client.GroupSpec{Path: name("group")})
	s.must(err)
	return g
}

// repository makes a private repository with a commit on main.
func (s *suite) repository(group client.Group) client.Repository {
	s.Helper()
	r, err := s.admin.EnsureRepository(s.ctx(), client.RepositorySpec{GroupID: group.ID, Path: name("app"), Initialize: true, DefaultBranch: "main"})
	s.must(err)
	return r
}

// member makes a user with a role in a group, or without one for RoleNone, and waits
// until a repository of the group has it: forges spread memberships later.
func (s *suite) member(group client.Group, repository client.Repository, role client.Role) User {
	s.Helper()
	u := s.user()
	if role == client.RoleNone {
		return u
	}
	s.must(s.Host.SetRole(s.ctx(), group.Path, u, role))
	s.eventually("the member has its role", func() bool {
		has, err := s.admin.Role(s.ctx(), repository.ID, u.ID)
		s.must(err)
		return has == s.reported(role)
	})
	return u
}

// reported returns the role that the forge reports for one that was given.
func (s *suite) reported(role client.Role) client.Role {
	if other, ok := s.Reported[role]; ok {
		return other
	}
	return role
}

// eventually waits until a condition holds.
func (s *suite) eventually(condition string, holds func() bool) {
	s.Helper()
	deadline, tick := time.After(within), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			s.Fatalf("%s: not within %v", condition, within)
		case <-tick.C:
		}
	}
}
