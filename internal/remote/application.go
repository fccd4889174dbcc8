package remote

import (
	"cmp"
	"context"
	"reflect"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"nautes.io/nautes/internal/plan"
)

// maxMessage is how much of a message of Argo CD is kept, in bytes.
const maxMessage = 1024

// Application is what Argo CD says of one of its Applications.
type Application struct {
	// Sync is Synced, OutOfSync or Unknown; empty before Argo CD has looked.
	Sync string
	// Health is Healthy, Progressing, Degraded, Suspended, Missing or Unknown;
	// empty before Argo CD has looked.
	Health string
	// Revision that is deployed, as far as Argo CD knows; those of several
	// sources with commas between them.
	Revision string
	// Compared is the source that Sync speaks of. It differs from the spec's
	// until Argo CD has looked at a changed Application. It is empty for an
	// Application of several sources.
	Compared ApplicationSource
	// Current: Sync speaks of the sources that the spec has now, with their
	// values, however many they are.
	Current bool
	// Message says why the last operation or comparison failed, or else which
	// object makes the Application Degraded; empty when nothing does.
	Message string
}

// ApplicationSource is a directory of a repository at a revision.
type ApplicationSource struct{ RepoURL, Path, TargetRevision string }

// Application returns what the cache knows of an Application that carries the
// tenant's labels; nil when there is none. An error when the cache has not
// synced, or when the connection does not watch Applications as whole objects.
func (c *Conn) Application(_ context.Context, namespace, name string) (*Application, error) {
	gvk := applicationKind()
	o, err := c.lookup(plan.ID{Group: gvk.Group, Kind: gvk.Kind, Namespace: namespace, Name: name})
	if err != nil || o == nil {
		return nil, err
	}
	app, ok := o.facts.(Application)
	if !ok {
		return nil, &UnknownKindError{Group: gvk.Group, Kind: gvk.Kind}
	}
	return &app, nil
}

func applicationFacts(u *unstructured.Unstructured) any {
	status := func(path ...string) string {
		s, _, _ := unstructured.NestedString(u.Object, append([]string{"status"}, path...)...)
		return s
	}
	app := Application{
		Sync:     status("sync", "status"),
		Health:   status("health", "status"),
		Revision: status("operationState", "syncResult", "revision"),
		Compared: ApplicationSource{
			RepoURL:        status("sync", "comparedTo", "source", "repoURL"),
			Path:           status("sync", "comparedTo", "source", "path"),
			TargetRevision: status("sync", "comparedTo", "source", "targetRevision"),
		},
	}
	// A new commit that changes nothing is Synced without an operation.
	if app.Sync == "Synced" || app.Revision == "" {
		revisions, _, _ := unstructured.NestedStringSlice(u.Object, "status", "sync", "revisions")
		app.Revision = cmp.Or(status("sync", "revision"), strings.Join(revisions, ","))
	}
	app.Current = app.Sync != "" && lookedAt(u.Object)
	app.Message = clip(trouble(u.Object, app.Health, status("operationState", "phase"), status("operationState", "message")))
	return app
}

// lookedAt tells whether Argo CD has looked at the sources as they are now.
func lookedAt(app map[string]any) bool {
	some := false
	for _, field := range []string{"source", "sources"} {
		wanted, _, _ := unstructured.NestedFieldNoCopy(app, "spec", field)
		compared, _, _ := unstructured.NestedFieldNoCopy(app, "status", "sync", "comparedTo", field)
		if !reflect.DeepEqual(filled(wanted), filled(compared)) {
			return false
		}
		some = some || filled(wanted) != nil
	}
	return some
}

// filled returns a value without what says nothing: Argo CD writes some fields
// without a value, and drops others.
func filled(value any) any {
	switch v := value.(type) {
	case string:
		if v == "" {
			return nil
		}
	case map[string]any:
		out := map[string]any{}
		for key, inner := range v {
			if inner = filled(inner); inner != nil {
				out[key] = inner
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, inner := range v {
			out = append(out, filled(inner))
		}
		if len(out) == 0 {
			return nil
		}
		return out
	}
	return value
}

// trouble says what is wrong with an Application: with its last operation, its
// comparison or, when it is Degraded, one of its objects.
func trouble(app map[string]any, health, phase, message string) string {
	if phase == "Failed" || phase == "Error" {
		return message
	}
	for _, condition := range entries(app, "conditions") {
		if kind, _ := condition["type"].(string); strings.HasSuffix(kind, "Error") {
			message, _ := condition["message"].(string)
			return message
		}
	}
	if health != "Degraded" {
		return ""
	}
	for _, resource := range entries(app, "resources") {
		text := func(path ...string) string {
			s, _, _ := unstructured.NestedString(resource, path...)
			return s
		}
		if text("health", "status") == health {
			object := plan.ID{Group: text("group"), Kind: text("kind"), Namespace: text("namespace"), Name: text("name")}
			return strings.TrimSuffix(object.String()+": "+text("health", "message"), ": ")
		}
	}
	return ""
}

// entries returns the objects in a list of an object's status.
func entries(app map[string]any, field string) []map[string]any {
	value, _, _ := unstructured.NestedFieldNoCopy(app, "status", field)
	list, _ := value.([]any)
	var out []map[string]any
	for _, one := range list {
		if entry, ok := one.(map[string]any); ok {
			out = append(out, entry)
		}
	}
	return out
}

// clip cuts a message to maxMessage bytes, between two characters.
func clip(s string) string { return clipTo(s, maxMessage) }

func clipTo(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
