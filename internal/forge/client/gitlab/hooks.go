package gitlab

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/internal/forge/client"
	forge "nautes.io/nautes/internal/forge/gitlab"
)

// eventsOf returns the events of a hook: the fields of its JSON that end in _events.
func eventsOf(h *api.ProjectHook) ([]string, error) {
	encoded, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	if err := json.Unmarshal(encoded, &fields); err != nil {
		return nil, err
	}
	events := []string{}
	for name, value := range fields {
		if on, isFlag := value.(bool); isFlag && on && strings.HasSuffix(name, "_events") {
			events = append(events, name)
		}
	}
	slices.Sort(events)
	return events, nil
}

func hookOf(h *api.ProjectHook) (client.Hook, error) {
	events, err := eventsOf(h)
	return client.Hook{
		ID: h.ID, URL: h.URL, Events: events, Signed: h.SigningTokenPresent, Disabled: h.AlertStatus != "" && h.AlertStatus != "executable",
	}, err
}

func (c *Client) hooks(ctx context.Context, action string, repository int64) ([]*api.ProjectHook, error) {
	found, response, err := all(func(o api.ListOptions) ([]*api.ProjectHook, *api.Response, error) {
		return c.api.Projects.ListProjectHooks(repository, &api.ListProjectHooksOptions{ListOptions: o}, api.WithContext(ctx))
	})
	slices.SortFunc(found, func(a, b *api.ProjectHook) int { return cmp.Compare(a.ID, b.ID) })
	return found, c.failure(action, response, err)
}

// Hooks implements client.HookClient.
func (c *Client) Hooks(ctx context.Context, repository int64) ([]client.Hook, error) {
	action := numbered("list the hooks of repository", repository)
	found, err := c.hooks(ctx, action, repository)
	if err != nil {
		return nil, err
	}
	hooks := make([]client.Hook, 0, len(found))
	for _, h := range found {
		hook, err := hookOf(h)
		if err != nil {
			return nil, c.failure(action, nil, err)
		}
		hooks = append(hooks, hook)
	}
	return hooks, nil
}

// hookRequest is one call of EnsureHook.
type hookRequest struct {
	*Client
	action     string
	repository int64
	spec       client.HookSpec
	// events are all events of GitLab, of which the wanted ones are on.
	events map[string]bool
}

// EnsureHook implements client.HookClient. The URL of a hook is never changed, because
// GitLab then forgets the secrets. A hook that GitLab has disabled is tested, which
// enables it if its receiver answers.
func (c *Client) EnsureHook(ctx context.Context, repository int64, spec client.HookSpec, renew bool) (client.Hook, error) {
	r := &hookRequest{Client: c, repository: repository, spec: spec, events: map[string]bool{}}
	r.action = numbered("set the hook of repository", repository)
	for _, event := range forge.HookEvents() {
		r.events[event] = slices.Contains(spec.Events, event)
	}
	for _, event := range spec.Events {
		if !r.events[event] {
			return client.Hook{}, refusal(r.action, quote("GitLab has no event", event))
		}
	}
	found, err := c.hooks(ctx, r.action, repository)
	if err != nil {
		return client.Hook{}, err
	}
	found = slices.DeleteFunc(found, func(h *api.ProjectHook) bool { return h.URL != spec.URL })
	var kept *api.ProjectHook
	if len(found) == 0 {
		kept, err = r.add(ctx)
	} else {
		kept, err = r.mend(ctx, best(found), renew)
	}
	if err != nil {
		return client.Hook{}, err
	}
	for _, twin := range found {
		if twin.ID != kept.ID {
			if err := c.RemoveHook(ctx, repository, twin.ID); err != nil {
				return client.Hook{}, err
			}
		}
	}
	hook, err := hookOf(kept)
	return hook, c.failure(r.action, nil, err)
}

// best returns the hook of several with the same URL that is kept: one that delivers and
// is signed, and the oldest of these.
func best(found []*api.ProjectHook) *api.ProjectHook {
	rank := func(h *api.ProjectHook) int {
		n := 0
		if h.AlertStatus != "executable" {
			n += 2
		}
		if !h.SigningTokenPresent {
			n++
		}
		return n
	}
	return slices.MinFunc(found, func(a, b *api.ProjectHook) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID, b.ID)) })
}

func (r *hookRequest) secret() string { return string(r.spec.Secret.Bytes()) }

// signingToken returns the token with which GitLab signs.
func (r *hookRequest) signingToken() string { return forge.SigningToken(r.spec.Secret.Bytes()) }

func (r *hookRequest) fail(response *api.Response, err error) error {
	return r.failure(r.action, response, err, r.secret(), r.signingToken())
}

