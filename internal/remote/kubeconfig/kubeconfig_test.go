package kubeconfig

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

// keyPair returns a certificate and its key, in PEM.
func keyPair(t testing.TB) (certificate, key []byte) {
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

// kubeconfigWith returns a kubeconfig with the given lines in its cluster and user.
func kubeconfigWith(cluster, user string) string {
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

func TestParse(t *testing.T) {
	certificate, key := keyPair(t)
	ca, cert, private := base64.StdEncoding.EncodeToString(certificate), base64.StdEncoding.EncodeToString(certificate), base64.StdEncoding.EncodeToString(key)

	tests := map[string]struct {
		give string
		want *rest.Config
	}{
		"token": {
			give: kubeconfigWith(goodServer+"\ncertificate-authority-data: "+ca, goodUser),
			want: &rest.Config{Host: "https://10.0.0.1:6443", BearerToken: secretToken, TLSClientConfig: rest.TLSClientConfig{CAData: certificate}},
		},
		"client certificate": {
			give: kubeconfigWith("server: https://api.example.com/k8s/c-1", "client-certificate-data: "+cert+"\nclient-key-data: "+private),
			want: &rest.Config{Host: "https://api.example.com/k8s/c-1", TLSClientConfig: rest.TLSClientConfig{CertData: certificate, KeyData: key}},
		},
		"token and client certificate": {
			give: kubeconfigWith(goodServer, goodUser+"\nclient-certificate-data: "+cert+"\nclient-key-data: "+private),
			want: &rest.Config{Host: "https://10.0.0.1:6443", BearerToken: secretToken, TLSClientConfig: rest.TLSClientConfig{CertData: certificate, KeyData: key}},
		},
		"fields without effect": {
			give: "extensions: []\n" + kubeconfigWith(goodServer+"\ninsecure-skip-tls-verify: false\ndisable-compression: true\nextensions: []", goodUser+"\nextensions: []"),
			want: &rest.Config{Host: "https://10.0.0.1:6443", BearerToken: secretToken},
		},
		"fields that are null": {
			give: kubeconfigWith(goodServer+"\ncertificate-authority-data:", goodUser+"\nclient-key-data:"),
			want: &rest.Config{Host: "https://10.0.0.1:6443", BearerToken: secretToken},
		},
		"fields that are empty": {
			give: kubeconfigWith(goodServer+"\nproxy-url: \"\"\ntls-server-name: ''\ncertificate-authority: ''",
				goodUser+"\nusername: ''\npassword: \"\"\ntokenFile: ''\nclient-certificate: ''\nclient-key: ''\nas: ''\nas-uid: ''"),
			want: &rest.Config{Host: "https://10.0.0.1:6443", BearerToken: secretToken},
		},
		"with a byte order mark and the line ends of Windows": {
			give: "\ufeff" + strings.ReplaceAll(kubeconfigWith(goodServer, goodUser), "\n", "\r\n"),
			want: &rest.Config{Host: "https://10.0.0.1:6443", BearerToken: secretToken},
		},
		"JSON with tabs": {
			give: "{\n\t\"current-context\": \"c\",\n\t\"contexts\": [{\"name\": \"c\", \"context\": {\"cluster\": \"k\", \"user\": \"u\"}}],\n" +
				"\t\"clusters\": [{\"name\": \"k\", \"cluster\": {\"server\": \"https://10.0.0.1:6443\"}}],\n\t\"users\": [{\"name\": \"u\", \"user\": {\"token\": \"" + secretToken + "\"}}]\n}",
			want: &rest.Config{Host: "https://10.0.0.1:6443", BearerToken: secretToken},
		},
		"entries that are not in use": {
			give: strings.NewReplacer(
				"contexts:\n", "contexts:\n- {name: other, surprise: 1}\n",
				"clusters:\n", "clusters:\n- {name: other, cluster: {server: 1, proxy-url: http://p}}\n",
				"users:\n", "users:\n- {name: other, user: {exec: {command: x}}}\n- {user: {token: x}}\n",
			).Replace(kubeconfigWith(goodServer, goodUser)),
			want: &rest.Config{Host: "https://10.0.0.1:6443", BearerToken: secretToken},
		},
		"the largest size": {
			give: kubeconfigWith(goodServer, goodUser) + strings.Repeat("#", maxSize-len(kubeconfigWith(goodServer, goodUser))),
			want: &rest.Config{Host: "https://10.0.0.1:6443", BearerToken: secretToken},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(test.give))
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if diff := cmp.Diff(test.want.String(), got.String()); diff != "" {
				t.Error(diff)
			}
			if got.BearerToken != test.want.BearerToken || string(got.KeyData) != string(test.want.KeyData) ||
				string(got.CertData) != string(test.want.CertData) || string(got.CAData) != string(test.want.CAData) {
				t.Error("the credentials differ from the file's")
			}
		})
	}
}

