package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// requests that the operator has sent to one control plane.
type requests struct{ reads, writes int64 }

// telemetry holds metrics of the operator since its start.
type telemetry struct {
	cpu time.Duration
	// live is the heap that the last garbage collection has found in use, and
	// resident the memory of the process, both in bytes.
	live, resident int64
	// collections of garbage, and looks at pipeline runtimes and their spaces.
	collections, looks int64
	// tenant and cluster are the requests to the two control planes.
	tenant, cluster requests
}

// telemetry asks the operator for its metrics.
func (b *bench) telemetry(ctx context.Context) (t telemetry, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.operator.Metrics, nil)
	if err != nil {
		return t, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return t, fmt.Errorf("ask for the operator's metrics: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return t, fmt.Errorf("ask for the operator's metrics: %s", response.Status)
	}
	hosts := map[string]*requests{}
	for config, r := range map[string]*requests{b.Tenant.Config().Host: &t.tenant, b.Runtimes[cluster].Config().Host: &t.cluster} {
		at, err := url.Parse(config)
		if err != nil {
			return t, err
		}
		hosts[at.Host] = r
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, labels, value := sample(lines.Text())
		switch name {
		case "process_cpu_seconds_total":
			t.cpu = time.Duration(value * float64(time.Second))
		case "process_resident_memory_bytes":
			t.resident = int64(value)
		case "go_gc_heap_live_bytes":
			t.live = int64(value)
		case "go_gc_cycles_total_gc_cycles_total":
			t.collections = int64(value)
		case "controller_runtime_reconcile_total":
			if of := labels["controller"]; of == "projectpipelineruntime" || of == "space" {
				t.looks += int64(value)
			}
		case "rest_client_requests_total":
			if r := hosts[labels["host"]]; r != nil && labels["method"] == http.MethodGet {
				r.reads += int64(value)
			} else if r != nil {
				r.writes += int64(value)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return t, fmt.Errorf("read the operator's metrics: %w", err)
	}
	if t.live == 0 || t.collections == 0 || t.cluster.reads == 0 || t.looks == 0 {
		return t, fmt.Errorf("the operator's metrics lack what is measured: %+v", t)
	}
	return t, nil
}

// sample reads a line of the text format of Prometheus; the name of a comment is empty.
func sample(line string) (name string, labels map[string]string, value float64) {
	series, text, _ := strings.Cut(line, " ")
	name, rest, labelled := strings.Cut(series, "{")
	if labelled {
		// No label that is read here has a space in its value.
		labels = map[string]string{}
		for _, label := range strings.Split(strings.TrimSuffix(rest, "}"), ",") {
			key, quoted, _ := strings.Cut(label, "=")
			labels[key] = strings.Trim(quoted, `"`)
		}
	}
	value, err := strconv.ParseFloat(text, 64)
	if strings.HasPrefix(name, "#") || err != nil {
		return "", nil, 0
	}
	return name, labels, value
}
