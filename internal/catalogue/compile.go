package catalogue

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
)

var kubernetesVersion = regexp.MustCompile(`^v?[0-9]+\.[0-9]+(\.[0-9]+)?$`)

// component is a component with its values, patches and settings decoded.
type component struct {
	spec     *v1alpha1.CatalogueComponent
	external bool
	// onHost is true for a component on the host of a virtual cluster.
	onHost   bool
	sources  []source
	settings []setting
	kinds    []metav1.GroupKind
}

type source struct {
	spec   *v1alpha1.ComponentSource
	values any // a compiled JSON object; nil when there are no values
	// patches with compiled values.
	patches []patch
}

type patch struct {
	kind, name string
	operations []operation
}

type operation struct {
	op, path string
	value    any
}

// setting is a setting with its decoded default, which is nil if there is none.
type setting struct {
	spec     *v1alpha1.ComponentSetting
	required bool
	fallback template
}

// clusterReferences returns the references that are not to settings.
func clusterReferences() []string {
	return []string{
		"cluster.name", "cluster.apiServer", "cluster.apiServerHost", "cluster.primaryDomain", "cluster.hostCluster",
		"component.name", "component.namespace", "tenant.name",
		"vault.address", "vault.caBundle", "vault.namespace", "vault.authMount",
		gitCertificates, gitProxyEnvironment, "git.knownHosts",
	}
}

// compile decodes a merged component and checks it on its own.
func compile(spec *v1alpha1.CatalogueComponent, at *field.Path) (*component, field.ErrorList) {
	made := &component{
		spec:     spec,
		external: spec.Installation == v1alpha1.InstallationExternal,
		onHost:   spec.Category == v1alpha1.CategoryVirtualCluster,
	}
	errs := checkComponent(spec, at)
	var wrong field.ErrorList
	made.settings, wrong = compileSettings(spec, at.Child("settings"))
	errs = append(errs, wrong...)
	made.sources, wrong = compileSources(spec, at.Child("sources"))
	errs = append(errs, wrong...)
	for _, resource := range spec.ClusterResources {
		made.kinds = append(made.kinds, metav1.GroupKind{Group: resource.Group, Kind: resource.Kind})
	}
	return made, errs
}

func checkComponent(spec *v1alpha1.CatalogueComponent, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if wrong := validation.IsDNS1123Label(spec.Name); len(wrong) > 0 {
		errs = append(errs, field.Invalid(at.Child("name"), spec.Name, strings.Join(wrong, ", ")))
	}
	external := spec.Installation == v1alpha1.InstallationExternal
	errs = append(errs, oneOf(at.Child("installation"), spec.Installation, v1alpha1.InstallationManaged, v1alpha1.InstallationExternal)...)
	if spec.Category == "" {
		errs = append(errs, field.Required(at.Child("category"), "the component is not built in: name its category"))
	} else {
		errs = append(errs, oneOf(at.Child("category"), spec.Category, categories()...)...)
	}
	switch virtual := spec.Category == v1alpha1.CategoryVirtualCluster; {
	case virtual && spec.Namespace != "":
		errs = append(errs, field.Forbidden(at.Child("namespace"),
			"each virtual cluster has the namespace of its name on its host: remove the namespace"))
	case !virtual && !external && spec.Namespace == "":
		errs = append(errs, field.Required(at.Child("namespace"), "the component is not built in: say which namespace it runs in"))
	}
	if len(spec.Rules) == 0 {
		errs = append(errs, field.Required(at.Child("rules"), "the component is not built in: say which clusters have it"))
	}
	if len(spec.Sources) == 0 && !external {
		errs = append(errs, field.Required(at.Child("sources"),
			"say where the component's manifests come from, or set installation to External"))
	}
	for i, rule := range spec.Rules {
		errs = append(errs, checkRule(rule, spec.Category, at.Child("rules").Index(i))...)
	}
	secrets := map[string]bool{}
	for _, secret := range spec.Secrets {
		if secrets[secret.Name] {
			errs = append(errs, duplicate(at.Child("secrets").Key(secret.Name), secret.Name))
		}
		secrets[secret.Name] = true
	}
	return append(errs, checkIngress(spec, at.Child("ingress"))...)
}

