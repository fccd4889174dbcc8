// Package gitea describes Gitea: its names, headers, events and API. It is pure and
// guarantees that this knowledge is in one place.
package gitea

import (
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	corev1 "k8s.io/api/core/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge"
)

// Type is the provider type of Gitea.
const Type = "gitea"

const (
	name = "Gitea"
	// Gitea takes the token as password of any user.
	tokenUser = forge.AnyTokenUser
	// placeholder is the organization of a listener, which Argo Events wants to have,
	// and which it does not use without an access token.
	placeholder = "none"
)

//go:embed program.lua
var program string

// Forge returns the description of Gitea.
func Forge() forge.Forge {
	return forge.Forge{
		Type: Type, Name: name, TokenUser: tokenUser,
		Hooks: forge.Hooks{
			// The signature covers no id and no time. It is of one delivery, because the
			// content of each push is another one.
			EventHeader: "X-Gitea-Event", PushEvents: []string{push}, ChangesBranch: changesBranch,
			Proofs: []forge.Proof{{Header: "X-Gitea-Signature", Signed: true, Proves: proves}},
		},
		Events: forge.Events{
			Source: v1alpha1.EventSourceGitea, Named: named, SourceOf: sourceOf, Listen: listen,
			Program: forge.Program{File: "gitea.lua", Source: program},
		},
		Statuses: statuses{},
		Pages:    forge.Pages{File: "/src/commit/", Commit: "/commit/"},
	}
}

// proves compares a signature: the HMAC-SHA256 of the body in hexadecimal digits. They
// are in lower case, so that a delivery has one proof.
func proves(d forge.Delivery, token string) bool {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write(d.Body)
	return hmac.Equal([]byte(d.Proof), []byte(hex.EncodeToString(mac.Sum(nil))))
}

// changed is the part of a push event that decides about a fetch.
type changed struct {
	// After is the hash of the new head; zeros if the branch or tag was deleted.
	After string `json:"after"`
	Ref   string `json:"ref"`
}

func changesBranch(event string, body []byte) (forge.Push, bool, error) {
	var p changed
	if err := json.Unmarshal(body, &p); err != nil {
		return forge.Push{}, false, err
	}
	if event != push {
		return forge.Push{}, false, nil
	}
	return forge.Push{Ref: p.Ref, Commit: p.After}, p.After == "" || strings.Trim(p.After, "0") != "", nil
}

func sourceOf(e v1alpha1.EventSource) (forge.Source, bool) {
	if e.Gitea == nil {
		return forge.Source{}, false
	}
	return forge.NewSource(e.Gitea.RepoName, e.Gitea.Revision, e.Gitea.Events, func(event string) []string { return what(event, e.Gitea) }), true
}

// what returns the kinds of an event that count. By default they are the ones after
// which there is new code to run on.
func what(event string, source *v1alpha1.GiteaEventSource) []string {
	switch event {
	case pullRequest:
		actions := source.PullRequestActions
		if len(actions) == 0 {
			actions = []v1alpha1.GiteaPullRequestAction{v1alpha1.PullRequestOpened, v1alpha1.PullRequestReopened, v1alpha1.PullRequestSynchronized}
		}
		var kinds []string
		for _, action := range actions {
			kinds = append(kinds, event+":"+string(action))
		}
		slices.Sort(kinds)
		return slices.Compact(kinds)
	case release:
		return []string{release + ":published"}
	}
	return []string{event}
}

// listen adds an entry that only listens. Argo Events has no entry for Gitea, whose
// deliveries carry the signature of GitHub's as well.
func listen(spec *argoevents.EventSourceSpec, name string, hook forge.Listener) {
	if spec.Github == nil {
		spec.Github = map[string]argoevents.GithubEventSource{}
	}
	spec.Github[name] = argoevents.GithubEventSource{
		Webhook: &hook.Webhook, Events: hook.Events, ContentType: "json", Organizations: []string{placeholder},
		WebhookSecret: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: hook.Secret}, Key: forge.TokenKey},
	}
}
