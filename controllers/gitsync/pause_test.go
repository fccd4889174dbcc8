package gitsync

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"nautes.io/nautes/internal/git"
)

func TestPauseAfter(t *testing.T) {
	const poll = 5 * time.Minute
	early := func(in time.Duration) error {
		return fmt.Errorf("fetch: %w", &git.Error{Err: git.ErrCertificateEarly, ValidFrom: time.Now().Add(in)})
	}
	for name, test := range map[string]struct {
		err      error
		failures int
		want     time.Duration
	}{
		"the first failure":                 {err: errors.New("x"), failures: 1, want: time.Second},
		"a later one":                       {err: errors.New("x"), failures: 6, want: 32 * time.Second},
		"many":                              {err: errors.New("x"), failures: 100, want: poll},
		"the server wants a pause":          {err: &git.Error{Err: git.ErrUnreachable, RetryAfter: time.Minute}, failures: 1, want: time.Minute},
		"the certificate is valid soon":     {err: early(20 * time.Second), failures: 9, want: 20 * time.Second},
		"the certificate is valid tomorrow": {err: early(24 * time.Hour), failures: 9, want: 256 * time.Second},
		"the certificate is valid now":      {err: early(-time.Second), failures: 9, want: time.Second},
	} {
		got := pauseAfter(test.err, test.failures, poll)
		if low, high := test.want-time.Second/2, test.want*11/10+time.Second/2; got < low || got > high {
			t.Errorf("%s: %v, want about %v", name, got, test.want)
		}
	}
}
