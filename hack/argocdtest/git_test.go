package argocdtest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/v2/common"
	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v2/util/db"
	"github.com/argoproj/argo-cd/v2/util/git"
	"github.com/argoproj/argo-cd/v2/util/settings"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	nautes "nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/guide"
	"nautes.io/nautes/test/testutil"
)

const repositoryName = "product-1-repo-1"

// gitServer is a Git server with an authority of its own, and an SSH server with a key
// that nothing but the provider's settings names.
type gitServer struct {
	https *githost.Server
	ssh   *githost.SSH
	repo  *githost.Repo
	hash  string
}

// newGitServer makes the repository of product-1 in a kind of hashes.
func newGitServer(t *testing.T, newRepo func(*githost.Server, string) *githost.Repo) gitServer {
	t.Helper()
	return newGitServerAt(githost.NewTLS(t), newRepo)
}

// newGitServerAt makes it on a host that may speak HTTP.
func newGitServerAt(host *githost.Server, newRepo func(*githost.Server, string) *githost.Repo) gitServer {
	s := gitServer{https: host}
	s.ssh = s.https.NewSSH()
	s.repo = newRepo(s.https, testutil.Group("product-1")+"/code-repo-1")
	s.hash = s.repo.Push(map[string]string{"deploy/a.yaml": "a: 1\n"})
	return s
}

// tenant returns a tenant whose provider is the server, reached by HTTPS or SSH. The
// provider is changed in the end.
func (s gitServer) tenant(t *testing.T, bySSH, trusted bool, change ...func(*nautes.CodeRepoProvider)) *snapshot.Snapshot {
	t.Helper()
	var authority []byte
	if strings.HasPrefix(s.https.URL, "https:") {
		var err error
		if authority, err = os.ReadFile(s.https.CertificateFile()); err != nil {
			t.Fatal(err)
		}
	}
	provider := testutil.CodeRepoProvider(testutil.Provider, func(p *nautes.CodeRepoProvider) {
		p.Spec.HTTPAddress, p.Spec.SSHAddress = s.https.URL, ""
		if bySSH {
			p.Spec.SSHAddress = s.ssh.URL
		}
		if trusted {
			p.Spec.CABundle, p.Spec.KnownHosts = string(authority), string(s.ssh.KnownHosts)
		}
		for _, one := range change {
			one(p)
		}
	})
	return guide.Ready(t, snapshot.New(testutil.Tenant, testutil.Namespace,
		testutil.Cluster("c"), provider, testutil.Product("product-1"), testutil.Environment("product-1", "dev", "c"),
		testutil.Project("product-1", "app"), testutil.CodeRepo("product-1", "repo-1", "app"),
		testutil.Binding("product-1", "b", "repo-1", nautes.PermissionReadOnly, "app"),
		testutil.DeploymentRuntime("product-1", "dr", "dev", "repo-1", testutil.For("app"))))
}

