package gitlab

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// credential returns the access token of a request.
func credential(r *http.Request) string {
	if value := r.Header.Get("PRIVATE-TOKEN"); value != "" {
		return value
	}
	value, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return value
}

func tokenError(status int, kind, description string) reply {
	return reply{status: status, body: object{"error": kind, "error_description": description}}
}

// tokenOf returns the token with a value and its owner. The error is the description
// that GitLab gives.
func (s *Server) tokenOf(value string) (*token, *user, string) {
	for _, t := range s.tokens {
		if t.Value != value {
			continue
		}
		switch {
		case t.revoked:
			return nil, nil, "Token was revoked. You have to re-authorize from the user."
		case !s.now().Before(t.ExpiresAt):
			return nil, nil, "Token is expired. You can either do re-authorization or token refresh."
		}
		u := s.userNamed(t.User)
		if u == nil || u.Blocked {
			return nil, nil, "401 Unauthorized"
		}
		return t, u, ""
	}
	return nil, nil, "401 Unauthorized"
}

// authenticate finds the caller and checks the scopes of the token.
func (c *call) authenticate() (reply, bool) {
	value := credential(c.r)
	if value == "" {
		if c.route.anonymous {
			return reply{}, false
		}
		return message(http.StatusUnauthorized, "401 Unauthorized"), true
	}
	t, u, problem := c.tokenOf(value)
	switch problem {
	case "":
	case "401 Unauthorized":
		return message(http.StatusUnauthorized, problem), true
	default:
		return tokenError(http.StatusUnauthorized, "invalid_token", problem), true
	}
	t.lastUsed = c.now()
	c.token, c.user = t, u
	if c.route.scopes != nil && !slices.ContainsFunc(t.Scopes, func(scope string) bool { return slices.Contains(c.route.scopes, scope) }) {
		failed := tokenError(http.StatusForbidden, "insufficient_scope", "The request requires higher privileges than provided by the access token.")
		failed.body.(object)["scope"] = strings.Join(c.route.scopes, " ")
		return failed, true
	}
	return reply{}, false
}

// resolve finds the project or group of the path, and checks the caller's access.
func (c *call) resolve() (reply, bool) {
	kind := strings.Split(c.route.path, "/")[1]
	id, given := c.vars["id"]
	if !given || kind != "projects" && kind != "groups" {
		return reply{}, false
	}
	var in *space
	if kind == "projects" {
		if failed, stop := c.resolveProject(id); stop {
			return failed, true
		}
		in = &c.project.space
	} else {
		c.group = c.groupAt(id)
		if number, err := strconv.ParseInt(id, 10, 64); err == nil {
			c.group = c.groupBy(func(g *group) bool { return g.id == number })
		}
		if c.group == nil || !c.seesGroup(c.user, c.group) {
			return notFound("Group"), true
		}
		in = &c.group.space
	}
	if c.level(c.user, in) < c.route.level {
		return forbidden(), true
	}
	if c.route.writes && in.readOnly() {
		return forbidden(), true
	}
	return reply{}, false
}

// resolveProject finds the project of the path. A project that was renamed is found by
// its old path too: GitLab redirects readers and refuses writers.
func (c *call) resolveProject(id string) (reply, bool) {
	c.project = c.projectAt(id)
	if number, err := strconv.ParseInt(id, 10, 64); err == nil {
		c.project = c.projectBy(func(p *project) bool { return p.id == number })
	} else if c.project == nil {
		number := c.moved[strings.ToLower(id)]
		p := c.projectBy(func(p *project) bool { return p.id == number })
		if p != nil && c.sees(c.user, &p.space) {
			if c.r.Method != http.MethodGet {
				return message(http.StatusMethodNotAllowed, "405 Non GET methods are not allowed for moved projects"), true
			}
			target := strings.Replace(c.URL+c.r.URL.EscapedPath(), url.PathEscape(id), strconv.FormatInt(p.id, 10), 1)
			return reply{
				status: http.StatusMovedPermanently, body: object{"message": "This resource has been moved permanently to " + target},
				header: http.Header{"Location": {target}},
			}, true
		}
	}
	if c.project == nil || !c.sees(c.user, &c.project.space) {
		return notFound("Project"), true
	}
	return reply{}, false
}

// window counts the requests of a user in a minute.
type window struct {
	start time.Time
	count int
}

const limitWindow = time.Minute

func (s *Server) windowOf(u *user) *window {
	var id int64
	if u != nil {
		id = u.ID
	}
	w := s.limits[id]
	if w == nil || s.now().Sub(w.start) >= limitWindow {
		w = &window{start: s.now().Truncate(limitWindow)}
		s.limits[id] = w
	}
	return w
}

// admit counts a request, and reports whether the limit admits it.
func (c *call) admit() bool {
	w := c.windowOf(c.user)
	w.count++
	return c.options.RateLimit == 0 || w.count <= c.options.RateLimit
}

// tooMany is the reply to a request over the limit. Its body is plain text.
func (c *call) tooMany() reply {
	reset := c.windowOf(c.user).start.Add(limitWindow)
	return reply{status: http.StatusTooManyRequests, body: "Retry later\n", header: http.Header{
		"Retry-After":         {strconv.Itoa(max(1, int(reset.Sub(c.now()).Seconds())))},
		"Ratelimit-Resettime": {reset.Format(http.TimeFormat)},
	}}
}

// limitHeaders writes the headers that every reply has where a limit is set.
func (s *Server) limitHeaders(header http.Header, u *user) {
	if s.options.RateLimit == 0 {
		return
	}
	w := s.windowOf(u)
	for name, value := range map[string]string{
		"RateLimit-Name":      "throttle_authenticated_api",
		"RateLimit-Limit":     strconv.Itoa(s.options.RateLimit),
		"RateLimit-Observed":  strconv.Itoa(w.count),
		"RateLimit-Remaining": strconv.Itoa(max(0, s.options.RateLimit-w.count)),
		"RateLimit-Reset":     strconv.FormatInt(w.start.Add(limitWindow).Unix(), 10),
	} {
		header.Set(name, value)
	}
}
