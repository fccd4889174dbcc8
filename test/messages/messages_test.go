// Package messages holds the published examples of messages to what the product
// prints.
package messages

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/hack/apidoc/constants"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/discover"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/repokeys"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/summary"
	"nautes.io/nautes/internal/validate"
	"nautes.io/nautes/test/testutil"
)

// printed is a message as the product prints it.
type printed struct{ reason, message string }

const root = "../.."

// These are the objects that the examples are about.
const shop, shopRuntime, alpha = "product-42", "dr-dev", "alpha"

// The published page has an example for each reason, exactly as the product prints it,
// and a remedy.
func TestExamplesArePrinted(t *testing.T) {
	all, err := constants.Read(filepath.Join(root, "api/v1alpha1/conditions.go"))
	if err != nil {
		t.Fatal(err)
	}
	examples, tried := map[string]constants.Constant{}, map[string]bool{}
	for _, c := range all {
		if strings.HasPrefix(c.Name, "Reason") {
			examples[c.Value] = c
		}
	}
	check := func(reason, message string) {
		tried[reason] = true
		switch documented, ok := examples[reason]; {
		case !ok:
			t.Errorf("%s is no reason of conditions.go", reason)
		case documented.Paragraph("Example: ") != message:
			t.Errorf("the example of %s in conditions.go is\n%s\nand the product prints\n%s", reason, documented.Paragraph("Example: "), message)
		case documented.Paragraph("Remedy: ") == "":
			t.Errorf("%s has no remedy in conditions.go", reason)
		}
	}
	errs := classified()
	maps.Copy(errs, failures(t))
	for reason, err := range errs {
		outcome := engine.Classify(err, reconcile.Classify)
		if outcome.Reason != reason {
			t.Errorf("the reason of %q is %s, want %s", outcome.Message, outcome.Reason, reason)
		}
		check(reason, outcome.Message)
	}
	for _, one := range slices.Concat(deployments(), sums(), groups(), clusters(t), passes(), pipelines()) {
		check(one.reason, one.message)
	}
	for reason := range examples {
		if !tried[reason] {
			t.Errorf("no row here prints the reason %s", reason)
		}
	}
}

// classified returns an error of each reason that follows from an error.
func classified() map[string]error {
	owner := plan.Owner{Kind: "Space", Product: shop, Name: shop}
	target := plan.Cluster(alpha)
	id := func(kind, name string) plan.ID { return plan.ID{Kind: kind, Namespace: "shop-dev", Name: name} }
	namespace := plan.ID{Kind: "Namespace", Name: "shop-dev"}
	application := plan.ID{Group: "argoproj.io", Kind: "Application", Namespace: "argocd", Name: "product-42-dr-dev"}
	quota := &apierrors.StatusError{ErrStatus: metav1.Status{
		Code: 403, Reason: metav1.StatusReasonForbidden, Message: `serviceaccounts "dr-dev" is forbidden: exceeded quota: few`,
	}}
	var errs = map[string]error{
		"NotOurs":         &apply.NotOursError{ID: namespace, Target: target, Holder: "another owner (kubectl-create)", Adopt: "Space/product-42"},
		"FieldsContested": &apply.ContestedError{ID: application, Target: target, Managers: []string{"tuner"}, Retry: time.Minute},
		"PruneGuarded": &apply.GuardError{
			Target: target, Owner: owner, Objects: []plan.ID{namespace, id("ServiceAccount", "dr-dev")}, Total: 3,
			Confirm: plan.Ref{Kind: "Space", Namespace: shop, Name: alpha}, Value: "7",
		},
		"KindMissing":   &apply.KindMissingError{Target: target, Kinds: []schema.GroupKind{{Group: "argoproj.io", Kind: "AppProject"}}},
		"SecretMissing": &apply.SecretMissingError{Ref: secrets.ClusterKubeconfig(alpha), Field: "kubeconfig"},
		"Differs":       &apply.DiffersError{ID: application, Target: target, Field: "spec.syncPolicy.automated.prune", Is: "false", Applied: "true"},
		"ApplyFailed":   &apply.ItemError{ID: id("ServiceAccount", "dr-dev"), Target: target, Err: quota},
		"Deleting": engine.Removing(apply.Result{
			Removing: []plan.ID{namespace}, Held: map[plan.ID]string{namespace: "NamespaceFinalizersRemaining: Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"},
		}, target),
		"InternalError": errors.New("anything else"),
		"InUse":         engine.InUse(world().With(testutil.DeploymentRuntime(shop, shopRuntime, "dev", "manifests")), testutil.Environment(shop, "dev", alpha)),
	}
	errs["ForgeUnavailable"] = summary.ForgeProblem("gitlab", &client.Error{
		Action: `list the repositories named "default.project"`, Class: client.ErrUnavailable, Reason: "502 Bad Gateway",
	})
	errs["Suspended"], errs["NotServed"] = summary.Unmirrored(), summary.NotServed()
	errs["Reregistering"] = summary.Reregistering(engine.Removing(
		apply.Result{Removing: []plan.ID{{Kind: "Secret", Namespace: "argocd", Name: alpha}}}, plan.Tenant).Error())
	errs["ForgeDenied"] = summary.ForgeProblem("gitlab", &client.Error{Action: "read the owner of the access token", Class: client.ErrUnauthorized})
	errs["RepositoryMismatch"] = repokeys.Verify(testutil.CodeRepo(shop, "api", "", func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = "gitlab" }),
		testutil.Product(shop, func(p *v1alpha1.Product) { p.Spec.Name = "shop" }), "shop/api", client.Repository{ID: 7, Path: "shop/api"})
	for reason, list := range refusals() {
		errs[reason] = engine.Verdict(list)
	}
	return errs
}

