// Package apply writes plans to Kubernetes API servers. It guarantees that what
// is not ours is neither changed nor removed, that nothing is removed on the
// strength of a read that failed, and that an unchanged plan over an unchanged
// cluster causes no write.
package apply
