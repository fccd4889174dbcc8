package plan

import "testing"

func TestBareText(t *testing.T) {
	const key = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
	for name, test := range map[string]struct{ in, want, wantKey string }{
		"plain":                 {in: "secret", want: "secret", wantKey: "secret"},
		"line end":              {in: "secret\n", want: "secret", wantKey: "secret"},
		"line end of Windows":   {in: "secret\r\n", want: "secret", wantKey: "secret"},
		"byte order mark":       {in: "\ufeffsecret", want: "secret", wantKey: "secret"},
		"blanks are part of it": {in: " se cret ", want: " se cret ", wantKey: " se cret "},
		"key":                   {in: key, want: key[:len(key)-1], wantKey: key},
		"key from YAML": {
			in: "-----BEGIN OPENSSH PRIVATE KEY-----\n    AAAA\n\t-----END OPENSSH PRIVATE KEY-----  \n", wantKey: key,
			want: "-----BEGIN OPENSSH PRIVATE KEY-----\n    AAAA\n\t-----END OPENSSH PRIVATE KEY-----  ",
		},
		"key without a line end": {in: key[:len(key)-1], want: key[:len(key)-1], wantKey: key},
		"key from Windows": {
			in:      "\ufeff-----BEGIN OPENSSH PRIVATE KEY-----\r\nAAAA\r\n-----END OPENSSH PRIVATE KEY-----\r\n\r\n",
			want:    "-----BEGIN OPENSSH PRIVATE KEY-----\r\nAAAA\r\n-----END OPENSSH PRIVATE KEY-----",
			wantKey: key,
		},
		"empty": {},
	} {
		if got := BareText(test.in); got != test.want {
			t.Errorf("%s: text %q, want %q", name, got, test.want)
		}
		if got := BareKey(test.in); got != test.wantKey {
			t.Errorf("%s: key %q, want %q", name, got, test.wantKey)
		}
	}
}
