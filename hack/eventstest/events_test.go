package eventstest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	"github.com/argoproj/argo-events/pkg/eventsources/sources/calendar"
	"github.com/argoproj/argo-events/pkg/eventsources/sources/gitlab"
	"github.com/argoproj/argo-events/pkg/reconciler/sensor"
	"github.com/argoproj/argo-events/pkg/shared/util"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	nautes "nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/launch"
)

// everyEvent holds all events of GitLab with the refs of their documented
// deliveries.
func everyEvent() map[nautes.GitLabEvent]launch.Event {
	request := launch.Event{
		Ref: "refs/heads/feature-1", Commit: commit, SourceBranch: "feature-1", TargetBranch: "main",
		Title: "MS-Viewport", Labels: "API,team: backend", State: "opened",
	}
	branch := launch.Event{Ref: "refs/heads/feature-1", Commit: commit}
	tag := launch.Event{Ref: "refs/tags/v1.0.0", Commit: commit}
	want := map[nautes.GitLabEvent]launch.Event{
		"push_events": branch, "tag_push_events": tag, "merge_requests_events": request, "issues_events": {},
		"confidential_issues_events": {}, "note_events": request, "confidential_note_events": request, "job_events": branch,
		"pipeline_events": branch, "releases_events": tag,
		// The deployer chooses its commit.
		"deployment_events": {Ref: branch.Ref},
		// The commit is one of the wiki's own repository.
		"wiki_page_events": {},
	}
	for event, about := range want {
		about.Event = string(event)
		want[event] = about
	}
	return want
}

