package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// labelInheritedFrom is on what HNC copies into the children of a namespace,
// with all the labels of the original.
const labelInheritedFrom = "hnc.x-k8s.io/inherited-from"

// ChangeFunc is told of an object of the caches that appears, changes in what
// we look at, or disappears; and of the CustomResourceDefinition of a kind that
// comes to be served, or no longer is. It must return quickly, and must not
// change the metadata.
type ChangeFunc func(gvk schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, deleted bool)

// ConnOptions say what a connection looks at.
type ConnOptions struct {
	// Tenant whose objects are looked at.
	Tenant string
	// Kinds whose metadata is cached.
	Kinds []schema.GroupVersionKind
	// Facts lists the kinds of Kinds that are watched as whole objects, and
	// what is kept of each beside its metadata.
	Facts map[schema.GroupVersionKind]FactsFunc
	// Namespaces lists the kinds of Kinds that are looked at in one namespace only.
	Namespaces map[schema.GroupVersionKind]string
	// EntryPoints: the Services through which traffic enters are looked at, too.
	EntryPoints bool
	// Runs: the launchers and runs of pipeline runtimes are looked at, too.
	Runs bool
	// Rights says, for messages about what the account may not read, what to do
	// to give it its rights.
	Rights string
	// OnChange is told of what changes in the caches; nil tells nobody.
	OnChange ChangeFunc
	// Scheme of the client; the one of client-go when nil.
	Scheme *runtime.Scheme
	// QPS and Burst limit the requests; 50 and 100 when zero.
	QPS   float32
	Burst int
	// Timeout of one request of the client; 30 seconds when zero.
	Timeout time.Duration
	// ProbeTimeout bounds how long the cluster may take to say who it is, and
	// then what it serves; nothing does when zero.
	ProbeTimeout time.Duration
}

// Conn is a connection to one cluster: a client, and caches of the metadata of
// everything on it that carries the tenant's labels.
type Conn struct {
	uid, version string
	// took is how long the cluster needed to say who it is.
	took        time.Duration
	client      client.Client
	discovery   discovery.DiscoveryInterface
	order       []*kindCache
	kinds       map[schema.GroupKind]*kindCache
	entryPoints *kindCache // nil when they are not looked at
	runs        *kindCache // nil when they are not looked at
	transport   *http.Client
	stop        context.CancelFunc
	run         sync.WaitGroup
}

// Connect reads who the cluster is and what it serves, and begins to fill the
// caches; ctx bounds that, not the connection. Close ends the connection.
func Connect(ctx context.Context, cfg *rest.Config, o ConnOptions) (*Conn, error) {
	c, sources, err := dial(cfg, o)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	err = within(ctx, o.ProbeTimeout, func(ctx context.Context) error {
		c.uid, c.version, err = c.identity(ctx)
		return err
	})
	if err != nil {
		c.transport.CloseIdleConnections()
		return nil, err
	}
	c.took = time.Since(began)
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	err = within(ctx, o.ProbeTimeout, func(ctx context.Context) error { return c.fill(ctx, run, sources, o) })
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// within bounds a part of connecting, unless there is no bound.
func within(ctx context.Context, bound time.Duration, f func(context.Context) error) error {
	if bound > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, bound)
		defer cancel()
	}
	return f(ctx)
}

