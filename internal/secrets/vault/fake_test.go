package vault

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/secrets"
)

// fake is a Vault in memory: it keeps the object that is written to a path, and
// returns it. It answers like a real one for absent objects, engines and mounts, but
// knows neither rights nor tokens.
type fake struct {
	URL string

	mu      sync.Mutex
	objects map[string]map[string]any
	// requests lists all requests as verb and path, without those about tokens.
	requests []string
	// failAt is the number of the request that fails with a status, from 1 on.
	failAt, failWith int
	// ttl and renewedTTL of tokens in seconds, and how Vault answers about them.
	ttl, renewedTTL                        int
	lookupStatus, renewStatus, loginStatus int
	// tokens lists the requests about tokens.
	tokens []string
	// loginPath and loginBody of the last login.
	loginPath, loginBody string
	versions             int
}

func newFake(t testing.TB) *fake {
	t.Helper()
	f := &fake{
		objects: map[string]map[string]any{}, ttl: 3600, renewedTTL: 3600,
		lookupStatus: http.StatusOK, renewStatus: http.StatusOK, loginStatus: http.StatusOK,
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.URL = server.URL
	return f
}

// open opens the fake, after the options have been changed.
func (f *fake) open(t testing.TB, change ...func(*Options)) *Vault {
	t.Helper()
	o := Options{Tenant: tenant, Vault: config.Vault{
		Address: f.URL, Timeout: metav1.Duration{Duration: 5 * time.Second}, PollInterval: metav1.Duration{Duration: time.Minute},
		Auth: config.VaultAuth{Method: config.VaultAuthToken, TokenFile: file(t, "token")},
	}}
	for _, change := range change {
		change(&o)
	}
	v := open(t, o)
	if _, err := v.obtain(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return v
}

// set puts an object at a path, or removes it if it is nil.
func (f *fake) set(path string, object map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if object == nil {
		delete(f.objects, path)
		return
	}
	f.objects[path] = object
}

func (f *fake) get(path string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.objects[path])
}

// change changes how the fake answers.
func (f *fake) change(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// tokenRequests returns the requests about tokens.
func (f *fake) tokenRequests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.tokens)
}

// record returns the requests since the last call, and makes one of the next fail
// with a status, or none if failAt is 0.
func (f *fake) record(failAt, failWith int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.requests
	f.requests, f.failAt, f.failWith = nil, failAt, failWith
	return requests
}

