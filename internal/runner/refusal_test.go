package runner

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/test/githost"
)

const noRun = "apiVersion: tekton.dev/v1\nkind: "

// Every file that is not a valid pipeline is refused with the reason.
func TestRefusedFiles(t *testing.T) {
	inline := func(step string) string {
		return noRun + "Pipeline\nmetadata: {name: p}\nspec: {tasks: [{name: t, taskSpec: {steps: [" + step + "]}}]}\n"
	}
	tests := map[string]struct{ file, wantSaid string }{
		"nothing":                {"", "empty"},
		"comments":               {"# nothing\n---\n# here\n", "empty"},
		"not YAML":               {"a: [", "not YAML"},
		"a list":                 {"- a\n- b\n", "not a Kubernetes object"},
		"a text":                 {"hello", "not a Kubernetes object"},
		"two documents":          {fileRun + "---\n" + fileRun, "several documents"},
		"an empty document":      {"---\n---\n" + fileRun, "begins with an empty document"},
		"another kind":           {"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n", `a "Secret" of "v1"`},
		"a cluster role":         {"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: s}\n", "ClusterRoleBinding"},
		"a task":                 {noRun + "Task\nmetadata: {name: t}\nspec: {steps: [{image: a}]}\n", "Task"},
		"an older version":       {strings.Replace(fileRun, "tekton.dev/v1", "tekton.dev/v1alpha1", 1), "v1alpha1"},
		"a list of runs":         {"apiVersion: tekton.dev/v1\nkind: PipelineRunList\nitems: []\n", "PipelineRunList"},
		"an unknown field":       {strings.Replace(fileRun, "  params:", "  parameters: []\n  params:", 1), "parameters"},
		"a field of v1beta1":     {strings.Replace(fileRun, "spec:\n", "spec:\n  serviceAccountName: a\n", 1), "serviceAccountName"},
		"a field twice":          {strings.Replace(fileRun, "spec:\n", "spec:\n  status: \"\"\n  status: \"\"\n", 1), "status"},
		"an unknown old field":   {strings.Replace(fileRunOld, "  timeout:", "  timeLimit:", 1), "timeLimit"},
		"what is no more":        {"apiVersion: tekton.dev/v1beta1\nkind: Pipeline\nmetadata: {name: p}\nspec: {tasks: [{name: t, taskRef: {name: a, bundle: b}}]}\n", "bundle"},
		"resources of a run":     {"apiVersion: tekton.dev/v1beta1\nkind: PipelineRun\nmetadata: {generateName: build-}\nspec: {resources: [{name: source, resourceRef: {name: git-source}}], pipelineRef: {name: build}}\n", "/spec/resources"},
		"resources of a file":    {"apiVersion: tekton.dev/v1beta1\nkind: Pipeline\nmetadata: {name: p, annotations: {a: b}}\nspec: {resources: [{name: source, type: git}], tasks: [{name: t, taskRef: {name: a}}]}\n", "/spec/resources"},
		"two timeouts":           {"apiVersion: tekton.dev/v1beta1\nkind: PipelineRun\nmetadata: {name: p}\nspec: {timeout: 30m, timeouts: {pipeline: 1h}, pipelineRef: {name: build}}\n", "/spec/timeouts/pipeline"},
		"a probe of a step":      {"apiVersion: tekton.dev/v1beta1\nkind: Pipeline\nmetadata: {name: p}\nspec: {tasks: [{name: t, taskSpec: {steps: [{image: a, tty: true}]}}]}\n", "/spec/tasks/0/taskSpec/steps/0/tty"},
		"no pipeline":            {noRun + "PipelineRun\nmetadata: {name: p}\nspec: {}\n", "pipelineRef"},
		"no steps":               {inline(""), "steps"},
		"an unknown variable":    {inline(`{name: s, image: a, args: ["$(params.absent)"]}`), "params.absent"},
		"a cycle":                {noRun + "Pipeline\nmetadata: {name: p}\nspec: {tasks: [{name: a, taskRef: {name: x}, runAfter: [b]}, {name: b, taskRef: {name: x}, runAfter: [a]}]}\n", "cycle"},
		"a bad name":             {strings.Replace(filePipeline, "name: build", "name: Build_1", 1), "cannot begin the name of a run"},
		"a bad label":            {strings.Replace(fileRun, "team: blue", "team: \"a b\"", 1), "label"},
		"a bad annotation":       {strings.Replace(fileRun, "note: kept", "\"a b\": kept", 1), "annotations"},
		"a parameter unset":      {strings.Replace(filePipeline, "- name: level\n    default: debug", "- name: level", 1), `"level"`},
		"a run's parameter":      {strings.Replace(fileRun, "  - name: platforms\n    value: [linux, darwin]", "  - name: platforms", 1), `"platforms"`},
		"a parameter of a task":  {strings.Replace(fileRun, "        value: $(params.revision)\n", "", 1), "impossible ParamValues.Type"},
		"an old pipeline's":      {strings.Replace(filePipelineOld, "\n      value: $(params.revision)", "", 1), "impossible ParamValues.Type"},
		"a broken conversion":    {strings.Replace(fileRunOld, "name: old", "name: old\n  annotations: {tekton.dev/v1beta1Resources: x}", 1), "cannot be converted"},
		"aliases without an end": {"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n", "aliasing"},
		"control characters":     {"\x1b[2Jkind: \x00", "not YAML"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			event := &launch.Event{Event: "push_events", Ref: "refs/heads/main"}
			run, _, err := compose(testConfig(), event, testLauncher, testCommit, []byte(tt.file))
			if codeOf(err) != launch.ExitPipeline || !strings.Contains(err.Error(), tt.wantSaid) {
				t.Errorf("compose = %v, %v; want exit code %d and %q", run, err, launch.ExitPipeline, tt.wantSaid)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	w := newFixture(t)
	w.repo.Commit(githost.Commit{
		Files:    map[string]string{"pipelines/dev.yaml": fileRun, "broken.yaml": "a: [", "large.yaml": "# " + strings.Repeat("x", 1<<20)},
		Symlinks: map[string]string{"link.yaml": "pipelines/dev.yaml"},
	})
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusServiceUnavailable) }))
	defer broken.Close()
	nobody := rest.CopyConfig(server)
	nobody.Impersonate.UserName = "nobody"
	short := []string{"--timeout=2s"}
	tests := map[string]struct {
		change   func(*launch.Config, *launch.Event)
		launcher string
		args     []string
		want     int
		wantSaid string
	}{
		"everything well":    {want: launch.ExitOK},
		"no launcher":        {launcher: "-", want: launch.ExitUsage, wantSaid: "--launcher"},
		"unknown flag":       {args: []string{"--x"}, want: launch.ExitUsage, wantSaid: "-x"},
		"argument":           {args: []string{"x"}, want: launch.ExitUsage, wantSaid: `"x"`},
		"no configuration":   {args: []string{"--config="}, want: launch.ExitUsage, wantSaid: "--config"},
		"no event":           {args: []string{"--event={}"}, want: launch.ExitUsage, wantSaid: "--event"},
		"half an event":      {args: []string{`--event={"event":"push_events"`}, want: launch.ExitUsage, wantSaid: "--event"},
		"no path":            {change: func(c *launch.Config, _ *launch.Event) { c.Path = "" }, want: launch.ExitUsage, wantSaid: "path"},
		"no commit":          {change: func(_ *launch.Config, e *launch.Event) { e.Commit = "$(id)" }, want: launch.ExitUsage, wantSaid: "commit"},
		"no kubeconfig":      {args: []string{"--kubeconfig=/nonexistent"}, want: launch.ExitUsage, wantSaid: "cluster"},
		"not in a cluster":   {args: []string{"--kubeconfig="}, want: launch.ExitUsage, wantSaid: "cluster"},
		"protocol":           {args: []string{"--git-protocols=https"}, want: launch.ExitGit, wantSaid: "http"},
		"no Git server":      {change: func(c *launch.Config, _ *launch.Event) { c.URL = "http://127.0.0.1:1/x.git" }, args: short, want: launch.ExitGit, wantSaid: "unreachable"},
		"no repository":      {change: func(c *launch.Config, _ *launch.Event) { c.URL = w.host.URL + "/demo/absent.git" }, want: launch.ExitGit, wantSaid: "does not exist"},
		"SSH without a key":  {change: func(c *launch.Config, _ *launch.Event) { c.URL = "git@127.0.0.1:x.git" }, args: []string{"--git-protocols=ssh"}, want: launch.ExitGit, wantSaid: "ssh-privatekey"},
		"no branch":          {change: func(c *launch.Config, _ *launch.Event) { c.Revision = "absent" }, want: launch.ExitRevision, wantSaid: "absent"},
		"no pushed branch":   {change: func(_ *launch.Config, e *launch.Event) { e.Ref = "refs/heads/gone" }, want: launch.ExitRevision, wantSaid: "gone"},
		"no such commit":     {change: func(_ *launch.Config, e *launch.Event) { e.Commit = strings.Repeat("ab", 20) }, want: launch.ExitRevision, wantSaid: "commit"},
		"hostile branch":     {change: func(_ *launch.Config, e *launch.Event) { e.Ref = "--upload-pack=id" }, want: launch.ExitRevision, wantSaid: "revision"},
		"no file":            {change: func(c *launch.Config, _ *launch.Event) { c.Path = "absent.yaml" }, want: launch.ExitFile, wantSaid: "absent.yaml"},
		"a directory":        {change: func(c *launch.Config, _ *launch.Event) { c.Path = "pipelines" }, want: launch.ExitFile, wantSaid: "directory"},
		"a link":             {change: func(c *launch.Config, _ *launch.Event) { c.Path = "link.yaml" }, want: launch.ExitFile, wantSaid: "link"},
		"a large file":       {change: func(c *launch.Config, _ *launch.Event) { c.Path = "large.yaml" }, want: launch.ExitFile, wantSaid: "limit"},
		"an impossible path": {change: func(c *launch.Config, _ *launch.Event) { c.Path = "pipelines/../../x" }, want: launch.ExitFile, wantSaid: "path"},
		"a broken file":      {change: func(c *launch.Config, _ *launch.Event) { c.Path = "broken.yaml" }, want: launch.ExitPipeline, wantSaid: "not YAML"},
		"no such field":      {change: inputAt("/spec/params/7/value"), want: launch.ExitInput, wantSaid: "/spec/params/7/value"},
		"no namespace":       {change: func(c *launch.Config, _ *launch.Event) { c.Namespace = "absent" }, want: launch.ExitDenied, wantSaid: "absent"},
		"no rights":          {args: []string{"--kubeconfig=" + kubeconfig(t, nobody)}, want: launch.ExitDenied, wantSaid: "nobody"},
		"no API server":      {args: append(short, "--kubeconfig="+kubeconfig(t, &rest.Config{Host: "http://127.0.0.1:1"})), want: launch.ExitCluster, wantSaid: "does not answer"},
		"API server broken":  {args: append(short, "--kubeconfig="+kubeconfig(t, &rest.Config{Host: broken.URL})), want: launch.ExitCluster, wantSaid: "does not answer"},
		"no directory":       {args: []string{"--work-dir=/dev/null/x"}, want: launch.ExitUsage, wantSaid: "/dev/null"},
		"no place to report": {args: []string{"--result-run=" + filepath.Join(t.TempDir(), "absent", "run")}, want: launch.ExitReport, wantSaid: "result"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := w.within(t)
			c, e := w.config(), launch.Event{Event: "push_events", Ref: "refs/heads/main"}
			if tt.change != nil {
				tt.change(&c, &e)
			}
			launcher := tt.launcher
			if launcher == "" {
				launcher = nameFor(name)
			}
			got := w.launch(c, e, launcher, tt.args...)
			if got.code != tt.want || !strings.Contains(got.stderr, tt.wantSaid) {
				t.Errorf("the program ended with %+v; want exit code %d and %q", got, tt.want, tt.wantSaid)
			}
			if tt.want != launch.ExitOK && got.run != "" {
				t.Errorf("it reports the run %q", got.run)
			}
		})
	}
}

