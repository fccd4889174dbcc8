package apply

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/plan"
)

func TestMemory(t *testing.T) {
	x, y := plan.ID{Kind: "Secret", Name: "x"}, plan.ID{Kind: "Secret", Name: "y"}
	owner, other := plan.Owner{Kind: "Space", Name: "p"}, plan.Owner{Kind: "Space", Name: "q"}
	one := memoKey{uid: "1", owner: owner, target: plan.Vault("a")}
	elsewhere := memoKey{uid: "1", owner: owner, target: plan.Vault("b")}
	others := memoKey{uid: "1", owner: other, target: plan.Vault("a")}
	another := memoKey{uid: "2", owner: owner, target: plan.Vault("a")}
	all := []memoKey{one, elsewhere, others, another}
	for name, test := range map[string]struct {
		change func(*memory)
		// want holds the IDs that are remembered afterwards, in the order of all.
		want [4][]plan.ID
		// wantKept lists whether completeness and refusals are remembered.
		wantKept [4]bool
	}{
		"nothing": {
			change:   func(*memory) {},
			want:     [4][]plan.ID{{x, y}, {x, y}, {x, y}, {x, y}},
			wantKept: [4]bool{true, true, true, true},
		},
		"drop one": {
			change:   func(m *memory) { m.drop(one, x) },
			want:     [4][]plan.ID{{y}, {x, y}, {x, y}, {x, y}},
			wantKept: [4]bool{true, true, true, true},
		},
		"drop one in all targets of an owner": {
			change:   func(m *memory) { m.dropAll(one, x) },
			want:     [4][]plan.ID{{y}, {y}, {x, y}, {x, y}},
			wantKept: [4]bool{true, true, true, true},
		},
		"forget a system": {
			change:   func(m *memory) { m.forget("1") },
			want:     [4][]plan.ID{nil, nil, nil, {x, y}},
			wantKept: [4]bool{false, false, false, true},
		},
		"forget some": {
			change:   func(m *memory) { m.forgetWhere(func(key memoKey) bool { return key.owner == other }) },
			want:     [4][]plan.ID{{x, y}, {x, y}, nil, {x, y}},
			wantKept: [4]bool{true, true, false, true},
		},
		"unset": {
			change: func(m *memory) {
				m.setComplete(one, "")
				m.setRefusals(one, map[plan.ID]string{})
			},
			want:     [4][]plan.ID{{x, y}, {x, y}, {x, y}, {x, y}},
			wantKept: [4]bool{false, true, true, true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{}
			for _, key := range all {
				m.put(key, x, record{intent: "x"})
				m.put(key, y, record{intent: "y"})
				m.setComplete(key, "names")
				m.setRefusals(key, map[plan.ID]string{x: "why"})
			}
			test.change(m)
			for i, key := range all {
				var got []plan.ID
				got = append(got, m.ids(key)...)
				slices.SortFunc(got, plan.ID.Compare)
				if diff := cmp.Diff(test.want[i], got); diff != "" {
					t.Errorf("records of %v (-want +got):\n%s", key, diff)
				}
				for _, id := range []plan.ID{x, y} {
					r, ok := m.get(key, id)
					if ok != slices.Contains(test.want[i], id) || ok && r.intent != id.Name {
						t.Errorf("%v of %v is %+v, %t", id, key, r, ok)
					}
				}
				if m.isComplete(key, "names") != test.wantKept[i] || m.isComplete(key, "other") || m.isComplete(key, "") == test.wantKept[i] {
					t.Errorf("completeness of %v: %q", key, m.complete[key])
				}
				if got := m.refusals(key)[x]; got != map[bool]string{true: "why"}[test.wantKept[i]] {
					t.Errorf("refusals of %v: %q", key, got)
				}
			}
		})
	}
}

// The memory of owners that are gone takes no space.
func TestMemoryIsEmptyInTheEnd(t *testing.T) {
	m := &memory{}
	one, two := memoKey{uid: "1"}, memoKey{uid: "1", target: plan.Vault("b")}
	x := plan.ID{Name: "x"}
	for _, key := range []memoKey{one, two} {
		m.put(key, x, record{})
		m.setRefusals(key, map[plan.ID]string{x: "why"})
		m.setRefusals(key, nil)
		m.setComplete(key, "names")
		m.setComplete(key, "")
	}
	m.drop(one, x)
	if len(m.records) != 1 {
		t.Errorf("records of %d keys, want 1", len(m.records))
	}
	m.dropAll(two, x)
	if len(m.records)+len(m.complete)+len(m.refused) != 0 {
		t.Errorf("something is left: %+v", m)
	}
	// An empty memory answers too.
	empty := &memory{}
	empty.drop(one, x)
	empty.dropAll(one, x)
	empty.forget("1")
	if ids := empty.ids(one); ids == nil || len(ids) != 0 {
		t.Errorf("IDs of an empty memory: %v", ids)
	}
}
