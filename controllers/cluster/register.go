package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

// register brings about what a cluster needs to carry runtimes, each system
// isolated from the others, and tells how far it is. Until the cluster answers,
// this is what lets it come to answer: its host's share, and the connection
// that the tenant's Argo CD has.
func (w work) register(ctx context.Context, s *engine.Session[*v1alpha1.Cluster], snap *snapshot.Snapshot) error {
	c := s.Object
	wanted, err := build.Cluster(snap, c)
	if err != nil {
		return err
	}
	version := supported(s.Facts, snap, c)
	if c.Status.Registered == nil {
		// On record before the first write, so that a change of what the
		// cluster is knows what to remove.
		c.Status.Registered = build.Identity(c)
		if err := s.Record(ctx); err != nil {
			return err
		}
	}
	results := []error{version, w.applyHost(ctx, snap, c, wanted.On(plan.Cluster(c.Spec.HostCluster)))}
	own := w.applyOwn(ctx, snap, c, *wanted.On(plan.Cluster(c.Name)))
	results = append(results, own.err)
	tenant := w.applyTenant(ctx, s, *wanted.On(plan.Tenant))
	results = append(results, tenant.err)
	if access := w.applyAccess(ctx, s, snap, wanted.On(plan.Vault(c.Name))); access != nil {
		results = append(results, access)
	}
	if err := w.tellComponents(ctx, s, wanted.Facts, build.ArgoCDNamespace(*wanted.On(plan.Tenant)), own, tenant); err != nil {
		results = append(results, err)
	}
	w.tellEntryPoints(c)
	return errors.Join(results...)
}

// part is what became of a set: what stands in the way of all of it, and of
// single objects, by the namespace that they are in.
type part struct {
	err    error
	failed map[plan.ID]error
}

// result turns the outcome of an application into a part. What a single object
// waits for is told with the component that needs it.
func result(applied apply.Result, err error, on string) part {
	p := part{err: err, failed: map[plan.ID]error{}}
	if p.err == nil {
		p.err = reconcile.Removing(applied, on)
	}
	for i := range applied.Failed {
		if applied.Failed[i].Kept {
			// The credentials say why their secret cannot be told.
			continue
		}
		p.failed[applied.Failed[i].ID] = &applied.Failed[i]
	}
	return p
}

// applyHost makes room for a virtual cluster on its host.
func (w work) applyHost(ctx context.Context, snap *snapshot.Snapshot, c *v1alpha1.Cluster, set *plan.Set) error {
	if set == nil {
		return nil
	}
	conn, err := w.deps.Conn(snap, set.Target.Name)
	if errors.Is(err, engine.ErrNotYet) {
		return err
	}
	if err != nil {
		return engine.Waiting(v1alpha1.ReasonHostNotReady, "the host of the virtual cluster is not ready: %s", reconcile.Message(err))
	}
	applied, err := w.deps.ApplyFor(ctx, c, plan.Commit{}, conn, *set, w.pruning(c))
	if err != nil {
		return err
	}
	return reconcile.Removing(applied, "cluster "+set.Target.Name)
}

// applyOwn writes what components need on the cluster itself.
func (w work) applyOwn(ctx context.Context, snap *snapshot.Snapshot, c *v1alpha1.Cluster, set plan.Set) part {
	conn, err := w.deps.Conn(snap, c.Name)
	if err != nil {
		// Why there is no connection is told with the connection.
		return part{}
	}
	o := w.pruning(c)
	o.Isolate = true
	applied, err := w.deps.ApplyFor(ctx, c, plan.Commit{}, conn, set, o)
	return result(applied, err, set.Target.String())
}

// applyTenant tells the tenant's Argo CD of the cluster and its components.
func (w work) applyTenant(ctx context.Context, s *engine.Session[*v1alpha1.Cluster], set plan.Set) part {
	o := w.pruning(s.Object)
	o.Isolate = true
	applied, err := w.deps.ApplyFor(ctx, s.Object, plan.Commit{}, w.deps.TenantConn, set, o)
	p := result(applied, err, set.Target.String())
	registered := build.ClusterSecretID(set)
	switch err := p.failed[registered]; {
	case p.err != nil:
		reconcile.SetFalse(s.Facts, v1alpha1.ConditionRegistered, p.err)
	case err != nil:
		reconcile.SetFalse(s.Facts, v1alpha1.ConditionRegistered, err)
		if s.Object.Status.Connection != nil {
			p.err = err
		}
	default:
		s.Facts.True(v1alpha1.ConditionRegistered, v1alpha1.ReasonRegistered, "the tenant's Argo CD knows the cluster")
	}
	return p
}

// pruning says how the sets of a cluster are pruned. A person confirms that
// most of what is there may go by the generation that asks for it.
func (w work) pruning(c *v1alpha1.Cluster) apply.Options {
	return apply.Options{ConfirmPrune: c.Annotations[v1alpha1.AnnotationConfirmPrune] == strconv.FormatInt(c.Generation, 10)}
}

