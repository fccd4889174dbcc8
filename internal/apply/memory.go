package apply

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// record is the memory of one object that we have written, or may have written.
type record struct {
	gvk schema.GroupVersionKind
	// intent is the hash of the intended object, or empty while a write is in doubt.
	intent string
	// fields is the digest of our fields after the write. It differs when
	// another writer has changed one of them.
	fields plan.FieldsDigest
	// version is the object's resourceVersion after the write.
	version string
	// differs is set if the cluster stored something else, and written is the time
	// of that write.
	differs *DiffersError
	written time.Time
	// secrets holds the versions of the secrets that a System was given.
	secrets map[secrets.Ref]string
}

// memoKey identifies an owner on a cluster, or in a target of a System.
type memoKey struct {
	// uid of the cluster or System.
	uid   string
	owner plan.Owner
	// target is set for a System only, where one owner has several.
	target plan.Target
}

// memory holds the records. The zero value is empty and ready to use.
type memory struct {
	mu      sync.Mutex
	records map[memoKey]map[plan.ID]record
	// complete holds the hash of the names in a set, where a System is known to
	// hold nothing else of the owner in the target.
	complete map[memoKey]string
	// refused holds the reasons why objects were refused at the last application.
	refused map[memoKey]map[plan.ID]string
}

func (m *memory) get(key memoKey, id plan.ID) (record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[key][id]
	return r, ok
}

func (m *memory) put(key memoKey, id plan.ID, r record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		m.records = map[memoKey]map[plan.ID]record{}
	}
	if m.records[key] == nil {
		m.records[key] = map[plan.ID]record{}
	}
	m.records[key][id] = r
}

func (m *memory) drop(key memoKey, id plan.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records[key], id)
	if len(m.records[key]) == 0 {
		delete(m.records, key)
	}
}

// ids returns the IDs of all records of a key.
func (m *memory) ids(key memoKey) []plan.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := make([]plan.ID, 0, len(m.records[key]))
	for id := range m.records[key] {
		ids = append(ids, id)
	}
	return ids
}

// forget drops everything about a cluster or System.
func (m *memory) forget(uid string) {
	m.forgetWhere(func(key memoKey) bool { return key.uid == uid })
}

// forgetWhere drops everything about the keys that match.
func (m *memory) forgetWhere(match func(memoKey) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.records, func(key memoKey, _ map[plan.ID]record) bool { return match(key) })
	maps.DeleteFunc(m.complete, func(key memoKey, _ string) bool { return match(key) })
	maps.DeleteFunc(m.refused, func(key memoKey, _ map[plan.ID]string) bool { return match(key) })
}

// dropAll drops the record of one object in all targets of the owner in a System.
func (m *memory) dropAll(at memoKey, id plan.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, records := range m.records {
		if key.uid != at.uid || key.owner != at.owner {
			continue
		}
		if delete(records, id); len(records) == 0 {
			delete(m.records, key)
		}
	}
}

// isComplete reports whether the target is known to hold exactly the named objects.
func (m *memory) isComplete(key memoKey, names string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.complete[key] == names
}

// setComplete notes the names of all objects of a target; empty if they are unknown.
func (m *memory) setComplete(key memoKey, names string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if names == "" {
		delete(m.complete, key)
		return
	}
	if m.complete == nil {
		m.complete = map[memoKey]string{}
	}
	m.complete[key] = names
}

// refusals returns the refusals that setRefusals has noted. The map must not be
// changed.
func (m *memory) refusals(key memoKey) map[plan.ID]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refused[key]
}

func (m *memory) setRefusals(key memoKey, refused map[plan.ID]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(refused) == 0 {
		delete(m.refused, key)
		return
	}
	if m.refused == nil {
		m.refused = map[memoKey]map[plan.ID]string{}
	}
	m.refused[key] = refused
}
