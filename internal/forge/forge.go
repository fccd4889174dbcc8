// Package forge declares the properties of a kind of Git forge that Nautes depends on.
// It guarantees that no other package depends on one kind: each kind has a package
// below this one, and package forges finds it by its provider type.
package forge

import (
	"slices"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"

	"nautes.io/nautes/api/v1alpha1"
)

// AnyTokenUser is the user name for an access token of an unknown forge. Forges
// with access tokens accept any name.
const AnyTokenUser = "oauth2"

// Forge describes a kind of Git forge. It is data and pure functions: sending
// requests is the caller's job.
type Forge struct {
	// Type is the providerType of its CodeRepoProviders.
	Type string
	// Name is its name in messages.
	Name string
	// TokenUser is the user name for an access token over HTTP.
	TokenUser string
	Hooks     Hooks
	Events    Events
	Statuses  Statuses
	Pages     Pages
}

// Pages are the web pages of a repository: what follows its web address, up to the commit.
// They are empty if they are not known.
type Pages struct {
	// File is followed by commit/path, and Commit by the commit.
	File, Commit string
}

// Hooks describes the requests that the hooks of a forge send.
type Hooks struct {
	// EventHeader has the name of the event.
	EventHeader string
	// PushEvents are the events of pushes to branches, by their names in the forge's API.
	PushEvents []string
	// Proofs are the ways to prove that the sender knows the token of the hook, the
	// strongest first. A delivery must hold by the first whose header it has.
	Proofs []Proof
	// ChangesBranch reports whether an event can have changed the content of a branch, and
	// returns the push that it announces. It returns an error for a body that the forge
	// does not send.
	ChangesBranch func(event string, body []byte) (push Push, changes bool, err error)
}

// Proof is a way in which a delivery proves that its sender knows the token of the hook.
type Proof struct {
	// Header has the proof: the token itself or a signature.
	Header string
	// IDHeader has the id of the delivery, which is the same when the forge sends it
	// again. If it is empty, a proof is of one delivery only.
	IDHeader string
	// TimeHeader has the time at which the delivery was sent, in seconds since 1970. It
	// is empty if the forge sends none that the proof covers.
	TimeHeader string
	// Signed reports whether the proof depends on the body.
	Signed bool
	// Proves reports whether a delivery proves a token. It takes the same time for each
	// wrong proof.
	Proves func(d Delivery, token string) bool
}

// Delivery is the part of a request that a Proof is about. The fields of headers that
// the Proof does not name are empty.
type Delivery struct {
	Proof, ID, Time string
	Body            []byte
}

// Push is the content of an event about a push. Its sender chooses it, so it is a hint only.
type Push struct {
	// Ref is the full name of the branch or tag, and Commit its new head. Both may be
	// empty.
	Ref, Commit string
}

// Events describes how pipelines listen to a forge.
type Events struct {
	// Source is the type of the event sources that listen to it.
	Source v1alpha1.EventSourceType
	// Named returns the forge's name of an event that a CodeRepo lists, or "" if the
	// forge does not have it.
	Named func(v1alpha1.GitLabEvent) string
	// SourceOf returns the repository that an event source listens to, or false if it
	// is not in this forge.
	SourceOf func(v1alpha1.EventSource) (Source, bool)
	// Listen adds an entry to an EventSource that accepts the deliveries of a hook.
	Listen func(spec *argoevents.EventSourceSpec, name string, hook Listener)
	// SecretData are the contents that the Secret of a Listener must have beside the
	// token.
	SecretData map[string]string
	// Program turns a delivery into the data that sensors filter and launchers
	// get. Package sensorlua describes its result and the functions it can use.
	Program Program
}

// Source is the part of an event source that is about a repository.
type Source struct {
	// Repository is the name of the CodeRepo.
	Repository string
	// Events have the names of the forge's API. They are sorted, without duplicates.
	Events []string
	// What lists the accepted values of the field "what" in the data of the Program.
	What []string
	// Revision is the Lua pattern that refs must match; empty matches every event.
	Revision string
}

// NewSource returns the source of the events of a repository. kinds returns the kinds of an
// event that count.
func NewSource[E ~string](repository, revision string, events []E, kinds func(event string) []string) Source {
	source := Source{Repository: repository, Revision: revision}
	for _, event := range events {
		source.Events = append(source.Events, string(event))
	}
	slices.Sort(source.Events)
	source.Events = slices.Compact(source.Events)
	for _, event := range source.Events {
		source.What = append(source.What, kinds(event)...)
	}
	return source
}

// Listed returns the events that a code repository lists, by their names in the forge.
func (e Events) Listed(repo *v1alpha1.CodeRepo) []string {
	if repo == nil || repo.Spec.Webhook == nil {
		return nil
	}
	var events []string
	for _, event := range repo.Spec.Webhook.Events {
		if name := e.Named(event); name != "" {
			events = append(events, name)
		}
	}
	return events
}

// Sent returns the events that the hook of a code repository sends: the ones that a
// source listens to, and the ones that the repository lists. It is sorted.
func (e Events) Sent(source Source, repo *v1alpha1.CodeRepo) []string {
	events := append(slices.Clone(source.Events), e.Listed(repo)...)
	slices.Sort(events)
	return slices.Compact(events)
}

// TokenKey is the key of the hook's token in the Secret of a Listener.
const TokenKey = "token"

// Listener describes the hook whose deliveries an EventSource accepts.
type Listener struct {
	// Webhook is the address at which the forge calls.
	Webhook argoevents.WebhookContext
	// Server is the URL of the forge's API.
	Server string
	// Secret is the name of the Secret with the token of the hook, under TokenKey.
	Secret string
	// Events have the names of the forge's API.
	Events []string
}

// Program is a Lua program.
type Program struct {
	// File is its file name, Source its text.
	File, Source string
}
