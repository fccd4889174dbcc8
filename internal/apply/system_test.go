package apply_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

func TestSystemIsAskedOnce(t *testing.T) {
	v, store := mounted(t)
	a := apply.New(tenant, store, formats())
	set := systemSet(clusterOwner, mount())
	pass := func(what string, want apply.Result) {
		t.Helper()
		got, err := a.ApplySystem(t.Context(), v, set, apply.Options{})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	pass("after a restart", apply.Result{Unchanged: 1, Calls: 2})
	gets := store.gets
	pass("again", apply.Result{Unchanged: 1})
	if store.gets != gets {
		t.Error("secrets were read without a need")
	}
	store.set(reviewer, "token", "second")
	pass("with another token", apply.Result{Written: 1, Calls: 1})
	if got := v.entries[mount().ID].body; !strings.Contains(got, "CA@1") || !strings.Contains(got, "second@") {
		t.Errorf("the vault holds %q", got)
	}
	pass("again", apply.Result{Unchanged: 1})
	a.Forget("another")
	pass("another is forgotten", apply.Result{Unchanged: 1})
	a.Forget(v.uid)
	pass("it is forgotten", apply.Result{Unchanged: 1, Calls: 2})
	v.uid = "vault-2"
	pass("another vault", apply.Result{Unchanged: 1, Calls: 2})

	set = systemSet(spaceOwner, policy("x"), role("p-a", "x"))
	pass("a space", apply.Result{Written: 2, Calls: 3})
	pass("again", apply.Result{Unchanged: 2})
	set.Items[1] = role("p-a")
	pass("another body", apply.Result{Written: 1, Unchanged: 1, Calls: 1})
	set.Keep = []plan.ID{plan.VaultPolicyID("y")}
	pass("something to keep", apply.Result{Unchanged: 2, Calls: 1})
}

func TestSystemOrder(t *testing.T) {
	v, store := mounted(t)
	a := apply.New(tenant, store, formats())
	pass := func(set plan.Set, o apply.Options, want ...string) {
		t.Helper()
		if _, err := a.ApplySystem(t.Context(), v, set, o); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, v.asked()); diff != "" {
			t.Error(diff)
		}
	}
	pass(systemSet(spaceOwner, role("p-a", "x", "y"), role("p-b", "y"), policy("y"), policy("x")), apply.Options{},
		"owned", "put Policy.vault.nautes.io y", "put Policy.vault.nautes.io x", "put Role.vault.nautes.io c/p-a", "put Role.vault.nautes.io c/p-b")
	pass(systemSet(spaceOwner, role("p-a", "y"), policy("y"), policy("z")), apply.Options{},
		"owned", "delete Policy.vault.nautes.io x", "delete Role.vault.nautes.io c/p-b", "put Policy.vault.nautes.io z", "put Role.vault.nautes.io c/p-a")
	// A mount is removed last, and with it the items of others in it.
	everything := systemSet(clusterOwner, mount(), policy("own"), role("own", "own"))
	pass(everything, apply.Options{}, "owned", "put AuthMount.vault.nautes.io c", "put Policy.vault.nautes.io own", "put Role.vault.nautes.io c/own")
	pass(systemSet(clusterOwner), apply.Options{NoGuard: true}, "owned", "delete Policy.vault.nautes.io own", "delete Role.vault.nautes.io c/own", "delete AuthMount.vault.nautes.io c")
	pass(systemSet(clusterOwner), apply.Options{NoGuard: true})
	if diff := cmp.Diff([]string{"Policy.vault.nautes.io y", "Policy.vault.nautes.io z"}, v.holds()); diff != "" {
		t.Error(diff)
	}
	pass(everything, apply.Options{}, "owned", "put AuthMount.vault.nautes.io c", "put Policy.vault.nautes.io own", "put Role.vault.nautes.io c/own")
	pass(systemSet(spaceOwner, role("p-a", "y"), policy("y"), policy("z")), apply.Options{},
		"owned", "put Policy.vault.nautes.io y", "put Policy.vault.nautes.io z", "put Role.vault.nautes.io c/p-a")
}

