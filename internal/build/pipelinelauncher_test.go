package build

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	tekton "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/testutil"
)

// pipelineWorld is a tenant in which the pipeline runtimes of these tests are in
// order.
func pipelineWorld(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	objects := []client.Object{
		testutil.Product("product-1"), testutil.CodeRepoProvider(testutil.Provider), testutil.Cluster("ci", testutil.PipelineWorker), testutil.Environment("product-1", "ci", "ci"),
		testutil.Project("product-1", "api"), testutil.CodeRepo("product-1", "repo-3", "api"),
	}
	for _, name := range []string{"ls", "gitlab-commit-status"} {
		hook := &v1alpha1.PipelineHook{}
		readSample(t, "tenant/hooks/"+name+".yaml", hook)
		hook.Namespace = testutil.Namespace
		objects = append(objects, hook)
	}
	objects = append(objects, testutil.PipelineHook("every", func(h *v1alpha1.PipelineHook) {
		h.Spec.Task.Raw = []byte(everything)
	}))
	return snapshot.New(testutil.Tenant, testutil.Namespace, objects...).WithSettings(snapshot.Settings{RunnerImage: "registry.example.com/nautes:1"})
}

// everything is a task that takes all the built-in variables, and a variable.
const everything = `{"params":[{"name":"CodeRepoProviderURL"},{"name":"EventSourceCodeRepoName"},{"name":"EventSourceCodeRepoURL"},{"name":"Namespace"},` +
	`{"name":"PipelineCodeRepoName"},{"name":"PipelineCodeRepoURL"},{"name":"PipelineDashBoardURL"},{"name":"PipelineFilePath"},{"name":"PipelineLabel"},` +
	`{"name":"PipelineRevision"},{"name":"ProviderType"},{"name":"RunnerImage"},{"name":"ServiceAccount"},{"name":"ref"},{"name":"commitID"},` +
	`{"name":"PipelineRunName","default":"none"},{"name":"PipelineRunStatus","default":"none"},{"name":"text","default":"none"},` +
	`{"name":"event","default":"none"},{"name":"commit","default":"none"}],` +
	`"steps":[{"image":"bash","args":["$(params.PipelineFilePath)","$(params.text)"]}]}`

