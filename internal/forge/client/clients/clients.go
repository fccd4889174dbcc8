// Package clients finds the client of a kind of Git forge. It guarantees that other
// packages need to know no kind.
package clients

import (
	"fmt"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/gitea"
	"nautes.io/nautes/internal/forge/client/gitlab"
	giteaforge "nautes.io/nautes/internal/forge/gitea"
	gitlabforge "nautes.io/nautes/internal/forge/gitlab"
)

// New returns a client of the forge of a provider type, such as gitlab. It sends no
// request.
func New(providerType string, c client.Connection) (client.Client, error) {
	switch providerType {
	case gitlabforge.Type:
		return gitlab.New(c)
	case giteaforge.Type:
		return gitea.New(c)
	default:
		return nil, fmt.Errorf("connect to a forge of type %q: the type is unknown: use %s or %s", providerType, gitlabforge.Type, giteaforge.Type)
	}
}
