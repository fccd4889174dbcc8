package plan

import (
	"fmt"
	"strings"
)

// JoinNames returns names as text of some length, in bytes, and at least the first name.
// It ends with the number of names that did not fit.
func JoinNames(names []string, length int) string {
	var text strings.Builder
	for i, name := range names {
		if i > 0 && text.Len()+len(name) > length {
			fmt.Fprintf(&text, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(name)
	}
	return text.String()
}

// Short returns kind, namespace and name of an object, for people.
func (id ID) Short() string {
	name := id.Name
	if id.Namespace != "" {
		name = id.Namespace + "/" + name
	}
	return id.Kind + " " + name
}

// JoinIDs returns the short names of objects as JoinNames does.
func JoinIDs(ids []ID, length int) string {
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		names = append(names, id.Short())
	}
	return JoinNames(names, length)
}
