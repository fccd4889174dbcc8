package devstack

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// VaultName is the name of the Vault of Options.Vault.
const VaultName = "vault"

// VaultOptions say how a Vault runs.
type VaultOptions struct {
	// Name is a DNS label, given once in a stack; empty: VaultName.
	Name string
	// Plain serves HTTP instead of HTTPS.
	Plain bool
}

// Vault is the core of HashiCorp Vault, with KV version 2, the authentication
// methods kubernetes, approle and token, and an audit log; nothing is mounted at
// first. It keeps its address, its certificate and its data when it is stopped
// and started again.
type Vault struct {
	// Name distinguishes it from other Vaults of the stack.
	Name string
	// Address is https://127.0.0.1:<port>, or http:// when it is plain.
	Address string
	// CA is the certificate that its serving certificate comes from, in PEM;
	// nil when it is plain.
	CA []byte

	stack     *Stack
	dir       string
	port      int
	authority *authority
	client    *http.Client

	// mutex guards the field of the process, and the root token.
	mutex     sync.Mutex
	process   *Process
	rootToken string

	audited audited
}

var (
	errVaultName   = errors.New("a Vault's name must be a DNS label and given once")
	errVaultAnswer = errors.New("Vault does not do it")
)

// StartVault starts a Vault beside a stack, unsealed. Its error wraps a
// *MissingError when bin/vault has not been built.
func (s *Stack) StartVault(ctx context.Context, o VaultOptions) (*Vault, error) {
	if o.Name == "" {
		o.Name = VaultName
	}
	v, err := s.newVault(o)
	if err != nil {
		return nil, fmt.Errorf("start the Vault %q: %w", o.Name, err)
	}
	if err := s.step("Vault "+v.Name, func() error { return v.Start(ctx) }); err != nil {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		delete(s.Vaults, o.Name)
		return nil, err
	}
	return v, nil
}

// newVault takes a name and writes the files of a Vault without starting it.
func (s *Stack) newVault(o VaultOptions) (*Vault, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if _, taken := s.Vaults[o.Name]; taken || !runtimeName.MatchString(o.Name) {
		return nil, errVaultName
	}
	port, err := s.ports.take()
	if err != nil {
		return nil, err
	}
	v := &Vault{
		Name: o.Name, Address: "http://" + loopback(port),
		stack: s, port: port, dir: filepath.Join(s.Dir, "vaults", o.Name),
	}
	if err := os.MkdirAll(v.dir, 0o700); err != nil {
		return nil, err
	}
	if !o.Plain {
		if err := v.makeCertificate(); err != nil {
			return nil, err
		}
	}
	if v.client, err = clientTrusting(v.CA); err != nil {
		return nil, err
	}
	s.Vaults[o.Name] = v
	return v, nil
}

