package summary

import (
	"errors"
	"syscall"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/git"
)

// FetchProblem returns the reason why a repository cannot be read. Only a cause that a
// person must remove is terminal.
func FetchProblem(err error) error {
	var limit *git.LimitError
	var unexplained *git.CommandError
	switch {
	case errors.Is(err, git.ErrAuthentication):
		return engine.Terminal(v1alpha1.ReasonFetchFailed, "%s: check the Secret of spec.secretRef or the provider's token", err)
	case errors.Is(err, git.ErrBranchMissing):
		return engine.Terminal(v1alpha1.ReasonFetchFailed, "%s; spec.branch sets the branch, which is main without it", err)
	case errors.Is(err, git.ErrCertificateEarly):
		return engine.Waiting(v1alpha1.ReasonFetchFailed, "%s; it is tried again when the certificate becomes valid", err)
	case errors.Is(err, git.ErrRepositoryMissing), errors.Is(err, git.ErrRefused), errors.Is(err, git.ErrCertificate), errors.As(err, &limit):
		return engine.Terminal(v1alpha1.ReasonFetchFailed, "%s", err)
	case errors.Is(err, git.ErrUnreachable), errors.Is(err, git.ErrNoSpace), errors.As(err, &unexplained):
		return engine.Waiting(v1alpha1.ReasonFetchFailed, "%s; it is tried again", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EROFS):
		return engine.Waiting(v1alpha1.ReasonFetchFailed, "the repository could not be read, because the operator's disk is full or cannot be written to: give it more room; it is tried again")
	}
	return engine.Waiting(v1alpha1.ReasonFetchFailed, "the repository could not be read; it is tried again")
}
