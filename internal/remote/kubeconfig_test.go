package remote

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

// pair returns a certificate and its key, in PEM.
func pair(t testing.TB) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
}

// kubeconfigOf returns a kubeconfig whose cluster and user hold the given lines.
func kubeconfigOf(cluster, user string) string {
	indent := func(lines string) string {
		return "    " + strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n    ")
	}
	return "apiVersion: v1\nkind: Config\ncurrent-context: c\npreferences: {}\n" +
		"contexts:\n- name: c\n  context:\n    cluster: k\n    user: u\n    namespace: n\n" +
		"clusters:\n- name: k\n  cluster:\n" + indent(cluster) + "\n" +
		"users:\n- name: u\n  user:\n" + indent(user) + "\n"
}

const (
	secretToken = "sEcReT.token-Value"
	goodServer  = "server: https://10.0.0.1:6443"
	goodUser    = "token: " + secretToken
)

func TestKubeconfigIsAccepted(t *testing.T) {
	certificate, key := pair(t)
	ca, cert, private := base64.StdEncoding.EncodeToString(certificate), base64.StdEncoding.EncodeToString(certificate), base64.StdEncoding.EncodeToString(key)

	tests := map[string]struct {
		give string
		want *rest.Config
	}{
		"token": {
			give: kubeconfigOf(goodServer+"\ncertificate-authority-data: "+ca, goodUser),
			want: &rest.Config{Host: "https://10.0.0.1:6443", BearerToken: secretToken, TLSClientConfig: rest.TLSClientConfig{CAData: certificate}},
		},
		"client certificate": {
			give: kubeconfigOf("server: https://api.example.com/k8s/c-1", "client-certificate-data: "+cert+"\nclient-key-data: "+private),
			want: &rest.Config{Host: "https://api.example.com/k8s/c-1", TLSClientConfig: rest.TLSClientConfig{CertData: certificate, KeyData: key}},
		},
		"verification that is said to be on": {
			give: kubeconfigOf(goodServer+"\ninsecure-skip-tls-verify: false", goodUser),
			want: &rest.Config{Host: "https://10.0.0.1:6443", BearerToken: secretToken},
		},
		"entries that are not in use are not looked at": {
			give: strings.Replace(kubeconfigOf(goodServer, goodUser), "users:\n", "users:\n- name: other\n  user:\n    exec: {command: x}\n", 1),
			want: &rest.Config{Host: "https://10.0.0.1:6443", BearerToken: secretToken},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseKubeconfig([]byte(test.give))
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if diff := cmp.Diff(test.want.String(), got.String()); diff != "" {
				t.Error(diff)
			}
			if got.BearerToken != test.want.BearerToken || string(got.KeyData) != string(test.want.KeyData) ||
				string(got.CertData) != string(test.want.CertData) || string(got.CAData) != string(test.want.CAData) {
				t.Error("the credentials are not those of the file")
			}
		})
	}
}

