// Package yamltext explains the text of YAML files as people write them. It
// guarantees that a message names a character that cannot be seen, and content that
// is something other than YAML.
package yamltext

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Finding is a problem at a line of a file; line 0 stands for the whole file.
// Message names the problem and the remedy.
type Finding struct {
	Line    int
	Message string
}

// origins are the beginnings of files that are not YAML.
func origins() []struct{ start, message string } {
	return []struct{ start, message string }{
		{"version https://git-lfs.github.com/spec/", "the file is a Git LFS pointer and not the content: LFS is not supported, so remove the path from .gitattributes, run git lfs untrack, and commit the file itself"},
		{"version https://hawser.github.com/spec/", "the file is a Git LFS pointer and not the content: LFS is not supported, so remove the path from .gitattributes, run git lfs untrack, and commit the file itself"},
		{"/annex/objects/", "the file is a git-annex pointer and not the content: commit the file itself"},
		{"age-encryption.org/", "the file is encrypted with age: commit it in plain text, and keep secrets in the secret store"},
		{"$ANSIBLE_VAULT;", "the file is encrypted with Ansible Vault: commit it in plain text, and keep secrets in the secret store"},
		{"-----BEGIN ", "the file is a key, a certificate or an encrypted message, and not YAML: keep secrets in the secret store"},
		{"\x00GITCRYPT", "the file is encrypted with git-crypt: commit it in plain text, and keep secrets in the secret store"},
		{"<!DOCTYPE", "the file is a web page and not YAML: commit the file itself"},
		{"<html", "the file is a web page and not YAML: commit the file itself"},
		{"<?xml", "the file is XML and not YAML: write it in YAML"},
		{"\xff\xfe", "the file is in UTF-16: convert it to UTF-8"},
		{"\xfe\xff", "the file is in UTF-16: convert it to UTF-8"},
		{"PK\x03\x04", "the file is an archive and not YAML: commit the files in it"},
		{"\x1f\x8b", "the file is compressed: commit it as plain text"},
	}
}

const byteOrderMark = "\ufeff"

// Foreign returns the finding about content that is something other than YAML, or
// whose merge conflict is not resolved, or nil. It is nil for valid YAML.
func Foreign(content []byte) *Finding {
	text := strings.TrimPrefix(string(content[:min(len(content), 256)]), byteOrderMark)
	for _, origin := range origins() {
		if strings.HasPrefix(text, origin.start) {
			line := 1
			if origin.start[0] < ' ' || origin.start[0] >= 0x80 || origin.start[0] == 'P' {
				line = 0
			}
			return &Finding{line, origin.message}
		}
	}
	if first := conflict(content); first > 0 && bytes.Contains(content, []byte("\n>>>>>>> ")) {
		return conflicted(first)
	}
	if at := bytes.Index(content, []byte("\nsops:\n")); at >= 0 && bytes.Contains(content, []byte("ENC[AES256_GCM,")) {
		return &Finding{bytes.Count(content[:at+1], []byte("\n")) + 1, "the file is encrypted with SOPS, which is not supported: commit it in plain text, and keep secrets in the secret store"}
	}
	return nil
}

func conflicted(line int) *Finding {
	return &Finding{line, "the file contains the markers of a merge conflict: resolve it, and remove the lines that begin with <<<<<<<, ======= and >>>>>>>"}
}

// conflict returns the line of the first marker of a merge conflict, or 0.
func conflict(content []byte) int {
	for i, line := range bytes.Split(content, []byte("\n")) {
		if bytes.HasPrefix(line, []byte("<<<<<<< ")) || bytes.HasPrefix(line, []byte(">>>>>>> ")) {
			return i + 1
		}
	}
	return 0
}

// Unparsable returns the reason why a parser refused content, at the line of its
// error or 0, or nil if it is unknown.
func Unparsable(content []byte, line int) *Finding {
	if found := Foreign(content); found != nil {
		return found
	}
	if first := conflict(content); first > 0 {
		return conflicted(first)
	}
	lines := strings.Split(string(content), "\n")
	if directive := strings.TrimPrefix(lines[0], byteOrderMark); strings.HasPrefix(directive, "%") {
		return &Finding{1, fmt.Sprintf("the directive %s is not supported: remove the line", shown(directive))}
	}
	// Parsers count from 0 or name the line after the fault.
	for _, at := range []int{line, line + 1, line - 1} {
		if at < 1 || at > len(lines) {
			continue
		}
		if found := ofLine(lines[at-1], at); found != nil {
			return found
		}
	}
	for i, text := range lines {
		if strings.HasPrefix(strings.TrimSpace(text), "{{") || strings.HasPrefix(strings.TrimSpace(text), "{%") {
			return ofLine(text, i+1)
		}
	}
	for i, text := range lines {
		if tabbed(text) {
			return ofLine(text, i+1)
		}
	}
	return nil
}

func ofLine(text string, line int) *Finding {
	switch hint := Template(text); {
	case hint != "":
		return &Finding{line, "the file " + hint}
	case tabbed(text):
		return &Finding{line, "the line is indented with a tab, which YAML does not allow: indent with spaces"}
	}
	if found := first(text, 1); found != nil {
		return &Finding{line, fmt.Sprintf("%s at column %d: remove it", Name(found.char), found.column)}
	}
	return nil
}

