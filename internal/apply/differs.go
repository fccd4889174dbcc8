package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"nautes.io/nautes/internal/plan"
)

// DiffersRetry is the time after which an object that the cluster changed is written
// again: no watch reports that the cause is gone.
const DiffersRetry = 10 * time.Minute

// maxValue is the longest value in a message, in bytes.
const maxValue = 100

// DiffersError reports that the API server stored another value than was applied, for
// example because an admission webhook or a policy changes it. The object was written, and is
// not written again before DiffersRetry.
type DiffersError struct {
	ID     plan.ID
	Target plan.Target
	// Field that differs, for example spec.syncPolicy.automated.prune.
	Field string
	// Is and Applied are the two values. Both are empty for an object with secrets.
	Is, Applied string
}

// Error names the object, the field, the values and the remedy.
func (e *DiffersError) Error() string {
	values := e.Field + " has another value"
	if e.Applied != "" {
		values = fmt.Sprintf("%s is %s, and %s was applied", e.Field, e.Is, e.Applied)
	}
	return fmt.Sprintf("%s on %s differs from what was written: %s; change the admission webhook, the policy or the schema that causes it",
		e.ID, e.Target, values)
}

// Differs reports whether an error is that the cluster changed an object which was
// written.
func Differs(err error) bool {
	var differs *DiffersError
	return errors.As(err, &differs)
}

// compare returns an error if the stored object differs from the applied one, or nil.
func (p *pass) compare(in intent, applied, stored *unstructured.Unstructured) *DiffersError {
	for _, field := range slices.Sorted(maps.Keys(applied.Object)) {
		path, want, got := difference(applied.Object[field], stored.Object[field], field)
		if path == "" {
			continue
		}
		e := &DiffersError{ID: in.item.ID, Target: p.set.Target, Field: path}
		if len(in.item.Secrets) == 0 && in.gvk.Kind != "Secret" {
			e.Is, e.Applied = valueText(got), valueText(want)
		}
		return e
	}
	return nil
}

func valueText(value any) string {
	if value == nil {
		return "absent"
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "unreadable"
	}
	return plan.Words(string(text), maxValue)
}

// difference returns the path of the first applied value that was not stored, and both
// values, or "" if all were. Values that the server adds are no difference, and neither
// are other spellings of a number or a quantity.
func difference(want, got any, path string) (string, any, any) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		for _, key := range slices.Sorted(maps.Keys(w)) {
			if p, want, got := difference(w[key], g[key], path+"."+key); p != "" {
				return p, want, got
			}
		}
		return "", nil, nil
	case []any:
		g, ok := got.([]any)
		if !ok {
			break
		}
		for i, one := range w {
			if p, want, got := elementDifference(one, g, i, path); p != "" {
				return p, want, got
			}
		}
		return "", nil, nil
	}
	if isEmpty(want) && isEmpty(got) || sameScalar(want, got) {
		return "", nil, nil
	}
	return path, want, got
}

// elementDifference compares an element of a list with the one at the same place or, as
// other writers may add elements, with any other.
func elementDifference(want any, list []any, i int, path string) (string, any, any) {
	at := fmt.Sprintf("%s[%d]", path, i)
	var same any
	if i < len(list) {
		same = list[i]
	}
	p, w, g := difference(want, same, at)
	if p == "" || slices.ContainsFunc(list, func(other any) bool {
		p, _, _ := difference(want, other, at)
		return p == ""
	}) {
		return "", nil, nil
	}
	return p, w, g
}

// isEmpty reports whether a value may be left out.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case map[string]any:
		for _, inner := range v {
			if !isEmpty(inner) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	}
	return value == "" || value == false || value == int64(0) || value == float64(0)
}

func sameScalar(want, got any) bool {
	if want == nil || got == nil {
		return false
	}
	w, g := fmt.Sprint(want), fmt.Sprint(got)
	if w == g {
		return true
	}
	first, err := resource.ParseQuantity(w)
	if err != nil {
		return false
	}
	second, err := resource.ParseQuantity(g)
	return err == nil && first.Cmp(second) == 0
}
