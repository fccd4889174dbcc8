package runner

//lint:file-ignore SA1019 repositories hold files of v1beta1 for as long as Tekton reads them

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	tektonv1beta1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	sigsyaml "sigs.k8s.io/yaml"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/yamltext"
)

const (
	kindPipeline    = "Pipeline"
	kindPipelineRun = "PipelineRun"
	versionV1       = "tekton.dev/v1"
	versionV1beta1  = "tekton.dev/v1beta1"
)

// draft is the run of a pipeline file, before inputs are set.
type draft struct {
	// run has the file's metadata and the specification.
	run *tektonv1.PipelineRun
	// notes are about text of the file that a reader cannot see.
	notes []string
	// open has the indexes of the parameters without a value in the file. The value
	// is true for an optional parameter.
	open map[int]bool
}

// parse reads a pipeline file: one document with a Pipeline or a PipelineRun.
func parse(content []byte) (*draft, error) {
	kind, version, root, err := typeOf(content)
	if err != nil {
		return nil, err
	}
	if version != versionV1 && version != versionV1beta1 || kind != kindPipeline && kind != kindPipelineRun {
		return nil, fail(launch.ExitPipeline, "the file contains a %q of %q: write a Pipeline or PipelineRun of %s or %s", kind, version, versionV1, versionV1beta1)
	}
	if kind == kindPipeline {
		pipeline := &tektonv1.Pipeline{}
		notes, err := decodeFile(root, content, version, pipeline, &tektonv1beta1.Pipeline{}, &tektonv1beta1.Pipeline{})
		if err != nil {
			return nil, err
		}
		return ofPipeline(pipeline, notes), nil
	}
	run := &tektonv1.PipelineRun{}
	notes, err := decodeFile(root, content, version, run, &tektonv1beta1.PipelineRun{}, &tektonv1beta1.PipelineRun{})
	if err != nil {
		return nil, err
	}
	return ofRun(run, notes), nil
}

// decodeFile checks the text of a file, and reads it as decode does.
func decodeFile(root *yaml.Node, content []byte, version string, object, old, back convertible) (notes []string, err error) {
	kind := object
	if version == versionV1beta1 {
		kind = old
	}
	if notes, err = checkTexts(root, kind); err != nil {
		return nil, err
	}
	if err := decode(content, version, object, old, back); err != nil {
		// The notes may explain it.
		for _, note := range notes {
			err = fail(launch.ExitPipeline, "%w; %s", err, note)
		}
		return nil, err
	}
	return notes, nil
}

// typeOf returns the kind and version of the only document, and its root. A document
// of comments does not count.
func typeOf(content []byte) (kind, version string, only *yaml.Node, err error) {
	if found := yamltext.Foreign(content); found != nil {
		return "", "", nil, fail(launch.ExitPipeline, "line %d: %s", found.Line, found.Message)
	}
	first := true
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for ; ; first = false {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", "", nil, notYAML(content, "the file is not YAML", 0, err)
		}
		switch {
		case len(document.Content) == 0 || document.Content[0].Tag == "!!null":
		case !first && only == nil:
			// The YAML decoder of the object reads the first document only.
			return "", "", nil, fail(launch.ExitPipeline, "the file begins with an empty document: remove what is before its Pipeline or PipelineRun")
		case only != nil:
			return "", "", nil, fail(launch.ExitPipeline, "the file has several documents: leave one Pipeline or PipelineRun in it")
		default:
			only = document.Content[0]
		}
	}
	if only == nil {
		return "", "", nil, fail(launch.ExitPipeline, "the file is empty: write a Pipeline or PipelineRun")
	}
	var meta metav1.TypeMeta
	if err := sigsyaml.Unmarshal(content, &meta); err != nil {
		return "", "", nil, notYAML(content, "the file is not a Kubernetes object", strayKey(only, maxKeyDepth), err)
	}
	return meta.Kind, meta.APIVersion, only, nil
}

var errorLine = regexp.MustCompile(`line (\d+)`)

// maxKeyDepth is how deep strayKey looks.
const maxKeyDepth = 32

// strayKey returns the line of the first key that is a mapping or a list, as
// templates are, or 0.
func strayKey(node *yaml.Node, depth int) int {
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 && child.Kind != yaml.ScalarNode && child.Kind != yaml.AliasNode {
			return child.Line
		}
		if depth > 0 {
			if line := strayKey(child, depth-1); line > 0 {
				return line
			}
		}
	}
	return 0
}

// notYAML returns the error for content that the parser refuses at a line, with the
// cause if it is known. Line 0 stands for the line that the error names.
func notYAML(content []byte, what string, line int, err error) error {
	if match := errorLine.FindStringSubmatch(err.Error()); line == 0 && match != nil {
		// A number of too many digits names no line.
		line, _ = strconv.Atoi(match[1])
	}
	if found := yamltext.Unparsable(content, line); found != nil {
		return fail(launch.ExitPipeline, "%s: line %d: %s (%w)", what, found.Line, found.Message, err)
	}
	return fail(launch.ExitPipeline, "%s: %w", what, err)
}

