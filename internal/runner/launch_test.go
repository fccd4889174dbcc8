package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/test/githost"
)

const pushedRef = "refs/heads/feature-1"

func TestLaunchCreatesTheRun(t *testing.T) {
	tests := map[string]struct {
		file       string
		wantPrefix string
		wantParams tektonv1.Params
		wantLabels map[string]string
		// wantSaid are parts of the output.
		wantSaid []string
		check    func(*testing.T, *tektonv1.PipelineRun)
	}{
		"run": {
			file: fileRun, wantPrefix: "build-", wantLabels: map[string]string{"team": "blue"},
			wantParams: tektonv1.Params{
				{Name: "revision", Value: *tektonv1.NewStructuredValues(pushedRef)},
				{Name: "platforms", Value: *tektonv1.NewStructuredValues("linux", "darwin")},
			},
			check: func(t *testing.T, run *tektonv1.PipelineRun) {
				if run.Annotations["note"] != "kept" || run.Annotations["x.nautes.io/y"] != "" {
					t.Errorf("annotations are %v", run.Annotations)
				}
			},
		},
		"pipeline": {
			file: filePipeline, wantPrefix: "build-", wantLabels: map[string]string{"team": "blue"},
			wantParams: tektonv1.Params{{Name: "revision", Value: *tektonv1.NewStructuredValues(pushedRef)}},
		},
		"old run": {
			file: fileRunOld, wantPrefix: "old-",
			wantParams: tektonv1.Params{{Name: "revision", Value: *tektonv1.NewStructuredValues(pushedRef)}},
			wantSaid:   []string{`"admin"`},
			check: func(t *testing.T, run *tektonv1.PipelineRun) {
				if run.Spec.Timeouts == nil || run.Spec.Timeouts.Pipeline.Duration.String() != "10m0s" {
					t.Errorf("timeouts are %v", run.Spec.Timeouts)
				}
				if cpu := run.Spec.PipelineSpec.Tasks[0].TaskSpec.Steps[0].ComputeResources.Requests.Cpu(); cpu.String() != "100m" {
					t.Errorf("the step requests %v", cpu)
				}
			},
		},
		"old pipeline": {
			file: filePipelineOld, wantPrefix: "old-",
			wantParams: tektonv1.Params{{Name: "revision", Value: *tektonv1.NewStructuredValues(pushedRef)}},
			check: func(t *testing.T, run *tektonv1.PipelineRun) {
				if resolver := run.Spec.PipelineSpec.Tasks[0].TaskRef.Resolver; resolver != "bundles" {
					t.Errorf("the resolver is %q", resolver)
				}
			},
		},
		"reference, in JSON, without a name": {
			file: fileReference, wantPrefix: "pipeline-dev-", wantSaid: []string{`"kube-system"`, `"admin"`, `"root"`},
			check: func(t *testing.T, run *tektonv1.PipelineRun) {
				if a, b := run.Spec.TaskRunSpecs[0].ServiceAccountName, run.Spec.TaskRunSpecs[1].ServiceAccountName; a != "pr-demo-account" || b != "" {
					t.Errorf("the accounts of the tasks are %q and %q", a, b)
				}
			},
		},
	}
	w := newFixture(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := w.within(t)
			commit := w.repo.Commit(githost.Commit{Branch: "feature-1", Files: map[string]string{"pipelines/dev.yaml": tt.file}})
			launcher := "l-" + commit[:12]
			got := w.launch(w.config(), launch.Event{Event: "push_events", Ref: pushedRef, Commit: commit}, launcher)
			if got.code != launch.ExitOK || got.commit != commit || !strings.HasPrefix(got.run, tt.wantPrefix) || got.stderr != "" {
				t.Fatalf("the program ended with %+v", got)
			}
			run := w.get(got.run)
			for _, want := range append(tt.wantSaid, "created run "+got.run) {
				if !strings.Contains(got.stdout, want) {
					t.Errorf("%q is not said in %q", want, got.stdout)
				}
			}
			wantLabels := map[string]string{
				launch.LabelProduct: "product-1", launch.LabelRuntime: "pr-demo", launch.LabelEventSource: "push", launch.LabelPipeline: "pipeline-dev",
				launch.LabelLabel: "dev", launch.LabelEvent: "push_events", launch.LabelCommit: commit, launch.LabelRole: launch.RoleRun,
				launch.LabelLauncher: launcher, launch.LabelBranch: "dev",
			}
			for key, value := range tt.wantLabels {
				wantLabels[key] = value
			}
			if diff := cmp.Diff(wantLabels, run.Labels); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			if run.Annotations[launch.AnnotationRef] != pushedRef {
				t.Errorf("annotations are %v", run.Annotations)
			}
			if diff := cmp.Diff(tt.wantParams, run.Spec.Params); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
			if account := run.Spec.TaskRunTemplate.ServiceAccountName; account != "pr-demo-account" {
				t.Errorf("the account is %q", account)
			}
			if tt.check != nil {
				tt.check(t, run)
			}
		})
	}
}

