// Package gitlab describes GitLab: its names, headers, events and API. It is pure
// and guarantees that this knowledge is in one place.
package gitlab

import (
	"encoding/json"
	"slices"
	"strings"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	corev1 "k8s.io/api/core/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge"
)

// Type is the provider type of GitLab.
const Type = "gitlab"

const (
	name      = "GitLab"
	tokenUser = "oauth2"

	// Argo Events checks the token of a delivery only if the event source also has an
	// access token for GitLab. Without projects it does not use the access token, so
	// the placeholder opens nothing.
	keyPlaceholder = "placeholder"
	placeholder    = "not-a-token"
)

// Forge returns the description of GitLab.
func Forge() forge.Forge {
	return forge.Forge{
		Type: Type, Name: name, TokenUser: tokenUser,
		Hooks: forge.Hooks{EventHeader: "X-Gitlab-Event", PushEvents: []string{"push_events"}, Proofs: proofs(), ChangesBranch: changesBranch},
		Events: forge.Events{
			Source: v1alpha1.EventSourceGitLab, Named: named, SourceOf: sourceOf, Listen: listen,
			SecretData: map[string]string{keyPlaceholder: placeholder},
			Program:    forge.Program{File: "gitlab.lua", Source: program},
		},
		Statuses: statuses{},
		Pages:    forge.Pages{File: "/-/blob/", Commit: "/-/commit/"},
	}
}

// named returns the name that a CodeRepo lists, because those are GitLab's.
func named(event v1alpha1.GitLabEvent) string { return string(event) }

// push is the part of a push event that decides about a fetch.
type push struct {
	// Name is set in system hooks, where the header has no name of the event.
	Name string `json:"event_name"`
	// After is the hash of the new head; zeros if the branch or tag was deleted.
	After string `json:"after"`
	// Ref is any value, because older hooks are not held to it.
	Ref any `json:"ref"`
}

func changesBranch(event string, body []byte) (forge.Push, bool, error) {
	var p push
	if err := json.Unmarshal(body, &p); err != nil {
		return forge.Push{}, false, err
	}
	switch event {
	case "Push Hook", "Tag Push Hook":
	case "System Hook":
		if p.Name != "push" && p.Name != "tag_push" {
			return forge.Push{}, false, nil
		}
	default:
		return forge.Push{}, false, nil
	}
	ref, _ := p.Ref.(string)
	return forge.Push{Ref: ref, Commit: p.After}, p.After == "" || strings.Trim(p.After, "0") != "", nil
}

func sourceOf(e v1alpha1.EventSource) (forge.Source, bool) {
	if e.GitLab == nil {
		return forge.Source{}, false
	}
	return forge.NewSource(e.GitLab.RepoName, e.GitLab.Revision, e.GitLab.Events, func(event string) []string { return what(event, e.GitLab) }), true
}

// The events of which only some kinds count.
const (
	mergeRequests = "merge_requests_events"
	deployments   = "deployment_events"
)

// what returns the kinds of an event that count. By default they are the ones after
// which there is new code to run on, and of a deployment only one.
func what(event string, source *v1alpha1.GitLabEventSource) []string {
	var kinds []string
	switch event {
	case mergeRequests:
		actions := source.MergeRequestActions
		if len(actions) == 0 {
			actions = []v1alpha1.GitLabMergeRequestAction{v1alpha1.MergeRequestOpen, v1alpha1.MergeRequestPush, v1alpha1.MergeRequestReopen}
		}
		for _, action := range actions {
			kinds = append(kinds, event+":"+string(action))
		}
	case deployments:
		statuses := source.DeploymentStatuses
		if len(statuses) == 0 {
			statuses = []v1alpha1.GitLabDeploymentStatus{v1alpha1.DeploymentSuccess}
		}
		for _, status := range statuses {
			kinds = append(kinds, event+":"+string(status))
		}
	default:
		kinds = []string{event}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// listen adds an entry that only listens: it has no project whose hooks it could manage.
func listen(spec *argoevents.EventSourceSpec, name string, hook forge.Listener) {
	key := func(name string) *corev1.SecretKeySelector {
		return &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: hook.Secret}, Key: name}
	}
	entry := argoevents.GitlabEventSource{
		Webhook: &hook.Webhook, AccessToken: key(keyPlaceholder), SecretToken: key(forge.TokenKey),
		EnableSSLVerification: true, GitlabBaseURL: hook.Server,
	}
	for _, event := range hook.Events {
		entry.Events = append(entry.Events, argoName(event))
	}
	if spec.Gitlab == nil {
		spec.Gitlab = map[string]argoevents.GitlabEventSource{}
	}
	spec.Gitlab[name] = entry
}

// argoName returns PushEvents for push_events.
func argoName(event string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(event, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
