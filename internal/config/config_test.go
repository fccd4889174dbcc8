package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

const head = "apiVersion: config.nautes.io/v1alpha1\nkind: OperatorConfig\ntenant: acme\n"

const vaultStore = "secretStore: {type: vault, vault: {address: \"https://vault.example.com:8200\"}}\n"

func TestLoad(t *testing.T) {
	defaults := func(change func(*Operator)) *Operator {
		o := &Operator{APIVersion: APIVersion, Kind: Kind, Tenant: "acme"}
		o.Default()
		change(o)
		return o
	}
	tests := map[string]struct {
		content string
		want    *Operator
		// wantErr lists parts of the message. Each problem must name its field.
		wantErr []string
	}{
		"the tenant is enough": {
			content: head,
			want:    defaults(func(*Operator) {}),
		},
		"fields in the file override their defaults only": {
			content: head + "git:\n  pollInterval: 90s\n  allowedProtocols: [http]\nclusters:\n  qps: 2.5\nleaderElection:\n  enabled: false\nmetrics:\n  address: \"0\"\n",
			want: defaults(func(o *Operator) {
				o.Git.PollInterval.Duration = 90 * time.Second
				o.Git.AllowedProtocols = []string{"http"}
				o.Clusters.QPS = 2.5
				o.LeaderElection.Enabled = ptr.To(false)
				o.Metrics.Address = "0"
			}),
		},
		"comments and a document mark":  {content: "# ours\n---\n" + head, want: defaults(func(*Operator) {})},
		"empty file":                    {content: "", wantErr: []string{"0 YAML documents"}},
		"two documents":                 {content: head + "---\n" + head, wantErr: []string{"2 YAML documents"}},
		"a list":                        {content: "- a\n", wantErr: []string{"not a mapping"}},
		"not YAML":                      {content: "a: [", wantErr: []string{"not valid YAML"}},
		"no tenant":                     {content: strings.Replace(head, "tenant: acme\n", "", 1), wantErr: []string{"tenant: Required value"}},
		"tenant that is no label":       {content: strings.Replace(head, "acme", "Acme_1", 1), wantErr: []string{"tenant: Invalid value: \"Acme_1\""}},
		"another version":               {content: strings.Replace(head, "v1alpha1", "v9", 1), wantErr: []string{"apiVersion: Unsupported value", APIVersion}},
		"another kind":                  {content: strings.Replace(head, "OperatorConfig", "ServerConfig", 1), wantErr: []string{"kind: Unsupported value"}},
		"unknown field":                 {content: head + "git:\n  pollIntervall: 5m\n", wantErr: []string{`unknown field "git.pollIntervall"`}},
		"field in the wrong case":       {content: head + "Namespace: other\n", wantErr: []string{`unknown field "Namespace"`}},
		"field given twice":             {content: head + "tenant: other\n", wantErr: []string{`"tenant" already set`}},
		"wrong type":                    {content: head + "reconcile:\n  workers: many\n", wantErr: []string{"reconcile.workers"}},
		"duration without a unit":       {content: head + "git:\n  timeout: 60\n", wantErr: []string{"git.timeout: Invalid value: 60", "write a duration"}},
		"invalid duration":              {content: head + "clusters:\n  probeTimeout: soon\n", wantErr: []string{"clusters.probeTimeout: Invalid value: \"soon\""}},
		"duration of null":              {content: head + "clusters:\n  probeTimeout:\n", wantErr: []string{"clusters.probeTimeout: Invalid value"}},
		"zero is not the default":       {content: head + "reconcile:\n  safetyInterval: 0s\n  workers: 0\n", wantErr: []string{"reconcile.safetyInterval: Invalid value", "reconcile.workers: Invalid value"}},
		"negative":                      {content: head + "clusters:\n  qps: -1\n  burst: -1\n  failureThreshold: -1\n  probeInterval: -1s\n", wantErr: []string{"clusters.qps", "clusters.burst", "clusters.failureThreshold", "clusters.probeInterval"}},
		"unknown protocol":              {content: head + "git:\n  allowedProtocols: [https, git]\n", wantErr: []string{"git.allowedProtocols[1]: Unsupported value: \"git\""}},
		"no protocol":                   {content: head + "git:\n  allowedProtocols: []\n", wantErr: []string{"git.allowedProtocols: Required value"}},
		"protocol given twice":          {content: head + "git:\n  allowedProtocols: [ssh, ssh]\n", wantErr: []string{"git.allowedProtocols[1]: Duplicate value"}},
		"relative cache":                {content: head + "git:\n  cacheDir: mirrors\n", wantErr: []string{"git.cacheDir: Invalid value: \"mirrors\""}},
		"address without a port":        {content: head + "receiver:\n  address: localhost\n", wantErr: []string{"receiver.address: Invalid value: \"localhost\""}},
		"negative port":                 {content: head + "probes:\n  address: \":-1\"\n", wantErr: []string{"probes.address: Invalid value"}},
		"port by name":                  {content: head + "probes:\n  address: \":http\"\n", wantErr: []string{"probes.address: Invalid value"}},
		"too large":                     {content: head + strings.Repeat("#", maxSize), wantErr: []string{"larger than"}},
		"port too high":                 {content: head + "probes:\n  address: \":70000\"\n", wantErr: []string{"probes.address: Invalid value"}},
		"receiver cannot be turned off": {content: head + "receiver:\n  address: \"0\"\n", wantErr: []string{"receiver.address: Invalid value"}},
		"key Secret that is no name":    {content: head + "receiver:\n  keySecret: Key!\n", wantErr: []string{"receiver.keySecret: Invalid value"}},
		"public URL by http":            {content: head + "receiver:\n  publicURL: http://nautes.example.com\n", wantErr: []string{"receiver.publicURL: Invalid value", "only https"}},
		"public URL with a slash":       {content: head + "receiver:\n  publicURL: https://nautes.example.com/\n", wantErr: []string{"receiver.publicURL: Invalid value", "slash at the end"}},
		"public URL with a user":        {content: head + "receiver:\n  publicURL: https://u:canary@nautes.example.com\n", wantErr: []string{"receiver.publicURL: Invalid value", "without a user"}},
		"public URL with a query":       {content: head + "receiver:\n  publicURL: https://nautes.example.com?\n", wantErr: []string{"receiver.publicURL: Invalid value"}},
		"public URL with a path":        {content: head + "receiver:\n  publicURL: https://example.com/nautes\n", want: defaults(func(o *Operator) { o.Receiver.PublicURL = "https://example.com/nautes" })},
		"public URL on loopback":        {content: head + "receiver:\n  publicURL: http://127.0.0.1:8082\n", want: defaults(func(o *Operator) { o.Receiver.PublicURL = "http://127.0.0.1:8082" })},
		"unknown secret store":          {content: head + "secretStore:\n  type: paper\n", wantErr: []string{"secretStore.type: Unsupported value: \"paper\""}},
		"Vault, with the pod's own account": {
			content: head + vaultStore,
			want: defaults(func(o *Operator) {
				o.SecretStore = SecretStore{Type: "vault", Vault: &Vault{Address: "https://vault.example.com:8200"}}
				o.SecretStore.Vault.Timeout.Duration = 5 * time.Second
				o.SecretStore.Vault.PollInterval.Duration = 30 * time.Second
				o.SecretStore.Vault.Auth = VaultAuth{
					Method: "kubernetes", Mount: "acme", Role: "nautes-operator",
					TokenFile: "/var/run/secrets/kubernetes.io/serviceaccount/token",
				}
			}),
		},
		"Vault by AppRole on loopback": {
			content: head + "secretStore: {type: vault, vault: {address: \"http://127.0.0.1:8200\", timeout: 1s, auth: {method: approle, roleIDFile: /r, secretIDFile: /s}}}\n",
			want: defaults(func(o *Operator) {
				o.SecretStore = SecretStore{Type: "vault", Vault: &Vault{Address: "http://127.0.0.1:8200"}}
				o.SecretStore.Vault.Timeout.Duration = time.Second
				o.SecretStore.Vault.PollInterval.Duration = 30 * time.Second
				o.SecretStore.Vault.Auth = VaultAuth{Method: "approle", Mount: "approle", RoleIDFile: "/r", SecretIDFile: "/s"}
			}),
		},
		"Vault that is not described": {content: head + "secretStore: {type: vault}\n", wantErr: []string{"secretStore.vault: Required value"}},
		"Vault beside another store":  {content: head + "secretStore: {vault: {address: \"https://v\"}}\n", wantErr: []string{"secretStore.vault: Forbidden"}},
		"Vault without an address":    {content: head + "secretStore: {type: vault, vault: {}}\n", wantErr: []string{"secretStore.vault.address: Required value"}},
		"Vault in the clear":          {content: head + strings.Replace(vaultStore, "https", "http", 1), wantErr: []string{"secretStore.vault.address", "only https"}},
		"Vault with a password in its address": {
			content: head + strings.Replace(vaultStore, "vault.example", "u:pw@vault.example", 1), wantErr: []string{"secretStore.vault.address", "without a user"},
		},
		"Vault at no URL":            {content: head + strings.Replace(vaultStore, "https://", "https://%", 1), wantErr: []string{"secretStore.vault.address", "without a user"}},
		"Vault at no host":           {content: head + strings.Replace(vaultStore, "vault.example.com:8200", "", 1), wantErr: []string{"secretStore.vault.address", "without a user"}},
		"Vault at a path":            {content: head + strings.Replace(vaultStore, "8200", "8200/v1", 1), wantErr: []string{"secretStore.vault.address", "without a user"}},
		"Vault with a query":         {content: head + strings.Replace(vaultStore, "8200", "8200?a=b", 1), wantErr: []string{"secretStore.vault.address", "without a user"}},
		"Vault with a fragment":      {content: head + strings.Replace(vaultStore, "8200", "8200#a", 1), wantErr: []string{"secretStore.vault.address", "without a user"}},
		"Vault by an unknown scheme": {content: head + strings.Replace(vaultStore, "https://vault.example.com", "ftp://localhost", 1), wantErr: []string{"secretStore.vault.address", "only https"}},
		"Vault with a relative file": {content: head + "secretStore: {type: vault, vault: {address: \"https://v\", caBundleFile: ca.pem}}\n", wantErr: []string{"secretStore.vault.caBundleFile: Invalid value"}},
		"Vault by no known method":   {content: head + "secretStore: {type: vault, vault: {address: \"https://v\", auth: {method: password}}}\n", wantErr: []string{"secretStore.vault.auth.method: Unsupported value"}},
		"Vault by AppRole without files": {
			content: head + "secretStore: {type: vault, vault: {address: \"https://v\", auth: {method: approle}}}\n",
			wantErr: []string{"secretStore.vault.auth.roleIDFile: Required value", "secretStore.vault.auth.secretIDFile: Required value"},
		},
		"Vault by a token without a file": {content: head + "secretStore: {type: vault, vault: {address: \"https://v\", auth: {method: token}}}\n", wantErr: []string{"secretStore.vault.auth.tokenFile: Required value"}},
		"Vault with a mount by its API path": {
			content: head + "secretStore: {type: vault, vault: {address: \"https://v\", auth: {mount: /auth/k/}}}\n", wantErr: []string{"secretStore.vault.auth.mount: Invalid value"},
		},
		"Vault by a name that looks like loopback": {content: head + "secretStore: {type: vault, vault: {address: \"http://127.0.0.1.example\"}}\n", wantErr: []string{"only https"}},
		"Vault by another protocol":                {content: head + "secretStore: {type: vault, vault: {address: \"ftp://vault.example\"}}\n", wantErr: []string{"only https"}},
		"Vault by a socket":                        {content: head + "secretStore: {type: vault, vault: {address: \"unix:///run/vault\"}}\n", wantErr: []string{"write https://host:port"}},
		"Vault by something that is no URL":        {content: head + "secretStore: {type: vault, vault: {address: \"https://vault\\u007f\"}}\n", wantErr: []string{"write https://host:port"}},
		"Vault with a namespace in two words":      {content: head + "secretStore: {type: vault, vault: {address: \"https://v\", namespace: \"a b\"}}\n", wantErr: []string{"secretStore.vault.namespace"}},
		"Vault with a mount upwards":               {content: head + "secretStore: {type: vault, vault: {address: \"https://v\", auth: {mount: ../sys}}}\n", wantErr: []string{"secretStore.vault.auth.mount"}},
		"Vault with a mount with a query":          {content: head + "secretStore: {type: vault, vault: {address: \"https://v\", auth: {mount: \"k?list\"}}}\n", wantErr: []string{"secretStore.vault.auth.mount"}},
		"Vault polled at no time":                  {content: head + "secretStore: {type: vault, vault: {address: \"https://v\", pollInterval: 0s}}\n", wantErr: []string{"secretStore.vault.pollInterval: Invalid value"}},
		"an image for runners": {
			content: head + "pipelines: {runnerImage: \"registry.example.com:5000/nautes/runner:v1@sha256:0123\"}\n",
			want:    defaults(func(o *Operator) { o.Pipelines.RunnerImage = "registry.example.com:5000/nautes/runner:v1@sha256:0123" }),
		},
		"an image that is a Tekton variable": {content: head + "pipelines: {runnerImage: $(params.image)}\n", wantErr: []string{"pipelines.runnerImage: Invalid value"}},
		"Argo CD in no namespace":            {content: head + "argocd: {namespace: Argo}\n", wantErr: []string{"argocd.namespace: Invalid value"}},
		"leader election null":               {content: head + "leaderElection:\n  enabled:\n", wantErr: []string{"leaderElection.enabled: Required value"}},
		"every problem is in the message":    {content: head + "namespace: _\nmetrics:\n  address: x\n", wantErr: []string{"namespace: Invalid value", "metrics.address: Invalid value"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "operator.yaml")
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Load(path)
			if len(test.wantErr) == 0 {
				if err != nil {
					t.Fatalf("Load() = %v, want no error", err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Fatalf("Load() differs (-want +got):\n%s", diff)
				}
				return
			}
			var problem *Error
			if !errors.As(err, &problem) {
				t.Fatalf("Load() = %v, want an *Error", err)
			}
			for _, part := range append(test.wantErr, path) {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("Load() = %q, want %q in it", err, part)
				}
			}
		})
	}
}

func TestLoadMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Fatalf("Load() = %v, want an error that names %s and wraps fs.ErrNotExist", err, path)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(head))
	f.Add([]byte(head + "git:\n  timeout: 1h2m3s\n  allowedProtocols: [ssh]\nclusters: {qps: 1e3, burst: 7}\n"))
	f.Add([]byte(head + "leaderElection: {enabled: false}\nprobes: {address: \"[::1]:9\"}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("{\"tenant\": null}"))
	f.Add([]byte("---\n---\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := decode(data)
		if err != nil {
			var problem *Error
			if !errors.As(err, &problem) || len(problem.Problems) == 0 {
				t.Fatalf("decode() = %v, want an *Error that names a problem", err)
			}
			return
		}
		if err := o.Validate(); err != nil {
			t.Fatalf("decode() returned an invalid configuration: %v", err)
		}
		written, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(written)
		if err != nil {
			t.Fatalf("decode() refuses what it returned: %v\n%s", err, written)
		}
		if diff := cmp.Diff(o, again); diff != "" {
			t.Fatalf("decode() of what it returned differs:\n%s", diff)
		}
	})
}
