package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tektoncd/pipeline/pkg/apis/config"
	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/internal/launch"
)

const (
	// hashLength is the number of hexadecimal digits at the end of a run's name.
	hashLength = 10
	// ourDomain is the domain of the labels and annotations that a file must not set.
	ourDomain = "nautes.io"
)

// compose returns the run that a launcher creates from a pipeline file. The notes name
// the fields of the file that it overrides and its invisible characters, for the log.
func compose(c *launch.Config, e *launch.Event, launcher, commit string, file []byte) (run *tektonv1.PipelineRun, notes []string, err error) {
	d, err := parse(file)
	if err != nil {
		return nil, nil, err
	}
	name, err := nameOf(d.run.ObjectMeta, c.Pipeline, launcher)
	if err != nil {
		return nil, d.notes, err
	}
	set, err := d.apply(c, e, commit)
	if err != nil {
		return nil, d.notes, err
	}
	if err := d.close(set); err != nil {
		return nil, d.notes, err
	}
	run = &tektonv1.PipelineRun{
		TypeMeta:   metav1.TypeMeta{APIVersion: versionV1, Kind: kindPipelineRun},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: c.Namespace},
		Spec:       d.run.Spec,
	}
	notes = slices.Clone(d.notes)
	if other := d.run.Namespace; other != "" && other != c.Namespace {
		notes = append(notes, fmt.Sprintf("the file sets the namespace %q: the run is in %q, the namespace of the runtime", other, c.Namespace))
	}
	run.Labels, run.Annotations = foreign(d.run.Labels), foreign(d.run.Annotations)
	mark(run, c, e, launcher, commit)
	notes = append(notes, setAccount(&run.Spec, c.Account)...)
	return run, notes, check(run)
}

// nameOf returns the name of a launcher's run. The file determines its beginning and
// the launcher its end, so that a second attempt has the name of the first.
func nameOf(file metav1.ObjectMeta, pipeline, launcher string) (string, error) {
	prefix := file.Name
	if prefix == "" {
		prefix = file.GenerateName
	}
	if prefix == "" {
		prefix = pipeline
	}
	sum := sha256.Sum256([]byte(launcher))
	hash := hex.EncodeToString(sum[:])[:hashLength]
	prefix = prefix[:min(len(prefix), validation.DNS1123LabelMaxLength-hashLength-1)]
	name := strings.TrimRight(prefix, "-.") + "-" + hash
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return "", fail(launch.ExitPipeline, "the name in the file cannot begin the name of a run: use lower case letters, digits and dashes")
	}
	return name, nil
}

// foreign returns the labels or annotations that a file may set.
func foreign(all map[string]string) map[string]string {
	kept := map[string]string{}
	for key, value := range all {
		domain, _, _ := strings.Cut(key, "/")
		if domain != ourDomain && !strings.HasSuffix(domain, "."+ourDomain) {
			kept[key] = value
		}
	}
	return kept
}

// mark sets the labels by which people and the runtime find the run.
func mark(run *tektonv1.PipelineRun, c *launch.Config, e *launch.Event, launcher, commit string) {
	marks := map[string]string{
		launch.LabelProduct:     c.Product,
		launch.LabelRuntime:     c.Runtime,
		launch.LabelEventSource: c.EventSource,
		launch.LabelPipeline:    c.Pipeline,
		launch.LabelLabel:       c.Label,
		launch.LabelEvent:       e.Event,
		launch.LabelCommit:      commit,
		launch.LabelRole:        launch.RoleRun,
		launch.LabelLauncher:    launcher,
		launch.LabelBranch:      c.Label,
	}
	maps.DeleteFunc(marks, func(_, value string) bool { return value == "" })
	for key, value := range marks {
		delete(run.Labels, key)
		if len(validation.IsValidLabelValue(value)) == 0 {
			run.Labels[key] = value
		} else {
			run.Annotations[key] = value
		}
	}
	if e.Ref != "" {
		run.Annotations[launch.AnnotationRef] = e.Ref
	}
}

// commitOf returns the commit of the pipeline file of a run.
func commitOf(run metav1.Object) string {
	if commit := run.GetLabels()[launch.LabelCommit]; commit != "" {
		return commit
	}
	return run.GetAnnotations()[launch.LabelCommit]
}

// setAccount makes the account of the runtime the only one of the run, and returns a
// note for each other one.
func setAccount(spec *tektonv1.PipelineRunSpec, account string) (notes []string) {
	say := func(other, where string) {
		if other != "" && other != account {
			notes = append(notes, fmt.Sprintf("the file sets the account %q%s: the run has %q, the account of the runtime", other, where, account))
		}
	}
	say(spec.TaskRunTemplate.ServiceAccountName, "")
	spec.TaskRunTemplate.ServiceAccountName = account
	for i := range spec.TaskRunSpecs {
		task := &spec.TaskRunSpecs[i]
		say(task.ServiceAccountName, fmt.Sprintf(" for the task %q", task.PipelineTaskName))
		if task.ServiceAccountName != "" {
			task.ServiceAccountName = account
		}
	}
	return notes
}

// settings returns Tekton's default settings with all features on: the cluster decides
// which features are available.
func settings() context.Context {
	flags := *config.DefaultFeatureFlags
	flags.EnableAPIFields = config.AlphaAPIFields
	all := config.FromContextOrDefaults(context.Background())
	all.FeatureFlags = &flags
	return config.ToContext(context.Background(), all)
}

// check applies Tekton's own rules to a copy with Tekton's defaults. The run itself
// gets the defaults of the cluster.
func check(run *tektonv1.PipelineRun) error {
	checked := run.DeepCopy()
	checked.SetDefaults(settings())
	if err := checked.Validate(settings()); err != nil {
		return fail(launch.ExitPipeline, "Tekton refuses the pipeline: %w", err)
	}
	problems := metav1validation.ValidateLabels(run.Labels, field.NewPath("metadata", "labels"))
	problems = append(problems, apivalidation.ValidateAnnotations(run.Annotations, field.NewPath("metadata", "annotations"))...)
	if len(problems) > 0 {
		return fail(launch.ExitPipeline, "the metadata of the file is not valid: %w", problems.ToAggregate())
	}
	return nil
}
