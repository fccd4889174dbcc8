package giturl

import "testing"

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
