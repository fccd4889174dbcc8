package catalogue

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
)

func overlay(t testing.TB, text string) *v1alpha1.ComponentCatalogueSpec {
	t.Helper()
	var spec v1alpha1.ComponentCatalogueSpec
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	return &spec
}

func TestEffective(t *testing.T) {
	worker := func() *v1alpha1.Cluster {
		c := guideClusters()["physical-worker-deployment"]
		c.Spec.Traefik = nil
		return c
	}
	builtin := mustFor(t, Builtin(), worker(), nil)
	tests := map[string]struct {
		overlay string
		choose  func(*v1alpha1.ComponentsList)
		// component to compare with the built-in one.
		component string
		want      func(*Component)
	}{
		"nothing": {overlay: `{}`, component: "traefik", want: func(*Component) {}},
		"a mirror of one repository": {
			overlay:   `components: [{name: traefik, sources: [{name: chart, repoURL: "https://mirror.example.com/charts"}]}]`,
			component: "traefik", want: func(c *Component) { c.Sources[0].RepoURL = "https://mirror.example.com/charts" },
		},
		"another version": {
			overlay:   `components: [{name: traefik, sources: [{name: chart, targetRevision: 38.0.0}]}]`,
			component: "traefik", want: func(c *Component) { c.Sources[0].TargetRevision = "38.0.0" },
		},
		"another value, and one more": {
			overlay: `components: [{name: traefik, sources: [{name: chart, values:
 {ports: {web: {nodePort: 8080, more: [1, "$(cluster.name)"]}}, new: {deep: true}}}]}]`,
			component: "traefik",
			want: func(c *Component) {
				web := c.Sources[0].Values["ports"].(map[string]any)["web"].(map[string]any)
				web["nodePort"], web["more"] = int64(8080), []any{int64(1), "physical-worker-deployment"}
				c.Sources[0].Values["new"] = map[string]any{"deep": true}
			},
		},
		"null removes": {
			overlay: `components: [{name: traefik, sources: [{name: chart, values:
 {ports: {web: null}, service: {labels: {"resource.nautes.io/Usage": null}}, unknown: null, added: {deep: null, kept: 1}}}]}]`,
			component: "traefik",
			want: func(c *Component) {
				delete(c.Sources[0].Values["ports"].(map[string]any), "web")
				c.Sources[0].Values["service"].(map[string]any)["labels"] = map[string]any{}
				c.Sources[0].Values["added"] = map[string]any{"kept": int64(1)}
			},
		},
		"an object for a list, and a list for an object": {
			overlay:   `components: [{name: traefik, sources: [{name: chart, values: {globalArguments: {a: 1}, ports: []}}]}]`,
			component: "traefik",
			want: func(c *Component) {
				c.Sources[0].Values["globalArguments"], c.Sources[0].Values["ports"] = map[string]any{"a": int64(1)}, []any{}
			},
		},
		"a directory instead of a chart": {
			overlay: `components: [{name: traefik, sources: [{name: chart, repoURL: "https://git.example.com/traefik.git",
				path: deploy, targetRevision: v1, patches: [{kind: Service, operations: [{op: remove, path: /spec/x}, {op: add, path: /spec/y, value: $(settings.httpNodePort)}]}]}]}]`,
			component: "traefik",
			want: func(c *Component) {
				c.Sources = []Source{{
					Name: "chart", RepoURL: "https://git.example.com/traefik.git", Path: "deploy", TargetRevision: "v1",
					Patches: []Patch{{Kind: "Service", Operations: []byte(`[{"op":"remove","path":"/spec/x"},{"op":"add","path":"/spec/y","value":30080}]`)}},
				}}
			},
		},
		"a chart instead of a directory": {
			overlay:   `components: [{name: hnc, sources: [{name: manifests, repoURL: "https://charts.example.com", chart: hnc, targetRevision: 1.2.3}]}]`,
			component: "hnc",
			want: func(c *Component) {
				c.Sources = []Source{{Name: "manifests", RepoURL: "https://charts.example.com", Chart: "hnc", TargetRevision: "1.2.3"}}
			},
		},
		"one more source": {
			overlay:   `components: [{name: traefik, sources: [{name: more, repoURL: "https://git.example.com/x.git", path: ., targetRevision: v2}]}]`,
			component: "traefik",
			want: func(c *Component) {
				c.Sources = append(c.Sources, Source{Name: "more", RepoURL: "https://git.example.com/x.git", Path: ".", TargetRevision: "v2"})
			},
		},
		"a default of a setting": {
			overlay:   `components: [{name: traefik, settings: [{name: httpNodePort, default: "31080"}, {name: extra, default: "$(cluster.name)!"}]}]`,
			component: "traefik",
			want: func(c *Component) {
				c.Settings["httpNodePort"], c.Settings["extra"] = int64(31080), "physical-worker-deployment!"
				c.Sources[0].Values["ports"].(map[string]any)["web"].(map[string]any)["nodePort"] = int64(31080)
			},
		},
		"lists and objects are replaced": {
			overlay: `components: [{name: argocd, namespace: cd, after: [vault, tekton, hnc], namespaces: [kube-system],
				clusterResources: [{kind: Node}], secrets: [{name: s, path: p, keys: [k]}],
				ingress: {hostSetting: host, service: other, port: 8080, protected: true}}]`,
			component: "argocd",
			want: func(c *Component) {
				c.Namespace, c.After, c.Namespaces = "cd", []string{"hnc", "vault"}, []string{"kube-system"}
				c.ClusterResources = c.ClusterResources[:1]
				c.ClusterResources[0].Group, c.ClusterResources[0].Kind = "", "Node"
				c.Secrets = []v1alpha1.ComponentSecret{{Name: "s", Path: "p", Keys: []string{"k"}}}
				c.Ingress = &Ingress{Host: c.Ingress.Host, Service: "other", Port: 8080, Protected: true}
			},
		},
		"installed by others": {
			overlay:   `components: [{name: cert-manager, installation: External, namespace: certificates}]`,
			component: "cert-manager",
			want: func(c *Component) {
				*c = Component{Choice: Choice{Name: "cert-manager", Category: v1alpha1.CategoryCertManagement, Namespace: "certificates", External: true}, Settings: map[string]any{}}
			},
		},
		"a new one that a cluster names": {
			overlay: `components: [{name: flux, category: certManagement, namespace: flux-system, rules: [{usage: worker, requirement: Possible}],
				sources: [{name: chart, repoURL: registry.example.com/charts, chart: flux, targetRevision: 2.0.0}]}]`,
			choose: func(l *v1alpha1.ComponentsList) {
				l.CertManagement = &v1alpha1.Component{Name: "flux", Namespace: "mine"}
			},
			component: "flux",
			want: func(c *Component) {
				*c = Component{
					Choice: Choice{Name: "flux", Category: v1alpha1.CategoryCertManagement, Namespace: "mine"}, Settings: map[string]any{},
					Sources: []Source{{Name: "chart", RepoURL: "registry.example.com/charts", Chart: "flux", TargetRevision: "2.0.0"}},
				}
			},
		},
		"a new one instead of a built-in one": {
			overlay: `components: [{name: cert-manager, rules: [{usage: worker, requirement: Possible}]},
				{name: issuer, category: certManagement, installation: External, rules: [{usage: worker, requirement: Default}]}]`,
			component: "issuer",
			want: func(c *Component) {
				*c = Component{Choice: Choice{Name: "issuer", Category: v1alpha1.CategoryCertManagement, External: true}, Settings: map[string]any{}}
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			made, errs := Effective(overlay(t, strings.ReplaceAll(test.overlay, "\t", " ")))
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			cluster := worker()
			if test.choose != nil {
				test.choose(&cluster.Spec.ComponentsList)
			}
			got, ok := mustFor(t, made, cluster, nil)[test.component]
			if !ok {
				t.Fatalf("there is no %s", test.component)
			}
			want := mustFor(t, Builtin(), worker(), nil)[test.component]
			test.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.component, diff)
			}
			// An overlay changes a copy.
			if diff := cmp.Diff(builtin, mustFor(t, Builtin(), worker(), nil)); diff != "" {
				t.Errorf("the built-in catalogue changed (-before +after):\n%s", diff)
			}
		})
	}
}

