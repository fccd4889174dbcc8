package build_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// listening returns a runtime of a product with event sources that all trigger
// the pipeline dev.
func listening(product, name string, isolation v1alpha1.Isolation, sources ...v1alpha1.EventSource) *v1alpha1.ProjectPipelineRuntime {
	return PipelineRuntime(product, name, "api", "dev", repoOf(product), func(r *v1alpha1.ProjectPipelineRuntime) {
		r.UID, r.Spec.Isolation = types.UID("uid-of-"+name), isolation
		r.Spec.EventSources, r.Spec.PipelineTriggers = sources, nil
		for _, e := range sources {
			r.Spec.PipelineTriggers = append(r.Spec.PipelineTriggers, v1alpha1.PipelineTrigger{EventSource: e.Name, Pipeline: "dev"})
		}
	})
}

func pushes(product, name, revision string) v1alpha1.EventSource {
	return v1alpha1.EventSource{Name: name, GitLab: &v1alpha1.GitLabEventSource{
		RepoName: repoOf(product), Revision: revision, Events: []v1alpha1.GitLabEvent{"tag_push_events", "push_events"},
	}}
}

func nightly(name string) v1alpha1.EventSource {
	return v1alpha1.EventSource{Name: name, Calendar: &v1alpha1.CalendarEventSource{Schedule: "@daily", Interval: "1h"}}
}

// pipelineWorld returns a tenant with a cluster for pipelines, products with a
// project and a repository each, and some runtimes.
func pipelineWorld(cluster *v1alpha1.Cluster, products []string, more ...client.Object) *snapshot.Snapshot {
	AllReady(cluster, "argo-events", "argocd", "hnc", "tekton", "traefik")
	objects := append([]client.Object{cluster, CodeRepoProvider(Provider)}, more...)
	for _, product := range products {
		objects = append(objects, Product(product), Project(product, "api"), Environment(product, "dev", cluster.Name), CodeRepo(product, repoOf(product), "api"))
	}
	return newSnapshot(objects...).WithSettings(snapshot.Settings{RunnerImage: "example.com/nautes:v1"})
}

func pipelineWorker(change ...func(*v1alpha1.Cluster)) *v1alpha1.Cluster {
	return Cluster("pipes", append([]func(*v1alpha1.Cluster){PipelineWorker}, change...)...)
}

func planOf(t *testing.T, s *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime) plan.Plan {
	t.Helper()
	p, err := build.PipelineRuntime(s, r)
	if err != nil {
		t.Fatal(err)
	}
	return p.Plan
}

// objectsOf returns the objects of a type in a plan, by name.
func objectsOf[T client.Object](p plan.Plan) map[string]T {
	found := map[string]T{}
	for _, set := range p.Sets {
		for _, item := range set.Items {
			if o, ok := item.Object.(T); ok {
				found[o.GetName()] = o
			}
		}
	}
	return found
}

// backends returns the Services that the paths of a plan's Ingress lead to.
func backends(p plan.Plan) map[string]string {
	found := map[string]string{}
	for _, ingress := range objectsOf[*networkingv1.Ingress](p) {
		for _, rule := range ingress.Spec.Rules {
			for _, path := range rule.HTTP.Paths {
				found[rule.Host+path.Path] = path.Backend.Service.Name
			}
		}
	}
	return found
}

