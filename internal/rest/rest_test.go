package rest

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/deploykeys"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

const environment = `{"cluster": "alpha", "env_type": "dev"}`

func TestRefusals(t *testing.T) {
	const one = "/api/v1/products/labs/environments/dev"
	for name, tc := range map[string]struct {
		as, method, path, body string
		headers                []string
		wantStatus             int
		wantReason, wantAt     string
	}{
		"no credentials":       {"", "GET", one, "", nil, 401, reasonUnauthorized, ""},
		"no credentials first": {"", "POST", "/api/v1/nothing?x", "{", nil, 401, reasonUnauthorized, ""},
		"basic":                {"", "GET", one, "", []string{"Authorization", "Basic abc"}, 401, reasonUnauthorized, ""},
		"unknown token":        {"unknown", "GET", one, "", nil, 401, reasonUnauthorized, ""},
		"outsider reads":       {"outsider", "GET", one, "", nil, 404, reasonNoProduct, ""},
		"guest reads":          {"guest", "GET", one, "", nil, 403, reasonForbidden, ""},
		"guest writes":         {"guest", "POST", one, environment, nil, 403, reasonForbidden, ""},
		"reporter writes":      {"reporter", "POST", one, environment, nil, 403, reasonForbidden, ""},
		"reporter deletes":     {"reporter", "DELETE", one, "", nil, 403, reasonForbidden, ""},
		"skipping no rights":   {"reporter", "POST", one + "?insecure_skip_check=true", environment, nil, 403, reasonForbidden, ""},
		"missing":              {"reporter", "GET", one, "", nil, 404, reasonNoResource, ""},
		"no route":             {"reporter", "GET", "/api/v1/products/labs/nothings", "", nil, 404, reasonNoRoute, ""},
		"no route outside":     {"reporter", "GET", "/nothing", "", nil, 404, reasonNoRoute, ""},
		"method":               {"reporter", "PUT", one, "{}", nil, 405, reasonMethod, ""},
		"method of a list":     {"reporter", "POST", "/api/v1/products/labs/environments", "{}", nil, 405, reasonMethod, ""},
		"media type":           {"maintainer", "POST", one, environment, []string{"Content-Type", "text/plain"}, 415, reasonMediaType, ""},
		"too large":            {"maintainer", "POST", one, `{"env_type": "` + strings.Repeat("x", 2<<20) + `"}`, nil, 413, reasonTooLarge, ""},
		"no JSON":              {"maintainer", "POST", one, "cluster: alpha", nil, 400, reasonInvalid, "body"},
		"unknown key":          {"maintainer", "POST", one, `{"cluster": "a", "env_type": "dev", "env_typ": "dev"}`, nil, 400, reasonInvalid, "body.env_typ"},
		"bad name":             {"maintainer", "POST", "/api/v1/products/labs/environments/Dev_1", environment, nil, 400, reasonInvalid, "path.environmentName"},
		"unknown parameter":    {"maintainer", "POST", one + "?insecure_skip_checks=true", environment, nil, 400, reasonInvalid, "query.insecure_skip_checks"},
		"parameter of another": {"maintainer", "DELETE", one + "?delete_project=true", "", nil, 400, reasonInvalid, "query.delete_project"},
		"parameter's value":    {"maintainer", "POST", one + "?insecure-skip-check=yes", environment, nil, 400, reasonInvalid, "query.insecure-skip-check"},
		"selector":             {"reporter", "GET", "/api/v1/products/labs/environments?field_selector=nothing%3D1", "", nil, 400, reasonInvalid, "query.field_selector"},
		"selector's operator":  {"reporter", "GET", "/api/v1/products/labs/environments?field_selector=cluster!%3D1", "", nil, 400, reasonInvalid, "query.field_selector"},
		"limit":                {"reporter", "GET", "/api/v1/products/labs/environments?limit=many", "", nil, 400, reasonInvalid, "query.limit"},
		"continue":             {"reporter", "GET", "/api/v1/products/labs/environments?continue=x", "", nil, 400, reasonInvalid, "query.continue"},
		"continue of before":   {"reporter", "GET", "/api/v1/products/labs/environments?continue=" + base64.RawURLEncoding.EncodeToString([]byte("old\nx")), "", nil, 410, reasonGone, ""},
		"If-Match":             {"maintainer", "POST", one, environment, []string{"If-Match", "abc"}, 400, reasonInvalid, "header.If-Match"},
		"Idempotency-Key":      {"maintainer", "POST", one, environment, []string{"Idempotency-Key", " ä"}, 400, reasonInvalid, "header.Idempotency-Key"},
		"path of a product":    {"owner", "POST", "/api/v1/products/labs", `{"git": {"gitlab": {"path": "other", "visibility": "private"}}}`, nil, 400, reasonInvalid, "body.git.gitlab.path"},
		"GitHub":               {"owner", "POST", "/api/v1/products/labs", `{"git": {"github": {"path": "labs", "visibility": "private"}}}`, nil, 400, reasonInvalid, "body.git.github"},
		"product of others":    {"maintainer", "POST", "/api/v1/products/labs", `{"git": {"gitlab": {"path": "labs", "visibility": "private"}}}`, nil, 403, reasonForbidden, ""},
		"new product":          {"outsider", "POST", "/api/v1/products/new", `{"git": {"gitlab": {"path": "new", "visibility": "private"}}}`, nil, 403, reasonForbidden, ""},
		"product with a repo":  {"owner", "DELETE", "/api/v1/products/labs", "", nil, 409, reasonInUse, ""},
		"project of others":    {"maintainer", "DELETE", "/api/v1/products/labs/coderepos/app?delete_project=true", "", nil, 403, reasonForbidden, ""},
		"unknown repo skipped": {"maintainer", "POST", "/api/v1/products/labs/coderepobindings/b?insecure_skip_check=1", `{"coderepo": "nothing"}`, nil, 422, reasonInvalid, "body.coderepo"},
		"binding's product":    {"maintainer", "POST", "/api/v1/products/labs/coderepobindings/b?insecure_skip_check=1", `{"coderepo": "app", "product": "other"}`, nil, 400, reasonInvalid, "body.product"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			w := r.request(tc.as, tc.method, tc.path, tc.body, tc.headers...)
			p := decoded[Problem](t, w)
			if w.Code != tc.wantStatus || p.Reason != tc.wantReason || p.Code != tc.wantStatus || p.Message == "" {
				t.Errorf("status %d: %s, want %d %s", w.Code, w.Body, tc.wantStatus, tc.wantReason)
			}
			if tc.wantAt != "" && (len(p.Errors) != 1 || p.Errors[0].Location != tc.wantAt) {
				t.Errorf("errors %v, want one at %s", p.Errors, tc.wantAt)
			}
			if len(r.editor.requests) > 0 || len(r.made) > 0 || len(r.store.secrets) > 0 {
				t.Errorf("a refused request did something: %v, %v, %v", r.editor.requests, r.made, r.store.secrets)
			}
			if w.Code == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
				t.Error("no header Allow")
			}
		})
	}
}

