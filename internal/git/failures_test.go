package git

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/githost"
)

// TestAnswersThatAreNoSuccess holds that each answer of a server has its own cause.
func TestAnswersThatAreNoSuccess(t *testing.T) {
	server := githost.New(t)
	repo := server.Repo("demo/default.project")
	repo.Push(map[string]string{"a": "1"})
	known := Auth{Username: "ann", Password: secrets.NewValue([]byte("canary"))}
	odd := Auth{Username: "ann", Password: secrets.NewValue([]byte("canary\u00a0"))}
	tests := map[string]struct {
		status         int
		header         map[string]string
		body           string
		auth           Auth
		wantErr        error
		want           string
		wantRetryAfter time.Duration
	}{
		"401 without credentials": {status: 401, header: map[string]string{"WWW-Authenticate": "Basic"}, wantErr: ErrAuthentication, want: "there are none"},
		"401 with credentials":    {status: 401, auth: known, header: map[string]string{"WWW-Authenticate": "Basic"}, wantErr: ErrAuthentication, want: "does not accept the credentials"},
		"401, odd password":       {status: 401, auth: odd, header: map[string]string{"WWW-Authenticate": "Basic"}, wantErr: ErrAuthentication, want: "U+00A0"},
		"403 with credentials":    {status: 403, auth: known, wantErr: ErrAuthentication, want: "403 Forbidden"},
		"403 without credentials": {status: 403, wantErr: ErrAuthentication, want: "there are none"},
		"403 of a rate limit":     {status: 403, auth: known, header: map[string]string{"Retry-After": "60"}, wantErr: ErrUnreachable, want: "come back later (403 Forbidden)", wantRetryAfter: time.Minute},
		"404 without credentials": {status: 404, wantErr: ErrRepositoryMissing, want: "without credentials"},
		"404 with credentials":    {status: 404, auth: known, wantErr: ErrRepositoryMissing, want: "the credentials may read"},
		"404 of GitLab": {status: 404, auth: known, body: "The project you were looking for could not be found or you don't have permission to view it.",
			wantErr: ErrRepositoryMissing, want: "does not show it"},
		"402":         {status: 402, wantErr: ErrRefused, want: "402 Payment Required"},
		"407":         {status: 407, wantErr: ErrAuthentication, want: "407 Proxy"},
		"451":         {status: 451, wantErr: ErrRefused, want: "451 Unavailable For Legal Reasons"},
		"418":         {status: 418, wantErr: ErrUnreachable, want: "418"},
		"429":         {status: 429, header: map[string]string{"Retry-After": "60"}, wantErr: ErrUnreachable, want: "429 Too Many Requests", wantRetryAfter: time.Minute},
		"429, silent": {status: 429, wantErr: ErrUnreachable, want: "429"},
		"500":         {status: 500, wantErr: ErrUnreachable, want: "500 Internal Server Error"},
		"502":         {status: 502, wantErr: ErrUnreachable, want: "502 Bad Gateway"},
		"503":         {status: 503, header: map[string]string{"Retry-After": "7"}, wantErr: ErrUnreachable, want: "503 Service Unavailable", wantRetryAfter: 7 * time.Second},
		"504":         {status: 504, wantErr: ErrUnreachable, want: "504"},
		"a web page": {status: 200, header: map[string]string{"Content-Type": "text/html; charset=utf-8"}, body: "<html>canary</html>",
			wantErr: ErrUnreachable, want: "web page"},
		"an empty answer":   {status: 200, wantErr: ErrUnreachable, want: "as a Git server does"},
		"a redirect":        {status: 302, header: map[string]string{"Location": "https://canary.example.com/a.git"}, wantErr: ErrUnreachable, want: "redirects, which"},
		"a login page":      {status: 302, header: map[string]string{"Location": "/users/sign_in?canary"}, wantErr: ErrAuthentication, want: "login page"},
		"a permanent login": {status: 301, header: map[string]string{"Location": "https://canary/oauth2/start"}, wantErr: ErrAuthentication, want: "login page"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
				for name, value := range tt.header {
					w.Header().Set(name, value)
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
				return true
			})
			_, err := testMirrors(t, nil).Fetch(context.Background(), key, Source{URL: repo.URL(), Branch: "main", Auth: tt.auth})
			var known *Error
			if !errors.As(err, &known) || !errors.Is(err, tt.wantErr) || !strings.Contains(known.Reason, tt.want) || known.RetryAfter != tt.wantRetryAfter {
				t.Errorf("Fetch: %v (retry after %v), want %v about %q, %s", describe(err), known, tt.wantErr, tt.want, tt.wantRetryAfter)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the message repeats a secret or the server: %v", err)
			}
		})
	}
}

