// Command openapi writes the OpenAPI document of the REST API to docs/openapi.yaml.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"nautes.io/nautes/internal/rest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "openapi: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	document, err := rest.OpenAPI()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join("docs", "openapi.yaml"), document, 0o644)
}
