package api_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

var defaultConverter = runtime.DefaultUnstructuredConverter

// numbersAsInt64 compares the numbers of YAML files with numbers of Go types.
var numbersAsInt64 = cmp.FilterValues(func(a, b any) bool {
	_, aFloat := a.(float64)
	_, bFloat := b.(float64)
	return aFloat != bFloat
}, cmp.Comparer(func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }))

// values lists examples that a pattern or a rule of a single value accepts and
// refuses, and how long a value may be where that is part of the format.
type values struct {
	accepted, refused []string
	maxLength         int64
}

// patterns are the patterns of the CRDs.
var patterns = map[string]values{
	`^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$`: {
		accepted:  []string{"a", "0", "repo-3", "a--b"},
		refused:   []string{"A", "-a", "a-", "a.b", "a_b", "a b", "a/b", "ä", "a\n"},
		maxLength: 63,
	},
	`^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$`: {
		accepted: []string{"a", "tekton.a.8.217.50.114.nip.io"},
		refused:  []string{"A.b", ".a", "a.", "a..b", "a.-b", "a:80", "https://a", "*.a", "a b"},
	},
	`^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$`: {
		accepted:  []string{"main", "Release_1.2"},
		refused:   []string{"-a", "a-", "a b", "a/b", "ä"},
		maxLength: 63,
	},
	`^[^\x00-\x1f\x7f]*$`: {
		accepted: []string{"production", "c++", "测试", "^refs/heads/feature%-", ".*"},
		refused:  []string{"a\nb", "a\tb", "a\x7fb"},
	},
	`^(\.?[A-Za-z0-9_][-A-Za-z0-9_.]*(/\.?[A-Za-z0-9_][-A-Za-z0-9_.]*)*)?$`: {
		accepted: []string{"demo-quickstart", "default.project", "Nautes/sub.group/x_1", "_a", ".a/b"},
		refused:  []string{"/a", "a/", "a//b", "-a", ".", "..", "a/../b", "a b", "a:b", "a@b", "*"},
	},
	`^(\.?[A-Za-z0-9_][-A-Za-z0-9_.]*)?$`: {
		accepted: []string{"api-server", "default.project", ".github", "A_1"},
		refused:  []string{"a/b", "/a", "-a", ".", "..", "..a", "a b", "a?", "*"},
	},
	`^[-._a-zA-Z0-9]+$`: {
		accepted: []string{"kubeconfig", "admin.conf", "A_1"},
		refused:  []string{"a/b", "a b", "ä"},
	},
	`^[a-zA-Z][a-zA-Z0-9]*$`: {
		accepted: []string{"host", "httpNodePort", "X1"},
		refused:  []string{"", "1a", "a-b", "a.b", "a_b", "a)", "$(a)"},
	},
	`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$`: {
		accepted: []string{"oauth2-proxy", "components/oauth2_proxy/x-1"},
		refused:  []string{"/a", "a/", "a//b", "../a", "a.b", "a b", "$(a)"},
	},
	`^(/([^~/]|~[01])*)+$`: {
		accepted: []string{"/spec/replicas", "/metadata/labels/a~1b", "/spec/containers/-", "/"},
		refused:  []string{"", "spec/replicas", "/spec/~2", "/spec/~", "$.spec"},
	},
	`^v?[0-9]+\.[0-9]+(\.[0-9]+)?$`: {
		accepted: []string{"1.28", "v1.34", "1.28.3"},
		refused:  []string{"1", "1.x", ">=1.28", "1.28.3-gke.1", "v"},
	},
	`^[A-Z][A-Za-z0-9]*$`: {
		accepted: []string{"ClusterRole", "CSIDriver"},
		refused:  []string{"*", "", "clusterRole", "Cluster-Role", "Cluster.Role"},
	},
}

