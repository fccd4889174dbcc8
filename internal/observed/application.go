package observed

import (
	"cmp"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"nautes.io/nautes/internal/plan"
)

// maxMessage is the longest message that is kept, in bytes.
const maxMessage = 1024

// Application is the state of an Argo CD Application.
type Application struct {
	// Sync is Synced, OutOfSync or Unknown, or empty before the first comparison.
	Sync string
	// Health is Healthy, Progressing, Degraded, Suspended, Missing or Unknown, or
	// empty before the first comparison.
	Health string
	// Revision that is deployed, as far as Argo CD knows. The revisions of several
	// sources are separated by commas.
	Revision string
	// Compared is the source to which Sync refers. It differs from the spec's until
	// Argo CD has compared a changed Application. It is empty for an Application
	// with several sources.
	Compared ApplicationSource
	// Current reports whether Sync refers to all sources of the present spec, with
	// their values.
	Current bool
	// Message explains why the last operation or comparison failed, or which object
	// makes the Application Degraded. It is empty otherwise.
	Message string
}

// ApplicationSource is a directory of a repository at a revision.
type ApplicationSource struct{ RepoURL, Path, TargetRevision string }

// ApplicationOf returns the state of an Argo CD Application.
func ApplicationOf(u *unstructured.Unstructured) Application {
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
	// Argo CD needs no operation for a new commit without changes.
	if app.Sync == "Synced" || app.Revision == "" {
		revisions, _, _ := unstructured.NestedStringSlice(u.Object, "status", "sync", "revisions")
		app.Revision = cmp.Or(status("sync", "revision"), strings.Join(revisions, ","))
	}
	app.Current = app.Sync != "" && comparedCurrentSources(u.Object)
	app.Message = clip(failure(u.Object, app.Health, status("operationState", "phase"), status("operationState", "message")), maxMessage)
	return app
}

// comparedCurrentSources reports whether Argo CD has compared the sources of the
// present spec.
func comparedCurrentSources(app map[string]any) bool {
	some := false
	for _, field := range []string{"source", "sources"} {
		wanted, _, _ := unstructured.NestedFieldNoCopy(app, "spec", field)
		compared, _, _ := unstructured.NestedFieldNoCopy(app, "status", "sync", "comparedTo", field)
		if !reflect.DeepEqual(withoutEmpty(wanted), withoutEmpty(compared)) {
			return false
		}
		some = some || withoutEmpty(wanted) != nil
	}
	return some
}

// withoutEmpty removes empty fields from a value, since Argo CD adds some and
// drops others. It returns nil if nothing is left.
func withoutEmpty(value any) any {
	switch v := value.(type) {
	case string:
		if v == "" {
			return nil
		}
	case map[string]any:
		out := map[string]any{}
		for key, inner := range v {
			if inner = withoutEmpty(inner); inner != nil {
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
			out = append(out, withoutEmpty(inner))
		}
		if len(out) == 0 {
			return nil
		}
		return out
	}
	return value
}

// failure returns the message of a failed operation or comparison or, if the
// Application is Degraded, of one of its objects. It returns "" if there is none.
func failure(app map[string]any, health, phase, message string) string {
	if phase == "Failed" || phase == "Error" {
		return message
	}
	for _, condition := range statusList(app, "conditions") {
		if kind, _ := condition["type"].(string); strings.HasSuffix(kind, "Error") {
			message, _ := condition["message"].(string)
			return message
		}
	}
	if health != "Degraded" {
		return ""
	}
	for _, resource := range statusList(app, "resources") {
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
