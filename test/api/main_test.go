package api_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// root is the module's root, seen from this package.
const root = "../.."

// server is the connection to the API server that all tests of the package share.
var server *rest.Config

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := runWithServer(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// runWithServer runs the tests against a kube-apiserver that serves the
// generated CRDs, and then asks whether every rule of them refused something.
func runWithServer(m *testing.M) (code int, err error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		assets = filepath.Join(root, "bin")
	}
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if _, err := os.Stat(filepath.Join(assets, name)); err != nil {
			return 1, fmt.Errorf("%s is missing in %s: run `make tools`, or set KUBEBUILDER_ASSETS to a directory that has it", name, assets)
		}
	}
	environment := &envtest.Environment{
		BinaryAssetsDirectory: assets,
		CRDDirectoryPaths:     []string{filepath.Join(root, "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	// It lives shortly and has little to keep, so it collects garbage less often
	// than by itself, which saves a quarter of the tests' work.
	for name, value := range map[string]string{"GOGC": "400", "GOMEMLIMIT": "1GiB"} {
		if err := os.Setenv(name, value); err != nil {
			return 1, err
		}
	}
	// A start that fails at the CRDs leaves the processes running, too.
	defer func() { err = errors.Join(err, environment.Stop()) }()
	server, err = environment.Start()
	if err != nil {
		return 1, fmt.Errorf("the API server did not start, or refused the CRDs: %w", err)
	}
	server.QPS = -1

	if err := createNamespaces(context.Background()); err != nil {
		return 1, err
	}
	code = m.Run()
	if code == 0 && flag.Lookup("test.run").Value.String() == "" {
		err = refusedByEveryRule()
	}
	return code, err
}
