package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/remotetest"
)

var _ secrets.Store = (*Store)(nil)

var server remotetest.Server

func TestMain(m *testing.M) {
	os.Exit(server.Main(m))
}

// newStore returns a store on a new namespace, and a client.
func newStore(t *testing.T) (*Store, client.WithWatch) {
	t.Helper()
	c, err := client.NewWithWatch(server.Config(t), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "kube-"}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	return New(c, c, ns.Name), c
}

func fields(pairs ...string) map[string]secrets.Value {
	f := map[string]secrets.Value{}
	for i := 0; i < len(pairs); i += 2 {
		f[pairs[i]] = secrets.NewValue([]byte(pairs[i+1]))
	}
	return f
}

func put(t *testing.T, s *Store, ref secrets.Ref, pairs ...string) string {
	t.Helper()
	version, err := s.Put(t.Context(), ref, fields(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func (s *Store) object(t *testing.T, ref secrets.Ref) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	if err := s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: nameOf(ref)}, secret); err != nil {
		t.Fatal(err)
	}
	return secret
}

var ref = secrets.Ref{Engine: "git", Path: "gitlab/repo-1/default/readonly"}

func TestStore(t *testing.T) {
	s, c := newStore(t)
	for name, read := range map[string]func() error{
		"Get":     func() error { _, err := s.Get(t.Context(), ref); return err },
		"Version": func() error { _, err := s.Version(t.Context(), ref); return err },
	} {
		if err := read(); !errors.Is(err, secrets.ErrNotFound) || !strings.Contains(err.Error(), ref.String()) {
			t.Errorf("%s of an absent secret: %v", name, err)
		}
	}
	if err := s.Delete(t.Context(), ref); err != nil {
		t.Errorf("Delete of an absent secret: %v", err)
	}

	first := put(t, s, ref, "deploykey", "one", "known_hosts", "h")
	got, err := s.Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Fields["deploykey"].Bytes()) != "one" || string(got.Fields["known_hosts"].Bytes()) != "h" || len(got.Fields) != 2 {
		t.Errorf("Get returns other fields than Put stored: %d", len(got.Fields))
	}
	version, err := s.Version(t.Context(), ref)
	if err != nil || version != first || got.Version != first {
		t.Errorf("versions are %s, %s and %s: %v", first, got.Version, version, err)
	}
	object := s.object(t, ref)
	if object.Type != corev1.SecretTypeOpaque || object.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy || object.Labels[LabelEngine] != "git" {
		t.Errorf("Secret is %s %v", object.Type, object.Labels)
	}

	s.client = interceptor.NewClient(c, interceptor.Funcs{Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error {
		return errors.New("equal content was written")
	}})
	if again := put(t, s, ref, "known_hosts", "h", "deploykey", "one"); again != first {
		t.Error("equal content has another version")
	}
	s.client = c
	seen := map[string]bool{first: true}
	for _, pairs := range [][]string{
		{"deploykey", "two", "known_hosts", "h"}, // changed
		{"deploykey", "one"},                     // removed
		{"deploykey", "one", "known_hosts", ""},  // empty
		{"deploykey", "on", "eknown_hosts", ""},  // cut in another place
	} {
		version := put(t, s, ref, pairs...)
		if seen[version] {
			t.Errorf("%q has the version of other content", pairs)
		}
		seen[version] = true
		if got := s.object(t, ref).Data; len(got) != len(pairs)/2 {
			t.Errorf("Secret has %d fields, want %d", len(got), len(pairs)/2)
		}
	}
	if err := s.Delete(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), ref); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("Get after Delete: %v", err)
	}
}

func TestVersionIsOfTheContentOnly(t *testing.T) {
	s, c := newStore(t)
	version := put(t, s, ref, "deploykey", "one")
	patch := func(patch string) {
		t.Helper()
		if err := c.Patch(t.Context(), s.object(t, ref), client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
	patch(`{"metadata":{"labels":{"x":"y"},"annotations":{"x":"y"}}}`)
	if got, err := s.Version(t.Context(), ref); err != nil || got != version {
		t.Errorf("a label makes a new version: %v", err)
	}
	patch(`{"data":{"deploykey":"dHdv"}}`)
	if got, err := s.Version(t.Context(), ref); err != nil || got == version {
		t.Errorf("an edited field makes no new version: %v", err)
	}
	// Two versions reveal nothing, not even that the contents are equal.
	other := secrets.Ref{Engine: "git", Path: "other"}
	if a, b := put(t, s, ref, "k", "v"), put(t, New(c, c, s.namespace), other, "k", "v"); a == b {
		t.Error("the version is a digest without a key")
	}
}

func TestForeignSecretIsLeftAlone(t *testing.T) {
	for name, spoil := range map[string]func(*corev1.Secret){
		"no labels":      func(s *corev1.Secret) { s.Labels = nil },
		"not managed":    func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelManagedBy) },
		"another engine": func(s *corev1.Secret) { s.Labels[LabelEngine] = "tenant" },
		"another path":   func(s *corev1.Secret) { s.Annotations[AnnotationPath] = "gitlab/repo-2/default/readonly" },
		"no path":        func(s *corev1.Secret) { s.Annotations = nil },
	} {
		t.Run(name, func(t *testing.T) {
			s, c := newStore(t)
			foreign := s.secret(ref, map[string][]byte{"deploykey": []byte("theirs")})
			spoil(foreign)
			if err := c.Create(t.Context(), foreign); err != nil {
				t.Fatal(err)
			}
			_, getErr := s.Get(t.Context(), ref)
			_, versionErr := s.Version(t.Context(), ref)
			_, putErr := s.Put(t.Context(), ref, fields("deploykey", "ours"))
			for operation, err := range map[string]error{"Get": getErr, "Version": versionErr, "Put": putErr, "Delete": s.Delete(t.Context(), ref)} {
				var e *ForeignError
				if !errors.As(err, &e) || e.Name != foreign.Name || errors.Is(err, secrets.ErrNotFound) {
					t.Errorf("%s: %v, want a *ForeignError", operation, err)
				}
			}
			if got := s.object(t, ref); got.ResourceVersion != foreign.ResourceVersion {
				t.Error("it was changed")
			}
			if _, ok := RefOf(foreign); ok {
				t.Error("RefOf takes it for the store's")
			}
		})
	}
}