func readSample(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "samples", path))
	if err == nil {
		err = yaml.UnmarshalStrict(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// launchersOf returns the launchers of a runtime by "event source/pipeline/kind".
func launchersOf(s *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime) (map[string]*tekton.PipelineRun, error) {
	target, err := s.Target(r)
	if err != nil {
		return nil, err
	}
	p := &pipeline{
		set:  newSet(s.Tenant, PipelineOwner(r), plan.Cluster(target.Cluster)),
		snap: s, runtime: r, target: target, source: snapshot.RefOf(r), cluster: s.Cluster(target.Cluster),
	}
	made := map[string]*tekton.PipelineRun{}
	for _, t := range r.Spec.PipelineTriggers {
		for _, e := range r.Spec.EventSources {
			if e.Name != t.EventSource {
				continue
			}
			for kind, has := range map[v1alpha1.EventSourceType]bool{"gitlab": e.GitLab != nil, "calendar": e.Calendar != nil} {
				if !has {
					continue
				}
				run, err := p.launcher(t, e, kind)
				if err != nil {
					return nil, err
				}
				made[strings.Join([]string{e.Name, t.Pipeline, string(kind)}, "/")] = run
			}
		}
	}
	return made, nil
}

// aKey is as long as the key of an event can be.
const aKey = "0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f-0f0f0f0f"

// accepted returns the error of Tekton's admission for a launcher, as the Sensor creates
// it for an event, or nil.
func accepted(launcher *tekton.PipelineRun, event launch.Event) error {
	raw, err := json.Marshal(launcher)
	if err != nil {
		return err
	}
	run := &tekton.PipelineRun{}
	if unknown, err := kjson.UnmarshalStrict(raw, run); err != nil || len(unknown) > 0 {
		return fmt.Errorf("it is not the expected object: %w, %v", err, unknown)
	}
	payload, err := launch.Encode(event)
	if err != nil {
		return err
	}
	run.Name += aKey
	for i, value := range []string{payload, "refs/heads/%24%28id%29", event.Commit} {
		run.Spec.Params[i].Value = *tekton.NewStructuredValues(value)
	}
	ctx := context.Background()
	run.SetDefaults(ctx)
	if err := run.Validate(ctx); err != nil {
		return err
	}
	return nil
}

// guideRuntime is the example of the user guide, in the world of these tests.
func guideRuntime(t *testing.T) *v1alpha1.ProjectPipelineRuntime {
	t.Helper()
	r := &v1alpha1.ProjectPipelineRuntime{}
	files, err := filepath.Glob("../../config/samples/default.project/projects/*/pr-demo.yaml")
	if err != nil || len(files) != 1 {
		t.Fatalf("the sample of the guide: %q, %v", files, err)
	}
	name, err := filepath.Rel("../../config/samples", files[0])
	if err != nil {
		t.Fatal(err)
	}
	readSample(t, name, r)
	r.Namespace, r.Spec.Project, r.Spec.Destination.Environment = "product-1", "api", "ci"
	return r
}

// order returns the tasks of a launcher, each with the tasks that it runs after.
func order(run *tekton.PipelineRun) []string {
	var names []string
	for _, task := range run.Spec.PipelineSpec.Tasks {
		names = append(names, strings.Join(append([]string{task.Name}, task.RunAfter...), " after "))
	}
	return names
}

func TestLauncherOfTheGuide(t *testing.T) {
	launchers, err := launchersOf(pipelineWorld(t), guideRuntime(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(launchers) != 5 {
		t.Errorf("%d launchers, want one for each of four triggers and one for the calendar", len(launchers))
	}
	names := map[string]bool{}
	for name, run := range launchers {
		want := []string{"pre-ls", "nautes-launch after pre-ls", "nautes-await after nautes-launch", "post-ls after nautes-await", "nautes-verify after post-ls"}
		if diff := cmp.Diff(want, order(run)); diff != "" {
			t.Errorf("%s: tasks (-want +got):\n%s", name, diff)
		}
		if err := accepted(run, launch.Event{Event: "push_events", Ref: "refs/heads/$(id)"}); err != nil {
			t.Errorf("%s: Tekton refuses it: %v", name, err)
		}
		if run.Namespace != "pr-demo-namespace" || run.Spec.TaskRunTemplate.ServiceAccountName != "pr-demo-account" {
			t.Errorf("%s: it runs in %s as %s", name, run.Namespace, run.Spec.TaskRunTemplate.ServiceAccountName)
		}
		if run.Spec.Timeouts.Pipeline.Duration != 0 {
			t.Errorf("%s: the time is limited to %s", name, run.Spec.Timeouts.Pipeline.Duration)
		}
		if names[run.Name] || len(run.Name) != 18 {
			t.Errorf("%s: the name %s is another launcher's, or too long", name, run.Name)
		}
		names[run.Name] = true
	}
}

// configOf returns the runner's configuration, and the argument that holds it.
func configOf(t *testing.T, run *tekton.PipelineRun) (launch.Config, *string) {
	t.Helper()
	for _, task := range run.Spec.PipelineSpec.Tasks {
		if task.Name != launchTask {
			continue
		}
		for i := range task.TaskSpec.Steps[0].Args {
			arg := &task.TaskSpec.Steps[0].Args[i]
			text, ok := strings.CutPrefix(*arg, "--config=")
			if !ok {
				continue
			}
			config := launch.Config{}
			if err := launch.Decode(text, &config); err != nil {
				t.Fatal(err)
			}
			return config, arg
		}
	}
	t.Fatal("the launcher runs no runner")
	return launch.Config{}, nil
}

// all makes a runtime use everything: each event, a calendar, each input and both
// sides of hooks.
func all(r *v1alpha1.ProjectPipelineRuntime) {
	r.Spec.EventSources[0].GitLab.Events = []v1alpha1.GitLabEvent{
		"push_events", "tag_push_events", "merge_requests_events", "issues_events", "confidential_issues_events", "note_events",
		"confidential_note_events", "job_events", "pipeline_events", "releases_events", "deployment_events",
	}
	r.Spec.EventSources[0].Calendar = &v1alpha1.CalendarEventSource{Interval: "1h"}
	for i, name := range []string{"ref", "commitID", "source_branch", "target_branch", "title", "labels", "state"} {
		r.Spec.PipelineTriggers[0].Inputs = append(r.Spec.PipelineTriggers[0].Inputs, inputOf(fmt.Sprintf("/spec/params/%d/value", i), "", name))
	}
	for _, name := range []string{"PipelineRevision", "PipelineFilePath", "EventSourceCodeRepoURL", "CodeRepoProviderURL", "ProviderType", "PipelineDashBoardURL"} {
		r.Spec.PipelineTriggers[0].Inputs = append(r.Spec.PipelineTriggers[0].Inputs, inputOf("/metadata/labels/"+name, name, ""))
	}
	r.Spec.Hooks = &v1alpha1.Hooks{
		PreHooks:  []v1alpha1.Hook{{Name: "gitlab-commit-status", Vars: map[string]string{"tokenSecret": "token"}}, {Name: "every"}},
		PostHooks: []v1alpha1.Hook{{Name: "every", Alias: "after"}, {Name: "gitlab-commit-status", Alias: "done", Vars: map[string]string{"tokenSecret": "token"}}},
	}
}

func inputOf(path, builtIn, event string) v1alpha1.PipelineInput {
	input := v1alpha1.PipelineInput{TransmissionMethod: v1alpha1.TransmissionMethod{Kustomization: &v1alpha1.TransmissionMethodKustomization{Path: path}}}
	if builtIn != "" {
		input.Source.BuiltInVar = &builtIn
	} else {
		input.Source.FromEvent = &event
	}
	return input
}

func TestLauncher(t *testing.T) {
	type runtime = v1alpha1.ProjectPipelineRuntime
	tests := map[string]struct {
		change func(*runtime)
		want   []string
	}{
		"without hooks":   {change: func(*runtime) {}, want: []string{"nautes-launch"}},
		"with everything": {change: all, want: []string{"gitlab-commit-status", "every after gitlab-commit-status", "nautes-launch after every", "nautes-await after nautes-launch", "after after nautes-await", "done after after", "nautes-verify after done"}},
		"with a revision": {change: func(r *runtime) { all(r); r.Spec.PipelineTriggers[0].Revision = "main" }, want: []string{"gitlab-commit-status", "every after gitlab-commit-status", "nautes-launch after every", "nautes-await after nautes-launch", "after after nautes-await", "done after after", "nautes-verify after done"}},
		"before only":     {change: func(r *runtime) { all(r); r.Spec.Hooks.PostHooks = nil }, want: []string{"gitlab-commit-status", "every after gitlab-commit-status", "nautes-launch after every"}},
		"after only":      {change: func(r *runtime) { all(r); r.Spec.Hooks.PreHooks = nil }, want: []string{"nautes-launch", "nautes-await after nautes-launch", "after after nautes-await", "done after after", "nautes-verify after done"}},
		"without a label": {change: func(r *runtime) { r.Spec.Pipelines[0].Label = "" }, want: []string{"nautes-launch"}},
		"long names": {change: func(r *runtime) {
			long := strings.Repeat("n", 63)
			r.Name, r.Spec.Pipelines[0].Name, r.Spec.Pipelines[0].Label, r.Spec.EventSources[0].Name = long, long, long, long
			r.Spec.PipelineTriggers[0].Pipeline, r.Spec.PipelineTriggers[0].EventSource = long, long
			r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: "every", Alias: long}}}
		}, want: []string{strings.Repeat("n", 63), "nautes-launch after " + strings.Repeat("n", 63)}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			launchers, err := launchersOf(pipelineWorld(t), testutil.PipelineRuntime("product-1", "pipe", "api", "ci", "repo-3", test.change))
			if err != nil {
				t.Fatal(err)
			}
			for name, run := range launchers {
				if diff := cmp.Diff(test.want, order(run)); diff != "" {
					t.Errorf("%s: tasks (-want +got):\n%s", name, diff)
				}
				for _, event := range []string{"push_events", "merge_requests_events", launch.EventCalendar} {
					if err := accepted(run, launch.Event{Event: event, Title: "$(params.ref)", Commit: strings.Repeat("a", 40)}); err != nil {
						t.Errorf("%s: Tekton refuses it: %v", name, err)
					}
				}
				checkSteps(t, run)
			}
		})
	}
}

