package api_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// change sets a field of an object, or removes it if the value is nil.
type change struct {
	at    []any
	value any
}

func set(value any, at ...any) change { return change{at: at, value: value} }

func remove(at ...any) change { return change{at: at} }

// ruleCase is an object, by its changes to a good one, and the wanted answer: a
// part of the refusal, or nothing.
type ruleCase struct {
	changes []change
	wantErr string
}

func checkRules(t *testing.T, base *unstructured.Unstructured, tests map[string]ruleCase) {
	t.Helper()
	c := clientFor(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			object := base.DeepCopy()
			for _, change := range tt.changes {
				setValue(t, object.Object, change.at, change.value)
			}
			checkAnswer(t, tryCreate(t, c, object), tt.wantErr)
		})
	}
}

func TestNames(t *testing.T) {
	const label = "metadata.name must be a DNS label"
	const product = "metadata.name must begin with product-"
	long := strings.Repeat("a", 64)
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			tests := map[string]ruleCase{
				"one letter":   {changes: []change{set("a", "metadata", "name")}},
				"dashes":       {changes: []change{set("repo-1--x", "metadata", "name")}},
				"63 letters":   {changes: []change{set(long[:63], "metadata", "name")}},
				"64 letters":   {changes: []change{set(long, "metadata", "name")}, wantErr: label},
				"a dot":        {changes: []change{set("a.b", "metadata", "name")}, wantErr: label},
				"upper case":   {changes: []change{set("A", "metadata", "name")}, wantErr: "Invalid value"},
				"a dash ahead": {changes: []change{set("-a", "metadata", "name")}, wantErr: "Invalid value"},
			}
			if kind == "Product" {
				tests = map[string]ruleCase{
					"a number":         {changes: []change{set("product-123", "metadata", "name")}},
					"63 letters":       {changes: []change{set("product-"+long[:55], "metadata", "name")}},
					"64 letters":       {changes: []change{set("product-"+long[:56], "metadata", "name")}, wantErr: product},
					"no prefix":        {changes: []change{set("demo", "metadata", "name")}, wantErr: product},
					"the prefix alone": {changes: []change{set("product", "metadata", "name")}, wantErr: product},
					"a dash after it":  {changes: []change{set("product--a", "metadata", "name")}, wantErr: product},
					"a dot":            {changes: []change{set("product-a.b", "metadata", "name")}, wantErr: product},
				}
			}
			if kind == "ComponentCatalogue" {
				const one = "metadata.name must be default"
				tests = map[string]ruleCase{
					"default":    {},
					"another":    {changes: []change{set("second", "metadata", "name")}, wantErr: one},
					"upper case": {changes: []change{set("Default", "metadata", "name")}, wantErr: "Invalid value"},
				}
			}
			if kind == "Space" {
				const cluster = "a space has the name of its cluster"
				tests = map[string]ruleCase{
					"of its cluster":     {},
					"of another cluster": {changes: []change{set("other", "metadata", "name")}, wantErr: cluster},
					"64 letters":         {changes: []change{set(long, "metadata", "name"), set(long, "spec", "cluster")}, wantErr: "may not be more than 63"},
				}
			}
			checkRules(t, filled(t, kind), tests)
		})
	}
}

// sampleCluster is a cluster of the user guide.
func sampleCluster(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	return readObject(t, "config/samples/tenant/clusters/"+name+".yaml")
}

