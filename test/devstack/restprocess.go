package devstack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// RESTServer is nautes-apiserver as a process.
type RESTServer struct {
	*Process
	// URL of the API, without a path.
	URL string
	// Log is the file with the output of the process.
	Log string
}

// StartRESTServer starts the program nautes-apiserver at a path, with further arguments.
// It has the permissions of the operator's user.
func (s *Stack) StartRESTServer(ctx context.Context, program string, config OperatorConfig, args ...string) (*RESTServer, error) {
	kubeconfig, err := s.Tenant.KubeconfigFor(OperatorUser)
	if err != nil {
		return nil, err
	}
	taken, err := s.ports.takeMany(1)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the REST server: %w", err)
	}
	file, err := config.Write()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(config.Dir, "kubeconfig")
	if err := os.WriteFile(path, kubeconfig, 0o600); err != nil {
		return nil, fmt.Errorf("write the kubeconfig of the REST server: %w", err)
	}
	const name = "nautes-apiserver"
	r := &RESTServer{URL: "http://" + loopback(taken[0]), Log: filepath.Join(s.logs(), name+".log")}
	r.Process, err = StartProcess(ctx, Program{
		Name: name, Path: program, Home: config.Dir, Logs: s.logs(),
		Env: []string{"KUBECONFIG=" + path, "PATH=" + os.Getenv("PATH")},
		Args: append([]string{
			"--config", file, "--address", loopback(taken[0]), "--cache-dir", filepath.Join(config.Dir, "mirrors"),
			"--metrics-address", "0", "--probes-address", "0",
		}, args...),
		Ready: httpReady(r.URL + "/readyz"),
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}
