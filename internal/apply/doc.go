// Package apply writes plans to Kubernetes API servers and to other systems, as
// a secret store. It guarantees that what is not ours is neither changed nor
// removed, that nothing is removed on the strength of a read that failed, and
// that an unchanged plan over an unchanged target causes no write.
package apply
