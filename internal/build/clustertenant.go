package build

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
)

const (
	// ApplicationFinalizer has Argo CD remove the objects of an Application before
	// the Application is gone.
	ApplicationFinalizer = argocd.ResourcesFinalizerName

	// inClusterName is how an Argo CD calls the cluster that it runs on.
	inClusterName = "in-cluster"

	clusterUsageLabel = "cluster.nautes.io/usage"
	// The labels of an Application that installs a component.
	componentLabel         = "cluster.nautes.io/component"
	componentCategoryLabel = "cluster.nautes.io/component-category"

	// globCharacters are special in the patterns by which Argo CD matches the
	// permissions of a project.
	globCharacters = "*?[]{}!\\"
)

// addTenant adds the objects of the cluster in the tenant's Argo CD. It keeps the
// Applications of components that cannot be installed yet, or that Nautes does not
// install.
func (b *cluster) addTenant() error {
	b.addConnection()
	if err := b.addProject(); err != nil {
		return err
	}
	for _, component := range b.components {
		if component.External || len(component.WaitsFor) > 0 {
			b.tenant.keep(argocd.ApplicationSchemaGroupVersionKind, b.argoNamespace(), b.applicationName(component.Choice))
			continue
		}
		if err := b.addApplication(component); err != nil {
			return err
		}
	}
	return nil
}

func (b *cluster) argoNamespace() string { return b.snap.Settings.ArgoCDNamespace }

// addConnection registers the cluster in Argo CD. The Secret must not have the key
// project: it would open every namespace of the cluster to that project.
func (b *cluster) addConnection() {
	b.tenant.add(plan.StageConfig, secretKind, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: b.argoNamespace(), Name: names.Cluster(b.Name),
			Labels: map[string]string{secretTypeLabel: "cluster", clusterUsageLabel: string(b.Spec.Usage)},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{"name": []byte(b.Name), "server": []byte(b.Spec.APIServer)},
	}, b.source, plan.SecretValue{
		Key: "config", Ref: KubeconfigRef(b.Cluster), Field: KubeconfigField, Format: plan.FormatArgoCDCluster,
	})
}

// addProject gives the components exactly the permissions that they need. It keeps
// the project if no component is to be installed: Argo CD can only remove objects
// that a project permits.
func (b *cluster) addProject() error {
	repos, places, kinds := map[string]bool{}, map[argocd.ApplicationDestination]bool{}, map[metav1.GroupKind]bool{}
	for _, component := range b.components {
		if component.External {
			continue
		}
		for _, source := range component.Sources {
			repos[source.RepoURL] = true
		}
		to := b.destination(component.Choice)
		for _, namespace := range append([]string{to.Namespace}, component.Namespaces...) {
			places[argocd.ApplicationDestination{Name: to.Name, Namespace: namespace}] = true
		}
		for _, kind := range component.ClusterResources {
			kinds[kind] = true
		}
	}
	if len(repos) == 0 {
		b.tenant.keep(argocd.AppProjectSchemaGroupVersionKind, b.argoNamespace(), names.Cluster(b.Name))
		return nil
	}
	b.permitRemoval(places, kinds)
	spec := argocd.AppProjectSpec{
		Description:              "Components of the cluster " + b.Name,
		SourceRepos:              slices.Sorted(maps.Keys(repos)),
		Destinations:             slices.SortedFunc(maps.Keys(places), compareDestinations),
		ClusterResourceWhitelist: slices.SortedFunc(maps.Keys(kinds), compareKinds),
	}
	if err := exact(spec); err != nil {
		return err
	}
	b.tenant.add(plan.StageConfig, argocd.AppProjectSchemaGroupVersionKind, &argocd.AppProject{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.argoNamespace(), Name: names.Cluster(b.Name)},
		Spec:       spec,
	}, b.source)
	return nil
}

// permitRemoval lets Argo CD remove the components that the cluster is no longer to
// have: objects that a project does not permit would stay on the cluster unnoticed.
func (b *cluster) permitRemoval(places map[argocd.ApplicationDestination]bool, kinds map[metav1.GroupKind]bool) {
	for _, status := range b.leaving {
		if status.Category == v1alpha1.CategoryVirtualCluster {
			continue
		}
		places[argocd.ApplicationDestination{Name: b.Name, Namespace: status.Namespace}] = true
		known := b.snap.Catalogue().Component(status.Name)
		if known == nil {
			continue
		}
		for _, namespace := range known.Namespaces {
			places[argocd.ApplicationDestination{Name: b.Name, Namespace: namespace}] = true
		}
		for _, kind := range known.ClusterResources {
			kinds[metav1.GroupKind{Group: kind.Group, Kind: kind.Kind}] = true
		}
	}
}

// exact refuses a project that permits more than it names.
func exact(spec argocd.AppProjectSpec) error {
	texts := slices.Clone(spec.SourceRepos)
	for _, d := range spec.Destinations {
		texts = append(texts, d.Name, d.Namespace)
	}
	for _, kind := range spec.ClusterResourceWhitelist {
		texts = append(texts, kind.Group, kind.Kind)
	}
	for _, text := range texts {
		if strings.ContainsAny(text, globCharacters) {
			return fmt.Errorf("a component asks for %q, which is a pattern to Argo CD: name each repository, namespace and kind", text)
		}
	}
	return nil
}