// world returns a product with an environment and a granted repository.
func world() *snapshot.Snapshot {
	return snapshot.New(testutil.Tenant, testutil.Namespace,
		testutil.Product(shop), testutil.Product("product-7"), testutil.CodeRepoProvider(testutil.Provider),
		testutil.Cluster(alpha), testutil.Cluster("ci", testutil.PipelineWorker), testutil.Environment(shop, "dev", alpha), testutil.Project(shop, "api"),
		testutil.CodeRepo(shop, "manifests", ""), testutil.CodeRepo(shop, "api", "api"), testutil.CodeRepo("product-7", "shared", ""))
}

// refusals returns the refusals of the rules by their reasons.
func refusals() map[string]field.ErrorList {
	runtimeIn := func(environment, repo string, change ...func(*v1alpha1.DeploymentRuntime)) *v1alpha1.DeploymentRuntime {
		return testutil.DeploymentRuntime(shop, shopRuntime, environment, repo, change...)
	}
	moved := testutil.Deployed(alpha, runtimeIn("dev", "manifests"))
	moved.Spec.Destination.Namespaces = []string{"shop"}
	pipelines := func(name string) *v1alpha1.ProjectPipelineRuntime {
		return testutil.PipelineRuntime(shop, name, "api", "build", "api", func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Namespace = "shop-build" })
	}
	claimed := world().With(testutil.Environment(shop, "build", "ci")).With(pipelines("api-build"))
	virtual := func(name string) *v1alpha1.Cluster {
		return testutil.Cluster(name, testutil.VirtualCluster("host", "31443"))
	}
	hosts := world().With(testutil.Cluster("host", testutil.HostCluster)).With(virtual("first"))
	found := map[string]field.ErrorList{}
	for reason, one := range map[string]struct {
		in *snapshot.Snapshot
		o  v1alpha1.Object
	}{
		v1alpha1.ReasonInvalid:              {world(), runtimeIn("dev", "manifests", testutil.Into("kube-system"))},
		v1alpha1.ReasonReferenceMissing:     {world(), runtimeIn("test", "manifests")},
		v1alpha1.ReasonPermissionDenied:     {world(), runtimeIn("dev", "api")},
		v1alpha1.ReasonDestinationImmutable: {world(), moved},
		v1alpha1.ReasonNamespaceClaimed:     {claimed, testutil.At(5, pipelines("web-build"))},
		v1alpha1.ReasonPortTaken:            {hosts, testutil.At(5, virtual("second"))},
		v1alpha1.ReasonRepositoryClaimed:    {world(), testutil.At(5, testutil.CodeRepo(shop, "shared", ""))},
	} {
		found[reason], _ = validate.Run(one.in, validate.Request{New: one.o})
	}
	return found
}

// deployments returns the messages about an Application.
func deployments() []printed {
	const revision, next = "4af9c820000000000000000000000000000000bb", "2788a1a0000000000000000000000000000000aa"
	var all []printed
	report := func(sync, health string, change observed.Application) *engine.Facts {
		change.Sync, change.Health, change.Revision = sync, health, revision
		facts := &engine.Facts{}
		err := summary.Application(facts, &v1alpha1.ApplicationStatus{Name: "product-42-dr-dev"}, &change, observed.ApplicationSource{})
		if err == nil {
			all = append(all, printed{v1alpha1.ReasonReady, facts.ReadyMessage})
			return facts
		}
		outcome := engine.Classify(err, reconcile.Classify)
		all = append(all, printed{outcome.Reason, outcome.Message})
		return facts
	}
	all = append(all, reported(report("Synced", "Healthy", observed.Application{}))...)
	report("Synced", "Progressing", observed.Application{Fault: "Deployment.apps shop-dev/web: 0 of 1 updated replicas are available"})
	report("Synced", "Degraded", observed.Application{Fault: "Deployment.apps shop-dev/web: exceeded its progress deadline"})
	report("Synced", "Missing", observed.Application{Fault: "Service shop-dev/web"})
	report("Unknown", "Unknown", observed.Application{Cause: observed.CauseError, Message: "ComparisonError: authentication required"})
	report("OutOfSync", "Missing", observed.Application{
		Cause: observed.CauseRetried, Attempt: next,
		Message: "ClusterRole.rbac.authorization.k8s.io web: resource rbac.authorization.k8s.io:ClusterRole is not permitted in project product-42",
	})
	return all
}

