// Package devstack runs the real programs around Nautes on one machine:
// etcd, Kubernetes control planes, a Git host, Vault, Argo CD, HNC, Argo Events
// with its event bus, and Tekton, on loopback wherever a program has a setting
// for it. It guarantees that no process outlives it: Stop ends every process, and
// a process that dies takes its children along.
//
// It is for `make demo` and for tests. Its programs come from bin/, which
// `make tools` (etcd, Kubernetes and Vault) and `make demo-tools` (all) fill.
package devstack