// TestIsolation holds how many objects a runtime has in each isolation, and that
// the addresses of its hooks stay the same.
func TestIsolation(t *testing.T) {
	both := pushes("product-1", "main", "refs/heads/main")
	both.Calendar = &v1alpha1.CalendarEventSource{Schedule: "0 17 * * 1-5"}
	plans, hooks := map[v1alpha1.Isolation]plan.Plan{}, map[v1alpha1.Isolation][]v1alpha1.WebhookStatus{}
	for isolation, want := range map[v1alpha1.Isolation]struct{ sources, sensors, services int }{
		v1alpha1.IsolationShared: {sources: 2, sensors: 1, services: 1}, v1alpha1.IsolationExclusive: {sources: 4, sensors: 5, services: 2},
	} {
		r := listening("product-1", "pipe", isolation, both, pushes("product-1", "feature", "^refs/heads/feature%-"), nightly("nightly"))
		r.Spec.PipelineTriggers = append(r.Spec.PipelineTriggers, v1alpha1.PipelineTrigger{EventSource: "feature", Pipeline: "dev", Revision: "main"})
		built, err := build.PipelineRuntime(pipelineWorld(pipelineWorker(), []string{"product-1"}, r), r)
		if err != nil {
			t.Fatal(err)
		}
		p := built.Plan
		plans[isolation], hooks[isolation] = p, built.Facts.Webhooks
		services := map[string]bool{}
		for _, service := range backends(p) {
			services[service] = true
			if objectsOf[*argoevents.EventSource](p)[strings.TrimSuffix(service, "-eventsource-svc")] == nil {
				t.Errorf("%s: no event source has the Service %s", isolation, service)
			}
		}
		sources, sensors := len(objectsOf[*argoevents.EventSource](p)), len(objectsOf[*argoevents.Sensor](p))
		if sources != want.sources || sensors != want.sensors || len(services) != want.services {
			t.Errorf("%s: %d event sources, %d sensors and %d services, want %+v", isolation, sources, sensors, len(services), want)
		}
		checkTriggers(t, p, r)
	}
	shared, exclusive := plans[v1alpha1.IsolationShared], plans[v1alpha1.IsolationExclusive]
	for address := range backends(shared) {
		if backends(exclusive)[address] == "" {
			t.Errorf("%s is lost", address)
		}
	}
	if len(backends(shared)) != 2 || len(backends(exclusive)) != 2 {
		t.Errorf("the addresses are %v and %v", backends(shared), backends(exclusive))
	}
	if diff := cmp.Diff(hooks[v1alpha1.IsolationShared], hooks[v1alpha1.IsolationExclusive]); diff != "" || len(hooks[v1alpha1.IsolationShared]) != 2 {
		t.Errorf("the hooks in GitLab change (-shared +exclusive):\n%s", diff)
	}
}

// checkTriggers checks that each trigger has its parts in a plan.
func checkTriggers(t *testing.T, p plan.Plan, r *v1alpha1.ProjectPipelineRuntime) {
	t.Helper()
	for _, trigger := range r.Spec.PipelineTriggers {
		e := r.Spec.EventSources[slices.IndexFunc(r.Spec.EventSources, func(e v1alpha1.EventSource) bool { return e.Name == trigger.EventSource })]
		want := map[string]int{"EventSource": 0, "Sensor": 1, "ConfigMap": 1}
		for _, has := range []bool{e.GitLab != nil, e.Calendar != nil} {
			if has {
				want["EventSource"]++
			}
		}
		if r.Spec.Isolation == v1alpha1.IsolationExclusive {
			want["Sensor"], want["ConfigMap"] = want["EventSource"], want["EventSource"]
		}
		got := map[string]int{}
		for _, id := range build.TriggerParts(p, trigger) {
			got[id.Kind]++
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the parts of %+v (-want +got):\n%s", r.Spec.Isolation, trigger, diff)
		}
	}
	if parts := build.TriggerParts(p, v1alpha1.PipelineTrigger{EventSource: "absent", Pipeline: "dev"}); len(parts) > 0 {
		t.Errorf("a trigger that there is not has %v", parts)
	}
}