func TestLaunchReadsTheRevision(t *testing.T) {
	w := newFixture(t)
	push := func(branch, name string) string {
		return w.repo.Commit(githost.Commit{Branch: branch, Files: map[string]string{
			"pipelines/dev.yaml": strings.ReplaceAll(fileReference, `"name": "build"`, `"name": "`+name+`"`),
		}})
	}
	older := push("main", "older")
	main := push("main", "main")
	feature := push("feature-1", "feature")
	w.repo.Git("tag", "-a", "-m", "release", "v1", older)
	tests := map[string]struct {
		change func(*launch.Config, *launch.Event)
		want   string
	}{
		"the event's commit":   {func(_ *launch.Config, e *launch.Event) { e.Ref, e.Commit = "refs/heads/main", older }, older},
		"the event's branch":   {func(_ *launch.Config, e *launch.Event) { e.Ref = pushedRef }, feature},
		"the event's tag":      {func(_ *launch.Config, e *launch.Event) { e.Ref = "refs/tags/v1" }, older},
		"an event without any": {func(_ *launch.Config, e *launch.Event) { e.Event = "issues_events" }, main},
		"the branch of another's event": {func(c *launch.Config, e *launch.Event) {
			c.EventRepository, e.Ref, e.Commit = "repo-2", pushedRef, strings.Repeat("ab", 20)
		}, feature},
		"the trigger's branch": {func(c *launch.Config, e *launch.Event) { c.Revision, e.Commit = "feature-1", older }, feature},
		"the trigger's tag":    {func(c *launch.Config, e *launch.Event) { c.Revision, e.Commit = "v1", main }, older},
		"the trigger's commit": {func(c *launch.Config, e *launch.Event) { c.Revision, e.Ref = older, "refs/heads/main" }, older},
		"calendar, the default branch": {func(c *launch.Config, e *launch.Event) {
			c.EventRepository, e.Event, e.Time = "", launch.EventCalendar, "2024-01-01T17:00:00Z"
		}, main},
		"calendar, the trigger's branch": {func(c *launch.Config, e *launch.Event) {
			c.EventRepository, c.Revision, e.Event = "", "feature-1", launch.EventCalendar
		}, feature},
		"the branch of a hostile event": {func(c *launch.Config, e *launch.Event) { c.Revision, e.Ref = "main", "--upload-pack=touch /x" }, main},
		"the commit of a hostile event": {func(_ *launch.Config, e *launch.Event) { e.Ref, e.Commit = "refs/heads/$(id)\n", older }, older},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := w.within(t)
			c, e := w.config(), launch.Event{Event: "push_events"}
			tt.change(&c, &e)
			got := w.launch(c, e, nameFor(name))
			if got.code != launch.ExitOK || got.commit != tt.want {
				t.Fatalf("the program ended with %+v; want commit %s", got, tt.want)
			}
			if commit := w.get(got.run).Labels[launch.LabelCommit]; commit != tt.want {
				t.Errorf("the run is labelled with %s, want %s", commit, tt.want)
			}
		})
	}
}

