package build_test

import (
	"encoding/json"
	"slices"
	"strings"

	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	tekton "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/foreign/externalsecrets"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// eventsNamespace is where clusters listen to events.
const eventsNamespace = "argo-events"

// runtime is the pipeline runtime whose set is checked.
func (c crossing) runtime() *v1alpha1.ProjectPipelineRuntime {
	return c.s.PipelineRuntime(c.product(), c.set.Owner.Name)
}

// own records something that no two runtimes may have in common.
func (c crossing) own(item plan.Item, kind, what string) {
	key := c.set.Target.String() + " " + kind + " " + what
	if other, taken := c.shared[key]; taken && other != c.set.Owner {
		c.fail(item, "%v has the %s %s as well", other, kind, what)
	}
	c.shared[key] = c.set.Owner
}

// holds reports whether the runtime holds a namespace, decided in another way than by
// the builder: no other runtime asks for it, or all others are refused with its name.
func (c crossing) holds(namespace string) bool {
	claims := c.s.Claims(c.set.Target.Name, namespace)
	for _, claim := range claims {
		mine := claim.Runtime.Namespace == c.product() && claim.Runtime.Name == c.set.Owner.Name && claim.Runtime.Kind == build.OwnerPipelineRuntime
		if mine != claim.Granted() || !mine && claim.LosesTo.Name != c.set.Owner.Name {
			return false
		}
	}
	return len(claims) > 0 && namespace != eventsNamespace && c.owns(namespace) && namespace != c.product()
}

// pipeline checks an item of a pipeline runtime: it is in the runtime's own
// namespace, or has a name of its own among the events of all.
func (c crossing) pipeline(item plan.Item) {
	if at := item.ID.Namespace; at != eventsNamespace && at != "argocd" && !c.holds(at) {
		c.fail(item, "the namespace is not the runtime's")
	}
	if at := item.ID.Namespace; at == eventsNamespace && !strings.HasPrefix(item.ID.Name, c.product()[:min(len(c.product()), 25)]) {
		c.fail(item, "the name does not identify its owner")
	}
	account := names.SensorAccount(c.product(), c.set.Owner.Name)
	switch o := item.Object.(type) {
	case *corev1.ServiceAccount:
		c.own(item, "account", o.Name)
		if o.Namespace != eventsNamespace || o.Name != account {
			c.fail(item, "it is no account of the runtime's sensors")
		}
	case *rbacv1.Role:
		if len(o.Rules) != 1 || !slices.Equal(o.Rules[0].Resources, []string{"pipelineruns"}) || !slices.Equal(o.Rules[0].Verbs, []string{"create"}) {
			c.fail(item, "the rules %v", o.Rules)
		}
	case *rbacv1.RoleBinding:
		subject := rbacv1.Subject{Kind: "ServiceAccount", Namespace: eventsNamespace, Name: account}
		if o.RoleRef.Kind != "Role" || o.RoleRef.Name != o.Name || !slices.Equal(o.Subjects, []rbacv1.Subject{subject}) {
			c.fail(item, "it gives %v to %v", o.RoleRef, o.Subjects)
		}
	case *corev1.Secret:
		c.pipelineSecret(item, o)
	case *externalsecrets.ExternalSecret:
		source := c.runtime().Spec.PipelineSource
		if o.Spec.DataFrom[0].Extract.Key != "gitlab/"+source+"/default/readonly" || c.s.Permission(c.product(), c.runtime().Spec.Project, source) == "" {
			c.fail(item, "it reads %v", o.Spec.DataFrom)
		}
	case *corev1.ConfigMap:
		c.own(item, "files", o.Name)
	case *argoevents.EventSource:
		c.eventSource(item, o)
	case *argoevents.Sensor:
		c.sensor(item, o)
	case *networkingv1.Ingress:
		for _, rule := range o.Spec.Rules {
			for _, path := range rule.HTTP.Paths {
				c.own(item, "path", rule.Host+path.Path)
				c.listener(item, strings.TrimSuffix(path.Backend.Service.Name, "-eventsource-svc"))
			}
		}
	case *argocd.Application:
		c.application(item, o)
		if _, readable := c.urls()[o.Spec.Source.RepoURL]; !readable || !c.holds(o.Spec.Destination.Namespace) {
			c.fail(item, "it deploys %s to %s", o.Spec.Source.RepoURL, o.Spec.Destination.Namespace)
		}
	default:
		c.fail(item, "unexpected kind %T", o)
	}
}

// pipelineSecret checks the token of a hook, or the credentials of the pipeline files.
func (c crossing) pipelineSecret(item plan.Item, o *corev1.Secret) {
	for _, value := range item.Secrets {
		if value.Format == plan.FormatWebhookToken {
			c.token(item, value)
			continue
		}
		repo := strings.Split(value.Ref.Path, "/")[1]
		if o.Namespace == eventsNamespace || repo != c.runtime().Spec.PipelineSource || !strings.HasSuffix(value.Ref.Path, "/readonly") ||
			c.s.Permission(c.product(), c.runtime().Spec.Project, repo) == "" {
			c.fail(item, "it holds the credentials %v", value.Ref)
		}
		if other, taken := c.credentials[value.Ref]; taken && other != c.product() {
			c.fail(item, "%s has the credentials %v as well", other, value.Ref)
		}
		c.credentials[value.Ref] = c.product()
	}
}

func (c crossing) token(item plan.Item, value plan.SecretValue) {
	key := "token " + value.Subject
	if other, taken := c.shared[key]; value.Subject == "" || taken && other != c.set.Owner {
		c.fail(item, "%v has a token for %q as well", other, value.Subject)
	}
	c.shared[key] = c.set.Owner
}

// listener checks that an event source of this name is the runtime's.
func (c crossing) listener(item plan.Item, name string) {
	for _, other := range c.set.Items {
		if other.ID.Kind == "EventSource" && other.ID.Name == name {
			return
		}
	}
	c.fail(item, "the runtime has no EventSource %s", name)
}

func (c crossing) eventSource(item plan.Item, o *argoevents.EventSource) {
	c.own(item, "service", o.Name)
	for name, entry := range o.Spec.Gitlab {
		c.own(item, "endpoint", entry.Webhook.Endpoint)
		if len(entry.Projects)+len(entry.Groups) > 0 || entry.AccessToken == nil || entry.SecretToken == nil || entry.Webhook.URL == "" {
			c.fail(item, "%s does more than listen, or believes everybody", name)
		}
	}
	for _, e := range c.runtime().Spec.EventSources {
		if e.GitLab != nil && c.s.Permission(c.product(), c.runtime().Spec.Project, e.GitLab.RepoName) == "" {
			if _, listens := o.Spec.Gitlab[e.Name]; listens {
				c.fail(item, "it listens to %s, which is not granted", e.GitLab.RepoName)
			}
		}
	}
}

func (c crossing) sensor(item plan.Item, o *argoevents.Sensor) {
	if o.Spec.Template == nil || o.Spec.Template.ServiceAccountName != names.SensorAccount(c.product(), c.set.Owner.Name) {
		c.fail(item, "it does not run as the runtime's account")
	}
	for _, dependency := range o.Spec.Dependencies {
		c.listener(item, dependency.EventSourceName)
	}
	for _, trigger := range o.Spec.Triggers {
		run := launcherOf(c.set, o, trigger)
		if !c.holds(run.Namespace) || run.Spec.TaskRunTemplate.ServiceAccountName == "" {
			c.fail(item, "it creates %s/%s", run.Namespace, run.Name)
		}
		c.own(item, "launcher", run.Namespace+"/"+run.Name)
		c.seen["PipelineRun"]++
	}
}

// launcherOf returns the launcher that a trigger creates, from the file that its sensor
// mounts. It returns an empty run if the file is missing or is not JSON.
func launcherOf(set plan.Set, sensor *argoevents.Sensor, trigger argoevents.Trigger) *tekton.PipelineRun {
	run := &tekton.PipelineRun{}
	file, found := strings.CutPrefix(trigger.Template.K8s.Source.File.Path, sensor.Spec.Template.Container.VolumeMounts[0].MountPath+"/")
	for _, item := range set.Items {
		if o, ok := item.Object.(*corev1.ConfigMap); ok && found && o.Name == sensor.Spec.Template.Volumes[0].ConfigMap.Name {
			_ = json.Unmarshal([]byte(o.Data[file]), run)
		}
	}
	return run
}

// ownsRepository reports whether the project of a pipeline runtime owns a repository,
// which no binding changes.
func ownsRepository(s *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime, name string) bool {
	repo := s.CodeRepo(r.Namespace, name)
	return repo != nil && repo.Spec.Project == r.Spec.Project
}

// pipelineOwns reports whether a Secret of a pipeline runtime, or of a space, is for a
// repository that the project of a pipeline runtime owns.
func pipelineOwns(s *snapshot.Snapshot, set plan.Set, item plan.Item, repo string) bool {
	if set.Owner.Kind != build.OwnerPipelineRuntime {
		return slices.ContainsFunc(s.PipelineRuntimes(set.Owner.Product), func(r *v1alpha1.ProjectPipelineRuntime) bool {
			more := r.Spec.AdditionalResources
			return more != nil && more.Git.CodeRepo == repo && ownsRepository(s, r, repo)
		})
	}
	r := s.PipelineRuntime(set.Owner.Product, set.Owner.Name)
	if !ownsRepository(s, r, r.Spec.PipelineSource) {
		return false
	}
	for _, value := range item.Secrets {
		source := slices.IndexFunc(r.Spec.EventSources, func(e v1alpha1.EventSource) bool { return strings.HasSuffix(value.Subject, "/"+e.Name) })
		if source >= 0 && !ownsRepository(s, r, r.Spec.EventSources[source].GitLab.RepoName) {
			return false
		}
	}
	return true
}
