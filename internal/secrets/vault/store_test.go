package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/secrets"
)

var _ secrets.Store = (*Vault)(nil)

func TestStoreKeepsSecrets(t *testing.T) {
	t.Parallel()
	s := newServer(t, "store")
	v := s.open()
	ctx := t.Context()
	if _, err := v.Get(ctx, repoKey); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("Get before Put: %v", err)
	}
	if _, err := v.Version(ctx, repoKey); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("Version before Put: %v", err)
	}
	content := []string{"deploykey", "-----BEGIN KEY-----\n<&>\"\\ é ${x} %{y}\n", "empty", ""}
	first := put(t, v, repoKey, content...)
	got, err := v.Get(ctx, repoKey)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"deploykey": content[1], "empty": ""}, contentOf(got)); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	version, err := v.Version(ctx, repoKey)
	if err != nil || version != first || got.Version != first {
		t.Errorf("Put, Get and Version return the versions %q, %q and %q, %v", first, got.Version, version, err)
	}
	if second := put(t, v, repoKey, "deploykey", "another"); second == first {
		t.Errorf("the version %q is the same after a change", second)
	}
	if got, err = v.Get(ctx, repoKey); err != nil || len(got.Fields) != 1 {
		t.Errorf("a field that is not put any more stays: %v, %v", got, err)
	}
}

func TestPutWritesOnlyDifferences(t *testing.T) {
	t.Parallel()
	s := newServer(t, "differs")
	v := s.open()
	refs := []secrets.Ref{repoKey, secrets.RepositoryReadWrite("gitlab", "repo-1"), secrets.ClusterKubeconfig("c"), secrets.ClusterReviewer("c")}
	versions := map[secrets.Ref]string{}
	for _, ref := range refs {
		versions[ref] = put(t, v, ref, "a", ref.String(), "b", "2")
	}
	if got := len(s.writes()); got != len(refs) {
		t.Fatalf("%d writes for %d secrets: %v", got, len(refs), s.writes())
	}
	for name, again := range map[string]*Vault{"the same process": v, "a new process": s.open()} {
		for _, ref := range refs {
			if version := put(t, again, ref, "b", "2", "a", ref.String()); version != versions[ref] {
				t.Errorf("%s: the version of %s was %q, is %q", name, ref, versions[ref], version)
			}
		}
		if got := s.writes()[len(refs):]; len(got) != 0 {
			t.Errorf("%s writes equal content: %v", name, got)
		}
	}
}

func TestDeleteLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t, "delete")
	v := s.open()
	ctx := t.Context()
	if err := v.Delete(ctx, repoKey); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
	if got := s.writes(); len(got) != 0 {
		t.Errorf("Delete of nothing writes: %v", got)
	}
	first := put(t, v, repoKey, "a", "1")
	put(t, v, repoKey, "a", "2")
	for range 2 {
		if err := v.Delete(ctx, repoKey); err != nil {
			t.Fatal(err)
		}
	}
	status, answer, err := s.Request(ctx, http.MethodGet, "git/metadata/"+repoKey.Path, s.RootToken(), nil)
	if err != nil || status != http.StatusNotFound {
		t.Errorf("Vault still knows of the secret: status %d, %v: %v", status, err, answer)
	}
	if got := s.writes(); len(got) != 3 {
		t.Errorf("writes are %v, want one of each Put and one of the first Delete", got)
	}
	if again := put(t, v, repoKey, "a", "1"); again == first || !strings.HasPrefix(again, "1@") || !strings.HasPrefix(first, "1@") {
		t.Errorf("the version was %q, and is %q after the secret was removed and created again", first, again)
	}
}

