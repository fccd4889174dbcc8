package vault

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/vault/api"

	"nautes.io/nautes/internal/secrets"
)

func TestCurrentVersion(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	version := api.KVVersionMetadata{Version: 2, CreatedTime: now}
	changed := func(change func(*api.KVVersionMetadata)) map[string]api.KVVersionMetadata {
		other := version
		change(&other)
		return map[string]api.KVVersionMetadata{"1": {Version: 1, CreatedTime: now}, "2": other}
	}
	for name, test := range map[string]struct {
		versions map[string]api.KVVersionMetadata
		want     string
	}{
		"there":              {changed(func(*api.KVVersionMetadata) {}), "2@2026-01-02T03:04:05.0000006Z"},
		"deleted before":     {changed(func(v *api.KVVersionMetadata) { v.DeletionTime = now.Add(-1) }), ""},
		"deleted now":        {changed(func(v *api.KVVersionMetadata) { v.DeletionTime = now }), ""},
		"to be deleted":      {changed(func(v *api.KVVersionMetadata) { v.DeletionTime = now.Add(1) }), "2@2026-01-02T03:04:05.0000006Z"},
		"destroyed":          {changed(func(v *api.KVVersionMetadata) { v.Destroyed = true }), ""},
		"without its time":   {changed(func(v *api.KVVersionMetadata) { v.CreatedTime = time.Time{} }), ""},
		"without its number": {changed(func(v *api.KVVersionMetadata) { v.Version = 0 }), ""},
		"of another number":  {map[string]api.KVVersionMetadata{"1": version}, ""},
	} {
		if got := currentVersion(&api.KVMetadata{CurrentVersion: 2, Versions: test.versions}, now); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if got := versionOf(nil); got != "" {
		t.Errorf("the version of nothing is %q", got)
	}
}

func TestContents(t *testing.T) {
	t.Parallel()
	got := contents(map[string]any{"text": "a", "empty": "", "number": json.Number("1.50"), "null": nil, "list": []any{"a", json.Number("1")}, "bool": true})
	want := map[string]string{"text": "a", "empty": "", "number": "1.50", "list": `["a",1]`, "bool": "true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
}

// TestStoreInMemory holds the requests of each operation and its result.
func TestStoreInMemory(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	v := f.open(t)
	ctx := t.Context()
	const data, metadata = " git/data/gitlab/repo-1/default/readonly", " git/metadata/gitlab/repo-1/default/readonly"
	var version string
	steps := []struct {
		name    string
		do      func() error
		want    []string
		wantErr error
	}{
		{"get nothing", func() error { _, err := v.Get(ctx, repoKey); return err }, []string{"GET sys/internal/ui/mounts/git", "GET" + data}, secrets.ErrNotFound},
		{"version of nothing", func() error { _, err := v.Version(ctx, repoKey); return err }, []string{"GET" + metadata}, secrets.ErrNotFound},
		{"delete nothing", func() error { return v.Delete(ctx, repoKey) }, []string{"GET" + metadata}, nil},
		{"create", func() (err error) { version, err = v.Create(ctx, repoKey, fields("a", "1")); return err }, []string{"GET" + data, "PUT" + data}, nil},
		{"create again", func() error { _, err := v.Create(ctx, repoKey, fields("a", "2")); return err }, []string{"GET" + data}, secrets.ErrExists},
		{"put the same", func() error {
			same, err := v.Put(ctx, repoKey, fields("a", "1"))
			if same != version {
				t.Errorf("the version changes from %q to %q", version, same)
			}
			return err
		}, []string{"GET" + data}, nil},
		{"put more fields", func() error { _, err := v.Put(ctx, repoKey, fields("a", "1", "b", "")); return err }, []string{"GET" + data, "PUT" + data}, nil},
		{"get", func() error {
			secret, err := v.Get(ctx, repoKey)
			if diff := cmp.Diff(map[string]string{"a": "1", "b": ""}, contentOf(secret)); diff != "" || secret.Version == version || secret.Version == "" {
				t.Errorf("version %q (-want +got):\n%s", secret.Version, diff)
			}
			version = secret.Version
			return err
		}, []string{"GET" + data}, nil},
		{"version", func() error {
			got, err := v.Version(ctx, repoKey)
			if got != version {
				t.Errorf("version is %q, want %q", got, version)
			}
			return err
		}, []string{"GET" + metadata}, nil},
		{"delete", func() error { return v.Delete(ctx, repoKey) }, []string{"GET" + metadata, "DELETE" + metadata}, nil},
	}
	for _, step := range steps {
		err := step.do()
		if !errors.Is(err, step.wantErr) {
			t.Errorf("%s: %v, want %v", step.name, err, step.wantErr)
		}
		if diff := cmp.Diff(step.want, f.record(0, 0)); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", step.name, diff)
		}
	}
}

// A secret whose latest version is deleted is not there, but its number counts.
func TestDeletedVersionIsNotThere(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	v := f.open(t)
	put(t, v, repoKey, "a", "1")
	f.set(secrets.DataPath(repoKey), map[string]any{"data": nil, "metadata": map[string]any{"version": 1, "created_time": "2026-01-01T00:00:00Z", "deletion_time": "2026-01-01T00:00:00Z"}})
	if _, err := v.Get(t.Context(), repoKey); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if _, err := v.Create(t.Context(), repoKey, fields("a", "2")); err != nil {
		t.Errorf("Create: %v", err)
	}
}

// Another client that writes at the same time is noticed, a limited number of times.
func TestLostRaces(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	v := f.open(t)
	put(t, v, repoKey, "a", "1")
	f.set(secrets.DataPath(repoKey), map[string]any{"data": map[string]any{"a": "1"}, "metadata": map[string]any{"version": 7, "created_time": "2026-01-01T00:00:00Z", "deletion_time": ""}})
	f.record(0, 0)
	if _, err := v.Put(t.Context(), repoKey, fields("a", "2")); !failureOf(err).conflict {
		t.Errorf("Put: %v", err)
	}
	if got := len(f.writes()); got != maxRaces {
		t.Errorf("Put tries %d times, want %d", got, maxRaces)
	}
	f.set(secrets.DataPath(repoKey), nil)
	if _, err := v.Create(t.Context(), repoKey, fields("a", "2")); !errors.Is(err, secrets.ErrExists) {
		t.Errorf("Create: %v", err)
	}
	if got := len(f.writes()); got != 1 {
		t.Errorf("Create tries %d times", got)
	}
}

func TestEnginesInMemory(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	v := f.open(t)
	for name, test := range map[string]struct {
		engine map[string]any
		want   string
	}{
		"another type":    {map[string]any{"path": "git/", "type": "pki", "options": map[string]string{"version": "2"}}, "is not KV version 2"},
		"without options": {map[string]any{"path": "git/", "type": "kv"}, "is not KV version 2"},
		"version 1":       {map[string]any{"path": "git/", "type": "kv", "options": map[string]string{"version": "1"}}, "is not KV version 2"},
		"another path":    {map[string]any{"path": "gi/", "type": "kv", "options": map[string]string{"version": "2"}}, "is not KV version 2"},
	} {
		f.set("sys/internal/ui/mounts/git", test.engine)
		if _, err := v.Get(t.Context(), repoKey); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			wantClass(t, err, secrets.ErrDenied, test.want)
		}
	}
	f.set("sys/internal/ui/mounts/git", nil)
	for status, want := range map[int]error{403: secrets.ErrDenied, 404: secrets.ErrDenied, 500: secrets.ErrUnavailable} {
		f.record(1, status)
		_, err := v.Get(t.Context(), repoKey)
		wantClass(t, err, want, "use the secret")
		if strings.Contains(err.Error(), "there is no engine at git/") != (status != 500) {
			t.Errorf("status %d: %v", status, err)
		}
	}
	// An engine that has gone is checked again.
	put(t, v, repoKey, "a", "1")
	f.record(1, 404)
	_, err := v.Get(t.Context(), repoKey)
	wantClass(t, err, secrets.ErrDenied, "nothing is enabled at git/data/")
	f.record(0, 0)
	if _, err := v.Get(t.Context(), repoKey); err != nil || f.record(0, 0)[0] != "GET sys/internal/ui/mounts/git" {
		t.Errorf("the engine is not checked again: %v", err)
	}
}