// checkSteps checks that a launcher runs our program, as an unprivileged user.
func checkSteps(t *testing.T, run *tekton.PipelineRun) {
	t.Helper()
	for key := range run.Labels {
		if slices.Contains([]string{v1alpha1.LabelManagedBy, v1alpha1.LabelOwnerKind, v1alpha1.LabelOwnerName}, key) {
			t.Errorf("the launcher has the label %s, as if it were in the plan", key)
		}
	}
	for _, task := range run.Spec.PipelineSpec.Tasks {
		if task.TaskRef != nil || len(task.TaskSpec.Workspaces) > 0 {
			t.Errorf("%s is not a task of its own: %+v", task.Name, task)
		}
		// A parameter that a task declares and is not given comes from the
		// launcher's parameter of that name, before the default of the task.
		var declared, given []string
		for _, param := range task.TaskSpec.Params {
			declared = append(declared, param.Name)
		}
		for _, param := range task.Params {
			given = append(given, param.Name)
		}
		if diff := cmp.Diff(declared, given); diff != "" {
			t.Errorf("parameters of %s (-declared +given):\n%s", task.Name, diff)
		}
		if !strings.HasPrefix(task.Name, "nautes-") {
			continue
		}
		step := task.TaskSpec.Steps[0]
		security := step.SecurityContext
		if len(task.TaskSpec.Steps) != 1 || step.Script != "" || step.Image != "registry.example.com/nautes:1" || step.Command[0] != runnerProgram ||
			!*security.RunAsNonRoot || *security.AllowPrivilegeEscalation || !*security.ReadOnlyRootFilesystem {
			t.Errorf("%s runs %+v", task.Name, task.TaskSpec.Steps)
		}
	}
}

