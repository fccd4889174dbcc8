// Package scenario prepares the common part of tests, the demo and the benchmark: an
// operator beside a stack, registered clusters, and products with their repositories.
// It guarantees that all of them do it in the same way, and that the operator has the
// permissions in config/rbac and no others.
package scenario
