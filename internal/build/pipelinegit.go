package build

import (
	tekton "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
)

// gitFiles returns the files by which launchers know a Git server; none if its
// certificate is publicly trusted and no setting has its host keys.
func (p *pipeline) gitFiles(url string) map[string]string {
	access, files := p.snap.GitAccess(url), map[string]string{}
	if access.CABundle != "" {
		files[launch.FileCA] = access.CABundle
	}
	if access.KnownHosts != "" {
		files[launch.FileKnownHosts] = access.KnownHosts
	}
	return files
}

// proxySecret returns the name of the Secret with the login for the proxy before the
// repository, or "" if no login is needed.
func (p *pipeline) proxySecret() string {
	// Without a URL there is no launcher either.
	url, _ := p.snap.RepositoryURL(p.snap.CodeRepo(p.runtime.Namespace, p.runtime.Spec.PipelineSource))
	if p.snap.GitAccess(url).ProxyLogin == (plan.SecretRef{}) {
		return ""
	}
	return names.PipelineProxy(p.runtime.Name)
}

// addGitConfig adds the ConfigMap of these files.
func (p *pipeline) addGitConfig(url string) {
	if files := p.gitFiles(url); len(files) > 0 {
		p.add(plan.StageConfig, configMapKind, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace(), Name: names.PipelineGit(p.runtime.Name)}, Data: files,
		}, p.source)
	}
}

// addGitFiles mounts the files into the step that reads the repository.
func (l *launcher) addGitFiles(spec *tekton.TaskSpec) {
	// Without a URL there is no configuration either.
	url, _ := l.snap.RepositoryURL(l.repo)
	files := l.gitFiles(url)
	if len(files) == 0 {
		return
	}
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: gitVolume, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: names.PipelineGit(l.runtime.Name)},
	}}})
	step := &spec.Steps[0]
	step.VolumeMounts = append(step.VolumeMounts, corev1.VolumeMount{Name: gitVolume, MountPath: launch.GitDir, ReadOnly: true})
	for _, one := range [][2]string{{"--git-ca-file=", launch.FileCA}, {"--git-known-hosts=", launch.FileKnownHosts}} {
		if files[one[1]] != "" {
			step.Args = append(step.Args, one[0]+launch.GitDir+"/"+one[1])
		}
	}
}