// add makes a hook with both proofs. GitLab before 19 ignores the signing token.
func (r *hookRequest) add(ctx context.Context) (*api.ProjectHook, error) {
	options := &api.AddProjectHookOptions{
		URL: api.Ptr(r.spec.URL), Token: api.Ptr(r.secret()), SigningToken: api.Ptr(r.signingToken()), EnableSSLVerification: api.Ptr(true),
	}
	if err := r.setEvents(options); err != nil {
		return nil, r.fail(nil, err)
	}
	made, response, err := r.api.Projects.AddProjectHook(r.repository, options, api.WithContext(ctx))
	if err == nil && (made.ID == 0 || made.URL != r.spec.URL) {
		err = errNonsense
	}
	if err != nil {
		return nil, r.fail(response, err)
	}
	r.unsigned.Store(!made.SigningTokenPresent)
	return r.settle(ctx, made)
}

// setEvents sets all events in the options of a request.
func (r *hookRequest) setEvents(options any) error {
	encoded, err := json.Marshal(r.events)
	if err != nil {
		return err
	}
	return json.Unmarshal(encoded, options)
}

// mend changes a hook where it differs.
func (r *hookRequest) mend(ctx context.Context, h *api.ProjectHook, renew bool) (*api.ProjectHook, error) {
	renew = renew || r.unproved(ctx, h)
	events, err := eventsOf(h)
	if err != nil {
		return nil, r.fail(nil, err)
	}
	wanted := slices.Sorted(slices.Values(r.spec.Events))
	if renew || !slices.Equal(slices.Compact(wanted), events) || !h.EnableSSLVerification || h.PushEventsBranchFilter != "" {
		options := &api.EditProjectHookOptions{URL: api.Ptr(h.URL), EnableSSLVerification: api.Ptr(true), PushEventsBranchFilter: api.Ptr("")}
		if renew {
			options.Token, options.SigningToken = api.Ptr(r.secret()), api.Ptr(r.signingToken())
		}
		if err := r.setEvents(options); err != nil {
			return nil, r.fail(nil, err)
		}
		if h, err = r.edit(ctx, h, options); err != nil {
			return nil, err
		}
		if renew {
			r.unsigned.Store(!h.SigningTokenPresent)
		}
	}
	if h, err = r.settle(ctx, h); err != nil {
		return nil, err
	}
	return r.rearm(ctx, h)
}

func (r *hookRequest) edit(ctx context.Context, h *api.ProjectHook, options *api.EditProjectHookOptions) (*api.ProjectHook, error) {
	changed, response, err := r.api.Projects.EditProjectHook(r.repository, h.ID, options, api.WithContext(ctx))
	if err == nil && changed.ID != h.ID {
		err = errNonsense
	}
	return changed, r.fail(response, err)
}

// unproved reports whether GitLab can sign the deliveries of a hook, and does not.
func (r *hookRequest) unproved(ctx context.Context, h *api.ProjectHook) bool {
	if h.SigningTokenPresent || r.unsigned.Load() {
		return false
	}
	version, err := r.readVersion(ctx)
	return err == nil && signs(version)
}

// settle takes the secret in a header from a hook that is signed, unless the receiver
// needs it.
func (r *hookRequest) settle(ctx context.Context, h *api.ProjectHook) (*api.ProjectHook, error) {
	if !h.SigningTokenPresent || !h.TokenPresent || r.spec.Plain {
		return h, nil
	}
	return r.edit(ctx, h, &api.EditProjectHookOptions{URL: api.Ptr(h.URL), Token: api.Ptr("")})
}

// rearm tests a hook that GitLab has disabled. Only a test that succeeds enables it.
func (r *hookRequest) rearm(ctx context.Context, h *api.ProjectHook) (*api.ProjectHook, error) {
	if h.AlertStatus == "" || h.AlertStatus == "executable" {
		return h, nil
	}
	if _, err := r.api.Projects.TriggerTestProjectHook(r.repository, h.ID, api.ProjectHookEventPush, api.WithContext(ctx)); err != nil {
		// The receiver does not answer yet, or was tested too often.
		return h, nil
	}
	now, response, err := r.api.Projects.GetProjectHook(r.repository, h.ID, api.WithContext(ctx))
	return now, r.fail(response, err)
}

// RemoveHook implements client.HookClient.
func (c *Client) RemoveHook(ctx context.Context, repository, hook int64) error {
	action := numbered(numbered("remove hook", hook)+" of repository", repository)
	response, err := c.api.Projects.DeleteProjectHook(repository, hook, api.WithContext(ctx))
	return c.gone(ctx, action, repository, response, err)
}
