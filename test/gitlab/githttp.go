package gitlab

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"nautes.io/nautes/test/githost"
)

// The texts with which GitLab refuses requests of Git.
const (
	deniedBasic     = "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was incorrect or you're required to use a token instead of a password."
	deniedHidden    = "The project you were looking for could not be found or you don't have permission to view it."
	deniedDownload  = "You are not allowed to download code from this project."
	deniedPush      = "You are not allowed to push code to this project."
	deniedReadOnly  = "You can't push code to a read-only project."
	deniedProtected = "You are not allowed to push code to protected branches on this project."
	deniedDeletion  = "You can only delete protected branches using the web interface."
)

// serveGit answers a request of Git for a project by its path. Any user name goes with
// a token.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request) {
	full, rest, found := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
	if !found {
		http.NotFound(w, r)
		return
	}
	pushes := rest == "git-receive-pack" || r.URL.Query().Get("service") == "git-receive-pack"
	value := credential(r)
	if _, password, basic := r.BasicAuth(); basic {
		value = password
	}
	s.mu.Lock()
	s.settle()
	p := s.projectAt(full)
	u, status, text := s.admitGit(value, p, pushes)
	passage := githost.Passage{}
	if status == 0 {
		s.passed++
		passage = s.passage(p, u)
	}
	s.mu.Unlock()
	if status != 0 {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitLab"`)
		}
		http.Error(w, text, status)
		return
	}
	s.git.Pass(w, r, passage)
}

// admitGit decides whether a request of Git may go on, and returns its user.
func (s *Server) admitGit(value string, p *project, pushes bool) (u *user, status int, text string) {
	if value == "" {
		if !pushes && p != nil && p.visibility == Public {
			return nil, 0, ""
		}
		return nil, http.StatusUnauthorized, deniedBasic
	}
	t, u, problem := s.tokenOf(value)
	if problem != "" {
		return nil, http.StatusUnauthorized, deniedBasic
	}
	wanted := []string{"api", "write_repository"}
	if !pushes {
		wanted = append(wanted, "read_repository")
	}
	scoped := slices.ContainsFunc(t.Scopes, func(scope string) bool { return slices.Contains(wanted, scope) })
	level := NoAccess
	if p != nil {
		level = s.level(u, &p.space)
	}
	switch {
	case p == nil || !s.sees(u, &p.space):
		return nil, http.StatusNotFound, deniedHidden
	case pushes && p.readOnly():
		return nil, http.StatusForbidden, deniedReadOnly
	case pushes && (!scoped || level < Developer):
		return nil, http.StatusForbidden, deniedPush
	case !scoped || p.visibility == Private && level < Reporter:
		return nil, http.StatusForbidden, deniedDownload
	}
	return u, 0, ""
}

// passage lets a request of a user through to the Git host.
func (s *Server) passage(p *project, u *user) githost.Passage {
	return githost.Passage{
		Repository: p.repository, ID: int(p.id), Path: p.full(),
		FastForward: slices.ContainsFunc(p.protected, func(rule *protection) bool { return !rule.force }) && u != nil && !u.Admin,
		Refuse: func(changes []githost.RefChange) string {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, change := range changes {
				branch, isBranch := strings.CutPrefix(change.Ref, "refs/heads/")
				switch {
				case !isBranch:
				case change.Deleted() && len(p.rulesFor(branch)) > 0:
					return deniedDeletion
				case !s.canPush(u, p, branch):
					return deniedProtected
				}
			}
			return ""
		},
		Pushed: func(pushed []githost.Pushed) { s.announce(p, u, pushed) },
	}
}

// servePush serves a push of the Server itself, which nothing refuses.
func (s *Server) servePush(w http.ResponseWriter, r *http.Request) {
	number, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/hashed/"), ".git/")
	id, err := strconv.ParseInt(number, 10, 64)
	s.mu.Lock()
	p := s.projectBy(func(p *project) bool { return p.id == id })
	root := s.userNamed(rootUser)
	s.mu.Unlock()
	if p == nil || err != nil {
		http.NotFound(w, r)
		return
	}
	s.mu.Lock()
	passage := s.passage(p, root)
	s.mu.Unlock()
	passage.Refuse, passage.FastForward = nil, false
	s.git.Pass(w, r, passage)
}
