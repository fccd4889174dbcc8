package layout

import (
	"strings"
	"testing"
)

func TestNear(t *testing.T) {
	tests := map[string]struct {
		scope    Scope
		want     string
		wantSame bool
	}{
		"Envs": {product, "envs", true}, "ENVS": {product, "envs", true}, "envs ": {product, "envs", true}, "envs\u200b": {product, "envs", true},
		"env": {product, "envs", false}, "environments": {product, "envs", false}, "environment": {product, "envs", false}, "evns": {product, "envs", false},
		"runtime": {product, "runtimes", false}, "runtmies": {product, "runtimes", false}, "deployments": {product, "runtimes", false}, "Runtimes": {product, "runtimes", true},
		"code_repos": {product, "code-repos", true}, "coderepos": {product, "code-repos", true}, "CodeRepos": {product, "code-repos", true}, "code-repo": {product, "code-repos", false},
		"artifacts": {product, "artifact-repos", false}, "artifact_repos": {product, "artifact-repos", true},
		"repos": {product, "code-repos", false}, "code-repositories": {product, "code-repos", false}, "project": {product, "projects", false}, "Projects": {product, "projects", true},
		"cluster": {tenant, "clusters", false}, "Clusters": {tenant, "clusters", true}, "catalog": {tenant, "catalogue", false}, "provider": {tenant, "providers", false}, "hook": {tenant, "hooks", false},
		"envs": {product, "", false}, "docs": {product, "", false}, "production": {product, "", false}, "charts": {product, "", false}, "src": {product, "", false}, "manifests": {product, "", false},
		"a": {product, "", false}, "en": {product, "", false}, "": {product, "", false}, "node_modules": {product, "", false}, "templates": {product, "", false},
		// A swap is one mistake, and three others are too many.
		"porjetcs": {product, "projects", false}, "prjxecqs": {product, "", false},
	}
	for top, tt := range tests {
		got, same := tt.scope.near(top)
		if got != tt.want || same != tt.wantSame {
			t.Errorf("near(%q) = %q, %v; want %q, %v", top, got, same, tt.want, tt.wantSame)
		}
	}
}

func TestMisnamed(t *testing.T) {
	for name, want := range map[string]string{
		"envs/dev.YAML": ".yaml or .yml", "envs/dev.Yml": ".yaml or .yml", "envs/dev.yaml.txt": ".yaml or .yml", "envs/dev.yaml~": ".yaml or .yml", "envs/dev.yaml ": ".yaml or .yml",
		"envs/dev.yaml.j2": ".yaml or .yml", "projects/api/api.yml.bak": ".yaml or .yml", "Envs/dev.yaml": "has envs: move the file to envs/<environment>.yaml", "Code_Repos/a/a.YML": "has code-repos",
		"envs/dev.yaml": "", "envs/dev.json": "", "envs/dev.yamllint": "", "environments/dev.yaml": "", "docs/dev.YAML": "", "envs/.dev.YAML": "", "envs/kustomization.YAML": "", "dev.YAML": "", "envs.YAML": "",
	} {
		got := product.Misnamed(name)
		if (got != nil) != (want != "") || got != nil && (got.Path != name || got.Reason != Misplaced || !strings.Contains(got.Message, want)) {
			t.Errorf("Misnamed(%q) = %+v, want %q", name, got, want)
		}
	}
}

