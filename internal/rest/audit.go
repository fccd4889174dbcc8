package rest

import (
	"net/http"
	"strconv"
	"strings"

	"nautes.io/nautes/internal/telemetry"
)

const (
	// refusedRate is the number of lines per second about requests that were turned away,
	// and refusedBurst how many may come at once. Others are only counted.
	refusedRate  = 10
	refusedBurst = 100
	// unadmitted is the operation of requests that were turned away.
	unadmitted = "none"
)

// turnedAway counts a request that was not admitted, and writes an audit line.
func (s *Server) turnedAway(x *exchange, r *http.Request) {
	telemetry.APIRequests.WithLabelValues(unadmitted, strconv.Itoa(x.outcome.Status)).Inc()
	if !s.refused.AllowN(s.options.Now(), 1) {
		return
	}
	s.options.Audit.Info("turned away",
		"token", x.token, "method", printable(r.Method), "path", printable(r.URL.Path), "address", r.RemoteAddr,
		"status", x.outcome.Status, "reason", x.outcome.Reason, "requestID", x.id,
	)
}

// finished counts a request, and writes the audit line of a write.
func (s *Server) finished(x *exchange) {
	status, reason := http.StatusOK, ""
	if x.outcome != nil {
		status, reason = x.outcome.Status, x.outcome.Reason
	}
	telemetry.APIRequests.WithLabelValues(x.op.id, strconv.Itoa(status)).Inc()
	if x.streamed {
		return
	}
	telemetry.APIRequestDuration.WithLabelValues(x.op.id).Observe(s.options.Now().Sub(x.started).Seconds())
	if !x.op.write {
		return
	}
	s.options.Audit.Info("write",
		"user", x.caller.Username, "userID", x.caller.ID, "token", x.caller.key,
		"operation", x.op.id, "product", strings.Map(line, x.product), "name", strings.Map(line, x.name),
		"before", x.before, "commit", x.done.Commit, "changed", x.done.Changed, "file", x.done.Path,
		"dryRun", x.flag(queryDryRun), "skipCheck", x.flag(querySkip),
		"status", status, "reason", reason, "requestID", x.id,
	)
}
