package controllers_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

// printedOrder is the order in which the user guide has the files of a product created:
// environments, projects, code repositories, authorizations, pipeline runtimes, and
// deployment runtimes. It has them removed in the opposite order.
var printedOrder = []string{
	"envs/env-dev.yaml", "envs/env-dev-demo.yaml", "projects/api-server/api-server.yaml", "projects/project-demo/project-demo.yaml",
	"code-repos/repo-xxxx/repo-xxxx.yaml", "code-repos/repo-3/repo-3.yaml", "code-repos/repo-3/repo-3-api-server.yaml",
	"projects/project-demo/pr-demo.yaml", "runtimes/dr-dev.yaml",
}

// guideFiles returns the files of the guide's product. The resource files that the guide
// prints are byte for byte the printed ones; the guide prints no clusters of its
// environments, so these are the clusters of the tests.
func guideFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, path := range printedOrder {
		content, err := os.ReadFile(filepath.Join("..", "config", "samples", "default.project", path))
		if err != nil {
			t.Fatal(err)
		}
		files[path] = string(content)
	}
	printed := func(name string) string {
		content, err := os.ReadFile(filepath.Join("testdata", "guide", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	if diff := cmp.Diff(printed("pr-demo.yaml"), files["projects/project-demo/pr-demo.yaml"]); diff != "" {
		t.Fatalf("the sample is not what the guide prints (-printed +sample):\n%s", diff)
	}
	// The guide lost the indentation of this file when it was printed.
	var flat []string
	for line := range strings.Lines(files["runtimes/dr-dev.yaml"]) {
		flat = append(flat, strings.TrimLeft(line, " "))
	}
	if diff := cmp.Diff(printed("dr-dev.txt"), strings.Join(flat, "")); diff != "" {
		t.Fatalf("the sample is not what the guide prints (-printed +sample):\n%s", diff)
	}
	for path, clusters := range map[string][2]string{
		"envs/env-dev.yaml":      {"physical-worker-deployment", "alpha"},
		"envs/env-dev-demo.yaml": {"physical-worker-pipeline", pipelineWorker},
	} {
		files[path] = strings.Replace(files[path], clusters[0], clusters[1], 1)
	}
	return files
}

// The files of the guide become ready and leave nothing behind, all at once and in the
// printed orders of creation and removal, one file per push.
func TestFilesOfTheGuide(t *testing.T) {
	t.Parallel()
	sys := thePipelines(t)
	files := guideFiles(t)
	sys.MustApply(t, scenario.Provider("gitlab", "https://gitlab.example"))
	for _, test := range []struct {
		name           string
		create, remove func(m *pipelineProduct, t *testing.T)
	}{
		{
			name:   "all at once",
			create: func(m *pipelineProduct, t *testing.T) { m.mirrored(t, m.push(t, files)) },
			remove: func(m *pipelineProduct, t *testing.T) { m.removeConfirmed(t, printedOrder...) },
		},
		{
			name: "one file per push",
			create: func(m *pipelineProduct, t *testing.T) {
				for _, path := range printedOrder {
					m.mirrored(t, m.push(t, map[string]string{path: files[path]}))
				}
			},
			remove: func(m *pipelineProduct, t *testing.T) {
				for i := range printedOrder {
					m.mirrored(t, m.push(t, nil, printedOrder[len(printedOrder)-1-i]))
				}
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newPipelineProduct(sys, "xxxx")
			m.played = []string{pipelineWorker, "alpha"}
			m.declare(t)
			m.playControllers(t)
			for _, repo := range []string{"repo-3", "repo-xxxx"} {
				sys.putText(t, secrets.RepositoryReadOnly("gitlab", repo), "deploykey", "key-of-"+repo)
			}
			sys.Push(t, m.Repository(), githost.Commit{Files: map[string]string{"README.md": test.name}})
			test.create(m, t)
			for _, o := range []v1alpha1.Object{
				&v1alpha1.ProjectPipelineRuntime{ObjectMeta: m.Meta("pr-demo")}, m.RuntimeObject("dr-dev"), m.Object(),
			} {
				sys.condition(t, o, "Ready", "True", "Ready")
			}
			sys.AwaitObjects(t, sys.Clusters["alpha"], scenario.Object("v1", "Namespace", "", "dr-dev"))
			sys.AwaitObjects(t, sys.Clusters[pipelineWorker], scenario.Object("v1", "Namespace", "", "pr-demo-namespace"))
			test.remove(m, t)
			m.ends(t, pipelineWorker, "alpha")
			// The product goes last.
			if err := sys.Client.Delete(t.Context(), m.Object()); client.IgnoreNotFound(err) != nil {
				t.Fatal(err)
			}
			m.awaitRemoval(t)
		})
	}
}