func compareDestinations(a, b argocd.ApplicationDestination) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
}

func compareKinds(a, b metav1.GroupKind) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind))
}

// destination returns the destination of a component. A virtual cluster itself is
// installed on its host, in the namespace of its name.
func (b *cluster) destination(component catalogue.Choice) argocd.ApplicationDestination {
	if component.OnHost {
		return argocd.ApplicationDestination{Name: b.Spec.HostCluster, Namespace: b.Name}
	}
	return argocd.ApplicationDestination{Name: b.Name, Namespace: component.Namespace}
}

// addApplication has Argo CD install a component.
func (b *cluster) addApplication(component ComponentPlan) error {
	sources := make([]argocd.ApplicationSource, 0, len(component.Sources))
	for _, s := range component.Sources {
		source, err := applicationSource(component.Name, s)
		if err != nil {
			return fmt.Errorf("component %s, source %s: %w", component.Name, s.Name, err)
		}
		sources = append(sources, source)
	}
	spec := argocd.ApplicationSpec{
		Project:     names.Cluster(b.Name),
		Destination: b.destination(component.Choice),
		SyncPolicy:  componentSyncPolicy(),
	}
	if len(sources) == 1 {
		spec.Source = &sources[0]
	} else {
		spec.Sources = sources
	}
	b.tenant.add(plan.StageWorkload, argocd.ApplicationSchemaGroupVersionKind, &argocd.Application{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: b.argoNamespace(), Name: component.Application,
			Labels:     map[string]string{componentLabel: component.Name, componentCategoryLabel: string(component.Category)},
			Finalizers: []string{ApplicationFinalizer},
		},
		Spec: spec,
	}, b.source)
	return nil
}

// InstallsVirtualCluster reports whether an Application installs a virtual cluster
// on its host. The metadata is enough.
func InstallsVirtualCluster(application metav1.Object) bool {
	return application.GetLabels()[componentCategoryLabel] == string(v1alpha1.CategoryVirtualCluster)
}

func componentSyncPolicy() *argocd.SyncPolicy {
	factor := int64(2)
	return &argocd.SyncPolicy{
		Automated: &argocd.SyncPolicyAutomated{Prune: true, SelfHeal: true},
		// CustomResourceDefinitions are too large for the annotation of client-side
		// apply. Nautes creates the namespaces.
		SyncOptions: argocd.SyncOptions{"ServerSideApply=true", "CreateNamespace=false"},
		// Argo CD does not retry after the last attempt: a quarter of an hour lets a
		// cluster come back. The operator ends the attempts for a new version.
		Retry: &argocd.RetryStrategy{Limit: 10, Backoff: &argocd.Backoff{Duration: "5s", Factor: &factor, MaxDuration: "3m"}},
	}
}

// applicationSource converts a source of a component to one of an Application. The
// values stay data and never become the text of a template.
func applicationSource(component string, s catalogue.Source) (argocd.ApplicationSource, error) {
	source := argocd.ApplicationSource{RepoURL: s.RepoURL, Chart: s.Chart, Path: s.Path, TargetRevision: s.TargetRevision}
	if s.Chart != "" || s.Values != nil {
		// Charts name objects after the release, so it must not be the
		// Application's name.
		source.Helm = &argocd.ApplicationSourceHelm{ReleaseName: component}
		if len(s.Values) > 0 {
			values, err := json.Marshal(s.Values)
			if err != nil {
				return source, fmt.Errorf("its values are no JSON: %w", err)
			}
			source.Helm.ValuesObject = &runtime.RawExtension{Raw: values}
		}
	}
	if len(s.Patches) > 0 {
		source.Kustomize = &argocd.ApplicationSourceKustomize{}
		for _, patch := range s.Patches {
			source.Kustomize.Patches = append(source.Kustomize.Patches, argocd.KustomizePatch{
				Patch: string(patch.Operations),
				Target: &argocd.KustomizeSelector{KustomizeResId: argocd.KustomizeResId{
					// Both are regular expressions to Kustomize.
					KustomizeGvk: argocd.KustomizeGvk{Kind: regexp.QuoteMeta(patch.Kind)},
					Name:         regexp.QuoteMeta(patch.Name),
				}},
			})
		}
	}
	return source, nil
}

// ClusterSecretID returns the ID of the Secret that registers a cluster in Argo CD. It
// returns the zero ID if the set, the cluster's set for the tenant, has none.
func ClusterSecretID(tenant plan.Set) plan.ID {
	for _, item := range tenant.Items {
		if item.ID.Kind == secretKind.Kind && item.ID.Name == names.Cluster(tenant.Owner.Name) {
			return item.ID
		}
	}
	return plan.ID{}
}

// ArgoCDNamespace returns the namespace of the Argo CD that a cluster's Tenant
// set is for; empty for an empty set.
func ArgoCDNamespace(tenant plan.Set) string { return ClusterSecretID(tenant).Namespace }
