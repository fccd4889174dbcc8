package schema

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"
	kjson "sigs.k8s.io/json"
)

// Origins of errors that the API server reports when it decodes an object,
// before it looks at any value.
const (
	// OriginUnknownField marks an error about a field that the kind does not have.
	OriginUnknownField = "nautes.unknown-field"
	// OriginDuplicateField marks an error about a field that is given twice.
	OriginDuplicateField = "nautes.duplicate-field"
)

// Read returns the object in a JSON document. Fields that are given twice are
// errors; the last one counts.
func Read(document []byte) (map[string]any, field.ErrorList) {
	object := map[string]any{}
	duplicates, err := kjson.UnmarshalStrict(document, &object, kjson.DisallowDuplicateFields)
	if err != nil {
		return nil, field.ErrorList{field.Invalid(nil, field.OmitValueType{}, "the document is not a JSON object: "+err.Error())}
	}
	var errs field.ErrorList
	for _, duplicate := range duplicates {
		var at kjson.FieldError
		path := ""
		if errors.As(duplicate, &at) {
			path = at.FieldPath()
		}
		errs = append(errs, &field.Error{Type: field.ErrorTypeInvalid, Field: path, BadValue: field.OmitValueType{}, Detail: duplicate.Error(), Origin: OriginDuplicateField})
	}
	return object, errs
}

// Check returns a copy of an object with the defaults of its kind applied and
// unknown fields removed, and every error in the object. Old is the object before
// an update, or nil for a new object: rules about transitions compare the two,
// and values that an update leaves as they are may be invalid. The numbers of
// both objects are int64 or float64. The namespace may be missing: often the
// place that an object comes from says it.
//
// Where the API server checks no rule because of another error, Check checks the
// rules of all values that have no error in them.
func (k *Kinds) Check(object, old map[string]any) (map[string]any, field.ErrorList) {
	of, errs := k.kindOf(object)
	if len(errs) > 0 {
		return nil, errs
	}
	checked, meta, errs := of.normalize(object)
	if meta == nil {
		return checked, errs
	}
	after := &unstructured.Unstructured{Object: checked}
	var before *unstructured.Unstructured
	if old != nil {
		earlier, _, _ := of.normalize(old)
		before = &unstructured.Unstructured{Object: earlier}
		keepServerFields(after, before)
	}
	values, options := of.checkValues(after, before)
	errs = append(errs, values...)
	return checked, append(errs, of.checkRules(after, before, values, options)...)
}

// kindOf returns the kind that an object says it has.
func (k *Kinds) kindOf(object map[string]any) (*kind, field.ErrorList) {
	name, _ := object["kind"].(string)
	load, known := k.kinds[name]
	if !known {
		return nil, field.ErrorList{field.NotSupported(field.NewPath("kind"), name, k.Names())}
	}
	of, err := load()
	if err != nil {
		return nil, field.ErrorList{field.InternalError(nil, err)}
	}
	if version, _ := object["apiVersion"].(string); version != of.apiVersion {
		return nil, field.ErrorList{field.Invalid(field.NewPath("apiVersion"), object["apiVersion"], "must be "+of.apiVersion)}
	}
	return of, nil
}

// normalize returns a copy of an object without unknown fields and with
// defaults. Its metadata is nil when that cannot be read.
func (of *kind) normalize(object map[string]any) (map[string]any, *metav1.ObjectMeta, field.ErrorList) {
	object = runtime.DeepCopyJSON(object)
	meta, found, unknown, err := objectmeta.GetObjectMetaWithOptions(object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return object, nil, field.ErrorList{invalidMetadata(err)}
	}
	if !found {
		meta = &metav1.ObjectMeta{}
	}
	unknown = append(unknown, pruning.PruneWithOptions(object, of.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})...)
	defaulting.PruneNonNullableNullsWithoutDefaults(object, of.structural)
	if err := objectmeta.SetObjectMeta(object, meta); err != nil {
		return object, nil, field.ErrorList{invalidMetadata(err)}
	}
	defaulting.Default(object, of.structural)
	var errs field.ErrorList
	for _, path := range unknown {
		errs = append(errs, unknownField(path, of.structural))
	}
	return object, meta, errs
}

func invalidMetadata(err error) *field.Error {
	path := field.NewPath("metadata")
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return field.TypeInvalid(path.Child(wrongType.Field), field.OmitValueType{}, "must not be a "+wrongType.Value)
	}
	return field.Invalid(path, field.OmitValueType{}, err.Error())
}

