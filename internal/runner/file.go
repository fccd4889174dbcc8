package runner

//lint:file-ignore SA1019 repositories hold files of v1beta1 for as long as Tekton reads them

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	tektonv1beta1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	sigsyaml "sigs.k8s.io/yaml"

	"nautes.io/nautes/internal/launch"
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
	// open has the indexes of the parameters without a value in the file. The value
	// is true for an optional parameter.
	open map[int]bool
}

// parse reads a pipeline file: one document with a Pipeline or a PipelineRun.
func parse(content []byte) (*draft, error) {
	kind, version, err := typeOf(content)
	if err != nil {
		return nil, err
	}
	if version != versionV1 && version != versionV1beta1 || kind != kindPipeline && kind != kindPipelineRun {
		return nil, fail(launch.ExitPipeline, "the file contains a %q of %q: write a Pipeline or PipelineRun of %s or %s", kind, version, versionV1, versionV1beta1)
	}
	if kind == kindPipeline {
		pipeline := &tektonv1.Pipeline{}
		if err := decode(content, version, pipeline, &tektonv1beta1.Pipeline{}, &tektonv1beta1.Pipeline{}); err != nil {
			return nil, err
		}
		return ofPipeline(pipeline), nil
	}
	run := &tektonv1.PipelineRun{}
	if err := decode(content, version, run, &tektonv1beta1.PipelineRun{}, &tektonv1beta1.PipelineRun{}); err != nil {
		return nil, err
	}
	return ofRun(run), nil
}

// typeOf returns the kind and version of the only document. A document of comments
// does not count.
func typeOf(content []byte) (kind, version string, err error) {
	var only *yaml.Node
	first := true
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for ; ; first = false {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", "", fail(launch.ExitPipeline, "the file is not YAML: %w", err)
		}
		switch {
		case len(document.Content) == 0 || document.Content[0].Tag == "!!null":
		case !first && only == nil:
			// The YAML decoder of the object reads the first document only.
			return "", "", fail(launch.ExitPipeline, "the file begins with an empty document: remove what is before its Pipeline or PipelineRun")
		case only != nil:
			return "", "", fail(launch.ExitPipeline, "the file has several documents: leave one Pipeline or PipelineRun in it")
		default:
			only = document.Content[0]
		}
	}
	if only == nil {
		return "", "", fail(launch.ExitPipeline, "the file is empty: write a Pipeline or PipelineRun")
	}
	var meta metav1.TypeMeta
	if err := sigsyaml.Unmarshal(content, &meta); err != nil {
		return "", "", fail(launch.ExitPipeline, "the file is not a Kubernetes object: %w", err)
	}
	return meta.Kind, meta.APIVersion, nil
}

// decode reads an object of one of the two versions into an object of v1. It
// refuses unknown fields, which would be lost. It fills old and back, which are
// empty objects of v1beta1, if the content has that version.
func decode(content []byte, version string, object, old, back apis.Convertible) error {
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
	if err := old.ConvertTo(context.Background(), object); err != nil {
		return fail(launch.ExitPipeline, "the file cannot be converted to %s: %w", versionV1, err)
	}
	return checkKept(old, object, back)
}

// checkKept refuses an object if Tekton's conversion silently dropped a field of
// it: the pipeline would do something that its author did not write. It converts
// object into back and compares that with old.
func checkKept(old, object, back apis.Convertible) error {
	if err := back.ConvertFrom(context.Background(), object); err != nil {
		return fail(launch.ExitPipeline, "the file cannot be converted to %s: %w", versionV1, err)
	}
	for _, one := range []apis.Convertible{old, back} {
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
		return fail(launch.ExitPipeline, "the field %s of %s no longer exists: write the file for %s", field, versionV1beta1, versionV1)
	}
	return nil
}

// forgotten returns the path of the first field of before that after lacks, or "" if
// there is none.
func forgotten(before, after any, path string) string {
	switch before := before.(type) {
	case map[string]any:
		other, _ := after.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(before)) {
			at := path + "/" + key
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
	}
	return ""
}

func ofRun(run *tektonv1.PipelineRun) *draft {
	d := &draft{run: run, open: map[int]bool{}}
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
func ofPipeline(pipeline *tektonv1.Pipeline) *draft {
	d := &draft{run: &tektonv1.PipelineRun{ObjectMeta: pipeline.ObjectMeta}, open: map[int]bool{}}
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
