package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// CONTRIBUTING.md shows every room in its picture, or names it below.
func TestRoomsAreShown(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rooms, _ := strings.Cut(string(content), "\n## Rooms")
	rooms, _, _ = strings.Cut(rooms, "\n## ")
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() && !regexp.MustCompile(`\b`+entry.Name()+`\b`).MatchString(rooms) {
			t.Errorf("CONTRIBUTING.md does not show internal/%s: put it into the picture of the rooms", entry.Name())
		}
	}
}
