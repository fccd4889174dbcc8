package devstack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
)

// Etcd is a single etcd member, without authentication: it listens on loopback
// only. It does not wait for the disk, so it survives its own death but not the
// machine's.
type Etcd struct {
	*Process
	// URL for clients, as http://127.0.0.1:<port>.
	URL string
}

func startEtcd(ctx context.Context, path string, dir, logs string, ports *ports) (*Etcd, error) {
	taken, err := ports.takeMany(2)
	if err != nil {
		return nil, err
	}
	client, peer := "http://"+loopback(taken[0]), "http://"+loopback(taken[1])
	process, err := StartProcess(ctx, Program{
		Name: programEtcd,
		Path: path,
		Home: dir,
		Logs: logs,
		Env:  thrifty(),
		Args: []string{
			"--data-dir=" + filepath.Join(dir, "data"),
			"--listen-client-urls=" + client,
			"--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer,
			"--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=default=" + peer,
			"--unsafe-no-fsync",
			"--log-level=warn",
		},
		Ready: httpReady(client + "/readyz"),
	})
	if err != nil {
		return nil, err
	}
	return &Etcd{Process: process, URL: client}, nil
}

// httpReady answers whether a plain GET is answered with 200.
func httpReady(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return final{err}
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, response.Status)
		}
		return nil
	}
}

// storedKey is where a key of etcd stands, as etcd's gateway writes it: 64-bit
// numbers are strings there.
type storedKey struct {
	Key []byte `json:"key"`
	// The revisions of etcd in which the key was made and last written.
	Created  int64 `json:"create_revision,string"`
	Modified int64 `json:"mod_revision,string"`
	// Writes counts the writes since the key was made.
	Writes int64 `json:"version,string"`
}

// keys returns every key below prefix, by its rest.
func (e *Etcd) keys(ctx context.Context, prefix string) (map[string]storedKey, error) {
	end := []byte(prefix)
	end[len(end)-1]++
	body, err := json.Marshal(map[string]any{"key": []byte(prefix), "range_end": end, "keys_only": true})
	if err != nil {
		return nil, fmt.Errorf("encode a range of etcd: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL+"/v3/kv/range", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("read the keys of etcd: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read the keys of etcd: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read the keys of etcd: %s", response.Status)
	}
	var answer struct {
		Keys []storedKey `json:"kvs"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("read the keys of etcd: %w", err)
	}
	found := make(map[string]storedKey, len(answer.Keys))
	for _, key := range answer.Keys {
		found[string(key.Key[len(prefix):])] = key
	}
	return found, nil
}
