package giturl

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		url  string
		want Address
		// wantErr is part of the error.
		wantErr string
	}{
		"https":              {url: "https://Git.example.com/a/b.git", want: Address{Scheme: "https", Host: "git.example.com", Port: "443", Path: "a/b.git"}},
		"ssh":                {url: "ssh://me@git.example.com:2222/a", want: Address{Scheme: "ssh", User: "me", Host: "git.example.com", Port: "2222", Path: "a"}},
		"scp":                {url: "git@git.example.com:a", want: Address{Scheme: "ssh", User: "git", Host: "git.example.com", Port: "22", Path: "a", SCP: true}},
		"no path":            {url: "http://git.example.com", want: Address{Scheme: "http", Host: "git.example.com", Port: "80"}},
		"a name with dots":   {url: "https://h/.a/b..", want: Address{Scheme: "https", Host: "h", Port: "443", Path: ".a/b.."}},
		"nothing":            {url: "", wantErr: "not a URL of the form"},
		"a credential":       {url: "https://me:canary@h/a", wantErr: "not a URL of the form"},
		"another protocol":   {url: "file:///a", wantErr: "not a URL of the form"},
		"a query":            {url: "https://h/a?b=c", wantErr: "not a URL of the form"},
		"an escape":          {url: "https://h/%61", wantErr: "not a URL of the form"},
		"a pattern":          {url: "https://h/*", wantErr: "not a URL of the form"},
		"a long port":        {url: "https://h:123456/a", wantErr: "not a URL of the form"},
		"a line break":       {url: "https://h/a\n", wantErr: "not a URL of the form"},
		"the folder above":   {url: "https://h/a/../b", wantErr: "an empty part, '.' or '..'"},
		"the folder itself":  {url: "ssh://git@h/./b", wantErr: "an empty part, '.' or '..'"},
		"an empty part":      {url: "git@h:a//b", wantErr: "an empty part, '.' or '..'"},
		"the last one above": {url: "https://h/a/..", wantErr: "an empty part, '.' or '..'"},
	} {
		got, err := Parse(test.url)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if test.wantErr == "" && err != nil || test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)) {
			t.Errorf("%s: error %v, want %q", name, err, test.wantErr)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error has the credential: %v", name, err)
		}
	}
}

// Credentials go to the same scheme, host and port only.
func TestSame(t *testing.T) {
	for name, test := range map[string]struct {
		a, b                            string
		wantEndpoint, wantWeb, wantHost bool
	}{
		"another path":         {a: "https://h/a", b: "https://h:443/b", wantEndpoint: true, wantHost: true},
		"another host":         {a: "https://h/a", b: "https://i/a"},
		"another port":         {a: "https://h/a", b: "https://h:8443/a", wantHost: true},
		"http and https":       {a: "http://h/a", b: "https://h/a", wantWeb: true, wantHost: true},
		"on one port":          {a: "http://h:8443/a", b: "https://h:8443/a", wantWeb: true, wantHost: true},
		"on another host":      {a: "http://h/a", b: "https://i/a"},
		"https and ssh":        {a: "https://h/a", b: "ssh://git@h/a", wantHost: true},
		"ssh and https":        {a: "git@h:a", b: "https://h/a", wantHost: true},
		"two users of ssh":     {a: "ssh://git@h/a", b: "ssh://me@h/a", wantEndpoint: true, wantHost: true},
		"the two forms of ssh": {a: "git@h:a", b: "ssh://git@h:22/a", wantEndpoint: true, wantHost: true},
	} {
		a, err := Parse(test.a)
		b, err2 := Parse(test.b)
		if err != nil || err2 != nil {
			t.Fatal(name, err, err2)
		}
		if got := a.SameEndpoint(b); got != test.wantEndpoint {
			t.Errorf("%s: same endpoint %v, want %v", name, got, test.wantEndpoint)
		}
		if got := a.SameWeb(b); got != test.wantWeb {
			t.Errorf("%s: same web %v, want %v", name, got, test.wantWeb)
		}
		if got := a.SameHost(b); got != test.wantHost {
			t.Errorf("%s: same host %v, want %v", name, got, test.wantHost)
		}
	}
}

func TestBelow(t *testing.T) {
	for name, test := range map[string]struct {
		base, path, want string
		wantOK           bool
	}{
		"a host":               {base: "", path: "a/b", want: "a/b", wantOK: true},
		"a folder":             {base: "a", path: "a/b/c", want: "b/c", wantOK: true},
		"another folder":       {base: "a", path: "b/c", want: "b/c"},
		"a longer name":        {base: "a", path: "ab/c", want: "ab/c"},
		"the folder itself":    {base: "a", path: "a", want: "a"},
		"the host and no path": {base: "", path: "", wantOK: true},
	} {
		got, ok := Address{Path: test.path}.Below(Address{Path: test.base})
		if got != test.want || ok != test.wantOK {
			t.Errorf("%s: %q, %v, want %q, %v", name, got, ok, test.want, test.wantOK)
		}
	}
}

