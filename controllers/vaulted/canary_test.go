package vaulted_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

// No secret is where it is not meant to be: in an object of any kind on any
// control plane, in events, in metrics, in the log, in the operator's files.
func TestNoSecretIsTold(t *testing.T) {
	sys := theSystem(t)
	sys.addFoundSecrets(t)
	sys.provoke(t)

	want, found := map[string][]string{}, map[string][]string{}
	everything := sys.everything(t)
	for place, o := range everything {
		content, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range sys.canaries.in(string(content)) {
			name, _, _ = strings.Cut(name, " in base64")
			found[place] = append(found[place], name)
		}
	}
	for _, one := range sys.canaries.list() {
		for _, place := range one.places {
			want[place] = append(want[place], one.name)
		}
	}
	for _, places := range []map[string][]string{want, found} {
		for place := range places {
			slices.Sort(places[place])
		}
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("who holds which secrets (-want +got):\n%s", diff)
	}
	events := 0
	for place := range everything {
		if strings.Contains(place, " Event ") {
			events++
		}
	}
	if len(want) < 10 || events < 10 || len(everything) < 500 {
		t.Errorf("too little to find anything in: %d places of secrets, %d events, %d objects", len(want), events, len(everything))
	}

	metrics := sys.scrape(t)
	if !strings.Contains(metrics, `nautes_cluster_connected{cluster="alpha"} 1`) {
		t.Error("the metrics do not tell that the cluster is connected")
	}
	log, err := os.ReadFile(logFile)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), `"level":"debug"`) {
		t.Error("the log is not at the level debug")
	}
	texts := map[string]string{"the metrics": metrics, "the log": string(log)}
	maps.Copy(texts, filesBelow(t, sys.operatorDir))
	for where, text := range texts {
		for _, name := range sys.canaries.in(text) {
			t.Errorf("%s: %s", where, name)
		}
	}
}

// addFoundSecrets adds the secrets that were made by others than these tests.
func (sys *system) addFoundSecrets(t *testing.T) {
	t.Helper()
	secret := &corev1.Secret{}
	if err := sys.Client.Get(t.Context(), client.ObjectKey{Namespace: devstack.OperatorNamespace, Name: "nautes-receiver"}, secret); err != nil {
		t.Fatal(err)
	}
	sys.canaries.add(canary{name: "the key of the push hooks", value: string(secret.Data["key"]), places: []string{"tenant Secret nautes/nautes-receiver"}})
	reviewer := sys.field(t, secrets.ClusterReviewer(alphaCluster), "token")
	if len(reviewer) < 100 {
		t.Fatalf("the token of the reviewer has %d bytes", len(reviewer))
	}
	sys.canaries.add(canary{name: "the token of the reviewer", value: reviewer, places: []string{alphaPlane + " Secret vault/vault-auth-token"}})
}

// provoke makes mistakes with secrets, of which the operator has to speak.
func (sys *system) provoke(t *testing.T) {
	t.Helper()
	_ = sys.operatorToken(t, "1h")
	c := scenario.Cluster("beta-broken")
	t.Cleanup(func() { sys.unregister(t, c) })
	sys.MustApply(t, sys.clusterManifest(c.Name, betaPlane))
	for name, kubeconfig := range map[string]string{
		"a program as a kubeconfig":      "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: %q}}]\nusers: [{name: u, user: {exec: {command: %s}}}]\n",
		"a kubeconfig that is no YAML":   "%.0q{ %s: [",
		"a token that nobody has issued": "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}]\nusers: [{name: u, user: {token: %s}}]\n",
	} {
		value := sys.canaries.make(name)
		sys.putField(t, secrets.ClusterKubeconfig(c.Name), "kubeconfig", fmt.Sprintf(kubeconfig, sys.Runtimes[betaPlane].URL, value))
		sys.look(t, c, value[len(value)-4:])
		sys.Until(t, name, func() error {
			if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(c), c); err != nil {
				return err
			}
			for _, condition := range c.Status.Conditions {
				if condition.Type == v1alpha1.ConditionReady && condition.Status == "False" && condition.Reason == v1alpha1.ReasonCredentialsInvalid {
					return nil
				}
			}
			return fmt.Errorf("the conditions are %v", c.Status.Conditions)
		})
	}
	// A deploy key in the wrong field.
	d := deployment{name: "wrong", account: "wrong", repo: "wrong", project: "app", permission: v1alpha1.PermissionReadOnly}
	sys.putField(t, readOnly(d.repo), sys.canaries.make("a field's name"), sys.canaries.make("a key in the wrong field"))
	sys.first.push(t, sys.first.filesOf(d))
	t.Cleanup(func() {
		sys.first.push(t, nil, runtimeFile(d), "code-repos/"+d.repo)
		sys.AwaitGone(t, sys.Client, sys.first.RuntimeObject(d.name))
	})
	sys.waits(t, sys.first.RuntimeObject(d.name), v1alpha1.ConditionReady, v1alpha1.ReasonSecretMissing, "has no field deploykey")
	// A Vault that quotes the request in a refusal.
	for _, status := range []int{http.StatusBadRequest, http.StatusInternalServerError} {
		quoted := sys.canaries.make("what Vault says")
		sys.proxy.Fail(devstack.Fault{Failure: githost.Answer(status, fmt.Sprintf(`{"errors":[%q]}`, quoted))})
		sys.look(t, scenario.Cluster(alphaCluster), quoted[len(quoted)-4:])
		sys.Until(t, "the word of the cluster", func() error {
			if _, err := scenario.Condition(context.Background(), sys.Client, scenario.Cluster(alphaCluster), v1alpha1.ConditionCredentials, "True", v1alpha1.ReasonSecretFound); err == nil {
				return fmt.Errorf("nothing is wrong")
			}
			return nil
		})
		sys.proxy.Heal()
		sys.ready(t, scenario.Cluster(alphaCluster))
	}
}

// scrape returns the operator's metrics.
func (sys *system) scrape(t *testing.T) string {
	t.Helper()
	response, err := http.Get("http://" + sys.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the metrics: status %d, %v", response.StatusCode, err)
	}
	return string(content)
}

// filesBelow returns the files below a directory.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if err == nil {
			found[path] = string(content)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