// rules are the rules of single values, by their messages.
var rules = map[string]values{
	"write an http:// or https:// URL": {
		accepted: []string{"https://8.217.50.114:6443", "http://127.0.0.1:8080", "https://gitlab.example.com/api/v4", "https://[2001:db8::1]:6443/", "https://localhost"},
		refused:  []string{"gitlab.example.com", "ftp://a", "https://", "https://user:secret@a", "https://user@a", "https://a?token=x", "https://a#b", "https://a b", "https://a:port", "https://-a", "ssh://git@a"},
	},
	"write the URL of a Git repository": {
		accepted: []string{"https://gitlab.com/g/default.project.git", "http://127.0.0.1:3000/g/s/default.project.git", "ssh://git@gitlab.example.com:2222/g/p.git", "git@gitlab.example.com:g/s/p.git", "deploy.user@10.0.0.1:p", "ssh://git@[2001:db8::1]:22/g/p.git"},
		refused:  []string{"https://user:secret@a/g/p.git", "https://token@a/g/p.git", "ssh://git:secret@a/g/p.git", "https://a", "/srv/git/p.git", "file:///srv/git/p.git", "../p.git", "ext::sh -c x", "ssh://gitlab.example.com/g/p.git", "https://a/*", "https://a/g/{p,q}", "https://a/g/%2e%2e", "https://a/!b", "git@a:*", "-oProxyCommand=x", "ssh://-oProxyCommand=x/p", "git@-oProxyCommand=x:p", "-u@host:p", "git@host:-x", "git@host", "https://a/g p.git", "https://a/p.git?x", "https://a/p.git#x", "a\nb"},
	},
	"write the URL of a Helm or Git repository": {
		accepted: []string{"https://charts.example.com", "https://charts.example.com:8443/stable/", "http://127.0.0.1:3000/g/p.git", "oci://registry.example.com/charts", "registry.example.com:5000/charts", "registry.example.com", "ssh://git@gitlab.example.com:2222/g/p.git", "git@gitlab.example.com:g/s/p.git", "ssh://git@[2001:db8::1]:22/g/p.git"},
		refused:  []string{"https://user:secret@a/g/p.git", "https://token@a/g/p.git", "ssh://git:secret@a/g/p.git", "user:secret@a/b", "oci://user@a/b", "file:///srv/charts", "/srv/charts", "../charts", "ext::sh -c x", "ssh://a/p.git", "https://a/*", "https://a/{p,q}", "https://a/!b", "!https://a", "*", "https://a/p?x", "https://a/p#x", "-oProxyCommand=x", "ssh://-oProxyCommand=x/p", "git@-oProxyCommand=x:p", "-u@host:p", "git@host:-x", "$(settings.repo)", "https://a b", "a\nb"},
	},
	"write the name of a Git branch": {
		accepted: []string{"main", "release/1.2", "feature-1_2", "a@b", "ünïcode"},
		refused:  []string{"refs/heads/main", "-x", "/a", "a/", "a//b", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[b", `a\b`, "a@{1}", "@", ".a", "a/.b", "a.lock", "a.lock/b", "a.", "a\nb"},
	},
	"write a Git branch, tag or commit": {
		accepted: []string{"HEAD", "main", "v1.2.0", "refs/heads/feature-1", "refs/tags/v1", "0123456789abcdef0123456789abcdef01234567", "v1.*", ">=1.2.0,<2.0.0"},
		refused:  []string{"-x", "--upload-pack=x", "a b", "a..b", "a@{1}", "a:b", "a?", "a[b", `a\b`, "a\nb", " a"},
	},
	"write a path from the root": {
		accepted: []string{"manifests/development", "./a", "a/..b/c", "a..", "a b/c", "测试/x.yaml", ".github/a.yaml"},
		refused:  []string{"/a", "..", "../a", "a/..", "a/../b", `a\b`, "a\x00b", "a\nb", " a", "a "},
	},
	"write the path of a file": {
		accepted: []string{"pipelines/main.yaml", "a", "a/.tekton"},
		refused:  []string{".", "a/", "a/.", "./"},
	},
	"write a port number": {
		accepted: []string{"1", "80", "30080", "65535", "00080"},
		refused:  []string{"0", "65536", "99999", "-1", "a", "1.5", "0x1f", " 80"},
	},
	"write the certificates of the authorities in PEM": {
		accepted: []string{"", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
		refused:  []string{"MIIB", "/etc/ssl/certs/ca.crt"},
	},
	"remove the private key: certificates are enough": {
		accepted: []string{"", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
		refused:  []string{"-----BEGIN CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\n"},
	},
	"remove the private key: write the public host keys": {
		accepted: []string{"", "git.example.com ssh-ed25519 AAAA", "# a comment\n"},
		refused:  []string{"-----BEGIN OPENSSH PRIVATE KEY-----\n"},
	},
	"write a host, an address or a network in each item": {
		accepted: []string{"example.com", ".example.com", "10.0.0.0/8", "[::1]:80", "*"},
		refused:  []string{"a b", "a,b", "a;b", "a\nb"},
	},
	"write the address of the proxy as http://host:port, without path": {
		accepted: []string{"http://proxy.example.com:3128", "https://proxy/", "http://10.0.0.1:8080"},
		refused:  []string{"proxy:3128", "http://user:canary@proxy:3128", "socks5://proxy:1080", "http://proxy/path", "http://proxy?a=b", "http://"},
	},
	"write the base of the clone URLs": {
		accepted: []string{"ssh://git@gitlab.example.com:2222", "ssh://git@10.0.0.1/", "ssh://git@a/git", "git@gitlab.example.com", "git@gitlab.example.com:"},
		refused:  []string{"git@gitlab.example.com:2222", "ssh://gitlab.example.com", "gitlab.example.com", "ssh://git@a/*", "https://a", "ssh://git:secret@a", "ssh://", "ssh://git@-a", "-u@a", "git@-a"},
	},
	"write a cron expression": {
		accepted: []string{"0 17 * * 1-5", "*/15 0,12 1-7 JAN-MAR MON,FRI", "0 0 ? * SUN", "@daily", "@hourly", "0  17 * * *"},
		refused:  []string{"0 17 * *", "0 0 17 * * 1-5", "@reboot", "@every 1h", "daily", "0 17 * * $(x)", "TZ=UTC 0 17 * * *", "0 17 * * 1;2", " 0 17 * * *", "0\n17 * * *"},
	},
	"write a duration of at least one second": {
		accepted: []string{"1s", "30m", "2h", "1h30m", "1.5h", "1500ms"},
		refused:  []string{"0s", "999ms", "-1s", "10", "1d", "1 h", "h", "1us", "s1"},
	},
	"write a date or a date and time": {
		accepted: []string{"2024-12-24", "20241224", "2024-12-24T17:00:00Z", "2024-12-24T17:00", "2024-12-24T17:00:00.5+01:00", "20241224T170000Z", "2024-12-24T17:00:00-0330"},
		refused:  []string{"", "24.12.2024", "2024-13-01", "2024-00-01", "2024-1-1", "2024-12-32", "2024-12-24T25:00", "17:00", "tomorrow", "2024-12-24Tx", "2024-1224"},
	},
	"write the name of a time zone": {
		accepted: []string{"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+8", "EST5EDT"},
		refused:  []string{"/etc/passwd", "../UTC", "Europe/", "+01:00", "Europe/Berlin\n", "Middle Earth"},
	},
	"registry is a host": {
		accepted: []string{"registry.example.com", "localhost:5000", "docker.io", "registry.example.com/Team/a_b.c"},
		refused:  []string{"", "https://registry.example.com", "user:secret@a", "user@a", "*.example.com", "a/*", "a/", "a//b", "a/../b", "a/.b", "a b", "a?b", "a#b", "a:port", "-a", "A.example.com", "a\nb"},
	},
	"write a JSON pointer": {
		accepted: []string{"/spec/params/0/value", "/metadata/labels/a~1b", "/spec/params/-", "/"},
		refused:  []string{"", "spec/params", "/spec/~2", "/spec/~", "$.spec"},
	},
}

// TestValues puts good and bad values into every field of every kind that has
// a pattern or a rule for its value, one at a time.
func TestValues(t *testing.T) {
	c := clientFor(t)
	for kind, crd := range definitionsFor(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			try := func(at []any, value any) error {
				object := filled(t, kind)
				setValue(t, object.Object, at, value)
				return tryCreate(t, c, object)
			}
			walkValues(filled(t, kind).Object, schemaOf(crd), "", nil, func(path string, schema *apiextensions.JSONSchemaProps, value any, at []any) {
				if _, isText := value.(string); !isText || !strings.HasPrefix(path, ".spec") {
					return
				}
				if schema.Pattern != "" {
					checkValues(t, path, at, "should match '"+schema.Pattern+"'", patterns[schema.Pattern], try)
				}
				if want := patterns[schema.Pattern].maxLength; want > 0 && *schema.MaxLength != want {
					t.Errorf("%s: at most %d characters, want %d", path, *schema.MaxLength, want)
				}
				for _, rule := range schema.XValidations {
					if strings.Contains(rule.Rule, "oldSelf") {
						continue
					}
					checkValues(t, path, at, rule.Message, rulesFor(rule.Message), try)
				}
				if schema.MaxLength != nil {
					err := try(at, strings.Repeat("a", int(*schema.MaxLength)+1))
					if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("may not be more than %d", *schema.MaxLength)) {
						t.Errorf("%s: a value of %d characters: %v", path, *schema.MaxLength+1, err)
					}
				}
				if len(schema.Enum) > 0 {
					if err := try(at, "nothing"); err == nil || !strings.Contains(err.Error(), "Unsupported value") {
						t.Errorf("%s: a word that is not in the list: %v", path, err)
					}
				}
				if schema.MinLength != nil {
					if err := try(at, ""); err == nil || !strings.Contains(err.Error(), "should be at least 1 chars long") {
						t.Errorf("%s: an empty value: %v", path, err)
					}
				}
			})
		})
	}
}

func rulesFor(message string) values {
	for beginning, v := range rules {
		if strings.HasPrefix(message, beginning) {
			return v
		}
	}
	return values{}
}

func checkValues(t *testing.T, path string, at []any, message string, v values, try func([]any, any) error) {
	t.Helper()
	if len(v.accepted) == 0 || len(v.refused) == 0 {
		t.Errorf("%s: %q has no values in this test", path, message)
	}
	for _, value := range v.accepted {
		// A good value can break a rule about several fields; not this one.
		if err := try(at, value); err != nil && strings.Contains(err.Error(), message) {
			t.Errorf("%s: %q is refused: %v", path, value, err)
		}
	}
	for _, value := range v.refused {
		if err := try(at, value); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %q: want a refusal with %q, got %v", path, value, message, err)
		}
	}
}

