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

// TestAdditionalResources holds that additional resources grant a pipeline runtime no
// repository that its project may not use, by name or by URL.
func TestAdditionalResources(t *testing.T) {
	repo := func(name, project string, change ...func(*v1alpha1.CodeRepo)) *v1alpha1.CodeRepo {
		return CodeRepo("product-1", name, project, append(change, func(r *v1alpha1.CodeRepo) { r.Spec.RepoName = name })...)
	}
	onAbsent := func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = "absent" }
	badURL := func(r *v1alpha1.CodeRepo) { r.Spec.URL = "file:///etc" }
	named := func(name string) *v1alpha1.AdditionalResourcesGit {
		return &v1alpha1.AdditionalResourcesGit{CodeRepo: name}
	}
	at := func(url string) *v1alpha1.AdditionalResourcesGit {
		return &v1alpha1.AdditionalResourcesGit{URL: url}
	}
	standard := []client.Object{Product("product-1"), CodeRepoProvider(Provider)}
	tests := map[string]struct {
		objects []client.Object
		git     *v1alpha1.AdditionalResourcesGit
		want    string
		// wantRefusal is a part of the refusal, wantMissing the kind of an object
		// that is missing.
		wantRefusal, wantMissing string
	}{
		"none":  {},
		"empty": {git: at("")},
		"a repository of the project": {objects: append(standard, repo("mine", "api")), git: named("mine"),
			want: "ssh://git@git.example.com:2222/team-1/mine.git"},
		"a repository that does not exist":        {objects: standard, git: named("absent"), wantRefusal: "CodeRepo absent does not exist"},
		"a repository of another project":         {objects: append(standard, repo("theirs", "web")), git: named("theirs"), wantRefusal: "not granted to the project api"},
		"a repository with a bad URL":             {objects: append(standard, repo("bad", "api", badURL)), git: named("bad"), wantRefusal: "spec.url"},
		"a repository whose provider is missing":  {objects: append(standard, repo("unsure", "api", onAbsent)), git: named("unsure"), wantMissing: "CodeRepoProvider"},
		"a public URL":                            {objects: append(standard, repo("theirs", "web")), git: at("https://public.example.org/a/b"), want: "https://public.example.org/a/b"},
		"a bad URL":                               {objects: standard, git: at("file:///etc"), wantRefusal: "the URL of the additional resources cannot be used"},
		"a URL of another group":                  {objects: standard, git: at("https://git.example.com/team-2/x"), wantRefusal: "cannot be used"},
		"a URL while the product is missing":      {objects: standard[1:], git: at("https://git.example.com/team-1/x"), wantMissing: "Product"},
		"the URL of a repository of the project":  {objects: append(standard, repo("mine", "api")), git: at("https://git.example.com/team-1/mine"), want: "https://git.example.com/team-1/mine"},
		"the URL of a repository of another":      {objects: append(standard, repo("theirs", "web")), git: at("https://git.example.com/team-1/Theirs.git"), wantRefusal: "belongs to CodeRepo theirs"},
		"a URL beside a repository of another":    {objects: append(standard, repo("theirs", "web")), git: at("https://git.example.com/team-1/x"), want: "https://git.example.com/team-1/x"},
		"a URL beside a repository without a URL": {objects: append(standard, repo("bad", "web", badURL)), git: at("https://git.example.com/team-1/x"), want: "https://git.example.com/team-1/x"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := PipelineRuntime("product-1", "pipe", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) {
				if test.git != nil {
					r.Spec.AdditionalResources = &v1alpha1.AdditionalResources{Git: test.git}
				}
			})
			url, refusal, err := newSnapshot(test.objects...).AdditionalResources(r)
			var missing *snapshot.MissingError
			if errors.As(err, &missing) && missing.Missing.Kind != test.wantMissing || (err != nil) != (test.wantMissing != "") {
				t.Errorf("error %v, want that a %q is missing", err, test.wantMissing)
			}
			if (refusal != "") != (test.wantRefusal != "") || !strings.Contains(refusal, test.wantRefusal) {
				t.Errorf("refusal %q, want %q", refusal, test.wantRefusal)
			}
			if url != test.want {
				t.Errorf("URL %q, want %q", url, test.want)
			}
		})
	}
	r := PipelineRuntime("product-1", "pipe", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) {
		r.Spec.AdditionalResources = &v1alpha1.AdditionalResources{}
	})
	if url, refusal, err := newSnapshot().AdditionalResources(r); url != "" || refusal != "" || err != nil {
		t.Errorf("without a repository: URL %q, refusal %q, error %v", url, refusal, err)
	}
}