func TestSave(t *testing.T) {
	r := newRig(t)
	w := r.request("maintainer", "POST", "/api/v1/products/labs/environments/dev?insecure-skip-check=t", environment,
		"If-Match", `"abc"`, "Idempotency-Key", "k1", "X-Request-Id", "r-1")
	if w.Code != http.StatusOK || w.Header().Get("ETag") != `"b10b"` || w.Header().Get("X-Request-Id") != "r-1" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if got := decoded[saved](t, w); got.Message != "Successfully saved dev configuration" || got.Commit == "" || got.File != "some.yaml" {
		t.Errorf("reply %+v", got)
	}
	q := r.editor.requests[0]
	o, _ := q.Save.(*v1alpha1.Environment)
	if o == nil || o.Name != "dev" || o.Spec != (v1alpha1.EnvironmentSpec{Product: "product-42", Cluster: "alpha", EnvType: "dev"}) {
		t.Errorf("object %+v", q.Save)
	}
	if q.Subject != "[API] Save Environment dev" || q.IfMatch != "abc" || !q.SkipReferences || q.Caller.Email != "a@example.com" {
		t.Errorf("request %+v", q)
	}
	if !slices.Contains(q.Trailers, edit.Trailer{Key: edit.TrailerIdempotencyKey, Value: "k1"}) || !slices.Contains(q.Trailers, edit.Trailer{Key: trailerRequestID, Value: "r-1"}) {
		t.Errorf("trailers %v", q.Trailers)
	}
	if !strings.Contains(r.log.String(), `"operation"="Environment_SaveEnvironment"`) || !strings.Contains(r.log.String(), `"requestID"="r-1"`) {
		t.Errorf("audit: %s", r.log)
	}
}

