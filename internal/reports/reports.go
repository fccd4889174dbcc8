// Package reports has Git forges show the outcome of deployments and pipelines as statuses of
// commits. It guarantees that a status is sent once for each outcome, that a runtime sends
// few statuses in a minute, and that a forge that fails holds nothing else up.
package reports

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/pace"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/servers"
	"nautes.io/nautes/internal/snapshot"
)

// minPause is the least time between two statuses of one commit, so that an Application
// whose health changes all the time does not flood the forge.
const minPause = 30 * time.Second

// Reporter sends the statuses of an operator.
type Reporter struct {
	// Connect returns a client with the tenant's token for the forge of a
	// CodeRepoProvider. The error wraps client.ErrNoToken if there is none.
	Connect func(ctx context.Context, provider string) (client.Client, error)
	// Later reconciles an object after a while.
	Later func(o v1alpha1.Object, after time.Duration)
	// Sent are the last statuses sent for each commit.
	Sent pace.Memory
}

// ofDeployment returns the status of the commit that a runtime deploys, or false if there is
// none to report. reported is the result that the commit has already, or empty.
func ofDeployment(r *v1alpha1.DeploymentRuntime, app *observed.Application, reported func(commit string) string) (forge.Status, bool) {
	status := forge.Status{Name: "nautes/" + r.Spec.Destination.Environment + "/" + r.Name}
	at := r.Status.Application
	switch failed := app.Cause == observed.CauseRetried || app.Cause == observed.CauseFailed; {
	case failed && app.Attempt != "":
		status.Commit, status.Result, status.Description = app.Attempt, launch.RunFailed, "Argo CD cannot deploy it"
	case at.Sync != "Synced":
		return forge.Status{}, false
	case at.Health == "Healthy":
		status.Commit, status.Result, status.Description = at.Revision, launch.RunSucceeded, "deployed and healthy"
	case at.Health == "Degraded" || at.Health == "Missing":
		status.Commit, status.Result, status.Description = at.Revision, launch.RunFailed, "deployed, and not healthy"
	case at.Health == "Progressing" && reported(at.Revision) == "":
		// A commit that is deployed already is not deployed again when a Pod restarts.
		status.Commit, status.Result, status.Description = at.Revision, launch.RunRunning, "being deployed"
	}
	return status, commit.MatchString(status.Commit)
}

var commit = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// ofRuns returns the statuses of the commits of the runs of a runtime: of each pipeline the
// latest run of a commit.
func ofRuns(r *v1alpha1.ProjectPipelineRuntime) []forge.Status {
	var statuses []forge.Status
	for _, run := range r.Status.Runs {
		known := slices.ContainsFunc(r.Spec.Pipelines, func(p v1alpha1.Pipeline) bool { return p.Name == run.Pipeline })
		status := forge.Status{Commit: run.Commit, Name: "nautes/" + r.Name + "/" + run.Pipeline, Result: run.Result}
		switch run.Result {
		case launch.RunNotStarted:
			status.Result, status.Description = launch.RunFailed, "the pipeline did not start"
		case launch.RunPending, launch.RunRunning:
			status.Description = "the pipeline runs"
		case launch.RunSucceeded:
			status.Description = "the pipeline succeeded"
		default:
			status.Description = "the pipeline failed"
		}
		later := slices.ContainsFunc(statuses, func(s forge.Status) bool { return s.Commit == status.Commit && s.Name == status.Name })
		// Whoever may create runs chooses their labels.
		if known && !later && commit.MatchString(run.Commit) {
			statuses = append(statuses, status)
		}
	}
	return statuses
}

// Deployment reports the outcome of a deployment, and sets the condition Reported. app is
// the state of its Application, or nil.
func (p *Reporter) Deployment(ctx context.Context, s *engine.Session[*v1alpha1.DeploymentRuntime], app *observed.Application) {
	r := s.Object
	if app == nil || r.Status.Application == nil || r.Status.Source == nil {
		return
	}
	var statuses []forge.Status
	reported := func(commit string) string {
		i := slices.IndexFunc(r.Status.Reports, func(c v1alpha1.CommitReport) bool { return c.Commit == commit })
		if i < 0 {
			return ""
		}
		return r.Status.Reports[i].Result
	}
	if status, found := ofDeployment(r, app, reported); found {
		statuses = append(statuses, status)
	}
	work := &work{Reporter: p, o: r, facts: s.Facts, product: s.Snapshot.Product(r.Namespace), repo: s.Snapshot.CodeRepo(r.Namespace, r.Spec.ManifestSource.CodeRepo), reports: r.Status.Reports}
	r.Status.Reports = work.send(ctx, s.Snapshot, r.Status.Source.URL, statuses)
}