func TestSystemKeepsWhatIsNotAsked(t *testing.T) {
	v, store := mounted(t)
	a := apply.New(tenant, store, formats())
	other := plan.Owner{Kind: "Space", Product: "q", Name: "q"}
	apply1 := func(set plan.Set) apply.Result {
		t.Helper()
		r, err := a.ApplySystem(t.Context(), v, set, apply.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	apply1(systemSet(other, policy("others"), role("q-a", "others")))
	apply1(systemSet(spaceOwner, policy("x"), policy("y"), role("p-a", "x")))
	set := systemSet(spaceOwner)
	set.Keep = []plan.ID{plan.VaultPolicyID("y")}
	if r := apply1(set); len(r.Deleted) != 2 {
		t.Errorf("pass: %+v", r)
	}
	if diff := cmp.Diff([]string{"AuthMount.vault.nautes.io c", "Policy.vault.nautes.io others", "Policy.vault.nautes.io y", "Role.vault.nautes.io c/q-a"}, v.holds()); diff != "" {
		t.Error(diff)
	}
	// An item that the set of one target removes is written again by the set of another.
	elsewhere := plan.Set{Owner: spaceOwner, Target: plan.Vault("d"), Items: []plan.Item{policy("y")}}
	apply1(elsewhere)
	if r := apply1(elsewhere); r.Calls != 0 {
		t.Errorf("second pass: %+v", r)
	}
	apply1(systemSet(spaceOwner))
	if r := apply1(elsewhere); r.Written != 1 {
		t.Errorf("pass after the removal by another: %+v", r)
	}
}

func TestSystemGuard(t *testing.T) {
	v, store := mounted(t)
	a := apply.New(tenant, store, formats())
	var many []plan.Item
	for i := range 11 {
		many = append(many, policy(fmt.Sprint("x", i)))
	}
	if _, err := a.ApplySystem(t.Context(), v, systemSet(spaceOwner, many...), apply.Options{}); err != nil {
		t.Fatal(err)
	}
	before := len(v.holds())
	for range 2 {
		r, err := a.ApplySystem(t.Context(), v, systemSet(spaceOwner, policy("new")), apply.Options{})
		var guard *apply.GuardError
		if !errors.As(err, &guard) || len(guard.Objects) != 11 || guard.Target != plan.Vault("c") || len(r.Deleted) != 0 || len(v.holds()) != before+1 {
			t.Errorf("guarded pass: %+v, %v", r, err)
		}
	}
	r, err := a.ApplySystem(t.Context(), v, systemSet(spaceOwner, policy("new")), apply.Options{ConfirmPrune: true})
	if err != nil || len(r.Deleted) != 11 {
		t.Errorf("confirmed pass: %+v, %v", r, err)
	}
}

func TestSystemErrors(t *testing.T) {
	foreign := plan.Owner{Kind: "Space", Product: "q", Name: "q"}
	world := func(t *testing.T) (*vault, *memoryStore) {
		t.Helper()
		v, store := mounted(t)
		v.entries[plan.VaultPolicyID("held")] = entry{owner: foreign}
		store.set(reviewer, "token", "hidden")
		return v, store
	}
	spoil := func(change func(*plan.VaultMount)) plan.Item {
		i := mount()
		body := i.Body.(plan.VaultMount)
		change(&body)
		i.Body = body
		return i
	}
	item := func(i plan.Item, change func(*plan.Item)) plan.Item {
		change(&i)
		return i
	}
	absent := secrets.Ref{Engine: "cluster", Path: "absent"}
	tests := map[string]struct {
		item  plan.Item
		owner plan.Owner
		// wantAs is a target of errors.As, and wantIs of errors.Is.
		wantAs   any
		wantIs   error
		wantText []string
	}{
		"held by another owner": {
			item: policy("held"), owner: spaceOwner, wantAs: new(*apply.NotOursError), wantText: []string{"Policy.vault.nautes.io held", "Space q", "Vault c"},
		},
		"no mount": {
			item: roleOn("d", "p-a"), owner: spaceOwner, wantIs: secrets.ErrNotFound, wantText: []string{"Role.vault.nautes.io d/p-a", "no mount d"},
		},
		"no secret": {
			item:  spoil(func(m *plan.VaultMount) { m.Reviewer.Ref = absent }),
			owner: clusterOwner, wantAs: new(*apply.SecretMissingError), wantIs: secrets.ErrNotFound, wantText: []string{"AuthMount.vault.nautes.io c", absent.String()},
		},
		"no field": {
			item:  spoil(func(m *plan.VaultMount) { m.Reviewer.Field = "other" }),
			owner: clusterOwner, wantAs: new(*apply.SecretMissingError), wantText: []string{reviewer.String(), "other"},
		},
		"an unknown format": {
			item:  spoil(func(m *plan.VaultMount) { m.Reviewer.Format = "none" }),
			owner: clusterOwner, wantAs: new(*apply.PlanError), wantText: []string{"AuthMount.vault.nautes.io c", "none", reviewer.String()},
		},
		"a format that fails": {
			item:  spoil(func(m *plan.VaultMount) { m.Reviewer.Format = fussy }),
			owner: clusterOwner, wantAs: new(*apply.FormatError), wantText: []string{"AuthMount.vault.nautes.io c", "token", reviewer.String(), "fussy"},
		},
		"no body":       {item: item(policy("x"), func(i *plan.Item) { i.Body = nil }), owner: spaceOwner, wantAs: new(*apply.PlanError)},
		"no such stage": {item: item(policy("x"), func(i *plan.Item) { i.Stage = 17 }), owner: spaceOwner, wantAs: new(*apply.PlanError)},
		"a body that is no data": {
			item: item(policy("x"), func(i *plan.Item) { i.Body = func() {} }), owner: spaceOwner, wantAs: new(*apply.PlanError),
		},
		"secrets beside the body": {
			item: item(policy("x"), func(i *plan.Item) { i.Secrets = []plan.SecretValue{{}} }), owner: spaceOwner, wantAs: new(*apply.PlanError),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v, store := world(t)
			before := v.holds()
			_, err := apply.New(tenant, store, formats()).ApplySystem(t.Context(), v, systemSet(test.owner, test.item), apply.Options{})
			var about *apply.ItemError
			if !errors.As(err, &about) || about.ID != test.item.ID {
				t.Fatalf("error is %v, want an *ItemError about %s", err, test.item.ID)
			}
			if test.wantAs != nil && !errors.As(err, test.wantAs) || test.wantIs != nil && !errors.Is(err, test.wantIs) {
				t.Errorf("error is %v, want %T and %v", err, test.wantAs, test.wantIs)
			}
			for _, part := range append(test.wantText, test.item.ID.String()) {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("message %q does not hold %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "hidden") {
				t.Errorf("the message holds the secret: %v", err)
			}
			if diff := cmp.Diff(before, v.holds()); diff != "" {
				t.Error(diff)
			}
			// With isolation the others are written.
			r, err := apply.New(tenant, store, formats()).ApplySystem(t.Context(), v,
				systemSet(test.owner, test.item, policy("good")), apply.Options{Isolate: true})
			if err != nil || len(r.Failed) != 1 || r.Failed[0].ID != test.item.ID {
				t.Errorf("isolated: %+v, %v", r, err)
			}
			if !slices.Contains(v.holds(), "Policy.vault.nautes.io good") {
				t.Error("the other item was not written")
			}
		})
	}
	v, store := world(t)
	content := policy("held")
	content.IfAbsent = true
	r, err := apply.New(tenant, store).ApplySystem(t.Context(), v, systemSet(spaceOwner, content), apply.Options{})
	if err != nil || r.Unchanged != 1 || v.entries[content.ID].owner != foreign {
		t.Errorf("an item that is content with what is there: %+v, %v", r, err)
	}
}

func TestSystemTroubleGoesThrough(t *testing.T) {
	v, store := mounted(t)
	set := systemSet(spaceOwner, policy("x"), role("p-a", "x"))
	for at := range 2 {
		for _, trouble := range []error{secrets.ErrUnavailable, secrets.ErrDenied} {
			calls := 0
			v.before = func(bool) error {
				if calls++; calls > at {
					return fmt.Errorf("write it: %w", trouble)
				}
				return nil
			}
			r, err := apply.New(tenant, store).ApplySystem(t.Context(), v, set, apply.Options{})
			if !errors.Is(err, trouble) || r.Written != 0 || r.Calls != at+1 || !strings.Contains(err.Error(), trouble.Error()) {
				t.Errorf("trouble at request %d: %+v, %v", at, r, err)
			}
		}
	}
	v.before = func(write bool) error {
		if write {
			return secrets.ErrUnavailable
		}
		return nil
	}
	r, err := apply.New(tenant, store).ApplySystem(t.Context(), v, set, apply.Options{Isolate: true})
	if !errors.Is(err, secrets.ErrUnavailable) || r.Calls != 2 {
		t.Errorf("a vault that does not answer concerns everything: %+v, %v", r, err)
	}
}

// The process ends at each write of a change, of a creation and of a removal in
// turn. The next process must finish the work.
func TestSystemCrashAtEveryWrite(t *testing.T) {
	v, store := mounted(t)
	foreign := plan.Owner{Kind: "Space", Product: "q", Name: "q"}
	v.entries[plan.VaultPolicyID("foreign")] = entry{owner: foreign, body: "as it was"}
	old := []plan.Item{mount(), policy("x"), policy("y"), role("a", "x", "y"), role("b", "y")}
	scenarios := map[string]struct{ from, to []plan.Item }{
		"creation": {to: old},
		"change":   {from: old, to: []plan.Item{mount(), policy("y"), policy("z"), role("a", "y"), role("d", "z")}},
		"removal":  {from: old},
	}
	pass := func(t *testing.T, items []plan.Item) apply.Result {
		t.Helper()
		r, err := apply.New(tenant, store, formats()).ApplySystem(t.Context(), v, systemSet(clusterOwner, items...), apply.Options{NoGuard: true})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, s := range scenarios {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, answer lost %t", name, after), func(t *testing.T) {
				for k := 0; ; k++ {
					pass(t, s.from)
					crashed := v.crashes(t, k, after, store, s.to)
					pass(t, s.to)
					want := []string{"Policy.vault.nautes.io foreign"}
					for _, item := range s.to {
						want = append(want, item.ID.String())
					}
					slices.Sort(want)
					if diff := cmp.Diff(want, v.holds()); diff != "" {
						t.Errorf("after a crash at write %d: %s", k, diff)
					}
					if r := pass(t, s.to); r.Written+len(r.Deleted) != 0 {
						t.Errorf("there was still something to do: %+v", r)
					}
					if !crashed {
						if k < 4 {
							t.Errorf("only %d writes to crash at", k)
						}
						break
					}
				}
			})
		}
	}
	if got := v.entries[plan.VaultPolicyID("foreign")]; got != (entry{owner: foreign, body: "as it was"}) {
		t.Errorf("the foreign policy is %+v", got)
	}
}

// crashes applies items with a process that ends at write k, before or after it
// is done. It returns false when the work ends before that write.
func (v *vault) crashes(t *testing.T, k int, after bool, store secrets.Store, items []plan.Item) bool {
	t.Helper()
	writes, dead := 0, false
	v.before = func(write bool) error {
		if write && writes == k && !after {
			dead = true
		}
		if dead {
			return errCrash
		}
		return nil
	}
	v.after = func() error {
		if writes++; writes == k+1 && after {
			dead = true
			return errCrash
		}
		return nil
	}
	_, err := apply.New(tenant, store, formats()).ApplySystem(t.Context(), v, systemSet(clusterOwner, items...), apply.Options{NoGuard: true})
	v.before, v.after = nil, nil
	if err != nil && !errors.Is(err, errCrash) {
		t.Fatalf("write %d: %v", k, err)
	}
	return err != nil
}
