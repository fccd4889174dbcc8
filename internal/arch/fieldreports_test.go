package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each row of docs/field-reports.md names tests that exist, in their package if the row
// has one.
func TestFieldReportsNameTests(t *testing.T) {
	root := filepath.Join("..", "..")
	content, err := os.ReadFile(filepath.Join(root, "docs", "field-reports.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := testsBelow(t, root)
	name, folder := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z0-9]\w*`), regexp.MustCompile("^`([a-z][a-z/]*)`")
	rows := 0
	for _, line := range strings.Split(string(content), "\n") {
		if !strings.HasPrefix(line, "| B") {
			continue
		}
		rows++
		cells := strings.Split(line, "|")
		column := cells[len(cells)-2]
		if len(name.FindAllString(column, -1)) == 0 {
			t.Errorf("a row names no test: %s", line)
		}
		for _, part := range strings.Split(column, ";") {
			in := ""
			if found := folder.FindStringSubmatch(strings.TrimSpace(part)); found != nil {
				in = found[1]
			}
			for _, test := range name.FindAllString(part, -1) {
				if folders := tests[test]; len(folders) == 0 || in != "" && !folders[in] {
					t.Errorf("there is no test %s in %q: %s", test, in, cells[1])
				}
			}
		}
	}
	if rows < 40 {
		t.Errorf("only %d rows were found", rows)
	}
}

// testsBelow returns the folders of each test below a folder, by the name of the test.
func testsBelow(t *testing.T, root string) map[string]map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	found := map[string]map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "bin" || strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." && path != root) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, match := range declared.FindAllStringSubmatch(string(content), -1) {
			if found[match[1]] == nil {
				found[match[1]] = map[string]bool{}
			}
			found[match[1]][filepath.ToSlash(folder)] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