func TestLauncherConfig(t *testing.T) {
	r := testutil.PipelineRuntime("product-1", "pipe", "api", "ci", "repo-3", all)
	r.Spec.PipelineTriggers[0].Inputs = []v1alpha1.PipelineInput{
		inputOf("/spec/params/0/value", "", "title"), inputOf("/spec/params/1/value", "PipelineRevision", ""), inputOf("/spec/params/2/value", "PipelineFilePath", ""),
	}
	path := r.Spec.Pipelines[0].Path
	want := launch.Config{
		Product: "product-1", Runtime: "pipe", Namespace: "pipe", Account: "pipe", EventSource: "push", Pipeline: "dev", Label: "dev",
		Repository: "repo-3", URL: "ssh://git@git.example.com/group-1/code-repo-3.git", Path: path, EventRepository: "repo-3",
		Inputs: []launch.Input{
			{Path: "/spec/params/0/value", FromEvent: "title"}, {Path: "/spec/params/1/value", PipelineRevision: true}, {Path: "/spec/params/2/value", Value: &path},
		},
	}
	launchers, err := launchersOf(pipelineWorld(t), r)
	if err != nil {
		t.Fatal(err)
	}
	want.URL, _ = pipelineWorld(t).RepositoryURL(testutil.CodeRepo("product-1", "repo-3", "api"))
	got, _ := configOf(t, launchers["push/dev/gitlab"])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("for an event (-want +got):\n%s", diff)
	}
	// A calendar takes the branch that its event source names.
	for pattern, branch := range map[string]string{
		r.Spec.EventSources[0].GitLab.Revision: "main", "^refs/heads/dev$": "refs/heads/dev", "refs/heads/.*": "", "": "",
	} {
		r.Spec.EventSources[0].GitLab.Revision = pattern
		launchers, err := launchersOf(pipelineWorld(t), r)
		if err != nil {
			t.Fatal(err)
		}
		want.EventRepository, want.Revision = "", branch
		got, _ = configOf(t, launchers["push/dev/calendar"])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("for a calendar beside the pattern %q (-want +got):\n%s", pattern, diff)
		}
	}
	r.Spec.EventSources[0].GitLab = nil
	if launchers, err = launchersOf(pipelineWorld(t), r); err != nil {
		t.Fatal(err)
	}
	want.Revision = ""
	if got, _ = configOf(t, launchers["push/dev/calendar"]); got.Revision != "" {
		t.Errorf("a calendar alone reads the pipeline file at %q", got.Revision)
	}
}

