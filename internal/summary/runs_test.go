package summary

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/observed"
)

func TestRuns(t *testing.T) {
	run := func(name, launcher, result string) observed.Run {
		return observed.Run{Name: name, Role: launch.RoleRun, Launcher: launcher, Result: result}
	}
	launcher := func(name, result string) observed.Run {
		return observed.Run{Name: name, Role: launch.RoleLauncher, Result: result, Message: "why"}
	}
	tests := map[string]struct {
		runs []observed.Run
		want []string
	}{
		"none": {},
		"a run hides its launcher, however that ended": {
			runs: []observed.Run{run("r", "l", "Succeeded"), launcher("l", "Failed")}, want: []string{"r Succeeded"},
		},
		"launchers at work, and those that did their work, are no runs": {
			runs: []observed.Run{launcher("a", "Running"), launcher("b", "Succeeded")},
		},
		"a launcher that created nothing": {
			runs: []observed.Run{launcher("c", "Timeout"), launcher("b", "Cancelled"), launcher("a", "Failed"), run("r", "other", "Failed")},
			want: []string{"c NotStarted", "b NotStarted", "a NotStarted", "r Failed"},
		},
		"a launcher whose run is gone, and that failed after it": {
			runs: []observed.Run{{Name: "l", Role: launch.RoleLauncher, Result: "Failed", Launched: true}},
		},
		"whoever has another role": {runs: []observed.Run{{Name: "x", Role: "guest", Result: "Failed"}}},
	}
	many := make([]observed.Run, 0, 20)
	for i := range 20 {
		many = append(many, run(fmt.Sprint(i), "", "Succeeded"))
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, r := range Runs(test.runs) {
				got = append(got, r.Name+" "+r.Result)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
		})
	}
	if got := Runs(many); len(got) != maxRuns || got[0].Name != "0" || got[maxRuns-1].Name != "9" {
		t.Errorf("of twenty runs it lists %v", got)
	}
	got := Runs([]observed.Run{{
		Name: "r", Role: launch.RoleRun, Pipeline: "p", EventSource: "e", Event: "push_events", Commit: "c",
		Result: "Failed", Message: "m", Started: 1767225600,
	}})
	want := []v1alpha1.PipelineRunStatus{{
		Name: "r", Pipeline: "p", EventSource: "e", Event: "push_events", Commit: "c", Result: "Failed", Message: "m",
		StartTime: &metav1.Time{Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a run (-want +got):\n%s", diff)
	}
}
