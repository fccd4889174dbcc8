package build

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/schedule"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

const (
	// hookPort is where event sources listen.
	hookPort = 12000
	// hookHost begins the name of the host that the hooks of a cluster call.
	hookHost = "webhook."
	// defaultHTTPSPort needs no mention in a URL.
	defaultHTTPSPort = 443
)

var (
	eventSourceKind = argoevents.EventSourceGroupVersionKind
	sensorKind      = argoevents.SensorGroupVersionKind
	configMapKind   = corev1.SchemeGroupVersion.WithKind("ConfigMap")
)

// HostError says that no forge can reach a pipeline runtime: its cluster has no name
// for the host that hooks call.
type HostError struct {
	Cluster plan.Ref
	// Problem names the fault and the remedy.
	Problem string
}

// Error names the cluster, the fault and the remedy.
func (e *HostError) Error() string { return fmt.Sprintf("%s: %s", e.Cluster, e.Problem) }

// addEvents adds the objects that listen to the armed event sources and run their
// triggers.
func (p *pipeline) addEvents() error {
	if err := p.addEventSources(); err != nil {
		return err
	}
	if err := p.addHookIngress(); err != nil {
		return err
	}
	if err := p.addHooks(); err != nil {
		return err
	}
	return p.addSensors()
}

// Listeners returns the objects by which a pipeline runtime on a target listens to some
// of its event sources: the EventSources, the Secrets of their hooks and the Ingress to
// them. The caller must have checked that the event sources are granted. It returns the
// errors of PipelineRuntime.
func Listeners(s *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime, target v1alpha1.RuntimeTarget, sources []v1alpha1.EventSource) (plan.Set, error) {
	p := newPipeline(s, r, target)
	p.armed = sources
	if err := p.findCluster(); err != nil {
		return plan.Set{}, err
	}
	if err := p.addEventSources(); err != nil {
		return plan.Set{}, err
	}
	if err := p.addHookIngress(); err != nil {
		return plan.Set{}, err
	}
	return p.set.done(), nil
}

// of returns the armed event sources that have a kind.
func (p *pipeline) of(kind v1alpha1.EventSourceType) []v1alpha1.EventSource {
	return slices.DeleteFunc(slices.Clone(p.armed), func(e v1alpha1.EventSource) bool { return !slices.Contains(kindsOf(e), kind) })
}

// EventSourceTypes lists the kinds of event sources, in order.
func EventSourceTypes() []v1alpha1.EventSourceType {
	var kinds []v1alpha1.EventSourceType
	for _, f := range forges.All() {
		kinds = append(kinds, f.Events.Source)
	}
	return append(kinds, v1alpha1.EventSourceCalendar)
}

// kindsOf returns the kinds that an event source has, in order.
func kindsOf(e v1alpha1.EventSource) []v1alpha1.EventSourceType {
	var kinds []v1alpha1.EventSourceType
	if f, _, listens := forges.SourceOf(e); listens {
		kinds = append(kinds, f.Events.Source)
	}
	if e.Calendar != nil {
		kinds = append(kinds, v1alpha1.EventSourceCalendar)
	}
	return kinds
}

// exclusive reports whether the event sources of the runtime share no objects.
func (p *pipeline) exclusive() bool { return p.runtime.Spec.Isolation == v1alpha1.IsolationExclusive }

// eventSourceName returns the name of the object that listens to one kind of event
// of an event source.
func (p *pipeline) eventSourceName(e v1alpha1.EventSource, kind v1alpha1.EventSourceType) string {
	if p.exclusive() {
		return names.ExclusiveEventSource(p.runtime.Namespace, p.runtime.Name, e.Name, string(kind))
	}
	return names.SharedEventSource(p.runtime.Namespace, p.runtime.Name, string(kind))
}

