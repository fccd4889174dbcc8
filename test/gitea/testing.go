package gitea

import (
	"context"
	"errors"
	"testing"
	"time"

	"nautes.io/nautes/test/devstack"
)

const startWithin = 2 * time.Minute

// New starts a Gitea for one test, which ends with it. It skips the test if Gitea has
// not been built, and names the make target that builds it.
func New(t testing.TB) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	s, err := Start(ctx, Options{Dir: t.TempDir()})
	var missing *devstack.MissingError
	switch {
	case errors.As(err, &missing):
		t.Skip(missing)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}
