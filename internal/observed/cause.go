package observed

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"nautes.io/nautes/internal/plan"
)

// Cause is the kind of the message of an Application.
type Cause string

// The causes, in the order in which they are looked for.
const (
	// CauseError: Argo CD reports an error now, for example while it compares.
	CauseError Cause = "error"
	// CauseRetried: an operation failed and is tried again.
	CauseRetried Cause = "retried"
	// CauseWaits: an operation waits, for example for a hook.
	CauseWaits Cause = "waits"
	// CauseFailed: the operation for the present revision failed for good.
	CauseFailed Cause = "failed"
	// CauseHook: everything is deployed, but a hook of the operation failed.
	CauseHook Cause = "hook"
	// CauseWarning: Argo CD warns, for example of an object of two Applications.
	CauseWarning Cause = "warning"
	// CauseObject: an object differs from its manifest.
	CauseObject Cause = "object"
)

// Failed reports whether the cause is a failure, after which nothing may follow.
func (c Cause) Failed() bool { return c == CauseError || c == CauseRetried || c == CauseFailed }

// Words of Argo CD in its objects.
const (
	synced      = "Synced"
	outOfSync   = "OutOfSync"
	healthy     = "Healthy"
	running     = "Running"
	failed      = "Failed"
	errored     = "Error"
	syncError   = "SyncError"
	waitingFor  = "waiting for "
	blockedSync = "Sync operation blocked by sync window"
)

// retryNote is the end of the message of an operation that is tried again. It names
// a time of the day, and a time-out that was none.
var retryNote = regexp.MustCompile(`( due to application controller sync timeout)?\. Retrying attempt #\d+ at [^ ]+$`)

// operation is the last operation of an Application.
type operation struct {
	phase, message, revision string
	// retried reports whether an attempt has failed before.
	retried bool
	// blamed is the first object that was refused or failed, with its message, and
	// hook reports whether it is a hook.
	blamed string
	hook   bool
	// stale reports whether the operation deployed another source.
	stale bool
	// underWay reports whether it has not ended, and automated whether Argo CD
	// started it.
	underWay, automated bool
	started             string
}

func operationOf(app map[string]any) operation {
	state := mapAt(app, "status", "operationState")
	op := operation{
		phase: text(state, "phase"), message: text(state, "message"), started: text(state, "startedAt"),
		revision: cmp.Or(revision(state, "syncResult"), revision(state, "operation", "sync")),
	}
	switch retries := state["retryCount"].(type) {
	case int64:
		op.retried = retries > 0
	case float64:
		op.retried = retries > 0
	}
	op.blamed, op.hook = blamed(app, state)
	op.automated, _, _ = unstructured.NestedBool(state, "operation", "initiatedBy", "automated")
	op.underWay = op.phase == running && mapAt(app, "operation") != nil
	for _, field := range []string{"source", "sources"} {
		deployed, _, _ := unstructured.NestedFieldNoCopy(state, "syncResult", field)
		wanted, _, _ := unstructured.NestedFieldNoCopy(app, "spec", field)
		op.stale = op.stale || withoutEmpty(deployed) != nil && !same(deployed, wanted)
	}
	return op
}

// blamed returns the first object that an operation could not deploy, with its
// message, and whether it is a hook. It returns "" if there is none.
func blamed(app, state map[string]any) (object string, hook bool) {
	for _, resource := range listAt(state, "syncResult", "resources") {
		verb := " failed"
		switch phase := text(resource, "hookPhase"); {
		case text(resource, "status") == "SyncFailed":
			verb = " refused"
		case phase != failed && phase != errored:
			continue
		}
		return syncedID(app, resource).String() + strings.TrimSuffix(verb+": "+text(resource, "message"), ": "), text(resource, "hookType") != ""
	}
	return "", false
}