// addEventSources adds the EventSources. Argo Events has no object that listens to
// both a forge and the clock: there is one of each, or two for each event source.
func (p *pipeline) addEventSources() error {
	for _, kind := range EventSourceTypes() {
		listeners := p.of(kind)
		if !p.exclusive() {
			if len(listeners) == 0 {
				continue
			}
			name := names.SharedEventSource(p.runtime.Namespace, p.runtime.Name, string(kind))
			part := fmt.Sprintf("an event source of kind %s for all %d", kind, len(listeners))
			if err := p.addEventSource(name, kind, listeners, &SizeError{Runtime: p.source, Part: part, Remedy: sharedRemedy}); err != nil {
				return err
			}
			continue
		}
		for _, e := range listeners {
			part := "the " + string(kind) + " part of the event source " + e.Name
			err := p.addEventSource(p.eventSourceName(e, kind), kind, []v1alpha1.EventSource{e},
				&SizeError{Runtime: p.source, Part: part, Remedy: "shorten its fields, or use fewer exclusion dates"})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// addEventSource adds an object that listens to one kind of event of some event
// sources.
func (p *pipeline) addEventSource(name string, kind v1alpha1.EventSourceType, sources []v1alpha1.EventSource, tooLarge *SizeError) error {
	o := &argoevents.EventSource{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.eventNamespace, Name: name},
		Spec: argoevents.EventSourceSpec{
			EventBusName: eventBus, Template: &argoevents.Template{Container: eventContainer(eventMemory)},
		},
	}
	if kind == v1alpha1.EventSourceCalendar {
		o.Spec.Calendar = map[string]argoevents.CalendarEventSource{}
		for _, e := range sources {
			o.Spec.Calendar[names.Event(e.Name)] = calendarEntry(e.Calendar)
		}
	} else {
		o.Spec.Service = &argoevents.Service{Ports: []corev1.ServicePort{{Port: hookPort, TargetPort: intstr.FromInt32(hookPort)}}}
		for _, e := range sources {
			if err := p.listen(&o.Spec, e); err != nil {
				return err
			}
		}
	}
	if jsonSize(o) > maxObject {
		return tooLarge
	}
	p.add(plan.StageWorkload, eventSourceKind, o, p.source)
	return nil
}

// eventMemory is the least memory limit of a process of Argo Events, in bytes.
const eventMemory = 256 << 20

// eventContainer limits the resources of a process of Argo Events, since anyone who
// can push chooses its input. memory is in bytes.
func eventContainer(memory int64) *argoevents.Container {
	return &argoevents.Container{Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: *resource.NewQuantity(memory, resource.BinarySI)},
	}}
}

// listen has an EventSource accept the deliveries of the hook of an event source.
func (p *pipeline) listen(spec *argoevents.EventSourceSpec, e v1alpha1.EventSource) error {
	provider, err := p.providerOf(e)
	if err != nil {
		return err
	}
	base, err := p.hookBase()
	if err != nil {
		return err
	}
	f, source, _ := forges.SourceOf(e)
	f.Events.Listen(spec, names.Event(e.Name), forge.Listener{
		Webhook: argoevents.WebhookContext{Endpoint: p.hookPath(e), Method: "POST", Port: strconv.Itoa(hookPort), URL: base},
		Server:  provider.Spec.APIServer, Secret: p.hookSecret(e), Events: source.Events,
	})
	p.addHookSecret(e, f)
	return nil
}

func calendarEntry(c *v1alpha1.CalendarEventSource) argoevents.CalendarEventSource {
	entry := argoevents.CalendarEventSource{Schedule: schedule.Fields(c.Schedule), Timezone: c.Timezone}
	if entry.Schedule == "" {
		entry.Interval = c.Interval
	}
	entry.ExclusionDates, _ = schedule.Exclusions(c.ExclusionDates, c.Timezone)
	return entry
}

// hookPath returns the path that a forge calls for an event source. It does not
// depend on the isolation, and two event sources never share one.
func (p *pipeline) hookPath(e v1alpha1.EventSource) string {
	return "/" + names.Qualified(p.runtime.Namespace, p.runtime.Name) + "/" + e.Name
}

func (p *pipeline) hookSecret(e v1alpha1.EventSource) string {
	return names.HookSecret(p.runtime.Namespace, p.runtime.Name, e.Name)
}

// hookToken makes the token of the hook of an event source.
func (p *pipeline) hookToken(e v1alpha1.EventSource) plan.SecretValue {
	return plan.SecretValue{
		Key: forge.TokenKey, Ref: secrets.WebhookKey(), Field: secrets.WebhookKeyField, Format: plan.FormatWebhookToken,
		Subject: names.HookSubject(p.runtime.Namespace, p.runtime.Name, string(p.runtime.UID), e.Name),
	}
}

func (p *pipeline) addHookSecret(e v1alpha1.EventSource, f forge.Forge) {
	data := map[string][]byte{}
	for key, value := range f.Events.SecretData {
		data[key] = []byte(value)
	}
	p.add(plan.StageConfig, secretKind, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.eventNamespace, Name: p.hookSecret(e)},
		Type:       corev1.SecretTypeOpaque,
		Data:       data,
	}, p.source, p.hookToken(e))
}

