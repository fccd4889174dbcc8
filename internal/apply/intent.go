package apply

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// intent is an item in the form that is sent, without the values of secrets.
type intent struct {
	item   plan.Item
	gvk    schema.GroupVersionKind
	object *unstructured.Unstructured
}

// intend converts an item's typed object. It checks that the object matches the
// item's ID and carries the owner's labels, by which it is found again.
func (p *pass) intend(item plan.Item) (intent, error) {
	if item.Object == nil {
		return intent{}, &PlanError{ID: item.ID, Problem: "it has no object"}
	}
	if item.Stage < plan.StageNamespace || item.Stage > plan.StageWorkload {
		return intent{}, &PlanError{ID: item.ID, Problem: fmt.Sprintf("it has no stage %d", item.Stage)}
	}
	gvk := item.Object.GetObjectKind().GroupVersionKind()
	if gvk.Version == "" {
		var err error
		if gvk, err = apiutil.GVKForObject(item.Object, p.conn.Client().Scheme()); err != nil {
			return intent{}, &PlanError{ID: item.ID, Problem: fmt.Sprintf("its type %T is not known to the scheme", item.Object)}
		}
	}
	if plan.IDOf(gvk, item.Object) != item.ID {
		return intent{}, &PlanError{ID: item.ID, Problem: "its object is " + plan.IDOf(gvk, item.Object).String()}
	}
	labels := item.Object.GetLabels()
	for key, value := range p.set.Owner.Labels(p.tenant) {
		if labels[key] != value {
			return intent{}, &PlanError{ID: item.ID, Problem: fmt.Sprintf("its label %s is %q instead of %q", key, labels[key], value)}
		}
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(item.Object)
	if err != nil {
		return intent{}, &PlanError{ID: item.ID, Problem: "it cannot be converted: " + err.Error()}
	}
	content = runtime.DeepCopyJSON(content)
	delete(content, "status")
	object := &unstructured.Unstructured{Object: content}
	object.SetGroupVersionKind(gvk)
	for _, field := range []string{"creationTimestamp", "managedFields", "resourceVersion", "uid", "generation"} {
		unstructured.RemoveNestedField(content, "metadata", field)
	}
	dropNulls(content)
	if gvk.Group == "" && gvk.Kind == "Secret" {
		encodeStringData(content)
	}
	return intent{item: item, gvk: gvk, object: object}, nil
}

// dropNulls removes the keys without a value. A typed object has them for unset
// fields, and applying them would claim the fields.
func dropNulls(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if inner == nil {
				delete(v, key)
				continue
			}
			dropNulls(inner)
		}
	case []any:
		for _, inner := range v {
			dropNulls(inner)
		}
	}
}

// encodeStringData moves the stringData of a Secret into its data. The server
// does not keep stringData, and so could not record it as ours.
func encodeStringData(content map[string]any) {
	texts, _ := content["stringData"].(map[string]any)
	delete(content, "stringData")
	if len(texts) == 0 {
		return
	}
	data, ok := content["data"].(map[string]any)
	if !ok {
		data = map[string]any{}
		content["data"] = data
	}
	for key, value := range texts {
		if text, ok := value.(string); ok {
			data[key] = base64.StdEncoding.EncodeToString([]byte(text))
		}
	}
}

// hash returns the hash of the intent: of the object, and of the references and
// versions of its secrets. It does not read the values of secrets.
func (p *pass) hash(ctx context.Context, in intent) (string, error) {
	type filled struct {
		Value   plan.SecretValue
		Version string
	}
	var fills []filled
	versions := map[secrets.Ref]string{}
	for _, value := range in.item.Secrets {
		version, ok := versions[value.Ref]
		if !ok {
			var err error
			if version, err = p.store.Version(ctx, value.Ref); err != nil {
				return "", secretError(value.Ref, err)
			}
			versions[value.Ref] = version
		}
		fills = append(fills, filled{Value: value, Version: version})
	}
	hash, err := hashOf(in.object.Object, fills)
	if err != nil {
		return "", &PlanError{ID: in.item.ID, Problem: "it cannot be converted: " + err.Error()}
	}
	return hash, nil
}

// hashOf returns the hash of values in JSON.
func hashOf(values ...any) (string, error) {
	text, err := json.Marshal(values)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// fill returns the object with the values of its secrets.
func (p *pass) fill(ctx context.Context, in intent) (*unstructured.Unstructured, error) {
	object := in.object.DeepCopy()
	read := p.reader(in.item.ID)
	for _, value := range in.item.Secrets {
		content, _, err := read.value(ctx, value)
		if err != nil {
			return nil, err
		}
		if content == nil {
			continue
		}
		encoded := base64.StdEncoding.EncodeToString(content.Bytes())
		if err := unstructured.SetNestedField(object.Object, encoded, "data", value.Key); err != nil {
			return nil, &PlanError{ID: in.item.ID, Problem: "its data cannot hold secrets"}
		}
	}
	return object, nil
}

// older reports whether version a of an object is before version b.
func older(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order < 0
}
