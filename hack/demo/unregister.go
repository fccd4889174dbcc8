package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

// remember records the objects on the physical clusters before they are registered.
func (d *demo) remember(ctx context.Context) error {
	d.before = map[string][]string{}
	for _, name := range []string{hostName, workerName} {
		var err error
		if d.before[name], err = d.contents(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// contents lists the objects that registrations bring to a cluster and take away
// again: all others are in namespaces, or are CRDs.
func (d *demo) contents(ctx context.Context, name string) ([]string, error) {
	c := d.Clusters[name]
	return list(ctx, c, []schema.GroupVersionKind{
		{Version: "v1", Kind: "Namespace"}, {Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"},
	})
}

// unregistration removes the files of the clusters, and waits until nothing is
// left of them.
func (d *demo) unregistration(ctx context.Context) error {
	c := d.Client
	// Their Pods go with the components.
	if err := d.stopWorkerPrograms(); err != nil {
		return err
	}
	_, err := d.push(ctx, tenantRepo, githost.Commit{Message: "Give up all clusters, and the hook of their pipelines", Delete: []string{
		clusterPath(hostName), clusterPath(virtualName), clusterPath(workerName), hookPath,
	}})
	if err != nil {
		return err
	}
	pushed := time.Now()
	if err := d.hostInUse(ctx, c); err != nil {
		return err
	}
	if err := d.endVirtual(ctx, pushed); err != nil {
		return err
	}
	for _, name := range []string{virtualName, workerName, hostName} {
		o := scenario.Object(v1alpha1.GroupVersion.String(), "Cluster", devstack.OperatorNamespace, name)
		err := d.until(ctx, "the end of Cluster "+name, func(ctx context.Context) error {
			if err := scenario.Absent(ctx, c, o); err != nil {
				cluster := scenario.Cluster(name)
				_ = c.Get(ctx, client.ObjectKeyFromObject(cluster), cluster)
				return fmt.Errorf("%w: %+v", err, meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ConditionReady))
			}
			return nil
		})
		if err != nil {
			return err
		}
		d.screen.done("Cluster "+name+" is gone, after its components", time.Since(pushed))
	}
	d.measured("git push → three clusters unregistered, components removed", time.Since(pushed))
	return d.nothingLeft(ctx, c)
}

// stopWorkerPrograms ends the processes of the workers' Argo CD and HNC. Argo
// Events goes on for as long as it has an event bus to take down.
func (d *demo) stopWorkerPrograms() error {
	var all []error
	for _, name := range []string{workerName, innerName} {
		all = append(all, d.ArgoCD[name].Stop(), d.HNC[name].Stop())
		delete(d.ArgoCD, name)
		delete(d.HNC, name)
	}
	return errors.Join(all...)
}

// stopPipelinePrograms ends the programs that ran pipelines on the virtual worker.
func (d *demo) stopPipelinePrograms() error {
	p := d.pipelines
	return errors.Join(d.End(p.steps), d.End(p.tekton), d.End(p.gateway), d.End(p.events))
}

// endVirtual ends the control plane that plays the virtual cluster, as soon as
// Argo CD has removed that from its host.
func (d *demo) endVirtual(ctx context.Context, pushed time.Time) error {
	host := d.Clusters[hostName]
	err := d.until(ctx, "the end of the vcluster", func(ctx context.Context) error {
		return scenario.Absent(ctx, host, scenario.Object("apps/v1", "Deployment", virtualName, "vcluster"))
	})
	if err != nil {
		return err
	}
	d.screen.done("the vcluster is gone from "+hostName+", and the virtual cluster answers no more", time.Since(pushed))
	inner := d.Runtimes[innerName]
	delete(d.Runtimes, innerName)
	d.innerPods.Stop()
	return errors.Join(d.stopPipelinePrograms(), inner.Kill())
}

// hostInUse shows that a host stays while a virtual cluster is on it.
func (d *demo) hostInUse(ctx context.Context, c client.Client) error {
	told, err := d.condition(ctx, c, hostName, v1alpha1.ConditionReady, v1alpha1.ReasonInUse)
	if err != nil {
		return err
	}
	d.screen.say("  %s: %s: %s", hostName, told.Reason, told.Message)
	return nil
}

// nothingLeft waits until nothing of the registrations is left.
func (d *demo) nothingLeft(ctx context.Context, c client.Client) error {
	for _, name := range []string{hostName, workerName} {
		now, err := d.contents(ctx, name)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(now, func(one string) bool { return slices.Contains(d.before[name], one) })
		if len(left) > 0 {
			return fmt.Errorf("left on %s: %s", name, strings.Join(left, ", "))
		}
		on := d.Clusters[name]
		crds, err := list(ctx, on, []schema.GroupVersionKind{{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}})
		if err != nil {
			return err
		}
		d.screen.say("%s: every namespace, ClusterRole and ClusterRoleBinding is gone; %d CRDs stay, which Argo CD never removes", name, len(crds))
	}
	left, err := list(ctx, c, []schema.GroupVersionKind{
		{Version: "v1", Kind: "Secret"}, {Group: "argoproj.io", Version: "v1alpha1", Kind: "AppProject"},
		{Group: "argoproj.io", Version: "v1alpha1", Kind: "Application"},
	}, client.InNamespace(devstack.ArgoCDNamespace), client.MatchingLabels{managedBy: "nautes"})
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("left in the tenant's Argo CD: %s", strings.Join(left, ", "))
	}
	d.screen.say("the tenant's Argo CD: no cluster, no AppProject, no Application of Nautes")
	found, err := d.listVault(ctx)
	if err != nil {
		return err
	}
	d.showVault(found)
	if len(found.roles) != 1 || len(found.policies) != 1 || slices.ContainsFunc(found.secrets, func(path string) bool { return strings.HasPrefix(path, "cluster/") }) {
		return errors.New("the secret store holds more than what people stored, the key of hooks, and the operator's own access")
	}
	d.screen.say("Vault holds what people stored, the key of the tokens of hooks, and the operator's own access")
	return nil
}

const managedBy = "app.kubernetes.io/managed-by"

// list names the objects of some kinds; a kind that does not exist has none.
func list(ctx context.Context, c client.Client, kinds []schema.GroupVersionKind, options ...client.ListOption) ([]string, error) {
	all, err := scenario.List(ctx, c, kinds, options...)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, o := range all {
		found = append(found, o.GetKind()+" "+o.GetName())
	}
	return found, nil
}
