package vault

import (
	"strings"
	"testing"
	"time"
)

func TestOpenChecksItsOptions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*Options)
		want   string // a part of the error; empty if there is none
	}{
		"complete":                  {func(*Options) {}, ""},
		"a path":                    {func(o *Options) { o.Address = "https://proxy.example/vault" }, ""},
		"plain HTTP on loopback":    {func(o *Options) { o.Address = "http://127.0.0.1:8200" }, ""},
		"plain HTTP on localhost":   {func(o *Options) { o.Address = "http://localhost:8200" }, ""},
		"plain HTTP on loopback v6": {func(o *Options) { o.Address = "http://[::1]:8200" }, ""},
		"a namespace":               {func(o *Options) { o.Namespace = "team/a" }, ""},
		"no address":                {func(o *Options) { o.Address = "" }, "with a host"},
		"plain HTTP":                {func(o *Options) { o.Address = "http://vault.example" }, "plain http"},
		"plain HTTP that looks so":  {func(o *Options) { o.Address = "http://127.0.0.1.example" }, "plain http"},
		"another scheme":            {func(o *Options) { o.Address = "ftp://vault.example" }, "https URL"},
		"a socket":                  {func(o *Options) { o.Address = "unix:///run/vault" }, "with a host"},
		"a password":                {func(o *Options) { o.Address = "https://u:" + canary + "@vault.example" }, "without a user"},
		"no URL":                    {func(o *Options) { o.Address = "https://" + canary + "\x7f" }, "not a URL"},
		"a query":                   {func(o *Options) { o.Address = "https://vault.example?a" }, "without a user, a query"},
		"no tenant":                 {func(o *Options) { o.Tenant = "" }, "must be a DNS label"},
		"two words of a tenant":     {func(o *Options) { o.Tenant = "a cluster=b" }, "must be a DNS label"},
		"a CA that is none":         {func(o *Options) { o.CABundle = []byte("x") }, "no certificate"},
		"a namespace in two lines":  {func(o *Options) { o.Namespace = "a\nb" }, "plain text"},
		"no time":                   {func(o *Options) { o.Timeout = -1 }, "must be positive"},
		"no poll":                   {func(o *Options) { o.PollInterval = 0 }, "must be positive"},
		"no login":                  {func(o *Options) { o.Auth = Auth{} }, "the login method"},
		"another login":             {func(o *Options) { o.Auth.Method = "userpass" }, "the login method"},
		"no file of a token":        {func(o *Options) { o.Auth.TokenFile = "" }, "needs the file"},
		"no file of an account":     {func(o *Options) { o.Auth = Auth{Method: AuthKubernetes, Mount: "k"} }, "needs the file"},
		"no file of a role":         {func(o *Options) { o.Auth = Auth{Method: AuthAppRole, Mount: "a", TokenFile: "f"} }, "needs the file"},
		"no secret ID":              {func(o *Options) { o.Auth = Auth{Method: AuthAppRole, Mount: "a", RoleIDFile: "f"} }, ""},
		"no mount":                  {func(o *Options) { o.Auth.Method = AuthKubernetes }, "the mount"},
		"a mount beside":            {func(o *Options) { o.Auth.Method, o.Auth.Mount = AuthKubernetes, "../sys" }, "the mount"},
	}
	for name, test := range tests {
		o := Options{Address: "https://vault.example:8200", Tenant: tenant, Timeout: time.Second, PollInterval: time.Second, Auth: Auth{Method: AuthToken, TokenFile: "f"}}
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