func checkRule(rule v1alpha1.ComponentRule, category v1alpha1.ComponentCategory, at *field.Path) field.ErrorList {
	errs := oneOf(at.Child("usage"), rule.Usage, v1alpha1.UsageHost, v1alpha1.UsageWorker)
	errs = append(errs, oneOf(at.Child("clusterType"), rule.ClusterType, "", v1alpha1.ClusterPhysical, v1alpha1.ClusterVirtual)...)
	errs = append(errs, oneOf(at.Child("workerType"), rule.WorkerType, "", v1alpha1.WorkerTypePipeline, v1alpha1.WorkerTypeDeployment)...)
	errs = append(errs, oneOf(at.Child("requirement"), rule.Requirement,
		v1alpha1.RequirementRequired, v1alpha1.RequirementDefault, v1alpha1.RequirementPossible)...)
	if category == v1alpha1.CategoryVirtualCluster && rule.ClusterType != v1alpha1.ClusterVirtual {
		errs = append(errs, field.Invalid(at.Child("clusterType"), rule.ClusterType,
			"only a virtual cluster is made by a component of the category virtualCluster: write virtual"))
	}
	return errs
}

func checkIngress(spec *v1alpha1.CatalogueComponent, at *field.Path) field.ErrorList {
	if spec.Ingress == nil {
		return nil
	}
	for _, one := range spec.Settings {
		if one.Name == spec.Ingress.HostSetting && one.Type == v1alpha1.SettingHost {
			return nil
		}
	}
	return field.ErrorList{field.Invalid(at.Child("hostSetting"), spec.Ingress.HostSetting,
		spec.Name+" has no setting of that name and of the type host: add it to the settings, or name another one")}
}

func duplicate(at *field.Path, name string) *field.Error {
	err := field.Duplicate(at, name)
	err.Detail = "it is there twice: remove one of them"
	return err
}

func oneOf[T ~string](at *field.Path, value T, allowed ...T) field.ErrorList {
	if slices.Contains(allowed, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(at, value, slices.DeleteFunc(slices.Clone(allowed), func(one T) bool { return one == "" }))}
}

func compileSettings(spec *v1alpha1.CatalogueComponent, at *field.Path) ([]setting, field.ErrorList) {
	var (
		made []setting
		errs field.ErrorList
	)
	for i := range spec.Settings {
		one := &spec.Settings[i]
		here := at.Key(one.Name)
		errs = append(errs, oneOf(here.Child("type"), one.Type, v1alpha1.SettingString, v1alpha1.SettingHost,
			v1alpha1.SettingPort, v1alpha1.SettingInteger, v1alpha1.SettingBoolean)...)
		compiled := setting{spec: one, required: one.Required != nil && *one.Required}
		if one.Default != "" {
			// Defaults that refer to other settings could form a circle.
			reader := compiler{known: func(name string) string { return unknownReference(name, "", nil) }}
			compiled.fallback = reader.text(one.Default, here.Child("default"))
			errs = append(errs, reader.errs...)
			if len(reader.errs) == 0 && compiled.fallback.literal() {
				if _, wrong := readSetting(one.Type, compiled.fallback[0].text); wrong != "" {
					errs = append(errs, field.Invalid(here.Child("default"), one.Default, wrong))
				}
			}
		}
		made = append(made, compiled)
	}
	return made, errs
}

// unknownReference returns the problem of the name of a reference in a component with
// these settings, or "" if the reference exists.
func unknownReference(name, component string, settings []v1alpha1.ComponentSetting) string {
	if slices.Contains(clusterReferences(), name) {
		return ""
	}
	wanted, ofSettings := strings.CutPrefix(name, "settings.")
	if ofSettings && component != "" {
		if slices.ContainsFunc(settings, func(s v1alpha1.ComponentSetting) bool { return s.Name == wanted }) {
			return ""
		}
		return fmt.Sprintf("%s has no setting %s: add it to the settings, or correct the reference", component, wanted)
	}
	hint := ", settings.<name>"
	if component == "" {
		hint = ""
	}
	return fmt.Sprintf("there is no reference $(%s): write one of %s%s, or $$( for $( itself", name, strings.Join(clusterReferences(), ", "), hint)
}

func compileSources(spec *v1alpha1.CatalogueComponent, at *field.Path) ([]source, field.ErrorList) {
	var (
		made []source
		errs field.ErrorList
	)
	for i := range spec.Sources {
		one := &spec.Sources[i]
		here := at.Key(one.Name)
		errs = append(errs, checkSource(one, here)...)
		reader := compiler{known: func(name string) string { return unknownReference(name, spec.Name, spec.Settings) }}
		compiled := source{spec: one}
		if one.Values != nil {
			values, err := decodeObject(one.Values)
			if err != nil {
				errs = append(errs, field.Invalid(here.Child("values"), field.OmitValueType{}, "write a JSON object"))
			}
			compiled.values = reader.tree(values, here.Child("values"))
		}
		for p, change := range one.Patches {
			compiled.patches = append(compiled.patches, compilePatch(change, &reader, here.Child("patches").Index(p)))
		}
		errs = append(errs, reader.errs...)
		made = append(made, compiled)
	}
	return made, errs
}