// dial makes the clients, which share one transport and one rate limit.
func dial(cfg *rest.Config, o ConnOptions) (*Conn, source, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = v1alpha1.ManagedBy
	cfg.Timeout = 0
	cfg.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(orDefault(o.QPS, 50), orDefault(o.Burst, 100))
	if cfg.Proxy == nil {
		// Without a proxy function client-go would read the environment, and
		// would keep the transport, with its credentials, for ever.
		cfg.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	}
	transport, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, source{}, fmt.Errorf("make a transport: %w", err)
	}
	bounded := *transport
	bounded.Timeout = orDefault(o.Timeout, 30*time.Second)
	scheme := o.Scheme
	if scheme == nil {
		scheme = clientgoscheme.Scheme
	}
	c := &Conn{transport: transport, kinds: map[schema.GroupKind]*kindCache{}}
	if c.client, err = client.New(cfg, client.Options{HTTPClient: &bounded, Scheme: scheme}); err != nil {
		return nil, source{}, fmt.Errorf("make a client: %w", err)
	}
	// What asks how the cluster is must not queue behind the work on it.
	unlimited := rest.CopyConfig(cfg)
	unlimited.RateLimiter = flowcontrol.NewFakeAlwaysRateLimiter()
	if c.discovery, err = discovery.NewDiscoveryClientForConfigAndClient(unlimited, &bounded); err != nil {
		return nil, source{}, fmt.Errorf("make a discovery client: %w", err)
	}
	s := source{selector: v1alpha1.LabelManagedBy + "=" + v1alpha1.ManagedBy + "," +
		v1alpha1.LabelTenant + "=" + o.Tenant + ",!" + labelInheritedFrom}
	if s.metadata, err = metadata.NewForConfigAndClient(cfg, transport); err != nil {
		return nil, source{}, fmt.Errorf("make a metadata client: %w", err)
	}
	if s.dynamic, err = dynamic.NewForConfigAndClient(cfg, transport); err != nil {
		return nil, source{}, fmt.Errorf("make a dynamic client: %w", err)
	}
	return c, s, nil
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// identity reads the UID of the namespace kube-system, which stands for the
// cluster, and the version of Kubernetes.
func (c *Conn) identity(ctx context.Context) (uid, kubernetes string, err error) {
	var system metav1.PartialObjectMetadata
	if err := c.ask(ctx, "/api/v1/namespaces/"+metav1.NamespaceSystem, &system); err != nil {
		return "", "", &readError{what: "the namespace " + metav1.NamespaceSystem, err: err}
	}
	var info version.Info
	if err := c.ask(ctx, "/version", &info); err != nil {
		return "", "", &readError{what: "the version of Kubernetes", err: err}
	}
	if system.UID == "" || info.GitVersion == "" {
		return "", "", errNotKubernetes
	}
	return string(system.UID), info.GitVersion, nil
}

// ask reads one document, without the retries of client-go: a failure is what
// the caller wants to know.
func (c *Conn) ask(ctx context.Context, path string, into any) error {
	raw, err := c.discovery.RESTClient().Get().AbsPath(path).
		SetHeader("Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json").
		MaxRetries(0).Do(ctx).Raw()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return errNotKubernetes
	}
	return nil
}

// fill starts the watches of the kinds that the cluster serves, and of the
// definitions of the others. It is bounded by ctx; the watches last until run ends.
func (c *Conn) fill(ctx, run context.Context, s source, o ConnOptions) error {
	change := o.OnChange
	if change == nil {
		change = func(schema.GroupVersionKind, *metav1.PartialObjectMetadata, bool) {}
	}
	sv := &served{
		discovery: c.discovery, source: s, change: change, run: &c.run,
		dirty: map[string]bool{}, defined: map[string]bool{}, wake: make(chan struct{}, 1),
	}
	for _, gvk := range o.Kinds {
		k := &kindCache{gvk: gvk, facts: o.Facts[gvk], namespace: o.Namespaces[gvk], rights: o.Rights}
		// What a cluster says it serves can be out of date: nothing tells of a
		// definition that went before the connection was there.
		k.missing = func() { sv.lookAgain(gvk.Group) }
		c.order = append(c.order, k)
		c.kinds[gvk.GroupKind()] = k
	}
	if o.Runs {
		c.runs = runCache(o.Rights)
		c.runs.missing = func() { sv.lookAgain(c.runs.gvk.Group) }
	}
	sv.kinds = c.watched()
	if err := sv.lookAll(ctx, run); err != nil {
		return err
	}
	if o.EntryPoints {
		if err := c.watchEntryPoints(run, s, o.Rights, change); err != nil {
			return err
		}
	}
	return c.watchDefinitions(run, s, sv)
}

// watched returns the caches that must have been read before anything is believed.
func (c *Conn) watched() []*kindCache {
	if c.runs == nil {
		return c.order
	}
	return append(slices.Clone(c.order), c.runs)
}

// watchDefinitions tells what the cluster serves when its CustomResourceDefinitions change.
func (c *Conn) watchDefinitions(run context.Context, s source, sv *served) error {
	s.selector = ""
	definitions, err := s.informer(&kindCache{gvk: crdKind()}, schema.GroupVersionResource{
		Group: crdKind().Group, Version: crdKind().Version, Resource: "customresourcedefinitions",
	}, func(error) {})
	if err != nil {
		return err
	}
	// Every change of a definition counts: its conditions, too, which the
	// metadata does not show, tell that it is served.
	changed := func(deleted bool) func(any) {
		return func(in any) {
			if unknown, ok := in.(cache.DeletedFinalStateUnknown); ok {
				in = unknown.Obj
			}
			if o, ok := in.(*object); ok {
				sv.definitionChanged(o.name, deleted)
			}
		}
	}
	_, err = definitions.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    changed(false),
		UpdateFunc: func(_, after any) { changed(false)(after) },
		DeleteFunc: changed(true),
	})
	if err != nil {
		return fmt.Errorf("watch the CustomResourceDefinitions: %w", err)
	}
	c.run.Go(func() { definitions.RunWithContext(run) })
	c.run.Go(func() { sv.keep(run) })
	return nil
}