func TestClusterShape(t *testing.T) {
	physical := sampleCluster(t, "physical-worker-pipeline")
	checkRules(t, physical, map[string]ruleCase{
		"physical worker":      {},
		"physical with host":   {changes: []change{set("host", "spec", "hostCluster")}, wantErr: "hostCluster is for virtual clusters"},
		"empty host":           {changes: []change{set("", "spec", "hostCluster")}},
		"worker without type":  {changes: []change{remove("spec", "workerType"), remove("spec", "tektonHost")}, wantErr: "a worker needs workerType"},
		"worker, empty type":   {changes: []change{set("", "spec", "workerType"), remove("spec", "tektonHost")}, wantErr: "a worker needs workerType"},
		"physical vcluster":    {changes: []change{set("31456", "spec", "vcluster", "httpsNodePort")}, wantErr: "vcluster is for virtual clusters"},
		"tekton on deployment": {changes: []change{set("deployment", "spec", "workerType")}, wantErr: "tektonHost is for workers of type pipeline"},
		"Argo CD's own name":   {changes: []change{set("in-cluster", "metadata", "name")}, wantErr: "metadata.name cannot be in-cluster"},
		"orphaned":             {changes: []change{set("Orphan", "spec", "deletionPolicy")}},
		"an unknown policy":    {changes: []change{set("Retain", "spec", "deletionPolicy")}, wantErr: "Unsupported value"},
		"an unknown kind":      {changes: []change{set("nomad", "spec", "clusterKind")}, wantErr: "Unsupported value"},
		"an unknown field":     {changes: []change{set("x", "spec", "teokenHost")}, wantErr: `unknown field "spec.teokenHost"`},
	})
	checkRules(t, sampleCluster(t, "cluster-host"), map[string]ruleCase{
		"host":                {},
		"virtual host":        {changes: []change{set("virtual", "spec", "clusterType"), set("other", "spec", "hostCluster")}, wantErr: "a host cluster is physical"},
		"host with type":      {changes: []change{set("deployment", "spec", "workerType")}, wantErr: "a host cluster carries no runtimes"},
		"host with a tekton":  {changes: []change{set("tekton.nip.io", "spec", "tektonHost")}, wantErr: "tektonHost is for workers of type pipeline"},
		"host without domain": {changes: []change{remove("spec", "primaryDomain")}},
	})
	checkRules(t, sampleCluster(t, "virtual-worker-deployment"), map[string]ruleCase{
		"virtual worker":       {},
		"virtual without host": {changes: []change{remove("spec", "hostCluster")}, wantErr: "a virtual cluster needs hostCluster"},
		"virtual, empty host":  {changes: []change{set("", "spec", "hostCluster")}, wantErr: "a virtual cluster needs hostCluster"},
		"its own host":         {changes: []change{set("virtual-worker-deployment", "spec", "hostCluster")}, wantErr: "a cluster cannot host itself"},
		"without vcluster":     {changes: []change{remove("spec", "vcluster")}},
	})
}

func TestClusterSaysOneThing(t *testing.T) {
	tests := map[string]ruleCase{}
	for name, place := range map[string]struct {
		at             []any
		component, key string
		value, other   string
	}{
		"argocdHost":            {[]any{"spec", "argocdHost"}, "deployment", "host", "a.nip.io", "b.nip.io"},
		"tektonHost":            {[]any{"spec", "tektonHost"}, "pipeline", "host", "a.nip.io", "b.nip.io"},
		"traefik.httpNodePort":  {[]any{"spec", "traefik", "httpNodePort"}, "gateway", "httpNodePort", "30080", "30081"},
		"traefik.httpsNodePort": {[]any{"spec", "traefik", "httpsNodePort"}, "gateway", "httpsNodePort", "30443", "30444"},
	} {
		component := set("some", "spec", "componentsList", place.component, "name")
		addition := func(value string) change {
			return set(value, "spec", "componentsList", place.component, "additions", place.key)
		}
		tests[name+" twice the same"] = ruleCase{changes: []change{set(place.value, place.at...), component, addition(place.value)}}
		tests[name+" only as an addition"] = ruleCase{changes: []change{remove(place.at...), component, addition(place.value)}}
		tests[name+" and another addition"] = ruleCase{
			changes: []change{set(place.value, place.at...), component, addition(place.other)},
			wantErr: fmt.Sprintf("%s and componentsList.%s.additions.%s say different things", name, place.component, place.key),
		}
	}
	checkRules(t, sampleCluster(t, "physical-worker-pipeline"), tests)
}

