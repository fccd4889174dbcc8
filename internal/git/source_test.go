package git

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/githost"
)

func TestSourcesThatAreRefused(t *testing.T) {
	http := Auth{Username: "ann", Password: secrets.NewValue([]byte("canary"))}
	ssh := Auth{SSHKey: secrets.NewValue(githost.NewKey(t)), KnownHosts: []byte("example.com ssh-ed25519 AAAA")}
	m, err := New(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		url, branch string
		auth        Auth
		// wantReason is part of the message; wantNot may not be in it.
		wantReason, wantNot string
	}{
		"nothing":             {wantReason: "empty"},
		"too long":            {url: "https://example.com/" + strings.Repeat("a", 3000), wantReason: "longer"},
		"credentials":         {url: "https://ann:canary@example.com/a.git", wantReason: "Secret", wantNot: "canary"},
		"user":                {url: "https://canary@example.com/a.git", wantReason: "Secret", wantNot: "canary"},
		"password with slash": {url: "https://ann:12/canary@example.com/a.git", wantReason: "Secret", wantNot: "canary"},
		"password by SSH":     {url: "ssh://git:canary@example.com/a.git", auth: ssh, wantReason: "Secret", wantNot: "canary"},
		"password by scp":     {url: "git:canary@example.com:a.git", auth: ssh, wantReason: "Secret", wantNot: "canary"},
		"unparsable":          {url: "https://ann:can/ary@example.com:x/a", wantReason: "parsed", wantNot: "ary@"},
		"newline":             {url: "https://example.com/a\nb", wantReason: "control"},
		"encoded newline":     {url: "https://example.com/a%0ab", wantReason: "control"},
		"encoded NUL":         {url: "https://example.com/a%00b", wantReason: "control"},
		"space":               {url: "https://example.com/a b", wantReason: "spaces"},
		"helper":              {url: "ext::sh -c id", wantReason: "spaces"},
		"helper, no space":    {url: "ext::id", wantReason: "helper"},
		"helper of a URL":     {url: "fd::https://example.com/a", wantReason: "helper"},
		"option":              {url: "--upload-pack=id", wantReason: "dash"},
		"option as host":      {url: "ssh://-oProxyCommand=id/a", auth: ssh, wantReason: "host"},
		"option as scp host":  {url: "git@-oProxyCommand=id:a", auth: ssh, wantReason: "neither"},
		"option as user":      {url: "ssh://-oProxyCommand@example.com/a", auth: ssh, wantReason: "user"},
		"option as scp path":  {url: "git@example.com:-x", auth: ssh, wantReason: "dash"},
		"shell in host":       {url: "ssh://$(id)/a", auth: ssh, wantReason: "host"},
		"no host":             {url: "https:///a", wantReason: "host"},
		"no path":             {url: "https://example.com/", wantReason: "path"},
		"query":               {url: "https://example.com/a?b=c", wantReason: "query"},
		"fragment":            {url: "https://example.com/a#b", wantReason: "query"},
		"empty fragment":      {url: "https://example.com/a#", wantReason: "query"},
		"local path":          {url: "/etc", wantReason: "neither"},
		"file":                {url: "file:///etc", wantReason: "not allowed"},
		"plain HTTP":          {url: "http://example.com/a", wantReason: "not allowed"},
		"git protocol":        {url: "git://example.com/a", wantReason: "protocol"},
		"other protocol":      {url: "ftp://example.com/a", wantReason: "protocol"},
		"bundle":              {url: "bundle.git", wantReason: "neither"},
		"SSH without key":     {url: "ssh://git@example.com/a", wantReason: "private key"},
		"SSH without hosts":   {url: "ssh://git@example.com/a", auth: Auth{SSHKey: ssh.SSHKey, KnownHosts: []byte(" \n")}, wantReason: "known_hosts"},
		"HTTPS with key":      {url: "https://example.com/a", auth: ssh, wantReason: "cannot be used with https"},
		"user with colon":     {url: "https://example.com/a", auth: Auth{Username: "a:b", Password: http.Password}, wantReason: "colon", wantNot: "canary"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := m.Fetch(context.Background(), key, Source{URL: tt.url, Branch: "main", Auth: tt.auth})
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tt.wantReason) {
				t.Fatalf("Fetch: %v, want ErrRefused about %q", err, tt.wantReason)
			}
			if tt.wantNot != "" && strings.Contains(err.Error(), tt.wantNot) {
				t.Errorf("the message shows what it should not: %v", err)
			}
		})
	}
	for _, branch := range []string{
		"", "-x", "--upload-pack=id", "a b", "a..b", "a~1", "a^", "a:b", "a?", "a*", "a[", `a\b`, "a@{1}", "@", "/a", "a/", "a//b", ".a", "a/.b",
		"a.lock", "a.lock/b", "a.", "a\x00b", "a\x7fb", "a\nb", "\xff", strings.Repeat("a", 256),
	} {
		t.Run(fmt.Sprintf("branch %.20q", branch), func(t *testing.T) {
			if _, err := m.Head(context.Background(), Source{URL: "https://example.com/a", Branch: branch}); !errors.Is(err, ErrRefused) {
				t.Errorf("Head: %v, want ErrRefused", err)
			}
		})
	}
}

