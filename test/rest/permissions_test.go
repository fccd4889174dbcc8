package rest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/forge/client"
)

// examples have the case that saves an object of each resource.
func examples() map[string]string {
	return map[string]string{
		"environments": "environment-save-env-dev", "projects": "project-save-api-server", "coderepos": "coderepo-save-api-server",
		"coderepobindings": "binding-save", "deploymentruntimes": "dr-save", "projectpipelineruntimes": "ppr-save",
		"clusters": "cluster-save-cluster-host", "products": "product-save",
	}
}

// described returns the routes of the document in which the server describes itself.
func (w *world) described() []route {
	w.t.Helper()
	got := w.request("nobody", http.MethodGet, "/openapi.json", nil, nil, nil)
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		} `json:"paths"`
	}
	check(w.t, json.Unmarshal([]byte(got.text), &document))
	var all []route
	for path, operations := range document.Paths {
		for method, operation := range operations {
			if method = strings.ToUpper(method); strings.HasPrefix(path, "/api/") && operation.OperationID != "" {
				all = append(all, route{OperationID: operation.OperationID, Method: method, Path: path, Write: method != http.MethodGet})
			}
		}
	}
	slices.SortFunc(all, func(a, b route) int { return strings.Compare(a.OperationID, b.OperationID) })
	return all
}

// TestPermissions sends every route that the server describes as every role, with and
// without the parameter that leaves rules out: rights are no rule that it leaves out.
func TestPermissions(t *testing.T) {
	s := load(t)
	w := newWorld(t, s)
	var needed []string
	for _, resource := range slices.Sorted(maps.Keys(examples())) {
		c := s.byName[examples()[resource]]
		for _, name := range append(s.needed(c), c.Name) {
			if !slices.Contains(needed, name) {
				needed = append(needed, name)
			}
		}
	}
	w.bring(needed)
	matrix := map[string]map[string]map[string]oneOrMore[int]{"products": s.Permissions.Products, "clusters": s.Permissions.Clusters}
	sent := map[string]bool{}
	routes := w.described()
	for _, r := range s.Routes {
		if !slices.ContainsFunc(routes, func(d route) bool {
			return d.OperationID == r.OperationID && d.Method == r.Method && d.Write == r.Write
		}) {
			t.Errorf("the server describes no %s %s as %s", r.Method, r.Path, r.OperationID)
		}
	}
	for _, r := range routes {
		resource := resourceOf(r.Path)
		table, below := matrix[resource], false
		if table == nil {
			table, below = s.Permissions.BelowProduct, true
		}
		for _, role := range slices.Sorted(maps.Keys(table)) {
			want := wanted(table[role], r, below || resource == "clusters")
			if want == nil {
				continue
			}
			sent[r.OperationID] = true
			for _, skip := range []string{"", "true"} {
				if skip != "" && !r.Write {
					continue
				}
				t.Run(r.OperationID+"/"+role+"/skip="+skip, func(t *testing.T) {
					w.within(t).checkPermission(r, resource, role, skip, want)
				})
			}
		}
	}
	for _, r := range routes {
		if !sent[r.OperationID] {
			t.Errorf("%s was sent as nobody", r.OperationID)
		}
	}
}

func resourceOf(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, "/api/v1/"), "/")
	if len(parts) > 2 {
		return parts[2]
	}
	return parts[0]
}

// wanted returns the codes of a route in a row of the matrix, or nil if it has none.
func wanted(row map[string]oneOrMore[int], r route, plain bool) oneOrMore[int] {
	if plain {
		if r.Write {
			return row["write"]
		}
		return row["read"]
	}
	switch {
	case r.Write && row["write_existing"] != nil:
		return row["write_existing"]
	case r.Write:
		return row["write"]
	case !strings.HasSuffix(r.Path, "}") && row["list"] != nil:
		return row["list"]
	case strings.HasSuffix(r.Path, "}") && row["get"] != nil:
		return row["get"]
	}
	return row["read"]
}

func (w *world) checkPermission(r route, resource, role, skip string, want oneOrMore[int]) {
	w.t.Helper()
	w.forge.Protect(defaultProject, client.RoleMaintain)
	if role == "developer-who-may-push" {
		w.letDevelopersPush()
	}
	example := w.suite.byName[examples()[resource]]
	path := example.Path
	if !strings.HasSuffix(r.Path, "}") {
		path = path[:strings.LastIndex(path, "/")]
	}
	var body []byte
	query := url.Values{}
	if skip != "" {
		query.Set("insecure_skip_check", skip)
	}
	allowed := slices.Contains(want, http.StatusOK)
	switch {
	case r.Method == http.MethodPost:
		content, err := w.suite.body(example, w.expand)
		check(w.t, err)
		body = content
	case r.Method == http.MethodDelete && allowed && resource != "products":
		// A right is seen by the answer about an object that does not exist.
		path, want = path[:strings.LastIndex(path, "/")]+"/nowhere", oneOrMore[int]{http.StatusNotFound}
	case r.Method == http.MethodDelete && allowed:
		// The group holds more than default.project.
		want = oneOrMore[int]{http.StatusConflict}
	}
	before := w.state()
	got := w.request(role, r.Method, path, query, nil, body)
	if !slices.Contains(want, got.code) {
		w.t.Errorf("%s %s: want status %v, got %s", r.Method, path, want, got)
	}
	if strings.HasSuffix(path, "/nowhere") && !strings.Contains(got.text, "nowhere") {
		w.t.Errorf("%s %s: the reply does not name the missing object: %s", r.Method, path, got)
	}
	if diff := cmp.Diff(before, w.state()); diff != "" {
		w.t.Errorf("%s %s changed something:\n%s", r.Method, path, diff)
	}
}
