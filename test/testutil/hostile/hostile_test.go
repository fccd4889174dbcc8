package hostile_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"nautes.io/nautes/test/testutil/hostile"
)

func TestValues(t *testing.T) {
	values := hostile.Values()
	if len(values) < 200 {
		t.Errorf("there are %d values, want at least 200", len(values))
	}
	seen := map[string]bool{}
	for _, value := range values {
		if seen[value] {
			t.Errorf("%.60q is there twice", value)
		}
		seen[value] = true
	}
	holds := func(what string, f func(string) bool) {
		for _, value := range values {
			if f(value) {
				return
			}
		}
		t.Errorf("no value %s", what)
	}
	holds("holds NUL", func(v string) bool { return strings.Contains(v, "\x00") })
	holds("is no UTF-8", func(v string) bool { return !utf8.ValidString(v) })
	holds("is a ref of 10 kB", func(v string) bool { return strings.HasPrefix(v, "refs/heads/") && len(v) > 10<<10 })
	holds("holds a variable of Tekton", func(v string) bool { return strings.Contains(v, "$(params.") })
	holds("would make the canary", func(v string) bool { return strings.Contains(v, "touch "+hostile.Canary) })
}
