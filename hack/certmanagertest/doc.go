// Package certmanagertest holds tests only: they give the Ingresses that Nautes writes to
// cert-manager's own controller for Ingresses.
package certmanagertest
