package testutil

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"nautes.io/nautes/api/v1alpha1"
)

// Hostile returns texts that mean something to the languages which they pass
// through on their way: YAML, JSON, templates, shells and patterns.
func Hostile() []string {
	return []string{
		`"; rm -rf / #`, "{{ .Values.secret }}", "$(cluster.name)", "${HOME}", "a\nproject: default", "- x\n- y",
		"*", "!*", "'", `\`, "null", "<script>&", "%s%n", "\u2028",
	}
}

// NewClusterWorld returns a random tenant of clusters, whose names collide when
// they are joined, whose components are in all states, and whose catalogue is
// changed in many ways. Some of the clusters do not go together with it.
func NewClusterWorld(seed uint64) World {
	d := dice{rand.New(rand.NewPCG(seed, 2))}
	w := World{Clusters: []string{"host-a", "host-b"}}
	w.add(Cluster("host-a", HostCluster, d.cluster), Cluster("host-b", HostCluster, d.cluster))
	names := []string{
		"a", "a-b", "b", "cluster-a", "a-host-a", "0123456789", "a-0123456789", "traefik", "vault-auth",
		strings.Repeat("x", 63), strings.Repeat("x", 62) + "y",
	}
	d.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for i, name := range names[:3+d.IntN(5)] {
		c := Cluster(name)
		if d.chance(50) {
			PipelineWorker(c)
		}
		if d.chance(50) {
			VirtualCluster(d.of("host-a", "host-b", "host-b", "absent"), []string{"31000", "31001", "31002"}[i%3])(c)
		}
		d.cluster(c)
		w.add(At(d.IntN(9), c))
		w.Clusters = append(w.Clusters, name)
	}
	w.add(ComponentCatalogue(d.components()...))
	return w
}

// cluster gives a cluster a random choice of components, and a random past.
func (d dice) cluster(c *v1alpha1.Cluster) {
	if d.chance(30) {
		c.Spec.KubeconfigSecretRef = &v1alpha1.SecretKeyReference{Name: "secret-of-" + c.Name[:1], Key: d.of("", "kubeconfig", "other")}
	}
	if d.chance(50) {
		c.Spec.Traefik = &v1alpha1.TraefikSpec{HTTPNodePort: d.of("30081", "30443"), HTTPSNodePort: "30444"}
		if c.Spec.ClusterType == v1alpha1.ClusterVirtual {
			c.Spec.Traefik = nil
		}
	}
	list := &c.Spec.ComponentsList
	if c.Spec.Usage == v1alpha1.UsageWorker {
		if d.chance(70) {
			list.Deployment = &v1alpha1.Component{
				Name: "argocd", Namespace: d.of("", "cd", "shared"), Additions: map[string]string{"note": d.of(Hostile()...)},
			}
		}
		if d.chance(20) {
			list.MultiTenant = &v1alpha1.Component{Name: d.of("native", "hnc")}
		}
		if d.chance(20) {
			list.SecretManagement = &v1alpha1.Component{Name: "vault", Namespace: "injector"}
		}
		if d.chance(20) && c.Spec.WorkerType == v1alpha1.WorkerTypePipeline {
			list.EventListener = &v1alpha1.Component{Name: d.of("fork", "absent"), Namespace: "events"}
		}
	}
	states := []v1alpha1.ComponentState{
		v1alpha1.ComponentReady, v1alpha1.ComponentReady, v1alpha1.ComponentReady,
		v1alpha1.ComponentWaiting, v1alpha1.ComponentProgressing, v1alpha1.ComponentDegraded, v1alpha1.ComponentExternal,
	}
	for _, name := range d.some("argo-events", "argocd", "cert-manager", "external-secrets", "hnc", "left", "oauth2-proxy", "tekton", "traefik", "vault", "vcluster") {
		status := v1alpha1.ComponentStatus{Name: name, Namespace: name + "-before", State: states[d.IntN(len(states))]}
		if d.chance(80) {
			status.Application = c.Name + "." + name
		}
		c.Status.Components = append(c.Status.Components, status)
	}
	if d.chance(10) {
		Deleting(c)
	}
}

// components returns random changes of the built-in catalogue, and for argocd a
// setting that takes any text.
func (d dice) components() []v1alpha1.CatalogueComponent {
	all := []v1alpha1.CatalogueComponent{
		{Name: "traefik", Installation: v1alpha1.InstallationExternal},
		{Name: "external-secrets", Installation: v1alpha1.InstallationExternal},
		{Name: "vault", Namespaces: []string{"kube-system", "shared"}, After: []string{"traefik", "hnc"}},
		{Name: "cert-manager", Sources: []v1alpha1.ComponentSource{{Name: "chart", Values: raw(map[string]any{"list": literal(Hostile())})}}},
		{Name: "hnc", Sources: []v1alpha1.ComponentSource{{Name: "manifests", RepoURL: "git@git.example.com:mirror/hnc.git", Path: "."}}},
		{Name: "tekton", ClusterResources: []v1alpha1.ClusterResource{{Kind: "Namespace"}, {Kind: "ClusterRole", Group: "rbac.authorization.k8s.io"}}},
		{
			Name: "fork", Category: v1alpha1.CategoryEventListener, Namespace: "fork",
			Sources: []v1alpha1.ComponentSource{{Name: "a", RepoURL: "https://git.example.com/fork", Path: "deploy", TargetRevision: "v1"}},
			Rules:   []v1alpha1.ComponentRule{{Usage: v1alpha1.UsageWorker, Requirement: v1alpha1.RequirementPossible}},
		},
		{Name: "argo-events", Rules: []v1alpha1.ComponentRule{{Usage: v1alpha1.UsageWorker, WorkerType: v1alpha1.WorkerTypePipeline, Requirement: v1alpha1.RequirementDefault}}},
		{Name: "vcluster", Installation: v1alpha1.InstallationExternal},
	}
	all = slices.DeleteFunc(all, func(v1alpha1.CatalogueComponent) bool { return d.chance(70) })
	return append(all, v1alpha1.CatalogueComponent{
		Name: "argocd", Settings: []v1alpha1.ComponentSetting{{Name: "note"}},
		Sources: []v1alpha1.ComponentSource{{
			Name: "chart", RepoURL: d.of("", "registry.example.com/charts"),
			Values: raw(map[string]any{"note": "$(settings.note)", "notes": []string{"a $(settings.note) b"}}),
		}},
	})
}

// literal returns texts as a catalogue has to write them.
func literal(texts []string) []string {
	written := make([]string, 0, len(texts))
	for _, text := range texts {
		written = append(written, strings.ReplaceAll(text, "$(", "$$("))
	}
	return written
}

func raw(value map[string]any) *runtime.RawExtension {
	// The values of tests can be encoded.
	encoded, _ := json.Marshal(value)
	return &runtime.RawExtension{Raw: encoded}
}

// AllReady records that components of a cluster are ready.
func AllReady(c *v1alpha1.Cluster, components ...string) {
	c.Status.Components = nil
	for _, name := range components {
		c.Status.Components = append(c.Status.Components, v1alpha1.ComponentStatus{
			Name: name, State: v1alpha1.ComponentReady, Since: &metav1.Time{Time: epoch()},
		})
	}
}
