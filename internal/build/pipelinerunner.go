package build

import (
	"strconv"

	tekton "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/hooks"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/snapshot"
)

// runner returns a task of one step that runs our program and nothing else. The
// values of its parameters are still to be set.
func (l *launcher) runner(name string, params, results []string, args ...string) tekton.PipelineTask {
	spec := tekton.TaskSpec{
		Steps: []tekton.Step{{
			Name:    "runner",
			Image:   l.snap.Settings.RunnerImage,
			Command: []string{runnerProgram},
			Args:    args,
			Env: []corev1.EnvVar{
				{Name: "HOME", Value: runnerWorkDir},
				{Name: "TMPDIR", Value: runnerWorkDir},
			},
			VolumeMounts:    []corev1.VolumeMount{{Name: workVolume, MountPath: runnerWorkDir}},
			SecurityContext: restricted(),
		}},
		Volumes: []corev1.Volume{{Name: workVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
	}
	task := tekton.PipelineTask{Name: name}
	for _, param := range params {
		spec.Params = append(spec.Params, tekton.ParamSpec{Name: param, Type: tekton.ParamTypeString})
		task.Params = append(task.Params, tekton.Param{Name: param})
	}
	for _, result := range results {
		spec.Results = append(spec.Results, tekton.TaskResult{Name: result, Type: tekton.ResultsTypeString})
	}
	task.TaskSpec = &tekton.EmbeddedTask{TaskSpec: spec}
	return task
}

// restricted returns the security context of the restricted Pod Security Standard,
// with a read-only root file system.
func restricted() *corev1.SecurityContext {
	yes, no, user := true, false, int64(runnerUser)
	return &corev1.SecurityContext{
		RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user,
		AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// builtIn returns the value of a built-in variable for a hook of a side, or for
// an input, which has no side. It is empty if there is none, such as the
// repository of a calendar's events. For a hook it is inert: a file path that is
// not is refused by validation, and here.
func (l *launcher) builtIn(name string, side v1alpha1.HookSide) (string, error) {
	switch {
	case name == hooks.VarRef:
		return "$(params." + paramRef + ")", nil
	case name == hooks.VarCommit:
		return "$(params." + paramCommit + ")", nil
	case name == hooks.VarRunName:
		return resultOf(launchTask, launch.ResultRun), nil
	case name == hooks.VarRunStatus:
		return resultOf(awaitTask, launch.ResultStatus), nil
	case name == hooks.VarPipelineRevision && l.trigger.Revision == "" && side == v1alpha1.HookPre:
		// The file is read at the ref of the event.
		return "$(params." + paramRef + ")", nil
	case name == hooks.VarPipelineRevision && l.trigger.Revision == "" && side == v1alpha1.HookPost:
		return resultOf(launchTask, launch.ResultCommit), nil
	}
	value, err := l.constant(name)
	if err == nil && side != "" && !hooks.Inert(value) {
		err = &hooks.ValueError{Runtime: snapshot.RefOf(l.runtime).String(), Variable: name}
	}
	return value, err
}

// constant returns a built-in variable that no event changes.
func (l *launcher) constant(name string) (string, error) {
	switch name {
	case hooks.VarRunnerImage:
		return l.snap.Settings.RunnerImage, nil
	case hooks.VarNamespace:
		return l.namespace(), nil
	case hooks.VarServiceAccount:
		return l.target.Account, nil
	case hooks.VarPipelineFilePath:
		return l.file.Path, nil
	case hooks.VarPipelineLabel:
		return l.file.Label, nil
	case hooks.VarPipelineRevision:
		return l.trigger.Revision, nil
	case hooks.VarPipelineCodeRepoName:
		return l.repo.Name, nil
	case hooks.VarPipelineCodeRepoURL:
		return l.snap.RepositoryURL(l.repo)
	case hooks.VarEventSourceCodeRepoName:
		return l.eventRepository(), nil
	case hooks.VarPipelineDashBoardURL:
		return l.dashboard(), nil
	}
	// The others are about the repository of the events or, without one, the
	// repository of the pipelines.
	repo := l.repo
	if source := l.eventRepository(); source != "" {
		var err error
		if repo, err = l.codeRepo(source); err != nil {
			return "", err
		}
	} else if name == hooks.VarEventSourceCodeRepoURL {
		return "", nil
	}
	provider := l.snap.CodeRepoProvider(repo.Spec.CodeRepoProvider)
	switch {
	case name == hooks.VarEventSourceCodeRepoURL:
		return l.snap.RepositoryURL(repo)
	case provider == nil:
		return "", nil
	case name == hooks.VarProviderType:
		return provider.Spec.ProviderType, nil
	case name == hooks.VarCodeRepoProviderURL:
		return provider.Spec.APIServer, nil
	}
	return "", nil
}

// dashboard returns the address of Tekton's dashboard; empty when there is none.
func (l *launcher) dashboard() string {
	components, _ := l.snap.ClusterComponents(l.cluster)
	component, ok := catalogue.Find(components, v1alpha1.CategoryPipeline)
	if !ok || component.Ingress == nil {
		return ""
	}
	port, err := httpsPort(l.snap, l.cluster)
	if err != nil {
		return ""
	}
	return "https://" + component.Ingress.Host + ":" + strconv.FormatInt(port, 10)
}