func shown(text string) string {
	text = strings.TrimSpace(text)
	return text[:min(len(text), 40)]
}

// tabbed reports whether the indentation of a line holds a tab.
func tabbed(line string) bool {
	content := strings.TrimLeft(line, " \t")
	return content != "" && strings.Contains(line[:len(line)-len(content)], "\t")
}

var templateForm = regexp.MustCompile(`\{\{.*\}\}|\{%.*%\}|<%.*%>|\{\{-? *(if|range|with|end|include|define)|\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

// Template returns the message about a template in a text, or "" if it has none.
func Template(text string) string {
	if match := templateForm.FindString(text); match != "" {
		return fmt.Sprintf("contains the template %s, which is not filled in: commit the result of the template", shown(match))
	}
	return ""
}

// names are the usual names of characters that cannot be seen.
func names() map[rune]string {
	return map[rune]string{
		0x00a0: "no-break space", 0x00ad: "soft hyphen", 0x034f: "combining grapheme joiner", 0x061c: "Arabic letter mark",
		0x115f: "Hangul filler", 0x1160: "Hangul filler", 0x180e: "Mongolian vowel separator",
		0x200b: "zero width space", 0x200c: "zero width non-joiner", 0x200d: "zero width joiner",
		0x200e: "left-to-right mark", 0x200f: "right-to-left mark", 0x2007: "figure space", 0x2028: "line separator", 0x2029: "paragraph separator",
		0x202a: "left-to-right embedding", 0x202b: "right-to-left embedding", 0x202c: "pop directional formatting",
		0x202d: "left-to-right override", 0x202e: "right-to-left override", 0x202f: "narrow no-break space", 0x2060: "word joiner",
		0x2066: "left-to-right isolate", 0x2067: "right-to-left isolate", 0x2068: "first strong isolate", 0x2069: "pop directional isolate",
		0x2800: "blank Braille pattern", 0x3000: "ideographic space", 0x3164: "Hangul filler", 0xfeff: "byte order mark", 0xffa0: "Hangul filler",
	}
}

// Name returns the code point of a character and, if it has one, its usual name.
func Name(char rune) string {
	if name := names()[char]; name != "" {
		return fmt.Sprintf("the invisible character U+%04X (%s)", char, name)
	}
	return fmt.Sprintf("the invisible character U+%04X", char)
}

// IsInvisible reports whether a reader cannot see a character, or sees it as a
// plain space. ASCII counts as visible, and so do the parts of an emoji.
func IsInvisible(char rune) bool {
	switch {
	case char < 0x80, char == utf8.RuneError:
		return false
	case names()[char] != "":
		return true
	}
	return unicode.Is(unicode.Cf, char) || unicode.Is(unicode.Zs, char) || unicode.Is(unicode.Cc, char)
}

// invisible is a character that cannot be seen, and its column, from 1.
type invisible struct {
	char   rune
	column int
}

func first(text string, from int) *invisible {
	column := from
	for _, char := range text {
		if IsInvisible(char) {
			return &invisible{char, column}
		}
		column++
	}
	return nil
}

// Hint returns the message about the first invisible character or template in a
// line, for a message about the line, or "" if it has none.
func Hint(line string) string {
	if found := first(line, 1); found != nil {
		return fmt.Sprintf("the line contains %s at column %d: remove it", Name(found.char), found.column)
	}
	if template := Template(line); template != "" {
		return "the line " + template
	}
	return ""
}

// Hidden returns the message about an invisible character in a value that is there
// by accident, or "". Text in another script than ASCII may join letters and emoji,
// and prose may hold spaces that do not break.
func Hidden(value string) string {
	column := 0
	runes := []rune(value)
	for i, char := range runes {
		column++
		if !IsInvisible(char) || joins(runes, i) {
			continue
		}
		return fmt.Sprintf("contains %s at character %d: remove it", Name(char), column)
	}
	return ""
}

// joins reports whether an invisible character has a purpose at its place.
func joins(text []rune, at int) bool {
	if at == 0 || at == len(text)-1 {
		return false
	}
	before, after := text[at-1], text[at+1]
	switch char := text[at]; {
	case char == 0x200c || char == 0x200d:
		return before >= 0x80 && after >= 0x80 && !IsInvisible(before) && !IsInvisible(after)
	case char == 0x200e || char == 0x200f:
		return rightToLeft(text)
	case unicode.Is(unicode.Zs, char):
		// Prose has ordinary spaces too.
		return !unicode.IsSpace(before) && !unicode.IsSpace(after) && strings.ContainsRune(string(text), ' ')
	case char == 0x00ad:
		return unicode.IsLetter(before) && unicode.IsLetter(after) && strings.ContainsRune(string(text), ' ')
	case char >= 0xe0020 && char <= 0xe007f:
		// The flags of regions end with tags.
		return before >= 0x1f3f4
	}
	return false
}

func rightToLeft(text []rune) bool {
	for _, char := range text {
		if unicode.In(char, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana) {
			return true
		}
	}
	return false
}

// Show returns a text in which each invisible character is its code point.
func Show(text string) string {
	if !strings.ContainsFunc(text, IsInvisible) {
		return text
	}
	var b strings.Builder
	for _, char := range text {
		if IsInvisible(char) {
			fmt.Fprintf(&b, "<U+%04X>", char)
		} else {
			b.WriteRune(char)
		}
	}
	return b.String()
}