// A step that runs again creates no second run, even if the file has changed.
func TestLaunchTwiceCreatesOneRun(t *testing.T) {
	w := newFixture(t)
	first := w.repo.Push(map[string]string{"pipelines/dev.yaml": fileRun})
	e := launch.Event{Event: "push_events", Ref: "refs/heads/main"}
	before := w.launch(w.config(), e, "launcher-1")
	w.repo.Push(map[string]string{"pipelines/dev.yaml": filePipelineOld})
	for range 2 {
		if got := w.launch(w.config(), e, "launcher-1"); got.code != launch.ExitOK || got.run != before.run || got.commit != first {
			t.Errorf("the program ended with %+v; want the run %s at %s", got, before.run, first)
		}
	}
	if runs := w.runs(); len(runs) != 1 {
		t.Errorf("there are %d runs, want 1", len(runs))
	}
	// Another launcher is another event.
	if got := w.launch(w.config(), e, "launcher-2"); got.code != launch.ExitOK || len(w.runs()) != 2 {
		t.Errorf("the program ended with %+v; there are %d runs, want 2", got, len(w.runs()))
	}
}

// A run with the right name but without the launcher's label is foreign.
func TestLaunchTakesNoForeignRun(t *testing.T) {
	w := newFixture(t)
	w.repo.Push(map[string]string{"pipelines/dev.yaml": fileRun})
	e := launch.Event{Event: "push_events", Ref: "refs/heads/main"}
	name := w.launch(w.config(), e, "launcher-1").run
	run := w.get(name)
	if err := w.client.Delete(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	run.ObjectMeta = metav1.ObjectMeta{Name: name, Namespace: w.namespace}
	if err := w.client.Create(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if got := w.launch(w.config(), e, "launcher-1"); got.code != launch.ExitDenied || got.run != "" {
		t.Errorf("the program ended with %+v; want exit code %d", got, launch.ExitDenied)
	}
}

func TestLaunchUsesCredentialsAndPrintsNone(t *testing.T) {
	w := newFixture(t)
	commit := w.repo.Push(map[string]string{"pipelines/dev.yaml": fileRun})
	e := launch.Event{Event: "push_events", Ref: "refs/heads/main", Commit: commit}
	const password = "s3cr3t-$(params.x)\nline"
	w.host.RequireAuth("reader", password)
	write := func(username, password string) {
		for name, content := range map[string]string{"username": username, "password": password} {
			if err := os.WriteFile(filepath.Join(w.credentials, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	outcomes := map[string]result{"none": w.launch(w.config(), e, "none")}
	write("reader", password+"x")
	outcomes["wrong"] = w.launch(w.config(), e, "wrong")
	write("reader", password)
	outcomes["right"] = w.launch(w.config(), e, "right")
	for name, want := range map[string]int{"none": launch.ExitGit, "wrong": launch.ExitGit, "right": launch.ExitOK} {
		got := outcomes[name]
		if got.code != want {
			t.Errorf("with credentials %s the program ended with %+v; want exit code %d", name, got, want)
		}
		for _, form := range append(forms(password), forms("reader:"+password)...) {
			if strings.Contains(got.stdout+got.stderr, form) {
				t.Errorf("with credentials %s the password is printed", name)
			}
		}
	}
}

// A failed step writes its results, since the next steps read them.
func TestLaunchThatFailsHasResults(t *testing.T) {
	w := newFixture(t)
	w.repo.Push(map[string]string{"pipelines/dev.yaml": "a: ["})
	e := launch.Event{Event: "push_events", Ref: "refs/heads/main"}
	for name, more := range map[string][]string{"the file": nil, "the configuration": {"--config="}, "the cluster": {"--kubeconfig=/nonexistent"}} {
		dir := t.TempDir()
		run, commit := filepath.Join(dir, "run"), filepath.Join(dir, "commit")
		got := w.launch(w.config(), e, "launcher", append([]string{"--result-run=" + run, "--result-commit=" + commit}, more...)...)
		if got.code == launch.ExitOK {
			t.Errorf("%s: the program ended with %+v", name, got)
		}
		for _, file := range []string{run, commit} {
			if content, err := os.ReadFile(file); err != nil || len(content) > 0 {
				t.Errorf("%s: the result is %q, %v; want an empty one", name, content, err)
			}
		}
	}
}
