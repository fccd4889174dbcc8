package sensorlua

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	lua "github.com/yuin/gopher-lua"

	"nautes.io/nautes/internal/forge/gitea"
	"nautes.io/nautes/internal/forge/gitlab"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/luapattern"
	"nautes.io/nautes/test/testutil/hostile"
)

// run runs a Lua program with global variables and returns its result.
func run(t testing.TB, program string, seen map[string]lua.LValue) lua.LValue {
	t.Helper()
	l := lua.NewState()
	defer l.Close()
	for name, value := range seen {
		l.SetGlobal(name, value)
	}
	if err := l.DoString(program); err != nil {
		t.Fatalf("%v\n%s", err, program)
	}
	return l.Get(-1)
}

// installed returns a directory with the programs.
func installed(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, program := range Files() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// FuzzLiteral checks that the engine reads a literal as the original bytes.
func FuzzLiteral(f *testing.F) {
	for _, value := range hostile.Values() {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, text string) {
		literal := Literal(text)
		if strings.Trim(literal, `"\0123456789`) != "" {
			t.Fatalf("%q is not inert", literal)
		}
		if got := run(t, "return "+literal, nil); got != lua.LString(text) {
			t.Errorf("%s is %q, want %q", literal, got, text)
		}
	})
}

// FuzzPayload checks that the encoder in Lua has the output of launch.Encode, and that
// encoding/json decodes it to the original value.
func FuzzPayload(f *testing.F) {
	for _, value := range hostile.Values() {
		f.Add(value)
	}
	program := common + `return object({ "event", "push_events", "ref", text, "title", text })`
	// The name hides the program's own function.
	program = strings.ReplaceAll(program, `"ref", text, "title", text`, `"ref", given, "title", given`)
	f.Fuzz(func(t *testing.T, text string) {
		got := string(run(t, program, map[string]lua.LValue{"given": lua.LString(text)}).(lua.LString))
		want, err := launch.Encode(launch.Event{Event: "push_events", Ref: text, Title: text})
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("the payload of %q is\n%s, want\n%s", text, got, want)
		}
		if at := strings.IndexFunc(got, func(r rune) bool { return r == '$' || r < ' ' || r > '~' }); at >= 0 {
			t.Errorf("%q is not inert at %d", got, at)
		}
		var read launch.Event
		if err := launch.Decode(got, &read); err != nil || read.Ref != valid(text) {
			t.Errorf("%s is read as %q, %v; want %q", got, read.Ref, err, valid(text))
		}
	})
}

// valid returns a text as encoding/json writes it, with invalid UTF-8 replaced.
func valid(text string) string {
	var b strings.Builder
	for _, r := range text {
		b.WriteRune(r)
	}
	return b.String()
}

// FuzzGitLab checks that the program fails for no delivery.
func FuzzGitLab(f *testing.F) {
	for kind := range kinds {
		f.Add(kind, "id", []byte(`{"ref":1,"object_attributes":[{}],"merge_request":{"labels":[1,{"title":2}]},"commit":"x","after":null}`))
		f.Add(kind, "id", []byte(`{"ref":"refs/heads/x","object_attributes":{"source_project_id":1,"target_project_id":1,"source_branch":"x"},"checkout_sha":"1"}`))
	}
	dir := installed(f)
	f.Fuzz(func(t *testing.T, kind, id string, body []byte) {
		var decoded any
		if json.Unmarshal(body, &decoded) != nil {
			t.Skip()
		}
		checkResult(t, transformed(t, Run(dir, gitlab.Forge().Events.Program.File), map[string]any{
			"headers": map[string]any{"X-Gitlab-Event": []any{kind}, "Idempotency-Key": []any{id}, "X-Gitlab-Event-Uuid": []any{id}},
			"body":    decoded,
		}))
	})
}

// FuzzGitea checks that the program fails for no delivery.
func FuzzGitea(f *testing.F) {
	for _, kind := range []string{"push", "pull_request", "release", "issues"} {
		f.Add(kind, "id", []byte(`{"ref":1,"after":{},"pull_request":{"head":{"repo_id":1},"base":[],"labels":[1,{"name":2}]},"release":"x","action":1}`))
		f.Add(kind, "id", []byte(`{"ref":"refs/heads/x","after":"1","action":"opened","pull_request":{"head":{"ref":"x","repo_id":1,"sha":"1"},"base":{"ref":"main","repo_id":1}},"release":{"tag_name":"v1"}}`))
	}
	dir := installed(f)
	f.Fuzz(func(t *testing.T, kind, id string, body []byte) {
		var decoded any
		if json.Unmarshal(body, &decoded) != nil {
			t.Skip()
		}
		checkResult(t, transformed(t, Run(dir, gitea.Forge().Events.Program.File), map[string]any{
			"headers": map[string]any{"X-Gitea-Event": []any{kind}, "X-Gitea-Delivery": []any{id}},
			"body":    decoded,
		}))
	})
}

