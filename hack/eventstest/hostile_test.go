package eventstest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	nautes "nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/test/testutil/hostile"
)

// field is a value that a pusher controls in a delivery.
type field struct {
	// path of the body that gets the value, after the prefix before.
	path, before string
	// into writes a text to where the runner reads it; nil when it does not.
	into func(e *launch.Event, text string)
}

// group is some fields of an event that get a value all at once.
type group struct {
	event  string
	fields []field
	// matched: the event source with a pattern sees them as well.
	matched bool
}

func (g group) name() string {
	return strings.ReplaceAll(g.event+" "+g.fields[0].before+g.fields[0].path, "/", "_")
}

// deliver returns a delivery with a value in all fields.
func (g group) deliver(t *testing.T, harmless delivery, value string) delivery {
	t.Helper()
	for _, f := range g.fields {
		harmless = harmless.with(t, f.path, f.before+value)
	}
	return harmless
}

func ref(path, before, prefix string) field {
	return field{path: path, before: before, into: func(e *launch.Event, text string) {
		if e.Ref = text; text != "" && (prefix == "" || !strings.HasPrefix(text, "refs/")) {
			e.Ref = prefix + text
		}
	}}
}

// sha is a commit. A value that is no commit counts as the one at otherwise.
func sha(path, otherwise string) field {
	return field{path: path, into: func(e *launch.Event, text string) {
		e.Commit = otherwise
		if (len(text) == 40 || len(text) == 64) && strings.Trim(text, "0123456789abcdef") == "" && strings.Trim(text, "0") != "" {
			e.Commit = text
		}
	}}
}

func branch(path string) field {
	return field{path: path, into: func(e *launch.Event, text string) {
		if e.SourceBranch, e.Ref = text, ""; text != "" {
			e.Ref = "refs/heads/" + text
		}
	}}
}

func title(path string) field {
	return field{path: path, into: func(e *launch.Event, text string) { e.Title = cut(text, maxText) }}
}

// ignored returns fields and others that the runner does not read.
func ignored(fields []field, paths ...string) []field {
	for _, path := range paths {
		fields = append(fields, field{path: path})
	}
	return fields
}

// maxText is how much of a title, or of all labels, is taken.
const maxText = 4096

// groups are the groups of all events.
func groups() []group {
	tag := field{path: "tag", into: func(e *launch.Event, text string) {
		if e.Ref = ""; text != "" {
			e.Ref = "refs/tags/" + text
		}
	}}
	request := []field{
		title("object_attributes.title"),
		{path: "object_attributes.target_branch", into: func(e *launch.Event, text string) { e.TargetBranch = text }},
		{path: "object_attributes.state", into: func(e *launch.Event, text string) {
			if e.State = text; len(text) > 64 {
				e.State = ""
			}
		}},
		{path: "object_attributes.labels.0.title", into: func(e *launch.Event, text string) {
			if e.Labels = cut(text, maxText); len(e.Labels) < maxText {
				e.Labels = cut(e.Labels+",team: backend", maxText)
			}
		}},
	}
	issue := ignored(nil, "object_attributes.title", "object_attributes.description", "labels.0.title")
	return []group{
		{event: "push_events", matched: true, fields: ignored([]field{ref("ref", "", ""), sha("checkout_sha", commit)},
			"message", "user_name", "commits.0.message", "commits.0.id", "before", "headers.User-Agent")},
		{event: "push_events", fields: ignored([]field{ref("ref", "refs/heads/", "")}, "headers.Idempotency-Key")},
		{event: "push_events", fields: ignored(nil, "headers.Idempotency-Key", "headers.X-Gitlab-Event-Uuid", "headers.X-Gitlab-Webhook-Uuid")},
		{event: "tag_push_events", fields: ignored([]field{ref("ref", "refs/tags/", "")}, "message", "before")},
		{event: "merge_requests_events", matched: true, fields: ignored([]field{branch("object_attributes.source_branch"), sha("object_attributes.last_commit.id", "")},
			"object_attributes.description", "object_attributes.updated_at", "labels.0.title")},
		{event: "merge_requests_events", fields: request},
		{event: "note_events", fields: ignored([]field{branch("merge_request.source_branch"), sha("merge_request.last_commit.id", "")},
			"object_attributes.note", "object_attributes.action", "object_attributes.noteable_type")},
		{event: "confidential_note_events", fields: ignored([]field{title("merge_request.title")}, "object_attributes.note")},
		{event: "issues_events", fields: issue}, {event: "confidential_issues_events", fields: issue},
		{event: "job_events", matched: true, fields: []field{ref("ref", "", "refs/heads/")}},
		{event: "job_events", fields: ignored([]field{ref("ref", "x", "refs/heads/"), sha("sha", "")}, "build_name", "build_stage", "build_status", "commit.message")},
		{event: "pipeline_events", fields: ignored([]field{ref("object_attributes.ref", "x", "refs/heads/"), sha("object_attributes.sha", "")},
			"object_attributes.name", "object_attributes.status", "commit.message")},
		{event: "releases_events", fields: ignored([]field{tag, sha("commit.id", "")}, "name", "description")},
		{event: "deployment_events", fields: ignored([]field{ref("ref", "x", "refs/heads/")}, "commit_url", "commit_title", "environment")},
		{event: "wiki_page_events", fields: ignored(nil, "object_attributes.title", "object_attributes.content", "object_attributes.version_id")},
	}
}

