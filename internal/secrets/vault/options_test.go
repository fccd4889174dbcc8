package vault

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/config"
)

func TestOpenChecksItsOptions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*Options)
		want   string // a part of the error; empty if there is none
	}{
		"complete":              {func(*Options) {}, ""},
		"no tenant":             {func(o *Options) { o.Tenant = "" }, "must be a DNS label"},
		"two words of a tenant": {func(o *Options) { o.Tenant = "a cluster=b" }, "must be a DNS label"},
		"a CA that is none":     {func(o *Options) { o.CABundle = []byte("x") }, "no certificate"},
		"plain HTTP":            {func(o *Options) { o.Address = "http://vault.example" }, "only https"},
		"a password":            {func(o *Options) { o.Address = "https://u:" + canary + "@vault.example" }, "without a user"},
		"no URL":                {func(o *Options) { o.Address = "https://" + canary + "\x7f" }, "vault.address"},
		"no time":               {func(o *Options) { o.Timeout.Duration = -1 }, "vault.timeout"},
		"no poll":               {func(o *Options) { o.PollInterval.Duration = 0 }, "vault.pollInterval"},
		"no login":              {func(o *Options) { o.Auth = config.VaultAuth{} }, "vault.auth.method"},
		"a mount beside":        {func(o *Options) { o.Auth.Method, o.Auth.Mount = config.VaultAuthKubernetes, "../sys" }, "vault.auth.mount"},
	}
	for name, test := range tests {
		o := Options{Tenant: tenant, Vault: config.Vault{
			Address: "https://vault.example:8200", Timeout: metav1.Duration{Duration: time.Second}, PollInterval: metav1.Duration{Duration: time.Second},
			Auth: config.VaultAuth{Method: config.VaultAuthToken, TokenFile: "/f"},
		}}
		test.change(&o)
		_, err := Open(o)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want %q", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error quotes the address: %v", name, err)
		}
	}
}

func TestOnlyTheLeaderUsesVault(t *testing.T) {
	t.Parallel()
	if !new(Vault).NeedLeaderElection() {
		t.Error("other replicas than the leader use Vault")
	}
}
