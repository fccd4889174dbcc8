package githost

import (
	"net/http"
	"strings"
)

// Access is the right of a token on a repository.
type Access int

// The kinds of access; each includes those before it.
const (
	NoAccess Access = iota
	Read
	Write
)

// access holds the rights of each token by the path of a repository or a group.
type access map[string]map[string]Access

// Grant lets a token read or write a repository, or all of a group, by its path.
// A token may have several grants; NoAccess takes one back.
func (g *Host) Grant(token string, granted Access, path string) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.access[token] == nil {
		g.access[token] = map[string]Access{}
	}
	g.access[token][path] = granted
}

// Revoke makes a token unknown.
func (g *Host) Revoke(token string) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	delete(g.access, token)
}

// accessOf returns the right of a token on a repository, and whether the token is
// known. The host's own token may do everything.
func (g *Host) accessOf(token, repository string) (Access, bool) {
	if token == g.token {
		return Write, true
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	grants, known := g.access[token]
	best := NoAccess
	for path, granted := range grants {
		if repository == path || strings.HasPrefix(repository, path+"/") {
			best = max(best, granted)
		}
	}
	return best, known
}

// tokenOf returns the token of a request: the password of basic authentication
// with any user name, or a bearer token.
func tokenOf(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

// refuse answers as GitLab does: 401 without a known token, 404 for a repository
// that the token may not see, 403 for a write with a right to read. It returns
// false if the request may go on.
func (g *Host) refuse(w http.ResponseWriter, r *http.Request, repository string, wanted Access) bool {
	granted, known := g.accessOf(tokenOf(r), repository)
	switch {
	case !known:
		w.Header().Set("WWW-Authenticate", `Basic realm="GitLab"`)
		http.Error(w, "HTTP Basic: Access denied", http.StatusUnauthorized)
	case granted == NoAccess:
		http.Error(w, "The project you were looking for could not be found or you don't have permission to view it.", http.StatusNotFound)
	case granted < wanted:
		http.Error(w, "You are not allowed to push code to this project.", http.StatusForbidden)
	default:
		return false
	}
	return true
}
