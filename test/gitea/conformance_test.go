package gitea_test

import (
	"context"
	"net/http"
	"testing"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	giteaclient "nautes.io/nautes/internal/forge/client/gitea"
	"nautes.io/nautes/internal/forge/gitea"
	"nautes.io/nautes/test/forgetest"
	server "nautes.io/nautes/test/gitea"
)

// host prepares a real Gitea for the suite.
type host struct{ *server.Server }

func (h host) Admin() forgetest.User { return userOf(h.Server.Admin) }

func (h host) AddUser(ctx context.Context, name string) (forgetest.User, error) {
	added, err := h.Server.AddUser(ctx, name)
	return userOf(added), err
}

func (h host) SetRole(ctx context.Context, group string, user forgetest.User, role client.Role) error {
	return h.Server.SetRole(ctx, group, user.Name, role)
}

func userOf(u server.User) forgetest.User {
	return forgetest.User{ID: u.ID, Name: u.Name, Email: u.Email, Token: u.Token}
}

// The suite runs against a real Gitea.
func TestConformance(t *testing.T) {
	s, signature := server.New(t), gitea.Forge().Hooks.Proofs[0]
	forgetest.Run(t, forgetest.Forge{
		Host: host{s}, URL: s.URL,
		Connect: func(c client.Connection) (client.Client, error) { return giteaclient.New(c) },
		// Gitea counts whoever is in a team with the right of administration as an owner,
		// and has no role for people who see no files.
		Reported:   map[client.Role]client.Role{client.RoleMaintain: client.RoleOwner, client.RoleGuest: client.RoleNone},
		PushEvents: []string{"push"}, OtherEvents: []string{"pull_request", "release"},
		Verify: func(header http.Header, body []byte, secret string) bool {
			return signature.Proves(forge.Delivery{Proof: header.Get(signature.Header), Body: body}, secret)
		},
	})
}
