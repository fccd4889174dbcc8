package build_test

import (
	"bytes"
	stdcmp "cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// planned is a cluster of a random tenant with its plan.
type planned struct {
	s       *snapshot.Snapshot
	cluster *v1alpha1.Cluster
	clusterResult
}

func (p planned) String() string { return "cluster " + p.cluster.Name }

// plans returns the plans of the clusters that go together with the catalogue.
func plans(t *testing.T, s *snapshot.Snapshot) []planned {
	t.Helper()
	var all []planned
	for _, c := range s.Clusters() {
		p, err := build.Cluster(s, c)
		var missing *snapshot.MissingError
		_, wrong := s.ClusterComponents(c)
		refused := errors.As(err, &missing) || len(wrong) > 0
		if err != nil != (refused && c.DeletionTimestamp.IsZero()) {
			t.Fatalf("cluster %s: error %v, and its components have the errors %v", c.Name, err, wrong)
		}
		if err == nil {
			all = append(all, planned{s: s, cluster: c, clusterResult: p})
		}
	}
	return all
}

// inClusterWorlds calls check for every cluster of many random tenants, with
// Vault and without.
func inClusterWorlds(t *testing.T, check func(*testing.T, planned)) {
	clusters := 0
	for seed := range uint64(worlds) {
		w := NewClusterWorld(seed)
		settings := snapshot.Settings{}
		if seed%3 > 0 {
			settings = withVault()
		}
		for _, p := range plans(t, newSnapshot(w.Objects...).WithSettings(settings)) {
			check(t, p)
			clusters++
		}
		if t.Failed() {
			t.Fatalf("in world %d", seed)
		}
	}
	if clusters < 2*worlds {
		t.Fatalf("only %d clusters were seen: the worlds are too poor to show anything", clusters)
	}
}

func TestClusterSameInputSameBytes(t *testing.T) {
	for seed := range uint64(40) {
		w := NewClusterWorld(seed)
		copies := make([]client.Object, 0, len(w.Objects))
		for _, o := range w.Objects {
			copies = append(copies, o.DeepCopyObject().(client.Object))
		}
		text := func(objects []client.Object) []byte {
			var sets []plan.Set
			for _, p := range plans(t, newSnapshot(objects...).WithSettings(withVault())) {
				sets = append(sets, p.Sets...)
			}
			got, err := SetsJSON(sets...)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		want := text(w.Objects)
		for again := range uint64(3) {
			if got := text(w.Shuffled(again)); !bytes.Equal(want, got) {
				t.Fatalf("world %d: shuffled objects give another plan (-want +got):\n%s", seed, cmp.Diff(string(want), string(got)))
			}
		}
		if diff := cmp.Diff(copies, w.Objects); diff != "" {
			t.Fatalf("world %d: building changed its objects (-before +after):\n%s", seed, diff)
		}
	}
}

// TestClustersApart holds that no two clusters share an object, except for namespaces
// that are used as they are found. Nothing in the plan of a cluster names an object of
// another cluster.
func TestClustersApart(t *testing.T) {
	type holder struct {
		owner    plan.Owner
		ifAbsent bool
	}
	var world *snapshot.Snapshot
	var taken map[plan.Target]map[plan.ID]holder
	inClusterWorlds(t, func(t *testing.T, p planned) {
		if world != p.s {
			world, taken = p.s, map[plan.Target]map[plan.ID]holder{}
		}
		for _, set := range p.Sets {
			if taken[set.Target] == nil {
				taken[set.Target] = map[plan.ID]holder{}
			}
			if set.Owner != build.ClusterOwner(p.cluster) {
				t.Errorf("%v: a set is of %v", p, set.Owner)
			}
			for _, item := range set.Items {
				if other, ok := taken[set.Target][item.ID]; ok && !item.IfAbsent && !other.ifAbsent {
					t.Errorf("%v and %v both have %v on %v", other.owner, set.Owner, item.ID, set.Target)
				}
				taken[set.Target][item.ID] = holder{set.Owner, item.IfAbsent}
				p.belongs(t, set, item)
			}
			for _, id := range set.Keep {
				if itemOf(set, id.Kind, id.Name) != nil && id.Kind != "Namespace" {
					t.Errorf("%v: %v is both planned and kept", p, id)
				}
			}
		}
	})
}

// belongs checks that an item is the cluster's own.
func (p planned) belongs(t *testing.T, set plan.Set, item plan.Item) {
	if item.Source != snapshot.RefOf(p.cluster) {
		t.Errorf("%v: %v is asked for by %v", p, item.ID, item.Source)
	}
	refs := item.Secrets
	switch body := item.Body.(type) {
	case plan.VaultMount:
		if body.Path != p.cluster.Name || set.Target != plan.Vault(p.cluster.Name) || body.Host != p.cluster.Spec.APIServer {
			t.Errorf("%v: the auth mount %v on %v", p, body, set.Target)
		}
		refs = append(refs, body.CA, body.Reviewer)
	case nil:
		for key, want := range build.ClusterOwner(p.cluster).Labels(Tenant) {
			if got := item.Object.GetLabels()[key]; got != want {
				t.Errorf("%v: the label %s of %v is %q, want %q", p, key, item.ID, got, want)
			}
		}
	default:
		t.Errorf("%v: unexpected %v", p, item.ID)
	}
	for _, value := range refs {
		own := "kubernetes/" + p.cluster.Name + "/default/"
		named := p.cluster.Spec.KubeconfigSecretRef
		switch {
		case value.Ref.Engine == "cluster" && value.Ref.Path == own+"reviewer":
		case value.Ref.Engine == "cluster" && value.Ref.Path == own+"admin" && named == nil:
		case value.Ref.Engine == "operator" && named != nil && value.Ref.Path == named.Name+"/"+stdcmp.Or(named.Key, "kubeconfig"):
		case value.Ref.Engine == "tenant" && item.ID.Kind == "Secret" && !strings.HasPrefix(value.Ref.Path, "git/"):
		default:
			t.Errorf("%v: %v takes %v", p, item.ID, value.Ref)
		}
	}
}

// TestClusterPermissions holds the permissions of a cluster's components. None is a
// pattern, and the cluster's Secret opens the cluster to no project. The project
// permits the Applications, on the cluster and in its namespace on the host only.
func TestClusterPermissions(t *testing.T) {
	seen := map[string]int{}
	inClusterWorlds(t, func(t *testing.T, p planned) {
		for _, set := range p.Sets {
			for _, item := range set.Items {
				seen[item.ID.Kind]++
				switch o := item.Object.(type) {
				case *corev1.Secret:
					_, project := o.Data["project"]
					filled := slices.ContainsFunc(item.Secrets, func(v plan.SecretValue) bool { return v.Key == "project" })
					if project || filled || o.StringData != nil {
						t.Errorf("%v: the Secret %s has a project, or unchecked data", p, o.Name)
					}
				case *argocd.AppProject:
					p.project(t, o)
				case *rbacv1.ClusterRoleBinding:
					if o.RoleRef.Name != "system:auth-delegator" || len(o.Subjects) != 1 || o.Subjects[0].Name != "vault-auth" {
						t.Errorf("%v: %v is %s", p, o.Subjects, o.RoleRef.Name)
					}
				case *rbacv1.RoleBinding, *rbacv1.Role, *rbacv1.ClusterRole:
					t.Errorf("%v: unexpected %v", p, item.ID)
				}
				if mount, ok := item.Body.(plan.VaultMount); ok && strings.ContainsAny(mount.Path, "*+") {
					t.Errorf("%v: the auth mount %s", p, mount.Path)
				}
			}
		}
	})
	for _, kind := range []string{"Namespace", "Secret", "AppProject", "Application", "Ingress", "ClusterRoleBinding", "EventBus", "Middleware", plan.KindVaultMount} {
		if seen[kind] < 50 {
			t.Errorf("only %d of the kind %s were seen: the worlds are too poor to show anything", seen[kind], kind)
		}
	}
}

func (p planned) project(t *testing.T, project *argocd.AppProject) {
	if err := project.ValidateProject(); err != nil {
		t.Errorf("%v: Argo CD refuses the project: %v", p, err)
	}
	spec, err := json.Marshal(project.Spec)
	if err != nil || bytes.ContainsAny(spec, `*?!\`) {
		t.Errorf("%v: the project permits patterns, or %v: %s", p, err, spec)
	}
	for _, d := range project.Spec.Destinations {
		onHost := p.cluster.Spec.ClusterType == v1alpha1.ClusterVirtual && d.Name == p.cluster.Spec.HostCluster && d.Namespace == p.cluster.Name
		if (d.Name != p.cluster.Name && !onHost) || d.Server != "" || d.Namespace == "" {
			t.Errorf("%v: the project permits %v", p, d)
		}
	}
	if len(project.Spec.Roles)+len(project.Spec.SourceNamespaces)+len(project.Spec.DestinationServiceAccounts) > 0 {
		t.Errorf("%v: the project has a role", p)
	}
	for _, component := range p.Facts.Components {
		for _, kind := range component.ClusterResources {
			if !project.IsGroupKindPermitted(schema.GroupKind(kind), false) {
				t.Errorf("%v: the project does not permit the %v of %s", p, kind, component.Name)
			}
		}
		item := itemOf(tenantSet(p.clusterResult), "Application", component.Application)
		if item == nil {
			continue
		}
		app := item.Object.(*argocd.Application)
		for _, source := range app.Spec.GetSources() {
			if !project.IsSourcePermitted(source) {
				t.Errorf("%v: the project does not permit the source %s of %s", p, source.RepoURL, component.Name)
			}
		}
		for _, namespace := range append([]string{app.Spec.Destination.Namespace}, component.Namespaces...) {
			to := app.Spec.Destination
			to.Namespace = namespace
			if permitted, err := project.IsDestinationPermitted(to, nil); err != nil || !permitted {
				t.Errorf("%v: the project does not permit %v, where %s is installed: %v", p, to, component.Name, err)
			}
		}
		if app.Spec.Project != project.Name || app.Namespace != project.Namespace {
			t.Errorf("%v: %s is of the project %s", p, app.Name, app.Spec.Project)
		}
	}
	for _, d := range []argocd.ApplicationDestination{
		{Name: "in-cluster", Namespace: "argocd"}, {Server: "https://kubernetes.default.svc", Namespace: "argocd"}, {Name: p.cluster.Name, Namespace: "kube-public"},
	} {
		if permitted, _ := project.IsDestinationPermitted(d, nil); permitted {
			t.Errorf("%v: the project permits %v", p, d)
		}
	}
}

// TestClusterKeepsApplications holds that the Application of a component that a cluster
// has is never removed, whatever the state of other objects. It is written exactly if
// its prerequisites are ready.
func TestClusterKeepsApplications(t *testing.T) {
	written, waiting := 0, 0
	inClusterWorlds(t, func(t *testing.T, p planned) {
		if !p.cluster.DeletionTimestamp.IsZero() {
			return
		}
		for _, component := range p.Facts.Components {
			name := component.Application
			if component.External {
				name = names.ComponentApplication(p.cluster.Name, component.Name)
				if component.OnHost {
					name = names.VirtualClusterApplication(p.cluster.Name, p.cluster.Spec.HostCluster, component.Name)
				}
			}
			item := itemOf(tenantSet(p.clusterResult), "Application", name)
			if (item != nil) == kept(tenantSet(p.clusterResult), "Application", name) {
				t.Errorf("%v: the Application of %s is planned: %v, want that or that it is kept", p, component.Name, item != nil)
			}
			if (item != nil) != (len(component.WaitsFor) == 0 && !component.External) {
				t.Errorf("%v: %s waits for %v, external %v, and is planned: %v", p, component.Name, component.WaitsFor, component.External, item != nil)
			}
			if item == nil {
				waiting++
				continue
			}
			written++
			for _, before := range component.After {
				if !p.isReady(before) {
					t.Errorf("%v: %s is installed before %s is ready", p, component.Name, before)
				}
			}
		}
		if itemOf(tenantSet(p.clusterResult), "AppProject", names.Cluster(p.cluster.Name)) == nil && !kept(tenantSet(p.clusterResult), "AppProject", names.Cluster(p.cluster.Name)) {
			t.Errorf("%v: the project is taken away", p)
		}
	})
	if written < 1000 || waiting < 1000 {
		t.Errorf("%d Applications were written and %d waited: the worlds are too poor to show anything", written, waiting)
	}
}

func (p planned) isReady(name string) bool {
	for _, component := range p.Facts.Components {
		if component.Name == name && component.External {
			return true
		}
	}
	return slices.ContainsFunc(p.cluster.Status.Components, func(s v1alpha1.ComponentStatus) bool {
		return s.Name == name && (s.State == "Ready" || s.State == "External")
	})
}

// TestClusterValuesStayValues holds that hosts, ports and the texts of users arrive
// unchanged, and that objects have no other fields.
func TestClusterValuesStayValues(t *testing.T) {
	notes := map[string]bool{}
	ports := 0
	inClusterWorlds(t, func(t *testing.T, p planned) {
		for _, set := range p.Sets {
			for _, item := range set.Items {
				p.quiet(t, item)
				app, ok := item.Object.(*argocd.Application)
				if !ok {
					continue
				}
				for _, source := range app.Spec.GetSources() {
					if source.Helm != nil && (source.Helm.Values != "" || source.Helm.Parameters != nil || source.Helm.ReleaseName == "") {
						t.Errorf("%v: %s has values that are text, or no name of its release", p, app.Name)
					}
				}
				switch app.Labels["cluster.nautes.io/component"] {
				case "traefik":
					for _, door := range []string{"web", "websecure"} {
						if port, ok := value(t, app, "ports", door, "nodePort").(int64); ok && port >= 30000 {
							ports++
						} else {
							t.Errorf("%v: the port of %s is no number", p, door)
						}
					}
				case "argocd":
					if chosen := p.cluster.Spec.ComponentsList.Deployment; chosen != nil {
						note := chosen.Additions["note"]
						notes[note] = true
						if diff := cmp.Diff([]any{note, []any{"a " + note + " b"}}, []any{value(t, app, "note"), value(t, app, "notes")}); diff != "" {
							t.Errorf("%v: the note of the cluster in the values (-want +got):\n%s", p, diff)
						}
					}
				case "cert-manager":
					if list := value(t, app, "list"); list != nil {
						if diff := cmp.Diff(fmt.Sprint(Hostile()), fmt.Sprint(list)); diff != "" {
							t.Errorf("%v: the list in the values (-want +got):\n%s", p, diff)
						}
					}
				}
			}
		}
	})
	if len(notes) < len(Hostile()) || ports < 100 {
		t.Errorf("only %d notes and %d ports were seen: the worlds are too poor to show anything", len(notes), ports)
	}
}

// value returns the value at a path of the values of an Application's one chart.
func value(t *testing.T, app *argocd.Application, path ...string) any {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(app)
	if err != nil {
		t.Fatal(err)
	}
	var at any = content
	for _, key := range append([]string{"spec", "source", "helm", "valuesObject"}, path...) {
		object, _ := at.(map[string]any)
		at = object[key]
	}
	return at
}

// quiet checks that an object, converted as it is before it is sent, has no
// fields that are there and say nothing.
func (p planned) quiet(t *testing.T, item plan.Item) {
	if item.Object == nil {
		return
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(item.Object)
	if err != nil {
		t.Fatalf("%v: convert %v: %v", p, item.ID, err)
	}
	delete(content, "status")
	if item.ID.Kind == "Namespace" {
		delete(content, "spec")
	}
	var walk func(at any, path string)
	walk = func(at any, path string) {
		silent := false
		switch at := at.(type) {
		case map[string]any:
			silent = len(at) == 0
			for key, inner := range at {
				// The content of values is the user's, and the core group has no name.
				if inner != nil && key != "valuesObject" && !strings.HasSuffix(path, "clusterResourceWhitelist") {
					walk(inner, path+"."+key)
				}
			}
		case []any:
			silent = len(at) == 0
			for _, inner := range at {
				walk(inner, path)
			}
		case string:
			silent = at == ""
		}
		if silent {
			t.Errorf("%v: %v has %s, which says nothing", p, item.ID, path)
		}
	}
	walk(content, "")
}