// explain sets the newest cause of the state. A failure of the past hides neither an
// error of the present nor a success.
func (a *Application) explain(app map[string]any, op operation, latest string, deleted bool) {
	because := func(cause Cause, message string) bool {
		if message == "" {
			return false
		}
		a.Cause, a.Message = cause, clip(message, maxMessage)
		if cause == CauseRetried || cause == CauseWaits || cause == CauseFailed {
			a.Attempt = op.revision
			if latest != op.revision && op.revision != "" {
				a.Next = latest
			}
		}
		return true
	}
	overtaken := op.revision != "" && latest != "" && op.revision != latest
	isOld := op.stale || overtaken
	hasFailed := op.phase == failed || op.phase == errored
	detail := cmp.Or(op.blamed, retryNote.ReplaceAllString(op.message, ""))
	if message, _ := newest(app, isError); because(CauseError, message) {
		return
	}
	if op.phase == running {
		waits := strings.HasPrefix(op.message, waitingFor)
		// A comparison from before the operation knows nothing newer.
		compared := cmp.Or(text(app, "status", "reconciledAt"), op.started)
		replaced := op.automated && overtaken && (a.Sync == synced || a.Sync == outOfSync) && op.started <= compared
		a.Superseded = op.underWay && (op.retried || waits) && (replaced || deleted)
		switch {
		case (waits || strings.HasPrefix(op.message, blockedSync)) && because(CauseWaits, op.message):
			return
		case op.retried && because(CauseRetried, detail):
			return
		case because(CauseFailed, op.blamed):
			return
		}
	}
	if a.Sync == synced {
		if hasFailed && !isOld && op.hook && because(CauseHook, op.blamed) {
			return
		}
	} else {
		if hasFailed && !isOld && because(CauseFailed, detail) {
			return
		}
		message, _ := newest(app, func(kind string) bool { return kind == syncError })
		if !(isOld && strings.Contains(message, op.revision)) && because(CauseError, message) {
			return
		}
	}
	if message, kind := newest(app, func(kind string) bool { return strings.HasSuffix(kind, "Warning") }); message != "" {
		because(CauseWarning, kind+": "+message)
		return
	}
	because(CauseObject, differing(app, a.Sync))
}

// isError reports whether conditions of a type are errors of the present. A SyncError
// may be about an earlier operation.
func isError(kind string) bool { return strings.HasSuffix(kind, "Error") && kind != syncError }

// newest returns the message and the type of the newest condition of some types. The
// first of several with the same time counts.
func newest(app map[string]any, wanted func(kind string) bool) (message, kind string) {
	since := ""
	for _, condition := range statusList(app, "conditions") {
		at := text(condition, "lastTransitionTime")
		if wanted(text(condition, "type")) && text(condition, "message") != "" && (kind == "" || at > since) {
			message, kind, since = clip(text(condition, "message"), maxMessage), text(condition, "type"), at
		}
	}
	return message, kind
}

// differing returns the first object that differs from its manifest, or "" if the
// Application is not OutOfSync.
func differing(app map[string]any, sync string) string {
	if sync != outOfSync {
		return ""
	}
	for _, resource := range statusList(app, "resources") {
		if text(resource, "status") != outOfSync {
			continue
		}
		if pruned, _, _ := unstructured.NestedBool(resource, "requiresPruning"); pruned {
			return idOf(resource).String() + " is still to be removed"
		}
		return idOf(resource).String() + " differs from its manifest"
	}
	return ""
}

// faultOf returns the first object with a health, and its message, or "" for a health
// that is good. Without such an object it returns the message of the Application.
func faultOf(app map[string]any, health string) string {
	if health == "" || health == healthy {
		return ""
	}
	for _, resource := range statusList(app, "resources") {
		if text(resource, "health", "status") == health {
			return clip(strings.TrimSuffix(idOf(resource).String()+": "+text(resource, "health", "message"), ": "), maxMessage)
		}
	}
	return clip(text(app, "status", "health", "message"), maxMessage)
}

func idOf(resource map[string]any) plan.ID {
	return plan.ID{
		Group: text(resource, "group"), Kind: text(resource, "kind"), Namespace: text(resource, "namespace"), Name: text(resource, "name"),
	}
}

// revision returns the revision below a path, or the revisions, separated by commas.
func revision(object map[string]any, path ...string) string {
	field := func(name string) []string { return append(append([]string{}, path...), name) }
	several, _, _ := unstructured.NestedStringSlice(object, field("revisions")...)
	return cmp.Or(text(object, field("revision")...), strings.Join(several, ","))
}

// syncedID returns the ID of an object in the result of a sync. There Argo CD gives objects
// without a namespace the one of the Application's destination.
func syncedID(app, resource map[string]any) plan.ID {
	id := idOf(resource)
	bare := id
	bare.Namespace = ""
	// Among the objects of the Application they have none.
	if hasNoNamespace(id) || slices.ContainsFunc(statusList(app, "resources"), func(known map[string]any) bool { return idOf(known) == bare }) {
		return bare
	}
	return id
}

// hasNoNamespace reports whether an object is of a kind of Kubernetes that is not in
// namespaces, and that people deploy.
func hasNoNamespace(id plan.ID) bool {
	kinds := map[string][]string{
		"":                             {"Namespace", "Node", "PersistentVolume"},
		"rbac.authorization.k8s.io":    {"ClusterRole", "ClusterRoleBinding"},
		"apiextensions.k8s.io":         {"CustomResourceDefinition"},
		"apiregistration.k8s.io":       {"APIService"},
		"networking.k8s.io":            {"IngressClass"},
		"scheduling.k8s.io":            {"PriorityClass"},
		"storage.k8s.io":               {"StorageClass", "CSIDriver", "VolumeAttachment"},
		"admissionregistration.k8s.io": {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"},
	}
	return slices.Contains(kinds[id.Group], id.Kind)
}
