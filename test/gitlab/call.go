package gitlab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// object is a JSON object of a reply.
type object = map[string]any

// route is an operation of the API.
type route struct {
	method, path string
	// args lists the parameters: name, name:type or name=a|b, with ! if it is required.
	args string
	// level is the access that the caller must have to the project or group of the
	// path. It is 0 if seeing it is enough.
	level int
	// scopes are the scopes of which the token must have one; nil is any token.
	scopes []string
	// anonymous routes need no token.
	anonymous bool
	// writes are refused for projects that are archived or marked for deletion.
	writes bool
	serve  func(*call) reply
	// source is where the behaviour is documented. unverified is the part that no source
	// confirms.
	source, unverified string
}

// Scopes of access tokens.
// https://docs.gitlab.com/user/profile/personal_access_tokens/
var knownScopes = []string{
	"api", "read_api", "read_user", "read_repository", "write_repository", "self_rotate", "create_runner", "manage_runner",
	"read_registry", "write_registry", "ai_features", "k8s_proxy", "sudo", "admin_mode", "openid", "profile", "email",
}

// The scopes that let a token call a route.
func readScopes() []string  { return []string{"api", "read_api"} }
func writeScopes() []string { return []string{"api"} }
func userScopes() []string  { return []string{"api", "read_api", "read_user"} }

// call is a request for a route.
type call struct {
	*Server
	r       *http.Request
	route   route
	vars    map[string]string
	args    map[string]any
	user    *user
	token   *token
	project *project
	group   *group
}

// reply is the answer to a call.
type reply struct {
	status int
	body   any
	header http.Header
}

func ok(body any) reply       { return reply{status: http.StatusOK, body: body} }
func created(body any) reply  { return reply{status: http.StatusCreated, body: body} }
func accepted(body any) reply { return reply{status: http.StatusAccepted, body: body} }
func noContent() reply        { return reply{status: http.StatusNoContent} }

// message is the usual body of an error: a text, or problems by field.
func message(status int, text any) reply { return reply{status: status, body: object{"message": text}} }

// invalid is the body of an error of the parameters.
func invalid(text string) reply {
	return reply{status: http.StatusBadRequest, body: object{"error": text}}
}

func notFound(what string) reply {
	return message(http.StatusNotFound, strings.TrimSpace("404 "+what+" Not Found"))
}

func forbidden() reply { return message(http.StatusForbidden, "403 Forbidden") }

// problems is an error of one field, or of several with the same text.
func problems(text string, fields ...string) reply {
	all := object{}
	for _, field := range fields {
		all[field] = []string{text}
	}
	return message(http.StatusBadRequest, all)
}

