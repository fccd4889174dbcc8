package gitlab_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"testing"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/clients"
	forge "nautes.io/nautes/internal/forge/gitlab"
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

// signed reports whether a delivery has the signature of Standard Webhooks.
func signed(header http.Header, body []byte, secret string) bool {
	mac := hmac.New(sha256.New, forge.SigningKey([]byte(secret)))
	_, _ = mac.Write([]byte(header.Get("webhook-id") + "." + header.Get("webhook-timestamp") + "."))
	_, _ = mac.Write(body)
	return header.Get("webhook-signature") == "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestConformance(t *testing.T) {
	for version, verify := range map[string]func(http.Header, []byte, string) bool{
		"19.1.0": signed,
		"18.4.0": func(header http.Header, _ []byte, secret string) bool { return header.Get("X-Gitlab-Token") == secret },
	} {
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
				Verify: verify,
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
