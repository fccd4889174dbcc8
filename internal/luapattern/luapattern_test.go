package luapattern

import (
	"strings"
	"testing"

	"github.com/yuin/gopher-lua/pm"
)

func TestCheckLuaPattern(t *testing.T) {
	tests := map[string]struct {
		pattern string
		// want is a part of the error; empty if there is none.
		want string
	}{
		"empty":                       {},
		"of the user guide":           {pattern: "^refs/heads/feature%-"},
		"anything":                    {pattern: ".*"},
		"a plain ref":                 {pattern: "refs/heads/main"},
		"a version":                   {pattern: "^refs/tags/v%d+%.%d+%.%d+$"},
		"captures":                    {pattern: "^refs/(%a+)/(.-)$"},
		"a capture in a capture":      {pattern: "((a)b)%1%2"},
		"the place of a match":        {pattern: "()a"},
		"sets":                        {pattern: "[a-z_%-]+[^%d][]%]][^]][%1]"},
		"a balanced pair":             {pattern: "%b()"},
		"escaped parentheses":         {pattern: "%(%)(%()%1"},
		"not ASCII":                   {pattern: "^refs/heads/功能%-"},
		"a dash at the end of a set":  {pattern: "[a-]"},
		"a percent sign at the end":   {pattern: "a%", want: "ends with %"},
		"a frontier":                  {pattern: "%f[%w]main", want: "frontier"},
		"an open set":                 {pattern: "[a-z", want: "a [ is not closed"},
		"an open set with an escape":  {pattern: "[%]", want: "a [ is not closed"},
		"an open bracket":             {pattern: "a[", want: "a [ is not closed"},
		"an open set without a ]":     {pattern: "[^]", want: "a [ is not closed"},
		"a set of a ]":                {pattern: "[]]"},
		"an empty set":                {pattern: "[]", want: "a [ is not closed"},
		"an open capture":             {pattern: "refs/(heads", want: "a ( is not closed"},
		"a capture that never opened": {pattern: "refs/heads)", want: "closes nothing"},
		"no such capture":             {pattern: "(a)%2", want: "%2 repeats"},
		"capture zero":                {pattern: "%0", want: "%0 repeats"},
		"an open capture repeated":    {pattern: "(a%1)", want: "%1 repeats"},
		"a place repeated":            {pattern: "()%1", want: "%1 repeats"},
		"half a pair":                 {pattern: "%b(", want: "two characters"},
		"too many captures":           {pattern: strings.Repeat("()", 33), want: "more than 32"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := CheckLuaPattern(test.pattern)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("CheckLuaPattern(%q) = %v, want %q", test.pattern, err, test.want)
			}
		})
	}
}

// FuzzCheckLuaPattern checks that the engine can match every accepted pattern.
func FuzzCheckLuaPattern(f *testing.F) {
	for _, pattern := range []string{"^refs/heads/feature%-", "(a)%1", "[]", "[^]]", "%", "(()", "%b()", "a-b*c+d?", "[%a-z]", "$", "^^$$", "[a--]", "(%()"} {
		f.Add(pattern, "refs/heads/feature-1")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		// Longer ones take long and find little.
		if len(pattern) > 40 || len(text) > 40 {
			t.Skip()
		}
		if CheckLuaPattern(pattern) != nil {
			return
		}
		if _, err := pm.Find(pattern, []byte(text), 0, 1); err != nil {
			t.Errorf("%q was accepted, and cannot be matched with %q: %v", pattern, text, err)
		}
	})
}
