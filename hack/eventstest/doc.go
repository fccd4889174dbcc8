// Package eventstest holds no code, only tests: what Nautes writes for Argo
// Events, held against Argo Events' own engine.
package eventstest
