// Command apidoc writes the reference of the kinds, docs/reference/api.md, from
// the generated CRDs, and docs/reference/conditions.md from the comments of the
// constants in conditions.go and labels.go of api/v1alpha1. It guarantees that equal
// input gives equal bytes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"nautes.io/nautes/hack/apidoc/constants"
)

func main() {
	root := flag.String("root", ".", "the root of the module")
	flag.Parse()
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "apidoc:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	pages, err := render(root)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, pagesDir), 0o755); err != nil {
		return err
	}
	for name, content := range pages {
		if err := os.WriteFile(filepath.Join(root, pagesDir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pagesDir is where the pages are, below the root of the module.
const pagesDir = "docs/reference"

// render returns the pages by their file names.
func render(root string) (map[string][]byte, error) {
	crds, err := readCRDs(filepath.Join(root, "config/crd/bases"))
	if err != nil {
		return nil, err
	}
	var all []constants.Constant
	for _, file := range []string{"conditions.go", "labels.go"} {
		found, err := constants.Read(filepath.Join(root, "api/v1alpha1", file))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return map[string][]byte{
		"api.md":        renderAPI(crds),
		"conditions.md": renderConditions(all),
	}, nil
}
