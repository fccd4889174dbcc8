package launch_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/test/testutil/hostile"
)

// inert fails the test if a shell, Tekton or YAML could interpret a text.
func inert(t *testing.T, text string) {
	t.Helper()
	for i, c := range []byte(text) {
		if c == '$' || c < 0x20 || c > 0x7e {
			t.Errorf("byte %d of %.80q is %q", i, text, c)
			return
		}
	}
}

// repaired replaces each byte that is not UTF-8, as encoding/json does.
func repaired(text string) string { return string([]rune(text)) }

func event(value string) launch.Event {
	return launch.Event{
		Event: "push_events", Ref: value, SourceBranch: value, TargetBranch: value, Title: value, Labels: value, State: value,
	}
}

func TestEncodeIsInertAndIsReadBack(t *testing.T) {
	for _, value := range append(hostile.Values(), "\x1f ~\x7f\u0080\uffff\U00010000\U0010ffff") {
		text, err := launch.Encode(event(value))
		if err != nil {
			t.Errorf("Encode(%.60q): %v", value, err)
			continue
		}
		inert(t, text)
		var got launch.Event
		if err := launch.Decode(text, &got); err != nil {
			t.Errorf("Decode of %.60q: %v", value, err)
			continue
		}
		if diff := cmp.Diff(event(repaired(value)), got); diff != "" {
			t.Errorf("%.60q is decoded differently (-want +got):\n%.500s", value, diff)
		}
	}
}

func TestEncodeReturnsErrors(t *testing.T) {
	if text, err := launch.Encode(func() {}); err == nil {
		t.Errorf("Encode of a function = %q, want an error", text)
	}
}

func TestConfigIsReadBack(t *testing.T) {
	constant := "$(params.x)"
	want := launch.Config{
		Product: "product-1", Runtime: "pr-demo", Namespace: "ns", Account: "acc", EventSource: "push", Pipeline: "dev", Label: "ä",
		Repository: "repo-1", URL: "https://gitlab.example.com/demo/repo.git", Path: "pipelines/dev.yaml", Revision: "main", EventRepository: "repo-2",
		Inputs: []launch.Input{
			{Path: "/spec/params/0/value", Value: &constant},
			{Path: "/spec/params/1/value", FromEvent: "ref"},
			{Path: "/spec/params/2/value", PipelineRevision: true},
		},
	}
	text, err := launch.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	inert(t, text)
	var got launch.Config
	if err := launch.Decode(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the configuration is decoded differently (-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":       "",
		"not JSON":      "event",
		"unknown field": `{"event":"push_events","command":"id"}`,
		"wrong type":    `{"event":1}`,
		"two values":    `{"event":"push_events"}{"event":"calendar"}`,
		"more text":     `{"event":"push_events"} x`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := launch.Decode(text, &launch.Event{}); err == nil {
				t.Errorf("Decode(%q) succeeded", text)
			}
		})
	}
}

func FuzzEncode(f *testing.F) {
	for _, value := range append(hostile.Values(), "\x1f ~\x7f\u0080\uffff\U00010000\U0010ffff") {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		text, err := launch.Encode(event(value))
		if err != nil {
			t.Fatal(err)
		}
		inert(t, text)
		if !json.Valid([]byte(text)) {
			t.Fatalf("%q is not JSON", text)
		}
		var got launch.Event
		if err := launch.Decode(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(event(repaired(value)), got); diff != "" {
			t.Errorf("decoded differently (-want +got):\n%s", diff)
		}
	})
}
