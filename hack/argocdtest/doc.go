// Package argocdtest holds tests only: they check the objects that Nautes writes for
// Argo CD against Argo CD's own validation.
package argocdtest
