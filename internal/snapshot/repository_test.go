package snapshot_test

import (
	"errors"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// urlCase is one case of a table about the URL of a repository of product-1.
type urlCase struct {
	repo     *v1alpha1.CodeRepo
	provider *v1alpha1.CodeRepoProvider
	want     string
	// wantMissing is the kind of the object that is missing, wantField the
	// field at fault, wantText a part of the error.
	wantMissing, wantField, wantText string
}

func address(ssh, http string) *v1alpha1.CodeRepoProvider {
	return CodeRepoProvider(Provider, func(p *v1alpha1.CodeRepoProvider) { p.Spec.SSHAddress, p.Spec.HTTPAddress = ssh, http })
}

func explicit(provider, url string) *v1alpha1.CodeRepo {
	return CodeRepo("product-1", "repo", "", func(r *v1alpha1.CodeRepo) {
		r.Spec.CodeRepoProvider, r.Spec.URL, r.Spec.RepoName = provider, url, ""
	})
}

func TestDerivedURL(t *testing.T) {
	derived, standard := CodeRepo("product-1", "repo", ""), CodeRepoProvider(Provider)
	named := func(name string) *v1alpha1.CodeRepo {
		return CodeRepo("product-1", "repo", "", func(r *v1alpha1.CodeRepo) { r.Spec.RepoName = name })
	}
	runURLs(t, map[string]urlCase{
		"plain":              {repo: derived, provider: standard, want: "ssh://git@git.example.com:2222/team-1/code-repo.git"},
		"from a scp address": {repo: derived, provider: address("git@git.example.com", ""), want: "git@git.example.com:team-1/code-repo.git"},
		"from a scp path":    {repo: derived, provider: address("git@git.example.com:srv", ""), want: "git@git.example.com:srv/team-1/code-repo.git"},
		"from HTTP only":     {repo: derived, provider: address("", "https://git.example.com/git/"), want: "https://git.example.com/git/team-1/code-repo.git"},
		"no provider":        {repo: derived, wantMissing: "CodeRepoProvider"},
		"none is named":      {repo: explicit("", ""), provider: standard, wantField: "spec.codeRepoProvider"},
		"no repository name": {repo: named(""), provider: standard, wantField: "spec.repoName", wantText: "there is no URL without it"},
		"a path as name":     {repo: named("../team-2/code"), provider: standard, wantField: "spec.repoName"},
		"dots as name":       {repo: named(".."), provider: standard, wantField: "spec.repoName"},
		"a pattern as name":  {repo: named("*"), provider: standard, wantField: "spec.repoName"},
		"no product":         {repo: CodeRepo("product-9", "repo", ""), provider: standard, wantMissing: "Product"},
		"unusable address":   {repo: derived, provider: address("file:///srv", ""), wantField: "spec.sshAddress"},
		"address with key":   {repo: derived, provider: address("", "https://user:secret@git.example.com"), wantField: "spec.httpAddress"},
	})
}

func TestExplicitURL(t *testing.T) {
	standard := CodeRepoProvider(Provider)
	runURLs(t, map[string]urlCase{
		"by HTTP":                               {repo: explicit(Provider, "https://git.example.com/team-1/x.git"), provider: standard, want: "https://git.example.com/team-1/x.git"},
		"by SSH":                                {repo: explicit(Provider, "ssh://git@git.example.com:2222/team-1/x.git"), provider: standard, want: "ssh://git@git.example.com:2222/team-1/x.git"},
		"in another group":                      {repo: explicit(Provider, "https://git.example.com/team-2/x.git"), provider: standard, wantField: "spec.url"},
		"in a group below":                      {repo: explicit(Provider, "https://git.example.com/team-1/sub/x.git"), provider: standard, wantField: "spec.url"},
		"out of the group by dots":              {repo: explicit(Provider, "https://git.example.com/team-1/../team-2/x.git"), provider: standard, wantField: "spec.url"},
		"in no group":                           {repo: explicit(Provider, "https://git.example.com/x.git"), provider: standard, wantField: "spec.url"},
		"in a group that begins alike":          {repo: explicit(Provider, "https://git.example.com/team-12/x.git"), provider: standard, wantField: "spec.url"},
		"on another host":                       {repo: explicit(Provider, "https://evil.example.com/team-1/x.git"), provider: standard, wantField: "spec.url", wantText: "it is not on CodeRepoProvider"},
		"on another port":                       {repo: explicit(Provider, "https://git.example.com:8443/team-1/x.git"), provider: standard, wantField: "spec.url"},
		"on another explicit port":              {repo: explicit(Provider, "ssh://git@git.example.com:2223/team-1/x.git"), provider: standard, wantField: "spec.url"},
		"on the default port, explicit":         {repo: explicit(Provider, "https://git.example.com:443/team-1/x.git"), provider: standard, want: "https://git.example.com/team-1/x.git"},
		"on the default port of SSH, explicit":  {repo: explicit(Provider, "ssh://git@git.example.com:22/team-1/x.git"), provider: address("git@git.example.com", ""), want: "ssh://git@git.example.com/team-1/x.git"},
		"by another scheme, on one port":        {repo: explicit(Provider, "http://git.example.com:8443/team-1/x.git"), provider: address("", "https://git.example.com:8443"), wantField: "spec.url"},
		"by HTTP on the default port, explicit": {repo: explicit(Provider, "http://git.example.com:80/team-1/x.git"), provider: address("", "http://git.example.com"), want: "http://git.example.com/team-1/x.git"},
		"in the clear":                          {repo: explicit(Provider, "http://git.example.com/team-1/x.git"), provider: standard, wantField: "spec.url"},
		"below the address":                     {repo: explicit(Provider, "https://git.example.com/git/team-1/x"), provider: address("", "https://git.example.com/git"), want: "https://git.example.com/git/team-1/x"},
		"beside the address":                    {repo: explicit(Provider, "https://git.example.com/team-1/x"), provider: address("", "https://git.example.com/git"), wantField: "spec.url"},
		"its product is absent": {repo: func() *v1alpha1.CodeRepo {
			r := explicit(Provider, "https://git.example.com/team-9/x")
			r.Namespace = "product-9"
			return r
		}(), provider: standard, wantMissing: "Product"},
		"its provider is absent":                  {repo: explicit("absent", "https://git.example.com/team-1/x"), provider: standard, wantMissing: "CodeRepoProvider"},
		"public":                                  {repo: explicit("", "https://public.example.org/a/b/c.git"), provider: standard, want: "https://public.example.org/a/b/c.git"},
		"public, by scp":                          {repo: explicit("", "git@public.example.org:a/b.git"), provider: standard, want: "git@public.example.org:a/b.git"},
		"public, on a provider, own group":        {repo: explicit("", "https://git.example.com/team-1/x"), provider: standard, want: "https://git.example.com/team-1/x"},
		"public, on a provider, own group, below": {repo: explicit("", "https://git.example.com/git/team-1/x"), provider: address("ssh://git@git.example.com", "https://git.example.com/git"), want: "https://git.example.com/git/team-1/x"},
		"public, on a provider, another group":    {repo: explicit("", "https://GIT.example.com./team-2/x"), provider: standard, wantField: "spec.url"},
		"public, on a provider in the clear":      {repo: explicit("", "http://git.example.com/team-2/x"), provider: standard, wantField: "spec.url"},
		"public, in the clear, another host":      {repo: explicit("", "http://public.example.org/a/b"), provider: standard, want: "http://public.example.org/a/b"},
		"public, by SSH beside an HTTP provider":  {repo: explicit("", "ssh://git@git.example.com/team-2/x"), provider: address("", "https://git.example.com"), want: "ssh://git@git.example.com/team-2/x"},
		"public, another service of the host":     {repo: explicit("", "https://git.example.com:9000/team-2/x"), provider: standard, want: "https://git.example.com:9000/team-2/x"},
	})
}

func TestFormOfURL(t *testing.T) {
	standard := CodeRepoProvider(Provider)
	runURLs(t, map[string]urlCase{
		"a credential":              {repo: explicit("", "https://user:secret@public.example.org/x"), provider: standard, wantField: "spec.url"},
		"a username":                {repo: explicit("", "https://user@public.example.org/x"), provider: standard, wantField: "spec.url"},
		"a pattern":                 {repo: explicit("", "https://public.example.org/*"), provider: standard, wantField: "spec.url"},
		"a denying pattern":         {repo: explicit("", "!https://public.example.org/x"), provider: standard, wantField: "spec.url"},
		"an escape":                 {repo: explicit("", "https://public.example.org/a%2fb"), provider: standard, wantField: "spec.url"},
		"a query":                   {repo: explicit("", "https://public.example.org/a?b"), provider: standard, wantField: "spec.url", wantText: "it is not a URL of the form"},
		"a local file":              {repo: explicit("", "file:///etc"), provider: standard, wantField: "spec.url"},
		"a path":                    {repo: explicit("", "/etc"), provider: standard, wantField: "spec.url"},
		"a transport helper":        {repo: explicit("", "ext::sh -c id"), provider: standard, wantField: "spec.url"},
		"an option":                 {repo: explicit("", "--upload-pack=id"), provider: standard, wantField: "spec.url"},
		"SSH without a user":        {repo: explicit("", "ssh://public.example.org/x"), provider: standard, wantField: "spec.url"},
		"no path":                   {repo: explicit("", "https://public.example.org"), provider: standard, wantField: "spec.url"},
		"an empty part in the path": {repo: explicit("", "https://public.example.org/a//b"), provider: standard, wantField: "spec.url"},
	})
}

func runURLs(t *testing.T, tests map[string]urlCase) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			objects := []client.Object{Product("product-1"), Product("product-2"), test.repo}
			if test.provider != nil {
				objects = append(objects, test.provider)
			}
			got, err := newSnapshot(objects...).RepositoryURL(test.repo)
			var missing *snapshot.MissingError
			var wrong *snapshot.RepositoryError
			if errors.As(err, &missing) && missing.Missing.Kind != test.wantMissing || missing == nil && test.wantMissing != "" {
				t.Errorf("error %v, want that a %q is missing", err, test.wantMissing)
			}
			if errors.As(err, &wrong) && wrong.Field != test.wantField || wrong == nil && test.wantField != "" {
				t.Errorf("error %v, want one about %q", err, test.wantField)
			}
			if test.wantText != "" && (err == nil || !strings.Contains(err.Error(), test.wantText)) {
				t.Errorf("error %v, want it to say %q", err, test.wantText)
			}
			if got != test.want {
				t.Errorf("URL = %q, want %q", got, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error quotes a credential: %v", err)
			}
		})
	}
}

