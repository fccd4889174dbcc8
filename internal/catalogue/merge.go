package catalogue

import (
	"cmp"
	"encoding/json"

	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
)

// mergeComponent returns base with the changes of over; base is nil for a new
// component. It changes neither of them.
func mergeComponent(base, over *v1alpha1.CatalogueComponent, at *field.Path) (*v1alpha1.CatalogueComponent, field.ErrorList) {
	if base == nil {
		base = &v1alpha1.CatalogueComponent{}
	}
	merged := *base
	merged.Name = over.Name
	merged.Category = cmp.Or(over.Category, base.Category)
	merged.Namespace = cmp.Or(over.Namespace, base.Namespace)
	merged.Installation = cmp.Or(over.Installation, base.Installation, v1alpha1.InstallationManaged)
	merged.After = replaced(base.After, over.After)
	merged.Namespaces = replaced(base.Namespaces, over.Namespaces)
	merged.ClusterResources = replaced(base.ClusterResources, over.ClusterResources)
	merged.Rules = replaced(base.Rules, over.Rules)
	merged.Secrets = replaced(base.Secrets, over.Secrets)
	merged.Ingress = cmp.Or(over.Ingress, base.Ingress)

	var errs field.ErrorList
	merged.Sources, errs = mergeNamed(base.Sources, over.Sources, at.Child("sources"),
		func(s v1alpha1.ComponentSource) string { return s.Name }, mergeSource)
	var wrong field.ErrorList
	merged.Settings, wrong = mergeNamed(base.Settings, over.Settings, at.Child("settings"),
		func(s v1alpha1.ComponentSetting) string { return s.Name }, mergeSetting)
	return &merged, append(errs, wrong...)
}

func replaced[T any](base, over []T) []T {
	if len(over) > 0 {
		return over
	}
	return base
}

// mergeNamed merges lists by the names of their elements: first the elements of base,
// in their order, then the new ones.
func mergeNamed[T any](
	base, over []T, at *field.Path, name func(T) string, merge func(base, over T, at *field.Path) (T, *field.Error),
) ([]T, field.ErrorList) {
	var (
		errs   field.ErrorList
		merged = append([]T(nil), base...)
		places = map[string]int{}
		seen   = map[string]bool{}
	)
	for i, one := range base {
		places[name(one)] = i
	}
	for _, one := range over {
		called := name(one)
		if seen[called] {
			errs = append(errs, duplicate(at.Key(called), called))
			continue
		}
		seen[called] = true
		place, known := places[called]
		if !known {
			var none T
			place, merged = len(merged), append(merged, none)
		}
		changed, err := merge(merged[place], one, at.Key(called))
		if err != nil {
			errs = append(errs, err)
		}
		merged[place] = changed
	}
	return merged, errs
}

// mergeSource changes a source. One that changes from a chart to a directory, or back,
// keeps only its name.
func mergeSource(base, over v1alpha1.ComponentSource, at *field.Path) (v1alpha1.ComponentSource, *field.Error) {
	if base.Chart != "" && over.Path != "" || base.Path != "" && over.Chart != "" {
		base = v1alpha1.ComponentSource{}
	}
	merged := v1alpha1.ComponentSource{
		Name:           over.Name,
		RepoURL:        cmp.Or(over.RepoURL, base.RepoURL),
		Chart:          cmp.Or(over.Chart, base.Chart),
		Path:           cmp.Or(over.Path, base.Path),
		TargetRevision: cmp.Or(over.TargetRevision, base.TargetRevision),
		Patches:        replaced(base.Patches, over.Patches),
		Values:         base.Values,
	}
	if over.Values == nil {
		return merged, nil
	}
	values, err := mergeValues(base.Values, over.Values)
	if err != nil {
		return merged, field.Invalid(at.Child("values"), field.OmitValueType{}, "write a JSON object, as the values file of the chart holds one")
	}
	merged.Values = values
	return merged, nil
}

func mergeSetting(base, over v1alpha1.ComponentSetting, _ *field.Path) (v1alpha1.ComponentSetting, *field.Error) {
	return v1alpha1.ComponentSetting{
		Name:     over.Name,
		Type:     cmp.Or(over.Type, base.Type, v1alpha1.SettingString),
		Default:  cmp.Or(over.Default, base.Default),
		Required: cmp.Or(over.Required, base.Required),
	}, nil
}

func mergeValues(base, over *runtime.RawExtension) (*runtime.RawExtension, error) {
	under, err := decodeObject(base)
	if err != nil {
		return nil, err
	}
	above, err := decodeObject(over)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(mergeObjects(under, above))
	if err != nil {
		return nil, err
	}
	return &runtime.RawExtension{Raw: raw}, nil
}

// decodeObject decodes a JSON object with whole numbers as int64.
func decodeObject(raw *runtime.RawExtension) (map[string]any, error) {
	object := map[string]any{}
	if raw == nil || len(raw.Raw) == 0 {
		return object, nil
	}
	if err := utiljson.Unmarshal(raw.Raw, &object); err != nil {
		return nil, err
	}
	return object, nil
}

// mergeObjects applies the JSON merge patch over to base (RFC 7386): objects are
// merged, null removes a member, and everything else replaces. It changes base, and the
// result shares parts of both.
func mergeObjects(base, over map[string]any) map[string]any {
	if base == nil {
		base = map[string]any{}
	}
	for key, value := range over {
		switch value := value.(type) {
		case nil:
			delete(base, key)
		case map[string]any:
			under, _ := base[key].(map[string]any)
			base[key] = mergeObjects(under, value)
		default:
			base[key] = value
		}
	}
	return base
}
