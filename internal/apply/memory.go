package apply

import (
	"maps"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// record is what is remembered of one object that we have written, or may have.
type record struct {
	gvk schema.GroupVersionKind
	// intent is the hash of what was asked for.
	intent string
	// fields is what the server noted as ours: it changes when somebody changes
	// a field that we set.
	fields plan.FieldsDigest
	// version is the object's resourceVersion after the write.
	version string
	// secrets holds the versions of the secrets that a System was given.
	secrets map[secrets.Ref]string
	// settled is false from the moment a write is begun until it has succeeded.
	settled bool
}

// place is an owner on a cluster, or in a target of a System.
type place struct {
	// uid of the cluster or System.
	uid   string
	owner plan.Owner
	// target is set for a System only, where one owner has several.
	target plan.Target
}

// memory holds the records. The zero value is empty.
type memory struct {
	mu     sync.Mutex
	places map[place]map[plan.ID]record
	// whole holds, for places in a System of which it is known that nothing is
	// there beside the set, the hash of what the set names.
	whole map[place]string
}

func (m *memory) get(p place, id plan.ID) (record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.places[p][id]
	return r, ok
}

func (m *memory) put(p place, id plan.ID, r record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.places == nil {
		m.places = map[place]map[plan.ID]record{}
	}
	if m.places[p] == nil {
		m.places[p] = map[plan.ID]record{}
	}
	m.places[p][id] = r
}

func (m *memory) drop(p place, id plan.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.places[p], id)
	if len(m.places[p]) == 0 {
		delete(m.places, p)
	}
}

// ids returns everything that is remembered of a place.
func (m *memory) ids(p place) []plan.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := make([]plan.ID, 0, len(m.places[p]))
	for id := range m.places[p] {
		ids = append(ids, id)
	}
	return ids
}

func (m *memory) forget(uid string) {
	m.forgetWhere(func(p place) bool { return p.uid == uid })
}

func (m *memory) forgetWhere(is func(place) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.places, func(p place, _ map[plan.ID]record) bool { return is(p) })
	maps.DeleteFunc(m.whole, func(p place, _ string) bool { return is(p) })
}

// dropAll forgets something of an owner in all targets of a System.
func (m *memory) dropAll(at place, id plan.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, records := range m.places {
		if p.uid != at.uid || p.owner != at.owner {
			continue
		}
		if delete(records, id); len(records) == 0 {
			delete(m.places, p)
		}
	}
}

func (m *memory) isWhole(p place, names string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.whole[p] == names
}

// setWhole notes what a place holds and nothing else; empty when that is not known.
func (m *memory) setWhole(p place, names string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if names == "" {
		delete(m.whole, p)
		return
	}
	if m.whole == nil {
		m.whole = map[place]string{}
	}
	m.whole[p] = names
}
