package plan

import (
	"fmt"
	"strings"
)

// byteOrderMark begins the files of some editors.
const byteOrderMark = "\ufeff"

// BareText returns a credential without the byte order mark and the line ends around it,
// which editors and command lines add.
func BareText(text string) string {
	return strings.Trim(strings.TrimPrefix(text, byteOrderMark), "\r\n")
}

// ProxyURL returns the URL of a proxy with a login. Every character of the login that
// could have a meaning there is escaped.
func ProxyURL(proxy, user, password string) string {
	scheme, host, _ := strings.Cut(proxy, "://")
	return scheme + "://" + escape(user) + ":" + escape(password) + "@" + host
}

// escape percent-encodes all bytes but letters and digits.
func escape(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// BareKey returns the text of an SSH key with the line ends that OpenSSH needs: one
// after each line, and none of Windows. It leaves out the blanks around lines, which a
// key that was copied from YAML has. Other text is returned as BareText.
func BareKey(text string) string {
	if !strings.Contains(text, "-----BEGIN ") {
		return BareText(text)
	}
	var lines []string
	for line := range strings.Lines(strings.TrimPrefix(text, byteOrderMark)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.TrimSpace(strings.Join(lines, "\n")) + "\n"
}
