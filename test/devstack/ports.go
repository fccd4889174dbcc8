package devstack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// The ports lie below those that the kernel gives to outgoing connections, so
// that no other program takes the port of a control plane while it is stopped.
const (
	firstPort = 20000
	lastPort  = 32000
	portTries = 200
)

var errNoPort = errors.New("no free port on 127.0.0.1 between " + strconv.Itoa(firstPort) + " and " + strconv.Itoa(lastPort))

// ports hands out loopback ports. A port stays reserved against the user's other
// stacks, also in other processes, until release; when a process dies its reservations
// go with it, since the kernel drops the locks.
type ports struct {
	mutex sync.Mutex
	locks []*os.File
}

// take reserves a free port.
func (p *ports) take() (int, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	dir := filepath.Join(os.TempDir(), "nautes-devstack-ports-"+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("reserve a port: %w", err)
	}
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort)
		lock, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && isFree(port) {
			p.locks = append(p.locks, lock)
			return port, nil
		}
		_ = lock.Close()
	}
	return 0, errNoPort
}

// takeMany reserves n free ports.
func (p *ports) takeMany(n int) ([]int, error) {
	taken := make([]int, n)
	for i := range taken {
		port, err := p.take()
		if err != nil {
			return nil, err
		}
		taken[i] = port
	}
	return taken, nil
}

// release gives all ports back.
func (p *ports) release() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, lock := range p.locks {
		_ = lock.Close()
	}
	p.locks = nil
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

// loopback returns 127.0.0.1:<port>.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// ReservePorts reserves free loopback ports for programs outside of a stack, until
// release is called.
func ReservePorts(n int) (reserved []int, release func(), err error) {
	p := &ports{}
	reserved, err = p.takeMany(n)
	if err != nil {
		p.release()
		return nil, nil, err
	}
	return reserved, p.release, nil
}