func TestNamesInMessages(t *testing.T) {
	r := newRig(t)
	path := field.NewPath("spec")
	missing := field.Invalid(path.Child("manifestSource", "codeRepo"), "", "CodeRepo repo-3 of product-42 is not granted: see spec.projectsRef[0]")
	missing.Origin = v1alpha1.ReasonPermissionDenied
	r.editor.fail = &edit.InvalidError{Errors: field.ErrorList{missing}}
	w := r.request("maintainer", "POST", "/api/v1/products/labs/deploymentruntimes/dr",
		`{"projectsRef": ["a"], "manifest_source": {"code_repo": "app", "path": "p"}, "destination": {"environment": "e"}}`)
	p := decoded[Problem](t, w)
	want := "CodeRepo app of labs is not granted: see projects_ref[0]"
	if w.Code != http.StatusUnprocessableEntity || len(p.Errors) != 1 || p.Errors[0].Location != "body.manifest_source.code_repo" || p.Errors[0].Message != want {
		t.Errorf("%d %s, want %q", w.Code, w.Body, want)
	}
}

func TestInUse(t *testing.T) {
	r := newRig(t)
	r.editor.fail = &edit.InUseError{Object: plan.Ref{Kind: "Environment", Namespace: "product-42", Name: "dev"}, Users: []plan.Ref{{Kind: "DeploymentRuntime", Namespace: "product-42", Name: "dr"}}}
	w := r.request("maintainer", "DELETE", "/api/v1/products/labs/environments/dev", "")
	if w.Code != http.StatusConflict || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "DeploymentRuntime labs/dr") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestDenied(t *testing.T) {
	r := newRig(t)
	r.editor.fail = &git.DeniedError{Reason: "GitLab: You are not allowed to push code to protected branches"}
	w := r.request("maintainer", "DELETE", "/api/v1/products/labs/environments/dev", "")
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "protected branches") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestProduct(t *testing.T) {
	r := newRig(t)
	for range 2 {
		w := r.request("creator", "POST", "/api/v1/products/new", `{"git": {"gitlab": {"path": "new", "visibility": "private"}}}`)
		if w.Code != http.StatusOK || decoded[saved](t, w).Message != "Successfully saved" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	once := []string{"group new", "repository default.project", "key repo-9-readonly on 9"}
	if diff := cmp.Diff(append(once, once...), r.made); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	if _, found := r.store.secrets[secrets.RepositoryReadOnly("gitlab", "repo-9")]; !found || len(r.store.secrets) != 1 {
		t.Fatalf("stored %v", r.store.secrets)
	}
	keys := deploykeys.Keeper{Store: r.store, Provider: "gitlab"}
	if key, err := keys.Read(t.Context(), "repo-9", v1alpha1.PermissionReadOnly); err != nil || !key.Made || !strings.HasPrefix(key.Public, "ssh-ed25519 ") {
		t.Errorf("key %+v, %v", key, err)
	}
}

func kubeconfigOf(token string) string {
	return "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- name: a\n  context: {cluster: c, user: u}\n" +
		"clusters:\n- name: c\n  cluster: {server: 'https://10.0.0.1:6443'}\nusers:\n- name: u\n  user: {token: " + token + "}\n"
}

func clusterBody(config string) string {
	return `{"api_server": "https://10.0.0.1:6443", "cluster_kind": "kubernetes", "cluster_type": "physical", "usage": "host", "kubeconfig": "` + config + `"}`
}

func TestKubeconfig(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(kubeconfigOf("t0ken")))
	ref := secrets.ClusterKubeconfig("alpha")
	t.Run("stored", func(t *testing.T) {
		r := newRig(t)
		if w := r.request("maintainer", "POST", "/api/v1/clusters/alpha", clusterBody(encoded)); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if got := string(r.store.secrets[ref].Fields[fieldKubeconfig].Bytes()); got != kubeconfigOf("t0ken") {
			t.Errorf("stored %q", got)
		}
	})
	t.Run("as YAML", func(t *testing.T) {
		r := newRig(t)
		if w := r.request("maintainer", "POST", "/api/v1/clusters/alpha", clusterBody(strings.ReplaceAll(kubeconfigOf("t0ken"), "\n", `\n`))); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
	t.Run("taken back", func(t *testing.T) {
		r := newRig(t)
		r.editor.fail = errors.New("push failed")
		if w := r.request("maintainer", "POST", "/api/v1/clusters/alpha", clusterBody(encoded)); w.Code != http.StatusInternalServerError {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if len(r.store.secrets) > 0 {
			t.Error("the kubeconfig is still there")
		}
	})
	t.Run("replaced by a request that fails", func(t *testing.T) {
		r := newRig(t)
		_, _ = r.store.Put(t.Context(), ref, map[string]secrets.Value{fieldKubeconfig: secrets.NewValue([]byte("before"))})
		r.editor.fail = edit.ErrContended
		if w := r.request("maintainer", "POST", "/api/v1/clusters/alpha", clusterBody(encoded)); w.Code != http.StatusConflict {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if got := string(r.store.secrets[ref].Fields[fieldKubeconfig].Bytes()); got != "before" {
			t.Errorf("stored %q", got)
		}
	})
	for name, config := range map[string]string{"missing": "", "no base64": "%%%", "exec": base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(kubeconfigOf("x"), "token: x", "exec: {command: sh}")))} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			w := r.request("maintainer", "POST", "/api/v1/clusters/alpha", clusterBody(config))
			if p := decoded[Problem](t, w); w.Code != http.StatusUnprocessableEntity || p.Errors[0].Location != "body.kubeconfig" || len(r.editor.requests) > 0 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

// TestCanary sends credentials in every place, and looks for them in replies and logs.
func TestCanary(t *testing.T) {
	const canary = "c4n4ry"
	config := strings.ReplaceAll(kubeconfigOf(canary), "\n", `\n`)
	for _, body := range []string{
		clusterBody(config), clusterBody(canary), clusterBody(strings.ReplaceAll(config, "server:", "unknown:")), `{"kubeconfig": {"a": "` + canary + `"}}`,
		`{"kubeconfig": ["` + canary + `"], "usage": "` + canary + `"}`, `{"kubeconfig": "` + canary, `{"api_server": {"x": "` + canary + `"}}`,
	} {
		for _, fail := range []error{nil, errors.New(canary), edit.ErrContended} {
			r := newRig(t)
			r.editor.fail = fail
			var said []string
			for _, role := range []string{"maintainer-" + canary, "unknown-" + canary, "outsider-" + canary} {
				w := r.request(role, "POST", "/api/v1/clusters/alpha", body)
				said = append(said, w.Body.String())
				for name, values := range w.Header() {
					said = append(said, name+strings.Join(values, " "))
				}
			}
			if fail == nil || !strings.Contains(fail.Error(), canary) {
				said = append(said, r.log.String())
			}
			if all := strings.Join(said, "\n"); strings.Contains(all, canary) {
				t.Errorf("%.60s: the canary is in %s", body, all)
			}
		}
	}
}

// TestPanic holds that a panic anywhere becomes a problem without its value.
func TestPanic(t *testing.T) {
	r := newRig(t)
	r.editor.fail = &edit.PanicError{Type: "string", Stack: "main.go:1"}
	for _, role := range []string{"maintainer", "panic"} {
		w := r.request(role, "POST", "/api/v1/products/labs/environments/dev", environment)
		if p := decoded[Problem](t, w); w.Code != http.StatusInternalServerError || p.Reason != reasonInternal || strings.Contains(w.Body.String()+r.log.String(), "canary") {
			t.Errorf("%s: %d %s", role, w.Code, w.Body)
		}
	}
	if !strings.Contains(r.log.String(), `"stack"="main.go:1"`) {
		t.Errorf("log: %s", r.log)
	}
}

// TestIncomplete holds that a platform that is not set up is a problem of its own.
func TestIncomplete(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Platform = func(context.Context) (Platform, error) { return Platform{}, errors.New("no CodeRepo has the label") }
	})
	w := r.request("maintainer", "POST", "/api/v1/products/labs/environments/dev", environment)
	if p := decoded[Problem](t, w); w.Code != http.StatusServiceUnavailable || p.Reason != reasonIncomplete || !strings.Contains(r.log.String(), "no CodeRepo has the label") {
		t.Errorf("%d %s; log %s", w.Code, w.Body, r.log)
	}
}

// An unexpected error is in the log, also behind the message of a problem that names
// what was done before it.
func TestUnexpectedErrorsAreLogged(t *testing.T) {
	r := newRig(t)
	_, afterwards := afterCommit(errors.New("the store broke"))
	for _, fail := range []error{errors.New("the disk broke"), afterwards} {
		r.editor.fail = fail
		if w := r.request("maintainer", "POST", "/api/v1/products/labs/environments/dev", environment); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "broke") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	for _, cause := range []string{"the disk broke", "the store broke"} {
		if !strings.Contains(r.log.String(), cause) {
			t.Errorf("the log lacks %q: %s", cause, r.log)
		}
	}
}

func TestRateLimit(t *testing.T) {
	r := newRig(t)
	r.server.limits = newLimits(1, 2, r.server.options.Now)
	var codes []int
	for range 3 {
		codes = append(codes, r.request("reporter", "GET", "/api/v1/products/labs", "").Code)
	}
	codes = append(codes, r.request("owner", "GET", "/api/v1/products/labs", "").Code)
	if diff := cmp.Diff([]int{200, 200, 429, 200}, codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

// FuzzRequest sends any body and query to every operation.
func FuzzRequest(f *testing.F) {
	f.Add(environment, "insecure_skip_check=true", "dev")
	f.Add(clusterBody("x"), "dry_run=1&dry_run=0", "a/b")
	f.Add(`{"git": {"gitlab": {"path": "app", "visibility": "private", "parent_id": 7}}}`, "field_selector=a=b,,&limit=-1&continue=%zz", "%2e%2e")
	f.Add(`{"pipelines": [{}], "event_sources": [{"calendar": "x"}], "pipeline_triggers": [null], "additional_resources": {"git": {}}}`, "watch=true;x", "app")
	f.Add("", "watch=1", "app")
	all := operations()
	f.Fuzz(func(t *testing.T, body, query, name string) {
		r := newRig(t)
		// Streams end at once, or after their first events.
		r.server.End()
		for _, op := range all {
			path := op.path
			for _, m := range pathParameters.FindAllString(op.path, -1) {
				value := url.PathEscape(name)
				if m == "{product_name}" && op.resource.parts != nil {
					value = "labs"
				}
				path = strings.Replace(path, m, value, 1)
			}
			q := httptest.NewRequest(op.method, "/", strings.NewReader(body))
			where, err := url.Parse(path)
			if err != nil || name == "" {
				return
			}
			where.RawQuery = query
			q.URL = where
			w := r.send("owner", q)
			if w.Code >= 500 && !(op.list && w.Code == http.StatusServiceUnavailable) {
				t.Errorf("%s %s?%s %q: %d %s", op.method, path, query, body, w.Code, w.Body)
			}
		}
	})
}
