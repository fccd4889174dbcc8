package vault

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"nautes.io/nautes/internal/secrets"
)

// polled opens a server and polls its secrets often.
func (s server) polled(changed *recorder[secrets.Ref]) *Vault {
	s.t.Helper()
	v := s.open(func(o *Options) { o.PollInterval.Duration, o.OnChange = 200*time.Millisecond, changed.add })
	start(s.t, v)
	eventually(s.t, func() error {
		v.versions.mu.Lock()
		defer v.versions.mu.Unlock()
		if !v.versions.polling.Load() {
			return errors.New("the poll does not run yet")
		}
		return nil
	})
	return v
}

func TestChangesByOthersAreSeen(t *testing.T) {
	t.Parallel()
	s := newServer(t, "poll")
	var changed recorder[secrets.Ref]
	v := s.polled(&changed)
	ref, unused := secrets.RepositoryReadOnly("gitlab", "used"), secrets.RepositoryReadOnly("gitlab", "unused")
	write := func(ref secrets.Ref, value string) {
		s.ask(http.MethodPost, secrets.DataPath(ref), map[string]any{"data": map[string]string{"a": value}})
	}
	write(unused, "1")
	if _, err := v.Version(t.Context(), ref); !errors.Is(err, secrets.ErrNotFound) {
		t.Fatal(err)
	}
	previous := ""
	for _, step := range []struct {
		name    string
		do      func()
		missing bool
	}{
		{name: "stored", do: func() { write(ref, "1") }},
		{name: "rotated", do: func() { write(ref, "2"); write(unused, "2") }},
		{name: "deleted", do: func() { s.ask(http.MethodDelete, secrets.DataPath(ref), nil) }, missing: true},
		{name: "stored again", do: func() { write(ref, "2") }},
		{name: "removed", do: func() { s.ask(http.MethodDelete, metadataPath(ref), nil) }, missing: true},
		{name: "created again", do: func() { write(ref, "1") }},
	} {
		before := len(changed.all())
		step.do()
		eventually(t, func() error {
			if len(changed.all()) == before {
				return errors.New(step.name + ": OnChange was not called")
			}
			return nil
		})
		version, err := v.Version(t.Context(), ref)
		if step.missing != errors.Is(err, secrets.ErrNotFound) || !step.missing && (err != nil || version == previous) {
			t.Errorf("%s: Version returns %q, %v, after %q", step.name, version, err, previous)
		}
		if !step.missing {
			previous = version
		}
	}
	for _, ref := range changed.all() {
		if ref == unused {
			t.Error("OnChange was called with a secret that is not in use")
		}
	}
	if got := s.writes(); len(got) != 0 {
		t.Errorf("the poll writes: %v", got)
	}
}

func TestOwnChangesAreReported(t *testing.T) {
	t.Parallel()
	s := newServer(t, "own")
	var changed recorder[secrets.Ref]
	v := s.polled(&changed)
	put(t, v, repoKey, "a", "1")
	if got := changed.all(); len(got) != 0 {
		t.Errorf("OnChange was called with a secret that is not in use: %v", got)
	}
	put(t, v, repoKey, "a", "1")
	put(t, v, repoKey, "a", "2")
	if err := v.Delete(t.Context(), repoKey); err != nil {
		t.Fatal(err)
	}
	if err := v.Delete(t.Context(), repoKey); err != nil {
		t.Fatal(err)
	}
	put(t, v, repoKey, "a", "2")
	if got, want := changed.all(), []secrets.Ref{repoKey, repoKey, repoKey}; !slices.Equal(got, want) {
		t.Errorf("OnChange was called with %v, want one call for each change: %v", got, want)
	}
}

// OnChange is called when a secret can be read again after an error.
func TestReadableAgainIsReported(t *testing.T) {
	t.Parallel()
	s := newServer(t, "readable")
	var changed recorder[secrets.Ref]
	v := s.polled(&changed)
	s.ask(http.MethodPut, "sys/policies/acl/nautes-operator", map[string]string{"policy": strings.ReplaceAll(operatorPolicy(t), `"git/`, `"other/`)})
	_, err := v.Version(t.Context(), repoKey)
	wantClass(t, err, secrets.ErrDenied, "git")
	s.ask(http.MethodPut, "sys/policies/acl/nautes-operator", map[string]string{"policy": operatorPolicy(t)})
	eventually(t, func() error {
		if !slices.Contains(changed.all(), repoKey) {
			return errors.New("OnChange was not called")
		}
		return nil
	})
}

