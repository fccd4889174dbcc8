package forges

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
)

func TestOf(t *testing.T) {
	for providerType, want := range map[string]string{"gitlab": "GitLab", "gitea": "Gitea", "github": "", "": ""} {
		f, supported := Of(providerType)
		if f.Name != want || supported != (want != "") {
			t.Errorf("Of(%q) = %q, %t; want %q", providerType, f.Name, supported, want)
		}
	}
	if f, supported := Of(Default); !supported {
		t.Errorf("the default %q is not supported: %+v", Default, f)
	}
}

func TestListensTo(t *testing.T) {
	for source, want := range map[v1alpha1.EventSourceType]string{v1alpha1.EventSourceGitLab: "gitlab", v1alpha1.EventSourceGitea: "gitea", v1alpha1.EventSourceCalendar: "", "": ""} {
		f, listens := ListensTo(source)
		if f.Type != want || listens != (want != "") {
			t.Errorf("ListensTo(%q) = %q, %t; want %q", source, f.Type, listens, want)
		}
	}
}

func TestSourceOf(t *testing.T) {
	f, source, listens := SourceOf(v1alpha1.EventSource{GitLab: &v1alpha1.GitLabEventSource{RepoName: "repo-1"}})
	if f.Type != "gitlab" || source.Repository != "repo-1" || !listens {
		t.Errorf("SourceOf = %q, %+v, %t; want GitLab and repo-1", f.Type, source, listens)
	}
	f, source, listens = SourceOf(v1alpha1.EventSource{Gitea: &v1alpha1.GiteaEventSource{RepoName: "repo-2"}})
	if f.Type != "gitea" || source.Repository != "repo-2" || !listens {
		t.Errorf("SourceOf = %q, %+v, %t; want Gitea and repo-2", f.Type, source, listens)
	}
	if f, source, listens := SourceOf(v1alpha1.EventSource{Calendar: &v1alpha1.CalendarEventSource{}}); f.Type != "" || source.Repository != "" || listens {
		t.Errorf("SourceOf = %q, %+v, %t; want nothing for a calendar", f.Type, source, listens)
	}
}

// The types are the ones that the schema of CodeRepoProvider allows.
func TestTypes(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "crd", "bases", "nautes.resource.nautes.io_coderepoproviders.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(content, &crd); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, value := range crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties["providerType"].Enum {
		want = append(want, string(value.Raw))
	}
	var got []string
	for _, providerType := range Types() {
		got = append(got, `"`+providerType+`"`)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Types (-want +got):\n%s", diff)
	}
}