// TestAnswerReader holds which answers reach the library.
func TestAnswerReader(t *testing.T) {
	t.Parallel()
	const object, refused = `{"data":{"a":1}}`, `{"errors":["x"]}`
	type answer struct {
		method, body string
		status       int
		location     string
	}
	tests := map[string]struct {
		answer  answer
		want    string // the body; empty: an error
		wantErr string
	}{
		"data":                   {answer: answer{"GET", object, 200, ""}, want: object},
		"a write without data":   {answer: answer{"PUT", "", 204, ""}},
		"an empty answer":        {answer: answer{"GET", "", 200, ""}, wantErr: errUnreadable.Error()},
		"no data":                {answer: answer{"GET", "{}", 200, ""}, wantErr: errUnreadable.Error()},
		"null":                   {answer: answer{"GET", `{"data":null}`, 200, ""}, wantErr: errUnreadable.Error()},
		"empty data":             {answer: answer{"GET", `{"data":{}}`, 200, ""}, want: `{"data":{}}`},
		"a page":                 {answer: answer{"GET", "<html>", 200, ""}, wantErr: errUnreadable.Error()},
		"a list":                 {answer: answer{"GET", `{"data":[]}`, 200, ""}, wantErr: errUnreadable.Error()},
		"nothing at a path":      {answer: answer{"GET", `{"errors":[]}`, 404, ""}, want: `{"errors":[]}`},
		"a deleted version":      {answer: answer{"GET", object, 404, ""}, want: object},
		"no engine":              {answer: answer{"GET", refused, 404, ""}, wantErr: "Code: 404"},
		"a page not found":       {answer: answer{"GET", "<html>", 404, ""}, wantErr: "Code: 404"},
		"an empty 404":           {answer: answer{"GET", "", 404, ""}, wantErr: "Code: 404"},
		"a refusal":              {answer: answer{"GET", refused, 403, ""}, want: refused},
		"a redirect":             {answer: answer{"GET", "x", 307, "/v1/b"}, want: "x"},
		"a permanent redirect":   {answer: answer{"PUT", "x", 308, "/v1/b"}, want: "x"},
		"a redirect to nowhere":  {answer: answer{"GET", "x", 307, ""}, wantErr: errRedirect.Error()},
		"a redirect as a GET":    {answer: answer{"GET", "x", 302, "/v1/b"}, wantErr: errRedirect.Error()},
		"multiple choices":       {answer: answer{"GET", object, 300, "/v1/b"}, wantErr: errRedirect.Error()},
		"the longest but broken": {answer: answer{"GET", `{"data":{"a":"` + strings.Repeat("x", maxAnswer) + `"}}`, 200, ""}, wantErr: errUnreadable.Error()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if test.answer.location != "" {
					w.Header().Set("Location", test.answer.location)
				}
				w.WriteHeader(test.answer.status)
				_, _ = io.WriteString(w, test.answer.body)
			}))
			defer server.Close()
			r, err := http.NewRequestWithContext(t.Context(), test.answer.method, server.URL+"/v1/a", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := answerReader{http.DefaultTransport}.RoundTrip(r)
			if (err != nil) != (test.wantErr != "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
				t.Fatalf("error is %v, want %q", err, test.wantErr)
			}
			if err != nil {
				return
			}
			defer func() { _ = response.Body.Close() }()
			if content, err := io.ReadAll(response.Body); err != nil || string(content) != test.want || response.StatusCode != test.answer.status {
				t.Errorf("the library gets %d %q, %v", response.StatusCode, content, err)
			}
		})
	}
}

