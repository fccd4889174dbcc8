package git

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/githost"
)

// TestCredentialsWithLineEnds holds that what command lines and editors add to a secret
// does no harm.
func TestCredentialsWithLineEnds(t *testing.T) {
	server := githost.New(t)
	server.RequireAuth("ann", "canary")
	repo := server.Repo("demo/default.project")
	hash := repo.Push(map[string]string{"a": "1"})
	for name, tt := range map[string]struct {
		user, password, want string
		wantErr              error
	}{
		"as they are":       {user: "ann", password: "canary"},
		"line end":          {user: "ann\n", password: "canary\n"},
		"CRLF":              {user: "ann\r\n", password: "canary\r\n"},
		"byte order mark":   {user: "\ufeffann", password: "\ufeffcanary\n"},
		"blank at the end":  {user: "ann", password: "canary ", wantErr: ErrAuthentication, want: "the password holds the character U+0020"},
		"no-break space":    {user: "ann", password: "canary\u00a0", wantErr: ErrAuthentication, want: "U+00A0"},
		"zero-width space":  {user: "ann\u200b", password: "canary", wantErr: ErrAuthentication, want: "the user name holds the character U+200B"},
		"tab":               {user: "ann", password: "canary\t", wantErr: ErrAuthentication, want: "U+0009"},
		"line end inside":   {user: "ann", password: "can\nary", wantErr: ErrAuthentication, want: "U+000A"},
		"UTF-16":            {user: "ann", password: "\xff\xfec\x00a\x00", wantErr: ErrRefused, want: "UTF-16"},
		"nothing but blank": {user: "ann", password: " \n", wantErr: ErrRefused, want: "blank"},
		"wrong":             {user: "ann", password: "other", wantErr: ErrAuthentication, want: "check that they are valid"},
	} {
		t.Run(name, func(t *testing.T) {
			auth := Auth{Username: tt.user, Password: secrets.NewValue([]byte(tt.password))}
			got, err := testMirrors(t, nil).Fetch(context.Background(), key, Source{URL: repo.URL(), Branch: "main", Auth: auth})
			if !errors.Is(err, tt.wantErr) || err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary")) || err == nil && got.Hash != hash {
				t.Errorf("Fetch = %s, %v; want %v about %q", got.Hash, err, tt.wantErr, tt.want)
			}
		})
	}
}

// TestReadKey holds that a key is read in every form, or that the message names its
// fault.
func TestReadKey(t *testing.T) {
	private := newKey(t)
	openSSH := func(key any, passphrase string) string {
		t.Helper()
		block, err := ssh.MarshalPrivateKey(key, "")
		if passphrase != "" {
			block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(block))
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := x509.MarshalECPrivateKey(small)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	right := openSSH(private, "")
	lines := strings.Split(strings.TrimSpace(right), "\n")
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ key, want string }{
		"OpenSSH":             {right, ""},
		"Ed25519":             {string(githost.NewKey(t)), ""},
		"PKCS 8":              {block("PRIVATE KEY", pkcs8), ""},
		"SEC 1":               {block("EC PRIVATE KEY", sec1), ""},
		"CRLF":                {strings.ReplaceAll(right, "\n", "\r\n"), ""},
		"no line end":         {strings.TrimSpace(right), ""},
		"byte order mark":     {"\ufeff" + right, ""},
		"indented, from YAML": {strings.ReplaceAll(right, "\n", "\n    "), ""},
		"blanks at line ends": {strings.ReplaceAll(right, "\n", " \t\n"), ""},
		"zero-width space":    {strings.Replace(right, "\n", "\u200b\n", 1), "U+200B"},
		"no-break spaces":     {strings.ReplaceAll(right, " ", "\u00a0"), "U+00A0"},
		"passphrase":          {openSSH(private, "secret"), "has a passphrase"},
		"passphrase, PKCS 8":  {block("ENCRYPTED PRIVATE KEY", pkcs8), "has a passphrase"},
		"passphrase, old":     {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "has a passphrase"},
		"public key":          {string(ssh.MarshalAuthorizedKey(signer.PublicKey())), "is a public key"},
		"public key in PEM":   {block("PUBLIC KEY", pkcs8), "is a public key"},
		"PuTTY":               {"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "PuTTY"},
		"SSH2":                {"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nx\n", "SSH2"},
		"blanks for line end": {strings.Join(lines, " "), "has blanks in place of line ends"},
		"backslashes":         {strings.Join(lines, `\n`), `\n in place of line ends`},
		"first half":          {strings.Join(lines[:2], "\n"), "ends early"},
		"a line is missing":   {strings.Join(append([]string{lines[0]}, lines[2:]...), "\n"), "damaged"},
		"base64":              {base64.StdEncoding.EncodeToString([]byte(right)), "base64 once more"},
		"certificate":         {block("CERTIFICATE", pkcs8), "is a certificate"},
		"DSA":                 {block("DSA PRIVATE KEY", pkcs8), "DSA"},
		"a curve of 224 bits": {block("EC PRIVATE KEY", p224), "of a kind that is not supported"},
		"a word":              {"canary", "is no private key"},
		"blank":               {" \n", "is blank"},
	} {
		t.Run(name, func(t *testing.T) {
			got, reason := readKey([]byte(tt.key))
			if !strings.Contains(reason, tt.want) || (reason == "") != (tt.want == "") || strings.Contains(reason, "canary") {
				t.Errorf("reason %q, want %q", reason, tt.want)
			}
			if reason != "" {
				return
			}
			if _, err := ssh.ParsePrivateKey(got); err != nil || !strings.HasPrefix(string(got), "-----BEGIN OPENSSH") {
				t.Errorf("the key that OpenSSH gets: %v", err)
			}
		})
	}
}
