// Package eventstest holds tests only: they run the objects that Nautes writes for
// Argo Events in Argo Events' own engine.
package eventstest