func TestRepositoryURLOfTheTenant(t *testing.T) {
	tenant := func(change func(*v1alpha1.CodeRepoSpec)) *v1alpha1.CodeRepo {
		r := CodeRepo(Namespace, "tenant", "")
		r.Spec = v1alpha1.CodeRepoSpec{}
		change(&r.Spec)
		return r
	}
	tests := map[string]struct {
		repo      *v1alpha1.CodeRepo
		want      string
		wantField string
	}{
		"any URL, also on a provider": {
			repo: tenant(func(s *v1alpha1.CodeRepoSpec) { s.URL = "https://git.example.com/tenant/management.git" }),
			want: "https://git.example.com/tenant/management.git",
		},
		"derived for the product that it names": {
			repo: tenant(func(s *v1alpha1.CodeRepoSpec) {
				s.CodeRepoProvider, s.Product, s.RepoName = Provider, "product-1", "default.project"
			}),
			want: "ssh://git@git.example.com:2222/team-1/default.project.git",
		},
		"derived for no product": {
			repo:      tenant(func(s *v1alpha1.CodeRepoSpec) { s.CodeRepoProvider, s.RepoName = Provider, "default.project" }),
			wantField: "spec.product",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := newSnapshot(Product("product-1"), CodeRepoProvider(Provider)).RepositoryURL(test.repo)
			var wrong *snapshot.RepositoryError
			if errors.As(err, &wrong) != (test.wantField != "") || wrong != nil && wrong.Field != test.wantField {
				t.Errorf("error %v, want one about %q", err, test.wantField)
			}
			if got != test.want {
				t.Errorf("URL = %q, want %q", got, test.want)
			}
		})
	}
}

