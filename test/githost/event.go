package githost

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// commitsInEvent is the most commits that GitLab writes into one event.
const commitsInEvent = 20

// pushEvent is the body of GitLab's push and tag push events.
// https://docs.gitlab.com/user/project/integrations/webhook_events/
type pushEvent struct {
	ObjectKind        string          `json:"object_kind"`
	EventName         string          `json:"event_name"`
	Before            string          `json:"before"`
	After             string          `json:"after"`
	Ref               string          `json:"ref"`
	RefProtected      bool            `json:"ref_protected"`
	CheckoutSHA       *string         `json:"checkout_sha"`
	UserID            int             `json:"user_id"`
	UserName          string          `json:"user_name"`
	UserUsername      string          `json:"user_username"`
	UserEmail         string          `json:"user_email"`
	ProjectID         int             `json:"project_id"`
	Project           eventProject    `json:"project"`
	Commits           []eventCommit   `json:"commits"`
	TotalCommitsCount int             `json:"total_commits_count"`
	Repository        eventRepository `json:"repository"`
}

type eventProject struct {
	ID                int    `json:"id"`
	Name              string `json:"name"`
	Description       string `json:"description"`
	WebURL            string `json:"web_url"`
	GitSSHURL         string `json:"git_ssh_url"`
	GitHTTPURL        string `json:"git_http_url"`
	Namespace         string `json:"namespace"`
	VisibilityLevel   int    `json:"visibility_level"`
	PathWithNamespace string `json:"path_with_namespace"`
	DefaultBranch     string `json:"default_branch"`
	Homepage          string `json:"homepage"`
	URL               string `json:"url"`
	SSHURL            string `json:"ssh_url"`
	HTTPURL           string `json:"http_url"`
}

type eventRepository struct {
	Name            string `json:"name"`
	URL             string `json:"url"`
	Homepage        string `json:"homepage"`
	GitHTTPURL      string `json:"git_http_url"`
	GitSSHURL       string `json:"git_ssh_url"`
	VisibilityLevel int    `json:"visibility_level"`
}

type eventCommit struct {
	ID        string   `json:"id"`
	Message   string   `json:"message"`
	Title     string   `json:"title"`
	Timestamp string   `json:"timestamp"`
	URL       string   `json:"url"`
	Author    author   `json:"author"`
	Added     []string `json:"added"`
	Modified  []string `json:"modified"`
	Removed   []string `json:"removed"`
}

type author struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

func newPushEvent(ctx context.Context, repository *repository, host string, update refUpdate) (pushEvent, error) {
	commits, total, err := pushedCommits(ctx, repository, host, update)
	if err != nil {
		return pushEvent{}, err
	}
	web := host + "/" + repository.Path
	ssh := "git@127.0.0.1:" + repository.Path + ".git"
	event := pushEvent{
		ObjectKind: "push", EventName: "push",
		Before: update.before, After: update.after, Ref: update.ref,
		RefProtected: update.ref == defaultRef,
		UserID:       1, UserName: pusher.Name, UserUsername: "pusher", UserEmail: pusher.Email,
		ProjectID: repository.ID,
		Project: eventProject{
			ID: repository.ID, Name: path.Base(repository.Path), Namespace: path.Dir(repository.Path),
			PathWithNamespace: repository.Path, DefaultBranch: DefaultBranch,
			WebURL: web, Homepage: web, URL: ssh, GitSSHURL: ssh, SSHURL: ssh,
			GitHTTPURL: repository.URL, HTTPURL: repository.URL,
		},
		Commits: commits, TotalCommitsCount: total,
		Repository: eventRepository{
			Name: path.Base(repository.Path), URL: ssh, Homepage: web,
			GitHTTPURL: repository.URL, GitSSHURL: ssh,
		},
	}
	if update.isTag() {
		event.ObjectKind, event.EventName = "tag_push", "tag_push"
	}
	if update.after != noCommit {
		event.CheckoutSHA = &update.after
	}
	return event, nil
}

// pushedCommits returns the last commits of a push, oldest first, and their full
// count: those that a new branch adds to the default one, none for a tag or a
// deletion.
func pushedCommits(ctx context.Context, repository *repository, host string, update refUpdate) ([]eventCommit, int, error) {
	if update.isTag() || update.after == noCommit {
		return []eventCommit{}, 0, nil
	}
	wanted := []string{update.after}
	if update.known != "" {
		wanted = append(wanted, "^"+update.known)
	}
	const format = "--format=%x01%H%x00%an%x00%ae%x00%cI%x00%B%x00"
	args := append([]string{"-c", "core.quotePath=false", "log", "--name-status", "--no-renames", format}, wanted...)
	out, err := git(ctx, repository.Dir, nil, nil, args...)
	if err != nil {
		return nil, 0, err
	}
	commits := []eventCommit{}
	for _, record := range strings.Split(out, "\x01")[1:] {
		commit, err := parseCommit(record)
		if err != nil {
			return nil, 0, err
		}
		commit.URL = host + "/" + repository.Path + "/-/commit/" + commit.ID
		commits = append(commits, commit)
	}
	total := len(commits)
	commits = commits[:min(total, commitsInEvent)]
	slices.Reverse(commits)
	return commits, total, nil
}

func parseCommit(record string) (eventCommit, error) {
	fields := strings.SplitN(record, "\x00", 6)
	if len(fields) != 6 {
		return eventCommit{}, fmt.Errorf("git log: a record of %d fields", len(fields))
	}
	title, _, _ := strings.Cut(fields[4], "\n")
	commit := eventCommit{
		ID: fields[0], Message: fields[4], Title: title, Timestamp: fields[3],
		Author: author{Name: fields[1], Email: fields[2]},
		Added:  []string{}, Modified: []string{}, Removed: []string{},
	}
	for line := range strings.Lines(fields[5]) {
		status, file, found := strings.Cut(strings.TrimSpace(line), "\t")
		switch {
		case !found:
		case status == "A":
			commit.Added = append(commit.Added, file)
		case status == "D":
			commit.Removed = append(commit.Removed, file)
		default:
			commit.Modified = append(commit.Modified, file)
		}
	}
	return commit, nil
}