func TestStray(t *testing.T) {
	yaml, json := environment, `{"kind": "Environment", "apiVersion": "nautes.resource.nautes.io/v1alpha1"}`
	tests := map[string]struct{ path, content, want string }{
		"JSON":            {"envs/dev.json", json, "resource files are named <name>.yaml"},
		"no extension":    {"envs/dev", "# c\n---\n" + yaml, "resource files are named"},
		"kustomization":   {"envs/kustomization.yaml", yaml, "resource files are named"},
		"root":            {"dev.yaml", "\ufeff" + yaml, "code-repos, envs, projects, runtimes"},
		"near":            {"environments/dev.yaml", yaml, "the folder environments is not a folder of the layout, which has envs"},
		"readme":          {"envs/README.md", "# Envs\n\nText:\n\n" + yaml, ""},
		"another object":  {"envs/a.json", `{"apiVersion": "v1"}`, ""},
		"only mentioned":  {"envs/a.txt", "see nautes.resource.nautes.io/v1alpha1", ""},
		"nothing":         {"envs/a.txt", "", ""},
		"comments":        {"envs/a.txt", "# nautes.resource.nautes.io/\n", ""},
		"a kustomization": {"envs/kustomization.yaml", "resources:\n- nautes.resource.nautes.io/v1\n", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := product.Stray(tt.path, []byte(tt.content))
			if (got != nil) != (tt.want != "") || got != nil && !strings.Contains(got.Message, tt.want) {
				t.Errorf("Stray = %+v, want %q", got, tt.want)
			}
		})
	}
}