// A product whose group cannot exist has no derived URLs.
func TestURLWithoutAGroup(t *testing.T) {
	r := CodeRepo("product-1", "repo", "")
	product := Product("product-1", func(p *v1alpha1.Product) { p.Spec.Name = "team 1" })
	_, err := newSnapshot(product, CodeRepoProvider(Provider), r).RepositoryURL(r)
	var wrong *snapshot.RepositoryError
	if !errors.As(err, &wrong) || wrong.Field != "spec.name" || wrong.Repo.Kind != "Product" {
		t.Errorf("error %v, want one about spec.name of the product", err)
	}
}

func TestValidGroup(t *testing.T) {
	tests := map[string]bool{
		"team": true, "team/sub.group_1": true, "": false, "/team": false, "team/": false, "a//b": false, "..": false, "a/../b": false,
		"system:masters": false, "a,b": false, "a b": false, "*": false, "a\nb": false,
	}
	for name, want := range tests {
		if got := snapshot.ValidGroup(name); got != want {
			t.Errorf("ValidGroup(%q) = %v, want %v", name, got, want)
		}
	}
}

// FuzzRepositoryURL holds that an explicit URL which is accepted can neither
// leave the product's group on a provider nor be a pattern or a credential.
func FuzzRepositoryURL(f *testing.F) {
	for _, seed := range []string{
		"https://git.example.com/team-1/x.git", "git@git.example.com:team-1/x", "ssh://git@git.example.com:2222/team-1/x",
		"https://GIT.example.com/team-2/x", "https://git.example.com./team-2/x", "https://a:b@git.example.com/x", "https://x/*",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, url string, named bool) {
		r := CodeRepo("product-1", "repo", "", func(r *v1alpha1.CodeRepo) {
			r.Spec.URL = url
			if !named {
				r.Spec.CodeRepoProvider = ""
			}
		})
		got, err := newSnapshot(Product("product-1"), CodeRepoProvider(Provider), r).RepositoryURL(r)
		if err != nil || url == "" {
			return
		}
		if got != url {
			t.Fatalf("the URL %q became %q", url, got)
		}
		if strings.ContainsAny(got, "*?[]{}!\\%# \n\t,") {
			t.Errorf("%q holds a pattern or an escape", got)
		}
		onProvider := strings.Contains(strings.ToLower(got), "git.example.com")
		if named && !onProvider {
			t.Errorf("credentials of the provider would go to %q", got)
		}
		if named && !strings.Contains(got, "team-1/") {
			t.Errorf("%q is not in the product's group", got)
		}
	})
}
