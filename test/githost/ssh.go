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

// SSH serves the repositories of a Server by SSH, for reading only.
type SSH struct {
	// URL is the address, as ssh://git@127.0.0.1:port.
	URL string
	// PrivateKey is the one key that is let in, in PEM.
	PrivateKey []byte
	// KnownHosts has the server's key, as OpenSSH's known_hosts file.
	KnownHosts []byte

	root     string
	config   *ssh.ServerConfig
	listener net.Listener
	done     sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]bool
}

// NewSSH starts an SSH server for the repositories of s. It is closed with the test.
func (s *Server) NewSSH() *SSH {
	s.t.Helper()
	hostSigner, _ := newKey(s.t)
	clientSigner, clientKey := newKey(s.t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	address := listener.Addr().(*net.TCPAddr)
	host := &SSH{
		URL: fmt.Sprintf("ssh://git@127.0.0.1:%d", address.Port), PrivateKey: clientKey, root: s.root, listener: listener, conns: map[net.Conn]bool{},
		KnownHosts: fmt.Appendf(nil, "[127.0.0.1]:%d %s", address.Port, ssh.MarshalAuthorizedKey(hostSigner.PublicKey())),
	}
	allowed := clientSigner.PublicKey().Marshal()
	host.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(key.Marshal(), allowed) {
			return nil, errors.New("unknown key")
		}
		return nil, nil
	}}
	host.config.AddHostKey(hostSigner)
	host.done.Go(host.accept)
	s.t.Cleanup(func() {
		_ = listener.Close()
		host.mu.Lock()
		for conn := range host.conns {
			_ = conn.Close()
		}
		host.mu.Unlock()
		host.done.Wait()
	})
	return host
}

// NewKey returns a fresh private key in PEM.
func NewKey(t testing.TB) []byte {
	t.Helper()
	_, key := newKey(t)
	return key
}

func newKey(t testing.TB) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func (h *SSH) accept() {
	for {
		conn, err := h.listener.Accept()
		if err != nil {
			return
		}
		h.mu.Lock()
		h.conns[conn] = true
		h.mu.Unlock()
		h.done.Go(func() { h.serve(conn) })
	}
}

func (h *SSH) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_, channels, requests, err := ssh.NewServerConn(conn, h.config)
	if err != nil {
		return
	}
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
		h.done.Go(func() { h.session(channel, requests) })
	}
}

// session runs git-upload-pack, the one command that is served.
func (h *SSH) session(channel ssh.Channel, requests <-chan *ssh.Request) {
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
			path, found := "", false
			if ssh.Unmarshal(request.Payload, &command) == nil {
				path, found = strings.CutPrefix(command.Line, "git-upload-pack '")
			}
			_ = request.Reply(found, nil)
			if !found {
				return
			}
			status := h.uploadPack(channel, filepath.Join(h.root, filepath.Clean("/"+strings.TrimSuffix(path, "'"))), protocol)
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
			return
		default:
			_ = request.Reply(false, nil)
		}
	}
}

func (h *SSH) uploadPack(channel ssh.Channel, dir, protocol string) uint32 {
	cmd := exec.Command("git", "upload-pack", dir)
	cmd.Env = append(Environ(h.root), "GIT_PROTOCOL="+protocol)
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