func TestClusterGrants(t *testing.T) {
	many := make([]any, 257)
	for i := range many {
		many[i] = "demo"
	}
	kinds := make([]any, 257)
	for i := range kinds {
		kinds[i] = map[string]any{"kind": "ClusterRole"}
	}
	checkRules(t, sampleCluster(t, "physical-worker-pipeline"), map[string]ruleCase{
		"a namespace as key":      {changes: []change{set([]any{"demo"}, "spec", "reservedNamespacesAllowedProducts", "tekton-pipelines")}},
		"a nested group":          {changes: []change{set([]any{"group/sub"}, "spec", "reservedNamespacesAllowedProducts", "argocd")}},
		"null instead of a map":   {changes: []change{set(nil, "spec", "reservedNamespacesAllowedProducts")}},
		"a key with upper case":   {changes: []change{set([]any{"demo"}, "spec", "reservedNamespacesAllowedProducts", "Tekton")}, wantErr: "the keys are names of components"},
		"a key of 64 letters":     {changes: []change{set([]any{"demo"}, "spec", "reservedNamespacesAllowedProducts", strings.Repeat("a", 64))}, wantErr: "the keys are names of components"},
		"any product":             {changes: []change{set([]any{"*"}, "spec", "reservedNamespacesAllowedProducts", "argocd")}, wantErr: "should match"},
		"too many products":       {changes: []change{set(many, "spec", "reservedNamespacesAllowedProducts", "argocd")}, wantErr: "at most 256 products"},
		"the core group":          {changes: []change{set([]any{map[string]any{"kind": "Namespace"}}, "spec", "productAllowedClusterResources", "group/sub")}},
		"a product that is *":     {changes: []change{set([]any{}, "spec", "productAllowedClusterResources", "*")}, wantErr: "the keys are names of products"},
		"a long product":          {changes: []change{set([]any{}, "spec", "productAllowedClusterResources", strings.Repeat("a", 256))}, wantErr: "the keys are names of products"},
		"too many kinds":          {changes: []change{set(kinds, "spec", "productAllowedClusterResources", "demo")}, wantErr: "at most 256 kinds"},
		"every kind":              {changes: []change{set([]any{map[string]any{"kind": "*", "group": ""}}, "spec", "productAllowedClusterResources", "demo")}, wantErr: "should match"},
		"a long addition":         {changes: []change{set("hnc", "spec", "componentsList", "multiTenant", "name"), set(strings.Repeat("a", 4097), "spec", "componentsList", "multiTenant", "additions", "a")}, wantErr: "a value is at most 4096 characters long"},
		"an addition of 4096":     {changes: []change{set("hnc", "spec", "componentsList", "multiTenant", "name"), set(strings.Repeat("a", 4096), "spec", "componentsList", "multiTenant", "additions", "a")}},
		"a component, no name":    {changes: []change{set("x", "spec", "componentsList", "multiTenant", "namespace")}, wantErr: "Required value"},
		"a kubeconfig of its own": {changes: []change{set("kubeconfig", "spec", "kubeconfigSecretRef", "name")}},
	})
}

func TestCodeRepoSaysWhereItIs(t *testing.T) {
	const want = "set url, or codeRepoProvider and repoName"
	url, provider, name := []any{"spec", "url"}, []any{"spec", "codeRepoProvider"}, []any{"spec", "repoName"}
	checkRules(t, filled(t, "CodeRepo"), map[string]ruleCase{
		"all of them":              {},
		"a url alone":              {changes: []change{remove(provider...), remove(name...)}},
		"provider and name":        {changes: []change{remove(url...)}},
		"nothing":                  {changes: []change{remove(url...), remove(provider...), remove(name...)}, wantErr: want},
		"empty texts":              {changes: []change{set("", url...), set("", provider...), set("", name...)}, wantErr: want},
		"a provider alone":         {changes: []change{remove(url...), remove(name...)}, wantErr: want},
		"a name alone":             {changes: []change{remove(url...), remove(provider...)}, wantErr: want},
		"an unknown event":         {changes: []change{set([]any{"push"}, "spec", "webhook", "events")}, wantErr: "Unsupported value"},
		"an event twice":           {changes: []change{set([]any{"push_events", "push_events"}, "spec", "webhook", "events")}, wantErr: "Duplicate value"},
		"no events":                {changes: []change{set([]any{}, "spec", "webhook", "events")}},
		"an empty project":         {changes: []change{set("", "spec", "project")}},
		"null instead of an event": {changes: []change{set(nil, "spec", "webhook")}},
	})
}

func TestProviderHasAnAddress(t *testing.T) {
	const want = "set sshAddress or httpAddress"
	http, ssh := []any{"spec", "httpAddress"}, []any{"spec", "sshAddress"}
	checkRules(t, filled(t, "CodeRepoProvider"), map[string]ruleCase{
		"both":         {},
		"http only":    {changes: []change{remove(ssh...)}},
		"ssh only":     {changes: []change{set("", http...)}},
		"neither":      {changes: []change{remove(ssh...), remove(http...)}, wantErr: want},
		"empty texts":  {changes: []change{set("", ssh...), set("", http...)}, wantErr: want},
		"another type": {changes: []change{set("bitbucket", "spec", "providerType")}, wantErr: "Unsupported value"},
		"no API":       {changes: []change{remove("spec", "apiServer")}, wantErr: "Required value"},
	})
}

