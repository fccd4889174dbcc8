package apply

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// stubSystem is a System whose kinds are A to E. The order of their names is
// neither the order in which they are revoked nor the order of their stages.
type stubSystem struct {
	uid   string
	owned []plan.ID
	// value is resolved by every Put, if it has a field.
	value plan.SecretValue
	err   error
	log   []string
}

func (s *stubSystem) UID() string { return s.uid }

func (s *stubSystem) Kinds() []plan.SystemKind {
	return []plan.SystemKind{
		{Group: "g", Kind: "B", Revoke: true},
		{Group: "g", Kind: "A", Revoke: true},
		{Group: "g", Kind: "C", Stage: plan.StageAccount},
		{Group: "g", Kind: "D", Stage: plan.StageWorkload},
		{Group: "g", Kind: "E", Stage: plan.StageNamespace, Container: true},
		{Group: "g", Kind: "F", Stage: plan.StageConfig},
	}
}

func (s *stubSystem) Owned(context.Context, plan.Set) ([]plan.ID, error) {
	s.log = append(s.log, "owned")
	return s.owned, nil
}

func (s *stubSystem) Put(_ context.Context, _ plan.Owner, item plan.Item, resolve func(plan.SecretValue) (secrets.Value, string, error)) (bool, error) {
	s.log = append(s.log, "put "+item.ID.Kind)
	if s.value.Field != "" {
		value, version, err := resolve(s.value)
		if err != nil {
			return false, err
		}
		s.log = append(s.log, string(value.Bytes())+"@"+version)
	}
	return s.err == nil, s.err
}

func (s *stubSystem) Delete(_ context.Context, _ plan.Owner, id plan.ID) (bool, error) {
	s.log = append(s.log, "delete "+id.Kind)
	return s.err == nil, s.err
}

func (s *stubSystem) taken() []string {
	log := s.log
	s.log = nil
	return log
}

func systemID(kind string) plan.ID { return plan.ID{Group: "g", Kind: kind, Name: "x"} }

func systemItem(kind, body string) plan.Item {
	return plan.Item{ID: systemID(kind), Stage: plan.StageConfig, Body: body}
}

// applied applies items for an owner in the target t, and returns the calls.
func applied(t *testing.T, a *Applier, s *stubSystem, owner plan.Owner, target string, items ...plan.Item) ([]string, error) {
	t.Helper()
	_, err := a.ApplySystem(t.Context(), s, plan.Set{Owner: owner, Target: plan.Vault(target), Items: items}, Options{NoGuard: true})
	return s.taken(), err
}

