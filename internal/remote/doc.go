// Package remote holds the connections to Kubernetes clusters. It guarantees
// that asking for a connection never waits for a cluster: connecting, probing,
// reconnecting and closing belong to one loop per cluster, so that a dead or a
// slow cluster costs the others nothing.
package remote
