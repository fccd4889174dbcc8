package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// room is a group of folders whose product code has a limit of lines. Tests and
// generated files do not count.
type room struct {
	folders []string
	max     int
}

func rooms() []room {
	return []room{
		{folders: []string{"controllers", "internal/operator", "internal/reconcile"}, max: 4300},
		{folders: []string{"internal/remote"}, max: 2400},
		{folders: []string{"internal/secrets"}, max: 2400},
		{folders: []string{"internal/build"}, max: 3500},
		{folders: []string{"internal/snapshot"}, max: 2100},
	}
}

// maxController is the limit of lines of a controller's folder.
const maxController = 500

// checkRooms returns the breaches of the limits of rooms and of controllers.
func checkRooms(root string) ([]string, error) {
	all := rooms()
	controllers, err := filepath.Glob(filepath.Join(root, "controllers", "*"))
	if err != nil {
		return nil, err
	}
	for _, folder := range controllers {
		name, err := filepath.Rel(root, folder)
		if err != nil {
			return nil, err
		}
		all = append(all, room{folders: []string{name}, max: maxController})
	}
	var breaches []string
	for _, r := range all {
		lines := 0
		for _, folder := range r.folders {
			n, err := productLines(filepath.Join(root, folder))
			if err != nil {
				return nil, err
			}
			lines += n
		}
		if lines > r.max {
			breaches = append(breaches, fmt.Sprintf("%s: %d lines of product code, %d are allowed: find a better structure or a library", strings.Join(r.folders, ", "), lines, r.max))
		}
	}
	return breaches, nil
}

// productLines returns the number of lines below a folder, or 0 if there is no
// such folder.
func productLines(folder string) (int, error) {
	lines := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "zz_generated") {
			return nil
		}
		content, err := os.ReadFile(path)
		lines += bytes.Count(content, []byte("\n"))
		return err
	})
	if os.IsNotExist(err) {
		return 0, nil
	}
	return lines, err
}
