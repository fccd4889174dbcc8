package validate_test

import (
	"testing"

	"nautes.io/nautes/api/v1alpha1"
	. "nautes.io/nautes/test/testutil"
)

// TestEventFilter holds that filters that Argo Events could not follow are refused.
func TestEventFilter(t *testing.T) {
	listening := func(e v1alpha1.EventSource) *v1alpha1.ProjectPipelineRuntime {
		return PipelineRuntime("product-1", "pipe", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) {
			e.Name = "push"
			r.Spec.EventSources = []v1alpha1.EventSource{e}
		})
	}
	pattern := func(revision string) *v1alpha1.ProjectPipelineRuntime {
		return listening(v1alpha1.EventSource{GitLab: &v1alpha1.GitLabEventSource{RepoName: "repo", Revision: revision, Events: []v1alpha1.GitLabEvent{"push_events"}}})
	}
	clock := func(schedule, timezone string) *v1alpha1.ProjectPipelineRuntime {
		return listening(v1alpha1.EventSource{Calendar: &v1alpha1.CalendarEventSource{Schedule: schedule, Timezone: timezone}})
	}
	excluding := func(dates ...string) *v1alpha1.ProjectPipelineRuntime {
		return listening(v1alpha1.EventSource{Calendar: &v1alpha1.CalendarEventSource{Schedule: "@daily", ExclusionDates: dates}})
	}
	revision, schedule := []string{"Invalid spec.eventSources[0].gitlab.revision"}, []string{"Invalid spec.eventSources[0].calendar.schedule"}
	run(t, map[string]verdict{
		"the user guide's pattern": {new: pattern("^refs/heads/feature%-")},
		"any ref":                  {new: pattern("")},
		"an open set":              {new: pattern("refs/heads/["), want: revision, wantText: "a [ is not closed"},
		"an open capture":          {new: pattern("refs/heads/("), want: revision, wantText: "a ( is not closed"},
		"the user guide's clock":   {new: clock("0 17 * * 1-5", "")},
		"daily in a timezone":      {new: clock("@daily", "Europe/Berlin")},
		"no such hour":             {new: clock("0 24 * * *", ""), want: schedule, wantText: "not a cron expression"},
		"a day that never comes":   {new: clock("0 0 30 2 *", ""), want: schedule, wantText: "never comes"},
		"a day that is excluded":   {new: excluding("2024-12-24", "2024-12-24T17:00:00Z")},
		"no such day":              {new: excluding("2024-12-24", "2023-02-29T17:00:00Z"), want: []string{"Invalid spec.eventSources[0].calendar.exclusionDates[1]"}, wantText: "no such day"},
		"no such timezone":         {new: clock("@daily", "Europe/Berln"), want: []string{"Invalid spec.eventSources[0].calendar.timezone"}, wantText: "no such time zone"},
	})
}