// Runs reports the outcome of the runs of a runtime, and sets the condition Reported.
func (p *Reporter) Runs(ctx context.Context, s *engine.Session[*v1alpha1.ProjectPipelineRuntime]) {
	r := s.Object
	work := &work{Reporter: p, o: r, facts: s.Facts, product: s.Snapshot.Product(r.Namespace), repo: s.Snapshot.CodeRepo(r.Namespace, r.Spec.PipelineSource), reports: r.Status.Reports}
	r.Status.Reports = work.send(ctx, s.Snapshot, "", ofRuns(r))
}

// work is one pass over the statuses of a runtime.
type work struct {
	*Reporter
	o     v1alpha1.Object
	facts *engine.Facts
	// product is the product of the runtime; it may be nil.
	product *v1alpha1.Product
	// repo has the commits; it may be nil.
	repo    *v1alpha1.CodeRepo
	reports []v1alpha1.CommitReport
}

// send sends the statuses that are not on record, and returns the record, which forgets
// the others. If source is not empty, the repository must have this URL.
func (w *work) send(ctx context.Context, snap *snapshot.Snapshot, source string, statuses []forge.Status) []v1alpha1.CommitReport {
	if w.repo == nil {
		return w.reports
	}
	url, err := snap.RepositoryURL(w.repo)
	if err != nil || source != "" && source != url {
		return w.reports
	}
	provider, path := servers.RepositoryOf(snap, w.repo, url)
	if provider == nil || !provider.Spec.CommitStatuses {
		return nil
	}
	var failure error
	// The latest is first, and the forge must have it last.
	for _, status := range slices.Backward(statuses) {
		if err := w.sendOne(ctx, provider.Name, path, status); err != nil {
			failure = err
			if errors.Is(err, client.ErrUnavailable) {
				break
			}
		}
	}
	if len(statuses) > 0 {
		w.reports = slices.DeleteFunc(slices.Clone(w.reports), func(c v1alpha1.CommitReport) bool {
			return !slices.ContainsFunc(statuses, func(s forge.Status) bool { return s.Commit == c.Commit && s.Name == c.Name })
		})
	}
	switch {
	case failure != nil:
		w.facts.Fail(v1alpha1.ConditionReported, failure)
	case len(w.reports) > 0:
		last := w.reports[len(w.reports)-1]
		w.facts.True(v1alpha1.ConditionReported, v1alpha1.ReasonReady, fmt.Sprintf("%s shows commit %.10s as %s, under the name %s", path, last.Commit, last.Result, last.Name))
	}
	return w.reports
}

// sendOne sends a status, unless it is on record.
func (w *work) sendOne(ctx context.Context, provider, path string, status forge.Status) error {
	of := func(c v1alpha1.CommitReport) bool { return c.Commit == status.Commit && c.Name == status.Name }
	before := slices.IndexFunc(w.reports, of)
	if before >= 0 && w.reports[before].Result == status.Result {
		return nil
	}
	owner := references.RefOf(w.o).String() + " " + status.Name + " " + status.Commit
	identity := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", provider, path, status.Result))
	last, again := w.Sent.Last(owner, identity)
	if last.Err != nil && again > 0 {
		w.Later(w.o, again)
		return last.Err
	}
	if wait := w.Sent.Since(owner, minPause); before >= 0 && wait > 0 {
		w.Later(w.o, wait)
		return nil
	}
	err := w.set(ctx, provider, path, status)
	again = w.Sent.Looked(owner, pace.Look{Of: identity, Err: err}, client.RetryAfter(err))
	if err != nil {
		w.Later(w.o, again)
		return err
	}
	w.reports = append(slices.DeleteFunc(slices.Clone(w.reports), of), v1alpha1.CommitReport{Commit: status.Commit, Name: status.Name, Result: status.Result})
	return nil
}

func (w *work) set(ctx context.Context, provider, path string, status forge.Status) error {
	c, err := w.Connect(ctx, provider)
	if err != nil {
		return servers.Problem("the commit statuses of "+path, provider, err)
	}
	repository, err := c.Repository(ctx, path)
	if err == nil && !servers.InGroup(w.product, repository) {
		// The token of the tenant may write to repositories that are not the product's.
		return engine.Waiting(v1alpha1.ReasonRepositoryMismatch, "the commit statuses of %s: the repository is outside the group of the product: move it there, or set commitStatuses of CodeRepoProvider %s to false", path, provider)
	}
	if err == nil {
		err = c.SetStatus(ctx, repository.ID, status)
	}
	return servers.Problem("the commit statuses of "+path, provider, err)
}