func TestStoreReadsChangesOfOthers(t *testing.T) {
	t.Parallel()
	s := newServer(t, "others")
	v := s.open()
	data := "git/data/" + repoKey.Path
	tests := []struct {
		name string
		do   func()
		want map[string]string // nil if there is no secret
	}{
		{"written by hand", func() {
			s.ask(http.MethodPost, data, map[string]any{"data": map[string]any{
				"text": "x", "number": 5, "big": 1234567890, "on": true, "none": nil, "list": []string{"a"},
			}})
		}, map[string]string{"text": "x", "number": "5", "big": "1234567890", "on": "true", "list": `["a"]`}},
		{"its latest version deleted", func() { s.ask(http.MethodDelete, data, nil) }, nil},
		{"brought back", func() {
			s.ask(http.MethodPost, "git/undelete/"+repoKey.Path, map[string]any{"versions": []int{1}})
		}, map[string]string{"text": "x", "number": "5", "big": "1234567890", "on": "true", "list": `["a"]`}},
		{"destroyed", func() {
			s.ask(http.MethodPut, "git/destroy/"+repoKey.Path, map[string]any{"versions": []int{1}})
		}, nil},
		{"put after that", func() { put(t, v, repoKey, "text", "y") }, map[string]string{"text": "y"}},
		{"only metadata", func() {
			s.ask(http.MethodDelete, "git/metadata/"+repoKey.Path, nil)
			s.ask(http.MethodPost, "git/metadata/"+repoKey.Path, map[string]any{"max_versions": 2})
		}, nil},
		{"put into the metadata", func() { put(t, v, repoKey, "text", "z") }, map[string]string{"text": "z"}},
	}
	for _, test := range tests {
		test.do()
		secret, err := v.Get(t.Context(), repoKey)
		version, versionErr := v.Version(t.Context(), repoKey)
		if test.want == nil {
			if !errors.Is(err, secrets.ErrNotFound) || !errors.Is(versionErr, secrets.ErrNotFound) {
				t.Errorf("%s: Get returns %v, Version %q, %v; want %v", test.name, err, version, versionErr, secrets.ErrNotFound)
			}
			continue
		}
		if err != nil || versionErr != nil || version != secret.Version {
			t.Errorf("%s: Get returns the version %q, %v, and Version %q, %v", test.name, secret.Version, err, version, versionErr)
		}
		if diff := cmp.Diff(test.want, contentOf(secret)); diff != "" {
			t.Errorf("%s: content (-want +got):\n%s", test.name, diff)
		}
	}
}

// Two operators may be active for a moment, for example when the lease changes hands.
// Each write makes a version of its own or is refused, and none is lost.
func TestConcurrentPuts(t *testing.T) {
	t.Parallel()
	s := newServer(t, "races")
	operators := []*Vault{s.open(), s.open()}
	const each = 20
	var running sync.WaitGroup
	versions := make([][]string, len(operators))
	for i, v := range operators {
		running.Go(func() {
			for n := range each {
				version, err := v.Put(t.Context(), repoKey, fields("a", fmt.Sprint(i, n)))
				if err != nil {
					if !failureOf(err).conflict {
						t.Errorf("Put: %v", err)
					}
					continue
				}
				versions[i] = append(versions[i], version)
			}
		})
	}
	running.Wait()
	all := slices.Concat(versions...)
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) || len(all) < each {
		t.Errorf("the versions are %v: each Put has one of its own", all)
	}
	answer := s.ask(http.MethodGet, "git/metadata/"+repoKey.Path, nil)
	if got := at(answer, "data", "current_version"); got != float64(len(all)) {
		t.Errorf("the secret has %v versions, want one for each of %d writes", got, len(all))
	}
}

// Put reads the secret again if another client has written it in the meantime.
func TestPutNoticesFasterClients(t *testing.T) {
	t.Parallel()
	s := newServer(t, "faster")
	g := s.gateway()
	v := s.open(g.behind)
	put(t, v, repoKey, "a", "0")
	for name, test := range map[string]struct {
		theirs       string
		wantVersions float64
	}{"with the same": {theirs: "1", wantVersions: 1}, "with something else": {theirs: "2", wantVersions: 2}} {
		ref := secrets.RepositoryReadOnly("gitlab", "repo-of-"+test.theirs)
		first := true
		g.intercept(func(_ http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && first {
				first = false
				s.ask(http.MethodPost, secrets.DataPath(ref), map[string]any{"data": map[string]string{"a": test.theirs}})
			}
			panic(errPass)
		})
		put(t, v, ref, "a", "1")
		secret, err := v.Get(t.Context(), ref)
		if err != nil || contentOf(secret)["a"] != "1" {
			t.Errorf("%s: %v, %v", name, contentOf(secret), err)
		}
		if got := at(s.ask(http.MethodGet, metadataPath(ref), nil), "data", "current_version"); got != test.wantVersions {
			t.Errorf("%s: there are %v versions, want %v", name, got, test.wantVersions)
		}
	}
}

