package apply

import (
	"context"
	"maps"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"nautes.io/nautes/internal/plan"
)

// The levels of log lines: changes and new refusals are always logged, and
// objects that needed no change only when debugging.
const (
	levelChange = 0
	levelNoOp   = 2
)

// journal logs the objects that one application of a set writes, deletes or
// refuses. A refusal that repeats from one application to the next is logged at
// the debug level, so that nothing is logged at rest.
type journal struct {
	logger logr.Logger
	debug  bool
	memory *memory
	key    memoKey
	// known holds the refusals of earlier applications by object, and refused
	// the new ones.
	known, refused map[plan.ID]string
}

// newJournal returns the journal of one application. The lines carry the values
// of the context's logger, for example the revision that asks for the set.
func newJournal(ctx context.Context, m *memory, key memoKey, set plan.Set) *journal {
	values := []any{"target", string(set.Target.Kind)}
	if set.Target.Name != "" {
		values = append(values, "cluster", set.Target.Name)
	}
	if set.Owner.Product != "" {
		values = append(values, "product", set.Owner.Product)
	}
	logger := log.FromContext(ctx).WithValues(append(values, "owner", set.Owner.Kind+"/"+set.Owner.Name)...)
	return &journal{
		logger: logger, debug: logger.V(levelNoOp).Enabled(),
		memory: m, key: key, known: m.refusals(key), refused: map[plan.ID]string{},
	}
}

// changed logs that an object was changed on the target. The source is empty for
// objects that no set holds.
func (j *journal) changed(message string, id plan.ID, source plan.Ref) {
	j.logger.V(levelChange).Info(message, describeObject(id, source)...)
}

// unchanged logs that an object needed no change.
func (j *journal) unchanged(item plan.Item) {
	if j.debug {
		j.logger.V(levelNoOp).Info("object unchanged", describeObject(item.ID, item.Source)...)
	}
}

// refuse logs why an object was not written or not deleted. The reason must not
// hold a secret.
func (j *journal) refuse(message string, id plan.ID, source plan.Ref, reason error) {
	text := reason.Error()
	level := levelChange
	if j.known[id] == text {
		level = levelNoOp
	}
	j.refused[id] = text
	j.logger.V(level).Info(message, append(describeObject(id, source), "reason", text)...)
}

// close remembers the refusals for the next application. After an error they
// are added to the earlier ones, since not all objects were looked at.
func (j *journal) close(err error) {
	if err != nil {
		all := maps.Clone(j.known)
		if all == nil {
			all = map[plan.ID]string{}
		}
		maps.Copy(all, j.refused)
		j.refused = all
	}
	j.memory.setRefusals(j.key, j.refused)
}

func describeObject(id plan.ID, source plan.Ref) []any {
	var values []any
	if id != (plan.ID{}) {
		values = append(values, "object", id.String())
	}
	if source != (plan.Ref{}) {
		values = append(values, "source", source.String())
	}
	return values
}