// TestHookAddress holds where GitLab sends events: to the entrance of the cluster,
// which for a virtual one is its host's.
func TestHookAddress(t *testing.T) {
	clusters := GuideClusters()
	tests := map[string]struct {
		cluster *v1alpha1.Cluster
		objects []client.Object
		want    string
	}{
		"of the user guide":         {cluster: clusters[0], want: "https://webhook.physical-worker-pipeline.8.217.50.114.nip.io:30443/product-1-pipe/push"},
		"a virtual one":             {cluster: clusters[3], objects: []client.Object{clusters[2]}, want: "https://webhook.virtual-worker-pipeline.8.217.50.114.nip.io:30443/product-1-pipe/push"},
		"a virtual one of a domain": {cluster: Cluster("pipes", PipelineWorker, VirtualCluster("host", "31456")), objects: []client.Object{Cluster("host", HostCluster, domain("example.org"))}, want: "https://webhook.pipes.example.org:30443/product-1-pipe/push"},
		"without a domain":          {cluster: pipelineWorker(), want: "https://webhook.pipes.pipes.example.com:30443/product-1-pipe/push"},
		"another port":              {cluster: pipelineWorker(func(c *v1alpha1.Cluster) { c.Spec.Traefik = &v1alpha1.TraefikSpec{HTTPSNodePort: "32443"} }), want: "https://webhook.pipes.pipes.example.com:32443/product-1-pipe/push"},
		"the default port": {cluster: pipelineWorker(func(c *v1alpha1.Cluster) {
			c.Spec.ComponentsList.Gateway = &v1alpha1.Component{Name: "their-gateway"}
		}), objects: []client.Object{theirGateway()}, want: "https://webhook.pipes.pipes.example.com/product-1-pipe/push"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := listening("product-1", "pipe", v1alpha1.IsolationShared, pushes("product-1", "push", ""))
			s := pipelineWorld(test.cluster, []string{"product-1"}, append(test.objects, r)...)
			p := planOf(t, s, r)
			want := []v1alpha1.WebhookStatus{{EventSource: "push", CodeRepo: "repo-1", URL: test.want, Events: []string{"push_events", "tag_push_events"}}}
			built, err := build.PipelineRuntime(s, r)
			if diff := cmp.Diff(want, built.Facts.Webhooks); diff != "" || err != nil {
				t.Errorf("the hooks (-want +got):\n%s", diff)
			}
			host, _, _ := strings.Cut(strings.TrimPrefix(test.want, "https://"), "/")
			host, _, _ = strings.Cut(host, ":")
			if backends(p)[host+"/product-1-pipe/push"] == "" {
				t.Errorf("the paths are %v", backends(p))
			}
			for _, source := range objectsOf[*argoevents.EventSource](p) {
				if webhook := source.Spec.Gitlab["push"].Webhook; webhook.URL+webhook.Endpoint != test.want {
					t.Errorf("the event source is at %s", webhook.URL+webhook.Endpoint)
				}
			}
		})
	}
	t.Run("no name at all", func(t *testing.T) {
		r := listening("product-1", "pipe", v1alpha1.IsolationShared, pushes("product-1", "push", ""))
		c := pipelineWorker(func(c *v1alpha1.Cluster) { c.Spec.APIServer = "https://[2001:db8::1]:6443" })
		var unreachable *build.HostError
		if _, err := build.PipelineRuntime(pipelineWorld(c, []string{"product-1"}, r), r); !errors.As(err, &unreachable) {
			t.Errorf("the error is %v", err)
		}
	})
}

// theirGateway returns a catalogue with an external gateway whose port is unknown.
func theirGateway() *v1alpha1.ComponentCatalogue {
	workers := func(r v1alpha1.ComponentRequirement) []v1alpha1.ComponentRule {
		return []v1alpha1.ComponentRule{{Usage: v1alpha1.UsageWorker, ClusterType: v1alpha1.ClusterPhysical, Requirement: r}}
	}
	return ComponentCatalogue(
		v1alpha1.CatalogueComponent{Name: "traefik", Rules: workers(v1alpha1.RequirementDefault)},
		v1alpha1.CatalogueComponent{
			Name: "their-gateway", Category: v1alpha1.CategoryGateway, Namespace: "gateway", Installation: v1alpha1.InstallationExternal,
			Rules: workers(v1alpha1.RequirementPossible),
		})
}

