package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

func clusterPath(name string) string { return "clusters/" + name + ".yaml" }

// physicalClusters registers two clusters that exist.
func (d *demo) physicalClusters(ctx context.Context) error {
	if err := d.remember(ctx); err != nil {
		return err
	}
	_, err := d.push(ctx, tenantRepo, githost.Commit{Message: "Register two clusters", Files: map[string]string{
		clusterPath(hostName):   d.clusterFile(hostName, "usage: host", "traefik: {httpNodePort: \"30080\", httpsNodePort: \"30443\"}"),
		clusterPath(workerName): d.clusterFile(workerName, "usage: worker", "workerType: deployment"),
	}})
	if err != nil {
		return err
	}
	pushed := time.Now()
	if err := d.follow(ctx, pushed, hostName, workerName); err != nil {
		return err
	}
	d.measured("git push → a host and a worker with all components", time.Since(pushed))
	return d.showRegistration(ctx, workerName)
}

// virtualCluster registers a virtual cluster. Its first declaration asks for a
// node port that is taken.
func (d *demo) virtualCluster(ctx context.Context) error {
	c := d.Client
	declare := func(message, port string) error {
		_, err := d.push(ctx, tenantRepo, githost.Commit{Message: message, Files: map[string]string{
			clusterPath(virtualName): d.virtualFile(port),
		}})
		return err
	}
	if err := declare("Register a virtual cluster", "30443"); err != nil {
		return err
	}
	pushed := time.Now()
	told, err := d.condition(ctx, c, virtualName, v1alpha1.ConditionReady, v1alpha1.ReasonPortTaken)
	if err != nil {
		return err
	}
	if err := d.nothingWritten(ctx, c); err != nil {
		return err
	}
	d.screen.done("the mistake is told in the condition Ready, and nothing is written", time.Since(pushed))
	d.screen.say("  %s: %s", told.Reason, told.Message)
	if err := declare("Use a port that is free", "31456"); err != nil {
		return err
	}
	pushed = time.Now()
	if told, err = d.condition(ctx, c, virtualName, v1alpha1.ConditionCredentials, v1alpha1.ReasonSecretMissing); err != nil {
		return err
	}
	d.screen.done("mended: Nautes has the vcluster installed, and waits for its kubeconfig", time.Since(pushed))
	d.screen.say("  %s: %s", told.Reason, told.Message)
	if err := d.playVirtual(ctx, pushed); err != nil {
		return err
	}
	if err := d.follow(ctx, pushed, virtualName); err != nil {
		return err
	}
	d.measured("git push → a virtual worker with all components", time.Since(pushed))
	if err := d.showRegistration(ctx, virtualName); err != nil {
		return err
	}
	d.screen.say("the Applications of the tenant's Argo CD:")
	gv := schema.GroupVersion{Group: "argoproj.io", Version: "v1alpha1"}
	return d.screen.table(ctx, d.Tenant.Config(), gv, "applications", devstack.ArgoCDNamespace, "Age")
}

// nothingWritten looks for the objects that the virtual cluster would get first.
func (d *demo) nothingWritten(ctx context.Context, c client.Client) error {
	host := d.Clusters[hostName]
	if err := scenario.Absent(ctx, host, scenario.Object("v1", "Namespace", "", virtualName)); err != nil {
		return err
	}
	return scenario.Absent(ctx, c, scenario.Object("v1", "Secret", devstack.ArgoCDNamespace, names.Cluster(virtualName)))
}

// condition waits until a condition of a cluster is false for a reason.
func (d *demo) condition(ctx context.Context, c client.Client, name, kind, reason string) (metav1.Condition, error) {
	var found *metav1.Condition
	err := d.until(ctx, "the reason "+reason+" of Cluster "+name, func(ctx context.Context) error {
		var err error
		found, err = scenario.Condition(ctx, c, scenario.Cluster(name), kind, "", reason)
		return err
	})
	if err != nil {
		return metav1.Condition{}, err
	}
	return *found, nil
}

