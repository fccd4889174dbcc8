package api_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// clientProgram is the program of a user of the kinds.
const clientProgram = `package main

import (
	"fmt"

	"nautes.io/nautes/api/v1alpha1"
)

func main() {
	var r v1alpha1.Runtime = &v1alpha1.DeploymentRuntime{}
	fmt.Println(r.Destination())
}
`

// A client of the kinds needs the API machinery and nothing heavier: neither its
// program nor its module graph holds the dependencies of the product.
func TestClientsStayLight(t *testing.T) {
	api, err := filepath.Abs(filepath.Join(root, "api"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("main.go", clientProgram)
	write("go.mod", "module example.com/client\n\ngo 1.26\n\nrequire nautes.io/nautes/api v0.0.0\n\nreplace nautes.io/nautes/api => "+api+"\n")
	sums, err := os.ReadFile(filepath.Join(api, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	write("go.sum", string(sums))
	run := func(args ...string) []string {
		t.Helper()
		command := exec.CommandContext(t.Context(), "go", args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		output, err := command.Output()
		if err != nil {
			message := ""
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				message = string(exit.Stderr)
			}
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, message)
		}
		return strings.Fields(string(output))
	}
	run("build", "-o", filepath.Join(dir, "client"), ".")
	for of, names := range map[string][]string{
		"the program":      run("list", "-deps", "."),
		"the module graph": run("list", "-m", "-f", "{{.Path}}", "all"),
	} {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "k8s.io/apimachinery") }) {
			t.Errorf("%s lacks the API machinery: %v", of, names)
		}
		for _, heavy := range []string{"sigs.k8s.io/controller-runtime/", "k8s.io/client-go/", "k8s.io/api/", "github.com/argoproj/"} {
			if at := slices.IndexFunc(names, func(name string) bool { return strings.HasPrefix(name+"/", heavy) }); at >= 0 {
				t.Errorf("%s: %s", of, names[at])
			}
		}
	}
}
