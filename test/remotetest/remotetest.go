// Package remotetest gives the tests of a package an API server of a stack, with
// real CRDs. It guarantees that a test never passes without one: it fails with a
// message that explains how to get it.
package remotetest

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"nautes.io/nautes/test/devstack"
)

// patience is the time limit of Eventually, on a machine that runs other tests as well.
const patience = 2 * time.Minute

// Server is the API server of a package's tests, without CRDs. It starts with the
// first test that needs it.
type Server struct{ stack devstack.Shared }

// Kubeconfig returns the administrator's kubeconfig of the API server, with a client
// certificate.
func (s *Server) Kubeconfig(t testing.TB) []byte {
	t.Helper()
	return s.stack.Stack(t).Tenant.Kubeconfig()
}

// Config returns the administrator's configuration of the API server.
func (s *Server) Config(t testing.TB) *rest.Config {
	t.Helper()
	return s.stack.Stack(t).Tenant.Config()
}

// Main runs the tests and stops the API server. It returns the exit code for os.Exit.
func (s *Server) Main(m *testing.M) int {
	log.SetLogger(logr.Discard())
	s.stack.Options.Bare = true
	return s.stack.Run(m)
}

// The files with the real CRDs, in the form module:file.
const (
	CRDApplication            = "github.com/argoproj/argo-cd/v2:manifests/crds/application-crd.yaml"
	CRDAppProject             = "github.com/argoproj/argo-cd/v2:manifests/crds/appproject-crd.yaml"
	CRDPipelineRun            = "github.com/tektoncd/pipeline:config/300-crds/300-pipelinerun.yaml"
	CRDHierarchyConfiguration = "sigs.k8s.io/hierarchical-namespaces:config/crd/bases/hnc.x-k8s.io_hierarchyconfigurations.yaml"
)

// InstallCRDs installs CRDs from files in the form module:file, and waits until they
// are served.
func InstallCRDs(t testing.TB, cfg *rest.Config, crds ...string) {
	t.Helper()
	if err := devstack.InstallCRDs(t.Context(), cfg, files(t, crds)...); err != nil {
		t.Fatal(err)
	}
}

// RemoveCRDs deletes the CRDs in files in the form module:file.
func RemoveCRDs(t testing.TB, cfg *rest.Config, crds ...string) {
	t.Helper()
	if err := envtest.UninstallCRDs(cfg, envtest.CRDInstallOptions{Paths: files(t, crds), ErrorIfPathMissing: true}); err != nil {
		t.Fatalf("remove CRDs: %v", err)
	}
}

func files(t testing.TB, crds []string) []string {
	t.Helper()
	var paths []string
	for _, crd := range crds {
		module, file, _ := strings.Cut(crd, ":")
		dir, err := devstack.ModuleDir(t.Context(), module)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, filepath.Join(dir, file))
	}
	return paths
}

// Unique returns a unique name with a prefix.
func Unique(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:8]) }

// Eventually waits until check returns nil. It fails the test with the last error if
// that takes too long.
func Eventually(t testing.TB, what string, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}
