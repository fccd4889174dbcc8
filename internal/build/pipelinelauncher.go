package build

import (
	"cmp"
	"fmt"

	tekton "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/selection"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/hooks"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/luapattern"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// The parameters of a launcher, which the Sensor sets; they are the first ones of
// its spec, in this order. All of them are inert: the event is a launch.Event as
// launch.Encode writes it, the ref is percent-encoded, the commit is hexadecimal.
const (
	paramEvent  = "event"
	paramRef    = "ref"
	paramCommit = "commit"
)

const (
	// launchTask creates the run, awaitTask waits until it has ended, verifyTask
	// fails when there was none. Hooks may not be called so (hooks.ReservedPrefix).
	launchTask = hooks.ReservedPrefix + "launch"
	awaitTask  = hooks.ReservedPrefix + "await"
	verifyTask = hooks.ReservedPrefix + "verify"

	runnerProgram = "/usr/local/bin/nautes-runner"
	// runnerWorkDir is the one directory that the runner may write to.
	runnerWorkDir = "/nautes/work"
	runnerUser    = 65532

	workVolume        = "work"
	credentialsVolume = "credentials"
	gitVolume         = "git"
)

var pipelineRunKind = tekton.SchemeGroupVersion.WithKind("PipelineRun")

// launcher returns the PipelineRun that a trigger creates for an event of one kind. It
// runs the hooks and, between them, the program that creates the run of the trigger's
// pipeline. Its name lacks the key of the event at its end, and its parameters are
// empty. A *snapshot.MissingError or a *snapshot.RepositoryError says why it cannot be
// described.
func (p *pipeline) launcher(t v1alpha1.PipelineTrigger, e v1alpha1.EventSource, kind v1alpha1.EventSourceType) (*tekton.PipelineRun, error) {
	l := &launcher{pipeline: p, trigger: t, source: e, kind: kind}
	if err := l.find(); err != nil {
		return nil, err
	}
	config, err := l.config()
	if err != nil {
		return nil, err
	}
	tasks, err := l.tasks(config)
	if err != nil {
		return nil, err
	}
	// The result names the created run, even after that is gone and a hook has failed.
	results := []tekton.PipelineResult{{Name: launch.ResultRun, Value: *tekton.NewStructuredValues(resultOf(launchTask, launch.ResultRun))}}
	run := &tekton.PipelineRun{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: l.namespace(),
			Name:      names.LauncherPrefix(p.runtime.Namespace, p.runtime.Name, t.EventSource, t.Pipeline, t.Revision, string(kind)),
			Labels:    l.labels(),
		},
		Spec: tekton.PipelineRunSpec{
			PipelineSpec:    &tekton.PipelineSpec{Tasks: tasks, Results: results},
			TaskRunTemplate: tekton.PipelineTaskRunTemplate{ServiceAccountName: p.target.Account},
		},
	}
	run.SetGroupVersionKind(pipelineRunKind)
	for _, name := range []string{paramEvent, paramRef, paramCommit} {
		run.Spec.Params = append(run.Spec.Params, tekton.Param{Name: name, Value: *tekton.NewStructuredValues("")})
		run.Spec.PipelineSpec.Params = append(run.Spec.PipelineSpec.Params, tekton.ParamSpec{Name: name, Type: tekton.ParamTypeString})
	}
	if l.hooks().PostHooks != nil {
		// The user's run takes the time that it takes.
		run.Spec.Timeouts = &tekton.TimeoutFields{Pipeline: &metav1.Duration{}}
	}
	return run, nil
}

// launcher builds a launcher PipelineRun.
type launcher struct {
	*pipeline
	trigger v1alpha1.PipelineTrigger
	source  v1alpha1.EventSource
	kind    v1alpha1.EventSourceType
	file    v1alpha1.Pipeline
	repo    *v1alpha1.CodeRepo
}

// find looks up the pipeline and the repository of the trigger.
func (l *launcher) find() error {
	for _, one := range l.runtime.Spec.Pipelines {
		if one.Name == l.trigger.Pipeline {
			l.file = one
		}
	}
	var err error
	l.repo, err = l.codeRepo(l.runtime.Spec.PipelineSource)
	return err
}