func (v *Vault) makeCertificate() error {
	var err error
	if v.authority, err = newAuthority(v.Name + "-ca"); err != nil {
		return err
	}
	serving, err := v.authority.serving()
	if err != nil {
		return err
	}
	v.Address, v.CA = "https://"+loopback(v.port), v.authority.certificate
	for name, content := range map[string][]byte{"serving.crt": serving.certificate, "serving.key": serving.key} {
		if err := os.WriteFile(v.file(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) file(name string) string { return filepath.Join(v.dir, name) }

// Start starts the Vault again after Stop or Kill, unsealed, with the data that
// it had.
func (v *Vault) Start(ctx context.Context) error {
	path, err := v.stack.programs().path(programVault)
	if err != nil {
		return fmt.Errorf("start the Vault %s: %w", v.Name, err)
	}
	args := []string{
		"--address=" + loopback(v.port),
		"--storage=" + v.file("storage"),
		"--root-token-file=" + v.file("root-token"),
		"--unseal-key-file=" + v.file("unseal-key"),
		"--audit-file=" + v.file(auditLog),
	}
	if v.CA != nil {
		args = append(args, "--tls-cert="+v.file("serving.crt"), "--tls-key="+v.file("serving.key"))
	}
	name := programVault
	if v.Name != VaultName {
		name += "-" + v.Name
	}
	process, err := StartProcess(ctx, Program{
		Name: name, Path: path, Args: args, Home: v.dir, Logs: v.stack.logs(), Ready: v.ready,
	})
	if err != nil {
		return fmt.Errorf("start the Vault %s: %w", v.Name, err)
	}
	token, err := os.ReadFile(v.file("root-token"))
	if err != nil {
		return errors.Join(fmt.Errorf("start the Vault %s: %w", v.Name, err), process.Stop())
	}
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.process, v.rootToken = process, strings.TrimSpace(string(token))
	return nil
}

func (v *Vault) ready(ctx context.Context) error {
	return v.must(ctx, http.MethodGet, "sys/health", "", nil)
}

// Stop ends the Vault; its data stay. It is no error when it does not run.
func (v *Vault) Stop() error { return v.do((*Process).Stop) }

// Kill ends the Vault as a crash would; its data stay.
func (v *Vault) Kill() error { return v.do((*Process).Kill) }

// Pause freezes the Vault: connections are accepted and never answered.
func (v *Vault) Pause() error { return v.do((*Process).Pause) }

// Resume ends a Pause.
func (v *Vault) Resume() error { return v.do((*Process).Resume) }

// Err returns nil while the Vault runs, sealed or not, and why it ended otherwise.
func (v *Vault) Err() error { return v.do((*Process).Err) }

func (v *Vault) do(do func(*Process) error) error {
	v.mutex.Lock()
	process := v.process
	v.mutex.Unlock()
	if process == nil {
		return nil
	}
	return do(process)
}

// Restart stops the Vault and starts it again, unsealed.
func (v *Vault) Restart(ctx context.Context) error {
	if err := v.Stop(); err != nil {
		return err
	}
	return v.Start(ctx)
}

// RootToken returns the token that may do everything.
func (v *Vault) RootToken() string {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return v.rootToken
}

// Seal makes the Vault answer 503 to everything, until Unseal or Restart.
func (v *Vault) Seal(ctx context.Context) error {
	return v.must(ctx, http.MethodPut, "sys/seal", v.RootToken(), nil)
}

// Unseal ends a Seal; it is no error when the Vault is not sealed.
func (v *Vault) Unseal(ctx context.Context) error {
	key, err := os.ReadFile(v.file("unseal-key"))
	if err != nil {
		return fmt.Errorf("unseal the Vault %s: %w", v.Name, err)
	}
	body := map[string]string{"key": strings.TrimSpace(string(key))}
	if err := v.must(ctx, http.MethodPut, "sys/unseal", "", body); err != nil {
		return err
	}
	return v.ready(ctx)
}

// Client returns a client that trusts the Vault's CA, and no other when it has one.
func (v *Vault) Client() *http.Client { return v.client }

// Request asks for a path below /v1/, such as sys/mounts. An empty token and a
// nil body are left away; another body is sent as JSON. It returns the status
// and the answer, nil when that is empty; a refusal is no error.
func (v *Vault) Request(ctx context.Context, method, path, token string, body any) (int, map[string]any, error) {
	status, answer, err := v.request(ctx, method, path, token, body)
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s of the Vault %s: %w", method, path, v.Name, err)
	}
	return status, answer, nil
}

func (v *Vault) request(ctx context.Context, method, path, token string, body any) (int, map[string]any, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, v.Address+"/v1/"+path, content)
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		request.Header.Set("X-Vault-Token", token)
	}
	response, err := v.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil && !errors.Is(err, io.EOF) {
		return 0, nil, err
	}
	return response.StatusCode, answer, nil
}

// must makes a refusal an error.
func (v *Vault) must(ctx context.Context, method, path, token string, body any) error {
	status, answer, err := v.Request(ctx, method, path, token, body)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("%s %s of the Vault %s: %w: status %d: %v", method, path, v.Name, errVaultAnswer, status, answer["errors"])
	}
	return err
}

// clientTrusting returns a client of its own, which trusts the CA only when one
// is given.
func clientTrusting(ca []byte) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	if ca != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			return nil, errNoCertificate
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return &http.Client{Transport: transport}, nil
}

var errNoCertificate = errors.New("the CA holds no certificate")