// Close ends the watches and waits for them. What the caches held is not
// readable any longer: it would grow old unnoticed.
func (c *Conn) Close() {
	c.stop()
	c.run.Wait()
	for _, k := range c.watched() {
		k.close()
	}
	if c.entryPoints != nil {
		c.entryPoints.close()
	}
	c.transport.CloseIdleConnections()
}

// UID identifies the cluster: the UID of its kube-system namespace.
func (c *Conn) UID() string { return c.uid }

// Version of Kubernetes when the connection was made, as v1.34.4.
func (c *Conn) Version() string { return c.version }

// Client reads and writes the API server directly.
func (c *Conn) Client() client.Client { return c.client }

// Synced returns nil when everything has been read, and otherwise a
// *NotSyncedError about one kind that has not.
func (c *Conn) Synced() error {
	for _, k := range c.watched() {
		if _, err := k.indexer(); err != nil {
			return err
		}
	}
	return nil
}

// denied returns a *NotSyncedError about a kind that the account may not read,
// or no longer; nil when there is none.
func (c *Conn) denied() error {
	for _, k := range c.watched() {
		if err := k.denied(); err != nil {
			return err
		}
	}
	return nil
}

// WaitForSync returns nil as soon as everything has been read, and the
// *NotSyncedError of Synced when ctx ends before.
func (c *Conn) WaitForSync(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), func() bool { return c.Synced() == nil }) {
		return c.Synced()
	}
	return nil
}

// Get returns the cached metadata of one object that carries the tenant's
// labels; nil when there is none. Its maps belong to the cache and must not be
// changed. It returns a *NotSyncedError while the kind has not been read.
func (c *Conn) Get(_ context.Context, id plan.ID) (*metav1.PartialObjectMetadata, error) {
	o, err := c.lookup(id)
	if err != nil || o == nil {
		return nil, err
	}
	return o.view(), nil
}

func (c *Conn) lookup(id plan.ID) (*object, error) {
	k, ok := c.kinds[schema.GroupKind{Group: id.Group, Kind: id.Kind}]
	if !ok {
		return nil, &UnknownKindError{Group: id.Group, Kind: id.Kind}
	}
	if k.namespace != "" && k.namespace != id.Namespace {
		return nil, &UnknownKindError{Group: id.Group, Kind: id.Kind, Namespace: k.namespace}
	}
	indexer, err := k.indexer()
	if err != nil || indexer == nil {
		return nil, err
	}
	found, ok, err := indexer.GetByKey(cache.NewObjectName(id.Namespace, id.Name).String())
	if err != nil || !ok {
		return nil, err
	}
	o, ok := found.(*object)
	if !ok {
		return nil, fmt.Errorf("the cache of %s holds a %T", kindText(id.Group, id.Kind), found)
	}
	return o, nil
}

// Owned returns the cached metadata of everything that carries the labels of
// owner, in the order of the kinds, namespaces and names. Its maps belong to
// the cache and must not be changed. It returns a *NotSyncedError while any
// kind that the cluster serves has not been read.
func (c *Conn) Owned(_ context.Context, owner plan.Owner) ([]metav1.PartialObjectMetadata, error) {
	var owned []metav1.PartialObjectMetadata
	for _, k := range c.order {
		indexer, err := k.indexer()
		if err != nil {
			return nil, err
		}
		if indexer == nil {
			continue
		}
		found, err := indexer.ByIndex(ownerIndex, ownerKey(owner))
		if err != nil {
			return nil, fmt.Errorf("look up the objects of %s: %w", owner, err)
		}
		first := len(owned)
		for _, f := range found {
			if o, ok := f.(*object); ok {
				owned = append(owned, *o.view())
			}
		}
		slices.SortFunc(owned[first:], func(a, b metav1.PartialObjectMetadata) int {
			return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
		})
	}
	return owned, nil
}

// Serves tells whether the cluster serves the kind. It returns a
// *NotSyncedError while that is not known.
func (c *Conn) Serves(_ context.Context, group, kind string) (bool, error) {
	k, ok := c.kinds[schema.GroupKind{Group: group, Kind: kind}]
	if !ok {
		return false, &UnknownKindError{Group: group, Kind: kind}
	}
	is, known := k.served()
	if !known {
		return false, &NotSyncedError{Group: group, Kind: kind}
	}
	return is, nil
}