// providerOf returns the provider of the repository that an event source listens to.
func (p *pipeline) providerOf(e v1alpha1.EventSource) (*v1alpha1.CodeRepoProvider, error) {
	_, source, _ := forges.SourceOf(e)
	repo := p.snap.CodeRepo(p.runtime.Namespace, source.Repository)
	if repo == nil {
		return nil, missing("CodeRepo", p.runtime.Namespace, source.Repository, p.source)
	}
	provider := p.snap.CodeRepoProvider(repo.Spec.CodeRepoProvider)
	if provider == nil {
		return nil, missing("CodeRepoProvider", p.snap.Namespace, repo.Spec.CodeRepoProvider, snapshot.RefOf(repo))
	}
	return provider, nil
}

// domain returns the host that hooks call. A virtual cluster without a domain of
// its own is reached through its host's.
func (p *pipeline) domain() (string, error) {
	domain := p.cluster.Spec.PrimaryDomain
	if host := p.snap.HostOf(p.cluster); domain == "" && host != nil {
		domain = host.Spec.PrimaryDomain
	}
	if domain = cmp.Or(domain, catalogue.PrimaryDomain(p.cluster)); domain == "" {
		return "", &HostError{Cluster: snapshot.RefOf(p.cluster), Problem: "the hooks of its event sources have no host to call: set spec.primaryDomain"}
	}
	return hookHost + p.cluster.Name + "." + domain, nil
}

// hookBase returns the beginning of the URLs of hooks: scheme, host and port.
func (p *pipeline) hookBase() (string, error) {
	host, err := p.domain()
	if err != nil {
		return "", err
	}
	port, err := httpsPort(p.snap, p.cluster)
	if err != nil {
		return "", err
	}
	if port == defaultHTTPSPort {
		return "https://" + host, nil
	}
	return "https://" + host + ":" + strconv.FormatInt(port, 10), nil
}

// httpsPort returns the port on which a cluster, or the host of a virtual one, is
// reached from outside. It is the default port if no gateway sets one.
func httpsPort(s *snapshot.Snapshot, c *v1alpha1.Cluster) (int64, error) {
	if host := s.HostOf(c); host != nil {
		c = host
	}
	components, wrong := s.ClusterComponents(c)
	if err := wrong.ToAggregate(); err != nil {
		return 0, &HostError{Cluster: snapshot.RefOf(c), Problem: "its port is unknown while its components are invalid: " + err.Error()}
	}
	gateway, _ := catalogue.Find(components, v1alpha1.CategoryGateway)
	if port, ok := gateway.Settings["httpsNodePort"].(int64); ok {
		return port, nil
	}
	return defaultHTTPSPort, nil
}

// addHookIngress leads each path to the event source that listens there.
func (p *pipeline) addHookIngress() error {
	sources := p.hooked()
	if len(sources) == 0 {
		return nil
	}
	host, err := p.domain()
	if err != nil {
		return err
	}
	exact := networkingv1.PathTypeExact
	var paths []networkingv1.HTTPIngressPath
	for _, e := range sources {
		f, _, _ := forges.SourceOf(e)
		paths = append(paths, networkingv1.HTTPIngressPath{
			Path: p.hookPath(e), PathType: &exact,
			Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
				Name: p.eventSourceName(e, f.Events.Source) + names.ServiceSuffix,
				Port: networkingv1.ServiceBackendPort{Number: hookPort},
			}},
		})
	}
	slices.SortFunc(paths, func(a, b networkingv1.HTTPIngressPath) int { return cmp.Compare(a.Path, b.Path) })
	ingress := &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.eventNamespace, Name: names.HookIngress(p.runtime.Namespace, p.runtime.Name),
			Annotations: map[string]string{routerEntryPoints: "websecure", routerTLS: "true"},
		},
		Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{
			Host:             host,
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: paths}},
		}}},
	}
	// All hooks of a cluster have one host, and share its certificate.
	certify(ingress, clusterIssuer(p.snap, p.cluster), names.HookCertificate)
	p.add(plan.StageConfig, ingressKind, ingress, p.source)
	return nil
}

// hooked returns the armed event sources that listen to a forge, which calls a hook.
func (p *pipeline) hooked() []v1alpha1.EventSource {
	return slices.DeleteFunc(slices.Clone(p.armed), func(e v1alpha1.EventSource) bool {
		_, _, listens := forges.SourceOf(e)
		return !listens
	})
}

// addHooks puts the hook that the forge must have for each event source into the facts.
func (p *pipeline) addHooks() error {
	for _, e := range p.hooked() {
		f, source, _ := forges.SourceOf(e)
		base, err := p.hookBase()
		if err != nil {
			return err
		}
		p.webhooks = append(p.webhooks, v1alpha1.WebhookStatus{
			EventSource: e.Name, CodeRepo: source.Repository, URL: base + p.hookPath(e), Events: f.Events.Sent(source, p.snap.CodeRepo(p.runtime.Namespace, source.Repository)),
		})
	}
	return nil
}
