package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var description = regexp.MustCompile(`fqName: "([^"]+)", help: "([^"]+)", .*variableLabels: \{([^}]*)\}`)

// describe returns the name, the help and the labels of a metric.
func describe(t *testing.T, c prometheus.Collector) (name, help string, labels []string) {
	t.Helper()
	descs := make(chan *prometheus.Desc, 8)
	c.Describe(descs)
	close(descs)
	found := description.FindStringSubmatch((<-descs).String())
	if found == nil {
		t.Fatalf("the description of %T is not understood", c)
	}
	if found[3] != "" {
		labels = strings.Split(found[3], ",")
	}
	return found[1], found[2], labels
}

func TestMetricsAreDocumentedBoundedAndRegistered(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	bounded := []string{"target_kind", "verb", "result", "cluster", "kind", "class", "operation", "code"}
	documented := regexp.MustCompile("nautes_[a-z_]+").FindAllString(string(guide), -1)
	var names []string
	for _, c := range collectors() {
		name, _, labels := describe(t, c)
		names = append(names, name)
		full := name
		if len(labels) > 0 {
			full += "{" + strings.Join(labels, ",") + "}"
		}
		if !strings.Contains(string(guide), "`"+full+"`") {
			t.Errorf("docs/operate.md does not describe `%s`", full)
		}
		for _, label := range labels {
			if !slices.Contains(bounded, label) {
				t.Errorf("%s has the label %s, which is not among the bounded ones %v", name, label, bounded)
			}
		}
		var already prometheus.AlreadyRegisteredError
		if err := metrics.Registry.Register(c); !errors.As(err, &already) {
			t.Errorf("%s is not in the registry that the manager serves", name)
		}
	}
	for _, name := range documented {
		if !slices.Contains(names, name) {
			t.Errorf("docs/operate.md describes %s, which does not exist", name)
		}
	}
}

func TestLogger(t *testing.T) {
	tests := map[string]struct {
		args []string
		// wantErr is a part of the error; wantLines are the messages logged.
		wantErr   string
		wantLines []string
	}{
		"by default info and errors":   {wantLines: []string{"informed", "failed"}},
		"debug":                        {args: []string{"--log-level=debug"}, wantLines: []string{"informed", "detail", "failed"}},
		"a number":                     {args: []string{"--log-level=2"}, wantLines: []string{"informed", "detail", "more detail", "failed"}},
		"errors only":                  {args: []string{"--log-level=error"}, wantLines: []string{"failed"}},
		"unknown level":                {args: []string{"--log-level=loud"}, wantErr: "--log-level=loud"},
		"negative level":               {args: []string{"--log-level=-1"}, wantErr: "--log-level=-1"},
		"level beyond the log's range": {args: []string{"--log-level=128"}, wantErr: "--log-level=128"},
		"unknown format":               {args: []string{"--log-format=xml"}, wantErr: "--log-format=xml"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var options LogOptions
			flags := flag.NewFlagSet(name, flag.ContinueOnError)
			options.BindFlags(flags)
			if err := flags.Parse(test.args); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			log, err := options.Logger(&out)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("Logger() = %v, want %q in the error", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			log.Info("informed")
			log.V(1).Info("detail")
			log.V(2).Info("more detail")
			log.Error(errors.New("cause"), "failed")

			var got []string
			for line := range strings.Lines(out.String()) {
				var entry struct {
					TS         string `json:"ts"`
					Msg        string `json:"msg"`
					Stacktrace string `json:"stacktrace"`
				}
				if err := json.Unmarshal([]byte(line), &entry); err != nil {
					t.Fatalf("line %q is not JSON: %v", line, err)
				}
				if !strings.Contains(entry.TS, "T") || entry.Stacktrace != "" {
					t.Errorf("line %q: want an ISO 8601 time and no stack", line)
				}
				got = append(got, entry.Msg)
			}
			if !slices.Equal(got, test.wantLines) {
				t.Errorf("logged %q, want %q", got, test.wantLines)
			}
		})
	}
}

func TestLoggerForPeople(t *testing.T) {
	var out bytes.Buffer
	log, err := (&LogOptions{Format: FormatConsole, Level: "info"}).Logger(&out)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("informed")
	if json.Valid(out.Bytes()) || !strings.Contains(out.String(), "informed") {
		t.Errorf("logged %q, want a line for people", out.String())
	}
}

func TestObserveFetch(t *testing.T) {
	tests := map[string]struct {
		err        error
		wantResult string
	}{
		"a fetch":             {wantResult: "ok"},
		"a fetch that failed": {err: errors.New("no route"), wantResult: "error"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			counter := GitFetches.WithLabelValues(test.wantResult)
			before, samples := value(t, counter).GetCounter().GetValue(), value(t, GitFetchDuration).GetHistogram()
			ObserveFetch(time.Now().Add(-2*time.Second), test.err)
			if got := value(t, counter).GetCounter().GetValue() - before; got != 1 {
				t.Errorf("nautes_git_fetches_total{result=%q} grew by %v, want 1", test.wantResult, got)
			}
			after := value(t, GitFetchDuration).GetHistogram()
			if got := after.GetSampleCount() - samples.GetSampleCount(); got != 1 {
				t.Errorf("the histogram grew by %d samples, want 1", got)
			}
			if got := after.GetSampleSum() - samples.GetSampleSum(); got < 2 || got > 60 {
				t.Errorf("the histogram grew by %v s, want about 2", got)
			}
		})
	}
}

func TestObserveApply(t *testing.T) {
	counters := map[string]struct {
		counter prometheus.Counter
		want    float64
	}{
		"written":            {ApplyWrites.WithLabelValues("Cluster", "apply"), 3},
		"deleted":            {ApplyWrites.WithLabelValues("Cluster", "delete"), 2},
		"unchanged":          {ApplyUnchanged, 5},
		"pruned":             {PruneDeletes, 2},
		"on the tenant only": {ApplyWrites.WithLabelValues("Tenant", "apply"), 0},
	}
	before := map[string]float64{}
	for name, c := range counters {
		before[name] = value(t, c.counter).GetCounter().GetValue()
	}
	ObserveApply("Cluster", 3, 5, 2)
	for name, c := range counters {
		if got := value(t, c.counter).GetCounter().GetValue() - before[name]; got != c.want {
			t.Errorf("%s grew by %v, want %v", name, got, c.want)
		}
	}
}

func value(t *testing.T, metric prometheus.Metric) *dto.Metric {
	t.Helper()
	var out dto.Metric
	if err := metric.Write(&out); err != nil {
		t.Fatal(err)
	}
	return &out
}
