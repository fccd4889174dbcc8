// Command pod runs a program as a container of a Pod would, where no node runs:
// as an ordinary process of this machine, which finds its volumes at their paths.
// Programs made for Pods have such paths built in, as /argo-events/secrets or
// /tekton/results, and two of them would meet in one /tmp. Nothing else is kept
// apart: it is no sandbox.
//
//	pod --root <empty directory> [--mount <path>=<directory> …] -- <program> [argument …]
//
// The program gets a root directory of its own, with the directories of this
// machine, but for those that the path of a mount begins with: they hold the
// mounts and nothing else. /tmp is always its own. That takes root, or a user
// namespace in which the caller is root; no other process sees a mount.
package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// mounts are the values of --mount: paths in the new root, with their sources.
type mounts map[string]string

func (m mounts) String() string { return "" }

func (m mounts) Set(text string) error {
	path, from, ok := strings.Cut(text, "=")
	if !ok || !filepath.IsAbs(path) || !filepath.IsAbs(from) || filepath.Clean(path) == "/" {
		return errors.New("want <path>=<directory>, both absolute")
	}
	m[filepath.Clean(path)] = from
	return nil
}

func main() {
	volumes := mounts{}
	flag.Var(volumes, "mount", "`path=directory`: the program sees the directory, or the file, at the path; again for more")
	root := flag.String("root", "", "an empty `directory`, where the root is put together")
	flag.Parse()
	if err := run(*root, volumes, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "pod:", err)
		os.Exit(1)
	}
}

// run becomes the program. It returns only an error.
func run(root string, volumes mounts, args []string) error {
	if root == "" || len(args) == 0 || !filepath.IsAbs(args[0]) {
		return errors.New("--root and the absolute path of a program are needed")
	}
	program, err := filepath.EvalSymlinks(args[0])
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	// Namespaces belong to threads: the one that gets a new one becomes the program.
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace, for which one must be root: %w", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep the mounts to oneself: %w", err)
	}
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("make a root: %w", err)
	}
	if err := fill(root, program, volumes); err != nil {
		return fmt.Errorf("fill the root: %w", err)
	}
	if err := syscall.Chroot(root); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	if err := syscall.Chdir("/"); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	return fmt.Errorf("run %s: %w", program, syscall.Exec(program, args, os.Environ()))
}

// fill puts a root together.
func fill(root, program string, volumes mounts) error {
	own := map[string]bool{"tmp": true}
	for path := range volumes {
		own[first(path)] = true
	}
	if own[first(program)] {
		volumes[program] = program
	}
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if own[entry.Name()] {
			continue
		}
		if err := show("/"+entry.Name(), filepath.Join(root, entry.Name())); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(root, "tmp"), 0o777|os.ModeSticky); err != nil {
		return err
	}
	// In order, so that no mount hides a path below it, for example a program below
	// /tmp.
	for _, path := range slices.Sorted(maps.Keys(volumes)) {
		if err := show(volumes[path], filepath.Join(root, path)); err != nil {
			return err
		}
	}
	return nil
}

// first returns the first name of an absolute path.
func first(path string) string {
	name, _, _ := strings.Cut(filepath.Clean(path)[1:], "/")
	return name
}

// show binds from, with the mounts below it, to path.
func show(from, path string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch {
	case info.Mode()&os.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, path)
	case info.IsDir():
		err = os.MkdirAll(path, 0o755)
	default:
		err = os.WriteFile(path, nil, 0o644)
	}
	if err != nil {
		return err
	}
	if err := syscall.Mount(from, path, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("show %s: %w", from, err)
	}
	return nil
}