func domain(name string) func(*v1alpha1.Cluster) {
	return func(c *v1alpha1.Cluster) { c.Spec.PrimaryDomain = name }
}

// TestOnlyListens holds that event sources have nothing that lets them change
// anything in GitLab, and each hook a token of its own.
func TestOnlyListens(t *testing.T) {
	first := listening("product-1", "pipe", v1alpha1.IsolationShared, pushes("product-1", "push", ""), pushes("product-1", "push.two", ""))
	second := listening("product-2", "pipe", v1alpha1.IsolationShared, pushes("product-2", "push", ""))
	second.Spec.Destination.Namespace = "another"
	s := pipelineWorld(pipelineWorker(), []string{"product-1", "product-2"}, first, second)
	subjects := map[string]bool{}
	for _, r := range []*v1alpha1.ProjectPipelineRuntime{first, second} {
		p := planOf(t, s, r)
		for _, source := range objectsOf[*argoevents.EventSource](p) {
			for name, entry := range source.Spec.Gitlab {
				if len(entry.Projects)+len(entry.Groups) > 0 || entry.DeprecatedProjectID != "" || entry.DeleteHookOnFinish || !entry.EnableSSLVerification {
					t.Errorf("%s manages hooks", name)
				}
				secret := objectsOf[*corev1.Secret](p)[entry.SecretToken.Name]
				if secret == nil || entry.AccessToken.Name != secret.Name || string(secret.Data[entry.AccessToken.Key]) != "not-a-token" || entry.SecretToken.Key != "token" {
					t.Errorf("%s has the tokens %v and %v of %v", name, entry.AccessToken, entry.SecretToken, secret)
				}
			}
		}
		for _, item := range p.Sets[0].Items {
			for _, value := range item.Secrets {
				if value.Format == plan.FormatWebhookToken {
					subjects[value.Subject] = true
				}
			}
		}
	}
	if len(subjects) != 3 {
		t.Errorf("three hooks have the tokens of %v", subjects)
	}
}

// TestEventNames holds that names are valid in each form that Argo Events gives them:
// subjects and keys of NATS, variables of an expression, labels and names of Services.
func TestEventNames(t *testing.T) {
	variable := regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	seen := map[string]string{}
	names := []string{"a", "a.b", "a-b", "1", "not", "push." + strings.Repeat("x", 58), strings.Repeat("x", 63), "a-b-0123456789"}
	for _, product := range []string{"product-1", "product-a", "product-a-b", "product-" + strings.Repeat("p", 50)} {
		for _, runtime := range []string{"pipe", "b-pipe", "pipe-gitlab", strings.Repeat("r", 63)} {
			for _, isolation := range []v1alpha1.Isolation{v1alpha1.IsolationShared, v1alpha1.IsolationExclusive} {
				var sources []v1alpha1.EventSource
				for _, name := range names {
					e := pushes(product, name, "")
					e.Calendar = nightly(name).Calendar
					sources = append(sources, e)
				}
				r := listening(product, runtime, isolation, sources...)
				p := planOf(t, pipelineWorld(pipelineWorker(), []string{product}, r), r)
				owner := fmt.Sprintf("%s/%s", product, runtime)
				for name, source := range objectsOf[*argoevents.EventSource](p) {
					checkName(t, seen, owner, "EventSource "+name, len(validation.IsDNS1035Label(name+"-eventsource-svc")) == 0)
					for event := range source.Spec.Gitlab {
						checkName(t, nil, owner, "event "+event, !strings.Contains(event, "."))
					}
				}
				dependencies := 0
				for name, sensor := range objectsOf[*argoevents.Sensor](p) {
					checkName(t, seen, owner, "Sensor "+name, len(name) <= 63 && !strings.Contains(name, "."))
					for _, d := range sensor.Spec.Dependencies {
						checkName(t, nil, owner, "dependency "+d.Name, variable.MatchString(d.Name) && len(d.Name) <= 63)
					}
					for _, trigger := range sensor.Spec.Triggers {
						name := trigger.Template.Name
						checkName(t, nil, owner, "trigger "+name, len(validation.IsValidLabelValue(name)) == 0 && !strings.Contains(name, "."))
					}
					dependencies += len(sensor.Spec.Dependencies)
				}
				if dependencies != 2*len(names) {
					t.Errorf("%s: %d dependencies, want %d", owner, dependencies, 2*len(names))
				}
				for address := range backends(p) {
					checkName(t, seen, owner, "path "+address, true)
				}
			}
		}
	}
}

