package plan

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWords(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"plain":              {text: `failed calling webhook "a.b": connection refused`, want: `failed calling webhook "a.b": connection refused`},
		"lines":              {text: " one\r\n\ttwo\x00 ", want: "one two"},
		"invisible":          {text: "a\u200bb\u202ec", want: "a b c"},
		"invalid":            {text: "a\xffb", want: "a?b"},
		"user in a URL":      {text: "Get https://me:pa:ss@git.example/x.git?y=1: no", want: "Get https://git.example/x.git?y=1: no"},
		"an address":         {text: "Get https://git.example/a@b: no", want: "Get https://git.example/a@b: no"},
		"SSH":                {text: "ssh://git@git.example/x.git", want: "ssh://git.example/x.git"},
		"token in a query":   {text: `Get "https://h/x?private_token=abcdef&y=1"`, want: `Get "https://h/x?private_token=***&y=1"`},
		"header":             {text: "Authorization: Bearer abcdefghij", want: "Authorization: Bearer ***"},
		"JSON":               {text: `{"password": "hidden", "user": "me"}`, want: `{"password": "***", "user": "me"}`},
		"GitLab token":       {text: "token glpat-abc_DEF is bad", want: "token *** is bad"},
		"JSON web token":     {text: "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.abc was refused", want: "*** was refused"},
		"private key":        {text: "key -----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- end", want: "key *** end"},
		"cut private key":    {text: "key -----BEGIN PRIVATE KEY-----\nabc", want: "key ***"},
		"a quota of secrets": {text: "exceeded quota: q, requested: secrets=1, used: secrets=2", want: "exceeded quota: q, requested: secrets=1, used: secrets=2"},
		"an unknown token":   {text: "invalid token: found '<'", want: "invalid token: found '<'"},
		"too long":           {text: strings.Repeat("é", 40), want: strings.Repeat("é", 23) + "…"},
		"just fits":          {text: strings.Repeat("x", 49), want: strings.Repeat("x", 49)},
		"secret at the cut":  {text: strings.Repeat("x", 40) + " password=hidden", want: strings.Repeat("x", 40) + " passw…"},
	} {
		limit := 49
		if len(test.text) > limit && !strings.Contains(test.want, "…") {
			limit = 1000
		}
		if got := Words(test.text, limit); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// A text is cut between two letters.
func TestCut(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"short":           {text: "abc", want: "abc"},
		"at the limit":    {text: "abcdefghij", want: "abcdefghij"},
		"over the limit":  {text: "abcdefghijk", want: "abcdefg…"},
		"inside a letter": {text: "abcde€fghijk", want: "abcde…"},
		"without letters": {text: strings.Repeat("\x80", 11), want: "…"},
	} {
		if got := Cut(test.text, 10); got != test.want || !utf8.ValidString(got) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
