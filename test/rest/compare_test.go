package rest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// missing returns the parts of want that got does not hold. Objects may have more
// keys; lists have the wanted items in this order and no others.
func missing(path string, want, got any) []string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s: want an object, got %v", path, got)}
		}
		var all []string
		for _, key := range slices.Sorted(maps.Keys(w)) {
			all = append(all, missing(path+"."+key, w[key], g[key])...)
		}
		return all
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return []string{fmt.Sprintf("%s: want %d items, got %v", path, len(w), got)}
		}
		var all []string
		for i := range w {
			all = append(all, missing(fmt.Sprintf("%s[%d]", path, i), w[i], g[i])...)
		}
		return all
	}
	if fmt.Sprint(want) != fmt.Sprint(got) {
		return []string{fmt.Sprintf("%s: want %v, got %v", path, want, got)}
	}
	return nil
}

// withoutZero removes the values of an object that mean the same as an absent key.
func withoutZero(value any) any {
	switch container := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for key, inner := range container {
			if inner = withoutZero(inner); inner != nil {
				kept[key] = inner
			}
		}
		if len(kept) == 0 {
			return nil
		}
		return kept
	case []any:
		if len(container) == 0 {
			return nil
		}
		kept := make([]any, len(container))
		for i, inner := range container {
			kept[i] = withoutZero(inner)
		}
		return kept
	case string:
		if container == "" {
			return nil
		}
	case bool:
		if !container {
			return nil
		}
	}
	return value
}

// located returns the wanted locations for which no error of the problem document has one.
func located(p *problem, errors []any) []string {
	var have []string
	for _, e := range errors {
		if object, ok := e.(map[string]any); ok {
			have = append(have, fmt.Sprint(object["location"]))
		}
	}
	var all []string
	for _, wanted := range p.Locations {
		if !slices.ContainsFunc(wanted, func(location string) bool { return slices.Contains(have, location) }) {
			all = append(all, fmt.Sprintf("no error at %s; the errors are at %s", strings.Join(wanted, " or "), strings.Join(have, ", ")))
		}
	}
	return all
}