func TestPlain(t *testing.T) {
	tests := map[string]struct{ url, want string }{
		"already plain":            {"https://git.example.com/demo/app.git", "https://git.example.com/demo/app.git"},
		"upper case in the host":   {"https://Git.Example.COM/Demo/App.git", "https://git.example.com/Demo/App.git"},
		"default port of https":    {"https://git.example.com:443/demo/app", "https://git.example.com/demo/app"},
		"default port of http":     {"http://git.example.com:80/demo/app", "http://git.example.com/demo/app"},
		"default port of ssh":      {"ssh://git@git.example.com:22/demo/app.git", "ssh://git@git.example.com/demo/app.git"},
		"port with zeros":          {"https://git.example.com:0443/demo/app", "https://git.example.com/demo/app"},
		"another port":             {"https://git.example.com:8443/demo/app", "https://git.example.com:8443/demo/app"},
		"port of another protocol": {"https://git.example.com:80/demo/app", "https://git.example.com:80/demo/app"},
		"dot behind the host":      {"https://git.example.com./demo/app", "https://git.example.com/demo/app"},
		"dot before the port":      {"https://git.example.com.:443/demo/app", "https://git.example.com/demo/app"},
		"slashes at the end":       {"https://git.example.com/demo/app.git//", "https://git.example.com/demo/app.git"},
		"scp":                      {"git@Git.Example.com:demo/app.git/", "git@git.example.com:demo/app.git"},
		"scp, absolute path":       {"git@Git.Example.com:/srv/app.git", "git@Git.Example.com:/srv/app.git"},
		"user of ssh":              {"ssh://Deploy@GIT.example.com/demo/app", "ssh://Deploy@git.example.com/demo/app"},
		"no path":                  {"https://GIT.example.com/", "https://GIT.example.com/"},
		"file":                     {"file:///srv/App.git/", "file:///srv/App.git/"},
		"a credential":             {"https://user:canary@GIT.example.com/a", "https://user:canary@GIT.example.com/a"},
		"nothing":                  {"", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Plain(tt.url)
			if got != tt.want {
				t.Errorf("Plain(%q) = %q, want %q", tt.url, got, tt.want)
			}
			if again := Plain(got); again != got {
				t.Errorf("Plain(%q) = %q, which is not plain yet", got, again)
			}
		})
	}
}

func TestSpellings(t *testing.T) {
	const one = "https://git.example.com/demo/app.git"
	tests := map[string]struct {
		url                        string
		wantRepository, wantAccess bool
	}{
		"the same":           {one, true, true},
		"without .git":       {"https://git.example.com/demo/app", true, true},
		"slash":              {"https://git.example.com/demo/app.git/", true, true},
		"upper case":         {"https://GIT.example.com/Demo/App.GIT", true, true},
		"port and dot":       {"https://git.example.com.:443/demo/app", true, true},
		"http":               {"http://git.example.com/demo/app.git", true, false},
		"another port":       {"https://git.example.com:8443/demo/app.git", true, false},
		"ssh":                {"ssh://git@git.example.com/demo/app.git", true, false},
		"scp":                {"git@git.example.com:demo/app.git", true, false},
		"another host":       {"https://git.example.org/demo/app.git", false, false},
		"another repository": {"https://git.example.com/demo/app2.git", false, false},
		"another group":      {"https://git.example.com/other/app.git", false, false},
		"two times .git":     {"https://git.example.com/demo/app.git.git", false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Repository(tt.url) == Repository(one); got != tt.wantRepository {
				t.Errorf("%s and %s: same repository %v, want %v", one, tt.url, got, tt.wantRepository)
			}
			if got := Access(tt.url) == Access(one); got != tt.wantAccess {
				t.Errorf("%s and %s: same access %v, want %v", one, tt.url, got, tt.wantAccess)
			}
		})
	}
	for _, refused := range []string{"file:///srv/App.git/", ""} {
		if Repository(refused) != refused || Access(refused) != refused {
			t.Errorf("%q, which is no URL, is %q and %q", refused, Repository(refused), Access(refused))
		}
	}
	if a, b := Access("git@GIT.example.com:demo/app"), Access("ssh://git@git.example.com:22/demo/app.git/"); a != b {
		t.Errorf("the forms of SSH differ: %s and %s", a, b)
	}
}

func FuzzPlain(f *testing.F) {
	for _, seed := range []string{"https://Git.example.com.:443/a/b.git/", "git@host:a/b", "ssh://git@host:22/a", "https://h:0/x", "git@h:/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		plain := Plain(raw)
		if Plain(plain) != plain {
			t.Errorf("Plain(%q) = %q, and again %q", raw, plain, Plain(plain))
		}
		if Access(plain) != Access(raw) {
			t.Errorf("Plain(%q) = %q is another address", raw, plain)
		}
	})
}

func TestJoin(t *testing.T) {
	for base, want := range map[string]string{
		"https://git.example.com":           "https://git.example.com/labs/app.git",
		"https://git.example.com/":          "https://git.example.com/labs/app.git",
		"https://git.example.com/forge/":    "https://git.example.com/forge/labs/app.git",
		"ssh://git@git.example.com:2222":    "ssh://git@git.example.com:2222/labs/app.git",
		"git@git.example.com:":              "git@git.example.com:labs/app.git",
		"git@git.example.com:forge":         "git@git.example.com:forge/labs/app.git",
		"https://me:secret@git.example.com": "",
		"git.example.com":                   "",
	} {
		got, err := Join(base, "labs/app")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Join(%q) = %q, %v, want %q", base, got, err, want)
		}
	}
}
