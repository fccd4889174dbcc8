package gitea

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/test/forgetest"
	giteaserver "nautes.io/nautes/test/gitea"
)

// host prepares a real Gitea for the suite.
type host struct{ server *giteaserver.Server }

func (h host) Admin() forgetest.User { return userOf(h.server.Admin) }

func (h host) AddUser(ctx context.Context, name string) (forgetest.User, error) {
	added, err := h.server.AddUser(ctx, name)
	return userOf(added), err
}

func (h host) SetRole(ctx context.Context, group string, user forgetest.User, role client.Role) error {
	return h.server.SetRole(ctx, group, user.Name, role)
}

func (h host) Protect(ctx context.Context, repository, branch string, least client.Role) error {
	return h.server.Protect(ctx, repository, branch, least)
}

func (h host) Statuses(ctx context.Context, repository, commit string) ([]string, error) {
	return h.server.Statuses(ctx, repository, commit)
}

func userOf(u giteaserver.User) forgetest.User {
	return forgetest.User{ID: u.ID, Name: u.Name, Email: u.Email, Token: u.Token}
}

// The suite runs against a real Gitea.
func TestConformance(t *testing.T) {
	server := giteaserver.New(t)
	forgetest.Run(t, forgetest.Forge{
		Host: host{server}, URL: server.URL,
		Connect:    func(c client.Connection) (client.Client, error) { return New(c) },
		PushEvents: []string{"push"}, OtherEvents: []string{"pull_request", "release"},
		Verify: func(header http.Header, body []byte, secret string) bool {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write(body)
			return header.Get("X-Gitea-Signature") == hex.EncodeToString(mac.Sum(nil))
		},
	})
}