// TestHear reads the headers of several answers: the last one counts.
func TestHear(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		trace []string
		want  answer
	}{
		"seconds":         {[]string{"HTTP/1.1 429 x", "Retry-After: 60"}, answer{retryAfter: time.Minute}},
		"a date":          {[]string{"HTTP/2 503", "retry-after: Thu, 01 Jan 2026 00:02:00 GMT"}, answer{retryAfter: 2 * time.Minute}},
		"a date before":   {[]string{"HTTP/2 503", "retry-after: Thu, 01 Jan 2015 00:02:00 GMT"}, answer{}},
		"negative":        {[]string{"HTTP/2 503", "retry-after: -5"}, answer{}},
		"very long":       {[]string{"HTTP/2 503", "retry-after: 99999999999"}, answer{retryAfter: maxRetryAfter}},
		"no time":         {[]string{"HTTP/2 503", "retry-after: soon"}, answer{}},
		"the last counts": {[]string{"HTTP/1.1 429 x", "Retry-After: 60", "HTTP/1.1 200 OK", "Content-Type: text/html"}, answer{page: true}},
		"a sent header":   {[]string{"HTTP/1.1 429 x"}, answer{}},
	} {
		t.Run(name, func(t *testing.T) {
			trace := "10:00:00.0 http.c:1 => Send header: Retry-After: 9\n"
			for _, header := range tt.trace {
				trace += "10:00:00.0 http.c:1              <= Recv header: " + header + "\n"
			}
			if got := hear(strings.NewReader(trace), func() time.Time { return now }); got != tt.want {
				t.Errorf("hear = %+v, want %+v", got, tt.want)
			}
		})
	}
}

// authority signs the certificates of a test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	template.Subject.CommonName = "authority"
	a := authority{key: newKey(t)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err == nil {
		a.certificate, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// serve starts an HTTPS server with a certificate of the authority, or signed by itself.
func (a authority) serve(t *testing.T, change func(*x509.Certificate), selfSigned bool) (url string) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	template.Subject.CommonName = "git"
	change(template)
	private := newKey(t)
	parent, signer := a.certificate, a.key
	if selfSigned {
		parent, signer = template, private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &private.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}}
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// A server that asks for a certificate of the client is named as one.
func TestClientCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	// The alert can be lost, since the server closes the connection right after it.
	const attempts = 10
	for range attempts {
		_, err := testMirrors(t, nil).Fetch(t.Context(), key, Source{URL: server.URL + "/a/b.git", Branch: "main", CABundle: authority})
		if err == nil {
			t.Fatal("Fetch: no error")
		}
		if strings.Contains(err.Error(), "a certificate of the client, which is not supported") {
			return
		}
		t.Logf("Fetch: %v", describe(err))
	}
	t.Errorf("in %d attempts, no error says that the server asks for a certificate", attempts)
}

// TestCertificates holds that each fault of a certificate is named, whatever git is
// built with.
func TestCertificates(t *testing.T) {
	trusted, other := newAuthority(t), newAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: trusted.certificate.Raw})))
	for name, tt := range map[string]struct {
		from       authority
		change     func(*x509.Certificate)
		selfSigned bool
		wantErr    error
		want       string
	}{
		"right":             {from: trusted, change: func(*x509.Certificate) {}, wantErr: ErrRepositoryMissing},
		"another host":      {from: trusted, change: func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"git.example.com"} }, wantErr: ErrCertificate, want: certificateOtherHost},
		"expired":           {from: trusted, change: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, wantErr: ErrCertificate, want: certificateExpired},
		"not valid yet":     {from: trusted, change: func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }, wantErr: ErrCertificateEarly, want: certificateEarly},
		"unknown authority": {from: other, change: func(*x509.Certificate) {}, wantErr: ErrCertificate, want: certificateAuthority},
		"self-signed":       {from: other, change: func(*x509.Certificate) {}, selfSigned: true, wantErr: ErrCertificate, want: certificateSelfSigned},
	} {
		t.Run(name, func(t *testing.T) {
			url := tt.from.serve(t, tt.change, tt.selfSigned)
			m := testMirrors(t, func(o *Options) { o.CAFile = ca })
			_, err := m.Fetch(context.Background(), key, Source{URL: url + "/a.git", Branch: "main"})
			var known *Error
			if !errors.As(err, &known) || !errors.Is(err, tt.wantErr) || tt.want != "" && known.Reason != tt.want {
				t.Errorf("Fetch: %v, want %v: %s", describe(err), tt.wantErr, tt.want)
			}
			early := tt.want == certificateEarly
			if within := RetryWithin(err); early != (within > 50*time.Second && within <= time.Minute) || early != errors.Is(err, ErrCertificateEarly) {
				t.Errorf("retry within %v, error %v", within, err)
			}
			if errors.Is(tt.wantErr, ErrCertificateEarly) && !errors.Is(err, ErrCertificate) {
				t.Errorf("%v is no certificate error", err)
			}
		})
	}
}