func (l *launcher) codeRepo(name string) (*v1alpha1.CodeRepo, error) {
	if repo := l.snap.CodeRepo(l.runtime.Namespace, name); repo != nil {
		return repo, nil
	}
	return nil, missing("CodeRepo", l.runtime.Namespace, name, l.pipeline.source)
}

func (l *launcher) hooks() v1alpha1.Hooks {
	if l.runtime.Spec.Hooks == nil {
		return v1alpha1.Hooks{}
	}
	return *l.runtime.Spec.Hooks
}

// labels returns the labels by which a launcher is found. They differ from the labels
// of the runtime's own objects, since a launcher belongs to the event that created it.
func (l *launcher) labels() map[string]string {
	labels := map[string]string{
		launch.LabelProduct:     l.runtime.Namespace,
		launch.LabelRuntime:     l.runtime.Name,
		launch.LabelEventSource: l.source.Name,
		launch.LabelPipeline:    l.file.Name,
		launch.LabelRole:        launch.RoleLauncher,
	}
	if l.file.Label != "" {
		labels[launch.LabelLabel] = l.file.Label
	}
	return labels
}

// config returns the runner's configuration: which file of which repository to run.
func (l *launcher) config() (string, error) {
	url, err := l.snap.RepositoryURL(l.repo)
	if err != nil {
		return "", err
	}
	access := l.snap.GitAccess(url)
	config := launch.Config{
		Product: l.runtime.Namespace, Runtime: l.runtime.Name, Namespace: l.namespace(), Account: l.target.Account,
		EventSource: l.source.Name, Pipeline: l.file.Name, Label: l.file.Label,
		Repository: l.repo.Name, URL: url, Proxy: access.Proxy, ProxyLogin: access.ProxyLogin != (plan.SecretRef{}), Path: l.file.Path, Revision: cmp.Or(l.trigger.Revision, l.clockRevision()), EventRepository: l.eventRepository(),
	}
	for _, input := range l.trigger.Inputs {
		made, err := l.input(input)
		if err != nil {
			return "", err
		}
		config.Inputs = append(config.Inputs, made)
	}
	return launch.Encode(config)
}

// eventRepository returns the name of the CodeRepo whose events trigger; empty
// for a calendar.
func (l *launcher) eventRepository() string {
	f, source, _ := forges.SourceOf(l.source)
	if l.kind != f.Events.Source {
		return ""
	}
	return source.Repository
}

// clockRevision returns the revision for events of a calendar, which have none: the
// one of the forge's events of the same event source, if that is a name.
func (l *launcher) clockRevision() string {
	if l.kind != v1alpha1.EventSourceCalendar {
		return ""
	}
	_, source, _ := forges.SourceOf(l.source)
	return luapattern.Name(source.Revision)
}

func (l *launcher) input(input v1alpha1.PipelineInput) (launch.Input, error) {
	made := launch.Input{}
	if to := input.TransmissionMethod.Kustomization; to != nil {
		made.Path = to.Path
	}
	switch from := input.Source; {
	case from.FromEvent != nil:
		made.FromEvent = *from.FromEvent
	case from.BuiltInVar != nil && *from.BuiltInVar == hooks.VarPipelineRevision && l.trigger.Revision == "":
		made.PipelineRevision = true
	case from.BuiltInVar != nil:
		value, err := l.builtIn(*from.BuiltInVar, "")
		if err != nil {
			return launch.Input{}, err
		}
		made.Value = &value
	}
	return made, nil
}

// tasks returns the hooks and the tasks between them, each after the one before.
func (l *launcher) tasks(config string) ([]tekton.PipelineTask, error) {
	tasks, err := l.hookTasks(v1alpha1.HookPre, l.hooks().PreHooks)
	if err != nil {
		return nil, err
	}
	start := l.launch(config)
	tasks = append(tasks, start)
	if after := l.hooks().PostHooks; len(after) > 0 {
		// They also run if the pipeline could not be started, so that they can end
		// anything that a hook before it has begun.
		start.TaskSpec.Steps[0].OnError = tekton.Continue
		post, err := l.hookTasks(v1alpha1.HookPost, after)
		if err != nil {
			return nil, err
		}
		tasks = append(append(append(tasks, l.await()), post...), l.verify())
	}
	for i := range tasks[1:] {
		tasks[i+1].RunAfter = []string{tasks[i].Name}
	}
	return tasks, nil
}

