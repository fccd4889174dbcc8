package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSample(t *testing.T) {
	type read struct {
		Name   string
		Labels map[string]string
		Value  float64
	}
	for line, want := range map[string]read{
		"# TYPE go_gc_heap_live_bytes gauge":    {},
		"go_gc_heap_live_bytes 3.1847368e+07":   {Name: "go_gc_heap_live_bytes", Value: 31847368},
		"process_cpu_seconds_total 18.66":       {Name: "process_cpu_seconds_total", Value: 18.66},
		`requests{code="200",host="::1:80"} 43`: {Name: "requests", Labels: map[string]string{"code": "200", "host": "::1:80"}, Value: 43},
		"":                                      {},
	} {
		name, labels, value := sample(line)
		if diff := cmp.Diff(want, read{name, labels, value}); diff != "" {
			t.Errorf("%q (-want +got):\n%s", line, diff)
		}
	}
}

// The wait ends when all expected objects are there, or when time is over.
func TestReach(t *testing.T) {
	have := 0
	count := func() int { have++; return have }
	why := func() string { return "because" }
	if err := reach(t.Context(), "things", 3, count, why); err != nil || have != 3 {
		t.Errorf("with %d: %v", have, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stuck := func() int { cancel(); return 1 }
	if err := reach(ctx, "things", 3, stuck, why); !errors.Is(err, context.Canceled) {
		t.Errorf("with a wait that ends: %v", err)
	}
	if text := mebibytes(3 << 19); !strings.HasPrefix(text, "1.5 ") {
		t.Errorf("a MiB and a half is %s", text)
	}
}