// playVirtual acts as a vcluster that starts: it leaves a kubeconfig in its
// namespace on the host, with an address that works inside only, and is ready
// after that. Another control plane plays the cluster itself.
func (d *demo) playVirtual(ctx context.Context, pushed time.Time) error {
	host := d.Clusters[hostName]
	inner := d.Runtimes[innerName]
	kubeconfig, err := inner.RegisterInstaller(ctx)
	if err != nil {
		return err
	}
	err = d.until(ctx, "the namespace of the vcluster", func(ctx context.Context) error {
		return host.Get(ctx, client.ObjectKey{Name: virtualName}, &corev1.Namespace{})
	})
	if err != nil {
		return err
	}
	const address = "https://localhost:8443"
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: virtualName, Name: "vc-vcluster"},
		Data: map[string][]byte{
			build.VirtualKubeconfigKey: bytes.ReplaceAll(kubeconfig, []byte(inner.URL), []byte(address)),
		},
	}
	if err := host.Create(ctx, secret); err != nil {
		return fmt.Errorf("leave the kubeconfig of the virtual cluster: %w", err)
	}
	err = d.until(ctx, "the Pod of the vcluster", func(ctx context.Context) error {
		pods := &corev1.PodList{}
		if err := host.List(ctx, pods, client.InNamespace(virtualName)); err != nil {
			return err
		}
		if len(pods.Items) == 0 || pods.Items[0].Status.Phase != corev1.PodRunning {
			return errors.New("it does not run yet")
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.screen.done("the vcluster runs on "+hostName+", in the namespace "+virtualName, time.Since(pushed))
	d.screen.say("it left its kubeconfig in the Secret vc-vcluster, for %s; another control plane plays it", address)
	return nil
}

// progress is how far some clusters are.
type progress struct {
	// ready components, and all of them.
	ready, all int
	// connected: each of the clusters answers. done: each is Ready.
	connected, done bool
	// open is the first step that is not done.
	open error
}

func (d *demo) progress(ctx context.Context, c client.Client, names ...string) (progress, error) {
	p := progress{connected: true, done: true}
	for _, name := range names {
		cluster := scenario.Cluster(name)
		if err := c.Get(ctx, client.ObjectKeyFromObject(cluster), cluster); err != nil {
			return p, err
		}
		p.connected = p.connected && cluster.Status.Connection != nil && len(cluster.Status.Components) > 0
		ready := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != cluster.Generation {
			p.done, p.open = false, fmt.Errorf("cluster %s: %+v", name, ready)
		}
		for _, component := range cluster.Status.Components {
			p.all++
			if component.State == v1alpha1.ComponentReady || component.State == v1alpha1.ComponentExternal {
				p.ready++
			}
		}
	}
	return p, nil
}

// follow prints `kubectl get clusters` when the clusters answer, when half of the
// steps are done, and when they are Ready.
func (d *demo) follow(ctx context.Context, since time.Time, names ...string) error {
	c := d.Client
	var now progress
	half := 0
	for _, step := range []struct {
		what    string
		reached func() bool
	}{
		{"the connection", func() bool { return now.connected }},
		{"half of the components", func() bool { return now.ready >= half || now.done }},
		{"the condition Ready", func() bool { return now.done }},
	} {
		err := d.until(ctx, step.what+" of the clusters", func(ctx context.Context) error {
			var err error
			if now, err = d.progress(ctx, c, names...); err != nil {
				return err
			}
			if !step.reached() {
				return errors.Join(fmt.Errorf("%d of %d components are ready", now.ready, now.all), now.open)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if half == 0 {
			half = (now.ready + now.all + 1) / 2
		}
		d.screen.say("kubectl get clusters, after %s:", round(time.Since(since)))
		if err := d.screen.table(ctx, d.Tenant.Config(), v1alpha1.GroupVersion, "clusters", devstack.OperatorNamespace, "Age"); err != nil {
			return err
		}
		if now.done {
			return nil
		}
	}
	return nil
}

// workerPrograms starts the processes that the worker's Argo CD and HNC consist
// of: their Pods are only said to run.
func (d *demo) workerPrograms(ctx context.Context) error {
	if err := d.startArgoCD(ctx, workerName); err != nil {
		return err
	}
	return d.StartHNC(ctx, workerName)
}

// startArgoCD starts the Argo CD of a worker, which trusts the SSH host key of the forge.
func (d *demo) startArgoCD(ctx context.Context, name string) error {
	if err := d.StartArgoCD(ctx, name); err != nil {
		return err
	}
	d.screen.say("it gets the SSH host key of the forge by hand: Nautes writes it into the values of a chart, and here are plain manifests")
	return d.ArgoCD[name].TrustHosts(d.forge.knownHosts)
}