func TestKubeconfigIsRefused(t *testing.T) {
	certificate, key := pair(t)
	cert, private := base64.StdEncoding.EncodeToString(certificate), base64.StdEncoding.EncodeToString(key)

	tests := map[string]struct{ give, wantField string }{
		"exec":                   {give: kubeconfigOf(goodServer, "exec:\n  command: sh"), wantField: "users[].user.exec"},
		"auth provider":          {give: kubeconfigOf(goodServer, "auth-provider:\n  name: gcp"), wantField: "users[].user.auth-provider"},
		"password":               {give: kubeconfigOf(goodServer, "username: a\npassword: "+secretToken), wantField: "users[].user.password"},
		"token file":             {give: kubeconfigOf(goodServer, "tokenFile: /etc/passwd"), wantField: "users[].user.tokenFile"},
		"certificate file":       {give: kubeconfigOf(goodServer, "client-certificate: /etc/x\nclient-key: /etc/y"), wantField: "users[].user.client-certificate"},
		"authority file":         {give: kubeconfigOf(goodServer+"\ncertificate-authority: /etc/x", goodUser), wantField: "clusters[].cluster.certificate-authority"},
		"insecure":               {give: kubeconfigOf(goodServer+"\ninsecure-skip-tls-verify: true", goodUser), wantField: "clusters[].cluster.insecure-skip-tls-verify"},
		"insecure as a text":     {give: kubeconfigOf(goodServer+"\ninsecure-skip-tls-verify: \"false\"", goodUser), wantField: "clusters[].cluster.insecure-skip-tls-verify"},
		"proxy":                  {give: kubeconfigOf(goodServer+"\nproxy-url: http://p", goodUser), wantField: "clusters[].cluster.proxy-url"},
		"server name":            {give: kubeconfigOf(goodServer+"\ntls-server-name: x", goodUser), wantField: "clusters[].cluster.tls-server-name"},
		"impersonation":          {give: kubeconfigOf(goodServer, goodUser+"\nas: root"), wantField: "users[].user.as"},
		"impersonated groups":    {give: kubeconfigOf(goodServer, goodUser+"\nas-groups: [a]"), wantField: "users[].user.as-groups"},
		"unknown field":          {give: kubeconfigOf(goodServer, goodUser+"\nsurprise: 1"), wantField: "users[].user.surprise"},
		"unknown top field":      {give: kubeconfigOf(goodServer, goodUser) + "surprise: 1\n", wantField: "surprise"},
		"field that is a secret": {give: kubeconfigOf(goodServer, secretToken+": x"), wantField: "users[].user.?"},
		"http":                   {give: kubeconfigOf("server: http://10.0.0.1", goodUser), wantField: "clusters[].cluster.server"},
		"no server":              {give: kubeconfigOf("extensions: []", goodUser), wantField: "clusters[].cluster.server"},
		"no host":                {give: kubeconfigOf("server: https://:443", goodUser), wantField: "clusters[].cluster.server"},
		"credentials in URL":     {give: kubeconfigOf("server: https://a:"+secretToken+"@h", goodUser), wantField: "clusters[].cluster.server"},
		"query in URL":           {give: kubeconfigOf("server: https://h?x=y", goodUser), wantField: "clusters[].cluster.server"},
		"no credential":          {give: kubeconfigOf(goodServer, "extensions: []"), wantField: "users[].user"},
		"certificate, no key":    {give: kubeconfigOf(goodServer, "client-certificate-data: "+cert), wantField: "users[].user"},
		"key, no certificate":    {give: kubeconfigOf(goodServer, "client-key-data: "+private), wantField: "users[].user"},
		"not base64":             {give: kubeconfigOf(goodServer, "client-key-data: '"+secretToken+"!'"), wantField: "users[].user.client-key-data"},
		"authority is no PEM":    {give: kubeconfigOf(goodServer+"\ncertificate-authority-data: AAAA", goodUser), wantField: "clusters[].cluster.certificate-authority-data"},
		"token with line end":    {give: kubeconfigOf(goodServer, "token: \"a\\nX-Evil: b\""), wantField: "users[].user.token"},
		"token is a number":      {give: kubeconfigOf(goodServer, "token: 12345"), wantField: "users[].user.token"},
		"no current context":     {give: strings.Replace(kubeconfigOf(goodServer, goodUser), "current-context: c", "current-context: ''", 1), wantField: "current-context"},
		"context that is absent": {give: strings.Replace(kubeconfigOf(goodServer, goodUser), "current-context: c", "current-context: d", 1), wantField: "contexts"},
		"user that is absent":    {give: strings.Replace(kubeconfigOf(goodServer, goodUser), "user: u", "user: v", 1), wantField: "users"},
		"two users of one name": {
			give:      kubeconfigOf(goodServer, goodUser) + "- name: u\n  user: {token: b}\n",
			wantField: "users[].name",
		},
		"key twice":          {give: kubeconfigOf(goodServer, goodUser) + "kind: Config\n"},
		"empty":              {give: ""},
		"not YAML":           {give: "\t: ["},
		"a secret by itself": {give: secretToken},
		"too large":          {give: strings.Repeat("#", maxKubeconfig+1)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseKubeconfig([]byte(test.give))
			var refused *KubeconfigError
			if !errors.As(err, &refused) {
				t.Fatalf("error is %v, want a *KubeconfigError", err)
			}
			if refused.Field != test.wantField {
				t.Errorf("field is %q, want %q", refused.Field, test.wantField)
			}
			if strings.Contains(err.Error(), secretToken) || refused.Problem == "" {
				t.Errorf("message is not fit for a status: %s", err)
			}
		})
	}
}

func FuzzParseKubeconfig(f *testing.F) {
	certificate, key := pair(f)
	for _, user := range []string{
		goodUser, "exec:\n  command: sh", "username: a\npassword: b", "as: root\n" + goodUser, "tokenFile: /x",
		"client-certificate-data: " + base64.StdEncoding.EncodeToString(certificate) + "\nclient-key-data: " + base64.StdEncoding.EncodeToString(key),
	} {
		f.Add([]byte(kubeconfigOf(goodServer, user)))
	}
	f.Add([]byte(kubeconfigOf(goodServer+"\ninsecure-skip-tls-verify: true\nproxy-url: http://p", goodUser)))
	f.Add([]byte("a: &a [x, x]\nb: &b [*a, *a]\nusers: [*b, *b]\ncurrent-context: c"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := ParseKubeconfig(data)
		if err != nil {
			if strings.Contains(err.Error(), secretToken) {
				t.Errorf("the message holds the token: %s", err)
			}
			return
		}
		if !strings.HasPrefix(cfg.Host, "https://") {
			t.Errorf("host is %q", cfg.Host)
		}
		if cfg.ExecProvider != nil || cfg.AuthProvider != nil || cfg.Insecure || cfg.Proxy != nil || cfg.BearerTokenFile != "" ||
			cfg.CAFile != "" || cfg.CertFile != "" || cfg.KeyFile != "" || cfg.Username != "" || cfg.Password != "" ||
			cfg.ServerName != "" || cfg.Impersonate.UserName != "" || len(cfg.Impersonate.Groups) > 0 {
			t.Errorf("something that is not allowed got through: %s", cfg)
		}
		if cfg.BearerToken == "" && len(cfg.KeyData) == 0 {
			t.Error("no credential")
		}
		if _, err := rest.HTTPClientFor(cfg); err != nil {
			t.Errorf("the configuration is of no use: %v", err)
		}
	})
}
