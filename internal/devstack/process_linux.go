package devstack

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// childAttributes gives a child its own process group and ends it when this
// process ends, however it ends.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// waitFrozen returns when a child that was sent SIGSTOP has stopped, or has
// ended: its threads go on for a moment after the signal was sent.
func waitFrozen(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
