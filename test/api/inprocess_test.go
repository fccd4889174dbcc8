package api_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/schema"
)

// inProcess returns the schemas that the product checks objects with.
var inProcess = sync.OnceValues(schema.New)

// compareInProcess fails the test unless the check in process agrees with the API
// server's answer about an object: on the verdict, and on every field in error.
func compareInProcess(t *testing.T, object, old *unstructured.Unstructured, answer error) {
	t.Helper()
	kinds, err := inProcess()
	if err != nil {
		t.Fatal(err)
	}
	// A write of the object leaves its status as it is; a new object has none.
	object = object.DeepCopy()
	delete(object.Object, "status")
	var before map[string]any
	if old != nil {
		before = old.Object
		if status, found := before["status"]; found {
			object.Object["status"] = runtime.DeepCopyJSONValue(status)
		}
	}
	_, errs := kinds.Check(object.Object, before)
	if diff := disagreement(answer, errs); diff != "" {
		t.Errorf("%s\nAPI server: %v\nin process: %v", diff, answer, errs.ToAggregate())
	}
}

var unknownFieldPattern = regexp.MustCompile(`unknown field "((?:[^"\\]|\\.)*)"`)

// disagreement compares the errors of the API server with ours; it is empty when
// they agree. We may name an item where the API server names its list, and may
// find more where the API server says that it has not checked everything.
func disagreement(answer error, errs field.ErrorList) string {
	if answer == nil || len(errs) == 0 {
		if (answer == nil) != (len(errs) == 0) {
			return "the verdicts differ"
		}
		return ""
	}
	var status apierrors.APIStatus
	if !errors.As(answer, &status) {
		return "the API server gave no status"
	}
	ours := map[string][]string{}
	for _, err := range errs {
		ours[err.Origin] = append(ours[err.Origin], err.Field)
	}
	partial, theirs, found := false, []string{}, ours[""]
	switch details := status.Status().Details; {
	case apierrors.IsInvalid(answer) && details != nil:
		for _, cause := range details.Causes {
			if strings.Contains(cause.Message, "some validation rules were not checked") {
				partial = true
				continue
			}
			theirs = append(theirs, cause.Field)
		}
	case apierrors.IsBadRequest(answer):
		unknown := unknownFieldPattern.FindAllStringSubmatch(answer.Error(), -1)
		if len(unknown) == 0 {
			// A document that cannot be decoded has no field in its error.
			return ""
		}
		for _, match := range unknown {
			theirs = append(theirs, match[1])
		}
		found = ours[schema.OriginUnknownField]
	default:
		return "the API server gave another error"
	}
	for _, want := range theirs {
		if !slices.ContainsFunc(found, func(got string) bool { return sameField(got, want) }) {
			return fmt.Sprintf("the API server alone refuses %s", want)
		}
	}
	for _, got := range found {
		if !partial && !slices.ContainsFunc(theirs, func(want string) bool { return sameField(got, want) }) {
			return fmt.Sprintf("the check in process alone refuses %s", got)
		}
	}
	return ""
}

// sameField reports whether our field is the API server's, or an item of it.
func sameField(ours, theirs string) bool {
	rest, found := strings.CutPrefix(ours, theirs)
	return found && (rest == "" || rest[0] == '[' && strings.HasSuffix(rest, "]"))
}

// TestInProcessOnMutations changes full objects at random and compares the answers
// of the API server with those in process, for new objects and for updates.
func TestInProcessOnMutations(t *testing.T) {
	c := clientFor(t)
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			stored := filled(t, kind)
			stored.SetNamespace(nsMutations)
			status := stored.Object["status"]
			if err := c.Create(t.Context(), stored); err != nil {
				t.Fatal(err)
			}
			stored.Object["status"] = status
			if err := c.Status().Update(t.Context(), stored); err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(60) {
				r := rand.New(rand.NewPCG(seed, uint64(len(kind))))
				object := filled(t, kind)
				for range 1 + r.IntN(3) {
					mutate(r, object.Object, "")
				}
				if _, isMap := object.Object["metadata"].(map[string]any); !isMap || object.GetKind() != kind || object.GetAPIVersion() != stored.GetAPIVersion() {
					continue
				}
				sent := object.DeepCopy()
				sent.SetNamespace(nsRules)
				want := sent.DeepCopy()
				compareInProcess(t, want, nil, c.Create(t.Context(), sent, client.DryRunAll))

				if object.GetName() != stored.GetName() {
					continue
				}
				sent = object.DeepCopy()
				sent.SetNamespace(nsMutations)
				sent.SetResourceVersion(stored.GetResourceVersion())
				want = sent.DeepCopy()
				compareInProcess(t, want, stored, c.Update(t.Context(), sent, client.DryRunAll))
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// mutate changes one value somewhere in an object.
func mutate(r *rand.Rand, value any, path string) any {
	strange := []any{"", "nothing", "https://user:secret@a/b", strings.Repeat("a", 5000), "A b", "../x", int64(7), 1.5, true, nil, []any{}, map[string]any{}, []any{"a", "a"}, map[string]any{"a": "b"}}
	deeper := r.IntN(4) > 0
	switch value := value.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(value))
		if len(keys) == 0 || !deeper && path != "" {
			break
		}
		key := keys[r.IntN(len(keys))]
		switch {
		case path == "" && (key == "apiVersion" || key == "kind" || key == "status"):
			key = "spec"
		case r.IntN(8) == 0:
			delete(value, key)
			return value
		case r.IntN(12) == 0:
			value["strange"] = strange[r.IntN(len(strange))]
			return value
		}
		value[key] = mutate(r, value[key], path+"."+key)
		return value
	case []any:
		if len(value) == 0 || !deeper {
			break
		}
		i := r.IntN(len(value))
		if r.IntN(4) == 0 {
			return append(value, runtime.DeepCopyJSONValue(value[i]))
		}
		value[i] = mutate(r, value[i], path+"[]")
		return value
	}
	return runtime.DeepCopyJSONValue(strange[r.IntN(len(strange))])
}

// TestInProcessOnDuplicates sends a document that has a field twice: both refuse
// it with the same message.
func TestInProcessOnDuplicates(t *testing.T) {
	document := `{"apiVersion": "nautes.resource.nautes.io/v1alpha1", "kind": "Project", "metadata": {"name": "twice"}, "spec": {"language": "go", "language": "c"}}`
	_, errs := schema.Read([]byte(document))
	config := rest.CopyConfig(server)
	config.GroupVersion, config.APIPath = &v1alpha1.GroupVersion, "/apis"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	raw, err := rest.RESTClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	answer := raw.Post().Namespace(nsRules).Resource("projects").Param("fieldValidation", metav1.FieldValidationStrict).
		SetHeader("Content-Type", "application/json").Body([]byte(document)).Do(t.Context()).Error()
	if len(errs) != 1 || errs[0].Field != "spec.language" || answer == nil || !strings.Contains(answer.Error(), errs[0].Detail) {
		t.Errorf("in process: %v, API server: %v", errs, answer)
	}
}
