package vaulted_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/scenario"
)

// rounds is how many looks at each secret in use a system at rest is watched for.
const rounds = 3

// settle waits until nothing is written to any API server, nor to Vault.
func (sys *system) settle(t *testing.T) {
	t.Helper()
	busy := func() string {
		return fmt.Sprint(sys.proxy.Requests(http.MethodPut, ""), sys.proxy.Requests(http.MethodPost, ""), sys.proxy.Requests(http.MethodDelete, ""))
	}
	if err := scenario.Settle(t.Context(), scenario.Patience, sys.Planes(), busy); err != nil {
		t.Fatal(err)
	}
}

// inUse are secrets that the system needs all the time.
func inUse() []secrets.Ref {
	return []secrets.Ref{
		readOnly("books-501"), readOnly("maps-501"), readOnly("shared"), readOnly("books-502"), readOnly("maps-502"),
		secrets.ClusterKubeconfig(alphaCluster), secrets.ClusterReviewer(alphaCluster), secrets.ProviderToken(provider), edgeSecret,
	}
}

// looks counts how often the poll has looked at each secret in use.
func (sys *system) looks() map[secrets.Ref]int {
	counts := map[secrets.Ref]int{}
	for _, ref := range inUse() {
		counts[ref] = sys.proxy.Requests(http.MethodGet, "/v1/"+ref.Engine+"/metadata/"+ref.Path)
	}
	return counts
}

// polled waits until the poll has looked at each secret in use some times more.
func (sys *system) polled(t *testing.T, before map[secrets.Ref]int) {
	t.Helper()
	sys.Until(t, "the looks of the poll at all secrets", func() error {
		for ref, n := range sys.looks() {
			if n < before[ref]+rounds {
				return fmt.Errorf("%s was looked at %d times", ref, n-before[ref])
			}
		}
		return nil
	})
}

// quiet does something to a system at rest, and checks that nothing is written
// then, neither to an API server nor to Vault. It returns the requests of the
// operator to Vault. Only a new operator, which remembers nothing, may apply unchanged
// objects to API servers.
func (sys *system) quiet(t *testing.T, restarts bool, do func()) []devstack.VaultRequest {
	t.Helper()
	sys.settle(t)
	writes, err := scenario.Record(t.Context(), sys.Planes())
	if err != nil {
		t.Fatal(err)
	}
	before, asked, looks := sys.inventory(t), len(sys.requests(t)), sys.looks()
	do()
	sys.polled(t, looks)
	changes, err := writes.Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	requests, err := writes.Requests()
	if err != nil {
		t.Fatal(err)
	}
	for name := range sys.Planes() {
		for _, change := range changes[name] {
			t.Errorf("%s: %s", name, change)
		}
		for _, r := range requests[name] {
			if !restarts || r.Verb != "patch" || r.FieldManager != v1alpha1.ManagedBy {
				t.Errorf("%s: %s", name, r)
			}
		}
	}
	since := sys.requests(t)[asked:]
	for _, r := range since {
		if r.IsWrite() {
			t.Errorf("Vault: %s", r)
		}
	}
	if diff := cmp.Diff(before, sys.inventory(t)); diff != "" {
		t.Errorf("Vault has changed (-before +after):\n%s", diff)
	}
	return since
}

// When everything is as it must be, nothing is written anywhere, not even after
// the operator was started again: it logs in once, and reads.
func TestNothingIsWrittenAtRest(t *testing.T) {
	sys := theSystem(t)
	sys.ready(t, scenario.Cluster(alphaCluster))
	sys.first.ready(t)
	sys.second.ready(t)
	sys.quiet(t, false, func() {})
	logins := 0
	for _, r := range sys.quiet(t, true, func() {
		sys.restart(t, sys.kubernetesLogin())
		sys.Until(t, "the new operator at work", func() error {
			for _, s := range []product{sys.first, sys.second} {
				if !sys.op.Deps.Clusters.State(s.cluster).Connected {
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
	sys := theSystem(t)
	sys.ready(t, scenario.Cluster(alphaCluster))
	logins := 0
	for _, r := range sys.quiet(t, false, func() { sys.endSessions(t) }) {
		if r.Path == "auth/"+tenantName+"/login" {
			logins++
		}
	}
	if logins != 1 {
		t.Errorf("the operator has logged in %d times, want once", logins)
	}
}

// endSessions ends the sessions of the operator.
func (sys *system) endSessions(t *testing.T) {
	t.Helper()
	ended := 0
	for _, accessor := range sys.names(t, "auth/token/accessors") {
		body := map[string]string{"accessor": accessor}
		status, answer, err := sys.vault.Request(t.Context(), http.MethodPost, "auth/token/lookup-accessor", sys.vault.RootToken(), body)
		if err != nil || status == http.StatusForbidden || status == http.StatusNotFound {
			// One that has ended in the meantime.
			continue
		}
		if strings.HasPrefix(fmt.Sprint(at(answer, "data", "path")), "auth/"+tenantName+"/") {
			sys.ask(t, http.MethodPost, "auth/token/revoke-accessor", body)
			ended++
		}
	}
	if ended == 0 {
		t.Fatal(errors.New("the operator has no session"))
	}
}
