//go:build !linux

package devstack

import "syscall"

// childAttributes gives a child its own process group. Only Linux can end it
// with its parent.
func childAttributes(bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// waitFrozen does nothing: there is no portable way to learn of it.
func waitFrozen(int) error { return nil }
