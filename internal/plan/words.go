package plan

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// credentials match the secret parts of a foreign text, with their replacement.
var credentials = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|$)`), "***"},
	{regexp.MustCompile(`//[^/\s"'<>]*@`), "//"},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[a-z0-9+/=._~-]{8,}`), "$1 ***"},
	{regexp.MustCompile(`(?i)([a-z0-9_-]*(?:password|passwd|token|client_secret|api_?key|signature))(["']?\s*=\s*["']?|["']\s*:\s*["'])[^\s"',;&)]+`), "$1$2***"},
	{regexp.MustCompile(`\b(glpat-|gldt-|gh[pousr]_|github_pat_|hvs\.)[A-Za-z0-9_.-]+`), "***"},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?`), "***"},
}

// Words returns the text of a foreign system for a status: on one line, without
// credentials, user names in URLs and invisible characters, and at most limit bytes
// long.
func Words(text string, limit int) string {
	for _, c := range credentials {
		text = c.pattern.ReplaceAllString(text, c.with)
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return Cut(strings.Join(strings.Fields(text), " "), limit)
}

// Cut returns a text of at most limit bytes. A longer one ends at the end of a letter,
// with a mark.
func Cut(text string, limit int) string {
	const mark = "…"
	if len(text) <= limit {
		return text
	}
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}
