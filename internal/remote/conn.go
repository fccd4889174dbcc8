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

	"github.com/go-logr/logr"
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
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
)

// labelInheritedFrom is set on the copies that HNC makes in the children of a
// namespace. They carry all the labels of the original.
const labelInheritedFrom = "hnc.x-k8s.io/inherited-from"

// requestTimeout of one request of the client.
const requestTimeout = 30 * time.Second

// ChangeFunc is called when a cached object is added, changes in a field that we
// track, or is deleted. It is also called for the CustomResourceDefinition of a
// kind that starts or stops being served. It must return quickly, and must not
// modify the metadata.
type ChangeFunc func(gvk schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, deleted bool)

// ConnOptions configure a connection.
type ConnOptions struct {
	// Tenant whose objects are cached.
	Tenant string
	// Kinds whose metadata is cached, with facts about some of them.
	Kinds []schema.GroupVersionKind
	// Namespaces lists the kinds of Kinds that are watched in one namespace only.
	Namespaces map[schema.GroupVersionKind]string
	// EntryPoints also watches the Services through which traffic enters.
	EntryPoints bool
	// Runs also watches the launchers and runs of pipeline runtimes.
	Runs bool
	// Rights is the remedy for missing rights of the account, for messages.
	Rights string
	// OnChange is called for each change in the caches, unless it is nil.
	OnChange ChangeFunc
	// Scheme of the client, or nil for client-go's.
	Scheme *runtime.Scheme
	// QPS and Burst limit the requests; 50 and 100 if zero.
	QPS   float32
	Burst int
	// ExpectedUID of the namespace kube-system, or empty. Nothing else is read from
	// another cluster.
	ExpectedUID string
	// ProbeTimeout bounds reading the identity of the cluster, and then reading its
	// kinds; 30 seconds if zero.
	ProbeTimeout time.Duration
	// Log receives one line for each kind that starts or stops being served.
	Log logr.Logger
}

// Conn is a connection to one cluster: a client, and caches of the metadata of
// all objects with the tenant's labels.
type Conn struct {
	uid, version string
	// took is how long the cluster took to return its identity.
	took        time.Duration
	client      client.Client
	discovery   rest.Interface
	order       []*kindCache
	kinds       map[schema.GroupKind]*kindCache
	entryPoints *kindCache // nil unless ConnOptions.EntryPoints is set
	runs        *kindCache // nil unless ConnOptions.Runs is set
	transport   *http.Client
	stop        context.CancelFunc
	run         sync.WaitGroup
}

// Connect reads the identity and the kinds of the cluster, and starts to fill the
// caches. ctx bounds these steps and not the connection, which Close ends.
func Connect(ctx context.Context, cfg *rest.Config, o ConnOptions) (*Conn, error) {
	c, w, err := dial(cfg, o)
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(o.ProbeTimeout, requestTimeout)
	began := time.Now()
	probe, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if c.uid, c.version, err = c.identity(probe, o.ExpectedUID); err != nil {
		c.transport.CloseIdleConnections()
		return nil, err
	}
	c.took = time.Since(began)
	probe, cancel = context.WithTimeout(ctx, limit)
	defer cancel()
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	if err := c.startWatches(probe, run, w, o); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// dial creates the clients, which share one transport and one rate limit.
func dial(cfg *rest.Config, o ConnOptions) (*Conn, watcher, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = v1alpha1.ManagedBy
	cfg.Timeout = 0
	cfg.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(cmp.Or(o.QPS, 50), cmp.Or(o.Burst, 100))
	if cfg.Proxy == nil {
		// Without a proxy function, client-go would read the environment, and would
		// keep the transport with its credentials forever.
		cfg.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	}
	transport, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, watcher{}, fmt.Errorf("make a transport: %w", err)
	}
	bounded := *transport
	bounded.Timeout = requestTimeout
	c := &Conn{transport: transport, kinds: map[schema.GroupKind]*kindCache{}}
	scheme := cmp.Or(o.Scheme, clientgoscheme.Scheme)
	if c.client, err = client.New(cfg, client.Options{HTTPClient: &bounded, Scheme: scheme}); err != nil {
		return nil, watcher{}, fmt.Errorf("make a client: %w", err)
	}
	// Probes must not queue behind other requests to the cluster.
	unlimited := rest.CopyConfig(cfg)
	unlimited.RateLimiter = flowcontrol.NewFakeAlwaysRateLimiter()
	probes, err := discovery.NewDiscoveryClientForConfigAndClient(unlimited, &bounded)
	if err != nil {
		return nil, watcher{}, fmt.Errorf("make a discovery client: %w", err)
	}
	c.discovery = probes.RESTClient()
	w := watcher{
		run: &c.run, change: o.OnChange, rights: o.Rights,
		selector: v1alpha1.LabelManagedBy + "=" + v1alpha1.ManagedBy + "," + v1alpha1.LabelTenant + "=" + o.Tenant + ",!" + labelInheritedFrom,
	}
	if w.change == nil {
		w.change = func(schema.GroupVersionKind, *metav1.PartialObjectMetadata, bool) {}
	}
	if w.metadata, err = metadata.NewForConfigAndClient(cfg, transport); err != nil {
		return nil, watcher{}, fmt.Errorf("make a metadata client: %w", err)
	}
	if w.dynamic, err = dynamic.NewForConfigAndClient(cfg, transport); err != nil {
		return nil, watcher{}, fmt.Errorf("make a dynamic client: %w", err)
	}
	return c, w, nil
}

