package apply

import (
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/internal/plan"
)

// record is what is remembered of one object that we have written, or may have.
type record struct {
	gvk schema.GroupVersionKind
	// intent is the hash of what was asked for.
	intent string
	// fingerprint is what the server noted as ours: it changes when somebody
	// changes a field that we set.
	fingerprint string
	// version is the object's resourceVersion after the write.
	version string
	// settled is false from the moment a write is begun until it has succeeded.
	settled bool
}

// place is an owner on a cluster.
type place struct {
	cluster string
	owner   plan.Owner
}

// memory holds the records. The zero value is empty.
type memory struct {
	mu     sync.Mutex
	places map[place]map[plan.ID]record
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

func (m *memory) forget(cluster string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.places {
		if p.cluster == cluster {
			delete(m.places, p)
		}
	}
}
