package vault

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// step is one pass of the operator.
type step struct {
	name string
	sets []plan.Set
	// reviewer is the token that reviews tokens in this step, or empty.
	reviewer string
}

// life returns the steps of a cluster with the accounts of two products.
func life() []step {
	cluster, one, two := clusterSet("c"), spaceSet("product-1", "c"), spaceSet("product-2", "c")
	repo := func(name string) secrets.Ref { return secrets.RepositoryReadOnly("gitlab", name) }
	cluster.Items = []plan.Item{mountItem("c", "https://127.0.0.1:6443")}
	one.Items = []plan.Item{
		policyItem("product-1", repo("a")), policyItem("product-1", repo("b")),
		roleItem("c", "product-1", "x", repo("a"), repo("b")), roleItem("c", "product-1", "y", repo("a")), roleItem("c", "product-1", "z", repo("b")),
	}
	two.Items = []plan.Item{policyItem("product-2", repo("d")), roleItem("c", "product-2", "x", repo("d"))}
	less := one
	// x loses a, which y keeps; b and z are removed.
	less.Items = []plan.Item{one.Items[0], roleItem("c", "product-1", "x"), one.Items[3]}
	end := func(set plan.Set) plan.Set { set.Items = nil; return set }
	return []step{
		{"made", []plan.Set{cluster, one, two}, reviewerToken},
		{"rotated", []plan.Set{cluster, one, two}, reviewerToken + "x"},
		{"less", []plan.Set{cluster, less, two}, reviewerToken + "x"},
		{"removed", []plan.Set{end(less), end(cluster), end(two)}, ""},
	}
}

// do runs a step like a new process.
func (s server) do(v *Vault, step step) error {
	if err := s.store(v, step); err != nil {
		return err
	}
	a := apply.New(tenant, v, apply.WithFormats(map[plan.Format]apply.FormatFunc{
		plan.FormatKubeconfigCA: func([]byte) ([]byte, error) { return s.CA, nil },
	}))
	for _, set := range step.sets {
		if _, err := a.ApplySystem(s.t.Context(), v.System(), set, apply.Options{NoGuard: true}); err != nil {
			return err
		}
	}
	return nil
}

func (s server) store(v *Vault, step step) error {
	for ref, value := range map[secrets.Ref]map[string]secrets.Value{
		secrets.ClusterKubeconfig("c"): fields("kubeconfig", "k"),
		secrets.ClusterReviewer("c"):   fields("token", step.reviewer),
	} {
		if step.reviewer == "" {
			if err := v.Delete(s.t.Context(), ref); err != nil {
				return err
			}
			continue
		}
		if _, err := v.Put(s.t.Context(), ref, value); err != nil {
			return err
		}
	}
	return nil
}

// holds returns all mounts, roles and policies as text.
func (s server) holds() string {
	s.t.Helper()
	found := map[string]any{}
	read := func(path string, keys ...string) any {
		status, answer, err := s.Request(s.t.Context(), http.MethodGet, path, s.RootToken(), nil)
		if err != nil || status != http.StatusOK && status != http.StatusNotFound {
			s.t.Fatalf("GET %s: status %d, %v", path, status, err)
		}
		return at(answer, keys...)
	}
	for mount := range read("sys/auth", "data").(map[string]any) {
		if mount == "token/" {
			continue
		}
		description, _, _ := strings.Cut(fmt.Sprint(read("sys/auth/"+mount, "data", "description")), "@")
		found[mount] = []any{description, read("auth/"+mount+"config", "data")}
		names, _ := read("auth/"+mount+"role?list=true", "data", "keys").([]any)
		for _, name := range names {
			found[fmt.Sprint(mount, name)] = read(fmt.Sprint("auth/", mount, "role/", name), "data")
		}
	}
	for _, name := range read("sys/policies/acl?list=true", "data", "keys").([]any) {
		if name != "root" && name != "default" {
			found[fmt.Sprint("policy ", name)] = read(fmt.Sprint("sys/policies/acl/", name), "data", "policy")
		}
	}
	text, err := json.MarshalIndent(found, "", " ")
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// failWrite makes the write with a number fail, before or after it takes effect. It
// returns a function that counts the writes.
func (g *gateway) failWrite(number int, after bool) (writes func() int) {
	count := 0
	g.intercept(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			panic(errPass)
		}
		g.mu.Lock()
		count++
		failing := count == number
		g.mu.Unlock()
		switch {
		case !failing:
			panic(errPass)
		case after:
			g.forward.ServeHTTP(discarding{w}, r)
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	return func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return count
	}
}

// discarding drops an answer.
type discarding struct{ http.ResponseWriter }

func (discarding) Header() http.Header         { return http.Header{} }
func (discarding) WriteHeader(int)             {}
func (discarding) Write(p []byte) (int, error) { return len(p), nil }

// After a crash at any write of any step, the next process completes the step, and
// nothing is left over at the end.
func TestCrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	s := newServer(t, "crash")
	g := s.gateway()
	v := s.open(g.behind)
	clean := s.holds()
	var wants []string
	var counts []int
	for _, step := range life() {
		writes := g.failWrite(0, false)
		if err := s.do(v, step); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		wants, counts = append(wants, s.holds()), append(counts, writes())
		writes = g.failWrite(0, false)
		if err := s.do(s.open(g.behind), step); err != nil || writes() != 0 {
			t.Errorf("%s: a new process writes %d times, %v", step.name, writes(), err)
		}
	}
	if wants[len(wants)-1] != clean {
		t.Fatalf("the end leaves something (-clean +end):\n%s", cmp.Diff(clean, wants[len(wants)-1]))
	}
	runs := 0
	for at, step := range life() {
		for number := 1; number <= counts[at]; number++ {
			for _, after := range []bool{false, true} {
				if !after && number > 1 {
					// It leaves the same state as the write before it.
					continue
				}
				name := fmt.Sprintf("%s, write %d of %d, after: %v", step.name, number, counts[at], after)
				runs++
				s.crash(g, life(), at, number, after, name, wants)
			}
		}
	}
	t.Logf("%d crashes; %v writes in the steps", runs, counts)
}

// crash runs the steps with a crash in one of them. Then it runs the remaining
// steps, or only the last one.
func (s server) crash(g *gateway, steps []step, at, number int, after bool, name string, wants []string) {
	s.t.Helper()
	end := len(steps) - 1
	for i, step := range steps {
		if i == at {
			g.failWrite(number, after)
			if err := s.do(s.open(g.behind), step); err == nil {
				s.t.Errorf("%s: nothing fails", name)
			}
			g.intercept(nil)
			if number%2 == 0 && at < end {
				// The interrupted step is not wanted any longer.
				break
			}
		}
		if err := s.do(s.open(g.behind), step); err != nil {
			s.t.Fatalf("%s: %s: %v", name, step.name, err)
		}
		if i < at {
			continue
		}
		if g.reviewer != step.reviewer && step.reviewer != "" {
			s.t.Errorf("%s: after %s the mount has another reviewer", name, step.name)
		}
		if diff := cmp.Diff(wants[i], s.holds()); diff != "" {
			s.t.Errorf("%s: after %s (-want +got):\n%s", name, step.name, diff)
		}
	}
	if err := s.do(s.open(g.behind), steps[end]); err != nil {
		s.t.Fatalf("%s: %s: %v", name, steps[end].name, err)
	}
	if diff := cmp.Diff(wants[end], s.holds()); diff != "" {
		s.t.Errorf("%s: at the end (-want +got):\n%s", name, diff)
	}
}
