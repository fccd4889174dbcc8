package observed

import (
	"cmp"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// objectFormat is in Argo CD's error about a repository with SHA-256 objects, which is the
// answer of the server that it does not understand.
const objectFormat = "object-format=sha256"

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
	// Message is the newest cause of the state, in the words of Argo CD, and Cause is
	// its kind. Both are empty if there is none.
	Message string
	Cause   Cause
	// Attempt is the revision of the operation that Message is about, if any.
	Attempt string
	// Next is the revision that follows Attempt: Argo CD has compared it already.
	Next string
	// Superseded reports whether an operation that is tried again, or that waits for a
	// hook or an object, holds up Next or the deletion of the Application.
	Superseded bool
	// Fault is the first object with the health of the Application, and its message.
	// It is empty for a healthy Application.
	Fault string
	// Held is the reason for which an Application that is deleted is not gone.
	Held string
}

// ApplicationSource is a directory of a repository at a revision.
type ApplicationSource struct{ RepoURL, Path, TargetRevision string }

// ApplicationOf returns the state of an Argo CD Application.
func ApplicationOf(u *unstructured.Unstructured) Application {
	status := func(path ...string) string { return text(u.Object, append([]string{"status"}, path...)...) }
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
	latest := revision(u.Object, "status", "sync")
	// Argo CD needs no operation for a new commit without changes.
	if app.Sync == synced || app.Revision == "" {
		app.Revision = latest
	}
	app.Current = app.Sync != "" && comparedCurrentSources(u.Object)
	app.Fault = faultOf(u.Object, app.Health)
	op, deleted := operationOf(u.Object), u.GetDeletionTimestamp() != nil
	if deleted {
		app.Held, _ = newest(u.Object, func(kind string) bool { return kind == "DeletionError" })
		if app.Held == "" && op.underWay {
			app.Held = clip("its operation has not ended: "+cmp.Or(op.blamed, op.message), maxMessage)
		}
	}
	app.explain(u.Object, op, latest, deleted)
	if strings.Contains(app.Message, objectFormat) {
		app.Message = "Argo CD cannot read a repository with SHA-256 objects: use one with SHA-1 for manifests"
	}
	return app
}

// comparedCurrentSources reports whether Argo CD has compared the sources of the
// present spec.
func comparedCurrentSources(app map[string]any) bool {
	some := false
	for _, field := range []string{"source", "sources"} {
		wanted, _, _ := unstructured.NestedFieldNoCopy(app, "spec", field)
		compared, _, _ := unstructured.NestedFieldNoCopy(app, "status", "sync", "comparedTo", field)
		if !same(wanted, compared) {
			return false
		}
		some = some || withoutEmpty(wanted) != nil
	}
	return some
}

// same reports whether two values are equal but for empty fields.
func same(a, b any) bool { return reflect.DeepEqual(withoutEmpty(a), withoutEmpty(b)) }

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