// TestEveryEvent holds that each event of GitLab fires the triggers that listen to
// it, when its ref matches, and no others.
func TestEveryEvent(t *testing.T) {
	all := everyEvent()
	if len(all) != 12 {
		t.Fatalf("%d events, want all twelve", len(all))
	}
	for event, want := range all {
		t.Run(string(event), func(t *testing.T) {
			var others []nautes.GitLabEvent
			for other := range all {
				if other != event {
					others = append(others, other)
				}
			}
			match := "^refs/heads/feature%-"
			if strings.HasPrefix(want.Ref, "refs/tags/") {
				match = "^refs/tags/v%d+%.%d+%.%d+$"
			}
			d := documented(t, string(event))
			for name, source := range map[string]struct {
				revision string
				events   []nautes.GitLabEvent
				fires    bool
			}{
				"any":         {events: []nautes.GitLabEvent{event}, fires: true},
				"matching":    {revision: match, events: []nautes.GitLabEvent{event}, fires: want.Ref != ""},
				"everything":  {revision: ".*", events: []nautes.GitLabEvent{event}, fires: want.Ref != ""},
				"one-of-many": {events: append([]nautes.GitLabEvent{event}, others[:4]...), fires: true},
				"others":      {events: others},
				"elsewhere":   {revision: "^refs/heads/fix%-", events: []nautes.GitLabEvent{event}},
				"anchored":    {revision: "^heads", events: []nautes.GitLabEvent{event}},
			} {
				created, failed := newEngine(t, listening("pipe", gitlabSource(name, source.revision, source.events...))).gitlab(name, d)
				if len(failed) > 0 {
					t.Fatal(failed)
				}
				if (len(created) == 1) != source.fires {
					t.Errorf("%s: %d launchers were created", name, len(created))
					continue
				}
				if !source.fires {
					continue
				}
				if diff := cmp.Diff(want, created[0].event(t)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
				if ref, sha := created[0].param(t, "ref"), created[0].param(t, "commit"); ref != want.Ref || sha != want.Commit {
					t.Errorf("%s: ref %q and commit %q", name, ref, sha)
				}
			}
		})
	}
}

// TestDeliveries covers deliveries that differ from the documented ones.
func TestDeliveries(t *testing.T) {
	zero := strings.Repeat("0", 40)
	fork := map[string]any{"source_project_id": 16, "target_project_id": 15, "source_branch": "main", "labels": []any{}}
	own := map[string]any{"source_project_id": 15, "target_project_id": 15, "source_branch": "feature-1"}
	tests := map[string]struct {
		event, path string
		value       any
		// wantRef is empty when nothing runs; none when something runs without a ref.
		wantRef string
	}{
		"a branch is deleted":               {event: "push_events", path: "after", value: zero},
		"a tag is deleted":                  {event: "tag_push_events", path: "after", value: zero},
		"a release is deleted":              {event: "releases_events", path: "action", value: "delete"},
		"a merge request from a fork":       {event: "merge_requests_events", path: "object_attributes.source_project_id", value: 16},
		"a merge request from nowhere":      {event: "merge_requests_events", path: "object_attributes.source_project_id"},
		"a merge request between two names": {event: "merge_requests_events", path: "object_attributes.source_project_id", value: "15"},
		"a note on one from a fork":         {event: "note_events", path: "merge_request.source_project_id", value: 16},
		"an internal note on one":           {event: "confidential_note_events", path: "merge_request.target_project_id", value: 14},
		"a note on what is not said":        {event: "note_events", path: "merge_request"},
		"a pipeline of a fork":              {event: "pipeline_events", path: "merge_request", value: fork},
		"a pipeline of a merge request":     {event: "pipeline_events", path: "merge_request", value: own, wantRef: "refs/heads/feature-1"},
		"a pipeline of one that is not said": {
			event: "pipeline_events", path: "object_attributes.source", value: "merge_request_event",
		},
		"a pipeline of a tag":                {event: "pipeline_events", path: "object_attributes.tag", value: true, wantRef: "refs/tags/feature-1"},
		"a job of a tag":                     {event: "job_events", path: "tag", value: true, wantRef: "refs/tags/feature-1"},
		"a job of a merge request":           {event: "job_events", path: "ref", value: "refs/merge-requests/1/head"},
		"a job of a full name":               {event: "job_events", path: "ref", value: "refs/tags/v1", wantRef: "refs/tags/v1"},
		"a deployment of a merge request":    {event: "deployment_events", path: "ref", value: "refs/merge-requests/1/merge"},
		"a push without a ref":               {event: "push_events", path: "ref", wantRef: "none"},
		"a push with a number":               {event: "push_events", path: "ref", value: 1, wantRef: "none"},
		"a push with a list":                 {event: "push_events", path: "ref", value: []any{"refs/heads/main"}, wantRef: "none"},
		"a push with a ref that is too long": {event: "push_events", path: "ref", value: "refs/heads/" + strings.Repeat("x", 40_000)},
		"labels that are none":               {event: "merge_requests_events", path: "object_attributes.labels", value: "x", wantRef: "refs/heads/feature-1"},
		"another hook":                       {event: "push_events", path: "headers.X-Gitlab-Event", value: "System Hook"},
		"a hook of another spelling":         {event: "push_events", path: "headers.X-Gitlab-Event", value: "push hook"},
	}
	var events []nautes.GitLabEvent
	for event := range everyEvent() {
		events = append(events, event)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, listening("pipe", gitlabSource("any", "", events...), gitlabSource("some", ".*", events...)))
			d := documented(t, test.event).with(t, test.path, test.value)
			created, failed := e.gitlab("any", d)
			matched, more := e.gitlab("some", d)
			if len(failed)+len(more) > 0 {
				t.Fatal(failed, more)
			}
			if wantMatched := test.wantRef != "" && test.wantRef != "none"; (len(created) > 0) != (test.wantRef != "") || (len(matched) > 0) != wantMatched {
				t.Fatalf("%d launchers, and %d with a pattern", len(created), len(matched))
			}
			if len(created) == 0 {
				return
			}
			if ref := created[0].event(t).Ref; ref != strings.TrimPrefix(test.wantRef, "none") {
				t.Errorf("the ref is %q, want %q", ref, test.wantRef)
			}
		})
	}
}