// identity reads the UID of the namespace kube-system, which identifies the
// cluster, and the version of Kubernetes. Another cluster than the expected one, if it
// is not empty, is an error.
func (c *Conn) identity(ctx context.Context, expected string) (uid, kubernetes string, err error) {
	var system metav1.PartialObjectMetadata
	if err := c.read(ctx, "/api/v1/namespaces/"+metav1.NamespaceSystem, &system); err != nil {
		return "", "", &readError{subject: "the namespace " + metav1.NamespaceSystem, err: err}
	}
	var info version.Info
	if err := c.read(ctx, "/version", &info); err != nil {
		return "", "", &readError{subject: "the version of Kubernetes", err: err}
	}
	if system.UID == "" || info.GitVersion == "" {
		return "", "", errNotKubernetes
	}
	return string(system.UID), info.GitVersion, checkUID(expected, string(system.UID))
}

// read reads one document. It does not retry, because the caller needs to know of
// each failure.
func (c *Conn) read(ctx context.Context, path string, into any) error {
	raw, err := c.discovery.Get().AbsPath(path).
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

// startWatches starts the watches of the kinds that the cluster serves, and of the
// CustomResourceDefinitions. ctx bounds that, and the watches last until run ends.
func (c *Conn) startWatches(ctx, run context.Context, w watcher, o ConnOptions) error {
	for _, gvk := range o.Kinds {
		k := &kindCache{gvk: gvk, facts: observed.FactsOf(gvk.GroupKind()), namespace: o.Namespaces[gvk]}
		c.order = append(c.order, k)
		c.kinds[gvk.GroupKind()] = k
	}
	if o.Runs {
		c.runs = runCache()
	}
	t := newTracker(run, c.discovery, w, c.watched(), o.Log)
	if err := t.startServed(ctx, run); err != nil {
		return err
	}
	if o.EntryPoints {
		c.entryPoints = &kindCache{gvk: coreKind("Service"), facts: observed.FactsOf(coreKind("Service").GroupKind()), selector: observed.EntryPointLabel}
		if err := c.entryPoints.start(run, w, schema.GroupVersionResource{Version: "v1", Resource: "services"}); err != nil {
			return err
		}
	}
	return t.followDefinitions(run)
}

// watched returns the caches that must be filled before the connection is used.
func (c *Conn) watched() []*kindCache {
	if c.runs == nil {
		return c.order
	}
	return append(slices.Clone(c.order), c.runs)
}

// Close ends the watches and waits for them. The caches cannot be read afterwards,
// because they would become outdated unnoticed.
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

// UID identifies the cluster. It is the UID of the namespace kube-system.
func (c *Conn) UID() string { return c.uid }

// Version of Kubernetes when the connection was made, for example v1.34.4.
func (c *Conn) Version() string { return c.version }

// Client reads and writes the API server directly.
func (c *Conn) Client() client.Client { return c.client }

// Synced returns a *NotSyncedError about one kind that has not been read, or nil
// if all kinds have.
func (c *Conn) Synced() error {
	for _, k := range c.watched() {
		if _, err := k.indexer(); err != nil {
			return err
		}
	}
	return nil
}

// denied returns a *NotSyncedError about a kind that the account is not permitted
// to read, or nil if there is none.
func (c *Conn) denied() error {
	for _, k := range c.watched() {
		if err := k.denied(); err != nil {
			return err
		}
	}
	return nil
}

// WaitForSync waits until all kinds have been read. It returns the error of Synced
// if ctx ends before.
func (c *Conn) WaitForSync(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), func() bool { return c.Synced() == nil }) {
		return c.Synced()
	}
	return nil
}

// Get returns the cached metadata of an object with the tenant's labels, or nil if
// there is none. Its maps belong to the cache and must not be modified. It returns
// a *NotSyncedError while the kind has not been read.
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

// Owned returns the cached metadata of all objects with the labels of owner, in
// the order of kinds, namespaces and names. Their maps belong to the cache and
// must not be modified. It returns a *NotSyncedError while any kind that the
// cluster serves has not been read.
func (c *Conn) Owned(_ context.Context, owner plan.Owner) ([]metav1.PartialObjectMetadata, error) {
	var owned []metav1.PartialObjectMetadata
	for _, k := range c.order {
		found, err := k.byIndex(ownerIndex, ownerKey(owner))
		if err != nil {
			return nil, err
		}
		first := len(owned)
		for _, o := range found {
			owned = append(owned, *o.view())
		}
		slices.SortFunc(owned[first:], func(a, b metav1.PartialObjectMetadata) int {
			return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
		})
	}
	return owned, nil
}

// Serves reports whether the cluster serves the kind. It returns a *NotSyncedError
// while that is unknown.
func (c *Conn) Serves(_ context.Context, group, kind string) (bool, error) {
	k, ok := c.kinds[schema.GroupKind{Group: group, Kind: kind}]
	if !ok {
		return false, &UnknownKindError{Group: group, Kind: kind}
	}
	served, known := k.served()
	if !known {
		return false, &NotSyncedError{Group: group, Kind: kind}
	}
	return served, nil
}
