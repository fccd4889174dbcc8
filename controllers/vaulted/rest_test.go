package vaulted_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
)

// rounds is how many looks at each secret in use a world at rest is watched for.
const rounds = 3

// settle waits until nothing is written to any API server, nor to Vault.
func (w *world) settle(t *testing.T) {
	t.Helper()
	state := func() (string, error) {
		text := fmt.Sprint(w.proxy.Requests(http.MethodPut, ""), w.proxy.Requests(http.MethodPost, ""), w.proxy.Requests(http.MethodDelete, ""))
		for _, name := range []string{devstack.TenantName, alphaPlane, betaPlane} {
			revision, err := w.planes()[name].EtcdRevision(context.Background())
			if err != nil {
				return "", err
			}
			text += fmt.Sprint(" ", revision)
		}
		return text, nil
	}
	last, since := "", time.Now()
	untilEvery(t, 200*time.Millisecond, "a world at rest", func() error {
		now, err := state()
		if err != nil || now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) < time.Second {
			return fmt.Errorf("it is written to: %v", err)
		}
		return err
	})
}

// inUse are secrets that the world needs as long as it is.
func inUse() []secrets.Ref {
	return []secrets.Ref{
		readOnly("books-501"), readOnly("maps-501"), readOnly("shared"), readOnly("books-502"), readOnly("maps-502"),
		secrets.ClusterKubeconfig(alphaCluster), secrets.ClusterReviewer(alphaCluster), secrets.ProviderToken(provider), edgeSecret,
	}
}

// looks counts how often the poll has looked at each secret in use.
func (w *world) looks() map[secrets.Ref]int {
	counts := map[secrets.Ref]int{}
	for _, ref := range inUse() {
		counts[ref] = w.proxy.Requests(http.MethodGet, "/v1/"+ref.Engine+"/metadata/"+ref.Path)
	}
	return counts
}

// polled waits until the poll has looked at each secret in use some times more.
func (w *world) polled(t *testing.T, before map[secrets.Ref]int) {
	t.Helper()
	until(t, "the looks of the poll at all secrets", func() error {
		for ref, n := range w.looks() {
			if n < before[ref]+rounds {
				return fmt.Errorf("%s was looked at %d times", ref, n-before[ref])
			}
		}
		return nil
	})
}

// quiet does something to a world at rest, and checks that nothing is written
// then, neither to an API server nor to Vault. It returns the requests of the
// operator to Vault. Only a new operator, which remembers nothing, may apply unchanged
// objects to API servers.
func (w *world) quiet(t *testing.T, restarts bool, do func()) []devstack.VaultRequest {
	t.Helper()
	w.settle(t)
	marks := map[string]devstack.Mark{}
	for name, plane := range w.planes() {
		mark, err := plane.Mark(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		marks[name] = mark
	}
	before, asked, looks := w.inventory(t), len(w.requests(t)), w.looks()
	do()
	w.polled(t, looks)
	for name, plane := range w.planes() {
		changes, err := plane.Changes(t.Context(), marks[name])
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range changes {
			t.Errorf("%s: %s", name, change)
		}
		requests, err := plane.Requests(marks[name])
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range requests {
			if !restarts || r.Verb != "patch" || r.FieldManager != v1alpha1.ManagedBy {
				t.Errorf("%s: %s", name, r)
			}
		}
	}
	since := w.requests(t)[asked:]
	for _, r := range since {
		if r.IsWrite() {
			t.Errorf("Vault: %s", r)
		}
	}
	if diff := cmp.Diff(before, w.inventory(t)); diff != "" {
		t.Errorf("Vault has changed (-before +after):\n%s", diff)
	}
	return since
}

// When everything is as it must be, nothing is written anywhere, not even after
// the operator was started again: it logs in once, and reads.
func TestNothingIsWrittenAtRest(t *testing.T) {
	w := theWorld(t)
	w.ready(t, clusterObject(alphaCluster))
	w.first.ready(t)
	w.second.ready(t)
	w.quiet(t, false, func() {})
	logins := 0
	for _, r := range w.quiet(t, true, func() {
		w.restart(t, w.kubernetesLogin(t))
		until(t, "the new operator at work", func() error {
			for _, s := range []shop{w.first, w.second} {
				if !w.op.Deps.Clusters.State(s.cluster).Connected {
					return fmt.Errorf("it has not connected to %s yet", s.cluster)
				}
			}
			return nil
		})
	}) {
		switch {
		case r.Path == "auth/"+tenantName+"/login":
			logins++
		case r.Operation != "read" && r.Operation != "list" || r.Error != "":
			t.Errorf("after a restart: %s", r)
		}
	}
	if logins != 1 {
		t.Errorf("the operator has logged in %d times, want once", logins)
	}
}

// A session that ends before its time is replaced by another one, without any
// effect.
func TestEndedSessionIsReplaced(t *testing.T) {
	w := theWorld(t)
	w.ready(t, clusterObject(alphaCluster))
	logins := 0
	for _, r := range w.quiet(t, false, func() { w.endSessions(t) }) {
		if r.Path == "auth/"+tenantName+"/login" {
			logins++
		}
	}
	if logins != 1 {
		t.Errorf("the operator has logged in %d times, want once", logins)
	}
}

// endSessions ends the sessions of the operator.
func (w *world) endSessions(t *testing.T) {
	t.Helper()
	ended := 0
	for _, accessor := range w.names(t, "auth/token/accessors") {
		body := map[string]string{"accessor": accessor}
		status, answer, err := w.vault.Request(t.Context(), http.MethodPost, "auth/token/lookup-accessor", w.vault.RootToken(), body)
		if err != nil || status == http.StatusForbidden || status == http.StatusNotFound {
			// One that has ended in the meantime.
			continue
		}
		if strings.HasPrefix(fmt.Sprint(at(answer, "data", "path")), "auth/"+tenantName+"/") {
			w.ask(t, http.MethodPost, "auth/token/revoke-accessor", body)
			ended++
		}
	}
	if ended == 0 {
		t.Fatal(errors.New("the operator has no session"))
	}
}
