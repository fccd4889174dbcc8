package devstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// orphanVariable makes the test binary start a process of its own and wait.
const orphanVariable = "DEVSTACK_TEST_ORPHAN"

func startOrphan() {
	child, err := StartProcess(context.Background(), Program{
		Name: "orphan", Path: "/bin/sleep", Args: []string{"300"}, Home: os.Getenv(orphanVariable), Logs: os.Getenv(orphanVariable),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(child.command.Process.Pid)
	<-child.Done()
}

// shell is a program that is ready when its script has written the line "up".
func shell(t *testing.T, script string) Program {
	t.Helper()
	dir := t.TempDir()
	program := Program{Name: "script", Path: "/bin/sh", Args: []string{"-c", script}, Home: dir, Logs: dir}
	program.Ready = func(context.Context) error {
		if !slices.Contains(logOf(t, program), "up") {
			return errors.New("the script has not begun")
		}
		return nil
	}
	return program
}

func logOf(t *testing.T, program Program) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(program.Logs, program.Name+".log"))
	if err != nil {
		t.Error(err)
	}
	return strings.Split(string(content), "\n")
}

// gone returns nil if a process has ended. Without a parent that reaps it, as in
// some containers, it stays as a zombie.
func gone(pid int) func(context.Context) error {
	return func(context.Context) error {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return nil
		}
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(state), ") Z ") {
			return nil
		}
		return fmt.Errorf("process %d is still there", pid)
	}
}

func TestProcessDiesWithItsParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), orphanVariable+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(line)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the child does not run: %v", err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	eventually(t, 10*time.Second, gone(pid))
}

func TestProcessEnvironmentIsScrubbed(t *testing.T) {
	t.Setenv("NAUTES_LEAK", "secret")
	program := shell(t, "env; echo up; exec sleep 300")
	program.Env = []string{"WANTED=1"}
	process, err := StartProcess(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = process.Stop() }()
	lines := logOf(t, program)
	for _, want := range []string{"WANTED=1", "HOME=" + program.Home} {
		if !slices.Contains(lines, want) {
			t.Errorf("the environment lacks %s: %q", want, lines)
		}
	}
	if slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "NAUTES_LEAK") }) {
		t.Errorf("the environment leaks: %q", lines)
	}
}

func TestProcessThatDiesTellsItsLastWords(t *testing.T) {
	program := shell(t, "echo first; echo the last words; exit 3")
	program.Ready = func(context.Context) error { return errors.New("not yet") }
	_, err := StartProcess(t.Context(), program)
	var exit *ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("StartProcess: %v, want an *ExitError", err)
	}
	if !strings.Contains(err.Error(), "the last words") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %q, want the end of the log and the exit status", err)
	}
}

func TestProcessThatIsNeverReadyIsStopped(t *testing.T) {
	program := shell(t, "echo $$; echo up; exec sleep 300")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := program.Ready
	program.Ready = func(ctx context.Context) error {
		if begun(ctx) == nil {
			cancel()
		}
		return errors.New("the door is shut")
	}
	_, err := StartProcess(ctx, program)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "the door is shut") {
		t.Errorf("StartProcess: %v, want the end of the wait and the last cause", err)
	}
	var exit *ExitError
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(exit.Last[0])
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, gone(pid))
}

func TestProcessStopAsksFirst(t *testing.T) {
	process, err := StartProcess(t.Context(), shell(t, "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"))
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Err(); err != nil {
		t.Errorf("running: %v", err)
	}
	if err := process.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := process.Err(); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("stopped: %v, want the exit status of its own choice", err)
	}
}

func TestProcessTakesItsChildrenAlong(t *testing.T) {
	program := shell(t, "sleep 300 & echo $!; echo up; wait")
	process, err := StartProcess(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(logOf(t, program)[0])
	if err != nil {
		t.Fatal(err)
	}
	// The process alone ends, as by a crash.
	if err := process.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-process.Done()
	eventually(t, 5*time.Second, gone(child))
	if err := process.Stop(); err != nil {
		t.Errorf("Stop of what has ended: %v", err)
	}
}

func TestProcessStopWhilePaused(t *testing.T) {
	process, err := StartProcess(t.Context(), shell(t, "echo up; exec sleep 300"))
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Pause(); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	if err := process.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(started); took > stopWithin/2 {
		t.Errorf("Stop took %v: it waited for a paused process", took)
	}
	if err := process.Pause(); err == nil {
		t.Error("Pause of a process that has ended: no error")
	}
}

func TestPortsAreReserved(t *testing.T) {
	var first, second ports
	taken, err := first.takeMany(50)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(taken)
	if unique := slices.Compact(slices.Clone(taken)); len(unique) != len(taken) {
		t.Errorf("ports given twice: %v", taken)
	}
	defer second.release()
	for range 50 {
		port, err := second.take()
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(taken, port) {
			t.Errorf("port %d is reserved by another stack", port)
		}
	}
	first.release()
	if len(first.locks) != 0 {
		t.Error("release keeps reservations")
	}
}
