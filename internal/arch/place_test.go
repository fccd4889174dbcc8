package arch

import (
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "nautes.io/nautes/"

// placeholder is how .golangci.yml refers to its own directory.
const placeholder = "${config-path}/"

// importRule is a rule of depguard. Its name is the path of the package that it is for.
type importRule struct {
	Files []string `json:"files"`
	Deny  []struct {
		Package string `json:"pkg"`
	} `json:"deny"`
}

// Every package has a rule in .golangci.yml for its imports from the rest of the
// module. No rule is for a package that does not exist.
func TestEveryPackageHasItsPlace(t *testing.T) {
	root := filepath.Join("..", "..")
	var got []string
	for name, rule := range importRules(t, root) {
		if len(rule.Deny) != 1 || rule.Deny[0].Package != module {
			continue
		}
		got = append(got, name)
		if want := []string{placeholder + filesOf(name), "!$test"}; !slices.Equal(rule.Files, want) {
			t.Errorf("the rule %s is for the files %q, want %q", name, rule.Files, want)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(places(t, root), got); diff != "" {
		t.Errorf("depguard's rules in .golangci.yml differ (-packages +rules), give a new package its place there:\n%s", diff)
	}
}

// filesOf returns the pattern of the files that a rule is for, which includes
// subdirectories if the name is a pattern.
func filesOf(name string) string {
	switch {
	case name == "test/*":
		return "test/**.go"
	case strings.HasSuffix(name, "/*"):
		return name + "/**.go"
	}
	return name + "/*.go"
}

// No rule refers to a file that does not exist: a package that moves does not leave
// its rules behind.
func TestImportRulesMatchFiles(t *testing.T) {
	root := filepath.Join("..", "..")
	for name, rule := range importRules(t, root) {
		for _, pattern := range rule.Files {
			pattern, ok := strings.CutPrefix(strings.TrimPrefix(pattern, "!"), placeholder)
			if !ok {
				continue
			}
			pattern = strings.TrimSuffix(strings.TrimSuffix(pattern, "**.go"), "**")
			if found, err := filepath.Glob(filepath.Join(root, pattern)); err != nil || len(found) == 0 {
				t.Errorf("the rule %s is for %s, which does not exist", name, pattern)
			}
		}
	}
}

func importRules(t *testing.T, root string) map[string]importRule {
	t.Helper()
	var config struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]importRule `json:"rules"`
				} `json:"depguard"`
			} `json:"settings"`
		} `json:"linters"`
	}
	decode(t, filepath.Join(root, ".golangci.yml"), &config)
	return config.Linters.Settings.Depguard.Rules
}

// places returns the paths of all packages that need a rule. The kinds below
// controllers share a rule, as do the packages below test. Packages below hack may
// import everything.
func places(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if entry.IsDir() {
			if name == "hack" || name == "bin" || entry.Name() == "testdata" || name != "." && strings.HasPrefix(entry.Name(), ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		place := path.Dir(name)
		if strings.HasPrefix(place, "controllers/") {
			place = "controllers/*"
		}
		if strings.HasPrefix(place, "test/") {
			place = "test/*"
		}
		all = append(all, place)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