// groups returns the messages about groups of a forge.
func groups() []printed {
	provider := testutil.ProductProvider("products", "gitlab")
	product := testutil.Product(shop, func(p *v1alpha1.Product) {
		p.Spec.Name = "shop"
		p.Labels = discover.Owner("products").Labels("t")
		p.Labels[v1alpha1.LabelFrom] = "products"
	})
	facts := &engine.Facts{}
	summary.SetGroupPresent(facts, snapshot.New("t", "nautes", provider), product)
	all := append(reported(facts), printed{v1alpha1.ReasonListed, discover.World{Account: "nautes", Listed: make([]discover.Found, 3)}.Found()})
	for _, group := range []discover.Group{{Leaving: true}, {Path: "shop"}, {Missing: true}} {
		decided, _ := discover.World{
			Provider: provider, Products: []*v1alpha1.Product{product}, Account: "nautes", SeesAll: true,
			Groups: map[int64]discover.Group{42: group}, Now: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
		}.Decide()
		for _, departure := range decided.Departures {
			all = append(all, printed{departure.Reason, departure.Message})
		}
	}
	return all
}

// reported returns the message of each condition in the facts.
func reported(facts *engine.Facts) []printed {
	var all []printed
	for _, c := range facts.Conditions() {
		all = append(all, printed{c.Reason, c.Message})
	}
	return all
}

// passes returns the messages about the passes of any kind.
func passes() []printed {
	facts := &engine.Facts{}
	_ = facts.Valid(nil)
	summary.SpaceAccess(facts, nil)
	all := reported(facts)
	engine.AnnounceAbandoned(recorder{&all}, testutil.Product(shop), alpha)
	notEvaluated := engine.NotEvaluated(v1alpha1.ConditionApplied)
	return append(all, printed{notEvaluated.Reason, notEvaluated.Message})
}

// pipelines returns the messages about the triggers of a pipeline runtime.
func pipelines() []printed {
	trigger := v1alpha1.PipelineTriggerStatus{EventSource: "push", Pipeline: "build", Message: "Argo Events does not run Sensor api-push: no bus"}
	var all []printed
	for _, armed := range []bool{true, false} {
		facts, other := &engine.Facts{}, v1alpha1.PipelineTriggerStatus{EventSource: "tag", Pipeline: "build", Armed: true}
		trigger.Armed = armed
		status := &v1alpha1.ProjectPipelineRuntimeStatus{Triggers: []v1alpha1.PipelineTriggerStatus{trigger, other}}
		status.Armed = summary.Armed(status.Triggers)
		_ = summary.SetArmed(facts, status)
		all = append(all, reported(facts)...)
	}
	return all
}

// sums returns the messages that sum up files, components and deleted objects.
func sums() []printed {
	const revision = "4af9c820000000000000000000000000000000bb"
	var all []printed
	mirror := summary.MirrorResult{Status: &v1alpha1.SyncStatus{Revision: revision, ProblemCount: 1, Problems: []v1alpha1.FileProblem{{
		Path: "runtimes/dr-dev.yaml", Line: 9, Message: "spec.manifestSource.path is 1.20, which is read as the number 1.2: put it in quotes",
	}}}}
	c, _ := mirror.Synced(reconcile.Classify)
	all = append(all, printed{c.Reason, c.Message})
	for _, states := range [][]v1alpha1.ComponentStatus{
		{{Name: "argocd", State: v1alpha1.ComponentReady}, {Name: "hnc", State: v1alpha1.ComponentReady}},
		{{Name: "argocd", State: v1alpha1.ComponentReady}, {Name: "hnc", State: v1alpha1.ComponentProgressing}},
		{{Name: "argocd", State: v1alpha1.ComponentReady}, {Name: "hnc", State: v1alpha1.ComponentDegraded, Message: "Application alpha-hnc is Synced, Degraded: Pod hnc-system/hnc-0: CrashLoopBackOff"}},
	} {
		cluster, facts := testutil.Cluster(alpha), &engine.Facts{}
		cluster.Status.Components, cluster.Status.Progress = states, summary.Progress(states)
		_ = summary.ComponentsReady(facts, cluster, nil)
		all = append(all, reported(facts)...)
	}
	space := plan.Set{Owner: plan.Owner{Kind: "Space", Product: shop, Name: shop}, Target: plan.Cluster(alpha)}
	engine.AnnouncePrune(recorder{&all}, testutil.Product(shop), space, []plan.ID{{Kind: "Namespace", Name: "shop-test"}},
		plan.Commit{Revision: revision, Author: "Ada <ada@example.com>"})
	host := testutil.Cluster(alpha, testutil.HostCluster, func(c *v1alpha1.Cluster) { c.Spec.ArgoCDHost = "argocd.example.com" })
	_, warnings := validate.Run(world(), validate.Request{New: host})
	for _, warning := range warnings {
		all = append(all, printed{v1alpha1.ReasonWarned, warning})
	}
	return all
}

// recorder keeps the events that are sent.
type recorder struct{ events *[]printed }

func (r recorder) Eventf(_, _ runtime.Object, _, reason, _, note string, args ...any) {
	*r.events = append(*r.events, printed{reason, fmt.Sprintf(note, args...)})
}