// walkValues visits the values of an object beside their schemas. The last
// argument of visit leads to the value: keys of maps and indexes of lists.
func walkValues(value any, schema *apiextensions.JSONSchemaProps, path string, at []any, visit func(string, *apiextensions.JSONSchemaProps, any, []any)) {
	visit(path, schema, value, at)
	below := func(value any, schema *apiextensions.JSONSchemaProps, path string, step any) {
		walkValues(value, schema, path, append(append([]any{}, at...), step), visit)
	}
	switch value := value.(type) {
	case map[string]any:
		for key, v := range value {
			if property, ok := schema.Properties[key]; ok {
				below(v, &property, path+"."+key, key)
			} else if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
				below(v, schema.AdditionalProperties.Schema, path+"{}", key)
			}
		}
	case []any:
		for i, v := range value {
			if schema.Items != nil {
				below(v, schema.Items.Schema, path+"[]", i)
			}
		}
	}
}

// setValue puts a value where the steps lead: keys of maps, indexes of lists,
// and math.MaxInt for the end of a list. A nil value removes the key.
func setValue(t *testing.T, object map[string]any, at []any, value any) {
	t.Helper()
	value = runtime.DeepCopyJSONValue(value)
	var set func(in any, at []any) any
	set = func(in any, at []any) any {
		if len(at) == 0 {
			return value
		}
		switch step := at[0].(type) {
		case string:
			have, ok := in.(map[string]any)
			if !ok {
				have = map[string]any{}
			}
			if len(at) == 1 && value == nil {
				delete(have, step)
				return have
			}
			have[step] = set(have[step], at[1:])
			return have
		case int:
			have, _ := in.([]any)
			if step == math.MaxInt {
				return append(have, set(nil, at[1:]))
			}
			have[step] = set(have[step], at[1:])
			return have
		}
		t.Fatalf("a step is a key or an index: %v", at)
		return nil
	}
	set(object, at)
}
