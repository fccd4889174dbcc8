// Command limits checks the rules for size and wording that no linter of
// .golangci.yml can hold: a limit of lines for some rooms, few of the phrases that
// make comments hard to read, and the size of tests. It looks at all Go files below
// a directory, prints each breach and exits with 1 if there is one.
//
// No file of tests has over 500 lines, and no function in it over 80. The rows of
// tables do not count, since a long table is better than a split one. Generated files
// do not count.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	maxFile     = 500
	maxFunction = 80
)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	breaches, err := check(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "limits:", err)
		os.Exit(2)
	}
	for _, breach := range breaches {
		fmt.Println(breach)
	}
	if len(breaches) > 0 {
		os.Exit(1)
	}
}

// check returns the breaches in the Go files below root, in the order of their paths.
func check(root string) ([]string, error) {
	breaches, err := checkRooms(root)
	if err != nil {
		return nil, err
	}
	words := &wording{}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (name == "bin" || name == "testdata" || strings.HasPrefix(name, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		found, err := checkFile(path, words)
		breaches = append(breaches, found...)
		return err
	})
	return append(breaches, words.breaches()...), err
}

// checkFile returns the breaches in a file, and counts its phrases in words.
func checkFile(path string, words *wording) ([]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(file) {
		return nil, nil
	}
	words.count(files, file)
	if !strings.HasSuffix(path, "_test.go") {
		return nil, nil
	}
	f := &source{files: files}
	if lines := files.File(file.FileStart).LineCount() - f.tableLines(file); lines > maxFile {
		f.breach(file.Name, "the file has %d lines, %d are allowed: split it by its tasks", lines, maxFile)
	}
	for _, decl := range file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			if lines := f.lines(fn) - f.tableLines(fn); lines > maxFunction {
				f.breach(fn, "%s has %d lines, %d are allowed: split it by its tasks", fn.Name.Name, lines, maxFunction)
			}
		}
	}
	return f.breaches, nil
}

// source is one file of tests under inspection.
type source struct {
	files    *token.FileSet
	breaches []string
}

func (s *source) breach(at ast.Node, format string, args ...any) {
	position := s.files.Position(at.Pos())
	s.breaches = append(s.breaches, fmt.Sprintf("%s:%d: %s", position.Filename, position.Line, fmt.Sprintf(format, args...)))
}

func (s *source) lines(n ast.Node) int {
	return s.files.Position(n.End()).Line - s.files.Position(n.Pos()).Line + 1
}

// tableLines returns the number of lines of the tables below a node: the lines between
// the braces of map and slice literals, and the lines of long strings.
func (s *source) tableLines(root ast.Node) int {
	total := 0
	ast.Inspect(root, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.CompositeLit:
			switch n.Type.(type) {
			case *ast.MapType, *ast.ArrayType:
				total += max(0, s.lines(n)-s.lines(n.Type)-1)
				return false
			}
		case *ast.BasicLit:
			total += s.lines(n) - 1
		}
		return true
	})
	return total
}
