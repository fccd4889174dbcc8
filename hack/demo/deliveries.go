package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
)

// deliveries stands before the gateway of a cluster, and records the events that the forge
// delivers to it.
type deliveries struct {
	gateway http.Handler

	mutex sync.Mutex
	all   []delivery
}

// delivery is one call of a hook, with the status of the answer.
type delivery struct {
	host, path string
	header     http.Header
	body       []byte
	status     int
}

// ServeHTTP implements http.Handler.
func (d *deliveries) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	one := delivery{host: r.Host, path: r.URL.Path, header: r.Header.Clone(), body: body}
	answer, err := d.send(r.Context(), one)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	one.status = answer.Code
	d.mutex.Lock()
	d.all = append(d.all, one)
	d.mutex.Unlock()
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (d *deliveries) send(ctx context.Context, one delivery) (*httptest.ResponseRecorder, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+one.host+one.path, bytes.NewReader(one.body))
	if err != nil {
		return nil, err
	}
	request.Header = one.header.Clone()
	answer := httptest.NewRecorder()
	d.gateway.ServeHTTP(answer, request)
	return answer, nil
}

// of returns the delivery of a commit to an event source.
func (d *deliveries) of(commit, source string) (delivery, bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	at := slices.IndexFunc(d.all, func(one delivery) bool {
		return strings.HasSuffix(one.path, "/"+source) && bytes.Contains(one.body, []byte(commit))
	})
	if at < 0 {
		return delivery{}, false
	}
	return d.all[at], true
}

// again sends a delivery again, as forges do after a failure: it is the same byte by byte.
// A forged one has another proof. It returns the status of the answer.
func (d *deliveries) again(ctx context.Context, one delivery, forged bool) (int, error) {
	if forged {
		one.header = one.header.Clone()
		proven := false
		// GitLab sends a token, and Gitea signatures.
		for _, name := range []string{"X-Gitlab-Token", "X-Hub-Signature", "X-Hub-Signature-256"} {
			if value := one.header.Get(name); value != "" {
				kind, _, _ := strings.Cut(value, "=")
				one.header.Set(name, kind+"="+strings.Repeat("0", max(0, len(value)-len(kind)-1)))
				proven = true
			}
		}
		if !proven {
			return 0, fmt.Errorf("the delivery to %s has no proof of its sender", one.path)
		}
	}
	answer, err := d.send(ctx, one)
	if err != nil {
		return 0, err
	}
	return answer.Code, nil
}
