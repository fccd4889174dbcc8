package gitea

import (
	"errors"
	"fmt"
	"slices"

	"nautes.io/nautes/api/v1alpha1"
)

// ErrEvent is the name of an event that Gitea does not have. Gitea ignores such names.
var ErrEvent = errors.New("no event of Gitea")

const (
	issues       = "issues"
	issueComment = "issue_comment"
	pullRequest  = "pull_request"
	push         = "push"
	release      = "release"
	wiki         = "wiki"
)

// named returns the name of an event that a CodeRepo lists in the terms of GitLab, or ""
// if Gitea does not have it.
func named(event v1alpha1.GitLabEvent) string {
	return map[v1alpha1.GitLabEvent]string{
		"push_events": push, "tag_push_events": push, "merge_requests_events": pullRequest, "issues_events": issues,
		"note_events": issueComment, "releases_events": release, "wiki_page_events": wiki,
	}[event]
}

// HookEvents returns the events of a hook that was made with some names, as Gitea lists
// them, sorted: the names issues and pull_request stand for all events of their kind.
// The error wraps ErrEvent and names the first unknown one.
func HookEvents(names []string) ([]string, error) {
	var events []string
	for _, name := range names {
		listed := eventsOf(name)
		if len(listed) == 0 {
			return nil, fmt.Errorf("%q: %w", name, ErrEvent)
		}
		events = append(events, listed...)
	}
	slices.Sort(events)
	return slices.Compact(events), nil
}

func eventsOf(name string) []string {
	switch name {
	case issues:
		return []string{issues, "issue_assign", "issue_label", "issue_milestone", issueComment}
	case "issues_only":
		return []string{issues}
	case pullRequest:
		return []string{
			pullRequest, "pull_request_assign", "pull_request_label", "pull_request_milestone", "pull_request_comment",
			"pull_request_review", "pull_request_review_request", "pull_request_sync",
		}
	case "pull_request_only":
		return []string{pullRequest}
	case "create", "delete", "fork", push, "repository", release, wiki, "package", "status", "workflow_run", "workflow_job",
		"issue_assign", "issue_label", "issue_milestone", issueComment,
		"pull_request_assign", "pull_request_label", "pull_request_milestone", "pull_request_comment",
		"pull_request_review", "pull_request_review_request", "pull_request_sync":
		return []string{name}
	}
	return nil
}
