package git

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// byteOrderMark begins files of some editors.
const byteOrderMark = "\ufeff"

// prepared returns the credentials as they are sent: without the line ends and the byte
// order mark that command lines and editors add, and with an SSH key that OpenSSH reads.
// The reason is not empty if they cannot be used.
func (a Auth) prepared(protocol string) (_ Auth, reason string) {
	for name, value := range map[string][]byte{"user name": []byte(a.Username), "password": a.Password.Bytes(), "SSH key": a.SSHKey.Bytes(), "known hosts": a.KnownHosts} {
		if wide(value) {
			return a, "the " + name + " is not in UTF-8 but in UTF-16: write it anew in UTF-8"
		}
	}
	a.Username = plan.BareText(a.Username)
	a.KnownHosts = bytes.TrimPrefix(a.KnownHosts, []byte(byteOrderMark))
	if password := a.Password.Bytes(); len(password) > 0 {
		stripped := plan.BareText(string(password))
		if strings.TrimSpace(stripped) == "" {
			return a, "the password is blank: put the right one into the repository's Secret"
		}
		a.Password = secrets.NewValue([]byte(stripped))
	}
	if protocol != "ssh" || len(a.SSHKey.Bytes()) == 0 {
		return a, ""
	}
	key, reason := readKey(a.SSHKey.Bytes())
	if reason != "" {
		return a, "the SSH key " + reason
	}
	a.SSHKey = secrets.NewValue(key)
	return a, ""
}

// wide reports whether a text is in UTF-16, as some shells write files.
func wide(text []byte) bool {
	return bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff})
}

// oddity describes the first character of the user name or the password that hardly
// belongs there, or is empty. It does not repeat them.
func (a Auth) oddity() string {
	for _, field := range []struct{ name, value string }{{"user name", a.Username}, {"password", string(a.Password.Bytes())}} {
		for i, c := range field.value {
			end := i == 0 || i+utf8.RuneLen(c) == len(field.value)
			if !unicode.IsPrint(c) || unicode.IsSpace(c) && end || c == utf8.RuneError {
				return fmt.Sprintf("the %s holds the character U+%04X, which cannot be seen and hardly belongs there: write the Secret anew without it", field.name, c)
			}
		}
	}
	return ""
}

var (
	publicKey = regexp.MustCompile(`^(ssh-(ed25519|rsa|dss)|ecdsa-sha2-|sk-|---- BEGIN SSH2 PUBLIC|-----BEGIN (RSA )?PUBLIC)`)
	pemBegin  = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]+-----`)
	pemEnd    = regexp.MustCompile(`-----END [A-Z0-9 ]+-----`)
)

// readKey returns a private key in the format of OpenSSH, or the reason why it cannot be
// used, as the rest of a sentence about the key.
func readKey(content []byte) (key []byte, reason string) {
	text := strings.TrimSpace(plan.BareKey(string(content)))
	if reason := malformedKey(text); reason != "" {
		return nil, reason
	}
	private, err := ssh.ParseRawPrivateKey([]byte(text + "\n"))
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, "has a passphrase: use one without"
	case err != nil:
		return nil, "cannot be read, it is damaged or of a kind that is not supported: use an unencrypted private key of type ed25519, ECDSA or RSA in the format of OpenSSH"
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, "is of a kind that is not supported: use one of type ed25519, ECDSA or RSA"
	}
	return pem.EncodeToMemory(block), ""
}

// malformedKey returns the fault in the form of a private key, or "".
func malformedKey(text string) string {
	const asIs = ": put the file of the private key into the Secret as it is"
	decoded, err := base64.StdEncoding.DecodeString(text)
	unseen := strings.IndexFunc(text, func(c rune) bool { return c != '\n' && !unicode.IsPrint(c) })
	switch {
	case text == "":
		return "is blank" + asIs
	case publicKey.MatchString(text):
		return "is a public key: use the private key that belongs to it"
	case strings.HasPrefix(text, "PuTTY-User-Key-File"):
		return "is in the format of PuTTY: convert it with puttygen -O private-openssh"
	case strings.HasPrefix(text, "---- BEGIN SSH2"):
		return "is in the format of SSH2: convert it to the format of OpenSSH"
	case err == nil && pemBegin.Match(decoded):
		return "is encoded in base64 once more" + asIs
	case unseen >= 0:
		char, _ := utf8.DecodeRuneInString(text[unseen:])
		return fmt.Sprintf("holds the character U+%04X, which cannot be seen", char) + asIs
	case !pemBegin.MatchString(text):
		return "is no private key, which begins with -----BEGIN" + asIs
	case strings.HasPrefix(text, "-----BEGIN CERTIFICATE"):
		return "is a certificate: use a private key"
	case !pemEnd.MatchString(text):
		return "ends early, without its last line" + asIs
	case !strings.Contains(text, "\n") && strings.Contains(text, `\n`):
		return `has the two characters \n in place of line ends` + asIs
	case !strings.Contains(text, "\n"):
		return "has blanks in place of line ends" + asIs
	case strings.HasPrefix(text, "-----BEGIN ENCRYPTED"):
		return "has a passphrase: use one without"
	case strings.HasPrefix(text, "-----BEGIN DSA"):
		return "is of type DSA, which OpenSSH does not accept any more: use one of type ed25519, ECDSA or RSA"
	}
	return ""
}
