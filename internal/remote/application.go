package remote

import (
	"context"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

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
	// Revision that is deployed, as far as Argo CD knows.
	Revision string
	// Compared is the source that Sync speaks of. It differs from the spec's
	// until Argo CD has looked at a changed Application.
	Compared ApplicationSource
	// Message says why the last operation or comparison failed; empty when it did not.
	Message string
}

// ApplicationSource is a directory of a repository at a revision.
type ApplicationSource struct{ RepoURL, Path, TargetRevision string }

// RuntimeFacts returns the kinds of runtime clusters that are watched as whole
// objects, with what is kept of them.
func RuntimeFacts() map[schema.GroupVersionKind]FactsFunc {
	return map[schema.GroupVersionKind]FactsFunc{applicationKind(): applicationFacts}
}

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
		app.Revision = status("sync", "revision")
	}
	if phase := status("operationState", "phase"); phase == "Failed" || phase == "Error" {
		app.Message = clip(status("operationState", "message"))
		return app
	}
	conditions, _, _ := unstructured.NestedFieldNoCopy(u.Object, "status", "conditions")
	list, _ := conditions.([]any)
	for _, c := range list {
		condition, _ := c.(map[string]any)
		kind, _ := condition["type"].(string)
		if message, _ := condition["message"].(string); strings.HasSuffix(kind, "Error") {
			app.Message = clip(message)
			break
		}
	}
	return app
}

// clip cuts a message to maxMessage bytes, between two characters.
func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	end := maxMessage
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