func TestSourcesThatAreAccepted(t *testing.T) {
	m := testMirrors(t, nil)
	ssh := Auth{SSHKey: secrets.NewValue(githost.NewKey(t)), KnownHosts: []byte("example.com ssh-ed25519 AAAA")}
	tests := map[string]struct {
		auth        Auth
		wantDisplay string
	}{
		"https://example.com/group/default.project.git":        {wantDisplay: "example.com/group/default.project.git"},
		"https://example.com:8443/a/b/c":                       {wantDisplay: "example.com:8443/a/b/c"},
		"https://[::1]:8443/a":                                 {wantDisplay: "[::1]:8443/a"},
		"https://example.com/gr%20oup/ü":                       {wantDisplay: "example.com/gr%20oup/%C3%BC"},
		"ssh://git@example.com:2222/group/default.project.git": {auth: ssh, wantDisplay: "example.com:2222/group/default.project.git"},
		"ssh://example.com/a":                                  {auth: ssh, wantDisplay: "example.com/a"},
		"git@example.com:group/default.project.git":            {auth: ssh, wantDisplay: "example.com/group/default.project.git"},
		"example.com:/srv/git/a.git":                           {auth: ssh, wantDisplay: "example.com/srv/git/a.git"},
	}
	for url, tt := range tests {
		for _, branch := range []string{"main", "release/1.2", "ünï", "a-b_c"} {
			r, err := m.check(Source{URL: url, Branch: branch, Auth: tt.auth})
			if err != nil {
				t.Errorf("%s: %v", url, err)
				continue
			}
			if r.display != tt.wantDisplay || r.url != url || r.branch != branch {
				t.Errorf("%s: shown as %q for %q on %q, want %q", url, r.display, r.url, r.branch, tt.wantDisplay)
			}
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, url := range []string{
		"https://user:canary@example.com/a", "ssh://git@example.com/a", "git@example.com:a", "ext::id", "file:///a", "https://x:1/canary@y/z",
	} {
		f.Add(url, "main")
	}
	m, err := New(f.TempDir(), Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, url, branch string) {
		r, err := m.check(Source{URL: url, Branch: branch,
			Auth: Auth{Password: secrets.NewValue([]byte("x")), SSHKey: secrets.NewValue([]byte("x")), KnownHosts: []byte("x")}})
		if err != nil {
			if !errors.Is(err, ErrRefused) {
				t.Errorf("check: %v, want ErrRefused", err)
			}
			return
		}
		for what, value := range map[string]string{"URL": r.url, "host": r.host, "branch": r.branch, "display": r.display} {
			if strings.HasPrefix(value, "-") || strings.ContainsAny(value, "\x00\n\r\x1b") {
				t.Errorf("%s %q was accepted", what, value)
			}
		}
		if strings.Contains(r.display, "@") || r.protocol != "https" && r.protocol != "ssh" {
			t.Errorf("%q is shown as %q, protocol %q", url, r.display, r.protocol)
		}
	})
}