// TestGitea checks the data of deliveries of Gitea.
func TestGitea(t *testing.T) {
	const sha, id = "0123456789abcdef0123456789abcdef01234567", "01234567-89ab-cdef-0123-456789abcdef"
	pull := func(action, head string) string {
		return `{"action":"` + action + `","number":7,"pull_request":{"id":9,"title":"A change","state":"open","labels":[{"name":"a"},{"name":"b"}],` + head + `"base":{"ref":"main","repo_id":3}}}`
	}
	tests := map[string]struct {
		event, body string
		want        map[string]string
		wantPayload launch.Event
	}{
		"a push": {
			event: "push", body: `{"ref":"refs/heads/main","before":"` + strings.Repeat("1", 40) + `","after":"` + strings.ToUpper(sha) + `"}`,
			want:        map[string]string{"event": "push", "what": "push", "ref": "refs/heads/main", "commit": sha, "refText": "refs/heads/main"},
			wantPayload: launch.Event{Event: "push", Ref: "refs/heads/main", Commit: sha},
		},
		"a tag": {
			event: "push", body: `{"ref":"refs/tags/v1","after":"` + sha + `"}`,
			want:        map[string]string{"event": "push", "what": "push", "ref": "refs/tags/v1", "commit": sha, "refText": "refs/tags/v1"},
			wantPayload: launch.Event{Event: "push", Ref: "refs/tags/v1", Commit: sha},
		},
		"a removed branch":   {event: "push", body: `{"ref":"refs/heads/x","after":"` + strings.Repeat("0", 40) + `"}`},
		"a hidden reference": {event: "push", body: `{"ref":"refs/pull/1/head","after":"` + sha + `"}`},
		"a pull request": {
			event: "pull_request", body: pull("synchronized", `"head":{"ref":"feature","sha":"`+sha+`","repo_id":3},`),
			want:        map[string]string{"event": "pull_request", "what": "pull_request:synchronized", "ref": "refs/heads/feature", "commit": sha, "refText": "refs/heads/feature"},
			wantPayload: launch.Event{Event: "pull_request", Ref: "refs/heads/feature", Commit: sha, SourceBranch: "feature", TargetBranch: "main", Title: "A change", Labels: "a,b", State: "open"},
		},
		"a pull request of a fork":        {event: "pull_request", body: pull("opened", `"head":{"ref":"feature","sha":"`+sha+`","repo_id":4},`)},
		"a pull request without a head":   {event: "pull_request", body: pull("opened", "")},
		"a pull request without a branch": {event: "pull_request", body: pull("opened", `"head":{"ref":"refs/pull/7/head","sha":"`+sha+`","repo_id":3},`)},
		"a release": {
			event: "release", body: `{"action":"published","release":{"id":1,"tag_name":"v1","name":"One","target_commitish":"main"}}`,
			want:        map[string]string{"event": "release", "what": "release:published", "ref": "refs/tags/v1", "commit": "", "refText": "refs/tags/v1"},
			wantPayload: launch.Event{Event: "release", Ref: "refs/tags/v1", Title: "One"},
		},
		"an event without a program": {event: "issues", body: `{"action":"opened"}`},
		"no event":                   {body: `{"ref":"refs/heads/main","after":"` + sha + `"}`},
	}
	dir := installed(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var body any
			if err := json.Unmarshal([]byte(tt.body), &body); err != nil {
				t.Fatal(err)
			}
			deliver := func(id string) map[string]string {
				got := transformed(t, Run(dir, gitea.Forge().Events.Program.File), map[string]any{
					"headers": map[string]any{"X-Gitea-Event": []any{tt.event}, "X-Gitea-Delivery": []any{id}}, "body": body,
				})
				checkResult(t, got)
				return got
			}
			got := deliver(id)
			if tt.want == nil {
				if got["event"] != "" {
					t.Errorf("got %q, want that it runs nothing", got)
				}
				return
			}
			var payload launch.Event
			if err := launch.Decode(got["payload"], &payload); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.wantPayload, payload); diff != "" {
				t.Errorf("the payload (-want +got):\n%s", diff)
			}
			if got["key"] != id || deliver("")["key"] == id {
				t.Errorf("the key is %q, want the number of the delivery, and a hash without one", got["key"])
			}
			delete(got, "payload")
			delete(got, "key")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("the data (-want +got):\n%s", diff)
			}
		})
	}
}

