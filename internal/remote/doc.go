// Package remote keeps the connections to Kubernetes clusters. It guarantees that
// getting a connection never waits for a cluster. One loop per cluster connects,
// probes, reconnects and closes, so that a dead or slow cluster does not delay the
// others.
package remote