func (l *launcher) hookTasks(side v1alpha1.HookSide, uses []v1alpha1.Hook) ([]tekton.PipelineTask, error) {
	var tasks []tekton.PipelineTask
	for _, use := range uses {
		definition := l.snap.PipelineHook(use.Name)
		if definition == nil {
			return nil, missing("PipelineHook", l.snap.Namespace, use.Name, l.pipeline.source)
		}
		hook, errs := l.snap.ParsedHook(definition)
		if len(errs) > 0 {
			return nil, fmt.Errorf("%s: %w", snapshot.RefOf(definition), errs.ToAggregate())
		}
		builtIns := map[string]string{}
		for _, name := range hook.BuiltIns(side) {
			value, err := l.builtIn(name, side)
			if err != nil {
				return nil, err
			}
			builtIns[name] = value
		}
		tasks = append(tasks, hook.Task(cmp.Or(use.Alias, use.Name), use.Vars, builtIns))
	}
	return tasks, nil
}

// launch returns the task that creates the user's run.
func (l *launcher) launch(config string) tekton.PipelineTask {
	// Both Secrets have the same keys. The secret store decides which of them
	// exists; a public repository has none.
	var sources []corev1.VolumeProjection
	for _, name := range []string{names.PipelineCredentials(l.runtime.Name), names.SyncedCredentials(l.runtime.Name), l.proxySecret()} {
		if name == "" {
			continue
		}
		optional := true
		sources = append(sources, corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: name}, Optional: &optional,
		}})
	}
	task := l.runner(launchTask, []string{"event", "launcher"}, []string{launch.ResultRun, launch.ResultCommit},
		"launch", "--config="+config, "--event=$(params.event)", "--launcher=$(params.launcher)", "--work-dir="+runnerWorkDir,
		"--result-run=$(results."+launch.ResultRun+".path)", "--result-commit=$(results."+launch.ResultCommit+".path)")
	task.Params[0].Value = *tekton.NewStructuredValues("$(params." + paramEvent + ")")
	task.Params[1].Value = *tekton.NewStructuredValues("$(context.pipelineRun.name)")
	spec := &task.TaskSpec.TaskSpec
	spec.Volumes = append(spec.Volumes, corev1.Volume{
		Name: credentialsVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}},
	})
	spec.Steps[0].VolumeMounts = append(spec.Steps[0].VolumeMounts,
		corev1.VolumeMount{Name: credentialsVolume, MountPath: launch.CredentialsDir, ReadOnly: true})
	l.addGitFiles(spec)
	return task
}

// await returns the task that ends when the user's run has ended, however it did.
func (l *launcher) await() tekton.PipelineTask {
	task := l.runner(awaitTask, []string{"run"}, []string{launch.ResultStatus},
		"await", "--namespace="+l.namespace(), "--run=$(params.run)", "--result-status=$(results."+launch.ResultStatus+".path)")
	task.Params[0].Value = *tekton.NewStructuredValues(resultOf(launchTask, launch.ResultRun))
	task.Timeout = &metav1.Duration{}
	// It waits as long as the run takes, and its node may go away meanwhile.
	task.Retries = awaitRetries
	return task
}

// verify returns the task that makes the launcher fail after a launch that
// failed; after any other it does not run.
func (l *launcher) verify() tekton.PipelineTask {
	task := l.runner(verifyTask, []string{"run"}, nil, "verify", "--run=$(params.run)")
	run := resultOf(launchTask, launch.ResultRun)
	task.Params[0].Value = *tekton.NewStructuredValues(run)
	task.When = tekton.WhenExpressions{{Input: run, Operator: selection.In, Values: []string{""}}}
	return task
}

// awaitRetries is how often the wait for a run begins again.
const awaitRetries = 5

// resultOf refers to a result of a task that has run before.
func resultOf(task, result string) string { return "$(tasks." + task + ".results." + result + ")" }