func TestListsOfNames(t *testing.T) {
	checkRules(t, filled(t, "CodeRepoBinding"), map[string]ruleCase{
		"no projects":        {changes: []change{remove("spec", "projects")}},
		"an empty list":      {changes: []change{set([]any{}, "spec", "projects")}},
		"a project twice":    {changes: []change{set([]any{"a", "a"}, "spec", "projects")}, wantErr: "Duplicate value"},
		"no code repository": {changes: []change{remove("spec", "codeRepo")}, wantErr: "Required value"},
		"default permission": {changes: []change{remove("spec", "permissions")}},
		"unknown permission": {changes: []change{set("admin", "spec", "permissions")}, wantErr: "Unsupported value"},
	})
	registry := func(text string) []change { return []change{set(text, "spec", "registry")} }
	checkRules(t, filled(t, "ArtifactRepo"), map[string]ruleCase{
		"a scheme":        {changes: registry("https://registry.example.com"), wantErr: "registry is a host"},
		"no registry":     {changes: []change{remove("spec", "registry")}, wantErr: "Required value"},
		"an unknown type": {changes: []change{set("npm", "spec", "packageType")}, wantErr: "Unsupported value"},
		"a project twice": {changes: []change{set([]any{"a", "a"}, "spec", "projects")}, wantErr: "Duplicate value"},
	})
	checkRules(t, filled(t, "DeploymentRuntime"), map[string]ruleCase{
		"no namespaces":        {changes: []change{remove("spec", "destination", "namespaces")}},
		"two namespaces":       {changes: []change{set([]any{"a", "b"}, "spec", "destination", "namespaces")}},
		"a namespace twice":    {changes: []change{set([]any{"a", "a"}, "spec", "destination", "namespaces")}, wantErr: "Duplicate value"},
		"a project twice":      {changes: []change{set([]any{"a", "a"}, "spec", "projectsRef")}, wantErr: "Duplicate value"},
		"no projects":          {changes: []change{remove("spec", "projectsRef")}},
		"no revision":          {changes: []change{remove("spec", "manifestSource", "targetRevision")}},
		"the root of the repo": {changes: []change{set(".", "spec", "manifestSource", "path")}},
		"no path":              {changes: []change{remove("spec", "manifestSource", "path")}, wantErr: "Required value"},
		"no environment":       {changes: []change{remove("spec", "destination", "environment")}, wantErr: "Required value"},
	})
	checkRules(t, filled(t, "PipelineHook"), map[string]ruleCase{
		"one side":           {changes: []change{set([]any{"pre"}, "spec", "sides")}},
		"no side":            {changes: []change{set([]any{}, "spec", "sides")}, wantErr: "should have at least 1 items"},
		"a side twice":       {changes: []change{set([]any{"pre", "pre"}, "spec", "sides")}, wantErr: "Duplicate value"},
		"an unknown side":    {changes: []change{set([]any{"middle"}, "spec", "sides")}, wantErr: "Unsupported value"},
		"all event sources":  {changes: []change{remove("spec", "eventSources")}},
		"no task":            {changes: []change{remove("spec", "task")}, wantErr: "Required value"},
		"a task as text":     {changes: []change{set("ls", "spec", "task")}, wantErr: "Invalid value"},
		"no schema of vars":  {changes: []change{remove("spec", "varsSchema")}},
		"any field of tasks": {changes: []change{set("x", "spec", "task", "steps2", "any")}},
	})
}

func TestDefaults(t *testing.T) {
	c := clientFor(t)
	for name, tt := range map[string]struct {
		object *unstructured.Unstructured
		at     []string
		want   string
	}{
		"branch of a product":       {filled(t, "Product"), []string{"spec", "branch"}, "main"},
		"permission of a binding":   {filled(t, "CodeRepoBinding"), []string{"spec", "permissions"}, "readonly"},
		"permission of artifacts":   {filled(t, "ArtifactRepo"), []string{"spec", "permissions"}, "readonly"},
		"type of artifacts":         {filled(t, "ArtifactRepo"), []string{"spec", "packageType"}, "image"},
		"revision of manifests":     {filled(t, "DeploymentRuntime"), []string{"spec", "manifestSource", "targetRevision"}, "HEAD"},
		"deletion of a cluster":     {filled(t, "Cluster"), []string{"spec", "deletionPolicy"}, "Delete"},
		"kind of a cluster":         {filled(t, "Cluster"), []string{"spec", "clusterKind"}, "kubernetes"},
		"key of a kubeconfig's ref": {filled(t, "Cluster"), []string{"spec", "kubeconfigSecretRef", "key"}, "kubeconfig"},
	} {
		t.Run(name, func(t *testing.T) {
			unstructured.RemoveNestedField(tt.object.Object, tt.at...)
			if err := tryCreate(t, c, tt.object); err != nil {
				t.Fatal(err)
			}
			if got, _, _ := unstructured.NestedString(tt.object.Object, tt.at...); got != tt.want {
				t.Errorf("%s is %q, want %q", strings.Join(tt.at, "."), got, tt.want)
			}
		})
	}
}
