package plan

import "strings"

// byteOrderMark begins the files of some editors.
const byteOrderMark = "\ufeff"

// BareText returns a credential without the byte order mark and the line ends around it,
// which editors and command lines add.
func BareText(text string) string {
	return strings.Trim(strings.TrimPrefix(text, byteOrderMark), "\r\n")
}

// BareKey returns the text of an SSH key with the line ends that OpenSSH needs: one
// after each line, and none of Windows. Other text is returned as BareText.
func BareKey(text string) string {
	if !strings.Contains(text, "-----BEGIN ") {
		return BareText(text)
	}
	return strings.TrimSpace(strings.ReplaceAll(strings.TrimPrefix(text, byteOrderMark), "\r\n", "\n")) + "\n"
}
