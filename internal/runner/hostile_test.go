package runner

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/test/testutil/hostile"
)

// every is the distance between the hostile values that pass through the whole
// program. Its pure part is tested with all of them.
const every = 9

const large = 4 << 10

// hostileFile has a parameter for every value of a merge request.
const hostileFile = `apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: hostile}
spec:
  params:
  - {name: ref, value: a}
  - {name: source_branch, value: a}
  - {name: target_branch, value: a}
  - {name: title, value: a}
  - {name: labels, value: a}
  - {name: state, value: a}
  pipelineRef: {name: build}
`

// The values of an event pass unchanged through the process, Git and the API server,
// or the program refuses them.
func TestHostileEventsThroughTheProgram(t *testing.T) {
	w := newFixture(t)
	w.program = build(t)
	commit := w.repo.Push(map[string]string{"pipelines/dev.yaml": hostileFile})
	c := w.config()
	names := []string{"ref", "source_branch", "target_branch", "title", "labels", "state"}
	for i, name := range names {
		c.Inputs = append(c.Inputs, launch.Input{Path: "/spec/params/" + strconv.Itoa(i) + "/value", FromEvent: name})
	}
	created := 0
	for i, value := range hostile.Values() {
		if i%every != 0 || value == "" {
			continue
		}
		e := launch.Event{
			Event: "merge_requests_events", Ref: value, Commit: commit, SourceBranch: value, TargetBranch: value, Title: value, Labels: value, State: value,
		}
		if len(value) > large {
			// An argument of a process has at most 128 KiB, escapes included.
			e.SourceBranch, e.TargetBranch, e.Title, e.Labels, e.State = "a", "a", "a", "a", "a"
		}
		got := w.launch(c, e, "l-"+strconv.Itoa(i))
		if got.code == launch.ExitInput && strings.Contains(value, "$(") {
			continue
		}
		if got.code != launch.ExitOK || got.commit != commit {
			t.Errorf("%.60q ended with %.500v", value, got)
			continue
		}
		created++
		want := string([]rune(value))
		run := w.get(got.run)
		for i, name := range names {
			if param := run.Spec.Params[i].Value.StringVal; param != want && (name == "ref" || len(value) <= large) {
				t.Errorf("%.60q arrived as %s %.60q", value, name, param)
			}
		}
		if ref := run.Annotations[launch.AnnotationRef]; ref != want {
			t.Errorf("%.60q is annotated as %.60q", value, ref)
		}
	}
	if runs := w.runs(); len(runs) != created || created < 10 {
		t.Errorf("there are %d runs of %d", len(runs), created)
	}
	if _, err := os.Stat(hostile.Canary); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a value was executed: %s is there (%v)", hostile.Canary, err)
	}
}