// TestOneRepository holds that event sources of one runtime on the same
// repository fire for their own refs only, in both isolations.
func TestOneRepository(t *testing.T) {
	for _, isolation := range []nautes.Isolation{nautes.IsolationShared, nautes.IsolationExclusive} {
		t.Run(string(isolation), func(t *testing.T) {
			r := listening("pipe", gitlabSource("feature", "^refs/heads/feature%-", "push_events"), gitlabSource("fix", "^refs/heads/fix%-", "push_events"))
			r.Spec.Isolation = isolation
			for ref, want := range map[string]string{"refs/heads/feature-1": "feature", "refs/heads/fix-1": "fix", "refs/heads/main": ""} {
				e := newEngine(t, r)
				var fired []string
				// GitLab sends the push to both hooks.
				for _, name := range []string{"feature", "fix"} {
					created, failed := e.gitlab(name, documented(t, "push_events").with(t, "ref", ref))
					if len(failed) > 0 {
						t.Fatal(failed)
					}
					for _, one := range created {
						fired = append(fired, one.GetLabels()[launch.LabelEventSource])
					}
				}
				if got := strings.Join(fired, ","); got != want {
					t.Errorf("%s fires %q, want %q", ref, got, want)
				}
			}
		})
	}
}

// TestReplay holds that a delivery that is repeated creates nothing twice, and
// that two deliveries are distinguished.
func TestReplay(t *testing.T) {
	push := documented(t, "push_events")
	withoutKey := push.with(t, "headers.Idempotency-Key", "")
	bare := withoutKey.with(t, "headers.X-Gitlab-Event-Uuid", "")
	tests := map[string]struct {
		first, second delivery
		same          bool
	}{
		"again":                                {first: push, second: push, same: true},
		"again, in an old GitLab":              {first: withoutKey, second: withoutKey, same: true},
		"again, in a very old one":             {first: bare, second: bare, same: true},
		"another delivery":                     {first: push, second: push.with(t, "headers.Idempotency-Key", "00000000-5ca0-4d1f-8e0d-b7c4b2a4c020")},
		"a hook that follows":                  {first: withoutKey, second: withoutKey.with(t, "after", strings.Repeat("1", 40))},
		"another commit, in a very old one":    {first: bare, second: bare.with(t, "checkout_sha", strings.Repeat("1", 40))},
		"another ref, in a very old one":       {first: bare, second: bare.with(t, "ref", "refs/heads/feature-2")},
		"pushed back and forth, in an old one": {first: bare, second: bare.with(t, "before", strings.Repeat("1", 40))},
		"a key that is none counts as no key":  {first: bare, second: bare.with(t, "headers.Idempotency-Key", "$(params.x)"), same: true},
		"a key in capital letters is the same": {first: push, second: push.with(t, "headers.Idempotency-Key", strings.ToUpper(push.Headers["Idempotency-Key"])), same: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, listening("pipe", gitlabSource("push", "", "push_events")))
			first, failed := e.gitlab("push", test.first)
			if len(first) != 1 || len(failed) > 0 {
				t.Fatalf("%d launchers, %v", len(first), failed)
			}
			if l := len(first[0].GetName()); l > 63 {
				t.Errorf("the name %s is %d characters long", first[0].GetName(), l)
			}
			second, failed := e.gitlab("push", test.second)
			if test.same && (len(second) > 0 || len(failed) != 1 || !apierrors.IsAlreadyExists(failed[0])) {
				t.Errorf("%d launchers, %v: want AlreadyExists", len(second), failed)
			}
			if !test.same && (len(second) != 1 || len(failed) > 0) {
				t.Errorf("%d launchers, %v: want one", len(second), failed)
			}
		})
	}
}

