package devstack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// VaultRequest is one request that a Vault has answered, by its audit log.
type VaultRequest struct {
	Time time.Time
	// Operation is create, update, patch, delete, read, list or help.
	Operation string
	// Path is below /v1/.
	Path string
	// User is the display name of the token, such as root or
	// kubernetes-default-worker; empty when there was none.
	User string
	// Policies of the token.
	Policies []string
	// Error is the reason why the request was refused, or empty if it was not. The
	// log has no reason for a request that was answered with 400.
	Error string
}

// String returns the request in one line.
func (r VaultRequest) String() string {
	line := fmt.Sprintf("%s %s by %q", r.Operation, r.Path, r.User)
	if r.Error != "" {
		line += ": " + strings.Join(strings.Fields(r.Error), " ")
	}
	return line
}

// IsWrite reports whether the request changes stored data. Questions asked by POST,
// the beginning, renewal and end of a token, and requests of the stack itself are
// no writes.
func (r VaultRequest) IsWrite() bool {
	if !slices.Contains([]string{"create", "update", "patch", "delete"}, r.Operation) {
		return false
	}
	switch {
	case strings.HasPrefix(r.Path, "auth/"):
		return !slices.Contains(sessionPaths, path.Base(r.Path))
	case strings.HasPrefix(r.Path, "sys/"):
		return !slices.Contains(askingPaths, strings.TrimPrefix(r.Path, "sys/"))
	default:
		return true
	}
}

var (
	sessionPaths = []string{
		"login", "renew", "renew-self", "renew-accessor", "revoke-self",
		"lookup", "lookup-self", "lookup-accessor",
	}
	askingPaths = []string{
		"capabilities", "capabilities-self", "capabilities-accessor", "leases/lookup", "leases/renew", "renew",
		"seal", "audit/test", "audit/file",
	}
)

// Requests returns the requests that the Vault has answered since it was made, in
// the order of its answers, including the stack's own. Vault writes its record
// before it answers, so every request that a client has seen answered is here.
// Answers of a sealed Vault are missing.
func (v *Vault) Requests() ([]VaultRequest, error) {
	v.audited.mutex.Lock()
	defer v.audited.mutex.Unlock()
	err := v.audited.read(v.file(auditLog))
	if err != nil {
		return nil, fmt.Errorf("read the audit log of the Vault %s: %w", v.Name, err)
	}
	return slices.Clone(v.audited.requests), nil
}

// audited is the part of an audit log that has been read. The log only grows, so a
// test that asks often reads each line once.
type audited struct {
	mutex    sync.Mutex
	offset   int64
	requests []VaultRequest
}

// read reads the lines that were written since the last time.
func (a *audited) read(file string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(a.offset, io.SeekStart); err != nil {
		return err
	}
	content, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(content) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			// The rest of this line is being written.
			break
		}
		record := vaultRecord{}
		if err := json.Unmarshal(line, &record); err != nil {
			return err
		}
		a.offset += int64(len(line))
		if record.Type == "response" {
			a.requests = append(a.requests, record.request())
		}
	}
	return nil
}

// Writes returns the writes among Requests, refused ones too.
func (v *Vault) Writes() ([]VaultRequest, error) {
	requests, err := v.Requests()
	return slices.DeleteFunc(requests, func(r VaultRequest) bool { return !r.IsWrite() }), err
}

// vaultRecord holds the fields of a line of the audit log that make a VaultRequest.
type vaultRecord struct {
	Type    string    `json:"type"`
	Time    time.Time `json:"time"`
	Error   string    `json:"error"`
	Request struct {
		Operation string `json:"operation"`
		Path      string `json:"path"`
	} `json:"request"`
	Auth struct {
		DisplayName string   `json:"display_name"`
		Policies    []string `json:"policies"`
	} `json:"auth"`
}

func (r vaultRecord) request() VaultRequest {
	return VaultRequest{
		Time: r.Time, Operation: r.Request.Operation, Path: r.Request.Path,
		User: r.Auth.DisplayName, Policies: r.Auth.Policies, Error: r.Error,
	}
}
