package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	readyWithin  = 2 * time.Minute
	readyEvery   = 100 * time.Millisecond
	stopWithin   = 10 * time.Second
	logLinesKept = 15
)

// Program describes a program to run.
type Program struct {
	// Name is for messages and for the log file, <Logs>/<Name>.log.
	Name string
	// Path of the executable file, and its arguments.
	Path string
	Args []string
	// Env is added to a scrubbed environment: PATH, HOME and TMPDIR (both Home),
	// and LC_ALL=C.
	Env []string
	// Home is the working directory, made when it is missing.
	Home string
	// Logs is the directory of log files; a program that starts again appends.
	Logs string
	// Ready is asked until it returns nil; nil means ready at once.
	Ready func(context.Context) error

	// mounts makes it a mounting program: it is root, in a user namespace when
	// this process is not.
	mounts bool
}

// ExitError reports that a program ended by itself or did not become ready.
type ExitError struct {
	Program string
	Err     error
	Log     string
	// Last holds the last lines of the log.
	Last []string
}

// Error implements error.
func (e *ExitError) Error() string {
	return fmt.Sprintf("%s: %v; its log %s ends:\n\t%s", e.Program, e.Err, e.Log, strings.Join(e.Last, "\n\t"))
}

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Err }

var errExited = errors.New("ended")

// Process is a running program. Its methods may be called at any time and from
// several goroutines.
type Process struct {
	program Program
	log     string
	command *exec.Cmd
	done    chan struct{}
	err     error

	mutex  sync.Mutex
	paused bool
}

// StartProcess runs a program in a process group of its own and waits until it
// is ready. One that ends or is not ready in time is an *ExitError, and is
// stopped.
func StartProcess(ctx context.Context, program Program) (*Process, error) {
	for _, dir := range []string{program.Home, program.Logs} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("start %s: %w", program.Name, err)
		}
	}
	p := &Process{
		program: program,
		log:     filepath.Join(program.Logs, program.Name+".log"),
		done:    make(chan struct{}),
	}
	if err := p.spawn(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program.Name, err)
	}
	if err := p.waitReady(ctx); err != nil {
		failure := &ExitError{Program: program.Name, Err: err, Log: p.log, Last: lastLines(p.log)}
		return nil, errors.Join(failure, p.Stop())
	}
	return p, nil
}

func (p *Process) spawn() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	p.command = exec.Command(p.program.Path, p.program.Args...)
	p.command.Dir = p.program.Home
	p.command.Env = append(scrubbedEnv(p.program.Home), p.program.Env...)
	p.command.Stdout, p.command.Stderr = log, log
	p.command.SysProcAttr = childAttributes(p.program.mounts)

	started := make(chan error)
	go func() {
		// The kernel ends the child when the thread that made it ends, so
		// that thread stays here until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer func() { _ = log.Close() }()
		err := p.command.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = p.command.Wait()
		// Processes that it started and left behind end with it.
		_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL)
		close(p.done)
	}()
	return <-started
}

func scrubbedEnv(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "LC_ALL=C"}
}

// thrifty are settings of the Go programs of a control plane, which live shortly
// and have little to keep: they collect garbage less often than by themselves,
// which takes a third of their work away, until they have grown large.
func thrifty() []string { return []string{"GOGC=400", "GOMEMLIMIT=1GiB"} }

func (p *Process) waitReady(ctx context.Context) error {
	if p.program.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	err := poll(ctx, func(ctx context.Context) error {
		select {
		case <-p.done:
			return final{p.exitCause()}
		default:
			return p.program.Ready(ctx)
		}
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("is not ready: %w", err)
	}
	return err
}

func (p *Process) exitCause() error {
	if p.err != nil {
		return fmt.Errorf("%w: %w", errExited, p.err)
	}
	return errExited
}

// Done is closed when the process has ended, by Stop or by itself.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns nil while the process runs, and an *ExitError with the end of its
// log when it has ended.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return &ExitError{Program: p.program.Name, Err: p.exitCause(), Log: p.log, Last: lastLines(p.log)}
	default:
		return nil
	}
}

// Pause freezes the process group: its connections stay open and get no answer.
func (p *Process) Pause() error { return p.freeze(true) }

// Resume ends a Pause.
func (p *Process) Resume() error { return p.freeze(false) }

func (p *Process) freeze(stop bool) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	signal := syscall.SIGCONT
	if stop {
		signal = syscall.SIGSTOP
	}
	if err := p.signal(signal); err != nil {
		return fmt.Errorf("send %v to %s: %w", signal, p.program.Name, err)
	}
	p.paused = stop
	if stop {
		if err := waitFrozen(p.command.Process.Pid); err != nil {
			return fmt.Errorf("wait for %s to stop: %w", p.program.Name, err)
		}
	}
	return nil
}

// Stop asks the process group to end, kills it when it does not within ten
// seconds or is paused, and returns when it is gone. It is no error when it was
// gone before.
func (p *Process) Stop() error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if !p.paused {
		_ = p.signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(stopWithin):
		}
	}
	return p.killLocked()
}

// Kill ends the process group at once, as a crash would, and returns when it is gone.
func (p *Process) Kill() error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.killLocked()
}

func (p *Process) killLocked() error {
	_ = p.signal(syscall.SIGKILL)
	p.paused = false
	select {
	case <-p.done:
		return nil
	case <-time.After(stopWithin):
		return fmt.Errorf("stop %s: process %d is still there", p.program.Name, p.command.Process.Pid)
	}
}

// signal never reaches a process group that has ended: its number may be
// another's by now.
func (p *Process) signal(signal syscall.Signal) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
	}
	return syscall.Kill(-p.command.Process.Pid, signal)
}

func lastLines(path string) []string {
	content, err := os.ReadFile(path)
	if err != nil {
		return []string{err.Error()}
	}
	lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return lines[max(0, len(lines)-logLinesKept):]
}

// final marks an error that ends a poll.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// poll calls done until it returns nil or a final error, or ctx ends; then the
// last error of done is the cause.
func poll(ctx context.Context, done func(context.Context) error) error {
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	var last error
	for {
		err := done(ctx)
		var end final
		switch {
		case err == nil:
			return nil
		case errors.As(err, &end):
			return end.error
		case ctx.Err() == nil || last == nil:
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), last)
		case <-tick.C:
		}
	}
}

// PID returns the process's id.
func (p *Process) PID() int { return p.command.Process.Pid }
