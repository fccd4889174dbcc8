package unregister

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

// session records the steps of a removal.
type session struct {
	steps []string
	// conns are the connected clusters; silent ones are not known yet.
	conns  map[string]*conn
	silent string
	// fails is the step that returns an error.
	fails    string
	abandons bool
}

var errStep = errors.New("boom")

func (s *session) step(name string) error {
	s.steps = append(s.steps, name)
	if name == s.fails {
		return errStep
	}
	return nil
}

func (s *session) Connect(target plan.Target) (apply.Connection, error) {
	if c := s.conns[target.Name]; c != nil {
		return c, nil
	}
	if target.Name == s.silent {
		return nil, engine.ErrNotYet
	}
	return nil, engine.Waiting("NotConnected", "%s is away", target.Name)
}

func (s *session) Apply(_ context.Context, set plan.Set, o apply.Options) engine.Applied {
	name := set.Target.String()
	if len(set.Keep) > 0 {
		name += fmt.Sprintf(" but %s", set.Keep[0].Name)
	}
	if len(o.Release) > 0 {
		name += ", released"
	}
	if !o.NoGuard || len(set.Items) > 0 {
		name += ", not as a removal"
	}
	return engine.Applied{Set: set, Err: s.step(name)}
}

func (s *session) Abandons(string) bool { return s.abandons }

func (s *session) Record(context.Context) error { return s.step("record") }

// conn has objects, as kind/name.
type conn struct {
	apply.Connection
	objects []string
	err     error
}

func (c *conn) Owned(context.Context, plan.Owner) ([]metav1.PartialObjectMetadata, error) {
	var all []metav1.PartialObjectMetadata
	for _, o := range c.objects {
		kind, name, _ := strings.Cut(o, "/")
		all = append(all, metav1.PartialObjectMetadata{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: kind}, ObjectMeta: metav1.ObjectMeta{Name: name},
		})
	}
	return all, c.err
}

// store records the secrets that are deleted.
type store struct {
	secrets.Store
	s *session
}

func (s store) Delete(_ context.Context, ref secrets.Ref) error {
	name := ref.Path[strings.LastIndex(ref.Path, "/")+1:]
	return s.s.step("secret " + name)
}

// register puts the registration of a cluster on record.
func register(c *v1alpha1.Cluster) {
	identity := c.Identity()
	c.Status.Registered = &identity
}

// worker returns a registered physical worker cluster that is being deleted.
func worker(change ...func(*v1alpha1.Cluster)) *v1alpha1.Cluster {
	now := metav1.Now()
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "c", DeletionTimestamp: &now}}
	c.Spec = v1alpha1.ClusterSpec{ClusterType: v1alpha1.ClusterPhysical, Usage: v1alpha1.UsageWorker, APIServer: "https://c.example.com"}
	register(c)
	c.Status.Connection = &v1alpha1.ConnectionStatus{UID: "u"}
	for _, f := range change {
		f(c)
	}
	return c
}

func virtual(c *v1alpha1.Cluster) {
	c.Spec.ClusterType, c.Spec.HostCluster = v1alpha1.ClusterVirtual, "host"
	register(c)
	c.Status.Components = []v1alpha1.ComponentStatus{{Category: v1alpha1.CategoryVirtualCluster, State: v1alpha1.ComponentReady}}
}

func orphan(c *v1alpha1.Cluster) { c.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan }

// Each object goes while the objects that clean it up are still there.
func TestCluster(t *testing.T) {
	host := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "host"}}
	connected := func(names ...string) map[string]*conn {
		conns := map[string]*conn{}
		for _, name := range names {
			conns[name] = &conn{objects: []string{"Namespace/ns", "Secret/s"}}
		}
		return conns
	}
	applications := []string{"Application/app", "Secret/cluster"}
	const all = "Cluster c but ns; Tenant; Cluster c; Vault c; secret reviewer; secret admin; record"
	for name, test := range map[string]struct {
		c       *v1alpha1.Cluster
		s       session
		tenant  conn
		want    string
		wantErr string
	}{
		"a worker":                   {c: worker(), s: session{conns: connected("c")}, want: all},
		"not registered":             {c: worker(func(c *v1alpha1.Cluster) { c.Status.Registered = nil }), s: session{conns: connected("c")}},
		"a host":                     {c: worker(func(c *v1alpha1.Cluster) { c.Spec.Usage = v1alpha1.UsageHost; register(c) }), s: session{conns: connected("c")}, want: "Cluster c but ns; Tenant; Cluster c; secret reviewer; secret admin; record"},
		"its Secret is a person's":   {c: worker(func(c *v1alpha1.Cluster) { c.Spec.KubeconfigSecretRef = &v1alpha1.SecretKeyReference{Name: "s"} }), s: session{conns: connected("c")}, want: "Cluster c but ns; Tenant; Cluster c; Vault c; secret reviewer; record"},
		"registered anew":            {c: worker(func(c *v1alpha1.Cluster) { c.DeletionTimestamp = nil }), s: session{conns: connected("c")}, want: "Cluster c but ns; Tenant; Cluster c; Vault c; secret reviewer; record"},
		"components stay":            {c: worker(orphan), s: session{conns: connected("c")}, want: "Tenant, released; Vault c; secret reviewer; secret admin; record"},
		"virtual":                    {c: worker(virtual), s: session{conns: connected("c", "host")}, tenant: conn{objects: applications}, want: "Cluster c but ns; Tenant but cluster; Tenant; Cluster host; Vault c; secret reviewer; secret admin; record"},
		"virtual, stays":             {c: worker(virtual, orphan), s: session{conns: connected("c", "host")}, want: "Tenant, released; Tenant, released; Vault c; secret reviewer; secret admin; record"},
		"virtual, its host is away":  {c: worker(virtual), s: session{conns: connected("c")}, want: "Cluster c but ns; Tenant; Tenant", wantErr: "the host of the virtual cluster is not ready"},
		"virtual, host not known":    {c: worker(virtual), s: session{conns: connected("c"), silent: "host"}, want: "Cluster c but ns; Tenant; Tenant", wantErr: "not evaluated"},
		"virtual, host given up":     {c: worker(virtual, func(c *v1alpha1.Cluster) { c.Annotations = map[string]string{v1alpha1.AnnotationAbandon: "c"} }), s: session{conns: connected("c")}, want: "Cluster c but ns; Tenant; Tenant; Vault c; secret reviewer; secret admin; record"},
		"lost":                       {c: worker(), tenant: conn{objects: applications}, wantErr: "(1 Applications): bring it back"},
		"not known yet":              {c: worker(), s: session{silent: "c"}, wantErr: "not evaluated"},
		"lost, the tenant fails":     {c: worker(), tenant: conn{err: errStep}, wantErr: "boom"},
		"lost and given up":          {c: worker(), s: session{abandons: true}, tenant: conn{objects: applications}, want: "Tenant, released; Vault c; secret reviewer; secret admin; record"},
		"lost, components stay":      {c: worker(orphan), tenant: conn{objects: applications}, want: "Tenant, released; Vault c; secret reviewer; secret admin; record"},
		"never connected":            {c: worker(func(c *v1alpha1.Cluster) { c.Status.Connection = nil }), tenant: conn{objects: applications}, want: "Tenant, released; Vault c; secret reviewer; secret admin; record"},
		"virtual, gone itself":       {c: worker(virtual), s: session{conns: connected("host")}, want: "Tenant, released; Tenant; Cluster host; Vault c; secret reviewer; secret admin; record"},
		"objects fail":               {c: worker(), s: session{conns: connected("c"), fails: "Cluster c but ns"}, want: "Cluster c but ns", wantErr: "boom"},
		"applications fail":          {c: worker(), s: session{conns: connected("c"), fails: "Tenant"}, want: "Cluster c but ns; Tenant", wantErr: "boom"},
		"namespaces fail":            {c: worker(), s: session{conns: connected("c"), fails: "Cluster c"}, want: "Cluster c but ns; Tenant; Cluster c", wantErr: "boom"},
		"access fails":               {c: worker(), s: session{conns: connected("c"), fails: "Vault c"}, want: "Cluster c but ns; Tenant; Cluster c; Vault c", wantErr: "boom"},
		"the reviewer's token fails": {c: worker(), s: session{conns: connected("c"), fails: "secret reviewer"}, want: "Cluster c but ns; Tenant; Cluster c; Vault c; secret reviewer", wantErr: "boom"},
		"credentials fail":           {c: worker(), s: session{conns: connected("c"), fails: "secret admin"}, want: "Cluster c but ns; Tenant; Cluster c; Vault c; secret reviewer; secret admin", wantErr: "boom"},
		"the record fails":           {c: worker(), s: session{conns: connected("c"), fails: "record"}, want: all, wantErr: "boom"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &test.s
			err := Cluster(t.Context(), s, test.c, Deps{
				Snapshot: snapshot.New("t", "nautes", test.c, host), Tenant: &test.tenant, Secrets: store{s: s},
				Message: func(err error) string { return err.Error() },
			})
			if test.wantErr == "" && err != nil || test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)) {
				t.Errorf("error %v, want %q", err, test.wantErr)
			}
			if diff := cmp.Diff(test.want, strings.Join(s.steps, "; ")); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if err == nil && test.c.Status.Registered != nil {
				t.Error("it is still on record as registered")
			}
		})
	}
}
