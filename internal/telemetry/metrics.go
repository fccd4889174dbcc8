// Package telemetry defines all metrics that Nautes exports, and configures its
// log. It guarantees that the values of a metric's label do not grow with the
// number of products or objects. Labels are kinds, verbs, results and names of
// clusters only.
package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	// ApplyWrites counts the objects that API servers had to change. target_kind is
	// Tenant or Cluster, and verb is apply or delete.
	ApplyWrites = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nautes_apply_writes_total",
		Help: "Objects that API servers had to change, by the kind of target and the verb.",
	}, []string{"target_kind", "verb"})

	// ApplyUnchanged counts the objects that were already in the desired state.
	ApplyUnchanged = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "nautes_apply_unchanged_total",
		Help: "Objects that were already in the desired state.",
	})

	// PruneDeletes counts the objects that were deleted because nothing requires
	// them any more.
	PruneDeletes = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "nautes_prune_deletes_total",
		Help: "Objects deleted because nothing requires them any more.",
	})

	// GitFetches counts the fetches of Git repositories. result is ok or error.
	GitFetches = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nautes_git_fetches_total",
		Help: "Fetches of Git repositories by result.",
	}, []string{"result"})

	// GitFetchDuration observes the duration of a fetch of a Git repository, in
	// seconds. It includes failed fetches.
	GitFetchDuration = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "nautes_git_fetch_duration_seconds",
		Help:    "Duration of a fetch of a Git repository.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	})

	// GitChangesFoundByPoll counts the revisions that no push hook announced.
	GitChangesFoundByPoll = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "nautes_git_changes_found_by_poll_total",
		Help: "New revisions that were found by polling and not announced by a push hook.",
	})

	// APIRequests counts the requests to the REST API. operation is the id of the
	// operation, and code the status of the reply.
	APIRequests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nautes_api_requests_total",
		Help: "Requests to the REST API by operation and status.",
	}, []string{"operation", "code"})

	// APIRequestDuration observes the duration of a request to the REST API, in seconds.
	APIRequestDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "nautes_api_request_duration_seconds",
		Help:    "Duration of a request to the REST API by operation.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"operation"})

	// APIWatchers is the number of requests to the REST API that watch a list.
	APIWatchers = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "nautes_api_watchers",
		Help: "Requests to the REST API that watch a list.",
	})

	// PushHooks counts the requests to the push receiver. result is one of the
	// receiver's Result constants.
	PushHooks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nautes_push_hooks_total",
		Help: "Requests to the push receiver by result.",
	}, []string{"result"})

	// ClusterConnected is 1 if a runtime cluster is connected, and 0 otherwise. The
	// series of a removed cluster must be deleted.
	ClusterConnected = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "nautes_cluster_connected",
		Help: "Whether a runtime cluster is connected: 1 or 0.",
	}, []string{"cluster"})

	// ReconcileOutcomes counts reconciliations. class is ready, waiting, stalled
	// or error.
	ReconcileOutcomes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nautes_reconcile_outcomes_total",
		Help: "Reconciliations by the kind of the object and the class of the outcome.",
	}, []string{"kind", "class"})

	// PushToMirrored observes, in seconds, the time from the receipt of a push
	// hook to the moment its revision is applied to the tenant cluster.
	PushToMirrored = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "nautes_push_to_applied_seconds",
		Help:    "Time from the receipt of a push hook until its revision is applied to the tenant cluster.",
		Buckets: []float64{.025, .05, .1, .2, .3, .5, .75, 1, 2.5, 5, 10, 30, 60},
	})
)

// collectors lists every metric above.
func collectors() []prometheus.Collector {
	return []prometheus.Collector{
		ApplyWrites, ApplyUnchanged, PruneDeletes,
		GitFetches, GitFetchDuration, GitChangesFoundByPoll, PushHooks,
		ClusterConnected, ReconcileOutcomes, PushToMirrored, APIRequests, APIRequestDuration, APIWatchers,
	}
}

// The manager serves controller-runtime's registry, so every program that links
// this package exports these metrics.
func init() { metrics.Registry.MustRegister(collectors()...) }

// ObserveApply counts the objects of one applied set: written by the server,
// already in the desired state, and deleted. The kind of the target is Tenant or
// Cluster.
func ObserveApply(targetKind string, written, unchanged, deleted int) {
	ApplyWrites.WithLabelValues(targetKind, "apply").Add(float64(written))
	ApplyWrites.WithLabelValues(targetKind, "delete").Add(float64(deleted))
	ApplyUnchanged.Add(float64(unchanged))
	PruneDeletes.Add(float64(deleted))
}

// ObserveFetch counts a fetch of a Git repository that began at the given time and
// has just ended.
func ObserveFetch(began time.Time, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	GitFetches.WithLabelValues(result).Inc()
	GitFetchDuration.Observe(time.Since(began).Seconds())
}
