package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const startWithin = 3 * time.Minute

// Shared is one stack for all the tests of a package. The first test that asks
// starts it, so that tests which need none do not wait for one.
//
//	var shared = devstack.Shared{Options: devstack.Options{Runtimes: []string{"a", "b"}}}
//
//	func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }
//
//	func TestX(t *testing.T) { stack := shared.Stack(t) … }
type Shared struct {
	Options Options

	once  sync.Once
	stack *Stack
	err   error
}

// Run runs the tests, stops the stack, and returns the exit code. The logs of
// the programs stay when a test has failed, and Run says where they are.
func (s *Shared) Run(m *testing.M) int {
	code := m.Run()
	if s.stack == nil {
		return code
	}
	died := s.stack.Err()
	if err := s.stack.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if code != 0 {
		if died != nil {
			fmt.Fprintln(os.Stderr, died)
		}
		fmt.Fprintln(os.Stderr, "the logs of the stack are in", s.stack.logs())
		s.clean(func(name string) bool { return name != filepath.Base(s.stack.logs()) })
		return code
	}
	s.clean(func(string) bool { return true })
	_ = os.Remove(s.stack.Dir)
	return code
}

// clean removes the files in the directory of the stack.
func (s *Shared) clean(goes func(name string) bool) {
	entries, err := os.ReadDir(s.stack.Dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	for _, entry := range entries {
		if goes(entry.Name()) {
			_ = os.RemoveAll(filepath.Join(s.stack.Dir, entry.Name()))
		}
	}
}

// Stack returns the stack of the package. The test fails when it does not
// start, with the make target to run when programs are missing.
func (s *Shared) Stack(t testing.TB) *Stack {
	t.Helper()
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startWithin)
		defer cancel()
		options := s.Options
		if options.Dir, s.err = os.MkdirTemp("", "nautes-test-"); s.err == nil {
			s.stack, s.err = Start(ctx, options)
		}
	})
	if s.err != nil {
		t.Fatalf("no test stack: %v", s.err)
	}
	return s.stack
}

// SkipUnbuilt skips a test whose stack, with these options, needs programs that
// have not been built, and names the make target that builds them.
func SkipUnbuilt(t testing.TB, o Options) {
	t.Helper()
	err := programs{bin: o.BinDir}.check(o.needed()...)
	var missing *MissingError
	switch {
	case errors.As(err, &missing):
		t.Skip(missing)
	case err != nil:
		t.Fatal(err)
	}
}
