package summary

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/git"
)

func TestFetchProblem(t *testing.T) {
	failure := func(err error) error {
		return fmt.Errorf("fetch: %w", &git.Error{Repository: "git.example.com/a", Err: err, Reason: "the reason"})
	}
	for name, tt := range map[string]struct {
		err          error
		wantTerminal bool
		want         string
	}{
		"credentials": {failure(git.ErrAuthentication), true, "spec.secretRef"},
		"branch":      {failure(git.ErrBranchMissing), true, "spec.branch"},
		"repository":  {failure(git.ErrRepositoryMissing), true, "the reason"},
		"refused":     {failure(git.ErrRefused), true, "the reason"},
		"certificate": {failure(git.ErrCertificate), true, "the reason"},
		"early":       {failure(git.ErrCertificateEarly), false, "tried again when the certificate becomes valid"},
		"too large":   {&git.LimitError{Key: "p", Quantity: git.LimitFiles, Limit: 1}, true, "limit of 1"},
		"unreachable": {failure(git.ErrUnreachable), false, "the reason; it is tried again"},
		"disk":        {failure(git.ErrNoSpace), false, "the reason"},
		"disk, here":  {fmt.Errorf("new mirror: %w", syscall.ENOSPC), false, "disk is full"},
		"quota, here": {fmt.Errorf("new mirror: %w", syscall.EDQUOT), false, "disk is full"},
		"read-only":   {fmt.Errorf("new mirror: %w", syscall.EROFS), false, "disk is full"},
		"unexplained": {&git.CommandError{Repository: "git.example.com/a", Command: "fetch", Code: 128, Detail: "canary"}, false, "exit code 128"},
		"unexpected":  {errors.New("canary"), false, "could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			got := engine.Classify(FetchProblem(tt.err), nil)
			if (got.Class == engine.ClassTerminal) != tt.wantTerminal || !strings.Contains(got.Message, tt.want) || strings.Contains(got.Message, "canary") {
				t.Errorf("%+v, want terminal %t, %q", got, tt.wantTerminal, tt.want)
			}
		})
	}
}
