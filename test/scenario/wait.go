package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Patience bounds a wait, unless its caller sets another limit. Many tests at a time
// make each of them wait longer on a busy machine.
const Patience = 3 * time.Minute

// The pause between two questions grows with the duration of the wait, and with the time
// that an answer takes: a fast answer is seen at once, and slow work is not held up by
// the questions.
const (
	firstPause   = 10 * time.Millisecond
	longestPause = 500 * time.Millisecond
	pauseShare   = 10
	pauseAnswers = 4
)

// Until asks until the answer is nil, and for no longer than patience. Then it returns
// the last answer.
func Until(ctx context.Context, patience time.Duration, what string, ask func(context.Context) error) error {
	began := time.Now()
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for {
		asked := time.Now()
		err := ask(within)
		if err == nil {
			return nil
		}
		// An answer to a question that was cut short explains nothing.
		if within.Err() == nil || last == nil {
			last = err
		}
		pause := max(firstPause, time.Since(began)/pauseShare, pauseAnswers*time.Since(asked))
		if Pause(within, min(longestPause, pause)) == nil {
			continue
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, errors.Join(context.Cause(ctx), last))
		}
		return fmt.Errorf("%s: not within %s: %w", what, patience, last)
	}
}

// Pause waits for a time, or until the context ends, whose error it returns.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
