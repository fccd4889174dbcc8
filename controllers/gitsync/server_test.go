package gitsync_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/controllers"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

var stack devstack.Shared

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(stack.Run(m))
}

var (
	once     sync.Once
	prepared *scenario.System
)

// theSystem returns a tenant whose operator mirrors repositories and polls them once an
// hour, so that whatever happens sooner has another cause.
func theSystem(t *testing.T) *scenario.System {
	t.Helper()
	s := stack.Stack(t)
	once.Do(func() {
		sys, err := scenario.NewSystem(s)
		if err == nil {
			_, err = s.InstallOperator(t.Context())
		}
		if err == nil {
			err = sys.InstallArgoCDKinds(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		op, err := sys.RunOperator(devstack.OperatorConfig{
			Tenant: "test", Dir: sys.Dir + "/operator", Receiver: "127.0.0.1:0", Metrics: "0", Probes: "0", GitPoll: time.Hour,
		}, func(deps *reconcile.Deps) error {
			return controllers.Add(deps, []string{"product", "gitsync", "coderepoprovider"})
		})
		if err != nil {
			t.Fatal(err)
		}
		sys.Hooks = "http://" + op.ReceiverAddress
		prepared = sys
	})
	if prepared == nil {
		t.Fatal("the system was not prepared; an earlier test says why")
	}
	return prepared
}

const group = "shop"

// product is a Product whose repository is on a server of a test.
type product struct {
	scenario.Product
	sys *scenario.System
}

// declare applies a Product with the repository at a URL.
func declare(t *testing.T, sys *scenario.System, id, address string, spec ...string) *product {
	t.Helper()
	p := &product{Product: scenario.NewProduct(id), sys: sys}
	spec = append(spec, "name: "+group+"-"+id, fmt.Sprintf("metaDataPath: %q", address))
	sys.MustApply(t, scenario.InNamespace(devstack.OperatorNamespace, scenario.Declaration("Product", p.Name, spec...)))
	return p
}

// files returns a revision of default.project.
func files(language string) map[string]string {
	return map[string]string{"projects/app/app.yaml": scenario.Declaration("Project", "app", "language: "+language)}
}

// mirrored waits until a revision is mirrored.
func (p *product) mirrored(t *testing.T, revision string) {
	t.Helper()
	o := p.Object()
	p.sys.Until(t, "revision "+revision, func() error {
		if err := p.sys.Client.Get(context.Background(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		if o.Status.Sync == nil || o.Status.Sync.Revision != revision {
			return fmt.Errorf("the status is %+v, %+v", o.Status.Sync, o.Status.Conditions)
		}
		return nil
	})
	p.sys.AwaitCondition(t, o, "Synced", metav1.ConditionTrue, v1alpha1.ReasonSynced)
}

// fails waits until the repository cannot be read for a reason that passes by itself.
func (p *product) fails(t *testing.T, want string) {
	t.Helper()
	o := p.Object()
	if message := p.sys.AwaitCondition(t, o, "Synced", metav1.ConditionFalse, v1alpha1.ReasonFetchFailed); !strings.Contains(message, want) {
		t.Errorf("the condition says %q, want %q", message, want)
	}
	// The controller of Products sums it up.
	p.sys.AwaitCondition(t, o, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonFetchFailed)
	if meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Errorf("it does not count as tried again: %+v", o.Status.Conditions)
	}
}

// announce sends the hook of a push to main.
func (p *product) announce(t *testing.T, commit string) {
	t.Helper()
	hook, err := p.sys.ProductHook(t.Context(), p.Name)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"object_kind":"push","event_name":"push","ref":"refs/heads/main","before":%q,"after":%q}`, strings.Repeat("0", 40), commit)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, hook.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "X-Gitlab-Token": hook.Token, "X-Gitlab-Event": "Push Hook"} {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("the receiver answers %s", answer.Status)
	}
}

// A hook that comes before its commit is not lost.
func TestEarlyHook(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	server := githost.New(t)
	repo := server.Repo("shop/early")
	first := repo.Push(files("go"))
	// Git asks for the branches by POST.
	var listed atomic.Int32
	forward := reverse(t, server.URL)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forward.ServeHTTP(w, r)
		if r.Method == http.MethodPost {
			listed.Add(1)
		}
	}))
	t.Cleanup(front.Close)
	p := declare(t, sys, "711", front.URL+"/shop/early.git")
	p.mirrored(t, first)

	next := repo.Commit(githost.Commit{Branch: "aside", Onto: first, Files: files("rust")})
	before := listed.Load()
	p.announce(t, next)
	sys.Until(t, "the look that comes too early", func() error {
		if n := listed.Load(); n <= before {
			return fmt.Errorf("the branches were listed %d times", n)
		}
		return nil
	})
	repo.Git("update-ref", "refs/heads/main", next)
	p.mirrored(t, next)
}

// A server that asks to come back later is left alone until then, also by hooks, and is
// asked again then, without a hook.
func TestComeBackLater(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	const pause = 4 * time.Second
	for i, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			server := githost.New(t)
			repo := server.Repo("shop/later")
			first := repo.Push(files("go"))
			p := declare(t, sys, fmt.Sprintf("72%d", i), repo.URL())
			p.mirrored(t, first)

			var mu sync.Mutex
			var asked []time.Time
			server.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, time.Now())
				if len(asked) > 1 {
					return false
				}
				w.Header().Set("Retry-After", strconv.Itoa(int(pause/time.Second)))
				w.WriteHeader(status)
				return true
			})
			next := repo.Push(files("rust"))
			p.announce(t, next)
			p.fails(t, fmt.Sprintf("%d %s", status, http.StatusText(status)))
			p.announce(t, next)
			p.mirrored(t, next)
			mu.Lock()
			defer mu.Unlock()
			if waited := asked[1].Sub(asked[0]); waited < pause {
				t.Errorf("the server is asked again after %s, and it asked for %s", waited, pause)
			}
		})
	}
}

// certified serves a server by HTTPS, with a certificate that is valid from a time on. It
// returns the URL and the certificate, which is its own authority.
func certified(t *testing.T, server *githost.Server, from time.Time) (address, authority string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: from.Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(reverse(t, server.URL))
	front.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	front.StartTLS()
	t.Cleanup(front.Close)
	return front.URL, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func reverse(t *testing.T, address string) *httputil.ReverseProxy {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return httputil.NewSingleHostReverseProxy(to)
}

// provider returns a CodeRepoProvider with more lines of its spec.
func provider(name, address string, spec ...string) string {
	spec = append(spec, fmt.Sprintf("httpAddress: %q", address), fmt.Sprintf("apiServer: %q", address+"/api/v4"), "providerType: gitlab")
	return scenario.InNamespace(devstack.OperatorNamespace, scenario.Declaration("CodeRepoProvider", name, spec...))
}

// A server with an authority of its own is read as soon as its certificate is valid.
func TestEarlyCertificate(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	server := githost.New(t)
	repo := server.Repo("shop/certificate")
	first := repo.Push(files("go"))
	valid := time.Now().Add(8 * time.Second)
	address, authority := certified(t, server, valid)
	sys.MustApply(t, provider("certified", address, fmt.Sprintf("caBundle: %q", authority)))
	p := declare(t, sys, "731", address+"/shop/certificate.git")
	p.fails(t, "not valid yet")
	p.mirrored(t, first)
	if late := time.Since(valid); late > time.Minute {
		t.Errorf("it is read %s after the certificate became valid", late)
	}
}

// A server with SSH is read with the host keys of its provider.
func TestHostKeysOfTheProvider(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("the OpenSSH client is not installed")
	}
	sys := theSystem(t)
	server := githost.New(t)
	host := server.NewSSH()
	first := server.Repo("shop/ssh").Push(files("go"))
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: "ssh-key"}, Data: map[string][]byte{"ssh-privatekey": host.PrivateKey},
	}
	if err := sys.Client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	sys.MustApply(t, scenario.InNamespace(devstack.OperatorNamespace, scenario.Declaration("CodeRepoProvider", "by-ssh",
		fmt.Sprintf("sshAddress: %q", host.URL), "apiServer: https://ssh.example.com/api/v4", "providerType: gitlab", fmt.Sprintf("knownHosts: %q", host.KnownHosts))))
	p := declare(t, sys, "741", host.URL+"/shop/ssh.git", "secretRef: {name: ssh-key}")
	p.mirrored(t, first)
}

// A proxy that asks for a login gets the one in the secret store, as soon as it is there.
func TestProxyLogin(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	server := githost.New(t)
	first := server.Repo("shop/proxied").Push(files("go"))
	proxy := githost.NewProxy(t, strings.TrimPrefix(server.URL, "http://"))
	proxy.RequireLogin("ann", "c@nary")
	sys.MustApply(t, provider("proxied", "http://git.example.com", fmt.Sprintf("proxy: {url: %q, login: true}", proxy.URL)))
	// The credentials of its own do not hide the login from the product.
	sys.MustApply(t, scenario.GitSecret("behind-a-proxy", "any"))
	p := declare(t, sys, "751", "http://git.example.com/shop/proxied.git", "secretRef: {name: behind-a-proxy}")
	const path = "git/proxied/proxy"
	if message := sys.AwaitCondition(t, p.Object(), "Synced", metav1.ConditionFalse, v1alpha1.ReasonSecretMissing); !strings.Contains(message, "tenant/"+path) {
		t.Errorf("the condition says %q, want the path %s", message, path)
	}
	login := map[string]string{"username": "ann", "password": "wrong"}
	store := func() {
		t.Helper()
		if err := sys.Secrets(t.Context(), secrets.Ref{Engine: "tenant", Path: path}, login); err != nil {
			t.Fatal(err)
		}
	}
	store()
	if message := sys.AwaitCondition(t, p.Object(), "Synced", metav1.ConditionFalse, v1alpha1.ReasonFetchFailed); !strings.Contains(message, "the proxy asks for a login") {
		t.Errorf("the condition says %q, want that the proxy refuses the login", message)
	}
	login["password"] = "c@nary"
	store()
	p.mirrored(t, first)
}
