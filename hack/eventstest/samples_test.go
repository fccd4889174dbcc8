package eventstest_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	nautes "nautes.io/nautes/api/v1alpha1"
)

// samples returns where GitLab's client library, which Argo Events uses, keeps
// the deliveries that it is tested with.
func samples(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "gitlab.com/gitlab-org/api/client-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "testdata", "webhooks")
}

// TestSamplesOfGitLab holds that deliveries published by GitLab itself fire with
// the ref that they concern.
func TestSamplesOfGitLab(t *testing.T) {
	dir := samples(t)
	tests := map[string]struct {
		hook    string
		event   nautes.GitLabEvent
		wantRef string
	}{
		"push":               {hook: "Push Hook", event: "push_events", wantRef: "refs/heads/master"},
		"tag_push":           {hook: "Tag Push Hook", event: "tag_push_events", wantRef: "refs/tags/v1.0.0"},
		"merge_request":      {hook: "Merge Request Hook", event: "merge_requests_events", wantRef: "refs/heads/ms-viewport"},
		"issue":              {hook: "Issue Hook", event: "issues_events"},
		"note_commit":        {hook: "Note Hook", event: "note_events"},
		"note_issue":         {hook: "Note Hook", event: "note_events"},
		"note_merge_request": {hook: "Note Hook", event: "note_events", wantRef: "refs/heads/master"},
		"job":                {hook: "Job Hook", event: "job_events", wantRef: "refs/heads/main"},
		"build":              {hook: "Job Hook", event: "job_events", wantRef: "refs/heads/gitlab-script-trigger"},
		"pipeline":           {hook: "Pipeline Hook", event: "pipeline_events", wantRef: "refs/heads/master"},
		"release":            {hook: "Release Hook", event: "releases_events", wantRef: "refs/tags/1.0.0"},
		"deployment":         {hook: "Deployment Hook", event: "deployment_events", wantRef: "refs/heads/1.0.0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join(dir, name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			d := delivery{Headers: map[string]string{"X-Gitlab-Event": test.hook}}
			if err := json.Unmarshal(content, &d.Body); err != nil {
				t.Fatal(err)
			}
			for source, wants := range map[string]struct {
				revision string
				fires    bool
			}{
				"any": {fires: true}, "matching": {revision: "^" + escaped(test.wantRef) + "$", fires: test.wantRef != ""},
				"elsewhere": {revision: "^refs/heads/elsewhere$"},
			} {
				created, failed := newEngine(t, listening("pipe", gitlabSource(source, wants.revision, test.event))).gitlab(source, d)
				if len(failed) > 0 {
					t.Fatal(failed)
				}
				if (len(created) == 1) != wants.fires {
					t.Errorf("%s: %d launchers were created", source, len(created))
					continue
				}
				if wants.fires && created[0].event(t).Ref != test.wantRef {
					t.Errorf("%s: the ref is %q, want %q", source, created[0].event(t).Ref, test.wantRef)
				}
			}
		})
	}
}

// escaped returns a text as a Lua pattern that matches nothing else.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strings.ContainsRune("-.", r) {
			b.WriteByte('%')
		}
		b.WriteRune(r)
	}
	return b.String()
}
