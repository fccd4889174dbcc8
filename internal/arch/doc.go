// Package arch holds no code, only tests of what no linter can see: every package
// has a rule for its imports in .golangci.yml, and the documents match the code.
package arch