// TestVerification names the faults that Go finds.
func TestVerification(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"key usage":      {x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}, certificateUsage},
		"expired":        {x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{}}, certificateExpired},
		"another host":   {x509.HostnameError{}, certificateOtherHost},
		"no certificate": {errors.New("connection refused"), ""},
	} {
		if got := verification(tt.err, time.Now()); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestCertificateReason reads the messages of curl with OpenSSL and with GnuTLS.
func TestCertificateReason(t *testing.T) {
	for said, want := range map[string]string{
		"SSL certificate problem: certificate has expired":                                         certificateExpired,
		"SSL certificate problem: certificate is not yet valid":                                    certificateEarly,
		"SSL certificate problem: unable to get local issuer certificate":                          certificateAuthority,
		"SSL certificate problem: self-signed certificate":                                         certificateSelfSigned,
		"SSL certificate problem: self signed certificate":                                         certificateSelfSigned,
		"SSL certificate problem: self-signed certificate in certificate chain":                    certificateAuthority,
		"SSL certificate problem: unsupported certificate purpose":                                 certificateUsage,
		"SSL certificate problem: unsuitable certificate purpose":                                  certificateUsage,
		"SSL certificate problem: certificate revoked":                                             certificateRevoked,
		"SSL certificate problem: EE certificate key too weak":                                     certificateWeak,
		"SSL: no alternative certificate subject name matches target host name ''":                 certificateOtherHost,
		"SSL: certificate subject name (git.example.com) does not match target hostname ''":        certificateOtherHost,
		"server certificate verification failed. CAfile: none CRLfile: none":                       certificateInvalid,
		"server verification failed: certificate signer not trusted. (CAfile: x CRLfile: none)":    certificateAuthority,
		"server verification failed: certificate expired. (CAfile: x CRLfile: none)":               certificateExpired,
		"server verification failed: certificate not yet activated. (CAfile: x CRLfile: none)":     certificateEarly,
		"server certificate expiration date has passed.":                                           certificateExpired,
		"server certificate not activated yet.":                                                    certificateEarly,
		"fatal: unable to access '': Could not resolve host: a":                                    "",
		"fatal: the remote end hung up unexpectedly; the purpose of this service is not yet valid": "",
	} {
		if got := certificateReason(said); got != want {
			t.Errorf("%q is %q, want %q", said, got, want)
		}
	}
}

// TestMissingBranches holds that the message has the branch and what there is instead.
func TestMissingBranches(t *testing.T) {
	m, server, repo, src := setUp(t)
	repo.Commit(githost.Commit{Branch: "master", Files: map[string]string{"a": "1"}})
	repo.Git("symbolic-ref", "HEAD", "refs/heads/master")
	empty := Source{URL: server.Repo("demo/empty").URL(), Branch: "main"}
	for name, tt := range map[string]struct {
		src  Source
		want string
	}{
		"another default branch": {src, `no branch "main": push it, or name another one; the default branch is "master"`},
		"an empty repository":    {empty, `the repository is empty: push a first commit to the branch "main"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, fetched := m.Fetch(context.Background(), key, tt.src)
			_, asked := m.Head(context.Background(), tt.src)
			for _, err := range []error{fetched, asked} {
				if !errors.Is(err, ErrBranchMissing) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want ErrBranchMissing: %s", err, tt.want)
				}
			}
		})
	}
	if _, err := m.FetchRevision(context.Background(), "runner", empty, ""); !errors.Is(err, ErrUnknownRevision) || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("default branch of an empty repository: %v", err)
	}
}

// TestSHA256 holds that repositories with hashes of 64 digits work, also at a URL that
// had another kind before.
func TestSHA256(t *testing.T) {
	m, server, repo, src := setUp(t)
	repo.Push(map[string]string{"a": "0"})
	old := fetch(t, m, src)
	if err := os.RemoveAll(repo.Git("rev-parse", "--absolute-git-dir")); err != nil {
		t.Fatal(err)
	}
	long := server.RepoSHA256("demo/default.project")
	first := long.Push(map[string]string{"a": "1"})
	if got := fetch(t, m, src); got.Hash != first || len(first) != sha256Digits {
		t.Fatalf("Fetch = %s, want %s", got.Hash, first)
	}
	second := long.Push(map[string]string{"a": "2", "b/c": "3"})
	if got := fetch(t, m, src); got.Hash != second || got.Parent != first {
		t.Errorf("Fetch = %+v, want %s after %s", got, second, first)
	}
	if got := contents(t, m, second); got["a"] != "2" || got["b/c"] != "3" {
		t.Errorf("content %v", got)
	}
	if changes, forward, err := m.Diff(context.Background(), key, first, second); err != nil || !forward || len(changes) != 2 {
		t.Errorf("Diff = %v, %v, %v", changes, forward, err)
	}
	if steps, err := m.Steps(context.Background(), key, first, second); err != nil || len(steps) != 1 {
		t.Errorf("Steps = %v, %v", steps, err)
	}
	long.Git("tag", "-a", "-m", "x", "v1", first)
	for revision, want := range map[string]string{"": second, "main": second, first: first, "v1": first, "refs/tags/v1": first} {
		got, err := m.FetchRevision(context.Background(), "runner"+revision, src, revision)
		if err != nil || got.Hash != want {
			t.Errorf("FetchRevision(%q) = %s, %v; want %s", revision, got.Hash, err, want)
		}
	}
	for _, revision := range []string{old.Hash, strings.Repeat("ab", 32)} {
		if _, err := m.FetchRevision(context.Background(), "runner", src, revision); !errors.Is(err, ErrUnknownRevision) {
			t.Errorf("FetchRevision(%q): %v, want ErrUnknownRevision", revision, err)
		}
	}
	short := server.Repo("demo/short")
	short.Push(map[string]string{"a": "1"})
	if _, err := m.FetchRevision(context.Background(), "runner", Source{URL: short.URL()}, first); !errors.Is(err, ErrUnknownRevision) {
		t.Errorf("a hash of 64 digits in a repository with 40: %v, want ErrUnknownRevision", err)
	}
}

// TestOtherServers holds that servers without the protocol of git, or without the whole
// history, work or are named.
func TestOtherServers(t *testing.T) {
	server := githost.New(t)
	for name, repo := range map[string]*githost.Repo{"SHA-1": server.Repo("demo/a"), "SHA-256": server.RepoSHA256("demo/b")} {
		first := repo.Push(map[string]string{"a": "1"})
		second := repo.Push(map[string]string{"a": "2"})
		dir := repo.Git("rev-parse", "--absolute-git-dir")
		t.Run("static files, "+name, func(t *testing.T) {
			repo.Git("update-server-info")
			files := httptest.NewServer(http.FileServer(http.Dir(dir)))
			t.Cleanup(files.Close)
			m, src := testMirrors(t, nil), Source{URL: files.URL + "/./", Branch: "main"}
			if got, err := m.Fetch(context.Background(), key, src); err != nil || got.Hash != second {
				t.Errorf("Fetch = %s, %s", got.Hash, describe(err))
			}
			for revision, want := range map[string]string{"main": second, "": second, first: first} {
				if got, err := m.FetchRevision(context.Background(), "runner"+revision, src, revision); err != nil || got.Hash != want {
					t.Errorf("FetchRevision(%q) = %s, %v", revision, got.Hash, err)
				}
			}
		})
		t.Run("shallow, "+name, func(t *testing.T) {
			write(t, filepath.Join(dir, "shallow"), second+"\n")
			repo.Git("update-ref", "-d", "refs/heads/none")
			remove(t, filepath.Join(dir, "objects", first[:2], first[2:]))
			m, src := testMirrors(t, nil), Source{URL: repo.URL(), Branch: "main"}
			_, err := m.Fetch(context.Background(), key, src)
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "shallow") {
				t.Errorf("Fetch: %s, want ErrRefused about shallow", describe(err))
			}
			if got, err := m.FetchRevision(context.Background(), "runner", src, "main"); err != nil || got.Hash != second {
				t.Errorf("FetchRevision = %s, %v", got.Hash, err)
			}
		})
	}
}

// TestAHugeCommitMessage holds that such a commit is followed, and confirms nothing.
func TestAHugeCommitMessage(t *testing.T) {
	m, _, repo, src := setUp(t)
	first := repo.Push(map[string]string{"a": "1"})
	fetch(t, m, src)
	huge := repo.Commit(githost.Commit{Files: map[string]string{"a": "2"}, Message: strings.Repeat("words ", 400_000) + "\n\nNautes-Confirm-Prune: true\n"})
	got := fetch(t, m, src)
	if got.Hash != huge || got.Parent != first || got.ConfirmsPrune {
		t.Errorf("Fetch = %+v, want %s after %s, and nothing confirmed", got, huge, first)
	}
	last := repo.Push(map[string]string{"a": "3"})
	fetch(t, m, src)
	if steps, err := m.Steps(context.Background(), key, first, last); err != nil || len(steps) != 2 {
		t.Errorf("Steps = %d, %v; want 2", len(steps), err)
	}
}
