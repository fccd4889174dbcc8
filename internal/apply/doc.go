// Package apply writes plans to Kubernetes API servers and to other systems, for
// example a secret store. It guarantees that foreign objects are neither changed
// nor removed, that nothing is removed after a failed read, and that an unchanged
// plan over an unchanged target causes no write. It logs each object that it
// writes, deletes or refuses.
package apply
