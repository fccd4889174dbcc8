package build_test

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	corev1 "k8s.io/api/core/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/test/guide"
	. "nautes.io/nautes/test/testutil"
)

// issuerVariable makes TestIssuerClient a client of the issuer at its value.
const issuerVariable = "NAUTES_TEST_ISSUER"

// proxyValues are the values of oauth2-proxy's chart that concern its issuer.
type proxyValues struct {
	ExtraEnv []struct {
		Name  string
		Value string
	}
	ExtraVolumes []struct {
		Name      string
		ConfigMap struct {
			Name     string
			Optional bool
		}
	}
	ExtraVolumeMounts []struct{ Name, MountPath string }
	PodAnnotations    map[string]string
}

// An OAuth proxy, which is a Go program, trusts an issuer with a private authority by
// what we write: a ConfigMap on the cluster, and the directory where it is mounted.
func TestIssuerAuthority(t *testing.T) {
	issuer := httptest.NewTLSServer(http.NotFoundHandler())
	defer issuer.Close()
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw}))
	for name, test := range map[string]struct {
		bundle string
		want   bool
	}{
		"with the authority":    {bundle: authority, want: true},
		"without the authority": {},
	} {
		t.Run(name, func(t *testing.T) {
			s := guide.Ready(t, newSnapshot(Cluster("c", PipelineWorker, func(c *v1alpha1.Cluster) {
				c.Spec.ComponentsList.OauthProxy = &v1alpha1.Component{Name: "oauth2-proxy", Additions: map[string]string{"issuer": issuer.URL}}
				if test.bundle != "" {
					c.Spec.ComponentsList.OauthProxy.Additions["issuerCA"] = test.bundle
				}
			})))
			planned := mustCluster(t, s, "c")
			app := itemOf(tenantSet(planned), "Application", "c.oauth2-proxy").Object.(*argocd.Application)
			var values proxyValues
			if err := json.Unmarshal(app.Spec.GetSource().Helm.ValuesObject.Raw, &values); err != nil {
				t.Fatal(err)
			}
			if values.PodAnnotations["nautes.io/issuer-ca"] != test.bundle {
				t.Errorf("the proxy is not started again when the authority changes: %v", values.PodAnnotations)
			}
			volume, mount := values.ExtraVolumes[0], values.ExtraVolumeMounts[0]
			if !volume.ConfigMap.Optional || volume.Name != mount.Name {
				t.Errorf("the volume is %+v, mounted as %+v", volume, mount)
			}
			var data map[string]string
			if item := itemOf(*planned.On(plan.Cluster("c")), "ConfigMap", volume.ConfigMap.Name); item != nil {
				config := item.Object.(*corev1.ConfigMap)
				if data = config.Data; config.Namespace != app.Spec.Destination.Namespace {
					t.Errorf("the ConfigMap is in %s, and the proxy in %s", config.Namespace, app.Spec.Destination.Namespace)
				}
			}
			dirs := ""
			for _, variable := range values.ExtraEnv {
				if variable.Name == "SSL_CERT_DIR" {
					dirs = strings.Replace(variable.Value, mount.MountPath, mounted(t, data), 1)
				}
			}
			client := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestIssuerClient$")
			client.Env = append(os.Environ(), issuerVariable+"="+issuer.URL, "SSL_CERT_DIR="+dirs)
			if said, err := client.CombinedOutput(); (err == nil) != test.want {
				t.Errorf("with %s the issuer is trusted: %t, want %t: %s", dirs, err == nil, test.want, said)
			}
		})
	}
}

// mounted writes the content of a ConfigMap as a kubelet mounts it: its keys are links.
func mounted(t *testing.T, data map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "..2026"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..2026", filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	for key, content := range data {
		if err := os.WriteFile(filepath.Join(dir, "..2026", key), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..data", key), filepath.Join(dir, key)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestIssuerClient is the client of TestIssuerAuthority, in a process of its own.
func TestIssuerClient(t *testing.T) {
	issuer := os.Getenv(issuerVariable)
	if issuer == "" {
		return
	}
	answer, err := http.Get(issuer) //nolint:noctx // the process ends with the request
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
}
