package scenario

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Until returns the last answer when its time is over, and why its context ended when
// that came first.
func TestUntil(t *testing.T) {
	answer, cause := errors.New("not ready"), errors.New("a program has ended")
	tests := map[string]struct {
		patience time.Duration
		// answers before nil; then the context is ended, if endAfter says so.
		answers, endAfter int
		want              []error
	}{
		"ready at once":       {patience: time.Minute},
		"ready later":         {patience: time.Minute, answers: 3},
		"never ready":         {patience: 50 * time.Millisecond, answers: 1000, want: []error{answer}},
		"ended while waiting": {patience: time.Minute, answers: 1000, endAfter: 2, want: []error{answer, cause}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ctx, end := context.WithCancelCause(t.Context())
			defer end(nil)
			asked := 0
			err := Until(ctx, test.patience, "it", func(context.Context) error {
				if asked++; asked > test.answers {
					return nil
				}
				if asked == test.endAfter {
					end(cause)
				}
				return answer
			})
			if (err != nil) != (len(test.want) > 0) {
				t.Fatalf("error %v after %d questions", err, asked)
			}
			for _, want := range test.want {
				if !errors.Is(err, want) {
					t.Errorf("error %v, want %v in it", err, want)
				}
			}
			if err == nil && asked != test.answers+1 {
				t.Errorf("%d questions, want %d", asked, test.answers+1)
			}
		})
	}
}

// An answer to a question that the end of the time cuts short explains nothing.
func TestUntilForgetsCutAnswers(t *testing.T) {
	answer := errors.New("not ready")
	asked := 0
	err := Until(t.Context(), 50*time.Millisecond, "it", func(ctx context.Context) error {
		if asked++; asked == 1 {
			return answer
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, answer) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want %v alone", err, answer)
	}
}