func TestLauncherBuiltIns(t *testing.T) {
	s := pipelineWorld(t)
	url, err := s.RepositoryURL(testutil.CodeRepo("product-1", "repo-3", "api"))
	if err != nil {
		t.Fatal(err)
	}
	provider := s.CodeRepoProvider(testutil.Provider).Spec
	const ran, ended = "$(tasks.nautes-launch.results.run)", "$(tasks.nautes-await.results.status)"
	tests := map[string]struct {
		launcher, task, revision string
		want                     map[string]string
	}{
		"before":                  {launcher: "push/dev/gitlab", task: "every", want: map[string]string{"PipelineRevision": "$(params.ref)"}},
		"after":                   {launcher: "push/dev/gitlab", task: "after", want: map[string]string{"PipelineRevision": "$(tasks.nautes-launch.results.commit)", "PipelineRunName": ran, "PipelineRunStatus": ended}},
		"of a calendar":           {launcher: "push/dev/calendar", task: "every", want: map[string]string{"PipelineRevision": "$(params.ref)", "EventSourceCodeRepoName": "", "EventSourceCodeRepoURL": ""}},
		"before, with a revision": {launcher: "push/dev/gitlab", task: "every", revision: "v1", want: map[string]string{"PipelineRevision": "v1"}},
		"after, with a revision":  {launcher: "push/dev/gitlab", task: "after", revision: "v1", want: map[string]string{"PipelineRevision": "v1", "PipelineRunName": ran, "PipelineRunStatus": ended}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := map[string]string{
				"CodeRepoProviderURL": provider.APIServer, "EventSourceCodeRepoName": "repo-3", "EventSourceCodeRepoURL": url, "Namespace": "pipe",
				"PipelineCodeRepoName": "repo-3", "PipelineCodeRepoURL": url, "PipelineFilePath": "pipelines/dev.yaml", "PipelineLabel": "dev",
				"PipelineDashBoardURL": "https://tekton.ci.ci.example.com:30443",
				"ProviderType":         provider.ProviderType, "ServiceAccount": "pipe", "RunnerImage": "registry.example.com/nautes:1", "ref": "$(params.ref)", "commitID": "$(params.commit)",
				"PipelineRunName": "none", "PipelineRunStatus": "none", "text": "none", "event": "none", "commit": "none",
			}
			for name, value := range test.want {
				want[name] = value
			}
			r := testutil.PipelineRuntime("product-1", "pipe", "api", "ci", "repo-3", all)
			r.Spec.PipelineTriggers[0].Revision = test.revision
			launchers, err := launchersOf(s, r)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, task := range launchers[test.launcher].Spec.PipelineSpec.Tasks {
				for _, param := range task.Params {
					if task.Name == test.task {
						got[param.Name] = param.Value.StringVal
					}
				}
			}
			// Where the gateway is depends on the catalogue.
			got["PipelineDashBoardURL"] = regexp.MustCompile(`:[0-9]+$`).ReplaceAllString(got["PipelineDashBoardURL"], ":30443")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("built-in variables (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLauncherErrors(t *testing.T) {
	tests := map[string]struct {
		change  func(*v1alpha1.ProjectPipelineRuntime)
		without client.Object
		want    string
	}{
		"no hook":                       {change: all, without: testutil.PipelineHook("every"), want: "PipelineHook nautes/every does not exist"},
		"no repository":                 {change: all, without: testutil.CodeRepo("product-1", "repo-3", "api"), want: "CodeRepo product-1/repo-3 does not exist"},
		"no provider":                   {change: all, without: testutil.CodeRepoProvider(testutil.Provider), want: "CodeRepoProvider nautes/gitlab does not exist"},
		"a path that would be replaced": {change: func(r *v1alpha1.ProjectPipelineRuntime) { all(r); r.Spec.Pipelines[0].Path = "$(params.event)" }, want: "a hook takes PipelineFilePath, which contains $( here"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := pipelineWorld(t)
			if test.without != nil {
				s = s.Without(test.without)
			}
			_, err := launchersOf(s, testutil.PipelineRuntime("product-1", "pipe", "api", "ci", "repo-3", test.change))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that says %q", err, test.want)
			}
		})
	}
}

// manifestOf returns the bytes of a launcher with its name left out, which
// depends on the revision of the trigger.
func manifestOf(t *testing.T, run *tekton.PipelineRun) []byte {
	t.Helper()
	run = run.DeepCopy()
	run.Name = regexp.MustCompile(`^launch-[0-9a-f]{10}-$`).ReplaceAllString(run.Name, "launch")
	text, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A pipeline that cannot be started has post hooks as well, and its launcher
// fails after them.
func TestLauncherWithoutARun(t *testing.T) {
	launchers, err := launchersOf(pipelineWorld(t), testutil.PipelineRuntime("product-1", "pipe", "api", "ci", "repo-3", all))
	if err != nil {
		t.Fatal(err)
	}
	tasks := map[string]tekton.PipelineTask{}
	for _, task := range launchers["push/dev/gitlab"].Spec.PipelineSpec.Tasks {
		tasks[task.Name] = task
	}
	const ran = "$(tasks.nautes-launch.results.run)"
	if onError := tasks["nautes-launch"].TaskSpec.Steps[0].OnError; onError != tekton.Continue {
		t.Errorf("after a launch that failed it does %q", onError)
	}
	want := tekton.WhenExpressions{{Input: ran, Operator: "in", Values: []string{""}}}
	if diff := cmp.Diff(want, tasks["nautes-verify"].When); diff != "" {
		t.Errorf("the last task runs when (-want +got):\n%s", diff)
	}
	for _, name := range []string{"nautes-await", "nautes-verify"} {
		task := tasks[name]
		if task.Params[0].Value.StringVal != ran || task.TaskSpec.Steps[0].OnError != "" {
			t.Errorf("%s is %+v", name, task)
		}
	}

	launchers, err = launchersOf(pipelineWorld(t), testutil.PipelineRuntime("product-1", "pipe", "api", "ci", "repo-3"))
	if err != nil {
		t.Fatal(err)
	}
	if onError := launchers["push/dev/gitlab"].Spec.PipelineSpec.Tasks[0].TaskSpec.Steps[0].OnError; onError != "" {
		t.Errorf("without hooks it does %q after a launch that failed", onError)
	}
}