// kinds has the event of each value of X-Gitlab-Event.
var kinds = map[string]string{
	"Push Hook": "push_events", "Tag Push Hook": "tag_push_events", "Merge Request Hook": "merge_requests_events",
	"Issue Hook": "issues_events", "Confidential Issue Hook": "confidential_issues_events", "Note Hook": "note_events",
	"Confidential Note Hook": "confidential_note_events", "Job Hook": "job_events", "Pipeline Hook": "pipeline_events",
	"Release Hook": "releases_events", "Deployment Hook": "deployment_events",
	"Wiki Page Hook": "wiki_page_events",
}

// checkResult checks the form of a program's result.
func checkResult(t *testing.T, got map[string]string) {
	t.Helper()
	if got["event"] == "" {
		if len(got) != 2 || got["what"] != "" {
			t.Errorf("an event that runs nothing has %q", got)
		}
		return
	}
	if what, _, _ := strings.Cut(got["what"], ":"); what != got["event"] {
		t.Errorf("the event %q is %q", got["event"], got["what"])
	}
	if key := got["key"]; key == "" || len(key) > MaxKey || strings.Trim(key, "0123456789abcdefghijklmnopqrstuvwxyz-") != "" {
		t.Errorf("the key %q", key)
	}
	if strings.ContainsFunc(got["refText"], func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/@+-%", r)
	}) {
		t.Errorf("the ref is %q as a text", got["refText"])
	}
	if strings.Trim(got["commit"], "0123456789abcdef") != "" || len(got["commit"])%40 != 0 {
		t.Errorf("the commit %q", got["commit"])
	}
	var event launch.Event
	if err := launch.Decode(got["payload"], &event); err != nil || event.Ref != got["ref"] || event.Event != got["event"] {
		t.Errorf("the payload of %q is %+v, %v", got["ref"], event, err)
	}
	if len(got["payload"]) > 128000 || strings.Contains(got["payload"], "$") {
		t.Errorf("the payload has %d bytes, or a dollar sign", len(got["payload"]))
	}
}

// transformed runs a program on an event like Argo Events.
func transformed(t *testing.T, program string, event map[string]any) map[string]string {
	t.Helper()
	table, ok := run(t, program, map[string]lua.LValue{"event": toLua(event)}).(*lua.LTable)
	if !ok {
		t.Fatal("the result is no table")
	}
	got := map[string]string{}
	table.ForEach(func(key, value lua.LValue) {
		if value.Type() != lua.LTString || !utf8.ValidString(value.String()) {
			t.Errorf("%v is the %v %q", key, value.Type(), value)
		}
		got[key.String()] = value.String()
	})
	return got
}

// toLua converts a value decoded from JSON.
func toLua(v any) lua.LValue {
	switch v := v.(type) {
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	case []any:
		table := &lua.LTable{}
		for _, one := range v {
			table.Append(toLua(one))
		}
		return table
	case map[string]any:
		table := &lua.LTable{}
		for key, one := range v {
			table.RawSetString(key, toLua(one))
		}
		return table
	}
	return lua.LNil
}