// checkName checks that a name is good, and that no other object has it.
func checkName(t *testing.T, seen map[string]string, owner, name string, good bool) {
	t.Helper()
	if other := seen[name]; other != "" && other != owner || !good {
		t.Errorf("%s of %s is %s's, or no good name", name, owner, other)
	}
	if seen != nil {
		seen[name] = owner
	}
}

// TestSharedIsOne holds that a shared runtime has one object of each kind, however many
// event sources it has. A runtime that is too large for one is refused with a remedy.
func TestSharedIsOne(t *testing.T) {
	var sources []v1alpha1.EventSource
	for i := range 100 {
		e := pushes("product-1", fmt.Sprintf("push-to-a-branch-%d", i), fmt.Sprintf("^refs/heads/feature%%-%d", i))
		if i%10 == 0 {
			e.Calendar = &v1alpha1.CalendarEventSource{Schedule: "@daily"}
		}
		sources = append(sources, e)
	}
	r := listening("product-1", "pipe", v1alpha1.IsolationShared, sources[:50]...)
	s := pipelineWorld(pipelineWorker(), []string{"product-1"}, r)
	p := planOf(t, s, r)
	if listeners, sensors, files := objectsOf[*argoevents.EventSource](p), objectsOf[*argoevents.Sensor](p), objectsOf[*corev1.ConfigMap](p); len(listeners) != 2 || len(sensors) != 1 || len(files) != 1 {
		t.Errorf("%d event sources, %d sensors and %d sets of files", len(listeners), len(sensors), len(files))
	}
	checkTriggers(t, p, r)
	checkSizes(t, p)
	r.Spec.Isolation = v1alpha1.IsolationExclusive
	checkSizes(t, planOf(t, s, r))
	r = listening("product-1", "pipe", v1alpha1.IsolationShared, sources...)
	wantTooLarge(t, r, "110 triggers", "isolation: exclusive")
	r.Spec.Isolation = v1alpha1.IsolationExclusive
	checkSizes(t, planOf(t, pipelineWorld(pipelineWorker(), []string{"product-1"}, r), r))
}

// TestTooLarge holds that a part that fits into no object is refused by its name.
func TestTooLarge(t *testing.T) {
	var dates []v1alpha1.ISODate
	for day := range 100 {
		dates = append(dates, time.Date(2030, 1, 1+day, 0, 0, 0, 0, time.UTC).Format(time.DateOnly))
	}
	var sources []v1alpha1.EventSource
	for i := range 90 {
		e := nightly(fmt.Sprintf("night-%d", i))
		e.Calendar.ExclusionDates = dates
		sources = append(sources, e)
	}
	wantTooLarge(t, listening("product-1", "pipe", v1alpha1.IsolationShared, sources...), "kind calendar for all 90", "isolation: exclusive")
	one := nightly("nightly")
	one.Calendar.Timezone = strings.Repeat("x", 100_000)
	wantTooLarge(t, listening("product-1", "pipe", v1alpha1.IsolationExclusive, one), "nightly", "exclusion dates")
	hook := PipelineHook("large", func(h *v1alpha1.PipelineHook) {
		h.Spec.Task = runtime.RawExtension{Raw: []byte(`{"steps":[{"name":"a","image":"a","args":["` + strings.Repeat("x", 1_000_000) + `"]}]}`)}
	})
	for isolation, want := range map[v1alpha1.Isolation]string{v1alpha1.IsolationShared: "all of the 1 triggers", v1alpha1.IsolationExclusive: "dev by push"} {
		r := listening("product-1", "pipe", isolation, pushes("product-1", "push", ""))
		r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: "large"}}}
		wantTooLarge(t, r, want, "", hook)
	}
}

