package luapattern

import (
	"fmt"
	"strings"
	"testing"

	"github.com/yuin/gopher-lua/pm"
)

func TestCost(t *testing.T) {
	tests := map[string]struct {
		pattern string
		want    cost
		// refused is a part of the error; empty if the pattern is accepted.
		refused string
	}{
		"of the user guide":       {pattern: "^refs/heads/feature%-", want: cost{way: 27}},
		"anything":                {pattern: ".*", want: cost{repeats: 1, anywhere: true, way: 8}},
		"a version":               {pattern: "^refs/tags/v?%d+%.%d+%.%d+%-?rc?$", want: cost{repeats: 3, options: 3, way: 12}},
		"a version anywhere":      {pattern: "v%d+%.%d+%.%d+", want: cost{repeats: 3, anywhere: true, way: 8}, refused: "begin the pattern with ^"},
		"two, anywhere":           {pattern: "feature%-.+%-.+x", want: cost{repeats: 2, anywhere: true, way: 9}},
		"each kind":               {pattern: "^a*[*+]+.-", want: cost{repeats: 3, way: 8}},
		"a fourth":                {pattern: "^a*b+.-c*", want: cost{repeats: 4, way: 8}, refused: "has 4 of *, +, - and %b"},
		"six":                     {pattern: strings.Repeat(".*", 6) + "!", want: cost{repeats: 6, anywhere: true, way: 9}, refused: "use at most 3"},
		"pairs":                   {pattern: "^%b()%b()%b()%b()", want: cost{repeats: 4, way: 8}, refused: "use at most 3"},
		"many that may be there":  {pattern: strings.Repeat(".?", 40) + "!", want: cost{options: 40, anywhere: true, way: 49}, refused: "too long"},
		"some that may be there":  {pattern: "^a?b?c?d?e?f?", want: cost{options: 6, way: 14}},
		"nothing to repeat":       {pattern: "^(*)+%b()*", want: cost{repeats: 1, way: 21}},
		"stars that are repeated": {pattern: "**a**+", want: cost{repeats: 3, anywhere: true, way: 8}, refused: "begin the pattern with ^"},
		"escaped":                 {pattern: "^%*%+%-%%*", want: cost{repeats: 1, way: 8}},
		"long ways":               {pattern: "^.*.*.*" + strings.Repeat("a", 200), want: cost{repeats: 3, way: 208}, refused: "too long"},
		"captures":                {pattern: "^.*.*.*" + strings.Repeat("()", 20), want: cost{repeats: 3, way: 208}, refused: "parentheses"},
		"copies":                  {pattern: "^(.*)(.*)(.*)%1%2%3", want: cost{repeats: 3, way: 138}, refused: "parentheses"},
		"a copy":                  {pattern: "^refs/heads/(.-)/%1$", want: cost{repeats: 1, way: 120}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := measure(test.pattern); got != test.want {
				t.Errorf("the cost of %q is %+v, want %+v", test.pattern, got, test.want)
			}
			err := CheckLuaPattern(test.pattern)
			if (err == nil) != (test.refused == "") || err != nil && !strings.Contains(err.Error(), test.refused) {
				t.Errorf("CheckLuaPattern(%q) = %v, want %q", test.pattern, err, test.refused)
			}
		})
	}
}

// BenchmarkWorst measures the slowest accepted patterns with the slowest refs. It
// reports the units of maxWork per second, on which that constant is based.
func BenchmarkWorst(b *testing.B) {
	for _, test := range []struct{ pattern, text string }{
		{"^.*.*.*!", "a"},
		{".*.*!", "a"},
		{"^.-.-.-" + strings.Repeat("[^b]", 75) + "!", "a"},
		{"^.*.*.*" + strings.Repeat("()", 7) + "!", "a"},
		{"^.*.*.*.?.?.?!", "a"},
		{"^(.*)(.*)%1%2!", "a"},
		{".*%b()", "("},
		{"^" + strings.Repeat(".?", 22) + "!", "a"},
	} {
		if err := CheckLuaPattern(test.pattern); err != nil {
			b.Fatalf("%s is refused: %v", test.pattern, err)
		}
		b.Run(fmt.Sprintf("%.20s", test.pattern), func(b *testing.B) {
			text := []byte(strings.Repeat(test.text, MaxText))
			for b.Loop() {
				if found, err := pm.Find(test.pattern, text, 0, 1); err != nil || len(found) > 0 {
					b.Fatal(found, err)
				}
			}
			b.ReportMetric(measure(test.pattern).work()*float64(b.N)/b.Elapsed().Seconds(), "units/s")
		})
	}
}