// Create replaces no secret, not even one that appears in the meantime. A deleted
// secret can be created again.
func TestCreateReplacesNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t, "create")
	g := s.gateway()
	v := s.open(g.behind)
	create := func(content string) error {
		version, err := v.Create(t.Context(), repoKey, map[string]secrets.Value{"a": secrets.NewValue([]byte(content))})
		if known, _ := v.Version(t.Context(), repoKey); err == nil && version != known {
			t.Errorf("Create returns the version %q, want %q", version, known)
		}
		return err
	}
	if err := create("1"); err != nil {
		t.Fatal(err)
	}
	if err := create("2"); !errors.Is(err, secrets.ErrExists) {
		t.Errorf("Create of an existing secret: %v", err)
	}
	if err := v.Delete(t.Context(), repoKey); err != nil {
		t.Fatal(err)
	}
	first := true
	g.intercept(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && first {
			first = false
			s.ask(http.MethodPost, secrets.DataPath(repoKey), map[string]any{"data": map[string]string{"a": "theirs"}})
		}
		panic(errPass)
	})
	if err := create("3"); !errors.Is(err, secrets.ErrExists) {
		t.Errorf("Create of a secret that appears in the meantime: %v", err)
	}
	secret, err := v.Get(t.Context(), repoKey)
	if err != nil || contentOf(secret)["a"] != "theirs" {
		t.Errorf("the secret is %v, %v", contentOf(secret), err)
	}
}

func TestStoreRefusesInvalidContent(t *testing.T) {
	t.Parallel()
	v := open(t, Options{Tenant: tenant, Vault: config.Vault{Address: "https://127.0.0.1:1", Timeout: metav1.Duration{Duration: time.Second}, PollInterval: metav1.Duration{Duration: time.Minute}, Auth: config.VaultAuth{Method: config.VaultAuthToken, TokenFile: "/none"}}})
	for _, ref := range []secrets.Ref{
		{}, {Engine: "git"}, {Engine: "Git", Path: "a"}, {Engine: "git/x", Path: "a"}, {Engine: "git", Path: "/a"}, {Engine: "git", Path: "a/"},
		{Engine: "git", Path: "a//b"}, {Engine: "git", Path: "a/../../sys/auth"}, {Engine: "git", Path: ".."}, {Engine: "git", Path: "a?list=true"},
		{Engine: "git", Path: "a*"}, {Engine: "git", Path: "+/a"}, {Engine: "git", Path: "a b"}, {Engine: "git", Path: "a%2e"}, {Engine: "git", Path: strings.Repeat("a", 513)},
	} {
		_, getErr := v.Get(t.Context(), ref)
		_, versionErr := v.Version(t.Context(), ref)
		_, putErr := v.Put(t.Context(), ref, nil)
		for method, err := range map[string]error{"Get": getErr, "Version": versionErr, "Put": putErr, "Delete": v.Delete(t.Context(), ref)} {
			if err == nil || errors.Is(err, secrets.ErrUnavailable) || !strings.Contains(err.Error(), "names no secret") {
				t.Errorf("%s of %q: %v", method, ref, err)
			}
		}
	}
	for name, values := range map[string]map[string]secrets.Value{"bytes": fields("a", "\xff\xfe"), "no name": fields("", "x"), "a name in bytes": fields("\xff", "x")} {
		if _, err := v.Put(t.Context(), repoKey, values); err == nil || errors.Is(err, secrets.ErrUnavailable) {
			t.Errorf("Put of %s: %v", name, err)
		}
	}
}

func TestEnginesMustKeepVersions(t *testing.T) {
	t.Parallel()
	s := newServer(t, "engines")
	v := s.open()
	if _, err := v.Get(t.Context(), secrets.Ref{Engine: "other", Path: "a"}); err == nil {
		t.Error("Get from an engine that is not there: no error")
	} else {
		wantClass(t, err, secrets.ErrDenied, "there is no engine at other/")
	}
	put(t, v, repoKey, "a", "1")
	s.ask(http.MethodDelete, "sys/mounts/git", nil)
	_, err := v.Get(t.Context(), repoKey)
	wantClass(t, err, secrets.ErrDenied, "nothing is enabled at git/data/")
	s.ask(http.MethodPost, "sys/mounts/git", map[string]any{"type": "kv", "options": map[string]string{"version": "1"}})
	for method, do := range map[string]func(context.Context) error{
		"Get":     func(ctx context.Context) error { _, err := v.Get(ctx, repoKey); return err },
		"Version": func(ctx context.Context) error { _, err := v.Version(ctx, repoKey); return err },
		"Put":     func(ctx context.Context) error { _, err := v.Put(ctx, repoKey, fields("a", "1")); return err },
		"Delete":  func(ctx context.Context) error { return v.Delete(ctx, repoKey) },
	} {
		if err := do(t.Context()); err == nil {
			t.Errorf("%s on an engine without versions: no error", method)
		} else {
			wantClass(t, err, secrets.ErrDenied, "is not KV version 2")
		}
	}
}
