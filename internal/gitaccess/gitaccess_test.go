package gitaccess_test

import (
	"encoding/pem"
	"net/http/httptest"
	"strings"
	"testing"

	"nautes.io/nautes/internal/gitaccess"
)

func TestCheckTrust(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	tests := map[string]struct {
		check      func(string) error
		text, want string
	}{
		"no certificate":        {gitaccess.CheckCABundle, "", ""},
		"one":                   {gitaccess.CheckCABundle, certificate, ""},
		"two, from Windows":     {gitaccess.CheckCABundle, strings.ReplaceAll(certificate+certificate, "\n", "\r\n"), ""},
		"cut off":               {gitaccess.CheckCABundle, certificate[:len(certificate)-40], "certificate 1 cannot be read"},
		"the second is damaged": {gitaccess.CheckCABundle, certificate + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 2 is damaged"},
		"a key":                 {gitaccess.CheckCABundle, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "block 1 is no certificate"},
		"rubbish":               {gitaccess.CheckCABundle, "rubbish", "certificate 1 cannot be read"},
		"no host":               {gitaccess.CheckKnownHosts, "\n# comment\r\n", ""},
		"a host":                {gitaccess.CheckKnownHosts, "git.example.com " + key + "\n", ""},
		"a port, from Windows":  {gitaccess.CheckKnownHosts, "[git.example.com]:2222,10.0.0.1 " + key + "\r\n", ""},
		"an authority":          {gitaccess.CheckKnownHosts, "@cert-authority *.example.com " + key, ""},
		"a key without a host":  {gitaccess.CheckKnownHosts, "# a\n" + key, "line 2 is no host key"},
		"not base64":            {gitaccess.CheckKnownHosts, "git.example.com ssh-ed25519 !!", "line 1 is no host key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tt.check(tt.text)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