// At rest Version sends no request, and the poll has a limited rate.
func TestPollIsBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, "bounded")
	v := s.polled(&recorder[secrets.Ref]{})
	const refs = 100
	ask := func() {
		for i := range refs {
			if _, err := v.Version(t.Context(), secrets.RepositoryReadOnly("gitlab", fmt.Sprint("repo-", i))); !errors.Is(err, secrets.ErrNotFound) {
				t.Fatal(err)
			}
		}
	}
	ask()
	before, began := len(s.requests()), time.Now()
	asked := 0
	for time.Since(began) < 2*time.Second {
		ask()
		asked += refs
	}
	if got, most := len(s.requests())-before, 1+int(time.Since(began)/pollSpacing); got > most || got < 10 {
		t.Errorf("%d requests in %v while %d versions were asked for, want at most %d", got, time.Since(began), asked, most)
	}
}

// A missing secret is read again within seconds, since a person may be about to store it.
// At rest, all that are missing together are read four times per second at most.
func TestMissingSecretsAreReadSoon(t *testing.T) {
	t.Parallel()
	const interval = 30 * time.Second
	for name, test := range map[string]struct {
		present, missing int
		want             time.Duration
	}{
		"one is missing":               {present: 1000, missing: 1, want: missingPause},
		"few are missing":              {missing: 12, want: missingPause},
		"some are missing":             {missing: 40, want: 10 * time.Second},
		"more than fit into the round": {missing: 400, want: interval},
	} {
		s := versions{interval: interval, refs: map[secrets.Ref]*tracked{}}
		learn := func(kind, version string, n int) *tracked {
			ref := secrets.Ref{Engine: kind, Path: fmt.Sprint(n)}
			s.learn(ref, version, s.ask(ref), false)
			return s.refs[ref]
		}
		for n := range test.present {
			learn("present", "1", n)
		}
		for n := range test.missing {
			learn("missing", "", n)
		}
		// Each is read once more, as the poll does.
		reads := 0.0
		for n := range test.missing {
			pause := time.Until(learn("missing", "", n).due)
			reads += float64(time.Second) / float64(pause)
			if low, high := test.want*9/10, test.want*13/10; pause < low || pause > high {
				t.Errorf("%s: read again after %v, want about %v", name, pause, test.want)
				break
			}
		}
		if most := max(4.5, float64(test.missing)/interval.Seconds()*1.1); reads > most {
			t.Errorf("%s: %.1f reads per second, want at most %.1f", name, reads, most)
		}
		if test.present > 0 {
			if pause := time.Until(s.refs[secrets.Ref{Engine: "present", Path: "0"}].due); pause < interval*8/10 {
				t.Errorf("%s: a secret that is there is read again after %v", name, pause)
			}
		}
		if found := time.Until(learn("missing", "1", 0).due); found < interval*8/10 {
			t.Errorf("%s: a secret that was stored is read again after %v", name, found)
		}
	}
}

func TestVersionsAreForgotten(t *testing.T) {
	t.Parallel()
	s := versions{interval: time.Minute, refs: map[secrets.Ref]*tracked{}}
	s.polling.Store(true)
	learned := func(version string, writes int, wrote bool) bool { return s.learn(repoKey, version, writes, wrote) }
	writes := s.ask(repoKey)
	if learned("1", writes, false) {
		t.Error("the first version counts as a change")
	}
	if version, fresh := s.recall(repoKey); version != "1" || !fresh {
		t.Errorf("recall returns %q, %v", version, fresh)
	}
	if !learned("2", writes, true) || learned("1", writes, false) {
		t.Error("a version that was read before a write hides the write")
	}
	if version, fresh := s.recall(repoKey); version != "2" || !fresh {
		t.Errorf("recall returns %q, %v", version, fresh)
	}
	s.refs[repoKey].checked = time.Now().Add(-3 * time.Minute)
	if _, fresh := s.recall(repoKey); fresh {
		t.Error("a version that was not read for a long time is fresh")
	}
	if ref, _, _ := s.next(); ref != repoKey {
		t.Errorf("next returns %v", ref)
	}
	s.refs[repoKey].asked = time.Now().Add(-forgetAfter - time.Minute)
	if ref, _, _ := s.next(); ref != (secrets.Ref{}) || len(s.refs) != 0 {
		t.Errorf("next returns %v, which has not been in use for a day", ref)
	}
	for i := range maxTracked + 1 {
		s.ask(secrets.Ref{Engine: "git", Path: fmt.Sprint(i)})
	}
	if len(s.refs) != maxTracked {
		t.Errorf("%d secrets are remembered", len(s.refs))
	}
}
