package git

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxPack is the largest pack, in bytes, that is sent without the git program.
	maxPack = 4 << 20
	// maxSenders is the number of ways to servers that are kept, and maxIdle the number
	// of idle connections of each to a server.
	maxSenders, maxIdle = 32, 4
	idleTime            = 90 * time.Second
)

// senders are the HTTP clients for pushes, by their ways to servers: the certificates that
// they trust, and the proxy. Their connections serve all callers, since each request has
// the credentials of its own.
type senders struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*http.Client
}

// send pushes a commit as push does, by a single request, without the git program. It
// returns false, and no error, if git must push: the server's answer is none that it
// understands, or is lost. Then git words the failure, and a commit that the server has
// taken is found by the caller. The branch must exist.
func (m *Mirrors) send(ctx context.Context, dir string, r *remote, base, head string) (done bool, err error) {
	if r.protocol != "http" && r.protocol != "https" || len(base) == sha256Digits || base == "" {
		return false, nil
	}
	body, err := request(dir, r, base, head)
	if err != nil {
		return false, nil
	}
	client, err := m.sender(r)
	if err != nil {
		return false, nil
	}
	limited, stop := context.WithTimeout(ctx, m.options.Timeout)
	defer stop()
	q, err := http.NewRequestWithContext(limited, http.MethodPost, strings.TrimSuffix(r.url, "/")+"/git-receive-pack", bytes.NewReader(body))
	if err != nil {
		return false, nil
	}
	q.Header.Set("User-Agent", "git/nautes")
	q.Header.Set("Content-Type", "application/x-git-receive-pack-request")
	q.Header.Set("Accept", "application/x-git-receive-pack-result")
	if basic := r.auth.basic(); basic != "" {
		q.Header.Set("Authorization", "Basic "+basic)
	}
	reply, err := client.Do(q)
	if err != nil {
		return false, nil
	}
	defer func() { _ = reply.Body.Close() }()
	if reply.StatusCode != http.StatusOK || reply.Header.Get("Content-Type") != "application/x-git-receive-pack-result" {
		return false, nil
	}
	report, complaint, err := readReport(io.LimitReader(reply.Body, maxAnswer))
	if err != nil {
		return false, nil
	}
	return report.outcome(r, complaint)
}

// request returns the body of a push: the branch with its old and its new commit, and the
// pack with the new objects.
func request(dir string, r *remote, base, head string) ([]byte, error) {
	packs, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "pack-*.pack"))
	if err != nil || len(packs) != 1 {
		return nil, fmt.Errorf("%d packs: %w", len(packs), err)
	}
	if info, err := os.Stat(packs[0]); err != nil || info.Size() > maxPack {
		return nil, fmt.Errorf("the pack is too large: %w", err)
	}
	pack, err := os.ReadFile(packs[0])
	if err != nil {
		return nil, err
	}
	line := fmt.Sprintf("%s %s %s\x00 report-status side-band-64k quiet agent=nautes", base, head, r.ref())
	return append(fmt.Appendf(nil, "%04x%s0000", len(line)+4, line), pack...), nil
}

// sender returns the client for the way to a server.
func (m *Mirrors) sender(r *remote) (*http.Client, error) {
	settings, err := m.waySettings(r)
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(fmt.Append(nil, settings))
	m.senders.mu.Lock()
	defer m.senders.mu.Unlock()
	if client := m.senders.all[key]; client != nil {
		return client, nil
	}
	way := &http.Transport{
		MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: idleTime, DisableCompression: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	for _, setting := range settings {
		switch setting[0] {
		case "http.proxy":
			proxy, err := url.Parse(setting[1])
			if err != nil {
				return nil, err
			}
			way.Proxy = http.ProxyURL(proxy)
		case certificatesSetting:
			content, err := os.ReadFile(setting[1])
			if err != nil {
				return nil, err
			}
			way.TLSClientConfig.RootCAs = x509.NewCertPool()
			way.TLSClientConfig.RootCAs.AppendCertsFromPEM(content)
		}
	}
	if len(m.senders.all) >= maxSenders {
		for _, client := range m.senders.all {
			client.CloseIdleConnections()
		}
		clear(m.senders.all)
	}
	client := &http.Client{Transport: way, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	m.senders.all[key] = client
	return client, nil
}

// pushReport is the report of a server about a push.
type pushReport struct {
	// unpacked is "ok", or the reason why the objects were not stored.
	unpacked string
	// updated: the branch is at the new commit. Refused is the reason if it is not.
	updated bool
	refused string
}

// outcome returns what send does.
func (p pushReport) outcome(r *remote, complaint string) (done bool, err error) {
	switch {
	case p.updated && p.unpacked == "ok":
		return true, nil
	case p.refused == "":
		return false, nil
	}
	reason := p.refused
	if p.unpacked != "ok" {
		reason = "unpacker error"
	}
	return true, rejected(r, fmt.Sprintf("!\t%s\t[remote rejected] (%s)\n", r.ref(), reason), complaint, nil)
}

// readReport reads the answer of a server to a push, with the text for people, whose
// lines begin as git shows them.
func readReport(answer io.Reader) (p pushReport, complaint string, err error) {
	var status, text bytes.Buffer
	if err := packets(answer, func(packet []byte) error {
		if len(packet) == 0 {
			return io.ErrUnexpectedEOF
		}
		switch packet[0] {
		case 1:
			status.Write(packet[1:])
		case 2:
			text.Write(packet[1:])
		default:
			return fmt.Errorf("band %d of the answer", packet[0])
		}
		return nil
	}); err != nil {
		return p, "", err
	}
	err = packets(&status, func(packet []byte) error {
		line := strings.TrimSuffix(string(packet), "\n")
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "unpack":
			p.unpacked = rest
		case "ok":
			p.updated = true
		case "ng":
			_, p.refused, _ = strings.Cut(rest, " ")
		}
		return nil
	})
	for line := range strings.Lines(text.String()) {
		complaint += "remote: " + strings.TrimRight(line, "\r\n") + "\n"
	}
	return p, complaint, err
}

// packets calls f with the content of each packet until a flush packet.
func packets(in io.Reader, f func(packet []byte) error) error {
	for {
		var prefix [4]byte
		if _, err := io.ReadFull(in, prefix[:]); err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(prefix[:]), 16, 16)
		switch {
		case err != nil:
			return err
		case size == 0:
			return nil
		case size < 4:
			return fmt.Errorf("a packet of %d bytes", size)
		}
		packet := make([]byte, size-4)
		if _, err := io.ReadFull(in, packet); err != nil {
			return err
		}
		if err := f(packet); err != nil {
			return err
		}
	}
}
