package layout

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/internal/schema"
)

const (
	nameField = "metadata.name"
	// wholeObject is the field of errors about a whole object.
	wholeObject = "<nil>"
)

// checkSchema adds every error that the schema and the rules of the kind find.
// Errors in the metadata are left out where the file's metadata has problems already.
func (d *document) checkSchema(kinds *schema.Kinds, value map[string]any, badMetadata bool) {
	for _, entry := range kinds.EmptyEntries(value) {
		d.refuseField(entry, Invalid, entry+" is empty: write a value, or remove it")
	}
	_, errs := kinds.Check(value, nil)
	for _, err := range errs {
		at := err.Field
		if at == wholeObject {
			// A rule sees the name of an object only if it is about the whole object.
			at = nameField
		}
		if badMetadata && strings.HasPrefix(at, "metadata") || d.unreadable[nodeAt(d.root, at)] || insideWrongType(err, errs) {
			continue
		}
		reason := Invalid
		switch {
		case err.Origin == schema.OriginUnknownField:
			reason = UnknownField
		case at == nameField:
			reason = WrongName
		}
		f := fault{line: find(d.root, at, 0), reason: reason, message: d.message(at, err)}
		if err.Type == field.ErrorTypeRequired {
			d.missing = append(d.missing, f)
		} else {
			d.faults = append(d.faults, f)
		}
	}
}

// insideWrongType reports whether an error is about a field inside a value of the
// wrong type, in which every field is unknown.
func insideWrongType(err *field.Error, all field.ErrorList) bool {
	return slices.ContainsFunc(all, func(other *field.Error) bool {
		return other.Type == field.ErrorTypeTypeInvalid && strings.HasPrefix(err.Field, other.Field+".")
	})
}

var wantedType = regexp.MustCompile(`must be of type (\w+)`)

// message returns the message about an error of the schema. It does not repeat
// the value, which can be a credential in the wrong place.
func (d *document) message(at string, err *field.Error) string {
	names := map[string]string{"string": text, "boolean": "true or false", "integer": "a whole number", "number": "a number", "array": "a list", "object": "a mapping"}
	switch wanted := wantedType.FindStringSubmatch(err.Detail); {
	case err.Origin == schema.OriginUnknownField, strings.HasPrefix(err.Detail, at+" "):
		if node := nodeAt(d.root, at); wanted != nil && node != nil {
			return mustBe(node, at, names[wanted[1]])
		}
		message := strings.Replace(err.Detail, " in body ", " ", 1)
		if message != err.Detail {
			message += ": correct it"
		}
		return message
	case err.Type == field.ErrorTypeRequired && err.Detail == "":
		return at + " is missing: add it"
	case err.Type == field.ErrorTypeDuplicate:
		return err.Error() + ": remove one of them"
	case err.Type == field.ErrorTypeNotSupported, err.Type == field.ErrorTypeTooLong, err.Type == field.ErrorTypeTooMany:
		return err.Error()
	default:
		return at + ": " + err.Detail
	}
}

// checkPlace checks that an object is where its kind and name belong.
func (d *document) checkPlace(kind string, value map[string]any) {
	metadata, _ := value["metadata"].(map[string]any)
	spec, _ := value["spec"].(map[string]any)
	name, _ := metadata["name"].(string)
	if product, _ := spec["product"].(string); product != "" && !d.scope.Tenant && product != d.scope.Namespace {
		d.refuseField("spec.product", WrongNamespace, "spec.product is "+product+" and the repository belongs to "+d.scope.Namespace+": correct or remove it")
	}
	directory := path.Base(path.Dir(d.path))
	belongs := func(field string, value any, reason string) {
		if got, _ := value.(string); got != "" && got != directory {
			d.refuseField(field, reason, fmt.Sprintf("%s is %q and the directory is %q: make them equal, or move the file to the directory %q", field, got, directory, got))
		}
	}
	switch kind {
	case "Project", "CodeRepo", "ArtifactRepo":
		belongs(nameField, name, WrongName)
	case "ProjectPipelineRuntime":
		belongs("spec.project", spec["project"], Misplaced)
	case "CodeRepoBinding":
		belongs("spec.codeRepo", spec["codeRepo"], Misplaced)
	}
}