// unknownField returns the error about a field that a kind does not have. It
// names the fields that stand beside it.
func unknownField(path string, root *structuralschema.Structural) *field.Error {
	detail := fmt.Sprintf("unknown field %q", path)
	parent := ""
	if end := strings.LastIndex(path, "."); end >= 0 {
		parent = path[:end]
	}
	if s := schemaAt(root, parent); s != nil && len(s.Properties) > 0 {
		detail += ": correct or remove it; known fields are " + strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ")
	}
	return &field.Error{Type: field.ErrorTypeForbidden, Field: path, BadValue: field.OmitValueType{}, Detail: detail, Origin: OriginUnknownField}
}

// schemaAt returns the schema of the value at a path of properties and indexes,
// such as spec.pipelines[0]. Of other paths it is empty or nil.
func schemaAt(s *structuralschema.Structural, path string) *structuralschema.Structural {
	for name := range strings.SplitSeq(path, ".") {
		if name == "" {
			return s
		}
		name, indexes, _ := strings.Cut(name, "[")
		property := s.Properties[name]
		s = &property
		for range strings.Count(indexes, "]") {
			if s = s.Items; s == nil {
				return nil
			}
		}
	}
	return s
}

// EmptyEntries returns the paths of the map entries of an object that are null.
// The API server drops them without an error.
func (k *Kinds) EmptyEntries(object map[string]any) []string {
	of, errs := k.kindOf(object)
	if len(errs) > 0 {
		return nil
	}
	return emptyEntries(of.structural, nil, object)
}

func emptyEntries(s *structuralschema.Structural, at *field.Path, value any) []string {
	var empty []string
	switch value := value.(type) {
	case []any:
		for i, item := range value {
			if s.Items != nil {
				empty = append(empty, emptyEntries(s.Items, at.Index(i), item)...)
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			property, known := s.Properties[key]
			switch entries := s.AdditionalProperties; {
			case known:
				empty = append(empty, emptyEntries(&property, at.Child(key), value[key])...)
			case entries == nil || entries.Structural == nil:
			case value[key] == nil:
				empty = append(empty, at.Key(key).String())
			default:
				empty = append(empty, emptyEntries(entries.Structural, at.Key(key), value[key])...)
			}
		}
	}
	return empty
}

// keepServerFields fills in the metadata that the API server sets, as it does
// before it checks an update.
func keepServerFields(object, old *unstructured.Unstructured) {
	object.SetUID(old.GetUID())
	object.SetCreationTimestamp(old.GetCreationTimestamp())
	object.SetDeletionTimestamp(old.GetDeletionTimestamp())
	object.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	object.SetGeneration(old.GetGeneration())
	if object.GetResourceVersion() == "" {
		object.SetResourceVersion(cmp.Or(old.GetResourceVersion(), "0"))
	}
}

// checkValues checks everything but the rules. It returns the options by which the
// rules ignore errors in values that an update leaves as they are.
func (of *kind) checkValues(object, old *unstructured.Unstructured) (field.ErrorList, []cel.Option) {
	at := field.NewPath("metadata")
	var errs field.ErrorList
	if old == nil {
		errs = append(errs, apivalidation.ValidateObjectMetaAccessor(object, object.GetNamespace() != "", apivalidation.NameIsDNSSubdomain, at)...)
		errs = append(errs, validation.ValidateCustomResource(nil, object.Object, of.values)...)
		return append(errs, listtype.ValidateListSetsAndMaps(nil, of.structural, object.Object)...), nil
	}
	both := common.NewCorrelatedObject(object.Object, old.Object, &model.Structural{Structural: of.structural})
	errs = append(errs, apivalidation.ValidateObjectMetaAccessorUpdate(object, old, at)...)
	errs = append(errs, validation.ValidateCustomResourceUpdate(nil, object.Object, old.Object, of.values, validation.WithRatcheting(both))...)
	if len(listtype.ValidateListSetsAndMaps(nil, of.structural, old.Object)) == 0 {
		errs = append(errs, listtype.ValidateListSetsAndMaps(nil, of.structural, object.Object)...)
	}
	return errs, []cel.Option{cel.WithRatcheting(both)}
}

// checkRules checks the CEL rules, given the errors in the values.
func (of *kind) checkRules(object, old *unstructured.Unstructured, values field.ErrorList, options []cel.Option) field.ErrorList {
	if of.rules == nil {
		return nil
	}
	var before any
	if old != nil {
		before = old.Object
	}
	blocked := blocking(values)
	if len(blocked) > 0 {
		w := walk{blocked: blocked}
		w.visit(of.rules, nil, "", object.Object, before)
		return locate(of.rules, object.Object, w.errs)
	}
	errs, _ := of.rules.Validate(context.Background(), nil, of.structural, object.Object, before, celconfig.RuntimeCELCostBudget, options...)
	return locate(of.rules, object.Object, errs)
}

// blocking returns the fields with errors that keep the API server from checking
// rules, because a rule relies on the schema of its value.
func blocking(errs field.ErrorList) []string {
	var fields []string
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			fields = append(fields, err.Field)
		}
	}
	return fields
}