func TestErrorsNameTheField(t *testing.T) {
	for field, want := range map[string]string{
		"":                "the kubeconfig is refused: mend it",
		"users[].user.as": "the kubeconfig is refused: users[].user.as: mend it",
		ServerField:       "the address of the API server is refused: spec.apiServer: mend it",
	} {
		if got := (&Error{Field: field, Problem: "mend it"}).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	certificate, key := keyPair(t)
	cert, private := base64.StdEncoding.EncodeToString(certificate), base64.StdEncoding.EncodeToString(key)
	good := kubeconfigWith(goodServer, goodUser)
	const remake = "kubectl config view --minify --flatten --raw"

	// wantProblem is a part of the message.
	tests := map[string]struct{ give, wantField, wantProblem string }{
		"exec":                   {give: kubeconfigWith(goodServer, "exec:\n  command: sh"), wantField: "users[].user.exec", wantProblem: "plugins are not run"},
		"auth provider":          {give: kubeconfigWith(goodServer, "auth-provider:\n  name: gcp"), wantField: "users[].user.auth-provider", wantProblem: "plugins are not run"},
		"unknown, and empty":     {give: kubeconfigWith(goodServer, goodUser+"\nother: ''"), wantField: "users[].user.other", wantProblem: "this field is not accepted"},
		"user name":              {give: kubeconfigWith(goodServer, goodUser+"\nusername: a"), wantField: "users[].user.username", wantProblem: "passwords are not accepted"},
		"password":               {give: kubeconfigWith(goodServer, "username: a\npassword: "+secretToken), wantField: "users[].user.password", wantProblem: "passwords are not accepted"},
		"token file":             {give: kubeconfigWith(goodServer, "tokenFile: /etc/passwd"), wantField: "users[].user.tokenFile", wantProblem: "files are not read"},
		"certificate file":       {give: kubeconfigWith(goodServer, "client-certificate: /etc/x\nclient-key: /etc/y"), wantField: "users[].user.client-certificate", wantProblem: "files are not read"},
		"key file":               {give: kubeconfigWith(goodServer, "client-certificate-data: "+cert+"\nclient-key: /etc/y"), wantField: "users[].user.client-key", wantProblem: "files are not read"},
		"authority file":         {give: kubeconfigWith(goodServer+"\ncertificate-authority: /etc/x", goodUser), wantField: "clusters[].cluster.certificate-authority", wantProblem: "files are not read"},
		"insecure":               {give: kubeconfigWith(goodServer+"\ninsecure-skip-tls-verify: true", goodUser), wantField: "clusters[].cluster.insecure-skip-tls-verify", wantProblem: "TLS is always verified"},
		"insecure as a string":   {give: kubeconfigWith(goodServer+"\ninsecure-skip-tls-verify: \"false\"", goodUser), wantField: "clusters[].cluster.insecure-skip-tls-verify", wantProblem: "type string"},
		"proxy":                  {give: kubeconfigWith(goodServer+"\nproxy-url: http://p", goodUser), wantField: "clusters[].cluster.proxy-url", wantProblem: "proxies are not used"},
		"server name":            {give: kubeconfigWith(goodServer+"\ntls-server-name: x", goodUser), wantField: "clusters[].cluster.tls-server-name", wantProblem: "checked against the server's address"},
		"impersonation":          {give: kubeconfigWith(goodServer, goodUser+"\nas: root"), wantField: "users[].user.as", wantProblem: "impersonation"},
		"impersonated groups":    {give: kubeconfigWith(goodServer, goodUser+"\nas-groups: [a]"), wantField: "users[].user.as-groups", wantProblem: "impersonation"},
		"unknown field":          {give: kubeconfigWith(goodServer, goodUser+"\nsurprise: 1"), wantField: "users[].user.surprise", wantProblem: "remove it"},
		"unknown cluster field":  {give: kubeconfigWith(goodServer+"\nsurprise: 1", goodUser), wantField: "clusters[].cluster.surprise", wantProblem: "remove it"},
		"unknown context field":  {give: strings.Replace(good, "namespace: n", "surprise: n", 1), wantField: "contexts[].context.surprise", wantProblem: "remove it"},
		"unknown field of entry": {give: strings.Replace(good, "- name: u\n", "- name: u\n  surprise: 1\n", 1), wantField: "users[].surprise", wantProblem: "remove it"},
		"unknown top field":      {give: good + "surprise: 1\n", wantField: "surprise", wantProblem: "remove it"},
		"field in another case":  {give: kubeconfigWith(goodServer, "Token: "+secretToken), wantField: "users[].user.Token", wantProblem: "remove it"},
		"field that is a secret": {give: kubeconfigWith(goodServer, secretToken+": x"), wantField: "users[].user.?", wantProblem: "remove it"},
		"longest field name":     {give: kubeconfigWith(goodServer, strings.Repeat("x", 40)+": x"), wantField: "users[].user." + strings.Repeat("x", 40), wantProblem: "remove it"},
		"field name too long":    {give: kubeconfigWith(goodServer, strings.Repeat("x", 41)+": x"), wantField: "users[].user.?", wantProblem: "remove it"},
		"http":                   {give: kubeconfigWith("server: http://10.0.0.1", goodUser), wantField: "clusters[].cluster.server", wantProblem: "only https"},
		"no server":              {give: kubeconfigWith("extensions: []", goodUser), wantField: "clusters[].cluster.server", wantProblem: "not a URL with a host"},
		"no host":                {give: kubeconfigWith("server: https://:443", goodUser), wantField: "clusters[].cluster.server", wantProblem: "not a URL with a host"},
		"credentials in URL":     {give: kubeconfigWith("server: https://a:"+secretToken+"@h", goodUser), wantField: "clusters[].cluster.server", wantProblem: "only host, port and path"},
		"query in URL":           {give: kubeconfigWith("server: https://h?x=y", goodUser), wantField: "clusters[].cluster.server", wantProblem: "only host, port and path"},
		"empty query in URL":     {give: kubeconfigWith("server: https://h?", goodUser), wantField: "clusters[].cluster.server", wantProblem: "only host, port and path"},
		"fragment in URL":        {give: kubeconfigWith("server: 'https://h#x'", goodUser), wantField: "clusters[].cluster.server", wantProblem: "only host, port and path"},
		"no credential":          {give: kubeconfigWith(goodServer, "extensions: []"), wantField: "users[].user", wantProblem: "no credential"},
		"certificate, no key":    {give: kubeconfigWith(goodServer, "client-certificate-data: "+cert), wantField: "users[].user", wantProblem: "not a PEM certificate and its key"},
		"key, no certificate":    {give: kubeconfigWith(goodServer, "client-key-data: "+private), wantField: "users[].user", wantProblem: "not a PEM certificate and its key"},
		"token and certificate":  {give: kubeconfigWith(goodServer, goodUser+"\nclient-certificate-data: "+cert), wantField: "users[].user", wantProblem: "not a PEM certificate and its key"},
		"token and key":          {give: kubeconfigWith(goodServer, goodUser+"\nclient-key-data: "+private), wantField: "users[].user", wantProblem: "not a PEM certificate and its key"},
		"key not base64":         {give: kubeconfigWith(goodServer, "client-key-data: '"+secretToken+"!'"), wantField: "users[].user.client-key-data", wantProblem: "not base64"},
		"certificate not base64": {give: kubeconfigWith(goodServer, "client-certificate-data: '"+secretToken+"!'"), wantField: "users[].user.client-certificate-data", wantProblem: "not base64"},
		"authority not base64":   {give: kubeconfigWith(goodServer+"\ncertificate-authority-data: '!'", goodUser), wantField: "clusters[].cluster.certificate-authority-data", wantProblem: "not base64"},
		"authority not PEM":      {give: kubeconfigWith(goodServer+"\ncertificate-authority-data: AAAA", goodUser), wantField: "clusters[].cluster.certificate-authority-data", wantProblem: "no PEM certificate"},
		"token with line end":    {give: kubeconfigWith(goodServer, "token: \"a\\nX-Evil: b\""), wantField: "users[].user.token", wantProblem: "remove blanks and line ends"},
		"token with blank":       {give: kubeconfigWith(goodServer, "token: \"a b\""), wantField: "users[].user.token", wantProblem: "remove blanks and line ends"},
		"token with DEL":         {give: kubeconfigWith(goodServer, "token: \"a\\x7f\""), wantField: "users[].user.token", wantProblem: "remove blanks and line ends"},
		"token not ASCII":        {give: kubeconfigWith(goodServer, "token: \"ä\""), wantField: "users[].user.token", wantProblem: "remove blanks and line ends"},
		"token is a number":      {give: kubeconfigWith(goodServer, "token: 12345"), wantField: "users[].user.token", wantProblem: "type number"},
		"user is a string":       {give: strings.Replace(good, "user:\n    "+goodUser, "user: x", 1), wantField: "users[].user", wantProblem: "type string"},
		"users are a string":     {give: "users: x\ncurrent-context: c", wantField: "users", wantProblem: "type string"},
		"users with a string":    {give: strings.Replace(good, "users:\n", "users:\n- x\n", 1), wantField: "users[]", wantProblem: "not a mapping with a name"},
		"no current context":     {give: strings.Replace(good, "current-context: c", "current-context: ''", 1), wantField: "current-context", wantProblem: "name the context"},
		"context that is absent": {give: strings.Replace(good, "current-context: c", "current-context: d", 1), wantField: "contexts", wantProblem: "no element has the name"},
		"cluster that is absent": {give: strings.Replace(good, "cluster: k", "cluster: v", 1), wantField: "clusters", wantProblem: "no element has the name"},
		"user that is absent":    {give: strings.Replace(good, "user: u", "user: v", 1), wantField: "users", wantProblem: "no element has the name"},
		"user without a name":    {give: strings.NewReplacer("user: u", "user: ''", "name: u", "name: ''").Replace(good), wantField: "users", wantProblem: "no element has the name"},
		"two users of one name":  {give: good + "- name: u\n  user: {token: b}\n", wantField: "users[].name", wantProblem: "keep one"},
		"key twice":              {give: good + "kind: Config\n", wantProblem: "a key occurs twice"},
		"empty":                  {give: "", wantProblem: "not a mapping"},
		"no fields":              {give: "{}", wantField: "current-context", wantProblem: "name the context"},
		"a list":                 {give: "[]", wantProblem: "not a mapping"},
		"not YAML":               {give: "\t: [", wantProblem: remake},
		"a secret by itself":     {give: secretToken, wantProblem: "not a mapping"},
		"too large":              {give: good + strings.Repeat("#", maxSize+1-len(good)), wantProblem: "larger than 256 KiB"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(test.give))
			var refused *Error
			if !errors.As(err, &refused) {
				t.Fatalf("error is %v, want an *Error", err)
			}
			if refused.Field != test.wantField || !strings.Contains(refused.Problem, test.wantProblem) {
				t.Errorf("%q: %q, want %q: %q", refused.Field, refused.Problem, test.wantField, test.wantProblem)
			}
			if message := err.Error(); strings.Contains(message, secretToken) || !strings.HasPrefix(message, "the kubeconfig is refused: "+test.wantField) {
				t.Errorf("the message is not fit for a status: %s", message)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	certificate, key := keyPair(f)
	for _, user := range []string{
		goodUser, "exec:\n  command: sh", "username: a\npassword: b", "as: root\n" + goodUser, "tokenFile: /x",
		"client-certificate-data: " + base64.StdEncoding.EncodeToString(certificate) + "\nclient-key-data: " + base64.StdEncoding.EncodeToString(key),
	} {
		f.Add([]byte(kubeconfigWith(goodServer, user)))
	}
	f.Add([]byte(kubeconfigWith(goodServer+"\ninsecure-skip-tls-verify: true\nproxy-url: http://p", goodUser)))
	f.Add([]byte("a: &a [x, x]\nb: &b [*a, *a]\nusers: [*b, *b]\ncurrent-context: c"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse(data)
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
