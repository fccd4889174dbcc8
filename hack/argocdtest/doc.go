// Package argocdtest holds no code, only tests: what Nautes writes for Argo CD,
// held against Argo CD's own validation.
package argocdtest