// TestMemory checks that the largest push that Argo Events accepts needs no more
// memory than a sensor has for each of its triggers, garbage included.
func TestMemory(t *testing.T) {
	dir := installed(t)
	var commits []any
	size := 0
	for range 20 {
		var files []any
		for i := range 5000 {
			files = append(files, fmt.Sprintf("%05d", i))
			size += len(`"00000",`)
		}
		commits = append(commits, map[string]any{"id": strings.Repeat("a", 40), "modified": files})
	}
	delivery := map[string]any{
		"headers": map[string]any{"X-Gitlab-Event": []any{"Push Hook"}},
		"body":    map[string]any{"ref": "refs/heads/main", "checkout_sha": strings.Repeat("a", 40), "commits": commits},
	}
	if size < 750<<10 || size > 1<<20 {
		t.Fatalf("the delivery has %d bytes", size)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if got := transformed(t, Run(dir, gitlab.Forge().Events.Program.File), delivery); got["ref"] != "refs/heads/main" {
		t.Errorf("the ref is %q", got["ref"])
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > Memory {
		t.Errorf("it takes %d MiB, and a trigger has %d", took>>20, Memory>>20)
	}
}

func TestCalendar(t *testing.T) {
	dir := installed(t)
	tests := map[string]struct{ time, wantTime, wantKey string }{
		"a leap day":         {time: "2024-02-29 23:59:59 +0000 UTC", wantTime: "2024-02-29T23:59:59+00:00", wantKey: "20240229t235959p0000"},
		"a year's end":       {time: "2099-12-31 23:59:59.9 -1200 x", wantTime: "2099-12-31T23:59:59-12:00", wantKey: "20991231t235959m1200"},
		"a new year":         {time: "2025-01-01 00:00:00 +1400 x", wantTime: "2025-01-01T00:00:00+14:00", wantKey: "20250101t000000p1400"},
		"a strange day":      {time: "1-2-345678 00:00:00 +1400 x"},
		"UTC":                {time: "2024-01-02 17:00:00.000123456 +0000 UTC m=+12.3", wantTime: "2024-01-02T17:00:00+00:00", wantKey: "20240102t170000p0000"},
		"a timezone":         {time: "2024-10-27 02:30:00.5 +0200 CEST m=+12.3", wantTime: "2024-10-27T02:30:00+02:00", wantKey: "20241027t023000p0200"},
		"an hour later":      {time: "2024-10-27 02:30:00.5 +0100 CET m=+12.3", wantTime: "2024-10-27T02:30:00+01:00", wantKey: "20241027t023000p0100"},
		"west, by its digit": {time: "2024-01-02 17:00:00 -0330 -0330", wantTime: "2024-01-02T17:00:00-03:30", wantKey: "20240102t170000m0330"},
		"no time":            {time: "soon"},
		"an empty time":      {},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := transformed(t, Run(dir, Calendar), map[string]any{"eventTime": test.time})
			checkResult(t, got)
			if test.wantTime == "" {
				if got["event"] != "" {
					t.Errorf("got %q", got)
				}
				return
			}
			var event launch.Event
			if err := launch.Decode(got["payload"], &event); err != nil || event != (launch.Event{Event: launch.EventCalendar, Time: test.wantTime}) {
				t.Errorf("the payload is %+v, %v", event, err)
			}
			if at, err := time.Parse(time.RFC3339, test.wantTime); err != nil || got["seconds"] != strconv.FormatInt(at.Unix(), 10) {
				t.Errorf("%s is %s seconds, %v; want %d", test.wantTime, got["seconds"], err, at.Unix())
			}
			if got["key"] != test.wantKey || got["ref"] != "" {
				t.Errorf("got %q, want the key %s", got, test.wantKey)
			}
		})
	}
}

func TestOutside(t *testing.T) {
	dir := installed(t)
	times := []int64{100, 160, 1000, 1060}
	for seconds, want := range map[string]bool{"99": true, "100": false, "159": false, "160": true, "999": true, "1059": false, "1060": true, "": false, "x": false} {
		event := &lua.LTable{}
		event.RawSetString("seconds", lua.LString(seconds))
		if got := run(t, Outside(dir, times), map[string]lua.LValue{"event": event}); got != lua.LBool(want) {
			t.Errorf("%q: %v", seconds, got)
		}
	}
}

func TestMatchRef(t *testing.T) {
	dir := installed(t)
	tests := map[string]struct {
		pattern string
		ref     lua.LValue
		want    bool
	}{
		"of the user guide":        {pattern: "^refs/heads/feature%-", ref: lua.LString("refs/heads/feature-1"), want: true},
		"another branch":           {pattern: "^refs/heads/feature%-", ref: lua.LString("refs/heads/fix-1")},
		"anywhere":                 {pattern: "main", ref: lua.LString("refs/heads/main-2"), want: true},
		"anything":                 {pattern: ".*", ref: lua.LString("refs/tags/v1"), want: true},
		"anything, but there must": {pattern: ".*", ref: lua.LString("")},
		"no ref":                   {pattern: ".*", ref: lua.LNil},
		"a number":                 {pattern: ".*", ref: lua.LNumber(1)},
		"as long as may be":        {pattern: ".*", ref: lua.LString(strings.Repeat("x", luapattern.MaxText)), want: true},
		"too long":                 {pattern: ".*", ref: lua.LString(strings.Repeat("x", luapattern.MaxText+1))},
		"no pattern":               {pattern: "[", ref: lua.LString("[")},
		"as if it ended":           {pattern: `" return true --`, ref: lua.LString("refs/heads/main")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			event := &lua.LTable{}
			event.RawSetString("ref", test.ref)
			if got := run(t, MatchRef(dir, test.pattern), map[string]lua.LValue{"event": event}); got != lua.LBool(test.want) {
				t.Errorf("%q and %v: %v", test.pattern, test.ref, got)
			}
		})
	}
}