// cut returns a text as the program cuts it: between two characters.
func cut(value string, most int) string {
	if len(value) <= most {
		return value
	}
	for most > 0 && value[most]&0xc0 == 0x80 {
		most--
	}
	return value[:most]
}

// asRead returns a text as it comes out of JSON.
func asRead(value string) string {
	var b strings.Builder
	for _, r := range value {
		b.WriteRune(r)
	}
	return b.String()
}

// TestHostile holds that for every text of a pusher the launcher is the one of a
// harmless event, byte for byte, but for the value itself, which is inert.
func TestHostile(t *testing.T) {
	values := hostile.Values()
	if len(values) < 200 {
		t.Fatalf("%d values are too few", len(values))
	}
	if err := os.Remove(hostile.Canary); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	t.Run("fields", func(t *testing.T) {
		for k, g := range groups() {
			t.Run(g.name(), func(t *testing.T) {
				t.Parallel()
				e := newEngine(t, listening("pipe", gitlabSource("any", "", nautes.GitLabEvent(g.event)), gitlabSource("some", "main", nautes.GitLabEvent(g.event))))
				harmless := documented(t, g.event)
				want, failed := e.gitlab("any", harmless)
				if len(want) != 1 || len(failed) > 0 {
					t.Fatalf("%d launchers, %v", len(want), failed)
				}
				// The ref of a push gets every text. Each of the other groups gets a third of
				// the texts, of every sort, and each text comes to a third of the groups.
				for i, value := range values {
					if k == 0 || (i+k)%3 == 0 {
						checkHostile(t, e, g, harmless, want[0], value)
					}
				}
			})
		}
	})
	if _, err := os.Stat(hostile.Canary); !os.IsNotExist(err) {
		t.Errorf("%s is there: something was run", hostile.Canary)
	}
}

func checkHostile(t *testing.T, e *engine, g group, harmless delivery, want launcher, value string) {
	t.Helper()
	e.clear()
	d := g.deliver(t, harmless, value)
	created, failed := e.gitlab("any", d)
	if len(failed) > 0 || len(created) > 1 {
		t.Fatalf("%q: %d launchers, %v", brief(value), len(created), failed)
	}
	event := want.event(t)
	for _, f := range g.fields {
		if f.into != nil {
			f.into(&event, asRead(f.before+value))
		}
	}
	if g.matched {
		// A pattern never fails, and sees the whole ref.
		matched, failed := e.gitlab("some", d)
		if len(failed) > 0 || (len(matched) > 0) != (len(created) > 0 && strings.Contains(event.Ref, "main")) {
			t.Errorf("%q: %d launchers with a pattern, %v", brief(value), len(matched), failed)
		}
	}
	if len(created) == 0 {
		if !runsNothing(g, value) {
			t.Errorf("%q runs nothing", brief(value))
		}
		return
	}
	got := created[0]
	if diff := cmp.Diff(event, got.event(t)); diff != "" {
		t.Errorf("%q (-want +got):\n%s", brief(value), diff)
	}
	for _, name := range []string{"event", "ref", "commit"} {
		if text := got.param(t, name); strings.Contains(text, "$") || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q: the parameter %s is not inert: %s", brief(value), name, brief(text))
		}
	}
	if l := len(got.param(t, "event")); l > 128_000 {
		t.Errorf("%q: the event is %d bytes long", brief(value), l)
	}
	if name := got.GetName(); len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		t.Errorf("%q: the name %q", brief(value), name)
	}
	// Put the harmless value back, and nothing else may differ.
	got = launcher{got.DeepCopy()}
	restore(t, got, want)
	if a, b := canonical(t, want), canonical(t, got); a != b {
		t.Errorf("%q changes the launcher (-want +got):\n%s", brief(value), cmp.Diff(a, b))
	}
}

func brief(text string) string { return clip([]byte(text)) }

// runsNothing reports whether nothing may run: a ref of another kind may be a
// fork's.
func runsNothing(g group, value string) bool {
	others := strings.HasPrefix(value, "refs/") && !strings.HasPrefix(value, "refs/heads/") && !strings.HasPrefix(value, "refs/tags/")
	return g.event == "job_events" && g.fields[0].before == "" && others
}

// restore gives a launcher the parameters and the key of another one.
func restore(t *testing.T, l, from launcher) {
	t.Helper()
	if prefix := from.GetName()[:len("launch-0123456789-")]; !strings.HasPrefix(l.GetName(), prefix) {
		t.Errorf("the name %s, want one that begins with %s", l.GetName(), prefix)
	}
	l.SetName(from.GetName())
	spec, was := l.Object["spec"].(map[string]any), from.Object["spec"].(map[string]any)
	params, before := spec["params"].([]any), was["params"].([]any)
	if len(params) != len(before) || len(params) != 3 {
		t.Fatalf("%d parameters", len(params))
	}
	for i := range params {
		if fmt.Sprint(params[i].(map[string]any)["name"]) != fmt.Sprint(before[i].(map[string]any)["name"]) {
			t.Errorf("parameter %d is another one", i)
		}
		params[i].(map[string]any)["value"] = before[i].(map[string]any)["value"]
	}
}

func canonical(t *testing.T, l launcher) string {
	t.Helper()
	content, err := json.Marshal(l.Object)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
