// Package runner is the program that the launchers of pipeline runtimes run. It
// guarantees that a launcher creates at most one run, that the values of an event
// are only ever values in it, and that no credential is printed.
package runner

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"nautes.io/nautes/internal/launch"
)

// Program runs the commands of nautes-runner.
type Program struct {
	// Out gets a line for each action, Err a line for each error. Lines have
	// printable characters only.
	Out, Err io.Writer
	// Pause is the time between the first two attempts; it doubles each time.
	// Attempts is the number of attempts of an action that may succeed later.
	Pause    time.Duration
	Attempts int
}

const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
	attempts     = 5
	// patience is the default time limit of each command but await.
	patience = 5 * time.Minute
	// maxLine is the length at which a message is cut, in bytes.
	maxLine = 4 << 10
)

// New returns the program with the settings of a launcher.
func New(out, err io.Writer) *Program {
	return &Program{Out: out, Err: err, Pause: firstPause, Attempts: attempts}
}

// failure is an error with its exit code.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(code int, format string, args ...any) error {
	return &failure{code: code, err: fmt.Errorf(format, args...)}
}

// command is one of the program's commands.
type command interface {
	// flags declares the flags of the command.
	flags(*flag.FlagSet)
	run(ctx context.Context, p *Program) error
}

const usage = `nautes-runner is run by the launchers of pipeline runtimes.

  nautes-runner launch          creates the run of a pipeline
  nautes-runner await           waits until a run has ended
  nautes-runner verify          fails if no run was created
  nautes-runner commit-status   reports a run to its forge

nautes-runner <command> --help lists the flags of a command.
`

// Run runs the command that the arguments name and returns the exit code, one of
// the constants of package launch.
func (p *Program) Run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		_, _ = io.WriteString(p.Err, usage)
		return launch.ExitUsage
	}
	commands := map[string]command{
		"launch": &launchCommand{}, "await": &awaitCommand{}, "verify": &verifyCommand{}, "commit-status": &statusCommand{},
	}
	c := commands[args[0]]
	switch {
	case args[0] == "help" || args[0] == "--help" || args[0] == "-h":
		_, _ = io.WriteString(p.Out, usage)
		return launch.ExitOK
	case c == nil:
		p.complain("there is no command %q: use launch, await, verify or commit-status", args[0])
		return launch.ExitUsage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	// The messages of package flag quote arguments as they are.
	flags.SetOutput(io.Discard)
	c.flags(flags)
	err := flags.Parse(args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(p.Out)
		flags.PrintDefaults()
		return launch.ExitOK
	case err != nil:
		err = fail(launch.ExitUsage, "%w", err)
	case flags.NArg() > 0:
		err = fail(launch.ExitUsage, "%q is not a flag: see nautes-runner %s --help", flags.Arg(0), args[0])
	default:
		err = c.run(ctx, p)
	}
	if err == nil {
		return launch.ExitOK
	}
	p.complain("%v", err)
	var f *failure
	if errors.As(err, &f) {
		return f.code
	}
	return launch.ExitUsage
}

// say and complain print a line.
func (p *Program) say(format string, args ...any) { printLine(p.Out, format, args...) }

func (p *Program) complain(format string, args ...any) {
	printLine(p.Err, "nautes-runner: "+format, args...)
}

// printLine prints one line of printable characters. Messages quote text from
// outside, which must not control a terminal or add lines.
func printLine(w io.Writer, format string, args ...any) {
	var line strings.Builder
	for _, r := range fmt.Sprintf(format, args...) {
		switch {
		case line.Len() >= maxLine:
		case r == '\n':
			line.WriteString("; ")
		case unicode.IsPrint(r):
			line.WriteRune(r)
		default:
			line.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	_, _ = fmt.Fprintln(w, line.String())
}

// retry calls do until it succeeds, until again returns false for its error, or until
// the attempts are used up. A negative number of attempts is no limit.
func (p *Program) retry(ctx context.Context, attempts int, again func(error) bool, do func(context.Context) error) error {
	pause := p.Pause
	for tried := 1; ; tried++ {
		err := do(ctx)
		if err == nil || ctx.Err() != nil || tried == attempts || !again(err) {
			return err
		}
		if wait(ctx, pause) != nil {
			return err
		}
		pause = min(2*pause, longestPause)
	}
}

func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeResult writes a result of a step to the file where Tekton reads it. An empty
// path means that the result is not needed.
func writeResult(path, value string) error {
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
		return fail(launch.ExitReport, "write the result: %w", err)
	}
	return nil
}