// inputAt returns a change that sets one input from the event.
func inputAt(pointer string) func(*launch.Config, *launch.Event) {
	return func(c *launch.Config, _ *launch.Event) { c.Inputs = []launch.Input{{Path: pointer, FromEvent: "ref"}} }
}

func TestUsage(t *testing.T) {
	tests := map[string]struct {
		args     []string
		want     int
		wantSaid string
	}{
		"nothing":           {nil, launch.ExitUsage, "nautes-runner launch"},
		"help":              {[]string{"--help"}, launch.ExitOK, "nautes-runner launch"},
		"the word help":     {[]string{"help"}, launch.ExitOK, "nautes-runner launch"},
		"short help":        {[]string{"-h"}, launch.ExitOK, "nautes-runner launch"},
		"unknown flag":      {[]string{"verify", "--run=r", "--x"}, launch.ExitUsage, "-x"},
		"argument":          {[]string{"verify", "--run=r", "x"}, launch.ExitUsage, `"x" is not a flag`},
		"help of a command": {[]string{"await", "--help"}, launch.ExitOK, "result-status"},
		"unknown command":   {[]string{"run\x1b"}, launch.ExitUsage, "launch, await, verify or commit-status"},
		"await of nothing":  {[]string{"await"}, launch.ExitUsage, "--namespace"},
		"await of no run":   {[]string{"await", "--namespace=ns", "--run="}, launch.ExitOK, "no run was created"},
		"verify":            {[]string{"verify", "--run=run-1"}, launch.ExitOK, "run run-1 was created"},
		"verify no run":     {[]string{"verify", "--run="}, launch.ExitNoRun, "nautes-launch"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := execute(t, tt.args...)
			if got.code != tt.want || !strings.Contains(got.stdout+got.stderr, tt.wantSaid) {
				t.Errorf("the program ended with %+v; want exit code %d and %q", got, tt.want, tt.wantSaid)
			}
		})
	}
}

// Without care, package flag would print arguments unescaped.
func TestUsagePrintsOneLine(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = file
	got := execute(t, "verify", "--\x1b[2J")
	os.Stderr = before
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if printed := read(file.Name()); printed != "" || strings.Count(got.stderr, "\n") != 1 || strings.Contains(got.stderr, "\x1b") {
		t.Errorf("it prints %q and %q, want one line of text", printed, got.stderr)
	}
}