// writes returns the requests since the last call that change something.
func (f *fake) writes() []string {
	var writes []string
	for _, request := range f.record(0, 0) {
		if !strings.HasPrefix(request, "GET ") {
			writes = append(writes, request)
		}
	}
	return writes
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	body := map[string]any{}
	_ = json.NewDecoder(r.Body).Decode(&body)
	if strings.HasPrefix(path, "auth/token/") || strings.HasSuffix(path, "/login") && !strings.HasPrefix(path, "sys/") {
		f.token(w, path, body)
		return
	}
	f.requests = append(f.requests, r.Method+" "+path)
	status, answer := http.StatusOK, map[string]any(nil)
	switch {
	case f.failAt > 0 && len(f.requests) == f.failAt:
		status, answer = f.failWith, map[string]any{"errors": []string{"1 error occurred"}}
	case r.URL.Query().Get("list") == "true":
		status, answer = f.list(path)
	case r.Method == http.MethodGet:
		status, answer = f.read(path)
	case r.Method == http.MethodDelete:
		f.delete(path)
	default:
		status, answer = f.write(path, body)
	}
	if status == http.StatusOK && answer == nil {
		status = http.StatusNoContent
	}
	w.WriteHeader(status)
	if answer != nil {
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func (f *fake) token(w http.ResponseWriter, path string, body map[string]any) {
	f.tokens = append(f.tokens, path[strings.LastIndex(path, "/")+1:])
	auth := func(ttl int) map[string]any {
		return map[string]any{"auth": map[string]any{"client_token": fmt.Sprint("token-", len(f.tokens)), "lease_duration": ttl, "renewable": true}}
	}
	status, answer := f.lookupStatus, map[string]any{"data": map[string]any{"ttl": f.ttl, "renewable": true}}
	switch {
	case strings.HasSuffix(path, "/renew-self"):
		status, answer = f.renewStatus, auth(f.renewedTTL)
	case strings.HasSuffix(path, "/login"):
		status, answer = f.loginStatus, auth(f.ttl)
		content, _ := json.Marshal(body)
		f.loginPath, f.loginBody = path, string(content)
	}
	if status != http.StatusOK {
		answer = map[string]any{"errors": []string{"permission denied"}}
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

var nothing = map[string]any{"errors": []string{}}

func (f *fake) list(path string) (int, map[string]any) {
	var keys []string
	for _, object := range slices.Sorted(maps.Keys(f.objects)) {
		if key, ok := strings.CutPrefix(object, path+"/"); ok && !strings.Contains(key, "/") {
			keys = append(keys, key)
		}
	}
	if keys == nil {
		return http.StatusNotFound, nothing
	}
	return http.StatusOK, map[string]any{"data": map[string]any{"keys": keys}}
}

func (f *fake) read(path string) (int, map[string]any) {
	object, ok := f.objects[path]
	switch {
	case path == "sys/auth":
		mounts := map[string]any{"token/": map[string]any{"type": "token"}}
		for path, object := range f.objects {
			if name, ok := strings.CutPrefix(path, "sys/auth/"); ok {
				mounts[name+"/"] = object
			}
		}
		return http.StatusOK, map[string]any{"data": mounts}
	case strings.HasPrefix(path, "sys/internal/ui/mounts/") && !ok:
		name := strings.TrimPrefix(path, "sys/internal/ui/mounts/")
		object = map[string]any{"path": name + "/", "type": "kv", "options": map[string]string{"version": "2"}}
	case strings.HasPrefix(path, "sys/auth/") && !ok:
		return http.StatusBadRequest, map[string]any{"errors": []string{"No auth engine at " + path}}
	case strings.HasSuffix(path, "/absent"):
		return http.StatusNotFound, map[string]any{"errors": []string{"no handler for route"}}
	case !ok:
		return http.StatusNotFound, nothing
	}
	return http.StatusOK, map[string]any{"data": object}
}

func (f *fake) delete(path string) {
	for object := range f.objects {
		mount, _ := strings.CutPrefix(path, "sys/")
		if object == path || strings.HasPrefix(object, mount+"/") {
			delete(f.objects, object)
		}
	}
	delete(f.objects, strings.Replace(path, "/metadata/", "/data/", 1))
}

func (f *fake) write(path string, body map[string]any) (int, map[string]any) {
	engine, name, isSecret := strings.Cut(path, "/data/")
	if !isSecret {
		if mount, ok := strings.CutSuffix(path, "/tune"); ok {
			path = mount
			body["type"] = f.objects[path]["type"]
		}
		f.objects[path] = body
		return http.StatusOK, nil
	}
	number := 0
	if metadata, ok := f.objects[engine+"/metadata/"+name]; ok {
		number = metadata["current_version"].(int)
	}
	if options, _ := body["options"].(map[string]any); options["cas"] != float64(number) {
		return http.StatusBadRequest, map[string]any{"errors": []string{"check-and-set parameter did not match the current version"}}
	}
	number++
	f.versions++
	created := time.Unix(1e9+int64(f.versions), 0).UTC().Format(time.RFC3339Nano)
	version := map[string]any{"version": number, "created_time": created, "deletion_time": "", "destroyed": false}
	f.objects[path] = map[string]any{"data": body["data"], "metadata": version}
	f.objects[engine+"/metadata/"+name] = map[string]any{
		"current_version": number, "versions": map[string]any{fmt.Sprint(number): version},
	}
	return http.StatusOK, map[string]any{"data": version}
}

// failsEverywhere runs an operation again and again, each time with another request
// that fails, until none does. Each failure must end the operation with an error that
// has a class. before is run ahead of each attempt.
func (f *fake) failsEverywhere(t *testing.T, status int, class error, before func(), operation func() error) {
	t.Helper()
	for number := 1; ; number++ {
		before()
		f.record(number, status)
		err := operation()
		requests := f.record(0, 0)
		if len(requests) < number {
			if err != nil {
				t.Errorf("without a failure: %v", err)
			}
			return
		}
		if failed := requests[number-1]; err == nil {
			t.Errorf("%s fails: no error", failed)
		} else {
			wantClass(t, err, class, "")
		}
		for _, request := range requests[number:] {
			if !strings.HasPrefix(request, "GET ") {
				t.Errorf("after %s failed, %s goes on", requests[number-1], request)
			}
		}
	}
}

// put stores a secret in the fake.
func (f *fake) put(t testing.TB, ref secrets.Ref, pairs ...string) {
	t.Helper()
	put(t, f.open(t), ref, pairs...)
}