// Component returns the component with all changes.
func TestEffectiveComponent(t *testing.T) {
	made, errs := Effective(overlay(t, `components: [{name: external-secrets, sources: [{name: chart, values: {installCRDs: null, replicaCount: 2}}]}]`))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if got, want := string(made.Component("external-secrets").Sources[0].Values.Raw), `{"replicaCount":2}`; got != want {
		t.Errorf("values = %s, want %s", got, want)
	}
	if diff := cmp.Diff(Builtin().Names(), made.Names()); diff != "" {
		t.Errorf("names (-built in +effective):\n%s", diff)
	}
}

func TestEffectiveMinimum(t *testing.T) {
	for version, want := range map[string]string{"": "1.28", "1.31": "1.31", "v1.30.2": "v1.30.2"} {
		made, errs := Effective(&v1alpha1.ComponentCatalogueSpec{MinimumKubernetesVersion: version})
		if len(errs) > 0 || made.MinimumKubernetesVersion() != want {
			t.Errorf("with %q: %v, %v, want %q", version, made, errs, want)
		}
	}
	if made, errs := Effective(nil); made != Builtin() || errs != nil {
		t.Errorf("Effective(nil) = %v, %v", made, errs)
	}
}

func TestEffectiveErrors(t *testing.T) {
	// A complete component, to which each case adds its fault.
	const whole = `name: new, category: gateway, namespace: new, rules: [{usage: worker, requirement: Possible}], `
	const chart = `sources: [{name: c, repoURL: "https://x", chart: c, targetRevision: "1"`
	tests := map[string]struct {
		components string
		minimum    string
		wantType   field.ErrorType
		wantField  string
		wantDetail string
	}{
		"version": {components: ``, minimum: "latest", wantType: field.ErrorTypeInvalid, wantField: "spec.minimumKubernetesVersion", wantDetail: "as 1.28"},
		"unknown reference": {
			components: `{name: argocd, sources: [{name: chart, values: {a: [{b: "x $(cluster.nome)"}]}}]}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[argocd].sources[chart].values.a[0].b", wantDetail: "there is no reference $(cluster.nome): write one of cluster.name",
		},
		"unknown setting": {
			components: `{name: argocd, sources: [{name: chart, values: {a: $(settings.none)}}]}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[argocd].sources[chart].values.a", wantDetail: "argocd has no setting none",
		},
		"unknown reference in a patch": {
			components: `{name: hnc, sources: [{name: manifests, patches: [{kind: A, operations: [{op: add, path: /a, value: {b: $(x)}}]}]}]}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[hnc].sources[manifests].patches[0].operations[0].value.b", wantDetail: "there is no reference $(x)",
		},
		"reference that is not closed": {
			components: `{name: argocd, sources: [{name: chart, values: {a: "$(cluster"}}]}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[argocd].sources[chart].values.a", wantDetail: "write $$( for $( itself",
		},
		"setting in a default": {
			components: `{name: argocd, settings: [{name: host, default: x.$(settings.host)}]}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[argocd].settings[host].default", wantDetail: "there is no reference $(settings.host)",
		},
		"default of another type": {
			components: `{name: traefik, settings: [{name: httpNodePort, default: "80"}]}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[traefik].settings[httpNodePort].default", wantDetail: "from 30000 to 32767",
		},
		"type of a setting": {
			components: `{name: traefik, settings: [{name: x, type: float}]}`,
			wantType:   field.ErrorTypeNotSupported, wantField: "spec.components[traefik].settings[x].type", wantDetail: `"host"`,
		},
		"values that are no object": {
			components: `{name: argocd, sources: [{name: chart, values: [1]}]}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[argocd].sources[chart].values", wantDetail: "JSON object",
		},
		"component twice": {
			components: `{name: argocd}, {name: argocd}`,
			wantType:   field.ErrorTypeDuplicate, wantField: "spec.components[argocd]", wantDetail: "remove one",
		},
		"source twice": {
			components: `{name: argocd, sources: [{name: chart}, {name: chart}]}`,
			wantType:   field.ErrorTypeDuplicate, wantField: "spec.components[argocd].sources[chart]", wantDetail: "remove one",
		},
		"setting twice": {
			components: `{name: argocd, settings: [{name: host}, {name: host}]}`,
			wantType:   field.ErrorTypeDuplicate, wantField: "spec.components[argocd].settings[host]", wantDetail: "remove one",
		},
		"secret twice": {
			components: `{name: argocd, secrets: [{name: a, path: p, keys: [k]}, {name: a, path: q, keys: [k]}]}`,
			wantType:   field.ErrorTypeDuplicate, wantField: "spec.components[argocd].secrets[a]", wantDetail: "remove one",
		},
		"name": {
			components: `{name: New, category: gateway, namespace: new, installation: External, rules: [{usage: host, requirement: Possible}]}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[New].name", wantDetail: "lower case",
		},
		"new without a category": {
			components: `{name: new, namespace: new, installation: External, rules: [{usage: worker, requirement: Possible}]}`,
			wantType:   field.ErrorTypeRequired, wantField: "spec.components[new].category", wantDetail: "name its category",
		},
		"new of an unknown category": {
			components: `{name: new, category: plumbing, namespace: new, installation: External, rules: [{usage: worker, requirement: Possible}]}`,
			wantType:   field.ErrorTypeNotSupported, wantField: "spec.components[new].category", wantDetail: `"gateway"`,
		},
		"new without a namespace": {
			components: `{name: new, category: gateway, rules: [{usage: worker, requirement: Possible}], ` + chart + `}]}`,
			wantType:   field.ErrorTypeRequired, wantField: "spec.components[new].namespace", wantDetail: "which namespace",
		},
		"new without rules": {
			components: `{name: new, category: gateway, namespace: new, ` + chart + `}]}`,
			wantType:   field.ErrorTypeRequired, wantField: "spec.components[new].rules", wantDetail: "which clusters",
		},
		"new without sources": {
			components: `{` + whole + `}`,
			wantType:   field.ErrorTypeRequired, wantField: "spec.components[new].sources", wantDetail: "External",
		},
		"source without a URL": {
			components: `{` + whole + `sources: [{name: c, chart: c, targetRevision: "1"}]}`,
			wantType:   field.ErrorTypeRequired, wantField: "spec.components[new].sources[c].repoURL", wantDetail: "URL",
		},
		"source without a chart": {
			components: `{` + whole + `sources: [{name: c, repoURL: "https://x", targetRevision: "1"}]}`,
			wantType:   field.ErrorTypeRequired, wantField: "spec.components[new].sources[c].chart", wantDetail: "or the path",
		},
		"source without a revision": {
			components: `{` + whole + `sources: [{name: c, repoURL: "https://x", chart: c}]}`,
			wantType:   field.ErrorTypeRequired, wantField: "spec.components[new].sources[c].targetRevision", wantDetail: "tag or commit",
		},
		"chart and path": {
			components: `{` + whole + chart + `, path: p}]}`,
			wantType:   field.ErrorTypeForbidden, wantField: "spec.components[new].sources[c].path", wantDetail: "remove one",
		},
		"patches of a chart": {
			components: `{name: argocd, sources: [{name: chart, patches: [{kind: A, operations: [{op: remove, path: /a}]}]}]}`,
			wantType:   field.ErrorTypeForbidden, wantField: "spec.components[argocd].sources[chart].patches", wantDetail: "kustomization",
		},
		"operation": {
			components: `{name: hnc, sources: [{name: manifests, patches: [{kind: A, operations: [{op: move, path: /a, value: 1}]}]}]}`,
			wantType:   field.ErrorTypeNotSupported, wantField: "spec.components[hnc].sources[manifests].patches[0].operations[0].op", wantDetail: `"replace"`,
		},
		"operation without a value": {
			components: `{name: hnc, sources: [{name: manifests, patches: [{kind: A, operations: [{op: add, path: /a}]}]}]}`,
			wantType:   field.ErrorTypeRequired, wantField: "spec.components[hnc].sources[manifests].patches[0].operations[0].value", wantDetail: "add takes a value",
		},
		"operation with a value": {
			components: `{name: hnc, sources: [{name: manifests, patches: [{kind: A, operations: [{op: remove, path: /a, value: 1}]}]}]}`,
			wantType:   field.ErrorTypeForbidden, wantField: "spec.components[hnc].sources[manifests].patches[0].operations[0].value", wantDetail: "no value",
		},
		"rule": {
			components: `{name: native, rules: [{usage: worker, requirement: Maybe}]}`,
			wantType:   field.ErrorTypeNotSupported, wantField: "spec.components[native].rules[0].requirement", wantDetail: `"Possible"`,
		},
		"installation": {
			components: `{name: argocd, installation: Manual}`,
			wantType:   field.ErrorTypeNotSupported, wantField: "spec.components[argocd].installation", wantDetail: `"External"`,
		},
		"virtual clusters of physical ones": {
			components: `{name: vcluster, rules: [{usage: worker, requirement: Required}]}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[vcluster].rules[0].clusterType", wantDetail: "write virtual",
		},
		"one namespace for all virtual clusters": {
			components: `{name: vcluster, namespace: all}`,
			wantType:   field.ErrorTypeForbidden, wantField: "spec.components[vcluster].namespace", wantDetail: "remove the namespace",
		},
		"two usual ones of a category": {
			components: `{name: alpha, category: gateway, namespace: a, installation: External, rules: [{usage: host, requirement: Default}]}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[alpha].rules", wantDetail: "traefik and alpha are both Required or Default",
		},
		"waits for nothing": {
			components: `{name: argocd, after: [vault, nothing]}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[argocd].after[1]", wantDetail: "no component of that name",
		},
		"waits for itself": {
			components: `{name: argocd, after: [argocd]}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[argocd].after", wantDetail: "circle",
		},
		"wait for each other": {
			components: `{name: cert-manager, after: [oauth2-proxy]}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[cert-manager].after", wantDetail: "circle",
		},
		"host of no setting": {
			components: `{name: argocd, ingress: {hostSetting: httpsPort, service: a, port: 1}}`,
			wantType:   field.ErrorTypeInvalid, wantField: "spec.components[argocd].ingress.hostSetting", wantDetail: "of the type host",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := overlay(t, "components: ["+test.components+"]")
			spec.MinimumKubernetesVersion = test.minimum
			made, errs := Effective(spec)
			if len(errs) != 1 || made != nil {
				t.Fatalf("Effective() = %v, %v, want one error and no catalogue", made, errs)
			}
			if err := errs[0]; err.Type != test.wantType || err.Field != test.wantField || !strings.Contains(err.ErrorBody(), test.wantDetail) {
				t.Errorf("error = %s (%s), want %s: %s with %q", err, err.Type, test.wantField, test.wantType, test.wantDetail)
			}
		})
	}
}

// The error is at the component that the tenant wrote, in any order of names.
func TestRivalsAreReportedAtTheOverlay(t *testing.T) {
	for _, name := range []string{"alpha", "zulu"} {
		_, errs := Effective(overlay(t, `components: [{name: `+name+`, category: gateway, namespace: a, installation: External, rules: [{usage: host, requirement: Default}]}]`))
		if len(errs) != 1 || errs[0].Field != "spec.components["+name+"].rules" {
			t.Errorf("for %s: %v", name, errs)
		}
	}
	_, errs := Effective(overlay(t, `components: [
		{name: a, category: gateway, namespace: a, installation: External, rules: [{usage: worker, requirement: Default}]},
		{name: b, category: pipeline, namespace: b, installation: External, rules: [{usage: worker, requirement: Default}]}]`))
	var fields []string
	for _, err := range errs {
		fields = append(fields, err.Field)
	}
	slices.Sort(fields)
	if diff := cmp.Diff([]string{"spec.components[a].rules", "spec.components[b].rules"}, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}
