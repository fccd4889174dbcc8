package api_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"k8s.io/client-go/rest"

	"nautes.io/nautes/test/devstack"
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
	stack, err := devstack.Start(context.Background(), devstack.Options{})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stack.Stop()) }()
	server = stack.Tenant.Config()
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
