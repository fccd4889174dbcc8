package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The programs that a stack runs, by their file names in bin/.
const (
	programEtcd              = "etcd"
	programAPIServer         = "kube-apiserver"
	programControllerManager = "kube-controller-manager"
	programHNC               = "hnc-manager"
	programArgoCD            = "argocd"
	programRedis             = "redis"
	programVault             = "vault"
	programArgoEvents        = "argoevents"
	programNATS              = "nats-server"
	programTekton            = "tekton-controller"
	programPod               = "pod"
	programGitea             = "gitea"
)

// assetsVariable names the directory that holds etcd and kube-apiserver, when it is set.
const assetsVariable = "KUBEBUILDER_ASSETS"

// MissingError reports that programs have not been built.
type MissingError struct {
	Programs []string
	// Command builds them.
	Command string
}

// Error implements error.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%s not found in bin/: run `%s` first", strings.Join(e.Programs, ", "), e.Command)
}

var errNoModule = errors.New("no go.mod in the working directory or above it")

// ModuleRoot returns the directory of the go.mod at or above the working directory.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errNoModule
		}
		dir = parent
	}
}

// ModuleDir returns where the source of a module that this one requires is in
// the module cache, and downloads it when it is not there yet.
func ModuleDir(ctx context.Context, module string) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	return moduleDir(ctx, root, module)
}

// moduleDir is ModuleDir for the versions that the go.mod in a directory requires.
func moduleDir(ctx context.Context, requiring, module string) (string, error) {
	dir, err := goCommand(ctx, requiring, "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil || dir != "" {
		return dir, err
	}
	if _, err := goCommand(ctx, requiring, "mod", "download", module); err != nil {
		return "", err
	}
	return goCommand(ctx, requiring, "list", "-m", "-f", "{{.Dir}}", module)
}

func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = dir
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// programs finds executable files.
type programs struct {
	// bin is the directory of built programs; empty: bin/ of this module.
	bin string
}

// ProgramPath returns the file of a program in bin/ or in the directory of
// KUBEBUILDER_ASSETS. It returns a *MissingError if the program has not been built.
func ProgramPath(name string) (string, error) { return programs{}.path(name) }

// path returns the file of a program. The directory in KUBEBUILDER_ASSETS goes
// before bin.
func (p programs) path(name string) (string, error) {
	bin := p.bin
	if bin == "" {
		root, err := ModuleRoot()
		if err != nil {
			return "", err
		}
		bin = filepath.Join(root, "bin")
	}
	for _, dir := range []string{os.Getenv(assetsVariable), bin} {
		if dir == "" {
			continue
		}
		path, err := filepath.Abs(filepath.Join(dir, name))
		if err != nil {
			return "", fmt.Errorf("find %s: %w", name, err)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", &MissingError{Programs: []string{name}, Command: "make " + targetOf(name)}
}

// check returns a *MissingError that names all of the programs that are missing.
func (p programs) check(names ...string) error {
	all := &MissingError{Command: "make tools"}
	for _, name := range names {
		var missing *MissingError
		switch _, err := p.path(name); {
		case errors.As(err, &missing):
			all.Programs = append(all.Programs, name)
			if targetOf(name) == "demo-tools" {
				all.Command = "make demo-tools"
			}
		case err != nil:
			return err
		}
	}
	if len(all.Programs) == 0 {
		return nil
	}
	return all
}

func targetOf(name string) string {
	switch name {
	case programEtcd, programAPIServer, programControllerManager, programVault:
		return "tools"
	case programGitea:
		return "gitea-tools"
	default:
		return "demo-tools"
	}
}