// TestCalendar holds that each tick of a calendar creates a launcher, and the same
// one twice none.
func TestCalendar(t *testing.T) {
	e := newEngine(t, listening("pipe", calendarSource("nightly", nautes.CalendarEventSource{Schedule: "0 17 * * 1-5"})))
	tick := func(at string) ([]launcher, []error) {
		return e.deliver(e.sources[0].Name, "nightly", []byte(`{"eventTime":"`+at+`"}`))
	}
	created, failed := tick("2024-01-02 17:00:00.000123 +0100 CET m=+12.345")
	if len(created) != 1 || len(failed) > 0 {
		t.Fatalf("%d launchers, %v", len(created), failed)
	}
	if diff := cmp.Diff(launch.Event{Event: launch.EventCalendar, Time: "2024-01-02T17:00:00+01:00"}, created[0].event(t)); diff != "" {
		t.Errorf("the event (-want +got):\n%s", diff)
	}
	if created, failed := tick("2024-01-02 17:00:00.1 +0100 CET m=+1.1"); len(created) > 0 || len(failed) != 1 {
		t.Errorf("the same tick creates %d launchers, %v", len(created), failed)
	}
	if created, failed := tick("2024-01-03 17:00:00.1 +0100 CET m=+1.1"); len(created) != 1 || len(failed) > 0 {
		t.Errorf("the next tick creates %d launchers, %v", len(created), failed)
	}
	if created, failed := tick("whenever"); len(created)+len(failed) > 0 {
		t.Errorf("no time creates %d launchers, %v", len(created), failed)
	}
}

// TestExclusions holds that no launcher is created at an excluded time, which can be
// given in another time zone.
func TestExclusions(t *testing.T) {
	e := newEngine(t, listening("pipe", calendarSource("nightly", nautes.CalendarEventSource{
		Schedule: "0 17 * * *", Timezone: "Europe/Berlin", ExclusionDates: []string{"2024-12-24T16:00:00Z", "2024-12-26 17", "2024-12-31"},
	})))
	if days := e.sources[0].Spec.Calendar["nightly"].ExclusionDates; len(days) != 1 || days[0] != "EXDATE:20241231T000000Z" {
		t.Errorf("Argo Events excludes %q", days)
	}
	for at, want := range map[string]int{
		"2024-12-24 17:00:00.0001 +0100 CET m=+1.1": 0, "2024-12-24 17:01:00.0001 +0100 CET m=+1.1": 1, "2024-12-24 16:00:00 +0100 CET": 1,
		"2024-12-25 17:00:00.0001 +0100 CET m=+1.1": 1, "2024-12-26 17:59:00 +0100 CET m=+1.1": 0, "2024-12-26 18:00:00 +0100 CET": 1,
	} {
		created, failed := e.deliver(e.sources[0].Name, "nightly", []byte(`{"eventTime":"`+at+`"}`))
		if len(created) != want || len(failed) > 0 {
			t.Errorf("%s: %d launchers, %v; want %d", at, len(created), failed, want)
		}
	}
}

// TestChangesOfCode holds that a merge request runs a pipeline when its code changes
// and a deployment once, unless the event source chooses otherwise.
func TestChangesOfCode(t *testing.T) {
	choosing := gitlabSource("choosing", "", "merge_requests_events", "deployment_events")
	choosing.GitLab.MergeRequestActions = []nautes.GitLabMergeRequestAction{"merge", "update"}
	choosing.GitLab.DeploymentStatuses = []nautes.GitLabDeploymentStatus{"running", "failed"}
	e := newEngine(t, listening("pipe", gitlabSource("any", "", "merge_requests_events", "deployment_events"), choosing))
	request, deployment := documented(t, "merge_requests_events"), documented(t, "deployment_events")
	action := func(name string) delivery { return request.with(t, "object_attributes.action", name) }
	status := func(name string) delivery { return deployment.with(t, "status", name) }
	tests := map[string]struct {
		delivery             delivery
		wantRuns, wantChosen bool
	}{
		"opened":              {action("open"), true, false},
		"reopened":            {action("reopen"), true, false},
		"new commits":         {action("update").with(t, "object_attributes.oldrev", commit), true, false},
		"no commit before":    {action("update").with(t, "object_attributes.oldrev", strings.Repeat("0", 40)), false, true},
		"a label":             {action("update"), false, true},
		"closed":              {action("close"), false, false},
		"merged":              {action("merge"), false, true},
		"approved":            {action("approved"), false, false},
		"approval withdrawn":  {action("unapproved"), false, false},
		"no action":           {request.with(t, "object_attributes.action", nil), false, false},
		"an action of a list": {request.with(t, "object_attributes.action", []any{"open"}), false, false},
		"an action of GitLab": {action("push"), true, false},
		"a pattern":           {action("o|open"), false, false},
		"deployed":            {status("success"), true, false},
		"deploying":           {status("running"), false, true},
		"a failure":           {status("failed"), false, true},
		"no status":           {deployment.with(t, "status", nil), false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e.clear()
			for source, want := range map[string]bool{"any": tt.wantRuns, "choosing": tt.wantChosen} {
				created, failed := e.gitlab(source, tt.delivery)
				if (len(created) == 1) != want || len(failed) > 0 {
					t.Errorf("%s: %d launchers, %v; want one: %t", source, len(created), failed, want)
				}
			}
		})
	}
}