func TestNamesAreInjectiveAndValid(t *testing.T) {
	s, _ := newStore(t)
	owners := map[string]secrets.Ref{}
	for _, ref := range []secrets.Ref{
		{Engine: "git", Path: "a"}, {Engine: "git", Path: "A"}, {Engine: "git", Path: "a/b"}, {Engine: "git", Path: "a-b"},
		{Engine: "git-a", Path: "b"}, {Engine: "git", Path: "a/b/"}, {Engine: "tenant", Path: "a"},
		{Engine: "cluster", Path: strings.Repeat("x/", 500)}, {Engine: strings.Repeat("e", 63), Path: "ü \n"},
	} {
		name := nameOf(ref)
		if other, ok := owners[name]; ok {
			t.Errorf("%q and %q have one name", ref, other)
		}
		owners[name] = ref
		if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
			t.Errorf("name of %q: %v", ref, problems)
		}
		if back, ok := RefOf(s.secret(ref, nil)); !ok || back != ref {
			t.Errorf("RefOf returns %q, %t, want %q", back, ok, ref)
		}
		put(t, s, ref, "k", "v")
	}
}

func TestInvalidReferencesAreRefused(t *testing.T) {
	s, _ := newStore(t)
	for name, ref := range map[string]secrets.Ref{
		"no engine": {Path: "a"}, "no path": {Engine: "git"}, "engine with a slash": {Engine: "a/b", Path: "c"}, "upper case": {Engine: "Git", Path: "a"},
	} {
		if _, err := s.Put(t.Context(), ref, fields("k", "v")); err == nil {
			t.Errorf("%s: Put is accepted", name)
		}
		if _, err := s.Get(t.Context(), ref); err == nil || errors.Is(err, secrets.ErrNotFound) {
			t.Errorf("%s: Get: %v", name, err)
		}
	}
	if _, err := s.Put(t.Context(), ref, fields("a/b", "v")); err == nil {
		t.Error("a field that no Secret can have is accepted")
	}
}

func TestConcurrentPuts(t *testing.T) {
	s, _ := newStore(t)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 3 {
				if _, err := s.Put(t.Context(), ref, fields("k", fmt.Sprint(i))); err != nil && !apierrors.IsConflict(err) {
					t.Errorf("Put: %v", err)
				}
			}
		})
	}
	all.Wait()
	if got := s.object(t, ref).Data; len(got) != 1 {
		t.Errorf("Secret has %d fields", len(got))
	}
}

// One of several concurrent calls of Create succeeds, and its content stays.
func TestCreateReplacesNothing(t *testing.T) {
	s, _ := newStore(t)
	var created atomic.Value
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			_, err := s.Create(t.Context(), ref, fields("k", fmt.Sprint(i)))
			switch {
			case err == nil && !created.CompareAndSwap(nil, fmt.Sprint(i)):
				t.Error("two calls have created the secret")
			case err != nil && !errors.Is(err, secrets.ErrExists):
				t.Errorf("Create: %v", err)
			}
		})
	}
	all.Wait()
	if got := string(s.object(t, ref).Data["k"]); got != created.Load() {
		t.Errorf("the Secret holds %q, want %q", got, created.Load())
	}
}

func TestErrorsHoldNoSecret(t *testing.T) {
	s, c := newStore(t)
	s.client = interceptor.NewClient(c, interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
		return apierrors.NewBadRequest("cannot decode tOp-SeCrEt")
	}})
	_, err := s.Put(t.Context(), ref, fields("k", "tOp-SeCrEt"))
	if err == nil || strings.Contains(err.Error(), "SeCrEt") {
		t.Fatalf("message is %q", err)
	}
	if diff := cmp.Diff("store the secret git/gitlab/repo-1/default/readonly in the operator's namespace: the API server refuses it (BadRequest)", err.Error()); diff != "" {
		t.Error(diff)
	}
	if !apierrors.IsBadRequest(err) {
		t.Error("the cause is lost")
	}
}