func wantTooLarge(t *testing.T, r *v1alpha1.ProjectPipelineRuntime, part, remedy string, more ...client.Object) {
	t.Helper()
	var large *build.SizeError
	_, err := build.PipelineRuntime(pipelineWorld(pipelineWorker(), []string{"product-1"}, append(more, r)...), r)
	if !errors.As(err, &large) || !strings.Contains(large.Part, part) || !strings.Contains(large.Remedy, remedy) {
		t.Errorf("the error is %v", err)
	}
}

// checkSizes checks that everything fits to where Argo Events and Kubernetes put it.
func checkSizes(t *testing.T, p plan.Plan) {
	t.Helper()
	for _, set := range p.Sets {
		for _, item := range set.Items {
			content, err := json.Marshal(item.Object)
			if err != nil {
				t.Fatal(err)
			}
			if kind := item.ID.Kind; (kind == "EventSource" || kind == "Sensor") && base64.StdEncoding.EncodedLen(len(content)) > 128<<10-100 {
				t.Errorf("%v has %d bytes", item.ID, len(content))
			}
			if len(content) > 1<<20 {
				t.Errorf("%v has %d bytes", item.ID, len(content))
			}
		}
	}
}

// TestFiles holds that a sensor finds its launchers and programs, that they are
// others under another name when anything in them is, and that they never change.
func TestFiles(t *testing.T) {
	names := map[string]bool{}
	for _, revision := range []string{"main", "next", "main"} {
		r := listening("product-1", "pipe", v1alpha1.IsolationShared, pushes("product-1", "push", "main"), nightly("nightly"))
		r.Spec.PipelineTriggers[0].Revision = revision
		p := planOf(t, pipelineWorld(pipelineWorker(), []string{"product-1"}, r), r)
		for name, files := range objectsOf[*corev1.ConfigMap](p) {
			names[name] = true
			if files.Immutable == nil || !*files.Immutable {
				t.Errorf("%s may change", name)
			}
			want := map[string]bool{"gitlab.lua": true, "calendar.lua": true, "ref.lua": true, "exclusions.lua": true}
			for _, sensor := range objectsOf[*argoevents.Sensor](p) {
				for _, trigger := range sensor.Spec.Triggers {
					want[path.Base(trigger.Template.K8s.Source.File.Path)] = true
					if run := launcherOf(p.Sets[0], sensor, trigger); run.Kind != "PipelineRun" {
						t.Errorf("%s finds no launcher", trigger.Template.Name)
					}
				}
			}
			got := map[string]bool{}
			for file := range files.Data {
				got[file] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the files (-want +got):\n%s", diff)
			}
		}
	}
	if len(names) != 2 {
		t.Errorf("the names are %v", names)
	}
}

// TestBounded holds that listeners and sensors have resource limits, since they work on
// input from strangers.
func TestBounded(t *testing.T) {
	r := listening("product-1", "pipe", v1alpha1.IsolationExclusive, pushes("product-1", "push", ""), nightly("nightly"))
	p := planOf(t, pipelineWorld(pipelineWorker(), []string{"product-1"}, r), r)
	var templates []*argoevents.Template
	for _, listener := range objectsOf[*argoevents.EventSource](p) {
		templates = append(templates, listener.Spec.Template)
	}
	for _, sensor := range objectsOf[*argoevents.Sensor](p) {
		templates = append(templates, sensor.Spec.Template)
	}
	for _, template := range templates {
		if template == nil || template.Container == nil || template.Container.Resources.Limits.Cpu().IsZero() || template.Container.Resources.Limits.Memory().IsZero() {
			t.Errorf("%+v is not bounded", template)
		}
	}
	if len(templates) != 4 {
		t.Errorf("%d templates", len(templates))
	}
}