// applyAccess lets accounts of the cluster log in to the secret store.
func (w work) applyAccess(ctx context.Context, s *engine.Session[*v1alpha1.Cluster], snap *snapshot.Snapshot, set *plan.Set) error {
	if set == nil || w.deps.Access == nil {
		return nil
	}
	err := w.storeReviewer(ctx, snap, s.Object)
	if err == nil {
		var applied apply.Result
		applied, err = w.deps.Applier.ApplySystem(ctx, w.deps.Access, *set, w.pruning(s.Object))
		reconcile.CountApply(*set, applied)
		if applied.Written > 0 {
			// Roles of a mount that is made anew are gone with the old one.
			for _, key := range w.deps.Relations.SpacesOn(ctx, s.Object.Name) {
				w.deps.Triggers.Space.Enqueue(key)
			}
		}
	}
	if err != nil {
		reconcile.SetFalse(s.Facts, v1alpha1.ConditionSecretAccess, err)
		return err
	}
	s.Facts.True(v1alpha1.ConditionSecretAccess, v1alpha1.ReasonApplied, "accounts of the cluster can log in to the secret store")
	return nil
}

// storeReviewer brings the token by which the secret store reviews the tokens of
// the cluster's accounts into the store, where the auth mount finds it.
func (w work) storeReviewer(ctx context.Context, snap *snapshot.Snapshot, c *v1alpha1.Cluster) error {
	at, ok := build.ReviewerSecret(snap, c)
	if !ok {
		return nil
	}
	conn, err := w.deps.Conn(snap, c.Name)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{}
	err = conn.Client().Get(ctx, client.ObjectKey{Namespace: at.Namespace, Name: at.Name}, secret)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read Secret %s/%s on cluster %s: %w", at.Namespace, at.Name, c.Name, err)
	}
	token := secret.Data[corev1.ServiceAccountTokenKey]
	if apierrors.IsNotFound(err) || len(token) == 0 {
		return &engine.Error{
			Class: engine.ClassWaiting, Reason: v1alpha1.ReasonSecretMissing, RetryAfter: reconcile.TokenRetry,
			Message: fmt.Sprintf("Secret %s/%s on cluster %s holds no token yet: the cluster's controller manager fills it", at.Namespace, at.Name, c.Name),
		}
	}
	_, err = w.deps.Secrets.Put(ctx, secrets.ClusterReviewer(c.Name), map[string]secrets.Value{build.ReviewerField: secrets.NewValue(token)})
	return err
}

// tellEntryPoints brings the ports through which traffic enters into the status:
// a virtual cluster has those of its host. What is not known stays as it was.
func (w work) tellEntryPoints(c *v1alpha1.Cluster) {
	at := c.Name
	if c.Spec.ClusterType == v1alpha1.ClusterVirtual {
		at = c.Spec.HostCluster
	}
	conn, err := w.deps.Clusters.Get(at)
	if err != nil {
		return
	}
	points, err := conn.EntryPoints()
	if err != nil {
		c.Status.Warnings = append(c.Status.Warnings, "status.entryPoints is not up to date: "+reconcile.Message(err))
		return
	}
	c.Status.EntryPoints = points
}

// tellComponents brings the state of each component into the status.
func (w work) tellComponents(ctx context.Context, s *engine.Session[*v1alpha1.Cluster], wanted build.ClusterFacts, argoNamespace string, own, tenant part) error {
	c := s.Object
	before := map[string]v1alpha1.ComponentStatus{}
	for _, one := range c.Status.Components {
		before[one.Name] = one
	}
	c.Status.Components = nil
	ready := 0
	for _, component := range wanted.Components {
		app, err := w.application(ctx, argoNamespace, component)
		if err != nil {
			return err
		}
		status := componentStatus(component, app, problemOf(component, own, tenant))
		if last, known := before[status.Name]; known && last.State == status.State && last.Since != nil {
			status.Since = last.Since
		} else {
			now := metav1.Now()
			status.Since = &now
		}
		if status.State == v1alpha1.ComponentReady || status.State == v1alpha1.ComponentExternal {
			ready++
		}
		c.Status.Components = append(c.Status.Components, status)
	}
	if err := w.tellLeaving(ctx, c, wanted, argoNamespace); err != nil {
		return err
	}
	c.Status.Progress = fmt.Sprintf("%d/%d components", ready, len(wanted.Components))
	return componentFacts(s.Facts, c)
}