// install writes the files that Argo CD's processes have of the ConfigMaps which its chart
// makes of our values: one file of each host's certificates, and one of all host keys. It
// sets the variables of the repo-server's environment.
func install(t *testing.T, s *snapshot.Snapshot) {
	t.Helper()
	planned, err := build.Cluster(s, s.Cluster("c"))
	if err != nil {
		t.Fatal(err)
	}
	var values struct {
		Configs struct {
			SSH struct {
				ExtraHosts string `json:"extraHosts"`
			} `json:"ssh"`
			TLS struct {
				Certificates map[string]string `json:"certificates"`
			} `json:"tls"`
		} `json:"configs"`
		RepoServer struct {
			Env []corev1.EnvVar `json:"env"`
		} `json:"repoServer"`
	}
	found := false
	for _, item := range planned.On(plan.Tenant).Items {
		if app, ok := item.Object.(*v1alpha1.Application); ok && app.Name == "c.argocd" {
			found = true
			if err := json.Unmarshal(app.Spec.Source.Helm.ValuesObject.Raw, &values); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !found {
		t.Fatal("no Application installs Argo CD")
	}
	certificates, hosts := t.TempDir(), t.TempDir()
	for host, content := range values.Configs.TLS.Certificates {
		// The chart makes the host a key of a ConfigMap.
		if strings.ContainsAny(host, "/:") {
			t.Errorf("%q is no key of a ConfigMap", host)
		}
		write(t, filepath.Join(certificates, host), content)
	}
	write(t, filepath.Join(hosts, "ssh_known_hosts"), "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n"+values.Configs.SSH.ExtraHosts)
	for _, variable := range values.RepoServer.Env {
		t.Setenv(variable.Name, strings.Replace(variable.Value, common.DefaultPathTLSConfig, certificates, 1))
	}
	t.Setenv(common.EnvVarTLSDataPath, certificates)
	t.Setenv(common.EnvVarSSHDataPath, hosts)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// repository returns the repository as Argo CD reads it from the Secret of the space,
// which the applier fills from stored credentials.
func repository(t *testing.T, s *snapshot.Snapshot, stored map[string]string) *v1alpha1.Repository {
	t.Helper()
	space, err := build.Space(s, "product-1", "c")
	if err != nil {
		t.Fatal(err)
	}
	label := map[string]string{"app.kubernetes.io/part-of": "argocd"}
	var objects []runtime.Object
	for _, item := range space.On(plan.Cluster("c")).Items {
		secret, ok := item.Object.(*corev1.Secret)
		if !ok || secret.Name != repositoryName {
			continue
		}
		secret = secret.DeepCopy()
		for _, value := range item.Secrets {
			if value.Format == plan.FormatProxy {
				secret.Data[value.Key] = []byte(plan.ProxyURL(value.Subject, plan.BareText(stored["proxy-username"]), plan.BareText(stored["proxy-password"])))
				continue
			}
			clean := map[plan.Format]func(string) string{plan.FormatText: plan.BareText, plan.FormatKey: plan.BareKey}[value.Format]
			if clean == nil {
				t.Fatalf("the field %s has the format %q", value.Field, value.Format)
			}
			secret.Data[value.Key] = []byte(clean(stored[value.Field]))
		}
		objects = append(objects, secret,
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: "argocd-cm", Labels: label}},
			&corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: "argocd-secret", Labels: label},
				Data:       map[string][]byte{"server.secretkey": []byte("worthless")},
			})
	}
	if len(objects) == 0 {
		t.Fatalf("the space has no Secret %s", repositoryName)
	}
	at := objects[0].(*corev1.Secret)
	clientset := fake.NewClientset(objects...)
	repo, err := db.NewDB(at.Namespace, settings.NewSettingsManager(t.Context(), clientset, at.Namespace), clientset).
		GetRepository(t.Context(), string(at.Data["url"]), "product-1")
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// newClient returns a client of a repository with the code of Argo CD's repo-server.
func newClient(t *testing.T, repo *v1alpha1.Repository) git.Client {
	t.Helper()
	client, err := git.NewClientExt(repo.Repo, t.TempDir(), repo.GetGitCreds(git.NoopCredsStore{}), repo.IsInsecure(), false, repo.Proxy, repo.NoProxy)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// read reads the head of a repository and its files as Argo CD does.
func read(t *testing.T, repo *v1alpha1.Repository, fetch bool) (head string, err error) {
	t.Helper()
	client := newClient(t, repo)
	if head, err = client.LsRemote("main"); err != nil || !fetch {
		return head, err
	}
	return head, checkout(client, head)
}

// checkout reads the files of a revision by git, as Argo CD's repo-server starts it.
func checkout(client git.Client, revision string) error {
	if err := client.Init(); err != nil {
		return err
	}
	if err := client.Fetch(""); err != nil {
		return err
	}
	_, err := client.Checkout(revision, false)
	return err
}

// TestArgoCDReadsPrivateServers holds that Argo CD reads a repository whose server has an
// authority of its own, or a host key that only the provider names, with what we write.
func TestArgoCDReadsPrivateServers(t *testing.T) {
	server := newGitServer(t, (*githost.Server).Repo)
	stored := map[string]string{"username": "reader\n", "password": "secret\r\n", "deploykey": strings.ReplaceAll(string(server.ssh.PrivateKey), "\n", "\r\n")}
	for name, test := range map[string]struct {
		bySSH, trusted, protected bool
		wantErr                   string
	}{
		"HTTPS":                        {trusted: true},
		"HTTPS with credentials":       {trusted: true, protected: true},
		"HTTPS without the authority":  {wantErr: "certificate"},
		"SSH":                          {bySSH: true, trusted: true},
		"SSH without the server's key": {bySSH: true, wantErr: "knownhosts"},
	} {
		t.Run(name, func(t *testing.T) {
			server.https.RequireAuth("", "")
			if test.protected {
				server.https.RequireAuth("reader", "secret")
			}
			s := server.tenant(t, test.bySSH, test.trusted)
			install(t, s)
			// With credentials git asks the argocd program, which only runs in its image.
			head, err := read(t, repository(t, s, stored), !test.protected)
			switch {
			case test.wantErr != "":
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("it reads %q, %v, want an error with %q", head, err, test.wantErr)
				}
			case err != nil || head != server.hash:
				t.Errorf("it reads %q, %v, want %s", head, err, server.hash)
			}
		})
	}
}

// TestArgoCDReadsNoSHA256 holds what the documentation says of this version of Argo CD.
func TestArgoCDReadsNoSHA256(t *testing.T) {
	server := newGitServer(t, (*githost.Server).RepoSHA256)
	s := server.tenant(t, false, true)
	install(t, s)
	if head, err := read(t, repository(t, s, map[string]string{}), true); err == nil {
		t.Errorf("it reads the revision %s of a repository with SHA-256: say so in docs/operate.md", head)
	} else if !strings.Contains(err.Error(), "object-format=sha256") {
		t.Errorf("the package observed does not recognise the error: %v", err)
	}
}
