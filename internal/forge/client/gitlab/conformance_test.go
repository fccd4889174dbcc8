package gitlab_test

import (
	"context"
	"net/http"
	"testing"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/clients"
	description "nautes.io/nautes/internal/forge/gitlab"
	"nautes.io/nautes/test/forgetest"
	"nautes.io/nautes/test/gitlab"
)

// host prepares the emulator for the suite.
type host struct {
	*gitlab.Server
	admin forgetest.User
}

// Admin implements forgetest.Host.
func (h *host) Admin() forgetest.User { return h.admin }

// AddUser implements forgetest.Host.
func (h *host) AddUser(_ context.Context, name string) (forgetest.User, error) {
	u := h.Server.AddUser(gitlab.User{Username: name})
	return forgetest.User{ID: u.ID, Name: name, Email: u.Email, Token: h.Token(name)}, nil
}

func levelOf(role client.Role) int {
	return map[client.Role]int{
		client.RoleGuest: gitlab.Guest, client.RoleRead: gitlab.Reporter, client.RoleWrite: gitlab.Developer,
		client.RoleMaintain: gitlab.Maintainer, client.RoleOwner: gitlab.Owner,
	}[role]
}

// SetRole implements forgetest.Host.
func (h *host) SetRole(_ context.Context, group string, user forgetest.User, role client.Role) error {
	h.SetMember(group, user.Name, levelOf(role))
	return nil
}

// Protect implements forgetest.Host.
func (h *host) Protect(_ context.Context, repository, branch string, least client.Role) error {
	h.Server.Protect(repository, branch, levelOf(least))
	return nil
}

// Statuses implements forgetest.Host.
func (h *host) Statuses(_ context.Context, repository, commit string) ([]string, error) {
	var names []string
	for _, status := range h.Server.Statuses(repository, commit) {
		names = append(names, status.Name)
	}
	return names, nil
}

// proves returns a check of deliveries by one of the ways of GitLab.
func proves(proof forge.Proof) func(http.Header, []byte, string) bool {
	return func(header http.Header, body []byte, secret string) bool {
		d := forge.Delivery{Proof: header.Get(proof.Header), ID: header.Get(proof.IDHeader), Time: header.Get(proof.TimeHeader), Body: body}
		return proof.Proves(d, secret)
	}
}

func TestConformance(t *testing.T) {
	signature, token := description.Forge().Hooks.Proofs[0], description.Forge().Hooks.Proofs[1]
	for version, proof := range map[string]forge.Proof{"19.1.0": signature, "18.4.0": token} {
		t.Run(version, func(t *testing.T) {
			s := gitlab.New(t, func(o *gitlab.Options) { o.Version, o.Unprotected = version, true })
			root := s.Token("root")
			admin, err := clients.New("gitlab", client.Connection{APIServer: s.URL, Token: secret(root)})
			if err != nil {
				t.Fatal(err)
			}
			me, err := admin.WhoAmI(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			forgetest.Run(t, forgetest.Forge{
				Host: &host{s, forgetest.User{ID: me.ID, Name: "root", Email: me.Email, Token: root}}, URL: s.URL,
				Connect:    func(c client.Connection) (client.Client, error) { return clients.New("gitlab", c) },
				PushEvents: []string{"push_events"}, OtherEvents: []string{"merge_requests_events", "tag_push_events"},
				Verify: proves(proof),
			})
			matched(t, s)
		})
	}
}

// matched checks that the official client knows the route of each request.
func matched(t *testing.T, s *gitlab.Server) {
	t.Helper()
	requests := s.Requests()
	for _, request := range requests {
		if _, known := api.MatchRoute(request.Path); !known {
			t.Errorf("%s %s is no route of the official client", request.Method, request.Path)
		}
	}
	if len(requests) == 0 {
		t.Error("the server has seen no request")
	}
}