// tellLeaving keeps the components that the cluster is no longer to have in the
// status until Argo CD has removed them.
func (w work) tellLeaving(ctx context.Context, c *v1alpha1.Cluster, wanted build.ClusterFacts, argoNamespace string) error {
	for _, last := range wanted.Leaving {
		app, err := w.deps.TenantConn.Application(ctx, argoNamespace, last.Application)
		if err != nil {
			return err
		}
		if app == nil {
			continue
		}
		if last.State != v1alpha1.ComponentProgressing || last.Message != leavingMessage {
			now := metav1.Now()
			last.State, last.Message, last.Since = v1alpha1.ComponentProgressing, leavingMessage, &now
		}
		c.Status.Components = append(c.Status.Components, last)
	}
	slices.SortFunc(c.Status.Components, func(a, b v1alpha1.ComponentStatus) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

const leavingMessage = "the cluster is no longer to have it: it is being removed"

// application returns what Argo CD says of the Application of a component; nil
// when there is none.
func (w work) application(ctx context.Context, argoNamespace string, component build.ComponentPlan) (*observed.Application, error) {
	if component.External || component.Application == "" {
		return nil, nil
	}
	return w.deps.TenantConn.Application(ctx, argoNamespace, component.Application)
}

// problemOf returns what stands in the way of a component: of its Application,
// or of what it needs in its namespace.
func problemOf(component build.ComponentPlan, own, tenant part) error {
	var found []error
	for _, id := range slices.SortedFunc(maps.Keys(own.failed), plan.ID.Compare) {
		if id.Namespace == component.Namespace || (id.Kind == "Namespace" && id.Name == component.Namespace) {
			found = append(found, own.failed[id])
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(tenant.failed), plan.ID.Compare) {
		if id.Name == component.Application || id.Kind == "AppProject" {
			found = append(found, tenant.failed[id])
		}
	}
	return errors.Join(found...)
}

// componentStatus tells how far a component is.
func componentStatus(component build.ComponentPlan, app *observed.Application, problem error) v1alpha1.ComponentStatus {
	status := v1alpha1.ComponentStatus{
		Name: component.Name, Category: component.Category, Namespace: component.Namespace, Version: component.Version(),
	}
	if component.External {
		status.State = v1alpha1.ComponentExternal
		return status
	}
	outcome := engine.Classify(problem, reconcile.Classify)
	if app == nil {
		status.State = v1alpha1.ComponentWaiting
		switch {
		case len(component.WaitsFor) > 0:
			status.Message = "waits for " + strings.Join(component.WaitsFor, ", ")
		case problem != nil:
			status.Message = outcome.Message
		}
		if outcome.Class >= engine.ClassTerminal {
			status.State = v1alpha1.ComponentDegraded
		}
		return status
	}
	status.Application = component.Application
	switch {
	case problem != nil && outcome.Class >= engine.ClassTerminal:
		status.State, status.Message = v1alpha1.ComponentDegraded, outcome.Message
	case app.Health == "Degraded" || app.Health == "Missing" && app.Message != "" || app.Message != "" && app.Sync != "Synced":
		status.State = v1alpha1.ComponentDegraded
		status.Message = strings.TrimSuffix(fmt.Sprintf("Application %s is %s: %s", component.Application, reconcile.OrUnknown(app.Health), strings.TrimSpace(app.Message)), ": ")
	case app.Sync == "Synced" && app.Health == "Healthy" && app.Current && problem == nil:
		status.State = v1alpha1.ComponentReady
	case problem != nil:
		status.State, status.Message = v1alpha1.ComponentProgressing, outcome.Message
	default:
		status.State = v1alpha1.ComponentProgressing
		status.Message = fmt.Sprintf("Application %s: %s, %s", component.Application, reconcile.OrUnknown(app.Sync), reconcile.OrUnknown(app.Health))
	}
	return status
}

// componentFacts turns the states of the components into a condition, and into
// what it means for Ready.
func componentFacts(facts *engine.Facts, c *v1alpha1.Cluster) error {
	var degraded, open []string
	for _, one := range c.Status.Components {
		switch one.State {
		case v1alpha1.ComponentDegraded:
			degraded = append(degraded, one.Name+": "+one.Message)
		case v1alpha1.ComponentWaiting, v1alpha1.ComponentProgressing:
			open = append(open, one.Name)
		}
	}
	switch {
	case len(degraded) > 0:
		err := engine.Waiting(v1alpha1.ReasonComponentDegraded, "%s; %s", c.Status.Progress, strings.Join(degraded, "; "))
		reconcile.SetFalse(facts, v1alpha1.ConditionComponents, err)
		return err
	case len(open) > 0:
		err := engine.Waiting(v1alpha1.ReasonComponentsProgressing, "%s; not ready yet: %s", c.Status.Progress, strings.Join(open, ", "))
		reconcile.SetFalse(facts, v1alpha1.ConditionComponents, err)
		return err
	}
	facts.True(v1alpha1.ConditionComponents, v1alpha1.ReasonComponentsReady, c.Status.Progress)
	facts.ReadyMessage = c.Status.Progress + " are ready"
	if connection := c.Status.Connection; connection != nil {
		facts.ReadyMessage += " on Kubernetes " + connection.Version
	}
	return nil
}