func checkSource(s *v1alpha1.ComponentSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.RepoURL == "" {
		errs = append(errs, field.Required(at.Child("repoURL"), "write the URL of the Helm or Git repository"))
	}
	switch {
	case s.Chart == "" && s.Path == "":
		errs = append(errs, field.Required(at.Child("chart"), "name the chart in the Helm repository, or the path in the Git repository"))
	case s.Chart != "" && s.Path != "":
		errs = append(errs, field.Forbidden(at.Child("path"), "chart is for a Helm repository and path for a Git repository: remove one of them"))
	}
	if s.TargetRevision == "" {
		errs = append(errs, field.Required(at.Child("targetRevision"), "write the version of the chart, or the tag or commit"))
	}
	if len(s.Patches) > 0 && (s.Chart != "" || s.Values != nil) {
		errs = append(errs, field.Forbidden(at.Child("patches"), "values are for a Helm chart and patches for a kustomization: remove one of them"))
	}
	return errs
}

func compilePatch(p v1alpha1.ComponentPatch, reader *compiler, at *field.Path) patch {
	made := patch{kind: p.Kind, name: p.Name}
	for i, change := range p.Operations {
		here := at.Child("operations").Index(i)
		compiled := operation{op: change.Op, path: change.Path}
		reader.errs = append(reader.errs, oneOf(here.Child("op"), change.Op, "add", "replace", "remove")...)
		if change.Value != nil {
			var value any
			if err := utiljson.Unmarshal(change.Value.Raw, &value); err != nil {
				reader.errs = append(reader.errs, field.Invalid(here.Child("value"), field.OmitValueType{}, "write a JSON value"))
			}
			compiled.value = reader.tree(value, here.Child("value"))
		}
		switch remove := change.Op == "remove"; {
		case remove && compiled.value != nil:
			reader.errs = append(reader.errs, field.Forbidden(here.Child("value"), "remove takes no value"))
		case !remove && compiled.value == nil:
			reader.errs = append(reader.errs, field.Required(here.Child("value"), change.Op+" takes a value other than null"))
		}
		made.operations = append(made.operations, compiled)
	}
	return made
}

// checkTogether checks the references between components. If an error can be at either
// of two components, it is at the one that the overlay names.
func checkTogether(c *Catalogue, named map[string]bool) field.ErrorList {
	var errs field.ErrorList
	for _, one := range c.components {
		at := componentPath(one.spec.Name).Child("after")
		for i, before := range one.spec.After {
			if c.get(before) == nil {
				errs = append(errs, field.Invalid(at.Index(i), before, "there is no component of that name: correct it, or add the component"))
			}
		}
		if circle := c.circle(one.spec.Name); circle != nil && slices.Min(circle) == one.spec.Name {
			errs = append(errs, field.Invalid(at, strings.Join(circle, ", "), "the components wait for each other in a circle: break it"))
		}
	}
	reported := map[string]bool{}
	for _, kind := range clusterKinds() {
		for _, category := range categories() {
			first, second := c.usual(category, &kind), c.rival(category, &kind)
			if second == nil {
				continue
			}
			if named[first.spec.Name] && !named[second.spec.Name] {
				first, second = second, first
			}
			key := first.spec.Name + "/" + second.spec.Name
			if reported[key] {
				continue
			}
			reported[key] = true
			errs = append(errs, field.Invalid(componentPath(second.spec.Name).Child("rules"), category, fmt.Sprintf(
				"%s and %s are both Required or Default for the same clusters, which have one component of a category: make one of them Possible",
				first.spec.Name, second.spec.Name)))
		}
	}
	return errs
}

// circle returns the components of a circle that a component is in, in the order in
// which they wait, or nil if there is none.
func (c *Catalogue) circle(start string) []string {
	seen := map[string]bool{}
	var walk func(name string, trail []string) []string
	walk = func(name string, trail []string) []string {
		one := c.get(name)
		if one == nil || seen[name] {
			return nil
		}
		seen[name] = true
		trail = append(trail, name)
		for _, before := range one.spec.After {
			if before == start {
				return trail
			}
			if found := walk(before, trail); found != nil {
				return found
			}
		}
		return nil
	}
	return walk(start, nil)
}

// settingNames returns the names of the settings, for messages.
func (c *component) settingNames() string {
	names := map[string]bool{}
	for _, one := range c.settings {
		names[one.spec.Name] = true
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}
