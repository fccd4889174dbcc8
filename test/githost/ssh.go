package githost

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// SSHServer serves repositories by SSH, for reading only.
type SSHServer struct {
	// URL is the address, as ssh://git@127.0.0.1:port.
	URL string
	// KnownHosts has the server's key, as OpenSSH's known_hosts file.
	KnownHosts []byte

	find     FindRepository
	listener net.Listener
	done     sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]bool
}

// FindRepository returns the directory of the repository with a path that the owner of a
// key may read. A server asks with an empty path whether it lets the key in at all.
type FindRepository func(key ssh.PublicKey, path string) (dir string, ok bool)

// ServeSSH starts a server on a free port of loopback.
func ServeSSH(find FindRepository) (*SSHServer, error) {
	host, _, err := makeKey()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve SSH: %w", err)
	}
	address := listener.Addr().(*net.TCPAddr)
	s := &SSHServer{
		URL: fmt.Sprintf("ssh://git@127.0.0.1:%d", address.Port), find: find, listener: listener, conns: map[net.Conn]bool{},
		KnownHosts: fmt.Appendf(nil, "[127.0.0.1]:%d %s", address.Port, ssh.MarshalAuthorizedKey(host.PublicKey())),
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if _, ok := find(key, ""); !ok {
			return nil, errors.New("unknown key")
		}
		return &ssh.Permissions{ExtraData: map[any]any{userKey{}: key}}, nil
	}}
	config.AddHostKey(host)
	s.done.Go(func() { s.accept(config) })
	return s, nil
}

// userKey is where a connection has the key that it was let in with.
type userKey struct{}

// Close closes the port and every connection.
func (s *SSHServer) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
	return err
}

// SSH serves the repositories of a Server by SSH.
type SSH struct {
	*SSHServer
	// PrivateKey is the one key that is let in, in PEM.
	PrivateKey []byte
}

// NewSSH starts an SSH server for the repositories of s. It is closed with the test.
func (s *Server) NewSSH() *SSH {
	s.t.Helper()
	client, private := newKey(s.t)
	allowed := client.PublicKey().Marshal()
	started, err := ServeSSH(func(key ssh.PublicKey, path string) (string, bool) {
		return filepath.Join(s.root, filepath.Clean("/"+path)), bytes.Equal(key.Marshal(), allowed)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = started.Close() })
	return &SSH{SSHServer: started, PrivateKey: private}
}

// NewKey returns a fresh private key in PEM.
func NewKey(t testing.TB) []byte {
	t.Helper()
	_, key := newKey(t)
	return key
}

// NewKeyPair returns a fresh private key in PEM, and its public half in the format of
// authorized_keys.
func NewKeyPair(t testing.TB) (private []byte, public string) {
	t.Helper()
	signer, private := newKey(t)
	return private, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

func newKey(t testing.TB) (ssh.Signer, []byte) {
	t.Helper()
	signer, private, err := makeKey()
	if err != nil {
		t.Fatal(err)
	}
	return signer, private
}

// makeKey returns a fresh key, and its private half in PEM.
func makeKey() (ssh.Signer, []byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make an SSH key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("make an SSH key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, nil, fmt.Errorf("make an SSH key: %w", err)
	}
	return signer, pem.EncodeToMemory(block), nil
}

func (s *SSHServer) accept(config *ssh.ServerConfig) {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		s.mu.Unlock()
		s.done.Go(func() { s.serve(conn, config) })
	}
}

func (s *SSHServer) serve(conn net.Conn, config *ssh.ServerConfig) {
	defer func() { _ = conn.Close() }()
	user, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	key, _ := user.Permissions.ExtraData[userKey{}].(ssh.PublicKey)
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		if offered.ChannelType() != "session" {
			_ = offered.Reject(ssh.UnknownChannelType, "sessions only")
			continue
		}
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		s.done.Go(func() { s.session(channel, requests, key) })
	}
}

// session runs git-upload-pack, the one command that is served.
func (s *SSHServer) session(channel ssh.Channel, requests <-chan *ssh.Request, key ssh.PublicKey) {
	defer func() { _ = channel.Close() }()
	protocol := ""
	for request := range requests {
		switch request.Type {
		case "env":
			var variable struct{ Name, Value string }
			if ssh.Unmarshal(request.Payload, &variable) == nil && variable.Name == "GIT_PROTOCOL" {
				protocol = variable.Value
			}
			_ = request.Reply(true, nil)
		case "exec":
			var command struct{ Line string }
			dir, found := "", false
			if ssh.Unmarshal(request.Payload, &command) == nil {
				path, isFetch := strings.CutPrefix(command.Line, "git-upload-pack '")
				dir, found = s.find(key, strings.Trim(path, "/'"))
				found = found && isFetch
			}
			_ = request.Reply(found, nil)
			if !found {
				return
			}
			status := uploadPackage(channel, dir, protocol)
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
			return
		default:
			_ = request.Reply(false, nil)
		}
	}
}

// uploadPackage answers a fetch from a repository.
func uploadPackage(channel ssh.Channel, dir, protocol string) uint32 {
	cmd := exec.Command("git", "upload-pack", dir)
	cmd.Env = append(Environ(dir), "GIT_PROTOCOL="+protocol)
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	in, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return 1
	}
	go func() {
		_, _ = io.Copy(in, channel)
		_ = in.Close()
	}()
	if cmd.Wait() != nil {
		return 128
	}
	return 0
}