func TestLook(t *testing.T) {
	deep := strings.Repeat("a/", 20)
	for name, want := range map[string]Look{
		"envs/dev.yaml": Ours, "projects/a/a.yaml": Ours, "envs/a.txt": Suspect, "envs/a/b.yaml": Suspect, "dev.yaml": Suspect, "Envs/a.yaml": Suspect, "env/a": Suspect,
		"envs/a/b/c/d/e": Suspect, "env/a/b/c": Suspect, "env/a/b/c/d": Foreign,
		"envs" + strings.Repeat("/a", 9): Suspect, "envs" + strings.Repeat("/a", 10): Foreign,
		"docs/a.yaml": Foreign, "README.md": Foreign, "envs/.a.yaml": Foreign, ".git/a": Foreign, "envs/" + deep + "a.yaml": Foreign, "env/" + deep + "a.yaml": Foreign, "": Foreign,
	} {
		if got := product.Look(name, "100644"); got != want {
			t.Errorf("Look(%q) = %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]Look{"envs": Ours, "projects/a": Ours, "envs/a": Suspect, "projects/a/b": Suspect, "Envs": Suspect, "docs": Foreign, ".git": Foreign, "envs/dev.yaml": Suspect, "dev.yaml": Foreign} {
		if got := product.Look(name, modeDirectory); got != want {
			t.Errorf("Look(%q) of a directory = %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]Look{"envs": Ours, "envs/dev.yaml": Ours, "projects/a": Ours, "docs": Foreign, "dev.yaml": Foreign} {
		for _, mode := range []string{modeSymlink, modeSubmodule} {
			if got := product.Look(name, mode); got != want {
				t.Errorf("Look(%q) of a link or submodule %s = %v, want %v", name, mode, got, want)
			}
		}
	}
}

// TestReadable holds that only small files that may hold an object are read.
func TestReadable(t *testing.T) {
	const file = "100644"
	tests := map[string]struct {
		path, mode string
		size       int64
		want       bool
	}{
		"a suspect":                {"envs/dev.json", file, 10, true},
		"a name of any sort":       {"envs/dev", file, 10, true},
		"an executable":            {"envs/dev.json", "100755", 10, true},
		"YAML at the root":         {"dev.yaml", file, 10, true},
		"YAML in a near folder":    {"environments/dev.yaml", file, 10, true},
		"no YAML in a near folder": {"environments/dev.txt", file, 10, false},
		"no YAML at the root":      {"README.md", file, 10, false},
		"a resource file":          {"envs/dev.yaml", file, 10, false},
		"another folder":           {"docs/dev.yaml", file, 10, false},
		"empty":                    {"envs/dev.json", file, 0, false},
		"the largest":              {"envs/dev.json", file, maxSuspect, true},
		"too large":                {"envs/dev.json", file, maxSuspect + 1, false},
		"a link":                   {"envs/a/dev.json", modeSymlink, 10, false},
		"a submodule":              {"envs/a/dev.json", modeSubmodule, 10, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := product.Readable(test.path, test.mode, test.size); got != test.want {
				t.Errorf("Readable(%q, %s, %d) = %t, want %t", test.path, test.mode, test.size, got, test.want)
			}
		})
	}
}

// Content that is no YAML, invisible characters, and values that YAML changes are
// named.
func TestDecodeExplains(t *testing.T) {
	replace := func(old, by string) string { return replaceOnce(t, environment, old, by) }
	checkRefusals(t, map[string]refusal{
		"Git LFS":             {"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12345\n", Unparsable, 1, "Git LFS pointer", nil},
		"merge conflict":      {replace("  cluster: one\n", "<<<<<<< HEAD\n  cluster: one\n=======\n  cluster: two\n>>>>>>> feature/x\n"), Unparsable, 6, "markers of a merge conflict", nil},
		"tab":                 {replace("  cluster", "\tcluster"), Unparsable, 6, "indented with a tab", nil},
		"template":            {replace("one", "{{ .Values.name }}"), Unparsable, 6, "the template {{ .Values.name }}", nil},
		"template in quotes":  {replace("name: dev", "name: '{{ .name }}'"), WrongName, 4, "the template {{ .name }}", nil},
		"template of a line":  {replace("spec:", "{{- if .x }}\nspec:"), Unparsable, 5, "the template {{- if .x }}", nil},
		"directive":           {"%YAML 1.2\n---\n" + environment, Unparsable, 1, "the directive %YAML 1.2", nil},
		"zero width in value": {replace("one", "o\u200bne"), Invalid, 6, "spec.cluster contains the invisible character U+200B (zero width space) at character 2", nil},
		"no-break space":      {replace("one", "one\u00a0"), Invalid, 6, "U+00A0", nil},
		"mark inside":         {replace("one", "\ufeffone"), Invalid, 6, "U+FEFF (byte order mark)", nil},
		"override":            {replace("one", "\u202eone"), Invalid, 6, "U+202E", nil},
		"invisible name":      {replace("name: dev", "name: d\u2060ev"), Invalid, 4, "metadata.name contains the invisible character U+2060", []string{"lower-case"}},
		"invisible key":       {replace("cluster:", "clus\u200bter:"), Unparsable, 6, "U+200B", nil},
		"invisible indent":    {replace("  cluster", "\u00a0 cluster"), Unparsable, 6, "U+00A0", nil},
		"version":             {replace("one", "1.20"), Invalid, 6, "spec.cluster is 1.20, which is read as the number 1.2: put it in quotes", nil},
		"octal":               {replace("one", "0123"), Invalid, 6, "read as the number 83: put it in quotes", nil},
		"exponent":            {replace("one", "1e3"), Invalid, 6, "read as the number 1000: put it in quotes", nil},
		"underscore":          {replace("one", "1_000"), Invalid, 6, "read as the number 1000: put it in quotes", nil},
	})
}

// Values that YAML 1.1 would change stay what they are where a text is wanted, and
// are refused where other programs would read them in another way.
func TestDecodeOpenValues(t *testing.T) {
	for value, want := range map[string]string{
		"1.20": "1.2", "1e3": "1000", "0123": "83", "1.0": "read as the number 1", "yes": "write true or false", "off": "write true or false", "on": "write true or false",
		"'1.20'": "", "'yes'": "", "1.5": "", "3": "", "true": "", "2024-12-24": "", "12:30": "", "0": "", "-1": "",
	} {
		file := replaceOnce(t, components, "values: {", "values: {tag: "+value+", ")
		_, problems := tenant.Decode(newKinds(t), "catalogue/default.yaml", []byte(file))
		if (len(problems) > 0) != (want != "") || len(problems) > 0 && !strings.Contains(problems[0].Message, want) {
			t.Errorf("%s: %+v, want %q", value, problems, want)
		}
	}
	for _, word := range []string{"on", "NO", "2024-12-24"} {
		o, problems := product.Decode(newKinds(t), "envs/dev.yaml", []byte(replaceOnce(t, environment, "  name: dev\n", "  name: dev\n  labels: {a: "+word+"}\n")))
		if len(problems) > 0 || o.GetLabels()["a"] != word {
			t.Errorf("the label %s: %+v", word, problems)
		}
	}
}
