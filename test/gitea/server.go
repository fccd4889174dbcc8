// Package gitea runs a real Gitea on loopback, for tests and the demo: its hooks may call
// loopback, and it serves Git by HTTP and SSH. It guarantees that nothing of it runs
// after Stop.
package gitea

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"nautes.io/nautes/test/devstack"
)

const (
	program = "gitea"
	// static is the directory beside the program with the pages and texts that it reads.
	static = "gitea-static"
	// AdminName is the user name of the administrator.
	AdminName = "root-admin"
)

// Options say where a Server keeps its files.
type Options struct {
	// Dir has the database and the repositories. It must be empty or missing.
	Dir string
	// Logs is the directory of the log file; empty: Dir/logs.
	Logs string
	// HookProxy is the URL of the proxy for deliveries to HookHosts, a pattern such as
	// *.example.com. CA has certificates in PEM that deliveries trust.
	HookProxy, HookHosts string
	CA                   []byte
}

// Server is a running Gitea.
type Server struct {
	// URL is http://127.0.0.1:<port>. The API is at URL/api/v1.
	URL string
	// SSHAddress is 127.0.0.1:<port>, and SSHHostKey its line for known_hosts.
	SSHAddress, SSHHostKey string
	// Admin is an administrator, with a token that may do everything.
	Admin User

	settings settings
	ca       []byte
	path     string
	process  *devstack.Process
	release  func()
}

// Start starts a Gitea and makes its administrator. The error wraps a
// *devstack.MissingError if it has not been built.
func Start(ctx context.Context, o Options) (*Server, error) {
	s, err := prepare(o)
	if err != nil {
		return nil, fmt.Errorf("start Gitea: %w", err)
	}
	if err := s.start(ctx); err != nil {
		return nil, fmt.Errorf("start Gitea: %w", errors.Join(err, s.Stop()))
	}
	return s, nil
}

func prepare(o Options) (*Server, error) {
	path, err := devstack.ProgramPath(program)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	account, err := user.Current()
	if err != nil {
		return nil, err
	}
	ports, release, err := devstack.ReservePorts(2)
	if err != nil {
		return nil, err
	}
	s := &Server{path: path, release: release, settings: settings{
		Account: account.Username, Dir: dir, Logs: o.Logs, HTTPPort: ports[0], SSHPort: ports[1],
		Static: filepath.Join(filepath.Dir(path), static), SecretKey: rand.Text(),
		HookProxy: o.HookProxy, HookHosts: o.HookHosts,
	}, ca: o.CA}
	if s.settings.Logs == "" {
		s.settings.Logs = filepath.Join(dir, "logs")
	}
	s.URL = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	s.SSHAddress = fmt.Sprintf("127.0.0.1:%d", ports[1])
	if err := s.writeFiles(); err != nil {
		release()
		return nil, err
	}
	return s, nil
}

// writeFiles writes the settings and the host key of the SSH server.
func (s *Server) writeFiles() error {
	if err := os.MkdirAll(s.settings.Dir, 0o700); err != nil {
		return err
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return err
	}
	s.SSHHostKey = fmt.Sprintf("[127.0.0.1]:%d %s", s.settings.SSHPort, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))))
	content, err := s.settings.text()
	if err != nil {
		return err
	}
	for path, content := range map[string][]byte{s.settings.HostKey(): pem.EncodeToMemory(block), s.config(): content, s.settings.CAFile(): s.ca} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) config() string { return filepath.Join(s.settings.Dir, "app.ini") }

func (s *Server) start(ctx context.Context) error {
	if err := s.Restart(ctx); err != nil {
		return err
	}
	return s.addAdmin(ctx)
}

// Restart starts the program again after StopProgram, with the data that it had.
func (s *Server) Restart(ctx context.Context) error {
	process, err := devstack.StartProcess(ctx, devstack.Program{
		Name: program, Path: s.path, Args: []string{"web", "--work-path", s.settings.Dir, "--config", s.config()},
		Home: s.settings.Dir, Logs: s.settings.Logs, Ready: s.answers, Env: s.env(),
	})
	if err != nil {
		return err
	}
	s.process = process
	return nil
}

// env names the certificates that the program trusts instead of the system's.
func (s *Server) env() []string {
	if len(s.ca) == 0 {
		return nil
	}
	return []string{"SSL_CERT_FILE=" + s.settings.CAFile()}
}

// Err returns nil while the program runs, or after StopProgram.
func (s *Server) Err() error {
	if s.process == nil {
		return nil
	}
	return s.process.Err()
}

// answers returns nil if the server serves its API.
func (s *Server) answers(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/version", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/api/v1/version answers %s", response.Status)
	}
	return nil
}

// StopProgram stops the program and keeps its data and ports, as an outage would.
func (s *Server) StopProgram() error {
	if s.process == nil {
		return nil
	}
	process := s.process
	s.process = nil
	return process.Stop()
}

// Stop stops the program and gives its ports back. Its files stay.
func (s *Server) Stop() error {
	defer s.release()
	return s.StopProgram()
}

var errNoToken = errors.New("the program prints no access token")

// addAdmin makes the administrator with the program itself, because the API wants one.
func (s *Server) addAdmin(ctx context.Context) error {
	command := exec.CommandContext(ctx, s.path, "admin", "user", "create", "--work-path", s.settings.Dir, "--config", s.config(),
		"--username", AdminName, "--email", AdminName+"@example.com", "--random-password", "--admin", "--access-token", "--must-change-password=false")
	command.Dir = s.settings.Dir
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.settings.Dir, "LC_ALL=C"}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return fmt.Errorf("make the administrator: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	_, rest, found := strings.Cut(string(out), "Access token was successfully created... ")
	token, _, _ := strings.Cut(rest, "\n")
	if !found || token == "" {
		return fmt.Errorf("make the administrator: %w", errNoToken)
	}
	s.Admin = User{Name: AdminName, Email: AdminName + "@example.com", Token: token}
	client, err := s.client(ctx, s.Admin.Token)
	if err != nil {
		return err
	}
	me, _, err := client.GetMyUserInfo()
	if err != nil {
		return fmt.Errorf("read the administrator: %w", err)
	}
	s.Admin.ID = me.ID
	return nil
}