// Kinds that grant access are removed first, in the order of the list, and the others
// last, against the stages. A kind that is not listed, or of another group, counts as
// configuration.
func TestSystemKinds(t *testing.T) {
	s := &stubSystem{uid: "1"}
	for _, kind := range []string{"C", "E", "B", "D", "A", "F", "unknown"} {
		s.owned = append(s.owned, systemID(kind))
	}
	s.owned = append(s.owned, plan.ID{Group: "other", Kind: "A"})
	calls, err := applied(t, New("acme", nil), s, spaceOwner, "t", systemItem("G", ""))
	want := []string{"owned", "delete B", "delete A", "put G", "delete D", "delete F", "delete unknown", "delete A", "delete C", "delete E"}
	if diff := cmp.Diff(want, calls); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// After a write or a removal of a container, the items of others in the same target
// of the same system are checked again, and no others.
func TestSystemContainers(t *testing.T) {
	other := plan.Owner{Kind: "Space", Product: "q", Name: "q"}
	for name, act := range map[string]struct {
		kind  string
		owned []plan.ID
		items []plan.Item
		want  bool
	}{
		"a container is written":       {kind: "E", items: []plan.Item{systemItem("E", "new")}, want: true},
		"a container is removed":       {kind: "E", owned: []plan.ID{systemID("E")}, want: true},
		"an item is written":           {kind: "C", items: []plan.Item{systemItem("C", "new")}},
		"an item is removed":           {kind: "C", owned: []plan.ID{systemID("C")}},
		"a container is left as it is": {kind: "E", items: []plan.Item{systemItem("E", "old")}},
	} {
		t.Run(name, func(t *testing.T) {
			a := New("acme", nil)
			here, there := &stubSystem{uid: "1"}, &stubSystem{uid: "2"}
			others := []struct {
				system *stubSystem
				owner  plan.Owner
				target string
				want   bool
			}{
				{here, other, "t", act.want}, {here, other, "u", false}, {there, other, "t", false},
			}
			for _, o := range others {
				if _, err := applied(t, a, o.system, o.owner, o.target, systemItem("F", "x")); err != nil {
					t.Fatal(err)
				}
			}
			if name == "a container is left as it is" {
				here.err = heldStub{}
			}
			here.owned = act.owned
			if _, err := applied(t, a, here, spaceOwner, "t", act.items...); (err != nil) != (here.err != nil) {
				t.Fatal(err)
			}
			here.owned, here.err = nil, nil
			for _, o := range others {
				calls, err := applied(t, a, o.system, o.owner, o.target, systemItem("F", "x"))
				if err != nil || (len(calls) > 0) != o.want {
					t.Errorf("%s on %s in %s: %v, %v", o.owner, o.target, o.system.uid, calls, err)
				}
			}
		})
	}
}

// heldStub is the error about an item of another holder.
type heldStub struct{}

func (heldStub) Error() string  { return "held" }
func (heldStub) Holder() string { return "h" }

// A write that fails leaves the item in doubt: it is put again, even if the set
// returns to the intent that was written before.
func TestSystemInDoubt(t *testing.T) {
	a, s := New("acme", nil), &stubSystem{uid: "1"}
	if _, err := applied(t, a, s, spaceOwner, "t", systemItem("C", "one")); err != nil {
		t.Fatal(err)
	}
	s.err = errTrouble
	if _, err := applied(t, a, s, spaceOwner, "t", systemItem("C", "two")); !errors.Is(err, errTrouble) {
		t.Fatal(err)
	}
	s.err = nil
	if calls, err := applied(t, a, s, spaceOwner, "t", systemItem("C", "one")); err != nil || !slices.Contains(calls, "put C") {
		t.Errorf("after a failed write: %v, %v", calls, err)
	}
	if calls, err := applied(t, a, s, spaceOwner, "t", systemItem("C", "one")); err != nil || len(calls) != 0 {
		t.Errorf("at rest: %v, %v", calls, err)
	}
}

// A foreign item satisfies one with IfAbsent, which is put at each pass. Without a
// foreign item it is written as any other.
func TestSystemIfAbsent(t *testing.T) {
	item := systemItem("C", "one")
	item.IfAbsent = true
	for _, held := range []bool{true, false} {
		a, s := New("acme", nil), &stubSystem{uid: "1"}
		if held {
			s.err = heldStub{}
		}
		set := plan.Set{Owner: spaceOwner, Target: plan.Vault("t"), Items: []plan.Item{item}}
		for pass := range 2 {
			r, err := a.ApplySystem(t.Context(), s, set, Options{})
			wantWritten := 0
			if !held && pass == 0 {
				wantWritten = 1
			}
			if err != nil || r.Written != wantWritten || r.Unchanged != 1-wantWritten {
				t.Errorf("held %t, pass %d: %+v, %v", held, pass, r, err)
			}
			if calls := s.taken(); slices.Contains(calls, "put C") != (held || pass == 0) {
				t.Errorf("held %t, pass %d: %v", held, pass, calls)
			}
		}
	}
}

// An item is put again when the version of one of its secrets changes, and the pass
// fails when the version cannot be read.
func TestSystemSecrets(t *testing.T) {
	store := &stubStore{version: "1", fields: map[string]string{"f": "value"}}
	a := New("acme", store)
	s := &stubSystem{uid: "1", value: plan.SecretValue{Field: "f"}}
	pass := func(want ...string) {
		t.Helper()
		if calls, err := applied(t, a, s, spaceOwner, "t", systemItem("C", "one")); err != nil || !slices.Equal(calls, want) {
			t.Errorf("calls %v, want %v, %v", calls, want, err)
		}
	}
	pass("owned", "put C", "value@1")
	pass()
	store.version = "2"
	pass("put C", "value@2")
	pass()
	store.err = secrets.ErrNotFound
	var missing *SecretMissingError
	if calls, err := applied(t, a, s, spaceOwner, "t", systemItem("C", "one")); !errors.As(err, &missing) || len(calls) != 0 {
		t.Errorf("a secret that is gone: %v, %v", calls, err)
	}
	store.err = nil
	a.Forget("1")
	s.value = plan.SecretValue{Field: "absent", Optional: true}
	pass("owned", "put C", "@2")
	a.Forget("1")
	s.value.Optional = false
	if _, err := applied(t, a, s, spaceOwner, "t", systemItem("C", "one")); !errors.As(err, &missing) || missing.Field != "absent" {
		t.Errorf("a field that is missing: %v", err)
	}
}

// A removal that fails ends the application, and the next one tries it again.
func TestSystemRemovalsThatFail(t *testing.T) {
	for _, kind := range []string{"B", "C"} {
		a, s := New("acme", nil), &stubSystem{uid: "1", owned: []plan.ID{systemID(kind)}, err: errTrouble}
		for range 2 {
			calls, err := applied(t, a, s, spaceOwner, "t")
			if diff := cmp.Diff([]string{"owned", "delete " + kind}, calls); diff != "" || !errors.Is(err, errTrouble) {
				t.Errorf("%s: error %v, calls (-want +got):\n%s", kind, err, diff)
			}
		}
		s.err = nil
		if _, err := applied(t, a, s, spaceOwner, "t"); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
