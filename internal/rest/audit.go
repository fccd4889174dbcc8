package rest

import (
	"net/http"
	"strconv"
	"strings"

	"nautes.io/nautes/internal/telemetry"
)

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