// decode reads an object of one of the two versions into an object of v1. It
// refuses unknown fields, which would be lost. It fills old and back, which are
// empty objects of v1beta1, if the content has that version.
func decode(content []byte, version string, object, old, back convertible) error {
	into := object
	if version == versionV1beta1 {
		into = old
	}
	if err := sigsyaml.UnmarshalStrict(content, into); err != nil {
		return fail(launch.ExitPipeline, "the file is not valid: %w", err)
	}
	if into == object {
		return nil
	}
	// The conversion hides fields that v1 does not have in annotations, which no one
	// reads: only the annotations of the file count.
	declared := maps.Clone(old.GetAnnotations())
	if err := old.ConvertTo(context.Background(), object); err != nil {
		return fail(launch.ExitPipeline, "the file cannot be converted to %s: %w", versionV1, err)
	}
	object.SetAnnotations(maps.Clone(declared))
	err := checkKept(old, object, back)
	object.SetAnnotations(declared)
	return err
}

// convertible is an object of Tekton.
type convertible interface {
	apis.Convertible
	metav1.Object
}

// checkKept refuses an object if Tekton's conversion silently dropped a field of
// it: the pipeline would do something that its author did not write. It converts
// object into back and compares that with old.
func checkKept(old, object, back convertible) error {
	if err := back.ConvertFrom(context.Background(), object); err != nil {
		return fail(launch.ExitPipeline, "the file cannot be converted to %s: %w", versionV1, err)
	}
	for _, one := range []convertible{old, back} {
		if run, isRun := one.(*tektonv1beta1.PipelineRun); isRun {
			// A parameter without a value cannot be encoded; ofRun handles it in v1.
			for i := range run.Spec.Params {
				run.Spec.Params[i].Value.Type = cmp.Or(run.Spec.Params[i].Value.Type, tektonv1beta1.ParamTypeString)
			}
		}
	}
	var before, after map[string]any
	if err := errors.Join(convert(old, &before), convert(back, &after)); err != nil {
		return fail(launch.ExitPipeline, "the file is not valid: %w", err)
	}
	if spec, isMap := before["spec"].(map[string]any); isMap {
		// It has another name in v1, and converts back to that.
		delete(spec, "timeout")
	}
	if field := forgotten(before["spec"], after["spec"], "/spec"); field != "" {
		return fail(launch.ExitPipeline, "the field %s of %s would be lost in %s: remove it, or write the file for %s", field, versionV1beta1, versionV1, versionV1)
	}
	return nil
}

// forgotten returns the path of the first field of before that after lacks or that
// has another value there, or "" if there is none.
func forgotten(before, after any, path string) string {
	switch before := before.(type) {
	case map[string]any:
		other, _ := after.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(before)) {
			at := path + "/" + key
			if key == "annotations" && strings.HasSuffix(path, "/metadata") {
				// Tekton puts the labels of a task in their place when it converts back.
				continue
			}
			if _, kept := other[key]; !kept {
				return at
			}
			if field := forgotten(before[key], other[key], at); field != "" {
				return field
			}
		}
	case []any:
		other, _ := after.([]any)
		for i := range before {
			at := path + "/" + strconv.Itoa(i)
			if i >= len(other) {
				return at
			}
			if field := forgotten(before[i], other[i], at); field != "" {
				return field
			}
		}
	default:
		if before != after {
			return path
		}
	}
	return ""
}

func ofRun(run *tektonv1.PipelineRun, notes []string) *draft {
	d := &draft{run: run, notes: notes, open: map[int]bool{}}
	for i := range run.Spec.Params {
		if value := &run.Spec.Params[i].Value; value.Type == "" {
			*value = *tektonv1.NewStructuredValues("")
			d.open[i] = false
		}
	}
	return d
}

// ofPipeline returns a run of a pipeline. It has the parameters of the pipeline, in
// their order, for inputs to set. close removes the unset ones.
func ofPipeline(pipeline *tektonv1.Pipeline, notes []string) *draft {
	d := &draft{notes: notes, run: &tektonv1.PipelineRun{ObjectMeta: pipeline.ObjectMeta}, open: map[int]bool{}}
	d.run.Spec.PipelineSpec = &pipeline.Spec
	for i, declared := range pipeline.Spec.Params {
		param := tektonv1.Param{Name: declared.Name, Value: *tektonv1.NewStructuredValues("")}
		if declared.Default != nil {
			param.Value = *declared.Default.DeepCopy()
		}
		d.run.Spec.Params = append(d.run.Spec.Params, param)
		d.open[i] = declared.Default != nil
	}
	return d
}

// close removes the parameters without a value. set has the indexes of the parameters
// that inputs have set.
func (d *draft) close(set map[int]bool) error {
	var params tektonv1.Params
	for i, param := range d.run.Spec.Params {
		optional, open := d.open[i]
		switch {
		case !open || set[i]:
			params = append(params, param)
		case !optional:
			return fail(launch.ExitPipeline, "the parameter %q has no value: give it a default, or set it by an input of the trigger at /spec/params/%d/value", param.Name, i)
		}
	}
	d.run.Spec.Params = params
	return nil
}