// TestAccepted holds that Argo Events' own validation accepts the objects that are
// written for it.
func TestAccepted(t *testing.T) {
	var sources []nautes.EventSource
	for event := range everyEvent() {
		sources = append(sources, gitlabSource(strings.ReplaceAll(string(event), "_", "."), ".*", event))
	}
	for name, c := range map[string]nautes.CalendarEventSource{
		"cron": {Schedule: "0 17 * * 1-5", Timezone: "Europe/Berlin"}, "interval": {Interval: "1h30m"}, "both": {Schedule: "@daily", Interval: "1s"},
		"yearly": {Schedule: "@yearly"}, "annually": {Schedule: "@annually"}, "monthly": {Schedule: "@monthly"}, "weekly": {Schedule: "@weekly"},
		"midnight": {Schedule: "@midnight"}, "hourly": {Schedule: "@hourly", ExclusionDates: []string{"2024-12-24", "2024-12-25T17:00:00+01:00", "20241226", "2024-02-31"}},
	} {
		sources = append(sources, calendarSource(name, c))
	}
	for _, isolation := range []nautes.Isolation{nautes.IsolationShared, nautes.IsolationExclusive} {
		r := listening("pipe", sources...)
		r.Spec.Isolation = isolation
		e := newEngine(t, r)
		for _, source := range e.sources {
			accepted(t, source)
		}
		bus := &v1alpha1.EventBus{Spec: v1alpha1.EventBusSpec{JetStream: &v1alpha1.JetStreamBus{Version: "latest"}}}
		for _, s := range e.sensors {
			if err := sensor.ValidateSensor(s, bus); err != nil {
				t.Errorf("Argo Events refuses the sensor %s: %v", s.Name, err)
			}
		}
		if want := map[nautes.Isolation]int{nautes.IsolationShared: 2, nautes.IsolationExclusive: len(sources)}[isolation]; len(e.sources) != want {
			t.Errorf("%s: %d event sources, want %d", isolation, len(e.sources), want)
		}
	}
}

func accepted(t *testing.T, source *v1alpha1.EventSource) {
	t.Helper()
	if len(source.Spec.Gitlab) > 0 == (len(source.Spec.Calendar) > 0) {
		t.Errorf("Argo Events does not put what %s listens to into one object", source.Name)
	}
	for name, entry := range source.Spec.Gitlab {
		if err := (&gitlab.EventListener{GitlabEventSource: entry}).ValidateEventSource(context.Background()); err != nil {
			t.Errorf("Argo Events refuses %s of %s: %v", name, source.Name, err)
		}
	}
	for name, entry := range source.Spec.Calendar {
		if err := (&calendar.EventListener{CalendarEventSource: entry}).ValidateEventSource(context.Background()); err != nil {
			t.Errorf("Argo Events refuses %s of %s: %v", name, source.Name, err)
		}
		days, err := util.ParseExclusionDates(entry.ExclusionDates)
		if err != nil || len(days) != len(entry.ExclusionDates) || (name == "hourly") != (len(days) == 2) {
			t.Errorf("Argo Events reads %v as %v: %v", entry.ExclusionDates, days, err)
		}
	}
}
