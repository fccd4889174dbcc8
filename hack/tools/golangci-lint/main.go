// Command golangci-lint is golangci-lint with the linter for Kubernetes APIs,
// which is a plugin and must be compiled in.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	"github.com/golangci/golangci-lint/v2/pkg/exitcodes"

	_ "sigs.k8s.io/kube-api-linter"
)

func main() {
	if err := commands.Execute(buildInfo()); err != nil {
		fmt.Fprintln(os.Stderr, "golangci-lint:", err)
		os.Exit(exitcodes.Failure)
	}
}

// buildInfo returns the versions that this program was built from. Both modules
// count: golangci-lint caches results per version, and those of the plugin change
// with the plugin.
func buildInfo() commands.BuildInfo {
	info := commands.BuildInfo{Version: "(devel)", Commit: "unknown", Date: "unknown"}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	var versions []string
	for _, module := range build.Deps {
		switch module.Path {
		case "github.com/golangci/golangci-lint/v2", "sigs.k8s.io/kube-api-linter":
			versions = append(versions, strings.TrimPrefix(module.Version, "v"))
		}
	}
	info.Version = strings.Join(versions, "+kube-api-linter.")
	info.GoVersion = build.GoVersion
	return info
}
