// Package arch holds no code, only the test of the house plan. It guarantees
// that imports point one way, that the pure packages stay pure, and that the
// types of another project are used in the rooms that its job names.
package arch