// serveAPI answers a request for the API.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	c := &call{Server: s, r: r, args: map[string]any{}}
	answer := c.answer(body)
	record := Request{Method: r.Method, Path: apiPath(r), Route: c.route.path, Status: answer.status, Args: c.args}
	if c.user != nil {
		record.User = c.user.Username
	}
	s.requests = append(s.requests, record)
	for name, values := range answer.header {
		w.Header()[name] = values
	}
	s.limitHeaders(w.Header(), c.user)
	w.Header().Set("X-Request-Id", fmt.Sprintf("01EMULATED%016d", len(s.requests)))
	if text, plain := answer.body.(string); plain {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(answer.status)
		_, _ = io.WriteString(w, text)
		return
	}
	if answer.body == nil {
		w.WriteHeader(answer.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(answer.status)
	_ = json.NewEncoder(w).Encode(answer.body)
}

func apiPath(r *http.Request) string { return strings.TrimPrefix(r.URL.EscapedPath(), "/api/v4") }

// unknown records that GitLab would not understand a request.
func (c *call) unknown(format string, args ...any) reply {
	problem := fmt.Sprintf("%s %s: ", c.r.Method, apiPath(c.r)) + fmt.Sprintf(format, args...)
	c.fail("%s", problem)
	return reply{status: http.StatusNotImplemented, body: object{"error": "emulator: " + problem}}
}

func (c *call) answer(body []byte) reply {
	found, failed := c.find()
	if !found {
		return failed
	}
	if failed, stop := c.authenticate(); stop {
		return failed
	}
	if !c.admit() {
		return c.tooMany()
	}
	if failed, stop := c.parse(body); stop {
		return failed
	}
	if failed, stop := c.resolve(); stop {
		return failed
	}
	return c.route.serve(c)
}

// find looks for the route. A literal part of a path goes before a variable.
func (c *call) find() (bool, reply) {
	parts := strings.Split(apiPath(c.r), "/")
	var best *route
	var vars map[string]string
	known := false
	for i := range c.routes {
		candidate := &c.routes[i]
		values, match := matchPath(strings.Split(candidate.path, "/"), parts)
		if !match {
			continue
		}
		known = true
		if candidate.method == c.r.Method && (best == nil || len(values) < len(vars)) {
			best, vars = candidate, values
		}
	}
	if best == nil {
		if known {
			return false, c.unknown("the emulator has the path, and not the method")
		}
		return false, c.unknown("the emulator has no such route; a path as an ID must be escaped")
	}
	c.route, c.vars = *best, vars
	return true, reply{}
}

func matchPath(pattern, parts []string) (map[string]string, bool) {
	if len(pattern) != len(parts) {
		return nil, false
	}
	vars := map[string]string{}
	for i, part := range pattern {
		if name, variable := strings.CutPrefix(part, ":"); variable {
			value, err := url.PathUnescape(parts[i])
			if err != nil || value == "" {
				return nil, false
			}
			vars[name] = value
		} else if part != parts[i] {
			return nil, false
		}
	}
	return vars, true
}

// parse reads the parameters of the URL and of the body, and checks them.
func (c *call) parse(body []byte) (reply, bool) {
	known := map[string]parameter{}
	for _, p := range parameters(c.route.args) {
		known[p.name] = p
	}
	for name, values := range c.r.URL.Query() {
		if slices.Contains([]string{"private_token", "access_token", "job_token"}, name) {
			return c.unknown("the URL has a token"), true
		}
		c.args[strings.TrimSuffix(name, "[]")] = values[len(values)-1]
	}
	if len(body) > 0 {
		if failed, stop := c.parseBody(body); stop {
			return failed, true
		}
	}
	var missing, wrong []string
	for name, value := range c.args {
		p, ok := known[name]
		if !ok {
			return c.unknown("parameter %s is unknown", name), true
		}
		typed, problem := p.convert(value)
		if problem != "" {
			wrong = append(wrong, name+" "+problem)
			continue
		}
		c.args[name] = typed
	}
	for _, p := range parameters(c.route.args) {
		if _, given := c.args[p.name]; p.required && !given {
			missing = append(missing, p.name+" is missing")
		}
	}
	if all := append(missing, wrong...); len(all) > 0 {
		return invalid(strings.Join(all, ", ")), true
	}
	return reply{}, false
}

func (c *call) parseBody(body []byte) (reply, bool) {
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return c.unknown("the body is of type %q and not application/json", c.r.Header.Get("Content-Type")), true
	}
	if err := json.Unmarshal(body, &c.args); err != nil {
		return message(http.StatusBadRequest, "400 Bad request - The body is not valid JSON"), true
	}
	return reply{}, false
}

// parameter is a parameter of a route.
type parameter struct {
	name, kind string
	values     []string
	required   bool
}

// parameters parses the list of a route's parameters.
func parameters(list string) []parameter {
	var all []parameter
	for _, text := range strings.Fields(list) {
		p := parameter{kind: "string"}
		if name, values, found := strings.Cut(text, "="); found {
			text, p.values = name, strings.Split(values, "|")
		}
		if name, kind, found := strings.Cut(text, ":"); found {
			text, p.kind = name, kind
		}
		p.name, p.required = strings.CutSuffix(text, "!")
		all = append(all, p)
	}
	return all
}

var errKind = errors.New("unknown kind of parameter")

// convert returns the value of a parameter with its type, or the problem. Null is taken
// as GitLab takes it: as a parameter without a value.
func (p parameter) convert(value any) (any, string) {
	if value == nil {
		return nil, ""
	}
	text, isText := value.(string)
	switch p.kind {
	case "string":
		if number, isNumber := value.(float64); isNumber {
			text, isText = strconv.FormatFloat(number, 'f', -1, 64), true
		}
		if !isText {
			return nil, "is invalid"
		}
		if len(p.values) > 0 && !slices.Contains(p.values, text) {
			return nil, "does not have a valid value"
		}
		return text, ""
	case "int":
		if number, isNumber := value.(float64); isNumber && number == float64(int64(number)) {
			return int64(number), ""
		}
		if number, err := strconv.ParseInt(text, 10, 64); isText && err == nil {
			return number, ""
		}
		return nil, "is invalid"
	case "bool":
		if flag, isFlag := value.(bool); isFlag {
			return flag, ""
		}
		if flag, err := strconv.ParseBool(text); isText && err == nil {
			return flag, ""
		}
		return nil, "is invalid"
	}
	panic(errKind)
}

func (c *call) has(name string) bool { return c.args[name] != nil }

func (c *call) text(name string) string {
	text, _ := c.args[name].(string)
	return text
}

func (c *call) number(name string) int64 {
	number, _ := c.args[name].(int64)
	return number
}

func (c *call) flag(name string, otherwise bool) bool {
	if flag, ok := c.args[name].(bool); ok {
		return flag
	}
	return otherwise
}

// variable returns a variable of the path as a number.
func (c *call) variable(name string) (int64, bool) {
	number, err := strconv.ParseInt(c.vars[name], 10, 64)
	return number, err == nil
}