// An answer of another shape is neither a secret nor an absence.
func TestUnreadableSecrets(t *testing.T) {
	t.Parallel()
	version := map[string]any{"version": 1, "created_time": "2026-01-01T00:00:00Z", "deletion_time": ""}
	data, metadata := secrets.DataPath(repoKey), metadataPath(repoKey)
	f := newFake(t)
	v := f.open(t)
	get := func() error { _, err := v.Get(t.Context(), repoKey); return err }
	read := func() error { _, err := v.Version(t.Context(), repoKey); return err }
	for name, test := range map[string]struct {
		path   string
		object map[string]any
		do     func() error
	}{
		"data that is text":         {data, map[string]any{"data": "x", "metadata": version}, get},
		"no data":                   {data, map[string]any{"metadata": version}, get},
		"metadata that is text":     {data, map[string]any{"data": map[string]any{}, "metadata": "x"}, get},
		"metadata without a time":   {data, map[string]any{"data": map[string]any{}, "metadata": map[string]any{"version": 1}}, get},
		"metadata without a number": {data, map[string]any{"data": map[string]any{}, "metadata": with(version, "version", 0)}, get},
		"versions that are text":    {metadata, map[string]any{"current_version": 1, "versions": "x"}, read},
		"a version that is text":    {metadata, map[string]any{"current_version": 1, "versions": map[string]any{"1": "x"}}, read},
		"a number that is a word":   {metadata, map[string]any{"current_version": "x", "versions": map[string]any{"1": version}}, read},
	} {
		f.set(test.path, test.object)
		err := test.do()
		if err == nil || errors.Is(err, secrets.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantClass(t, err, secrets.ErrUnavailable, "its answer cannot be read")
		if v.State() != nil {
			t.Errorf("%s: it counts as an outage", name)
		}
		f.set(test.path, nil)
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fields  map[string]secrets.Value
		wantErr bool
	}{
		"text":            {fields: fields("a", "é", "b", "")},
		"bytes":           {fields: fields("a", "\xff"), wantErr: true},
		"no name":         {fields: fields("", "x"), wantErr: true},
		"a name in bytes": {fields: fields("\xff", "x"), wantErr: true},
	} {
		got, err := texts(repoKey, test.fields)
		if (err != nil) != test.wantErr || err == nil && len(got) != len(test.fields) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := texts(secrets.Ref{Engine: "git", Path: "../a"}, nil); err == nil {
		t.Error("a reference that is a path upwards: no error")
	}
}

// Each operation that sees or makes another version of a secret in use calls OnChange,
// and so does one that can read it again.
func TestChangesAreReported(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var changed recorder[secrets.Ref]
	v := f.open(t, func(o *Options) { o.OnChange = changed.add })
	ctx := t.Context()
	other := f.open(t)
	ignore := func(_ any, err error) error { return err }
	for _, step := range []struct {
		name string
		do   func() error
		want int
	}{
		{"the first look", func() error { _, _ = v.Get(ctx, repoKey); return nil }, 0},
		{"a put", func() error { return ignore(v.Put(ctx, repoKey, fields("a", "1"))) }, 1},
		{"the same put", func() error { return ignore(v.Put(ctx, repoKey, fields("a", "1"))) }, 0},
		{"another's put, read", func() error { put(t, other, repoKey, "a", "2"); return ignore(v.Get(ctx, repoKey)) }, 1},
		{"another's put, as a version", func() error { put(t, other, repoKey, "a", "3"); return ignore(v.Version(ctx, repoKey)) }, 1},
		{"another's put, put again", func() error { put(t, other, repoKey, "a", "4"); return ignore(v.Put(ctx, repoKey, fields("a", "4"))) }, 1},
		{"a failed read", func() error { f.record(1, 500); _, _ = v.Get(ctx, repoKey); f.record(0, 0); return nil }, 0},
		{"a read after it", func() error { return ignore(v.Get(ctx, repoKey)) }, 1},
		{"a failed version", func() error { f.record(1, 500); _, _ = v.Version(ctx, repoKey); f.record(0, 0); return nil }, 0},
		{"a version after it", func() error { return ignore(v.Version(ctx, repoKey)) }, 1},
		{"a removal", func() error { return v.Delete(ctx, repoKey) }, 1},
		{"a removal of nothing", func() error { return v.Delete(ctx, repoKey) }, 0},
		{"a creation", func() error { return ignore(v.Create(ctx, repoKey, fields("a", "1"))) }, 1},
	} {
		before := len(changed.all())
		if err := step.do(); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if got := len(changed.all()) - before; got != step.want {
			t.Errorf("%s: OnChange is called %d times, want %d", step.name, got, step.want)
		}
	}
}
